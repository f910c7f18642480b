//! The competing consumers: validate the records of a chunk, write their items, keep their
//! outcomes, and mark the chunk as done.
//!
//! The order is what makes a crash harmless: all item writes → the chunk's result → the mark → the
//! pending records are deleted. Whatever is interrupted comes again, and a chunk that bears its
//! mark is not worked on twice.

use std::collections::HashMap;

use super::batches::{Batches, Found};
use super::chunks::Kept;
use super::{Clock, Outcome, Stage, Stores, Subject};
use crate::channel::Delivery;
use crate::items::Items;
use crate::ledger::Part;
use crate::model::error::{Error, Result};
use crate::model::item::Item;
use crate::model::message::ProcessMessage;
use crate::model::progress::Tally;
use crate::model::record::{self, Entry};
use crate::model::schema::{RecordSchema, Valid};
use crate::model::timestamp::Timestamp;

/// The process stage.
pub struct Process<S: Stores> {
    /// Where chunks wait and results are kept, and batch state.
    pub batches: Batches<S>,
    /// The items table.
    pub items: S::Items,
    /// The time.
    pub clock: S::Clock,
    /// What a valid record is.
    pub schema: RecordSchema,
}

impl<S: Stores> Stage for Process<S> {
    const NAME: &'static str = "process";

    fn subject(&self, body: &str) -> Option<Subject> {
        let message = ProcessMessage::parse(body).ok()?;
        Some(Subject { batch: message.batch_id, part: Part::Chunk(message.chunk) })
    }

    async fn handle(&self, delivery: &Delivery, _deadline: Timestamp) -> Outcome {
        self.take(&delivery.body).await.into()
    }
}

impl<S: Stores> Process<S> {
    async fn take(&self, body: &str) -> Result<Outcome> {
        let message = ProcessMessage::parse(body)?;
        let (batch, chunk) = (&message.batch_id, message.chunk);
        let progress = match self.batches.find(batch, chunk).await? {
            Found::Stray(reason) => return Ok(Outcome::Discarded(reason.to_owned())),
            Found::Done(progress) => progress,
            Found::Stopped(_, stop) => self.batches.bury(batch, chunk, &stop.fault.message, self.clock.now()).await?,
            Found::Pending(entries) => {
                let tally = self.work_on(&message, entries).await?;
                let (succeeded, failed) = (tally.succeeded, tally.failed);
                tracing::info!(batch_id = %batch, %chunk, succeeded, failed, "chunk written");
                self.batches.finish(batch, chunk, tally, self.clock.now()).await?
            }
        };
        self.batches.announce(batch, progress).await?;
        Ok(Outcome::Done)
    }

    /// Writes the items and the result of a chunk.
    async fn work_on(&self, message: &ProcessMessage, entries: Vec<Entry>) -> Result<Tally> {
        if entries.len() != message.records as usize {
            return Err(Error::internal(format!(
                "chunk {} holds {} records, and its message says {}",
                message.chunk,
                entries.len(),
                message.records
            )));
        }
        let mut plan = self.plan(message, &entries);
        for rejection in self.items.write(&plan.items).await? {
            let Some(item) = plan.items.get(rejection.position) else {
                continue;
            };
            // The records that this one would have replaced were not written either.
            for (key, failure) in plan.keys.iter().zip(&mut plan.failures) {
                if key.as_deref() == Some(item.key.as_str()) {
                    *failure = Some(rejection.reason.clone());
                }
            }
        }
        let outcomes =
            entries.into_iter().zip(plan.failures).map(|(entry, failure)| record::Outcome::of(entry, failure));
        let decision = Kept::worked(outcomes.collect());
        let (batch, chunk) = (&message.batch_id, message.chunk);
        self.batches.chunks.decide(batch, chunk, decision, "", self.clock.now()).await
    }

    /// Decides for each record whether it becomes an item. Of records with the same key the last
    /// one does, since a batch write must not name a key twice.
    fn plan(&self, message: &ProcessMessage, entries: &[Entry]) -> Plan {
        let updated_at = self.clock.now();
        let mut plan = Plan::default();
        let mut places: HashMap<String, usize> = HashMap::new();
        for entry in entries {
            let valid = match self.schema.check(entry, message.layout) {
                Ok(valid) => valid,
                Err(reason) => {
                    plan.keys.push(None);
                    plan.failures.push(Some(reason));
                    continue;
                }
            };
            plan.keys.push(Some(valid.key.clone()));
            plan.failures.push(None);
            let item = item_of(valid, message, entry.index, updated_at);
            match places.get(&item.key) {
                Some(&place) => plan.items[place] = item,
                None => {
                    places.insert(item.key.clone(), plan.items.len());
                    plan.items.push(item);
                }
            }
        }
        plan
    }
}

/// What is to be written for a chunk; `keys` and `failures` have one place for each record.
#[derive(Default)]
struct Plan {
    items: Vec<Item>,
    keys: Vec<Option<String>>,
    failures: Vec<Option<String>>,
}

fn item_of(valid: Valid, message: &ProcessMessage, index: u64, updated_at: Timestamp) -> Item {
    let sequence = Timestamp(message.sequence);
    // Users know the batch by the name of its first generation.
    let batch = message.batch_id.in_generation(0);
    Item { key: valid.key, fields: valid.fields, batch, index, updated_at, sequence }
}
