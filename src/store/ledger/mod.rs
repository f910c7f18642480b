//! Batch state and completion. The trait has only single conditional writes; [`tree`] explains how they make
//! completion certain and make it happen once.

pub mod memory;
pub mod surrounded;
pub mod tree;

use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;
use std::ops::Range;

use crate::model::calls::{Calls, StageCalls};
use crate::model::error::Result;
use crate::model::failures::{Example, Explained};
use crate::model::ids::{BatchId, ChunkIndex};
use crate::model::progress::{
    Batch, BatchState, Bookmark, Leaf, Mark, Node, Observation, Opening, Sealing, Stop, Tally,
};
use crate::model::range::Claim;
use crate::model::reason::{Reason, ReasonId};
use crate::model::schema::Rules;
use crate::model::timestamp::Timestamp;

/// How long the ledger keeps a batch.
pub const KEPT_SECONDS: i64 = 30 * 24 * 3600;

/// Claims that are kept together.
pub const CLAIMS: u32 = 10;

/// What came of opening a batch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OpenResult {
    /// It is new.
    Created,
    /// It was opened before.
    Existing(Box<Batch>),
}

/// What came of taking a batch to gather it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Lease {
    /// It is the caller's until the lease ends.
    Acquired(Box<Batch>),
    /// Another caller's lease is running.
    Held(Box<Batch>),
    /// It is already closed.
    Closed(Box<Batch>),
}

/// A batch, if it is known, and leaves of it by their numbers.
pub type Snapshot = (Option<Batch>, BTreeMap<u32, Leaf>);

/// A batch that is not closed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpenBatch {
    /// The batch.
    pub id: BatchId,
    /// When its scatter began.
    pub started_at: Timestamp,
}

/// A batch in the list of all batches.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    /// The batch; each of its generations is listed by itself.
    pub id: BatchId,
    /// When its scatter began.
    pub started_at: Timestamp,
}

impl Listed {
    /// The place of a batch in the list.
    pub fn of(batch: &Batch) -> Self {
        Self { id: batch.opening.id.clone(), started_at: batch.opening.started_at }
    }
}

/// What a failure was about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Part {
    /// The input as a whole.
    Scatter,
    /// One chunk.
    Chunk(ChunkIndex),
    /// The outputs.
    Gather,
}

/// Why the last attempt at something failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LastFailure {
    /// How often it had been tried.
    pub attempt: u32,
    /// The error's message.
    pub message: String,
}

/// What kept a message of a batch from being worked on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trouble {
    /// What the message was about.
    pub part: Part,
    /// Whether a service was busy, so that the try does not count.
    pub busy: bool,
    /// How often the message had been tried.
    pub attempt: u32,
    /// The error's message.
    pub message: String,
    /// When that was.
    pub at: Timestamp,
}

/// What the ledger has of a batch besides most of its leaves.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Overview {
    /// The batch, if it is known.
    pub batch: Option<Batch>,
    /// Whether it has a later generation.
    pub redriven: bool,
    /// Its first [`FIRST_LEAVES`] leaves; one that was not written yet is empty.
    pub leaves: Vec<Leaf>,
    /// The reasons that its leaves count.
    pub reasons: BTreeMap<ReasonId, Explained>,
    /// What went wrong last.
    pub trouble: Option<Trouble>,
    /// Its calls, as far as they were added.
    pub calls: Calls,
    /// Since when the workers of its pipeline are paused.
    pub paused: Option<Timestamp>,
}

/// The leaves that are read with a batch.
pub const FIRST_LEAVES: u32 = 50;

