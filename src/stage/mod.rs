//! The stages of the pipeline: generic over the stores, without any type of the SDK or of Lambda.
//! Stages meet only through [`crate::model::message`].

pub mod bury;
pub mod gather;
pub mod process;
pub mod scatter;
pub mod sweep;

use std::future::Future;

use crate::model::error::{Error, ErrorKind, Result};
use crate::model::ids::BatchId;
use crate::model::timestamp::Timestamp;
use crate::store::channel::Delivery;
use crate::store::ledger::Part;

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
