//! Channels on AWS: a queue in SQS, or a topic in SNS in front of one.

use std::time::Duration;

use crate::sns::SnsTopic;
use crate::sqs::SqsChannel;
use fanfold::model::error::{Error, Result};
use fanfold::store::channel::{Channel, Delivery, Outgoing};

/// A channel of a pipeline.
#[derive(Debug, Clone)]
pub enum AwsChannel {
    /// A queue.
    Queue(SqsChannel),
    /// A topic, to which messages can only be published.
    Topic(SnsTopic),
}

impl From<SqsChannel> for AwsChannel {
    fn from(queue: SqsChannel) -> Self {
        Self::Queue(queue)
    }
}

impl From<SnsTopic> for AwsChannel {
    fn from(topic: SnsTopic) -> Self {
        Self::Topic(topic)
    }
}

impl AwsChannel {
    /// The queue from which messages are taken.
    fn queue(&self) -> Result<&SqsChannel> {
        match self {
            Self::Queue(queue) => Ok(queue),
            Self::Topic(_) => Err(Error::internal("a topic keeps no messages")),
        }
    }
}

impl Channel for AwsChannel {
    async fn send(&self, messages: Vec<Outgoing>) -> Result<()> {
        match self {
            Self::Queue(queue) => queue.send(messages).await,
            Self::Topic(topic) => topic.publish(&messages).await,
        }
    }

    async fn receive(&self, most: usize) -> Result<Vec<Delivery>> {
        self.queue()?.receive(most).await
    }

    async fn delete(&self, receipt: &str) -> Result<()> {
        self.queue()?.delete(receipt).await
    }

    async fn release(&self, receipt: &str, delay: Duration) -> Result<()> {
        self.queue()?.release(receipt, delay).await
    }
}
