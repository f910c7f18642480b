//! What a batch is doing, from what the ledger has of it. The reads do not grow with its records: a batch of 65,536 chunks
//! takes four. Each redrive adds one.

use std::collections::BTreeMap;

use crate::batch::leaves;
use crate::model::calls::{Calls, StageCalls};
use crate::model::cost::Costs;
use crate::model::error::Result;
use crate::model::failures::Explained;
use crate::model::forecast::{Course, Sample};
use crate::model::ids::{BatchId, LEAF_SIZE, MAX_GENERATION};
use crate::model::progress::{Batch, BatchState, Leaf, Sealing, Tally};
use crate::model::reason::ReasonId;
use crate::model::timestamp::Timestamp;
use crate::model::view::{
    BatchView, ChunkProgress, EventKind, FailureGroup, Happened, MOST_NAMED, Mending, Pausing, RecordProgress,
    StageView, Standstill, VERSION,
};
use crate::store::ledger::{FIRST_LEAVES, Ledger, Notes, Overview, PROCESSOR, Part, Trouble};

/// How long a batch may go without a finished chunk before somebody has to be told why, in milliseconds.
const QUIET: i64 = 30_000;
/// How long something that went wrong counts as what holds a batch up.
const RECENT_TROUBLE: i64 = 120_000;

/// What the queue to the workers holds, where that is known.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Around {
    /// Messages that wait for a worker, of all batches.
    pub waiting: Option<u64>,
    /// Messages that workers have.
    pub running: Option<u64>,
}

/// What all leaves say together.
#[derive(Debug, Default)]
struct Sum {
    done: u64,
    tally: Tally,
    reasons: BTreeMap<ReasonId, u64>,
    marked: Option<(Timestamp, Timestamp)>,
    missing: Vec<u32>,
}

impl Sum {
    /// Records that ended, whatever came of them.
    fn ended(&self) -> u64 {
        self.tally.succeeded + self.tally.failed
    }

    fn add(&mut self, number: u32, leaf: &Leaf, sealing: Option<&Sealing>) {
        self.done += leaf.done.len() as u64;
        self.tally = self.tally + leaf.tally;
        for (reason, count) in &leaf.reasons {
            *self.reasons.entry(reason.clone()).or_default() += count;
        }
        self.marked = match (self.marked, leaf.marked) {
            (Some(one), Some(other)) => Some((one.0.min(other.0), one.1.max(other.1))),
            (one, other) => one.or(other),
        };
        let first = number * LEAF_SIZE;
        let end = sealing.map_or(first, |sealing| sealing.chunks.min(first + LEAF_SIZE));
        let missing = (first..end).filter(|chunk| !leaf.done.contains(chunk));
        // One more than are named tells that there are too many.
        let left = (MOST_NAMED + 1).saturating_sub(self.missing.len());
        self.missing.extend(missing.take(left));
    }
}

/// How far a batch is: what those look at again and again who wait for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Glance {
    /// Where it stands.
    pub state: BatchState,
    /// Its chunks, once all are cut.
    pub chunks: Option<u64>,
    /// Those that are done, where that is counted.
    pub done: Option<u64>,
}

/// Returns how far a batch is; `None` until scatter has taken its event.
///
/// # Errors
/// Those of the ledger.
pub async fn glance(ledger: &impl Ledger, id: &BatchId) -> Result<Option<Glance>> {
    let Some(batch) = ledger.read(id).await? else {
        return Ok(None);
    };
    let chunks = batch.sealing.as_ref().map(|sealing| u64::from(sealing.chunks));
    let done = match batch.tally {
        Some(_) => chunks,
        None if !batch.opening.condition.has_tree() => None,
        None => Some(leaves::sum(ledger, &batch).await?.0),
    };
    Ok(Some(Glance { state: batch.state, chunks, done }))
}

/// Returns what the latest generation of a batch is doing; `None` until scatter has taken its event.
///
/// # Errors
/// Those of the ledger.
pub async fn view(
    ledger: &(impl Ledger + Notes),
    id: &BatchId,
    around: &Around,
    now: Timestamp,
) -> Result<Option<BatchView>> {
    Ok(look(ledger, id).await?.map(|seen| seen.view(around, now)))
}

/// What the ledger has of the latest generation of a batch.
#[derive(Debug)]
pub struct Seen {
    batch: Batch,
    sum: Sum,
    overview: Overview,
    /// Whether its first generation was read to its end.
    whole: bool,
}

