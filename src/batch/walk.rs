//! A walk over the chunks of a batch, leaf by leaf of its completion tree: what was decided about each, and how many
//! records the leaves counted. Leaves are read a few at a time and in step with the chunks, so that counts and outcomes
//! come from the same reading, and nothing grows with the batch.

use std::collections::BTreeSet;
use std::ops::Range;
use std::sync::Arc;

use futures::future::{BoxFuture, FutureExt};
use futures::stream::{self, BoxStream, StreamExt, TryStreamExt};
use serde::{Deserialize, Serialize};

use crate::batch::Batches;
use crate::batch::chunks::Decision;
use crate::batch::coverage;
use crate::model::error::{Error, Result};
use crate::model::ids::{BatchId, ChunkIndex, LEAF_SIZE};
use crate::model::progress::{Batch, Leaf, Sealing, Tally};
use crate::store::Stores;
use crate::store::ledger::Ledger;

/// Leaves that are read together.
const PAGE: u32 = 16;

/// Which chunks a walk reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Which {
    /// All.
    All,
    /// Those whose outcomes say more than their counts.
    Excepted,
    /// The same, with the records of those that were ended without them.
    ExceptedAndLost,
}

/// Where a walk stands.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(super) struct Place {
    /// The next leaf to read.
    leaf: u32,
    /// What is left of the one before it.
    left: Chunks,
    /// The sum of the leaves that were read.
    counted: Tally,
}

impl Place {
    /// The sum of the leaves that were read.
    pub fn counted(&self) -> Tally {
        self.counted
    }
}

/// Chunks of a leaf.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
struct Chunks {
    /// Those to be read.
    read: BTreeSet<u32>,
    /// Those of them that were not done when the batch was closed, because it was given up: they will never be ended,
    /// and any outcomes kept for them were not counted.
    lost: BTreeSet<u32>,
}

/// What a walk comes to.
pub(super) enum Step {
    /// The next leaf.
    Leaf,
    /// A chunk of it, and the indexes of its records if those are lost and the walk reads them.
    Chunk(Decision, Option<Range<u64>>),
}

/// The same with what the walk has to note.
enum Found {
    Leaf(u32, Chunks, Tally),
    Chunk(u32, Decision, Option<Range<u64>>),
}

/// What is to be read next.
enum Ahead {
    Leaf(u32, Chunks, Tally),
    Chunk { chunk: u32, lost: bool },
}

/// A walk over the chunks of a batch, in order.
pub(super) struct Walk<'a> {
    found: BoxStream<'a, Result<Found>>,
    place: Place,
}

impl<'a> Walk<'a> {
    /// A walk over a sealed batch from a place on, which reads up to `width` chunks ahead.
    pub fn new<S: Stores>(batches: &'a Batches<S>, batch: &Batch, which: Which, place: Place, width: usize) -> Self {
        let ground = Arc::new(Ground::of(batch, which));
        let first = ahead(&place.left).map(Ok);
        let pages = {
            let ground = ground.clone();
            stream::try_unfold(place.leaf, move |from| page(batches, ground.clone(), from))
        };
        let leaves = {
            let ground = ground.clone();
            pages.map_ok(move |(from, page)| {
                let ground = ground.clone();
                let leaves = (from..).zip(page).flat_map(move |(number, leaf)| {
                    let chunks = ground.chunks(number, &leaf);
                    let below: Vec<Ahead> = ahead(&chunks).collect();
                    std::iter::once(Ahead::Leaf(number, chunks, leaf.tally)).chain(below)
                });
                stream::iter(leaves.map(Ok))
            })
        };
        let found = stream::iter(first).chain(leaves.try_flatten());
        let found = found.map(move |ahead| look(batches, ground.clone(), ahead)).buffered(width).boxed();
        Self { found, place }
    }

    /// Goes to the next leaf or chunk; `None` at the end.
    ///
    /// # Errors
    /// Those of the stores; `Internal` if a chunk that is done lacks its result.
    pub async fn next(&mut self) -> Result<Option<Step>> {
        Ok(match self.found.try_next().await? {
            None => None,
            Some(Found::Leaf(number, left, tally)) => {
                self.place = Place { leaf: number + 1, left, counted: self.place.counted + tally };
                Some(Step::Leaf)
            }
            Some(Found::Chunk(chunk, decision, lost)) => {
                self.place.left.read.remove(&chunk);
                self.place.left.lost.remove(&chunk);
                Some(Step::Chunk(decision, lost))
            }
        })
    }

