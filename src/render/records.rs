//! The two files of outcomes, written as streams: `results`, every record in input order, and `failed`, only the
//! failed records in the input's own form, so that they can be corrected and uploaded.

use serde_json::{Map, Value};

use crate::format::csv::encode;
use crate::model::error::{Error, Result};
use crate::model::format::{Dialect, InputFormat, Layout};
use crate::model::record::{Outcome, Raw};
use crate::render::{Document, Filter, Render};

/// The columns of a CSV file whose scatter died before it could record them, by one of its rows.
pub fn columns_of(outcome: &Outcome) -> Vec<String> {
    let row: Option<Map<String, Value>> = serde_json::from_str(outcome.request.get()).ok();
    row.map(|row| row.into_iter().map(|(name, _)| name).collect()).unwrap_or_default()
}

/// Which of the two files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Every record with its outcome.
    Results,
    /// The failed records as they were uploaded.
    Failed,
}

/// What is known of the file that the records come from.
#[derive(Debug, Clone)]
pub struct Source {
    /// Its format.
    pub format: InputFormat,
    /// The columns of a CSV file, otherwise empty.
    pub columns: Vec<String>,
    /// The bytes that name them.
    pub head: Option<Raw>,
}

/// Returns both files of a batch.
pub fn documents(source: &Source) -> Vec<Document> {
    vec![document("results", Kind::Results, Filter::All, source, "results"), failed(source, "failed")]
}

/// Returns the file of failed records, given its name without its extension.
pub fn failed(source: &Source, stem: &str) -> Document {
    document("failed", Kind::Failed, Filter::Failed, source, stem)
}

fn document(name: &'static str, kind: Kind, filter: Filter, source: &Source, stem: &str) -> Document {
    let layout = source.format.layout;
    let (file, content_type) = (format!("{stem}.{}", layout.extension()), layout.content_type());
    Document { name, file, content_type, filter, render: render(kind, source) }
}

/// Renders one of the two files.
pub fn render(kind: Kind, source: &Source) -> Box<dyn Render> {
    match (source.format.layout, kind) {
        (Layout::Csv, Kind::Results) => Box::new(CsvResults::new(source)),
        (Layout::Csv, Kind::Failed) => Box::new(CsvFailed::new(source)),
        (Layout::Json, kind) => Box::new(JsonDocument { kind, empty: true }),
        (Layout::Jsonl | Layout::Parquet, kind) => Box::new(JsonLines { kind }),
    }
}

/// All rows, and for each whether it succeeded and why not. They have a header row even if the input has none: what is
/// added to them needs names, and nobody uploads them again.
struct CsvResults {
    dialect: Dialect,
    columns: Vec<String>,
}

impl CsvResults {
    fn new(source: &Source) -> Self {
        Self { dialect: source.format.dialect, columns: source.columns.clone() }
    }

    fn row(&self, cells: &[String], out: &mut Vec<u8>) -> Result<()> {
        let Dialect { delimiter, quote, .. } = self.dialect;
        let mut writer = csv::WriterBuilder::new().delimiter(delimiter).quote(quote).from_writer(out);
        writer.write_record(cells).map_err(|e| Error::internal("a row cannot be written").because(e))?;
        writer.flush().map_err(|e| Error::internal("a row cannot be written").because(e))
    }

    /// The record's cells in the header's order; a row of a different length is cut or padded.
    fn cells(&self, record: &str) -> Result<Vec<String>> {
        let mut cells = match faulty_text(record)? {
            Some(text) => divide(&text, &self.dialect),
            None if record == "null" => Vec::new(),
            None => {
                let row = fields(record)?;
                self.columns.iter().map(|column| cell(&row, column)).collect()
            }
        };
        cells.resize(self.columns.len(), String::new());
        Ok(cells)
    }
}

/// The cells of a row that is not in order, as far as they can be told.
pub(super) fn divide(text: &str, dialect: &Dialect) -> Vec<String> {
    let Dialect { delimiter, quote, .. } = *dialect;
    let mut reader = csv::ReaderBuilder::new();
    reader.has_headers(false).flexible(true).delimiter(delimiter).quote(quote);
    let row = reader.from_reader(text.as_bytes()).records().next().and_then(std::result::Result::ok);
    row.unwrap_or_default().iter().map(str::to_owned).collect()
}

impl Render for CsvResults {
    fn begin(&mut self, out: &mut Vec<u8>) {
        let own = ["success", "message"].map(|name| free(name, &self.columns));
        let row = self.row(&[self.columns.as_slice(), &own].concat(), out);
        debug_assert!(row.is_ok(), "a write to memory");
    }

    fn add(&mut self, outcome: &Outcome, out: &mut Vec<u8>) -> Result<()> {
        let mut cells = self.cells(outcome.request.get())?;
        cells.push(outcome.response.success.to_string());
        cells.push(no_formula(&outcome.response.message));
        self.row(&cells, out)
    }

