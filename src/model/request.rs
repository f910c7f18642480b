//! Records that are sent one at a time, and what became of them.

use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use serde_json::value::RawValue;
use sha2::{Digest, Sha256};

use crate::model::billing::event::{UsageEvent, in_words};
use crate::model::error::{Error, Result};
use crate::model::message::VERSION;
use crate::model::record::cut;
use crate::model::timestamp::Timestamp;

/// The longest id: a caller and a key of its own choice.
const MAX_ID: usize = 255;
/// How long a status is kept, in milliseconds: thirty days, as the ledger keeps a batch.
pub const KEPT: i64 = 30 * 24 * 3_600_000;

/// The id of a request: what its client asks for the status by.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct RequestId(String);

impl RequestId {
    /// Reads an id: letters, digits and signs that need no encoding in a path, but for the colon of a caller's id.
    ///
    /// # Errors
    /// `Malformed` if it is another text.
    pub fn parse(text: &str) -> Result<Self> {
        let plain = |c: char| c.is_ascii_alphanumeric() || "-._~:@+=,".contains(c);
        if (1..=MAX_ID).contains(&text.len()) && text.chars().all(plain) {
            return Ok(Self(text.to_owned()));
        }
        let what = "an Idempotency-Key has 1 to 128 letters, digits and signs of -._~";
        Err(Error::malformed(format!("{:?} is no id of a request: {what}", cut(text.to_owned()))))
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for RequestId {
    type Error = Error;

    fn try_from(text: String) -> Result<Self> {
        Self::parse(&text)
    }
}

impl From<RequestId> for String {
    fn from(id: RequestId) -> Self {
        id.0
    }
}

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A record that was sent by itself, as the gateway puts it on the queue.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RecordMessage {
    v: u32,
    /// The request.
    pub id: RequestId,
    /// Whether its client chose the id, so that another request may have the same: for people who look at the queue.
    pub keyed: bool,
    /// When the gateway took it, in milliseconds.
    pub at: i64,
    /// The record, byte by byte as it was sent.
    pub record: Box<RawValue>,
    /// Whether it came without a request of which something could be told.
    #[serde(skip)]
    pub bare: bool,
}

impl RecordMessage {
    /// A message in the current version.
    pub fn new(id: RequestId, keyed: bool, at: Timestamp, record: Box<RawValue>) -> Self {
        Self { v: VERSION, id, keyed, at: at.0, record, bare: false }
    }

    /// Reads a message's body.
    ///
    /// # Errors
    /// `Malformed` if it is not such a message, or of another version.
    pub fn parse(body: &str) -> Result<Self> {
        let message: Self = serde_json::from_str(body)
            .map_err(|e| Error::malformed("the message is no record that was sent by itself").because(e))?;
        if message.v != VERSION {
            return Err(Error::malformed(format!("version {} of messages is not known here", message.v)));
        }
        Ok(message)
    }

    /// A message that is a CloudEvent by itself, as others put them on the queue; `None` if it looks like something else. It is known by what it
    /// is, so that nothing is kept of its request.
    ///
    /// # Errors
    /// `Malformed` if it is not one whole event.
    pub fn event(body: &str, now: Timestamp) -> Option<Result<Self>> {
        #[derive(Deserialize)]
        struct Event<'a> {
            #[serde(borrow, rename = "specversion")]
            _specversion: &'a RawValue,
        }
        // A list can be read as the members of a struct.
        if !body.trim_start().starts_with('{') || serde_json::from_str::<Event<'_>>(body).is_err() {
            return None;
        }
        let read = |body: &str| -> Result<Self> {
            let unread = |e| Error::malformed("the message is no event").because(e);
            let record: Box<RawValue> = serde_json::from_str(body).map_err(unread)?;
            let event: Value = serde_json::from_str(body).map_err(unread)?;
            UsageEvent::parse(&event)
                .map_err(|wrong| Error::malformed(format!("the message is no event: {}", in_words(&wrong))))?;
            let id = RequestId::parse(&format!("event:{}", digest(record.get())))?;
            Ok(Self { bare: true, ..Self::new(id, false, now, record) })
        };
        Some(read(body))
    }

    /// The digest of the record.
    pub fn digest(&self) -> String {
        digest(self.record.get())
    }
}

/// The digest of a record as it was sent, by which a repeated request is told from another one under the same id.
pub fn digest(record: &str) -> String {
    let digest = Sha256::digest(record.as_bytes());
    digest.iter().fold(String::with_capacity(64), |text, byte| text + &format!("{byte:02x}"))
}

/// What became of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum RequestState {
    /// It is worked on.
    Accepted,
    /// Its record is stored.
    Stored,
    /// Its record cannot be stored.
    Failed,
}

