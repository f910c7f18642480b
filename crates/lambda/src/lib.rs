//! fanfold's functions on Lambda.
//!
//! A bootstrap of your own is a `main` that calls [`run`] with a [`Processor`](fanfold::processor::Processor);
//! `examples/enrich` is one.

#![forbid(unsafe_code)]
#![deny(clippy::disallowed_methods, clippy::disallowed_types)]
#![warn(missing_docs)]
// What starts all functions compiles them. The tests of their parts do without, in half of the time.
#![cfg_attr(test, allow(dead_code))]

mod api;
mod billing;
pub mod config;
mod events;
pub mod functions;
mod outbox;
pub mod server;
pub mod setting;
#[cfg(not(test))]
mod start;
mod submit;
pub mod telemetry;

pub use lambda_runtime::Error;
#[cfg(not(test))]
pub use start::{Running, run, run_built_in};
#[cfg(test)]
mod consumer;
