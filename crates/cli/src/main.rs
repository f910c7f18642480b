//! The `fanfold` command.

use std::process::ExitCode;

use clap::Parser;
use fanfold_cli::command::{self, telemetry};

#[tokio::main]
async fn main() -> ExitCode {
    telemetry::init();
    match command::run(command::Cli::parse()).await {
        Ok(code) => code,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}
