//! An items table that fails on purpose.

use crate::model::error::Result;
use crate::model::item::Item;
use crate::store::faults::{Faults, Faulty, fault};
use crate::store::items::{Items, Rejection};

impl<I: Items, F: Faults> Items for Faulty<I, F> {
    async fn write(&self, items: &[Item]) -> Result<Vec<Rejection>> {
        const CALL: &str = "items.write";
        if let Some(written) = self.faults.midway(CALL, items.len()) {
            self.call(CALL, self.store.write(&items[..written])).await?;
            return Err(fault(CALL));
        }
        self.call(CALL, self.store.write(items)).await
    }

    async fn read(&self, key: &str) -> Result<Option<Item>> {
        self.call("items.read", self.store.read(key)).await
    }
}
