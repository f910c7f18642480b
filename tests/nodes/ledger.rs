//! The ledger as one function sees it: other functions go on before and after each of its calls, any of which may be
//! its last, and a test may have built a mistake into it.

use std::collections::BTreeSet;
use std::ops::Range;
use std::sync::{Arc, Mutex};

use fanfold::model::error::{Error, Result};
use fanfold::model::ids::{BatchId, ChunkIndex, MAX_NODES, NODE_SIZE};
use fanfold::model::progress::{
    Batch, BatchState, Bookmark, Leaf, Mark, Node, Observation, Opening, Sealing, Stop, Tally,
};
use fanfold::model::timestamp::Timestamp;
use fanfold::store::ledger::memory::MemoryLedger;
use fanfold::store::ledger::{Lease, Ledger, OpenBatch, OpenResult, Snapshot};

use super::world::{World, sealing};

/// A mistake that the simulation must catch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mutation {
    /// A node is marked in the root before it is full.
    NodeIsMarkedTooSoon,
    /// A node counts its marks, whichever leaves they are of.
    NodeCountsMarks,
    /// The last node gets its size from whichever seal comes last.
    LaterSealCounts,
    /// A full node is marked in the root only by the caller whose mark is the first of its leaf.
    RepeatIsNotSettled,
    /// Sweep does not mark full nodes in the root.
    MissingNodesAreNotSettled,
    /// Nor full leaves in their nodes.
    MissingLeavesAreNotSettled,
    /// A batch is complete without its nodes.
    NodesAreNotAwaited,
}

impl Mutation {
    pub const ALL: [Self; 7] = [
        Self::NodeIsMarkedTooSoon,
        Self::NodeCountsMarks,
        Self::LaterSealCounts,
        Self::RepeatIsNotSettled,
        Self::MissingNodesAreNotSettled,
        Self::MissingLeavesAreNotSettled,
        Self::NodesAreNotAwaited,
    ];
}

/// What a function is at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    Work,
    /// Scatter or bury, with the number of chunks that it seals the batch with.
    Seal(u32),
    /// Sweep, while it gives the last leaf and node their sizes.
    Size,
    /// Sweep, while it looks for what is missing.
    Miss,
}

/// One function's access to the ledger.
#[derive(Clone)]
pub struct Hand {
    pub memory: MemoryLedger,
    pub world: Arc<Mutex<World>>,
    pub role: Role,
}

impl Hand {
    fn has(&self, mutation: Mutation) -> bool {
        self.world.lock().unwrap().mutation == Some(mutation)
    }

    /// Lets other functions go on; fails if the function dies here.
    async fn turn(&self) -> Result<()> {
        futures::pending!();
        if self.world.lock().unwrap().dies() { Err(Error::transient("died")) } else { Ok(()) }
    }

    async fn call<T: Send>(&self, call: impl Future<Output = Result<T>> + Send) -> Result<T> {
        self.turn().await?;
        let answer = call.await?;
        self.turn().await?;
        Ok(answer)
    }

    async fn node(&self, batch: &BatchId, number: u32) -> Result<Node> {
        Ok(self.memory.read_nodes(batch, number..number + 1).await?.remove(0))
    }

    async fn marked_node(&self, batch: &BatchId, leaf: u32, now: Timestamp) -> Result<Node> {
        let number = leaf / NODE_SIZE;
        let before = self.node(batch, number).await?;
        if self.role == Role::Miss && self.has(Mutation::MissingLeavesAreNotSettled) {
            return Ok(before);
        }
        let mut node = self.memory.mark_node(batch, leaf, now).await?;
        let first = Node::leaves(number).start;
        if self.has(Mutation::RepeatIsNotSettled) && before.full.contains(&leaf) {
            node.full.clear();
        }
        if self.has(Mutation::NodeIsMarkedTooSoon) {
            node.full = Node::leaves(number).collect();
        }
        if self.has(Mutation::NodeCountsMarks) {
            node.full = (first..first + node.full.len() as u32).collect();
        }
        Ok(node)
    }

