//! The stores of a simulation: stores in memory, observed and, where a test wants it, broken.

use std::time::Duration;

use fanfold::model::error::{Error, Result};
use fanfold::model::item::Item;
use fanfold::model::timestamp::Timestamp;
use fanfold::store::blob::memory::MemoryBlob;
use fanfold::store::channel::{Channel, Delivery, Outgoing};
use fanfold::store::faults::{Faults, Faulty};
use fanfold::store::items::memory::MemoryItems;
use fanfold::store::items::{Items, Rejection};
use fanfold::store::ledger::memory::MemoryLedger;
use fanfold::store::tasks::memory::MemoryTasks;
use fanfold::store::{Clock, Stores};
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
        Ok(refused.map(|(position, _)| Rejection { position, reason: "it is refused".to_owned() }).collect())
    }

    async fn read(&self, key: &str) -> Result<Option<Item>> {
        self.store.read(key).await
    }
}
