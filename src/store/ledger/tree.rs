//! Completion, exactly once: a tree of conditional sets.
//!
//! A leaf holds the marks of 256 chunks, the root those of all leaves and scatter's seal. A caller that sees a full
//! leaf marks it in the root, and one that sees a full root announces the end, whether its own mark is the first or a
//! repeat. So a mark counts once, and the redelivery that follows a crash after any of these calls makes up for it.

use crate::model::error::Result;
use crate::model::ids::{BatchId, ChunkIndex};
use crate::model::progress::{Batch, Leaf, Mark, Sealing};
use crate::model::timestamp::Timestamp;
use crate::store::ledger::Ledger;

/// Whether a batch is complete, as far as the caller could see.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use = "whoever sees a batch complete must announce it"]
pub enum Progress {
    /// Chunks, or the seal, are missing.
    Open,
    /// Everything is done: announce it.
    Complete,
}

/// Marks a chunk as done. The counts of a repeated mark are ignored.
///
/// # Errors
/// Those of the ledger; `Malformed` for a chunk that the tree cannot count.
pub async fn mark(
    ledger: &impl Ledger,
    batch: &BatchId,
    chunk: ChunkIndex,
    mark: impl Into<Mark>,
    now: Timestamp,
) -> Result<Progress> {
    let leaf = ledger.mark_leaf(batch, chunk.in_tree()?, mark.into(), now).await?;
    settle(ledger, batch, chunk.leaf(), &leaf).await
}

/// Marks a leaf in the root if it is full, and says whether that completes the batch.
///
/// # Errors
/// Those of the ledger.
pub async fn settle(ledger: &impl Ledger, batch: &BatchId, number: u32, leaf: &Leaf) -> Result<Progress> {
    if !leaf.is_full(number) {
        return Ok(Progress::Open);
    }
    let batch = ledger.mark_root(batch, number).await?;
    Ok(progress(batch.is_complete()))
}

/// Seals a batch after its last message was sent. Only the first seal counts: a scatter that goes on after its batch
/// was sealed by force has counted more chunks than the batch has.
///
/// # Errors
/// Those of the ledger.
pub async fn seal(ledger: &impl Ledger, batch: &BatchId, sealing: &Sealing) -> Result<Progress> {
    let batch = ledger.seal(batch, sealing).await?;
    size(ledger, &batch, sealing.scattered_at).await
}

/// Gives the last leaf of a sealed batch its size, by the seal that counts. Until then marking its last chunk
/// completes nothing: if the caller that sealed the batch dies first, a repeated seal or sweep completes it.
///
/// # Errors
/// Those of the ledger.
pub async fn size(ledger: &impl Ledger, batch: &Batch, now: Timestamp) -> Result<Progress> {
    let Some((number, size)) = batch.sealing.as_ref().and_then(Sealing::last_leaf) else {
        return Ok(progress(batch.is_complete()));
    };
    let leaf = ledger.size_leaf(&batch.opening.id, number, size, now).await?;
    settle(ledger, &batch.opening.id, number, &leaf).await
}

fn progress(complete: bool) -> Progress {
    if complete { Progress::Complete } else { Progress::Open }
}
