//! The messages that stages send each other; stages depend on each other in no other way.

use serde::{Deserialize, Serialize, de::DeserializeOwned};

use crate::model::error::{Error, Result};
use crate::model::format::Layout;
use crate::model::ids::{BatchId, ChunkIndex};
use crate::model::input::Source;
use crate::model::range::{Claim, Range};
use crate::model::reason::ReasonId;
use crate::model::timestamp::Timestamp;

/// The version of every message that this build writes and reads.
pub const VERSION: u32 = 1;

/// A claim check on a chunk whose records wait in the work bucket or in the input itself. Fields that are also
/// in the batch's opening may be absent, as in a notification; the worker then looks them up there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ProcessMessage {
    v: u32,
    /// The batch (the correlation id).
    pub batch_id: BatchId,
    /// The chunk (the message sequence).
    pub chunk: ChunkIndex,
    /// How many records the chunk holds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub records: Option<u32>,
    /// The layout of the input: values of a CSV row are converted by the schema's types.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub layout: Option<Layout>,
    /// Orders the batch among all batches, for writes that keep an order.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sequence: Option<i64>,
    /// The digest of the rules that the records have to keep.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rules: Option<String>,
    /// Where the records lie in the input, if they were not copied.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub range: Option<Range>,
    /// The input that the range belongs to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub input: Option<Source>,
}

/// A request to process a batch's failed records again; it is sent through scatter's queue.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RedriveMessage {
    v: u32,
    /// The name of the generation to create.
    pub redrive: BatchId,
    /// The one reason whose failures it is about; without one, it is about all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<ReasonId>,
}

/// The announcement that every chunk of a batch is done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct GatherMessage {
    v: u32,
    /// The batch to gather.
    pub batch_id: BatchId,
    /// Whether the sender does not know that the batch is complete: if it is not, somebody else announces it later.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub if_complete: bool,
}

/// The order to run a worker for each chunk of a batch, by a Distributed Map over its claim checks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct MapOrder {
    v: u32,
    /// The batch.
    pub batch_id: BatchId,
    /// How many chunks it has.
    pub chunks: u32,
}

/// The report that the Distributed Map of a batch failed, so that some of its chunks have no worker.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MapFailure {
    v: u32,
    /// The batch.
    pub map: BatchId,
    /// What Step Functions says.
    pub failed: MapError,
}

/// An error as Step Functions tells it
/// (<https://docs.aws.amazon.com/step-functions/latest/dg/concepts-error-handling.html>).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct MapError {
    /// Its name.
    #[serde(default)]
    pub error: String,
    /// What is behind it, if that is known.
    #[serde(default)]
    pub cause: Option<String>,
}

impl std::fmt::Display for MapError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.cause {
            Some(cause) => write!(f, "{}: {cause}", self.error),
            None => f.write_str(&self.error),
        }
    }
}

impl ProcessMessage {
    /// A claim check on records that were copied to the work bucket.
    pub fn new(batch_id: BatchId, chunk: ChunkIndex, records: u32, layout: Layout, sequence: Timestamp) -> Self {
        let (records, layout, sequence) = (Some(records), Some(layout), Some(sequence.0));
        Self { records, layout, sequence, ..Self::bare(batch_id, chunk) }
    }

    /// A claim check that names the chunk and nothing else.
    pub fn bare(batch_id: BatchId, chunk: ChunkIndex) -> Self {
        Self {
            v: VERSION,
            batch_id,
            chunk,
            records: None,
            layout: None,
            sequence: None,
            rules: None,
            range: None,
            input: None,
        }
    }

    /// The same claim check, on records that have to keep these rules.
    pub fn under(mut self, rules: Option<&str>) -> Self {
        self.rules = rules.map(str::to_owned);
        self
    }

    /// The same claim check, on records in the input.
    pub fn of_range(mut self, range: Range, input: Source) -> Self {
        (self.range, self.input) = (Some(range), Some(input));
        self
    }

    /// The range of the input that it claims, if it claims one.
    pub fn claim(&self) -> Option<Claim> {
        Some(Claim { range: self.range?, records: self.records? })
    }

    /// Reads a message's body.
    ///
    /// # Errors
    /// `Malformed` if it is not such a message, or of another version.
    pub fn parse(body: &str) -> Result<Self> {
        parse(body)
    }
}

impl GatherMessage {
    /// A message in the current version.
    pub fn new(batch_id: BatchId) -> Self {
        Self { v: VERSION, batch_id, if_complete: false }
    }

    /// The same of somebody who does not know whether the batch is complete.
    #[must_use]
    pub fn if_complete(self) -> Self {
        Self { if_complete: true, ..self }
    }

    /// Reads a message's body.
    ///
    /// # Errors
    /// `Malformed` if it is not such a message, or of another version.
    pub fn parse(body: &str) -> Result<Self> {
        parse(body)
    }
}

impl MapOrder {
    /// An order in the current version.
    pub fn new(batch_id: BatchId, chunks: u32) -> Self {
        Self { v: VERSION, batch_id, chunks }
    }

    /// Reads an order.
    ///
    /// # Errors
    /// `Malformed` if it is not one, or of another version.
    pub fn parse(body: &str) -> Result<Self> {
        parse(body)
    }
}

impl MapFailure {
    /// A report in the current version.
    pub fn new(map: BatchId, failed: MapError) -> Self {
        Self { v: VERSION, map, failed }
    }

    /// Reads a message's body.
    ///
    /// # Errors
    /// `Malformed` if it is not such a message, or of another version.
    pub fn parse(body: &str) -> Result<Self> {
        parse(body)
    }
}

impl RedriveMessage {
    /// A message in the current version.
    pub fn new(redrive: BatchId) -> Self {
        Self { v: VERSION, redrive, reason: None }
    }

