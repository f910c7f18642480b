//! The state that changes during the simulation: the queues, the data, and what has gone wrong so far.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use fanfold::intake::claim_check;
use fanfold::model::condition::Condition;
use fanfold::model::ids::BatchId;
use fanfold::model::message::{RedriveMessage, to_body};
use fanfold::model::progress::{Batch, Sealing, Tally};
use fanfold::model::timestamp::Timestamp;
use fanfold::stage::reception::MOST_TRIES;
use fanfold::store::blob::Blob;
use fanfold::store::blob::memory::MemoryBlob;
use fanfold::store::channel::{Delivery, Outgoing};
use fanfold::store::counters::Counters;
use fanfold::store::counters::memory::MemoryCounters;
use fanfold::store::items::memory::MemoryItems;
use fanfold::store::items::{Items, WriteMode};
use fanfold::store::ledger::Ledger;
use fanfold::store::ledger::memory::MemoryLedger;
use fanfold::store::tasks::memory::MemoryTasks;
use fastrand::Rng;
use futures::FutureExt;

use super::budget::Budgets;
use super::capacity::Capacity;
use super::clockwork::{BEGIN, Clockwork, Event};
use super::invariant::{self, Broken};
use super::map::Maps;
use super::mutation::{Late, Mutation};
use super::plan::{ANY_CALL, Often, Plan};
use super::queue::{Message, Queue, subject_of};
use super::service::Served;

pub const INPUT: &str = "input";
pub const SCATTER: usize = 0;
pub const PROCESS: usize = 1;
pub const GATHER: usize = 2;
pub const DEAD: usize = 3;
pub const PARKED: usize = 6;
/// What a map feeds without a queue.
pub const MAP: usize = 7;
pub const QUEUES: usize = 8;
/// The stage that a queue feeds.
pub const STAGES: [&str; QUEUES] = ["scatter", "process", "gather", "bury", "bury", "bury", "nobody", "process"];
/// The seconds that a function may take, by the queue that feeds it.
pub const TIMEOUTS: [i64; QUEUES] = [900, 120, 900, 120, 120, 120, 0, 120];
pub const SWEEP_TIMEOUT: i64 = 300;
/// The schema of a later deployment, under which no record is valid.
pub const OTHER_SCHEMA: &str = r#"{"type":"object","required":["neverThere"]}"#;
pub const STALL_AFTER: i64 = 900;
pub const GIVE_UP_AFTER: i64 = 24 * 3600;
/// That a message is hidden for 90 minutes, since its function died.
pub const HIDDEN: &str = "scatter or gather that died";
/// As the queues have it: a last resort, since functions give messages up themselves.
const RECEIVES: u32 = 1_000;

/// Changes to a plan.
#[derive(Debug, Clone, Default)]
pub struct Options {
    pub mutation: Option<Mutation>,
    /// Where a function is to die: the number of a point before or after a call's effect.
    pub crash: Option<u32>,
    /// A lower limit of faults than the plan's.
    pub most_faults: Option<u32>,
    pub traced: bool,
}

#[derive(Clone, Default)]
pub struct Data {
    pub input: MemoryBlob,
    pub work: MemoryBlob,
    pub output: MemoryBlob,
    pub items: MemoryItems,
    pub tasks: MemoryTasks,
    pub counters: MemoryCounters,
    pub ledger: MemoryLedger,
}

