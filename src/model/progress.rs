//! The progress of a batch: the leaves, nodes and root of its completion tree, and its state.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use serde::{Deserialize, Serialize};

use crate::model::condition::Condition;
use crate::model::fault::{Fault, FaultCode};
use crate::model::ids::{BatchId, ChunkIndex, LEAF_SIZE, NODE_SIZE};
use crate::model::input::InputRef;
use crate::model::price::Work;
use crate::model::range::Place;
use crate::model::reason::ReasonId;
use crate::model::record::Raw;
use crate::model::timestamp::Timestamp;

/// The mark that scatter adds to the root set when it seals a batch.
pub const SEAL_TOKEN: i64 = -1;

/// Counts of outcomes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tally {
    /// Records that became items.
    pub succeeded: u64,
    /// Records that did not.
    pub failed: u64,
    /// Chunks that could not be processed at all.
    pub failed_chunks: u64,
}

/// What the ledger notes about a finished chunk.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mark {
    /// The chunk's counts.
    pub tally: Tally,
    /// Whether it has outcomes that say more than its counts: failures, or records with a result.
    pub excepted: bool,
    /// Why its records failed that did.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub reasons: Vec<(ReasonId, u64)>,
}

impl From<Tally> for Mark {
    fn from(tally: Tally) -> Self {
        Self { tally, excepted: !tally.is_clean(), reasons: Vec::new() }
    }
}

impl Tally {
    /// Whether nothing failed.
    pub fn is_clean(&self) -> bool {
        self.failed == 0 && self.failed_chunks == 0
    }
}

impl std::ops::Add for Tally {
    type Output = Self;
    fn add(self, other: Self) -> Self {
        Self {
            succeeded: self.succeeded + other.succeeded,
            failed: self.failed + other.failed,
            failed_chunks: self.failed_chunks + other.failed_chunks,
        }
    }
}

/// The counters of up to [`LEAF_SIZE`] chunks.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Leaf {
    /// The chunks that are done, by their index in the batch.
    pub done: BTreeSet<u32>,
    /// The finished chunks whose outcomes say more than their counts, as [`Mark::excepted`].
    pub excepted: BTreeSet<u32>,
    /// The number of chunks that the leaf covers, once scatter has set it; [`LEAF_SIZE`] until then.
    pub size: Option<u32>,
    /// The sum over the finished chunks.
    pub tally: Tally,
    /// How many of their records failed for which reason.
    pub reasons: BTreeMap<ReasonId, u64>,
    /// When the first and the last of them were marked.
    pub marked: Option<(Timestamp, Timestamp)>,
}

impl Leaf {
    /// Whether every chunk of the leaf, the batch's `number`th, is done. Marks past its size do not count; a
    /// scatter that goes on after its batch was sealed by force may leave some.
    pub fn is_full(&self, number: u32) -> bool {
        holds_all(&self.done, number * LEAF_SIZE, self.size.unwrap_or(LEAF_SIZE))
    }

    /// Whether a chunk is done.
    pub fn holds(&self, chunk: ChunkIndex) -> bool {
        self.done.contains(&chunk.get())
    }
}

/// The full ones of up to [`NODE_SIZE`] leaves. The first leaves of a batch have no node: the root itself marks them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Node {
    /// The leaves that are full, by their numbers in the batch.
    pub full: BTreeSet<u32>,
    /// The number of leaves that the node covers, once scatter has set it; [`NODE_SIZE`] until then.
    pub size: Option<u32>,
}

impl Node {
    /// The node that covers a leaf; `None` for a leaf that the root itself covers.
    pub fn of(leaf: u32) -> Option<u32> {
        Some(leaf / NODE_SIZE).filter(|node| *node > 0)
    }

    /// The leaves that a node may cover.
    pub fn leaves(number: u32) -> Range<u32> {
        number * NODE_SIZE..(number + 1) * NODE_SIZE
    }

    /// The number that stands for a full node in the root set; it follows those of the leaves there.
    pub fn root_mark(number: u32) -> u32 {
        NODE_SIZE - 1 + number
    }

