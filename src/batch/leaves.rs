//! What the leaves of a batch say, read page by page: there may be 65,536 of them.

use std::ops::Range;

use crate::batch::Batches;
use crate::model::condition::Condition;
use crate::model::error::Result;
use crate::model::ids::{BatchId, ChunkIndex, LEAF_SIZE, MAX_LEAVES, NODE_SIZE};
use crate::model::progress::{Batch, Leaf, Node, Sealing, Tally};
use crate::store::Stores;
use crate::store::ledger::Ledger;
use crate::store::ledger::tree::{self, Progress};

/// The number of leaves, or nodes, that are read in one call and held at once.
const PAGE: u32 = 100;
/// The most missing chunks of a batch with a tree that are named at once. Once those are done, the next ones are named.
pub const MOST_MISSING: usize = 65_536;

/// What a sealed batch lacks.
#[derive(Debug, PartialEq, Eq)]
pub struct Missing {
    /// Chunks that are not done, in ascending order; under the tree condition the first [`MOST_MISSING`] of them.
    pub chunks: Vec<ChunkIndex>,
    /// The number of all chunks that are not done.
    pub count: usize,
    /// Whether the batch turned out to be complete.
    pub progress: Progress,
}

impl Missing {
    /// Nothing that is known to be missing.
    fn nothing(progress: Progress) -> Self {
        Self { chunks: Vec::new(), count: 0, progress }
    }

    /// Adds the chunks, of those below `chunks`, that are not done in a leaf.
    fn add(&mut self, number: u32, leaf: &Leaf, chunks: u32) -> Result<()> {
        let first = number * LEAF_SIZE;
        for index in (first..chunks.min(first + LEAF_SIZE)).filter(|index| !leaf.done.contains(index)) {
            self.count += 1;
            if self.chunks.len() < MOST_MISSING {
                self.chunks.push(ChunkIndex::new(index)?);
            }
        }
        Ok(())
    }
}

/// Sums the leaves of a batch: the number of chunks that are done, and their tally. While scatter runs, the number of
/// leaves is unknown: the first page without marks is taken for the end.
///
/// # Errors
/// Those of the ledger.
pub async fn sum(ledger: &impl Ledger, batch: &Batch) -> Result<(u64, Tally)> {
    let (mut done, mut tally) = (0, Tally::default());
    let add = |_, leaf: &Leaf| {
        done += leaf.done.len() as u64;
        tally = tally + leaf.tally;
    };
    each(ledger, batch, 0, add).await?;
    Ok((done, tally))
}

/// Shows the leaves of a batch from one of them on, with their numbers, as far as [`sum`] counts them.
///
/// # Errors
/// Those of the ledger.
pub async fn each(ledger: &impl Ledger, batch: &Batch, from: u32, mut show: impl FnMut(u32, &Leaf)) -> Result<()> {
    let leaves = batch.sealing.as_ref().map_or(MAX_LEAVES, Sealing::leaves);
    for run in runs(from..leaves) {
        let page = ledger.read_leaves(&batch.opening.id, run.clone()).await?;
        if batch.sealing.is_none() && page.iter().all(|leaf| leaf.done.is_empty()) {
            break;
        }
        run.zip(&page).for_each(|(number, leaf)| show(number, leaf));
    }
    Ok(())
}

impl<S: Stores> Batches<S> {
    /// Returns the chunks of a sealed batch that are not done. Also marks full leaves and nodes that are missing from
    /// the set above them, so the batch may turn out to be complete.
    ///
    /// # Errors
    /// Those of the stores.
    pub async fn missing(&self, batch: &Batch) -> Result<Missing> {
        match (self.condition, &batch.sealing) {
            (_, None) => Ok(Missing::nothing(Progress::Open)),
            (Condition::Tree, Some(sealing)) => missing_in_tree(&self.ledger, batch, sealing).await,
            (Condition::Listing, Some(sealing)) => {
                let mut chunks = self.chunks.all_pending(&batch.opening.id).await?;
                chunks.retain(|chunk| chunk.get() < sealing.chunks);
                let progress = if chunks.is_empty() { Progress::Complete } else { Progress::Open };
                Ok(Missing { count: chunks.len(), chunks, progress })
            }
        }
    }
}

