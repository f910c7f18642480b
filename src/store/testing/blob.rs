//! The contract of `Blob`.

use crate::model::error::ErrorKind;
use crate::store::blob::upload::Upload;
use crate::store::blob::{Blob, PART_BYTES, Pin, Section, list_all, read_all, sections};
use bytes::Bytes;
use futures::TryStreamExt;
use futures::stream::{FuturesUnordered, StreamExt};

/// Checks that a bucket keeps its contract.
///
/// # Panics
/// If it does not.
pub async fn all(blob: &impl Blob) {
    what_is_put_is_read(blob).await;
    versions_stay_readable(blob).await;
    ranges_are_read_of_what_is_meant(blob).await;
    sections_are_read_in_order(blob).await;
    deleting_is_idempotent(blob).await;
    keys_may_hold_anything(blob).await;
    a_listing_sees_every_write(blob).await;
    of_several_writers_of_a_new_object_one_wins(blob).await;
    small_uploads_are_whole_and_large_ones_in_parts(blob).await;
    a_part_that_is_uploaded_again_replaces_the_first(blob).await;
    an_upload_given_up_leaves_nothing(blob).await;
}

async fn read(blob: &impl Blob, key: &str) -> Option<Bytes> {
    read_all(blob, key).await.unwrap()
}

async fn what_is_put_is_read(blob: &impl Blob) {
    assert_eq!(read(blob, "a/none").await, None);
    blob.put("a/one", "text/plain", Bytes::from_static(b"1")).await.unwrap();
    blob.put("a/empty", "text/plain", Bytes::new()).await.unwrap();
    assert_eq!(read(blob, "a/one").await.unwrap(), "1");
    assert_eq!(read(blob, "a/empty").await.unwrap(), "");
    blob.put("a/one", "text/plain", Bytes::from_static(b"2")).await.unwrap();
    assert_eq!(read(blob, "a/one").await.unwrap(), "2");
}

async fn versions_stay_readable(blob: &impl Blob) {
    let first = blob.put("v", "text/plain", Bytes::from_static(b"first")).await.unwrap().version.unwrap();
    let second = blob.put("v", "text/plain", Bytes::from_static(b"second")).await.unwrap().version.unwrap();
    blob.delete("v").await.unwrap();
    for (version, text) in [(&first, "first"), (&second, "second")] {
        let body = blob.get("v", Some(version)).await.unwrap().expect("versions outlive a delete");
        let pieces: Vec<Bytes> = body.try_collect().await.unwrap();
        assert_eq!(pieces.concat(), text.as_bytes());
    }
    assert_eq!(read(blob, "v").await, None);
}

async fn range(blob: &impl Blob, key: &str, pin: &Pin, bytes: std::ops::Range<u64>) -> Option<(Vec<u8>, u64)> {
    let Section { body, size, .. } = blob.get_range(key, pin, bytes).await.unwrap()?;
    let pieces: Vec<Bytes> = body.try_collect().await.unwrap();
    Some((pieces.concat(), size))
}

async fn ranges_are_read_of_what_is_meant(blob: &impl Blob) {
    assert_eq!(range(blob, "r/none", &Pin::Newest, 0..5).await, None);
    assert_eq!(range(blob, "r/none", &Pin::Tag("0".into()), 0..5).await, None);
    let first = blob.put("r", "text/plain", Bytes::from_static(b"0123456789")).await.unwrap().version.unwrap();
    for (bytes, text) in [(0..4, "0123"), (3..10, "3456789"), (8..100, "89")] {
        assert_eq!(range(blob, "r", &Pin::Newest, bytes).await.unwrap(), (text.as_bytes().to_vec(), 10));
    }
    assert_eq!(range(blob, "r", &Pin::Newest, 10..12).await.unwrap().0, b"");
    blob.put("r", "text/plain", Bytes::from_static(b"other")).await.unwrap();
    assert_eq!(range(blob, "r", &Pin::Version(first), 2..4).await.unwrap(), (b"23".to_vec(), 10));
    let changed = blob.get_range("r", &Pin::Tag("00000000000000000000000000000000".into()), 0..1).await;
    assert_eq!(changed.err().unwrap().kind, ErrorKind::Conflict);
    let pin = blob.get_range("r", &Pin::Newest, 0..1).await.unwrap().unwrap().pin;
    blob.put("r", "text/plain", Bytes::from_static(b"latest")).await.unwrap();
    match &pin {
        Pin::Version(_) => assert_eq!(range(blob, "r", &pin, 0..9).await.unwrap().0, b"other"),
        Pin::Tag(_) => assert_eq!(blob.get_range("r", &pin, 0..9).await.err().unwrap().kind, ErrorKind::Conflict),
        Pin::Newest => panic!("what was read is not told"),
    }
    blob.put("r/empty", "text/plain", Bytes::new()).await.unwrap();
    assert_eq!(range(blob, "r/empty", &Pin::Newest, 0..5).await.unwrap(), (Vec::new(), 0));
}

async fn sections_are_read_in_order(blob: &impl Blob) {
    let bytes: Vec<u8> = (0..20_000_003_u32).map(|n| (n % 251) as u8).collect();
    blob.put("sections", "text/plain", bytes.clone().into()).await.unwrap();
    for (from, width) in [(0, 1), (0, 16), (11_000_000, 2)] {
        let body = sections::read(blob, "sections".to_owned(), Pin::Newest, from as u64, width).await.unwrap().unwrap();
        let pieces: Vec<Bytes> = body.try_collect().await.unwrap();
        assert!(pieces.concat() == bytes[from..], "from {from}");
    }
    assert!(sections::read(blob, "section".to_owned(), Pin::Newest, 0, 1).await.unwrap().is_none());
}

