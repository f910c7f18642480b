//! The items table: one item per key.

pub mod memory;
pub mod surrounded;

use std::future::Future;

use crate::model::error::{Error, Result};
use crate::model::item::Item;

/// What became of the items of a write.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct WriteReport {
    /// The items that the table will never take.
    pub rejected: Vec<Rejection>,
    /// The positions of the items that the table was too busy for: they are to be written again, later.
    pub unprocessed: Vec<usize>,
}

/// An item that the table will never take.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rejection {
    /// Its position among the items that were to be written.
    pub position: usize,
    /// Why.
    pub reason: String,
}

/// Which record wins if several have the same key.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum WriteMode {
    /// The one that is written last; items are sent in batches.
    #[default]
    Batch,
    /// The one of the newer batch, and within a batch the one with the higher index: an item never goes back. Each
    /// item is a request of its own.
    Ordered,
}

impl WriteMode {
    /// Returns the mode with a name, as in `WRITE_MODE`.
    ///
    /// # Errors
    /// `Config`, which lists the valid names.
    pub fn named(name: &str) -> Result<Self> {
        match name {
            "batch" => Ok(Self::Batch),
            "ordered" => Ok(Self::Ordered),
            _ => Err(Error::config(format!("WRITE_MODE is {name:?}; it can be batch or ordered"))),
        }
    }
}

/// The items table. Failed calls have already been retried, unless they failed as `Busy`; they may still have taken
/// effect.
pub trait Items: Send + Sync + 'static {
    /// The most items that one write takes: as many as fit into one request.
    fn most(&self) -> usize;

    /// Writes at most [`Items::most`] items with different keys, each replacing what is under its key, as far as the
    /// table's [`WriteMode`] allows. On success every item is stored, or a newer one is, except for those of the report.
    /// Idempotent. The order of writes is not defined.
    fn write(&self, items: &[Item]) -> impl Future<Output = Result<WriteReport>> + Send;

    /// Reads the item under a key, as it was last written.
    fn read(&self, key: &str) -> impl Future<Output = Result<Option<Item>>> + Send;
}
