//! The ledger of a simulation.

use std::collections::BTreeSet;
use std::ops::Range as Groups;

use fanfold::model::calls::{Calls, StageCalls};
use fanfold::model::error::{ErrorKind, Result};
use fanfold::model::failures::Example;
use fanfold::model::ids::{BatchId, ChunkIndex, LEAF_SIZE};
use fanfold::model::message::{GatherMessage, to_body};
use fanfold::model::progress::{
    Batch, BatchState, Bookmark, Leaf, Mark, Node, Observation, Opening, Sealing, Stop, Tally,
};
use fanfold::model::range::{Claim, Range};
use fanfold::model::reason::Reason;
use fanfold::model::schema::Rules;
use fanfold::model::timestamp::Timestamp;
use fanfold::store::channel::Outgoing;
use fanfold::store::ledger::memory::MemoryLedger;
use fanfold::store::ledger::{
    Claims, Control, LastFailure, Lease, Ledger, Notes, OpenBatch, OpenResult, Overview, Part, RuleBook, Snapshot,
    Trouble,
};

use super::budget;
use super::mutation::Mutation;
use super::state::{GATHER, OTHER_SCHEMA, STALL_AFTER};
use super::stores::Watched;

/// Longer than any simulation.
const YEAR: i64 = 365 * 24 * 3600;

/// The claims as they would be without holes between them.
fn filled(claims: Vec<Vec<Claim>>) -> Vec<Vec<Claim>> {
    let mut before: Option<Claim> = None;
    let mut filled = claims.clone();
    for (place, group) in claims.iter().enumerate() {
        if let (true, Some(before)) = (group.is_empty(), before)
            && let Some(next) = claims[place..].iter().flatten().next()
        {
            let first = before.records().end;
            let range = Range { first, length: 0, ..next.range };
            filled[place] = vec![Claim { range, records: (next.range.first - first) as u32 }];
        }
        before = filled[place].last().copied().or(before);
    }
    filled
}

impl Ledger for Watched<MemoryLedger> {
    async fn open(&self, opening: &Opening) -> Result<OpenResult> {
        self.store.open(opening).await
    }

    async fn read(&self, batch: &BatchId) -> Result<Option<Batch>> {
        self.store.read(batch).await
    }

    async fn look(&self, batch: &BatchId, leaves: &BTreeSet<u32>) -> Result<Snapshot> {
        let (batch, mut found) = self.store.look(batch, leaves).await?;
        if self.hand.has(Mutation::DuplicateDoesNotCheckAgain) {
            // A leaf of unknown size is full only with all of its marks, which it never has here.
            found.values_mut().for_each(|leaf| leaf.size = None);
        }
        Ok((batch, found))
    }

    async fn read_leaves(&self, batch: &BatchId, leaves: Groups<u32>) -> Result<Vec<Leaf>> {
        self.store.read_leaves(batch, leaves).await
    }

    async fn mark_leaf(&self, batch: &BatchId, chunk: ChunkIndex, mark: Mark, now: Timestamp) -> Result<Leaf> {
        if self.hand.has_in(&["bury"], Mutation::BuryDoesNotMark) {
            return Ok(self.store.read_leaves(batch, chunk.leaf()..chunk.leaf() + 1).await?.remove(0));
        }
        let all = Tally { succeeded: mark.tally.succeeded + mark.tally.failed, ..Tally::default() };
        let mark = if self.hand.has(Mutation::FailuresAreNotMarked) { all.into() } else { mark };
        let tally = mark.tally;
        let before = self.store.read_leaves(batch, chunk.leaf()..chunk.leaf() + 1).await?.remove(0);
        let again = Mark { reasons: mark.reasons.clone(), ..Tally::default().into() };
        let mut leaf = self.store.mark_leaf(batch, chunk, mark, now).await?;
        if self.hand.has(Mutation::ReasonsCountAgain) && before.holds(chunk) {
            // A chunk that no plan has takes what a plain counter would.
            let last = ChunkIndex::new(chunk.leaf() * LEAF_SIZE + LEAF_SIZE - 1)?;
            self.store.mark_leaf(batch, last, again, now).await?;
        }
        let new = self.hand.stage() == "process" && tally.failed_chunks == 0 && !before.holds(chunk);
        let leaves = self.store.read_leaves(batch, 0..budget::LEAVES).await?;
        self.hand.world(|state| budget::at_counting(state, batch, chunk.leaf(), &leaves, new));
        if self.hand.has(Mutation::ShareOfAllRecords)
            && let Some(all) = self.store.read(batch).await?.and_then(|batch| batch.sealing?.records)
        {
            leaf.tally.succeeded = all.saturating_sub(leaf.tally.failed);
        }
        self.hand.catch_up_after(&[Mutation::MarkBeforeTheItems]);
        if self.hand.has(Mutation::CounterWithoutItsCondition) {
            // The behaviour of a plain counter: every mark counts, even a repeated one.
            let (count, sum) = self.hand.count(batch, chunk.leaf(), tally);
            let first = chunk.leaf() * LEAF_SIZE;
            (leaf.done, leaf.tally) = ((first..first + count).collect(), sum);
        }
        Ok(leaf)
    }

