//! The progress of a batch in one document: `fanfold status --json`.

use serde::{Deserialize, Serialize};

use crate::model::fault::Fault;
use crate::model::ids::BatchId;
use crate::model::input::InputRef;
use crate::model::progress::{Batch, BatchState, Tally};
use crate::model::timestamp::Timestamp;

/// The progress of a batch. What is not known yet, or not counted under the batch's condition, is `null`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct BatchView {
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
}

/// Counts of records.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecordProgress {
    /// Records in all chunks.
    pub total: Option<u64>,
    /// Records that succeeded so far.
    pub succeeded: u64,
    /// Records that failed so far.
    pub failed: u64,
}

/// Counts of chunks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChunkProgress {
    /// Chunks in all.
    pub total: Option<u64>,
    /// Chunks that are done.
    pub done: Option<u64>,
    /// Chunks that could not be processed at all.
    pub failed: u64,
}

/// How sweep mends a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Mending {
    /// How often sweep has mended it since it last advanced.
    pub times: u32,
    /// When sweep will mend it next, if it does not advance.
    pub next_at: Timestamp,
}

impl BatchView {
    /// A view of a batch; `chunks_done` is absent where that is not known.
    pub fn new(batch: &Batch, chunks_done: Option<u64>, tally: Tally) -> Self {
        let sealing = batch.sealing.as_ref();
        let stopped = batch.stop.as_ref().map(|stop| &stop.fault);
        // Sweep's next time matters only for a batch that it has mended.
        let mended = batch.seen.as_ref().filter(|seen| seen.mended > 0 && !batch.state.is_final());
        // The counts of a closed redrive are those of the whole batch, whose records are more than it processed.
        let whole = batch.tally.filter(|_| batch.opening.id.generation() > 0);
        let whole = whole.map(|tally| tally.succeeded + tally.failed);
        Self {
            batch_id: batch.opening.id.in_generation(0),
            generation: batch.opening.id.generation(),
            variant: batch.opening.variant.clone(),
            state: batch.state,
            input: batch.opening.input.clone(),
            records: RecordProgress {
                total: whole.or(sealing.and_then(|sealing| sealing.records)),
                succeeded: tally.succeeded,
                failed: tally.failed,
            },
            chunks: ChunkProgress {
                total: sealing.map(|sealing| u64::from(sealing.chunks)),
                done: chunks_done,
                failed: tally.failed_chunks,
            },
            started_at: batch.opening.started_at,
            scattered_at: sealing.map(|sealing| sealing.scattered_at),
            gather_started_at: batch.gather_started_at,
            finished_at: batch.finished_at,
            mended: mended.map(|seen| Mending { times: seen.mended, next_at: seen.next }),
            error: stopped.or_else(|| sealing.and_then(|sealing| sealing.error.as_ref())).cloned(),
        }
    }
}
