//! The buckets of a simulation.

use std::ops::Range;

use bytes::Bytes;
use fanfold::batch::dispatch::FanOut;
use fanfold::intake::s3_event::event_of;
use fanfold::model::error::{ErrorKind, Result};
use fanfold::model::ids::{BatchId, PENDING, Revision};
use fanfold::model::input::InputRef;
use fanfold::store::blob::memory::MemoryBlob;
use fanfold::store::blob::{Blob, Body, Part as BlobPart, Pin, Section, UploadId, Written};
use fanfold::store::channel::Outgoing;
use fanfold::store::ledger::{CLAIMS, Claims};
use futures::{FutureExt, StreamExt, stream};

use super::checkpoints;
use super::mutation::{Late, Mutation};
use super::objects;
use super::service;
use super::state::{INPUT, PROCESS, State};
use super::stores::Watched;

const BURIED: &str = "{\"buried\":true}\n";

/// Whether an object of the work bucket holds the chunk that cannot be read.
fn is_unreadable(state: &State, key: &str) -> bool {
    let chunk = state.batches.first().and_then(|batch| batch.chunk_of_pending(key));
    chunk.is_some_and(|chunk| state.plan.unreadable == Some(chunk.get()))
}

/// The same for a range of an input.
fn is_unreadable_range(state: &State, key: &str, pin: &Pin, range: &Range<u64>) -> bool {
    let (Some(chunk), Some(batch), Pin::Version(version)) = (state.plan.unreadable, state.batches.first(), pin) else {
        return false;
    };
    let group = chunk / CLAIMS;
    let claims = state.data.ledger.read_claims(batch, group..group + 1).now_or_never().and_then(Result::ok);
    let claim = claims.and_then(|claims| claims.concat().get((chunk % CLAIMS) as usize).copied());
    *batch == BatchId::of(INPUT, key, &Revision::Version(version.clone()))
        && claim.is_some_and(|claim| claim.range.bytes() == *range)
}

fn body_of(bytes: impl Into<Bytes>) -> Body {
    stream::iter([Ok(bytes.into())]).boxed()
}

impl Watched<MemoryBlob> {
    /// Notes that an upload is no longer there.
    fn missed<T>(&self, key: &str, result: &Result<T>) {
        if result.as_ref().is_err_and(|error| error.kind == ErrorKind::Missing) {
            self.hand.world(|state| state.at_missing(key));
        }
    }
}

