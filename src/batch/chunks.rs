//! Where the records of chunks wait, and where their outcomes are kept: the work bucket or the tasks table. Records
//! that are read from the input are not kept at all, and of their outcomes only the failures and those with a result.
//!
//! The outcomes of a chunk are decided once, by the first caller to keep them: the worker that processed it, or the
//! stage that buried it. Every other caller gets that decision, so counters and outcomes cannot differ.

use std::collections::BTreeSet;

use futures::stream::{self, StreamExt, TryStreamExt};

use crate::batch::ranges::Ranges;
use crate::model::error::{Error, Result};
use crate::model::fold::Fold;
use crate::model::ids::{BatchId, ChunkIndex};
use crate::model::price::Waiting;
use crate::model::progress::{Mark, Tally};
use crate::model::record::{Entry, Outcome, Response, cut};
use crate::model::timestamp::Timestamp;
use crate::store::Stores;
use crate::store::blob::{Blob, PAGE, list_after, list_all, read_all};
use crate::store::tasks::{MAX_ROW_BYTES, MOST_RESOLVED, Row, Tasks, Verdict, fitting, groups};

/// The most chunks that scatter writes at once. If it dies, this many in a row may be missing from what it wrote.
pub const MOST_AT_ONCE: u32 = 16;

/// The first line of a chunk's outcomes if it was buried.
const BURIED: &[u8] = b"{\"buried\":true}\n";
/// How the line before that begins that holds the chunk's counters, if those are kept.
const FOLD: &[u8] = b"{\"fold\":";
/// How the first line begins if only the failures follow.
const EXCEPTED: &[u8] = b"{\"succeeded\":";
const JSON_LINES: &str = "application/jsonl";

/// Where the records of chunks wait and their outcomes are kept.
pub enum RecordStore<S: Stores> {
    /// In the work bucket, one object per chunk.
    Copied {
        /// The work bucket.
        work: S::Blob,
    },
    /// In the tasks table, one row per record.
    Rows(S::Tasks),
    /// The records lie in the input if it can be read in ranges, otherwise in the work bucket, where the outcomes are
    /// kept as well.
    InPlace {
        /// The work bucket.
        work: S::Blob,
        /// The input.
        input: Ranges<S::Blob>,
    },
}

/// What was decided about a chunk.
#[derive(Debug, Clone, Default)]
pub struct Decision {
    /// The outcomes of its records; if the others are only counted, of those that failed or have a result.
    pub outcomes: Vec<Outcome>,
    /// Whether it was buried.
    pub buried: bool,
    /// How many more records succeeded, if they are counted without being listed.
    pub succeeded: Option<u64>,
    /// What the records that succeeded add to the counters, if those are kept. A buried chunk adds nothing.
    pub fold: Option<Fold>,
}

impl Decision {
    /// The outcomes of a chunk that was processed.
    pub fn worked(outcomes: Vec<Outcome>) -> Self {
        Self { outcomes, ..Self::default() }
    }

    /// The same by exception: lists only the records that failed or have a result, and counts the others.
    pub fn excepted(mut outcomes: Vec<Outcome>) -> Self {
        let all = outcomes.len();
        outcomes.retain(|outcome| !outcome.response.success || outcome.result.is_some());
        Self { succeeded: Some((all - outcomes.len()) as u64), outcomes, ..Self::default() }
    }

    /// The same with what the records that succeeded add to the counters, if those are kept.
    pub fn with_fold(mut self, fold: Option<Fold>) -> Self {
        self.fold = fold;
        self
    }

    /// The outcomes of a chunk that could not be processed. A record that could not even be decoded
    /// keeps its own reason.
    pub fn buried(entries: Vec<Entry>, reason: &str) -> Self {
        let outcomes = entries.into_iter().map(|mut entry| {
            let fault = entry.fault.take().unwrap_or_else(|| reason.to_owned());
            Outcome::of(entry, Some(fault))
        });
        Self { outcomes: outcomes.collect(), buried: true, ..Self::default() }
    }

