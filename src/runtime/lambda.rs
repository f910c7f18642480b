//! Lambda events to messages, outcomes to answers.

use std::collections::BTreeMap;
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
use crate::ledger::Ledger;
use crate::ledger::dynamodb::DynamoLedger;
use crate::model::calls::StageCalls;
use crate::model::ids::BatchId;
use crate::model::timestamp::Timestamp;
use crate::sdk::calls;
use crate::stage::gather::Gather;
use crate::stage::process::Process;
use crate::stage::scatter::Scatter;
use crate::stage::{Clock, Outcome, Stage};
use crate::tasks::dynamodb::DynamoTasks;
use crate::variant::Parts;

/// The pause before a message that failed comes again doubles from here to there.
const FIRST_PAUSE: Duration = Duration::from_secs(5);
const LONGEST_PAUSE: Duration = Duration::from_secs(300);

/// Serves the invocations of the stage that `config` names, until Lambda ends the process.
///
/// # Errors
/// What the Lambda runtime can not recover from.
pub async fn run(config: Config, clients: Clients) -> Result<(), lambda_runtime::Error> {
    let variant = config.variant;
    let bucket = |name: String| S3Blob::new(clients.s3.clone(), name);
    let queue = |url: String| SqsChannel::new(clients.sqs.clone(), url);
    let source = queue(config.source_queue_url);
    let ledger = DynamoLedger::new(clients.dynamodb.clone(), config.ledger_table);
    let tasks = |table| DynamoTasks::new(clients.dynamodb.clone(), table, variant.width);
    let parts = |gather: SqsChannel| Parts::<AwsStores> {
        work: bucket(config.work_bucket),
        tasks: config.tasks_table.map(tasks),
        ledger: ledger.clone(),
        gather,
    };
    let clock = SystemClock;
    let server = Server { source: source.clone(), ledger: ledger.clone(), clock, messages: variant.messages() };
    match config.stage {
        StageConfig::Scatter { input_bucket, chunk_size, key_field, process_queue_url, gather_queue_url } => {
            let stage = Scatter {
                input: bucket(input_bucket.clone()),
                input_bucket,
                process: queue(process_queue_url),
                batches: variant.batches(parts(queue(gather_queue_url)))?,
                clock,
                variant: variant.name.to_owned(),
                key_field,
                chunk_size: variant.chunk_size(chunk_size),
                width: variant.width,
            };
            server.serve(&stage).await
        }
        StageConfig::Process { items_table, key_field, schema, gather_queue_url } => {
            let stage = Process {
                items: DynamoItems::new(clients.dynamodb.clone(), items_table, key_field, variant.width),
                batches: variant.batches(parts(queue(gather_queue_url)))?,
                clock,
                schema: *schema,
            };
            server.serve(&stage).await
        }
        StageConfig::Gather { output_bucket } => {
            let batches = variant.batches(parts(source))?;
            server.serve(&Gather { batches, output: bucket(output_bucket), clock, width: variant.width }).await
        }
    }
}

/// What every stage's invocations need.
struct Server<C, L, K> {
    source: C,
    ledger: L,
    clock: K,
    messages: usize,
}

impl<C: Channel, L: Ledger, K: Clock> Server<C, L, K> {
    async fn serve<S: Stage>(&self, stage: &S) -> Result<(), lambda_runtime::Error> {
        lambda_runtime::run(service_fn(async |event: LambdaEvent<SqsEvent>| {
            let deadline = Timestamp(i64::try_from(event.context.deadline).unwrap_or(i64::MAX));
            Ok::<_, lambda_runtime::Error>(self.answer(stage, event.payload, deadline).await)
        }))
        .await
    }

    /// Works on the messages of one invocation and names those that must come again
    /// (<https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-errorhandling.html>).
    async fn answer<S: Stage>(&self, stage: &S, event: SqsEvent, deadline: Timestamp) -> SqsBatchResponse {
        let deliveries: Vec<Delivery> = event.records.into_iter().map(delivery).collect();
        let settled: Vec<_> = stream::iter(&deliveries)
            .map(|delivery| async move {
                let span = tracing::info_span!("message", id = %delivery.id, attempt = delivery.attempt);
                let work = settle(stage, &self.source, delivery, deadline).instrument(span);
                let (done, requests) = calls::counted(work).await;
                (delivery, done, requests)
            })
            .buffer_unordered(self.messages)
            .collect()
            .await;
        let mut response = SqsBatchResponse::default();
        let mut spent: BTreeMap<BatchId, StageCalls> = BTreeMap::new();
        for (delivery, done, requests) in settled {
            if !done {
                response.add_failure(&delivery.id);
            }
            if let Some(batch) = stage.batch_of(&delivery.body) {
                spent.entry(batch).or_default().add(&StageCalls { messages: 1, requests });
            }
        }
        self.account(S::NAME, spent).await;
        response
    }

    /// Adds what was asked of AWS to the batches' ledger, this request included.
    async fn account(&self, stage: &str, spent: BTreeMap<BatchId, StageCalls>) {
        for (batch, mut calls) in spent {
            *calls.requests.entry("dynamodb.UpdateItem".to_owned()).or_default() += 1;
            if let Err(error) = self.ledger.add_calls(&batch, stage, &calls, self.clock.now()).await {
                tracing::warn!(batch_id = %batch, %error, "calls not accounted for");
            }
        }
    }
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
    use crate::ledger::memory::MemoryLedger;
    use crate::model::error::Error;

    /// Does what the message's body says.
    struct Obedient;

    impl Stage for Obedient {
        const NAME: &'static str = "process";

        fn batch_of(&self, _body: &str) -> Option<BatchId> {
            BatchId::parse("orders-0123456789ab").ok()
        }

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
        let (source, ledger) = (MemoryChannel::new(), MemoryLedger::new());
        let server = Server { source, ledger: ledger.clone(), clock: SystemClock, messages: 2 };
        let response = server.answer(&Obedient, event, Timestamp(0)).await;
        let mut failed: Vec<_> = response.batch_item_failures.iter().map(|f| f.item_identifier.as_str()).collect();
        failed.sort_unstable();
        assert_eq!(failed, ["id-panic", "id-reject", "id-retry"]);
        let calls = ledger.read_calls(&BatchId::parse("orders-0123456789ab").unwrap()).await.unwrap();
        assert_eq!(calls.0["process"].messages, 5);
    }

    #[test]
    fn pauses_grow_to_a_limit() {
        assert_eq!(pause(1), Duration::from_secs(5));
        assert_eq!(pause(3), Duration::from_secs(20));
        assert_eq!(pause(100), LONGEST_PAUSE);
    }
}
