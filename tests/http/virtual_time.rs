//! A clock that moves on when nothing else is to be done.

use std::collections::BTreeMap;
use std::future::Future;
use std::pin::pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use fanfold::model::timestamp::Timestamp;
use fanfold::store::Clock;

pub const BEGIN: i64 = 1_800_000_000_000;

pub struct State {
    now: i64,
    /// Those who sleep, by when they wake.
    sleepers: BTreeMap<(i64, u64), Waker>,
    count: u64,
    random: u64,
}

/// A virtual clock; clones share their time, but for what one is fast.
#[derive(Clone)]
pub struct Virtual {
    pub state: Arc<Mutex<State>>,
    pub fast: i64,
}

impl Virtual {
    pub fn new(seed: u64) -> Self {
        let state = State { now: BEGIN, sleepers: BTreeMap::new(), count: 0, random: seed };
        Self { state: Arc::new(Mutex::new(state)), fast: 0 }
    }

    /// The true time, in milliseconds since the beginning.
    pub fn elapsed(&self) -> i64 {
        self.state.lock().unwrap().now - BEGIN
    }

    /// Runs a future to its end.
    pub fn run<T>(&self, future: impl Future<Output = T>) -> T {
        struct Flag(AtomicBool);
        impl Wake for Flag {
            fn wake(self: Arc<Self>) {
                self.0.store(true, Ordering::SeqCst);
            }
        }
        let flag = Arc::new(Flag(AtomicBool::new(true)));
        let waker = Waker::from(flag.clone());
        let mut future = pin!(future);
        loop {
            while flag.0.swap(false, Ordering::SeqCst) {
                if let Poll::Ready(done) = future.as_mut().poll(&mut Context::from_waker(&waker)) {
                    return done;
                }
            }
            let mut state = self.state.lock().unwrap();
            let ((at, _), sleeper) = state.sleepers.pop_first().expect("somebody waits for ever");
            state.now = state.now.max(at);
            drop(state);
            sleeper.wake();
        }
    }
}

struct Sleep {
    clock: Virtual,
    key: (i64, u64),
}

impl Future for Sleep {
    type Output = ();
    fn poll(self: std::pin::Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let mut state = self.clock.state.lock().unwrap();
        if state.now >= self.key.0 {
            return Poll::Ready(());
        }
        state.sleepers.insert(self.key, context.waker().clone());
        Poll::Pending
    }
}

impl Drop for Sleep {
    fn drop(&mut self) {
        self.clock.state.lock().unwrap().sleepers.remove(&self.key);
    }
}

impl Clock for Virtual {
    fn now(&self) -> Timestamp {
        Timestamp(self.state.lock().unwrap().now + self.fast)
    }

    async fn sleep(&self, time: Duration) {
        let key = {
            let mut state = self.state.lock().unwrap();
            state.count += 1;
            (state.now + i64::try_from(time.as_millis()).unwrap(), state.count)
        };
        Sleep { clock: self.clone(), key }.await;
    }

    fn chance(&self) -> f64 {
        let mut state = self.state.lock().unwrap();
        state.random = state.random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state.random >> 11) as f64 / (1u64 << 53) as f64
    }
}
