//! One simulated deployment: queues, functions that run beside each other and die, the schedule of
//! sweep, and the people who upload, cancel and redrive. One thread, one seed, virtual time.

use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Waker};

use fanfold::blob::memory::MemoryBlob;
use fanfold::channel::{Delivery, Outgoing};
use fanfold::codec::s3_event::event_of;
use fanfold::faults::fault;
use fanfold::items::Items;
use fanfold::items::memory::MemoryItems;
use fanfold::ledger::memory::MemoryLedger;
use fanfold::ledger::{LastFailure, Ledger};
use fanfold::model::calls::StageCalls;
use fanfold::model::error::Result;
use fanfold::model::format::Layout;
use fanfold::model::ids::{BatchId, ChunkIndex, Revision};
use fanfold::model::message::{GatherMessage, ProcessMessage, RedriveMessage, to_body};
use fanfold::model::progress::{Batch, BatchState, Stop, Tally};
use fanfold::model::schema::RecordSchema;
use fanfold::model::summary::{Fault, InputRef};
use fanfold::model::timestamp::Timestamp;
use fanfold::stage::{Outcome, Subject};
use fanfold::tasks::memory::MemoryTasks;
use fastrand::Rng;
use futures::FutureExt;

use super::clockwork::{Alarm, Clockwork, Event, Ready, TaskWaker, Waiting};
use super::invariant::{self, Broken};
use super::mutation::{Late, Mutation};
use super::plan::Plan;
use super::queue::{Message, Queue};

pub const INPUT: &str = "input";
pub const SCATTER: usize = 0;
pub const PROCESS: usize = 1;
pub const GATHER: usize = 2;
const DEAD: usize = 3;
pub const PARKED: usize = 6;
const QUEUES: usize = 7;
/// Seconds that a function may take, by the queue that feeds it.
pub const TIMEOUTS: [i64; QUEUES] = [900, 120, 900, 120, 120, 120, 0];
const RECEIVES: u32 = 5;
/// Messages that a function gets at once at most.
const MOST_MESSAGES: usize = 4;
const SWEEP_SECONDS: i64 = 60;
pub const SWEEP_TIMEOUT: i64 = 300;
pub const STALL_AFTER: i64 = 900;
pub const GIVE_UP_AFTER: i64 = 24 * 3600;
/// The time by which every batch has to be closed, in milliseconds.
const PATIENCE: i64 = 40 * 3_600_000;
const MOST_EVENTS: usize = 2_000_000;

/// What may be done to a plan.
#[derive(Debug, Clone, Default)]
pub struct Options {
    pub mutation: Option<Mutation>,
    /// Where exactly a function is to die: the number of a point before or after a call's effect.
    pub crash: Option<u32>,
    /// Fewer faults than the plan has.
    pub most_faults: Option<u32>,
    pub traced: bool,
}

/// The data of a deployment.
#[derive(Clone, Default)]
pub struct Data {
    pub input: MemoryBlob,
    pub work: MemoryBlob,
    pub output: MemoryBlob,
    pub items: MemoryItems,
    pub tasks: MemoryTasks,
    pub ledger: MemoryLedger,
}

/// What changes while the simulation runs.
pub struct State {
    pub plan: Plan,
    pub options: Options,
    pub data: Data,
    pub clockwork: Clockwork,
    pub rng: Rng,
    pub queues: Vec<Queue>,
    /// The batches by the number of their file.
    pub batches: Vec<BatchId>,
    pub faults: u32,
    /// Points at which a function could have died: one before and one after each call's effect.
    pub points: u32,
    /// Batches of which something was buried, stopped or sealed by force.
    pub hurt: BTreeSet<BatchId>,
    /// What the outputs of a batch were when it was closed: generation, and versions by key.
    pub closed: BTreeMap<BatchId, (u32, Vec<usize>)>,
    pub broken: Option<Broken>,
    pub trace: Vec<String>,
    dying: BTreeSet<u64>,
    late: BTreeMap<u64, (Vec<Late>, bool)>,
    counts: BTreeMap<(BatchId, u32), (u32, Tally)>,
}

impl State {
    pub fn tell(&mut self, words: impl FnOnce() -> String) {
        if self.options.traced {
            let line = format!("{:>9} ms  {}", self.clockwork.now - super::clockwork::BEGIN, words());
            self.trace.push(line);
        }
    }

