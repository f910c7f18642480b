//! `fanfold check`: what a deployment with these settings would refuse, and what would become of a file's first records.

mod estimate;
mod findings;
mod report;
pub(super) mod sample;

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;

use self::estimate::Estimated;
use self::findings::Findings;
use self::report::{Looked, shown};
use self::sample::Sample;
use crate::command::settings::RecordSettings;
use crate::output::{line, note};
use crate::source::Source;
use fanfold::format::detect::{HEAD, detect};
use fanfold::model::error::{Error, Result};
use fanfold::model::format::Layout;
use fanfold::model::format::settings::FormatSettings;
use fanfold::model::processing::Processing;
use fanfold::model::schema::RecordSchema;
use fanfold::pipeline::variant::Variant;

/// Check settings before they are deployed, and a file's first records before it is uploaded.
#[derive(Debug, Args)]
pub struct Check {
    #[command(flatten)]
    settings: RecordSettings,
    /// Also look at the first records of this file: which would succeed, and what its columns become.
    #[arg(long, value_name = "FILE")]
    file: Option<PathBuf>,
    /// What the file is called, if not by its own name; needed for standard input.
    #[arg(long, value_name = "NAME", requires = "file")]
    name: Option<String>,
    /// What is done with records: JSON such as ["custom","items"], or a file that holds it.
    #[arg(long, value_name = "JSON", env = "PROCESSORS")]
    processors: Option<String>,
    /// The variant that costs are estimated for [default: the one that `fanfold run` uses]
    #[arg(long, value_name = "NAME", requires = "file")]
    variant: Option<String>,
    /// How many records of the file to look at.
    #[arg(long, value_name = "N", default_value_t = 100, requires = "file")]
    #[arg(value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    records: u32,
    /// Print JSON on standard output.
    #[arg(long)]
    json: bool,
}

impl Check {
    pub(super) async fn run(&self) -> Result<ExitCode> {
        let named = self.file.as_deref().map(|file| Source::of(file).key_of_records(self.name.as_deref(), "--name"));
        let name = match named.transpose() {
            Ok(name) => name,
            Err(usage) => {
                note(format_args!("error: {usage}"));
                return Ok(ExitCode::from(2));
            }
        };
        let (schema, format, limits) = match (self.settings.check(), self.processing()) {
            (Ok(checked), Ok(processing)) => match processing.check(&checked.0, None) {
                Ok(()) => checked,
                Err(problem) => return self.refuse(&[problem]),
            },
            (checked, processing) => {
                let mut problems = checked.err().unwrap_or_default();
                problems.extend(processing.err());
                return self.refuse(&problems);
            }
        };
        let variant = match self.variant.as_deref().map_or_else(Variant::preferred, Variant::named) {
            Ok(variant) => variant,
            Err(problem) => return self.refuse(&[problem]),
        };
        let looked = match (&self.file, name) {
            (Some(file), Some(name)) => {
                let looked = self.look(file, name, &schema, &format, variant).await?;
                Some(looked.within(&limits))
            }
            _ => None,
        };
        if self.json {
            line(shown(&report::document(&[], looked.as_ref()))?)?;
        } else {
            line(report::words(&self.settings, looked.as_ref()).trim_end())?;
        }
        Ok(looked.map_or(ExitCode::SUCCESS, |looked| match (&looked.fault, looked.findings.failed()) {
            (Some(_), _) => ExitCode::from(4),
            (None, 0) => ExitCode::SUCCESS,
            (None, _) => ExitCode::from(3),
        }))
    }

    /// What is done with records; a deployment's default if nothing is said.
    fn processing(&self) -> Result<Processing> {
        let given = self.processors.as_deref().filter(|given| !given.trim().is_empty());
        let Some(given) = given else {
            return Ok(Processing::default());
        };
        // No JSON is a file's name, but for one that somebody chose to confuse others.
        let text = std::fs::read_to_string(given).unwrap_or_else(|_| given.to_owned());
        Processing::parse(&text)
    }

    fn refuse(&self, problems: &[Error]) -> Result<ExitCode> {
        if self.json {
            line(shown(&report::document(problems, None))?)?;
        } else {
            problems.iter().for_each(|problem| note(format_args!("error: {problem}")));
        }
        Ok(ExitCode::FAILURE)
    }

    /// Looks at a file's first records, as a batch would.
    async fn look(
        &self,
        path: &Path,
        name: String,
        schema: &RecordSchema,
        settings: &FormatSettings,
        variant: Variant,
    ) -> Result<Looked> {
        let cannot = |e| Error::config(format!("could not read {}", path.display())).because(e);
        let mut file = File::open(Source::of(path).path()).map_err(cannot)?;
        let bytes = file.metadata().map_err(cannot)?.len();
        let mut head = Vec::new();
        file.by_ref().take(HEAD as u64).read_to_end(&mut head).map_err(cannot)?;
        let ignored = settings.ignored(&name).map(str::to_owned);
        let found = detect(&name, &head, settings);
        Ok(match found {
            Err(fault) => {
                let findings = Findings::default();
                let (format, estimated) = (None, None);
                Looked { name, bytes, ignored, format, whole: false, fault: Some(fault), findings, estimated }
            }
            Ok(format) => {
                let most = self.records as usize;
                let sample = if format.layout == Layout::Parquet {
                    Sample::of_rows(file, most).await?
                } else {
                    Sample::read(head, file, &format, &self.settings.key_field, most).map_err(cannot)?
                };
                let findings = Findings::of(&sample, schema, format.layout);
                let chunk_size = self.settings.chunk_size as usize;
                let estimated = Estimated::of(&sample, &format, bytes, variant, chunk_size);
                let Sample { whole, fault, .. } = sample;
                Looked { name, bytes, ignored, format: Some(format), whole, fault, findings, estimated }
            }
        })
    }
}