    /// The counts of its outcomes.
    pub fn tally(&self) -> Tally {
        let succeeded = self.outcomes.iter().filter(|outcome| outcome.response.success).count() as u64;
        let failed = self.outcomes.len() as u64 - succeeded;
        Tally {
            succeeded: succeeded + self.succeeded.unwrap_or_default(),
            failed,
            failed_chunks: u64::from(self.buried),
        }
    }

    /// The mark that the chunk gets when it is done.
    pub fn mark(&self) -> Mark {
        let tally = self.tally();
        let results = self.outcomes.iter().any(|outcome| outcome.result.is_some());
        Mark { excepted: results || !tally.is_clean(), ..Mark::from(tally) }
    }

    /// Whether the chunk was ended without its records, which then have no outcomes.
    pub fn is_lost(&self) -> bool {
        self.buried && self.outcomes.is_empty()
    }

    /// Whether the count says everything, so that there is nothing else to keep.
    fn is_counted(&self) -> bool {
        self.succeeded.is_some() && self.outcomes.is_empty() && !self.buried && self.fold.is_none()
    }
}

impl<S: Stores> RecordStore<S> {
    /// Where the records of a batch wait; `ranged` if its chunks are ranges of the input.
    pub fn waiting(&self, ranged: bool) -> Waiting {
        match self {
            Self::Rows(_) => Waiting::Rows,
            Self::InPlace { .. } if ranged => Waiting::InPlace,
            Self::Copied { .. } | Self::InPlace { .. } => Waiting::Object,
        }
    }

    /// Returns the input, for a variant that reads ranges of it.
    ///
    /// # Errors
    /// `Config` for any other variant.
    pub fn input(&self) -> Result<&Ranges<S::Blob>> {
        match self {
            Self::InPlace { input, .. } => Ok(input),
            _ => Err(Error::config("the message comes from another variant; deploy all functions with one VARIANT")),
        }
    }

