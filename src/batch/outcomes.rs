//! The outcomes of a batch in input order. A batch that was redriven has several generations, and the latest outcome
//! of each record counts.

use std::collections::{BTreeSet, VecDeque};
use std::ops::Range;

use futures::stream::{self, BoxStream, StreamExt, TryStreamExt};

use crate::batch::Batches;
use crate::batch::chunks::Decision;
use crate::batch::coverage::{self, Ascending};
use crate::batch::ranges::Records;
use crate::model::error::{Error, Result};
use crate::model::ids::{BatchId, ChunkIndex};
use crate::model::progress::{Batch, Leaf, Tally};
use crate::model::record::{Entry, Outcome};
use crate::store::Stores;

/// A stream of outcomes, merged from all generations.
pub struct Outcomes<'a> {
    /// The generations, the oldest first.
    lanes: Vec<Lane<'a>>,
}

/// The outcomes of one generation, in input order.
struct Lane<'a> {
    groups: BoxStream<'a, Result<Group>>,
    waiting: VecDeque<Outcome>,
    tally: Tally,
}

/// Outcomes that are read together.
#[derive(Default)]
struct Group {
    outcomes: Vec<Outcome>,
    /// Their counts, and those of records that are counted with them without being listed.
    tally: Tally,
}

impl From<Decision> for Group {
    fn from(kept: Decision) -> Self {
        Self { tally: kept.tally(), outcomes: kept.outcomes }
    }
}

impl<'a> Lane<'a> {
    fn new(groups: BoxStream<'a, Result<Group>>) -> Self {
        Self { groups, waiting: VecDeque::new(), tally: Tally::default() }
    }

    fn groups(kept: Decisions<'a>) -> Self {
        Self::new(kept.map_ok(|(_, kept)| Group::from(kept)).boxed())
    }

    async fn fill(&mut self) -> Result<()> {
        while self.waiting.is_empty() {
            let Some(group) = self.groups.try_next().await? else {
                break;
            };
            self.tally = self.tally + group.tally;
            self.waiting.extend(group.outcomes);
        }
        Ok(())
    }
}

impl<'a> Outcomes<'a> {
    /// Merges all outcomes of a sealed batch and of the generations before it, reading up to `width` chunks of each
    /// ahead. `None` if the input was overwritten, so that its records cannot be read again.
    ///
    /// # Errors
    /// Those of the stores; `Missing` if the input is not there; `Internal` if the claims of a batch are missing.
    pub async fn all<S: Stores>(
        batches: &'a Batches<S>,
        generations: &[Generation],
        width: usize,
    ) -> Result<Option<Self>> {
        let mut lanes = Vec::new();
        for generation in generations {
            let batch = &generation.batch;
            if !batch.opening.ranged {
                lanes.push(Lane::groups(kept_of(batches, generation, width)));
            } else if let Some((records, holes)) = batches.records(batch, width).await? {
                lanes.push(Lane::new(beside(records, holes, losses(batches, generation, width))));
            } else {
                return Ok(None);
            }
        }
        Ok(Some(Self { lanes }))
    }

    /// Merges the outcomes of the records that failed, and of some others: like [`all`](Self::all), but skips chunks
    /// that are known to hold only successes.
    ///
    /// # Errors
    /// Those of the stores, from [`next`](Self::next).
    pub fn failed<S: Stores>(batches: &'a Batches<S>, generations: &[Generation], width: usize) -> Self {
        let mut lanes = Vec::new();
        for generation in generations {
            let first = generation.batch.opening.id.generation() == 0;
            // Successes of a later generation count, since each takes back a failure.
            let kept = if first && batches.condition.has_tree() {
                exceptions(batches, generation, width)
            } else {
                kept_of(batches, generation, width)
            };
            lanes.push(Lane::groups(kept));
        }
        Self { lanes }
    }

    /// Returns the outcome of the next record; `None` at the end.
    ///
    /// # Errors
    /// Those of the stores.
    pub async fn next(&mut self) -> Result<Option<Outcome>> {
        for lane in &mut self.lanes {
            lane.fill().await?;
        }
        let fronts = self.lanes.iter().filter_map(|lane| lane.waiting.front());
        let Some(index) = fronts.map(|outcome| outcome.index).min() else {
            return Ok(None);
        };
        let mut latest = None;
        for lane in &mut self.lanes {
            if lane.waiting.front().is_some_and(|outcome| outcome.index == index) {
                latest = lane.waiting.pop_front();
            }
        }
        Ok(latest)
    }