    async fn size_leaf(&self, batch: &BatchId, leaf: u32, size: u32, now: Timestamp) -> Result<Leaf> {
        if self.hand.has(Mutation::LaterSealCounts) {
            let own = self.hand.world(|state| state.seals.get(&self.hand.task).and_then(Sealing::last_leaf));
            return match own {
                Some((leaf, size)) => self.store.size_leaf(batch, leaf, size, now).await,
                None => Ok(self.store.read_leaves(batch, leaf..leaf + 1).await?.remove(0)),
            };
        }
        self.store.size_leaf(batch, leaf, size, now).await
    }

    async fn read_nodes(&self, batch: &BatchId, nodes: Groups<u32>) -> Result<Vec<Node>> {
        self.store.read_nodes(batch, nodes).await
    }

    async fn mark_node(&self, batch: &BatchId, leaf: u32, now: Timestamp) -> Result<Node> {
        self.store.mark_node(batch, leaf, now).await
    }

    async fn size_node(&self, batch: &BatchId, node: u32, size: u32, now: Timestamp) -> Result<Node> {
        self.store.size_node(batch, node, size, now).await
    }

    async fn mark_root(&self, batch: &BatchId, mark: u32) -> Result<Batch> {
        self.store.mark_root(batch, mark).await
    }

    async fn note_bookmark(&self, batch: &BatchId, bookmark: &Bookmark) -> Result<()> {
        if !self.hand.has(Mutation::BookmarkIsLost) {
            self.store.note_bookmark(batch, bookmark).await?;
        }
        self.hand.catch_up_after(&[Mutation::BookmarkBeforeTheMessages]);
        Ok(())
    }

    async fn seal(&self, batch: &BatchId, sealing: &Sealing) -> Result<Batch> {
        let batch = self.store.seal(batch, sealing).await?;
        self.hand.watch_sealing(&batch, sealing);
        self.hand.catch_up_after(&[
            Mutation::SealBeforeTheLastMessage,
            Mutation::BookmarkBeforeTheMessages,
            Mutation::ObjectsAfterTheSeal,
        ]);
        Ok(batch)
    }

    async fn take(&self, batch: &BatchId, owner: &str, now: Timestamp, until: Timestamp) -> Result<Lease> {
        self.hand.watch_taking(batch);
        let for_ever = self.hand.has(Mutation::LeaseNeverEnds);
        let until = if for_ever { now.plus_seconds(YEAR) } else { until };
        let taken = self.store.take(batch, owner, now, until).await?;
        match taken {
            Lease::Held(held) if self.hand.has(Mutation::GatherDoesNotTake) => Ok(Lease::Acquired(held)),
            taken => Ok(taken),
        }
    }

    async fn release_lease(&self, batch: &BatchId, owner: &str, now: Timestamp) -> Result<()> {
        if self.hand.has(Mutation::LeaseNeverEnds) {
            return Ok(());
        }
        self.store.release_lease(batch, owner, now).await
    }

    async fn close(&self, id: &BatchId, owner: &str, end: BatchState, tally: Tally, at: Timestamp) -> Result<()> {
        let open = self.store.read(id).await?.is_some_and(|batch| !batch.state.is_final());
        let closed = self.store.close(id, owner, end, tally, at).await;
        let closed = match closed {
            Err(error) if error.kind == ErrorKind::Conflict && self.hand.has(Mutation::GatherDoesNotTake) => {
                self.store.take(id, owner, Timestamp(i64::MAX), at).await?;
                self.store.close(id, owner, end, tally, at).await
            }
            closed => closed,
        };
        if let (true, Some(batch)) = (open && closed.is_ok(), self.store.read(id).await?) {
            self.hand.watch_closing(&batch);
        }
        closed
    }

