//! What reads Parquet files.

use std::fs::File;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use futures::FutureExt;
use futures::future::{BoxFuture, ready};

use fanfold::model::error::{Error, Result};
use fanfold::stage::scatter::rows::{RandomAccess, RowReader};

/// What reads Parquet files; `None` in a build without the feature `parquet`.
pub fn reader() -> Option<Arc<dyn RowReader>> {
    #[cfg(feature = "parquet")]
    return Some(Arc::new(fanfold_parquet::Parquet::default()));
    #[cfg(not(feature = "parquet"))]
    None
}

/// A file that is read in ranges.
pub struct OnDisk {
    file: File,
    size: u64,
}

impl OnDisk {
    /// Takes a file.
    ///
    /// # Errors
    /// `Config` if it is a pipe.
    pub fn new(file: File) -> Result<Self> {
        let metadata = file.metadata().map_err(unreadable)?;
        if !metadata.is_file() {
            return Err(Error::config(
                "a Parquet file cannot be checked in a pipe, as its end is read first; name a file",
            ));
        }
        Ok(Self { file, size: metadata.len() })
    }
}

impl RandomAccess for OnDisk {
    fn size(&self) -> u64 {
        self.size
    }

    fn read(&self, range: Range<u64>) -> BoxFuture<'_, Result<Bytes>> {
        let length = usize::try_from(range.end.saturating_sub(range.start)).unwrap_or_default();
        let mut bytes = BytesMut::zeroed(length);
        let read = self.file.read_exact_at(&mut bytes, range.start);
        ready(read.map(|()| bytes.freeze()).map_err(unreadable)).boxed()
    }
}

fn unreadable(error: std::io::Error) -> Error {
    Error::config("could not read the file").because(error)
}
