//! fanfold: scatter-gather batch processing on AWS.
//!
//! A file of records is uploaded to S3, cut into chunks, processed in parallel by Lambda functions,
//! and summed up exactly once. The layers, each of which may use only those before it:
//! [`model`] (pure data and rules), [`codec`] (bytes to model and back), the stores
//! ([`blob`], [`channel`], [`items`], [`ledger`], [`tasks`]), the [`stage`]s, the [`variant`]s that put stages
//! together, and the [`runtime`] that gives them AWS clients, events and a clock.

#![forbid(unsafe_code)]
#![deny(clippy::disallowed_methods, clippy::disallowed_types)]
#![warn(missing_docs)]

pub mod batch;
pub mod blob;
pub mod channel;
pub mod codec;
pub mod faults;
pub mod intake;
pub mod items;
pub mod ledger;
pub mod model;
pub mod pipeline;
pub mod render;
pub mod runtime;
pub mod sdk;
pub mod stage;
pub mod store;
pub mod tasks;

pub use pipeline::variant;
