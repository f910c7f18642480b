//! The pipelines: stages put together, in one place for everything that runs them.

pub mod local;
pub mod variant;

use std::sync::Mutex;

use crate::batch::Batches;
use crate::batch::answers::Answers;
use crate::batch::chunks::RecordStore;
use crate::batch::dispatch::Dispatch;
use crate::batch::ranges::Ranges;
use crate::batch::reasons::Told;
use crate::batch::rules::{Deployed, Schemas};
use crate::model::error::Result;
use crate::model::fair::FairBy;
use crate::model::format::settings::FormatSettings;
use crate::model::limits::Limits;
use crate::model::processing::{Processing, Work};
use crate::model::schema::{RecordSchema, Rules};
use crate::model::tolerance::Tolerance;
use crate::pipeline::variant::{Pending, Variant};
use crate::processor::items::WriteItems;
use crate::stage::bury::Bury;
use crate::stage::gather::{CHECKPOINT_AFTER, Failures, Gather, Results};
use crate::stage::process::Process;
use crate::stage::reception::Reception;
use crate::stage::records::Records;
use crate::stage::scatter::{BOOKMARK_AFTER, Scatter};
use crate::stage::sweep::{Patience, Sweep};
use crate::store::Stores;
use crate::store::items::Items;
use crate::store::pace::{Pace, Paced, PacedStores};
use crate::store::requests::{NoRequests, Requests};

/// The buckets of a pipeline.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bucket {
    /// For uploads.
    Input,
    /// For pending chunks and their results.
    Work,
    /// For outputs.
    Output,
}

/// The channels of a pipeline.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Queue {
    /// To scatter.
    Scatter,
    /// To the workers.
    Process,
    /// To gather.
    Gather,
    /// For messages that no stage can work on.
    Parked,
    /// To the workers and to whoever else subscribed, in a pipeline that has a topic.
    Topic,
    /// To the state machine that runs the workers, in a pipeline that has one. It is told of a batch once.
    Machine,
}

/// Where a pipeline's stores come from. Each is requested only when a stage that needs it is built, since a function
/// knows no others.
pub trait Supply {
    /// The types of the stores.
    type Stores: Stores;

    /// A bucket.
    ///
    /// # Errors
    /// `Config` if it is not known.
    fn bucket(&self, bucket: Bucket) -> Result<<Self::Stores as Stores>::Blob>;

    /// A channel.
    ///
    /// # Errors
    /// `Config` if it is not known.
    fn queue(&self, queue: Queue) -> Result<<Self::Stores as Stores>::Channel>;

    /// The tasks table, which only some variants have.
    ///
    /// # Errors
    /// `Config` if it is not known.
    fn tasks(&self) -> Result<<Self::Stores as Stores>::Tasks>;

    /// The counters table, which only pipelines with counters have.
    ///
    /// # Errors
    /// `Config` if it is not known.
    fn counters(&self) -> Result<<Self::Stores as Stores>::Counters>;

    /// Batch state.
    fn ledger(&self) -> <Self::Stores as Stores>::Ledger;

    /// The time.
    fn clock(&self) -> <Self::Stores as Stores>::Clock;
}

/// The clock of a supply's stores.
type ClockOf<P> = <<P as Supply>::Stores as Stores>::Clock;

/// The stores of a supply, whose calls keep a pace.
type PacedOf<P> = PacedStores<<P as Supply>::Stores>;
type PacedBlob<P> = <PacedOf<P> as Stores>::Blob;
type PacedChannel<P> = <PacedOf<P> as Stores>::Channel;

/// What all stages of a pipeline are built from. Their calls keep one pace.
pub struct Pipeline<P: Supply> {
    /// The stores.
    pub supply: P,
    /// The variant, which says what parts it is made of.
    pub variant: Variant,
    /// The name of the bucket of uploads; events from any other are refused.
    pub input_bucket: String,
    /// The pace of its calls.
    pub pace: Pace<ClockOf<P>>,
    /// What is done with records.
    pub processing: Processing,
    /// How many records of a batch may fail.
    pub tolerance: Tolerance,
}

