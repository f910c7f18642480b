//! Calls that let others go on before them, so that a test can try all orders.

use std::task::Poll;

use fanfold::model::error::Result;
use fanfold::store::faults::Faults;

/// Lets the others go on before it returns.
pub async fn step() {
    let mut waited = false;
    std::future::poll_fn(|context| {
        if std::mem::replace(&mut waited, true) {
            return Poll::Ready(());
        }
        context.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

/// Before each call, all others may go on.
#[derive(Clone)]
pub struct Stepwise;

impl Faults for Stepwise {
    async fn before(&self, _call: &'static str) -> Result<()> {
        step().await;
        Ok(())
    }

    async fn after(&self, _call: &'static str) -> Result<()> {
        Ok(())
    }

    fn midway(&self, _call: &'static str, _many: usize) -> Option<usize> {
        None
    }
}