    /// Keeps the records of a chunk until they are processed. A repeat never undoes an outcome.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn put(&self, batch: &BatchId, chunk: ChunkIndex, entries: &[Entry], now: Timestamp) -> Result<()> {
        match self {
            Self::Copied { work } | Self::InPlace { work, .. } => {
                let lines = lines_of(entries)?;
                work.put(&batch.pending_key(chunk), JSON_LINES, lines.into()).await?;
                Ok(())
            }
            Self::Rows(tasks) => {
                let fitted: Vec<Entry> = entries.iter().map(fitting).collect();
                // One after another, since scatter has several chunks under way at once.
                for group in groups(&fitted) {
                    tasks.create(batch, chunk, group, now).await?;
                }
                Ok(())
            }
        }
    }

    /// Returns the records of a chunk; `None` if they were discarded or never put.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn pending(&self, batch: &BatchId, chunk: ChunkIndex) -> Result<Option<Vec<Entry>>> {
        match self {
            Self::Copied { work } | Self::InPlace { work, .. } => {
                let lines = read_all(work, &batch.pending_key(chunk)).await?;
                lines.map(|lines| parse_lines(&lines)).transpose()
            }
            Self::Rows(tasks) => {
                let rows = tasks.read(batch, chunk).await?.rows;
                Ok((!rows.is_empty()).then(|| rows.into_iter().map(unanswered).collect()))
            }
        }
    }

    /// The most bytes that the counters of all records of a chunk may take as JSON, so that a decision can keep those of
    /// the records that succeed.
    pub fn most_counters(&self) -> usize {
        match self {
            Self::Copied { .. } | Self::InPlace { .. } => usize::MAX,
            // The sums of some records may have more digits than those of all.
            Self::Rows(_) => MAX_ROW_BYTES / 4 * 3,
        }
    }

    /// Decides the outcomes of a chunk, unless they are already decided, and returns the decision that counts. `reason`
    /// says why, if the chunk is buried.
    ///
    /// # Errors
    /// Those of the store; `Malformed` if the chunk's counters take more than it can keep.
    pub async fn decide(
        &self,
        batch: &BatchId,
        chunk: ChunkIndex,
        decision: Decision,
        reason: &str,
        now: Timestamp,
    ) -> Result<Decision> {
        let kept = match self {
            // Here the mark decides: outcomes are read only for chunks that are marked as excepted.
            Self::Copied { .. } | Self::InPlace { .. } if decision.is_counted() => false,
            Self::Copied { work } | Self::InPlace { work, .. } => {
                !work.put_new(&batch.done_key(chunk), JSON_LINES, written(&decision)?.into()).await?
            }
            Self::Rows(tasks) => {
                let verdict = if decision.buried {
                    Verdict::Buried(cut(reason.to_owned()))
                } else {
                    check_counters(decision.fold.as_ref(), MAX_ROW_BYTES).map_err(Error::malformed)?;
                    resolve(tasks, batch, chunk, &decision.outcomes, now).await?;
                    Verdict::Worked(decision.fold.clone())
                };
                tasks.settle(batch, chunk, verdict.clone(), now).await? != verdict
            }
        };
        if !kept {
            return Ok(decision);
        }
        self.outcomes(batch, chunk).await?.ok_or_else(|| missing(batch, chunk))
    }

    /// Returns what was decided about a chunk, if anything was.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn outcomes(&self, batch: &BatchId, chunk: ChunkIndex) -> Result<Option<Decision>> {
        match self {
            Self::Copied { work } | Self::InPlace { work, .. } => {
                let lines = read_all(work, &batch.done_key(chunk)).await?;
                lines.map(|lines| parse_decision(&lines)).transpose()
            }
            Self::Rows(tasks) => {
                let found = tasks.read(batch, chunk).await?;
                match found.verdict {
                    None => Ok(None),
                    Some(Verdict::Buried(reason)) => {
                        Ok(Some(Decision::buried(found.rows.into_iter().map(unanswered).collect(), &reason)))
                    }
                    Some(Verdict::Worked(fold)) => {
                        let outcomes: Option<_> = found.rows.into_iter().map(answered).collect();
                        Ok(outcomes.map(|outcomes| Decision::worked(outcomes).with_fold(fold)))
                    }
                }
            }
        }
    }

    /// Deletes the records of a chunk that is done. Rows of the tasks table stay until they expire:
    /// they hold the outcomes too.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn discard(&self, batch: &BatchId, chunk: ChunkIndex) -> Result<()> {
        match self {
            Self::Copied { work } | Self::InPlace { work, .. } => work.delete(&batch.pending_key(chunk)).await,
            Self::Rows(_) => Ok(()),
        }
    }

    /// Returns the first chunk whose records wait in the work bucket.
    ///
    /// # Errors
    /// Those of the store; `Internal` for the tasks table, which cannot tell.
    pub async fn first_pending(&self, batch: &BatchId) -> Result<Option<ChunkIndex>> {
        match self {
            Self::Copied { work } | Self::InPlace { work, .. } => {
                let keys = work.list(&batch.pending_prefix(), None, 1).await?;
                Ok(keys.first().and_then(|key| batch.chunk_of_pending(key)))
            }
            Self::Rows(_) => Err(Error::internal("the tasks table cannot say what is pending")),
        }
    }

    /// Returns all chunks whose records wait in the work bucket; none for the tasks table, which keeps its rows.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn all_pending(&self, batch: &BatchId) -> Result<Vec<ChunkIndex>> {
        match self {
            Self::Copied { work } | Self::InPlace { work, .. } => {
                let keys = list_all(work, &batch.pending_prefix()).await?;
                Ok(keys.iter().filter_map(|key| batch.chunk_of_pending(key)).collect())
            }
            Self::Rows(_) => Ok(Vec::new()),
        }
    }

    /// Returns the decided chunks that the work bucket lists from the first of `chunks` to at least the last.
    /// `chunks` ascend.
    ///
    /// # Errors
    /// Those of the store; `Internal` for the tasks table, which cannot tell.
    pub async fn decided(&self, batch: &BatchId, chunks: &[ChunkIndex]) -> Result<BTreeSet<ChunkIndex>> {
        let (Some(first), Some(last)) = (chunks.first(), chunks.last()) else {
            return Ok(BTreeSet::new());
        };
        let (Self::Copied { work } | Self::InPlace { work, .. }) = self else {
            return Err(Error::internal("the tasks table cannot say what is decided"));
        };
        let before = first.get().checked_sub(1).map(ChunkIndex::new).transpose()?;
        let (mut after, mut decided) = (before.map(|chunk| batch.done_key(chunk)), BTreeSet::new());
        loop {
            let page = work.list(&batch.done_prefix(), after.as_deref(), PAGE).await?;
            decided.extend(page.iter().filter_map(|key| batch.chunk_of_done(key)));
            after = page.into_iter().last();
            if after.is_none() || decided.last().is_some_and(|chunk| chunk >= last) {
                return Ok(decided);
            }
        }
    }

    /// Returns a page of the chunks whose outcomes the work bucket lists after `after`, ascending; empty at the end.
    ///
    /// # Errors
    /// As [`decided`](Self::decided).
    pub async fn decided_page(&self, batch: &BatchId, after: Option<ChunkIndex>) -> Result<Vec<ChunkIndex>> {
        let (Self::Copied { work } | Self::InPlace { work, .. }) = self else {
            return Err(Error::internal("the tasks table cannot say what is decided"));
        };
        let after = after.map(|chunk| batch.done_key(chunk));
        let page = work.list(&batch.done_prefix(), after.as_deref(), PAGE).await?;
        Ok(page.iter().filter_map(|key| batch.chunk_of_done(key)).collect())
    }

    /// Returns all chunks that were ever put from one of them on, as far as the store shows.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn known(&self, batch: &BatchId, from: u32) -> Result<BTreeSet<ChunkIndex>> {
        match self {
            Self::Copied { work } | Self::InPlace { work, .. } => {
                let before = from.checked_sub(1).map(ChunkIndex::new).transpose()?;
                let after = |key: fn(&BatchId, ChunkIndex) -> String| before.map(|chunk| key(batch, chunk));
                // A chunk's result is written before its pending records are deleted, so one of the lists has it.
                let pending = list_after(work, &batch.pending_prefix(), after(BatchId::pending_key)).await?;
                let done = list_after(work, &batch.done_prefix(), after(BatchId::done_key)).await?;
                let pending = pending.iter().filter_map(|key| batch.chunk_of_pending(key));
                Ok(pending.chain(done.iter().filter_map(|key| batch.chunk_of_done(key))).collect())
            }
            Self::Rows(tasks) => {
                let (mut known, mut index, mut missed) = (BTreeSet::new(), from, 0);
                while missed < MOST_AT_ONCE {
                    let Ok(chunk) = ChunkIndex::new(index) else {
                        break;
                    };
                    let found = tasks.read(batch, chunk).await?;
                    if found.rows.is_empty() && found.verdict.is_none() {
                        missed += 1;
                    } else {
                        missed = 0;
                        known.insert(chunk);
                    }
                    index += 1;
                }
                Ok(known)
            }
        }
    }
}