impl<P: Supply> Pipeline<P> {
    /// A pipeline of a variant on these stores.
    pub fn new(supply: P, variant: Variant, input_bucket: impl Into<String>) -> Self {
        let pace = Pace::new(supply.clock());
        let (processing, tolerance) = (Processing::default(), Tolerance::default());
        Self { supply, variant, input_bucket: input_bucket.into(), pace, processing, tolerance }
    }

    /// The same with what is done with records; by default, they become items.
    #[must_use]
    pub fn with_processing(self, processing: Processing) -> Self {
        Self { processing, ..self }
    }

    /// Sets how many records of a batch may fail. Process and sweep have to agree about it.
    #[must_use]
    pub fn with_tolerance(self, tolerance: Tolerance) -> Self {
        Self { tolerance, ..self }
    }

    fn bucket(&self, bucket: Bucket) -> Result<PacedBlob<P>> {
        Ok(self.pace.keep(self.supply.bucket(bucket)?))
    }

    fn queue(&self, queue: Queue) -> Result<PacedChannel<P>> {
        Ok(self.pace.keep(self.supply.queue(queue)?))
    }

    fn ledger(&self) -> <PacedOf<P> as Stores>::Ledger {
        self.pace.keep(self.supply.ledger())
    }

    /// What receives the messages of a channel. `dead_letters` takes those that are given up.
    pub fn reception(
        &self,
        source: Option<<P::Stores as Stores>::Channel>,
        dead_letters: Option<<P::Stores as Stores>::Channel>,
    ) -> Reception<PacedOf<P>> {
        let keep = |channel| self.pace.keep(channel);
        Reception {
            source: source.map(keep),
            dead_letters: dead_letters.map(keep),
            ledger: self.ledger(),
            clock: self.supply.clock(),
            noted: Mutex::default(),
        }
    }

    /// What the stages share that end chunks.
    ///
    /// # Errors
    /// `Config` if a store is not known.
    pub fn batches(&self) -> Result<Batches<PacedOf<P>>> {
        let answers = match self.processing.work {
            Work::Nothing => None,
            _ => Some(Answers { work: self.bucket(Bucket::Work)?, stored: self.processing.stores() }),
        };
        let counters = self.processing.aggregate.as_ref().map(|_| self.supply.counters()).transpose()?;
        let counters = counters.map(|counters| self.pace.keep(counters));
        Ok(Batches { answers, counters, ..self.batches_alone()? })
    }

    /// What the stages share that end none.
    fn batches_alone(&self) -> Result<Batches<PacedOf<P>>> {
        let condition = self.variant.condition;
        let chunks = match self.variant.pending {
            Pending::Bucket => RecordStore::Copied { work: self.bucket(Bucket::Work)? },
            Pending::Input => {
                let input = Ranges::new(self.bucket(Bucket::Input)?);
                RecordStore::InPlace { work: self.bucket(Bucket::Work)?, input }
            }
            Pending::Table => RecordStore::Rows(self.pace.keep(self.supply.tasks()?)),
        };
        let (ledger, gather, tolerance) = (self.ledger(), self.queue(Queue::Gather)?, self.tolerance);
        Ok(Batches {
            chunks,
            ledger,
            gather,
            condition,
            answers: None,
            counters: None,
            told: Told::default(),
            tolerance,
        })
    }

    /// How the workers are reached, by way of this channel.
    fn workers(&self, way: Queue) -> Result<Dispatch<PacedChannel<P>>> {
        let (channel, fan_out) = (self.queue(way)?, self.variant.fan_out);
        Ok(Dispatch { channel, fan_out, fair_by: FairBy::default() })
    }

