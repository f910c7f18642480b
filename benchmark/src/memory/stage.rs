//! One stage on stores in files, in a process of its own, and the report of that process.

use std::fmt;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, ValueEnum};
use fanfold::intake::s3_event::event_of;
use fanfold::model::error::{Error, Result};
use fanfold::model::format::settings::FormatSettings;
use fanfold::model::ids::{BatchId, Revision};
use fanfold::model::input::InputRef;
use fanfold::model::limits::Limits;
use fanfold::model::message::ProcessMessage;
use fanfold::model::schema::RecordSchema;
use fanfold::model::timestamp::Timestamp;
use fanfold::pipeline::variant::Variant;
use fanfold::pipeline::{Bucket, Pipeline, Queue, Supply};
use fanfold::processor::items::WriteItems;
use fanfold::stage::gather::Results;
use fanfold::stage::process::Process;
use fanfold::stage::{Disposition, Sorted, Stage, deliver, sort};
use fanfold::store::Clock;
use fanfold::store::channel::{Channel, Delivery};
use fanfold::store::clock::SystemClock;
use fanfold::store::counters::memory::MemoryCounters;
use fanfold::store::pace::{Paced, PacedStores};
use serde::{Deserialize, Serialize};

use super::resident;
use crate::records::KEY_FIELD;
use crate::stopwatch::Stopwatch;
use crate::stores::FileStores;
use crate::stores::channel::FileChannel;
use crate::stores::items::CountedItems;
use crate::stores::ledger::JournalLedger;
use crate::stores::tasks::FileTasks;
use fanfold::store::blob::file::FileBlob;

const INPUT: &str = "input";
/// Longer than any stage takes.
const LEASE_SECONDS: i64 = 24 * 3600;
/// The maximum number of messages per invocation.
const MESSAGES: usize = 10;
/// The schema of the records: `examples/orders.schema.json`.
const SCHEMA: &str = include_str!("../../../examples/orders.schema.json");

/// The task of a process.
#[derive(Debug, Clone, Args)]
pub struct Task {
    /// The part of the work to do.
    #[arg(long, value_enum)]
    pub role: Role,
    /// The folder of the stores.
    #[arg(long)]
    pub root: PathBuf,
    /// The variant.
    #[arg(long)]
    pub variant: String,
    /// Maximum number of records in a chunk.
    #[arg(long)]
    pub chunk_size: usize,
    /// The key of the input.
    #[arg(long)]
    pub key: String,
    /// For process: which message, from 0.
    #[arg(long, default_value_t = 0)]
    pub message: u64,
    /// For scatter and gather: the seconds that the invocation has.
    #[arg(long)]
    pub limit: Option<u32>,
    /// For scatter and gather: which invocation it is.
    #[arg(long, default_value_t = 1)]
    pub invocation: u32,
}

/// The part of the work that a process does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Role {
    /// The whole input.
    Scatter,
    /// Nothing: it sets up the stores of process, and ends.
    Idle,
    /// One message.
    Process,
    /// All messages, as many at a time as an invocation gets.
    ProcessAll,
    /// All outcomes.
    Gather,
}

/// The report of a process about itself.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ChildReport {
    /// Its peak memory, in KiB.
    pub peak_kib: u64,
    /// Seconds of the work alone.
    pub seconds: f64,
    /// For process with one message: the bytes of its chunk.
    pub chunk_bytes: u64,
    /// The number of messages for process so far.
    pub messages: u64,
    /// The number of items that it wrote.
    pub items: u64,
    /// In how many seconds another invocation is to go on; none if the stage is done.
    pub wait_seconds: Option<u32>,
}

/// Does the work, and prints a report as one line of JSON.
///
/// # Errors
/// The reason why the work failed.
pub async fn run(task: &Task) -> Result<ExitCode> {
    let mut told = work(task).await?;
    told.peak_kib = resident::peak_kib()?;
    let line = serde_json::to_string(&told).map_err(|e| Error::internal("nothing can be told").because(e))?;
    println!("{line}");
    Ok(ExitCode::SUCCESS)
}

