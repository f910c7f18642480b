//! The functions: each stage with its stores on AWS.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;
use futures::future::join;
use futures::stream::{self, StreamExt};
use lambda_runtime::{LambdaEvent, service_fn};
use serde_json::Value;
use tokio::sync::OnceCell;
use tokio::time::timeout;

use crate::config::{BillingTables, Config, StageConfig};
use crate::server::{Server, deadline};
use fanfold::model::error::{Error, Result};
use fanfold::model::ids::BatchId;
use fanfold::model::processing::Work;
use fanfold::model::processing::http::SecretSource;
use fanfold::model::reporting::part::KEY_FIELD;
use fanfold::model::reporting::signature::Keys;
use fanfold::model::reporting::webhook::Webhooks;
use fanfold::model::schema::RecordSchema;
use fanfold::pipeline::variant::Pending;
use fanfold::pipeline::{Bucket, Pipeline, Queue, Supply};
use fanfold::processor::Processor;
use fanfold::processor::any::AnyProcessor;
use fanfold::processor::billing::close::Close;
use fanfold::processor::billing::daily::Daily;
use fanfold::processor::billing::halves::Halves;
use fanfold::processor::billing::metering::Metering;
use fanfold::processor::billing::terms::CheckTerms;
use fanfold::processor::chain::Chain;
use fanfold::processor::http::Http;
use fanfold::processor::invoke::Invoke;
use fanfold::processor::nothing::Nothing;
use fanfold::processor::usage::Usage;
use fanfold::stage::consolidate::Consolidate;
use fanfold::stage::notify::{Hooks, Notify};
use fanfold::stage::scatter::rows::RowReader;
use fanfold::store::blob::Blob;
use fanfold::store::clock::SystemClock;
use fanfold::store::keyring::Keyring;
use fanfold::store::ledger::Ledger;
use fanfold::store::pace::PacedStores;
use fanfold_api::Pipelines;
use fanfold_aws::aggregates::DynamoAggregates;
use fanfold_aws::billing::DynamoBilling;
use fanfold_aws::clients::{AwsStores, Clients, lambda_from_env};
use fanfold_aws::counters::DynamoCounters;
use fanfold_aws::deployment::Resources;
use fanfold_aws::invoke::LambdaFunction;
use fanfold_aws::meter::DynamoMeter;
use fanfold_aws::push::GatewayPush;
use fanfold_aws::secrets;
use fanfold_aws::sockets::DynamoSockets;
use fanfold_http::HttpWeb;

use fanfold_aws::channel::AwsChannel;
use fanfold_aws::items::DynamoItems;
use fanfold_aws::ledger::DynamoLedger;
use fanfold_aws::press::LambdaPress;
use fanfold_aws::requests::DynamoRequests;
use fanfold_aws::s3::S3Blob;
use fanfold_aws::sqs::SqsChannel;
use fanfold_aws::tasks::DynamoTasks;
use fanfold_aws::terms::DynamoTerms;
#[cfg(feature = "parquet")]
use fanfold_parquet::Parquet;

