//! The promises about messages, events and records.

use std::collections::BTreeMap;

use serde_json::value::RawValue;

use crate::decode::KEY_FIELD;
use fanfold::intake::s3_event::{Notice, parse};
use fanfold::model::format::Layout;
use fanfold::model::ids::{BatchId, ChunkIndex, MAX_CHUNKS};
use fanfold::model::message::{GatherMessage, ProcessMessage, RedriveMessage, to_body};
use fanfold::model::record::Entry;
use fanfold::model::schema::RecordSchema;

// https://docs.aws.amazon.com/AmazonS3/latest/userguide/object-keys.html
const MAX_KEY_BYTES: usize = 1024;
const MAX_BATCH_ID_BYTES: usize = 93;

/// A message of the scatter queue: every upload that it reports has a batch whose objects are under the batch's
/// name and nowhere else.
pub fn s3_event(data: &[u8]) {
    let Ok(body) = std::str::from_utf8(data) else { return };
    for notice in parse(body).unwrap_or_default() {
        let Notice::Created(created) = notice else { continue };
        let batch = BatchId::of(&created.bucket, &created.key, &created.revision);
        assert_eq!(BatchId::parse(batch.as_str()).expect("a batch's own name"), batch);
        assert!(batch.as_str().len() <= MAX_BATCH_ID_BYTES);
        lies_under(&batch);
    }
}

fn lies_under(batch: &BatchId) {
    let prefix = format!("{batch}/");
    let mut keys = vec![batch.pending_prefix()];
    for chunk in [0, MAX_CHUNKS - 1] {
        let chunk = ChunkIndex::new(chunk).expect("a chunk that can be named");
        keys.extend([batch.pending_key(chunk), batch.done_key(chunk)]);
    }
    keys.extend(["results.jsonl", "failed.jsonl", "summary.json"].map(|name| batch.output_key(name)));
    for key in keys {
        assert!(key.starts_with(&prefix) && key.len() <= MAX_KEY_BYTES, "{key}");
        assert!(!key.split('/').any(|segment| segment == ".." || segment == "."), "{key}");
        assert!(!key.chars().any(char::is_control), "{key}");
    }
}

/// Messages of the process and gather queues: what is read is written again in the same form.
pub fn message(data: &[u8]) {
    let Ok(body) = std::str::from_utf8(data) else { return };
    if let Ok(message) = ProcessMessage::parse(body) {
        assert_eq!(ProcessMessage::parse(&to_body(&message)).expect("a message's own body"), message);
        lies_under(&message.batch_id);
    }
    if let Ok(message) = RedriveMessage::parse(body) {
        assert_eq!(RedriveMessage::parse(&to_body(&message)).expect("a message's own body"), message);
    }
    if let Ok(message) = GatherMessage::parse(body) {
        assert_eq!(GatherMessage::parse(&to_body(&message)).expect("a message's own body"), message);
        lies_under(&message.batch_id);
    }
}

/// A record on its way to an item; the first byte selects the layout. A valid record is stored as it is, and an
/// invalid one gets a reason.
pub fn record(data: &[u8]) {
    thread_local! {
        static SCHEMA: RecordSchema = RecordSchema::parse(TYPES, KEY_FIELD).expect("a schema");
    }
    let [layout, text @ ..] = data else { return };
    let layout = if layout % 2 == 0 { Layout::Json } else { Layout::Csv };
    let Ok(text) = std::str::from_utf8(text) else { return };
    let Ok(record) = serde_json::from_str::<&RawValue>(text) else { return };
    if !record.get().starts_with('{') {
        return;
    }
    let checked = SCHEMA.with(|schema| schema.check(&Entry::decoded(0, record.to_owned()), layout));
    match checked {
        Err(reason) => assert!(!reason.is_empty()),
        Ok(valid) if layout == Layout::Json => {
            let stored = serde_json::to_string(&valid.fields).expect("fields are JSON");
            assert_eq!(sorted(&stored), sorted(record.get()));
        }
        Ok(valid) => assert!(!valid.key.is_empty()),
    }
}

/// Columns of every type, none of which is required.
const TYPES: &str = r#"{"properties":{"n":{"type":["number","null"]},"b":{"type":"boolean"},"l":{"type":"array"},
    "o":{"type":"object"},"s":{"type":"string","maxLength":9},"t":{}}}"#;

/// JSON with its members sorted by name, the last of several with the same name, and strings in one notation.
fn sorted(text: &str) -> String {
    let parse = "the text was taken for JSON";
    match text.as_bytes()[0] {
        b'{' => {
            let members: BTreeMap<String, &RawValue> = serde_json::from_str(text).expect(parse);
            let members = members.into_iter().map(|(name, value)| format!("{name:?}:{}", sorted(value.get())));
            format!("{{{}}}", members.collect::<Vec<_>>().join(","))
        }
        b'[' => {
            let elements: Vec<&RawValue> = serde_json::from_str(text).expect(parse);
            let elements = elements.into_iter().map(|value| sorted(value.get()));
            format!("[{}]", elements.collect::<Vec<_>>().join(","))
        }
        b'"' => format!("{:?}", serde_json::from_str::<String>(text).expect(parse)),
        // serde_json writes every exponent with its sign, as in 1e+5.
        _ => text.to_lowercase().replace('+', ""),
    }
}
