//! S3 event notifications, as they arrive in a queue's message.

use percent_encoding::{NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use serde::Deserialize;

use crate::model::condition::Condition;
use crate::model::error::{Error, Result};
use crate::model::format::InputFormat;
use crate::model::ids::{BatchId, Revision};
use crate::model::input::InputRef;
use crate::model::progress::Opening;
use crate::model::timestamp::Timestamp;

/// An event as S3 writes it, as far as it is read here.
#[derive(Deserialize)]
struct Event {
    #[serde(rename = "Records")]
    records: Vec<EventRecord>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct EventRecord {
    event_name: Option<String>,
    s3: Entity,
}

#[derive(Deserialize)]
struct Entity {
    bucket: Bucket,
    object: Object,
}

#[derive(Deserialize)]
struct Bucket {
    name: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Object {
    key: Option<String>,
    size: Option<i64>,
    e_tag: Option<String>,
    version_id: Option<String>,
    sequencer: Option<String>,
}

/// What a notification says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Notice {
    /// An object was created.
    Created(Created),
    /// Nothing that makes a batch; the reason is for the log.
    Nothing(String),
}

/// An object that was created.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Created {
    /// The bucket.
    pub bucket: String,
    /// The key, decoded.
    pub key: String,
    /// Which upload under the key it is.
    pub revision: Revision,
    /// The object's size.
    pub bytes: u64,
}

impl Created {
    /// The batch that the upload makes.
    pub fn batch(&self) -> BatchId {
        BatchId::of(&self.bucket, &self.key, &self.revision)
    }

    /// What the batch is opened with.
    pub fn opening(&self, variant: &str, condition: Condition, now: Timestamp) -> Opening {
        let format = InputFormat::of_key(&self.key).ok();
        let input = InputRef {
            bucket: self.bucket.clone(),
            key: self.key.clone(),
            version_id: self.revision.version().map(str::to_owned),
            e_tag: self.revision.tag().map(str::to_owned),
            bytes: self.bytes,
            format: format.as_ref().map(InputFormat::to_string),
            read_as: None,
        };
        let (id, variant) = (self.batch(), variant.to_owned());
        Opening {
            id,
            variant,
            input,
            condition,
            ranged: false,
            rules: None,
            only: None,
            chunk_size: 0,
            started_at: now,
            sequence: now,
        }
    }
}

/// Returns an event as S3 would send it, for an upload whose event was lost. `None` for an upload without a version:
/// only the lost event told it apart from others.
pub fn event_of(input: &InputRef) -> Option<String> {
    let version = input.version_id.as_ref()?;
    let key = utf8_percent_encode(&input.key, NON_ALPHANUMERIC).to_string().replace("%20", "+");
    let event = serde_json::json!({"Records": [{
        "eventVersion": "2.1", "eventSource": "aws:s3", "awsRegion": "", "eventTime": "1970-01-01T00:00:00.000Z",
        "eventName": "ObjectCreated:Put", "userIdentity": {}, "requestParameters": {}, "responseElements": {},
        "s3": {
            "bucket": {"name": input.bucket, "ownerIdentity": {}},
            "object": {"key": key, "size": input.bytes, "versionId": version}
        }
    }]});
    Some(event.to_string())
}

/// Reads a message's body. Its form:
/// <https://docs.aws.amazon.com/AmazonS3/latest/userguide/notification-content-structure.html>
///
/// # Errors
/// `Malformed` if it is not an S3 event.
pub fn parse(body: &str) -> Result<Vec<Notice>> {
    if is_test_event(body) {
        return Ok(vec![Notice::Nothing("s3 test event".to_owned())]);
    }
    let event: Event =
        serde_json::from_str(body).map_err(|e| Error::malformed("the message is not an S3 event").because(e))?;
    event.records.into_iter().map(notice).collect()
}

/// S3 sends this one when a notification is set up; it has no records.
fn is_test_event(body: &str) -> bool {
    #[derive(Deserialize)]
    #[serde(rename_all = "PascalCase")]
    struct TestEvent {
        event: String,
    }
    serde_json::from_str::<TestEvent>(body).is_ok_and(|test| test.event == "s3:TestEvent")
}

fn notice(record: EventRecord) -> Result<Notice> {
    let name = record.event_name.unwrap_or_default();
    let missing = |what: &str| Error::malformed(format!("the S3 event names no {what}"));
    let bucket = record.s3.bucket.name.ok_or_else(|| missing("bucket"))?;
    let encoded = record.s3.object.key.ok_or_else(|| missing("key"))?;
    let key = decode_key(&encoded)?;
    if !name.trim_start_matches("s3:").starts_with("ObjectCreated:") {
        return Ok(Notice::Nothing(format!("event {name}")));
    }
    let bytes = record.s3.object.size.and_then(|size| u64::try_from(size).ok()).unwrap_or(0);
    if key.ends_with('/') && bytes == 0 {
        return Ok(Notice::Nothing("folder placeholder".to_owned()));
    }
    let revision = match record.s3.object.version_id.filter(|v| !v.is_empty() && v != "null") {
        Some(version) => Revision::Version(version),
        None => Revision::Etag {
            etag: record.s3.object.e_tag.unwrap_or_default(),
            sequencer: record.s3.object.sequencer.unwrap_or_default(),
        },
    };
    Ok(Notice::Created(Created { bucket, key, revision, bytes }))
}

/// Decodes a key as S3 encodes it in events and, if asked to, in listings: a plus sign is a space, a real one is `%2B`.
///
/// # Errors
/// `Malformed` if it is not UTF-8.
pub fn decode_key(encoded: &str) -> Result<String> {
    let spaced = encoded.replace('+', " ");
    percent_decode_str(&spaced)
        .decode_utf8()
        .map(|key| key.into_owned())
        .map_err(|e| Error::malformed("the key that S3 named is not UTF-8").because(e))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(name: &str, key: &str, size: u64, version: &str) -> String {
        format!(
            r#"{{"Records":[{{"eventVersion":"2.1","eventSource":"aws:s3","awsRegion":"us-east-1",
            "eventTime":"2026-01-02T03:04:05.678Z","eventName":"{name}","userIdentity":{{"principalId":"A"}},
            "requestParameters":{{"sourceIPAddress":"127.0.0.1"}},"responseElements":{{}},
            "s3":{{"s3SchemaVersion":"1.0","configurationId":"c","bucket":{{"name":"in",
            "ownerIdentity":{{"principalId":"A"}},"arn":"arn:aws:s3:::in"}},
            "object":{{"key":"{key}","size":{size},"eTag":"e","sequencer":"0A"{version}}}}}}}]}}"#
        )
    }

    #[test]
    fn a_created_object_is_told_with_its_key_decoded() {
        for (encoded, key) in
            [("a+b%2Bc%25/f%C3%BCr.csv", "a b+c%/für.csv"), ("a%20b.csv", "a b.csv"), ("plain.csv", "plain.csv")]
        {
            let body = event("ObjectCreated:Put", encoded, 12, r#","versionId":"v1""#);
            let notices = parse(&body).unwrap();
            assert_eq!(
                notices,
                [Notice::Created(Created {
                    bucket: "in".into(),
                    key: key.into(),
                    revision: Revision::Version("v1".into()),
                    bytes: 12,
                })]
            );
        }
    }

    #[test]
    fn without_versions_the_etag_and_sequencer_tell_uploads_apart() {
        let notices = parse(&event("ObjectCreated:Put", "k.csv", 1, "")).unwrap();
        let Notice::Created(created) = &notices[0] else { panic!("{notices:?}") };
        assert_eq!(created.revision, Revision::Etag { etag: "e".into(), sequencer: "0A".into() });
    }

    #[test]
    fn a_lost_event_is_written_again() {
        let mut body = event("ObjectCreated:Put", "a+b%2Bc%25/f%C3%BCr.csv", 12, r#","versionId":"v1""#);
        for _ in 0..2 {
            let notices = parse(&body).unwrap();
            let Notice::Created(created) = &notices[0] else { panic!("{notices:?}") };
            assert_eq!((created.key.as_str(), created.bytes), ("a b+c%/für.csv", 12));
            let input = created.opening("chunked", Condition::Tree, Timestamp(1)).input;
            assert_eq!(created.batch(), BatchId::of("in", "a b+c%/für.csv", &Revision::Version("v1".into())));
            body = event_of(&input).unwrap();
        }
    }

    #[test]
    fn other_events_make_no_batch() {
        let test = r#"{"Service":"Amazon S3","Event":"s3:TestEvent","Time":"2026-01-02T03:04:05.678Z","Bucket":"in"}"#;
        for body in [
            test.to_owned(),
            event("ObjectRemoved:DeleteMarkerCreated", "k.csv", 0, ""),
            event("ObjectCreated:Put", "folder/", 0, ""),
        ] {
            assert!(matches!(parse(&body).unwrap()[0], Notice::Nothing(_)), "{body}");
        }
    }

    #[test]
    fn what_is_no_event_is_malformed() {
        for body in ["", "x", "{}", "[]", r#"{"Records":[{}]}"#] {
            assert!(parse(body).is_err(), "{body}");
        }
    }
}
