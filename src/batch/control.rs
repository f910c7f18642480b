//! What people decide about a batch: that its failures are processed again, or that it ends early.

use crate::model::error::{Error, Result};
use crate::model::fault::Fault;
use crate::model::ids::{BatchId, MAX_GENERATION};
use crate::model::message::{RedriveMessage, to_body};
use crate::model::progress::{Batch, BatchState, Stop};
use crate::model::reason::ReasonId;
use crate::model::timestamp::Timestamp;
use crate::store::channel::{Channel, Outgoing};
use crate::store::ledger::Ledger;

/// Returns the latest generation of a batch; `None` if the ledger does not know it.
///
/// # Errors
/// Those of the ledger.
pub async fn latest(ledger: &impl Ledger, id: &BatchId) -> Result<Option<Batch>> {
    let Some(mut batch) = ledger.read(id).await? else {
        return Ok(None);
    };
    while let Some(later) = ledger.read(&id.in_generation(batch.opening.id.generation() + 1)).await? {
        batch = later;
    }
    Ok(Some(batch))
}

/// Has the failed records of a closed batch processed again, or `only` those that failed for that reason, and returns the
/// generation in which they will be. Asking twice is the same as asking once: the generation has a name before it exists, and
/// the first reason that was asked for counts.
///
/// # Errors
/// `Conflict` if there is nothing to redrive, and those of the stores.
pub async fn redrive(
    ledger: &impl Ledger,
    scatter: &impl Channel,
    batch: &Batch,
    only: Option<ReasonId>,
) -> Result<BatchId> {
    redrivable(ledger, batch).await?;
    let next = batch.opening.id.in_generation(batch.opening.id.generation() + 1);
    scatter.send(vec![Outgoing::new(to_body(&RedriveMessage::new(next.clone()).only(only)))]).await?;
    Ok(next)
}

/// Checks that the failed records of a batch can be processed again.
///
/// # Errors
/// `Conflict` if not, with the reason, and those of the ledger.
pub async fn redrivable(ledger: &impl Ledger, batch: &Batch) -> Result<()> {
    let id = &batch.opening.id;
    let refuse = |reason: &str| Err(Error::conflict(format!("batch {id} cannot be redriven: {reason}")));
    if !batch.state.is_final() {
        return refuse("it is not closed; see `fanfold status`");
    }
    let first = ledger.read(&id.in_generation(0)).await?;
    if !first.is_some_and(|first| first.is_redrivable()) {
        return refuse("its file was not read to the end; correct the file and submit it again");
    }
    if batch.tally.is_some_and(|tally| tally.failed == 0) {
        return refuse("none of its records failed");
    }
    if id.generation() == MAX_GENERATION {
        return refuse("it was redriven as often as is possible; submit its failed records as a new file");
    }
    Ok(())
}

/// Ends a batch early: waiting chunks are skipped, and finished work stays.
///
/// # Errors
/// `Conflict` if there is nothing left to cancel, and those of the ledger.
pub async fn cancel(ledger: &impl Ledger, batch: &Batch, now: Timestamp) -> Result<()> {
    cancellable(batch)?;
    let stop = Stop { state: BatchState::Cancelled, fault: Fault::cancelled(), at: now };
    let after = ledger.stop(&batch.opening.id, &stop).await?;
    if after.stop.is_none() { Err(nothing_left(&after)) } else { Ok(()) }
}

/// Checks that a batch can be ended early.
///
/// # Errors
/// `Conflict` if it has ended.
pub fn cancellable(batch: &Batch) -> Result<()> {
    if batch.state.is_final() { Err(nothing_left(batch)) } else { Ok(()) }
}

fn nothing_left(batch: &Batch) -> Error {
    let (id, state) = (&batch.opening.id, batch.state.name());
    Error::conflict(format!("batch {id} is {state}: there is nothing left to cancel"))
}
