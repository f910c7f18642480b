//! The items table: one item per key.

pub mod faulty;
pub mod memory;

use std::future::Future;

use crate::model::error::{Error, Result};
use crate::model::item::Item;

/// An item that the table will never take.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rejection {
    /// Its position among the items that were to be written.
    pub position: usize,
    /// Why.
    pub reason: String,
}

/// Who wins where several records have one key.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum WriteMode {
    /// Whoever writes last; items go out in batches.
    #[default]
    Batch,
    /// The record of the newer batch, and of one batch the one of the higher index: an item never
    /// goes back. Each item is a request of its own.
    Ordered,
}

impl WriteMode {
    /// The mode of a name, as in `WRITE_MODE`.
    ///
    /// # Errors
    /// `Config` with the names there are.
    pub fn named(name: &str) -> Result<Self> {
        match name {
            "batch" => Ok(Self::Batch),
            "ordered" => Ok(Self::Ordered),
            _ => Err(Error::config(format!("WRITE_MODE is {name:?}; it can be batch or ordered"))),
        }
    }
}

/// The items table. Failed calls were tried again already; they may have had their effect.
pub trait Items: Send + Sync + 'static {
    /// Writes items whose keys differ from each other, each replacing what is under its key, as far
    /// as the table's [`WriteMode`] lets it. When this succeeds every item is stored, or a newer one
    /// is, but for those named. Idempotent. The order of writes is not defined.
    fn write(&self, items: &[Item]) -> impl Future<Output = Result<Vec<Rejection>>> + Send;

    /// The item under a key, as it was last written.
    fn read(&self, key: &str) -> impl Future<Output = Result<Option<Item>>> + Send;
}
