//! Requests and answers as S3 Batch Operations has them
//! (<https://docs.aws.amazon.com/AmazonS3/latest/userguide/batch-ops-invoke-lambda.html>).

use serde::{Deserialize, Serialize};
use serde_json::value::to_raw_value;
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};

use crate::model::processing::arn::FunctionArn;
use crate::model::processing::invoke::{InvocationSchema, S3Batch};
use crate::model::report::url_encoded;
use crate::processor::invoke::task::{Envelope, Replies, Task};
use crate::processor::invoke::text;
use crate::processor::{Chunk, Record, Reply};

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Head<'a> {
    invocation_schema_version: &'static str,
    invocation_id: String,
    job: Job<'a>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Job<'a> {
    id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    user_arguments: Option<&'a Map<String, Value>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ObjectTask<'a> {
    task_id: &'a str,
    s3_key: String,
    s3_version_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    s3_bucket_arn: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    s3_bucket: Option<&'a str>,
}

/// A record as a task: the object that its fields name.
///
/// # Errors
/// If they name none.
pub(super) fn task(own: &S3Batch, function: &FunctionArn, record: &Record, id: &str) -> Result<String, String> {
    let named = |field: &str| record.fields.get(field).and_then(Value::as_str).filter(|text| !text.is_empty());
    let missing =
        |field: &str, what: &str| format!("the record names no {what}: its field {field:?} is missing or empty");
    let bucket = named(&own.bucket).ok_or_else(|| missing(&own.bucket, "bucket"))?;
    let key = named(&own.key).ok_or_else(|| missing(&own.key, "object"))?;
    // A manifest may have either.
    let bucket = bucket.rsplit_once(":::").map_or(bucket, |(_, name)| name);
    let (arn, name) = match own.schema {
        InvocationSchema::One => (Some(format!("arn:{}:s3:::{bucket}", function.partition)), None),
        InvocationSchema::Two(_) => (None, Some(bucket)),
    };
    let task = ObjectTask {
        task_id: id,
        s3_key: url_encoded(key).into_owned(),
        s3_version_id: named(&own.version),
        s3_bucket_arn: arn,
        s3_bucket: name,
    };
    serde_json::to_string(&task).map_err(|e| e.to_string())
}

/// What stands around tasks. The invocation's id is made of theirs and of their chunk's attempt; functions only hand
/// it back.
pub(super) fn envelope(own: &S3Batch, chunk: &Chunk, tasks: &[Task]) -> serde_json::Result<Envelope> {
    let mut hash = Sha256::new();
    hash.update(chunk.attempt.to_be_bytes());
    tasks.iter().for_each(|task| hash.update(task.id.as_bytes()));
    let invocation_id = hash.finalize().iter().take(24).map(|byte| format!("{byte:02x}")).collect();
    let (version, user_arguments) = match &own.schema {
        InvocationSchema::One => ("1.0", None),
        InvocationSchema::Two(arguments) => ("2.0", arguments.as_ref()),
    };
    let job = Job { id: chunk.batch.as_str(), user_arguments };
    let head = Head { invocation_schema_version: version, invocation_id, job };
    Ok(Envelope::new(&serde_json::to_string(&head)?, "tasks"))
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", expecting = "an object with results")]
struct Answer {
    treat_missing_keys_as: Option<Code>,
    results: Vec<TaskResult>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", expecting = "a result with taskId and resultCode")]
struct TaskResult {
    task_id: String,
    result_code: Code,
    result_string: Option<String>,
}

#[derive(Debug, Clone, Copy, Deserialize)]
enum Code {
    Succeeded,
    TemporaryFailure,
    PermanentFailure,
}

impl Code {
    fn reply(self, words: Option<&str>) -> Reply {
        match self {
            Self::Succeeded => {
                Reply::Done(words.filter(|words| !words.is_empty()).and_then(|words| to_raw_value(words).ok()))
            }
            Self::TemporaryFailure => Reply::temporary(text::answered(words, "TemporaryFailure")),
            Self::PermanentFailure => Reply::Failed(text::answered(words, "PermanentFailure")),
        }
    }
}

/// Reads an answer. A task without a result is treated as `treatMissingKeysAs` says, and as a permanent failure if it
/// says nothing.
///
/// # Errors
/// Why it is no answer.
pub(super) fn answers(payload: &[u8], tasks: &[Task]) -> Result<Vec<Reply>, String> {
    let answer: Answer = serde_json::from_slice(payload).map_err(|e| e.to_string())?;
    let mut replies = Replies::to(tasks);
    for result in &answer.results {
        let reply = result.result_code.reply(result.result_string.as_deref());
        if replies.keep(&result.task_id, reply)? {
            return Err(format!("it has two results for task {}", result.task_id));
        }
    }
    let missing = answer.treat_missing_keys_as.unwrap_or(Code::PermanentFailure);
    Ok(replies.or(|| match missing {
        Code::Succeeded => Reply::Done(None),
        Code::TemporaryFailure => Reply::temporary(text::omitted()),
        Code::PermanentFailure => Reply::Failed(text::omitted()),
    }))
}
