//! A ledger that fails on purpose.

use std::collections::BTreeSet;
use std::ops::Range;

use crate::model::calls::{Calls, StageCalls};
use crate::model::error::Result;
use crate::model::ids::{BatchId, ChunkIndex};
use crate::model::progress::{Batch, BatchState, Leaf, Mark, Observation, Opening, Sealing, Stop, Tally};
use crate::model::range::Claim;
use crate::model::schema::Rules;
use crate::model::timestamp::Timestamp;
use crate::store::faults::{Faults, Faulty};
use crate::store::ledger::{
    Claims, LastFailure, Lease, Ledger, Notes, OpenBatch, OpenResult, Part, RuleBook, Snapshot,
};

impl<L: Ledger, F: Faults> Ledger for Faulty<L, F> {
    async fn open(&self, opening: &Opening) -> Result<OpenResult> {
        self.call("ledger.open", self.store.open(opening)).await
    }

    async fn read(&self, batch: &BatchId) -> Result<Option<Batch>> {
        self.call("ledger.read", self.store.read(batch)).await
    }

    async fn look(&self, batch: &BatchId, leaves: &BTreeSet<u32>) -> Result<Snapshot> {
        self.call("ledger.look", self.store.look(batch, leaves)).await
    }

    async fn read_leaves(&self, batch: &BatchId, leaves: Range<u32>) -> Result<Vec<Leaf>> {
        self.call("ledger.read_leaves", self.store.read_leaves(batch, leaves)).await
    }

    async fn mark_leaf(&self, batch: &BatchId, chunk: ChunkIndex, mark: Mark, now: Timestamp) -> Result<Leaf> {
        self.call("ledger.mark_leaf", self.store.mark_leaf(batch, chunk, mark, now)).await
    }

    async fn size_leaf(&self, batch: &BatchId, leaf: u32, size: u32, now: Timestamp) -> Result<Leaf> {
        self.call("ledger.size_leaf", self.store.size_leaf(batch, leaf, size, now)).await
    }

    async fn mark_root(&self, batch: &BatchId, leaf: u32) -> Result<Batch> {
        self.call("ledger.mark_root", self.store.mark_root(batch, leaf)).await
    }

    async fn seal(&self, batch: &BatchId, sealing: &Sealing) -> Result<Batch> {
        self.call("ledger.seal", self.store.seal(batch, sealing)).await
    }

    async fn take(&self, batch: &BatchId, owner: &str, now: Timestamp, until: Timestamp) -> Result<Lease> {
        self.call("ledger.take", self.store.take(batch, owner, now, until)).await
    }

    async fn release_lease(&self, batch: &BatchId, owner: &str, now: Timestamp) -> Result<()> {
        self.call("ledger.release_lease", self.store.release_lease(batch, owner, now)).await
    }

    async fn close(
        &self,
        batch: &BatchId,
        owner: &str,
        state: BatchState,
        tally: Tally,
        finished_at: Timestamp,
    ) -> Result<()> {
        self.call("ledger.close", self.store.close(batch, owner, state, tally, finished_at)).await
    }

    async fn stop(&self, batch: &BatchId, stop: &Stop) -> Result<Batch> {
        self.call("ledger.stop", self.store.stop(batch, stop)).await
    }

    async fn observe(&self, batch: &BatchId, seen: &Observation) -> Result<()> {
        self.call("ledger.observe", self.store.observe(batch, seen)).await
    }

    async fn open_batches(&self, after: Option<&OpenBatch>) -> Result<Vec<OpenBatch>> {
        self.call("ledger.open_batches", self.store.open_batches(after)).await
    }
}

impl<L: Claims, F: Faults> Claims for Faulty<L, F> {
    async fn put_claims(&self, batch: &BatchId, group: u32, claims: &[Claim], now: Timestamp) -> Result<()> {
        self.call("ledger.put_claims", self.store.put_claims(batch, group, claims, now)).await
    }

    async fn read_claims(&self, batch: &BatchId, groups: Range<u32>) -> Result<Vec<Vec<Claim>>> {
        self.call("ledger.read_claims", self.store.read_claims(batch, groups)).await
    }
}

impl<L: RuleBook, F: Faults> RuleBook for Faulty<L, F> {
    async fn put_rules(&self, rules: &Rules) -> Result<()> {
        self.call("ledger.put_rules", self.store.put_rules(rules)).await
    }

    async fn read_rules(&self, digest: &str) -> Result<Option<Rules>> {
        self.call("ledger.read_rules", self.store.read_rules(digest)).await
    }
}

impl<L: Notes, F: Faults> Notes for Faulty<L, F> {
    async fn note_failure(&self, batch: &BatchId, part: Part, failure: &LastFailure, now: Timestamp) -> Result<()> {
        self.call("ledger.note_failure", self.store.note_failure(batch, part, failure, now)).await
    }

    async fn last_failure(&self, batch: &BatchId, part: Part) -> Result<Option<LastFailure>> {
        self.call("ledger.last_failure", self.store.last_failure(batch, part)).await
    }

    async fn add_calls(&self, batch: &BatchId, stage: &str, calls: &StageCalls, now: Timestamp) -> Result<()> {
        self.call("ledger.add_calls", self.store.add_calls(batch, stage, calls, now)).await
    }

    async fn read_calls(&self, batch: &BatchId) -> Result<Calls> {
        self.call("ledger.read_calls", self.store.read_calls(batch)).await
    }
}
