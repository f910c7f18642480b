//! Finds the chunks of an uncompressed input file without decoding its records. [`Decoder::part`] makes of all
//! chunks together what a [`Decoder`] makes of the whole file.
//!
//! [`Decoder`]: crate::format::Decoder
//! [`Decoder::part`]: crate::format::Decoder::part

mod bits;
mod csv;
mod json;
mod jsonl;
mod rows;

use crate::format::Mark;
use crate::model::fault::Fault;
use crate::model::format::{InputFormat, Layout};
use crate::model::range::{Claim, Place, Range};

/// Finds the ranges of a file's chunks. Feed it with [`push`](Self::push), then
/// [`finish`](Self::finish) it. After a fault it is spent.
///
/// Ranges ascend and do not overlap. Each begins with the first byte of its first record and ends with the last
/// byte of its last; bytes between records belong to no range.
pub struct Scanner {
    layout: Scan,
    mark: Mark,
    chunks: Chunks,
}

enum Scan {
    Csv(Box<csv::CsvScan>),
    Json(json::JsonScan),
    Jsonl(rows::Rows<jsonl::JsonLines>),
}

impl Scanner {
    /// A scanner of a file in this format, which is not compressed; for CSV, a column must be named `key_field`. A chunk
    /// is complete when it holds `chunk_size` records, or when with one more it would weigh more than `chunk_bytes`; a record that weighs
    /// more than that is a chunk of its own. A chunk weighs the bytes of its range, and the [names](Self::names) of each
    /// record.
    pub fn new(format: &InputFormat, key_field: &str, chunk_size: usize, chunk_bytes: usize) -> Self {
        Self {
            layout: match format.layout {
                Layout::Csv => Scan::Csv(Box::new(csv::CsvScan::new(format, key_field))),
                Layout::Json => Scan::Json(json::JsonScan::new(format)),
                Layout::Jsonl | Layout::Parquet => Scan::Jsonl(rows::Rows::new(jsonl::JsonLines)),
            },
            mark: Mark::default(),
            chunks: Chunks::new(chunk_size, chunk_bytes),
        }
    }

    /// Takes the next piece of the file and appends the chunks that it completes to `out`.
    ///
    /// # Errors
    /// The fault that a decoder finds in the file; the chunks of the records before it are in `out`.
    pub fn push(&mut self, bytes: &[u8], out: &mut Vec<Claim>) -> Result<(), Fault> {
        let past = self.mark.past;
        let (held, rest) = self.mark.strip(bytes);
        if !past && self.mark.found() {
            self.skip_mark();
        }
        let pushed = self.scan(held, out).and_then(|()| self.scan(rest, out));
        self.ended(pushed, out)
    }

    /// Ends the file, and appends the last chunk.
    ///
    /// # Errors
    /// As for [`push`](Self::push), for a file that ends too early.
    pub fn finish(&mut self, out: &mut Vec<Claim>) -> Result<(), Fault> {
        let held = self.mark.finish();
        let finished = self.scan(held, out).and_then(|()| match &mut self.layout {
            Scan::Csv(scan) => scan.finish(&mut self.chunks, out),
            Scan::Json(scan) => scan.finish(),
            Scan::Jsonl(rows) => {
                rows.finish(&mut self.chunks, out);
                Ok(())
            }
        });
        self.chunks.close(out);
        finished
    }

    /// Whether so much of the file was read that [`seek`](Self::seek) may be called.
    pub fn has_begun(&self) -> bool {
        match &self.layout {
            Scan::Csv(scan) => scan.has_begun(),
            Scan::Json(scan) => scan.has_begun(),
            Scan::Jsonl(_) => true,
        }
    }

    /// Goes on at a record that is the first of a chunk, by its place and its index: the bytes from there on are taken
    /// next. The file's beginning must have been read, as far as [`has_begun`](Self::has_begun) wants.
    pub fn seek(&mut self, place: Place, index: u64) {
        self.mark.past = true;
        match &mut self.layout {
            Scan::Csv(scan) => scan.seek(place, &mut self.chunks),
            Scan::Json(scan) => scan.seek(place),
            Scan::Jsonl(rows) => rows.seek(place),
        }
        (self.chunks.open, self.chunks.next) = (None, index);
    }

