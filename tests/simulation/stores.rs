//! The stores of a simulation: stores in memory, observed and, where a test wants it, broken.

use std::sync::Arc;
use std::time::Duration;

use fanfold::model::error::{Error, Result};
use fanfold::model::ids::{BatchId, ChunkIndex};
use fanfold::model::item::Item;
use fanfold::model::record::{Entry, Outcome};
use fanfold::model::timestamp::Timestamp;
use fanfold::store::blob::memory::MemoryBlob;
use fanfold::store::channel::{Channel, Delivery, Outgoing};
use fanfold::store::counters::memory::MemoryCounters;
use fanfold::store::faults::{Faults, Faulty};
use fanfold::store::items::memory::MemoryItems;
use fanfold::store::items::{Items, Rejection, WriteReport};
use fanfold::store::ledger::memory::MemoryLedger;
use fanfold::store::tasks::memory::MemoryTasks;
use fanfold::store::tasks::{Rows, Tasks, Verdict};
use fanfold::store::{Clock, Stores};
use serde_json::Value;

use super::clockwork::{Alarm, Event, Waiting};
use super::hand::Hand;
use super::mutation::{Late, Mutation};
use super::plan::REFUSED;
use super::state::{GATHER, MAP, PROCESS};

/// The stores as one invocation sees them.
pub struct SimStores;

impl Stores for SimStores {
    type Blob = Faulty<Watched<MemoryBlob>, Hand>;
    type Channel = Faulty<SimChannel, Hand>;
    type Tasks = Faulty<Watched<MemoryTasks>, Hand>;
    type Counters = Faulty<Watched<MemoryCounters>, Hand>;
    type Ledger = Faulty<Watched<MemoryLedger>, Hand>;
    type Clock = Hand;
}

impl Clock for Hand {
    fn now(&self) -> Timestamp {
        Timestamp(self.looks.tell(self.world(|state| state.clockwork.now), self.began))
    }

    async fn sleep(&self, time: Duration) {
        let alarm = Arc::new(Alarm::default());
        let milliseconds = i64::try_from(time.as_millis()).unwrap();
        self.world(|state| state.after(milliseconds, Event::Wake(alarm.clone())));
        Waiting(alarm).await;
    }

    fn chance(&self) -> f64 {
        if self.has(Mutation::NoJitter) { 1.0 } else { self.world(|state| state.rng.f64()) }
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

/// A store, and the hand that uses it.
#[derive(Clone)]
pub struct Watched<T> {
    pub store: T,
    pub hand: Hand,
}

/// A queue of the simulated world.
#[derive(Clone)]
pub struct SimChannel {
    pub queue: usize,
    /// Whether messages get there by way of a topic, which may be late and deliver one twice.
    pub topic: bool,
    pub hand: Hand,
}

impl Channel for SimChannel {
    async fn send(&self, messages: Vec<Outgoing>) -> Result<()> {
        if self.queue == GATHER {
            self.hand.watch_announcement(&messages);
        }
        let delayed = [Mutation::SealBeforeTheLastMessage, Mutation::BookmarkBeforeTheMessages];
        let heard = [PROCESS, MAP].contains(&self.queue);
        if heard && delayed.into_iter().any(|mutation| self.hand.has_in(&["scatter"], mutation)) {
            self.hand.put_off(messages.into_iter().map(|message| Late::Message(self.queue, message)));
            return Ok(());
        }
        for message in messages {
            self.hand.watch_giving_up(self.queue, &message);
            if self.topic {
                self.hand.world(|state| state.publish(self.queue, message));
            } else {
                self.hand.send(self.queue, message);
            }
        }
        Ok(())
    }

    async fn receive(&self, _most: usize) -> Result<Vec<Delivery>> {
        Err(Error::internal("stages do not receive"))
    }

    async fn delete(&self, _receipt: &str) -> Result<()> {
        Err(Error::internal("stages do not delete messages"))
    }

    async fn release(&self, receipt: &str, delay: Duration) -> Result<()> {
        self.hand.world(|state| state.release(self.queue, receipt, i64::try_from(delay.as_millis()).unwrap()));
        Ok(())
    }
}

impl Items for Watched<MemoryItems> {
    /// Few, so that a chunk may take several requests.
    fn most(&self) -> usize {
        if self.hand.world(|state| state.capacity.is_some()) { 25 } else { 4 }
    }

    async fn write(&self, items: &[Item]) -> Result<WriteReport> {
        let unprocessed = self.hand.undone("items.write", items.iter().map(|item| item.key.as_str()));
        if !items.is_empty() && unprocessed.len() == items.len() {
            if self.hand.has(Mutation::GivesUpAfterEight) && self.hand.is_tired(&items[0].key) {
                return Err(Error::transient("the table is too busy"));
            }
            return Err(Error::busy("the table has no capacity"));
        }
        let left: Vec<Item> =
            (0..items.len()).filter(|at| !unprocessed.contains(at)).map(|at| items[at].clone()).collect();
        let price = |item: &Item| item.fields.get("price").and_then(Value::as_number).map(ToString::to_string);
        let refused = |item: &Item| price(item).as_deref() == Some(REFUSED);
        let taken: Vec<Item> = left.into_iter().filter(|item| !refused(item)).collect();
        if self.hand.has(Mutation::MarkBeforeTheItems) {
            self.hand.put_off([Late::Items(taken)]);
        } else {
            self.store.write(&taken).await?;
        }
        let refused = items.iter().enumerate().filter(|(at, item)| refused(item) && !unprocessed.contains(at));
        let reason = "it is refused".to_owned();
        let rejected = refused.map(|(position, _)| Rejection { position, reason: reason.clone() }).collect();
        Ok(WriteReport { rejected, unprocessed })
    }

    async fn read(&self, key: &str) -> Result<Option<Item>> {
        self.store.read(key).await
    }
}

impl Tasks for Watched<MemoryTasks> {
    async fn create(&self, batch: &BatchId, chunk: ChunkIndex, entries: &[Entry], now: Timestamp) -> Result<()> {
        // A transaction writes all rows or none, at twice the units.
        if !self.hand.takes_rows(batch, chunk, 2 * entries.len()) {
            return Err(Error::busy("the table has no capacity"));
        }
        self.store.create(batch, chunk, entries, now).await
    }

    async fn read(&self, batch: &BatchId, chunk: ChunkIndex) -> Result<Rows> {
        self.store.read(batch, chunk).await
    }

    async fn settle(&self, batch: &BatchId, chunk: ChunkIndex, verdict: Verdict, now: Timestamp) -> Result<Verdict> {
        if let Verdict::Worked(fold) = &verdict {
            self.hand.watch_counting(batch, chunk, fold.as_ref());
        }
        self.store.settle(batch, chunk, verdict, now).await
    }

    async fn resolve(
        &self,
        batch: &BatchId,
        chunk: ChunkIndex,
        outcomes: &[Outcome],
        now: Timestamp,
    ) -> Result<Vec<usize>> {
        let key = format!("{batch}#{chunk}");
        let undone = self.hand.undone("tasks.resolve", outcomes.iter().map(|_| key.as_str()));
        if !outcomes.is_empty() && undone.len() == outcomes.len() {
            return Err(Error::busy("the table has no capacity"));
        }
        let done = (0..outcomes.len()).filter(|at| !undone.contains(at)).map(|at| outcomes[at].clone());
        self.store.resolve(batch, chunk, &done.collect::<Vec<_>>(), now).await?;
        Ok(undone)
    }
}