    /// The tally of the last generation's outcomes, as far as they were read.
    pub fn own_tally(&self) -> Tally {
        self.lanes.last().map_or_else(Tally::default, |lane| lane.tally)
    }
}

impl<S: Stores> Batches<S> {
    /// Returns the records of a sealed batch whose chunks are ranges, up to the end of the last chunk, and which of
    /// them lie in no chunk; `None` if the input was overwritten.
    ///
    /// # Errors
    /// Those of the stores; `Missing` if the input is not there.
    async fn records(&self, batch: &Batch, width: usize) -> Result<Option<(Records<'_>, Ascending)>> {
        let coverage = coverage::of(&self.ledger, batch).await?;
        let Some(first) = coverage.first else {
            return Ok(Some((Records::none(), Ascending::default())));
        };
        let records = self.chunks.input()?.all(batch, &first, coverage.end, width).await?;
        Ok(records.map(|records| (records, coverage.holes.into_iter().collect())))
    }
}

/// A generation of a batch, with its leaves, if it has a tree.
pub struct Generation {
    /// The batch.
    pub batch: Batch,
    /// The leaves of its tree.
    pub leaves: Option<Vec<Leaf>>,
}

impl Generation {
    /// The sum of its leaves, if it has a tree.
    pub fn tally(&self) -> Option<Tally> {
        let leaves = self.leaves.as_ref()?;
        Some(leaves.iter().fold(Tally::default(), |sum, leaf| sum + leaf.tally))
    }

    /// The chunks that were not done when the batch was closed, because it was given up: they will never be ended,
    /// and any outcomes kept for them were not counted.
    fn unmarked(&self) -> BTreeSet<u32> {
        let closed = self.batch.sealing.as_ref().filter(|_| self.batch.state.is_final());
        let done: BTreeSet<u32> = self.leaves.iter().flatten().flat_map(|leaf| leaf.done.iter().copied()).collect();
        (0..closed.map_or(0, |sealing| sealing.chunks)).filter(|chunk| !done.contains(chunk)).collect()
    }
}

/// Returns a sealed batch and all generations before it, oldest first. Their leaves are read only once, here.
///
/// # Errors
/// Those of the ledger; `Internal` if an earlier generation is not known.
pub async fn generations<S: Stores>(batches: &Batches<S>, batch: &Batch) -> Result<Vec<Generation>> {
    let id = &batch.opening.id;
    let mut all = Vec::new();
    for generation in 0..=id.generation() {
        let batch = if generation == id.generation() {
            batch.clone()
        } else {
            batches.known_batch(&id.in_generation(generation)).await?
        };
        let has_tree = batch.opening.condition.has_tree();
        let leaves = if has_tree { Some(batches.leaves(&batch).await?) } else { None };
        all.push(Generation { batch, leaves });
    }
    Ok(all)
}

type Decisions<'a> = BoxStream<'a, Result<(ChunkIndex, Decision)>>;

/// Streams the decisions kept for the chunks of a batch, in order: for all chunks or, if the chunks are ranges, only
/// for the exceptions.
fn kept_of<'a, S: Stores>(batches: &'a Batches<S>, generation: &Generation, width: usize) -> Decisions<'a> {
    let batch = &generation.batch;
    if batch.opening.ranged {
        return exceptions(batches, generation, width);
    }
    let unmarked = if generation.leaves.is_some() { generation.unmarked() } else { BTreeSet::new() };
    let chunks = batch.sealing.as_ref().map_or(0, |sealing| sealing.chunks);
    kept(batches, batch, (0..chunks).collect(), unmarked, width)
}

fn exceptions<'a, S: Stores>(batches: &'a Batches<S>, generation: &Generation, width: usize) -> Decisions<'a> {
    let unmarked = generation.unmarked();
    let excepted = generation.leaves.iter().flatten().flat_map(|leaf| leaf.excepted.iter());
    let mut chunks: BTreeSet<u32> = excepted.copied().collect();
    chunks.extend(&unmarked);
    kept(batches, &generation.batch, chunks.into_iter().collect(), unmarked, width)
}