    fn end(&mut self, _: &mut Vec<u8>) {}
}

/// A message as a cell that no spreadsheet takes for a formula: it may begin with the name of a column or with a value,
/// which those who upload choose (<https://owasp.org/www-community/attacks/CSV_Injection>).
pub(super) fn no_formula(message: &str) -> String {
    let quote = if message.starts_with(['=', '+', '-', '@', '\t', '\r']) { "'" } else { "" };
    format!("{quote}{message}")
}

/// A name for a column that is added to those of the input.
fn free(name: &str, columns: &[String]) -> String {
    let mut name = name.to_owned();
    while columns.contains(&name) {
        name.insert_str(0, "fanfold_");
    }
    name
}

/// The rows that failed as they are in the input, under its header if it has one.
struct CsvFailed {
    dialect: Dialect,
    columns: Vec<String>,
    head: Vec<u8>,
    line_end: &'static [u8],
}

impl CsvFailed {
    fn new(source: &Source) -> Self {
        let (dialect, columns) = (source.format.dialect, source.columns.clone());
        if !source.format.columns.is_empty() {
            return Self { dialect, columns, head: Vec::new(), line_end: b"\n" };
        }
        let mut head = source.head.as_ref().map_or_else(Vec::new, |head| head.bytes().to_vec());
        if head.is_empty() {
            encode(columns.iter().map(String::as_str), &dialect, &mut head);
        }
        let line_end: &[u8] = match head.as_slice() {
            [.., b'\r', b'\n'] => b"\r\n",
            [.., b'\r'] => b"\r",
            _ => b"\n",
        };
        if !head.ends_with(line_end) {
            head.extend_from_slice(line_end);
        }
        Self { dialect, columns, head, line_end }
    }
}

impl Render for CsvFailed {
    fn begin(&mut self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.head);
    }

    /// Leaves out what was too large to keep.
    fn add(&mut self, outcome: &Outcome, out: &mut Vec<u8>) -> Result<()> {
        let record = outcome.request.get();
        match (&outcome.raw, faulty_text(record)?) {
            (Some(raw), _) => out.extend_from_slice(raw.bytes()),
            (None, Some(text)) => out.extend_from_slice(text.as_bytes()),
            (None, None) if record == "null" => return Ok(()),
            (None, None) => {
                let row = fields(record)?;
                let cells: Vec<String> = self.columns.iter().map(|column| cell(&row, column)).collect();
                encode(cells.iter().map(String::as_str), &self.dialect, out);
            }
        }
        out.extend_from_slice(self.line_end);
        Ok(())
    }

    fn end(&mut self, _: &mut Vec<u8>) {}
}

/// One document, with the records or their outcomes in its member `records`.
struct JsonDocument {
    kind: Kind,
    empty: bool,
}

impl Render for JsonDocument {
    fn begin(&mut self, out: &mut Vec<u8>) {
        out.extend_from_slice(b"{\"records\":[");
    }

    fn resume(&mut self, empty: bool) {
        self.empty = empty;
    }

    fn is_empty(&self) -> bool {
        self.empty
    }

    fn add(&mut self, outcome: &Outcome, out: &mut Vec<u8>) -> Result<()> {
        let record = outcome.request.get();
        if self.kind == Kind::Failed && record == "null" && outcome.raw.is_none() {
            return Ok(());
        }
        out.extend_from_slice(if self.empty { b"\n" } else { b",\n" });
        self.empty = false;
        match (self.kind, &outcome.raw) {
            (Kind::Results, _) => out.extend_from_slice(json(outcome)?.as_bytes()),
            (Kind::Failed, Some(raw)) => out.extend_from_slice(raw.bytes()),
            (Kind::Failed, None) => out.extend_from_slice(record.as_bytes()),
        }
        Ok(())
    }

    fn end(&mut self, out: &mut Vec<u8>) {
        out.extend_from_slice(if self.empty { b"]}\n" } else { b"\n]}\n" });
    }
}

/// A record or an outcome a line.
struct JsonLines {
    kind: Kind,
}

impl Render for JsonLines {
    fn begin(&mut self, _: &mut Vec<u8>) {}

    fn add(&mut self, outcome: &Outcome, out: &mut Vec<u8>) -> Result<()> {
        let record = outcome.request.get();
        if self.kind == Kind::Results {
            out.extend_from_slice(json(outcome)?.as_bytes());
        } else if let Some(raw) = &outcome.raw {
            out.extend_from_slice(raw.bytes());
        } else if let Some(text) = faulty_text(record)? {
            out.extend_from_slice(text.as_bytes());
        } else if record == "null" {
            return Ok(());
        } else {
            out.extend_from_slice(record.as_bytes());
        }
        out.push(b'\n');
        Ok(())
    }

    fn end(&mut self, _: &mut Vec<u8>) {}
}

