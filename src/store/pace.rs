//! Back pressure: how many calls a function has under way, and how long it waits before it repeats one that a service
//! was too busy for.
//!
//! All calls of a function share one width. It is halved when a service refuses a call, and grows by one call for each
//! round of calls that succeed: additive increase and multiplicative decrease, by which many functions come to share a
//! table without knowing of each other. A refused call is made again after a pause of random length, whose limit doubles
//! each time ("full jitter", <https://docs.aws.amazon.com/general/latest/gr/api-retries.html>), until the time of the
//! invocation is used up.

use std::pin::pin;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures::future::{BoxFuture, Either, select};
use tokio::sync::Notify;

use crate::model::error::{Error, ErrorKind, Result};
use crate::model::timestamp::Timestamp;
use crate::store::surround::{Patience, Surround, Surrounded};
use crate::store::{Clock, Stores};

/// The most calls of a function that are under way at once; no stage asks for more.
const MOST: usize = 64;
/// The longest that a call waits for others to end.
const LONGEST_WAIT: Duration = Duration::from_millis(200);
/// The limit of the first pause, and the highest limit.
const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// The pace of a function; clones share it.
#[derive(Debug, Clone)]
pub struct Pace<K> {
    lane: Arc<Lane>,
    clock: K,
}

/// A store whose calls keep a pace.
pub type Paced<T, K> = Surrounded<T, Pace<K>>;

/// Stores whose calls keep one pace.
pub struct PacedStores<S>(std::marker::PhantomData<S>);

impl<S: Stores> Stores for PacedStores<S> {
    type Blob = Paced<S::Blob, S::Clock>;
    type Channel = Paced<S::Channel, S::Clock>;
    type Tasks = Paced<S::Tasks, S::Clock>;
    type Counters = Paced<S::Counters, S::Clock>;
    type Ledger = Paced<S::Ledger, S::Clock>;
    type Clock = S::Clock;
}

#[derive(Debug)]
struct Lane {
    width: Mutex<Width>,
    /// Told whenever a call ends.
    ended: Notify,
    deadline: AtomicI64,
}

#[derive(Debug)]
struct Width {
    /// How many calls may be under way.
    calls: f64,
    /// How many are.
    under_way: usize,
    /// How often the width was halved.
    halved: u64,
}

impl Width {
    /// Halves what is under way, once for all calls that were under way together.
    fn narrow(&mut self, halved_before: u64) {
        if self.halved == halved_before {
            // The call that was refused may have ended already.
            self.calls = (self.calls.min(self.under_way.max(1) as f64) / 2.0).max(1.0);
            self.halved += 1;
        }
    }

    fn widen(&mut self) {
        self.calls = (self.calls + 1.0 / self.calls).min(MOST as f64);
    }
}

/// The right to have a call under way. It is returned when it is dropped, also by a caller that gave up.
struct Turn<'a> {
    lane: &'a Lane,
    halved: u64,
}

impl Lane {
    fn width(&self) -> MutexGuard<'_, Width> {
        self.width.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a turn if there is one, or in any case.
    fn take(&self, in_any_case: bool) -> Option<Turn<'_>> {
        let mut width = self.width();
        if width.under_way >= width.calls as usize && !in_any_case {
            return None;
        }
        width.under_way += 1;
        Some(Turn { lane: self, halved: width.halved })
    }
}

impl Turn<'_> {
    fn ends(self, refused: bool) {
        let mut width = self.lane.width();
        if refused {
            width.narrow(self.halved);
        } else {
            width.widen();
        }
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        self.lane.width().under_way -= 1;
        self.lane.ended.notify_waiters();
    }
}

impl<K: Clock> Pace<K> {
    /// A pace that nothing has slowed down yet.
    pub fn new(clock: K) -> Self {
        let width = Mutex::new(Width { calls: MOST as f64, under_way: 0, halved: 0 });
        let lane = Lane { width, ended: Notify::new(), deadline: AtomicI64::new(i64::MAX) };
        Self { lane: Arc::new(lane), clock }
    }

    /// From this moment on, a call that is refused fails as `Busy`, and is not made again.
    pub fn until(&self, deadline: Timestamp) {
        self.lane.deadline.store(deadline.0, Ordering::Relaxed);
    }

    /// How often a service was too busy, so far: one that grows during an invocation took some of its time.
    pub fn setbacks(&self) -> u64 {
        self.lane.width().halved
    }

    /// A store whose calls keep this pace.
    pub fn keep<T>(&self, store: T) -> Paced<T, K> {
        Surrounded::new(store, self.clone())
    }