/// What changes while the simulation runs.
pub struct State {
    pub plan: Arc<Plan>,
    pub options: Options,
    pub data: Data,
    pub clockwork: Clockwork,
    pub rng: Rng,
    pub queues: Vec<Queue>,
    pub maps: Maps,
    /// The batches by the number of their file.
    pub batches: Vec<BatchId>,
    pub faults: u32,
    /// Points at which a function could have died: one before and one after each call's effect.
    pub points: u32,
    /// Events that a plain plan rarely causes, and how often they happened.
    pub reached: BTreeMap<&'static str, u64>,
    /// The calls that returned to a stage, with the first point at which each did.
    pub calls: BTreeMap<(&'static str, &'static str), u32>,
    /// Whether the function that was to die at a point has died.
    pub crashed: bool,
    /// How often sweep saw each batch advance, and the mark that it saw last.
    pub progress: BTreeMap<BatchId, (u32, String)>,
    /// How often sweep has sent each message.
    pub swept: BTreeMap<(usize, String), u32>,
    /// When the outcomes of a chunk were decided, and when an object was last put, by key.
    pub done: BTreeMap<String, i64>,
    pub put: BTreeMap<String, i64>,
    /// What each function sealed its batch with, whether or not that counted.
    pub seals: BTreeMap<u64, Sealing>,
    /// What was counted of batches of which not all may fail.
    pub budgets: Budgets,
    /// Objects of the input bucket of which no version is left.
    pub shredded: BTreeSet<String>,
    /// Batches of which a part was buried, stopped or sealed by force.
    pub hurt: BTreeSet<BatchId>,
    /// The outputs of each batch when it was closed: the generation, and the number of versions by key.
    pub closed: BTreeMap<BatchId, (u32, Vec<usize>)>,
    pub broken: Option<Broken>,
    pub trace: Vec<String>,
    pub dying: BTreeSet<u64>,
    pub paused: bool,
    pub late: BTreeMap<u64, (Vec<Late>, bool)>,
    pub counts: BTreeMap<(BatchId, u32), (u32, Tally)>,
    /// What the tables and the work bucket take, if that is limited.
    pub capacity: Option<Capacity>,
    /// How often a function was refused with what begins with this key.
    pub refusals: BTreeMap<(u64, String), u32>,
    /// The message that each function is about to conclude.
    pub concluding: BTreeMap<u64, (usize, u64)>,
    /// The tries of each message that a busy service ended, as far as that could be noted.
    pub excused: BTreeMap<(usize, u64), u32>,
    /// How many of its message's tries were excused when a function began the latest.
    pub begun: BTreeMap<(u64, (usize, u64)), u32>,
    /// Messages that a stage rejected.
    pub rejected: BTreeSet<(usize, u64)>,
    /// When inputs were uploaded, by key and version.
    pub uploads: BTreeMap<(String, String), i64>,
    /// What is known of the work of a service.
    pub served: Served,
    /// How far the latest checkpoint of each batch is, and batches that lack an upload to go on with.
    pub distances: BTreeMap<BatchId, u64>,
    pub gone: BTreeSet<BatchId>,
}

impl State {
    pub fn new(plan: Arc<Plan>, options: Options) -> Self {
        let ordered = options.mutation != Some(Mutation::OrderIsIgnored);
        let mode = if ordered { plan.mode } else { WriteMode::Batch };
        let mut data = Data { items: MemoryItems::in_mode(mode), ..Data::default() };
        if let Some(haste) = plan.haste {
            data.output = data.output.in_parts_of(haste.part);
        }
        let capacity = plan.workers.map(|_| Capacity::new(BEGIN));
        Self {
            rng: Rng::with_seed(plan.seed ^ 0x5eed),
            plan,
            options,
            data,
            clockwork: Clockwork::new(),
            queues: (0..QUEUES).map(|_| Queue::default()).collect(),
            maps: Maps::default(),
            batches: Vec::new(),
            faults: 0,
            points: 0,
            reached: BTreeMap::new(),
            calls: BTreeMap::new(),
            crashed: false,
            progress: BTreeMap::new(),
            swept: BTreeMap::new(),
            done: BTreeMap::new(),
            put: BTreeMap::new(),
            seals: BTreeMap::new(),
            budgets: Budgets::default(),
            shredded: BTreeSet::new(),
            hurt: BTreeSet::new(),
            closed: BTreeMap::new(),
            broken: None,
            trace: Vec::new(),
            paused: false,
            dying: BTreeSet::new(),
            late: BTreeMap::new(),
            counts: BTreeMap::new(),
            capacity,
            refusals: BTreeMap::new(),
            concluding: BTreeMap::new(),
            excused: BTreeMap::new(),
            begun: BTreeMap::new(),
            rejected: BTreeSet::new(),
            uploads: BTreeMap::new(),
            served: Served::default(),
            distances: BTreeMap::new(),
            gone: BTreeSet::new(),
        }
    }

