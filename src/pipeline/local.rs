//! A whole pipeline in one process, on stores in memory: for tests, and to try fanfold as a library.

use crate::model::error::Result;
use crate::model::ids::{BatchId, Revision};
use crate::model::schema::RecordSchema;
use crate::model::summary::Summary;
use crate::pipeline::variant::{Parts, Variant};
use crate::stage::gather::{Gather, Results};
use crate::stage::process::Process;
use crate::stage::scatter::Scatter;
use crate::stage::{Outcome, Stage};
use crate::store::blob::memory::MemoryBlob;
use crate::store::channel::memory::MemoryChannel;
use crate::store::channel::{Channel, Delivery};
use crate::store::clock::SystemClock;
use crate::store::items::memory::MemoryItems;
use crate::store::ledger::memory::MemoryLedger;
use crate::store::tasks::memory::MemoryTasks;
use crate::store::{Clock, Stores};

/// The bucket that uploads go to.
pub const INPUT: &str = "input";
const LEASE_SECONDS: i64 = 60;

/// The stores in memory.
pub struct MemoryStores;

impl Stores for MemoryStores {
    type Blob = MemoryBlob;
    type Channel = MemoryChannel;
    type Items = MemoryItems;
    type Tasks = MemoryTasks;
    type Ledger = MemoryLedger;
    type Clock = SystemClock;
}

/// A pipeline in memory.
pub struct LocalPipeline {
    /// The bucket of uploads.
    pub input: MemoryBlob,
    /// The bucket of pending chunks and their results.
    pub work: MemoryBlob,
    /// The bucket of outputs.
    pub output: MemoryBlob,
    /// The items table.
    pub items: MemoryItems,
    /// The ledger.
    pub ledger: MemoryLedger,
    /// The queues of the three stages.
    pub queues: [MemoryChannel; 3],
    scatter: Scatter<MemoryStores>,
    process: Process<MemoryStores>,
    gather: Gather<MemoryStores>,
}

impl LocalPipeline {
    /// A pipeline of a variant for records of a schema.
    ///
    /// # Errors
    /// `Config` for an unknown variant or a bad schema.
    pub fn new(variant: &str, schema: &str, key_field: &str, chunk_size: usize) -> Result<Self> {
        let variant = Variant::named(variant)?;
        let [input, work, output] = [(); 3].map(|()| MemoryBlob::new());
        let queues = [(); 3].map(|()| MemoryChannel::new());
        let (items, tasks, ledger) = (MemoryItems::new(), MemoryTasks::new(), MemoryLedger::new());
        let batches = || {
            let (input, work, tasks) = (input.clone(), work.clone(), Some(tasks.clone()));
            variant.batches(Parts { input, work, tasks, ledger: ledger.clone(), gather: queues[2].clone() })
        };
        Ok(Self {
            scatter: Scatter {
                input: input.clone(),
                input_bucket: INPUT.to_owned(),
                process: queues[1].clone(),
                batches: batches()?,
                clock: SystemClock,
                variant: variant.name.to_owned(),
                key_field: key_field.to_owned(),
                chunk_size: variant.chunk_size(chunk_size),
                width: variant.width,
                ranged: variant.ranged(),
            },
            process: Process {
                batches: batches()?,
                items: items.clone(),
                clock: SystemClock,
                schema: RecordSchema::parse(schema, key_field)?,
                width: variant.width,
            },
            gather: Gather {
                batches: batches()?,
                output: output.clone(),
                clock: SystemClock,
                width: variant.width,
                results: Results::All,
            },
            input,
            work,
            output,
            items,
            ledger,
            queues,
        })
    }

    /// Chooses which outcomes are written out.
    pub fn set_results(&mut self, results: Results) {
        self.gather.results = results;
    }

    /// Uploads a file and returns the batch that it will be, and the event that S3 would send.
    pub fn upload(&self, key: &str, body: impl Into<bytes::Bytes>) -> (BatchId, String) {
        let body = body.into();
        let size = body.len();
        let version = self.input.upload(key, body);
        let event = serde_json::json!({"Records": [{
            "eventVersion": "2.1", "eventSource": "aws:s3", "awsRegion": "us-east-1",
            "eventTime": "2026-01-02T03:04:05.678Z", "eventName": "ObjectCreated:Put",
            "userIdentity": {"principalId": "A"}, "requestParameters": {"sourceIPAddress": "127.0.0.1"},
            "responseElements": {},
            "s3": {"s3SchemaVersion": "1.0", "configurationId": "c",
                "bucket": {"name": INPUT, "ownerIdentity": {"principalId": "A"}, "arn": "arn:aws:s3:::input"},
                "object": {"key": form_encoded(key), "size": size, "versionId": version, "sequencer": "0A"}}
        }]});
        (BatchId::of(INPUT, key, &Revision::Version(version)), event.to_string())
    }

    /// Gives a message to a stage (0 scatter, 1 process, 2 gather).
    pub async fn handle(&self, stage: usize, delivery: &Delivery) -> Outcome {
        let deadline = SystemClock.now().plus_seconds(LEASE_SECONDS);
        match stage {
            0 => self.scatter.handle(delivery, deadline).await,
            1 => self.process.handle(delivery, deadline).await,
            _ => self.gather.handle(delivery, deadline).await,
        }
    }

    /// Works until no message is left and returns those that were rejected or must come again.
    ///
    /// # Errors
    /// Those of the queues.
    pub async fn run(&self) -> Result<Vec<(Delivery, Outcome)>> {
        let mut left = Vec::new();
        for (stage, queue) in self.queues.iter().enumerate() {
            loop {
                let deliveries = queue.receive(10).await?;
                if deliveries.is_empty() {
                    break;
                }
                for delivery in deliveries {
                    match self.handle(stage, &delivery).await {
                        Outcome::Done | Outcome::Discarded(_) => {}
                        outcome => left.push((delivery.clone(), outcome)),
                    }
                    queue.delete(&delivery.receipt).await?;
                }
            }
        }
        Ok(left)
    }

    /// The summary of a batch, once written.
    pub fn summary(&self, batch: &BatchId) -> Option<Summary> {
        let text = self.output.read(&batch.output_key("summary.json"))?;
        serde_json::from_slice(&text).ok()
    }
}

/// A key as S3 writes it into an event.
fn form_encoded(key: &str) -> String {
    use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
    utf8_percent_encode(key, NON_ALPHANUMERIC).to_string().replace("%20", "+")
}
