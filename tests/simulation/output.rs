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
    let lines = match form {
        Form::Csv => rows(&bytes)
            .into_iter()
            .map(|row| {
                let (record, success, message) = (record_of_row(&row), row[3] == "true", row[4].clone());
                Line { record, success, message, object: None }
            })
            .collect(),
        Form::Json | Form::Jsonl => values(&bytes, form).iter().map(line).collect(),
    };
    Ok(lines)
}

pub fn failed_records(bytes: &[u8], form: Form) -> Vec<Record> {
    match form {
        Form::Csv => rows(bytes).iter().map(|row| record_of_row(row)).collect(),
        Form::Json | Form::Jsonl => values(bytes, form).iter().map(record_of).collect(),
    }
}

fn rows(bytes: &[u8]) -> Vec<Vec<String>> {
    let mut reader = csv::Reader::from_reader(bytes);
    reader.records().map(|row| row.unwrap().iter().map(str::to_owned).collect()).collect()
}

fn values(bytes: &[u8], form: Form) -> Vec<Value> {
    match form {
        Form::Json => {
            let document: Value =
                serde_json::from_slice(bytes).unwrap_or_else(|e| panic!("{e}: {:?}", String::from_utf8_lossy(bytes)));
            document["records"].as_array().unwrap().clone()
        }
        _ => bytes
            .split(|b| *b == b'\n')
            .filter(|l| !l.is_empty())
            .map(|l| serde_json::from_slice(l).unwrap_or_else(|e| panic!("{e}: {:?}", String::from_utf8_lossy(bytes))))
            .collect(),
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
