//! `fanfold plan`: what a batch of a file makes, costs and takes on AWS, before it is uploaded.

mod measure;
mod report;

use std::process::ExitCode;

use clap::Args;

use self::measure::Measured;
use self::report::Told;
use crate::command::settings::RecordSettings;
use crate::output::{line, note};
use fanfold::model::error::{Error, Result};
use fanfold::model::ids::too_many_chunks;
use fanfold::pipeline::variant::{Unit, Variant};
use fanfold_plan::own::Plan;

/// Say what a batch of a file makes, costs and takes on AWS, and what holds it up; nothing is uploaded.
#[derive(Debug, Args)]
pub struct PlanCommand {
    /// The file: on this machine, or s3://BUCKET/KEY, of which the beginning is read.
    #[arg(conflicts_with = "records")]
    file: Option<String>,
    /// How many records there are, instead of a file.
    #[arg(long, value_name = "N", requires = "bytes")]
    #[arg(value_parser = clap::value_parser!(u64).range(1..=1_000_000_000_000))]
    records: Option<u64>,
    /// How many bytes they are.
    #[arg(long, value_name = "B", requires = "records")]
    #[arg(value_parser = clap::value_parser!(u64).range(1..=1_000_000_000_000_000))]
    bytes: Option<u64>,
    /// The variant [default: the one that `fanfold run` uses]
    #[arg(long, value_name = "NAME")]
    variant: Option<String>,
    /// The most workers at once, as it is deployed.
    #[arg(long, value_name = "N", env = "CONCURRENCY", default_value_t = 50)]
    #[arg(value_parser = clap::value_parser!(u32).range(2..=1_000))]
    concurrency: u32,
    /// The memory of a worker in MB.
    #[arg(long, value_name = "MB", default_value_t = 512)]
    #[arg(value_parser = clap::value_parser!(u32).range(128..=10_240))]
    memory: u32,
    /// Units a second that the items table is warmed to, or was used with lately [default: a new table]
    #[arg(long, value_name = "UNITS")]
    #[arg(value_parser = clap::value_parser!(u32).range(4_000..=1_000_000))]
    warm: Option<u32>,
    #[command(flatten)]
    settings: RecordSettings,
    /// Print JSON on standard output.
    #[arg(long)]
    json: bool,
}

impl PlanCommand {
    pub(super) async fn run(&self) -> Result<ExitCode> {
        let variant = self.variant.as_deref().map_or_else(Variant::preferred, Variant::named)?;
        let format = match self.settings.check() {
            Ok((_, format, _)) => format,
            Err(problems) => {
                problems.iter().for_each(|problem| note(format_args!("error: {problem}")));
                return Ok(ExitCode::FAILURE);
            }
        };
        let chunk_size = variant.chunk_size(self.settings.chunk_size as usize);
        let measured = match (&self.file, self.records, self.bytes) {
            (Some(file), ..) => measure::file(file, &format, &self.settings.key_field, chunk_size).await?,
            (None, Some(records), Some(bytes)) => Measured::given(records, bytes, chunk_size),
            (None, ..) => return Err(Error::config("give a file, or --records and --bytes")),
        };
        // What cannot be read in ranges is worked on as by `chunked`.
        let counted = if variant.ranged() && !measured.in_place { "chunked" } else { variant.name };
        let messages = if variant.unit == Unit::Record { measured.records } else { measured.chunks };
        if messages > u64::from(variant.condition.most_chunks()) {
            return Err(Error::malformed(too_many_chunks(variant.condition.most_chunks())));
        }
        let plan = Plan {
            variant: counted.to_owned(),
            records: measured.records,
            bytes: measured.weight,
            chunks: measured.chunks,
            each: measured.in_a_chunk(chunk_size),
            units: measured.units(),
            concurrency: u64::from(self.concurrency),
            memory: u64::from(self.memory),
            warm: self.warm.map(u64::from),
        };
        let predicted = plan.predict().map_err(|known| {
            Error::config(format!("nothing was counted of the variant {}; plans are for {known}", variant.name))
        })?;
        let told = Told::of(plan, &measured, predicted);
        if self.json {
            line(told.document().to_string())?
        } else {
            line(told.words().trim_end())?
        }
        Ok(ExitCode::SUCCESS)
    }
}
