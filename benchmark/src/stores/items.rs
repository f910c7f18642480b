//! An items table that counts the items written to it, and keeps none.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use fanfold::model::error::Result;
use fanfold::model::item::Item;
use fanfold::store::items::{Items, WriteReport};

use super::pause;

/// A counting items table; clones share the count.
#[derive(Debug, Clone, Default)]
pub struct CountedItems(Arc<AtomicU64>);

impl CountedItems {
    /// The number of items written.
    pub fn count(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

impl Items for CountedItems {
    fn most(&self) -> usize {
        25
    }

    async fn write(&self, items: &[Item]) -> Result<WriteReport> {
        pause().await;
        self.0.fetch_add(items.len() as u64, Ordering::Relaxed);
        Ok(WriteReport::default())
    }

    async fn read(&self, _key: &str) -> Result<Option<Item>> {
        Ok(None)
    }
}
