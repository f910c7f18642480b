//! The batches of a pipeline, the latest first. A page of closed ones takes two requests; each that is not closed is looked
//! at by itself.

use futures::stream::{self, StreamExt, TryStreamExt};

use crate::batch::view::{Around, settled, view};
use crate::model::error::Result;
use crate::model::progress::Batch;
use crate::model::timestamp::Timestamp;
use crate::model::view::BatchLine;
use crate::store::ledger::{Ledger, Listed, Listing, Notes, OpenBatch};

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
    let mut touched = Touched::default();
    for batch in open(ledger).await? {
        if let Some(view) = view(ledger, &batch.id, &Around::default(), now).await? {
            touched.batches += 1;
            touched.records += view.records.left();
        }
    }
    Ok(touched)
}

/// All batches of a pipeline that are not closed.
///
/// # Errors
/// Those of the ledger.
pub async fn open(ledger: &impl Ledger) -> Result<Vec<OpenBatch>> {
    let mut found = Vec::new();
    loop {
        let page = ledger.open_batches(found.last()).await?;
        if page.is_empty() {
            return Ok(found);
        }
        found.extend(page);
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
