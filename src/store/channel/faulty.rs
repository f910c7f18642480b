//! A channel that fails on purpose.

use std::time::Duration;

use crate::model::error::Result;
use crate::store::channel::{Channel, Delivery, Outgoing};
use crate::store::faults::{Faults, Faulty, fault};

impl<C: Channel, F: Faults> Channel for Faulty<C, F> {
    async fn send(&self, mut messages: Vec<Outgoing>) -> Result<()> {
        const CALL: &str = "channel.send";
        if let Some(sent) = self.faults.midway(CALL, messages.len()) {
            messages.truncate(sent);
            self.call(CALL, self.store.send(messages)).await?;
            return Err(fault(CALL));
        }
        self.call(CALL, self.store.send(messages)).await
    }

    async fn receive(&self, most: usize) -> Result<Vec<Delivery>> {
        self.call("channel.receive", self.store.receive(most)).await
    }

    async fn delete(&self, receipt: &str) -> Result<()> {
        self.call("channel.delete", self.store.delete(receipt)).await
    }

    async fn release(&self, receipt: &str, delay: Duration) -> Result<()> {
        self.call("channel.release", self.store.release(receipt, delay)).await
    }
}
