mod answers;
mod calls;
mod refusals;
mod requests;

use serde_json::{Map, Value, json};

use crate::model::ids::{BatchId, ChunkIndex};
use crate::model::processing::invoke::InvokeSettings;
use crate::model::timestamp::Timestamp;
use crate::processor::{Chunk, Record, Reply, Tried};

const ARN: &str = "arn:aws:lambda:eu-central-1:123456789012:function:enrich:live";

/// Settings of a contract, with others besides.
fn settings(contract: &str, others: Value) -> InvokeSettings {
    let mut of = json!({"function_arn": ARN, "contract": contract});
    of.as_object_mut().unwrap().extend(others.as_object().cloned().unwrap_or_default());
    InvokeSettings::read(&of).unwrap()
}

/// Whether JSON is of a published schema.
fn is_of(schema: &str, json: &Value) -> bool {
    jsonschema::validator_for(&serde_json::from_str(schema).unwrap()).unwrap().is_valid(json)
}

/// A chunk of these records.
fn chunk_of(records: Vec<Map<String, Value>>) -> Chunk {
    let record = |(at, fields): (usize, Map<String, Value>)| Record {
        index: 40 + at as u64,
        key: at.to_string(),
        fields,
        tried: Tried::default(),
    };
    Chunk {
        batch: BatchId::parse("orders-0123456789ab").unwrap(),
        index: ChunkIndex::new(3).unwrap(),
        attempt: 2,
        sequence: Timestamp(1_700_000_000_000),
        now: Timestamp(1_700_000_060_000),
        until: Timestamp(1_700_000_300_000),
        deadline: Timestamp(1_700_000_360_000),
        records: records.into_iter().enumerate().map(record).collect(),
    }
}

/// A chunk of small records.
fn chunk(records: usize) -> Chunk {
    let fields = |at: usize| json!({"id": at.to_string(), "amount": at}).as_object().cloned().unwrap();
    chunk_of((0..records).map(fields).collect())
}

/// Replies in a form to compare.
fn told(replies: &[Reply]) -> Vec<String> {
    let one = |reply: &Reply| match reply {
        Reply::Done(None) => "done".to_owned(),
        Reply::Done(Some(result)) => format!("done {result}"),
        Reply::Replaced { item, result } => {
            format!("item {} {}", json!(item), result.as_ref().map_or("", |result| result.get()))
        }
        Reply::Failed(reason) => format!("failed: {reason}"),
        Reply::Temporary { reason, unsure: false } => format!("temporary: {reason}"),
        Reply::Temporary { reason, unsure: true } => format!("unsure: {reason}"),
        Reply::Untried(reason) => format!("untried: {reason}"),
    };
    replies.iter().map(one).collect()
}