    /// Where it stands.
    pub fn place(&self) -> &Place {
        &self.place
    }
}

/// What a walk has to know of its batch.
struct Ground {
    id: BatchId,
    which: Which,
    chunks: u32,
    leaves: u32,
    /// Whether the batch has a tree. If not, its chunks are taken leaf by leaf all the same, and nothing is counted.
    tree: bool,
    /// Whether the batch is closed, so that what is not done will never be.
    closed: bool,
    /// Whether chunks may lack their results: a scatter that died may not have put every chunk, and a batch that was
    /// given up may lack some.
    gaps: bool,
}

impl Ground {
    fn of(batch: &Batch, which: Which) -> Self {
        let sealing = batch.sealing.as_ref();
        Self {
            id: batch.opening.id.clone(),
            which,
            chunks: sealing.map_or(0, |sealing| sealing.chunks),
            leaves: sealing.map_or(0, Sealing::leaves),
            tree: batch.opening.condition.has_tree(),
            closed: batch.state.is_final(),
            gaps: batch.is_sealed_by_force() || batch.state.is_final(),
        }
    }

    fn chunks(&self, number: u32, leaf: &Leaf) -> Chunks {
        let first = number * LEAF_SIZE;
        let all = first..self.chunks.min(first + LEAF_SIZE);
        let mut lost = BTreeSet::new();
        if self.tree && self.closed {
            lost = all.clone().filter(|chunk| !leaf.done.contains(chunk)).collect();
        }
        let read = match self.which {
            Which::All => all.collect(),
            Which::Excepted | Which::ExceptedAndLost => leaf.excepted.union(&lost).copied().collect(),
        };
        Chunks { read, lost }
    }
}

fn ahead(chunks: &Chunks) -> impl Iterator<Item = Ahead> + use<> {
    let ahead = |chunk: &u32| Ahead::Chunk { chunk: *chunk, lost: chunks.lost.contains(chunk) };
    chunks.read.iter().map(ahead).collect::<Vec<_>>().into_iter()
}

/// A page of leaves and the number of its first one, and where the next page begins.
type Page = Option<((u32, Vec<Leaf>), u32)>;

fn page<S: Stores>(batches: &Batches<S>, ground: Arc<Ground>, from: u32) -> BoxFuture<'_, Result<Page>> {
    async move {
        let end = ground.leaves.min(from.saturating_add(PAGE));
        if from >= end {
            return Ok(None);
        }
        let leaves = if ground.tree {
            batches.ledger.read_leaves(&ground.id, from..end).await?
        } else {
            (from..end).map(|_| Leaf::default()).collect()
        };
        Ok(Some(((from, leaves), end)))
    }
    .boxed()
}

fn look<S: Stores>(batches: &Batches<S>, ground: Arc<Ground>, ahead: Result<Ahead>) -> BoxFuture<'_, Result<Found>> {
    async move {
        let (index, lost) = match ahead? {
            Ahead::Leaf(number, chunks, tally) => return Ok(Found::Leaf(number, chunks, tally)),
            Ahead::Chunk { chunk, lost } => (chunk, lost),
        };
        let (id, chunk) = (&ground.id, ChunkIndex::new(index)?);
        let kept = if lost { None } else { batches.chunks.outcomes(id, chunk).await? };
        let decision = match kept {
            Some(kept) => kept,
            None if ground.gaps => Decision::buried(Vec::new(), ""),
            None => return Err(Error::internal(format!("chunk {chunk} of batch {id} is done and lacks its result"))),
        };
        let mut records = None;
        if ground.which == Which::ExceptedAndLost && decision.is_lost() {
            let claims = coverage::claims(&batches.ledger, id, &[chunk]).await?;
            records = claims.first().and_then(|(_, claim)| claim.map(|claim| claim.records()));
        }
        Ok(Found::Chunk(index, decision, records))
    }
    .boxed()
}
