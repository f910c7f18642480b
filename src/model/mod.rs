//! Names, records, messages and progress: pure data and rules, no I/O and no clock.

pub mod answer;
pub mod calls;
pub mod condition;
pub mod decimal;
pub mod error;
pub mod fault;
pub mod fold;
pub mod format;
pub mod ids;
pub mod input;
pub mod item;
pub mod limits;
pub mod manifest;
pub mod message;
pub mod own;
pub mod price;
pub mod processing;
pub mod progress;
pub mod range;
pub mod record;
pub mod refusal;
pub mod schema;
pub mod spent;
pub mod summary;
pub mod timestamp;
pub mod view;
