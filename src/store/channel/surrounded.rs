//! A channel whose calls are surrounded.

use std::time::Duration;

use futures::FutureExt;

use crate::model::error::Result;
use crate::store::channel::{Channel, Delivery, MOST_SENT, Outgoing};
use crate::store::faults::fault;
use crate::store::surround::{Surround, Surrounded};

impl<C: Channel, A: Surround> Channel for Surrounded<C, A> {
    async fn send(&self, mut messages: Vec<Outgoing>) -> Result<()> {
        const CALL: &str = "channel.send";
        let sent = self.around.midway(CALL, messages.len());
        messages.truncate(sent.unwrap_or(usize::MAX));
        // Request by request, so that one that is refused is all that is repeated.
        for some in messages.chunks(MOST_SENT) {
            self.around.call(CALL, || self.store.send(some.to_vec()).boxed()).await?;
        }
        sent.map_or(Ok(()), |_| Err(fault(CALL)))
    }

    async fn receive(&self, most: usize) -> Result<Vec<Delivery>> {
        self.around.call("channel.receive", || self.store.receive(most).boxed()).await
    }

    async fn delete(&self, receipt: &str) -> Result<()> {
        self.around.call("channel.delete", || self.store.delete(receipt).boxed()).await
    }

    async fn release(&self, receipt: &str, delay: Duration) -> Result<()> {
        self.around.call("channel.release", || self.store.release(receipt, delay).boxed()).await
    }
}