    pub fn breaks(&mut self, broken: Broken) {
        self.tell(|| format!("BROKEN {broken}"));
        self.broken.get_or_insert(broken);
    }

    /// Whether something goes wrong that goes wrong so many times in ten thousand.
    fn happens(&mut self, often: u32) -> bool {
        let most = self.options.most_faults.unwrap_or(self.plan.chaos.most);
        let happens = self.rng.u32(..10_000) < often && self.faults < most;
        self.faults += u32::from(happens);
        happens
    }

    fn is_out(&self, call: &str) -> bool {
        let passed = self.clockwork.now - super::clockwork::BEGIN;
        self.plan.outage.is_some_and(|(out, until)| out == call && passed < until)
    }

    fn poll_later(&mut self, queue: usize, at: i64) {
        let jitter = self.rng.i64(0..20);
        let tie = self.rng.u32(..);
        self.clockwork.at(at + jitter, tie, Event::Poll(queue));
    }

    fn after(&mut self, milliseconds: i64, event: Event) {
        let (at, tie) = (self.clockwork.now + milliseconds, self.rng.u32(..));
        self.clockwork.at(at, tie, event);
    }

    pub fn send(&mut self, queue: usize, message: Outgoing) {
        let delay = self.rng.i64(0..200);
        let now = self.clockwork.now;
        self.tell(|| format!("queue {queue} <- {}", message.body));
        let sent = self.queues[queue].send(message.body, message.group, now, delay);
        if sent && TIMEOUTS[queue] > 0 {
            self.poll_later(queue, now + delay);
        }
    }

    fn redrive(&mut self, batch: &Batch) {
        let id = &batch.opening.id;
        let failed = batch.tally.is_some_and(|tally| tally.failed > 0);
        if failed && id.generation() < self.plan.redrives {
            let body = to_body(&RedriveMessage::new(id.in_generation(id.generation() + 1)));
            for _ in 0..1 + self.rng.u32(..2) {
                self.send(SCATTER, Outgoing::new(body.clone()));
            }
        }
    }
}

/// A function's hold on the world: its clock, and what goes wrong with its calls.
#[derive(Clone)]
pub struct Hand {
    state: Arc<Mutex<State>>,
    task: u64,
    /// Whether it dies of what it writes now.
    pub doomed: Arc<AtomicBool>,
}

impl Hand {
    pub fn world<T>(&self, act: impl FnOnce(&mut State) -> T) -> T {
        act(&mut self.state.lock().unwrap())
    }

    pub async fn enter(&self, call: &'static str) -> Result<()> {
        let alarm = Arc::new(Alarm::default());
        let point = self.world(|state| {
            state.points += 1;
            let slow = state.happens(state.plan.chaos.slow);
            let milliseconds = if slow { state.rng.i64(1_000..200_000) } else { state.rng.i64(1..50) };
            state.after(milliseconds, Event::Wake(alarm.clone()));
            state.points
        });
        Waiting(alarm).await;
        if self.dies(call, point) {
            std::future::pending::<()>().await;
        }
        self.world(|state| {
            state.catch_up(self.task);
            if state.is_out(call) {
                state.tell(|| format!("function {} {call} is OUT of order", self.task));
                return Err(fault(call));
            }
            if state.happens(state.plan.chaos.before) {
                state.tell(|| format!("function {} {call} FAILS before its effect", self.task));
                return Err(fault(call));
            }
            state.tell(|| format!("function {} {call}", self.task));
            Ok(())
        })
    }

    pub async fn leave(&self, call: &'static str) -> Result<()> {
        let point = self.world(|state| {
            state.points += 1;
            state.points
        });
        if self.dies(call, point) {
            std::future::pending::<()>().await;
        }
        self.world(|state| {
            if state.happens(state.plan.chaos.after) {
                state.tell(|| format!("function {} {call} FAILS after its effect", self.task));
                return Err(fault(call));
            }
            Ok(())
        })
    }

    /// Lets the function die at a call, if that is to be.
    fn dies(&self, call: &'static str, point: u32) -> bool {
        self.world(|state| {
            let poisoned = self.doomed.load(Ordering::Relaxed) && call == "items.write";
            let dies = poisoned || state.options.crash == Some(point) || state.happens(state.plan.chaos.death);
            if dies {
                state.tell(|| format!("function {} DIES at {call}, point {point}", self.task));
                state.dying.insert(self.task);
            }
            dies
        })
    }

