//! The promises about messages and events.

use fanfold::intake::s3_event::{Notice, parse};
use fanfold::model::ids::{BatchId, ChunkIndex, MAX_CHUNKS};
use fanfold::model::message::{GatherMessage, ProcessMessage, RedriveMessage, to_body};

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
