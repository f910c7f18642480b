//! Measures how much memory one stage takes on a large file: each stage of each variant runs as a process of
//! its own on stores in files, and reports its peak memory.

mod input;
mod invocations;
pub mod resident;
pub mod stage;
mod table;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::str::FromStr;

use clap::Args;
use fanfold::model::error::{Error, Result};
use fanfold::model::format::{InputFormat, Layout};
use fanfold::model::ids::BatchId;
use fanfold::model::summary::Summary;
use fanfold::pipeline::variant::{Unit, Variant};

use input::{Made, Shape};
use invocations::Invocations;
use stage::{ChildReport, Role};
use table::{Line, MIB};

/// The size of a record in variants that write a file per record: 1 GiB would otherwise be ten million files.
const SINGLE_RECORD_BYTES: usize = 64 * 1024;

/// This program, even if another has been built in its place meanwhile.
const MYSELF: &str = "/proc/self/exe";

/// The options of `memory`.
#[derive(Debug, Clone, Args)]
pub struct Options {
    /// The variants.
    #[arg(long, value_delimiter = ',', default_value = "chunked")]
    variants: Vec<String>,
    /// The formats of the input: csv, json, jsonl.
    #[arg(long, value_delimiter = ',', default_value = "csv,json,jsonl")]
    formats: Vec<String>,
    /// How large the input is, as in 300MB or 1GiB.
    #[arg(long, default_value = "1GiB")]
    bytes: Size,
    /// Maximum number of records in a chunk.
    #[arg(long, default_value_t = 500)]
    chunk_size: usize,
    /// Minimum size of a record [default: 65536 where a message is about one record, otherwise as generated,
    /// about 100].
    #[arg(long)]
    record_bytes: Option<usize>,
    /// The seed of the records.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Run scatter and gather in invocations of so many seconds, and compare the results with the input, a CSV file.
    #[arg(long)]
    limit: Option<u32>,
    /// How many of these invocations of a stage to kill.
    #[arg(long, default_value_t = 0, requires = "limit")]
    kills: u32,
    /// A folder for the files, which take four times the size of the input; they are removed at the end.
    #[arg(long, default_value = "target/memory")]
    work_dir: PathBuf,
}

/// A number of bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Size(u64);

impl FromStr for Size {
    type Err = String;
    fn from_str(text: &str) -> std::result::Result<Self, Self::Err> {
        let digits = text.len() - text.trim_start_matches(|c: char| c.is_ascii_digit()).len();
        let unit = match text[digits..].trim().to_ascii_lowercase().as_str() {
            "" | "b" => 1,
            "kb" => 1000,
            "mb" => 1_000_000,
            "gb" => 1_000_000_000,
            "kib" => 1 << 10,
            "mib" => 1 << 20,
            "gib" => 1 << 30,
            other => return Err(format!("{other:?} is no unit of bytes; it can be KB, MB, GB, KiB, MiB or GiB")),
        };
        let bytes = text[..digits].parse::<u64>().ok().and_then(|number| number.checked_mul(unit));
        bytes.map(Size).ok_or_else(|| format!("{text:?} is no number of bytes"))
    }
}

/// Measures, prints the table, and fails if a stage took more memory than is allowed.
///
/// # Errors
/// What prevents a measurement.
pub async fn run(options: &Options) -> Result<ExitCode> {
    let variants = options.variants.iter().map(|name| Variant::named(name)).collect::<Result<Vec<_>>>()?;
    let layouts = options.formats.iter().map(|name| layout(name)).collect::<Result<Vec<_>>>()?;
    let mut lines = Vec::new();
    for &layout in &layouts {
        for &variant in &variants {
            let case = Case::new(options, variant, layout);
            lines.extend(case.measure().await?);
        }
        remove(&options.work_dir.join(inputs(layout)))?;
    }
    print!("{}", table::markdown(&lines));
    let exceeded = table::exceeded(&lines);
    exceeded.iter().for_each(|problem| eprintln!("too much: {problem}"));
    Ok(if exceeded.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn layout(name: &str) -> Result<Layout> {
    match InputFormat::of_key(&format!("input.{name}")) {
        Ok(format) if format.is_in_place() => Ok(format.layout),
        _ => Err(Error::config(format!("{name:?} is not a format that can be measured; use csv, json or jsonl"))),
    }
}

fn inputs(layout: Layout) -> String {
    format!("inputs-{}", layout.extension())
}

fn remove(folder: &Path) -> Result<()> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(on_disk(folder)(error)),
        _ => Ok(()),
    }
}