    /// Waits for a turn, but not for long: those who have one may themselves wait for the caller. A stream of calls is not
    /// polled while what came of some is passed on by another call.
    async fn turn(&self) -> Turn<'_> {
        let mut waited = pin!(self.clock.sleep(LONGEST_WAIT));
        loop {
            // Before the look, so that no end of a call between the two is missed.
            let ended = pin!(self.lane.ended.notified());
            if let Some(turn) = self.lane.take(false) {
                return turn;
            }
            if let Either::Right(_) = select(ended, waited.as_mut()).await
                && let Some(turn) = self.lane.take(true)
            {
                return turn;
            }
        }
    }

    /// Waits before a call is repeated; `false` at once if there is no time left for that.
    async fn pause(&self, patience: &mut Patience) -> bool {
        let left = self.lane.deadline.load(Ordering::Relaxed).saturating_sub(self.clock.now().0);
        let Ok(left @ 1..) = u64::try_from(left) else {
            return false;
        };
        let most = FIRST_PAUSE.saturating_mul(1 << patience.refused.min(16)).min(LONGEST_PAUSE);
        self.clock.sleep(most.min(Duration::from_millis(left)).mul_f64(self.clock.chance())).await;
        patience.refused += 1;
        true
    }
}

impl<K: Clock> Surround for Pace<K> {
    fn call<'a, R: Send + 'a>(
        &'a self,
        _name: &'static str,
        make: impl Fn() -> BoxFuture<'a, Result<R>> + Send + Sync + 'a,
    ) -> BoxFuture<'a, Result<R>> {
        Box::pin(async move {
            let mut patience = Patience::default();
            loop {
                let turn = self.turn().await;
                let answer = make().await;
                let refused = answer.as_ref().is_err_and(|error| error.kind == ErrorKind::Busy);
                turn.ends(refused);
                if !refused || !self.pause(&mut patience).await {
                    return answer;
                }
            }
        })
    }

    fn patience(&self) -> Patience {
        Patience { known: self.lane.width().halved, ..Patience::default() }
    }

    async fn again(&self, patience: &mut Patience) -> Result<bool> {
        self.lane.width().narrow(patience.known);
        let paused = self.pause(patience).await;
        patience.known = self.lane.width().halved;
        if paused { Ok(true) } else { Err(Error::busy("the table is too busy")) }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicUsize;

    use futures::FutureExt;
    use futures::future::join;

    use super::*;

    /// A clock on which time does not pass.
    #[derive(Debug, Clone, Copy)]
    struct Still;

    impl Clock for Still {
        fn now(&self) -> Timestamp {
            Timestamp(0)
        }

        async fn sleep(&self, _time: Duration) {
            tokio::task::yield_now().await;
        }

        fn chance(&self) -> f64 {
            0.5
        }
    }

    fn busy() -> Error {
        Error::busy("slow down")
    }

    #[tokio::test]
    async fn a_refused_call_is_made_again_until_it_is_taken() {
        let (pace, calls) = (Pace::new(Still), AtomicUsize::new(0));
        let call = || {
            let tried = calls.fetch_add(1, Ordering::Relaxed);
            async move { if tried < 20 { Err(busy()) } else { Ok(tried) } }.boxed()
        };
        assert_eq!(pace.call("call", call).await.unwrap(), 20);
        assert_eq!(pace.lane.width().calls, 2.0, "it was narrowed to one, and one call succeeded");
        assert_eq!(pace.setbacks(), 20);
    }

    #[tokio::test]
    async fn no_call_is_made_again_after_the_deadline() {
        let (pace, calls) = (Pace::new(Still), AtomicUsize::new(0));
        pace.until(Still.now());
        let call = || {
            calls.fetch_add(1, Ordering::Relaxed);
            async { Err::<(), _>(busy()) }.boxed()
        };
        assert_eq!(pace.call("call", call).await.unwrap_err().kind, ErrorKind::Busy);
        assert_eq!(calls.into_inner(), 1);
    }

    #[tokio::test]
    async fn the_width_is_halved_once_for_calls_that_were_under_way_together() {
        let pace = Pace::new(Still);
        let turns: Vec<_> = (0..16).map(|_| pace.lane.take(false).unwrap()).collect();
        turns.into_iter().for_each(|turn| turn.ends(true));
        assert_eq!(pace.lane.width().calls, 8.0);
        let turns: Vec<_> = (0..8).map(|_| pace.lane.take(false).unwrap()).collect();
        assert!(pace.lane.take(false).is_none());
        turns.into_iter().for_each(|turn| turn.ends(false));
        assert_eq!(pace.lane.width().calls as usize, 8, "it grows by less than one in a round");
    }

    #[tokio::test]
    async fn a_caller_whom_the_others_wait_for_goes_ahead() {
        let pace = Pace::new(Still);
        pace.lane.width().calls = 1.0;
        let held = pace.lane.take(false).unwrap();
        // The call that has the turn ends only after another one.
        pace.call("call", || async { Ok(()) }.boxed()).await.unwrap();
        drop(held);
        let ended = join(pace.turn(), pace.turn().map(drop)).await;
        drop(ended);
        assert_eq!(pace.lane.width().under_way, 0);
    }
}
