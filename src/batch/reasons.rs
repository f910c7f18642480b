//! Why the records of a batch failed, counted with its chunks: whoever ends a chunk marks it with the reasons of the
//! decision that counts, so that they are as exact as its other counts, and are read with them.

use std::collections::HashMap;
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

/// The reasons that this process told the ledger, with how many examples it gave.
#[derive(Debug, Default)]
pub struct Told(Mutex<HashMap<(BatchId, ReasonId), usize>>);

impl Told {
    fn examples(&self, of: &(BatchId, ReasonId)) -> Option<usize> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(of).copied()
    }

    fn add(&self, of: (BatchId, ReasonId), examples: usize) {
        let mut told = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if told.len() >= REMEMBERED {
            told.clear();
        }
        *told.entry(of).or_default() += examples;
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
        for (reason, count, examples) in Reasons::of(&decision.outcomes).into_counted() {
            if reasons.len() < MOST_OF_A_CHUNK && self.tell(batch, &reason, &examples, now).await? {
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
        let of = (batch.clone(), reason.id());
        if self.told.examples(&of).is_some_and(|examples| examples >= MOST_EXAMPLES) {
            return Ok(true);
        }
        let kept = self.ledger.note_reason(batch, reason, examples, now).await?;
        if kept {
            self.told.add(of, examples.len());
        }
        Ok(kept)
    }
}
