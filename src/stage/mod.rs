//! The stages of the pipeline: generic over the stores, without any SDK or Lambda types. Stages communicate only
//! through [`crate::model::message`].

pub mod billing;
pub mod bury;
pub mod consolidate;
pub mod gather;
pub mod late;
pub mod notify;
pub mod process;
pub mod reception;
pub mod records;
pub mod scatter;
pub mod summary;
pub mod sweep;

use std::future::Future;

use crate::model::error::{Error, ErrorKind, Result};
use crate::model::ids::BatchId;
use crate::model::timestamp::Timestamp;
use crate::store::channel::Delivery;
use crate::store::ledger::Part;

/// What became of a message.
#[derive(Debug)]
pub enum Disposition {
    /// Its work is done, now or by an earlier delivery.
    Done,
    /// There is nothing to do for it; the reason is for the log.
    Discarded(String),
    /// It can never be worked on, and belongs in the dead-letter channel.
    Rejected(Error),
    /// It could not be worked on now, and must be redelivered.
    Retry(Error),
    /// It cannot be worked on before this moment, and must be redelivered then.
    Later(Timestamp, Error),
}

impl From<Result<Disposition>> for Disposition {
    fn from(result: Result<Disposition>) -> Self {
        match result {
            Ok(disposition) => disposition,
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

/// A message that arrived and was parsed.
#[derive(Debug)]
pub struct Received<'a, M> {
    /// How it arrived.
    pub delivery: &'a Delivery,
    /// What it says.
    pub message: M,
    /// Whether it is given up if it fails now, unless a service is busy.
    pub is_last: bool,
}

impl<'a, M> Received<'a, M> {
    /// A message by which it is not known yet how often it was tried.
    pub fn new(delivery: &'a Delivery, message: M) -> Self {
        Self { delivery, message, is_last: false }
    }
}

/// Messages that are worked on together.
pub type Pack<'a, M> = Vec<Received<'a, M>>;

/// A stage of the pipeline, which works on messages. It may be given the same message again, at any time and
/// concurrently with itself.
pub trait Stage: Send + Sync + 'static {
    /// The stage's name, which is its function's handler.
    const NAME: &'static str;

    /// What its messages say.
    type Message: Send + Sync;

    /// Parses a message's body, once per delivery. `None` if there is nothing to do for it.
    ///
    /// # Errors
    /// `Malformed` if the stage cannot work on it.
    fn parse(&self, body: &str) -> Result<Option<Self::Message>>;

    /// What a message is about, if it is about a batch.
    fn subject(message: &Self::Message) -> Option<Subject>;

    /// Splits messages into packs that are best worked on together; by default, each is a pack of its own.
    fn packs<'a>(&self, messages: Pack<'a, Self::Message>) -> Vec<Pack<'a, Self::Message>> {
        messages.into_iter().map(|message| vec![message]).collect()
    }

    /// Works on the messages of a pack, and returns what became of each, in order.
    fn handle_pack(
        &self,
        pack: &[Received<'_, Self::Message>],
        deadline: Timestamp,
    ) -> impl Future<Output = Vec<Disposition>> + Send {
        async move {
            let mut dispositions = Vec::with_capacity(pack.len());
            for message in pack {
                dispositions.push(self.handle(message, deadline).await);
            }
            dispositions
        }
    }

    /// Works on a message. What it holds for longer than one call, such as a lease, it takes until `deadline`.
    fn handle(
        &self,
        message: &Received<'_, Self::Message>,
        deadline: Timestamp,
    ) -> impl Future<Output = Disposition> + Send;
}

/// Parses one message and works on it.
pub async fn deliver<S: Stage>(stage: &S, delivery: &Delivery, deadline: Timestamp) -> Disposition {
    match stage.parse(&delivery.body) {
        Ok(Some(message)) => stage.handle(&Received::new(delivery, message), deadline).await,
        Ok(None) => idle(),
        Err(error) => Err(error).into(),
    }
}

fn idle() -> Disposition {
    Disposition::Discarded("the message asks for nothing".to_owned())
}

/// The messages of one invocation.
pub struct Sorted<'a, M> {
    /// The packs, in the order in which to work on them.
    pub packs: Vec<Pack<'a, M>>,
    /// The messages that the stage cannot parse or has nothing to do for, and what becomes of them.
    pub rest: Vec<(&'a Delivery, Disposition)>,
}

/// Parses the messages of one invocation and splits them into packs. A redelivered message may be the one that
/// crashed its function, so it is worked on alone and after the new ones. Since any behind it would never be reached,
/// the order is reversed each time.
pub fn sort<'a, S: Stage>(stage: &S, deliveries: &'a [Delivery]) -> Sorted<'a, S::Message> {
    let (mut first, mut again, mut rest) = (Vec::new(), Vec::new(), Vec::new());
    for delivery in deliveries {
        match stage.parse(&delivery.body) {
            Ok(Some(message)) if delivery.attempt <= 1 => first.push(Received::new(delivery, message)),
            Ok(Some(message)) => again.push(Received::new(delivery, message)),
            Ok(None) => rest.push((delivery, idle())),
            Err(error) => rest.push((delivery, Err(error).into())),
        }
    }
    if again.iter().any(|received| received.delivery.attempt % 2 == 0) {
        again.reverse();
    }
    let mut packs = stage.packs(first);
    packs.extend(again.into_iter().map(|received| vec![received]));
    Sorted { packs, rest }
}
