//! What gather writes.

pub mod records;
