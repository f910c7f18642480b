//! Formats whose files are not read from front to back, such as Parquet: a reader of one asks for ranges of a file, and
//! gives its records.

use std::ops::Range;

use bytes::{Bytes, BytesMut};
use futures::TryStreamExt;
use futures::future::{BoxFuture, FutureExt};
use futures::stream::BoxStream;

use crate::model::error::{Error, ErrorKind, Result};
use crate::model::fault::Fault;
use crate::model::record::Entry;
use crate::store::blob::{Blob, Pin, Section};

/// The records of a file in their order. After a fault, which says why the file cannot be read further, there are none.
pub type Entries<'a> = BoxStream<'a, Result<std::result::Result<Entry, Fault>>>;

/// A file that can be read anywhere.
pub trait RandomAccess: Send + Sync {
    /// Its size in bytes.
    fn size(&self) -> u64;

    /// Reads a range of it. Failures have already been retried.
    fn read(&self, range: Range<u64>) -> BoxFuture<'_, Result<Bytes>>;
}

/// A reader of Parquet files. The engine has none: it would bring more code than all the rest.
pub trait RowReader: std::fmt::Debug + Send + Sync + 'static {
    /// Reads the records of a file from index `first` on, or from one before it: each time the same, as scatter may be
    /// repeated. What is wrong with one record is its entry's fault. Fails with the errors of `file` only.
    fn entries<'a>(&'a self, file: Box<dyn RandomAccess + 'a>, first: u64) -> Entries<'a>;
}

/// How often a range is requested in a row without a byte of it arriving.
const ATTEMPTS: u32 = 3;

/// An object as it was when its batch was made.
pub struct Pinned<'a, B> {
    blob: &'a B,
    key: String,
    pin: Pin,
    size: u64,
}

impl<'a, B: Blob> Pinned<'a, B> {
    /// Finds an object; `None` if there is none.
    ///
    /// # Errors
    /// As [`Blob::get_range`].
    pub async fn open(blob: &'a B, key: String, pin: Pin) -> Result<Option<Self>> {
        let section = blob.get_range(&key, &pin, 0..1).await?;
        Ok(section.map(|Section { size, .. }| Self { blob, key, pin, size }))
    }

    /// Appends what one request brings of a range.
    async fn request(&self, range: Range<u64>, read: &mut BytesMut) -> Result<()> {
        let gone = || Error::missing(format!("{} was deleted while it was read", self.key));
        let Section { mut body, .. } = self.blob.get_range(&self.key, &self.pin, range).await?.ok_or_else(gone)?;
        while let Some(piece) = body.try_next().await? {
            read.extend_from_slice(&piece);
        }
        Ok(())
    }
}

impl<B: Blob> RandomAccess for Pinned<'_, B> {
    fn size(&self) -> u64 {
        self.size
    }

    /// A connection that breaks costs only what it had not brought.
    fn read(&self, range: Range<u64>) -> BoxFuture<'_, Result<Bytes>> {
        async move {
            let length = usize::try_from(range.end.min(self.size).saturating_sub(range.start)).unwrap_or(usize::MAX);
            let (mut read, mut attempt) = (BytesMut::with_capacity(length), 0);
            while read.len() < length {
                let before = read.len();
                let requested = self.request(range.start + before as u64..range.end, &mut read).await;
                attempt = if read.len() > before { 0 } else { attempt + 1 };
                match requested {
                    Err(error) if error.kind != ErrorKind::Transient || attempt == ATTEMPTS => return Err(error),
                    Ok(()) if attempt == ATTEMPTS => return Err(Error::transient("a range of the input was empty")),
                    _ => {}
                }
            }
            Ok(read.freeze())
        }
        .boxed()
    }
}
