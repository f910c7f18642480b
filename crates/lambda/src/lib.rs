//! fanfold's functions on Lambda.

#![forbid(unsafe_code)]
#![deny(clippy::disallowed_methods, clippy::disallowed_types)]
#![warn(missing_docs)]

pub mod config;
pub mod functions;
pub mod schema;
pub mod server;
pub mod telemetry;
