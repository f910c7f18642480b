//! Batch logic that the stages share: how a chunk is found, finished or buried, where its records wait and its
//! outcomes are kept, and how the end of the batch is noticed. This is where variants differ.

pub mod answers;
pub mod budget;
pub mod bury;
pub mod chunks;
pub mod concurrent;
pub mod condition;
pub mod control;
pub mod counting;
pub mod coverage;
pub mod dispatch;
pub mod find;
pub mod keys;
pub mod lane;
pub mod leaves;
pub mod list;
pub mod map;
pub mod objects;
pub mod outcomes;
pub mod ranges;
pub mod reasons;
pub mod rules;
pub mod view;
mod walk;

use crate::batch::answers::Answers;
use crate::batch::chunks::RecordStore;
use crate::batch::reasons::Told;
use crate::model::condition::Condition;
use crate::model::error::{Error, Result};
use crate::model::ids::BatchId;
use crate::model::message::{GatherMessage, to_body};
use crate::model::progress::Batch;
use crate::model::tolerance::Tolerance;
use crate::store::Stores;
use crate::store::channel::{Channel, Outgoing};
use crate::store::ledger::Ledger;
use crate::store::ledger::tree::Progress;

/// The chunks, the ledger and the channel to gather.
pub struct Batches<S: Stores> {
    /// Where chunks wait.
    pub chunks: RecordStore<S>,
    /// Batch state.
    pub ledger: S::Ledger,
    /// The channel to gather.
    pub gather: S::Channel,
    /// How the end is noticed.
    pub condition: Condition,
    /// Where answers are kept until a chunk is done, if the pipeline's processor gives any that are worth it.
    pub answers: Option<Answers<S::Blob>>,
    /// The counters of what succeeds, if they are kept.
    pub counters: Option<S::Counters>,
    /// The reasons of failures that the ledger was told.
    pub told: Told,
    /// How many records of a batch may fail, for the stages that process or look after it.
    pub tolerance: Tolerance,
}

impl<S: Stores> Batches<S> {
    /// Returns a batch that the ledger must know.
    ///
    /// # Errors
    /// Those of the ledger; `Internal` if it does not know the batch.
    pub async fn known_batch(&self, id: &BatchId) -> Result<Batch> {
        let unknown = || Error::internal(format!("the ledger does not know batch {id}"));
        self.ledger.read(id).await?.ok_or_else(unknown)
    }

    /// Tells gather that a batch is complete, if it is. Repeats are harmless.
    ///
    /// # Errors
    /// Those of the channel.
    pub async fn announce(&self, batch: &BatchId, progress: Progress) -> Result<()> {
        if progress == Progress::Open {
            return Ok(());
        }
        tracing::info!(batch_id = %batch, "batch complete");
        let body = to_body(&GatherMessage::new(batch.clone()));
        self.gather.send(vec![Outgoing::ordered(body, batch.as_str())]).await
    }
}
