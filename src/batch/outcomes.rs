//! The outcomes of a batch in input order. A batch that was redriven has several generations, and the latest outcome
//! of each record counts.

use crate::batch::Batches;
use crate::batch::coverage::{self, Ascending};
use crate::batch::lane::{Lane, Place};
use crate::batch::ranges::Records;
use crate::batch::walk::{Walk, Which};
use crate::model::error::Result;
use crate::model::progress::Batch;
use crate::model::record::Outcome;
use crate::store::Stores;

/// A stream of outcomes, merged from all generations.
pub struct Outcomes<'a> {
    /// The generations, the oldest first.
    lanes: Vec<Lane<'a>>,
}

/// What a stream of outcomes comes to.
pub enum Merged {
    /// The outcome of the next record.
    Outcome(Box<Outcome>),
    /// Something was read that has no outcome by itself.
    Nothing,
    /// The end.
    End,
}

impl<'a> Outcomes<'a> {
    /// Merges all outcomes of a sealed batch and of the generations before it, reading up to `width` chunks of each
    /// ahead, from these places on, if there are any. `None` if the input was overwritten, so that its records cannot
    /// be read again.
    ///
    /// # Errors
    /// Those of the stores; `Missing` if the input is not there; `Internal` if the claims of a batch are missing.
    pub async fn all<S: Stores>(
        batches: &'a Batches<S>,
        generations: &[Batch],
        places: Vec<Place>,
        width: usize,
    ) -> Result<Option<Self>> {
        let mut lanes = Vec::new();
        for (batch, place) in generations.iter().zip(from(places)) {
            if !batch.opening.ranged {
                lanes.push(kept(batches, batch, Which::All, place, width));
                continue;
            }
            let next = place.beside.as_ref().map_or(0, |beside| beside.next);
            let Some((records, holes)) = batches.records(batch, next, width).await? else {
                return Ok(None);
            };
            let walk = Walk::new(batches, batch, Which::ExceptedAndLost, place.walk.clone(), width);
            lanes.push(Lane::beside(walk, place, records, holes));
        }
        Ok(Some(Self { lanes }))
    }

    /// Merges the outcomes of the records that failed, and of some others: like [`all`](Self::all), but skips chunks
    /// that are known to hold only successes.
    pub fn failed<S: Stores>(batches: &'a Batches<S>, generations: &[Batch], places: Vec<Place>, width: usize) -> Self {
        let lanes = generations.iter().zip(from(places)).map(|(batch, place)| {
            let opening = &batch.opening;
            // Successes of a later generation count, since each takes back a failure.
            let few = opening.ranged || (opening.id.generation() == 0 && opening.condition.has_tree());
            kept(batches, batch, if few { Which::Excepted } else { Which::All }, place, width)
        });
        Self { lanes: lanes.collect() }
    }

    /// Reads on, a little at a time.
    ///
    /// # Errors
    /// Those of the stores.
    pub async fn step(&mut self) -> Result<Merged> {
        for lane in &mut self.lanes {
            if lane.is_behind() {
                lane.read().await?;
                if lane.is_behind() {
                    return Ok(Merged::Nothing);
                }
            }
        }
        let fronts = self.lanes.iter().filter_map(Lane::front);
        let Some(index) = fronts.map(|outcome| outcome.index).min() else {
            return Ok(Merged::End);
        };
        let mut latest = None;
        for lane in &mut self.lanes {
            if lane.front().is_some_and(|outcome| outcome.index == index) {
                latest = lane.pop();
            }
        }
        Ok(latest.map_or(Merged::Nothing, |outcome| Merged::Outcome(Box::new(outcome))))
    }

    /// Returns the outcome of the next record; `None` at the end.
    ///
    /// # Errors
    /// Those of the stores.
    pub async fn next(&mut self) -> Result<Option<Outcome>> {
        loop {
            match self.step().await? {
                Merged::Outcome(outcome) => return Ok(Some(*outcome)),
                Merged::Nothing => {}
                Merged::End => return Ok(None),
            }
        }
    }

    /// Where each generation stands, between two outcomes.
    pub fn places(&self) -> Vec<Place> {
        self.lanes.iter().map(Lane::place).collect()
    }
}

/// The places from which generations are read: at first, their beginnings.
fn from(places: Vec<Place>) -> impl Iterator<Item = Place> {
    places.into_iter().chain(std::iter::repeat_with(Place::default))
}

fn kept<'a, S: Stores>(batches: &'a Batches<S>, batch: &Batch, which: Which, place: Place, width: usize) -> Lane<'a> {
    Lane::kept(Walk::new(batches, batch, which, place.walk.clone(), width), place)
}

impl<S: Stores> Batches<S> {
    /// Returns the records of a sealed batch whose chunks are ranges, from index `next` up to the end of the last chunk,
    /// and which of them lie in no chunk; `None` if the input was overwritten.
    ///
    /// # Errors
    /// Those of the stores; `Missing` if the input is not there.
    async fn records(&self, batch: &Batch, next: u64, width: usize) -> Result<Option<(Records<'_>, Ascending)>> {
        let coverage = coverage::of(&self.ledger, batch).await?;
        let Some(first) = coverage.first.filter(|_| next < coverage.end) else {
            return Ok(Some((Records::none(next), Ascending::default())));
        };
        let (id, chunks) = (&batch.opening.id, batch.sealing.as_ref().map_or(0, |sealing| sealing.chunks));
        let start = if next > first.first { coverage::start_of(&self.ledger, id, chunks, next).await? } else { None };
        let records = self.chunks.input()?.all(batch, &start.unwrap_or(first), coverage.end, width).await?;
        Ok(records.map(|records| (records.from(next), coverage.holes.into_iter().collect())))
    }
}

/// Returns a sealed batch and all generations before it, oldest first.
///
/// # Errors
/// Those of the ledger; `Internal` if an earlier generation is not known.
pub async fn generations<S: Stores>(batches: &Batches<S>, batch: &Batch) -> Result<Vec<Batch>> {
    let id = &batch.opening.id;
    let mut all = Vec::new();
    for generation in 0..id.generation() {
        all.push(batches.known_batch(&id.in_generation(generation)).await?);
    }
    all.push(batch.clone());
    Ok(all)
}