async fn deleting_is_idempotent(blob: &impl Blob) {
    blob.put("gone", "text/plain", Bytes::from_static(b"x")).await.unwrap();
    for _ in 0..2 {
        blob.delete("gone").await.unwrap();
        assert_eq!(read(blob, "gone").await, None);
    }
    blob.delete("never/there").await.unwrap();
}

async fn keys_may_hold_anything(blob: &impl Blob) {
    for key in ["a b+c%20d/für/x.csv", "q?x=1&y=2#z", "~'()*!"] {
        blob.put(key, "text/plain", Bytes::from(key.to_owned())).await.unwrap();
        assert_eq!(read(blob, key).await.unwrap(), key);
    }
}

async fn a_listing_sees_every_write(blob: &impl Blob) {
    assert_eq!(blob.list("list/", None, 5).await.unwrap(), Vec::<String>::new());
    for key in ["list/b", "list/a", "listing", "list/c/d"] {
        blob.put(key, "text/plain", Bytes::new()).await.unwrap();
    }
    assert_eq!(blob.list("list/", None, 5).await.unwrap(), ["list/a", "list/b", "list/c/d"]);
    assert_eq!(blob.list("list/", None, 1).await.unwrap(), ["list/a"]);
    assert_eq!(blob.list("list/", Some("list/a"), 1).await.unwrap(), ["list/b"]);
    assert_eq!(blob.list("list/", Some("list/c/d"), 5).await.unwrap(), Vec::<String>::new());
    assert_eq!(list_all(blob, "list/").await.unwrap(), ["list/a", "list/b", "list/c/d"]);
    for key in ["list/a", "list/b", "list/c/d"] {
        blob.delete(key).await.unwrap();
    }
    assert_eq!(blob.list("list/", None, 5).await.unwrap(), Vec::<String>::new());
}

async fn of_several_writers_of_a_new_object_one_wins(blob: &impl Blob) {
    let write = |n: u8| async move {
        let text = Bytes::from(vec![n; 3]);
        match blob.put_new("new/one", "text/plain", text.clone()).await {
            Ok(won) => won.then_some(text),
            // A writer that meets another under way may be told to try again.
            Err(error) => panic!("{error}"),
        }
    };
    let wins: Vec<Option<Bytes>> = (0..4).map(write).collect::<FuturesUnordered<_>>().collect().await;
    let wins: Vec<Bytes> = wins.into_iter().flatten().collect();
    assert_eq!(wins.len(), 1);
    assert_eq!(read(blob, "new/one").await.as_ref(), wins.first());
    blob.delete("new/one").await.unwrap();
    assert!(blob.put_new("new/one", "text/plain", Bytes::from_static(b"again")).await.unwrap());
    assert!(!blob.put_new("new/one", "text/plain", Bytes::from_static(b"late")).await.unwrap());
    assert_eq!(read(blob, "new/one").await.unwrap(), "again");
}

async fn small_uploads_are_whole_and_large_ones_in_parts(blob: &impl Blob) {
    for (key, length) in [("u/none", 0), ("u/small", 10), ("u/part", PART_BYTES), ("u/more", 2 * PART_BYTES + 17)] {
        let bytes: Vec<u8> = (0..length).map(|n| (n % 251) as u8).collect();
        let mut upload = Upload::new(blob, key.to_owned(), "text/plain");
        for piece in bytes.chunks(3_000_001) {
            assert_eq!(read(blob, key).await, None, "nothing is seen before the end");
            upload.buffer().extend_from_slice(piece);
            upload.flow().await.unwrap();
        }
        assert!(upload.finish().await.unwrap().version.is_some());
        assert!(read(blob, key).await.unwrap() == bytes, "{key}");
    }
}

async fn a_part_that_is_uploaded_again_replaces_the_first(blob: &impl Blob) {
    let id = blob.begin_upload("again", "text/plain").await.unwrap();
    let first = blob.put_part("again", &id, 1, vec![1; PART_BYTES].into()).await.unwrap();
    let last = blob.put_part("again", &id, 2, Bytes::from_static(b"end")).await.unwrap();
    let replaced = blob.put_part("again", &id, 1, vec![2; PART_BYTES].into()).await.unwrap();
    let completed = blob.complete_upload("again", &id, &[first, last.clone()]).await;
    assert_eq!(completed.unwrap_err().kind, ErrorKind::Missing, "the first part is not there any more");
    blob.complete_upload("again", &id, &[replaced, last]).await.unwrap();
    let bytes = read(blob, "again").await.unwrap();
    assert!(bytes[..PART_BYTES].iter().all(|byte| *byte == 2) && bytes[PART_BYTES..] == *b"end");
}

async fn an_upload_given_up_leaves_nothing(blob: &impl Blob) {
    let id = blob.begin_upload("given-up", "text/plain").await.unwrap();
    let first = blob.put_part("given-up", &id, 1, vec![1; PART_BYTES].into()).await.unwrap();
    for _ in 0..2 {
        blob.abort_upload("given-up", &id).await.unwrap();
    }
    let part = blob.put_part("given-up", &id, 2, Bytes::from_static(b"2")).await;
    assert_eq!(part.unwrap_err().kind, ErrorKind::Missing);
    let completed = blob.complete_upload("given-up", &id, &[first]).await;
    assert_eq!(completed.unwrap_err().kind, ErrorKind::Missing);
    assert_eq!(read(blob, "given-up").await, None);
}