    async fn sized_node(&self, batch: &BatchId, number: u32, size: u32, now: Timestamp) -> Result<Node> {
        let own = match self.role {
            Role::Seal(chunks) if self.has(Mutation::LaterSealCounts) => sealing(chunks).last_node(),
            _ => Some((number, size)),
        };
        match own {
            Some((number, size)) => self.memory.size_node(batch, number, size, now).await,
            None => self.node(batch, number).await,
        }
    }

    async fn marked_root(&self, batch: &BatchId, mark: u32) -> Result<Batch> {
        let of_node = mark >= NODE_SIZE;
        if of_node && self.role == Role::Miss && self.has(Mutation::MissingNodesAreNotSettled) {
            let read = self.memory.read(batch).await?;
            return Ok(read.unwrap());
        }
        let mut batch = self.memory.mark_root(batch, mark).await?;
        if self.has(Mutation::NodesAreNotAwaited) {
            batch.root.extend((1..=MAX_NODES).map(|node| i64::from(Node::root_mark(node))));
        }
        Ok(batch)
    }
}

impl Ledger for Hand {
    async fn open(&self, opening: &Opening) -> Result<OpenResult> {
        self.call(self.memory.open(opening)).await
    }

    async fn read(&self, batch: &BatchId) -> Result<Option<Batch>> {
        self.call(self.memory.read(batch)).await
    }

    async fn look(&self, batch: &BatchId, leaves: &BTreeSet<u32>) -> Result<Snapshot> {
        self.call(self.memory.look(batch, leaves)).await
    }

    async fn read_leaves(&self, batch: &BatchId, leaves: Range<u32>) -> Result<Vec<Leaf>> {
        self.call(self.memory.read_leaves(batch, leaves)).await
    }

    async fn mark_leaf(&self, batch: &BatchId, chunk: ChunkIndex, mark: Mark, now: Timestamp) -> Result<Leaf> {
        self.call(self.memory.mark_leaf(batch, chunk, mark, now)).await
    }

    async fn size_leaf(&self, batch: &BatchId, leaf: u32, size: u32, now: Timestamp) -> Result<Leaf> {
        self.call(self.memory.size_leaf(batch, leaf, size, now)).await
    }

    async fn read_nodes(&self, batch: &BatchId, nodes: Range<u32>) -> Result<Vec<Node>> {
        self.call(self.memory.read_nodes(batch, nodes)).await
    }

    async fn mark_node(&self, batch: &BatchId, leaf: u32, now: Timestamp) -> Result<Node> {
        self.call(self.marked_node(batch, leaf, now)).await
    }

    async fn size_node(&self, batch: &BatchId, node: u32, size: u32, now: Timestamp) -> Result<Node> {
        self.call(self.sized_node(batch, node, size, now)).await
    }

    async fn mark_root(&self, batch: &BatchId, mark: u32) -> Result<Batch> {
        self.call(self.marked_root(batch, mark)).await
    }

    async fn note_bookmark(&self, batch: &BatchId, bookmark: &Bookmark) -> Result<()> {
        self.call(self.memory.note_bookmark(batch, bookmark)).await
    }

    async fn seal(&self, batch: &BatchId, sealing: &Sealing) -> Result<Batch> {
        self.call(self.memory.seal(batch, sealing)).await
    }

    async fn take(&self, batch: &BatchId, owner: &str, now: Timestamp, until: Timestamp) -> Result<Lease> {
        self.call(self.memory.take(batch, owner, now, until)).await
    }

    async fn release_lease(&self, batch: &BatchId, owner: &str, now: Timestamp) -> Result<()> {
        self.call(self.memory.release_lease(batch, owner, now)).await
    }

    async fn close(&self, id: &BatchId, owner: &str, end: BatchState, tally: Tally, at: Timestamp) -> Result<()> {
        self.call(self.memory.close(id, owner, end, tally, at)).await
    }

    async fn stop(&self, batch: &BatchId, stop: &Stop) -> Result<Batch> {
        self.call(self.memory.stop(batch, stop)).await
    }

    async fn observe(&self, batch: &BatchId, seen: &Observation) -> Result<()> {
        self.call(self.memory.observe(batch, seen)).await
    }

    async fn open_batches(&self, after: Option<&OpenBatch>) -> Result<Vec<OpenBatch>> {
        self.call(self.memory.open_batches(after)).await
    }
}
