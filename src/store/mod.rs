//! The stores that the stages work with.

pub mod blob;
pub mod channel;
pub mod clock;
pub mod faults;
pub mod items;
pub mod ledger;
pub mod tasks;

use crate::blob::Blob;
use crate::channel::Channel;
use crate::items::Items;
use crate::ledger::Ledger;
use crate::tasks::Tasks;

pub use clock::Clock;

/// The stores that a pipeline works with.
pub trait Stores: Send + Sync + 'static {
    /// Buckets.
    type Blob: Blob;
    /// Message channels.
    type Channel: Channel;
    /// The items table.
    type Items: Items;
    /// The tasks table.
    type Tasks: Tasks;
    /// The ledger.
    type Ledger: Ledger;
    /// The clock.
    type Clock: Clock;
}