    /// Whether every leaf of the node, the batch's `number`th, is full. Marks past its size do not count, as in a leaf.
    pub fn is_full(&self, number: u32) -> bool {
        holds_all(&self.full, Self::leaves(number).start, self.size.unwrap_or(NODE_SIZE))
    }
}

/// Whether a set has `size` numbers from `first` on.
fn holds_all(set: &BTreeSet<u32>, first: u32, size: u32) -> bool {
    set.range(first..first + size).count() as u64 == u64::from(size)
}

/// Where a batch stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum BatchState {
    /// Scatter is cutting the input.
    Scattering,
    /// All chunks are sent and counted; some are not done.
    Processing,
    /// All chunks are done; the outputs are being written.
    Gathering,
    /// Every record was stored.
    Succeeded,
    /// At least one record failed.
    PartiallyFailed,
    /// The batch ended with an error, such as an input that could not be read.
    Failed,
    /// The batch was cancelled.
    Cancelled,
}

impl BatchState {
    /// All states.
    pub const ALL: [Self; 7] = [
        Self::Scattering,
        Self::Processing,
        Self::Gathering,
        Self::Succeeded,
        Self::PartiallyFailed,
        Self::Failed,
        Self::Cancelled,
    ];

    /// Whether the batch has ended.
    pub fn is_final(self) -> bool {
        !matches!(self, Self::Scattering | Self::Processing | Self::Gathering)
    }

    /// The name in the ledger and in the summary.
    pub fn name(self) -> &'static str {
        match self {
            Self::Scattering => "SCATTERING",
            Self::Processing => "PROCESSING",
            Self::Gathering => "GATHERING",
            Self::Succeeded => "SUCCEEDED",
            Self::PartiallyFailed => "PARTIALLY_FAILED",
            Self::Failed => "FAILED",
            Self::Cancelled => "CANCELLED",
        }
    }

    /// The state with that name.
    pub fn of_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.name() == name)
    }
}

/// What is known of a batch when it is opened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Opening {
    /// The batch.
    pub id: BatchId,
    /// The variant that works on it.
    pub variant: String,
    /// Its input.
    pub input: InputRef,
    /// How its end is noticed.
    pub condition: Condition,
    /// Whether its chunks are ranges of the input, and not copies of its records.
    pub ranged: bool,
    /// The digest of the rules that its records have to keep, which the ledger knows; `None` for a batch of before they
    /// were kept.
    pub rules: Option<String>,
    /// The one reason whose failures a redrive is about; `None` for all of them, and for an upload.
    pub only: Option<ReasonId>,
    /// Records per chunk; 0 if that was not kept.
    pub chunk_size: u32,
    /// When scatter began.
    pub started_at: Timestamp,
    /// Orders the batch among all batches: when its first generation began.
    pub sequence: Timestamp,
}

/// How far scatter has come with a batch: each chunk before this one was written and sent. A later invocation goes on
/// with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bookmark {
    /// The chunk.
    pub chunk: u32,
    /// The index of its first record.
    pub record: u64,
    /// Where that record begins in its file, if the file is read from front to back.
    pub place: Place,
    /// The file's place in the list of the batch's objects, if there are many.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub object: Option<u32>,
    /// What is in the chunks before, and what they take of the batch's limits.
    pub work: Work,
}

/// What scatter knows when it ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sealing {
    /// Records in all chunks; `None` if scatter did not finish, so that nobody counted them.
    pub records: Option<u64>,
    /// Chunks that were sent.
    pub chunks: u32,
    /// The columns of a CSV file.
    pub columns: Option<Vec<String>>,
    /// The bytes at the start of a CSV file that name them.
    pub head: Option<Raw>,
    /// Why the input could not be read to its end.
    pub error: Option<Fault>,
    /// When scatter ended.
    pub scattered_at: Timestamp,
}

impl Sealing {
    /// The number of leaves of the completion tree.
    pub fn leaves(&self) -> u32 {
        self.chunks.div_ceil(LEAF_SIZE)
    }

