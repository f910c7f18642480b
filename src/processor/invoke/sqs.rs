//! Requests and answers as SQS has them for its consumers, with partial batch responses.
//!
//! Each record is a message, whose body is the record's JSON. There is no queue behind it: a consumer that itself
//! deletes messages by their receipt handles, or extends their time, cannot work.

use md5::{Digest, Md5};
use serde::Serialize;
use serde_json::Value;

use crate::model::processing::arn::FunctionArn;
use crate::processor::invoke::task::{Envelope, Replies, Task};
use crate::processor::{Chunk, Record, Reply};

/// <https://docs.aws.amazon.com/lambda/latest/dg/with-sqs.html#example-standard-queue-message-event>
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Message<'a> {
    message_id: &'a str,
    receipt_handle: &'a str,
    body: &'a str,
    attributes: Attributes,
    message_attributes: serde_json::Map<String, Value>,
    md5_of_body: String,
    event_source: &'a str,
    #[serde(rename = "eventSourceARN")]
    event_source_arn: String,
    #[serde(rename = "awsRegion")]
    region: &'a str,
}

/// <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_ReceiveMessage.html>; moments are in
/// milliseconds since the epoch.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Attributes {
    approximate_receive_count: String,
    sent_timestamp: String,
    sender_id: &'static str,
    approximate_first_receive_timestamp: String,
}

/// A record as a message. The receive count is the number of the try, and the message was sent when the batch began.
pub(super) fn task(function: &FunctionArn, chunk: &Chunk, record: &Record, id: &str) -> serde_json::Result<String> {
    let body = serde_json::to_string(&record.fields)?;
    let FunctionArn { partition, region, account, .. } = function;
    let digest: String = Md5::digest(&body).iter().map(|byte| format!("{byte:02x}")).collect();
    let attributes = Attributes {
        approximate_receive_count: (record.tried.times + 1).to_string(),
        sent_timestamp: chunk.sequence.0.to_string(),
        sender_id: "fanfold",
        approximate_first_receive_timestamp: chunk.now.0.to_string(),
    };
    serde_json::to_string(&Message {
        message_id: id,
        receipt_handle: id,
        body: &body,
        attributes,
        message_attributes: serde_json::Map::new(),
        md5_of_body: digest,
        event_source: "aws:sqs",
        event_source_arn: format!("arn:{partition}:sqs:{region}:{account}:fanfold"),
        region,
    })
}

pub(super) fn envelope() -> Envelope {
    Envelope::new("{}", "Records")
}

/// Reads an answer as Lambda's poller does: nothing, or nothing listed, is a complete success, and what cannot be
/// understood is a complete failure
/// (<https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-errorhandling.html#services-sqs-batchfailurereporting>).
/// That page does not say what a number or a text is: they are taken as failures, so that nothing is lost.
///
/// # Errors
/// Why it is a complete failure.
pub(super) fn answers(payload: &[u8], tasks: &[Task]) -> Result<Vec<Reply>, String> {
    let mut replies = Replies::to(tasks);
    for id in listed(payload)? {
        let rejected = "rejected by processor: the function listed it in batchItemFailures";
        replies.keep(&id, Reply::temporary(rejected))?;
    }
    Ok(replies.or(|| Reply::Done(None)))
}

fn listed(payload: &[u8]) -> Result<Vec<String>, String> {
    if payload.trim_ascii().is_empty() {
        return Ok(Vec::new());
    }
    let answer = serde_json::from_slice(payload).map_err(|_| "it is not JSON".to_owned())?;
    let failures = match answer {
        Value::Null => Value::Null,
        Value::Object(mut members) => members.remove("batchItemFailures").unwrap_or_default(),
        Value::Array(list) if list.is_empty() => Value::Null,
        Value::String(text) if text.is_empty() => Value::Null,
        _ => return Err("it is not an object".to_owned()),
    };
    let failures = match failures {
        Value::Null => return Ok(Vec::new()),
        Value::Array(failures) => failures,
        _ => return Err("batchItemFailures is not a list".to_owned()),
    };
    let id = |failure: &Value| failure.get("itemIdentifier")?.as_str().filter(|id| !id.is_empty()).map(str::to_owned);
    let ids: Option<Vec<String>> = failures.iter().map(id).collect();
    ids.ok_or_else(|| "an element of batchItemFailures has no itemIdentifier".to_owned())
}
