//! Keeps the events of files and queues.

use futures::stream::{self, StreamExt};
use serde_json::{Map, Value, json};

use crate::model::billing::event::in_words;
use crate::model::error::{ErrorKind, Result};
use crate::processor::billing::failed;
use crate::processor::billing::meter::{Meter, Metered};
use crate::processor::billing::remembered::Remembered;
use crate::processor::{Chunk, Processor, Record, Reply};
use crate::store::Clock;
use crate::store::billing::{Clients, Events, Unbilled};

/// Events that are kept at the same time.
const WIDTH: usize = 32;

/// Keeps each record as an event. One that is not billed fails, and its reason is listed.
#[derive(Debug)]
pub struct Metering<E, C, K> {
    meter: Meter<E, Remembered<C, K>, K>,
}

impl<E: Events, C: Clients, K: Clock + Clone> Metering<E, C, K> {
    /// Keeps events there.
    pub fn new(events: E, clients: C, clock: K) -> Self {
        Self { meter: Meter { events, clients: Remembered::new(clients, clock.clone()), clock } }
    }

    /// The answer for a record; an error that is about all of them is one of the chunk, which is worked on again.
    async fn answer(&self, record: &Record, chunk: &Chunk) -> Result<Reply> {
        if self.meter.clock.now() >= chunk.until {
            return Ok(Reply::Untried("no time was left".to_owned()));
        }
        Ok(match self.meter.take(&event(&record.fields)).await {
            Ok(Metered::Kept | Metered::Known) => Reply::Done(None),
            Ok(Metered::Unbilled(Unbilled::Conflict)) => {
                Reply::Failed("it is not billed: another event has its source and id".to_owned())
            }
            Ok(Metered::Unbilled(Unbilled::Rejected(reason))) => Reply::Failed(format!("it is not billed: {reason}")),
            Ok(Metered::Unbilled(Unbilled::Nobody)) => {
                let client = record.fields.get("subject").cloned().unwrap_or_default();
                Reply::Failed(format!("it is not billed: there is no client {client}; send it again once there is"))
            }
            Ok(Metered::Wrong(wrong)) => Reply::Failed(format!("it is no event: {}", in_words(&wrong))),
            Err(error) if error.kind == ErrorKind::Busy => failed(&error),
            // Whoever sent a record by itself is told no names of resources.
            Err(error) if error.kind == ErrorKind::Transient => {
                tracing::warn!(%error, "an event could not be kept");
                Reply::temporary("billing failed: events cannot be kept just now")
            }
            Err(error) => return Err(error),
        })
    }
}

/// A record as an event: a row of a CSV file has the quantity in a column of its own, and no version.
fn event(fields: &Map<String, Value>) -> Value {
    let mut event = fields.clone();
    if let (false, Some(quantity)) = (event.contains_key("data"), event.get("quantity").cloned()) {
        event.insert("data".to_owned(), json!({ "quantity": quantity }));
        event.entry("specversion").or_insert_with(|| "1.0".into());
    }
    Value::Object(event)
}

impl<E: Events, C: Clients, K: Clock + Clone> Processor for Metering<E, C, K> {
    async fn process(&self, chunks: Vec<Chunk>) -> Vec<Result<Vec<Reply>>> {
        let mut answered = Vec::with_capacity(chunks.len());
        for chunk in &chunks {
            // As a list, whose type says nothing of how it was made: the future may be sent.
            let replies: Vec<_> = chunk.records.iter().map(|record| self.answer(record, chunk)).collect();
            let replies: Vec<Result<Reply>> = stream::iter(replies).buffered(WIDTH).collect().await;
            answered.push(replies.into_iter().collect());
        }
        answered
    }
}
