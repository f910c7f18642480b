//! Stops batches of which more records fail than are tolerated.

use std::collections::BTreeSet;

use crate::batch::concurrent::bounded;
use crate::batch::{Batches, leaves};
use crate::model::condition::Condition;
use crate::model::error::Result;
use crate::model::ids::{BatchId, ChunkIndex};
use crate::model::progress::{Batch, BatchState, Leaf, Stop, Tally};
use crate::model::timestamp::Timestamp;
use crate::model::tolerance::{Tolerance, Verdict};
use crate::store::Stores;
use crate::store::ledger::Ledger;

/// How many results are read between two looks at the clock.
const GROUP: usize = 100;

/// The results of a batch without leaves that were counted so far: none of them ever changes.
#[derive(Debug, Default)]
pub struct Counted {
    chunks: BTreeSet<ChunkIndex>,
    tally: Tally,
}

impl<S: Stores> Batches<S> {
    /// Called with a leaf in which a chunk with so many failures was counted, before that can complete the batch.
    ///
    /// # Errors
    /// Those of the ledger.
    pub(super) async fn heed(
        &self,
        id: &BatchId,
        chunk: ChunkIndex,
        leaf: &Leaf,
        failed: u64,
        now: Timestamp,
    ) -> Result<()> {
        match self.tolerance.judge(chunk.leaf(), leaf, failed) {
            Verdict::Tolerable => Ok(()),
            Verdict::Exceeded => self.stop_for(id, leaf.tally, now).await.map(drop),
            Verdict::Doubtful => {
                let batch = self.known_batch(id).await?;
                if self.is_watched(&batch) {
                    let (_, tally) = leaves::sum(&self.ledger, &batch).await?;
                    self.weigh(&batch, tally, now).await?;
                }
                Ok(())
            }
        }
    }

    /// Stops a batch if more of its records failed than are tolerated, and then returns it. Without leaves, its results
    /// are counted, as many of those that were not before as can be read `in_time`, up to `width` at once.
    ///
    /// # Errors
    /// Those of the stores.
    pub async fn enforce(
        &self,
        batch: &Batch,
        counted: &mut Counted,
        width: usize,
        now: Timestamp,
        in_time: impl Fn() -> bool,
    ) -> Result<Option<Batch>> {
        if !self.is_watched(batch) {
            return Ok(None);
        }
        let tally = match self.condition {
            Condition::Tree => leaves::sum(&self.ledger, batch).await?.1,
            Condition::Listing => {
                self.count_results(&batch.opening.id, counted, width, in_time).await?;
                counted.tally
            }
        };
        self.weigh(batch, tally, now).await
    }

    /// Whether a batch can be stopped for its failures.
    fn is_watched(&self, batch: &Batch) -> bool {
        let open = matches!(batch.state, BatchState::Scattering | BatchState::Processing);
        self.tolerance != Tolerance::All && open && batch.stop.is_none()
    }

    async fn weigh(&self, batch: &Batch, tally: Tally, now: Timestamp) -> Result<Option<Batch>> {
        if !self.tolerance.exceeded(tally.succeeded, tally.failed) {
            return Ok(None);
        }
        self.stop_for(&batch.opening.id, tally, now).await.map(Some)
    }

    async fn stop_for(&self, id: &BatchId, tally: Tally, now: Timestamp) -> Result<Batch> {
        let stop = Stop { state: BatchState::Failed, fault: self.tolerance.fault(tally), at: now };
        tracing::warn!(batch_id = %id, failed = tally.failed, succeeded = tally.succeeded, "too many failures");
        self.ledger.stop(id, &stop).await
    }

    /// Counts results that were not counted before.
    async fn count_results(
        &self,
        id: &BatchId,
        counted: &mut Counted,
        width: usize,
        in_time: impl Fn() -> bool,
    ) -> Result<()> {
        let mut after = None;
        loop {
            let page = self.chunks.decided_page(id, after).await?;
            after = page.last().copied();
            let new: Vec<ChunkIndex> = page.into_iter().filter(|chunk| !counted.chunks.contains(chunk)).collect();
            for some in new.chunks(GROUP) {
                if !in_time() {
                    return Ok(());
                }
                let read = some.iter().map(|chunk| self.chunks.outcomes(id, *chunk));
                for (chunk, decision) in some.iter().zip(bounded(read.collect(), width).await) {
                    if let Some(decision) = decision? {
                        counted.chunks.insert(*chunk);
                        counted.tally = counted.tally + decision.tally();
                    }
                }
            }
            if after.is_none() {
                return Ok(());
            }
        }
    }
}