    pub fn cut(&self, call: &'static str, many: usize) -> Option<usize> {
        self.world(|state| {
            let cut = many > 0 && state.happens(state.plan.chaos.midway);
            cut.then(|| {
                state.tell(|| format!("function {} {call} FAILS midway", self.task));
                state.rng.usize(..many)
            })
        })
    }

    pub fn has(&self, mutation: Mutation) -> bool {
        self.world(|state| state.options.mutation == Some(mutation))
    }

    pub fn send(&self, queue: usize, message: Outgoing) {
        self.world(|state| state.send(queue, message));
    }

    pub fn put_off(&self, late: impl IntoIterator<Item = Late>) {
        self.world(|state| state.late.entry(self.task).or_default().0.extend(late));
    }

    /// Lets what was put off happen with the function's next call.
    pub fn catch_up_after(&self, mutations: &[Mutation]) {
        self.world(|state| {
            if state.options.mutation.is_some_and(|mutation| mutations.contains(&mutation))
                && let Some(late) = state.late.get_mut(&self.task)
            {
                late.1 = true;
            }
        });
    }

    pub fn count(&self, batch: &BatchId, leaf: u32, tally: Tally) -> (u32, Tally) {
        self.world(|state| {
            let count = state.counts.entry((batch.clone(), leaf)).or_default();
            *count = (count.0 + 1, count.1 + tally);
            *count
        })
    }

    pub fn watch_announcement(&self, messages: &[Outgoing]) {
        for message in messages {
            let id = GatherMessage::parse(&message.body).unwrap().batch_id;
            self.world(|state| invariant::at_announcement(state, &id));
        }
    }

    pub fn watch_taking(&self, id: &BatchId) {
        self.world(|state| invariant::outputs_stayed(state, id));
    }

    pub fn watch_closing(&self, batch: &Batch) {
        self.world(|state| {
            state.tell(|| format!("batch {} is {}", batch.opening.id, batch.state.name()));
            invariant::at_closing(state, batch);
            state.redrive(batch);
        });
    }
}

impl State {
    /// Lets what a function put off happen.
    fn catch_up(&mut self, task: u64) {
        let due = self.late.get(&task).is_some_and(|(_, due)| *due);
        if due {
            self.flush(task);
        }
    }

    fn flush(&mut self, task: u64) {
        for late in self.late.remove(&task).unwrap_or_default().0 {
            match late {
                Late::Items(items) => {
                    self.data.items.write(&items).now_or_never();
                }
                Late::Object(key, body) => {
                    self.data.work.upload(&key, body);
                }
                Late::Message(queue, message) => self.send(queue, message),
            }
        }
    }
}

/// Messages that no batch of this deployment comes of.
fn strangers() -> Vec<(usize, String)> {
    let id = BatchId::parse("stranger-0123456789ab").unwrap();
    let input = InputRef {
        bucket: "another".to_owned(),
        key: "x.csv".to_owned(),
        version_id: Some("v".to_owned()),
        e_tag: None,
        bytes: 1,
        format: None,
    };
    let event = event_of(&input).unwrap();
    let chunk = ChunkIndex::new(0).unwrap();
    vec![
        (SCATTER, "{}".to_owned()),
        (SCATTER, event.replace("Created", "Removed")),
        (SCATTER, event.replace("another", INPUT)),
        (SCATTER, event),
        (SCATTER, to_body(&RedriveMessage::new(id.clone()))),
        (SCATTER, to_body(&RedriveMessage::new(id.in_generation(1)))),
        (PROCESS, "{}".to_owned()),
        (PROCESS, to_body(&ProcessMessage::new(id.clone(), chunk, 1, Layout::Csv, Timestamp(0)))),
        (GATHER, to_body(&GatherMessage::new(id))),
    ]
}

/// What a function came to.
pub enum Ended {
    /// Of each message, by its number in the queue.
    Messages(Vec<(u64, Outcome, Option<Subject>)>),
    Sweep(Result<()>),
}

struct Task {
    future: Pin<Box<dyn Future<Output = Ended> + Send>>,
    waker: Waker,
    /// The queue that feeds it.
    queue: Option<usize>,
}

