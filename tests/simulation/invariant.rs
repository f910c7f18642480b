//! The invariants, by name, that hold at each step or at the end.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use fanfold::batch::chunks::{Decision, RecordStore};
use fanfold::model::condition::Condition;
use fanfold::model::fault::FaultCode;
use fanfold::model::ids::{BatchId, ChunkIndex};
use fanfold::model::progress::{Batch, BatchState, Tally};
use fanfold::model::range::Claim;
use fanfold::model::record::{Entry, Outcome};
use fanfold::model::summary::Summary;
use fanfold::pipeline::local::MemoryStores;
use fanfold::pipeline::variant::Pending;
use fanfold::stage::gather::Results;
use fanfold::store::blob::memory::MemoryBlob;
use fanfold::store::ledger::{CLAIMS, Claims, Ledger};
use futures::FutureExt;
use serde_json::Value;
use serde_json::value::to_raw_value;

use super::budget::budgets_are_heeded;
use super::counters::counters_are_right;
use super::late;
use super::objects::{failed_found, objects_are_right, origins_are_right};
use super::output::{Line, index_of, lines_of};
use super::plan::{File, Record, Stored};
use super::reasons::reasons_are_right;
use super::service::answers_count;
use super::state::{GATHER, GIVE_UP_AFTER, HIDDEN, PARKED, State, TIMEOUTS};
use fanfold::store::items::WriteMode;

pub const ENDS: &str = "I1 every batch reaches a final state";
pub const EQUALS: &str = "I2 results, failed, summary and items equal those of the reference model";
pub const FLUSHED: &str = "I3 no batch is announced before its items are written";
pub const STAYS: &str = "I4 outputs do not change once the batch is closed";
pub const ONCE: &str = "I5 every record has exactly one outcome";
pub const COUNTS: &str = "I6 counters equal the sums of the outcomes";
pub const EMPTY: &str = "I7 an emptied system holds no message and no pending object that anybody would miss";

pub const FAILS: &str =
    "I10 a message is given up only after it failed five times for another reason than a busy service";
pub const WAITS: &str = "I9 gather waits for nothing that was done before it came";

/// Called when a gather that began at `began` waits for pending chunks.
pub fn at_waiting(state: &mut State, id: &BatchId, began: i64) {
    let early = |times: &BTreeMap<String, i64>, key: &str| times.get(key).is_some_and(|at| *at < began);
    let keys = state.data.work.keys();
    let done = keys.iter().find(|key| {
        let chunk = id.chunk_of_pending(key);
        chunk.is_some_and(|chunk| early(&state.put, key) && early(&state.done, &id.done_key(chunk)))
    });
    if let Some(key) = done {
        let why = format!("gather of {id} leaves {key}, which was done before it came");
        state.breaks(Broken { invariant: WAITS, why });
    }
}

/// An invariant that did not hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Broken {
    pub invariant: &'static str,
    pub why: String,
}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.invariant, self.why)
    }
}

macro_rules! hold {
    ($invariant:expr, $condition:expr, $($why:tt)+) => {
        if !$condition {
            return Err(Broken { invariant: $invariant, why: format!($($why)+) });
        }
    };
}
pub(crate) use hold;

pub fn ledger(state: &State, id: &BatchId) -> Option<Batch> {
    state.data.ledger.read(id).now_or_never()?.ok()?
}

pub fn kept(state: &State, id: &BatchId, chunk: u32) -> Option<Decision> {
    let chunks: RecordStore<MemoryStores> = match state.plan.variant.pending {
        Pending::Bucket | Pending::Input => RecordStore::Copied { work: state.data.work.clone() },
        Pending::Table => RecordStore::Rows(state.data.tasks.clone()),
    };
    let chunk = ChunkIndex::new(chunk).ok()?;
    if !ledger(state, id)?.opening.ranged {
        return chunks.outcomes(id, chunk).now_or_never()?.ok()?;
    }
    let leaf = state.data.ledger.read_leaves(id, chunk.leaf()..chunk.leaf() + 1).now_or_never()?.ok()?.pop()?;
    if !leaf.holds(chunk) {
        return None;
    }
    let excepted = leaf.excepted.contains(&chunk.get());
    let mut kept = if excepted { chunks.outcomes(id, chunk).now_or_never()?.ok()?? } else { Decision::default() };
    let claims = state.data.ledger.read_claims(id, chunk.get() / CLAIMS..chunk.get() / CLAIMS + 1);
    let claim = *claims.now_or_never()?.ok()?.concat().get((chunk.get() % CLAIMS) as usize)?;
    if !kept.buried {
        kept.outcomes.extend(succeeded(state, id, &claim, &kept)?);
        kept.succeeded = None;
    }
    Some(kept)
}

