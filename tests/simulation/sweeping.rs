//! How often sweep sends the same again.

use fanfold::intake::claim_check;
use fanfold::model::condition::Condition;

use super::clockwork::BEGIN;
use super::invariant::{Broken, hold};
use super::queue::subject_of;
use super::state::State;

pub const TIRES: &str = "I8 sweep sends the same again more and more rarely, and nothing that was done before it came";

/// Called when sweep, started at `began`, sends a message for the `copies`th time.
pub fn at_sweeping(state: &mut State, queue: usize, body: &str, copies: u32, began: i64) {
    if let Err(broken) = sweeps_in_measure(state, queue, body, copies, began) {
        state.breaks(broken);
    }
}

fn sweeps_in_measure(state: &State, queue: usize, body: &str, copies: u32, began: i64) -> Result<(), Broken> {
    // After a quarter of an hour, half an hour, an hour, and then every two hours; anew after each progress.
    // Sweeps may overlap.
    let hours = (state.clockwork.now - BEGIN) / 3_600_000;
    let batch = subject_of(queue, body).map(|(batch, _)| batch);
    let progress = batch.and_then(|batch| state.progress.get(&batch)).map_or(1, |(many, _)| *many);
    let most = 2 * (hours / 2 + 3 * i64::from(progress) + 2);
    hold!(TIRES, i64::from(copies) <= most, "{copies} times within {hours} hours and {progress} changes: {body}");
    let Ok(Some(message)) = claim_check::parse(body) else { return Ok(()) };
    let listing = state.plan.variant.condition == Condition::Listing;
    let done = state.done.get(&message.batch_id.done_key(message.chunk)).copied();
    hold!(TIRES, !listing || done.is_none_or(|done| done > began), "it was done before: {body}");
    Ok(())
}
