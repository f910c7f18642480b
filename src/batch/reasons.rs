//! Why the records of a batch failed, counted with its chunks: whoever ends a chunk marks it with the reasons of the
//! decision that counts, so that they are as exact as its other counts, and are read with them.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Mutex, PoisonError};

use crate::batch::Batches;
use crate::batch::chunks::Decision;
use crate::model::error::Result;
use crate::model::failures::{Example, MOST_EXAMPLES, Reasons};
use crate::model::ids::BatchId;
use crate::model::progress::Mark;
use crate::model::reason::{Reason, ReasonId};
use crate::model::timestamp::Timestamp;
use crate::store::Stores;
use crate::store::ledger::Notes;

/// The most reasons of one chunk that are told apart: its mark is one request, whose expressions have their limits
/// (<https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Constraints.html#limits-expression-parameters>).
const MOST_OF_A_CHUNK: usize = 16;
/// The most reasons that a process remembers to have told the ledger.
const REMEMBERED: usize = 10_000;

/// What this process knows of the reasons that the ledger has.
#[derive(Debug, Default)]
pub struct Told(Mutex<Memory>);

#[derive(Debug, Default)]
struct Memory {
    /// How many examples were given of a reason.
    examples: HashMap<(BatchId, ReasonId), usize>,
    /// All reasons of batches that have no place for more.
    full: HashMap<BatchId, BTreeSet<ReasonId>>,
}

impl Told {
    /// Whether the ledger has a place for a reason; `None` if it is to be asked, or wants more examples.
    fn is_kept(&self, batch: &BatchId, reason: &ReasonId) -> Option<bool> {
        let memory = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = memory.full.get(batch) {
            return Some(known.contains(reason));
        }
        let given = memory.examples.get(&(batch.clone(), reason.clone())).copied().unwrap_or_default();
        (given >= MOST_EXAMPLES).then_some(true)
    }

    fn change(&self, act: impl FnOnce(&mut Memory)) {
        let mut memory = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if memory.examples.len() + memory.full.len() >= REMEMBERED {
            *memory = Memory::default();
        }
        act(&mut memory);
    }
}

impl<S: Stores> Batches<S> {
    /// The mark for a chunk by the decision on it, with the reasons that the ledger knows by then.
    pub(super) async fn mark_of(&self, batch: &BatchId, decision: &Decision, now: Timestamp) -> Result<Mark> {
        let mark = decision.mark();
        if !self.condition.has_tree() || mark.tally.failed == 0 {
            return Ok(mark);
        }
        let mut reasons: Vec<(ReasonId, u64)> = Vec::new();
        let mut rest = 0;
        for (place, (reason, count, examples)) in Reasons::of(&decision.outcomes).into_counted().into_iter().enumerate()
        {
            if place < MOST_OF_A_CHUNK && self.tell(batch, &reason, &examples, now).await? {
                reasons.push((reason.id(), count));
            } else {
                rest += count;
            }
        }
        reasons.extend(Some((ReasonId::other(), rest)).filter(|_| rest > 0));
        Ok(Mark { reasons, ..mark })
    }

    /// Tells the ledger of a reason, unless that was done, and returns whether the ledger has a place for it.
    async fn tell(&self, batch: &BatchId, reason: &Reason, examples: &[Example], now: Timestamp) -> Result<bool> {
        let id = reason.id();
        if let Some(kept) = self.told.is_kept(batch, &id) {
            return Ok(kept);
        }
        let kept = self.ledger.note_reason(batch, reason, examples, now).await?;
        if kept {
            self.told.change(|memory| *memory.examples.entry((batch.clone(), id)).or_default() += examples.len());
        } else {
            // No reason is ever taken out, so that those which it has now are all that it will have.
            let known = self.ledger.overview(batch).await?.reasons.into_keys().collect();
            self.told.change(|memory| _ = memory.full.insert(batch.clone(), known));
        }
        Ok(kept)
    }
}
