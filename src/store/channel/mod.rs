//! Message channels: at least once, in no order; with a group, in order within it.

pub mod faulty;
pub mod memory;

use std::future::Future;
use std::time::Duration;

use crate::model::error::Result;

/// A message to be sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outgoing {
    /// The text.
    pub body: String,
    /// For ordered channels: the group, which is the deduplication id too.
    pub group: Option<String>,
}

impl Outgoing {
    /// A message for a channel without order.
    pub fn new(body: String) -> Self {
        Self { body, group: None }
    }

    /// A message for an ordered channel.
    pub fn grouped(body: String, group: &str) -> Self {
        Self { body, group: Some(group.to_owned()) }
    }
}

/// A message that arrived.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delivery {
    /// The channel's own id, the same each time the message arrives.
    pub id: String,
    /// What this arrival is answered by.
    pub receipt: String,
    /// The text.
    pub body: String,
    /// Which arrival of the message this is, from 1.
    pub attempt: u32,
}

/// A channel. Failed calls were tried again already; they may have had their effect.
pub trait Channel: Send + Sync + 'static {
    /// Sends messages, in as few requests as the channel allows. All were sent if it succeeds; if
    /// it fails some may have been, so that sending again sends those twice.
    fn send(&self, messages: Vec<Outgoing>) -> impl Future<Output = Result<()>> + Send;

    /// Takes up to `most` messages (at most 10) that nobody else sees until they are deleted,
    /// released or their time runs out. Waits a little if there is none.
    fn receive(&self, most: usize) -> impl Future<Output = Result<Vec<Delivery>>> + Send;

    /// Takes a message out of the channel. Idempotent.
    fn delete(&self, receipt: &str) -> impl Future<Output = Result<()>> + Send;

    /// Lets a message arrive again after `delay`, in place of the channel's own time.
    fn release(&self, receipt: &str, delay: Duration) -> impl Future<Output = Result<()>> + Send;
}
