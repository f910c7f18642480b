//! A whole pipeline in one process, on stores in memory or your own: for using fanfold as a library, and for tests.

use std::marker::PhantomData;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::FutureExt;
use futures::future::BoxFuture;

use crate::batch::dispatch::FanOut;
use crate::batch::map;
use crate::intake::s3_event::event_of;
use crate::model::error::{Error, ErrorKind, Result};
use crate::model::format::settings::FormatSettings;
use crate::model::ids::{BatchId, PENDING, Revision};
use crate::model::input::InputRef;
use crate::model::limits::Limits;
use crate::model::message::MapOrder;
use crate::model::processing::aggregate::AggregateSettings;
use crate::model::processing::{Processing, Work};
use crate::model::report::ReportColumns;
use crate::model::schema::{Cells, RecordSchema};
use crate::model::summary::Summary;
use crate::model::timestamp::Timestamp;
use crate::model::tolerance::Tolerance;
use crate::pipeline::variant::Variant;
use crate::pipeline::{Bucket, Pipeline, Queue, Supply};
use crate::processor::Processor;
use crate::processor::any::AnyProcessor;
use crate::processor::items::WriteItems;
use crate::stage::bury::Bury;
use crate::stage::gather::{Gather, Results};
use crate::stage::process::Process;
use crate::stage::reception::MOST_TRIES;
use crate::stage::scatter::Scatter;
use crate::stage::scatter::rows::RowReader;
use crate::stage::summary::SUMMARY;
use crate::stage::sweep::{Patience, Sweep};
use crate::stage::{Disposition, Sorted, Stage, deliver, sort};
use crate::store::blob::memory::MemoryBlob;
use crate::store::blob::{Blob, read_all};
use crate::store::channel::memory::MemoryChannel;
use crate::store::channel::{Channel, Delivery, Outgoing};
use crate::store::clock::SystemClock;
use crate::store::counters::memory::MemoryCounters;
use crate::store::items::memory::MemoryItems;
use crate::store::ledger::memory::MemoryLedger;
use crate::store::tasks::memory::MemoryTasks;
use crate::store::{Clock, Stores};

/// The bucket that uploads go to.
pub const INPUT: &str = "input";
const LEASE_SECONDS: i64 = 60;
/// How often a batch that lacks something is mended before it counts as stuck.
const SWEEPS: usize = 20;
/// A batch stands still as soon as no message is left, and is never given up.
const PATIENCE: Patience = Patience { stall_after: 0, give_up_after: i64::MAX / 2000 };

/// The types of stores in one process, whose buckets all have one type.
pub struct LocalTypes<B>(PhantomData<B>);

/// The types of stores in memory.
pub type MemoryStores = LocalTypes<MemoryBlob>;

impl<B: Blob> Stores for LocalTypes<B> {
    type Blob = B;
    type Channel = MemoryChannel;
    type Tasks = MemoryTasks;
    type Counters = MemoryCounters;
    type Ledger = MemoryLedger;
    type Clock = SystemClock;
}

/// Stores in one process; all but the buckets are in memory.
#[derive(Debug, Clone, Default)]
pub struct LocalStores<B> {
    /// The bucket of uploads.
    pub input: B,
    /// The bucket of pending chunks and their results.
    pub work: B,
    /// The bucket of outputs.
    pub output: B,
    /// The tasks table.
    pub tasks: MemoryTasks,
    /// The counters table.
    pub counters: MemoryCounters,
    /// The ledger.
    pub ledger: MemoryLedger,
    /// The queues of scatter, process and gather, and of what is parked.
    pub queues: [MemoryChannel; 4],
    /// The orders to run workers for the chunks of a batch, in a pipeline that has a state machine.
    pub machine: MemoryChannel,
}

/// Stores in memory; clones share what they hold.
pub type Memory = LocalStores<MemoryBlob>;

