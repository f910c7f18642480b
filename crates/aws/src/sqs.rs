//! A channel in SQS.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::time::Duration;

use aws_sdk_sqs::Client;
use aws_sdk_sqs::types::{MessageSystemAttributeName, QueueAttributeName, SendMessageBatchRequestEntry};

use crate::batched::{Batched, Left, send_all};
use crate::error;
use fanfold::batch::view::Around;
use fanfold::model::error::{Error, Result};
use fanfold::model::timestamp::Timestamp;
use fanfold::store::channel::{Channel, Delivery, MOST_SENT, Outgoing};

const WAIT_SECONDS: i32 = 1;

/// A queue in SQS.
#[derive(Debug, Clone)]
pub struct SqsChannel {
    client: Client,
    url: String,
}

impl SqsChannel {
    /// A queue by its URL.
    pub fn new(client: Client, url: impl Into<String>) -> Self {
        Self { client, url: url.into() }
    }

    /// What the queue holds: part of what a batch is doing. Nothing is known of a queue that may not be looked at.
    pub async fn around(&self) -> Around {
        let (waiting, running) = self.depth().await.ok().unzip();
        Around { waiting, running }
    }

    /// How many messages wait, and how many are being worked on; both are approximate
    /// (<https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/confirm-queue-is-empty.html>).
    ///
    /// # Errors
    /// Those of the request.
    pub async fn depth(&self) -> Result<(u64, u64)> {
        let names = [
            QueueAttributeName::ApproximateNumberOfMessages,
            QueueAttributeName::ApproximateNumberOfMessagesDelayed,
            QueueAttributeName::ApproximateNumberOfMessagesNotVisible,
        ];
        let request = self.client.get_queue_attributes().queue_url(&self.url);
        let request = request.set_attribute_names(Some(names.to_vec()));
        let found = request.send().await.map_err(|e| error::of_call("look at", &self.url, e))?;
        let found = found.attributes.unwrap_or_default();
        let [visible, delayed, held] =
            names.map(|name| found.get(&name).and_then(|count| count.parse::<u64>().ok()).unwrap_or_default());
        Ok((visible + delayed, held))
    }
}

impl Batched for SqsChannel {
    fn place(&self) -> &str {
        &self.url
    }

    async fn send_batch(&self, batch: &[Outgoing]) -> Result<Left> {
        let mut request = self.client.send_message_batch().queue_url(&self.url);
        for (position, message) in batch.iter().enumerate() {
            let (group, once) = ids(&self.url, message);
            let entry = SendMessageBatchRequestEntry::builder()
                .id(position.to_string())
                .message_body(&message.body)
                .set_message_group_id(group)
                .set_message_deduplication_id(once)
                .build();
            request = request.entries(entry.map_err(|e| Error::internal("a message lacks a field").because(e))?);
        }
        let sent = request.send().await.map_err(|e| error::of_call("send to", &self.url, e))?;
        Ok(Left::of(batch, sent.failed.iter().map(|entry| (entry.id.as_str(), entry.code.as_str()))))
    }
}

/// The group id and the deduplication id of a message to a queue. FIFO queues, whose names end alike, need both
/// (<https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/FIFO-queues-message-order.html>); a
/// standard queue takes a group id alone
/// (<https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_SendMessageBatchRequestEntry.html>).
fn ids(url: &str, message: &Outgoing) -> (Option<String>, Option<String>) {
    if !url.ends_with(".fifo") {
        return (message.group.as_ref().map(|group| group.id().to_owned()), None);
    }
    let group = message.order().map_or_else(|| digest(&message.body), str::to_owned);
    (Some(group.clone()), Some(group))
}

/// The group of a message that has none, for a queue that needs one.
fn digest(body: &str) -> String {
    let mut hasher = DefaultHasher::new();
    body.hash(&mut hasher);
    format!("{:016x}", hasher.finish())
}

impl Channel for SqsChannel {
    async fn send(&self, messages: Vec<Outgoing>) -> Result<()> {
        send_all(self, &messages).await
    }

    /// The attributes: <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_ReceiveMessage.html>
    async fn receive(&self, most: usize) -> Result<Vec<Delivery>> {
        let request = self.client.receive_message().queue_url(&self.url);
        let request = request
            .max_number_of_messages(most.clamp(1, MOST_SENT) as i32)
            .wait_time_seconds(WAIT_SECONDS)
            .message_system_attribute_names(MessageSystemAttributeName::ApproximateReceiveCount)
            .message_system_attribute_names(MessageSystemAttributeName::ApproximateFirstReceiveTimestamp);
        let received = request.send().await.map_err(|e| error::of_call("receive from", &self.url, e))?;
        let delivery = |message: aws_sdk_sqs::types::Message| {
            let attribute = |name| message.attributes.as_ref().and_then(|attributes| attributes.get(&name));
            let attempt = attribute(MessageSystemAttributeName::ApproximateReceiveCount);
            let first = attribute(MessageSystemAttributeName::ApproximateFirstReceiveTimestamp);
            let attempt = attempt.and_then(|count| count.parse().ok());
            let first_received = first.and_then(|at| at.parse().ok()).map(Timestamp);
            Delivery {
                id: message.message_id.unwrap_or_default(),
                receipt: message.receipt_handle.unwrap_or_default(),
                body: message.body.unwrap_or_default(),
                attempt: attempt.unwrap_or(1),
                first_received,
            }
        };
        Ok(received.messages.unwrap_or_default().into_iter().map(delivery).collect())
    }

    async fn delete(&self, receipt: &str) -> Result<()> {
        let request = self.client.delete_message().queue_url(&self.url).receipt_handle(receipt);
        request.send().await.map_err(|e| error::of_call("delete from", &self.url, e))?;
        Ok(())
    }

    /// Sets the message's visibility timeout:
    /// <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_ChangeMessageVisibility.html>
    async fn release(&self, receipt: &str, delay: Duration) -> Result<()> {
        let request = self.client.change_message_visibility().queue_url(&self.url);
        let seconds = i32::try_from(delay.as_secs()).unwrap_or(i32::MAX).min(43_200);
        let request = request.receipt_handle(receipt).visibility_timeout(seconds);
        request.send().await.map_err(|e| error::of_call("release a message of", &self.url, e))?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_fifo_queue_gets_a_deduplication_id() {
        let own = |id: &str| Some(id.to_owned());
        let (plain, fifo) = ("http://sqs/1/process", "http://sqs/1/gather.fifo");
        assert_eq!(ids(plain, &Outgoing::new("a".into())), (None, None));
        assert_eq!(ids(plain, &Outgoing::fair("a".into(), "batch")), (own("batch"), None));
        assert_eq!(ids(fifo, &Outgoing::ordered("a".into(), "batch")), (own("batch"), own("batch")));
        let (group, once) = ids(fifo, &Outgoing::new("a".into()));
        assert!(group.is_some() && group == once && group != ids(fifo, &Outgoing::new("b".into())).0);
    }
}
