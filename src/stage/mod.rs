//! The stages of the pipeline: generic over the stores, without any type of the SDK or of Lambda.
//! Stages meet only through [`crate::model::message`].

pub mod batches;
pub mod gather;
pub mod process;
pub mod scatter;
pub mod splitter;

use std::future::Future;

use crate::blob::Blob;
use crate::channel::{Channel, Delivery};
use crate::items::Items;
use crate::ledger::Ledger;
use crate::model::error::{Error, ErrorKind, Result};
use crate::model::ids::BatchId;
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

/// A stage: works on one message at a time. Every stage may be given the same message again, at any
/// time and concurrently with itself.
pub trait Stage: Send + Sync + 'static {
    /// The stage's name, which is its function's handler.
    const NAME: &'static str;

    /// The batch that a message is about, if it is about one.
    fn batch_of(&self, body: &str) -> Option<BatchId>;

    /// Works on a message; whatever is taken for longer than a call is taken until `deadline`.
    fn handle(&self, delivery: &Delivery, deadline: Timestamp) -> impl Future<Output = Outcome> + Send;
}
