//! The stages of the pipeline: generic over the stores, without any type of the SDK or of Lambda.
//! Stages meet only through [`crate::model::message`].

pub mod bury;
pub mod gather;
pub mod process;
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
    /// Its work is done, now or before.
    Done,
    /// It asks for nothing; the reason is for the log.
    Discarded(String),
    /// It can never be worked on, and belongs in the dead-letter channel.
    Rejected(Error),
    /// It could not be worked on now, and must come again.
    Retry(Error),
    /// It cannot be worked on before this moment, and must come again then.
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

/// A message that arrived and was read.
#[derive(Debug)]
pub struct Received<'a, M> {
    /// How it arrived.
    pub delivery: &'a Delivery,
    /// What it says.
    pub message: M,
}

/// Messages that are worked on together.
pub type Pack<'a, M> = Vec<Received<'a, M>>;

/// A stage: works on one message at a time. Every stage may be given the same message again, at any
/// time and concurrently with itself.
pub trait Stage: Send + Sync + 'static {
    /// The stage's name, which is its function's handler.
    const NAME: &'static str;

    /// What its messages say.
    type Message: Send + Sync;

    /// Reads a message's body, once each time it arrives. `None` if it asks for nothing.
    ///
    /// # Errors
    /// `Malformed` if the stage cannot work on it.
    fn parse(&self, body: &str) -> Result<Option<Self::Message>>;

    /// What a message is about, if it is about a batch.
    fn subject(message: &Self::Message) -> Option<Subject>;

    /// Splits messages into packs that are best worked on together; each for itself, as a rule.
    fn packs<'a>(&self, messages: Pack<'a, Self::Message>) -> Vec<Pack<'a, Self::Message>> {
        messages.into_iter().map(|message| vec![message]).collect()
    }

    /// Works on the messages of a pack, and says in their order what became of them.
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

    /// Works on a message; whatever is taken for longer than a call is taken until `deadline`.
    fn handle(
        &self,
        message: &Received<'_, Self::Message>,
        deadline: Timestamp,
    ) -> impl Future<Output = Disposition> + Send;
}

/// Reads and works on one message.
pub async fn deliver<S: Stage>(stage: &S, delivery: &Delivery, deadline: Timestamp) -> Disposition {
    match stage.parse(&delivery.body) {
        Ok(Some(message)) => stage.handle(&Received { delivery, message }, deadline).await,
        Ok(None) => idle(),
        Err(error) => Err(error).into(),
    }
}

fn idle() -> Disposition {
    Disposition::Discarded("the message asks for nothing".to_owned())
}

/// The messages of one invocation.
pub struct Sorted<'a, M> {
    /// In the order in which they are to be worked on.
    pub packs: Vec<Pack<'a, M>>,
    /// Those that the stage cannot read, or that ask for nothing: what becomes of them.
    pub rest: Vec<(&'a Delivery, Disposition)>,
}

/// Reads the messages of one invocation, and says what is worked on together. A message that came
/// before may be what ended its function: it comes by itself and after those that did not. As those
/// behind it would never be reached, the order is turned round each time.
pub fn sort<'a, S: Stage>(stage: &S, deliveries: &'a [Delivery]) -> Sorted<'a, S::Message> {
    let (mut first, mut again, mut rest) = (Vec::new(), Vec::new(), Vec::new());
    for delivery in deliveries {
        match stage.parse(&delivery.body) {
            Ok(Some(message)) if delivery.attempt <= 1 => first.push(Received { delivery, message }),
            Ok(Some(message)) => again.push(Received { delivery, message }),
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
