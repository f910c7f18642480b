//! How the end of a batch is noticed: by a tree of marks, or by listing the chunks that still wait.

use std::collections::BTreeSet;

use crate::batch::Batches;
use crate::model::condition::Condition;
use crate::model::error::Result;
use crate::model::ids::{BatchId, ChunkIndex};
use crate::model::progress::{Batch, Leaf, Mark, Sealing};
use crate::model::timestamp::Timestamp;
use crate::store::Stores;
use crate::store::ledger::Ledger;
use crate::store::ledger::tree::{self, Progress};

impl<S: Stores> Batches<S> {
    /// Notes that a chunk's items and outcomes are written; `copied` says whether its records wait in
    /// a store of their own. Stops the batch if more of its records failed than are tolerated, before that completes it.
    ///
    /// # Errors
    /// Those of the stores.
    pub async fn finish(
        &self,
        batch: &BatchId,
        chunk: ChunkIndex,
        mark: Mark,
        copied: bool,
        now: Timestamp,
    ) -> Result<Progress> {
        let progress = self.note(batch, chunk, mark, now).await?;
        self.put_away(batch, chunk, copied, progress).await
    }

    /// Notes that a chunk was ended unprocessed: what that says of its batch is known, or sweep finds it out.
    pub(super) async fn finish_buried(
        &self,
        batch: &BatchId,
        chunk: ChunkIndex,
        mark: Mark,
        copied: bool,
        now: Timestamp,
    ) -> Result<Progress> {
        let progress = match self.condition {
            Condition::Tree => tree::mark(&self.ledger, batch, chunk, mark, now).await?,
            Condition::Listing => Progress::Open,
        };
        self.put_away(batch, chunk, copied, progress).await
    }

    /// Discards the records of a chunk that is done.
    async fn put_away(&self, batch: &BatchId, chunk: ChunkIndex, copied: bool, progress: Progress) -> Result<Progress> {
        if copied {
            self.chunks.discard(batch, chunk).await?;
        }
        match self.condition {
            Condition::Tree => Ok(progress),
            Condition::Listing => self.by_listing(batch).await,
        }
    }

    /// Marks a chunk in the tree, if there is one.
    async fn note(&self, batch: &BatchId, chunk: ChunkIndex, mark: Mark, now: Timestamp) -> Result<Progress> {
        match self.condition {
            Condition::Tree => {
                let failed = mark.tally.failed;
                let leaf = self.ledger.mark_leaf(batch, chunk.in_tree()?, mark, now).await?;
                self.heed(batch, chunk, &leaf, failed, now).await?;
                tree::settle(&self.ledger, batch, chunk.leaf(), &leaf, now).await
            }
            Condition::Listing => Ok(Progress::Open),
        }
    }

    /// Seals a batch after its last message was sent.
    ///
    /// # Errors
    /// Those of the stores.
    pub async fn seal(&self, batch: &BatchId, sealing: &Sealing) -> Result<Progress> {
        match self.condition {
            Condition::Tree => tree::seal(&self.ledger, batch, sealing).await,
            Condition::Listing => {
                self.ledger.seal(batch, sealing).await?;
                self.by_listing(batch).await
            }
        }
    }

    /// Whether a batch that was opened is complete by now.
    ///
    /// # Errors
    /// Those of the stores.
    pub async fn is_complete(&self, batch: &Batch) -> Result<bool> {
        match (self.condition, &batch.sealing) {
            (Condition::Tree, _) => Ok(batch.is_complete()),
            (Condition::Listing, None) => Ok(false),
            (Condition::Listing, Some(sealing)) => {
                let first = self.chunks.first_pending(&batch.opening.id).await?;
                Ok(first.is_none_or(|chunk| chunk.get() >= sealing.chunks))
            }
        }
    }

    /// Returns what is left to do for a sealed batch: whether to announce its end, and which chunks to send again.
    ///
    /// A scatter that is repeated, or that runs beside another, may put back the records of chunks that are done. No
    /// worker might ever look at them again, so the records of chunks with a mark or a result are deleted here.
    ///
    /// # Errors
    /// Those of the stores.
    pub async fn resume(&self, batch: &Batch) -> Result<(Progress, Vec<ChunkIndex>)> {
        let id = &batch.opening.id;
        let pending = if batch.opening.ranged { Vec::new() } else { self.chunks.all_pending(id).await? };
        let decided = match self.condition {
            Condition::Listing => self.chunks.decided(id, &pending).await?,
            Condition::Tree => BTreeSet::new(),
        };
        let (mut waiting, mut leaf) = (Vec::new(), None);
        for chunk in pending {
            let done = match self.condition {
                _ if is_stray(batch, chunk) => true,
                // Chunks ascend, so that each leaf is read once.
                Condition::Tree => match &leaf {
                    Some((number, leaf)) if *number == chunk.leaf() => Leaf::holds(leaf, chunk),
                    _ => leaf.insert((chunk.leaf(), self.leaf(id, chunk).await?)).1.holds(chunk),
                },
                Condition::Listing => decided.contains(&chunk),
            };
            if done {
                // A worker that died after it decided may not have counted it. What was forgotten later stays so.
                if decided.contains(&chunk) && !batch.state.is_final() {
                    self.count_decided(id, chunk).await?;
                }
                self.chunks.discard(id, chunk).await?;
            } else if self.condition == Condition::Listing {
                waiting.push(chunk);
            }
        }
        let progress = match (self.condition, &batch.sealing) {
            _ if batch.state.is_final() => Progress::Open,
            (Condition::Tree, Some(sealing)) if !batch.is_complete() => {
                tree::size(&self.ledger, batch, sealing.scattered_at).await?
            }
            _ if self.is_complete(batch).await? => Progress::Complete,
            _ => Progress::Open,
        };
        Ok((progress, waiting))
    }

    async fn leaf(&self, id: &BatchId, chunk: ChunkIndex) -> Result<Leaf> {
        let leaves = self.ledger.read_leaves(id, chunk.leaf()..chunk.leaf() + 1).await?;
        Ok(leaves.into_iter().next().unwrap_or_default())
    }

    /// Reads the seal, then lists: whichever of worker and scatter comes last sees both, and nothing put before the
    /// seal can be missed. The listing ahead of that spares most workers the read.
    pub(super) async fn by_listing(&self, id: &BatchId) -> Result<Progress> {
        if self.chunks.first_pending(id).await?.is_some() {
            return Ok(Progress::Open);
        }
        let batch = self.ledger.read(id).await?.filter(|batch| !batch.state.is_final());
        Ok(match batch {
            Some(batch) if self.is_complete(&batch).await? => Progress::Complete,
            _ => Progress::Open,
        })
    }
}

/// Whether a batch has ended, or was sealed, without this chunk, which is not done.
pub(super) fn is_stray(batch: &Batch, chunk: ChunkIndex) -> bool {
    let past = batch.sealing.as_ref().is_some_and(|sealing| chunk.get() >= sealing.chunks);
    past || batch.state.is_final()
}
