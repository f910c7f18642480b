//! Message channels: messages are delivered at least once and in no order; those with a group, in order within it.

pub mod memory;
pub mod surrounded;

use std::future::Future;
use std::time::Duration;

use crate::model::error::Result;
use crate::model::timestamp::Timestamp;

/// The most messages that one request sends, in every channel.
pub const MOST_SENT: usize = 10;

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
    /// The channel's own id, the same for every delivery of the message.
    pub id: String,
    /// What identifies this delivery when it is deleted or released.
    pub receipt: String,
    /// The text.
    pub body: String,
    /// Which delivery of the message this is, from 1.
    pub attempt: u32,
    /// When the message was delivered for the first time, if the channel knows that.
    pub first_received: Option<Timestamp>,
}

/// A channel. Failed calls have already been retried; they may still have taken effect.
pub trait Channel: Send + Sync + 'static {
    /// Sends messages, in as few requests as the channel allows. If it succeeds all were sent; if it fails some may
    /// have been, and sending again sends those twice.
    fn send(&self, messages: Vec<Outgoing>) -> impl Future<Output = Result<()>> + Send;

    /// Takes up to `most` messages (at most 10), which stay hidden until they are deleted, released or time out.
    /// Waits a little if there are none.
    fn receive(&self, most: usize) -> impl Future<Output = Result<Vec<Delivery>>> + Send;

    /// Deletes a message from the channel. Idempotent.
    fn delete(&self, receipt: &str) -> impl Future<Output = Result<()>> + Send;

    /// Makes a message visible again after `delay`, instead of the channel's own timeout.
    fn release(&self, receipt: &str, delay: Duration) -> impl Future<Output = Result<()>> + Send;
}
