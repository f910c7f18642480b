//! The functions: each stage with its stores in AWS.

use lambda_runtime::{LambdaEvent, service_fn};
use serde_json::Value;

use super::aws::{AwsStores, Clients};
use super::clock::SystemClock;
use super::config::{Config, StageConfig};
use super::server::{Server, deadline};
use crate::blob::s3::S3Blob;
use crate::channel::sqs::SqsChannel;
use crate::items::dynamodb::DynamoItems;
use crate::ledger::dynamodb::DynamoLedger;
use crate::stage::bury::Bury;
use crate::stage::gather::Gather;
use crate::stage::process::Process;
use crate::stage::scatter::Scatter;
use crate::stage::sweep::Sweep;
use crate::tasks::dynamodb::DynamoTasks;
use crate::variant::Parts;

/// Serves the invocations of the stage that `config` names, until Lambda ends the process.
///
/// # Errors
/// What the Lambda runtime can not recover from.
pub async fn run(config: Config, clients: Clients) -> Result<(), lambda_runtime::Error> {
    let variant = config.variant;
    let bucket = |name: String| S3Blob::new(clients.s3.clone(), name);
    let queue = |url: String| SqsChannel::new(clients.sqs.clone(), url);
    let source = config.source_queue_url.map(queue);
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
        StageConfig::Process { items_table, key_field, schema, write_mode, gather_queue_url } => {
            let items = DynamoItems::new(clients.dynamodb.clone(), items_table, key_field, variant.width);
            let stage = Process {
                items: items.in_mode(write_mode),
                batches: variant.batches(parts(queue(gather_queue_url)))?,
                clock,
                schema: *schema,
            };
            server.serve(&stage).await
        }
        StageConfig::Gather { output_bucket, gather_queue_url } => {
            let batches = variant.batches(parts(queue(gather_queue_url)))?;
            server.serve(&Gather { batches, output: bucket(output_bucket), clock, width: variant.width }).await
        }
        StageConfig::Bury { input_bucket, gather_queue_url, parked_queue_url } => {
            let stage = Bury {
                batches: variant.batches(parts(queue(gather_queue_url)))?,
                input_bucket,
                parked: queue(parked_queue_url),
                clock,
                variant: variant.name.to_owned(),
            };
            server.serve(&stage).await
        }
        StageConfig::Sweep { queues, output_bucket, stall_after, give_up_after } => {
            let stage = Sweep {
                batches: variant.batches(parts(queue(queues.gather)))?,
                scatter: queue(queues.scatter),
                process: queue(queues.process),
                output: bucket(output_bucket),
                clock,
                stall_after,
                give_up_after,
                width: variant.width,
            };
            // A schedule's event says nothing that matters; a failure is an alarm's business.
            lambda_runtime::run(service_fn(async |event: LambdaEvent<Value>| {
                stage.run(deadline(&event.context)).await.map_err(lambda_runtime::Error::from)
            }))
            .await
        }
    }
}