/// Does the work.
///
/// # Errors
/// The reason why the work failed.
pub async fn work(task: &Task) -> Result<ChildReport> {
    let site = Site::open(task).await?;
    let process = site.process()?;
    let mut told = ChildReport::default();
    let mut watch = Stopwatch::start();
    match task.role {
        Role::Idle => {}
        Role::Scatter => {
            let event = task.delivery(event_of(&site.input()?).unwrap_or_default());
            watch = Stopwatch::start();
            let scatter = site.pipeline().scatter(
                RecordSchema::parse(SCHEMA, KEY_FIELD)?.rules(),
                site.chunk_size,
                FormatSettings::default(),
            )?;
            // What it measures is not paid for.
            let scatter = scatter.with_limits(Limits::NONE);
            told.wait_seconds = left(deliver(&scatter, &event, task.deadline()).await)?;
        }
        Role::Process => {
            let message = site.message(task.message).await?;
            told.chunk_bytes = site.chunk_bytes(&message.body)?;
            watch = Stopwatch::start();
            done(deliver(&process, &message, deadline()).await)?;
        }
        Role::ProcessAll => site.process_all(&process).await?,
        Role::Gather => {
            let message = site.gather.receive(1).await?.pop().ok_or_else(|| missing("message to gather"))?;
            watch = Stopwatch::start();
            let message = task.delivery(message.body);
            told.wait_seconds = left(deliver(&site.pipeline().gather(Results::All)?, &message, task.deadline()).await)?;
        }
    }
    told.seconds = watch.seconds();
    told.messages = site.queue.count()?;
    told.items = site.items.count();
    Ok(told)
}

/// A bucket in a folder of stores, open to other programs.
///
/// # Errors
/// `Internal` if it does not exist and cannot be created.
pub fn bucket(root: &Path, name: &str) -> Result<FileBlob> {
    FileBlob::open(&root.join(name), name == INPUT)
}

/// Makes a file the input of the stores in a folder, and returns the batch that it will be.
///
/// # Errors
/// `Internal` if the stores cannot be created.
pub fn submit(root: &Path, key: &str, file: &Path) -> Result<BatchId> {
    let version = bucket(root, INPUT)?.adopt(key, file)?;
    let batch = BatchId::of(INPUT, key, &Revision::Version(version.clone()));
    let path = root.join("version");
    std::fs::write(&path, version).map_err(|e| Error::internal(path.display().to_string()).because(e))?;
    Ok(batch)
}

fn missing(what: &str) -> Error {
    Error::internal(format!("there is no {what}; what came before it did not end"))
}

fn deadline() -> Timestamp {
    SystemClock.now().plus_seconds(LEASE_SECONDS)
}

impl Task {
    fn deadline(&self) -> Timestamp {
        self.limit.map_or_else(deadline, |seconds| SystemClock.now().plus_seconds(i64::from(seconds)))
    }

    fn delivery(&self, body: String) -> Delivery {
        let (id, receipt) = ("m0".to_owned(), format!("m0-{}", self.invocation));
        Delivery { id, receipt, body, attempt: self.invocation, first_received: None }
    }
}

/// In how many seconds a message is to be delivered again; `None` if it is done.
fn left(disposition: Disposition) -> Result<Option<u32>> {
    match disposition {
        Disposition::Later(at, _) => {
            let left = (at.0 - SystemClock.now().0).max(0).unsigned_abs().div_ceil(1000);
            Ok(Some(u32::try_from(left).unwrap_or(u32::MAX)))
        }
        ended => done(ended).map(|()| None),
    }
}

fn done(disposition: Disposition) -> Result<()> {
    match disposition {
        Disposition::Done => Ok(()),
        Disposition::Discarded(reason) => Err(Error::internal(format!("the message was discarded: {reason}"))),
        Disposition::Rejected(error) | Disposition::Retry(error) | Disposition::Later(_, error) => Err(error),
    }
}

/// The stores of one batch.
/// The process stage of a site.
type Worker = Process<PacedStores<FileStores>, WriteItems<Paced<CountedItems, SystemClock>>>;

struct Site {
    root: PathBuf,
    variant: Variant,
    chunk_size: usize,
    key: String,
    work: FileBlob,
    tasks: FileTasks,
    items: CountedItems,
    ledger: JournalLedger,
    queue: FileChannel,
    gather: FileChannel,
}