    pub fn tell(&mut self, words: impl FnOnce() -> String) {
        if self.options.traced {
            let line = format!("{:>9} ms  {}", self.clockwork.now - BEGIN, words());
            self.trace.push(line);
        }
    }

    pub fn reach(&mut self, what: &'static str) {
        *self.reached.entry(what).or_default() += 1;
    }

    pub fn breaks(&mut self, broken: Broken) {
        self.tell(|| format!("BROKEN {broken}"));
        self.broken.get_or_insert(broken);
    }

    /// Whether a fault happens that has this probability in ten thousand.
    pub fn happens(&mut self, often: u32) -> bool {
        let most = self.options.most_faults.unwrap_or(self.plan.chaos.most);
        let happens = self.rng.u32(..10_000) < often && self.faults < most;
        self.faults += u32::from(happens);
        happens
    }

    pub fn is_out(&self, call: &str) -> bool {
        let passed = self.clockwork.now - BEGIN;
        self.plan.outage.is_some_and(|(out, until)| out == call && passed < until)
    }

    /// Whether a service is busy when this call is made.
    pub fn is_busy(&mut self, call: &str) -> bool {
        let passed = self.clockwork.now - BEGIN;
        let busy =
            self.plan.busy.filter(|often| (often.call == call || often.call == ANY_CALL) && passed < often.until);
        busy.is_some_and(|often| self.rng.u32(..100) < often.percent)
    }

    /// Whether a bucket does not take another request this second.
    pub fn is_throttled(&mut self, call: &str) -> bool {
        let now = self.clockwork.now;
        let bucket = self.capacity.as_mut().filter(|_| call.starts_with("blob."));
        bucket.is_some_and(|capacity| !capacity.work.takes(call, now))
    }

    /// Whether the flaky call fails. It is asked twice, before and after the call's effect.
    pub fn is_flaky(&mut self, call: &str) -> bool {
        self.is_often(self.plan.flaky, call, 200)
    }

    pub fn is_sluggish(&mut self, call: &str) -> bool {
        self.is_often(self.plan.sluggish, call, 100)
    }

    fn is_often(&mut self, often: Option<Often>, call: &str, of: u32) -> bool {
        let passed = self.clockwork.now - BEGIN;
        let often = often.filter(|often| often.call == call && passed < often.until);
        often.is_some_and(|often| self.rng.u32(..of) < often.percent)
    }

    pub fn poll_later(&mut self, queue: usize, at: i64) {
        let jitter = self.rng.i64(0..20);
        let tie = self.rng.u32(..);
        self.clockwork.at(at + jitter, tie, Event::Poll(queue));
    }

    pub fn after(&mut self, milliseconds: i64, event: Event) {
        let (at, tie) = (self.clockwork.now + milliseconds, self.rng.u32(..));
        self.clockwork.at(at, tie, event);
    }

    pub fn send(&mut self, queue: usize, message: Outgoing) {
        if queue == MAP {
            return self.begin_map(&message);
        }
        if (PROCESS..=GATHER).contains(&queue) && self.is_lost() {
            self.tell(|| format!("queue {queue} LOSES {}", message.body));
            return;
        }
        let delay = self.rng.i64(0..200);
        let now = self.clockwork.now;
        self.tell(|| format!("queue {queue} <- {}", message.body));
        let group = message.order().map(str::to_owned);
        let sent = self.queues[queue].send(message.body, group, now, delay);
        if sent && TIMEOUTS[queue] > 0 {
            self.poll_later(queue, now + delay);
        }
    }

    fn is_lost(&mut self) -> bool {
        let early = self.clockwork.now - BEGIN < 3_600_000;
        self.plan.lossy > 0 && early && self.rng.u32(..100) < self.plan.lossy
    }

