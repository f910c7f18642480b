//! Rows of text. Those within one piece, which are nearly all, are only searched for their ends; the others,
//! and those that may not be what they seem, are read as a decoder reads them.

use simdutf8::compat::from_utf8;

use crate::format::scan::{Chunks, Place};
use crate::model::fault::Fault;
use crate::model::range::Claim;

/// How much is validated at a time: little enough to stay in the cache for the search for line ends.
const BLOCK: usize = 4 * 1024;

/// What a layout knows about its rows.
pub trait Row {
    /// Finds the ends of rows in a piece.
    type Ends<'a>: Ends<'a>;

    /// Whether a row of UTF-8 text that begins with this byte is a record, whatever follows.
    fn is_plain(first: u8) -> bool;

    /// Starts to read a row.
    fn begin(&mut self, line: u64, offset: u64);

    /// Reads the row up to its line end, or the whole piece; returns how many bytes that is.
    fn read(&mut self, bytes: &[u8]) -> Result<(usize, Reading), Fault>;

    /// Reads the end of a row that ends with the file.
    fn finish(&mut self) -> Result<Reading, Fault>;
}

/// The line ends at which rows end.
pub trait Ends<'a> {
    /// Finds the line ends of a piece, from the row that begins at `start`.
    fn new(piece: &'a [u8], start: usize) -> Self;

    /// The line end of the row at `start`, if it is in this piece. It is called for every row, empty ones included.
    fn of(&mut self, start: usize) -> Option<usize>;
}

/// What a row turned out to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reading {
    /// The row is not complete yet.
    Open,
    /// The row is blank.
    Blank,
    /// The row is a record.
    Record,
}

/// Finds the rows of a file.
pub struct Rows<R> {
    row: R,
    /// The place of the next byte.
    offset: u64,
    line: u64,
    /// Where the current row began, until its end has been found.
    open: Option<Place>,
}

impl<R: Row> Rows<R> {
    pub fn new(row: R) -> Self {
        Self { row, offset: 0, line: 1, open: None }
    }

    pub fn row(&self) -> &R {
        &self.row
    }

    pub fn row_mut(&mut self) -> &mut R {
        &mut self.row
    }

    /// Moves to the place of the next byte.
    pub fn seek(&mut self, line: u64, offset: u64) {
        (self.line, self.offset) = (line, offset);
    }

    pub fn push(&mut self, bytes: &[u8], chunks: &mut Chunks, out: &mut Vec<Claim>) -> Result<(), Fault> {
        let mut piece = Piece { bytes, offset: self.offset, line: self.line, counted: 0, valid: 0 };
        let begun = self.go_on(&mut piece, chunks, out)?;
        if let Some(at) = begun {
            self.find(&mut piece, at, chunks, out)?;
        }
        let end = piece.place(bytes.len());
        (self.offset, self.line) = (end.offset, end.line);
        Ok(())
    }

    pub fn finish(&mut self, chunks: &mut Chunks, out: &mut Vec<Claim>) -> Result<(), Fault> {
        if let Some(start) = self.open.take()
            && self.row.finish()? == Reading::Record
        {
            chunks.add(self.offset, || start, out);
        }
        Ok(())
    }

    /// Continues a row that began in an earlier piece; returns where the next one may begin.
    fn go_on(&mut self, piece: &mut Piece, chunks: &mut Chunks, out: &mut Vec<Claim>) -> Result<Option<usize>, Fault> {
        let Some(start) = self.open else {
            return Ok(Some(0));
        };
        let (taken, reading) = self.row.read(piece.bytes)?;
        if reading == Reading::Open {
            return Ok(None);
        }
        if reading == Reading::Record {
            chunks.add(piece.offset + taken as u64 - 1, || start, out);
        }
        self.open = None;
        piece.valid = taken;
        Ok(Some(taken))
    }

    /// Finds the rows that begin in the piece.
    fn find(
        &mut self,
        piece: &mut Piece,
        mut at: usize,
        chunks: &mut Chunks,
        out: &mut Vec<Claim>,
    ) -> Result<(), Fault> {
        let bytes = piece.bytes;
        let mut ends = R::Ends::new(bytes, at);
        loop {
            let Some(end) = ends.of(at) else {
                if at == bytes.len() {
                    return Ok(());
                }
                let start = piece.place(at);
                self.row.begin(start.line, start.offset);
                self.row.read(&bytes[at..])?;
                self.open = Some(start);
                return Ok(());
            };
            if end == at {
                at += 1;
                continue;
            }
            let record = if piece.is_text(end) && R::is_plain(bytes[at]) {
                true
            } else {
                let start = piece.place(at);
                self.row.begin(start.line, start.offset);
                piece.valid = piece.valid.max(end);
                self.row.read(&bytes[at..=end])?.1 == Reading::Record
            };
            if record {
                chunks.add(piece.offset + end as u64, || piece.place(at), out);
            }
            at = end + 1;
        }
    }
}

/// A piece of the file, and what is known about it.
struct Piece<'a> {
    bytes: &'a [u8],
    offset: u64,
    /// The line of the byte `counted`.
    line: u64,
    counted: usize,
    /// Every row before this byte is UTF-8, or need not be.
    valid: usize,
}

impl Piece<'_> {
    /// The place of a byte that is not before the one asked for last.
    fn place(&mut self, at: usize) -> Place {
        self.line += memchr::memchr_iter(b'\n', &self.bytes[self.counted..at]).count() as u64;
        self.counted = at;
        Place { offset: self.offset + at as u64, line: self.line, column: 1 }
    }

    /// Whether everything up to the line end `end` is UTF-8.
    #[inline]
    fn is_text(&mut self, end: usize) -> bool {
        self.valid >= end || self.validate(end)
    }

    fn validate(&mut self, end: usize) -> bool {
        while self.valid < end {
            let block = &self.bytes[self.valid..self.bytes.len().min(self.valid + BLOCK)];
            self.valid += match from_utf8(block) {
                Ok(text) => text.len(),
                Err(error) if error.valid_up_to() == 0 => return false,
                // A block may end within a character, which then begins the next block.
                Err(error) => error.valid_up_to(),
            };
        }
        true
    }
}