/// The ledger: each method but `read_leaves`, `read_nodes` and `open_batches` is one request, and atomic. Reads see
/// every write that came before them. A call that fails may have had its effect; every call may be repeated.
pub trait Ledger: Send + Sync + 'static {
    /// Opens a batch, unless it already exists.
    fn open(&self, opening: &Opening) -> impl Future<Output = Result<OpenResult>> + Send;

    /// Reads a batch as it stands.
    fn read(&self, batch: &BatchId) -> impl Future<Output = Result<Option<Batch>>> + Send;

    /// Reads a batch and some of its leaves, at most 50, each as it stands by itself; a leaf that was not written yet
    /// may be missing.
    fn look(&self, batch: &BatchId, leaves: &BTreeSet<u32>) -> impl Future<Output = Result<Snapshot>> + Send;

    /// Reads a range of leaves as they stand; one that was not written yet is empty.
    fn read_leaves(&self, batch: &BatchId, leaves: Range<u32>) -> impl Future<Output = Result<Vec<Leaf>>> + Send;

    /// Counts a chunk in its leaf, only once however often this is called, and returns the updated leaf.
    fn mark_leaf(
        &self,
        batch: &BatchId,
        chunk: ChunkIndex,
        mark: Mark,
        now: Timestamp,
    ) -> impl Future<Output = Result<Leaf>> + Send;

    /// Sets how many chunks a leaf covers, and returns the updated leaf.
    fn size_leaf(
        &self,
        batch: &BatchId,
        leaf: u32,
        size: u32,
        now: Timestamp,
    ) -> impl Future<Output = Result<Leaf>> + Send;

    /// Reads a range of nodes as they stand; one that was not written yet is empty.
    fn read_nodes(&self, batch: &BatchId, nodes: Range<u32>) -> impl Future<Output = Result<Vec<Node>>> + Send;

    /// Notes in its node that a leaf is full, and returns the updated node.
    fn mark_node(&self, batch: &BatchId, leaf: u32, now: Timestamp) -> impl Future<Output = Result<Node>> + Send;

    /// Sets how many leaves a node covers, and returns the updated node.
    fn size_node(
        &self,
        batch: &BatchId,
        node: u32,
        size: u32,
        now: Timestamp,
    ) -> impl Future<Output = Result<Node>> + Send;

    /// Notes in the root that a leaf or a node is full, by its number there, and returns the updated batch.
    fn mark_root(&self, batch: &BatchId, mark: u32) -> impl Future<Output = Result<Batch>> + Send;

    /// Notes how far scatter has come with a batch.
    fn note_bookmark(&self, batch: &BatchId, bookmark: &Bookmark) -> impl Future<Output = Result<()>> + Send;

    /// Writes what scatter knows at its end together with its token in the root, and returns the updated batch. A
    /// batch that is already sealed keeps its first seal.
    fn seal(&self, batch: &BatchId, sealing: &Sealing) -> impl Future<Output = Result<Batch>> + Send;

    /// Takes a sealed batch for `owner` until `until`, unless it is closed or another owner's lease is running. An
    /// owner that already holds it may take it again.
    fn take(
        &self,
        batch: &BatchId,
        owner: &str,
        now: Timestamp,
        until: Timestamp,
    ) -> impl Future<Output = Result<Lease>> + Send;

    /// Ends the lease of `owner`, so that another may take the batch at once. No error if another has it by now.
    fn release_lease(&self, batch: &BatchId, owner: &str, now: Timestamp) -> impl Future<Output = Result<()>> + Send;

    /// Closes a batch that `owner` has taken. `Conflict` if another has it by now; no error if it is already closed.
    fn close(
        &self,
        batch: &BatchId,
        owner: &str,
        state: BatchState,
        tally: Tally,
        finished_at: Timestamp,
    ) -> impl Future<Output = Result<()>> + Send;

    /// Decides that a batch is to end early, unless that is already decided or its outputs are being written, and
    /// returns the updated batch.
    fn stop(&self, batch: &BatchId, stop: &Stop) -> impl Future<Output = Result<Batch>> + Send;

    /// Notes what sweep saw of a batch that is not closed.
    fn observe(&self, batch: &BatchId, seen: &Observation) -> impl Future<Output = Result<()>> + Send;

    /// Returns a page of the batches that are not closed, oldest first, starting after `after`; empty at the end. The
    /// only read that may lag behind.
    fn open_batches(&self, after: Option<&OpenBatch>) -> impl Future<Output = Result<Vec<OpenBatch>>> + Send;
}

