//! One measurement: a row of `measurements.csv`.

use std::collections::BTreeMap;

use fanfold::model::error::{Error, Result};
use serde::{Deserialize, Serialize};

use crate::calls::Requests;

/// The columns in order: the published ones, then our own.
pub const COLUMNS: [&str; 22] = [
    "commitish",
    "variant",
    "env",
    "scope",
    "batchId",
    "count",
    "scatterDurationInSeconds",
    "scatterDurationPerRecordInSeconds",
    "gatherDurationInSeconds",
    "gatherDurationPerRecordInSeconds",
    "batchStartTime",
    "batchEndTime",
    "batchDurationInSeconds",
    "batchDurationPerRecordInSeconds",
    "outcome",
    "chunkSize",
    "concurrency",
    "memoryMb",
    "seed",
    "repeat",
    "target",
    "calls",
];

/// The outcome of a batch that was checked and found correct.
pub const SUCCESS: &str = "success";

/// One batch. A duration is absent if it was not measured: a failed batch has none, so that no average takes it
/// for a fast one.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Row {
    /// The version that was measured, as named by `git describe`.
    pub commitish: String,
    /// The variant, or `floor`.
    pub variant: String,
    /// `local`, `localstack` or `aws`.
    pub env: String,
    /// The prefix of the deployment's names.
    pub scope: String,
    /// The batch; empty if the upload failed.
    pub batch_id: String,
    /// Its records.
    pub count: u64,
    /// Scatter, as its function saw it.
    #[serde(with = "seconds")]
    pub scatter_duration_in_seconds: Option<f64>,
    /// The same per record.
    #[serde(with = "seconds")]
    pub scatter_duration_per_record_in_seconds: Option<f64>,
    /// Gather, as its function saw it.
    #[serde(with = "seconds")]
    pub gather_duration_in_seconds: Option<f64>,
    /// The same per record.
    #[serde(with = "seconds")]
    pub gather_duration_per_record_in_seconds: Option<f64>,
    /// When the first byte was uploaded, RFC 3339.
    pub batch_start_time: String,
    /// When the summary was read, RFC 3339.
    pub batch_end_time: String,
    /// Between the two, as the client saw it.
    #[serde(with = "seconds")]
    pub batch_duration_in_seconds: Option<f64>,
    /// The same per record.
    #[serde(with = "seconds")]
    pub batch_duration_per_record_in_seconds: Option<f64>,
    /// [`SUCCESS`], or `failure: ` and why.
    pub outcome: String,
    /// Maximum number of records in a chunk.
    pub chunk_size: Option<u32>,
    /// Maximum number of functions at once; for the floor, of requests.
    pub concurrency: Option<u32>,
    /// Memory of the process function.
    pub memory_mb: Option<u32>,
    /// The seed of the records.
    pub seed: u64,
    /// Which repeat, from 1.
    pub repeat: u32,
    /// Emulator and version, or region.
    pub target: String,
    /// Requests by stage and operation.
    #[serde(with = "json")]
    pub calls: Requests,
}

impl Row {
    /// Whether the row may count towards a figure.
    pub fn succeeded(&self) -> bool {
        self.outcome == SUCCESS && self.batch_duration_in_seconds.is_some()
    }

    /// Sets the durations that the client and the functions measured.
    pub fn set_durations(&mut self, batch: f64, scatter: Option<f64>, gather: Option<f64>) {
        // To the nanosecond, as in the file.
        let rounded = |seconds: f64| (seconds * 1e9).round() / 1e9;
        let each = |seconds: f64| rounded(seconds / self.count.max(1) as f64);
        self.batch_duration_in_seconds = Some(rounded(batch));
        self.batch_duration_per_record_in_seconds = Some(each(batch));
        self.scatter_duration_in_seconds = scatter.map(rounded);
        self.scatter_duration_per_record_in_seconds = scatter.map(each);
        self.gather_duration_in_seconds = gather.map(rounded);
        self.gather_duration_per_record_in_seconds = gather.map(each);
    }

    /// The row as one line of CSV, without its line end; no value contains a line break.
    ///
    /// # Errors
    /// `Internal`, which only a defect can cause.
    pub fn line(&self) -> Result<String> {
        let broken = || Error::internal("a measurement cannot be written as CSV");
        let mut writer = csv::WriterBuilder::new().has_headers(false).from_writer(Vec::new());
        writer.serialize(self).map_err(|e| broken().because(e))?;
        let bytes = writer.into_inner().map_err(|_| broken())?;
        let line = String::from_utf8(bytes).map_err(|e| broken().because(e))?;
        Ok(line.trim_end_matches('\n').to_owned())
    }

