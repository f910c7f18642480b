//! The functions: each stage with its stores on AWS.

use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;
use futures::future::join;
use futures::stream::{self, StreamExt};
use lambda_runtime::{LambdaEvent, service_fn};
use serde_json::Value;
use tokio::time::timeout;

use crate::config::{Config, StageConfig};
use crate::server::{Server, deadline};
use fanfold::model::error::{Error, Result};
use fanfold::model::ids::BatchId;
use fanfold::pipeline::variant::Pending;
use fanfold::pipeline::{Bucket, Pipeline, Queue, Supply};
use fanfold::stage::scatter::rows::RowReader;
use fanfold::store::blob::Blob;
use fanfold::store::clock::SystemClock;
use fanfold::store::ledger::Ledger;
use fanfold_aws::clients::{AwsStores, Clients};
use fanfold_aws::counters::DynamoCounters;
use fanfold_aws::items::DynamoItems;
use fanfold_aws::ledger::DynamoLedger;
use fanfold_aws::s3::S3Blob;
use fanfold_aws::sqs::SqsChannel;
use fanfold_aws::tasks::DynamoTasks;
#[cfg(feature = "parquet")]
use fanfold_parquet::Parquet;

/// How long a starting function may take to open the connections that its first message needs.
const WARM_UP: Duration = Duration::from_secs(1);
/// How many connections to DynamoDB it opens.
const CONNECTIONS: usize = 4;

/// Opens connections before the first message arrives, while Lambda gives a starting function more than its
/// share of a processor (<https://docs.aws.amazon.com/lambda/latest/dg/lambda-runtime-environment.html>). It
/// reads what does not exist; if that fails, the first message will show it. `bucket` is the one that holds the
/// records, if one does: a function has no right to read any other.
async fn warm_up(ledger: &DynamoLedger, bucket: Option<S3Blob>) {
    let Ok(nobody) = BatchId::parse("warm-up-000000000000") else {
        return;
    };
    let reads = stream::iter(0..CONNECTIONS).for_each_concurrent(CONNECTIONS, |_| ledger.read(&nobody).map(drop));
    let connect = async {
        if let Some(bucket) = bucket {
            let _ = bucket.get("warm-up", None).await;
        }
    };
    let _ = timeout(WARM_UP, join(reads, connect)).await;
}

/// The stores on AWS that a function is configured for.
struct Configured<'a> {
    config: &'a Config,
    clients: &'a Clients,
}

impl Configured<'_> {
    fn s3(&self, name: &str) -> S3Blob {
        S3Blob::new(self.clients.s3.clone(), name)
    }

    fn sqs(&self, url: &str) -> SqsChannel {
        SqsChannel::new(self.clients.sqs.clone(), url)
    }
}

impl Supply for Configured<'_> {
    type Stores = AwsStores;

    fn bucket(&self, bucket: Bucket) -> Result<S3Blob> {
        Ok(self.s3(match bucket {
            Bucket::Input => &self.config.input_bucket,
            Bucket::Work => &self.config.work_bucket,
            Bucket::Output => self.config.output_bucket.as_ref().ok_or_else(|| unset("OUTPUT_BUCKET"))?,
        }))
    }

    fn queue(&self, queue: Queue) -> Result<SqsChannel> {
        let url = self.config.queues.get(&queue);
        url.map(|url| self.sqs(url)).ok_or_else(|| unset("the URL of a queue that it sends to"))
    }

    fn tasks(&self) -> Result<DynamoTasks> {
        let table = self.config.tasks_table.as_ref().ok_or_else(|| unset("TASKS_TABLE"))?;
        Ok(DynamoTasks::new(self.clients.dynamodb.clone(), table))
    }

    fn counters(&self) -> Result<DynamoCounters> {
        let table = self.config.counters_table.as_ref().ok_or_else(|| unset("COUNTERS_TABLE"))?;
        Ok(DynamoCounters::new(self.clients.dynamodb.clone(), table))
    }

    fn ledger(&self) -> DynamoLedger {
        DynamoLedger::new(self.clients.dynamodb.clone(), &self.config.ledger_table)
    }

    fn clock(&self) -> SystemClock {
        SystemClock
    }
}

fn unset(what: &str) -> Error {
    Error::config(format!("the function is misconfigured: {what} is not set"))
}

/// What reads Parquet files, with five eighths of the function's memory; `None` in a build without the feature `parquet`.
#[cfg(feature = "parquet")]
fn rows(memory: Option<u64>) -> Option<Arc<dyn RowReader>> {
    let sized = |megabytes: u64| Parquet::with_memory((megabytes << 20) / 8 * 5);
    Some(Arc::new(memory.map_or_else(Parquet::default, sized)))
}

#[cfg(not(feature = "parquet"))]
fn rows(_: Option<u64>) -> Option<Arc<dyn RowReader>> {
    None
}

/// Serves the invocations of the stage that `config` names, until Lambda ends the process.
///
/// # Errors
/// Those from which the Lambda runtime cannot recover.
pub async fn run(config: Config, clients: Clients) -> std::result::Result<(), lambda_runtime::Error> {
    let supply = Configured { config: &config, clients: &clients };
    let queue = |url: &Option<String>| url.as_ref().map(|url| supply.sqs(url));
    let (source, dead_letters) = (queue(&config.source_queue_url), queue(&config.dead_letter_queue_url));
    let pipeline = Pipeline::new(supply, config.variant, &config.input_bucket);
    let pipeline = pipeline.with_tolerance(config.stage.tolerance());
    let server = Server { reception: pipeline.reception(source, dead_letters), pace: pipeline.pace.clone() };
    match &config.stage {
        StageConfig::Scatter { chunk_size, rules, format, limits, memory, fair_by } => {
            let scatter = pipeline.scatter(rules.clone(), *chunk_size, format.as_ref().clone())?;
            let scatter = scatter.with_rows(rows(*memory)).with_limits(*limits).with_fair_by(*fair_by);
            server.serve(&scatter).await
        }
        StageConfig::Process { items_table, key_field, schema, write_mode, own, .. } => {
            let read_first = match config.variant.pending {
                Pending::Bucket => Some(Bucket::Work),
                Pending::Input => Some(Bucket::Input),
                Pending::Table => None,
            };
            let bucket = read_first.map(|bucket| pipeline.supply.bucket(bucket)).transpose()?;
            warm_up(&pipeline.supply.ledger(), bucket).await;
            let items = DynamoItems::new(clients.dynamodb.clone(), items_table, key_field);
            let processor = pipeline.write_items(items.in_mode(*write_mode).with_own(*own));
            server.serve(&pipeline.process(schema.as_ref().clone(), processor)?).await
        }
        StageConfig::Gather { results } => server.serve(&pipeline.gather(*results)?).await,
        StageConfig::Bury => server.serve(&pipeline.bury()?).await,
        StageConfig::Sweep { patience, fair_by, .. } => {
            let sweep = pipeline.sweep(*patience)?.with_fair_by(*fair_by);
            // The event of a schedule says nothing that matters, and failures are left to an alarm.
            lambda_runtime::run(service_fn(async |event: LambdaEvent<Value>| {
                let deadline = deadline(&event.context);
                server.pace.until(deadline);
                sweep.run(deadline).await.map_err(lambda_runtime::Error::from)
            }))
            .await
        }
    }
}