/// The outcomes of the successful records of a range, of which nothing is kept.
fn succeeded(state: &State, id: &BatchId, claim: &Claim, kept: &Decision) -> Option<Vec<Outcome>> {
    let file = &state.plan.files[state.batches.iter().position(|batch| batch == id)?];
    let failed: Vec<u64> = kept.outcomes.iter().map(|outcome| outcome.index).collect();
    let indexes = claim.range.first..claim.range.first + u64::from(claim.records);
    let outcome = |index: u64| {
        let record = to_raw_value(&serde_json::json!({"itemNo": file.records.get(index as usize)?.key})).ok()?;
        Some(Outcome::of(Entry::decoded(index, record), None))
    };
    indexes.filter(|index| !failed.contains(index)).map(outcome).collect()
}

/// The latest generation of a batch.
fn latest(state: &State, id: &BatchId) -> Option<Batch> {
    (0..).map_while(|generation| ledger(state, &id.in_generation(generation))).last()
}

/// All generations of all batches.
pub fn generations(state: &State) -> impl Iterator<Item = Batch> {
    state.batches.iter().flat_map(|id| (0..).map_while(|generation| ledger(state, &id.in_generation(generation))))
}

fn versions(output: &MemoryBlob, id: &BatchId) -> Vec<usize> {
    let names = ["results.csv", "failed.csv", "results.json", "failed.json", "results.jsonl", "failed.jsonl"];
    let names = names.into_iter().chain(["summary.json"]);
    let many = output.keys().into_iter().filter(|key| key.starts_with(&id.output_key("failed/")));
    names.map(|name| id.output_key(name)).chain(many).map(|key| output.versions(&key)).collect()
}

pub fn at_announcement(state: &mut State, id: &BatchId) {
    if let Err(broken) = flushed(state, id) {
        state.breaks(broken);
    }
}

fn flushed(state: &State, id: &BatchId) -> Result<(), Broken> {
    let sealing = ledger(state, id).and_then(|batch| batch.sealing);
    hold!(FLUSHED, sealing.is_some(), "{id} is not sealed");
    let gaps = ledger(state, id).is_some_and(|batch| batch.is_sealed_by_force());
    let items = state.data.items.all();
    let stored = state.plan.service.is_none_or(|service| service.stored);
    for chunk in 0..sealing.map_or(0, |sealing| sealing.chunks) {
        let kept = kept(state, id, chunk);
        // A scatter that died may have left out chunks.
        hold!(FLUSHED, kept.is_some() || gaps, "{id} has no outcomes of chunk {chunk}");
        for outcome in kept.unwrap_or_default().outcomes.iter().filter(|outcome| stored && outcome.response.success) {
            let record: Value = serde_json::from_str(outcome.request.get()).unwrap_or_default();
            let key = record["itemNo"].as_str().unwrap_or_default();
            hold!(FLUSHED, items.contains_key(key), "{id} lacks the item {key} of chunk {chunk}");
        }
    }
    Ok(())
}

/// Called before a batch is taken: its outputs stay as they were, unless the latest generation, which may
/// differ from the one being taken, is rewriting them.
pub fn outputs_stayed(state: &mut State, id: &BatchId) {
    let latest = latest(state, &id.in_generation(0));
    if latest.as_ref().is_some_and(|latest| latest.opening.id != *id) {
        state.reach("gather after a later generation");
    }
    if latest.is_some_and(|latest| latest.gather_attempts == 0 || latest.state.is_final()) {
        check_outputs(state, id);
    }
}

fn check_outputs(state: &mut State, id: &BatchId) {
    let first = id.in_generation(0);
    let now = versions(&state.data.output, &first);
    if let Some((generation, then)) = state.closed.get(&first)
        && *then != now
    {
        let why = format!("generation {generation} of {first} was closed with {then:?}, and has {now:?}");
        state.breaks(Broken { invariant: STAYS, why });
    }
}

