//! fanfold's functions on Lambda.
//!
//! A bootstrap of your own is a `main` that calls [`run`] with a [`Processor`](fanfold::processor::Processor);
//! `examples/enrich` is one.

#![forbid(unsafe_code)]
#![deny(clippy::disallowed_methods, clippy::disallowed_types)]
#![warn(missing_docs)]

mod api;
pub mod config;
pub mod functions;
mod outbox;
pub mod server;
pub mod setting;
mod start;
mod submit;
pub mod telemetry;

pub use lambda_runtime::Error;
pub use start::{run, run_built_in};
#[cfg(test)]
mod consumer;
