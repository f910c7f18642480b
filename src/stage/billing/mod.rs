//! Billing: events are kept, half months are closed, and what was sealed is sent.

pub mod close;
pub mod meter;
pub mod send;
