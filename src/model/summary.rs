//! The summary of a batch: the last thing written, so that its presence means done.

use serde::{Deserialize, Serialize};

use crate::model::fault::Fault;
use crate::model::ids::BatchId;
use crate::model::input::InputRef;
use crate::model::manifest::is_manifest;
use crate::model::processing::{Processing, Work};
use crate::model::progress::{Batch, BatchState, Opening, Tally};
use crate::model::spent::Spent;
use crate::model::timestamp::Timestamp;

/// How many failed records the summary lists itself.
pub const SHOWN_FAILURES: usize = 20;

/// `summary.json`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Summary {
    /// The batch.
    pub batch_id: BatchId,
    /// How often the batch was redriven.
    #[serde(default)]
    pub generation: u32,
    /// The variant that worked on it.
    pub variant: String,
    /// The variant whose path it took instead: `ranged` reads ranges only of single files that [are in
    /// place](crate::model::format::InputFormat::is_in_place).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fallback: Option<String>,
    /// How it ended.
    pub state: BatchState,
    /// What it was made from.
    pub input: InputRef,
    /// The objects that it was made of, if its input is a manifest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub objects: Option<ObjectCounts>,
    /// Counts of records.
    pub records: RecordCounts,
    /// Counts of the chunks of this generation.
    pub chunks: ChunkCounts,
    /// The part of the input that was not read, if scatter did not finish and the size is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unread: Option<Unread>,
    /// When scatter began.
    pub started_at: Timestamp,
    /// When scatter ended.
    pub scattered_at: Timestamp,
    /// When gather began.
    pub gather_started_at: Timestamp,
    /// When the summary was written.
    pub finished_at: Timestamp,
    /// All documents written beside this one.
    #[serde(default)]
    pub outputs: Vec<Output>,
    /// Where the outcomes of all records are.
    pub results: Option<OutputRef>,
    /// Where the failed records are, ready to be corrected; none if all succeeded. If the batch was made of many
    /// objects, a folder with a file for each that has some: its key ends with a slash.
    pub failed: Option<OutputRef>,
    /// What was done with its records besides storing them, if anything was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub processor: Option<ProcessorSummary>,
    /// Why the batch failed or ended early.
    pub error: Option<Fault>,
    /// The first failed records.
    pub failures: Vec<Failure>,
}

/// What the work of this generation on its records took.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ProcessorSummary {
    /// The processors of the pipeline.
    pub processors: Vec<String>,
    /// The function that was called, if one was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub function_arn: Option<String>,
    /// How it was spoken to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub contract: Option<String>,
    /// The versions of the function that answered.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub versions: Vec<String>,
    /// Calls of the function or API.
    pub calls: u64,
    /// Tries of records in those calls.
    pub attempts: u64,
    /// How long the calls took together, as the caller saw them.
    pub milliseconds: u64,
    /// What is billed for them, as far as that is known: seconds times GB of memory.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gb_seconds: Option<f64>,
}

impl ProcessorSummary {
    /// A summary of what was spent.
    pub fn of(processing: &Processing, spent: Spent) -> Self {
        let (processors, mut function_arn, mut contract) = (processing.names(), None, None);
        if let Work::Invoke(settings) = &processing.work {
            function_arn = Some(settings.function.as_str().to_owned());
            contract = Some(settings.contract.name().to_owned());
        }
        let gb_seconds = spent.billed_gb_seconds();
        let Spent { calls, tries: attempts, milliseconds, versions, .. } = spent;
        let versions = versions.into_iter().collect();
        Self { processors, function_arn, contract, versions, calls, attempts, milliseconds, gb_seconds }
    }
}

/// The objects of a batch.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ObjectCounts {
    /// Objects listed.
    pub total: u64,
    /// Objects that could not be read to their ends, as far as that is known.
    pub failed: u64,
    /// The first of those.
    pub faults: Vec<ObjectFault>,
}

/// An object that could not be read to its end.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ObjectFault {
    /// Its key.
    pub object: String,
    /// Why.
    #[serde(flatten)]
    pub fault: Fault,
}

/// Counts of records.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecordCounts {
    /// Records read.
    pub total: u64,
    /// Records that became items.
    pub succeeded: u64,
    /// Records that did not.
    pub failed: u64,
    /// Records that succeeded and were replaced by a later one of the batch, which has the same key; not told where not
    /// all outcomes are read, nor of millions of records.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replaced: Option<u64>,
}

/// Counts of chunks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChunkCounts {
    /// Chunks sent.
    pub total: u64,
    /// Chunks that could not be processed at all.
    pub failed: u64,
}

/// A part of the input whose records have no outcome.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unread {
    /// Its size in bytes.
    pub bytes: u64,
}

/// A document in the output bucket.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Output {
    /// What it is: `results`, `failed`.
    pub name: String,
    /// The object's key.
    pub key: String,
}

/// The location of an output in the output bucket.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OutputRef {
    /// The object's key.
    pub key: String,
}

/// A record that failed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// The record's place in the input, from 0.
    pub index: u64,
    /// The key of the record's object, if the batch was made of many.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub object: Option<String>,
    /// Why it failed.
    pub message: String,
}

impl Summary {
    /// The counts that its batch is closed with.
    pub fn tally(&self) -> Tally {
        Tally { succeeded: self.records.succeeded, failed: self.records.failed, failed_chunks: self.chunks.failed }
    }

    /// A summary of what is known of a batch before its outcomes are read.
    pub fn begun(batch: &Batch, finished_at: Timestamp) -> Self {
        let scattered_at = batch.sealing.as_ref().map_or(finished_at, |sealing| sealing.scattered_at);
        Self {
            batch_id: batch.opening.id.in_generation(0),
            generation: batch.opening.id.generation(),
            variant: batch.opening.variant.clone(),
            fallback: fallback(&batch.opening).map(str::to_owned),
            state: batch.state,
            input: batch.opening.input.clone(),
            objects: None,
            records: RecordCounts { total: 0, succeeded: 0, failed: 0, replaced: None },
            chunks: ChunkCounts { total: 0, failed: 0 },
            unread: None,
            started_at: batch.opening.started_at,
            scattered_at,
            gather_started_at: batch.gather_started_at.unwrap_or(scattered_at),
            finished_at,
            outputs: Vec::new(),
            results: None,
            failed: None,
            processor: None,
            error: None,
            failures: Vec::new(),
        }
    }
}

fn fallback(opening: &Opening) -> Option<&'static str> {
    let copied = opening.input.format().is_ok_and(|format| !format.is_in_place());
    (opening.variant == "ranged" && (copied || is_manifest(&opening.input.key))).then_some("chunked")
}

/// The state in which a batch with these counts ends.
pub fn final_state(failed: u64, error: Option<&Fault>) -> BatchState {
    match (error, failed) {
        (Some(_), _) => BatchState::Failed,
        (None, 0) => BatchState::Succeeded,
        (None, _) => BatchState::PartiallyFailed,
    }
}
