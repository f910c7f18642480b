//! What every implementation of a store must do, written once: a suite panics where a store breaks its contract. Each
//! takes empty stores.

pub mod billing;
pub mod blob;
pub mod channel;
pub mod counters;
pub mod function;
pub mod items;
pub mod ledger;
pub mod listing;
pub mod meter;
pub mod notes;
pub mod press;
pub mod requests;
pub mod sockets;
pub mod tasks;
