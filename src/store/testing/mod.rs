//! What every implementation of a store must do, written once.

#[path = "blob.rs"]
pub mod blob;
#[path = "channel.rs"]
pub mod channel;
#[path = "items.rs"]
pub mod items;
#[path = "ledger.rs"]
pub mod ledger;
#[path = "tasks.rs"]
pub mod tasks;
