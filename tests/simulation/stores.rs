//! The stores of a simulation: the memory stores, watched and, where a test wants it, broken.

use std::collections::BTreeSet;
use std::ops::Range;
use std::time::Duration;

use bytes::Bytes;
use fanfold::blob::memory::MemoryBlob;
use fanfold::blob::{Blob, Body, Part as BlobPart, Pin, Section, UploadId, Written};
use fanfold::channel::{Channel, Delivery, Outgoing};
use fanfold::faults::{Faults, Faulty};
use fanfold::items::memory::MemoryItems;
use fanfold::items::{Items, Rejection};
use fanfold::ledger::memory::MemoryLedger;
use fanfold::ledger::{LastFailure, Ledger, Looked, OpenBatch, Opened, Part, Taken};
use fanfold::model::calls::{Calls, StageCalls};
use fanfold::model::error::{Error, ErrorKind, Result};
use fanfold::model::ids::{BatchId, ChunkIndex, LEAF_SIZE};
use fanfold::model::item::Item;
use fanfold::model::progress::{Batch, BatchState, Leaf, Opening, Sealing, Seen, Stop, Tally};
use fanfold::model::range::Claim;
use fanfold::model::timestamp::Timestamp;
use fanfold::stage::{Clock, Stores};
use fanfold::tasks::memory::MemoryTasks;

use serde_json::Value;

use super::hand::Hand;
use super::mutation::{Late, Mutation};
use super::plan::REFUSED;
use super::state::{GATHER, PROCESS};

/// The stores as one invocation sees them.
pub struct SimStores;

impl Stores for SimStores {
    type Blob = Faulty<Watched<MemoryBlob>, Hand>;
    type Channel = Faulty<SimChannel, Hand>;
    type Items = Faulty<Watched<MemoryItems>, Hand>;
    type Tasks = Faulty<MemoryTasks, Hand>;
    type Ledger = Faulty<Watched<MemoryLedger>, Hand>;
    type Clock = Hand;
}

impl Clock for Hand {
    fn now(&self) -> Timestamp {
        Timestamp(self.world(|state| state.clockwork.now))
    }
}

impl Faults for Hand {
    async fn before(&self, call: &'static str) -> Result<()> {
        self.enter(call).await
    }

    async fn after(&self, call: &'static str) -> Result<()> {
        self.leave(call).await
    }

    fn midway(&self, call: &'static str, many: usize) -> Option<usize> {
        self.cut(call, many)
    }
}

/// A store with the hand that uses it.
#[derive(Clone)]
pub struct Watched<T> {
    pub store: T,
    pub hand: Hand,
}

/// A queue of the world.
#[derive(Clone)]
pub struct SimChannel {
    pub queue: usize,
    pub hand: Hand,
}

impl Channel for SimChannel {
    async fn send(&self, messages: Vec<Outgoing>) -> Result<()> {
        if self.queue == GATHER {
            self.hand.watch_announcement(&messages);
        }
        if self.queue == PROCESS && self.hand.has(Mutation::SealBeforeTheLastMessage) {
            self.hand.put_off(messages.into_iter().map(|message| Late::Message(PROCESS, message)));
            return Ok(());
        }
        for message in messages {
            self.hand.send(self.queue, message);
        }
        Ok(())
    }

    async fn receive(&self, _most: usize) -> Result<Vec<Delivery>> {
        Err(Error::internal("stages do not receive"))
    }

    async fn delete(&self, _receipt: &str) -> Result<()> {
        Err(Error::internal("stages do not delete messages"))
    }

    async fn release(&self, _receipt: &str, _delay: Duration) -> Result<()> {
        Err(Error::internal("stages do not release messages"))
    }
}

