//! The pipelines: stages put together, in one place for everything that runs them.

pub mod local;
pub mod variant;

use crate::batch::Batches;
use crate::batch::chunks::RecordStore;
use crate::batch::dispatch::Dispatch;
use crate::batch::ranges::Ranges;
use crate::batch::rules::{Deployed, Schemas};
use crate::model::error::Result;
use crate::model::format::settings::FormatSettings;
use crate::model::schema::{RecordSchema, Rules};
use crate::pipeline::variant::{Pending, Variant};
use crate::stage::bury::Bury;
use crate::stage::gather::{Gather, Results};
use crate::stage::process::Process;
use crate::stage::scatter::Scatter;
use crate::stage::sweep::{Patience, Sweep};
use crate::store::Stores;

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

    /// Batch state.
    fn ledger(&self) -> <Self::Stores as Stores>::Ledger;

    /// The time.
    fn clock(&self) -> <Self::Stores as Stores>::Clock;
}

/// What all stages of a pipeline are built from.
#[derive(Debug, Clone)]
pub struct Pipeline<P> {
    /// The stores.
    pub supply: P,
    /// The variant, which says what parts it is made of.
    pub variant: Variant,
    /// The name of the bucket of uploads; events from any other are refused.
    pub input_bucket: String,
}

impl<P: Supply> Pipeline<P> {
    /// What the stages share.
    ///
    /// # Errors
    /// `Config` if a store is not known.
    pub fn batches(&self) -> Result<Batches<P::Stores>> {
        let (supply, condition) = (&self.supply, self.variant.condition);
        let chunks = match self.variant.pending {
            Pending::Bucket => RecordStore::Copied { work: supply.bucket(Bucket::Work)? },
            Pending::Input => {
                let input = Ranges::new(supply.bucket(Bucket::Input)?);
                RecordStore::InPlace { work: supply.bucket(Bucket::Work)?, input }
            }
            Pending::Table => RecordStore::Rows(supply.tasks()?),
        };
        Ok(Batches { chunks, ledger: supply.ledger(), gather: supply.queue(Queue::Gather)?, condition })
    }

    fn workers(&self) -> Result<Dispatch<<P::Stores as Stores>::Channel>> {
        Ok(Dispatch { channel: self.supply.queue(Queue::Process)?, fan_out: self.variant.fan_out })
    }

    /// Scatter, for records that keep these rules, at most `chunk_size` of them in a chunk.
    ///
    /// # Errors
    /// `Config` if a store is not known.
    pub fn scatter(&self, rules: Rules, chunk_size: usize, format: FormatSettings) -> Result<Scatter<P::Stores>> {
        Ok(Scatter {
            input: self.supply.bucket(Bucket::Input)?,
            input_bucket: self.input_bucket.clone(),
            work: self.supply.bucket(Bucket::Work)?,
            workers: self.workers()?,
            batches: self.batches()?,
            clock: self.supply.clock(),
            variant: self.variant.name.to_owned(),
            rules: Deployed::new(rules),
            format,
            chunk_size: self.variant.chunk_size(chunk_size),
            width: self.variant.width,
            ranged: self.variant.ranged(),
            rows: None,
        })
    }

    /// Process, with the schema that decides which records are valid.
    ///
    /// # Errors
    /// `Config` if a store is not known.
    pub fn process<W>(&self, schema: RecordSchema, processor: W) -> Result<Process<P::Stores, W>> {
        let (clock, width) = (self.supply.clock(), self.variant.width);
        Ok(Process { batches: self.batches()?, processor, clock, schemas: Schemas::new(schema), width })
    }

    /// Gather.
    ///
    /// # Errors
    /// `Config` if a store is not known.
    pub fn gather(&self, results: Results) -> Result<Gather<P::Stores>> {
        let (output, clock) = (self.supply.bucket(Bucket::Output)?, self.supply.clock());
        let work = self.supply.bucket(Bucket::Work)?;
        Ok(Gather { batches: self.batches()?, work, output, clock, width: self.variant.width, results })
    }

    /// Bury.
    ///
    /// # Errors
    /// `Config` if a store is not known.
    pub fn bury(&self) -> Result<Bury<P::Stores>> {
        Ok(Bury {
            batches: self.batches()?,
            input_bucket: self.input_bucket.clone(),
            parked: self.supply.queue(Queue::Parked)?,
            clock: self.supply.clock(),
            variant: self.variant.name.to_owned(),
        })
    }

    /// Sweep.
    ///
    /// # Errors
    /// `Config` if a store is not known.
    pub fn sweep(&self, patience: Patience) -> Result<Sweep<P::Stores>> {
        Ok(Sweep {
            batches: self.batches()?,
            scatter: self.supply.queue(Queue::Scatter)?,
            workers: self.workers()?,
            output: self.supply.bucket(Bucket::Output)?,
            clock: self.supply.clock(),
            patience,
            width: self.variant.width,
        })
    }
}
