//! Completion, exactly once: a tree of conditional sets.
//!
//! A leaf holds the marks of 256 chunks. The root holds those of the first 256 leaves, and scatter's seal; further leaves
//! are marked in nodes, of 256 leaves each, and the nodes in the root. A caller that sees a set full marks it in the one
//! above, and one that sees a full root announces the end, whether its own mark is the first or a repeat. So a mark
//! counts once, and the redelivery that follows a crash after any of these calls makes up for it.

use crate::model::error::Result;
use crate::model::ids::{BatchId, ChunkIndex};
use crate::model::progress::{Batch, Leaf, Mark, Node, Sealing};
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

impl Progress {
    /// What the root of a batch says.
    pub fn of(batch: &Batch) -> Self {
        if batch.is_complete() { Self::Complete } else { Self::Open }
    }

    /// What two callers know together: a batch that was once complete remains so.
    pub fn or(self, other: Self) -> Self {
        if self == Self::Complete { self } else { other }
    }
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
    settle(ledger, batch, chunk.leaf(), &leaf, now).await
}

/// Marks a leaf in its node or in the root if it is full, and says whether that completes the batch.
///
/// # Errors
/// Those of the ledger.
pub async fn settle(
    ledger: &impl Ledger,
    batch: &BatchId,
    number: u32,
    leaf: &Leaf,
    now: Timestamp,
) -> Result<Progress> {
    if !leaf.is_full(number) {
        return Ok(Progress::Open);
    }
    match Node::of(number) {
        Some(above) => settle_node(ledger, batch, above, &ledger.mark_node(batch, number, now).await?).await,
        None => Ok(Progress::of(&ledger.mark_root(batch, number).await?)),
    }
}

/// Marks a node in the root if it is full, and says whether that completes the batch.
///
/// # Errors
/// Those of the ledger.
pub async fn settle_node(ledger: &impl Ledger, batch: &BatchId, number: u32, node: &Node) -> Result<Progress> {
    if !node.is_full(number) {
        return Ok(Progress::Open);
    }
    Ok(Progress::of(&ledger.mark_root(batch, Node::root_mark(number)).await?))
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

/// Gives the last node and the last leaf of a sealed batch their sizes, by the seal that counts. Until then marking its
/// last chunk completes nothing: if the caller that sealed the batch dies first, a repeated seal or sweep completes it.
///
/// # Errors
/// Those of the ledger.
pub async fn size(ledger: &impl Ledger, batch: &Batch, now: Timestamp) -> Result<Progress> {
    let (id, sealing) = (&batch.opening.id, batch.sealing.as_ref());
    let Some((number, size)) = sealing.and_then(Sealing::last_leaf) else {
        return Ok(Progress::of(batch));
    };
    // The node comes first. It cannot be full before the last leaf is, and whoever sees that leaf full looks at the node.
    if let Some((node, size)) = sealing.and_then(Sealing::last_node) {
        ledger.size_node(id, node, size, now).await?;
    }
    let leaf = ledger.size_leaf(id, number, size, now).await?;
    settle(ledger, id, number, &leaf, now).await
}
