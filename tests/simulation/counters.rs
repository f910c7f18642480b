//! Counters beside items: plans that keep them, what is wrong with the mutants, and that in the end they say what the
//! outcomes say.

use std::collections::{BTreeMap, BTreeSet};

use fanfold::batch::chunks::Decision;
use fanfold::model::error::Result;
use fanfold::model::fold::{Fold, Group, Totals};
use fanfold::model::ids::{BatchId, ChunkIndex};
use fanfold::model::processing::aggregate::AggregateSettings;
use fanfold::model::processing::{Processing, Work};
use fanfold::model::progress::Batch;
use fanfold::model::record::Outcome;
use fanfold::store::counters::Counters;
use fanfold::store::counters::memory::MemoryCounters;
use fanfold::store::ledger::Ledger;
use fastrand::Rng;
use futures::FutureExt;
use serde_json::{Value, json};

use super::Seed;
use super::hand::Hand;
use super::invariant::{Broken, generations, kept};
use super::mutation::{Late, Mutation};
use super::plan::{File, Often, Plan, Record};
use super::state::State;
use super::stores::Watched;

pub const COUNTED: &str = "I15 counters equal a fold of the outcomes";

/// What the counters of a seed are drawn by.
const DRAWN: u64 = 0xc0de_57a7_e5ca_1ed0;
/// The seeds that were kept before there were counters: their plans stay what they were.
const BEFORE: usize = 65;
const HOUR: i64 = 3_600_000;

/// The rows of a chunk by their groups.
type Rows = BTreeMap<Group, Totals>;

impl Plan {
    /// The same plan, in one of three seeds with counters, of which the table may fail often.
    pub fn counted(mut self, seed: Seed) -> Self {
        let mut rng = Rng::with_seed(self.seed ^ DRAWN);
        let before = include_str!("seeds.txt").lines().take(BEFORE).any(|line| line == seed.to_string());
        self.counted = rng.u32(..3) == 0 && !before;
        let percent = [10, 30, 60][rng.usize(..3)];
        if rng.u32(..4) == 0 && self.counted && self.sweep && self.flaky.is_none() {
            self.flaky = Some(Often { call: "counters.set", percent, until: HOUR });
        }
        self
    }

    /// What is done with its records.
    pub fn processing(&self) -> Processing {
        let (work, items) = match self.service {
            None => (Work::Nothing, true),
            Some(service) => (Work::Custom, service.stored),
        };
        Processing { work, items, aggregate: self.counted.then(settings) }
    }
}

fn settings() -> AggregateSettings {
    let settings = json!({"group_by": ["itemNo"], "sum": ["price"], "min": ["price"], "max": ["price"]});
    AggregateSettings::parse(&settings).unwrap()
}

impl Hand {
    /// Called when a function decides a chunk, before that has its effect.
    pub fn watch_counting(&self, batch: &BatchId, chunk: ChunkIndex, fold: Option<&Fold>) {
        if let Some(fold) = fold.filter(|_| self.has(Mutation::CountersBeforeTheDecision)) {
            let rows: Vec<_> = fold.groups().map(|(group, totals)| (group.clone(), totals.clone())).collect();
            let counters = self.world(|state| state.data.counters.clone());
            counters.set(batch, chunk, &rows).now_or_never();
        }
    }

    /// The same for an object of the work bucket, if it is a decision.
    pub fn watch_counting_in(&self, key: &str, body: &[u8]) {
        let first = body.split(|byte| *byte == b'\n').next().unwrap_or_default();
        let fold = || serde_json::from_slice::<BTreeMap<String, Fold>>(first).ok()?.remove("fold");
        let of = |batch: &BatchId| Some((batch.clone(), batch.chunk_of_done(key)?));
        if self.has(Mutation::CountersBeforeTheDecision) {
            let batch = self.world(|state| generations(state).find_map(|batch| of(&batch.opening.id)));
            if let (Some((batch, chunk)), Some(fold)) = (batch, fold()) {
                self.watch_counting(&batch, chunk, Some(&fold));
            }
        }
    }
}

