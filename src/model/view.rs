//! What a batch is doing, in one document: `fanfold status --json`.

use serde::{Deserialize, Serialize};

use crate::model::calls::Requests;
use crate::model::cost::Costs;
use crate::model::error::{Error, Result};
use crate::model::failures::Example;
use crate::model::fault::Fault;
use crate::model::forecast::{Pace, TimeLeft};
use crate::model::ids::BatchId;
use crate::model::input::InputRef;
use crate::model::progress::BatchState;
use crate::model::reason::ReasonId;
use crate::model::timestamp::Timestamp;

/// The version of the document. It grows if something is left out or means something else; what is added changes nothing.
pub const VERSION: u32 = 1;
/// The most chunks that are named which are missing.
pub const MOST_NAMED: usize = 9;

/// What a batch is doing. What is not known yet, or not counted under the batch's condition, is `null`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct BatchView {
    /// The version of this document; what is added to the document does not change it.
    pub version: u32,
    /// When this was so.
    pub as_of: Timestamp,
    /// The batch.
    pub batch_id: BatchId,
    /// How often it was redriven; everything below is about the latest generation.
    pub generation: u32,
    /// The variant that works on it.
    pub variant: String,
    /// Where it stands.
    pub state: BatchState,
    /// What it was made from.
    pub input: InputRef,
    /// Counts of records.
    pub records: RecordProgress,
    /// Counts of chunks.
    pub chunks: ChunkProgress,
    /// How fast its records are ended.
    pub pace: Option<Pace>,
    /// How long it takes until its last chunk is done.
    pub time_left: Option<TimeLeft>,
    /// Why it gets on slowly or not at all, if so.
    pub standstill: Option<Standstill>,
    /// Why records failed, the most frequent reason first.
    pub failures: Vec<FailureGroup>,
    /// What its stages did.
    pub stages: Vec<StageView>,
    /// When scatter began.
    pub started_at: Timestamp,
    /// When scatter ended.
    pub scattered_at: Option<Timestamp>,
    /// When gather began.
    pub gather_started_at: Option<Timestamp>,
    /// When the batch was closed.
    pub finished_at: Option<Timestamp>,
    /// How sweep mends it, if it has since the batch last advanced.
    pub mended: Option<Mending>,
    /// Why it ends early, or why its input could not be read to the end.
    pub error: Option<Fault>,
    /// Since when its pipeline's workers are paused, if they are and the batch is open.
    #[serde(default)]
    pub paused_at: Option<Timestamp>,
    /// Whether it is closed, and has failed records that can be processed again.
    #[serde(default)]
    pub redrivable: bool,
    /// The one reason whose failures this generation processed again; `null` for all of them, and for an upload.
    #[serde(default)]
    pub only: Option<ReasonId>,
    /// What its requests and functions cost so far.
    #[serde(default)]
    pub costs: Option<Costs>,
    /// What became of it, in order.
    #[serde(default)]
    pub events: Vec<Happened>,
    /// What it wrote, once it is closed; empty if nobody looked.
    #[serde(default)]
    pub outputs: Vec<OutputFile>,
}

/// Something that became of a batch.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Happened {
    /// When.
    pub at: Timestamp,
    /// What.
    pub kind: EventKind,
    /// More about it, in words.
    pub text: String,
}

/// What may become of a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum EventKind {
    /// Scatter began.
    Opened,
    /// The same, for records that had failed.
    Redriven,
    /// All chunks were cut.
    Sealed,
    /// Chunks were ended that could not be processed.
    Buried,
    /// Sweep sent again what was missing.
    Swept,
    /// People ended it.
    Cancelled,
    /// It was ended for another reason.
    Stopped,
    /// Its outputs were written.
    Closed,
}

/// An output.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct OutputFile {
    /// Its name under that of the batch.
    pub name: String,
    /// Its size.
    pub bytes: u64,
}

impl BatchView {
    /// The failures of one reason, by its id.
    ///
    /// # Errors
    /// `Malformed` if none of its records failed for that reason, or if it is what several have in common that were not told
    /// apart.
    pub fn reason(&self, id: &str) -> Result<&FailureGroup> {
        let found = self.failures.iter().find(|group| group.id.as_str() == id && group.id != ReasonId::other());
        found.ok_or_else(|| {
            let told = self.failures.iter().filter(|group| group.id != ReasonId::other());
            let known: Vec<String> = told.map(|group| format!("{} ({})", group.id.as_str(), group.reason)).collect();
            let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
            Error::malformed(format!(
                "no record of batch {} failed for reason {id:?}; reasons are: {known}",
                self.batch_id
            ))
        })
    }