impl Seen {
    /// Whether it is closed, so that nothing around it matters.
    pub fn is_final(&self) -> bool {
        self.batch.state.is_final()
    }

    /// What it is doing.
    pub fn view(&self, around: &Around, now: Timestamp) -> BatchView {
        let Self { batch, sum, overview: seen, whole } = self;
        Look { batch, sum, seen, around, now, whole: *whole }.view()
    }
}

/// Reads what the ledger has of the latest generation of a batch; `None` until scatter has taken its event.
///
/// # Errors
/// Those of the ledger.
pub async fn look(ledger: &(impl Ledger + Notes), id: &BatchId) -> Result<Option<Seen>> {
    let mut generations = vec![ledger.overview(&id.in_generation(0)).await?];
    while let Some(last) =
        generations.last().filter(|last| last.redriven && generations.len() <= MAX_GENERATION as usize)
    {
        debug_assert!(last.batch.is_some(), "what was redriven is known");
        let next = id.in_generation(generations.len() as u32);
        generations.push(ledger.overview(&next).await?);
    }
    let whole = generations[0].batch.as_ref().is_some_and(Batch::is_redrivable);
    let Some(mut overview) = generations.pop() else {
        return Ok(None);
    };
    let Some(batch) = overview.batch.take() else {
        return Ok(None);
    };
    let mut sum = sum(ledger, &batch, &overview.leaves).await?;
    let left = if batch.opening.only.is_some() && batch.tally.is_some() { generations } else { Vec::new() };
    add_left(ledger, left, &batch, &mut sum, &mut overview).await?;
    Ok(Some(Seen { batch, sum, overview, whole }))
}

/// Adds the failures that redrives of one reason each left as they were, from the last generation before back to the last one
/// that was about all failures.
async fn add_left(
    ledger: &impl Ledger,
    mut before: Vec<Overview>,
    batch: &Batch,
    sum: &mut Sum,
    seen: &mut Overview,
) -> Result<()> {
    // How many records of a reason later generations processed again, which is not all of them if one ended early.
    let mut taken = BTreeMap::from_iter(batch.opening.only.clone().map(|only| (only, sum.ended())));
    while let Some(earlier) = before.pop() {
        let Some(batch) = &earlier.batch else {
            return Ok(());
        };
        let own = self::sum(ledger, batch, &earlier.leaves).await?;
        for (reason, count) in &own.reasons {
            let again = taken.get_mut(reason).map_or(0, |taken| {
                let again = (*taken).min(*count);
                *taken -= again;
                again
            });
            if *count > again {
                *sum.reasons.entry(reason.clone()).or_default() += count - again;
            }
        }
        for (reason, words) in earlier.reasons {
            seen.reasons.entry(reason).or_insert(words);
        }
        match &batch.opening.only {
            Some(only) => *taken.entry(only.clone()).or_default() += own.ended(),
            None => return Ok(()),
        }
    }
    Ok(())
}

/// What a batch did that is closed, from its own item alone.
pub fn settled(batch: &Batch, now: Timestamp) -> BatchView {
    let (sum, seen, around) = (&Sum::default(), &Overview::default(), &Around::default());
    Look { batch, sum, seen, around, now, whole: false }.view()
}

/// Adds up the leaves of a batch, of which the first were read already.
async fn sum(ledger: &impl Ledger, batch: &Batch, first: &[Leaf]) -> Result<Sum> {
    let (mut sum, sealing) = (Sum::default(), batch.sealing.as_ref());
    if !batch.opening.condition.has_tree() {
        return Ok(sum);
    }
    let sealed = sealing.map_or(FIRST_LEAVES, Sealing::leaves);
    for (number, leaf) in (0..sealed).zip(first) {
        sum.add(number, leaf, sealing);
    }
    // While scatter runs, the number of leaves is unknown: the first ones without marks are taken for the end.
    let open_end = sealing.is_none() && first.last().is_some_and(|leaf| !leaf.done.is_empty());
    if sealed > FIRST_LEAVES || open_end {
        leaves::each(ledger, batch, FIRST_LEAVES, |number, leaf| sum.add(number, leaf, sealing)).await?;
    }
    Ok(sum)
}

struct Look<'a> {
    batch: &'a Batch,
    sum: &'a Sum,
    seen: &'a Overview,
    around: &'a Around,
    now: Timestamp,
    whole: bool,
}