/// The text of a record that could not be decoded; process keeps it as a JSON string.
pub(super) fn faulty_text(record: &str) -> Result<Option<String>> {
    if record.starts_with('"') { serde_json::from_str(record).map(Some).map_err(unreadable) } else { Ok(None) }
}

pub(super) fn fields(record: &str) -> Result<Map<String, Value>> {
    serde_json::from_str(record).map_err(unreadable)
}

/// The cell of a column, which is empty if the column has no name.
pub(super) fn cell(row: &Map<String, Value>, column: &str) -> String {
    match row.get(column) {
        Some(Value::String(text)) => text.clone(),
        Some(other) => other.to_string(),
        None => String::new(),
    }
}

/// An outcome as its line in the results, which has no need for the input's bytes and lines.
fn json(outcome: &Outcome) -> Result<String> {
    serde_json::to_string(&Outcome { raw: None, line: 0, object: None, ..outcome.clone() }).map_err(unreadable)
}

fn unreadable(error: serde_json::Error) -> Error {
    Error::internal("an outcome's record is not readable").because(error)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::record::Entry;
    use serde_json::value::{RawValue, to_raw_value};

    fn write(kind: Kind, layout: Layout, outcomes: &[Outcome]) -> String {
        let columns = if layout == Layout::Csv { vec!["itemNo".to_owned(), "note".to_owned()] } else { Vec::new() };
        let mut encoder = render(kind, &Source { format: InputFormat::plain(layout), columns, head: None });
        let mut out = Vec::new();
        encoder.begin(&mut out);
        let wanted = |outcome: &&Outcome| kind == Kind::Results || !outcome.response.success;
        for outcome in outcomes.iter().filter(wanted) {
            encoder.add(outcome, &mut out).unwrap();
        }
        encoder.end(&mut out);
        String::from_utf8(out).unwrap()
    }

    fn outcomes() -> Vec<Outcome> {
        let record = |text: &str| RawValue::from_string(text.to_owned()).unwrap();
        vec![
            Outcome::of(Entry::decoded(0, record(r#"{"itemNo":"1","note":"a, \"b\"\nc"}"#)), None),
            Outcome::of(Entry::decoded(1, record(r#"{"itemNo":"","note":"n"}"#)), Some("no key".into())),
            Outcome::of(Entry::faulty(2, Some("3,\"x,y\",z"), "line 4"), Some("line 4".into())),
            Outcome::of(Entry::faulty(3, None, "too large"), Some("too large".into())),
        ]
    }

    #[test]
    fn csv_results_hold_every_row_and_failed_only_what_can_be_mended() {
        assert_eq!(
            write(Kind::Results, Layout::Csv, &outcomes()),
            "itemNo,note,success,message\n1,\"a, \"\"b\"\"\nc\",true,\n,n,false,no key\n3,\"x,y\",false,line 4\n,,false,too large\n"
        );
        assert_eq!(write(Kind::Failed, Layout::Csv, &outcomes()), "itemNo,note\n,n\n3,\"x,y\",z\n");
    }

    #[test]
    fn no_message_is_a_formula_for_a_spreadsheet() {
        let outcome = |reason: &str| {
            let record = RawValue::from_string(r#"{"itemNo":"1","note":"=1+1"}"#.to_owned()).unwrap();
            Outcome::of(Entry::decoded(0, record), Some(reason.to_owned()))
        };
        let written = write(Kind::Results, Layout::Csv, &[outcome("=HYPERLINK(1) is missing"), outcome("a = b")]);
        assert_eq!(
            written,
            "itemNo,note,success,message\n1,=1+1,false,'=HYPERLINK(1) is missing\n1,=1+1,false,a = b\n"
        );
        assert!(write(Kind::Failed, Layout::Csv, &[outcome("@x")]).ends_with("1,=1+1\n"), "cells stay as they are");
    }

    #[test]
    fn json_outputs_are_documents_and_lines() {
        let failed = write(Kind::Failed, Layout::Jsonl, &outcomes());
        assert_eq!(failed, "{\"itemNo\":\"\",\"note\":\"n\"}\n3,\"x,y\",z\n");
        let results = write(Kind::Results, Layout::Jsonl, &outcomes());
        assert_eq!(results.lines().count(), 4);
        let document: Value = serde_json::from_str(&write(Kind::Results, Layout::Json, &outcomes())).unwrap();
        assert_eq!(document["records"].as_array().unwrap().len(), 4);
        assert_eq!(document["records"][1]["response"]["message"], "no key");
        assert_eq!(write(Kind::Failed, Layout::Json, &[]), "{\"records\":[]}\n");
        let element = Outcome::of(Entry::decoded(0, to_raw_value(&7).unwrap()), Some("no object".into()));
        assert_eq!(write(Kind::Failed, Layout::Json, &[element]), "{\"records\":[\n7\n]}\n");
    }
}
