//! The functions: each stage with its stores in AWS.

use std::time::Duration;

use futures::FutureExt;
use futures::future::join;
use futures::stream::{self, StreamExt};
use lambda_runtime::{LambdaEvent, service_fn};
use serde_json::Value;
use tokio::time::timeout;

use crate::config::{Config, StageConfig};
use crate::server::{Server, deadline};
use fanfold::model::ids::BatchId;
use fanfold::pipeline::variant::Parts;
use fanfold::stage::bury::Bury;
use fanfold::stage::gather::Gather;
use fanfold::stage::process::Process;
use fanfold::stage::scatter::Scatter;
use fanfold::stage::sweep::Sweep;
use fanfold::store::blob::Blob;
use fanfold::store::clock::SystemClock;
use fanfold::store::ledger::Ledger;
use fanfold_aws::clients::{AwsStores, Clients};
use fanfold_aws::items::DynamoItems;
use fanfold_aws::ledger::DynamoLedger;
use fanfold_aws::s3::S3Blob;
use fanfold_aws::sqs::SqsChannel;
use fanfold_aws::tasks::DynamoTasks;

/// How long a function may take at its start to open the connections that its first message needs.
const WARM_UP: Duration = Duration::from_secs(1);
/// Connections to DynamoDB that are opened so.
const CONNECTIONS: usize = 4;

/// Opens connections before the first message comes, while Lambda gives a function that starts more
/// than its share of a processor
/// (<https://docs.aws.amazon.com/lambda/latest/dg/lambda-runtime-environment.html>). What is asked for is
/// nothing, and if it fails the first message will tell.
async fn warm_up(ledger: &DynamoLedger, bucket: &S3Blob) {
    let Ok(nobody) = BatchId::parse("warm-up-000000000000") else {
        return;
    };
    let reads = stream::iter(0..CONNECTIONS).for_each_concurrent(CONNECTIONS, |_| ledger.read(&nobody).map(drop));
    let _ = timeout(WARM_UP, join(reads, bucket.get("warm-up", None))).await;
}

/// Serves the invocations of the stage that `config` names, until Lambda ends the process.
///
/// # Errors
/// What the Lambda runtime can not recover from.
pub async fn run(config: Config, clients: Clients) -> Result<(), lambda_runtime::Error> {
    let variant = config.variant;
    let bucket = |name: String| S3Blob::new(clients.s3.clone(), name);
    let queue = |url: String| SqsChannel::new(clients.sqs.clone(), url);
    let source = config.source_queue_url.map(queue);
    let work_bucket = config.work_bucket;
    let ledger = DynamoLedger::new(clients.dynamodb.clone(), config.ledger_table);
    let tasks = |table| DynamoTasks::new(clients.dynamodb.clone(), table, variant.width);
    let parts = |gather: SqsChannel| Parts::<AwsStores> {
        input: bucket(config.input_bucket.clone()),
        work: bucket(work_bucket.clone()),
        tasks: config.tasks_table.map(tasks),
        ledger: ledger.clone(),
        gather,
    };
    let clock = SystemClock;
    let server = Server { source: source.clone(), ledger: ledger.clone(), clock };
    match config.stage {
        StageConfig::Scatter { chunk_size, key_field, process_queue_url, gather_queue_url } => {
            let stage = Scatter {
                input: bucket(config.input_bucket.clone()),
                input_bucket: config.input_bucket.clone(),
                process: queue(process_queue_url),
                batches: variant.batches(parts(queue(gather_queue_url)))?,
                clock,
                variant: variant.name.to_owned(),
                key_field,
                chunk_size: variant.chunk_size(chunk_size),
                width: variant.width,
                ranged: variant.ranged(),
            };
            server.serve(&stage).await
        }
        StageConfig::Process { items_table, key_field, schema, write_mode, gather_queue_url } => {
            warm_up(&ledger, &bucket(if variant.ranged() { &config.input_bucket } else { &work_bucket }.clone())).await;
            let items = DynamoItems::new(clients.dynamodb.clone(), items_table, key_field, variant.width);
            let stage = Process {
                items: items.in_mode(write_mode),
                batches: variant.batches(parts(queue(gather_queue_url)))?,
                clock,
                schema: *schema,
                width: variant.width,
            };
            server.serve(&stage).await
        }
        StageConfig::Gather { output_bucket, results, gather_queue_url } => {
            let batches = variant.batches(parts(queue(gather_queue_url)))?;
            let (output, width) = (bucket(output_bucket), variant.width);
            server.serve(&Gather { batches, output, clock, width, results }).await
        }
        StageConfig::Bury { gather_queue_url, parked_queue_url } => {
            let stage = Bury {
                batches: variant.batches(parts(queue(gather_queue_url)))?,
                input_bucket: config.input_bucket.clone(),
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
