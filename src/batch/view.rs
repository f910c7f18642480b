//! The progress of a batch.

use crate::model::error::Result;
use crate::model::ids::{BatchId, MAX_LEAVES};
use crate::model::progress::{Batch, Sealing, Tally};
use crate::model::view::BatchView;
use crate::store::ledger::Ledger;

/// The number of leaves read in one call.
const GROUP: u32 = 16;

/// Returns the progress of a batch; `None` until scatter has taken its event.
///
/// # Errors
/// Those of the ledger.
pub async fn view(ledger: &impl Ledger, id: &BatchId) -> Result<Option<BatchView>> {
    match ledger.read(id).await? {
        Some(batch) => Ok(Some(view_of(ledger, &batch).await?)),
        None => Ok(None),
    }
}

/// Returns the progress of a batch that was already read from the ledger.
///
/// # Errors
/// Those of the ledger.
pub async fn view_of(ledger: &impl Ledger, batch: &Batch) -> Result<BatchView> {
    let (chunks_done, tally) = match batch.tally {
        Some(tally) => (batch.sealing.as_ref().map(|sealing| u64::from(sealing.chunks)), tally),
        None if !batch.opening.condition.has_tree() => (None, Tally::default()),
        None => {
            let (done, tally) = sum(ledger, batch).await?;
            (Some(done), tally)
        }
    };
    Ok(BatchView::new(batch, chunks_done, tally))
}

/// Sums the leaves of a batch that is not closed. While scatter runs, the number of leaves is unknown: the first
/// group without marks is taken for the end.
async fn sum(ledger: &impl Ledger, batch: &Batch) -> Result<(u64, Tally)> {
    let leaves = batch.sealing.as_ref().map_or(MAX_LEAVES, Sealing::leaves);
    let (mut done, mut tally) = (0, Tally::default());
    for from in (0..leaves).step_by(GROUP as usize) {
        let group = ledger.read_leaves(&batch.opening.id, from..leaves.min(from + GROUP)).await?;
        let here: u64 = group.iter().map(|leaf| leaf.done.len() as u64).sum();
        if here == 0 && batch.sealing.is_none() {
            break;
        }
        done += here;
        tally = group.iter().fold(tally, |sum, leaf| sum + leaf.tally);
    }
    Ok((done, tally))
}