impl Memory {
    /// Makes the work bucket notify the workers of chunks.
    fn notify_workers(&self) {
        let workers = self.queues[Queue::Process as usize].clone();
        self.work.notify(move |created| {
            if created.key.ends_with(PENDING) {
                let event = event_of(&uploaded("work", &created.key, &created.version, created.bytes));
                workers.send(event.into_iter().map(Outgoing::new).collect()).now_or_never();
            }
        });
    }
}

/// An object as its notification names it.
fn uploaded(bucket: &str, key: &str, version: &str, bytes: u64) -> InputRef {
    let (bucket, key, version_id) = (bucket.to_owned(), key.to_owned(), Some(version.to_owned()));
    InputRef { bucket, key, version_id, e_tag: None, bytes, format: None, read_as: None }
}

impl<B: Blob + Clone> Supply for LocalStores<B> {
    type Stores = LocalTypes<B>;

    fn bucket(&self, bucket: Bucket) -> Result<B> {
        Ok(match bucket {
            Bucket::Input => self.input.clone(),
            Bucket::Work => self.work.clone(),
            Bucket::Output => self.output.clone(),
        })
    }

    fn queue(&self, queue: Queue) -> Result<MemoryChannel> {
        Ok(match queue {
            // The workers are all who subscribed to the topic.
            Queue::Topic => self.queues[Queue::Process as usize].clone(),
            Queue::Machine => self.machine.clone(),
            _ => self.queues[queue as usize].clone(),
        })
    }

    fn tasks(&self) -> Result<MemoryTasks> {
        Ok(self.tasks.clone())
    }

    fn counters(&self) -> Result<MemoryCounters> {
        Ok(self.counters.clone())
    }

    fn ledger(&self) -> MemoryLedger {
        self.ledger.clone()
    }

    fn clock(&self) -> SystemClock {
        SystemClock
    }
}

/// Which records a pipeline takes, and how it works on them.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The variant; `None` for the one that this build prefers.
    pub variant: Option<Variant>,
    /// A JSON Schema (draft 2020-12) of a record; a CSV row's values are converted by its types.
    pub schema: String,
    /// The field that is a record's key.
    pub key_field: String,
    /// Records in a chunk, at most.
    pub chunk_size: usize,
    /// Which outcomes are written out.
    pub results: Results,
    /// The fields that name objects, if a completion report as of S3 Batch Operations is written.
    pub report: Option<ReportColumns>,
    /// How files are read.
    pub format: FormatSettings,
    /// What reads Parquet files; without it, they end their batches with a fault.
    pub rows: Option<Arc<dyn RowReader>>,
    /// How much work one batch may make.
    pub limits: Limits,
    /// What is counted of the records that succeed, if anything is.
    pub aggregate: Option<AggregateSettings>,
    /// How many records of a batch may fail before it is stopped.
    pub tolerance: Tolerance,
}

impl Settings {
    fn variant(&self) -> Result<Variant> {
        self.variant.map_or_else(Variant::preferred, Ok)
    }
}

impl Default for Settings {
    /// Any object that has a field `id`, 500 to a chunk, all outcomes written out; all may fail. No limits: stores in one
    /// process cost nothing.
    fn default() -> Self {
        let (schema, key_field) = ("{}".to_owned(), "id".to_owned());
        let (format, results, limits) = (FormatSettings::default(), Results::All, Limits::NONE);
        let (variant, report, rows, aggregate, tolerance) = (None, None, None, None, Tolerance::All);
        let chunk_size = 500;
        Self { variant, schema, key_field, chunk_size, results, report, format, rows, limits, aggregate, tolerance }
    }
}

/// A pipeline in one process; its stores are in memory by default.
pub struct LocalPipeline<S: Supply = Memory> {
    /// Its stores.
    pub stores: S,
    stages: Box<dyn Working>,
    items: MemoryItems,
    /// The channel by which workers first hear of a chunk.
    way: Queue,
}

/// The stages of a pipeline.
struct Stages<S: Stores> {
    scatter: Scatter<S>,
    process: Process<S, AnyProcessor>,
    gather: Gather<S>,
    bury: Bury<S>,
    sweep: Sweep<S>,
}

