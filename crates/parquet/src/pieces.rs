//! Bytes of a file, as the parquet crate asks for them.

use std::sync::Arc;

use bytes::{Buf, Bytes};
use parquet::errors::{ParquetError, Result as ParquetResult};
use parquet::file::reader::{ChunkReader, Length};

use crate::error::Error;

/// Bytes of a file that were read: pieces of it, each with its offset.
#[derive(Debug, Clone, Default)]
pub struct Pieces(Arc<Vec<(u64, Bytes)>>);

impl FromIterator<(u64, Bytes)> for Pieces {
    fn from_iter<I: IntoIterator<Item = (u64, Bytes)>>(pieces: I) -> Self {
        let mut pieces: Vec<(u64, Bytes)> = pieces.into_iter().collect();
        pieces.sort_by_key(|(offset, _)| *offset);
        Self(Arc::new(pieces))
    }
}

impl Pieces {
    /// The bytes from an offset to the end of the piece that holds it.
    pub(crate) fn from(&self, offset: u64) -> Option<Bytes> {
        let after = self.0.partition_point(|(start, _)| *start <= offset);
        let (start, bytes) = self.0.get(after.checked_sub(1)?)?;
        let skip = usize::try_from(offset - start).ok().filter(|skip| *skip <= bytes.len())?;
        Some(bytes.slice(skip..))
    }

    fn missing(start: u64, end: u64) -> ParquetError {
        ParquetError::External(Box::new(Error::Missing(start, end)))
    }
}

impl Length for Pieces {
    fn len(&self) -> u64 {
        self.0.last().map_or(0, |(start, bytes)| start + bytes.len() as u64)
    }
}

impl ChunkReader for Pieces {
    type T = bytes::buf::Reader<Bytes>;

    fn get_read(&self, start: u64) -> ParquetResult<Self::T> {
        self.from(start).map(Buf::reader).ok_or_else(|| Self::missing(start, start + 1))
    }

    fn get_bytes(&self, start: u64, length: usize) -> ParquetResult<Bytes> {
        let found = self.from(start).filter(|bytes| bytes.len() >= length);
        found.map(|bytes| bytes.slice(..length)).ok_or_else(|| Self::missing(start, start + length as u64))
    }
}