impl Counters for Watched<MemoryCounters> {
    async fn set(&self, batch: &BatchId, chunk: ChunkIndex, rows: &[(Group, Totals)]) -> Result<Vec<usize>> {
        if self.hand.has(Mutation::CountersBeforeTheDecision) {
            return Ok(Vec::new());
        }
        let mut rows = rows.to_vec();
        if self.hand.has(Mutation::CountersAreAdded) {
            let held = self.store.all();
            for (group, totals) in &mut rows {
                let row = held.iter().find(|(of, id, at, _)| (of, id, *at) == (&*group, batch, chunk));
                row.into_iter().for_each(|(.., held)| totals.merge(held.clone()));
            }
        }
        if self.hand.has(Mutation::CountersAfterTheMark) {
            self.hand.put_off([Late::Counters(batch.clone(), chunk, rows)]);
            return Ok(Vec::new());
        }
        let keys: Vec<String> = rows.iter().map(|(group, _)| group.key()).collect();
        let undone = self.hand.undone("counters.set", keys.iter().map(String::as_str));
        let done = (0..rows.len()).filter(|at| !undone.contains(at)).map(|at| rows[at].clone());
        self.store.set(batch, chunk, &done.collect::<Vec<_>>()).await?;
        Ok(undone)
    }

    async fn read(&self, group: &Group) -> Result<Totals> {
        self.store.read(group).await
    }

    async fn forget(&self, batch: &BatchId, chunk: ChunkIndex, groups: &[Group]) -> Result<Vec<usize>> {
        self.store.forget(batch, chunk, groups).await
    }
}

/// Checks that each chunk that is done has the rows that its outcomes make, and that nothing else has any.
pub fn counters_are_right(state: &State) -> std::result::Result<(), Broken> {
    let mut held: BTreeMap<(BatchId, ChunkIndex), Rows> = BTreeMap::new();
    for (group, batch, chunk, totals) in state.data.counters.all() {
        held.entry((batch, chunk)).or_default().insert(group, totals);
    }
    let broken = |why: String| Err(Broken { invariant: COUNTED, why });
    if !state.plan.counted {
        return if held.is_empty() { Ok(()) } else { broken("something is counted that nobody wanted".to_owned()) };
    }
    for batch in generations(state) {
        let (id, chunks) = (&batch.opening.id, batch.sealing.as_ref().map_or(0, |sealing| sealing.chunks));
        let Some(number) = state.batches.iter().position(|first| *first == id.in_generation(0)) else { continue };
        let done = done(state, &batch);
        for index in 0..chunks {
            let chunk = ChunkIndex::new(index).unwrap();
            let rows = held.remove(&(id.clone(), chunk)).unwrap_or_default();
            let expected = match kept(state, id, index).filter(|_| done.contains(&index)) {
                Some(decision) => folded(&state.plan.files[number], &decision),
                None => Rows::new(),
            };
            if rows != expected {
                return broken(format!("chunk {chunk} of {id} counts {rows:?}, and its outcomes make {expected:?}"));
            }
        }
        // A batch that was sealed by force may have chunks that it does not count.
        held.retain(|(of, _), _| of != id || !(batch.is_sealed_by_force() || batch.sealing.is_none()));
    }
    if held.is_empty() { Ok(()) } else { broken(format!("nobody has the chunks of {:?}", held.keys())) }
}

/// The chunks of a batch that count as done.
fn done(state: &State, batch: &Batch) -> BTreeSet<u32> {
    let (id, Some(sealing)) = (&batch.opening.id, &batch.sealing) else { return BTreeSet::new() };
    if !batch.opening.condition.has_tree() {
        return (0..sealing.chunks).collect();
    }
    let leaves = state.data.ledger.read_leaves(id, 0..sealing.leaves()).now_or_never();
    leaves.and_then(Result::ok).unwrap_or_default().into_iter().flat_map(|leaf| leaf.done).collect()
}

/// A plain fold of what succeeded.
fn folded(file: &File, decision: &Decision) -> Rows {
    let mut fold = Fold::default();
    for outcome in decision.outcomes.iter().filter(|outcome| outcome.response.success) {
        let Record { key, price, .. } = record_of(file, outcome);
        let record = json!({"itemNo": key, "price": price});
        fold.add(settings().contribution(record.as_object().unwrap()).unwrap());
    }
    fold.groups().map(|(group, totals)| (group.clone(), totals.clone())).collect()
}

/// The record of an outcome, by its note if that was kept.
fn record_of<'a>(file: &'a File, outcome: &Outcome) -> &'a Record {
    let request: Value = serde_json::from_str(outcome.request.get()).unwrap();
    let noted = request["note"].as_str().and_then(|note| file.records.iter().find(|record| record.note == note));
    noted.unwrap_or_else(|| &file.records[outcome.index as usize])
}
