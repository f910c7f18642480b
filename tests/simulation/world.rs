//! A simulated deployment: functions that run concurrently and die, the schedule of sweep, and the people who
//! upload, cancel and redrive. One thread, one seed, virtual time.

use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};

use fanfold::intake::s3_event::event_of;
use fanfold::model::error::Result;
use fanfold::model::fault::{Fault, FaultCode};
use fanfold::model::format::Layout;
use fanfold::model::ids::{BatchId, ChunkIndex, Revision};
use fanfold::model::input::InputRef;
use fanfold::model::message::{GatherMessage, ProcessMessage, RedriveMessage, to_body};
use fanfold::model::progress::{BatchState, Stop};
use fanfold::model::schema::RecordSchema;
use fanfold::model::timestamp::Timestamp;
use fanfold::store::channel::{Delivery, Outgoing};
use fanfold::store::ledger::Ledger;
use futures::FutureExt;

use super::brief::Looks;
use super::clockwork::{BEGIN, Event, Ready, TaskWaker};
use super::hand::Hand;
use super::invariant::{self, Broken};
use super::objects;
use super::plan::Plan;
use super::state::{GATHER, INPUT, MAP, OTHER_SCHEMA, Options, PROCESS, SCATTER, SWEEP_TIMEOUT, State, TIMEOUTS};

const SWEEP_SECONDS: i64 = 60;
/// The maximum number of messages that a function gets at once.
const MOST_MESSAGES: usize = 4;
/// The time by which every batch has to be closed, in milliseconds after all faults have ended: a gather that
/// dies keeps its message for an hour and a half, and may die many times.
const PATIENCE: i64 = 60 * 3_600_000;
/// For a plan without an outage; otherwise it grows with the outage.
const MOST_EVENTS: usize = 1_000_000;

/// The result of a function.
pub enum Ended {
    /// Its messages, by their numbers in the queue, and whether each may be deleted.
    Messages(Vec<(u64, bool)>),
    Sweep(Result<()>),
}

struct Task {
    future: Pin<Box<dyn Future<Output = Ended> + Send>>,
    waker: Waker,
    /// The queue that feeds it, and the messages that it is working on.
    queue: Option<usize>,
    messages: Vec<u64>,
}

