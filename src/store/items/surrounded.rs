//! An items table whose calls are surrounded.

use std::borrow::Cow;

use futures::FutureExt;

use crate::model::error::Result;
use crate::model::item::Item;
use crate::store::faults::fault;
use crate::store::items::{Items, WriteReport};
use crate::store::surround::{Surround, Surrounded};

impl<I: Items, A: Surround> Items for Surrounded<I, A> {
    fn most(&self) -> usize {
        self.store.most()
    }

    async fn write(&self, items: &[Item]) -> Result<WriteReport> {
        const CALL: &str = "items.write";
        if let Some(written) = self.around.midway(CALL, items.len()) {
            self.around.call(CALL, || self.store.write(&items[..written]).boxed()).await?;
            return Err(fault(CALL));
        }
        let (mut left, mut whole, mut patience) = (Cow::from(items), WriteReport::default(), self.around.patience());
        let mut places: Vec<usize> = (0..items.len()).collect();
        loop {
            let mut report = self.around.call(CALL, || self.store.write(&left).boxed()).await?;
            let undone: Vec<usize> = report.unprocessed.iter().map(|place| places[*place]).collect();
            report.rejected.iter_mut().for_each(|rejection| rejection.position = places[rejection.position]);
            whole.rejected.append(&mut report.rejected);
            if undone.is_empty() {
                return Ok(whole);
            }
            patience.renewed(undone.len() < places.len());
            if !self.around.again(&mut patience).await? {
                return Ok(WriteReport { unprocessed: undone, ..whole });
            }
            left = undone.iter().map(|place| items[*place].clone()).collect();
            places = undone;
        }
    }

    async fn read(&self, key: &str) -> Result<Option<Item>> {
        self.around.call("items.read", || self.store.read(key).boxed()).await
    }
}
