//! What a small batch waits for: the time from upload to summary, in parts.

mod logs;
mod phases;

use std::io::{IsTerminal, Write};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use fanfold::model::error::{Error, Result};
use fanfold::store::Clock;
use fanfold::store::clock::SystemClock;

use crate::batch::{self, Observation};
use crate::check;
use crate::options::Labels;
use crate::records::Records;
use crate::site::Site;
use phases::{Report, Run};

/// How long so small a batch may take.
const PATIENCE: Duration = Duration::from_secs(60);

/// The options of `latency`.
#[derive(Debug, Args)]
pub struct Options {
    /// The variants, which take turns.
    #[arg(long, value_delimiter = ',', default_value = "chunked")]
    variants: Vec<String>,
    /// Records per batch.
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..=10_000))]
    count: u64,
    /// Batches of each variant to measure.
    #[arg(long, default_value_t = 20)]
    repeat: u32,
    /// Batches of each variant to run first without measuring them.
    #[arg(long, default_value_t = 3)]
    warm_up: u32,
    /// The seed of the records.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// The file that `make deploy` wrote about the deployment.
    #[arg(long, env = "FANFOLD_DEPLOYMENT", default_value = "target/local/deployment.json")]
    deployment: PathBuf,
}

/// Runs the batches and prints the medians.
///
/// # Errors
/// What prevents it; a batch that went wrong is also an error.
pub async fn run(options: &Options) -> Result<ExitCode> {
    if options.repeat == 0 || options.variants.is_empty() {
        return Err(Error::config("nothing to measure: name at least one variant and one repeat"));
    }
    let site = Site::open(&options.deployment, &options.variants, Labels::default()).await?;
    let mut runs = vec![Vec::new(); options.variants.len()];
    for repeat in 1..=options.warm_up + options.repeat {
        for (variant, runs) in options.variants.iter().zip(&mut runs) {
            let run = one(&site, variant, options, repeat).await?;
            if repeat > options.warm_up {
                runs.push(run);
            }
        }
        tell(&mut std::io::stderr(), std::io::stderr().is_terminal(), repeat, options.warm_up + options.repeat);
    }
    let named: Vec<(&str, &[Run])> =
        options.variants.iter().map(String::as_str).zip(runs.iter().map(Vec::as_slice)).collect();
    print!("{}", phases::markdown(&named));
    Ok(ExitCode::SUCCESS)
}

/// Shows how many repeats are done: on one line of a terminal, otherwise as a line each.
fn tell(out: &mut impl Write, terminal: bool, done: u32, all: u32) {
    let (start, end) = if terminal { ("\r", if done == all { "\n" } else { "" }) } else { ("", "\n") };
    // If the reader went away, there is nothing to do.
    let _ = write!(out, "{start}{done} of {all}{end}");
}

/// Runs one batch from its upload to its summary.
async fn one(site: &Site, variant: &str, options: &Options, repeat: u32) -> Result<Run> {
    let pipeline = site.pipeline(variant)?;
    let tag = format!("{:x}", SystemClock.now().0);
    let records = Records { seed: options.seed, repeat, tag, count: options.count };
    let key = format!("benchmark/latency-{variant}-{}.csv", records.tag);
    let mut seen = Observation::default();
    let (id, watch) = batch::upload(&pipeline, &key, &records, &mut seen).await?;
    let uploaded = watch.seconds();
    let uploaded_at = SystemClock.now();
    let summary = batch::summary(&pipeline, &id, watch, PATIENCE).await?;
    let (whole, seen_at) = (watch.seconds(), SystemClock.now());
    check::summary(&summary, variant, options.count)?;
    let reports = reports(site, variant, &seen, id.as_str()).await?;
    Ok(Run::new(&summary, uploaded * 1000.0, uploaded_at, seen_at, whole * 1000.0, reports))
}

/// The reports of scatter, process and gather for a batch, if the logs are those of an emulator.
async fn reports(site: &Site, variant: &str, seen: &Observation, batch: &str) -> Result<Option<[Report; 3]>> {
    let (Some(endpoint), Some(started_at)) = (site.endpoint(), seen.started_at) else {
        return Ok(None);
    };
    let functions = site.functions(variant);
    let mut reports = Vec::new();
    for stage in ["scatter", "process", "gather"] {
        let Some(function) = functions.get(stage) else {
            return Ok(None);
        };
        reports.extend(logs::report(endpoint, function, started_at, batch).await?);
    }
    Ok(reports.try_into().ok())
}

#[cfg(test)]
mod tests {
    use super::tell;

    #[test]
    fn a_pipe_gets_lines_and_a_terminal_one_line() {
        let told = |terminal| {
            let mut out = Vec::new();
            (1..=2).for_each(|done| tell(&mut out, terminal, done, 2));
            String::from_utf8(out).unwrap()
        };
        assert_eq!(told(false), "1 of 2\n2 of 2\n");
        assert_eq!(told(true), "\r1 of 2\r2 of 2\n");
    }
}
