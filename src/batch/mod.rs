//! What the stages share of a batch: how a chunk is found, finished or buried, where its records wait
//! and its outcomes are kept, and how the end of the batch is noticed.

pub mod chunks;
pub mod concurrent;
pub mod coverage;
pub mod dispatch;
pub mod find;
pub mod outcomes;
pub mod ranges;
