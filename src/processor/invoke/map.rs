//! Requests and answers as Step Functions' Distributed Map has them for batches of items
//! (<https://docs.aws.amazon.com/step-functions/latest/dg/input-output-itembatcher.html>).

use serde_json::Value;
use serde_json::value::to_raw_value;

use crate::processor::invoke::task::{Envelope, Task};
use crate::processor::{Record, Reply};

pub(super) fn task(record: &Record) -> serde_json::Result<String> {
    serde_json::to_string(&record.fields)
}

pub(super) fn envelope(input: Option<&Value>) -> Envelope {
    let object = input.map_or_else(|| "{}".to_owned(), |input| format!("{{\"BatchInput\":{input}}}"));
    Envelope::new(&object, "Items")
}

/// Reads an answer: a list as long as that of the items has their results; with any other answer, all succeeded without
/// one.
pub(super) fn answers(payload: &[u8], tasks: &[Task]) -> Vec<Reply> {
    let results = match serde_json::from_slice(payload) {
        Ok(Value::Array(results)) if results.len() == tasks.len() => results,
        _ => vec![Value::Null; tasks.len()],
    };
    let done = |result: Value| Reply::Done(if result.is_null() { None } else { to_raw_value(&result).ok() });
    results.into_iter().map(done).collect()
}
