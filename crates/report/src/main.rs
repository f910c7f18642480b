//! The `fanfold-report` command: exits with 0 if it did what was asked for, 1 if not, 2 if it was not understood. As a function of
//! Lambda's, it prints what it is given links to.

use std::process::ExitCode;

use clap::Parser;
use fanfold_report::command::Cli;
use fanfold_report::function;

fn main() -> ExitCode {
    let done = match function::is_wanted() {
        true => function::run().map_err(|error| error.to_string()),
        false => Cli::parse().run(),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(problem) => {
            eprintln!("error: {problem}");
            ExitCode::FAILURE
        }
    }
}
