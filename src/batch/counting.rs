//! How the counters of a batch come to be what its outcomes say.
//!
//! What a chunk adds to the counters is kept with the decision on it. The caller that ends the chunk sets it once the
//! decision is made and before the chunk counts as done: so every chunk that is done is in the counters, as its outcomes
//! are, and no caller needs the records or the settings for that.

use futures::stream::{self, StreamExt, TryStreamExt};

use crate::batch::Batches;
use crate::batch::bury::is_refused;
use crate::batch::chunks::{Decision, MOST_AT_ONCE, RecordStore};
use crate::model::error::{Error, ErrorKind, Result};
use crate::model::fold::{Fold, Group, Totals};
use crate::model::ids::{BatchId, ChunkIndex};
use crate::model::progress::{Batch, Mark};
use crate::model::timestamp::Timestamp;
use crate::store::Stores;
use crate::store::counters::{Counters, MOST_ROWS};

impl<S: Stores> Batches<S> {
    /// Decides the outcomes of a chunk, unless they are already decided; sets what the decision that counts adds to the
    /// counters; and returns the mark for it, with the reasons for which its records failed. `reason` says why, if the chunk is buried.
    ///
    /// # Errors
    /// Those of the stores; `Malformed` if the chunk's counters take more than its decision can keep.
    pub async fn decide(
        &self,
        batch: &BatchId,
        chunk: ChunkIndex,
        decision: Decision,
        reason: &str,
        now: Timestamp,
    ) -> Result<Mark> {
        let decision = self.chunks.decide(batch, chunk, decision, reason, now).await?;
        let mark = self.mark_of(batch, &decision, now).await?;
        self.count(batch, chunk, decision).await?;
        Ok(mark)
    }

    /// The mark for a chunk that was decided and did not count as done, if it was, after setting what it adds to the
    /// counters.
    ///
    /// # Errors
    /// Those of the stores.
    pub async fn decided(&self, batch: &BatchId, chunk: ChunkIndex, now: Timestamp) -> Result<Option<Mark>> {
        let Some(decision) = self.chunks.outcomes(batch, chunk).await? else {
            return Ok(None);
        };
        let mark = self.mark_of(batch, &decision, now).await?;
        self.count(batch, chunk, decision).await?;
        Ok(Some(mark))
    }

    /// Sets what a chunk adds to the counters that was decided and did not count as done, so that nobody may have done it.
    pub(super) async fn count_decided(&self, batch: &BatchId, chunk: ChunkIndex) -> Result<()> {
        if self.counters.is_none() {
            return Ok(());
        }
        match self.chunks.outcomes(batch, chunk).await? {
            Some(decision) => self.count(batch, chunk, decision).await,
            None => Ok(()),
        }
    }

    /// Makes the counters of a batch that ends incomplete say what its outcomes will say, once no worker is left. Chunks
    /// that are not done have no outcomes, so that a redrive takes their records: what such a chunk was counted as, by a
    /// worker that could not mark it, is deleted. Under the listing condition what was decided counts.
    ///
    /// # Errors
    /// Those of the stores, unless somebody has to act before they can go away.
    pub async fn settle_counters(&self, batch: &Batch) -> Result<()> {
        let (Some(counters), id) = (&self.counters, &batch.opening.id) else {
            return Ok(());
        };
        let chunks = self.missing(batch).await?.chunks;
        let settled = stream::iter(chunks).map(|chunk| async move {
            let fold = self.chunks.outcomes(id, chunk).await?.and_then(|decision| decision.fold);
            match fold {
                Some(fold) if self.condition.has_tree() => forget(counters, id, chunk, &fold).await,
                Some(fold) => set(counters, id, chunk, &fold).await,
                None => Ok(()),
            }
        });
        let mut settled = settled.buffer_unordered(MOST_AT_ONCE as usize);
        while let Some(result) = settled.next().await {
            match result {
                Err(error) if error.kind == ErrorKind::Internal || is_refused(&error) => {
                    tracing::error!(batch_id = %id, %error, "counters not settled");
                }
                result => result?,
            }
        }
        Ok(())
    }

