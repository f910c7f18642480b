//! The progress of a batch.

use crate::batch::leaves;
use crate::model::error::Result;
use crate::model::ids::BatchId;
use crate::model::progress::{Batch, Tally};
use crate::model::view::BatchView;
use crate::store::ledger::Ledger;

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
            let (done, tally) = leaves::sum(ledger, batch).await?;
            (Some(done), tally)
        }
    };
    Ok(BatchView::new(batch, chunks_done, tally))
}