async fn resolve(
    tasks: &impl Tasks,
    batch: &BatchId,
    chunk: ChunkIndex,
    outcomes: &[Outcome],
    now: Timestamp,
) -> Result<()> {
    let requests = outcomes.chunks(MOST_RESOLVED).map(|some| tasks.resolve(batch, chunk, some, now));
    let undone: Vec<Vec<usize>> =
        stream::iter(requests.collect::<Vec<_>>()).buffer_unordered(MOST_AT_ONCE as usize).try_collect().await?;
    if undone.iter().all(Vec::is_empty) { Ok(()) } else { Err(Error::busy("the tasks table is too busy")) }
}

fn missing(batch: &BatchId, chunk: ChunkIndex) -> Error {
    Error::internal(format!("chunk {chunk} of batch {batch} is done and lacks its result"))
}

/// Checks that a decision has room for the counters of its chunk.
///
/// # Errors
/// In words, if it has not.
pub fn check_counters(fold: Option<&Fold>, most: usize) -> std::result::Result<(), String> {
    let bytes = fold.map_or(0, Fold::bytes);
    if bytes <= most {
        return Ok(());
    }
    Err(format!(
        "the counters of the chunk take {bytes} bytes, but a row of the tasks table holds {most}; \
         lower CHUNK_SIZE or use another variant"
    ))
}