pub fn at_closing(state: &mut State, batch: &Batch) {
    let id = &batch.opening.id;
    let first = id.in_generation(0);
    let now = versions(&state.data.output, &first);
    state.closed.insert(first, (id.generation(), now));
}

pub fn at_the_end(state: &mut State) {
    // A gather message that failed too often is left to sweep to make good.
    if !state.plan.sweep && !state.queues[PARKED].messages.is_empty() {
        return;
    }
    for id in state.batches.clone() {
        check_outputs(state, &id);
    }
    let checked = (0..state.batches.len()).try_for_each(|number| batch_ended(state, number));
    let items = checked.and_then(|()| items_are_right(state)).and_then(|()| answers_count(state));
    if let Err(broken) = items
        .and_then(|()| counters_are_right(state))
        .and_then(|()| reasons_are_right(state))
        .and_then(|()| emptied(state))
    {
        state.breaks(broken);
    }
}

/// Whether something happened to a batch that redeliveries alone cannot make good.
fn is_hurt(state: &State, id: &BatchId) -> bool {
    let odd = |batch: &Batch| {
        let forced = batch.sealing.is_none() || batch.is_sealed_by_force();
        forced || batch.stop.is_some() || batch.tally.is_some_and(|tally| tally.failed_chunks > 0)
    };
    state.hurt.contains(id)
        || (0..).map_while(|generation| ledger(state, &id.in_generation(generation))).any(|batch| odd(&batch))
}

fn batch_ended(state: &State, number: usize) -> Result<(), Broken> {
    let (id, file) = (&state.batches[number], &state.plan.files[number]);
    let batch = latest(state, id);
    hold!(ENDS, batch.is_some(), "the ledger does not know {id}");
    let Some(batch) = batch else { return Ok(()) };
    hold!(ENDS, batch.state.is_final(), "{} is {}", batch.opening.id, batch.state.name());
    gave_up_for_a_reason(state, id)?;
    redrives_take_what_failed(state, id)?;
    let hurt = is_hurt(state, id);
    let any_hurt = state.batches.iter().any(|id| is_hurt(state, id));
    hold!(
        ENDS,
        any_hurt || state.plan.strangers || state.queues[PARKED].messages.is_empty(),
        "a message was parked for no reason"
    );
    let summary = state.data.output.read(&id.output_key("summary.json"));
    let summary: Option<Summary> = summary.and_then(|bytes| serde_json::from_slice(&bytes).ok());
    hold!(EQUALS, summary.is_some(), "{id} has no summary");
    let Some(summary) = summary else { return Ok(()) };
    hold!(EQUALS, summary.generation == batch.opening.id.generation(), "{id} has the summary of another generation");
    hold!(EQUALS, summary.state == batch.state, "the summary of {id} tells another state");
    let versions = state.data.output.versions(&id.output_key("summary.json"));
    let written = summary.generation as usize + 1;
    hold!(STAYS, versions == written || outlasted(state), "{id} has {versions} summaries of {written} generations");
    objects_are_right(id, file, &summary, hurt)?;
    late::in_time(state, file, &batch, &summary)?;
    budgets_are_heeded(state, id, &summary)?;
    let limited = summary.error.as_ref().is_some_and(|error| error.code == FaultCode::LimitExceeded);
    let exceeds = !file.beyond.is_empty();
    hold!(
        EQUALS,
        limited == exceeds || (exceeds && hurt),
        "{id} ends with {:?}, at {:?}",
        summary.error,
        state.plan.limits
    );
    if state.plan.results != Results::All {
        hold!(EQUALS, summary.results.is_none(), "{id} has results that nobody wanted");
        return counted_alone(state, number, &batch, &summary, hurt);
    }
    let lines = match &summary.results {
        Some(results) => lines_of(state, &results.key, file.results())?,
        None => {
            let nothing = summary.error.as_ref().is_some_and(|error| {
                let first = summary.generation == 0 && (summary.chunks.total == 0 || hurt);
                first || error.code == FaultCode::GaveUp
            });
            hold!(EQUALS, nothing, "{id} has no results");
            return Ok(());
        }
    };
    let model = modelled(state, file, &batch);
    outcomes_are_right(id, file, &model, &summary, &lines, hurt)?;
    origins_are_right(id, file, &lines)?;
    failed_is_right(state, id, file, &summary, &lines)?;
    let succeeded = lines.iter().filter(|line| line.success).count() as u64;
    let counted = (summary.records.succeeded, summary.records.failed, summary.records.total);
    let told = (succeeded, lines.len() as u64 - succeeded, lines.len() as u64);
    hold!(COUNTS, counted == told, "{id} counts {counted:?} and has {told:?}");
    let keys: Vec<&str> = lines.iter().filter(|line| line.success).map(|line| line.record.key.as_str()).collect();
    let kept: BTreeSet<&&str> = keys.iter().collect();
    let (told, replaced) = (summary.records.replaced, (keys.len() - kept.len()) as u64);
    // A batch that bury opened in scatter's stead began without rules.
    let mut opened = (0..=summary.generation).map(|generation| ledger(state, &id.in_generation(generation)));
    let ruled = opened.all(|batch| batch.is_some_and(|batch| batch.opening.rules.is_some()));
    hold!(EQUALS, told == ruled.then_some(replaced), "{id} tells that {told:?} of {replaced} records were replaced");
    tally_is_right(state, &batch)?;
    stored(state, number, &model, &lines, hurt)
}

