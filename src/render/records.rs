//! The two files of outcomes, written as streams: `results`, every record in input order, and `failed`, only the
//! failed records in the input's own form, so that they can be corrected and uploaded.

use serde_json::{Map, Value};

use crate::format::csv::row_text;
use crate::model::error::{Error, Result};
use crate::model::format::Layout;
use crate::model::record::Outcome;
use crate::render::{Document, Filter, Render};

/// Which of the two files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Every record with its outcome.
    Results,
    /// The failed records as they were uploaded.
    Failed,
}

/// Returns both files of a batch; `columns` are those of a CSV file, otherwise empty.
pub fn documents(layout: Layout, columns: &[String]) -> Vec<Document> {
    let kinds = [("results", Kind::Results, Filter::All), ("failed", Kind::Failed, Filter::Failed)];
    let document = |(name, kind, filter)| Document {
        name,
        file: format!("{name}.{}", layout.extension()),
        content_type: layout.content_type(),
        filter,
        render: Box::new(OutputEncoder::new(kind, layout, columns)) as Box<dyn Render>,
    };
    kinds.map(document).into()
}

/// Encodes one output file, outcome by outcome.
pub struct OutputEncoder {
    kind: Kind,
    layout: Layout,
    columns: Vec<String>,
    empty: bool,
}

impl OutputEncoder {
    /// Makes an encoder; `columns` are those of a CSV file, otherwise empty.
    pub fn new(kind: Kind, layout: Layout, columns: &[String]) -> Self {
        Self { kind, layout, columns: columns.to_vec(), empty: true }
    }

    /// The record's cells in the header's order; a row of a different length is cut or padded.
    fn cells(&self, record: &str) -> Result<Vec<String>> {
        let mut cells = match faulty_text(record)? {
            Some(text) => csv_cells(&text),
            None if record == "null" => Vec::new(),
            None => {
                let row: Map<String, Value> = serde_json::from_str(record).map_err(unreadable)?;
                row.into_iter()
                    .map(|(_, cell)| match cell {
                        Value::String(text) => text,
                        other => other.to_string(),
                    })
                    .collect()
            }
        };
        cells.resize(self.columns.len(), String::new());
        Ok(cells)
    }
}

impl Render for OutputEncoder {
    fn begin(&mut self, out: &mut Vec<u8>) {
        match (self.layout, self.kind) {
            (Layout::Csv, Kind::Results) => {
                let own = ["success".to_owned(), "message".to_owned()];
                line(out, &row_text(&[self.columns.as_slice(), &own].concat()));
            }
            (Layout::Csv, Kind::Failed) => line(out, &row_text(&self.columns)),
            (Layout::Json, _) => out.extend_from_slice(b"{\"records\":["),
            (Layout::Jsonl, _) => {}
        }
    }

    /// A `failed` file leaves out what succeeded and what was too large to keep.
    fn add(&mut self, outcome: &Outcome, out: &mut Vec<u8>) -> Result<()> {
        let record = outcome.request.get();
        if self.kind == Kind::Failed && (outcome.response.success || record == "null") {
            return Ok(());
        }
        match (self.layout, self.kind) {
            (Layout::Csv, Kind::Results) => {
                let mut cells = self.cells(record)?;
                cells.push(outcome.response.success.to_string());
                cells.push(outcome.response.message.clone());
                line(out, &row_text(&cells));
            }
            (Layout::Csv, Kind::Failed) => match faulty_text(record)? {
                Some(text) => line(out, &text),
                None => line(out, &row_text(&self.cells(record)?)),
            },
            (Layout::Jsonl, Kind::Results) => line(out, &json(outcome)?),
            (Layout::Jsonl, Kind::Failed) => match faulty_text(record)? {
                Some(text) => line(out, &text),
                None => line(out, record),
            },
            (Layout::Json, kind) => {
                out.extend_from_slice(if self.empty { b"\n" } else { b",\n" });
                match kind {
                    Kind::Results => out.extend_from_slice(json(outcome)?.as_bytes()),
                    Kind::Failed => out.extend_from_slice(record.as_bytes()),
                }
            }
        }
        self.empty = false;
        Ok(())
    }

    fn end(&mut self, out: &mut Vec<u8>) {
        if self.layout == Layout::Json {
            out.extend_from_slice(if self.empty { b"]}\n" } else { b"\n]}\n" });
        }
    }
}

/// The text of a line that could not be decoded; process keeps it as a JSON string.
fn faulty_text(record: &str) -> Result<Option<String>> {
    if record.starts_with('"') { serde_json::from_str(record).map(Some).map_err(unreadable) } else { Ok(None) }
}

fn csv_cells(text: &str) -> Vec<String> {
    let mut reader = csv::ReaderBuilder::new().has_headers(false).flexible(true).from_reader(text.as_bytes());
    let row = reader.records().next().and_then(std::result::Result::ok).unwrap_or_default();
    row.iter().map(str::to_owned).collect()
}

fn json(outcome: &Outcome) -> Result<String> {
    serde_json::to_string(outcome).map_err(unreadable)
}

fn unreadable(error: serde_json::Error) -> Error {
    Error::internal("an outcome's record is not readable").because(error)
}

fn line(out: &mut Vec<u8>, text: &str) {
    out.extend_from_slice(text.as_bytes());
    out.push(b'\n');
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::record::Entry;
    use serde_json::value::{RawValue, to_raw_value};

    fn write(kind: Kind, layout: Layout, outcomes: &[Outcome]) -> String {
        let columns = ["itemNo".to_owned(), "note".to_owned()];
        let mut encoder = OutputEncoder::new(kind, layout, if layout == Layout::Csv { &columns } else { &[] });
        let mut out = Vec::new();
        encoder.begin(&mut out);
        for outcome in outcomes {
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