/// [`Stages`] behind a pointer, so that whoever uses those in memory need not compile them again.
trait Working: Send + Sync {
    /// Gives one message to the stage of a queue.
    fn handle<'a>(&'a self, queue: Queue, delivery: &'a Delivery) -> BoxFuture<'a, Disposition>;
    /// Invokes the stage of a queue once, as the server of a function does.
    fn invoke<'a>(
        &'a self,
        queue: Queue,
        deliveries: &'a [Delivery],
    ) -> BoxFuture<'a, Vec<(&'a Delivery, Disposition)>>;
    fn bury<'a>(&'a self, delivery: &'a Delivery) -> BoxFuture<'a, Disposition>;
    fn sweep(&self) -> BoxFuture<'_, Result<()>>;
    fn summary<'a>(&'a self, batch: &'a BatchId) -> BoxFuture<'a, Result<Option<Bytes>>>;
}

impl<S: Stores> Working for Stages<S> {
    fn handle<'a>(&'a self, queue: Queue, delivery: &'a Delivery) -> BoxFuture<'a, Disposition> {
        match queue {
            Queue::Scatter => deliver(&self.scatter, delivery, deadline()).boxed(),
            Queue::Process => deliver(&self.process, delivery, deadline()).boxed(),
            _ => deliver(&self.gather, delivery, deadline()).boxed(),
        }
    }

    fn invoke<'a>(
        &'a self,
        queue: Queue,
        deliveries: &'a [Delivery],
    ) -> BoxFuture<'a, Vec<(&'a Delivery, Disposition)>> {
        match queue {
            Queue::Scatter => invoke(&self.scatter, deliveries).boxed(),
            Queue::Process => invoke(&self.process, deliveries).boxed(),
            _ => invoke(&self.gather, deliveries).boxed(),
        }
    }

    fn bury<'a>(&'a self, delivery: &'a Delivery) -> BoxFuture<'a, Disposition> {
        deliver(&self.bury, delivery, deadline()).boxed()
    }

    fn sweep(&self) -> BoxFuture<'_, Result<()>> {
        self.sweep.run(deadline()).boxed()
    }

    fn summary<'a>(&'a self, batch: &'a BatchId) -> BoxFuture<'a, Result<Option<Bytes>>> {
        async move { read_all(&self.gather.output, &batch.output_key(SUMMARY)).await }.boxed()
    }
}

/// Invokes a stage once.
async fn invoke<'a, T: Stage>(stage: &T, deliveries: &'a [Delivery]) -> Vec<(&'a Delivery, Disposition)> {
    let Sorted { packs, rest: mut ended } = sort(stage, deliveries);
    for pack in packs {
        let dispositions = stage.handle_pack(&pack, deadline()).await;
        ended.extend(pack.iter().map(|received| received.delivery).zip(dispositions));
    }
    ended
}

impl LocalPipeline {
    /// A pipeline that makes an item of every record.
    ///
    /// # Errors
    /// `Config` for a bad schema, or in a build without a variant.
    pub fn of_items(settings: &Settings) -> Result<Self> {
        let items = MemoryItems::new();
        Ok(Self { items: items.clone(), ..Self::new(settings, WriteItems::new(items))? })
    }

    /// The items table of a pipeline [of items](Self::of_items); nothing is in that of another.
    pub fn items(&self) -> &MemoryItems {
        &self.items
    }

    /// A pipeline in memory that gives its records to a processor.
    ///
    /// # Errors
    /// `Config` for a bad schema, or in a build without a variant.
    pub fn new(settings: &Settings, processor: impl Processor) -> Result<Self> {
        let stores = Memory::default();
        if settings.variant()?.fan_out == FanOut::Notifications {
            stores.notify_workers();
        }
        Self::sharing(settings, stores, processor)
    }