fn on_disk(path: &Path) -> impl FnOnce(std::io::Error) -> Error {
    let path = path.display().to_string();
    move |error| Error::internal(path).because(error)
}

/// One variant with one format.
struct Case {
    variant: Variant,
    shape: Shape,
    chunk_size: usize,
    inputs: PathBuf,
    root: PathBuf,
    key: String,
    invocations: Option<Invocations>,
}

impl Case {
    fn new(options: &Options, variant: Variant, layout: Layout) -> Self {
        let usual = if variant.unit == Unit::Record { SINGLE_RECORD_BYTES } else { 0 };
        let record_bytes = options.record_bytes.unwrap_or(usual);
        Self {
            variant,
            shape: Shape { layout, bytes: options.bytes.0, record_bytes, seed: options.seed },
            chunk_size: options.chunk_size,
            inputs: options.work_dir.join(inputs(layout)),
            root: options.work_dir.join(format!("{}-{}", variant.name, layout.extension())),
            key: format!("input.{}", layout.extension()),
            invocations: options.limit.map(|limit| Invocations { limit, kills: options.kills }),
        }
    }

    async fn measure(&self) -> Result<Vec<Line>> {
        remove(&self.root)?;
        let (file, made) = self.input()?;
        let batch = stage::submit(&self.root, &self.key, &file)?;
        eprintln!("{} {}: {} records", self.variant.name, self.shape.layout.extension(), made.records);
        let scatter = self.stage(Role::Scatter)?;
        let idle = self.child(Role::Idle, 0)?;
        let last = scatter.messages.saturating_sub(1);
        let single = [0, last / 2, last].map(|message| self.child(Role::Process, message));
        let single = single.into_iter().collect::<Result<Vec<_>>>()?;
        let all = self.child(Role::ProcessAll, 0)?;
        let gather = self.stage(Role::Gather)?;
        let items = all.items + single.iter().map(|told| told.items).sum::<u64>();
        // A killed scatter sends chunks again, and two copies may be processed together, each time to the same items.
        let wanted = made.records - made.failing;
        let items = if self.invocations.is_some() && items > wanted { wanted } else { items };
        check(&stage::summary(&self.root, &batch).await?, &batch, made, items)?;
        if self.invocations.is_some() {
            let results = stage::bucket(&self.root, "output")?.path_of(&batch.output_key("results.csv"));
            invocations::compare(&file, &results)?;
        }
        remove(&self.root)?;
        Ok(self.lines(made, &scatter, &idle, &single, &all, &gather))
    }

    /// Generates the input.
    fn input(&self) -> Result<(PathBuf, Made)> {
        let path = self.inputs.join(format!("{}.{}", self.shape.record_bytes, self.shape.layout.extension()));
        fs::create_dir_all(&self.inputs).map_err(on_disk(&self.inputs))?;
        // A file already there may be from another run: generating it again takes seconds, and gives its counts.
        let _ = fs::remove_file(&path);
        let made = input::write(&path, &self.shape).map_err(on_disk(&path))?;
        Ok((path, made))
    }

