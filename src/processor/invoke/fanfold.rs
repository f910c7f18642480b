//! Requests and answers of fanfold's own contract, which can say whatever the others can.
//!
//! `docs/invoke-request.schema.json` and `docs/invoke-answer.schema.json` describe both.

use serde::{Deserialize, Serialize};
use serde_json::value::to_raw_value;
use serde_json::{Map, Value};

use crate::model::timestamp::Timestamp;
use crate::processor::invoke::task::{Envelope, Replies, Task};
use crate::processor::invoke::text;
use crate::processor::{Chunk, Record, Reply};

const YEAR_10000: Timestamp = Timestamp(253_402_300_800_000);

#[derive(Serialize)]
struct Head<'a> {
    version: u32,
    batch: &'a str,
    chunk: u32,
    attempt: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    deadline: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    arguments: Option<&'a Value>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct RecordTask<'a> {
    task_id: &'a str,
    index: u64,
    attempt: u32,
    record: &'a Map<String, Value>,
}

/// A record as a task; its attempt is the number of its try.
pub(super) fn task(record: &Record, id: &str) -> serde_json::Result<String> {
    let attempt = record.tried.times + 1;
    serde_json::to_string(&RecordTask { task_id: id, index: record.index, attempt, record: &record.fields })
}

/// What stands around tasks: the attempt is the delivery of the chunk, and the deadline (RFC 3339, with milliseconds)
/// is when nobody waits for the answer any more.
pub(super) fn envelope(arguments: Option<&Value>, chunk: &Chunk, deadline: Timestamp) -> serde_json::Result<Envelope> {
    // Later ones mean that there is none, and have no words in RFC 3339.
    let deadline = Some(deadline).filter(|moment| *moment < YEAR_10000);
    let (batch, index) = (chunk.batch.as_str(), chunk.index.get());
    let head = Head { version: 1, batch, chunk: index, attempt: chunk.attempt, deadline, arguments };
    Ok(Envelope::new(&serde_json::to_string(&head)?, "tasks"))
}

#[derive(Deserialize)]
#[serde(expecting = "an object with results")]
struct Answer {
    results: Vec<TaskResult>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", expecting = "a result with taskId and status")]
struct TaskResult {
    task_id: String,
    status: Status,
    message: Option<String>,
    result: Option<Value>,
    item: Option<Map<String, Value>>,
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Status {
    Succeeded,
    Temporary,
    Permanent,
}

impl TaskResult {
    fn reply(&mut self) -> Reply {
        let words = self.message.as_deref();
        match self.status {
            Status::Succeeded => {
                let result = self.result.take().and_then(|result| to_raw_value(&result).ok());
                match self.item.take() {
                    Some(item) => Reply::Replaced { item, result },
                    None => Reply::Done(result),
                }
            }
            Status::Temporary => Reply::temporary(text::answered(words, "temporary")),
            Status::Permanent => Reply::Failed(text::answered(words, "permanent")),
        }
    }
}

/// Reads an answer. A task without a result failed for the time being.
///
/// # Errors
/// Why it is no answer.
pub(super) fn answers(payload: &[u8], tasks: &[Task]) -> Result<Vec<Reply>, String> {
    let mut answer: Answer = serde_json::from_slice(payload).map_err(|e| e.to_string())?;
    let mut replies = Replies::to(tasks);
    for result in &mut answer.results {
        let reply = result.reply();
        if replies.keep(&result.task_id, reply)? {
            return Err(format!("it has two results for task {}", result.task_id));
        }
    }
    Ok(replies.or(|| Reply::temporary(text::omitted())))
}
