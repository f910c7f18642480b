//! Lambda events to messages, outcomes to answers.

use std::panic::AssertUnwindSafe;
use std::time::Duration;

use aws_lambda_events::event::sqs::{SqsBatchResponse, SqsEvent, SqsMessage};
use futures::FutureExt;
use futures::stream::{self, StreamExt};
use lambda_runtime::{LambdaEvent, service_fn};
use tracing::Instrument;

use super::aws::{AwsStores, Clients};
use super::clock::SystemClock;
use super::config::{Config, StageConfig};
use crate::blob::s3::S3Blob;
use crate::channel::sqs::SqsChannel;
use crate::channel::{Channel, Delivery};
use crate::items::dynamodb::DynamoItems;
use crate::ledger::dynamodb::DynamoLedger;
use crate::model::timestamp::Timestamp;
use crate::stage::gather::Gather;
use crate::stage::process::Process;
use crate::stage::scatter::Scatter;
use crate::stage::{Outcome, Stage};

/// Messages of one invocation that are worked on at once.
const MESSAGES: usize = 4;
/// The pause before a message that failed comes again doubles from here to there.
const FIRST_PAUSE: Duration = Duration::from_secs(5);
const LONGEST_PAUSE: Duration = Duration::from_secs(300);

/// Serves the invocations of the stage that `config` names, until Lambda ends the process.
///
/// # Errors
/// What the Lambda runtime can not recover from.
pub async fn run(config: Config, clients: Clients) -> Result<(), lambda_runtime::Error> {
    let width = config.variant.width;
    let bucket = |name: String| S3Blob::new(clients.s3.clone(), name);
    let queue = |url: String| SqsChannel::new(clients.sqs.clone(), url);
    let ledger = DynamoLedger::new(clients.dynamodb.clone(), config.ledger_table);
    let work = bucket(config.work_bucket);
    let source = queue(config.source_queue_url);
    match config.stage {
        StageConfig::Scatter { input_bucket, chunk_size, key_field, process_queue_url, gather_queue_url } => {
            let stage: Scatter<AwsStores> = Scatter {
                input: bucket(input_bucket.clone()),
                input_bucket,
                work,
                process: queue(process_queue_url),
                gather: queue(gather_queue_url),
                ledger,
                clock: SystemClock,
                variant: config.variant.name.to_owned(),
                key_field,
                chunk_size,
                width,
            };
            serve(&stage, &source).await
        }
        StageConfig::Process { items_table, key_field, schema, gather_queue_url } => {
            let stage: Process<AwsStores> = Process {
                work,
                items: DynamoItems::new(clients.dynamodb.clone(), items_table, key_field, width),
                gather: queue(gather_queue_url),
                ledger,
                clock: SystemClock,
                schema: *schema,
            };
            serve(&stage, &source).await
        }
        StageConfig::Gather { output_bucket } => {
            let stage: Gather<AwsStores> =
                Gather { work, output: bucket(output_bucket), ledger, clock: SystemClock, width };
            serve(&stage, &source).await
        }
    }
}

async fn serve(stage: &impl Stage, source: &impl Channel) -> Result<(), lambda_runtime::Error> {
    lambda_runtime::run(service_fn(async |event: LambdaEvent<SqsEvent>| {
        let deadline = Timestamp(i64::try_from(event.context.deadline).unwrap_or(i64::MAX));
        Ok::<_, lambda_runtime::Error>(answer(stage, source, event.payload, deadline).await)
    }))
    .await
}

/// Works on the messages of one invocation and names those that must come again
/// (<https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-errorhandling.html>).
pub async fn answer(
    stage: &impl Stage,
    source: &impl Channel,
    event: SqsEvent,
    deadline: Timestamp,
) -> SqsBatchResponse {
    let deliveries: Vec<Delivery> = event.records.into_iter().map(delivery).collect();
    let failed: Vec<Option<String>> = stream::iter(&deliveries)
        .map(|delivery| async move {
            let span = tracing::info_span!("message", id = %delivery.id, attempt = delivery.attempt);
            let ok = settle(stage, source, delivery, deadline).instrument(span).await;
            (!ok).then(|| delivery.id.clone())
        })
        .buffer_unordered(MESSAGES)
        .collect()
        .await;
    let mut response = SqsBatchResponse::default();
    response.set_failures(failed.into_iter().flatten());
    response
}

/// Works on one message and says whether it may be deleted. A panic fails this message only.
async fn settle(stage: &impl Stage, source: &impl Channel, delivery: &Delivery, deadline: Timestamp) -> bool {
    let pause = match AssertUnwindSafe(stage.handle(delivery, deadline)).catch_unwind().await {
        Ok(Outcome::Done) => return true,
        Ok(Outcome::Discarded(reason)) => {
            tracing::info!(%reason, "message discarded");
            return true;
        }
        Ok(Outcome::Rejected(error)) => {
            tracing::error!(%error, "message rejected");
            // Without a pause it reaches the dead-letter queue within seconds.
            Duration::ZERO
        }
        Ok(Outcome::Retry(error)) => {
            tracing::warn!(kind = ?error.kind, %error, "message will come again");
            pause(delivery.attempt)
        }
        Err(_) => {
            tracing::error!("stage panicked");
            pause(delivery.attempt)
        }
    };
    if let Err(error) = source.release(&delivery.receipt, pause).await {
        // It comes again all the same, when its visibility timeout ends.
        tracing::warn!(%error, "message not released");
    }
    false
}

fn pause(attempt: u32) -> Duration {
    FIRST_PAUSE.saturating_mul(1 << attempt.saturating_sub(1).min(16)).min(LONGEST_PAUSE)
}

fn delivery(message: SqsMessage) -> Delivery {
    let attempt = message.attributes.get("ApproximateReceiveCount").and_then(|count| count.parse().ok());
    Delivery {
        id: message.message_id.unwrap_or_default(),
        receipt: message.receipt_handle.unwrap_or_default(),
        body: message.body.unwrap_or_default(),
        attempt: attempt.unwrap_or(1),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::channel::memory::MemoryChannel;
    use crate::model::error::Error;

    /// Does what the message's body says.
    struct Obedient;

    impl Stage for Obedient {
        async fn handle(&self, delivery: &Delivery, _deadline: Timestamp) -> Outcome {
            match delivery.body.as_str() {
                "done" => Outcome::Done,
                "discard" => Outcome::Discarded("nothing to do".into()),
                "reject" => Outcome::Rejected(Error::malformed("not ours")),
                "retry" => Outcome::Retry(Error::transient("later")),
                other => panic!("{other}"),
            }
        }
    }

    #[tokio::test]
    async fn only_what_failed_comes_again_and_a_panic_is_one_of_them() {
        let mut event = SqsEvent::default();
        for body in ["done", "reject", "discard", "panic", "retry"] {
            let mut message = SqsMessage::default();
            message.message_id = Some(format!("id-{body}"));
            message.body = Some(body.to_owned());
            event.records.push(message);
        }
        let response = answer(&Obedient, &MemoryChannel::new(), event, Timestamp(0)).await;
        let mut failed: Vec<_> = response.batch_item_failures.iter().map(|f| f.item_identifier.as_str()).collect();
        failed.sort_unstable();
        assert_eq!(failed, ["id-panic", "id-reject", "id-retry"]);
    }

    #[test]
    fn pauses_grow_to_a_limit() {
        assert_eq!(pause(1), Duration::from_secs(5));
        assert_eq!(pause(3), Duration::from_secs(20));
        assert_eq!(pause(100), LONGEST_PAUSE);
    }
}
