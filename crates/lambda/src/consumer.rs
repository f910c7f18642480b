//! What the processor `invoke` sends as SQS would, read by the library that consumers in Rust read events with.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

use aws_lambda_events::sqs::SqsEvent;
use fanfold::model::ids::{BatchId, ChunkIndex};
use fanfold::model::processing::invoke::InvokeSettings;
use fanfold::processor::invoke::Invoke;
use fanfold::processor::{Chunk, Processor, Record, Tried};
use fanfold::store::Clock;
use fanfold::store::clock::SystemClock;
use fanfold::store::function::Returned;
use fanfold::store::function::memory::MemoryFunction;
use serde_json::{Value, json};

const ARN: &str = "arn:aws:lambda:us-west-2:123456789012:function:consumer";

/// A record of the library's example of an event, `example-sqs-event.json`, without its message attributes.
const EXAMPLE: &str = r#"{
    "messageId": "MessageID_1",
    "receiptHandle": "MessageReceiptHandle",
    "body": "Message Body",
    "md5OfBody": "fce0ea8dd236ccb3ed9b37dae260836f",
    "eventSourceARN": "arn:aws:sqs:us-west-2:123456789012:SQSQueue",
    "eventSource": "aws:sqs",
    "awsRegion": "us-west-2",
    "attributes": {
        "ApproximateReceiveCount": "2",
        "SentTimestamp": "1520621625029",
        "SenderId": "AROAIWPX5BD2BHG722MW4:sender",
        "ApproximateFirstReceiveTimestamp": "1520621634884"
    },
    "messageAttributes": {}
}"#;

/// The request for a chunk of three records.
async fn request() -> Value {
    let now = SystemClock.now();
    let record = |index: u64| Record {
        index,
        key: index.to_string(),
        fields: json!({"id": index}).as_object().cloned().unwrap_or_default(),
        tried: Tried { times: 1, unsure: false },
    };
    let chunk = Chunk {
        batch: BatchId::parse("orders-0123456789ab").unwrap(),
        index: ChunkIndex::new(0).unwrap(),
        attempt: 1,
        sequence: now,
        now,
        until: now.plus_seconds(60),
        deadline: now.plus_seconds(90),
        records: (0..3).map(record).collect(),
    };
    let sent = Arc::new(Mutex::new(Value::Null));
    let kept = sent.clone();
    let function = MemoryFunction::new(move |payload, _| {
        *kept.lock().unwrap() = serde_json::from_slice::<Value>(&payload).unwrap();
        Ok(Returned::answer("null"))
    });
    let settings = InvokeSettings::read(&json!({"function_arn": ARN})).unwrap();
    Invoke::new(settings, function, SystemClock).process(vec![chunk]).await.remove(0).unwrap();
    sent.lock().unwrap().take()
}

/// The names of all members, also within others.
fn members(value: &Value, prefix: &str) -> BTreeSet<String> {
    let inner = value.as_object().into_iter().flatten();
    inner
        .flat_map(|(name, value)| {
            let path = format!("{prefix}{name}");
            members(value, &format!("{path}.")).into_iter().chain([path])
        })
        .collect()
}

#[tokio::test]
async fn a_consumer_is_given_messages_as_of_sqs() {
    let request = request().await;
    let example: Value = serde_json::from_str(EXAMPLE).unwrap();
    for message in request["Records"].as_array().unwrap() {
        assert_eq!(members(message, ""), members(&example, ""));
    }
    let event: SqsEvent = serde_json::from_value(request).unwrap();
    let ids: BTreeSet<&str> = event.records.iter().filter_map(|message| message.message_id.as_deref()).collect();
    assert_eq!((event.records.len(), ids.len()), (3, 3));
    let message = &event.records[0];
    assert_eq!(message.body.as_deref(), Some(r#"{"id":0}"#));
    assert_eq!(message.attributes["ApproximateReceiveCount"], "2");
    assert_eq!(message.aws_region.as_deref(), Some("us-west-2"));
    assert_eq!(message.event_source.as_deref(), Some("aws:sqs"));
}