    /// Reads a line of CSV, or says what is wrong with it.
    pub fn of_line(line: &str) -> std::result::Result<Self, String> {
        let mut reader = csv::ReaderBuilder::new().has_headers(false).flexible(true).from_reader(line.as_bytes());
        let cells = reader.records().next().ok_or("the line is empty")?.map_err(|e| e.to_string())?;
        if cells.len() != COLUMNS.len() {
            return Err(format!("{} columns instead of {}", cells.len(), COLUMNS.len()));
        }
        cells.deserialize(Some(&COLUMNS.to_vec().into())).map_err(|e| e.to_string())
    }
}

/// The outcome of a failure, on one line.
pub fn failure(reason: &str) -> String {
    let one_line: Vec<&str> = reason.split(['\n', '\r']).map(str::trim).filter(|part| !part.is_empty()).collect();
    format!("failure: {}", one_line.join("; "))
}

/// Seconds as plain decimals, to the nanosecond, without an exponent.
mod seconds {
    use serde::{Deserialize, Deserializer, Serializer};

    pub fn serialize<S: Serializer>(value: &Option<f64>, serializer: S) -> Result<S::Ok, S::Error> {
        let Some(seconds) = value else {
            return serializer.serialize_none();
        };
        let text = format!("{seconds:.9}");
        serializer.serialize_str(text.trim_end_matches('0').trim_end_matches('.'))
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<f64>, D::Error> {
        Option::deserialize(deserializer)
    }
}

/// Calls as compact JSON.
mod json {
    use super::{BTreeMap, Requests};
    use serde::{Deserialize, Deserializer, Serializer, de, ser};

    pub fn serialize<S: Serializer>(value: &Requests, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&serde_json::to_string(value).map_err(ser::Error::custom)?)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Requests, D::Error> {
        let text = String::deserialize(deserializer)?;
        serde_json::from_str::<BTreeMap<_, _>>(&text).map_err(de::Error::custom)
    }
}

#[cfg(test)]
pub mod tests {
    use super::*;

    /// A row for tests.
    pub fn row(variant: &str, count: u64, repeat: u32, seconds: f64) -> Row {
        let mut row = Row {
            commitish: "v1".into(),
            variant: variant.into(),
            env: "local".into(),
            scope: "anna-".into(),
            batch_id: "benchmark-0123456789ab".into(),
            count,
            scatter_duration_in_seconds: None,
            scatter_duration_per_record_in_seconds: None,
            gather_duration_in_seconds: None,
            gather_duration_per_record_in_seconds: None,
            batch_start_time: format!("2026-01-0{repeat}T00:00:00.000Z"),
            batch_end_time: format!("2026-01-0{repeat}T00:00:09.000Z"),
            batch_duration_in_seconds: None,
            batch_duration_per_record_in_seconds: None,
            outcome: SUCCESS.into(),
            chunk_size: Some(500),
            concurrency: Some(50),
            memory_mb: None,
            seed: 1,
            repeat,
            target: "an emulator 1.0".into(),
            calls: [("process".to_owned(), [("dynamodb.PutItem".to_owned(), count)].into())].into(),
        };
        row.set_durations(seconds, Some(seconds / 4.0), Some(seconds / 8.0));
        row
    }

    #[test]
    fn a_row_survives_its_line() {
        let mut failed = row("sync", 10, 2, 1.0);
        failed.outcome = failure("no summary\n  within 9 s, \"gave up\"\r\n");
        failed.batch_duration_in_seconds = None;
        failed.calls.clear();
        for row in [row("chunked", 10_000, 1, 0.000_123_4), failed] {
            let line = row.line().unwrap();
            assert!(!line.contains('\n') && !line.contains("e-"), "{line}");
            assert_eq!(Row::of_line(&line).unwrap(), row, "{line}");
        }
    }

    #[test]
    fn the_columns_are_the_fields() {
        let mut writer = csv::Writer::from_writer(Vec::new());
        writer.serialize(row("sync", 1, 1, 1.0)).unwrap();
        let text = String::from_utf8(writer.into_inner().unwrap()).unwrap();
        assert_eq!(text.lines().next().unwrap(), COLUMNS.join(","));
    }

    #[test]
    fn a_line_of_another_shape_is_refused() {
        let line = row("sync", 1, 1, 1.0).line().unwrap();
        for wrong in [&line[..40], "", &format!("{line},1"), &line.replace("anna-,", "anna-,x,")] {
            assert!(Row::of_line(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_failure_is_one_line_and_never_counts() {
        let mut row = row("sync", 1, 1, 0.1);
        assert!(row.succeeded());
        row.outcome = failure("a\nb");
        assert_eq!(row.outcome, "failure: a; b");
        assert!(!row.succeeded());
    }
}
