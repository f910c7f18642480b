//! Options that several commands share.

use std::path::PathBuf;
use std::str::FromStr;

use clap::Args;

/// Options of every command that measures a deployment.
#[derive(Debug, Args)]
pub struct Common {
    /// The seed of the records.
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// Requests that the floor has under way at once.
    #[arg(long, default_value_t = 16, value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub width: u32,
    /// Allow more records than a variant is meant for.
    #[arg(long)]
    pub lift_caps: bool,
    /// The file to which rows are appended.
    #[arg(long, default_value = "measurements.csv")]
    pub measurements: PathBuf,
    /// The file that `make deploy` wrote about the deployment.
    #[arg(long, env = "FANFOLD_DEPLOYMENT", default_value = "target/local/deployment.json")]
    pub deployment: PathBuf,
    /// Labels of the run's rows.
    #[command(flatten)]
    pub labels: Labels,
}

/// What every row says about its run. The deployment file supplies what is not given.
#[derive(Debug, Clone, Default, Args)]
pub struct Labels {
    /// The version that is measured, as named by `git describe --always --dirty`.
    #[arg(long, default_value = "unknown")]
    pub commitish: String,
    /// local, localstack or aws.
    #[arg(long, env = "ENV", default_value = "local")]
    pub env: String,
    /// The prefix of the deployment's names.
    #[arg(long, env = "SCOPE", default_value = "")]
    pub scope: String,
    /// Emulator and version [default: the region, or "emulator"].
    #[arg(long, env = "BENCHMARK_TARGET", default_value = "")]
    pub target: String,
    /// Maximum number of records in a chunk.
    #[arg(long, env = "CHUNK_SIZE", default_value = "", hide_default_value = true)]
    pub chunk_size: Given,
    /// Maximum number of process functions at once.
    #[arg(long, env = "CONCURRENCY", default_value = "", hide_default_value = true)]
    pub concurrency: Given,
    /// Memory of the process function in MB.
    #[arg(long, env = "MEMORY_MB", default_value = "", hide_default_value = true)]
    pub memory_mb: Given,
}

/// An optional number: make exports a setting that was not given as an empty variable.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Given(pub Option<u32>);

impl FromStr for Given {
    type Err = std::num::ParseIntError;
    fn from_str(text: &str) -> std::result::Result<Self, Self::Err> {
        let text = text.trim();
        if text.is_empty() { Ok(Self(None)) } else { text.parse().map(|number| Self(Some(number))) }
    }
}

#[cfg(test)]
mod tests {
    use super::Given;

    #[test]
    fn a_setting_that_nobody_gave_is_none() {
        assert_eq!("".parse(), Ok(Given(None)));
        assert_eq!(" 500".parse(), Ok(Given(Some(500))));
        assert!("many".parse::<Given>().is_err());
    }
}
