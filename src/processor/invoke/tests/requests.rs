//! Requests as each contract writes them.

use serde_json::{Value, json};

use super::{chunk, chunk_of, is_of, settings};
use crate::model::processing::invoke::InvokeSettings;
use crate::model::timestamp::Timestamp;
use crate::processor::Chunk;
use crate::processor::invoke::call::gives_up;
use crate::processor::invoke::spelling::Spelling;
use crate::processor::invoke::task::Task;

const IDS: [&str; 2] = ["5a", "5b"];

fn request(settings: &InvokeSettings, chunk: &Chunk) -> Value {
    let spelling = Spelling(settings);
    let task = |(place, record)| spelling.task(chunk, place, record).unwrap();
    let tasks: Vec<Task> = chunk.records.iter().enumerate().map(task).collect();
    let request = spelling.request(chunk, gives_up(chunk), &tasks).unwrap();
    let mut text = String::from_utf8(request.to_vec()).unwrap();
    for (task, id) in tasks.iter().zip(IDS) {
        text = text.replace(&task.id, id);
    }
    serde_json::from_str(&text).unwrap()
}

#[test]
fn sqs_a_record_is_a_message() {
    let mut chunk = chunk(2);
    chunk.records[1].tried.times = 2;
    let message = |id: &str, count: &str, body: &str, digest: &str| {
        json!({
            "messageId": id,
            "receiptHandle": id,
            "body": body,
            "attributes": {
                "ApproximateReceiveCount": count,
                "SentTimestamp": "1700000000000",
                "SenderId": "fanfold",
                "ApproximateFirstReceiveTimestamp": "1700000060000",
            },
            "messageAttributes": {},
            "md5OfBody": digest,
            "eventSource": "aws:sqs",
            "eventSourceARN": "arn:aws:sqs:eu-central-1:123456789012:fanfold",
            "awsRegion": "eu-central-1",
        })
    };
    let expected = json!({"Records": [
        message("5a", "1", r#"{"id":"0","amount":0}"#, "0579eca66f8a17df15d7acf9c5334706"),
        message("5b", "3", r#"{"id":"1","amount":1}"#, "2612f6c92e62064bf3318e0c93631041"),
    ]});
    assert_eq!(request(&settings("sqs", json!({})), &chunk), expected);
}

#[test]
fn s3batch_a_record_is_an_object() {
    let fields = |value: Value| value.as_object().cloned().unwrap();
    let chunk = chunk_of(vec![
        fields(json!({"bucket": "photos", "key": "a b/ü.jpg", "version": "v1"})),
        fields(json!({"bucket": "arn:aws:s3:::photos", "key": "c%20d", "version": ""})),
    ]);
    let mut one = request(&settings("s3batch", json!({})), &chunk);
    let id = one["invocationId"].take();
    assert_eq!(id.as_str().unwrap().len(), 48);
    let expected = json!({
        "invocationSchemaVersion": "1.0",
        "invocationId": null,
        "job": {"id": "orders-0123456789ab"},
        "tasks": [
            {"taskId": "5a", "s3Key": "a%20b/%C3%BC.jpg", "s3VersionId": "v1", "s3BucketArn": "arn:aws:s3:::photos"},
            {"taskId": "5b", "s3Key": "c%20d", "s3VersionId": null, "s3BucketArn": "arn:aws:s3:::photos"},
        ],
    });
    assert_eq!(one, expected);
    let arguments = json!({"schema_version": "2.0", "arguments": {"size": "small"}});
    let mut two = request(&settings("s3batch", arguments), &chunk);
    assert_eq!(two["invocationId"].take(), id);
    let expected = json!({
        "invocationSchemaVersion": "2.0",
        "invocationId": null,
        "job": {"id": "orders-0123456789ab", "userArguments": {"size": "small"}},
        "tasks": [
            {"taskId": "5a", "s3Key": "a%20b/%C3%BC.jpg", "s3VersionId": "v1", "s3Bucket": "photos"},
            {"taskId": "5b", "s3Key": "c%20d", "s3VersionId": null, "s3Bucket": "photos"},
        ],
    });
    assert_eq!(two, expected);
}

#[test]
fn s3batch_a_record_that_names_no_object_has_no_task() {
    let settings = settings("s3batch", json!({"key": "Key"}));
    for (fields, told) in [
        (json!({"Key": "a"}), "the record names no bucket: its field \"bucket\" is missing or empty"),
        (json!({"Key": "a", "bucket": ""}), "the record names no bucket: its field \"bucket\" is missing or empty"),
        (json!({"Key": 7, "bucket": "b"}), "the record names no object: its field \"Key\" is missing or empty"),
        (json!({"key": "a", "bucket": "b"}), "the record names no object: its field \"Key\" is missing or empty"),
    ] {
        let chunk = chunk_of(vec![fields.as_object().cloned().unwrap()]);
        assert_eq!(Spelling(&settings).task(&chunk, 0, &chunk.records[0]).unwrap_err(), told);
    }
}

#[test]
fn map_records_are_items() {
    let items = json!([{"id": "0", "amount": 0}, {"id": "1", "amount": 1}]);
    assert_eq!(request(&settings("map", json!({})), &chunk(2)), json!({"Items": items}));
    let input = json!({"arguments": {"factor": 3}});
    assert_eq!(request(&settings("map", input), &chunk(2)), json!({"BatchInput": {"factor": 3}, "Items": items}));
}

#[test]
fn fanfold_all_that_is_known_is_told() {
    let mut chunk = chunk(2);
    chunk.records[1].tried.times = 1;
    let expected = json!({
        "version": 1,
        "batch": "orders-0123456789ab",
        "chunk": 3,
        "attempt": 2,
        "deadline": "2023-11-14T22:19:19.000Z",
        "arguments": ["any"],
        "tasks": [
            {"taskId": "5a", "index": 40, "attempt": 1, "record": {"id": "0", "amount": 0}},
            {"taskId": "5b", "index": 41, "attempt": 2, "record": {"id": "1", "amount": 1}},
        ],
    });
    let schema = include_str!("../../../../docs/invoke-request.schema.json");
    assert_eq!(request(&settings("fanfold", json!({"arguments": ["any"]})), &chunk), expected);
    assert!(is_of(schema, &expected));
    chunk.deadline = Timestamp(i64::MAX);
    let timeless = request(&settings("fanfold", json!({})), &chunk);
    assert!(timeless.get("deadline").is_none() && timeless.get("arguments").is_none());
    assert!(is_of(schema, &timeless) && !is_of(schema, &json!({"version": 1, "tasks": []})));
}