    /// The columns of a CSV file, once they are known.
    pub fn columns(&self) -> Option<&[String]> {
        match &self.layout {
            Scan::Csv(scan) => scan.columns(),
            Scan::Json(_) | Scan::Jsonl(_) => None,
        }
    }

    /// The bytes at the start of a CSV file that name its columns, once its header is read; `None` if it has none.
    pub fn head(&self) -> Option<Vec<u8>> {
        match &self.layout {
            Scan::Csv(scan) => scan.head().map(|head| self.mark.before(head)),
            Scan::Json(_) | Scan::Jsonl(_) => None,
        }
    }

    /// How many bytes at the start of a CSV file hold its columns, with all that is before the header; no record begins
    /// in them. 0 until they are known, and for files without a header.
    pub fn header(&self) -> u64 {
        match &self.layout {
            Scan::Csv(scan) => scan.header(),
            Scan::Json(_) | Scan::Jsonl(_) => 0,
        }
    }

    /// How many bytes longer a record is as JSON than in the file: those of the names of a CSV file's columns, and of the
    /// signs around them, which each record repeats. 0 until they are known, and for other layouts.
    pub fn names(&self) -> u64 {
        self.chunks.names
    }

    fn scan(&mut self, bytes: &[u8], out: &mut Vec<Claim>) -> Result<(), Fault> {
        if bytes.is_empty() {
            return Ok(());
        }
        match &mut self.layout {
            Scan::Csv(scan) => scan.push(bytes, &mut self.chunks, out),
            Scan::Json(scan) => scan.push(bytes, &mut self.chunks, out),
            Scan::Jsonl(rows) => {
                rows.push(bytes, &mut self.chunks, out);
                Ok(())
            }
        }
    }

    fn ended(&mut self, result: Result<(), Fault>, out: &mut Vec<Claim>) -> Result<(), Fault> {
        if result.is_err() {
            self.chunks.close(out);
        }
        result
    }

    fn skip_mark(&mut self) {
        let mark = crate::format::BYTE_ORDER_MARK.len();
        match &mut self.layout {
            Scan::Csv(scan) => scan.skip(mark),
            Scan::Json(scan) => scan.skip(mark),
            Scan::Jsonl(rows) => rows.seek(Place { offset: mark as u64, line: 1, column: 1 }),
        }
    }
}

/// Groups records into chunks.
struct Chunks {
    size: u32,
    bytes: u64,
    /// What each record weighs beside its own bytes.
    names: u64,
    open: Option<Claim>,
    next: u64,
}

impl Chunks {
    fn new(size: usize, bytes: usize) -> Self {
        let size = u32::try_from(size.max(1)).unwrap_or(u32::MAX);
        Self { size, bytes: bytes as u64, names: 0, open: None, next: 0 }
    }

    /// Adds the record that ends before `end`. `place` is called only for the first record of a chunk.
    #[inline]
    fn add(&mut self, end: u64, place: impl FnOnce() -> Place, out: &mut Vec<Claim>) {
        if let Some(claim) = &mut self.open {
            let length = end - claim.range.offset;
            let weight = length + u64::from(claim.records + 1) * self.names;
            if weight <= self.bytes {
                claim.range.length = length;
                claim.records += 1;
                if claim.records >= self.size || weight == self.bytes {
                    self.close(out);
                }
                return;
            }
        }
        self.close(out);
        let Place { offset, line, column } = place();
        self.open = Some(Claim {
            range: Range { offset, length: end - offset, first: self.next, line, column, header: 0 },
            records: 1,
        });
        if self.size == 1 || end - offset + self.names >= self.bytes {
            self.close(out);
        }
    }

    fn close(&mut self, out: &mut Vec<Claim>) {
        if let Some(claim) = self.open.take() {
            self.next += u64::from(claim.records);
            out.push(claim);
        }
    }
}

#[cfg(test)]
mod tests;