/// Where the reference model stores the records of a batch, in its latest generation.
fn modelled(state: &State, file: &File, latest: &Batch) -> Vec<Option<Stored>> {
    let chunk_size = state.plan.variant.chunk_size(state.plan.chunk_size);
    file.stored(chunk_size, latest.opening.id.generation())
}

/// A batch is given up only in an outage that lasts longer than `GIVE_UP_AFTER`, or if functions died until their messages
/// had been hidden for most of that time.
fn gave_up_for_a_reason(state: &State, id: &BatchId) -> Result<(), Broken> {
    let summary = state.data.output.read(&id.output_key("summary.json"));
    let summary: Option<Summary> = summary.and_then(|bytes| serde_json::from_slice(&bytes).ok());
    let alone = summary.and_then(|summary| summary.error).is_some_and(|error| error.code == FaultCode::GaveUp);
    let stopped = |batch: &Batch| batch.stop.as_ref().is_some_and(|stop| stop.fault.code == FaultCode::GaveUp);
    let given_up =
        alone || (0..).map_while(|generation| ledger(state, &id.in_generation(generation))).any(|b| stopped(&b));
    hold!(ENDS, !given_up || outlasted(state), "{id} was given up, although nothing was out of order for so long");
    Ok(())
}

/// Whether the plan has an outage that lasts longer than `GIVE_UP_AFTER`, or the deaths of functions took three quarters of it.
fn outlasted(state: &State) -> bool {
    let deaths = state.reached.get(HIDDEN).copied().unwrap_or_default() as i64;
    let hidden = deaths * 6 * TIMEOUTS[GATHER];
    hidden * 4 > GIVE_UP_AFTER * 3 || state.plan.outage.is_some_and(|(_, until)| until > GIVE_UP_AFTER * 1000)
}

/// A redrive has exactly the records that had failed.
fn redrives_take_what_failed(state: &State, id: &BatchId) -> Result<(), Broken> {
    for generation in 1.. {
        let (before, Some(batch)) =
            (ledger(state, &id.in_generation(generation - 1)), ledger(state, &id.in_generation(generation)))
        else {
            break;
        };
        let failed = before.and_then(|before| before.tally).map(|tally| tally.failed);
        let taken = batch.sealing.and_then(|sealing| sealing.records);
        hold!(
            ONCE,
            taken.is_none() || taken == failed,
            "redrive {generation} of {id} has {taken:?} of {failed:?} records"
        );
    }
    Ok(())
}

