//! The stages of the pipeline: generic over the stores, without any type of the SDK or of Lambda.
//! Stages meet only through [`crate::model::message`].

pub mod batches;
pub mod bury;
pub mod chunks;
pub mod gather;
pub mod outcomes;
pub mod process;
pub mod scatter;
pub mod splitter;
pub mod sweep;

use std::future::Future;

use crate::blob::Blob;
use crate::channel::{Channel, Delivery};
use crate::items::Items;
use crate::ledger::{Ledger, Part};
use crate::model::error::{Error, ErrorKind, Result};
use crate::model::format::InputFormat;
use crate::model::ids::{BatchId, ChunkIndex};
use crate::model::message::ProcessMessage;
use crate::model::progress::Opening;
use crate::model::timestamp::Timestamp;
use crate::tasks::Tasks;

/// Where the time comes from.
pub trait Clock: Send + Sync + 'static {
    /// The present moment.
    fn now(&self) -> Timestamp;
}

/// The stores that a pipeline works with.
pub trait Stores: Send + Sync + 'static {
    /// Buckets.
    type Blob: Blob;
    /// Message channels.
    type Channel: Channel;
    /// The items table.
    type Items: Items;
    /// The tasks table.
    type Tasks: Tasks;
    /// The ledger.
    type Ledger: Ledger;
    /// The clock.
    type Clock: Clock;
}

/// What became of a message.
#[derive(Debug)]
pub enum Outcome {
    /// Its work is done, now or before.
    Done,
    /// It asks for nothing; the reason is for the log.
    Discarded(String),
    /// It can never be worked on, and belongs into the dead-letter channel.
    Rejected(Error),
    /// It could not be worked on now, and must come again.
    Retry(Error),
    /// It can not be worked on before this moment, and must come again then.
    Later(Timestamp, Error),
}

impl From<Result<Outcome>> for Outcome {
    fn from(result: Result<Outcome>) -> Self {
        match result {
            Ok(outcome) => outcome,
            Err(error) if error.kind == ErrorKind::Malformed => Self::Rejected(error),
            Err(error) => Self::Retry(error),
        }
    }
}

/// What a message is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subject {
    /// The batch.
    pub batch: BatchId,
    /// Which part of it.
    pub part: Part,
}

/// The message that asks for a chunk to be processed.
///
/// # Errors
/// `Internal` if the chunk, or the name of its input, is none that scatter would make.
fn claim_check(opening: &Opening, chunk: ChunkIndex, records: usize) -> Result<ProcessMessage> {
    let records = u32::try_from(records).map_err(|e| Error::internal("a chunk too long").because(e))?;
    let format = InputFormat::of_key(&opening.input.key);
    let format = format.map_err(|fault| Error::internal(format!("a chunk of no format: {}", fault.message)))?;
    Ok(ProcessMessage::new(opening.id.clone(), chunk, records, format.layout, opening.sequence))
}

/// A stage: works on one message at a time. Every stage may be given the same message again, at any
/// time and concurrently with itself.
pub trait Stage: Send + Sync + 'static {
    /// The stage's name, which is its function's handler.
    const NAME: &'static str;

    /// What a message is about, if it is about a batch.
    fn subject(&self, body: &str) -> Option<Subject>;

    /// Works on a message; whatever is taken for longer than a call is taken until `deadline`.
    fn handle(&self, delivery: &Delivery, deadline: Timestamp) -> impl Future<Output = Outcome> + Send;
}
