//! What the stream of the requests table tells of: each record that the gateway put there is sent on to the queue, where it is
//! tried, tried again and given up as every message is. A stream that the work itself hung on would stand still behind
//! one record that ends its function.

use serde::Deserialize;
use serde_json::value::RawValue;

use fanfold::model::error::{Error, Result};
use fanfold::model::request::{RecordMessage, RequestId};
use fanfold::model::timestamp::Timestamp;
use fanfold::store::channel::{Channel, Outgoing};

/// What Lambda passes on of a stream: <https://docs.aws.amazon.com/lambda/latest/dg/with-ddb.html>
#[derive(Debug, Deserialize)]
pub struct StreamEvent {
    #[serde(rename = "Records")]
    records: Vec<Change>,
}

#[derive(Debug, Deserialize)]
struct Change {
    #[serde(rename = "eventName")]
    name: String,
    dynamodb: Written,
}

#[derive(Debug, Deserialize)]
struct Written {
    #[serde(rename = "NewImage")]
    image: Option<Box<RawValue>>,
    #[serde(rename = "SequenceNumber")]
    sequence: String,
}

/// A row as the gateway makes it.
#[derive(Debug, Deserialize)]
struct Row {
    id: Text,
    keyed: Flag,
    at: Number,
    record: Option<Text>,
}

#[derive(Debug, Deserialize)]
struct Text {
    #[serde(rename = "S")]
    text: String,
}

#[derive(Debug, Deserialize)]
struct Flag {
    #[serde(rename = "BOOL")]
    is: bool,
}

#[derive(Debug, Deserialize)]
struct Number {
    #[serde(rename = "N")]
    digits: String,
}

/// The message that a row asks for; `None` if it was not made by the gateway.
fn message(image: &str) -> Result<Option<Outgoing>> {
    let unread = |e| Error::malformed("a row of the requests table is not as the gateway makes it").because(e);
    let row: Row = serde_json::from_str(image).map_err(unread)?;
    let Some(record) = row.record else {
        return Ok(None);
    };
    let record = RawValue::from_string(record.text).map_err(unread)?;
    let at = row.at.digits.parse().map_err(|e| Error::malformed("a row has no time").because(e))?;
    let message = RecordMessage::new(RequestId::parse(&row.id.text)?, row.keyed.is, Timestamp(at), record);
    let body = serde_json::to_string(&message).map_err(|e| Error::internal("a message is no JSON").because(e))?;
    Ok(Some(Outgoing::new(body)))
}

/// Sends on what was put into the table. Returns where the stream is to begin again, if not all could be sent: some of it may
/// then be sent twice. What cannot be read goes to `others`, for people.
pub async fn send_on<C: Channel>(event: StreamEvent, queue: &C, others: Option<&C>) -> Option<String> {
    let first = event.records.first().map(|change| change.dynamodb.sequence.clone());
    let (mut messages, mut unread) = (Vec::new(), Vec::new());
    for change in event.records.into_iter().filter(|change| change.name == "INSERT") {
        let image = change.dynamodb.image.map(|image| image.get().to_owned()).unwrap_or_default();
        match message(&image) {
            Ok(message) => messages.extend(message),
            Err(error) => {
                tracing::error!(%error, sequence = change.dynamodb.sequence, "row not sent on");
                unread.push(Outgoing::new(image));
            }
        }
    }
    let sent = async {
        if !messages.is_empty() {
            queue.send(messages).await?;
        }
        match others {
            Some(others) if !unread.is_empty() => others.send(unread).await,
            _ => Ok(()),
        }
    };
    match sent.await {
        Ok(()) => None,
        Err(error) => {
            tracing::warn!(%error, "rows not sent on");
            first
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use fanfold::store::channel::memory::MemoryChannel;
    use fanfold::store::faults::{Faults, Faulty};
    use serde_json::{Value, json};

    #[derive(Clone)]
    struct Down;

    impl Faults for Down {
        async fn before(&self, _call: &'static str) -> Result<()> {
            Err(Error::busy("the queue is busy"))
        }

        async fn after(&self, _call: &'static str) -> Result<()> {
            Ok(())
        }

        fn midway(&self, _call: &'static str, _many: usize) -> Option<usize> {
            None
        }
    }

    fn change(name: &str, sequence: u32, image: Value) -> Value {
        json!({"eventName": name, "eventSource": "aws:dynamodb", "dynamodb": {"NewImage": image, "SequenceNumber": sequence.to_string()}})
    }

    fn event(changes: Value) -> StreamEvent {
        serde_json::from_value(json!({ "Records": changes })).unwrap()
    }

    fn row(id: &str, record: &str) -> Value {
        json!({"id": {"S": id}, "at": {"N": "7"}, "keyed": {"BOOL": true}, "state": {"S": "ACCEPTED"}, "record": {"S": record}})
    }

    #[tokio::test]
    async fn what_was_put_into_the_table_is_sent_on_byte_by_byte() {
        let (queue, others) = (MemoryChannel::new(), MemoryChannel::new());
        let record = r#"{ "a" : 1.50, "a":"\u00fc' &+%🚀", "b":[ ] }"#;
        let without = json!({"id": {"S": "r"}, "at": {"N": "7"}, "keyed": {"BOOL": false}});
        let event = event(json!([
            change("INSERT", 1, row("AKIA:x-1", record)),
            change("MODIFY", 2, row("AKIA:x-1", record)),
            change("INSERT", 3, without),
            change("INSERT", 4, row("a/b", "{}")),
            change("INSERT", 5, row("half", "{\"a\"")),
        ]));
        assert_eq!(send_on(event, &queue, Some(&others)).await, None);
        let sent: Vec<RecordMessage> = queue.bodies().iter().map(|body| RecordMessage::parse(body).unwrap()).collect();
        let [message] = &sent[..] else { panic!("{sent:?}") };
        assert_eq!((message.id.as_str(), message.keyed, message.at), ("AKIA:x-1", true, 7));
        assert_eq!(message.record.get(), record);
        assert_eq!(others.bodies().len(), 2, "what cannot be read is not lost");
    }

    #[tokio::test]
    async fn a_queue_that_is_down_stops_the_stream_at_its_first_row() {
        let rows = json!([change("INSERT", 4, row("a", "{}")), change("INSERT", 5, row("b", "{}"))]);
        let queue = Faulty::new(MemoryChannel::new(), Down);
        assert_eq!(send_on(event(rows), &queue, None).await.as_deref(), Some("4"));
    }
}