    /// The last leaf and its size, if there is any leaf.
    pub fn last_leaf(&self) -> Option<(u32, u32)> {
        let last = self.leaves().checked_sub(1)?;
        Some((last, self.chunks - last * LEAF_SIZE))
    }

    /// The last node and its size, if there is any node.
    pub fn last_node(&self) -> Option<(u32, u32)> {
        let last = Node::of(self.leaves().checked_sub(1)?)?;
        Some((last, self.leaves() - Node::leaves(last).start))
    }

    /// The numbers that the root set of a complete batch has, besides that of the seal: of the leaves that the root
    /// itself covers, and of all nodes.
    pub fn root_marks(&self) -> Range<u32> {
        0..self.last_node().map_or(self.leaves(), |(last, _)| Node::root_mark(last) + 1)
    }
}

/// The decision to end a batch before all of its records are processed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stop {
    /// The state that the batch is to end in.
    pub state: BatchState,
    /// Why.
    pub fault: Fault,
    /// When it was decided.
    pub at: Timestamp,
}

/// What sweep last saw of a batch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Observation {
    /// A mark of the batch's progress, which changes whenever it advances.
    pub mark: String,
    /// When sweep first saw that mark.
    pub since: Timestamp,
    /// How often sweep has mended the batch since it last advanced.
    pub mended: u32,
    /// When sweep will mend it next, if it does not advance.
    pub next: Timestamp,
}

impl Observation {
    /// The mark of a batch in a state: `count` chunks are missing, or are done as long as scatter runs.
    pub fn mark_of(state: BatchState, count: usize, stopped: bool, gather_attempts: u32) -> String {
        let stopped = if stopped { " stopped" } else { "" };
        format!("{} {count}{stopped} {gather_attempts}", state.name())
    }

    /// How many chunks were missing when this was first seen, if the batch was being processed.
    pub fn missing(&self) -> Option<u64> {
        let mut words = self.mark.split(' ');
        let processing = words.next()? == BatchState::Processing.name();
        words.next()?.parse().ok().filter(|_| processing)
    }
}

/// A batch as the ledger records it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Batch {
    /// What it was opened with.
    pub opening: Opening,
    /// Where it stands.
    pub state: BatchState,
    /// How far scatter had come when it last noted that.
    pub bookmark: Option<Bookmark>,
    /// What scatter knew when it ended; `None` while it runs.
    pub sealing: Option<Sealing>,
    /// The numbers of the full ones of its first [`NODE_SIZE`] leaves, [`Node::root_mark`] of full nodes, and
    /// [`SEAL_TOKEN`].
    pub root: BTreeSet<i64>,
    /// When gather first took the batch.
    pub gather_started_at: Option<Timestamp>,
    /// How often gather took the batch.
    pub gather_attempts: u32,
    /// Until when the current holder of the lease may work alone.
    pub lease_until: Option<Timestamp>,
    /// When the batch was closed.
    pub finished_at: Option<Timestamp>,
    /// The counts with which it was closed.
    pub tally: Option<Tally>,
    /// Whether and why it is to end early.
    pub stop: Option<Stop>,
    /// What sweep saw last.
    pub seen: Option<Observation>,
}

impl Batch {
    /// A batch just opened.
    pub fn opened(opening: Opening) -> Self {
        Self {
            opening,
            state: BatchState::Scattering,
            bookmark: None,
            sealing: None,
            root: BTreeSet::new(),
            gather_started_at: None,
            gather_attempts: 0,
            lease_until: None,
            finished_at: None,
            tally: None,
            stop: None,
            seen: None,
        }
    }

    /// Whether it was sealed with the chunks that existed, because its scatter did not finish.
    pub fn is_sealed_by_force(&self) -> bool {
        self.sealing.as_ref().is_some_and(|sealing| sealing.records.is_none())
    }