impl Items for Watched<MemoryItems> {
    async fn write(&self, items: &[Item]) -> Result<Vec<Rejection>> {
        let price = |item: &Item| item.fields.get("price").and_then(Value::as_number).map(ToString::to_string);
        let refused = |item: &Item| price(item).as_deref() == Some(REFUSED);
        let taken: Vec<Item> = items.iter().filter(|item| !refused(item)).cloned().collect();
        if self.hand.has(Mutation::MarkBeforeTheItems) {
            self.hand.put_off([Late::Items(taken)]);
        } else {
            self.store.write(&taken).await?;
        }
        let refused = items.iter().enumerate().filter(|(_, item)| refused(item));
        Ok(refused.map(|(position, _)| Rejection { position, reason: "the table refuses it".to_owned() }).collect())
    }

    async fn read(&self, key: &str) -> Result<Option<Item>> {
        self.store.read(key).await
    }
}

impl Blob for Watched<MemoryBlob> {
    async fn get(&self, key: &str, version: Option<&str>) -> Result<Option<Body>> {
        self.store.get(key, version).await
    }

    async fn get_range(&self, key: &str, pin: &Pin, range: Range<u64>) -> Result<Option<Section>> {
        self.store.get_range(key, pin, range).await
    }

    async fn put(&self, key: &str, content_type: &str, body: Bytes) -> Result<Written> {
        self.store.put(key, content_type, body).await
    }

    async fn put_new(&self, key: &str, content_type: &str, body: Bytes) -> Result<bool> {
        if self.hand.has(Mutation::PendingGoneBeforeTheResult) {
            self.hand.put_off([Late::Object(key.to_owned(), body)]);
            return Ok(true);
        }
        self.store.put_new(key, content_type, body).await
    }

    async fn delete(&self, key: &str) -> Result<()> {
        self.store.delete(key).await?;
        self.hand.catch_up_after(&[Mutation::PendingGoneBeforeTheResult, Mutation::MarkBeforeTheItems]);
        Ok(())
    }

    async fn list(&self, prefix: &str, after: Option<&str>, most: usize) -> Result<Vec<String>> {
        self.store.list(prefix, after, most).await
    }

    async fn begin_upload(&self, key: &str, content_type: &str) -> Result<UploadId> {
        self.store.begin_upload(key, content_type).await
    }

    async fn put_part(&self, key: &str, upload: &UploadId, number: i32, body: Bytes) -> Result<BlobPart> {
        self.store.put_part(key, upload, number, body).await
    }

    async fn complete_upload(&self, key: &str, upload: &UploadId, parts: &[BlobPart]) -> Result<Written> {
        self.store.complete_upload(key, upload, parts).await
    }

    async fn abort_upload(&self, key: &str, upload: &UploadId) -> Result<()> {
        self.store.abort_upload(key, upload).await
    }
}

impl Ledger for Watched<MemoryLedger> {
    async fn open(&self, opening: &Opening) -> Result<Opened> {
        self.store.open(opening).await
    }

    async fn read(&self, batch: &BatchId) -> Result<Option<Batch>> {
        self.store.read(batch).await
    }

    async fn look(&self, batch: &BatchId, leaves: &BTreeSet<u32>) -> Result<Looked> {
        let (batch, mut found) = self.store.look(batch, leaves).await?;
        if self.hand.has(Mutation::DuplicateDoesNotCheckAgain) {
            // A leaf of unknown size is full by all of its marks, which it never has here.
            found.values_mut().for_each(|leaf| leaf.size = None);
        }
        Ok((batch, found))
    }

    async fn put_claims(&self, batch: &BatchId, group: u32, claims: &[Claim], now: Timestamp) -> Result<()> {
        self.store.put_claims(batch, group, claims, now).await
    }

    async fn read_claims(&self, batch: &BatchId, groups: Range<u32>) -> Result<Vec<Vec<Claim>>> {
        self.store.read_claims(batch, groups).await
    }

    async fn read_leaves(&self, batch: &BatchId, leaves: Range<u32>) -> Result<Vec<Leaf>> {
        self.store.read_leaves(batch, leaves).await
    }

