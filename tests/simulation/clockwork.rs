//! Virtual time: a schedule of events, and the futures that wait for them.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Wake, Waker};

use fanfold::model::ids::BatchId;

/// The time at which every simulation begins, in milliseconds since the epoch.
pub const BEGIN: i64 = 1_800_000_000_000;

/// An event of the schedule.
pub enum Event {
    /// A future can proceed.
    Wake(Arc<Alarm>),
    /// A function has used up its time.
    Kill(u64),
    /// A queue may have something to deliver.
    Poll(usize),
    /// Sweep is due.
    Sweep,
    /// The nth act of the scenario.
    Act(usize),
    /// A batch's map may go on.
    Map(BatchId),
    /// People pause the workers, or let them go on.
    Pause(bool),
}

/// Wakes a future that waits.
#[derive(Default)]
pub struct Alarm(Mutex<(bool, Option<Waker>)>);

impl Alarm {
    pub fn ring(&self) {
        let waker = {
            let mut state = self.0.lock().unwrap();
            state.0 = true;
            state.1.take()
        };
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}

/// A future that waits for an alarm.
pub struct Waiting(pub Arc<Alarm>);

impl Future for Waiting {
    type Output = ();
    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let mut state = self.0.0.lock().unwrap();
        if state.0 {
            return Poll::Ready(());
        }
        state.1 = Some(context.waker().clone());
        Poll::Pending
    }
}

/// Events in order of time; the seed decides the order of simultaneous ones.
pub struct Clockwork {
    pub now: i64,
    next: u64,
    heap: BinaryHeap<Reverse<(i64, u32, u64)>>,
    events: BTreeMap<u64, Event>,
}

impl Clockwork {
    pub fn new() -> Self {
        Self { now: BEGIN, next: 0, heap: BinaryHeap::new(), events: BTreeMap::new() }
    }

    pub fn at(&mut self, time: i64, tie: u32, event: Event) {
        self.next += 1;
        self.heap.push(Reverse((time.max(self.now), tie, self.next)));
        self.events.insert(self.next, event);
    }

    /// Advances the time to the next event.
    pub fn next(&mut self) -> Option<Event> {
        let Reverse((time, _, number)) = self.heap.pop()?;
        self.now = time;
        self.events.remove(&number)
    }
}

/// The tasks that can proceed.
pub type Ready = Arc<Mutex<Vec<u64>>>;

/// Wakes a task.
pub struct TaskWaker {
    pub task: u64,
    pub ready: Ready,
}

impl Wake for TaskWaker {
    fn wake(self: Arc<Self>) {
        self.ready.lock().unwrap().push(self.task);
    }
}
