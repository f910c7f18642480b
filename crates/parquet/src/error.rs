//! What can be wrong with a file.

use std::panic::{AssertUnwindSafe, catch_unwind};

use parquet::errors::ParquetError;

/// Why a file, or a part of it, cannot be read. Every message is for the person who uploaded the file; none of these
/// goes away by trying again with the same bytes.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The file does not end like Parquet; it may be truncated, if the bytes given do not reach its beginning.
    #[error("the file is not Parquet, or only a part of it was uploaded: it does not end with PAR1")]
    NotParquet,
    /// The file begins with `PAR1` but does not end with it; only known when the bytes given reach its beginning.
    #[error("the Parquet file is truncated: it begins with PAR1 but does not end with it; upload it again")]
    Truncated,
    /// The footer, or some columns, are encrypted.
    #[error("the Parquet file is encrypted; write it without encryption")]
    Encrypted,
    /// A column is compressed in a way that is not supported.
    #[error("column {column} is compressed with {codec}, which is not supported; use Snappy, Zstandard, gzip or LZ4")]
    Codec {
        /// The path of the column, with dots.
        column: String,
        /// The name of the codec in Parquet.
        codec: String,
    },
    /// Two fields of one record or struct have the same name.
    #[error("the Parquet file has two columns named {0}")]
    DuplicateColumn(String),
    /// The schema asks for something that is not supported.
    #[error("{0} is not supported")]
    Unsupported(String),
    /// The footer, a page or an index contradicts itself.
    #[error("the Parquet file is damaged: {0}")]
    Damaged(String),
    /// What must be held in memory is over a limit.
    #[error(
        "{what} takes {bytes} bytes of memory, and {limit} are allowed; write smaller row groups and pages, or fewer columns"
    )]
    TooLarge {
        /// What it is that must be held.
        what: String,
        /// How many bytes it takes.
        bytes: u64,
        /// How many it may take.
        limit: u64,
    },
    /// The caller has not given the bytes that it was asked for.
    #[error("bytes {0} to {1} of the file are needed and were not given")]
    Missing(u64, u64),
}

impl Error {
    pub(crate) fn damaged(what: impl Into<String>) -> Self {
        Self::Damaged(what.into())
    }

    /// An error of the parquet crate about `what`.
    pub(crate) fn of(error: ParquetError, what: &str) -> Self {
        if let ParquetError::External(inner) = &error
            && let Some(own) = inner.downcast_ref::<Self>()
        {
            return own.clone();
        }
        let text = error.to_string();
        let reason =
            ["Parquet error: ", "EOF: ", "NYI: ", "External: "].iter().find_map(|kind| text.strip_prefix(kind));
        Self::Damaged(format!("{what}: {}", reason.unwrap_or(&text)))
    }
}

/// Calls the parquet crate. It panics on some damaged files (arrow-rs#9742); that comes out as `Damaged`. The
/// message of the panic still goes to the process's panic hook.
pub(crate) fn guarded<T>(what: &str, call: impl FnOnce() -> Result<T, ParquetError>) -> Result<T, Error> {
    match catch_unwind(AssertUnwindSafe(call)) {
        Ok(result) => result.map_err(|error| Error::of(error, what)),
        Err(_) => Err(Error::damaged(format!("{what} cannot be decoded"))),
    }
}