    async fn mark_leaf(&self, batch: &BatchId, chunk: ChunkIndex, tally: Tally, now: Timestamp) -> Result<Leaf> {
        let mut leaf = self.store.mark_leaf(batch, chunk, tally, now).await?;
        self.hand.catch_up_after(&[Mutation::MarkBeforeTheItems]);
        if self.hand.has(Mutation::CounterWithoutItsCondition) {
            // What a plain counter would say: every mark counts, whoever makes it.
            let (count, sum) = self.hand.count(batch, chunk.leaf(), tally);
            let first = chunk.leaf() * LEAF_SIZE;
            (leaf.done, leaf.tally) = ((first..first + count).collect(), sum);
        }
        Ok(leaf)
    }

    async fn size_leaf(&self, batch: &BatchId, leaf: u32, size: u32, now: Timestamp) -> Result<Leaf> {
        self.store.size_leaf(batch, leaf, size, now).await
    }

    async fn mark_root(&self, batch: &BatchId, leaf: u32) -> Result<Batch> {
        self.store.mark_root(batch, leaf).await
    }

    async fn seal(&self, batch: &BatchId, sealing: &Sealing) -> Result<Batch> {
        let batch = self.store.seal(batch, sealing).await?;
        self.hand.catch_up_after(&[Mutation::SealBeforeTheLastMessage]);
        Ok(batch)
    }

    async fn take(&self, batch: &BatchId, owner: &str, now: Timestamp, until: Timestamp) -> Result<Taken> {
        self.hand.watch_taking(batch);
        let taken = self.store.take(batch, owner, now, until).await?;
        match taken {
            Taken::Held(held) if self.hand.has(Mutation::GatherDoesNotTake) => Ok(Taken::Yes(held)),
            taken => Ok(taken),
        }
    }

    async fn let_go(&self, batch: &BatchId, owner: &str, now: Timestamp) -> Result<()> {
        self.store.let_go(batch, owner, now).await
    }

    async fn close(&self, id: &BatchId, owner: &str, end: BatchState, tally: Tally, at: Timestamp) -> Result<()> {
        let open = self.store.read(id).await?.is_some_and(|batch| !batch.state.is_final());
        let closed = self.store.close(id, owner, end, tally, at).await;
        let closed = match closed {
            Err(error) if error.kind == ErrorKind::Conflict && self.hand.has(Mutation::GatherDoesNotTake) => {
                self.store.take(id, owner, Timestamp(i64::MAX), at).await?;
                self.store.close(id, owner, end, tally, at).await
            }
            closed => closed,
        };
        if let (true, Some(batch)) = (open && closed.is_ok(), self.store.read(id).await?) {
            self.hand.watch_closing(&batch);
        }
        closed
    }

    async fn stop(&self, batch: &BatchId, stop: &Stop) -> Result<Batch> {
        self.store.stop(batch, stop).await
    }

    async fn see(&self, batch: &BatchId, seen: &Seen) -> Result<()> {
        self.store.see(batch, seen).await
    }

    async fn open_batches(&self, after: Option<&OpenBatch>) -> Result<Vec<OpenBatch>> {
        self.store.open_batches(after).await
    }

    async fn note_failure(&self, batch: &BatchId, part: Part, failure: &LastFailure, now: Timestamp) -> Result<()> {
        self.store.note_failure(batch, part, failure, now).await
    }

    async fn last_failure(&self, batch: &BatchId, part: Part) -> Result<Option<LastFailure>> {
        self.store.last_failure(batch, part).await
    }

    async fn add_calls(&self, batch: &BatchId, stage: &str, calls: &StageCalls, now: Timestamp) -> Result<()> {
        self.store.add_calls(batch, stage, calls, now).await
    }

    async fn read_calls(&self, batch: &BatchId) -> Result<Calls> {
        self.store.read_calls(batch).await
    }
}
