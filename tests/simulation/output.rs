//! The output bucket of a simulation, read without the code that wrote it.

use serde_json::Value;

use super::invariant::{Broken, EQUALS};
use super::plan::{Form, Record};
use super::state::State;

/// The output for one record.
pub struct Line {
    pub record: Record,
    pub success: bool,
    pub message: String,
    /// The object that it names.
    pub object: Option<String>,
}

pub fn index_of(record: &Record) -> Option<usize> {
    record.note.split_once('n')?.1.parse().ok()
}

pub fn lines_of(state: &State, key: &str, form: Form) -> Result<Vec<Line>, Broken> {
    let there = state.data.output.read(key);
    let bytes = there.ok_or_else(|| Broken { invariant: EQUALS, why: format!("{key} is not there") })?;
    let line = |outcome: &Value| Line {
        record: record_of(&outcome["request"]),
        success: outcome["response"]["success"] == true,
        message: outcome["response"]["message"].as_str().unwrap_or_default().to_owned(),
        object: outcome["object"].as_str().map(str::to_owned),
    };
    let unreadable = || Broken { invariant: EQUALS, why: format!("{key} is not readable") };
    let lines = match form {
        Form::Csv => rows(&bytes, 5)
            .ok_or_else(unreadable)?
            .into_iter()
            .map(|row| {
                let (record, success, message) = (record_of_row(&row), row[3] == "true", row[4].clone());
                Line { record, success, message, object: None }
            })
            .collect(),
        Form::Json | Form::Jsonl => values(&bytes, form).ok_or_else(unreadable)?.iter().map(line).collect(),
    };
    Ok(lines)
}

/// The records in a file of failed ones; `None` if it is not readable.
pub fn failed_records(bytes: &[u8], form: Form) -> Option<Vec<Record>> {
    Some(match form {
        Form::Csv => rows(bytes, 3)?.iter().map(|row| record_of_row(row)).collect(),
        Form::Json | Form::Jsonl => values(bytes, form)?.iter().map(record_of).collect(),
    })
}

fn rows(bytes: &[u8], columns: usize) -> Option<Vec<Vec<String>>> {
    let mut reader = csv::Reader::from_reader(bytes);
    let rows = reader.records().map(|row| Some(row.ok()?.iter().map(str::to_owned).collect::<Vec<_>>()));
    rows.map(|row| row.filter(|row| row.len() == columns)).collect()
}

fn values(bytes: &[u8], form: Form) -> Option<Vec<Value>> {
    match form {
        Form::Json => serde_json::from_slice::<Value>(bytes).ok()?["records"].as_array().cloned(),
        _ => {
            let lines = bytes.split(|b| *b == b'\n').filter(|line| !line.is_empty());
            lines.map(|line| serde_json::from_slice(line).ok()).collect()
        }
    }
}

fn record_of_row(row: &[String]) -> Record {
    Record { key: row[0].clone(), price: row[1].clone(), note: row[2].clone() }
}

fn record_of(value: &Value) -> Record {
    let text = |name: &str| match &value[name] {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    Record { key: text("itemNo"), price: text("price"), note: text("note") }
}