    async fn count(&self, batch: &BatchId, chunk: ChunkIndex, decision: Decision) -> Result<()> {
        match (&self.counters, decision.fold) {
            (Some(counters), Some(fold)) => set(counters, batch, chunk, &fold).await,
            (None, Some(fold)) if !fold.is_empty() => {
                // Whoever deployed this function without counters has no use for these.
                tracing::warn!(batch_id = %batch, %chunk, "counters of a chunk are not kept");
                Ok(())
            }
            _ => Ok(()),
        }
    }
}

async fn set(counters: &impl Counters, batch: &BatchId, chunk: ChunkIndex, fold: &Fold) -> Result<()> {
    let rows: Vec<(Group, Totals)> = fold.groups().map(|(group, totals)| (group.clone(), totals.clone())).collect();
    let requests = rows.chunks(MOST_ROWS).map(|some| counters.set(batch, chunk, some));
    all(requests.collect()).await
}

async fn forget(counters: &impl Counters, batch: &BatchId, chunk: ChunkIndex, fold: &Fold) -> Result<()> {
    let groups: Vec<Group> = fold.groups().map(|(group, _)| group.clone()).collect();
    let requests = groups.chunks(MOST_ROWS).map(|some| counters.forget(batch, chunk, some));
    all(requests.collect()).await
}

/// Makes requests, each of which returns what it left undone.
async fn all(requests: Vec<impl Future<Output = Result<Vec<usize>>>>) -> Result<()> {
    let undone: Vec<Vec<usize>> = stream::iter(requests).buffer_unordered(MOST_AT_ONCE as usize).try_collect().await?;
    if undone.iter().all(Vec::is_empty) { Ok(()) } else { Err(Error::busy("the counters table is too busy")) }
}

/// The rows that the chunks of a closed batch have in the counters table, by the decisions that were kept.
pub struct Counted<'a, S: Stores> {
    /// Where the decisions are kept.
    pub chunks: &'a RecordStore<S>,
    /// The batch, in one of its generations.
    pub batch: &'a Batch,
}

impl<S: Stores> Counted<'_, S> {
    /// How many rows there are.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn rows(&self) -> Result<u64> {
        self.each(|_, fold| async move { Ok(fold.groups().len() as u64) }).await
    }

    /// Deletes them, and returns how many that were. May be repeated.
    ///
    /// # Errors
    /// Those of the stores.
    pub async fn forget(&self, counters: &impl Counters) -> Result<u64> {
        let id = &self.batch.opening.id;
        self.each(|chunk, fold| async move {
            forget(counters, id, chunk, &fold).await?;
            Ok(fold.groups().len() as u64)
        })
        .await
    }

    /// Adds up what is done with the counters of each chunk.
    async fn each<D: Future<Output = Result<u64>>>(&self, act: impl Fn(ChunkIndex, Fold) -> D) -> Result<u64> {
        let id = &self.batch.opening.id;
        let sealed = self.batch.sealing.as_ref().map_or(0, |sealing| sealing.chunks);
        // A scatter that was slow or died may have put chunks that its batch does not count.
        let beyond = match self.batch.is_sealed_by_force() || self.batch.sealing.is_none() {
            true => self.chunks.known(id, sealed).await?.into_iter().map(ChunkIndex::get).collect(),
            false => Vec::new(),
        };
        let chunks = stream::iter((0..sealed).chain(beyond).map(ChunkIndex::new));
        let act = &act;
        let done = chunks.map(|chunk| async move {
            let chunk = chunk?;
            match self.chunks.outcomes(id, chunk).await? {
                Some(Decision { fold: Some(fold), .. }) => act(chunk, fold).await,
                _ => Ok(0),
            }
        });
        done.buffer_unordered(MOST_AT_ONCE as usize).try_fold(0, |sum, rows| async move { Ok(sum + rows) }).await
    }
}
