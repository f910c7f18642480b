//! A topic in SNS.

use aws_sdk_sns::Client;
use aws_sdk_sns::error::SdkError;
use aws_sdk_sns::operation::publish_batch::PublishBatchError;
use aws_sdk_sns::types::{MessageAttributeValue, PublishBatchRequestEntry};

use crate::batched::{Batched, Left, send_all};
use crate::error;
use fanfold::model::error::{Error, Result};
use fanfold::store::channel::Outgoing;

/// The attribute of a message that says whose it is, by which a subscription can choose
/// (<https://docs.aws.amazon.com/sns/latest/dg/sns-subscription-filter-policies.html>).
const GROUP: &str = "group";

/// A topic in SNS.
#[derive(Debug, Clone)]
pub struct SnsTopic {
    client: Client,
    arn: String,
}

impl SnsTopic {
    /// A topic by its ARN.
    pub fn new(client: Client, arn: impl Into<String>) -> Self {
        Self { client, arn: arn.into() }
    }

    /// Publishes messages, each at least once.
    ///
    /// # Errors
    /// Those of the service; some may have been published then.
    pub async fn publish(&self, messages: &[Outgoing]) -> Result<()> {
        send_all(self, messages).await
    }
}

impl Batched for SnsTopic {
    fn place(&self) -> &str {
        &self.arn
    }

    /// <https://docs.aws.amazon.com/sns/latest/api/API_PublishBatch.html>
    async fn send_batch(&self, batch: &[Outgoing]) -> Result<Left> {
        let incomplete = |e| Error::internal("a message lacks a field").because(e);
        let mut request = self.client.publish_batch().topic_arn(&self.arn);
        for (position, message) in batch.iter().enumerate() {
            let mut entry = PublishBatchRequestEntry::builder().id(position.to_string()).message(&message.body);
            if let Some(group) = &message.group {
                let attribute = MessageAttributeValue::builder().data_type("String").string_value(group.id());
                // A queue that subscribed is fair among the groups, as if it had been sent the message
                // (<https://docs.aws.amazon.com/sns/latest/api/API_PublishBatchRequestEntry.html>).
                entry = entry
                    .message_group_id(group.id())
                    .message_attributes(GROUP, attribute.build().map_err(incomplete)?);
            }
            request = request.publish_batch_request_entries(entry.build().map_err(incomplete)?);
        }
        let refused = |e: SdkError<PublishBatchError>| {
            // A code that other services have as well, where it means something else.
            let gone = e.as_service_error().is_some_and(PublishBatchError::is_not_found_exception);
            let error = error::of_call("publish to", &self.arn, e);
            if gone { Error::config("the topic is gone; run `make deploy` again").because(error) } else { error }
        };
        let sent = request.send().await.map_err(refused)?;
        Ok(Left::of(batch, sent.failed().iter().map(|entry| (entry.id(), entry.code()))))
    }
}
