//! How a report ended.

use serde::{Deserialize, Serialize};

use crate::model::ids::BatchId;
use crate::model::progress::BatchState;
use crate::model::reporting::id::ReportId;
use crate::model::timestamp::Timestamp;

/// What is told of a report that has ended: written once all of its documents are there.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ReportEnd {
    /// The version of this form: 1.
    pub v: u32,
    /// The report.
    pub id: ReportId,
    /// Which redrive of its batch it was made after, from 0.
    pub generation: u32,
    /// How it ended.
    pub state: BatchState,
    /// Whether parts are missing.
    pub partial: bool,
    /// Its parts.
    pub parts: PartCounts,
    /// Its rows.
    pub rows: u64,
    /// What was known then; the oldest of all parts. `None` without parts.
    pub as_of: Option<Timestamp>,
    /// When its batch ended.
    pub finished_at: Timestamp,
    /// Its documents.
    pub outputs: Vec<ReportOutput>,
    /// Why it failed, or ended early.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<Reason>,
}

/// Counts of parts.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PartCounts {
    /// All.
    pub total: u64,
    /// Those that are in the report.
    pub succeeded: u64,
    /// Those that are missing.
    pub failed: u64,
}

/// A document of a report.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReportOutput {
    /// `json`, `csv` or `pdf`.
    pub name: String,
    /// Its key in the output bucket.
    pub key: String,
    /// Its size.
    pub bytes: u64,
    /// The SHA-256 of its bytes, in hexadecimal digits.
    pub sha256: String,
}

/// Why a report failed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reason {
    /// For programs: that of its batch, `ROWS_EXPIRED`, `NO_DOCUMENT` or `NOT_MADE`.
    pub code: String,
    /// For people.
    pub message: String,
}

/// The folder of a report's documents in the output bucket: one for each generation, so that no repetition of an earlier one
/// replaces what a later one wrote.
pub fn folder(batch: &BatchId, generation: u32) -> String {
    batch.output_key(&format!("report/{generation}"))
}

/// The generation whose end has a key; `None` if it is that of something else.
pub fn generation_of(batch: &BatchId, end: &str) -> Option<u32> {
    let generation = end.strip_prefix(&batch.output_key("report/"))?.strip_suffix("/end.json")?.parse().ok()?;
    (end_key(batch, generation) == end).then_some(generation)
}

/// The key of what is told of its end.
pub fn end_key(batch: &BatchId, generation: u32) -> String {
    format!("{}/end.json", folder(batch, generation))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_key_of_an_end_tells_its_generation() {
        let batch = BatchId::parse("reports-000000000000").unwrap();
        for generation in [0, 7, 999] {
            assert_eq!(generation_of(&batch, &end_key(&batch, generation)), Some(generation));
        }
        let folder = batch.output_key("report/");
        for other in ["1/report.json", "1x/end.json", "01/end.json", "end.json"] {
            assert_eq!(generation_of(&batch, &format!("{folder}{other}")), None, "{other}");
        }
    }
}