    /// The same for the records that failed for this reason, if there is one.
    #[must_use]
    pub fn only(self, reason: Option<ReasonId>) -> Self {
        Self { reason, ..self }
    }

    /// Reads a message's body.
    ///
    /// # Errors
    /// `Malformed` if it is not such a message, or of another version.
    pub fn parse(body: &str) -> Result<Self> {
        parse(body)
    }
}

/// Serialises a message to its body.
///
/// # Panics
/// Never: the messages hold strings and numbers only.
pub fn to_body(message: &impl Serialize) -> String {
    serde_json::to_string(message).expect("a message of strings and numbers is JSON")
}

fn parse<T: DeserializeOwned>(body: &str) -> Result<T> {
    #[derive(Deserialize)]
    struct Head {
        v: u32,
    }
    let head: Head =
        serde_json::from_str(body).map_err(|e| Error::malformed("fanfold did not send the message").because(e))?;
    if head.v != VERSION {
        return Err(Error::malformed(format!(
            "the message has version {}, but this build reads version {VERSION}; \
             deploy all functions from one build, then redrive the queue",
            head.v
        )));
    }
    serde_json::from_str(body)
        .map_err(|e| Error::malformed("the message does not have the form that its queue carries").because(e))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_keep_their_published_form() {
        let id = BatchId::parse("orders-0123456789ab").unwrap();
        let message = ProcessMessage::new(id.clone(), ChunkIndex::new(3).unwrap(), 500, Layout::Csv, Timestamp(7));
        let body = to_body(&message);
        assert_eq!(
            body,
            r#"{"v":1,"batchId":"orders-0123456789ab","chunk":3,"records":500,"layout":"csv","sequence":7}"#
        );
        assert_eq!(ProcessMessage::parse(&body).unwrap(), message);
        let range = Range { offset: 40, length: 99, first: 7, line: 9, column: 1, header: 20 };
        let input = Source { key: "a b.csv".to_owned(), version_id: Some("v1".to_owned()), e_tag: None, read_as: None };
        let message = ProcessMessage::new(id.clone(), ChunkIndex::new(3).unwrap(), 5, Layout::Csv, Timestamp(7));
        let message = message.under(Some("0123456789abcdef")).of_range(range, input);
        let body = to_body(&message);
        assert!(body.contains(r#""rules":"0123456789abcdef","range""#), "{body}");
        assert!(body.ends_with(r#""input":{"key":"a b.csv","versionId":"v1"}}"#), "{body}");
        assert_eq!(ProcessMessage::parse(&body).unwrap(), message);
        let body = to_body(&ProcessMessage::bare(id.clone(), ChunkIndex::new(3).unwrap()));
        assert_eq!(body, r#"{"v":1,"batchId":"orders-0123456789ab","chunk":3}"#);
        let body = to_body(&GatherMessage::new(id.clone()));
        assert_eq!(body, r#"{"v":1,"batchId":"orders-0123456789ab"}"#);
        assert_eq!(GatherMessage::parse(&body).unwrap(), GatherMessage::new(id.clone()));
        let perhaps = GatherMessage::new(id.clone()).if_complete();
        assert_eq!(to_body(&perhaps), r#"{"v":1,"batchId":"orders-0123456789ab","ifComplete":true}"#);
        assert_eq!(GatherMessage::parse(&to_body(&perhaps)).unwrap(), perhaps);
        let order = MapOrder::new(id.in_generation(1), 7);
        assert_eq!(to_body(&order), r#"{"v":1,"batchId":"orders-0123456789ab.r1","chunks":7}"#);
        assert_eq!(MapOrder::parse(&to_body(&order)).unwrap(), order);
        let body =
            r#"{"v":1,"map":"orders-0123456789ab","failed":{"Error":"States.ItemReaderFailed","Cause":"no such key"}}"#;
        let failure = MapFailure::parse(body).unwrap();
        assert_eq!((&failure.map, failure.failed.to_string().as_str()), (&id, "States.ItemReaderFailed: no such key"));
        assert_eq!((to_body(&failure).as_str(), MapFailure::new(id.clone(), failure.failed.clone())), (body, failure));
        let silent = MapFailure::parse(r#"{"v":1,"map":"orders-0123456789ab","failed":{"Error":"States.Timeout"}}"#);
        assert_eq!(silent.unwrap().failed.to_string(), "States.Timeout");
        let body = to_body(&RedriveMessage::new(id.in_generation(1)));
        assert_eq!(body, r#"{"v":1,"redrive":"orders-0123456789ab.r1"}"#);
        assert_eq!(RedriveMessage::parse(&body).unwrap(), RedriveMessage::new(id.in_generation(1)));
        let some = RedriveMessage::new(id.in_generation(1)).only(Some(ReasonId::kept("0123456789ab")));
        let body = to_body(&some);
        assert_eq!(body, r#"{"v":1,"redrive":"orders-0123456789ab.r1","reason":"0123456789ab"}"#);
        assert_eq!(RedriveMessage::parse(&body).unwrap(), some);
    }

    #[test]
    fn other_bodies_are_refused_with_a_reason() {
        for (body, reason) in [
            ("", "fanfold did not send"),
            ("{}", "fanfold did not send"),
            (r#"{"v":2,"batchId":"a-0123456789ab"}"#, "version 2"),
            (r#"{"v":1,"batchId":"../../x","chunk":1,"records":1,"layout":"csv"}"#, "not a batch id"),
            (r#"{"v":1,"batchId":"a-0123456789ab","chunk":100000000,"records":1,"layout":"csv"}"#, "100000000"),
        ] {
            let refused = ProcessMessage::parse(body).unwrap_err().to_string();
            assert!(refused.contains(reason), "{body}: {refused}");
        }
    }
}
