//! The stores that the stages work with.

pub mod billing;
pub mod blob;
pub mod channel;
pub mod clock;
pub mod counters;
pub mod faults;
pub mod function;
pub mod items;
pub mod keyring;
pub mod ledger;
pub mod meter;
pub mod pace;
pub mod press;
pub mod push;
pub mod reports;
pub mod requests;
pub mod sockets;
pub mod surround;
pub mod tasks;
#[cfg(feature = "testing")]
pub mod testing;
pub mod web;

use crate::store::blob::Blob;
use crate::store::channel::Channel;
use crate::store::counters::Counters;
use crate::store::ledger::{Claims, Control, Ledger, Notes, RuleBook};
use crate::store::tasks::Tasks;

pub use clock::Clock;

/// The stores that a pipeline works with.
pub trait Stores: Send + Sync + 'static {
    /// Buckets.
    type Blob: Blob;
    /// Message channels.
    type Channel: Channel;
    /// The tasks table.
    type Tasks: Tasks;
    /// The counters table.
    type Counters: Counters;
    /// The ledger.
    type Ledger: Ledger + Claims + Control + Notes + RuleBook;
    /// The clock.
    type Clock: Clock;
}