fn kept<'a, S: Stores>(
    batches: &'a Batches<S>,
    batch: &Batch,
    chunks: Vec<u32>,
    unmarked: BTreeSet<u32>,
    width: usize,
) -> Decisions<'a> {
    // A scatter that died may not have put every chunk, and a batch that was given up may lack some.
    let gaps = batch.is_sealed_by_force() || batch.state.is_final();
    let id: BatchId = batch.opening.id.clone();
    let results = chunks.into_iter().map(move |index| {
        let (id, lost) = (id.clone(), unmarked.contains(&index));
        async move {
            let chunk = ChunkIndex::new(index)?;
            let found = if lost { None } else { batches.chunks.outcomes(&id, chunk).await? };
            match found {
                Some(kept) => Ok((chunk, kept)),
                None if gaps => Ok((chunk, Decision::buried(Vec::new(), ""))),
                None => Err(Error::internal(format!("chunk {chunk} of batch {id} is done and lacks its result"))),
            }
        }
    });
    stream::iter(results).buffered(width).boxed()
}

/// The decisions on chunks with failures, and the indexes of their records if those are lost.
type Exceptions<'a> = BoxStream<'a, Result<(Decision, Option<Range<u64>>)>>;

/// Streams the exceptions of a batch whose chunks are ranges. A chunk that was ended without its records still has
/// them in its range, if that is known: they have no outcome.
fn losses<'a, S: Stores>(batches: &'a Batches<S>, generation: &Generation, width: usize) -> Exceptions<'a> {
    let kept = kept_of(batches, generation, width);
    let id = generation.batch.opening.id.clone();
    let exceptions = kept.and_then(move |(chunk, kept)| {
        let id = id.clone();
        async move {
            if !kept.is_lost() {
                return Ok((kept, None));
            }
            let claims = coverage::claims(&batches.ledger, &id, &[chunk]).await?;
            let claim = claims.first().and_then(|(_, claim)| *claim);
            Ok((kept, claim.map(|claim| claim.records())))
        }
    });
    exceptions.boxed()
}

/// Merges the records of an input with the outcomes of those that failed.
struct Beside<'a> {
    records: Records<'a>,
    /// The records that lie in no chunk, and those of chunks that were ended without records.
    holes: Ascending,
    lost: Ascending,
    exceptions: Exceptions<'a>,
    waiting: VecDeque<Outcome>,
}

fn beside<'a>(records: Records<'a>, holes: Ascending, exceptions: Exceptions<'a>) -> BoxStream<'a, Result<Group>> {
    let beside = Beside { records, holes, lost: Ascending::default(), exceptions, waiting: VecDeque::new() };
    stream::try_unfold(beside, |mut beside| async move { Ok(beside.next().await?.map(|group| (group, beside))) })
        .boxed()
}

impl Beside<'_> {
    async fn next(&mut self) -> Result<Option<Group>> {
        let Some(entries) = self.records.next().await? else {
            return Ok(None);
        };
        let mut group = Group { outcomes: Vec::with_capacity(entries.len()), tally: Tally::default() };
        for entry in entries {
            self.fill(&mut group.tally).await?;
            if self.holes.hold(entry.index) || self.lost.hold(entry.index) {
                continue;
            }
            let outcome = match self.waiting.front() {
                Some(failure) if failure.index == entry.index => self.waiting.pop_front(),
                _ => None,
            };
            group.outcomes.push(outcome.unwrap_or_else(|| succeeded(entry)));
        }
        group.tally = group.outcomes.iter().fold(group.tally, |tally, outcome| {
            let succeeded = u64::from(outcome.response.success);
            tally + Tally { succeeded, failed: 1 - succeeded, failed_chunks: 0 }
        });
        Ok(Some(group))
    }

    /// Gets the next failure, and counts the chunks that failed as a whole. Since chunks arrive in order, a lost
    /// chunk is seen before any of its records.
    async fn fill(&mut self, tally: &mut Tally) -> Result<()> {
        while self.waiting.is_empty() {
            let Some((kept, lost)) = self.exceptions.try_next().await? else {
                break;
            };
            tally.failed_chunks += u64::from(kept.buried);
            lost.into_iter().for_each(|records| self.lost.push(records));
            self.waiting.extend(kept.outcomes);
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
