//! Batches that are stopped because too many of their records fail.

use std::collections::BTreeSet;

use fanfold::model::condition::Condition;
use fanfold::model::fault::FaultCode;
use fanfold::model::ids::BatchId;
use fanfold::model::progress::{Batch, Leaf, Tally};
use fanfold::model::record::Outcome;
use fanfold::model::summary::Summary;
use fanfold::model::tolerance::Tolerance;
use fastrand::Rng;

use super::invariant::{Broken, kept, ledger};
use super::plan::Plan;
use super::state::State;

pub const HEEDED: &str = "I16 a batch is stopped for its failures if, and only if, they are more than tolerated";

/// What the budgets of a seed are drawn by: none of the seeds that were kept before has any.
const BUDGETED: u64 = 0x701e_7ace_0000_0052;
/// And their shares.
const SHARED: u64 = 0x0005_ba4e_0f5e_0050;
/// Shares of failures, in hundredths of a per cent: around what files have, a record in ten.
const SHARES: [u64; 7] = [0, 250, 500, 1_000, 1_500, 2_500, 5_000];

/// More leaves than any batch has here.
pub const LEAVES: u32 = 3;

impl Plan {
    /// The same plan, perhaps with a number of records that may fail, or with a share that counts from a few records on:
    /// no file has a thousand.
    pub fn budgeted(mut self) -> Self {
        let mut rng = Rng::with_seed(self.seed ^ BUDGETED);
        if rng.u32(..12) == 0 {
            self.tolerance = Tolerance::Records(rng.u64(..4));
        }
        let mut rng = Rng::with_seed(self.seed ^ SHARED);
        if rng.u32(..10) == 0 {
            let hundredths = SHARES[rng.usize(..SHARES.len())];
            self.tolerance = Tolerance::Share { hundredths, from: rng.u64(1..13) };
        }
        self
    }
}

/// What was counted of batches of which not all may fail.
#[derive(Debug, Default)]
pub struct Budgets {
    /// Batches that had more failures than tolerated after some chunk was counted: how many had succeeded and failed.
    exceeded: BTreeSet<(BatchId, u64, u64)>,
    /// Those whose only leaf said so to a worker.
    over: BTreeSet<BatchId>,
    /// Those of which it said so to each worker from then on.
    over_for_good: BTreeSet<BatchId>,
    /// Those that were to be stopped when that was too late.
    late: BTreeSet<BatchId>,
}

/// The reference model: whether more failed of the records that were processed than are tolerated.
fn is_over(tolerance: Tolerance, succeeded: u64, failed: u64) -> bool {
    let processed = succeeded + failed;
    match tolerance {
        Tolerance::All => false,
        Tolerance::Records(most) => failed > most,
        Tolerance::Share { hundredths, from } => processed >= from && failed * 10_000 > processed * hundredths,
    }
}

/// How many records had succeeded and failed when a batch was stopped, as its reason says.
fn told(reason: &str) -> Option<(u64, u64)> {
    let mut words = reason.split(' ').map(str::parse);
    let (failed, processed) = (words.next()?.ok()?, words.nth(1)?.ok()?);
    Some((u64::checked_sub(processed, failed)?, failed))
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
    let (id, stop) = (&batch.opening.id, batch.stop.as_ref().map(|stop| &stop.fault));
    let broken = |why: String| Err(Broken { invariant: HEEDED, why });
    let Some(fault) = stop.filter(|fault| fault.code == FaultCode::TooManyFailures) else {
        let Budgets { over, over_for_good, late, .. } = &state.budgets;
        let due = over_for_good.contains(id) || over.contains(id) && !late.contains(id);
        let missed = stop.is_none() && is_calm(state) && due;
        return if missed { broken(format!("{id} has too many failures and was not stopped")) } else { Ok(()) };
    };
    if let Some(summary) = summary {
        let told = summary.error.as_ref().map(|error| error.code);
        if told != Some(fault.code) && told != Some(FaultCode::GaveUp) {
            return broken(format!("{id} was stopped, and its summary tells {told:?}"));
        }
    }
    // What no chunk holds cannot be redriven.
    if is_calm(state) && batch.is_sealed_by_force() {
        return broken(format!("{id} was not read to its end"));
    }
    is_justified(state, batch, &fault.message)
}

/// Checks that a batch that was stopped for this reason had as many failures as that tells, and that they were too many.
fn is_justified(state: &State, batch: &Batch, reason: &str) -> Result<(), Broken> {
    let id = &batch.opening.id;
    let is_true = |(succeeded, failed): (u64, u64)| match state.plan.variant.condition {
        Condition::Tree => state.budgets.exceeded.contains(&(id.clone(), succeeded, failed)),
        Condition::Listing => {
            is_over(state.plan.tolerance, succeeded, failed) && has_as_many(state, batch, reason, succeeded, failed)
        }
    };
    if told(reason).is_some_and(is_true) {
        return Ok(());
    }
    Err(Broken { invariant: HEEDED, why: format!("{id} was stopped because {reason}") })
}

/// Whether a batch without leaves has so many outcomes in the end, besides those that were skipped for this reason.
fn has_as_many(state: &State, batch: &Batch, reason: &str, succeeded: u64, failed: u64) -> bool {
    // One that was sealed by force may have more than it counts.
    let chunks = batch.sealing.as_ref().map_or(0, |sealing| sealing.chunks).max(64);
    let decisions: Vec<_> = (0..chunks).filter_map(|chunk| kept(state, &batch.opening.id, chunk)).collect();
    let successes: u64 = decisions.iter().map(|decision| decision.tally().succeeded).sum();
    let is_failure = |outcome: &&Outcome| !outcome.response.success && outcome.reason() != reason;
    let failures = decisions.iter().flat_map(|decision| &decision.outcomes).filter(is_failure).count() as u64;
    succeeded <= successes && failed <= failures
}

/// Called when a chunk has been counted in a leaf, the `number`th of these, which are all there are; `new` if a worker
/// counted it for the first time. If it is the only leaf, it decides.
pub fn at_counting(state: &mut State, id: &BatchId, number: u32, leaves: &[Leaf], new: bool) {
    let tolerance = state.plan.tolerance;
    let exceeds = |tally: Tally| is_over(tolerance, tally.succeeded, tally.failed);
    let mut sum = Tally::default();
    for leaf in leaves {
        // One that was sealed by force may have fewer leaves than were counted in.
        sum = sum + leaf.tally;
        if exceeds(sum) {
            state.budgets.exceeded.insert((id.clone(), sum.succeeded, sum.failed));
        }
    }
    if let Tolerance::Share { hundredths, .. } = tolerance
        && !exceeds(sum)
        && is_over(Tolerance::Share { hundredths, from: 0 }, sum.succeeded, sum.failed)
    {
        state.reach("too large a share of too few records");
    }
    let leaf = &leaves[number as usize];
    let Some(size) = leaf.size.filter(|_| new && number == 0 && exceeds(leaf.tally)) else {
        return;
    };
    state.budgets.over.insert(id.clone());
    // What succeeds elsewhere takes back a share, but no number.
    if matches!(tolerance, Tolerance::Records(_)) || leaf.done.len() == size as usize {
        state.budgets.over_for_good.insert(id.clone());
    }
}

/// Called when a batch was to be stopped.
pub fn at_stop(state: &mut State, batch: &Batch) {
    if batch.stop.is_none() {
        state.budgets.late.insert(batch.opening.id.clone());
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