    async fn stop(&self, batch: &BatchId, stop: &Stop) -> Result<Batch> {
        let stopped = self.store.stop(batch, stop).await?;
        self.hand.world(|state| budget::at_stop(state, &stopped));
        Ok(stopped)
    }

    async fn observe(&self, batch: &BatchId, seen: &Observation) -> Result<()> {
        self.hand.watch_progress(batch, &seen.mark);
        if self.hand.has(Mutation::SweepForgets) {
            return Ok(());
        }
        if self.hand.has(Mutation::SweepAnnouncesTooSoon) {
            let message = Outgoing::ordered(to_body(&GatherMessage::new(batch.clone())), batch.as_str());
            self.hand.watch_announcement(std::slice::from_ref(&message));
            self.hand.send(GATHER, message);
        }
        if self.hand.has(Mutation::SweepNeverTires) {
            let next = Timestamp(self.hand.world(|state| state.clockwork.now)).plus_seconds(STALL_AFTER);
            return self.store.observe(batch, &Observation { mended: 0, next, ..seen.clone() }).await;
        }
        self.store.observe(batch, seen).await
    }

    async fn open_batches(&self, after: Option<&OpenBatch>) -> Result<Vec<OpenBatch>> {
        self.store.open_batches(after).await
    }
}

impl Claims for Watched<MemoryLedger> {
    async fn put_claims(&self, batch: &BatchId, group: u32, claims: &[Claim], now: Timestamp) -> Result<()> {
        if self.hand.has(Mutation::ClaimsAreNotKept) {
            return Ok(());
        }
        self.store.put_claims(batch, group, claims, now).await
    }

    async fn read_claims(&self, batch: &BatchId, groups: Groups<u32>) -> Result<Vec<Vec<Claim>>> {
        let claims = self.store.read_claims(batch, groups).await?;
        let fills = self.hand.has_in(&["gather"], Mutation::HolesAreRead);
        Ok(if fills { filled(claims) } else { claims })
    }
}

impl RuleBook for Watched<MemoryLedger> {
    async fn put_rules(&self, rules: &Rules) -> Result<()> {
        self.store.put_rules(rules).await
    }

    async fn read_rules(&self, digest: &str) -> Result<Option<Rules>> {
        let rules = self.store.read_rules(digest).await?;
        let forgets = self.hand.has(Mutation::RulesAreForgotten);
        Ok(rules.map(|rules| if forgets { Rules { schema: OTHER_SCHEMA.to_owned(), ..rules } } else { rules }))
    }
}

impl Control for Watched<MemoryLedger> {
    async fn note_pause(&self, since: Option<Timestamp>) -> Result<()> {
        self.store.note_pause(since).await
    }

    async fn paused(&self) -> Result<Option<Timestamp>> {
        let paused = self.store.paused().await?;
        Ok(paused.filter(|_| !self.hand.has(Mutation::PauseIsIgnored)))
    }
}

impl Notes for Watched<MemoryLedger> {
    async fn note_failure(&self, batch: &BatchId, part: Part, failure: &LastFailure, now: Timestamp) -> Result<()> {
        self.store.note_failure(batch, part, failure, now).await
    }

    async fn last_failure(&self, batch: &BatchId, part: Part) -> Result<Option<LastFailure>> {
        self.store.last_failure(batch, part).await
    }

    async fn add_calls(&self, batch: &BatchId, stage: &str, calls: &StageCalls, now: Timestamp) -> Result<()> {
        self.store.add_calls(batch, stage, calls, now).await
    }

    async fn read_calls(&self, batch: &BatchId) -> Result<Calls> {
        self.store.read_calls(batch).await
    }

    async fn note_reason(
        &self,
        batch: &BatchId,
        reason: &Reason,
        examples: &[Example],
        now: Timestamp,
    ) -> Result<bool> {
        self.store.note_reason(batch, reason, examples, now).await
    }

    async fn note_trouble(&self, batch: &BatchId, trouble: &Trouble) -> Result<()> {
        self.store.note_trouble(batch, trouble).await
    }

    async fn overview(&self, batch: &BatchId) -> Result<Overview> {
        self.store.overview(batch).await
    }

    async fn begin_try(&self, message: &str, now: Timestamp) -> Result<u32> {
        self.hand.world(|state| state.begin(self.hand.task));
        self.store.begin_try(message, now).await
    }

    async fn excuse_try(&self, message: &str, now: Timestamp) -> Result<()> {
        self.hand.world(|state| state.excuse(self.hand.task));
        if self.hand.has(Mutation::BusyCounts) {
            return Ok(());
        }
        self.store.excuse_try(message, now).await
    }
}
