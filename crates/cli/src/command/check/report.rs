//! What was found, as a document and in words.

use serde_json::{Map, Value, json};

use super::estimate::Estimated;
use super::findings::{Column, Failure, Findings, KINDS};
use crate::command::report::line;
use crate::command::settings::RecordSettings;
use fanfold::model::error::{Error, Result};
use fanfold::model::fault::Fault;
use fanfold::model::format::{Compression, Dialect, InputFormat, Layout, Utf16};
use fanfold::model::limits::Limits;

/// How many reasons for failures are told.
const SHOWN: usize = 20;

/// A file that was looked at.
pub(super) struct Looked {
    pub(super) name: String,
    pub(super) bytes: u64,
    /// The pattern by which an upload of that name makes no batch.
    pub(super) ignored: Option<String>,
    /// `None` if it cannot be read.
    pub(super) format: Option<InputFormat>,
    /// Whether all of its records were looked at.
    pub(super) whole: bool,
    /// Why it cannot be read, or not further.
    pub(super) fault: Option<Fault>,
    pub(super) findings: Findings,
    /// What a batch of all of it would make, if that can be told.
    pub(super) estimated: Option<Estimated>,
}

impl Looked {
    /// The same with what the limits of a batch say of it.
    pub(super) fn within(mut self, limits: &Limits) -> Self {
        let over = || self.estimated.as_ref().and_then(|estimated| estimated.fault(limits));
        self.fault = self.fault.take().or_else(over);
        self
    }
}

/// A document as text.
///
/// # Errors
/// `Internal`, though never in practice.
pub(super) fn shown(document: &Value) -> Result<String> {
    serde_json::to_string_pretty(document).map_err(|e| Error::internal("the report cannot be shown").because(e))
}

/// What was found, for programs.
pub(super) fn document(problems: &[Error], looked: Option<&Looked>) -> Value {
    let problems: Vec<String> = problems.iter().map(Error::to_string).collect();
    json!({ "problems": problems, "file": looked.map(of_file) })
}

fn of_file(looked: &Looked) -> Value {
    let Looked { name, bytes, ignored, format, whole, fault, findings, estimated } = looked;
    let (succeeded, failed) = (findings.succeeded, findings.failed());
    let failures = findings.failures.iter().take(SHOWN).map(
        |Failure { message, index, line, records, .. }| json!({ "message": message, "index": index, "line": line, "records": records }),
    );
    json!({
        "name": name,
        "bytes": bytes,
        "ignoredBy": ignored,
        "readAs": format,
        "whole": whole,
        "error": fault,
        "records": { "total": succeeded + failed, "succeeded": succeeded, "failed": failed },
        "columns": findings.columns.iter().map(of_column).collect::<Vec<_>>(),
        "missing": findings.missing,
        "failures": failures.collect::<Vec<_>>(),
        "reasons": findings.failures.len(),
        "estimate": estimated.as_ref().map(Estimated::document),
    })
}

fn of_column(column: &Column) -> Value {
    let types: Map<String, Value> = kinds(column).map(|((name, _), count)| (name.to_owned(), count.into())).collect();
    json!({ "name": column.name, "types": types })
}

fn kinds(column: &Column) -> impl Iterator<Item = ((&'static str, &'static str), u64)> {
    KINDS.into_iter().zip(column.counts).filter(|(_, count)| *count > 0)
}

/// What was found, for people.
pub(super) fn words(settings: &RecordSettings, looked: Option<&Looked>) -> String {
    let (schema, key) = (settings.schema_name(), &settings.key_field);
    let text = line("settings", &format!("ok: schema {schema}, key {key}, chunks of {} records", settings.chunk_size));
    looked.map_or(text.clone(), |looked| text + &words_of_file(looked))
}

fn words_of_file(looked: &Looked) -> String {
    let findings = &looked.findings;
    let format = looked.format.as_ref().map(|format| format!(": {}", words_of_format(format))).unwrap_or_default();
    let mut text = line("file", &format!("{}{format}", looked.name));
    if let Some(pattern) = &looked.ignored {
        text += &line("ignored", &format!("the name matches {pattern:?}, so that an upload of it makes no batch"));
    }
    for column in findings.columns.iter().filter(|_| findings.succeeded > 0) {
        let kinds: Vec<String> = kinds(column).map(|((_, name), count)| format!("{name} ({count})")).collect();
        text += &line("column", &format!("{}: {}", column.name, kinds.join(", ")));
    }
    for name in &findings.missing {
        text += &line("missing", &format!("{name}: the schema requires it, and the file has no such column"));
    }
    let (succeeded, failed) = (findings.succeeded, findings.failed());
    let total = succeeded + failed;
    if total > 0 || looked.fault.is_none() {
        let which = if looked.whole { format!("all {total}") } else { format!("the first {total}") };
        text += &line("records", &format!("{which}: {succeeded} would succeed, {failed} would fail"));
    }
    for failure in findings.failures.iter().take(SHOWN) {
        text += &line("failed", &words_of_failure(failure));
    }
    if findings.failures.len() > SHOWN {
        text += &line("failed", &format!("for {} other reasons", findings.failures.len() - SHOWN));
    }
    looked.estimated.iter().for_each(|estimated| text += &line("estimate", &estimated.words()));
    looked.fault.iter().for_each(|fault| text += &line("error", &format!("{}: {}", fault.code, fault.message)));
    text
}

fn words_of_failure(failure: &Failure) -> String {
    let told = failure.message.starts_with("line ");
    let at = failure.line.filter(|_| !told).map(|line| format!(", line {line}")).unwrap_or_default();
    let others = match failure.records - 1 {
        0 => String::new(),
        1 => " (and one more record)".to_owned(),
        more => format!(" (and {more} more records)"),
    };
    format!("record {}{at}: {}{others}", failure.index, failure.message)
}

fn words_of_format(format: &InputFormat) -> String {
    let mut words = match format.layout {
        Layout::Csv if format.columns.is_empty() => words_of_dialect(&format.dialect),
        Layout::Csv => format!("{}, no header row", words_of_dialect(&format.dialect)),
        Layout::Json => format!("a JSON document, records in {}", format.path().join(".")),
        Layout::Jsonl => "JSON Lines".to_owned(),
        Layout::Parquet => return "Parquet".to_owned(),
    };
    match format.utf16 {
        Some(Utf16::Le | Utf16::Be) => words += ", UTF-16",
        None => words += &format!(", {}", format.encoding.to_string().replace("utf", "UTF")),
    }
    words
        + match format.compression {
            Some(Compression::Gzip) => ", gzip",
            Some(Compression::Zstd) => ", Zstandard",
            Some(Compression::Bzip2) => ", bzip2",
            None => "",
        }
}

fn words_of_dialect(dialect: &Dialect) -> String {
    let delimiter = match dialect.delimiter {
        b'\t' => "a tab".to_owned(),
        delimiter => char::from(delimiter).to_string(),
    };
    let mut words = format!("CSV with {delimiter} between columns");
    if dialect.quote != Dialect::STANDARD.quote {
        words += &format!(", quoted by {}", char::from(dialect.quote));
    }
    if let Some(comment) = dialect.comment {
        words += &format!(", comments after {}", char::from(comment));
    }
    words
}