/// The decision on a chunk as the work bucket keeps it.
fn written(decision: &Decision) -> Result<Vec<u8>> {
    let mut lines = Vec::new();
    if let Some(fold) = &decision.fold {
        lines.extend_from_slice(FOLD);
        serde_json::to_writer(&mut lines, fold)
            .map_err(|e| Error::internal("the counters of a chunk cannot be written").because(e))?;
        lines.extend_from_slice(b"}\n");
    }
    match decision.succeeded {
        _ if decision.buried => lines.extend_from_slice(BURIED),
        Some(succeeded) => lines.extend([EXCEPTED, format!("{succeeded}}}\n").as_bytes()].concat()),
        None => {}
    }
    lines.extend(lines_of(&decision.outcomes)?);
    Ok(lines)
}

/// Parses the decision on a chunk as the work bucket keeps it.
fn parse_decision(lines: &[u8]) -> Result<Decision> {
    if let Some(counted) = lines.strip_prefix(FOLD) {
        let end = counted.iter().position(|byte| *byte == b'\n').unwrap_or(counted.len());
        let fold = counted[..end].strip_suffix(b"}").and_then(|json| serde_json::from_slice(json).ok());
        let fold = fold.ok_or_else(|| Error::internal("the counters of a chunk are not readable"))?;
        let rest = counted.get(end + 1..).unwrap_or_default();
        return Ok(parse_decision(rest)?.with_fold(Some(fold)));
    }
    if let Some(outcomes) = lines.strip_prefix(BURIED) {
        return Ok(Decision { outcomes: parse_lines(outcomes)?, buried: true, ..Decision::default() });
    }
    let Some(counted) = lines.strip_prefix(EXCEPTED) else {
        return parse_lines(lines).map(Decision::worked);
    };
    let end = counted.iter().position(|byte| *byte == b'\n').unwrap_or(counted.len());
    let count = std::str::from_utf8(&counted[..end]).ok().and_then(|count| count.strip_suffix('}')?.parse().ok());
    let succeeded = count.ok_or_else(|| Error::internal("a chunk's outcomes have no count"))?;
    Ok(Decision { outcomes: parse_lines(&counted[end..])?, succeeded: Some(succeeded), ..Decision::default() })
}

fn answered(row: Row) -> Option<Outcome> {
    let Entry { index, record: request, raw, line, object, .. } = row.entry;
    let result = row.result;
    row.response.map(|response: Response| Outcome { index, request, response, result, raw, line, object })
}

/// A row as it was put.
fn unanswered(row: Row) -> Entry {
    let Row { entry, response, .. } = row;
    match response {
        Some(response) => {
            let Entry { index, record: request, raw, line, object, .. } = entry;
            Outcome { index, request, response, result: None, raw, line, object }.into_entry()
        }
        None => entry,
    }
}

pub(super) fn lines_of<T: serde::Serialize>(values: &[T]) -> Result<Vec<u8>> {
    let mut lines = Vec::new();
    for value in values {
        serde_json::to_writer(&mut lines, value)
            .map_err(|e| Error::internal("a record cannot be written to its chunk").because(e))?;
        lines.push(b'\n');
    }
    Ok(lines)
}

pub(super) fn parse_lines<T: serde::de::DeserializeOwned>(lines: &[u8]) -> Result<Vec<T>> {
    let lines = lines.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
    let values = lines.map(serde_json::from_slice).collect::<std::result::Result<_, _>>();
    // Only the error's class: its message may quote the record, and this will be logged.
    values.map_err(|e: serde_json::Error| Error::internal(format!("a chunk is not readable: {:?}", e.classify())))
}
