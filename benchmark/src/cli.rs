//! The command line.

use std::path::PathBuf;
use std::process::ExitCode;
use std::str::FromStr;

use clap::{Args, Parser, Subcommand};
use fanfold::model::error::Result;

use crate::plan::FLOOR;
use crate::site::Facts;
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
    Report(Report),
}

/// What `run` is asked to do.
#[derive(Debug, Args)]
struct Run {
    /// The variants, which take turns.
    #[arg(long, value_delimiter = ',', default_value = "sync,async,chunked,dynamodb,ranged")]
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

/// What both need.
#[derive(Debug, Args)]
pub struct Common {
    /// What the records are made from.
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// Requests that the floor has under way at once.
    #[arg(long, default_value_t = 16, value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub width: u32,
    /// Allow more records than a variant is meant for.
    #[arg(long)]
    pub lift_caps: bool,
    /// Where rows are appended.
    #[arg(long, default_value = "measurements.csv")]
    pub measurements: PathBuf,
    /// The file that `make deploy` wrote about the deployment.
    #[arg(long, env = "FANFOLD_DEPLOYMENT", default_value = "target/local/deployment.json")]
    pub deployment: PathBuf,
    /// What the rows say about the run.
    #[command(flatten)]
    pub labels: Labels,
}

/// What `report` is asked to do.
#[derive(Debug, Args)]
pub struct Report {
    /// What was measured.
    #[arg(long, default_value = "measurements.csv")]
    pub measurements: PathBuf,
    /// The folder of the report.
    #[arg(long, default_value = "docs")]
    pub docs: PathBuf,
    /// The commit to report [default: of each target the one measured last].
    #[arg(long)]
    pub commitish: Option<String>,
    /// The target that the plot shows [default: the one measured last].
    #[arg(long)]
    pub target: Option<String>,
}

/// What every row of a run says. The deployment's file fills in what is not given.
#[derive(Debug, Clone, Default, Args)]
pub struct Labels {
    /// What is measured, as `git describe --always --dirty` names it.
    #[arg(long, default_value = "unknown")]
    pub commitish: String,
    /// local, localstack or aws.
    #[arg(long, env = "ENV", default_value = "local")]
    pub env: String,
    /// What the deployment's names begin with.
    #[arg(long, env = "SCOPE", default_value = "")]
    pub scope: String,
    /// Emulator and version [default: the region, or "emulator"].
    #[arg(long, env = "BENCHMARK_TARGET", default_value = "")]
    pub target: String,
    /// Most records in a chunk.
    #[arg(long, env = "CHUNK_SIZE", default_value = "", hide_default_value = true)]
    pub chunk_size: Given,
    /// Most process functions at once.
    #[arg(long, env = "CONCURRENCY", default_value = "", hide_default_value = true)]
    pub concurrency: Given,
    /// Memory of the process function in MB.
    #[arg(long, env = "MEMORY_MB", default_value = "", hide_default_value = true)]
    pub memory_mb: Given,
}

/// A number, or none: make exports a setting that nobody gave as an empty variable.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Given(pub Option<u32>);

impl FromStr for Given {
    type Err = std::num::ParseIntError;
    fn from_str(text: &str) -> std::result::Result<Self, Self::Err> {
        let text = text.trim();
        if text.is_empty() { Ok(Self(None)) } else { text.parse().map(|number| Self(Some(number))) }
    }
}

impl Labels {
    /// Fills in from the deployment what was not given.
    pub fn complete(&mut self, facts: &Facts, emulator: bool) {
        if self.target.is_empty() {
            let region = facts.region.clone().unwrap_or_else(|| "aws".to_owned());
            self.target = if emulator { "emulator".to_owned() } else { region };
        }
        let known = &facts.parameters;
        self.chunk_size.0 = self.chunk_size.0.or(known.chunk_size);
        self.concurrency.0 = self.concurrency.0.or(known.concurrency);
        self.memory_mb.0 = self.memory_mb.0.or(known.memory_mb);
    }
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
    use crate::site::Parameters;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn a_setting_that_nobody_gave_is_none() {
        assert_eq!("".parse(), Ok(Given(None)));
        assert_eq!(" 500".parse(), Ok(Given(Some(500))));
        assert!("many".parse::<Given>().is_err());
    }

    #[test]
    fn the_deployment_fills_in_what_was_not_given() {
        let parameters = Parameters { chunk_size: Some(500), concurrency: Some(50), memory_mb: Some(512) };
        let facts = Facts { region: Some("eu-west-1".into()), parameters, ..Facts::default() };
        let mut labels = Labels { chunk_size: Given(Some(20)), ..Labels::default() };
        labels.complete(&facts, false);
        assert_eq!((labels.chunk_size.0, labels.concurrency.0), (Some(20), Some(50)));
        assert_eq!(labels.target, "eu-west-1");
        let mut labels = Labels::default();
        labels.complete(&facts, true);
        assert_eq!(labels.target, "emulator");
    }
}