impl Look<'_> {
    fn view(&self) -> BatchView {
        let (batch, sealing) = (self.batch, self.batch.sealing.as_ref());
        let has_tree = batch.opening.condition.has_tree();
        let chunks = sealing.map(|sealing| u64::from(sealing.chunks));
        let done = if batch.tally.is_some() { chunks } else { Some(self.sum.done).filter(|_| has_tree) };
        let tally = batch.tally.unwrap_or(self.sum.tally);
        let total = self.total();
        let ended = tally.succeeded + tally.failed;
        let cut = batch.bookmark.map_or(0, |bookmark| bookmark.record);
        let course = self.course();
        let per_chunk = if self.sum.done > 0 { ended as f64 / self.sum.done as f64 } else { 0.0 };
        let running = batch.state == BatchState::Processing;
        let left = chunks.filter(|_| has_tree && running).map(|chunks| chunks.saturating_sub(self.sum.done));
        let at_work = left.and_then(|left| self.around.running.map(|running| running.min(left)));
        let to_go = total.map(|total| total.saturating_sub(ended));
        // The records of a chunk are known once it is done.
        let records_at_work = to_go
            .zip(left.zip(at_work))
            .map(|(to_go, (left, at_work))| (to_go as f64 * at_work as f64 / left.max(1) as f64).round() as u64);
        let stopped = batch.stop.as_ref().map(|stop| &stop.fault);
        // Sweep's next time matters only for a batch that it has mended.
        let mended = batch.seen.as_ref().filter(|seen| seen.mended > 0 && !batch.state.is_final());
        let missing =
            if self.sum.missing.len() > MOST_NAMED || batch.state.is_final() { &[][..] } else { &self.sum.missing };
        BatchView {
            version: VERSION,
            as_of: self.now,
            batch_id: batch.opening.id.in_generation(0),
            generation: batch.opening.id.generation(),
            variant: batch.opening.variant.clone(),
            state: batch.state,
            input: batch.opening.input.clone(),
            records: RecordProgress {
                total,
                at_least: total.unwrap_or(ended.max(cut)),
                succeeded: tally.succeeded,
                failed: tally.failed,
                running: records_at_work,
                waiting: to_go.zip(records_at_work).map(|(to_go, at_work)| to_go - at_work),
            },
            chunks: ChunkProgress {
                total: chunks,
                done,
                failed: tally.failed_chunks,
                running: at_work,
                waiting: left.zip(at_work).map(|(left, at_work)| left - at_work),
                missing: missing.to_vec(),
            },
            pace: course.and_then(|course| course.pace(per_chunk)),
            time_left: course.filter(|_| running).and_then(|course| course.time_left(chunks?)),
            standstill: self.standstill(),
            failures: failures(&self.sum.reasons, &self.seen.reasons),
            stages: self.stages(),
            started_at: batch.opening.started_at,
            scattered_at: sealing.map(|sealing| sealing.scattered_at),
            gather_started_at: batch.gather_started_at,
            finished_at: batch.finished_at,
            mended: mended.map(|seen| Mending { times: seen.mended, next_at: seen.next }),
            error: stopped.or_else(|| sealing.and_then(|sealing| sealing.error.as_ref())).cloned(),
            paused_at: self.seen.paused.filter(|_| !batch.state.is_final()),
            redrivable: batch.state.is_final()
                && self.whole
                && tally.failed > 0
                && batch.opening.id.generation() < MAX_GENERATION,
            only: batch.opening.only.clone(),
            costs: Costs::of(&self.seen.calls, self.sum.ended(), to_go.filter(|_| running)),
            events: self.events(),
            outputs: Vec::new(),
        }
    }

    /// The records of all chunks. The counts of a closed redrive are those of the whole batch, whose records are more than
    /// it processed.
    fn total(&self) -> Option<u64> {
        let whole = self.batch.tally.filter(|_| self.batch.opening.id.generation() > 0);
        let whole = whole.map(|tally| tally.succeeded + tally.failed);
        whole.or(self.batch.sealing.as_ref().and_then(|sealing| sealing.records))
    }

    fn course(&self) -> Option<Course> {
        let (first, last) = self.sum.marked?;
        // What is over is measured to its end.
        let at =
            if self.batch.state == BatchState::Processing || self.batch.sealing.is_none() { self.now } else { last };
        let chunks = self.batch.sealing.as_ref().map(|sealing| u64::from(sealing.chunks));
        let before = self
            .batch
            .seen
            .as_ref()
            .and_then(|seen| Some(Sample { at: seen.since, chunks: chunks?.checked_sub(seen.missing()?)? }));
        let (begun, left) = (self.batch.opening.started_at, chunks.map(|chunks| chunks.saturating_sub(self.sum.done)));
        let running = if left == Some(0) { left } else { self.around.running };
        let running = running.map(|running| running.min(left.unwrap_or(running)));
        Some(Course { begun, first, before, now: Sample { at, chunks: self.sum.done }, running })
    }

    /// When the batch last advanced, as far as the ledger shows.
    fn advanced_at(&self) -> Timestamp {
        let batch = self.batch;
        let scattered = batch.sealing.as_ref().map_or(batch.opening.started_at, |sealing| sealing.scattered_at);
        let marked = self.sum.marked.map_or(scattered, |(_, last)| last);
        marked.max(scattered).max(batch.gather_started_at.unwrap_or(scattered))
    }

    /// What became of the batch, as far as the ledger has it.
    fn events(&self) -> Vec<Happened> {
        let (batch, opening) = (self.batch, &self.batch.opening);
        let told = |at: Timestamp, kind: EventKind, text: String| Happened { at, kind, text };
        let mut events = vec![match (opening.id.generation(), &opening.only) {
            (0, _) => told(
                opening.started_at,
                EventKind::Opened,
                format!("{}, {} bytes", opening.input.key, opening.input.bytes),
            ),
            (_, Some(only)) => {
                told(opening.started_at, EventKind::Redriven, format!("the failures of reason {}", only.as_str()))
            }
            (..) => told(opening.started_at, EventKind::Redriven, "all failed records".to_owned()),
        }];
        if let Some(sealing) = &batch.sealing {
            let chunks = counted(u64::from(sealing.chunks), "chunk", "chunks");
            let text = sealing.records.map_or_else(
                || format!("{chunks}, before its end"),
                |records| format!("{} in {chunks}", counted(records, "record", "records")),
            );
            events.push(told(sealing.scattered_at, EventKind::Sealed, text));
        }
        if let Some((_, last)) = self.sum.marked.filter(|_| self.sum.tally.failed_chunks > 0) {
            let buried = counted(self.sum.tally.failed_chunks, "chunk", "chunks");
            events.push(told(last, EventKind::Buried, format!("{buried} until then")));
        }
        if let Some(seen) = batch.seen.as_ref().filter(|seen| seen.mended > 0) {
            let times = counted(u64::from(seen.mended), "time", "times");
            events.push(told(seen.since, EventKind::Swept, format!("{times} since then")));
        }
        if let Some(stop) = &batch.stop {
            let kind = if stop.state == BatchState::Cancelled { EventKind::Cancelled } else { EventKind::Stopped };
            events.push(told(stop.at, kind, stop.fault.message.clone()));
        }
        if let (Some(finished), Some(tally)) = (batch.finished_at, batch.tally) {
            let text = format!("{} succeeded, {} failed", counted(tally.succeeded, "record", "records"), tally.failed);
            events.push(told(finished, EventKind::Closed, text));
        }
        events.sort_by_key(|event| event.at);
        events
    }

    /// A pause is what people wanted, but they may have forgotten it.
    fn paused(&self, missing: Option<u64>) -> Option<Standstill> {
        let waits = self.batch.state == BatchState::Processing && self.batch.stop.is_none() && missing != Some(0);
        let since = self.seen.paused.filter(|_| waits)?;
        let reason = "the pipeline's workers are paused; `fanfold resume PIPELINE` lets them go on".to_owned();
        Some(Standstill { kind: Pausing::Stalled, since: since.max(self.advanced_at()), reasons: vec![reason] })
    }

    fn standstill(&self) -> Option<Standstill> {
        let (batch, since, now) = (self.batch, self.advanced_at(), self.now);
        let missing = batch.sealing.as_ref().map(|sealing| u64::from(sealing.chunks).saturating_sub(self.sum.done));
        if let Some(paused) = self.paused(missing) {
            return Some(paused);
        }
        if batch.state.is_final() || !batch.opening.condition.has_tree() {
            return None;
        }
        // What failed since the batch last advanced is what holds it up, however long ago it was tried.
        let counts =
            |trouble: &&Trouble| now.0 - trouble.at.0 < RECENT_TROUBLE || (!trouble.busy && trouble.at >= since);
        let trouble = self.seen.trouble.as_ref().filter(counts);
        let quiet = now.0 - since.0 >= QUIET;
        if !quiet && !trouble.is_some_and(|trouble| trouble.busy) {
            return None;
        }
        let mut reasons: Vec<String> = trouble.map(told).into_iter().collect();
        let (waiting, running) = (self.around.waiting, self.around.running);
        let nothing = waiting == Some(0) && running == Some(0);
        match (batch.state, missing) {
            (BatchState::Scattering, _) => reasons.push("scatter is cutting the input".to_owned()),
            (BatchState::Processing, Some(missing)) if nothing && missing > 0 => {
                let next = batch.seen.as_ref().map(|seen| (seen.next.0 - now.0).max(0) / 1000);
                let next = next.map_or_else(String::new, |next| format!(" in {next} s"));
                let lost = counted(missing, "chunk has", "chunks have");
                reasons.push(format!("{lost} no message any more; sweep sends again what is missing{next}"));
            }
            (BatchState::Processing, Some(0)) => reasons.push("gather has not begun".to_owned()),
            (BatchState::Processing, Some(missing)) if reasons.is_empty() => reasons.push(match running {
                Some(running) if running > 0 => {
                    let (held, wanted) =
                        (counted(running, "message is", "messages are"), counted(missing, "chunk is", "chunks are"));
                    format!("{held} being worked on, and {wanted} not done")
                }
                _ => format!("{} for a worker", counted(missing, "chunk waits", "chunks wait")),
            }),
            (BatchState::Gathering, _) => reasons.push("gather is writing the outputs".to_owned()),
            _ => {}
        }
        let works = trouble.is_some_and(|trouble| trouble.busy) || running.is_some_and(|running| running > 0);
        let gathers = matches!(batch.state, BatchState::Gathering | BatchState::Scattering);
        let kind = if quiet && !works && !gathers { Pausing::Stalled } else { Pausing::Slow };
        Some(Standstill { kind, since, reasons })
    }

    fn stages(&self) -> Vec<StageView> {
        let (batch, Calls(calls)) = (self.batch, &self.seen.calls);
        let sealed = batch.sealing.as_ref().map(|sealing| sealing.scattered_at);
        let (first, last) = self.sum.marked.unzip();
        let last = last.filter(|_| batch.gather_started_at.is_some() || batch.state.is_final());
        let times = [
            ("scatter", Some(batch.opening.started_at), sealed),
            ("process", first, last),
            ("gather", batch.gather_started_at, batch.finished_at),
            ("bury", None, None),
            (PROCESSOR, None, None),
        ];
        let stage = |(name, started_at, ended_at): (&str, _, _)| {
            let StageCalls { messages, requests } = calls.get(name).cloned().unwrap_or_default();
            StageView { name: name.to_owned(), started_at, ended_at, messages, requests }
        };
        let stages = times.map(stage).into_iter();
        stages.filter(|stage| stage.started_at.is_some() || stage.messages > 0 || !stage.requests.is_empty()).collect()
    }
}

