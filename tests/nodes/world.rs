//! Functions that work on one batch at once, in one thread, in an order that a seed decides.

use std::collections::BTreeSet;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};

use fanfold::batch::leaves::{Missing, missing_in_tree};
use fanfold::model::condition::Condition;
use fanfold::model::error::Result;
use fanfold::model::ids::{BatchId, ChunkIndex, LEAF_SIZE, NODE_SIZE};
use fanfold::model::input::InputRef;
use fanfold::model::progress::{Batch, Node, Opening, Sealing, Tally};
use fanfold::model::timestamp::Timestamp;
use fanfold::store::ledger::memory::MemoryLedger;
use fanfold::store::ledger::tree::{self, Progress};
use fanfold::store::ledger::{Ledger, OpenResult};
use fastrand::Rng;
use futures::FutureExt;

use super::ledger::{Hand, Mutation, Role};
use super::plan::{Deaths, Plan};

const NOW: Timestamp = Timestamp(1_700_000_000_123);
/// Functions at once.
const MOST: usize = 6;

/// What the functions share, and what the reference model knows.
pub struct World {
    pub mutation: Option<Mutation>,
    rng: Rng,
    deaths: Deaths,
    /// How often a function could have died.
    turns: u32,
    /// The chunks of which the work is done, so that they may be marked at any moment.
    worked: BTreeSet<u32>,
    /// The chunks that sweep sent again.
    again: Vec<ChunkIndex>,
    broken: Option<String>,
}

impl World {
    /// Whether the function whose turn it is dies.
    pub fn dies(&mut self) -> bool {
        self.turns += 1;
        match &mut self.deaths {
            Deaths::At(turn) => self.turns == *turn,
            Deaths::Often { percent, left } => {
                let dies = *left > 0 && self.rng.u32(..100) < *percent;
                *left -= u32::from(dies);
                dies
            }
        }
    }

    fn hold(&mut self, right: bool, rule: impl FnOnce() -> String) {
        if !right {
            self.broken.get_or_insert_with(rule);
        }
    }
}

/// What came of a run.
#[derive(Debug)]
pub struct Report {
    /// What was wrong first, if anything was.
    pub broken: Option<String>,
    pub turns: u32,
    pub kept: u32,
    pub nodes: usize,
    pub late: bool,
}

#[derive(Debug, Clone, Copy)]
enum Message {
    Work(u32),
    Seal(u32),
    Sweep,
}

type Function = Pin<Box<dyn Future<Output = Result<Progress>>>>;

pub fn sealing(chunks: u32) -> Sealing {
    let (records, columns, head) = (Some(u64::from(chunks)), None, None);
    Sealing { records, chunks, columns, head, error: None, scattered_at: NOW }
}

/// One batch, and the functions that work on it.
struct Run {
    plan: Plan,
    id: BatchId,
    hand: Hand,
    rng: Rng,
    waiting: Vec<Message>,
    running: Vec<(Message, Function)>,
    announced: bool,
}

/// Runs a plan to its end.
pub fn run(plan: &Plan, mutation: Option<Mutation>) -> Report {
    let rng = Rng::with_seed(plan.seed ^ 1);
    let (deaths, worked) = (plan.deaths, BTreeSet::new());
    let world = World { mutation, rng, deaths, turns: 0, worked, again: Vec::new(), broken: None };
    let memory = MemoryLedger::new();
    let hand = Hand { memory, world: Arc::new(Mutex::new(world)), role: Role::Work };
    let id = BatchId::parse("large-0123456789ab").unwrap();
    let (rng, waiting, running) = (Rng::with_seed(plan.seed ^ 2), Vec::new(), Vec::new());
    let mut run = Run { plan: plan.clone(), id, hand, rng, waiting, running, announced: false };
    run.begin();
    run.go_on();
    if plan.lossy {
        run.hand.world.lock().unwrap().deaths = Deaths::At(0);
        for _ in 0..3 {
            run.waiting.push(Message::Sweep);
            run.go_on();
        }
    }
    run.end()
}

