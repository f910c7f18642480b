//! Message channels: messages are delivered at least once and in no order; those with a group, in order within it.

pub mod memory;
pub mod surrounded;

use std::future::Future;
use std::time::Duration;

use crate::model::error::Result;
use crate::model::timestamp::Timestamp;

/// The most messages that one request sends, in every channel.
pub const MOST_SENT: usize = 10;

/// What a message has in common with others.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Group {
    /// For ordered channels: their order, one at a time. A repeat of any of them within five minutes is dropped.
    Ordered(String),
    /// For channels without order: whose they are. While a group takes more than its share, those of others may be
    /// delivered first (<https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-fair-queues.html>).
    /// Nothing is dropped, and nothing waits if nobody else has a message.
    Fair(String),
}

impl Group {
    /// The id: 1 to 128 letters, digits and signs of ASCII
    /// (<https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/quotas-messages.html>).
    pub fn id(&self) -> &str {
        match self {
            Self::Ordered(id) | Self::Fair(id) => id,
        }
    }
}

/// A message to be sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outgoing {
    /// The text.
    pub body: String,
    /// What it has in common with others, if anything.
    pub group: Option<Group>,
}

impl Outgoing {
    /// A message for a channel without order, which shares nothing with others.
    pub fn new(body: String) -> Self {
        Self { body, group: None }
    }

    /// A message for an ordered channel.
    pub fn ordered(body: String, group: &str) -> Self {
        Self { body, group: Some(Group::Ordered(group.to_owned())) }
    }

    /// A message for a channel without order, which gives every group its share.
    pub fn fair(body: String, group: &str) -> Self {
        Self { body, group: Some(Group::Fair(group.to_owned())) }
    }

    /// The id of its group, if it is for an ordered channel.
    pub fn order(&self) -> Option<&str> {
        match &self.group {
            Some(Group::Ordered(group)) => Some(group),
            Some(Group::Fair(_)) | None => None,
        }
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

/// What the receipt of a message begins with that is in no channel; those of channels have no space.
const ALONE: &str = "invocation ";

impl Delivery {
    /// The receipt of a message that a function was invoked with and that is in no channel: another one for each invocation.
    pub fn receipt_of_invocation(invocation: &str) -> String {
        format!("{ALONE}{invocation}")
    }

    /// Whether the message is in no channel: who invoked the function is told what is left of it, and sends that to the channel, where
    /// its tries begin to count.
    pub fn is_alone(&self) -> bool {
        self.receipt.starts_with(ALONE)
    }
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
