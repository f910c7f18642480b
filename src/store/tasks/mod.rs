//! Pending records and their outcomes as rows of a table: one row per record, grouped by chunk.

pub mod memory;
pub mod surrounded;

use std::future::Future;

use serde_json::value::RawValue;

use crate::model::error::Result;
use crate::model::fold::Fold;
use crate::model::ids::{BatchId, ChunkIndex};
use crate::model::record::{Entry, Outcome, Response};
use crate::model::timestamp::Timestamp;

/// The most text of a record that a row keeps; the rest of its 400 KB is for what is stored beside it.
pub const MAX_ROW_BYTES: usize = 380 * 1024;

/// The most rows of a group, and their total text: what every table can create in one request.
const GROUP_ROWS: usize = 100;
const GROUP_BYTES: usize = 2 * 1024 * 1024;
/// The most outcomes that are written in one request.
pub const MOST_RESOLVED: usize = 25;

/// A record and, once it was processed, what became of it.
#[derive(Debug, Clone)]
pub struct Row {
    /// The record.
    pub entry: Entry,
    /// What became of it.
    pub response: Option<Response>,
    /// The result that the processor gave with its success.
    pub result: Option<Box<RawValue>>,
}

/// What decides the outcomes of a chunk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// The responses in its rows; and what they add to counters, if those are kept. That is small enough for a row: at most
    /// [`MAX_ROW_BYTES`] as JSON.
    Worked(Option<Fold>),
    /// It could not be processed, for this reason; what its rows say does not count.
    Buried(String),
}

/// A chunk as the table holds it.
#[derive(Debug, Clone, Default)]
pub struct Rows {
    /// Its records in their order.
    pub rows: Vec<Row>,
    /// What decides their outcomes, once that is settled.
    pub verdict: Option<Verdict>,
}

/// The tasks table. Failed calls have already been retried, unless they failed as `Busy`; they may still have taken
/// effect.
pub trait Tasks: Send + Sync + 'static {
    /// Writes records of a chunk, one row each, in one request: they are one of the chunk's [`groups`]. Existing rows
    /// stay as they are, whatever they hold by now, so this may be repeated at any time with the same group.
    fn create(
        &self,
        batch: &BatchId,
        chunk: ChunkIndex,
        entries: &[Entry],
        now: Timestamp,
    ) -> impl Future<Output = Result<()>> + Send;

    /// Reads all rows of a chunk in the records' order; reads see every write that came before them.
    fn read(&self, batch: &BatchId, chunk: ChunkIndex) -> impl Future<Output = Result<Rows>> + Send;

    /// Settles what decides the outcomes of a chunk, unless that is already settled, and returns the verdict that
    /// counts. Idempotent: the first verdict stays.
    fn settle(
        &self,
        batch: &BatchId,
        chunk: ChunkIndex,
        verdict: Verdict,
        now: Timestamp,
    ) -> impl Future<Output = Result<Verdict>> + Send;

    /// Writes at most [`MOST_RESOLVED`] outcomes of a chunk into its rows, and returns the positions of those that the
    /// table was too busy for. Idempotent.
    fn resolve(
        &self,
        batch: &BatchId,
        chunk: ChunkIndex,
        outcomes: &[Outcome],
        now: Timestamp,
    ) -> impl Future<Output = Result<Vec<usize>>> + Send;
}

/// A record as its row keeps it: one that is too large for a row fails instead.
pub fn fitting(entry: &Entry) -> Entry {
    if entry.weight() <= MAX_ROW_BYTES {
        return entry.clone();
    }
    let fault = format!(
        "the record is larger than {MAX_ROW_BYTES} bytes, which a row of the tasks table cannot hold; \
         use another variant"
    );
    Entry { object: entry.object, ..Entry::faulty(entry.index, None, fault) }
}

/// Splits a chunk into groups that are created in one request each, always in the same way.
pub fn groups(entries: &[Entry]) -> Vec<&[Entry]> {
    let mut groups = Vec::new();
    let (mut from, mut bytes) = (0, 0);
    for (at, entry) in entries.iter().enumerate() {
        if at - from == GROUP_ROWS || (at > from && bytes + entry.weight() > GROUP_BYTES) {
            groups.push(&entries[from..at]);
            (from, bytes) = (at, 0);
        }
        bytes += entry.weight();
    }
    if from < entries.len() {
        groups.push(&entries[from..]);
    }
    groups
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::value::to_raw_value;

    #[test]
    fn groups_keep_both_limits_of_a_request() {
        let entry = |bytes: usize| Entry::decoded(0, to_raw_value(&"x".repeat(bytes)).unwrap());
        let sizes = |entries: &[Entry]| -> Vec<usize> { groups(entries).iter().map(|group| group.len()).collect() };
        assert_eq!(sizes(&vec![entry(10); 250]), [100, 100, 50]);
        assert_eq!(sizes(&vec![entry(300 * 1024); 8]), [6, 2]);
        assert_eq!(sizes(&[]), Vec::<usize>::new());
    }
}
