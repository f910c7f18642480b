//! What goes wrong in the world of single records.

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};

use fanfold::model::error::{Error, Result};
use fanfold::model::timestamp::Timestamp;
use fanfold::store::Clock;
use fanfold::store::faults::Faults;
use fastrand::Rng;

use crate::BEGAN;

/// What goes wrong with calls: each may be put off, and some fail.
#[derive(Clone)]
pub struct Hand {
    pub rng: Arc<Mutex<Rng>>,
    pub faulty: u32,
}

/// Lets others go on once.
struct Yield(bool);

impl Future for Yield {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        if std::mem::replace(&mut self.0, true) {
            return Poll::Ready(());
        }
        context.waker().wake_by_ref();
        Poll::Pending
    }
}

impl Hand {
    pub fn fails(&self, call: &str) -> Result<()> {
        let fails = self.rng.lock().unwrap().u32(..100) < self.faulty;
        if fails { Err(Error::transient(format!("{call} was made to fail"))) } else { Ok(()) }
    }
}

impl Faults for Hand {
    async fn before(&self, call: &'static str) -> Result<()> {
        Yield(false).await;
        self.fails(call)
    }

    async fn after(&self, call: &'static str) -> Result<()> {
        Yield(false).await;
        self.fails(call)
    }

    fn midway(&self, _call: &'static str, many: usize) -> Option<usize> {
        let mut rng = self.rng.lock().unwrap();
        (rng.u32(..100) < self.faulty).then(|| rng.usize(..many.max(1)))
    }
}

#[derive(Clone)]
pub struct Still;

impl Clock for Still {
    fn now(&self) -> Timestamp {
        Timestamp(BEGAN)
    }

    async fn sleep(&self, _time: std::time::Duration) {}

    fn chance(&self) -> f64 {
        0.5
    }
}
