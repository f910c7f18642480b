//! The `fanfold` command.

use std::process::ExitCode;

use clap::Parser;
use fanfold_cli::command::{self, telemetry};
use fanfold_cli::interrupt::until_interrupted;
use fanfold_cli::output::note;

fn main() -> ExitCode {
    telemetry::init();
    let cli = command::Cli::parse();
    let runtime = match tokio::runtime::Runtime::new() {
        Ok(runtime) => runtime,
        Err(error) => {
            note(format_args!("error: no threads can be started: {error}"));
            return ExitCode::FAILURE;
        }
    };
    let goes_on = cli.goes_on();
    let ended = runtime.block_on(until_interrupted(goes_on.clone(), command::run(cli, goes_on)));
    // A command that was interrupted while it computes is not waited for.
    runtime.shutdown_background();
    ended.unwrap_or_else(|error| {
        note(format_args!("error: {error}"));
        ExitCode::FAILURE
    })
}
