//! The command line.

use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};
use fanfold::model::error::Result;
use fanfold::pipeline::variant::BUILT_IN;

use crate::options::Common;
use crate::plan::FLOOR;
use crate::{cold, drive, latency, memory, report};

/// Measures a deployment of fanfold and draws the report.
#[derive(Debug, Parser)]
#[command(name = "benchmark", version, about)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run batches of generated records through the variants, check and measure each.
    Run(Run),
    /// Measure the limit: a loop that does nothing but write the same items.
    Floor(Floor),
    /// Measure how much memory one stage takes on a large file, each in a process of its own, without AWS.
    Memory(memory::Options),
    /// Measure what a small batch waits for, from its upload to its summary.
    Latency(latency::Options),
    /// Measure how large the functions' executable is, and how long it takes until it asks for work.
    Cold(cold::Options),
    /// What a process of `memory` does.
    #[command(hide = true)]
    MemoryStage(memory::stage::Task),
    /// Make docs/report.svg, .png and .md of what was measured.
    Report(report::Options),
}

/// What `run` is asked to do.
#[derive(Debug, Args)]
struct Run {
    /// The variants, which take turns.
    #[arg(long, value_delimiter = ',', default_values_t = BUILT_IN.iter().map(|variant| variant.name.to_owned()))]
    variants: Vec<String>,
    /// Records of a batch.
    #[arg(long, value_delimiter = ',', default_value = "10,100,1000,10000")]
    counts: Vec<u64>,
    /// How often each batch is measured.
    #[arg(long, default_value_t = 3)]
    repeat: u32,
    /// Measure the floor among the variants, too.
    #[arg(long)]
    floor: bool,
    #[command(flatten)]
    common: Common,
}

/// What `floor` is asked to do.
#[derive(Debug, Args)]
struct Floor {
    /// Items to write.
    #[arg(long, value_delimiter = ',', default_value = "10000")]
    count: Vec<u64>,
    /// How often.
    #[arg(long, default_value_t = 1)]
    repeat: u32,
    #[command(flatten)]
    common: Common,
}

impl Cli {
    /// Does what was asked for.
    ///
    /// # Errors
    /// Whatever prevents it, in words for the user.
    pub async fn run(self) -> Result<ExitCode> {
        match self.command {
            Command::Run(mut run) => {
                run.variants.retain(|variant| !variant.is_empty());
                if run.floor && !run.variants.iter().any(|variant| variant == FLOOR) {
                    run.variants.push(FLOOR.to_owned());
                }
                drive::run(&run.variants, &run.counts, run.repeat, run.common).await
            }
            Command::Floor(floor) => drive::run(&[FLOOR.to_owned()], &floor.count, floor.repeat, floor.common).await,
            Command::Memory(options) => memory::run(&options).await,
            Command::Latency(options) => latency::run(&options).await,
            Command::Cold(options) => cold::run(&options),
            Command::MemoryStage(task) => memory::stage::run(&task).await,
            Command::Report(report) => report::make(&report),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }
}