    /// A pipeline on stores in memory that another one may share.
    ///
    /// # Errors
    /// `Config` for a bad schema, or in a build without a variant.
    pub fn sharing(settings: &Settings, stores: Memory, processor: impl Processor) -> Result<Self> {
        Self::in_memory(settings, stores, AnyProcessor::new(processor))
    }

    /// Is generic over nothing, so that the stages in memory are compiled here and not wherever they are used.
    fn in_memory(settings: &Settings, stores: Memory, processor: AnyProcessor) -> Result<Self> {
        Self::with_stores(settings, stores, processor)
    }

    /// Uploads a file, and returns the batch that it will become and the event that S3 would send.
    pub fn upload(&self, key: &str, body: impl Into<Bytes>) -> (BatchId, String) {
        let body = body.into();
        let bytes = body.len() as u64;
        let version = self.stores.input.upload(key, body);
        let event = event_of(&uploaded(INPUT, key, &version, bytes)).unwrap_or_default();
        (BatchId::of(INPUT, key, &Revision::Version(version)), event)
    }

    /// Makes a batch of a file and works until it is closed. The name of the file tells its format.
    ///
    /// # Errors
    /// `Internal` if the batch does not end, with the last error.
    pub async fn run_file(&self, name: &str, body: impl Into<Bytes>) -> Result<Summary> {
        let (batch, event) = self.upload(name, body);
        self.run_batch(&batch, event, || {}).await
    }

    /// Gives a message to a stage (0 scatter, 1 process, 2 gather).
    pub async fn handle(&self, stage: usize, delivery: &Delivery) -> Disposition {
        let queue = [Queue::Scatter, Queue::Process].get(stage).copied().unwrap_or(Queue::Gather);
        let disposition = self.stages.handle(queue, delivery).await;
        match self.map().await {
            Ok(_) => disposition,
            Err(error) => Disposition::Retry(error),
        }
    }

    /// Works until no message is left, and returns those that were rejected or must be redelivered.
    ///
    /// # Errors
    /// Those of the queues.
    pub async fn run(&self) -> Result<Vec<(Delivery, Disposition)>> {
        let mut left = Vec::new();
        for (stage, queue) in self.stores.queues.iter().take(3).enumerate() {
            loop {
                let deliveries = queue.receive(10).await?;
                if deliveries.is_empty() {
                    break;
                }
                for delivery in deliveries {
                    match self.handle(stage, &delivery).await {
                        Disposition::Done | Disposition::Discarded(_) => {}
                        disposition => left.push((delivery.clone(), disposition)),
                    }
                    queue.delete(&delivery.receipt).await?;
                }
            }
        }
        Ok(left)
    }

    /// The counters table.
    pub fn counters(&self) -> &MemoryCounters {
        &self.stores.counters
    }

    /// The summary of a batch, once written.
    pub fn summary(&self, batch: &BatchId) -> Option<Summary> {
        let text = self.stores.output.read(&batch.output_key(SUMMARY))?;
        serde_json::from_slice(&text).ok()
    }
}

impl<S: Supply> LocalPipeline<S> {
    /// A pipeline on your own stores that gives its records to a processor.
    ///
    /// # Errors
    /// `Config` for a bad schema, or in a build without a variant.
    pub fn with_stores(settings: &Settings, stores: S, processor: impl Processor) -> Result<Self> {
        let processor = AnyProcessor::new(processor);
        let (variant, key_field) = (settings.variant()?, settings.key_field.as_str());
        let schema = RecordSchema::parse(&settings.schema, key_field)?.with_cells(Cells::from(&settings.format))?;
        let work = if processor.is_repeatable() { Work::Nothing } else { Work::Custom };
        let processing = Processing { work, items: processor.stores(), aggregate: settings.aggregate.clone() };
        let pipeline =
            Pipeline::new(stores, variant, INPUT).with_processing(processing).with_tolerance(settings.tolerance);
        let stages = Stages {
            scatter: pipeline
                .scatter(schema.rules(), settings.chunk_size.max(1), settings.format.clone())?
                .with_rows(settings.rows.clone())
                .with_limits(settings.limits),
            process: pipeline.process(schema, processor)?,
            gather: Gather { report: settings.report.clone(), ..pipeline.gather(settings.results)? },
            bury: pipeline.bury()?,
            sweep: pipeline.sweep(PATIENCE)?,
        };
        let (stores, way) = (pipeline.supply, variant.way());
        Ok(Self { stores, stages: Box::new(stages), items: MemoryItems::new(), way })
    }

