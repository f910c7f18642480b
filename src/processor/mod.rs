//! What is done with a record: a [`Processor`] is given the valid records of some chunks, and answers
//! for each of them.

pub mod any;
pub mod billing;
pub mod chain;
pub mod each;
pub mod http;
pub mod invoke;
pub mod items;
pub mod nothing;
pub mod tally;
pub mod usage;

use std::future::Future;

use serde_json::value::RawValue;
use serde_json::{Map, Value};

pub use crate::model::answer::Tried;
use crate::model::error::{Error, Result};
use crate::model::ids::{BatchId, ChunkIndex, TaskId};
use crate::model::schema::RecordSchema;
use crate::model::spent::Spent;
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
    /// What is known of earlier tries.
    pub tried: Tried,
}

impl Record {
    /// The record that is stored if this one was answered with an item, or why the item cannot be.
    ///
    /// # Errors
    /// The reason, in words.
    pub fn replaced(self, item: Map<String, Value>, schema: &RecordSchema) -> std::result::Result<Self, String> {
        let valid = schema.admit(item).map_err(|reason| format!("the item that it was answered with: {reason}"))?;
        Ok(Self { key: valid.key, fields: valid.fields, ..self })
    }
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
    /// Until when calls of the processor's own may begin. What it has not begun by then it answers with
    /// [`Reply::Untried`], and is given again: at once, if the function has time left, so that what it has answered
    /// is safe from the function's death.
    pub until: Timestamp,
    /// When the function gives up what is under way. A call that has not ended shortly before is best answered as
    /// temporary and unsure: without an answer, the whole chunk is given again.
    pub deadline: Timestamp,
    /// The records, in input order.
    pub records: Vec<Record>,
}

impl Chunk {
    /// The same chunk with other records.
    #[must_use]
    pub fn with_records(&self, records: Vec<Record>) -> Self {
        let Self { batch, index, attempt, sequence, now, until, deadline, .. } = self;
        let (batch, index, attempt) = (batch.clone(), *index, *attempt);
        let (sequence, now, until, deadline) = (*sequence, *now, *until, *deadline);
        Self { batch, index, attempt, sequence, now, until, deadline, records }
    }

    /// The id of a record's work, the same in every try and every redrive: what tells a repeat from new work.
    pub fn task(&self, record: &Record) -> TaskId {
        TaskId::of(&self.batch, record.index)
    }
}

/// What became of a record.
#[derive(Debug, Clone)]
pub enum Reply {
    /// It succeeded, with a result if there is one: any JSON of at most [`MAX_RESULT_BYTES`], which
    /// is kept with its outcome.
    Done(Option<Box<RawValue>>),
    /// It succeeded, and what is stored is this item instead of the record.
    Replaced {
        /// The item's fields, the key field among them.
        item: Map<String, Value>,
        /// The result, as with [`Done`](Self::Done).
        result: Option<Box<RawValue>>,
    },
    /// It failed for good, for this reason.
    Failed(String),
    /// It failed for the time being, for this reason. It is tried again, five times in all.
    Temporary {
        /// The reason.
        reason: String,
        /// Whether it may have had its effect all the same, as after a time-out.
        unsure: bool,
    },
    /// It was not tried, for this reason, for which no try counts: no time was left, or a service asked for fewer calls.
    Untried(String),
}

impl Reply {
    /// A failure for the time being, without effect.
    pub fn temporary(reason: impl Into<String>) -> Self {
        Self::Temporary { reason: reason.into(), unsure: false }
    }
}

/// The longest result that is kept with an outcome: a row of the tasks table has room for it beside the record.
pub const MAX_RESULT_BYTES: usize = 16 * 1024;

/// What is done with records.
pub trait Processor: Send + Sync + 'static {
    /// Answers for each record of each chunk, in order. A chunk answered with `Err` is retried. The same chunk may be
    /// given again at any time, even concurrently, so all of its work must be safe to repeat. Records whose answers
    /// were kept by an earlier try are left out.
    fn process(&self, chunks: Vec<Chunk>) -> impl Future<Output = Vec<Result<Vec<Reply>>>> + Send;

    /// Whether what succeeds is stored, by [`store`](Self::store).
    fn stores(&self) -> bool {
        false
    }

    /// Stores what succeeded, once every record of a chunk has its answer. Each chunk has the records that
    /// [`process`](Self::process) answered with `Done` or `Replaced`, the latter with their items. Answers `Done` or `Failed`
    /// for each, and may be asked again at any time.
    fn store(&self, chunks: Vec<Chunk>) -> impl Future<Output = Vec<Result<Vec<Reply>>>> + Send {
        let nowhere = || Err(Error::internal("nothing is stored by this processor"));
        std::future::ready(chunks.iter().map(|_| nowhere()).collect())
    }

    /// What its calls took since this was asked the last time, if it makes any.
    fn spent(&self) -> Spent {
        Spent::default()
    }

    /// Whether repeating the work costs no more than keeping its answers would: then none are kept between tries, and
    /// it must not answer with `Temporary` or `Untried`.
    fn is_repeatable(&self) -> bool {
        false
    }
}
