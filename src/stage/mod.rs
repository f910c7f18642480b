//! The stages of the pipeline: generic over the stores, without any type of the SDK or of Lambda.
//! Stages meet only through [`crate::model::message`].

pub mod batches;
pub mod bury;
pub mod chunks;
pub mod coverage;
pub mod gather;
pub mod outcomes;
pub mod process;
pub mod ranges;
pub mod scatter;
pub mod splitter;
pub mod sweep;

use std::future::Future;

use futures::stream::{self, StreamExt};

use crate::blob::Blob;
use crate::channel::{Channel, Delivery};
use crate::items::Items;
use crate::ledger::{Ledger, Part};
use crate::model::error::{Error, ErrorKind, Result};
use crate::model::ids::{BatchId, ChunkIndex};
use crate::model::message::ProcessMessage;
use crate::model::progress::Opening;
use crate::model::range::Range;
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
fn claim_check(opening: &Opening, chunk: ChunkIndex, records: usize, range: Option<Range>) -> Result<ProcessMessage> {
    let records = u32::try_from(records).map_err(|e| Error::internal("a chunk too long").because(e))?;
    let layout = ranges::format_of(&opening.input)?.layout;
    let message = ProcessMessage::new(opening.id.clone(), chunk, records, layout, opening.sequence);
    Ok(match range {
        Some(range) => message.of_range(range),
        None => message,
    })
}

/// What futures come to, in their order; `width` of them are under way at once. They come as a list,
/// since an iterator that borrows keeps the whole from being `Send`.
async fn bounded<F: Future>(futures: Vec<F>, width: usize) -> Vec<F::Output> {
    stream::iter(futures).buffered(width.max(1)).collect().await
}

/// A stage: works on one message at a time. Every stage may be given the same message again, at any
/// time and concurrently with itself.
pub trait Stage: Send + Sync + 'static {
    /// The stage's name, which is its function's handler.
    const NAME: &'static str;

    /// What a message is about, if it is about a batch.
    fn subject(&self, body: &str) -> Option<Subject>;

    /// Splits messages into packs that are best worked on together; each for itself, as a rule.
    fn packs<'a>(&self, deliveries: &[&'a Delivery]) -> Vec<Vec<&'a Delivery>> {
        deliveries.iter().map(|delivery| vec![*delivery]).collect()
    }

    /// Works on the messages of a pack, and says in their order what became of them.
    fn handle_pack(&self, pack: &[&Delivery], deadline: Timestamp) -> impl Future<Output = Vec<Outcome>> + Send {
        async move {
            let mut outcomes = Vec::with_capacity(pack.len());
            for delivery in pack {
                outcomes.push(self.handle(delivery, deadline).await);
            }
            outcomes
        }
    }

    /// Works on a message; whatever is taken for longer than a call is taken until `deadline`.
    fn handle(&self, delivery: &Delivery, deadline: Timestamp) -> impl Future<Output = Outcome> + Send;
}

/// What is worked on together. A message that came before may be what ended its function: it comes
/// by itself and after those that did not. As those behind it would never be reached, the order is
/// turned round each time.
pub fn packs<'a, S: Stage>(stage: &S, deliveries: &'a [Delivery]) -> Vec<Vec<&'a Delivery>> {
    let (first, mut again): (Vec<&Delivery>, Vec<&Delivery>) =
        deliveries.iter().partition(|delivery| delivery.attempt <= 1);
    if again.iter().any(|delivery| delivery.attempt % 2 == 0) {
        again.reverse();
    }
    let mut packs = stage.packs(&first);
    packs.extend(again.into_iter().map(|delivery| vec![delivery]));
    packs
}