/// A deployment at work.
pub struct World {
    state: Arc<Mutex<State>>,
    pub schema: RecordSchema,
    tasks: BTreeMap<u64, Task>,
    ready: Ready,
    next: u64,
}

impl World {
    /// Runs a plan to its end, and returns what is left.
    pub fn run(plan: &Plan, schema: &RecordSchema, options: Options) -> State {
        let mut world = Self::new(plan.clone(), schema.clone(), options);
        world.prepare();
        world.go();
        world.tasks.clear();
        let state = world.state;
        let mut state = match Arc::try_unwrap(state) {
            Ok(state) => state.into_inner().unwrap(),
            Err(_) => panic!("a function outlived its simulation"),
        };
        if state.broken.is_none() {
            invariant::at_the_end(&mut state);
        }
        state
    }

    fn new(plan: Plan, schema: RecordSchema, options: Options) -> Self {
        let data = Data { items: MemoryItems::in_mode(plan.mode), ..Data::default() };
        let state = State {
            rng: Rng::with_seed(plan.seed ^ 0x5eed),
            plan,
            options,
            data,
            clockwork: Clockwork::new(),
            queues: (0..QUEUES).map(|_| Queue::default()).collect(),
            batches: Vec::new(),
            faults: 0,
            points: 0,
            hurt: BTreeSet::new(),
            closed: BTreeMap::new(),
            broken: None,
            trace: Vec::new(),
            dying: BTreeSet::new(),
            late: BTreeMap::new(),
            counts: BTreeMap::new(),
        };
        let state = Arc::new(Mutex::new(state));
        Self { state, schema, tasks: BTreeMap::new(), ready: Ready::default(), next: 0 }
    }

    fn prepare(&mut self) {
        let mut state = self.state.lock().unwrap();
        for (number, file) in state.plan.files.clone().iter().enumerate() {
            state.after(file.at, Event::Act(number));
        }
        if state.plan.sweep {
            state.after(SWEEP_SECONDS * 1000, Event::Sweep);
        }
        if state.plan.strangers {
            for (queue, body) in strangers() {
                state.send(queue, Outgoing { body, group: Some("stranger".to_owned()).filter(|_| queue == GATHER) });
            }
        }
    }

    fn go(&mut self) {
        for _ in 0..MOST_EVENTS {
            let event = {
                let mut state = self.state.lock().unwrap();
                let over = state.clockwork.now - super::clockwork::BEGIN > PATIENCE;
                if state.broken.is_some() || over || state.is_settled(self.tasks.is_empty()) {
                    return;
                }
                state.clockwork.next()
            };
            match event {
                None => return,
                Some(Event::Wake(alarm)) => alarm.ring(),
                Some(Event::Kill(task)) => self.kill(task),
                Some(Event::Poll(queue)) => self.deliver(queue),
                Some(Event::Sweep) => self.sweep(),
                Some(Event::Act(number)) => self.act(number),
            }
            self.work();
        }
    }

    /// Lets every function go on that can.
    fn work(&mut self) {
        loop {
            let next = self.ready.lock().unwrap().pop();
            let Some(id) = next else {
                return;
            };
            let Some(task) = self.tasks.get_mut(&id) else {
                continue;
            };
            let polled = task.future.as_mut().poll(&mut Context::from_waker(&task.waker));
            let dead = self.state.lock().unwrap().dying.remove(&id);
            match polled {
                std::task::Poll::Ready(ended) if !dead => self.finish(id, ended),
                _ if dead => self.kill(id),
                _ => {}
            }
        }
    }

    fn kill(&mut self, id: u64) {
        if let Some(task) = self.tasks.remove(&id) {
            let mut state = self.state.lock().unwrap();
            state.tell(|| format!("function {id} is dead"));
            state.late.remove(&id);
            drop(state);
            drop(task);
        }
    }

    fn finish(&mut self, id: u64, ended: Ended) {
        let Some(task) = self.tasks.remove(&id) else {
            return;
        };
        drop(task.future);
        let mut state = self.state.lock().unwrap();
        state.flush(id);
        match (ended, task.queue) {
            (Ended::Messages(outcomes), Some(queue)) => {
                for (message, outcome, subject) in outcomes {
                    state.conclude(id, queue, message, &outcome, subject);
                }
            }
            (Ended::Sweep(result), _) => state.tell(|| format!("sweep {id} ends: {result:?}")),
            (Ended::Messages(_), None) => {}
        }
    }

