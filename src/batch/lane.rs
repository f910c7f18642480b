//! The outcomes of one generation of a batch, in input order.

use std::collections::VecDeque;
use std::ops::Range;

use serde::{Deserialize, Serialize};

use crate::batch::coverage::Ascending;
use crate::batch::ranges::Records;
use crate::batch::walk::{self, Step, Walk};
use crate::model::error::Result;
use crate::model::progress::Tally;
use crate::model::record::{Entry, Outcome};

/// Where a lane stands, between two outcomes: what another reader needs to go on.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Place {
    pub(super) walk: walk::Place,
    /// Outcomes that were read and not taken.
    waiting: VecDeque<Outcome>,
    /// The counts of all that were read, and of records that are counted with them without being listed.
    tally: Tally,
    ended: bool,
    pub(super) beside: Option<BesidePlace>,
}

impl Place {
    /// The tally of the outcomes that were read.
    pub fn tally(&self) -> Tally {
        self.tally
    }

    /// The sum of the leaves that were read; nothing for a batch without a tree.
    pub fn counted(&self) -> Tally {
        self.walk.counted()
    }
}

/// The outcomes of one generation.
pub(super) struct Lane<'a> {
    walk: Walk<'a>,
    beside: Option<Beside<'a>>,
    waiting: VecDeque<Outcome>,
    tally: Tally,
    ended: bool,
}

impl<'a> Lane<'a> {
    /// The outcomes that are kept, from a place on, to which the walk has gone.
    pub fn kept(walk: Walk<'a>, place: Place) -> Self {
        Self { walk, beside: None, waiting: place.waiting, tally: place.tally, ended: place.ended }
    }

    /// Those of all records of an input; only the exceptions are kept.
    pub fn beside(walk: Walk<'a>, mut place: Place, records: Records<'a>, holes: Ascending) -> Self {
        let BesidePlace { waiting, lost, walked, .. } = place.beside.take().unwrap_or_default();
        let lost = lost.into_iter().collect();
        let beside = Beside { records, entries: VecDeque::new(), holes, lost, waiting, walked };
        Self { beside: Some(beside), ..Self::kept(walk, place) }
    }

    /// Where it stands.
    pub fn place(&self) -> Place {
        Place {
            walk: self.walk.place().clone(),
            waiting: self.waiting.clone(),
            tally: self.tally,
            ended: self.ended,
            beside: self.beside.as_ref().map(Beside::place),
        }
    }

    /// The next outcome, if it was read.
    pub fn front(&self) -> Option<&Outcome> {
        self.waiting.front()
    }

    /// Takes the next outcome, if it was read.
    pub fn pop(&mut self) -> Option<Outcome> {
        self.waiting.pop_front()
    }

    /// Whether the next outcome has to be read before one can say which it is.
    pub fn is_behind(&self) -> bool {
        self.waiting.is_empty() && !self.ended
    }

    /// Reads a little: perhaps the next outcomes, perhaps only a leaf without any.
    ///
    /// # Errors
    /// Those of the stores.
    pub async fn read(&mut self) -> Result<()> {
        if let Some(beside) = &mut self.beside {
            self.ended = !beside.read(&mut self.walk, &mut self.waiting, &mut self.tally).await?;
            return Ok(());
        }
        match self.walk.next().await? {
            None => self.ended = true,
            Some(Step::Leaf) => {}
            Some(Step::Chunk(kept, _)) => {
                self.tally = self.tally + kept.tally();
                self.waiting.extend(kept.outcomes);
            }
        }
        Ok(())
    }
}

/// Where the merging of records and exceptions stands.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(super) struct BesidePlace {
    /// The index of the next record to read.
    pub next: u64,
    waiting: VecDeque<Outcome>,
    lost: Vec<Range<u64>>,
    walked: bool,
}

/// Merges the records of an input with the outcomes of those that failed.
struct Beside<'a> {
    records: Records<'a>,
    /// Records that were read and not merged.
    entries: VecDeque<Entry>,
    /// The records that lie in no chunk, and those of chunks that were ended without records.
    holes: Ascending,
    lost: Ascending,
    /// Exceptions that were read and not merged.
    waiting: VecDeque<Outcome>,
    /// Whether there are no more of them.
    walked: bool,
}

impl Beside<'_> {
    fn place(&self) -> BesidePlace {
        let next = self.entries.front().map_or(self.records.position(), |entry| entry.index);
        BesidePlace { next, waiting: self.waiting.clone(), lost: self.lost.ranges(), walked: self.walked }
    }

    /// Reads a little, and returns whether there is more.
    async fn read(&mut self, walk: &mut Walk<'_>, out: &mut VecDeque<Outcome>, tally: &mut Tally) -> Result<bool> {
        // Since chunks arrive in order, a lost chunk is seen before any of its records.
        if self.waiting.is_empty() && !self.walked {
            self.walk(walk, tally).await?;
            return Ok(true);
        }
        if self.entries.is_empty() {
            match self.records.next().await? {
                Some(entries) => self.entries = entries.into(),
                None if self.walked => return Ok(false),
                // What is still kept is of no record that is known, but the leaves are to be counted.
                None => self.waiting.clear(),
            }
        }
        while self.walked || !self.waiting.is_empty() {
            let Some(entry) = self.entries.pop_front() else {
                break;
            };
            if self.holes.hold(entry.index) || self.lost.hold(entry.index) {
                continue;
            }
            let outcome = match self.waiting.front() {
                Some(failure) if failure.index == entry.index => self.waiting.pop_front(),
                _ => None,
            };
            let outcome = outcome.unwrap_or_else(|| succeeded(entry));
            let succeeded = u64::from(outcome.response.success);
            *tally = *tally + Tally { succeeded, failed: 1 - succeeded, failed_chunks: 0 };
            out.push_back(outcome);
        }
        Ok(true)
    }

    /// Goes to the next exception, and counts the chunks that failed as a whole.
    async fn walk(&mut self, walk: &mut Walk<'_>, tally: &mut Tally) -> Result<()> {
        match walk.next().await? {
            None => self.walked = true,
            Some(Step::Leaf) => {}
            Some(Step::Chunk(kept, lost)) => {
                tally.failed_chunks += u64::from(kept.buried);
                lost.into_iter().for_each(|records| self.lost.push(records));
                self.waiting.extend(kept.outcomes);
            }
        }
        Ok(())
    }
}

/// The outcome of a record with no kept failure. One that cannot be decoded did not succeed either: it counts as
/// failed, and the counters will disagree.
fn succeeded(mut entry: Entry) -> Outcome {
    let fault = entry.fault.take();
    Outcome::of(entry, fault)
}
