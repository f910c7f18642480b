//! fanfold: scatter-gather batch processing on AWS.
//!
//! A file of records is uploaded to S3, cut into chunks, processed in parallel by Lambda functions,
//! and summed up exactly once. The layers, each of which may use only those before it:
//! [`model`] (pure data and rules), the [`store`]s, [`mod@format`] (bytes to records), [`render`] (what is written),
//! [`intake`] (what makes a batch), [`batch`] (what the stages share of one), the [`stage`]s, and the
//! [`pipeline`]s that put stages together. The crates `fanfold-aws`, `fanfold-lambda` and `fanfold-cli` stand above.

#![forbid(unsafe_code)]
#![deny(clippy::disallowed_methods, clippy::disallowed_types)]
#![warn(missing_docs)]

pub mod batch;
pub mod format;
pub mod intake;
pub mod model;
pub mod pipeline;
pub mod processor;
pub mod render;
pub mod stage;
pub mod store;
