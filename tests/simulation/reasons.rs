//! Why records failed: in the end the leaves count the reasons of the outcomes.

use std::collections::BTreeMap;

use fanfold::model::ids::LEAF_SIZE;
use fanfold::model::progress::{Batch, Leaf};
use fanfold::model::reason::{Reason, ReasonId};
use fanfold::store::ledger::{Ledger, Notes};
use futures::FutureExt;

use super::invariant::{Broken, generations, kept};
use super::state::State;

pub const EXPLAINED: &str = "I17 the reasons that leaves count are those of the outcomes";

/// Checks the leaves of all batches that have any. No plan has more reasons than a batch tells apart.
pub fn reasons_are_right(state: &State) -> Result<(), Broken> {
    for batch in generations(state).filter(|batch| batch.opening.condition.has_tree()) {
        let Some(sealing) = &batch.sealing else { continue };
        let leaves = state.data.ledger.read_leaves(&batch.opening.id, 0..sealing.leaves()).now_or_never();
        for (number, leaf) in (0..).zip(leaves.and_then(Result::ok).unwrap_or_default()) {
            is_right(state, &batch, number, &leaf)?;
        }
    }
    Ok(())
}

fn is_right(state: &State, batch: &Batch, number: u32, leaf: &Leaf) -> Result<(), Broken> {
    let id = &batch.opening.id;
    let broken = |why: String| Err(Broken { invariant: EXPLAINED, why: format!("leaf {number} of {id} {why}") });
    // A scatter that went on after its batch was sealed by force has chunks whose outcomes nobody keeps.
    if batch.is_sealed_by_force() {
        return Ok(());
    }
    let mut expected: BTreeMap<ReasonId, u64> = BTreeMap::new();
    let mut words: BTreeMap<ReasonId, Reason> = BTreeMap::new();
    for chunk in leaf.done.range(number * LEAF_SIZE..) {
        let outcomes = kept(state, id, *chunk).map(|decision| decision.outcomes).unwrap_or_default();
        for outcome in outcomes.iter().filter(|outcome| !outcome.response.success) {
            let reason = Reason::of(&outcome.response.message);
            *expected.entry(reason.id()).or_default() += 1;
            words.insert(reason.id(), reason);
        }
    }
    if leaf.reasons != expected {
        return broken(format!("counts {:?}, and its outcomes make {expected:?}: {words:?}", leaf.reasons));
    }
    if leaf.tally.failed != expected.values().sum::<u64>() {
        return broken(format!("has {} failures, and reasons for {expected:?}", leaf.tally.failed));
    }
    let known = state.data.ledger.overview(id).now_or_never().and_then(Result::ok).unwrap_or_default().reasons;
    match words.iter().find(|(id, reason)| known.get(id).is_none_or(|known| known.reason != **reason)) {
        Some((_, reason)) => broken(format!("counts a reason that nobody can tell: {reason}")),
        None => Ok(()),
    }
}