/// What the one meter of a pipeline is called, which is in its own ledger.
const METER: &str = "http";
/// After how long an index has what was written, as a rule
/// (<https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/GSI.html>: "usually within a fraction of a second").
const INDEX_SETTLES: Duration = Duration::from_secs(3);
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

    fn sqs(&self, url: &str) -> AwsChannel {
        SqsChannel::new(self.clients.sqs.clone(), url).into()
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

    fn queue(&self, queue: Queue) -> Result<AwsChannel> {
        let name = self.config.queues.get(&queue).ok_or_else(|| unset("the name of a channel that it sends to"))?;
        Ok(match queue {
            Queue::Topic => self.clients.topic(name).into(),
            Queue::Machine => self.clients.machine(name).into(),
            _ => self.sqs(name),
        })
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

/// Process, which lacks only what is done with records.
struct Workers<'a> {
    pipeline: &'a Pipeline<Configured<'a>>,
    server: &'a Server<PacedStores<AwsStores>>,
    schema: RecordSchema,
    /// Where the ends of records are written that are sent one at a time, if those are what this works on.
    requests: Option<DynamoRequests>,
}

impl Workers<'_> {
    async fn serve(self, processor: impl Processor) -> std::result::Result<(), lambda_runtime::Error> {
        let processor = AnyProcessor::new(processor);
        match self.requests {
            Some(requests) => {
                self.server.serve_with_outbox(&self.pipeline.records(self.schema, processor, requests)).await
            }
            None => self.server.serve(&self.pipeline.process(self.schema, processor)?).await,
        }
    }

    /// Serves with what is called for each record, and what stores those that succeed, if anything does.
    async fn serve_storing(
        self,
        first: impl Processor,
        then: Option<impl Processor>,
    ) -> std::result::Result<(), lambda_runtime::Error> {
        match then {
            Some(then) => self.serve(Chain { first, then }).await,
            None => self.serve(first).await,
        }
    }
}

