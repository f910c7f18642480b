//! Drives a deployment of fanfold with generated batches, keeps the measurements, and draws the report.

#![forbid(unsafe_code)]
#![deny(clippy::disallowed_methods, clippy::disallowed_types)]
#![warn(missing_docs)]
// Futures hold more futures within each other than the compiler looks into otherwise.
#![recursion_limit = "256"]

mod batch;
mod calls;
mod check;
mod cli;
mod cold;
mod drive;
mod estimate;
mod floor;
mod latency;
mod load;
mod measurements;
mod memory;
mod model;
mod options;
mod peer;
mod plan;
mod prices;
mod processors;
mod progress;
mod records;
mod report;
mod row;
mod site;
mod stopwatch;
mod stores;

use std::process::ExitCode;

use clap::Parser;
use fanfold_cli::command::telemetry;
use futures::FutureExt;
use futures::future::LocalBoxFuture;

/// Does what the command line says.
///
/// Behind a pointer, so that it is compiled here.
pub fn run() -> LocalBoxFuture<'static, ExitCode> {
    async {
        telemetry::init();
        match cli::Cli::parse().run().await {
            Ok(code) => code,
            Err(error) => {
                eprintln!("error: {error}");
                ExitCode::FAILURE
            }
        }
    }
    .boxed_local()
}
