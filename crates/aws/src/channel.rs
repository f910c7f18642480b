//! Channels on AWS: a queue in SQS, a topic in SNS in front of one, or a state machine in Step Functions.

use std::time::Duration;

use crate::machine::Machine;
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
    /// A state machine, of which executions can only be started.
    Machine(Machine),
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

impl From<Machine> for AwsChannel {
    fn from(machine: Machine) -> Self {
        Self::Machine(machine)
    }
}

impl AwsChannel {
    /// The queue from which messages are taken.
    fn queue(&self) -> Result<&SqsChannel> {
        match self {
            Self::Queue(queue) => Ok(queue),
            Self::Topic(_) | Self::Machine(_) => Err(Error::internal("a channel that keeps no messages")),
        }
    }
}

impl Channel for AwsChannel {
    async fn send(&self, messages: Vec<Outgoing>) -> Result<()> {
        match self {
            Self::Queue(queue) => queue.send(messages).await,
            Self::Topic(topic) => topic.publish(&messages).await,
            Self::Machine(machine) => machine.start(&messages).await,
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
