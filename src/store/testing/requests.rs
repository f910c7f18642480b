//! The contract of `Requests`.

use serde_json::value::RawValue;

use crate::model::request::{KEPT, RecordMessage, Request, RequestId, RequestState};
use crate::model::timestamp::Timestamp;
use crate::store::requests::{Claimed, Requests};

/// When the requests of the suite were taken: they are not forgotten while it runs.
fn taken(now: Timestamp, id: &str, record: &str) -> Request {
    let record = RawValue::from_string(record.to_owned()).unwrap();
    Request::accepted(&RecordMessage::new(RequestId::parse(id).unwrap(), true, now, record))
}

/// Checks that a requests table keeps its contract.
///
/// # Panics
/// If it does not.
pub async fn all(requests: &impl Requests, now: Timestamp) {
    an_id_belongs_to_the_record_that_was_first(requests, now).await;
    an_end_stays(requests, now).await;
    an_end_without_a_claim_is_kept(requests, now).await;
    a_reason_stays_until_the_record_is_stored(requests, now).await;
    a_request_is_forgotten(requests, now).await;
}

async fn an_id_belongs_to_the_record_that_was_first(requests: &impl Requests, now: Timestamp) {
    let (one, two) = (taken(now, "caller:first", "{\"a\":1}"), taken(now, "caller:first", "{\"a\":2}"));
    assert_eq!(requests.read(&one.id, now).await.unwrap(), None);
    for _ in 0..2 {
        assert_eq!(requests.claim(&one).await.unwrap(), Claimed::Open);
        assert_eq!(requests.claim(&two).await.unwrap(), Claimed::Another);
    }
    assert_eq!(requests.read(&one.id, now).await.unwrap(), Some(one.clone()));
    for at in [now, now.plus_seconds(5)] {
        requests.note_conflict(&one.id, at).await.unwrap();
    }
    assert!(!requests.write(&two.clone().stored("2")).await.unwrap());
    let ended = Request { conflict_at: Some(now), ..one.clone().stored("1") };
    assert!(requests.write(&one.clone().stored("1")).await.unwrap());
    assert_eq!(requests.read(&one.id, now).await.unwrap(), Some(ended.clone()));
    assert_eq!(requests.claim(&one).await.unwrap(), Claimed::Ended(ended));
    assert_eq!(requests.claim(&two).await.unwrap(), Claimed::Another);
}

async fn an_end_stays(requests: &impl Requests, now: Timestamp) {
    let one = taken(now, "caller:ends", "{}");
    requests.claim(&one).await.unwrap();
    let failed = one.clone().failed("price: \"für\" is not a number");
    assert!(requests.write(&failed).await.unwrap() && requests.write(&one.clone().stored("1")).await.unwrap());
    assert_eq!(requests.read(&one.id, now).await.unwrap(), Some(failed));
    requests.note_conflict(&one.id, now).await.unwrap();
    assert_eq!(requests.read(&one.id, now).await.unwrap().unwrap().state, RequestState::Failed);
}

async fn an_end_without_a_claim_is_kept(requests: &impl Requests, now: Timestamp) {
    let one = taken(now, "0d3c6f5e-unclaimed", "{}").stored("k/1");
    assert!(requests.write(&one).await.unwrap() && requests.write(&one).await.unwrap());
    assert_eq!(requests.read(&one.id, now).await.unwrap(), Some(one));
    let nobody = RequestId::parse("nobody").unwrap();
    requests.note_conflict(&nobody, now).await.unwrap();
    assert_eq!(requests.read(&nobody, now).await.unwrap(), None);
}

async fn a_reason_stays_until_the_record_is_stored(requests: &impl Requests, now: Timestamp) {
    let one = taken(now, "again", "{}");
    let tried = one.clone().tried("the function answered nothing");
    assert!(requests.write(&tried).await.unwrap());
    assert_eq!(requests.read(&one.id, now).await.unwrap(), Some(tried.clone()));
    assert_eq!(requests.claim(&one).await.unwrap(), Claimed::Open);
    assert_eq!(requests.claim(&taken(now, "again", "[]")).await.unwrap(), Claimed::Another);
    let stored = one.clone().stored("1");
    assert!(requests.write(&stored).await.unwrap() && requests.write(&tried).await.unwrap());
    assert_eq!(requests.read(&one.id, now).await.unwrap(), Some(stored));
}

async fn a_request_is_forgotten(requests: &impl Requests, now: Timestamp) {
    let one = taken(now, "forgotten", "{}").stored("1");
    requests.write(&one).await.unwrap();
    for (at, known) in [(KEPT - 1_000, true), (KEPT + 1_000, false)] {
        let read = requests.read(&one.id, Timestamp(now.0 + at)).await.unwrap();
        assert_eq!(read.is_some(), known, "whether the table has deleted it or not");
    }
}