impl RequestState {
    /// The state as the table has it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Accepted => "ACCEPTED",
            Self::Stored => "STORED",
            Self::Failed => "FAILED",
        }
    }

    /// Whether nothing more becomes of it.
    pub fn is_final(self) -> bool {
        self != Self::Accepted
    }
}

/// A request and what became of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// The request.
    pub id: RequestId,
    /// The digest of its record.
    pub digest: String,
    /// When the gateway took it.
    pub at: Timestamp,
    /// What became of it.
    pub state: RequestState,
    /// The key under which its record is stored.
    pub key: Option<String>,
    /// Why its record cannot be stored, or could not be in the last try.
    pub reason: Option<String>,
    /// When another record was sent under the same id, which was not stored.
    pub conflict_at: Option<Timestamp>,
}

impl Request {
    /// What is known of a request when its message arrives.
    pub fn accepted(message: &RecordMessage) -> Self {
        Self {
            id: message.id.clone(),
            digest: message.digest(),
            at: Timestamp(message.at),
            state: RequestState::Accepted,
            key: None,
            reason: None,
            conflict_at: None,
        }
    }

    /// The same with its record stored under a key.
    #[must_use]
    pub fn stored(self, key: impl Into<String>) -> Self {
        Self { state: RequestState::Stored, key: Some(key.into()), reason: None, ..self }
    }

    /// The same with a record that cannot be stored.
    #[must_use]
    pub fn failed(self, reason: impl Into<String>) -> Self {
        Self { state: RequestState::Failed, key: None, reason: Some(cut(reason.into())), ..self }
    }

    /// The same with a record that could not be stored now.
    #[must_use]
    pub fn tried(self, reason: impl Into<String>) -> Self {
        Self { reason: Some(cut(reason.into())), ..self }
    }

    /// When it is forgotten.
    pub fn expires_at(&self) -> Timestamp {
        Timestamp(self.at.0.saturating_add(KEPT))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::error::ErrorKind;

    #[test]
    fn a_record_arrives_byte_by_byte() {
        let record = r#"{ "a" : 1.50, "a":"\u00fc' &+%", "b":[ ] }"#;
        let body = format!(r#"{{"v":1,"id":"AKIA:x-1","keyed":true,"at":7,"record":{record}}}"#);
        let message = RecordMessage::parse(&body).unwrap();
        assert_eq!((message.record.get(), message.id.as_str(), message.at), (record, "AKIA:x-1", 7));
        let other = RecordMessage::parse(&body.replace("1.50", "1.5")).unwrap();
        assert_ne!(message.digest(), other.digest());
        assert_eq!(message.digest(), RecordMessage::parse(&body.replace("\"at\":7", "\"at\":8")).unwrap().digest());
    }

    #[test]
    fn an_event_that_others_put_on_the_queue_is_read_whole_or_refused() {
        let event = r#"{ "specversion": "1.0", "source": "/m", "id": "x", "subject": "anna", "type": "kwh", "time": "2026-02-28T12:00:00Z", "data": {"quantity": 1.50} }"#;
        let read = RecordMessage::event(&format!("\n{event}\n"), Timestamp(7)).unwrap().unwrap();
        assert_eq!((read.record.get(), read.keyed, read.bare, read.at), (event, false, true, 7));
        let wrong = RecordMessage::event(&event.replace("1.50", "\"much\""), Timestamp(7)).unwrap().unwrap_err();
        assert_eq!(wrong.kind, ErrorKind::Malformed);
        assert!(wrong.to_string().contains("the message is no event: /data/quantity"), "{wrong}");
        let enveloped = format!(r#"{{"v":1,"id":"a","keyed":true,"at":9,"record":{event}}}"#);
        assert!(!RecordMessage::parse(&enveloped).unwrap().bare);
        for other in [enveloped.as_str(), "", "{}", "[]", r#"["1.0"]"#, r#""specversion""#, &event[1..]] {
            assert!(RecordMessage::event(other, Timestamp(7)).is_none(), "{other}");
        }
    }

    #[test]
    fn what_is_no_such_message_is_refused_in_words() {
        for body in ["", "{}", r#"{"v":1,"batchId":"a-0123456789ab","chunk":0}"#] {
            assert!(RecordMessage::parse(body).unwrap_err().to_string().contains("sent by itself"), "{body}");
        }
        let later = r#"{"v":2,"id":"x","keyed":false,"at":7,"record":{}}"#;
        assert!(RecordMessage::parse(later).unwrap_err().to_string().contains("version 2"));
        for id in ["", "a/b", "a b", "ü", &"x".repeat(256)] {
            assert!(RequestId::parse(id).unwrap_err().to_string().contains("Idempotency-Key"), "{id}");
        }
    }
}