impl Run {
    /// Brings the ledger to where most chunks are done.
    fn begin(&mut self) {
        let (memory, plan, id) = (&self.hand.memory, &self.plan, &self.id);
        let opened = memory.open(&opening(id)).now_or_never().unwrap().unwrap();
        assert_eq!(opened, OpenResult::Created);
        let sealing = plan.sealing();
        let (leaves, last) = (sealing.leaves(), sealing.last_node().map_or(0, |(last, _)| last));
        for leaf in (0..leaves.min(NODE_SIZE)).filter(|leaf| !plan.open.contains(leaf)) {
            memory.mark_root(id, leaf).now_or_never().unwrap().unwrap();
        }
        let open = plan.open_nodes();
        for node in (1..=last).filter(|node| !open.contains(node)) {
            memory.mark_root(id, Node::root_mark(node)).now_or_never().unwrap().unwrap();
        }
        let full = open.iter().flat_map(|node| Node::leaves(*node)).filter(|leaf| *leaf < leaves);
        for leaf in full.filter(|leaf| !plan.open.contains(leaf)) {
            memory.mark_node(id, leaf, NOW).now_or_never().unwrap().unwrap();
        }
        let chunks = plan.open.iter().flat_map(|leaf| leaf * LEAF_SIZE..(leaf + 1) * LEAF_SIZE);
        for index in chunks.filter(|index| *index < plan.chunks && !plan.live.contains(index)) {
            memory.mark_leaf(id, chunk(index), tally().into(), NOW).now_or_never().unwrap().unwrap();
        }
        self.waiting.extend(plan.live.iter().map(|index| Message::Work(*index)));
        self.waiting.extend([Message::Seal(plan.chunks)].into_iter().chain(plan.forced.map(Message::Seal)));
        self.waiting.extend((0..plan.sweeps).map(|_| Message::Sweep));
        // Some messages are delivered twice.
        self.waiting.extend(plan.live.iter().filter(|index| *index % 3 == 0).map(|index| Message::Work(*index)));
    }

    /// Runs functions until no message is left.
    fn go_on(&mut self) {
        loop {
            let again = std::mem::take(&mut self.hand.world.lock().unwrap().again);
            self.waiting.extend(again.into_iter().map(|chunk| Message::Work(chunk.get())));
            let few = self.running.len() < MOST && self.rng.u32(..4) == 0;
            if !self.waiting.is_empty() && (self.running.is_empty() || few) {
                let message = self.waiting.swap_remove(self.rng.usize(..self.waiting.len()));
                let function = self.function(message);
                self.running.push((message, function));
            } else if self.running.is_empty() {
                return;
            } else {
                let place = self.rng.usize(..self.running.len());
                let polled = self.running[place].1.as_mut().poll(&mut Context::from_waker(Waker::noop()));
                if let Poll::Ready(end) = polled {
                    let (message, _) = self.running.swap_remove(place);
                    self.note(message, end);
                }
            }
        }
    }

    fn note(&mut self, message: Message, end: Result<Progress>) {
        match end {
            Ok(Progress::Open) => {}
            Ok(Progress::Complete) => {
                let (batch, lacking) = (self.batch(), self.lacking());
                let mut world = self.hand.world.lock().unwrap();
                let right = batch.sealing.is_some() && lacking.is_subset(&world.worked);
                world.hold(right, || format!("{message:?} announces the batch before {lacking:?} are done"));
                if world.dies() {
                    self.waiting.push(message);
                } else {
                    self.announced = true;
                }
            }
            Err(_) if self.plan.lossy && matches!(message, Message::Work(_)) => {}
            Err(_) => self.waiting.push(message),
        }
    }

    /// The chunks of the batch that were not done when the simulation started.
    fn lacking(&self) -> BTreeSet<u32> {
        let chunks = self.batch().sealing.map_or(0, |sealing| sealing.chunks);
        self.plan.live.range(..chunks).copied().collect()
    }

    fn batch(&self) -> Batch {
        self.hand.memory.read(&self.id).now_or_never().unwrap().unwrap().unwrap()
    }

    fn function(&mut self, message: Message) -> Function {
        let (id, hand) = (self.id.clone(), self.hand.clone());
        match message {
            Message::Work(index) => work(hand, id, chunk(index), self.rng.bool()).boxed(),
            Message::Seal(chunks) => {
                let hand = Hand { role: Role::Seal(chunks), ..hand };
                async move { tree::seal(&hand, &id, &sealing(chunks)).await }.boxed()
            }
            Message::Sweep => sweep(hand, id, self.plan.live.clone()).boxed(),
        }
    }

