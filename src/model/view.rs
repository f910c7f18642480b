//! How far a batch is, in one document: `fanfold status --json`.

use serde::{Deserialize, Serialize};

use crate::model::fault::Fault;
use crate::model::ids::BatchId;
use crate::model::input::InputRef;
use crate::model::progress::{Batch, BatchState, Tally};
use crate::model::timestamp::Timestamp;

/// How far a batch is. What nobody knows yet, or the batch's condition does not tell, is `null`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct BatchView {
    /// The batch.
    pub batch_id: BatchId,
    /// How often it was redriven; what follows is of the last time.
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
    /// How sweep mends it, if it was mended since it last got on.
    pub mended: Option<Mending>,
    /// Why it ends early, or could not be read to its end.
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
    /// How often it was mended since it last got on.
    pub times: u32,
    /// When it is mended next, if it stays as it is.
    pub next_at: Timestamp,
}

impl BatchView {
    /// A view of a batch of which so many chunks are done, as far as that is known.
    pub fn new(batch: &Batch, chunks_done: Option<u64>, tally: Tally) -> Self {
        let sealing = batch.sealing.as_ref();
        let stopped = batch.stop.as_ref().map(|stop| &stop.fault);
        // What sweep waits for says something only of a batch that it mended.
        let mended = batch.seen.as_ref().filter(|seen| seen.mended > 0 && !batch.state.is_final());
        Self {
            batch_id: batch.opening.id.in_generation(0),
            generation: batch.opening.id.generation(),
            variant: batch.opening.variant.clone(),
            state: batch.state,
            input: batch.opening.input.clone(),
            records: RecordProgress {
                total: sealing.and_then(|sealing| sealing.records),
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