    /// Works on the batch that an event makes until it is closed; calls `look` whenever messages were worked on.
    ///
    /// # Errors
    /// `Internal` if the batch does not end, with the last error.
    pub async fn run_batch(&self, batch: &BatchId, event: String, mut look: impl FnMut()) -> Result<Summary> {
        self.stores.queue(Queue::Scatter)?.send(vec![Outgoing::new(event)]).await?;
        let mut said = None;
        for _ in 0..SWEEPS {
            while let Some(error) = self.turn().await? {
                said = error.or(said);
                look();
            }
            if let Some(summary) = self.stages.summary(batch).await? {
                let unreadable = |e| Error::internal("the summary is not readable").because(e);
                return serde_json::from_slice(&summary).map_err(unreadable);
            }
            self.stages.sweep().await?;
        }
        let said = said.map_or_else(String::new, |error: Error| format!("; the last error: {error}"));
        Err(Error::internal(format!("batch {batch} does not end{said}")))
    }

    /// Gives the messages that wait to their stages. `None` if there were none, otherwise the last error, if any.
    async fn turn(&self) -> Result<Option<Option<Error>>> {
        let (mut worked, mut said) = (self.map().await?, None);
        for queue in [Queue::Scatter, Queue::Process, Queue::Gather] {
            let deliveries = self.stores.queue(queue)?.receive(10).await?;
            worked |= !deliveries.is_empty();
            for (delivery, disposition) in self.stages.invoke(queue, &deliveries).await {
                said = self.conclude(queue, delivery, disposition).await?.or(said);
            }
        }
        Ok(worked.then_some(said))
    }

    /// Runs the state machine, in a pipeline that has one, and returns whether it had an order: workers get the claim checks
    /// by their queue.
    async fn map(&self) -> Result<bool> {
        if self.way != Queue::Machine {
            return Ok(false);
        }
        let (machine, workers) = (self.stores.queue(Queue::Machine)?, self.stores.queue(Queue::Process)?);
        let orders = machine.receive(10).await?;
        for order in &orders {
            let MapOrder { batch_id, chunks, .. } = MapOrder::parse(&order.body)?;
            let checks = map::read(&self.stores.bucket(Bucket::Work)?, &batch_id, chunks).await?;
            workers.send(checks.into_iter().map(Outgoing::new).collect()).await?;
            machine.delete(&order.receipt).await?;
        }
        Ok(!orders.is_empty())
    }

    /// Concludes a message: releases a failed one to be redelivered, or buries it if it has failed too often.
    async fn conclude(&self, queue: Queue, delivery: &Delivery, disposition: Disposition) -> Result<Option<Error>> {
        let channel = self.stores.queue(queue)?;
        // What is to come again later has not failed.
        let later = matches!(disposition, Disposition::Later(..));
        let error = match disposition {
            Disposition::Done | Disposition::Discarded(_) => None,
            Disposition::Rejected(error) | Disposition::Retry(error) | Disposition::Later(_, error) => Some(error),
        };
        let malformed = error.as_ref().is_some_and(|error| error.kind == ErrorKind::Malformed);
        if error.is_some() && (later || delivery.attempt < MOST_TRIES) && !malformed {
            channel.release(&delivery.receipt, Duration::ZERO).await?;
            return Ok(error);
        }
        if error.is_some() {
            self.stages.bury(delivery).await;
        }
        channel.delete(&delivery.receipt).await?;
        Ok(error)
    }
}

fn deadline() -> Timestamp {
    SystemClock.now().plus_seconds(LEASE_SECONDS)
}
