//! An items table in memory.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use crate::model::error::{Error, Result};
use crate::model::item::Item;
use crate::store::items::{Items, WriteMode, WriteReport};

/// An items table in memory; clones share their items.
#[derive(Debug, Clone, Default)]
pub struct MemoryItems {
    items: Arc<Mutex<BTreeMap<String, Item>>>,
    mode: WriteMode,
}

impl MemoryItems {
    /// An empty table.
    pub fn new() -> Self {
        Self::default()
    }

    /// An empty table with a write mode.
    pub fn in_mode(mode: WriteMode) -> Self {
        Self { mode, ..Self::default() }
    }

    /// All items by their keys.
    pub fn all(&self) -> BTreeMap<String, Item> {
        self.items.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Items for MemoryItems {
    fn most(&self) -> usize {
        usize::MAX
    }

    async fn write(&self, items: &[Item]) -> Result<WriteReport> {
        let mut table = self.items.lock().unwrap_or_else(PoisonError::into_inner);
        let mut keys = std::collections::BTreeSet::new();
        if items.iter().any(|item| !keys.insert(&item.key)) {
            return Err(Error::internal("two items of one write have the same key"));
        }
        for item in items {
            let newer = table.get(&item.key).is_some_and(|kept| kept.order() > item.order());
            if self.mode == WriteMode::Batch || !newer {
                table.insert(item.key.clone(), item.clone());
            }
        }
        Ok(WriteReport::default())
    }

    async fn read(&self, key: &str) -> Result<Option<Item>> {
        Ok(self.items.lock().unwrap_or_else(PoisonError::into_inner).get(key).cloned())
    }
}