/// Serves the invocations of the stage that `config` names, until Lambda ends the process. `custom` is what `PROCESSORS`
/// calls by that name.
///
/// # Errors
/// `Config` if `PROCESSORS` names `custom` and there is none, or the reverse; and those from which the Lambda runtime cannot
/// recover.
pub async fn run(
    config: Config,
    clients: Clients,
    custom: Option<AnyProcessor>,
) -> std::result::Result<(), lambda_runtime::Error> {
    let supply = Configured { config: &config, clients: &clients };
    let queue = |url: &Option<String>| url.as_ref().map(|url| supply.sqs(url));
    let (source, dead_letters) = (queue(&config.source_queue_url), queue(&config.dead_letter_queue_url));
    let pipeline = Pipeline::new(supply, config.variant, &config.input_bucket);
    let pipeline = pipeline.with_tolerance(config.stage.tolerance()).with_processing(config.processing.clone());
    let (reception, memory) = (pipeline.reception(source, dead_letters), config.memory);
    let server = Server { reception, pace: pipeline.pace.clone(), memory };
    match &config.stage {
        StageConfig::Scatter { chunk_size, rules, format, limits, fair_by } => {
            let scatter = pipeline.scatter(rules.clone(), *chunk_size, format.as_ref().clone())?;
            let scatter = scatter.with_rows(rows(memory)).with_limits(*limits).with_fair_by(*fair_by);
            server.serve(&scatter).await
        }
        StageConfig::Process {
            items_table,
            key_field,
            schema,
            write_mode,
            own,
            requests_table,
            usage_table,
            billing,
            ..
        } => {
            refuse_mismatch(&config.processing.work, custom.is_some())?;
            let read_first = match config.variant.pending {
                Pending::Bucket => Some(Bucket::Work),
                Pending::Input => Some(Bucket::Input),
                Pending::Table => None,
            };
            // Records that are sent one at a time are in no bucket.
            let read_first = read_first.filter(|_| requests_table.is_none());
            let bucket = read_first.map(|bucket| pipeline.supply.bucket(bucket)).transpose()?;
            warm_up(&pipeline.supply.ledger(), bucket).await;
            let store = items_table.as_ref().map(|table| {
                let items = DynamoItems::new(clients.dynamodb.clone(), table, key_field);
                pipeline.write_items(items.in_mode(*write_mode).with_own(*own))
            });
            let requests = requests_table.as_ref().map(|table| requests(&clients, table));
            let schema = schema.as_ref().clone();
            let workers = Workers { pipeline: &pipeline, server: &server, schema, requests };
            match (&config.processing.work, custom) {
                (Work::Nothing, _) => match store {
                    Some(store) => workers.serve(store).await,
                    None => workers.serve(Nothing).await,
                },
                (Work::Invoke(settings), _) => {
                    let function = LambdaFunction::new(lambda_from_env().await, &settings.function);
                    workers.serve_storing(Invoke::new(settings.as_ref().clone(), function, SystemClock), store).await
                }
                (Work::Http(settings), _) => {
                    let (web, clock) = (HttpWeb::new(), SystemClock);
                    let secrets = secrets::read_from_env(&web, &clock, &settings.secrets).await?;
                    let meter = pipeline.pace.keep(DynamoMeter::new(clients.dynamodb.clone(), &config.ledger_table));
                    let http = Http::new(web, meter, clock, METER, settings.as_ref().clone(), secrets);
                    workers.serve_storing(http, store).await
                }
                (Work::Usage(settings), _) => {
                    let table = usage_table.as_ref().ok_or_else(|| unset("USAGE_TABLE"))?;
                    let counters = pipeline.pace.keep(DynamoCounters::new(clients.dynamodb.clone(), table));
                    let usage = Usage { settings: settings.clone(), counters, clock: SystemClock };
                    workers.serve_storing(usage, store).await
                }
                (Work::Terms, _) => workers.serve_storing(CheckTerms, store).await,
                (Work::Meter(_), _) => {
                    let billing = Billing::new(&clients, billing.as_ref())?;
                    let events = pipeline.pace.keep(billing.rows);
                    workers.serve_storing(Metering::new(events, billing.clients, SystemClock), store).await
                }
                (Work::Bill(settings), _) => {
                    let table = billing.as_ref().and_then(|tables| tables.aggregates.clone());
                    let table = table.ok_or_else(|| unset("BILLING_AGGREGATES_TABLE"))?;
                    let aggregates = pipeline.pace.keep(DynamoAggregates::new(clients.dynamodb.clone(), table));
                    let daily = Daily { aggregates, grain: settings.usage_by };
                    let billing = Billing::new(&clients, billing.as_ref())?;
                    let rows = pipeline.pace.keep(billing.rows);
                    let output = pipeline.pace.keep(pipeline.supply.bucket(Bucket::Output)?);
                    let (events, packages, clock) = (rows.clone(), rows, SystemClock);
                    let close =
                        Close { events, packages, clients: billing.clients, output, clock, settles: INDEX_SETTLES };
                    workers.serve_storing(Halves { close, daily }, store).await
                }
                (Work::Custom, Some(custom)) => workers.serve_storing(custom, store).await,
                (Work::Custom, None) => Err(without_custom().into()),
            }
        }
        StageConfig::Gather { results } => server.serve(&pipeline.gather(*results)?).await,
        StageConfig::Consolidate { rows_table, press, columns, page } => {
            let output = pipeline.supply.bucket(Bucket::Output)?;
            let rows = DynamoItems::new(clients.dynamodb.clone(), rows_table, KEY_FIELD);
            let function = LambdaFunction::new(lambda_from_env().await, press);
            let consolidate = Consolidate {
                input: pipeline.pace.keep(pipeline.supply.bucket(Bucket::Input)?),
                output: pipeline.pace.keep(output.clone()),
                rows: pipeline.pace.keep(rows),
                press: LambdaPress::new(output, function),
                clock: SystemClock,
                columns: columns.clone(),
                page: page.clone(),
            };
            server.serve(&consolidate).await
        }
        StageConfig::Notify { pipeline: name, sockets, webhooks } => {
            let web = HttpWeb::new();
            let hooks = webhooks.as_ref().map(|webhooks| {
                let keyring = KeptKeys { web: web.clone(), sources: sources(webhooks), keys: OnceCell::new() };
                Hooks { web: web.clone(), allowed: webhooks.urls.clone(), keyring }
            });
            let sockets = sockets.as_ref().map(|(table, address)| {
                let table = pipeline.pace.keep(DynamoSockets::new(clients.dynamodb.clone(), table));
                (table, GatewayPush::new(&clients, web, address))
            });
            let notify = Notify {
                input: pipeline.pace.keep(pipeline.supply.bucket(Bucket::Input)?),
                output: pipeline.pace.keep(pipeline.supply.bucket(Bucket::Output)?),
                reports: reports(name, &config, &clients),
                sockets,
                hooks,
                clock: SystemClock,
            };
            server.serve(&notify).await
        }
        StageConfig::Bury { requests_table: Some(table) } => {
            let requests = pipeline.pace.keep(requests(&clients, table));
            server.serve(&pipeline.bury()?.with_requests(requests)).await
        }
        StageConfig::Bury { requests_table: None } => server.serve(&pipeline.bury()?).await,
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

/// The tables of billing.
struct Billing {
    rows: DynamoBilling,
    clients: DynamoTerms,
}

impl Billing {
    fn new(clients: &Clients, tables: Option<&BillingTables>) -> Result<Self> {
        let tables = tables.ok_or_else(|| unset("BILLING_EVENTS_TABLE"))?;
        let dynamodb = || clients.dynamodb.clone();
        let rows = DynamoBilling::new(dynamodb(), &tables.events, &tables.packages);
        Ok(Self { rows, clients: DynamoTerms::new(dynamodb(), &tables.clients) })
    }
}

/// The secrets that webhooks are signed with, by the places that they were given in.
fn sources(webhooks: &Webhooks) -> BTreeMap<String, SecretSource> {
    let named =
        webhooks.secrets.iter().enumerate().map(|(place, source)| (format!("webhooks {place}"), source.clone()));
    named.collect()
}

/// Keys that are read when they are first needed, and again until they could be.
struct KeptKeys {
    web: HttpWeb,
    sources: BTreeMap<String, SecretSource>,
    keys: OnceCell<Keys>,
}

impl Keyring for KeptKeys {
    async fn keys(&self) -> Result<Keys> {
        let read = async || {
            let secrets = secrets::read_from_env(&self.web, &SystemClock, &self.sources).await?;
            Keys::parse(self.sources.keys().filter_map(|name| secrets.get(name))).map_err(Error::config)
        };
        self.keys.get_or_try_init(read).await.cloned()
    }
}

/// How the reports of this pipeline stand.
fn reports(name: &str, config: &Config, clients: &Clients) -> Pipelines {
    let resources = Resources {
        input_bucket: config.input_bucket.clone(),
        work_bucket: config.work_bucket.clone(),
        output_bucket: config.output_bucket.clone().unwrap_or_default(),
        ledger_table: config.ledger_table.clone(),
        ..Resources::default()
    };
    Pipelines::single(name, resources, clients)
}

fn requests(clients: &Clients, table: &str) -> DynamoRequests {
    DynamoRequests::new(clients.dynamodb.clone(), table)
}

/// Refuses a `PROCESSORS` that does not fit what the functions are built around. Process alone refuses: the other stages
/// go on, so that its batches end, with this as their reason.
fn refuse_mismatch(work: &Work, custom: bool) -> Result<()> {
    match (work == &Work::Custom, custom) {
        (true, false) => Err(without_custom()),
        (false, true) => Err(Error::config(
            "PROCESSORS does not name custom, the processor that these functions are built around: \
             name it, or deploy without BOOTSTRAP",
        )),
        _ => Ok(()),
    }
}

fn without_custom() -> Error {
    Error::config(
        "PROCESSORS names custom, but these functions are built without a processor of your own: \
         deploy them with BOOTSTRAP, the path of an executable that has one, or take custom out",
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use fanfold::model::refusal::Refusal;

    #[test]
    fn processors_and_what_the_functions_are_built_around_have_to_fit() {
        assert!(refuse_mismatch(&Work::Custom, true).is_ok() && refuse_mismatch(&Work::Nothing, false).is_ok());
        for (work, custom, code) in
            [(Work::Custom, false, "NO_CUSTOM_PROCESSOR"), (Work::Nothing, true, "UNUSED_CUSTOM_PROCESSOR")]
        {
            let told = refuse_mismatch(&work, custom).unwrap_err().to_string();
            let found: Vec<&str> = Refusal::of(&told).unwrap().iter().map(|refusal| refusal.code).collect();
            assert_eq!(found, [code], "{told}");
        }
    }
}
