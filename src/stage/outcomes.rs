//! The outcomes of all records of a batch in input order. A batch that was redriven has several
//! generations, each with the records that had failed before it: the latest outcome counts.

use std::collections::VecDeque;

use futures::stream::{self, BoxStream, StreamExt, TryStreamExt};

use super::Stores;
use super::batches::Batches;
use super::chunks::Kept;
use crate::ledger::Ledger;
use crate::model::error::{Error, Result};
use crate::model::ids::{BatchId, ChunkIndex};
use crate::model::progress::{Batch, Tally};
use crate::model::record::Outcome;

/// Outcomes as they come.
pub struct Outcomes<'a> {
    /// The generations, the oldest first.
    lanes: Vec<Lane<'a>>,
}

/// The outcomes of one generation, in input order.
struct Lane<'a> {
    chunks: BoxStream<'a, Result<Kept>>,
    waiting: VecDeque<Outcome>,
    tally: Tally,
}

impl Lane<'_> {
    async fn fill(&mut self) -> Result<()> {
        while self.waiting.is_empty() {
            let Some(kept) = self.chunks.try_next().await? else {
                break;
            };
            self.tally = self.tally + kept.tally();
            self.waiting.extend(kept.outcomes);
        }
        Ok(())
    }
}

impl<'a> Outcomes<'a> {
    /// The outcomes of a batch that is sealed and of all generations before it; up to `width`
    /// chunks of each are read ahead.
    ///
    /// # Errors
    /// Those of the ledger; `Internal` if an earlier generation is not known.
    pub async fn of<S: Stores>(batches: &'a Batches<S>, batch: &Batch, width: usize) -> Result<Self> {
        let id = &batch.opening.id;
        let mut lanes = Vec::new();
        for generation in 0..id.generation() {
            let earlier = id.in_generation(generation);
            let unknown = || Error::internal(format!("the ledger does not know batch {earlier}"));
            lanes.push(lane(batches, &batches.ledger.read(&earlier).await?.ok_or_else(unknown)?, width));
        }
        lanes.push(lane(batches, batch, width));
        Ok(Self { lanes })
    }

    /// The outcome of the next record.
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

    /// What the outcomes of the last generation came to, as far as they were read.
    pub fn own_tally(&self) -> Tally {
        self.lanes.last().map_or_else(Tally::default, |lane| lane.tally)
    }
}

fn lane<'a, S: Stores>(batches: &'a Batches<S>, batch: &Batch, width: usize) -> Lane<'a> {
    let chunks = batch.sealing.as_ref().map_or(0, |sealing| sealing.chunks);
    // A scatter that died may not have come to every chunk.
    let gaps = batch.sealing.as_ref().is_some_and(|sealing| sealing.records.is_none());
    let id: BatchId = batch.opening.id.clone();
    let results = (0..chunks).map(move |index| {
        let id = id.clone();
        async move {
            let chunk = ChunkIndex::new(index)?;
            match batches.chunks.outcomes(&id, chunk).await? {
                None if gaps => Ok(Kept::buried(Vec::new(), "")),
                Some(kept) => Ok(kept),
                None => Err(Error::internal(format!("chunk {chunk} of batch {id} is done and lacks its result"))),
            }
        }
    });
    Lane { chunks: stream::iter(results).buffered(width).boxed(), waiting: VecDeque::new(), tally: Tally::default() }
}
