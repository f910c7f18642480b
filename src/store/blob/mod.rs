//! Objects in one bucket.

pub mod file;
pub mod memory;
pub mod sections;
pub mod surrounded;
pub mod upload;

use std::future::Future;
use std::ops::Range;

use bytes::Bytes;
use futures::stream::BoxStream;
use serde::{Deserialize, Serialize};

use crate::model::error::Result;
use crate::model::input::Source;

/// The size from which an output is uploaded in parts, and that of the first parts. S3 wants at least 5 MiB a part and
/// at most 10,000 parts: <https://docs.aws.amazon.com/AmazonS3/latest/userguide/qfacts.html>
pub const PART_BYTES: usize = 8 * 1024 * 1024;
/// The most parts of an upload.
pub const MOST_PARTS: usize = 10_000;
/// The parts of one size; those after them are larger by [`PART_BYTES`]. So 10,000 parts hold 195 GiB, of 32 MiB at most,
/// which are held in memory.
const PARTS_OF_A_SIZE: usize = 2_500;

/// The size of a part by its number, from 1. It follows from the number alone, so that whoever uploads a part again
/// uploads the same bytes.
pub fn part_bytes(number: usize) -> usize {
    PART_BYTES * (1 + number.saturating_sub(1) / PARTS_OF_A_SIZE)
}

/// The most keys that one listing returns:
/// <https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListObjectsV2.html>
pub const PAGE: usize = 1000;

/// The bytes of an object as they arrive.
pub type Body = BoxStream<'static, Result<Bytes>>;

/// An upload in parts that was begun.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UploadId(pub String);

/// The receipt of one part.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Part {
    /// Its checksum, if the store gave one.
    pub checksum: Option<String>,
    /// The part's number, from 1.
    pub number: i32,
    /// What the store answered.
    pub tag: String,
}

/// What became of a write.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Written {
    /// The version that was made, if the bucket keeps versions.
    pub version: Option<String>,
}

/// Which of the objects written under a key is meant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Pin {
    /// The newest.
    Newest,
    /// A version, of a bucket that keeps them.
    Version(String),
    /// The newest, if it has this entity tag.
    Tag(String),
}

impl Pin {
    /// Pins the upload that a batch is made from.
    pub fn of(source: &Source) -> Self {
        Self::at(source.version_id.clone(), source.e_tag.clone())
    }

    /// Pins a version, or the newest if it has this entity tag, or whichever is the newest.
    pub fn at(version_id: Option<String>, e_tag: Option<String>) -> Self {
        match (version_id, e_tag) {
            (Some(version), _) => Self::Version(version),
            (None, Some(tag)) => Self::Tag(tag),
            (None, None) => Self::Newest,
        }
    }
}

/// A part of an object.
pub struct Section {
    /// Its bytes.
    pub body: Body,
    /// How many bytes the whole object has.
    pub size: u64,
    /// What was read: its version if the bucket keeps versions, else its entity tag. Of an empty object it may be only
    /// what was asked for.
    pub pin: Pin,
}

/// One bucket. Reads see every write that came before them
/// (<https://docs.aws.amazon.com/AmazonS3/latest/userguide/Welcome.html#ConsistencyModel>). Failed
/// calls have already been retried, except within a body's stream; they may still have taken effect.
pub trait Blob: Send + Sync + 'static {
    /// Opens an object, or the version of it that is named. `None` if there is none. The body fails with `Transient`
    /// if the connection breaks, which is not retried.
    fn get(&self, key: &str, version: Option<&str>) -> impl Future<Output = Result<Option<Body>>> + Send;

    /// Opens a part of an object: as much of `range`, which is not empty, as the object has. `None` if there is no
    /// such object, `Conflict` if its entity tag is not the one in `pin`. The body behaves like that of
    /// [`get`](Self::get).
    fn get_range(
        &self,
        key: &str,
        pin: &Pin,
        range: Range<u64>,
    ) -> impl Future<Output = Result<Option<Section>>> + Send;

    /// Writes an object whole, replacing what is there. Idempotent.
    fn put(&self, key: &str, content_type: &str, body: Bytes) -> impl Future<Output = Result<Written>> + Send;

    /// Writes an object unless there is one under the key, and says whether it did. Exactly one of several writers
    /// does, possibly one whose call failed.
    fn put_new(&self, key: &str, content_type: &str, body: Bytes) -> impl Future<Output = Result<bool>> + Send;

    /// Deletes an object. Idempotent: a missing one is no error.
    fn delete(&self, key: &str) -> impl Future<Output = Result<()>> + Send;

    /// Lists up to `most` (at most 1,000) keys that begin with `prefix`, in ascending order, only those after `after`
    /// if that is given.
    fn list(&self, prefix: &str, after: Option<&str>, most: usize) -> impl Future<Output = Result<Vec<String>>> + Send;

    /// Begins an upload in parts. Nothing appears under the key until it is completed.
    fn begin_upload(&self, key: &str, content_type: &str) -> impl Future<Output = Result<UploadId>> + Send;

    /// The size of a part by its number, from 1; the last may have less.
    fn part_bytes(&self, number: usize) -> usize {
        part_bytes(number)
    }

    /// Writes one part of its size, replacing what was written under its number
    /// (<https://docs.aws.amazon.com/AmazonS3/latest/API/API_UploadPart.html>). `Missing` if the upload was completed or
    /// abandoned.
    fn put_part(
        &self,
        key: &str,
        upload: &UploadId,
        number: i32,
        body: Bytes,
    ) -> impl Future<Output = Result<Part>> + Send;

    /// Assembles the object from its parts, in ascending order, replacing what is there. `Missing` if the upload was
    /// completed or abandoned, or if a part has been replaced.
    fn complete_upload(
        &self,
        key: &str,
        upload: &UploadId,
        parts: &[Part],
    ) -> impl Future<Output = Result<Written>> + Send;

    /// Abandons an upload and frees its parts. Idempotent.
    fn abort_upload(&self, key: &str, upload: &UploadId) -> impl Future<Output = Result<()>> + Send;
}

/// Lists all keys that begin with `prefix`, in ascending order.
///
/// # Errors
/// As [`Blob::list`].
pub async fn list_all(blob: &impl Blob, prefix: &str) -> Result<Vec<String>> {
    list_after(blob, prefix, None).await
}

/// Lists the keys that begin with `prefix` and come after `after`, if that is given, in ascending order.
///
/// # Errors
/// As [`Blob::list`].
pub async fn list_after(blob: &impl Blob, prefix: &str, after: Option<String>) -> Result<Vec<String>> {
    let mut keys: Vec<String> = Vec::new();
    loop {
        let page = blob.list(prefix, keys.last().or(after.as_ref()).map(String::as_str), PAGE).await?;
        if page.is_empty() {
            return Ok(keys);
        }
        keys.extend(page);
    }
}

/// Reads an object to its end, for objects known to be small. `None` if there is none.
///
/// # Errors
/// As [`Blob::get`].
pub async fn read_all(blob: &impl Blob, key: &str) -> Result<Option<Bytes>> {
    use futures::TryStreamExt;
    let Some(body) = blob.get(key, None).await? else {
        return Ok(None);
    };
    let mut pieces: Vec<Bytes> = body.try_collect().await?;
    if pieces.len() == 1 {
        return Ok(pieces.pop());
    }
    Ok(Some(pieces.concat().into()))
}
