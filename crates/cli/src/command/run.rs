//! `fanfold run`: a whole batch in this process, without a deployment.

use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;
use indicatif::ProgressBar;

use crate::command::settings::RecordSettings;
use crate::command::{check_output, exit_code, report};
use crate::draft::Draft;
use crate::exec;
use crate::output::{line, note};
use crate::rows;
use crate::source::Source;
use crate::stores::{self, ItemLines};
use fanfold::intake::s3_event::event_of;
use fanfold::model::error::{Error, Result};
use fanfold::model::format::settings::FormatSettings;
use fanfold::model::ids::{BatchId, Revision};
use fanfold::model::input::InputRef;
use fanfold::model::limits::Limits;
use fanfold::model::summary::Summary;
use fanfold::model::tolerance::Tolerance;
use fanfold::pipeline::local::{INPUT, LocalPipeline, LocalStores, Settings};
use fanfold::processor::chain::Chain;
use fanfold::processor::items::WriteItems;
use fanfold::store::blob::file::FileBlob;

/// Process a file on this machine, as a deployment would: nothing is uploaded.
#[derive(Debug, Args)]
pub struct Run {
    /// The file: .csv, .tsv, .txt, .json, .jsonl or .ndjson, each optionally .gz, .zst or .bz2; or .parquet; - for
    /// standard input.
    file: PathBuf,
    /// What the file is called, if not by its own name; needed for standard input.
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
    #[command(flatten)]
    records: RecordSettings,
    /// End the run when more records than this fail: a number, such as 1000, or a percentage, such as 5%, of at least
    /// 1,000 records.
    #[arg(long, value_name = "MOST")]
    tolerate: Option<String>,
    /// Give each valid record to this command, as a JSON line of its standard input, and take a JSON line for each from its
    /// standard output: {"status":"succeeded|temporary|permanent","message","result","item"}, none of them needed.
    #[arg(long, value_name = "COMMAND")]
    exec: Option<String>,
    /// The folder for summary, results, failed records and items; those of an earlier run are replaced.
    #[arg(long, value_name = "DIR", default_value = "fanfold-run")]
    output: PathBuf,
    /// Print the summary as JSON on standard output.
    #[arg(long)]
    json: bool,
}

impl Run {
    pub(super) async fn run(self) -> Result<ExitCode> {
        let source = Source::of(&self.file);
        let key = match source.key_of_records(self.name.as_deref(), "--name") {
            Ok(key) => key,
            Err(usage) => {
                note(format_args!("error: {usage}"));
                return Ok(ExitCode::from(2));
            }
        };
        check_output(Some(&self.output))?;
        let settings = Settings {
            schema: self.records.schema()?,
            key_field: self.records.key_field.clone(),
            chunk_size: self.records.chunk_size as usize,
            // The file was named by its user, whatever it is called.
            format: FormatSettings { ignore: Vec::new(), ..self.records.format()? },
            rows: rows::reader(),
            tolerance: self.tolerate.as_deref().map_or(Ok(Tolerance::All), Tolerance::parse)?,
            // Nothing is paid for on this machine.
            limits: self.records.limits()?.map_or(Limits::NONE, |limits| Limits::of_records(limits.records())),
            ..Settings::default()
        };
        let scratch = tempfile::Builder::new().prefix("fanfold-run-").tempdir();
        let scratch = scratch.map_err(|e| Error::config("could not make a temporary folder").because(e))?;
        let stores = stores::open(scratch.path())?;
        let items = ItemLines::create(&scratch.path().join("items.jsonl"))?;
        let file = source.as_file(&scratch.path().join("spooled")).await?;
        let begun = self.adopt(&stores, &key, &file)?;
        let store = WriteItems::new(items.clone());
        match &self.exec {
            None => self.work(LocalPipeline::with_stores(&settings, stores, store)?, begun, &items).await,
            Some(command) => {
                let chain = Chain { first: exec::processor(command)?, then: store };
                self.work(LocalPipeline::with_stores(&settings, stores, chain)?, begun, &items).await
            }
        }
    }

    /// Works on the batch until it has ended, and keeps its outputs.
    async fn work(
        &self,
        pipeline: LocalPipeline<LocalStores<FileBlob>>,
        (batch, event): (BatchId, String),
        items: &ItemLines,
    ) -> Result<ExitCode> {
        let bar = if std::io::stderr().is_terminal() { ProgressBar::new_spinner() } else { ProgressBar::hidden() };
        let look = || {
            bar.set_message(format!("{} items", items.written()));
            bar.tick();
        };
        let summary = pipeline.run_batch(&batch, event, look).await;
        bar.finish_and_clear();
        let summary = summary?;
        self.keep(&pipeline.stores, items, &summary)?;
        if self.json {
            line(report::json(&summary)?)?;
        } else {
            line(report::local(&summary, &self.output).trim_end())?;
        }
        Ok(exit_code(summary.state))
    }

    /// The batch that the file will become, and the event that would announce its upload.
    fn adopt(&self, stores: &LocalStores<FileBlob>, key: &str, file: &Path) -> Result<(BatchId, String)> {
        let cannot = |e| Error::config(format!("could not read {}", file.display())).because(e);
        let bytes = std::fs::metadata(file).map_err(cannot)?.len();
        let version = stores.input.adopt(key, file)?;
        let batch = BatchId::of(INPUT, key, &Revision::Version(version.clone()));
        let (bucket, key, version_id) = (INPUT.to_owned(), key.to_owned(), Some(version));
        let input = InputRef { bucket, key, version_id, e_tag: None, bytes, format: None, read_as: None };
        Ok((batch, event_of(&input).unwrap_or_default()))
    }

    /// Puts the outputs into the folder, replacing those of an earlier run.
    fn keep(&self, stores: &LocalStores<FileBlob>, items: &ItemLines, summary: &Summary) -> Result<()> {
        let cannot = |e| Error::config(format!("could not write to {}", self.output.display())).because(e);
        std::fs::create_dir_all(&self.output).map_err(cannot)?;
        for name in OUTPUTS {
            let path = self.output.join(name);
            if path.is_file() {
                std::fs::remove_file(&path).map_err(cannot)?;
            }
        }
        for key in report::outputs(summary) {
            let from =
                stores.output.path(&key).ok_or_else(|| Error::internal(format!("the output {key} is missing")))?;
            let mut draft = Draft::begin(&self.output.join(report::file_name(&key))).map_err(cannot)?;
            std::io::copy(&mut std::fs::File::open(from).map_err(cannot)?, draft.file()).map_err(cannot)?;
            draft.keep().map_err(cannot)?;
        }
        items.finish(&self.output.join("items.jsonl"))
    }
}

/// The files that a run may leave.
const OUTPUTS: [&str; 8] = [
    "summary.json",
    "results.csv",
    "results.json",
    "results.jsonl",
    "failed.csv",
    "failed.json",
    "failed.jsonl",
    "items.jsonl",
];
