//! Tests the code that reads bytes from untrusted sources with anything that those may contain.
//!
//! The engine has neither the AWS SDK nor Lambda among its dependencies, so that fuzzing builds in a
//! minute. A target is a function over bytes that panics when a promise does not hold; libFuzzer calls it
//! through `fuzz_targets/`, the replay of the corpus through `tests/corpus.rs`.
//!
//! **Memory.** A decoder never holds more than [`decode::most`] says: [`decode::FIXED`] bytes, and
//! [`decode::PER_BYTE`] times what it has read, at most that many times the largest record; and
//! while it makes entries, [`decode::PER_ENTRY`] times what they take.

pub mod cut;
pub mod decode;
pub mod events;
pub mod memory;
pub mod ranges;
pub mod record;
pub mod reference;
pub mod targets;

pub use targets::{TARGETS, csv, detect, gzip, json, jsonl, message, ranges, record, s3_event};