    /// Runs a stage in a process of its own, or in as many as it takes if their time is limited.
    fn stage(&self, role: Role) -> Result<ChildReport> {
        let Some(invocations) = self.invocations else {
            return self.child(role, 0);
        };
        let limit = invocations.limit.to_string();
        let (told, many) = invocations.run(|number| {
            let mut command = self.command(role);
            command.args(["--limit", &limit, "--invocation", &number.to_string()]);
            command
        })?;
        eprintln!("  {role}: {:.1} MiB, {:.1} s in {many} invocations", told.peak_kib as f64 / 1024.0, told.seconds);
        Ok(told)
    }

    fn command(&self, role: Role) -> Command {
        let mut command = Command::new(MYSELF);
        command
            .arg("memory-stage")
            .args(["--role", &role.to_string(), "--variant", self.variant.name, "--key", &self.key])
            .args(["--chunk-size", &self.chunk_size.to_string()])
            .arg("--root")
            .arg(&self.root);
        command
    }

    /// Runs a stage in a process of its own.
    fn child(&self, role: Role, message: u64) -> Result<ChildReport> {
        let output = self
            .command(role)
            .args(["--message", &message.to_string()])
            .stderr(Stdio::inherit())
            .output()
            .map_err(|e| Error::internal("a process cannot be started").because(e))?;
        if !output.status.success() {
            return Err(Error::internal(format!("{role} of {} failed: {}", self.variant.name, output.status)));
        }
        let told: ChildReport = serde_json::from_slice(&output.stdout)
            .map_err(|e| Error::internal(format!("{role} reported nothing")).because(e))?;
        eprintln!("  {role}: {:.1} MiB, {:.1} s", told.peak_kib as f64 / 1024.0, told.seconds);
        Ok(told)
    }

    fn lines(
        &self,
        made: Made,
        scatter: &ChildReport,
        idle: &ChildReport,
        single: &[ChildReport],
        all: &ChildReport,
        gather: &ChildReport,
    ) -> Vec<Line> {
        let line = |stage: &str, told: &ChildReport, bytes: u64| Line {
            variant: self.variant.name.to_owned(),
            format: self.shape.layout.extension().to_owned(),
            stage: stage.to_owned(),
            peak: told.peak_kib as f64 / 1024.0,
            above: None,
            seconds: told.seconds,
            megabytes: bytes as f64 / MIB,
            limit: None,
        };
        let above =
            |told: &ChildReport| (told.peak_kib as f64 - idle.peak_kib as f64) / 1024.0 - told.chunk_bytes as f64 / MIB;
        let mut lines = vec![line(table::SCATTER, scatter, made.bytes).limited_to(self.most_streamed())];
        lines.push(line("process, idle", idle, 0));
        if let Some(most) = single.iter().max_by(|a, b| above(a).total_cmp(&above(b))) {
            let above = Some(above(most).max(0.0));
            let line = Line { above, ..line(table::PROCESS, most, most.chunk_bytes) };
            lines.push(line.limited_to(table::MOST_ABOVE_CHUNK));
        }
        lines.push(line("process, all chunks", all, made.bytes));
        lines.push(line(table::GATHER, gather, made.bytes).limited_to(self.most_streamed()));
        lines
    }

    /// The most memory of a stage that streams, in MiB: a checkpoint may hold hashes of keys once more.
    fn most_streamed(&self) -> f64 {
        table::MOST_STREAMED + if self.invocations.is_some() { 32.0 } else { 0.0 }
    }
}

/// Checks that the batch went right; otherwise nothing was measured.
fn check(summary: &Summary, batch: &BatchId, made: Made, items: u64) -> Result<()> {
    let counts = (summary.records.total, summary.records.failed, items);
    let wanted = (made.records, made.failing, made.records - made.failing);
    if counts != wanted || summary.chunks.failed > 0 || summary.error.is_some() {
        return Err(Error::internal(format!(
            "batch {batch} went wrong: records, failed and items are {counts:?} instead of {wanted:?}, {:?}",
            summary.error
        )));
    }
    Ok(())
}

#[cfg(test)]
mod tests;