    /// Loses some messages of a function that died, if the plan has losses. A message without a batch is always
    /// redelivered, since nothing would miss it.
    pub fn lose(&mut self, queue: usize, messages: &[u64]) {
        self.reach(if [SCATTER, GATHER].contains(&queue) { HIDDEN } else { "function that died" });
        for id in messages {
            let body = self.queues[queue].get(*id).map(|message| message.body.clone());
            let batch = body.and_then(|body| subject_of(queue, &body)).map(|(batch, _)| batch);
            let known = batch.and_then(|batch| invariant::ledger(self, &batch)).is_some();
            if queue < DEAD && known && self.is_lost() {
                self.tell(|| format!("queue {queue} message {id} is LOST with its function"));
                self.reach("message lost with its function");
                self.queues[queue].delete(*id);
            }
        }
    }

    pub fn redrive(&mut self, batch: &Batch) {
        let id = &batch.opening.id;
        let failed = batch.tally.is_some_and(|tally| tally.failed > 0);
        if failed && id.generation() < self.plan.redrives {
            let body = to_body(&RedriveMessage::new(id.in_generation(id.generation() + 1)));
            for _ in 0..1 + self.rng.u32(..2) {
                self.send(SCATTER, Outgoing::new(body.clone()));
            }
        }
    }

    /// Makes the delayed effects of a function happen, if they are due.
    pub fn catch_up(&mut self, task: u64) {
        let due = self.late.get(&task).is_some_and(|(_, due)| *due);
        if due {
            self.flush(task);
        }
    }

    pub fn flush(&mut self, task: u64) {
        for late in self.late.remove(&task).unwrap_or_default().0 {
            match late {
                Late::Items(items) => {
                    self.data.items.write(&items).now_or_never();
                }
                Late::Counters(batch, chunk, rows) => {
                    self.data.counters.set(&batch, chunk, &rows).now_or_never();
                }
                Late::Object(key, body) => {
                    self.data.work.upload(&key, body);
                }
                Late::Output(key, body) => {
                    self.data.output.upload(&key, body);
                }
                Late::Message(queue, message) => self.send(queue, message),
                Late::Part(key, upload, number, body) => {
                    self.data.output.put_part(&key, &upload, number, body).now_or_never();
                }
            }
        }
    }

    /// Ends a message that a function worked on: deletes it, unless it is to be redelivered.
    pub fn conclude(&mut self, queue: usize, message: u64, done: bool) {
        let now = self.clockwork.now;
        if done {
            let often = self.plan.chaos.unacknowledged;
            if !self.happens(often) {
                self.queues[queue].delete(message);
                // The next message of its group waited for that.
                self.poll_later(queue, now);
                return;
            }
            self.tell(|| format!("queue {queue} message {message} COMES AGAIN although it was done"));
            if let Some(kept) = self.queues[queue].get(message) {
                kept.visible_at = now + 1_000;
            }
        }
        let visible = self.queues[queue].get(message).map(|kept| kept.visible_at);
        if let Some(at) = visible {
            self.poll_later(queue, at);
        }
    }

    /// Makes a message visible after some milliseconds, unless it was received again meanwhile.
    pub fn release(&mut self, queue: usize, receipt: &str, milliseconds: i64) {
        let now = self.clockwork.now;
        let received = |message: &&mut Message| receipt_of(queue, message) == receipt;
        if let Some(message) = self.queues[queue].messages.iter_mut().find(received) {
            message.visible_at = now + milliseconds;
            self.poll_later(queue, now + milliseconds);
        }
    }

    /// Notes that the current try of the message that a function is about to conclude does not count.
    pub fn excuse(&mut self, task: u64) {
        if let Some(message) = self.concluding.get(&task) {
            *self.excused.entry(*message).or_default() += 1;
        }
    }

    /// Notes that a function begins a try: those of the message that are excused later, it does not know of.
    pub fn begin(&mut self, task: u64) {
        if let Some(message) = self.concluding.get(&task) {
            let excused = self.excused.get(message).copied().unwrap_or_default();
            self.begun.insert((task, *message), excused);
        }
    }

