//! Drives a deployment of fanfold with generated batches, keeps the measurements, and draws the report.

use std::process::ExitCode;

#[tokio::main]
async fn main() -> ExitCode {
    fanfold_benchmark::run().await
}
