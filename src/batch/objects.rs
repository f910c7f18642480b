//! What is known of the objects that a batch is made of. It is kept in the work bucket: as they were found, before the
//! first chunk is put, and as they were read, before the batch is sealed.

use crate::batch::chunks::{lines_of, parse_lines};
use crate::model::error::{Error, Result};
use crate::model::fault::Fault;
use crate::model::ids::BatchId;
use crate::model::manifest::{Object, ObjectEnd, Reading, is_manifest};
use crate::model::progress::Batch;
use crate::store::blob::{Blob, read_all};

const FOUND: &str = "found.jsonl";
const READ: &str = "read.jsonl";
const JSON_LINES: &str = "application/jsonl";

/// Keeps the objects as they were found, unless that was done before; returns those that count. Whatever becomes of
/// them meanwhile, every scatter of the batch then reads the same.
///
/// # Errors
/// Those of the bucket.
pub async fn keep_found(work: &impl Blob, batch: &BatchId, objects: Vec<Object>) -> Result<Vec<Object>> {
    if work.put_new(&batch.objects_key(FOUND), JSON_LINES, lines_of(&objects)?.into()).await? {
        return Ok(objects);
    }
    let kept = found(work, batch).await?;
    kept.ok_or_else(|| Error::transient(format!("the objects of batch {batch} are there and cannot be read")))
}

/// Returns the objects of a batch as they were found, if they were kept.
///
/// # Errors
/// Those of the bucket.
pub async fn found(work: &impl Blob, batch: &BatchId) -> Result<Option<Vec<Object>>> {
    let lines = read_all(work, &batch.objects_key(FOUND)).await?;
    lines.map(|lines| parse_lines(&lines)).transpose()
}

/// Keeps what came of the objects when they were read, in their order. A repeat keeps the same.
///
/// # Errors
/// Those of the bucket.
pub async fn keep_read(work: &impl Blob, batch: &BatchId, ends: &[ObjectEnd]) -> Result<()> {
    work.put(&batch.objects_key(READ), JSON_LINES, lines_of(ends)?.into()).await.map(drop)
}

/// Keeps what came of the objects before this chunk, for a later invocation of scatter. A repeat keeps the same, and what
/// a scatter keeps that lags behind takes nothing from another.
///
/// # Errors
/// Those of the bucket.
pub async fn keep_before(work: &impl Blob, batch: &BatchId, chunk: u32, ends: &[ObjectEnd]) -> Result<()> {
    work.put(&before_key(batch, chunk), JSON_LINES, lines_of(ends)?.into()).await.map(drop)
}

/// Returns what came of the objects before this chunk, if that was kept.
///
/// # Errors
/// Those of the bucket.
pub async fn before(work: &impl Blob, batch: &BatchId, chunk: u32) -> Result<Option<Vec<ObjectEnd>>> {
    let lines = read_all(work, &before_key(batch, chunk)).await?;
    lines.map(|lines| parse_lines(&lines)).transpose()
}

fn before_key(batch: &BatchId, chunk: u32) -> String {
    batch.objects_key(&format!("before-{chunk:08}.jsonl"))
}

/// All that is known of the objects of a batch.
#[derive(Debug, Clone, Default)]
pub struct Objects {
    /// The objects, as they were found.
    pub found: Vec<Object>,
    /// What came of them, as far as it was kept: nothing, if scatter did not finish.
    pub read: Vec<ObjectEnd>,
}

impl Objects {
    /// Returns the objects of a batch, in any of its generations; `None` if it was made of one file, or none were found.
    ///
    /// # Errors
    /// Those of the bucket.
    pub async fn of(work: &impl Blob, batch: &Batch) -> Result<Option<Self>> {
        let id = &batch.opening.id;
        if !is_manifest(&batch.opening.input.key) {
            return Ok(None);
        }
        // A batch of before there were lists may be a file with the name of one.
        let Some(found) = found(work, id).await? else {
            return Ok(None);
        };
        let read = read_all(work, &id.objects_key(READ)).await?;
        let read = read.map(|lines| parse_lines(&lines)).transpose()?.unwrap_or_default();
        Ok(Some(Self { found, read }))
    }

    /// The objects that could not be read to their ends, as far as that is known, and why.
    pub fn faults(&self) -> impl Iterator<Item = (&str, &Fault)> {
        faults(&self.found, &self.read)
    }
}

/// The objects that could not be read to their ends, and why.
pub fn faults<'a>(found: &'a [Object], read: &'a [ObjectEnd]) -> impl Iterator<Item = (&'a str, &'a Fault)> {
    let ends = read.iter().map(Some).chain(std::iter::repeat(None));
    found.iter().zip(ends).filter_map(|(object, end)| {
        let fault = match &object.reading {
            Reading::Fault(fault) => Some(fault),
            Reading::ReadAs(_) => end.and_then(|end| end.fault.as_ref()),
        };
        Some((object.key.as_str(), fault?))
    })
}
