//! Batches that are stopped because too many of their records fail.

use fanfold::model::fault::FaultCode;
use fanfold::model::ids::BatchId;
use fanfold::model::progress::{Batch, Leaf};
use fanfold::model::summary::Summary;
use fanfold::model::tolerance::Tolerance;
use fastrand::Rng;

use super::invariant::{Broken, kept, ledger};
use super::plan::Plan;
use super::state::State;

pub const HEEDED: &str = "I16 a batch is stopped for its failures if, and only if, they are more than tolerated";

/// What the budgets of a seed are drawn by: none of the seeds that were kept before has any.
const BUDGETED: u64 = 0x70_1e7a_ce00_5eed;

impl Plan {
    /// The same plan, perhaps with a number of records that may fail.
    pub fn budgeted(mut self) -> Self {
        let mut rng = Rng::with_seed(self.seed ^ BUDGETED);
        if rng.u32(..12) == 0 {
            self.tolerance = Tolerance::Records(rng.u64(..4));
        }
        self
    }
}

/// Checks all generations of a batch that has ended, with the summary of the latest.
pub fn budgets_are_heeded(state: &State, id: &BatchId, summary: &Summary) -> Result<(), Broken> {
    let generations = (0..).map_while(|generation| ledger(state, &id.in_generation(generation)));
    for batch in generations {
        let latest = summary.generation == batch.opening.id.generation();
        is_heeded(state, &batch, latest.then_some(summary))?;
    }
    Ok(())
}

fn is_heeded(state: &State, batch: &Batch, summary: Option<&Summary>) -> Result<(), Broken> {
    let (id, tolerance) = (&batch.opening.id, state.plan.tolerance);
    let code = batch.stop.as_ref().map(|stop| stop.fault.code);
    // Those that were skipped repeat the reason.
    let skipped = batch.stop.as_ref().map(|stop| stop.fault.message.as_str());
    let chunks = batch.sealing.as_ref().map_or(0, |sealing| sealing.chunks);
    let decisions = (0..chunks).filter_map(|chunk| kept(state, id, chunk));
    let failed = decisions.flat_map(|decision| decision.outcomes).filter(|outcome| !outcome.response.success);
    let failed = failed.filter(|outcome| skipped != Some(outcome.response.message.as_str())).count() as u64;
    let broken = |why: String| Err(Broken { invariant: HEEDED, why });
    if code != Some(FaultCode::TooManyFailures) {
        let missed = code.is_none() && is_calm(state) && state.over.contains(id);
        return if missed { broken(format!("{id} has {failed} failures and was not stopped")) } else { Ok(()) };
    }
    if let Some(summary) = summary {
        let told = summary.error.as_ref().map(|error| error.code);
        if told != code && told != Some(FaultCode::GaveUp) {
            return broken(format!("{id} was stopped, and its summary tells {told:?}"));
        }
    }
    // What no chunk holds cannot be redriven.
    if is_calm(state) && batch.is_sealed_by_force() {
        return broken(format!("{id} was not read to its end"));
    }
    if tolerance.exceeded(0, failed) { Ok(()) } else { broken(format!("{id} was stopped for {failed} failures")) }
}

/// Called when a worker has counted a chunk in a leaf for the first time. If that is the only leaf, it decides: every
/// worker that counts another later sees the same.
pub fn at_counting(state: &mut State, id: &BatchId, number: u32, leaf: &Leaf) {
    let only = number == 0 && leaf.size.is_some();
    if only && state.plan.tolerance.exceeded(leaf.tally.succeeded, leaf.tally.failed) {
        state.over.insert(id.clone());
    }
}

/// Whether each worker that counted a chunk went on to look at its leaf: no function died, and no call failed.
fn is_calm(state: &State) -> bool {
    let plan = &state.plan;
    let often = [
        plan.flaky.is_none(),
        plan.sluggish.is_none(),
        plan.busy.is_none(),
        plan.outage.is_none(),
        plan.absent.is_none(),
    ];
    let poisoned = plan.files.iter().any(|file| file.poison.is_some());
    state.faults == 0 && !state.crashed && !poisoned && plan.lossy == 0 && often.into_iter().all(|none| none)
}