/// Where the chunks of a batch lie if they are ranges of its input. Each method but `read_claims` is one request, and
/// atomic; every call may be repeated.
pub trait Claims: Send + Sync + 'static {
    /// Writes the claims of up to [`CLAIMS`] chunks, from `CLAIMS * group` on. Idempotent.
    fn put_claims(
        &self,
        batch: &BatchId,
        group: u32,
        claims: &[Claim],
        now: Timestamp,
    ) -> impl Future<Output = Result<()>> + Send;

    /// Reads the claims of a range of groups as they stand; a group that was not written yet is empty.
    fn read_claims(&self, batch: &BatchId, groups: Range<u32>) -> impl Future<Output = Result<Vec<Vec<Claim>>>> + Send;
}

/// The rules that batches began with, by their digests. Each method is one request.
pub trait RuleBook: Send + Sync + 'static {
    /// Keeps rules. Idempotent.
    fn put_rules(&self, rules: &Rules) -> impl Future<Output = Result<()>> + Send;

    /// Returns the rules with this digest, if they were kept.
    fn read_rules(&self, digest: &str) -> impl Future<Output = Result<Option<Rules>>> + Send;
}

/// The batches that the ledger keeps, for people to look through.
pub trait Listing: Send + Sync + 'static {
    /// Returns a page of all batches, the latest first, starting after `after`; empty at the end. It may lag behind: a
    /// batch that began a moment ago may be missing, and is on a later first page.
    fn recent(&self, after: Option<&Listed>) -> impl Future<Output = Result<Vec<Batch>>> + Send;
}

/// What people decided about a pipeline. Each method is one request.
pub trait Control: Send + Sync + 'static {
    /// Notes since when its workers are paused; `None` once they are not.
    fn note_pause(&self, since: Option<Timestamp>) -> impl Future<Output = Result<()>> + Send;

    /// Reads since when they are paused.
    fn paused(&self) -> impl Future<Output = Result<Option<Timestamp>>> + Send;
}

/// Notes about a batch, for bury to report and for people to read. Each method but `read_calls` is one request.
pub trait Notes: Send + Sync + 'static {
    /// Notes why an attempt failed; only the last failure is kept.
    fn note_failure(
        &self,
        batch: &BatchId,
        part: Part,
        failure: &LastFailure,
        now: Timestamp,
    ) -> impl Future<Output = Result<()>> + Send;

    /// Returns why the last attempt failed, if that is known.
    fn last_failure(&self, batch: &BatchId, part: Part) -> impl Future<Output = Result<Option<LastFailure>>> + Send;

    /// Adds to the calls of a batch. The one method that counts twice if it is repeated: what it
    /// keeps is for people, and nothing depends on it.
    fn add_calls(
        &self,
        batch: &BatchId,
        stage: &str,
        calls: &StageCalls,
        now: Timestamp,
    ) -> impl Future<Output = Result<()>> + Send;

    /// Reads the calls of a batch by stage, as far as they were added.
    fn read_calls(&self, batch: &BatchId) -> impl Future<Output = Result<Calls>> + Send;

    /// Keeps the words of a reason and examples of it, and returns whether it is told apart: a batch has at most
    /// [`MOST_REASONS`](crate::model::reason::MOST_REASONS), and the examples that come first are kept. One or two requests.
    fn note_reason(
        &self,
        batch: &BatchId,
        reason: &Reason,
        examples: &[Example],
        now: Timestamp,
    ) -> impl Future<Output = Result<bool>> + Send;

    /// Notes what went wrong; only the last trouble of a batch is kept.
    fn note_trouble(&self, batch: &BatchId, trouble: &Trouble) -> impl Future<Output = Result<()>> + Send;

    /// Reads what is known of a batch, each part as it stands by itself.
    fn overview(&self, batch: &BatchId) -> impl Future<Output = Result<Overview>> + Send;

    /// Notes that a message, by its id, is tried once more, after its first try, and returns how many tries count: the
    /// first one and those begun, without those excused. Counts one too many if it is repeated.
    fn begin_try(&self, message: &str, now: Timestamp) -> impl Future<Output = Result<u32>> + Send;

    /// Notes that the current try of a message does not count, since a service was busy.
    fn excuse_try(&self, message: &str, now: Timestamp) -> impl Future<Output = Result<()>> + Send;
}

/// The stages whose calls are kept, and [`PROCESSOR`].
pub const STAGES: [&str; 5] = ["scatter", "process", "gather", "bury", PROCESSOR];

/// The name under which it is kept what a processor's own calls took.
pub const PROCESSOR: &str = "processor";