/// What a batch with a tree lacks, by its seal. A leaf or node that the set above it has is full, and not read.
///
/// # Errors
/// Those of the ledger.
pub async fn missing_in_tree(ledger: &impl Ledger, batch: &Batch, sealing: &Sealing) -> Result<Missing> {
    let (id, leaves) = (&batch.opening.id, sealing.leaves());
    let mut missing = Missing::nothing(Progress::of(batch));
    let open = (0..leaves.min(NODE_SIZE)).filter(|leaf| !batch.has_root_mark(*leaf));
    missing_in_leaves(ledger, id, sealing, open, &mut missing).await?;
    let nodes = 1..sealing.last_node().map_or(1, |(last, _)| last + 1);
    for run in runs(nodes.filter(|node| !batch.has_root_mark(Node::root_mark(*node)))) {
        for (number, node) in run.clone().zip(ledger.read_nodes(id, run).await?) {
            missing.progress = missing.progress.or(tree::settle_node(ledger, id, number, &node).await?);
            let covered = Node::leaves(number);
            let open = (covered.start..covered.end.min(leaves)).filter(|leaf| !node.full.contains(leaf));
            missing_in_leaves(ledger, id, sealing, open, &mut missing).await?;
        }
    }
    Ok(missing)
}

async fn missing_in_leaves(
    ledger: &impl Ledger,
    id: &BatchId,
    sealing: &Sealing,
    open: impl Iterator<Item = u32>,
    missing: &mut Missing,
) -> Result<()> {
    for run in runs(open) {
        for (number, leaf) in run.clone().zip(ledger.read_leaves(id, run).await?) {
            let settled = tree::settle(ledger, id, number, &leaf, sealing.scattered_at).await?;
            missing.progress = missing.progress.or(settled);
            missing.add(number, &leaf, sealing.chunks)?;
        }
    }
    Ok(())
}

/// Divides ascending numbers into ranges of consecutive ones, of at most [`PAGE`] each.
fn runs(numbers: impl Iterator<Item = u32>) -> impl Iterator<Item = Range<u32>> {
    let mut numbers = numbers.peekable();
    std::iter::from_fn(move || {
        let first = numbers.next()?;
        let mut run = first..first + 1;
        while run.end - first < PAGE && numbers.next_if_eq(&run.end).is_some() {
            run.end += 1;
        }
        Some(run)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn consecutive_numbers_are_read_together_as_far_as_a_page_reaches() {
        let of = |numbers: &[u32]| runs(numbers.iter().copied()).collect::<Vec<_>>();
        assert_eq!(of(&[]), []);
        assert_eq!(of(&[3, 4, 6, 9, 10]), [3..5, 6..7, 9..11]);
        assert_eq!(runs(256..470).collect::<Vec<_>>(), [256..356, 356..456, 456..470]);
    }

    #[test]
    fn what_is_missing_is_counted_in_full_and_named_up_to_a_bound() {
        let mut missing = Missing::nothing(Progress::Open);
        let leaf = Leaf { done: [256, 258].into(), ..Leaf::default() };
        missing.add(1, &leaf, 260).unwrap();
        let named: Vec<u32> = missing.chunks.iter().map(|chunk| chunk.get()).collect();
        assert_eq!((named, missing.count), (vec![257, 259], 2));
        for number in 2..300 {
            missing.add(number, &Leaf::default(), 299 * LEAF_SIZE).unwrap();
        }
        assert_eq!((missing.chunks.len(), missing.count), (MOST_MISSING, 2 + 297 * 256));
    }
}
