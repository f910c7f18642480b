//! The batches of a pipeline, the latest first. A page of closed ones takes two requests; each that is not closed is looked
//! at by itself.

use futures::stream::{self, StreamExt, TryStreamExt};

use crate::batch::view::{Around, settled, view};
use crate::model::error::Result;
use crate::model::progress::Batch;
use crate::model::timestamp::Timestamp;
use crate::model::view::{BatchLine, RecordProgress};
use crate::store::ledger::{Ledger, Listed, Listing, Notes};

/// Open batches that are looked at together.
const TOGETHER: usize = 4;

/// A page of the list.
#[derive(Debug, Clone, PartialEq)]
pub struct Page {
    /// The batches.
    pub lines: Vec<BatchLine>,
    /// Where the next page begins; `None` at the end.
    pub next: Option<Listed>,
}

/// Lists a page of batches from `after` on.
///
/// # Errors
/// Those of the ledger.
pub async fn list(ledger: &(impl Ledger + Notes + Listing), after: Option<&Listed>, now: Timestamp) -> Result<Page> {
    let batches = ledger.recent(after).await?;
    let next = batches.last().map(Listed::of);
    let lines = stream::iter(batches).map(|batch| line(ledger, batch, now)).buffered(TOGETHER).try_collect().await?;
    Ok(Page { lines, next })
}

/// What a change of a pipeline's workers touches.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Touched {
    /// Batches that are not closed.
    pub batches: u64,
    /// Their records that did not end yet, as far as they are known of.
    pub records: u64,
}

/// Adds up the open batches of a pipeline.
///
/// # Errors
/// Those of the ledger.
pub async fn touched(ledger: &(impl Ledger + Notes), now: Timestamp) -> Result<Touched> {
    let (mut touched, mut after) = (Touched::default(), None);
    loop {
        let page = ledger.open_batches(after.as_ref()).await?;
        for open in &page {
            let Some(view) = view(ledger, &open.id, &Around::default(), now).await? else {
                continue;
            };
            let RecordProgress { total, at_least, succeeded, failed } = view.records;
            touched.batches += 1;
            touched.records += total.unwrap_or(at_least).saturating_sub(succeeded + failed);
        }
        after = page.into_iter().last();
        if after.is_none() {
            return Ok(touched);
        }
    }
}

async fn line(ledger: &(impl Ledger + Notes), batch: Batch, now: Timestamp) -> Result<BatchLine> {
    if !batch.state.is_final() {
        // The latest generation is the only one that is open.
        let open = view(ledger, &batch.opening.id, &Around::default(), now).await?;
        if let Some(open) = open.filter(|open| open.generation == batch.opening.id.generation()) {
            return Ok(BatchLine::from(&open));
        }
    }
    Ok(BatchLine::from(&settled(&batch, now)))
}