impl Blob for Watched<MemoryBlob> {
    async fn get(&self, key: &str, version: Option<&str>) -> Result<Option<Body>> {
        if self.hand.has_in(&["gather"], Mutation::SummaryIsWrittenAgain) && key.ends_with("summary.json") {
            return Ok(None);
        }
        if self.hand.has_in(&["scatter"], Mutation::ObjectsAreFoundAgain) && key.ends_with("found.jsonl") {
            return Ok(None);
        }
        let Some(bytes) = self.store.read(key).filter(|_| version.is_none()) else {
            return self.store.get(key, version).await;
        };
        if checkpoints::batch_of(key).is_some() {
            self.hand.world(|state| state.at_going_on(key));
        }
        if key.contains("/answers/") {
            let mutation = self.hand.world(|state| state.options.mutation);
            return Ok(Some(body_of(service::read(mutation, &bytes))));
        }
        if self.hand.world(|state| is_unreadable(state, key)) {
            return Ok(Some(body_of("{")));
        }
        if self.hand.has_in(&["scatter"], Mutation::RedriveTakesEverything) && key.contains("/done/") {
            let text = String::from_utf8_lossy(&bytes).replace(r#""success":true"#, r#""success":false"#);
            return Ok(Some(body_of(text)));
        }
        let lost = self.hand.has(Mutation::LostChunksCount) || self.hand.has(Mutation::HolesAreRead);
        if lost && self.hand.stage() == "gather" && bytes == BURIED {
            return Ok(Some(body_of("{\"succeeded\":0}\n")));
        }
        self.store.get(key, version).await
    }

    async fn get_range(&self, key: &str, pin: &Pin, range: Range<u64>) -> Result<Option<Section>> {
        if self.hand.has_in(&["process", "gather"], Mutation::AnyVersionIsRead) {
            return self.store.get_range(key, &Pin::Newest, range).await;
        }
        if self.hand.world(|state| state.shredded.contains(key)) {
            return Ok(None);
        }
        let newest = self.hand.has_in(&["scatter"], Mutation::NewestObjectsAreRead) && key.starts_with("in ");
        let pin = if newest { &Pin::Newest } else { pin };
        match self.hand.world(|state| state.too_early(key, pin)) {
            Some(Some(refused)) => return Err(refused),
            Some(None) => return Ok(None),
            None => {}
        }
        let unreadable = self.hand.world(|state| is_unreadable_range(state, key, pin, &range));
        let section = self.store.get_range(key, pin, range).await?;
        Ok(section.map(|section| if unreadable { Section { body: body_of(""), ..section } } else { section }))
    }

    async fn put(&self, key: &str, content_type: &str, body: Bytes) -> Result<Written> {
        self.hand.watch_putting(key);
        if self.hand.has(Mutation::SummaryBeforeTheOutputs) {
            let output = !key.ends_with("summary.json") && checkpoints::batch_of(key).is_none();
            if output && self.hand.stage() == "gather" {
                self.hand.put_off([Late::Output(key.to_owned(), body)]);
                return Ok(Written::default());
            }
            self.hand.catch_up_after(&[Mutation::SummaryBeforeTheOutputs]);
        }
        if self.hand.has(Mutation::ObjectsAfterTheSeal) && key.ends_with("/objects/read.jsonl") {
            self.hand.put_off([Late::Object(key.to_owned(), body)]);
            return Ok(Written::default());
        }
        let mut body = body;
        if checkpoints::batch_of(key).is_some() {
            self.hand.world(|state| state.at_checkpoint(key, &body));
            body = checkpoints::mutated(self.hand.world(|state| state.options.mutation), body);
        }
        let bytes = body.len() as u64;
        let written = self.store.put(key, content_type, body).await?;
        if checkpoints::batch_of(key).is_some() {
            self.hand.catch_up_after(&[Mutation::CheckpointBeforeItsParts]);
        }
        self.hand.world(|state| objects::at_appearing(state, key));
        if key.ends_with(PENDING) && self.hand.world(|state| state.plan.variant.fan_out == FanOut::Notifications) {
            let (bucket, key, version_id) = ("work".to_owned(), key.to_owned(), written.version.clone());
            let object = InputRef { bucket, key, version_id, e_tag: None, bytes, format: None, read_as: None };
            self.hand.world(|state| state.send(PROCESS, Outgoing::new(event_of(&object).unwrap())));
        }
        Ok(written)
    }

    async fn put_new(&self, key: &str, content_type: &str, body: Bytes) -> Result<bool> {
        if self.hand.has(Mutation::PendingGoneBeforeTheResult) {
            self.hand.put_off([Late::Object(key.to_owned(), body)]);
            return Ok(true);
        }
        self.hand.watch_deciding(key);
        self.hand.watch_counting_in(key, &body);
        if self.hand.has(Mutation::LastToDecideWins) {
            return self.store.put(key, content_type, body).await.map(|_| true);
        }
        if self.hand.has(Mutation::ObjectsAreFoundAgain) && key.ends_with("found.jsonl") {
            self.store.delete(key).await?;
        }
        if key.contains("/answers/") {
            return self.put_answers(key, body).await;
        }
        let created = self.store.put_new(key, content_type, body).await?;
        if created {
            self.hand.world(|state| objects::at_appearing(state, key));
        }
        Ok(created)
    }

    async fn delete(&self, key: &str) -> Result<()> {
        if self.hand.has(Mutation::OldestCheckpointCounts) && checkpoints::batch_of(key).is_some() {
            return Ok(());
        }
        self.store.delete(key).await?;
        self.hand.catch_up_after(&[Mutation::PendingGoneBeforeTheResult, Mutation::MarkBeforeTheItems]);
        Ok(())
    }

    async fn list(&self, prefix: &str, after: Option<&str>, most: usize) -> Result<Vec<String>> {
        let looks_away = self.hand.has_in(&["gather"], Mutation::GatherDoesNotLook)
            || self.hand.has_in(&["sweep"], Mutation::SweepDoesNotLook);
        if looks_away && prefix.ends_with("/done/") {
            return Ok(Vec::new());
        }
        let mut keys = self.store.list(prefix, after, most).await?;
        if self.hand.has(Mutation::OldestCheckpointCounts) && checkpoints::batch_of(prefix).is_some() {
            keys.truncate(usize::from(after.is_none()));
        }
        if self.hand.stage() == "gather" && prefix.ends_with("/pending/") && !keys.is_empty() {
            self.hand.world(|state| state.reach("gather that finds pending chunks"));
        }
        Ok(keys)
    }

    async fn begin_upload(&self, key: &str, content_type: &str) -> Result<UploadId> {
        self.store.begin_upload(key, content_type).await
    }

    fn part_bytes(&self, number: usize) -> usize {
        self.store.part_bytes(number)
    }

    async fn put_part(&self, key: &str, upload: &UploadId, number: i32, body: Bytes) -> Result<BlobPart> {
        if self.hand.has(Mutation::CheckpointBeforeItsParts) {
            let tag = format!("{}-{number}", upload.0);
            self.hand.put_off([Late::Part(key.to_owned(), upload.clone(), number, body)]);
            return Ok(BlobPart { number, tag, checksum: None });
        }
        let part = self.store.put_part(key, upload, number, body).await;
        self.missed(key, &part);
        part
    }

    async fn complete_upload(&self, key: &str, upload: &UploadId, parts: &[BlobPart]) -> Result<Written> {
        if self.hand.has(Mutation::CheckpointBeforeItsParts) {
            self.hand.world(|state| state.flush(self.hand.task));
        }
        let written = self.store.complete_upload(key, upload, parts).await;
        self.missed(key, &written);
        written
    }

    async fn abort_upload(&self, key: &str, upload: &UploadId) -> Result<()> {
        self.store.abort_upload(key, upload).await
    }
}

impl Watched<MemoryBlob> {
    async fn put_answers(&self, key: &str, body: Bytes) -> Result<bool> {
        let mutation = self.hand.world(|state| state.options.mutation);
        let created = self.store.put_new(key, "application/jsonl", service::written(mutation, &body).into()).await?;
        if created {
            self.hand.world(|state| state.served.at_keeping(key, &body));
        }
        Ok(created || self.hand.has(Mutation::LeaseIsIgnored))
    }
}
