//! What is done with a record: a [`Processor`] is given the valid records of some chunks, and answers
//! for each of them.

pub mod each;
pub mod items;

use std::future::Future;

use serde_json::value::RawValue;
use serde_json::{Map, Value};

use crate::model::error::Result;
use crate::model::ids::{BatchId, ChunkIndex};
use crate::model::timestamp::Timestamp;

/// A record that is valid under the schema.
#[derive(Debug, Clone, PartialEq)]
pub struct Record {
    /// Its place in the input, from 0.
    pub index: u64,
    /// The value of its key field.
    pub key: String,
    /// All fields, the key field among them; a CSV row's values converted by the schema's types.
    pub fields: Map<String, Value>,
}

/// The valid records of a chunk, at least one.
#[derive(Debug, Clone, PartialEq)]
pub struct Chunk {
    /// The batch.
    pub batch: BatchId,
    /// The chunk's place in the batch, from 0. A redrive cuts its chunks anew.
    pub index: ChunkIndex,
    /// Which delivery of the chunk this is, from 1.
    pub attempt: u32,
    /// What orders its batch among all batches.
    pub sequence: Timestamp,
    /// When work on it began.
    pub now: Timestamp,
    /// The records, in input order.
    pub records: Vec<Record>,
}

/// What became of a record.
#[derive(Debug, Clone)]
pub enum Reply {
    /// It succeeded, with a result if there is one: any JSON of at most [`MAX_RESULT_BYTES`], which
    /// is kept with its outcome.
    Done(Option<Box<RawValue>>),
    /// It failed for good, for this reason.
    Failed(String),
}

/// The longest result that is kept with an outcome: a row of the tasks table has room for it beside the record.
pub const MAX_RESULT_BYTES: usize = 16 * 1024;

/// What is done with records.
pub trait Processor: Send + Sync + 'static {
    /// Answers for each record of each chunk, in order. A chunk answered with `Err` is retried. The same chunk may be
    /// given again at any time, even concurrently, so all of its work must be safe to repeat.
    fn process(&self, chunks: Vec<Chunk>) -> impl Future<Output = Vec<Result<Vec<Reply>>>> + Send;
}
