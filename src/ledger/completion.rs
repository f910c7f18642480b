//! Completion, exactly once: a tree of conditional sets.
//!
//! A leaf holds the marks of 256 chunks, the root those of all leaves and scatter's seal. Whoever
//! sees a full leaf marks it in the root, and whoever sees a full root announces the end, be it by
//! a first mark or by a repeated one. So a mark counts once, and a crash after any of these calls
//! is made good by the redelivery that follows it.

use super::Ledger;
use crate::model::error::Result;
use crate::model::ids::{BatchId, ChunkIndex};
use crate::model::progress::{Leaf, Sealing, Tally};
use crate::model::timestamp::Timestamp;

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
/// Those of the ledger; `Malformed` for a chunk that the tree can not count.
pub async fn mark(
    ledger: &impl Ledger,
    batch: &BatchId,
    chunk: ChunkIndex,
    tally: Tally,
    now: Timestamp,
) -> Result<Progress> {
    let leaf = ledger.mark_leaf(batch, chunk.in_tree()?, tally, now).await?;
    settle(ledger, batch, chunk.leaf(), &leaf).await
}

/// What a leaf means for its batch.
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

/// Seals a batch after its last message was sent. The last leaf gets its size before the seal is
/// set, so that no leaf of a sealed batch is ever taken for larger than it is.
///
/// # Errors
/// Those of the ledger.
pub async fn seal(ledger: &impl Ledger, batch: &BatchId, sealing: &Sealing) -> Result<Progress> {
    if let Some((number, size)) = sealing.last_leaf() {
        let leaf = ledger.size_leaf(batch, number, size, sealing.scattered_at).await?;
        // Whether that completes the batch shows after the seal.
        let _ = settle(ledger, batch, number, &leaf).await?;
    }
    let batch = ledger.seal(batch, sealing).await?;
    Ok(progress(batch.is_complete()))
}

fn progress(complete: bool) -> Progress {
    if complete { Progress::Complete } else { Progress::Open }
}