    fn spawn(&mut self, queue: Option<usize>, seconds: i64, make: impl FnOnce(&Self, Hand) -> Running) {
        self.next += 1;
        let id = self.next;
        let hand = Hand { state: self.state.clone(), task: id, doomed: Arc::default() };
        let waker = Waker::from(Arc::new(TaskWaker { task: id, ready: self.ready.clone() }));
        let future = make(self, hand);
        self.tasks.insert(id, Task { future, waker, queue });
        self.ready.lock().unwrap().push(id);
        self.state.lock().unwrap().after(seconds * 1000, Event::Kill(id));
    }

    /// Hands messages to a function, as far as there are any.
    fn deliver(&mut self, queue: usize) {
        let deliveries: Vec<(u64, Delivery)> = {
            let mut state = self.state.lock().unwrap();
            let most = if queue == PROCESS { state.rng.usize(1..=MOST_MESSAGES) } else { 1 };
            let next = self.next + 1;
            (0..most).map_while(|_| state.receive(queue, next)).collect()
        };
        if !deliveries.is_empty() {
            self.spawn(Some(queue), TIMEOUTS[queue], |world, hand| world.function(queue, hand, deliveries));
        }
    }

    pub fn sweep(&mut self) {
        {
            let mut state = self.state.lock().unwrap();
            state.after(SWEEP_SECONDS * 1000, Event::Sweep);
            if state.all_closed() {
                return;
            }
        }
        self.spawn(None, SWEEP_TIMEOUT, Self::sweeping);
    }

    /// What people do: upload a file, and perhaps cancel its batch.
    fn act(&mut self, number: usize) {
        let mut state = self.state.lock().unwrap();
        let files = state.plan.files.len();
        if number >= files {
            let id = state.batches[number - files].clone();
            let at = Timestamp(state.clockwork.now);
            let stop = Stop { state: BatchState::Cancelled, fault: Fault::new("CANCELLED", "somebody cancelled"), at };
            state.tell(|| format!("batch {id} is cancelled"));
            let ledger = state.data.ledger.clone();
            ledger.stop(&id, &stop).now_or_never();
            state.hurt.insert(id);
            return;
        }
        let file = state.plan.files[number].clone();
        let bytes = file.bytes();
        let (size, version) = (bytes.len() as u64, state.data.input.upload(&file.key, bytes));
        let input = InputRef {
            bucket: INPUT.to_owned(),
            key: file.key.clone(),
            version_id: Some(version.clone()),
            e_tag: None,
            bytes: size,
            format: None,
        };
        state.batches.push(BatchId::of(INPUT, &file.key, &Revision::Version(version)));
        for _ in 0..file.events {
            state.send(SCATTER, Outgoing::new(event_of(&input).unwrap()));
        }
        if let Some(after) = file.cancelled_at {
            state.after(after, Event::Act(files + number));
        }
    }
}

pub type Running = Pin<Box<dyn Future<Output = Ended> + Send>>;

impl State {
    /// What becomes of a message that a function worked on.
    fn conclude(&mut self, id: u64, queue: usize, message: u64, outcome: &Outcome, subject: Option<Subject>) {
        self.tell(|| format!("function {id} ends: {outcome:?}"));
        let pause = match outcome {
            Outcome::Done | Outcome::Discarded(_) => {
                let often = self.plan.chaos.unacknowledged;
                if !self.happens(often) {
                    self.queues[queue].delete(message);
                    let now = self.clockwork.now;
                    // The next one of its group waited for that.
                    self.poll_later(queue, now);
                    return;
                }
                self.tell(|| format!("queue {queue} message {message} COMES AGAIN although it was done"));
                1_000
            }
            // A function that several queues feed releases nothing: the visibility timeout has to end.
            Outcome::Rejected(_) | Outcome::Retry(_) if queue >= DEAD => return,
            Outcome::Rejected(_) => 0,
            Outcome::Retry(_) => 5_000,
            Outcome::Later(at, _) => at.0 - self.clockwork.now,
        };
        let now = self.clockwork.now;
        let Some(kept) = self.queues[queue].get(message) else {
            return;
        };
        kept.visible_at = now + pause;
        let attempt = kept.receives;
        if let (Outcome::Rejected(error) | Outcome::Retry(error), Some(subject)) = (outcome, subject) {
            let failure = LastFailure { attempt, message: error.to_string() };
            let (ledger, calls) = (self.data.ledger.clone(), StageCalls { messages: 1, ..StageCalls::default() });
            ledger.note_failure(&subject.batch, subject.part, &failure, Timestamp(now)).now_or_never();
            ledger.add_calls(&subject.batch, "process", &calls, Timestamp(now)).now_or_never();
            ledger.read_calls(&subject.batch).now_or_never();
        }
        self.poll_later(queue, now + pause);
    }

