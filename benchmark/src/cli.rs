//! The command line.

use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};
use fanfold::model::error::Result;
use fanfold::pipeline::variant::BUILT_IN;

use crate::options::Common;
use crate::plan::FLOOR;
use crate::{cold, drive, latency, load, memory, model, peer, processors, report};

/// Measures a deployment of fanfold and draws the report.
#[derive(Debug, Parser)]
#[command(name = "benchmark", version, about)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run batches of generated records through the variants, and check and measure each.
    Run(Run),
    /// Measure the lower bound: a loop that does nothing but write the same items.
    Floor(Floor),
    /// Measure how much memory each stage takes on a large file, in a process of its own, without AWS.
    Memory(memory::Options),
    /// Measure what a small batch waits for between its upload and its summary.
    Latency(latency::Options),
    /// Measure how large the functions' executable is, and how long it takes to ask for work.
    Cold(cold::Options),
    /// Measure what pipelines add to the calls of their processors, beside a loop that makes nothing but those.
    Processors(processors::Options),
    /// Measure what takes records one at a time, while requests arrive at a rate.
    Load(load::Options),
    /// A peer of `make compare`: a plain loop over a file, for each line of the standard input.
    #[command(hide = true)]
    Loop,
    /// The work of one process of `memory`.
    #[command(hide = true)]
    MemoryStage(memory::stage::Task),
    /// Write docs/MODEL.md and docs/model.svg: the model of AWS beside the published runs.
    Model(model::Options),
    /// Write docs/report.svg, .png and .md from the measurements.
    Report(report::Options),
}

/// The options of `run`.
#[derive(Debug, Args)]
struct Run {
    /// The variants, which take turns.
    #[arg(long, value_delimiter = ',', default_values_t = BUILT_IN.iter().map(|variant| variant.name.to_owned()))]
    variants: Vec<String>,
    /// Records per batch.
    #[arg(long, value_delimiter = ',', default_value = "10,100,1000,10000")]
    counts: Vec<u64>,
    /// How often each batch is measured.
    #[arg(long, default_value_t = 3)]
    repeat: u32,
    /// Measure the floor as well, in turn with the variants.
    #[arg(long)]
    floor: bool,
    #[command(flatten)]
    common: Common,
}

/// The options of `floor`.
#[derive(Debug, Args)]
struct Floor {
    /// Items to write.
    #[arg(long, value_delimiter = ',', default_value = "10000")]
    count: Vec<u64>,
    /// How often to measure each.
    #[arg(long, default_value_t = 1)]
    repeat: u32,
    #[command(flatten)]
    common: Common,
}

impl Cli {
    /// Runs the chosen command.
    ///
    /// # Errors
    /// What prevents it, in words for the user.
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
            Command::Processors(options) => processors::run(&options).await,
            Command::Load(options) => load::run(&options).await,
            Command::Loop => peer::run().await,
            Command::MemoryStage(task) => memory::stage::run(&task).await,
            Command::Model(options) => model::make(&options),
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