    /// Called when a message goes to a dead-letter queue.
    pub fn at_giving_up(&mut self, task: u64, queue: usize, message: &Outgoing) {
        let Some((from, id)) = self.concluding.get(&task).copied().filter(|_| (DEAD..PARKED).contains(&queue)) else {
            return;
        };
        self.tell(|| format!("queue {from} GIVES UP {}", message.body));
        if let Some((batch, _)) = subject_of(queue, &message.body) {
            self.hurt.insert(batch.in_generation(0));
        }
        // Another function may have given it up already.
        let Some(receives) = self.queues[from].get(id).map(|message| message.receives) else {
            return;
        };
        let excused = self.begun.get(&(task, (from, id))).copied().unwrap_or_default();
        if receives.saturating_sub(excused) < MOST_TRIES && !self.rejected.contains(&(from, id)) {
            let why = format!("a message was given up after {receives} tries of which {excused} do not count");
            self.breaks(Broken { invariant: invariant::FAILS, why });
        }
    }

    /// A message for a function, if one can be delivered.
    pub fn receive(&mut self, queue: usize, function: u64) -> Option<(u64, Delivery)> {
        let now = self.clockwork.now;
        let visible = self.queues[queue].visible(now);
        if visible.is_empty() {
            return None;
        }
        let working = |message: &Message| message.receives > 0 && message.visible_at > now;
        if self.spares_twins(queue) && self.queues[queue].messages.iter().any(working) {
            self.poll_later(queue, now + 1_000);
            return None;
        }
        let at = visible[self.rng.usize(..visible.len())];
        let often = self.plan.chaos.twice;
        let twice = self.happens(often) && !self.spares_twins(queue);
        let early = self.rng.i64(1..5_000);
        let message = &mut self.queues[queue].messages[at];
        message.receives += 1;
        let first_received = Some(Timestamp(*message.first_received.get_or_insert(now)))
            .filter(|_| self.options.mutation != Some(Mutation::MissingIsFinal));
        if message.receives > RECEIVES && queue < DEAD {
            let message = self.queues[queue].messages.remove(at);
            self.tell(|| format!("queue {queue} GIVES UP {}", message.body));
            self.give_up(queue, message);
            return None;
        }
        let visibility = if twice { early } else { 6 * TIMEOUTS[queue] * 1000 };
        message.visible_at = now + visibility;
        let (id, body, attempt) = (message.id, message.body.clone(), message.receives);
        let receipt = receipt_of(queue, message);
        self.poll_later(queue, now + visibility);
        if visible.len() > 1 {
            self.poll_later(queue, now);
        }
        self.tell(|| format!("queue {queue} -> function {function}, attempt {attempt}: {body}"));
        Some((id, Delivery { id: format!("q{queue}m{id}"), receipt, body, attempt, first_received }))
    }

    /// Whether two scatters of a batch must not run at once. Under the listing condition, a slow twin may put
    /// back a chunk that is done and not send it; only sweep would find that.
    fn spares_twins(&self, queue: usize) -> bool {
        queue == SCATTER && !self.plan.sweep && self.plan.variant.condition == Condition::Listing
    }

    /// Whether a message is for a chunk that no function survives.
    pub fn is_poison(&self, body: &str) -> bool {
        let Ok(Some(message)) = claim_check::parse(body) else {
            return false;
        };
        let file = self.batches.iter().position(|id| *id == message.batch_id);
        file.is_some_and(|file| self.plan.files[file].poison == Some(message.chunk.get()))
    }

    /// Whether nothing that matters can still happen: no function runs, no message waits, every batch is closed.
    pub fn is_settled(&self, idle: bool) -> bool {
        let uploaded = self.batches.len() == self.plan.files.len();
        let empty = self.queues[..PARKED].iter().all(|queue| queue.messages.is_empty());
        idle && uploaded && empty && self.all_closed()
    }

    pub fn all_closed(&self) -> bool {
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

fn receipt_of(queue: usize, message: &Message) -> String {
    format!("q{queue}m{}-{}", message.id, message.receives)
}