    /// A message for a function, if there is one that can be delivered.
    fn receive(&mut self, queue: usize, function: u64) -> Option<(u64, Delivery)> {
        let now = self.clockwork.now;
        let visible = self.queues[queue].visible(now);
        if visible.is_empty() {
            return None;
        }
        let at = visible[self.rng.usize(..visible.len())];
        let often = self.plan.chaos.twice;
        let twice = self.happens(often);
        let early = self.rng.i64(1..5_000);
        let message = &mut self.queues[queue].messages[at];
        message.receives += 1;
        if message.receives > RECEIVES && queue < DEAD {
            let message = self.queues[queue].messages.remove(at);
            self.tell(|| format!("queue {queue} GIVES UP {}", message.body));
            self.give_up(queue, message);
            return None;
        }
        let visibility = if twice { early } else { 6 * TIMEOUTS[queue] * 1000 };
        message.visible_at = now + visibility;
        let (id, body, attempt) = (message.id, message.body.clone(), message.receives);
        self.poll_later(queue, now + visibility);
        if visible.len() > 1 {
            self.poll_later(queue, now);
        }
        self.tell(|| format!("queue {queue} -> function {function}, attempt {attempt}: {body}"));
        Some((
            id,
            Delivery { id: format!("q{queue}m{id}"), receipt: format!("q{queue}m{id}-{attempt}"), body, attempt },
        ))
    }

    /// Whether a message is of a chunk that no function survives.
    pub fn is_poison(&self, body: &str) -> bool {
        let Ok(message) = ProcessMessage::parse(body) else {
            return false;
        };
        let file = self.batches.iter().position(|id| *id == message.batch_id);
        file.is_some_and(|file| self.plan.files[file].poison == Some(message.chunk.get()))
    }

    /// Whether nothing more can happen that matters: nothing runs, nothing waits, all is closed.
    fn is_settled(&self, idle: bool) -> bool {
        let uploaded = self.batches.len() == self.plan.files.len();
        let empty = self.queues[..PARKED].iter().all(|queue| queue.messages.is_empty());
        idle && uploaded && empty && self.all_closed()
    }

    fn all_closed(&self) -> bool {
        let open = self.data.ledger.open_batches(None).now_or_never();
        open.is_some_and(|open| open.is_ok_and(|open| open.is_empty()))
    }

    fn give_up(&mut self, queue: usize, message: Message) {
        let now = self.clockwork.now;
        if let Some((batch, _)) = subject_of(queue, &message.body) {
            self.hurt.insert(batch.in_generation(0));
        }
        self.queues[DEAD + queue].bury(message, now);
        self.poll_later(queue, now);
        self.poll_later(DEAD + queue, now);
    }
}

fn subject_of(queue: usize, body: &str) -> Option<(BatchId, fanfold::ledger::Part)> {
    use fanfold::codec::s3_event::{Notice, parse};
    use fanfold::ledger::Part;
    match queue % DEAD {
        SCATTER => {
            let redrive = RedriveMessage::parse(body).ok().map(|message| message.redrive);
            let created = || match parse(body).ok()?.pop()? {
                Notice::Created(created) => Some(created.batch()),
                Notice::Nothing(_) => None,
            };
            Some((redrive.or_else(created)?, Part::Scatter))
        }
        PROCESS => ProcessMessage::parse(body).ok().map(|m| (m.batch_id, Part::Chunk(m.chunk))),
        _ => GatherMessage::parse(body).ok().map(|m| (m.batch_id, Part::Gather)),
    }
}