/// Messages from which this deployment makes no batch.
fn strangers() -> Vec<(usize, String)> {
    let id = BatchId::parse("stranger-0123456789ab").unwrap();
    let input = InputRef {
        bucket: "another".to_owned(),
        key: "x.csv".to_owned(),
        version_id: Some("v".to_owned()),
        e_tag: None,
        bytes: 1,
        format: None,
        read_as: None,
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

/// A deployment in operation.
pub struct World {
    pub state: Arc<Mutex<State>>,
    pub schema: RecordSchema,
    /// The schema of a later deployment.
    pub other: RecordSchema,
    tasks: BTreeMap<u64, Task>,
    ready: Ready,
    next: u64,
}

impl World {
    /// Runs a plan to its end, and returns the final state.
    pub fn run(plan: &Plan, schema: &RecordSchema, options: Options) -> State {
        Self::watched(plan, schema, options, |_| {})
    }

    /// The same with somebody who looks at the state after every event.
    pub fn watched(plan: &Plan, schema: &RecordSchema, options: Options, look: impl FnMut(&State)) -> State {
        let mut world = Self::new(Arc::new(plan.clone()), schema.clone(), options);
        world.prepare();
        world.go(look);
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

    fn new(plan: Arc<Plan>, schema: RecordSchema, options: Options) -> Self {
        let state = Arc::new(Mutex::new(State::new(plan, options)));
        let other = RecordSchema::parse(OTHER_SCHEMA, "itemNo").unwrap();
        Self { state, schema, other, tasks: BTreeMap::new(), ready: Ready::default(), next: 0 }
    }

    fn prepare(&mut self) {
        let mut state = self.state.lock().unwrap();
        let plan = state.plan.clone();
        for (number, file) in plan.files.iter().enumerate() {
            state.after(file.at, Event::Act(number));
        }
        if let Some((from, until)) = plan.paused {
            state.after(from, Event::Pause(true));
            state.after(until, Event::Pause(false));
        }
        if state.plan.sweep {
            state.after(SWEEP_SECONDS * 1000, Event::Sweep);
        }
        if state.plan.strangers {
            for (queue, body) in strangers() {
                let ordered = queue == GATHER;
                state.send(queue, if ordered { Outgoing::ordered(body, "stranger") } else { Outgoing::new(body) });
            }
        }
    }

    fn go(&mut self, mut look: impl FnMut(&State)) {
        let outage = self.state.lock().unwrap().plan.outage.map_or(0, |(_, until)| until);
        let records: usize = self.state.lock().unwrap().plan.files.iter().map(|file| file.records.len()).sum();
        let most = MOST_EVENTS * (1 + usize::try_from(outage).unwrap() / (4 * 3_600_000)) + 100 * records;
        for _ in 0..most {
            let event = {
                let mut state = self.state.lock().unwrap();
                let over = state.clockwork.now - BEGIN > PATIENCE + outage;
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
                Some(Event::Map(batch)) => self.map(&batch),
                Some(Event::Act(number)) => self.act(number),
                Some(Event::Pause(pauses)) => self.state.lock().unwrap().pause(pauses),
            }
            self.work();
            look(&self.state.lock().unwrap());
        }
        let why = format!("no end in sight after {most} events");
        self.state.lock().unwrap().breaks(Broken { invariant: invariant::ENDS, why });
    }

    /// Runs every function that can proceed.
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
                Poll::Ready(ended) if !dead => self.finish(id, ended),
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
            state.served.at_ending(id);
            if let Some(queue) = task.queue {
                state.lose(queue, &task.messages);
            }
            if task.queue == Some(MAP) {
                task.messages.iter().for_each(|worker| state.end_worker(*worker, false));
            }
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
        state.served.at_ending(id);
        match (ended, task.queue) {
            (Ended::Messages(outcomes), Some(MAP)) => {
                outcomes.into_iter().for_each(|(worker, done)| state.end_worker(worker, done));
            }
            (Ended::Messages(outcomes), Some(queue)) => {
                if state.plan.workers.is_some() {
                    state.after(0, Event::Poll(queue));
                }
                for (message, done) in outcomes {
                    state.conclude(queue, message, done);
                }
            }
            (Ended::Sweep(result), _) => state.tell(|| format!("sweep {id} ends: {result:?}")),
            (Ended::Messages(_), None) => {}
        }
    }

    pub fn spawn(
        &mut self,
        queue: Option<usize>,
        messages: Vec<u64>,
        seconds: i64,
        make: impl FnOnce(&Self, Hand) -> Running,
    ) {
        self.next += 1;
        let id = self.next;
        let began = self.state.lock().unwrap().clockwork.now;
        let hand =
            Hand { state: self.state.clone(), task: id, queue, began, doomed: Arc::default(), looks: Looks::default() };
        let waker = Waker::from(Arc::new(TaskWaker { task: id, ready: self.ready.clone() }));
        let future = make(self, hand);
        self.tasks.insert(id, Task { future, waker, queue, messages });
        self.ready.lock().unwrap().push(id);
        self.state.lock().unwrap().after(seconds * 1000, Event::Kill(id));
    }

    /// Delivers messages to a function, if there are any.
    fn deliver(&mut self, queue: usize) {
        let at_work = || self.tasks.values().filter(|task| task.queue == Some(queue)).count();
        let most = self.state.lock().unwrap().plan.workers;
        let paused = self.state.lock().unwrap().paused;
        if queue == PROCESS && (paused || most.is_some_and(|most| at_work() >= most)) {
            return;
        }
        let deliveries: Vec<(u64, Delivery)> = {
            let mut state = self.state.lock().unwrap();
            let most = if queue == PROCESS { state.rng.usize(1..=MOST_MESSAGES) } else { 1 };
            let next = self.next + 1;
            (0..most).map_while(|_| state.receive(queue, next)).collect()
        };
        if !deliveries.is_empty() {
            let messages = deliveries.iter().map(|(id, _)| *id).collect();
            self.spawn(Some(queue), messages, TIMEOUTS[queue], |world, hand| world.function(queue, hand, deliveries));
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
        self.spawn(None, Vec::new(), SWEEP_TIMEOUT, Self::sweeping);
    }

    /// Does what people do: uploads a file, and perhaps cancels its batch.
    fn act(&mut self, number: usize) {
        let mut state = self.state.lock().unwrap();
        let files = state.plan.files.len();
        if number >= files {
            let id = state.batches[number - files].clone();
            let at = Timestamp(state.clockwork.now);
            let stop = Stop {
                state: BatchState::Cancelled,
                fault: Fault::new(FaultCode::Cancelled, "somebody cancelled"),
                at,
            };
            state.tell(|| format!("batch {id} is cancelled"));
            let ledger = state.data.ledger.clone();
            ledger.stop(&id, &stop).now_or_never();
            state.hurt.insert(id);
            return;
        }
        let file = state.plan.files[number].clone();
        let bytes = if file.parts.is_empty() { file.bytes() } else { objects::upload(&mut state, &file) };
        let (size, version) = (bytes.len() as u64, state.data.input.upload(&file.key, bytes));
        let input = InputRef {
            bucket: INPUT.to_owned(),
            key: file.key.clone(),
            version_id: Some(version.clone()),
            e_tag: None,
            bytes: size,
            format: None,
            read_as: None,
        };
        state.uploaded(&file.key, &version);
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
