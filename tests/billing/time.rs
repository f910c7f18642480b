//! Virtual time, and actors that live in it: one thread, and a seed that decides who goes first.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use fanfold::model::timestamp::Timestamp;
use fanfold::store::Clock;
use fastrand::Rng;
use futures::future::BoxFuture;

struct State {
    now: i64,
    rng: Rng,
    next: u64,
    sleepers: BinaryHeap<Reverse<(i64, u64)>>,
    wakers: std::collections::BTreeMap<u64, Waker>,
}

/// The time of a world, and its chance; clones share them.
#[derive(Clone)]
pub struct Time(Arc<Mutex<State>>);

/// Sleeps until a moment.
struct Sleep {
    time: Time,
    until: i64,
    number: u64,
}

impl Future for Sleep {
    type Output = ();

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let mut state = self.time.0.lock().unwrap();
        if state.now >= self.until {
            return Poll::Ready(());
        }
        if state.wakers.insert(self.number, context.waker().clone()).is_none() {
            state.sleepers.push(Reverse((self.until, self.number)));
        }
        Poll::Pending
    }
}

impl Time {
    pub fn new(begin: Timestamp, seed: u64) -> Self {
        let (rng, sleepers, wakers) = (Rng::with_seed(seed), BinaryHeap::new(), Default::default());
        Self(Arc::new(Mutex::new(State { now: begin.0, rng, next: 0, sleepers, wakers })))
    }

    /// A whole number by chance.
    pub fn draw(&self, range: std::ops::Range<i64>) -> i64 {
        self.0.lock().unwrap().rng.i64(range)
    }

    /// Something that is true so many times in a hundred.
    pub fn is_likely(&self, percent: i64) -> bool {
        self.draw(0..100) < percent
    }

    pub fn shuffle<T>(&self, all: &mut [T]) {
        self.0.lock().unwrap().rng.shuffle(all);
    }

    /// Wakes whoever sleeps until the next moment at which somebody does; `false` if nobody sleeps.
    fn pass(&self) -> bool {
        let mut state = self.0.lock().unwrap();
        let Some(Reverse((until, number))) = state.sleepers.pop() else {
            return false;
        };
        state.now = state.now.max(until);
        let waker = state.wakers.remove(&number);
        drop(state);
        if let Some(waker) = waker {
            waker.wake();
        }
        true
    }
}

impl Clock for Time {
    fn now(&self) -> Timestamp {
        Timestamp(self.0.lock().unwrap().now)
    }

    async fn sleep(&self, time: Duration) {
        let sleep = {
            let mut state = self.0.lock().unwrap();
            state.next += 1;
            Sleep { time: self.clone(), until: state.now + time.as_millis() as i64, number: state.next }
        };
        sleep.await;
    }

    fn chance(&self) -> f64 {
        self.0.lock().unwrap().rng.f64()
    }
}

struct Turn {
    actor: usize,
    ready: Arc<Mutex<Vec<usize>>>,
}

impl Wake for Turn {
    fn wake(self: Arc<Self>) {
        self.ready.lock().unwrap().push(self.actor);
    }
}

/// Runs actors until all have ended.
///
/// # Panics
/// If some wait for what never comes.
pub fn run(time: &Time, actors: Vec<BoxFuture<'_, ()>>) {
    let ready = Arc::new(Mutex::new((0..actors.len()).collect::<Vec<_>>()));
    let mut actors: Vec<_> = actors.into_iter().map(Some).collect();
    while actors.iter().any(Option::is_some) {
        let next = {
            let mut ready = ready.lock().unwrap();
            let many = ready.len() as i64;
            (many > 0).then(|| ready.swap_remove(time.draw(0..many) as usize))
        };
        match next {
            None => assert!(time.pass(), "actors wait for what never comes"),
            Some(number) => {
                let waker = Waker::from(Arc::new(Turn { actor: number, ready: ready.clone() }));
                let Some(actor) = &mut actors[number] else { continue };
                if actor.as_mut().poll(&mut Context::from_waker(&waker)).is_ready() {
                    actors[number] = None;
                }
            }
        }
    }
}