fn outcomes_are_right(
    id: &BatchId,
    file: &File,
    model: &[Option<Stored>],
    summary: &Summary,
    lines: &[Line],
    hurt: bool,
) -> Result<(), Broken> {
    let indexes: Vec<usize> = lines.iter().filter_map(|line| index_of(&line.record)).collect();
    hold!(ONCE, indexes.len() == lines.len(), "{id} has outcomes of records that are not in the file");
    hold!(ONCE, indexes.windows(2).all(|pair| pair[0] < pair[1]), "{id} has outcomes in another order: {indexes:?}");
    let whole = indexes.len() == file.records.len();
    let partial = hurt && summary.error.is_some();
    hold!(ONCE, whole || partial, "{id} has {} outcomes of {} records", indexes.len(), file.records.len());
    for (line, index) in lines.iter().zip(indexes) {
        let Some(record) = file.records.get(index) else {
            return Err(Broken { invariant: ONCE, why: format!("{id} has an outcome of record {index}") });
        };
        hold!(EQUALS, line.record == *record, "{id} gives record {index} as {:?}", line.record);
        hold!(EQUALS, !line.success || file.may_succeed(index), "{id} takes the record {index}, which nothing stores");
        hold!(EQUALS, line.success == line.message.is_empty(), "{id} tells of record {index}: {:?}", line.message);
        let (is, should) = (line.success, model[index].is_some());
        hold!(EQUALS, hurt || is == should, "{id} tells of record {index} {is}, the model {should}: {}", line.message);
    }
    let failed = lines.iter().any(|line| !line.success);
    let expected = match (file.broken || !file.beyond.is_empty(), failed) {
        (true, _) => BatchState::Failed,
        (false, true) => BatchState::PartiallyFailed,
        (false, false) => BatchState::Succeeded,
    };
    let other = hurt && matches!(summary.state, BatchState::Failed | BatchState::Cancelled) && summary.error.is_some();
    hold!(EQUALS, summary.state == expected || other, "{id} is {} and not {}", summary.state.name(), expected.name());
    Ok(())
}

fn failed_is_right(state: &State, id: &BatchId, file: &File, summary: &Summary, lines: &[Line]) -> Result<(), Broken> {
    let expected: Vec<&Record> = lines.iter().filter(|line| !line.success).map(|line| &line.record).collect();
    let found = failed_found(state, id, file)?;
    hold!(EQUALS, found.is_some() != expected.is_empty(), "{id} has, or lacks, the file of failed records");
    hold!(EQUALS, summary.failed.is_some() != expected.is_empty(), "the summary of {id} names another file");
    hold!(EQUALS, found.unwrap_or_default().iter().eq(expected), "{id} has other failed records than failed");
    Ok(())
}

/// What holds for a batch whose results are not written out.
fn counted_alone(state: &State, number: usize, batch: &Batch, summary: &Summary, hurt: bool) -> Result<(), Broken> {
    let (id, file) = (&state.batches[number], &state.plan.files[number]);
    let given_up = summary.error.as_ref().is_some_and(|error| error.code == FaultCode::GaveUp);
    if given_up {
        return Ok(());
    }
    tally_is_right(state, batch)?;
    let (counted, all) = (summary.records, file.records.len() as u64);
    hold!(COUNTS, counted.total == counted.succeeded + counted.failed, "{id} counts {counted:?}");
    let partial = hurt && summary.error.is_some();
    hold!(ONCE, counted.total == all || partial, "{id} has {} outcomes of {all} records", counted.total);
    let named = state.plan.results == Results::Failed && counted.failed > 0;
    let found = failed_found(state, id, file)?;
    hold!(EQUALS, found.is_some() == named, "{id} has, or lacks, the file of failed records");
    hold!(EQUALS, summary.failed.is_some() == named, "the summary of {id} names another file");
    let model = modelled(state, file, batch);
    let expected = file.records.iter().zip(&model).filter(|(_, stored)| stored.is_none());
    let expected: Vec<&Record> = expected.map(|(record, _)| record).collect();
    hold!(EQUALS, hurt || counted.failed == expected.len() as u64, "{id} counts {counted:?}");
    hold!(COUNTS, found.as_ref().is_none_or(|found| found.len() as u64 == counted.failed), "{id} counts {counted:?}");
    let found = found.unwrap_or_default();
    let places: Vec<_> = found.iter().map(|found| file.records.iter().position(|record| record == found)).collect();
    let ascend = places.windows(2).all(|pair| pair[0] < pair[1]) && !places.contains(&None);
    hold!(ONCE, ascend, "{id} has failed records that are not those of the file: {places:?}");
    let right = hurt || !named || found.iter().eq(expected);
    hold!(EQUALS, right, "{id} has other failed records than failed");
    Ok(())
}