/// A count with its words.
fn counted(count: u64, one: &str, more: &str) -> String {
    format!("{count} {}", if count == 1 { one } else { more })
}

/// What went wrong, in words.
fn told(trouble: &Trouble) -> String {
    let Trouble { part, attempt, message, busy, .. } = trouble;
    let what = match part {
        Part::Scatter => "scatter".to_owned(),
        Part::Gather => "gather".to_owned(),
        Part::Chunk(chunk) => format!("chunk {chunk}"),
    };
    if *busy { format!("{what} waits: {message}") } else { format!("{what} failed at attempt {attempt}: {message}") }
}

/// The reasons that leaves count, with their words.
fn failures(counts: &BTreeMap<ReasonId, u64>, explained: &BTreeMap<ReasonId, Explained>) -> Vec<FailureGroup> {
    let failed: u64 = counts.values().sum();
    let group = |(id, count): (&ReasonId, &u64)| {
        let known = explained.get(id);
        FailureGroup {
            id: id.clone(),
            reason: known.map_or_else(|| "other reasons".to_owned(), |known| known.reason.to_string()),
            count: *count,
            share: *count as f64 / failed.max(1) as f64,
            examples: known.map(|known| known.examples.clone()).unwrap_or_default(),
        }
    };
    let mut groups: Vec<FailureGroup> = counts.iter().map(group).collect();
    groups.sort_by(|one, other| other.count.cmp(&one.count).then_with(|| one.id.cmp(&other.id)));
    groups
}
