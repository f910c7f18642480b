//! The situations that seeds reached: one that is never reached is not tested.

use std::collections::BTreeMap;

use fanfold::model::condition::Condition;
use fanfold::model::fault::FaultCode;
use fanfold::model::manifest::is_manifest;
use fanfold::model::progress::Batch;
use fanfold::model::tolerance::Tolerance;
use fanfold::store::blob::Blob;
use fanfold::store::ledger::{CLAIMS, Claims};
use futures::FutureExt;

use super::Seed;
use super::invariant::{generations, kept};
use super::state::{PARKED, State};

/// Situations that every search has to reach; some occur only in swarm plans.
const RARE: [&str; 31] = [
    "scatter to be gone on with",
    "input missing for a while",
    "input refused for a while",
    "chunks before a limit",
    "message lost with its function",
    "later seal with more chunks",
    "sealed by force with a hole",
    "sealed by force over several groups of claims",
    "pending chunk put back that is done",
    "gather that finds pending chunks",
    "gather after a later generation",
    "refused record in a redrive",
    "chunk that nobody can read",
    "given up",
    "object overwritten after it was found",
    "object deleted after it was found",
    "object deleted with all its versions",
    "redriven batch of many objects",
    "failed records of several objects",
    "outputs gone on with",
    "outputs of a redrive gone on with",
    "outputs of many objects gone on with",
    "upload that is gone",
    "too many failures",
    "too many failures before the end of scatter",
    "too many failures in a redrive",
    "too large a share of failures",
    "too large a share of failures, noticed by sweep alone",
    "too large a share of too few records",
    "chunk handed over by a map",
    "map that failed",
];

/// A call made by a stage of a variant.
pub type Call = (&'static str, &'static str, &'static str);

/// How often each situation was reached, and an example of each call: a seed, and the point at which the call
/// returned.
#[derive(Debug, Default)]
pub struct Reached {
    pub counts: BTreeMap<&'static str, u64>,
    pub calls: BTreeMap<Call, (Seed, u32)>,
}

impl Reached {
    pub fn note(&mut self, seed: Seed, state: &State) {
        let variant = state.plan.variant.name;
        for ((stage, call), point) in &state.calls {
            self.calls.entry((variant, stage, call)).or_insert((seed, *point));
        }
        state.reached.iter().for_each(|(name, many)| self.add(name, *many));
        self.add("faults", u64::from(state.faults));
        self.add("points at which a function could die", u64::from(state.points));
        self.add("messages parked", state.queues[PARKED].messages.len() as u64);
        generations(state).for_each(|batch| self.note_batch(state, &batch));
    }

    fn note_batch(&mut self, state: &State, batch: &Batch) {
        let sealing = batch.sealing.as_ref();
        let failed_chunks = batch.tally.is_some_and(|tally| tally.failed_chunks > 0);
        let redriven = batch.opening.id.generation() > 0;
        let given_up = batch.stop.as_ref().is_some_and(|stop| stop.fault.code == FaultCode::GaveUp);
        let forced = batch.is_sealed_by_force();
        let often = batch.stop.as_ref().is_some_and(|stop| stop.fault.code == FaultCode::TooManyFailures);
        let early =
            sealing.is_none_or(|sealing| batch.stop.as_ref().is_some_and(|stop| stop.at < sealing.scattered_at));
        self.add("too many failures", often.into());
        self.add("too many failures before the end of scatter", (often && early).into());
        let share = often && matches!(state.plan.tolerance, Tolerance::Share { .. });
        let listed = batch.opening.condition == Condition::Listing;
        self.add("too large a share of failures", share.into());
        self.add("too large a share of failures, noticed by sweep alone", (share && listed).into());
        self.add("too many failures in a redrive", (often && redriven).into());
        let several = sealing.is_some_and(|sealing| sealing.chunks > CLAIMS);
        self.add(batch.state.name(), 1);
        let many = is_manifest(&batch.opening.input.key);
        let files = || state.data.output.list(&batch.opening.id.output_key("failed/"), None, 2).now_or_never();
        let apart = many && files().is_some_and(|files| files.is_ok_and(|files| files.len() > 1));
        self.add("failed records of several objects", apart.into());
        let error = sealing.and_then(|sealing| sealing.error.as_ref().filter(|_| sealing.chunks > 0));
        let limited = error.is_some_and(|error| error.code == FaultCode::LimitExceeded);
        self.add("chunks before a limit", limited.into());
        self.add("redriven batch of many objects", (redriven && many).into());
        self.add("redriven", redriven.into());
        self.add("of several leaves", sealing.is_some_and(|sealing| sealing.leaves() > 1).into());
        self.add("sealed by force", forced.into());
        self.add("sealed by force over several groups of claims", (forced && batch.opening.ranged && several).into());
        self.add("sealed by force with a hole", (forced && has_hole(state, batch)).into());
        self.add("with buried chunks", failed_chunks.into());
        self.add("given up", given_up.into());
        self.add("gathered more than once", (batch.gather_attempts > 1).into());
        self.add("looked after by sweep", batch.seen.is_some().into());
        self.add("mended by sweep more than once", batch.seen.as_ref().is_some_and(|seen| seen.mended > 1).into());
        self.add(
            "refused record in a redrive",
            (redriven && says(state, batch, "the table refuses the item: it is refused")).into(),
        );
        let lost = || failed_chunks && !redriven && state.batches.first() == Some(&batch.opening.id);
        self.add("chunk that nobody can read", (state.plan.unreadable.is_some() && lost()).into());
    }

    fn add(&mut self, name: &'static str, many: u64) {
        *self.counts.entry(name).or_default() += many;
    }

    pub fn merge(&mut self, other: Self) {
        other.counts.into_iter().for_each(|(name, many)| self.add(name, many));
        for (call, example) in other.calls {
            let kept = self.calls.entry(call).or_insert(example);
            *kept = (*kept).min(example);
        }
    }

    /// The situations that were never reached.
    pub fn never(&self) -> Vec<&'static str> {
        let counted = self.counts.iter().filter(|(_, many)| **many == 0).map(|(name, _)| *name);
        counted.chain(RARE.into_iter().filter(|name| !self.counts.contains_key(name))).collect()
    }
}

/// Whether a batch whose chunks are ranges lacks one before its last.
fn has_hole(state: &State, batch: &Batch) -> bool {
    let chunks = batch.sealing.as_ref().map_or(0, |sealing| sealing.chunks);
    let claims = state.data.ledger.read_claims(&batch.opening.id, 0..chunks.div_ceil(CLAIMS)).now_or_never();
    batch.opening.ranged && claims.is_some_and(|claims| claims.is_ok_and(|claims| claims.iter().any(Vec::is_empty)))
}

/// Whether a record of a generation failed with these words.
fn says(state: &State, batch: &Batch, words: &str) -> bool {
    let chunks = batch.sealing.as_ref().map_or(0, |sealing| sealing.chunks);
    let mut kept = (0..chunks).filter_map(|chunk| kept(state, &batch.opening.id, chunk));
    kept.any(|kept| kept.outcomes.iter().any(|outcome| outcome.response.message.contains(words)))
}
