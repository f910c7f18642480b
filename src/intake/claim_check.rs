//! Requests to process a chunk: a claim check, or the work bucket's own notification of the object in which the
//! chunk's records wait.

use crate::intake::s3_event::{self, Notice};
use crate::model::error::{Error, Result};
use crate::model::ids::BatchId;
use crate::model::message::ProcessMessage;

/// Parses a message of the workers' queue. `None` if there is nothing to do for it.
///
/// # Errors
/// `Malformed` if it is not one.
pub fn parse(body: &str) -> Result<Option<ProcessMessage>> {
    let message = ProcessMessage::parse(body);
    match message.as_ref().err().and_then(|_| s3_event::parse(body).ok()) {
        Some(notices) => notified(notices),
        None => message.map(Some),
    }
}

/// Returns the one chunk that a notification names.
fn notified(notices: Vec<Notice>) -> Result<Option<ProcessMessage>> {
    let mut told = None;
    for notice in notices {
        let Notice::Created(created) = notice else {
            continue;
        };
        let Some((batch, chunk)) = BatchId::of_pending(&created.key) else {
            return Err(Error::malformed(format!("the notification is not about a chunk: {}", created.key)));
        };
        if told.replace(ProcessMessage::bare(batch, chunk)).is_some() {
            // S3 sends each by itself; should it ever do otherwise, sweep sends the missing chunks.
            return Err(Error::malformed("the notification is about several chunks"));
        }
    }
    Ok(told)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::intake::s3_event::event_of;
    use crate::model::format::Layout;
    use crate::model::ids::ChunkIndex;
    use crate::model::input::InputRef;
    use crate::model::message::to_body;
    use crate::model::timestamp::Timestamp;

    fn event(key: &str) -> String {
        let (bucket, key, version_id) = ("work".to_owned(), key.to_owned(), Some("v1".to_owned()));
        event_of(&InputRef { bucket, key, version_id, e_tag: None, bytes: 9, format: None, read_as: None }).unwrap()
    }

    #[test]
    fn a_claim_check_and_a_notification_ask_for_the_same() {
        let (batch, chunk) = (BatchId::parse("a-0123456789ab.r2").unwrap(), ChunkIndex::new(7).unwrap());
        let message = ProcessMessage::new(batch.clone(), chunk, 3, Layout::Csv, Timestamp(1));
        assert_eq!(parse(&to_body(&message)).unwrap(), Some(message));
        let told = parse(&event(&batch.pending_key(chunk))).unwrap();
        assert_eq!(told, Some(ProcessMessage::bare(batch, chunk)));
    }

    #[test]
    fn what_asks_for_no_chunk_is_told_from_what_nobody_can_read() {
        let test = r#"{"Service":"Amazon S3","Event":"s3:TestEvent","Time":"2026-01-02T03:04:05.678Z","Bucket":"w"}"#;
        assert_eq!(parse(test).unwrap(), None);
        let two = event("a-0123456789ab/pending/00000000.chunk");
        let record = two.trim_start_matches("{\"Records\":[").trim_end_matches("]}").to_owned();
        for body in ["", "{}", &event("orders.csv"), &format!("{{\"Records\":[{record},{record}]}}")] {
            assert!(parse(body).is_err(), "{body}");
        }
    }
}