    fn end(self) -> Report {
        let batch = self.batch();
        let kept = batch.sealing.as_ref().unwrap();
        let missing = missing_in_tree(&self.hand.memory, &batch, kept).now_or_never().unwrap().unwrap();
        let mut world = self.hand.world.lock().unwrap();
        world.hold(self.announced, || format!("nobody announces the batch; {missing:?}"));
        let right = batch.is_complete() && missing.count == 0;
        world.hold(right, || format!("at the end the batch lacks {missing:?}"));
        let late = self.plan.live.range(kept.chunks..).any(|chunk| world.worked.contains(chunk));
        let nodes = self.plan.open_nodes().len();
        Report { broken: world.broken.take(), turns: world.turns, kept: kept.chunks, nodes, late }
    }
}

/// What a worker does, as far as the ledger is concerned. One that has looked for its chunk before the batch was sealed
/// does not look again.
async fn work(hand: Hand, id: BatchId, chunk: ChunkIndex, looks: bool) -> Result<Progress> {
    if looks {
        let (batch, leaves) = hand.look(&id, &[chunk.leaf()].into()).await?;
        let leaf = leaves.get(&chunk.leaf()).filter(|leaf| leaf.holds(chunk));
        if let Some(leaf) = leaf {
            return tree::settle(&hand, &id, chunk.leaf(), leaf, NOW).await;
        }
        if batch.and_then(|batch| batch.sealing).is_some_and(|sealing| chunk.get() >= sealing.chunks) {
            return Ok(Progress::Open);
        }
    }
    hand.world.lock().unwrap().worked.insert(chunk.get());
    tree::mark(&hand, &id, chunk, tally(), NOW).await
}

/// What sweep does, as far as the ledger is concerned.
async fn sweep(hand: Hand, id: BatchId, live: BTreeSet<u32>) -> Result<Progress> {
    let Some(Batch { sealing: Some(sealing), .. }) = hand.read(&id).await? else {
        return Ok(Progress::Open);
    };
    let unmarked = |hand: &Hand| -> BTreeSet<u32> {
        let is_open = |index: &&u32| {
            let leaf = chunk(**index).leaf();
            let read = hand.memory.read_leaves(&id, leaf..leaf + 1).now_or_never().unwrap().unwrap();
            !read[0].holds(chunk(**index))
        };
        live.range(..sealing.chunks).filter(is_open).copied().collect()
    };
    let batch = hand.read(&id).await?.unwrap();
    let sized = tree::size(&Hand { role: Role::Size, ..hand.clone() }, &batch, NOW).await?;
    let before = unmarked(&hand);
    let batch = hand.read(&id).await?.unwrap();
    let missing = missing_in_tree(&Hand { role: Role::Miss, ..hand.clone() }, &batch, &sealing).await?;
    let (after, Missing { chunks, count, progress }) = (unmarked(&hand), missing);
    let named: BTreeSet<u32> = chunks.iter().map(|chunk| chunk.get()).collect();
    let mut world = hand.world.lock().unwrap();
    let right = named.is_subset(&before) && after.is_subset(&named) && count == named.len();
    world.hold(right, || format!("sweep misses {named:?}, and not what lies between {before:?} and {after:?}"));
    world.again.extend(chunks);
    Ok(sized.or(progress))
}

fn chunk(index: u32) -> ChunkIndex {
    ChunkIndex::new(index).unwrap()
}

fn tally() -> Tally {
    Tally { succeeded: 1, ..Tally::default() }
}

fn opening(id: &BatchId) -> Opening {
    let input = InputRef {
        bucket: "input".to_owned(),
        key: "large.csv".to_owned(),
        version_id: Some("v1".to_owned()),
        e_tag: None,
        bytes: 1,
        format: Some("csv".to_owned()),
        read_as: None,
    };
    Opening {
        id: id.clone(),
        variant: "chunked".to_owned(),
        input,
        condition: Condition::Tree,
        ranged: false,
        rules: None,
        only: None,
        chunk_size: 1,
        started_at: NOW,
        sequence: NOW,
    }
}