    /// What it costs about to process so many of its records again, in dollars; `None` if that is not known.
    pub fn cost_of(&self, records: u64) -> Option<f64> {
        let per_million = self.costs.as_ref().and_then(|costs| costs.per_million)?;
        Some(per_million * records as f64 / 1e6)
    }
}

/// A batch, and the pipeline that works on it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Placed<T> {
    /// The pipeline's name.
    pub pipeline: String,
    /// The batch.
    #[serde(flatten)]
    pub batch: T,
}

/// A batch in a list of batches.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct BatchLine {
    /// The batch.
    pub batch_id: BatchId,
    /// Which of its generations this is; a redrive has a line of its own.
    pub generation: u32,
    /// The key of its input.
    pub key: String,
    /// Where it stands.
    pub state: BatchState,
    /// Counts of records.
    pub records: RecordProgress,
    /// How it gets on, if not as it should.
    pub standstill: Option<Pausing>,
    /// When scatter began.
    pub started_at: Timestamp,
    /// When it was closed.
    pub finished_at: Option<Timestamp>,
}

impl From<&BatchView> for BatchLine {
    fn from(view: &BatchView) -> Self {
        Self {
            batch_id: view.batch_id.clone(),
            generation: view.generation,
            key: view.input.key.clone(),
            state: view.state,
            records: view.records,
            standstill: view.standstill.as_ref().map(|standstill| standstill.kind),
            started_at: view.started_at,
            finished_at: view.finished_at,
        }
    }
}

/// Counts of records.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct RecordProgress {
    /// Records in all chunks, once all are cut.
    pub total: Option<u64>,
    /// Records that are known of until then.
    pub at_least: u64,
    /// Records that succeeded so far.
    pub succeeded: u64,
    /// Records that failed so far.
    pub failed: u64,
    /// About how many records are in the chunks that workers have.
    #[serde(default)]
    pub running: Option<u64>,
    /// About how many wait.
    #[serde(default)]
    pub waiting: Option<u64>,
}

impl RecordProgress {
    /// Records that ended, whatever came of them.
    pub fn ended(&self) -> u64 {
        self.succeeded + self.failed
    }

    /// Records that did not end yet, as far as they are known of.
    pub fn left(&self) -> u64 {
        self.total.unwrap_or(self.at_least).saturating_sub(self.ended())
    }
}

/// Counts of chunks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct ChunkProgress {
    /// Chunks in all.
    pub total: Option<u64>,
    /// Chunks that are done.
    pub done: Option<u64>,
    /// Chunks that could not be processed at all.
    pub failed: u64,
    /// Chunks that workers have; at most, if the pipeline works on other batches beside this one.
    #[serde(default)]
    pub running: Option<u64>,
    /// Chunks that are neither done nor with a worker.
    #[serde(default)]
    pub waiting: Option<u64>,
    /// Those that are not done, if they are fewer than ten.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub missing: Vec<u32>,
}

/// How a batch that does not get on as it should is called.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Pausing {
    /// It is worked on, and something holds it up.
    Slow,
    /// Nothing works on it.
    Stalled,
}

/// Why a batch does not get on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct Standstill {
    /// How bad it is.
    pub kind: Pausing,
    /// When it last advanced.
    pub since: Timestamp,
    /// What it waits for, in words.
    pub reasons: Vec<String>,
}

/// Records that failed alike.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct FailureGroup {
    /// A name of the reason, for commands.
    pub id: ReasonId,
    /// What their messages have in common.
    pub reason: String,
    /// How many there are.
    pub count: u64,
    /// Their share of the records that failed.
    pub share: f64,
    /// Some of them.
    pub examples: Vec<Example>,
}

/// What a stage did.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct StageView {
    /// Its name.
    pub name: String,
    /// When it began, as far as that is known.
    pub started_at: Option<Timestamp>,
    /// When it ended.
    pub ended_at: Option<Timestamp>,
    /// Messages that its functions worked on, repeated deliveries included.
    pub messages: u64,
    /// Requests that they made, by service and operation; and what is billed and is none: `dynamodb.IndexEntry`, `sfn.Transition`,
    /// `sfn.ExpressExecution`, `lambda.Invocation` and `lambda.MegabyteMillisecond`.
    pub requests: Requests,
}

/// How sweep mends a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct Mending {
    /// How often sweep has mended it since it last advanced.
    pub times: u32,
    /// When sweep will mend it next, if it does not advance.
    pub next_at: Timestamp,
}

#[cfg(test)]
mod tests;
