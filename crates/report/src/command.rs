//! The `fanfold-report` command.

use std::fs;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::{Parser, Subcommand};

use crate::render::{TEMPLATE, render_within};
use crate::report::Report;

/// Turns the data of a report into a PDF document.
#[derive(Debug, Parser)]
#[command(name = "fanfold-report", version)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Renders a report as a PDF/UA-1 document
    Render {
        /// The data of the report, a JSON file; - reads standard input
        data: PathBuf,
        /// A typst file that is used instead of the embedded template
        #[arg(long, value_name = "FILE")]
        template: Option<PathBuf>,
        /// Where the document is written [default: the name of the data with .pdf; - writes to standard output]
        #[arg(long, short, value_name = "FILE")]
        output: Option<PathBuf>,
        /// Seconds after which a template that is not done is given up
        #[arg(long, value_name = "SECONDS", default_value_t = 60, value_parser = clap::value_parser!(u64).range(1..))]
        limit: u64,
    },
    /// Prints the embedded template, to begin one's own with
    Template,
}

impl Cli {
    /// Does what was asked for.
    ///
    /// # Errors
    /// What to tell the user.
    pub fn run(self) -> Result<(), String> {
        match self.command {
            Command::Render { data, template, output, limit } => {
                let output =
                    output.unwrap_or_else(|| if is_standard(&data) { "-".into() } else { data.with_extension("pdf") });
                if output == data && !is_standard(&data) {
                    return Err(format!("{} would be overwritten by its document; give --output", data.display()));
                }
                let template = template.map(|path| text(&path)).transpose()?;
                let report = Report::parse(&read(&data)?).map_err(|error| format!("{}: {error}", data.display()))?;
                let pdf = render_within(&report, template.as_deref(), Duration::from_secs(limit))
                    .map_err(|e| e.to_string())?;
                write(&output, &pdf)
            }
            Command::Template => write(Path::new("-"), TEMPLATE.as_bytes()),
        }
    }
}

fn is_standard(path: &Path) -> bool {
    path == Path::new("-")
}

fn read(path: &Path) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::new();
    let read =
        if is_standard(path) { std::io::stdin().lock().read_to_end(&mut bytes).map(|_| bytes) } else { fs::read(path) };
    read.map_err(|error| format!("cannot read {}: {error}", path.display()))
}

fn text(path: &Path) -> Result<String, String> {
    String::from_utf8(read(path)?).map_err(|error| format!("{} is no text: {error}", path.display()))
}

fn write(path: &Path, bytes: &[u8]) -> Result<(), String> {
    let written = if is_standard(path) {
        let mut output = std::io::stdout().lock();
        output.write_all(bytes).and_then(|()| output.flush())
    } else {
        fs::write(path, bytes)
    };
    written.map_err(|error| format!("cannot write {}: {error}", path.display()))
}
