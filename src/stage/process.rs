//! The competing consumers: validate the records of a chunk, write their items, keep their
//! outcomes, and mark the chunk as done.
//!
//! The order is what makes a crash harmless: all item writes → the chunk's result → the mark → the
//! pending records are deleted. Whatever is interrupted comes again, and a chunk that bears its
//! mark is not worked on twice.

use std::collections::HashMap;

use bytes::Bytes;
use futures::future::try_join;

use super::{Clock, Outcome, Stage, Stores, announce};
use crate::blob::{Blob, read_all};
use crate::channel::Delivery;
use crate::items::Items;
use crate::ledger::{Ledger, completion};
use crate::model::error::{Error, Result};
use crate::model::ids::BatchId;
use crate::model::item::Item;
use crate::model::message::ProcessMessage;
use crate::model::progress::Tally;
use crate::model::record::{self, Entry};
use crate::model::schema::RecordSchema;
use crate::model::timestamp::Timestamp;

/// The process stage.
pub struct Process<S: Stores> {
    /// Where chunks wait and results are kept.
    pub work: S::Blob,
    /// The items table.
    pub items: S::Items,
    /// To gather.
    pub gather: S::Channel,
    /// Batch state.
    pub ledger: S::Ledger,
    /// The time.
    pub clock: S::Clock,
    /// What a valid record is.
    pub schema: RecordSchema,
}

impl<S: Stores> Stage for Process<S> {
    async fn handle(&self, delivery: &Delivery, _deadline: Timestamp) -> Outcome {
        self.take(&delivery.body).await.into()
    }
}

impl<S: Stores> Process<S> {
    async fn take(&self, body: &str) -> Result<Outcome> {
        let message = ProcessMessage::parse(body)?;
        let (batch, chunk) = (&message.batch_id, message.chunk);
        let pending_key = batch.pending_key(chunk);
        let number = chunk.leaf();
        let (mut leaves, pending) =
            try_join(self.ledger.read_leaves(batch, number..number + 1), read_all(&self.work, &pending_key)).await?;
        let leaf = leaves.pop().unwrap_or_default();
        if leaf.holds(chunk) {
            if pending.is_some() {
                self.work.delete(&pending_key).await?;
            }
            let progress = completion::settle(&self.ledger, batch, number, &leaf).await?;
            announce(&self.gather, batch, progress).await?;
            return Ok(Outcome::Done);
        }
        let Some(pending) = pending else {
            // A concurrent delivery of the same chunk may have ended between the two reads.
            return Err(Error::transient(format!("chunk {chunk} of batch {batch} is neither pending nor done")));
        };
        let tally = self.work_on(&message, &pending).await?;
        let progress = completion::mark(&self.ledger, batch, chunk, tally, self.clock.now()).await?;
        self.work.delete(&pending_key).await?;
        announce(&self.gather, batch, progress).await?;
        tracing::info!(batch_id = %batch, %chunk, succeeded = tally.succeeded, failed = tally.failed, "chunk done");
        Ok(Outcome::Done)
    }

    /// Writes the items and the result of a chunk.
    async fn work_on(&self, message: &ProcessMessage, pending: &Bytes) -> Result<Tally> {
        let entries = entries_of(pending)?;
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
        let failed = plan.failures.iter().flatten().count() as u64;
        let succeeded = entries.len() as u64 - failed;
        let lines = result_of(entries, plan.failures)?;
        let key = message.batch_id.done_key(message.chunk);
        self.work.put(&key, "application/jsonl", lines).await?;
        Ok(Tally { succeeded, failed, failed_chunks: 0 })
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
            let item = item_of(valid, &message.batch_id, entry.index, updated_at);
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

fn item_of(valid: crate::model::schema::Valid, batch: &BatchId, index: u64, updated_at: Timestamp) -> Item {
    Item { key: valid.key, fields: valid.fields, batch: batch.clone(), index, updated_at }
}

fn entries_of(pending: &Bytes) -> Result<Vec<Entry>> {
    let lines = pending.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
    let entries = lines.map(serde_json::from_slice).collect::<std::result::Result<_, _>>();
    entries.map_err(|e| Error::internal("a pending chunk is not readable").because(e))
}

fn result_of(entries: Vec<Entry>, failures: Vec<Option<String>>) -> Result<Bytes> {
    let mut lines = Vec::new();
    for (entry, failure) in entries.into_iter().zip(failures) {
        serde_json::to_writer(&mut lines, &record::Outcome::of(entry, failure))
            .map_err(|e| Error::internal("an outcome can not be written").because(e))?;
        lines.push(b'\n');
    }
    Ok(lines.into())
}
