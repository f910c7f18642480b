//! A ledger whose calls are surrounded.

use std::collections::BTreeSet;
use std::ops::Range;

use futures::FutureExt;

use crate::model::calls::{Calls, StageCalls};
use crate::model::error::Result;
use crate::model::failures::Example;
use crate::model::ids::{BatchId, ChunkIndex};
use crate::model::progress::{
    Batch, BatchState, Bookmark, Leaf, Mark, Node, Observation, Opening, Sealing, Stop, Tally,
};
use crate::model::range::Claim;
use crate::model::reason::Reason;
use crate::model::schema::Rules;
use crate::model::timestamp::Timestamp;
use crate::store::ledger::{
    Claims, Control, LastFailure, Lease, Ledger, Listed, Listing, Notes, OpenBatch, OpenResult, Overview, Part,
    RuleBook, Snapshot, Trouble,
};
use crate::store::surround::{Surround, Surrounded};

impl<L: Ledger, A: Surround> Ledger for Surrounded<L, A> {
    async fn open(&self, opening: &Opening) -> Result<OpenResult> {
        self.around.call("ledger.open", || self.store.open(opening).boxed()).await
    }

    async fn read(&self, batch: &BatchId) -> Result<Option<Batch>> {
        self.around.call("ledger.read", || self.store.read(batch).boxed()).await
    }

    async fn look(&self, batch: &BatchId, leaves: &BTreeSet<u32>) -> Result<Snapshot> {
        self.around.call("ledger.look", || self.store.look(batch, leaves).boxed()).await
    }

    async fn read_leaves(&self, batch: &BatchId, leaves: Range<u32>) -> Result<Vec<Leaf>> {
        self.around.call("ledger.read_leaves", || self.store.read_leaves(batch, leaves.clone()).boxed()).await
    }

    async fn mark_leaf(&self, batch: &BatchId, chunk: ChunkIndex, mark: Mark, now: Timestamp) -> Result<Leaf> {
        self.around.call("ledger.mark_leaf", || self.store.mark_leaf(batch, chunk, mark.clone(), now).boxed()).await
    }

    async fn size_leaf(&self, batch: &BatchId, leaf: u32, size: u32, now: Timestamp) -> Result<Leaf> {
        self.around.call("ledger.size_leaf", || self.store.size_leaf(batch, leaf, size, now).boxed()).await
    }

    async fn read_nodes(&self, batch: &BatchId, nodes: Range<u32>) -> Result<Vec<Node>> {
        self.around.call("ledger.read_nodes", || self.store.read_nodes(batch, nodes.clone()).boxed()).await
    }

    async fn mark_node(&self, batch: &BatchId, leaf: u32, now: Timestamp) -> Result<Node> {
        self.around.call("ledger.mark_node", || self.store.mark_node(batch, leaf, now).boxed()).await
    }

    async fn size_node(&self, batch: &BatchId, node: u32, size: u32, now: Timestamp) -> Result<Node> {
        self.around.call("ledger.size_node", || self.store.size_node(batch, node, size, now).boxed()).await
    }

    async fn mark_root(&self, batch: &BatchId, mark: u32) -> Result<Batch> {
        self.around.call("ledger.mark_root", || self.store.mark_root(batch, mark).boxed()).await
    }

    async fn note_bookmark(&self, batch: &BatchId, bookmark: &Bookmark) -> Result<()> {
        self.around.call("ledger.note_bookmark", || self.store.note_bookmark(batch, bookmark).boxed()).await
    }

    async fn seal(&self, batch: &BatchId, sealing: &Sealing) -> Result<Batch> {
        self.around.call("ledger.seal", || self.store.seal(batch, sealing).boxed()).await
    }

    async fn take(&self, batch: &BatchId, owner: &str, now: Timestamp, until: Timestamp) -> Result<Lease> {
        self.around.call("ledger.take", || self.store.take(batch, owner, now, until).boxed()).await
    }

    async fn release_lease(&self, batch: &BatchId, owner: &str, now: Timestamp) -> Result<()> {
        self.around.call("ledger.release_lease", || self.store.release_lease(batch, owner, now).boxed()).await
    }

    async fn close(
        &self,
        batch: &BatchId,
        owner: &str,
        state: BatchState,
        tally: Tally,
        finished_at: Timestamp,
    ) -> Result<()> {
        self.around.call("ledger.close", || self.store.close(batch, owner, state, tally, finished_at).boxed()).await
    }