/// Compares the counters of the latest generation with the outcomes of its own chunks.
fn tally_is_right(state: &State, batch: &Batch) -> Result<(), Broken> {
    let id = &batch.opening.id;
    let Some(sealing) = &batch.sealing else { return Ok(()) };
    let kept = (0..sealing.chunks).filter_map(|chunk| kept(state, id, chunk));
    let outcomes = kept.fold(Tally::default(), |sum, kept| sum + kept.tally());
    let leaves = state.data.ledger.read_leaves(id, 0..sealing.leaves()).now_or_never();
    let leaves = leaves.and_then(Result::ok).unwrap_or_default();
    let counted = leaves.iter().fold(Tally::default(), |sum, leaf| sum + leaf.tally);
    let tree = state.plan.variant.condition == Condition::Tree;
    // Chunks marked after a seal by force are in the leaves, but do not count.
    let forced = batch.is_sealed_by_force();
    hold!(COUNTS, !tree || forced || counted == outcomes, "{id} counts {counted:?} and has {outcomes:?}");
    Ok(())
}

/// The items are those of the records that succeeded.
fn stored(state: &State, number: usize, model: &[Option<Stored>], lines: &[Line], hurt: bool) -> Result<(), Broken> {
    let (id, file) = (&state.batches[number], &state.plan.files[number]);
    if !file.makes_items() {
        return Ok(());
    }
    let items = state.data.items.all();
    let sequence = ledger(state, id).map(|batch| batch.opening.sequence);
    for line in lines.iter().filter(|line| line.success) {
        let (key, index) = (&line.record.key, index_of(&line.record).unwrap_or_default());
        let item = items.get(key);
        hold!(EQUALS, item.is_some(), "{id} lacks the item {key} of record {index}");
        let Some(item) = item else { continue };
        let own = item.batch == *id;
        let later = |later: usize| model[later] == model[index] && file.records[later].key == *key;
        let replaced = (index + 1..file.records.len()).any(later);
        let stale = !hurt && own && replaced && item.index == index as u64;
        hold!(EQUALS, !stale, "{id} keeps record {index}, which a later one of its chunk replaces");
        if let (WriteMode::Ordered, Some(sequence)) = (state.plan.mode, sequence) {
            let mine = fanfold::model::item::Item { batch: id.clone(), index: index as u64, sequence, ..item.clone() };
            hold!(EQUALS, item.order() >= mine.order(), "the item {key} went back behind record {index} of {id}");
        }
    }
    Ok(())
}

/// Every item comes from a valid record of a file.
fn items_are_right(state: &State) -> Result<(), Broken> {
    for (key, item) in state.data.items.all() {
        let file = state.batches.iter().position(|id| *id == item.batch).map(|number| &state.plan.files[number]);
        let record = file.and_then(|file| file.records.get(item.index as usize));
        let right = record.is_some_and(|record| {
            let price = item.fields.get("price").map(Value::to_string);
            record.is_valid() && record.key == key && price.as_deref() == Some(&record.price)
        });
        hold!(EQUALS, right, "the item {key} is no record that was uploaded: {item:?}");
    }
    Ok(())
}

fn emptied(state: &State) -> Result<(), Broken> {
    for (number, queue) in state.queues[..PARKED].iter().enumerate() {
        let bodies: Vec<&str> = queue.messages.iter().map(|message| message.body.as_str()).collect();
        hold!(EMPTY, bodies.is_empty(), "queue {number} holds {bodies:?}");
    }
    let keys = state.data.work.keys();
    for key in keys.iter().filter(|key| key.contains("/pending/")) {
        let batch = generations(state).find(|batch| batch.opening.id.chunk_of_pending(key).is_some());
        hold!(EMPTY, batch.as_ref().is_some_and(|batch| is_garbage(state, batch, key)), "the work bucket holds {key}");
    }
    Ok(())
}

/// Whether an object is garbage that expires with the bucket: a slow twin of scatter put it there after the
/// batch was closed, for a chunk that is done or that a seal by force did not count; or nobody could read it
/// before the batch was given up.
fn is_garbage(state: &State, batch: &Batch, key: &str) -> bool {
    let id = &batch.opening.id;
    let done = id.chunk_of_pending(key).is_some_and(|chunk| state.data.work.read(&id.done_key(chunk)).is_some());
    let given_up = batch.stop.as_ref().is_some_and(|stop| stop.fault.code == FaultCode::GaveUp);
    batch.state.is_final() && (done || given_up || batch.is_sealed_by_force())
}