impl Site {
    async fn open(task: &Task) -> Result<Self> {
        let root = task.root.clone();
        Ok(Self {
            variant: Variant::named(&task.variant)?,
            chunk_size: task.chunk_size,
            key: task.key.clone(),
            work: bucket(&root, "work")?,
            tasks: FileTasks::open(&root.join("tasks"))?,
            items: CountedItems::default(),
            ledger: JournalLedger::open(&root.join("ledger.jsonl")).await?,
            queue: FileChannel::open(&root.join("process.jsonl"))?,
            gather: FileChannel::open(&root.join("gather.jsonl"))?,
            root,
        })
    }

    fn input(&self) -> Result<InputRef> {
        let version = std::fs::read_to_string(self.root.join("version")).map_err(|_| missing("input"))?;
        Ok(InputRef {
            bucket: INPUT.to_owned(),
            key: self.key.clone(),
            version_id: Some(version),
            e_tag: None,
            bytes: bucket(&self.root, INPUT)?.size(&self.key)?.unwrap_or_default(),
            format: None,
            read_as: None,
        })
    }

    fn pipeline(&self) -> Pipeline<&Self> {
        Pipeline::new(self, self.variant, INPUT)
    }

    fn process(&self) -> Result<Worker> {
        let schema = RecordSchema::parse(SCHEMA, KEY_FIELD)?;
        let pipeline = self.pipeline();
        pipeline.process(schema, pipeline.write_items(self.items.clone()))
    }

    async fn message(&self, number: u64) -> Result<Delivery> {
        for _ in 0..number {
            let passed = self.queue.receive(1).await?.pop().ok_or_else(|| missing("such message"))?;
            self.queue.delete(&passed.receipt).await?;
        }
        self.queue.receive(1).await?.pop().ok_or_else(|| missing("such message"))
    }

    async fn process_all(&self, process: &Worker) -> Result<()> {
        loop {
            let deliveries = self.queue.receive(MESSAGES).await?;
            if deliveries.is_empty() {
                return Ok(());
            }
            let Sorted { packs, rest } = sort(process, &deliveries);
            rest.into_iter().try_for_each(|(_, disposition)| done(disposition))?;
            for pack in packs {
                process.handle_pack(&pack, deadline()).await.into_iter().try_for_each(done)?;
            }
            for delivery in deliveries {
                self.queue.delete(&delivery.receipt).await?;
            }
        }
    }

    /// The bytes of a chunk, wherever it waits.
    fn chunk_bytes(&self, body: &str) -> Result<u64> {
        let message = ProcessMessage::parse(body)?;
        if let Some(range) = message.range {
            return Ok(range.length);
        }
        let pending = self.work.size(&message.batch_id.pending_key(message.chunk))?;
        let bytes = pending.or(self.tasks.size(&message.batch_id, message.chunk)?);
        bytes.ok_or_else(|| missing("chunk"))
    }
}

impl Supply for &Site {
    type Stores = FileStores;

    fn bucket(&self, name: Bucket) -> Result<FileBlob> {
        match name {
            Bucket::Input => bucket(&self.root, INPUT),
            Bucket::Work => Ok(self.work.clone()),
            Bucket::Output => bucket(&self.root, "output"),
        }
    }

    fn queue(&self, queue: Queue) -> Result<FileChannel> {
        match queue {
            Queue::Process => Ok(self.queue.clone()),
            Queue::Gather => Ok(self.gather.clone()),
            Queue::Scatter | Queue::Parked | Queue::Topic | Queue::Machine => Err(missing("such queue")),
        }
    }

    fn tasks(&self) -> Result<FileTasks> {
        Ok(self.tasks.clone())
    }

    fn counters(&self) -> Result<MemoryCounters> {
        Err(missing("counters table"))
    }

    fn ledger(&self) -> JournalLedger {
        self.ledger.clone()
    }

    fn clock(&self) -> SystemClock {
        SystemClock
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Scatter => "scatter",
            Self::Idle => "idle",
            Self::Process => "process",
            Self::ProcessAll => "process-all",
            Self::Gather => "gather",
        })
    }
}

/// The summary that gather wrote, if it did.
///
/// # Errors
/// Those of the bucket; `Internal` if it cannot be read.
pub async fn summary(root: &Path, batch: &BatchId) -> Result<fanfold::model::summary::Summary> {
    let output = bucket(root, "output")?;
    let text = fanfold::store::blob::read_all(&output, &batch.output_key("summary.json")).await?;
    let text = text.ok_or_else(|| missing("summary"))?;
    serde_json::from_slice(&text).map_err(|e| Error::internal("the summary is not readable").because(e))
}