    /// Whether its failed records are known and can be processed again: its input was read to the end.
    pub fn is_redrivable(&self) -> bool {
        // Of many objects, those that could be read were read to their ends.
        let whole = |error: &Fault| error.code == FaultCode::UnreadableObjects;
        let whole = |sealing: &Sealing| sealing.records.is_some() && sealing.error.as_ref().is_none_or(whole);
        self.sealing.as_ref().is_some_and(whole)
    }

    /// Whether the batch is sealed and each of its leaves is full.
    pub fn is_complete(&self) -> bool {
        let full = |sealing: &Sealing| sealing.root_marks().all(|mark| self.has_root_mark(mark));
        self.root.contains(&SEAL_TOKEN) && self.sealing.as_ref().is_some_and(full)
    }

    /// Whether the root set has the number of a leaf or a node.
    pub fn has_root_mark(&self, mark: u32) -> bool {
        self.root.contains(&i64::from(mark))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::ids::{MAX_NODES, MAX_TREE_CHUNKS};

    #[test]
    fn names_of_states_lead_back() {
        for state in [BatchState::Scattering, BatchState::PartiallyFailed, BatchState::Cancelled] {
            assert_eq!(BatchState::of_name(state.name()), Some(state));
            assert_eq!(serde_json::to_string(&state).unwrap(), format!("\"{}\"", state.name()));
        }
        assert_eq!(BatchState::of_name("DONE"), None);
    }

    #[test]
    fn a_mark_tells_how_many_chunks_were_missing() {
        let seen = |state| {
            let mark = Observation::mark_of(state, 17, true, 2);
            Observation { mark, since: Timestamp(0), mended: 0, next: Timestamp(0) }.missing()
        };
        assert_eq!([BatchState::Processing, BatchState::Scattering].map(seen), [Some(17), None]);
    }

    #[test]
    fn a_leaf_is_full_when_its_own_chunks_are_done() {
        let leaf = |done: std::ops::Range<u32>, size| Leaf { done: done.collect(), size, ..Leaf::default() };
        assert!(leaf(0..256, None).is_full(0) && !leaf(0..255, None).is_full(0));
        assert!(leaf(256..259, Some(3)).is_full(1) && !leaf(256..258, Some(3)).is_full(1));
        assert!(leaf(256..262, Some(3)).is_full(1), "marks past the size are no obstacle");
        assert!(!leaf(257..262, Some(3)).is_full(1), "and do not stand for those that are missing");
        assert!(leaf(0..0, Some(0)).is_full(0));
    }

    #[test]
    fn a_node_is_full_when_its_own_leaves_are() {
        let node = |full: Range<u32>, size| Node { full: full.collect(), size };
        assert!(node(256..512, None).is_full(1) && !node(256..511, None).is_full(1));
        assert!(node(512..515, Some(3)).is_full(2) && !node(513..520, Some(3)).is_full(2));
    }

    #[test]
    fn leaves_and_nodes_follow_from_chunks() {
        for (chunks, leaf, node, root) in [
            (0, None, None, 0),
            (1, Some((0, 1)), None, 1),
            (256, Some((0, 256)), None, 1),
            (257, Some((1, 1)), None, 2),
            (65_535, Some((255, 255)), None, 256),
            (65_536, Some((255, 256)), None, 256),
            (65_537, Some((256, 1)), Some((1, 1)), 257),
            (65_793, Some((257, 1)), Some((1, 2)), 257),
            (131_072, Some((511, 256)), Some((1, 256)), 257),
            (131_073, Some((512, 1)), Some((2, 1)), 258),
            (MAX_TREE_CHUNKS, Some((65_535, 256)), Some((MAX_NODES, 256)), 256 + 255),
        ] {
            let sealing = sealing(chunks);
            assert_eq!((sealing.last_leaf(), sealing.last_node()), (leaf, node), "{chunks}");
            assert_eq!(sealing.root_marks(), 0..root, "{chunks}");
        }
        assert_eq!(MAX_TREE_CHUNKS, 16_777_216);
    }

    fn sealing(chunks: u32) -> Sealing {
        let (records, columns, head) = (Some(0), None, None);
        Sealing { records, chunks, columns, head, error: None, scattered_at: Timestamp(0) }
    }
}