    async fn stop(&self, batch: &BatchId, stop: &Stop) -> Result<Batch> {
        self.around.call("ledger.stop", || self.store.stop(batch, stop).boxed()).await
    }

    async fn observe(&self, batch: &BatchId, seen: &Observation) -> Result<()> {
        self.around.call("ledger.observe", || self.store.observe(batch, seen).boxed()).await
    }

    async fn open_batches(&self, after: Option<&OpenBatch>) -> Result<Vec<OpenBatch>> {
        self.around.call("ledger.open_batches", || self.store.open_batches(after).boxed()).await
    }
}

impl<L: Listing, A: Surround> Listing for Surrounded<L, A> {
    async fn recent(&self, after: Option<&Listed>) -> Result<Vec<Batch>> {
        self.around.call("ledger.recent", || self.store.recent(after).boxed()).await
    }
}

impl<L: Claims, A: Surround> Claims for Surrounded<L, A> {
    async fn put_claims(&self, batch: &BatchId, group: u32, claims: &[Claim], now: Timestamp) -> Result<()> {
        self.around.call("ledger.put_claims", || self.store.put_claims(batch, group, claims, now).boxed()).await
    }

    async fn read_claims(&self, batch: &BatchId, groups: Range<u32>) -> Result<Vec<Vec<Claim>>> {
        self.around.call("ledger.read_claims", || self.store.read_claims(batch, groups.clone()).boxed()).await
    }
}

impl<L: RuleBook, A: Surround> RuleBook for Surrounded<L, A> {
    async fn put_rules(&self, rules: &Rules) -> Result<()> {
        self.around.call("ledger.put_rules", || self.store.put_rules(rules).boxed()).await
    }

    async fn read_rules(&self, digest: &str) -> Result<Option<Rules>> {
        self.around.call("ledger.read_rules", || self.store.read_rules(digest).boxed()).await
    }
}

impl<L: Control, A: Surround> Control for Surrounded<L, A> {
    async fn note_pause(&self, since: Option<Timestamp>) -> Result<()> {
        self.around.call("ledger.note_pause", || self.store.note_pause(since).boxed()).await
    }

    async fn paused(&self) -> Result<Option<Timestamp>> {
        self.around.call("ledger.paused", || self.store.paused().boxed()).await
    }
}

impl<L: Notes, A: Surround> Notes for Surrounded<L, A> {
    async fn note_failure(&self, batch: &BatchId, part: Part, failure: &LastFailure, now: Timestamp) -> Result<()> {
        self.around.call("ledger.note_failure", || self.store.note_failure(batch, part, failure, now).boxed()).await
    }

    async fn last_failure(&self, batch: &BatchId, part: Part) -> Result<Option<LastFailure>> {
        self.around.call("ledger.last_failure", || self.store.last_failure(batch, part).boxed()).await
    }

    async fn add_calls(&self, batch: &BatchId, stage: &str, calls: &StageCalls, now: Timestamp) -> Result<()> {
        self.around.call("ledger.add_calls", || self.store.add_calls(batch, stage, calls, now).boxed()).await
    }

    async fn read_calls(&self, batch: &BatchId) -> Result<Calls> {
        self.around.call("ledger.read_calls", || self.store.read_calls(batch).boxed()).await
    }

    async fn note_reason(
        &self,
        batch: &BatchId,
        reason: &Reason,
        examples: &[Example],
        now: Timestamp,
    ) -> Result<bool> {
        self.around.call("ledger.note_reason", || self.store.note_reason(batch, reason, examples, now).boxed()).await
    }

    async fn note_trouble(&self, batch: &BatchId, trouble: &Trouble) -> Result<()> {
        self.around.call("ledger.note_trouble", || self.store.note_trouble(batch, trouble).boxed()).await
    }

    async fn overview(&self, batch: &BatchId) -> Result<Overview> {
        self.around.call("ledger.overview", || self.store.overview(batch).boxed()).await
    }

    async fn begin_try(&self, message: &str, now: Timestamp) -> Result<u32> {
        self.around.call("ledger.begin_try", || self.store.begin_try(message, now).boxed()).await
    }

    async fn excuse_try(&self, message: &str, now: Timestamp) -> Result<()> {
        self.around.call("ledger.excuse_try", || self.store.excuse_try(message, now).boxed()).await
    }
}
