//! A large object, read by several requests at once.

use std::ops::Range;

use bytes::Bytes;
use futures::stream::{self, BoxStream, StreamExt, TryStreamExt};

use crate::model::error::{Error, ErrorKind, Result};
use crate::store::blob::{Blob, Pin, Section};

/// What one request reads: as the documentation advises for many ranges of one object,
/// <https://docs.aws.amazon.com/AmazonS3/latest/userguide/optimizing-performance-guidelines.html>
const SECTION: u64 = 8 * 1024 * 1024;
/// The most requests under way at once, and so the most sections held in memory.
const AHEAD: usize = 3;
/// How often a section is requested if its connection breaks.
const ATTEMPTS: u32 = 3;

/// Streams the bytes of an object from `from` on, in order; `None` if there is no such object. Reads up to `width`
/// sections at once, but not more than three.
///
/// # Errors
/// As [`Blob::get_range`]; the stream may fail the same way, and with `Missing` if the object is no longer there.
pub async fn read<'a, B: Blob>(
    blob: &'a B,
    key: String,
    pin: Pin,
    from: u64,
    width: usize,
) -> Result<Option<BoxStream<'a, Result<Bytes>>>> {
    let Some(Whole { pieces: first, size, .. }) = part(blob, &key, &pin, from..from + SECTION).await? else {
        return Ok(None);
    };
    let rest = (from + SECTION..size).step_by(SECTION as usize).map(move |from| {
        let (key, pin) = (key.clone(), pin.clone());
        async move {
            let gone = || Error::missing(format!("{key} was deleted while it was read"));
            Ok(part(blob, &key, &pin, from..from + SECTION).await?.ok_or_else(gone)?.pieces)
        }
    });
    let rest = stream::iter(rest).buffered(width.clamp(1, AHEAD));
    let sections = stream::iter([Ok(first)]).chain(rest);
    Ok(Some(sections.map_ok(|pieces| stream::iter(pieces.into_iter().map(Ok))).try_flatten().boxed()))
}

/// A part of an object that was read to its end.
pub struct Whole {
    /// Its bytes.
    pub pieces: Vec<Bytes>,
    /// How many bytes the whole object has.
    pub size: u64,
    /// What was read, as in [`Section::pin`].
    pub pin: Pin,
}

/// Reads one part of an object; `None` if there is no such object. A connection that breaks costs only this part.
///
/// # Errors
/// As [`Blob::get_range`].
pub async fn part(blob: &impl Blob, key: &str, pin: &Pin, range: Range<u64>) -> Result<Option<Whole>> {
    let mut attempt = 1;
    loop {
        let Some(Section { body, size, pin }) = blob.get_range(key, pin, range.clone()).await? else {
            return Ok(None);
        };
        match body.try_collect().await {
            Ok(pieces) => return Ok(Some(Whole { pieces, size, pin })),
            Err(error) if error.kind == ErrorKind::Transient && attempt < ATTEMPTS => attempt += 1,
            Err(error) => return Err(error),
        }
    }
}