    /// Scatter, for records that keep these rules, at most `chunk_size` of them in a chunk.
    ///
    /// # Errors
    /// `Config` if a store is not known.
    pub fn scatter(&self, rules: Rules, chunk_size: usize, format: FormatSettings) -> Result<Scatter<PacedOf<P>>> {
        Ok(Scatter {
            input: self.bucket(Bucket::Input)?,
            input_bucket: self.input_bucket.clone(),
            work: self.bucket(Bucket::Work)?,
            workers: self.workers(self.variant.way())?,
            batches: self.batches()?,
            clock: self.supply.clock(),
            variant: self.variant.name.to_owned(),
            rules: Deployed::new(rules),
            format,
            chunk_size: self.variant.chunk_size(chunk_size),
            width: self.variant.width,
            ranged: self.variant.ranged(),
            rows: None,
            limits: Limits::default(),
            bookmark_after: BOOKMARK_AFTER,
        })
    }

    /// What makes an item of every record, with as many requests under way at once as suit the variant.
    pub fn write_items<I: Items>(&self, items: I) -> WriteItems<Paced<I, ClockOf<P>>> {
        WriteItems::new(self.pace.keep(items)).with_width(self.variant.width)
    }

    /// Process, with the schema that decides which records are valid.
    ///
    /// # Errors
    /// `Config` if a store is not known.
    pub fn process<W>(&self, schema: RecordSchema, processor: W) -> Result<Process<PacedOf<P>, W>> {
        let (clock, width) = (self.supply.clock(), self.variant.width);
        let (batches, aggregate) = (self.batches()?, self.processing.aggregate.clone());
        Ok(Process { batches, processor, clock, schemas: Schemas::new(schema), width, aggregate })
    }

    /// Gather.
    ///
    /// # Errors
    /// `Config` if a store is not known.
    pub fn gather(&self, results: Results) -> Result<Gather<PacedOf<P>>> {
        let (output, clock) = (self.bucket(Bucket::Output)?, self.supply.clock());
        let work = self.bucket(Bucket::Work)?;
        // Gather ends no chunk, and only under the listing condition it finds one that was ended and not counted.
        let batches = if self.variant.condition.has_tree() { self.batches_alone()? } else { self.batches()? };
        let width = self.variant.width;
        let checkpoint_after = CHECKPOINT_AFTER;
        let (processing, at_most, report) = (self.processing.clone(), None, self.processing.report());
        Ok(Gather { batches, work, output, clock, width, results, checkpoint_after, at_most, processing, report })
    }

    /// What reads failed records again, after a batch was closed.
    ///
    /// # Errors
    /// `Config` if a store is not known.
    pub fn failures(&self) -> Result<Failures<PacedOf<P>>> {
        Ok(Failures { batches: self.batches_alone()?, work: self.bucket(Bucket::Work)?, width: self.variant.width })
    }

    /// Bury.
    ///
    /// # Errors
    /// `Config` if a store is not known.
    pub fn bury(&self) -> Result<Bury<PacedOf<P>>> {
        Ok(Bury {
            batches: self.batches()?,
            input_bucket: self.input_bucket.clone(),
            parked: self.queue(Queue::Parked)?,
            clock: self.supply.clock(),
            variant: self.variant.name.to_owned(),
            requests: NoRequests,
        })
    }

    /// Records that are sent one at a time, with the schema that decides which are valid.
    pub fn records<R: Requests, W>(
        &self,
        schema: RecordSchema,
        processor: W,
        requests: R,
    ) -> Records<Paced<R, ClockOf<P>>, W, ClockOf<P>> {
        let (requests, clock, width) = (self.pace.keep(requests), self.supply.clock(), self.variant.width);
        let events = matches!(self.processing.work, Work::Meter(_));
        Records { requests, processor, clock, schema, width, events }
    }

    /// Sweep.
    ///
    /// # Errors
    /// `Config` if a store is not known.
    pub fn sweep(&self, patience: Patience) -> Result<Sweep<PacedOf<P>>> {
        Ok(Sweep {
            batches: self.batches()?,
            scatter: self.queue(Queue::Scatter)?,
            // What was lost is sent again to the workers alone.
            workers: self.workers(Queue::Process)?,
            output: self.bucket(Bucket::Output)?,
            clock: self.supply.clock(),
            patience,
            width: self.variant.width,
            pace: self.pace.clone(),
            counted: Mutex::default(),
        })
    }
}
