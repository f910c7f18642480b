//! The items table: one item per key.

pub mod dynamodb;
pub mod memory;

use std::future::Future;

use crate::model::error::Result;
use crate::model::item::Item;

/// An item that the table will never take.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rejection {
    /// Its position among the items that were to be written.
    pub position: usize,
    /// Why.
    pub reason: String,
}

/// The items table. Failed calls were tried again already; they may have had their effect.
pub trait Items: Send + Sync + 'static {
    /// Writes items whose keys differ from each other, each replacing what is under its key. When
    /// this succeeds every item is stored but those named. Idempotent. The order of writes is not
    /// defined, nor is who wins against another writer of the same key.
    fn write(&self, items: &[Item]) -> impl Future<Output = Result<Vec<Rejection>>> + Send;

    /// The item under a key, as it was last written.
    fn read(&self, key: &str) -> impl Future<Output = Result<Option<Item>>> + Send;
}
