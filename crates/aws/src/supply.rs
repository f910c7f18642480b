//! The stores of a deployed pipeline, for those who look at it from outside.

use crate::channel::AwsChannel;
use crate::clients::{AwsStores, Clients};
use crate::counters::DynamoCounters;
use crate::deployment::Resources;
use crate::ledger::DynamoLedger;
use crate::s3::S3Blob;
use crate::sqs::SqsChannel;
use crate::tasks::DynamoTasks;
use fanfold::batch::view::{Around, look};
use fanfold::model::error::{Error, ErrorKind, Result};
use fanfold::model::ids::BatchId;
use fanfold::model::view::BatchView;
use fanfold::pipeline::variant::Variant;
use fanfold::pipeline::{Bucket, Pipeline, Queue, Supply};
use fanfold::store::Clock;
use fanfold::store::clock::SystemClock;
use fanfold::store::ledger::{Ledger, Notes};

/// A deployed pipeline.
#[derive(Debug, Clone)]
pub struct Deployed {
    /// The clients, with the rights of whoever looks.
    pub clients: Clients,
    /// Where it lies.
    pub resources: Resources,
}

impl Deployed {
    /// What the latest generation of a batch is doing, with what its queue holds and what it wrote; `None` until scatter has
    /// taken its event. `ledger` is its ledger, by whatever reads it.
    ///
    /// # Errors
    /// Those of the ledger and of the output bucket; a queue or a bucket that may not be looked at tells nothing.
    pub async fn seen(&self, ledger: &(impl Ledger + Notes), id: &BatchId) -> Result<Option<BatchView>> {
        let Some(seen) = look(ledger, id).await? else {
            return Ok(None);
        };
        if seen.is_final() {
            let mut view = seen.view(&Around::default(), SystemClock.now());
            view.outputs = match self.bucket(Bucket::Output)?.sizes(&view.batch_id.output_key("")).await {
                Err(error) if error.kind == ErrorKind::Denied => Vec::new(),
                listed => listed?,
            };
            return Ok(Some(view));
        }
        let around = match self.resources.queues.get("process") {
            Some(url) => SqsChannel::new(self.clients.sqs.clone(), url).around().await,
            None => Around::default(),
        };
        Ok(Some(seen.view(&around, SystemClock.now())))
    }

    /// The pipeline as this variant works on it.
    pub fn pipeline(&self, variant: Variant) -> Pipeline<Self> {
        Pipeline::new(self.clone(), variant, &self.resources.input_bucket)
    }
}

fn unnamed(what: &str) -> Error {
    Error::config(format!("the deployment names no {what}; run `make deploy` again"))
}

impl Supply for Deployed {
    type Stores = AwsStores;

    fn bucket(&self, bucket: Bucket) -> Result<S3Blob> {
        let name = match bucket {
            Bucket::Input => &self.resources.input_bucket,
            Bucket::Work => &self.resources.work_bucket,
            Bucket::Output => &self.resources.output_bucket,
        };
        Ok(S3Blob::new(self.clients.s3.clone(), name))
    }

    fn queue(&self, queue: Queue) -> Result<AwsChannel> {
        let queues = &self.resources.queues;
        let url = match queue {
            Queue::Scatter => queues.get("scatter"),
            Queue::Process => queues.get("process"),
            Queue::Gather => queues.get("gather"),
            Queue::Parked => self.resources.parked_queue.as_ref(),
            // Nobody publishes or starts anything from outside.
            Queue::Topic | Queue::Machine => None,
        };
        Ok(SqsChannel::new(self.clients.sqs.clone(), url.ok_or_else(|| unnamed("queue of that stage"))?).into())
    }

    fn tasks(&self) -> Result<DynamoTasks> {
        let table = self.resources.tasks_table.as_ref().ok_or_else(|| unnamed("tasks table"))?;
        Ok(DynamoTasks::new(self.clients.dynamodb.clone(), table))
    }

    fn counters(&self) -> Result<DynamoCounters> {
        let table = self.resources.counters_table.as_ref().ok_or_else(|| unnamed("counters table"))?;
        Ok(DynamoCounters::new(self.clients.dynamodb.clone(), table))
    }

    fn ledger(&self) -> DynamoLedger {
        DynamoLedger::new(self.clients.dynamodb.clone(), &self.resources.ledger_table)
    }

    fn clock(&self) -> SystemClock {
        SystemClock
    }
}
