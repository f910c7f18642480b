//! Parquet files as records of JSON text.
//!
//! ```text
//!  last 64 KiB ──► Footer::tail ──► plan ──► Part ──► select ──► ranges to read
//!                                                                     │
//!  Row { index, json, fault } ◄── Rows::next ◄── Rows::new ◄── Pieces ┘
//! ```
//!
//! Nothing of it reads or waits: the caller fetches ranges of bytes, by whatever means, and gives them in. [`Parquet`] is
//! such a caller: it gives scatter the rows of an object as records.
//!
//! ```
//! use bytes::Bytes;
//! use fanfold_parquet::{Error, Footer, Limits, Pieces, Rows, Tail};
//!
//! # fn main() -> Result<(), Error> {
//! // A file at hand instead of requests for ranges of one.
//! let file = Bytes::from_static(include_bytes!("../tests/files/spark.parquet"));
//! let range = |range: &std::ops::Range<u64>| file.slice(range.start as usize..range.end as usize);
//! let length = file.len() as u64;
//! let footer = match Footer::tail(&range(&(length.saturating_sub(64 * 1024)..length)), length)? {
//!     Tail::Footer(footer) => footer,
//!     Tail::Needs(more) => panic!("read the last {more} bytes and try again"),
//! };
//! let mut texts = Vec::new();
//! for part in footer.plan(1000, 1024 * 1024) {
//!     let index = footer.index(&part).map(|bytes| range(&bytes));
//!     let selection = footer.select(&part, index.as_deref())?;
//!     let pieces: Pieces = selection.ranges().iter().map(|bytes| (bytes.start, range(bytes))).collect();
//!     let mut rows = Rows::new(&footer, &selection, &pieces, Limits::default())?;
//!     while let Some(row) = rows.next()? {
//!         assert_eq!((row.index, row.fault), (texts.len() as u64, None));
//!         texts.push(row.json.to_owned());
//!     }
//! }
//! assert_eq!((texts.len() as u64, footer.rows()), (3, 3));
//! assert!(texts[0].contains(r#""local":"1582-10-15T00:00:00","day":"0001-01-01","decimal9":-0.01"#));
//! # Ok(())
//! # }
//! ```
//!
//! # Memory
//! [`Rows`] holds the bytes it is given, which are the compressed pages of one part; for each column the decompressed
//! dictionary and one decompressed page; and up to 1,024 decoded rows (fewer if they have over 256 Ki values), and
//! one row as JSON. The pages are measured by their headers before the first is decompressed, and are refused above
//! [`Limits::page_bytes`]. Two things are not bounded by it: a gzipped page that holds more than its header says, up
//! to 1,032 times its size in the file, which then fails; and the list of a single record, with up to 2^26 elements.
//!
//! # Cost
//! A part of a row group costs more than its rows: without an offset index (pandas and DuckDB write none unless they
//! are told to) all bytes of the row group are read for it, with one still the dictionaries. Of a million rows in four
//! row groups, 33 MB, parts of 1,000 rows read 8.3 GB in all without the index and 4.1 GB with it; parts of 50,000
//! rows, 166 MB and 96 MB. Parts should be large, or a caller should keep the bytes of the row group that it read last.
//!
//! # Damaged files
//! Whatever the bytes are, the result is an [`Error`]. The parquet crate panics on some; it is called under
//! `catch_unwind`, so a binary must not set `panic = "abort"`, and its panic hook sees such a panic. The counts that a
//! file promises are checked before that crate allocates them. How many rows there are is a promise as well, which
//! only reading them can break: a caller should bound the number of chunks that it cuts.
//!
//! # How values are written
//!
//! | Parquet | JSON |
//! |---|---|
//! | NULL | `null`: the field is there |
//! | BOOLEAN, INT8 to INT64, UINT8 to UINT64 | `true`, numbers with all digits |
//! | FLOAT, DOUBLE, FLOAT16 | the shortest digits that read as the same number (FLOAT16 as FLOAT) |
//! | NaN, infinities | `"NaN"`, `"Infinity"`, `"-Infinity"`, and the row has a fault |
//! | DECIMAL, however stored | a number with as many digits behind the point as the scale: `12.30`; in more than 64 bytes, those in base64, and the row has a fault |
//! | STRING, ENUM | a string; if it is not UTF-8, with U+FFFD, and the row has a fault |
//! | JSON | embedded; a string if it is not valid JSON, or nested more than 60 deep |
//! | other bytes, BSON among them | a string in base64, with padding |
//! | UUID | `"f81d4fae-7dec-11d0-a765-00a0c91e6bf6"` |
//! | DATE | `"2026-01-31"` |
//! | TIME | `"12:34:56.789"`, with `Z` if it is adjusted to UTC; `"24:00:00"` is one; outside a day the stored number, and the row has a fault |
//! | TIMESTAMP | `"2026-01-31T12:34:56.789Z"` if adjusted to UTC, otherwise without `Z` |
//! | INT96 | as a TIMESTAMP that is not adjusted |
//! | INTERVAL | `"P14M3DT0.250S"`: months, days and seconds, none carried over |
//! | LIST, repeated fields | an array |
//! | MAP with keys that are strings | an object; a key that comes twice is there twice |
//! | MAP with other keys | an array of `{"key":…,"value":…}`, with the names that the file has |
//! | struct, VARIANT | an object; a VARIANT's parts are bytes |
//!
//! A fraction of a second has no trailing zeros, and is left out if it is zero. Years from 0000 to 9999 have four
//! digits, as RFC 3339 demands; others have a sign and at least six (`"+010000-01-01"`), as ISO 8601 expands them.
//! Text that an old writer did not annotate as such is bytes, so comes in base64.

#![forbid(unsafe_code)]
#![deny(clippy::disallowed_methods, clippy::disallowed_types)]
#![warn(missing_docs)]

mod check;
mod column;
mod decimal;
mod error;
mod footer;
mod kind;
mod pages;
mod pieces;
mod reader;
mod rows;
mod schema;
mod thrift;
mod time;

pub use error::Error;
pub use footer::{Footer, MAX_FOOTER_BYTES, Part, RowGroup, Tail};
pub use pages::Selection;
pub use pieces::Pieces;
pub use reader::Parquet;
pub use rows::{Limits, Row, Rows};
