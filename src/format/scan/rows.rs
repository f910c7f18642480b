//! Rows of text. Those within one piece, which are nearly all, are only searched for their ends.

use crate::format::found::Found;
use crate::format::line_ends::LineEnds;
use crate::format::scan::Chunks;
use crate::model::range::{Claim, Place};

/// What a layout knows about its rows.
pub trait Row {
    /// Finds the ends of rows in a piece.
    type Ends<'a>: Ends;
    /// A row whose end was not in the pieces so far.
    type Open;

    /// Finds the ends of the rows in a piece, from the row that begins at `start`.
    fn ends<'a>(&self, piece: &'a [u8], start: usize) -> Self::Ends<'a>;

    /// Reads the beginning of a row that has no end in these bytes.
    fn open(&self, bytes: &[u8]) -> Self::Open;

    /// Reads on in a row; returns its end if it is in these bytes.
    fn go_on(&self, open: &mut Self::Open, bytes: &[u8]) -> Option<Found>;

    /// Whether a row that ends with the file is a record.
    fn is_record(&self, open: &Self::Open) -> bool;
}

/// The ends of rows.
pub trait Ends {
    /// The end of the row at `start`, if it is in the piece. It is called for every row, empty ones included.
    fn of(&mut self, start: usize) -> Option<Found>;
}

/// Finds the rows of a file.
pub struct Rows<R: Row> {
    row: R,
    /// The place of the next byte.
    offset: u64,
    lines: LineEnds,
    /// The offset of the first byte of its line.
    line_start: u64,
    /// The row that began in an earlier piece, and where.
    open: Option<(Place, R::Open)>,
}

impl<R: Row> Rows<R> {
    pub fn new(row: R) -> Self {
        Self { row, offset: 0, lines: LineEnds::default(), line_start: 0, open: None }
    }

    /// Moves to the place of the next byte.
    pub fn seek(&mut self, place: Place) {
        let Place { offset, line, column } = place;
        (self.lines, self.offset, self.line_start) = (LineEnds::at_line(line), offset, offset + 1 - column.max(1));
        self.open = None;
    }

    pub fn push(&mut self, bytes: &[u8], chunks: &mut Chunks, out: &mut Vec<Claim>) {
        let mut piece =
            Piece { bytes, offset: self.offset, lines: self.lines, line_start: self.line_start, counted: 0 };
        if let Some(at) = self.go_on(&piece, chunks, out) {
            self.find(&mut piece, at, chunks, out);
        }
        piece.place(bytes.len());
        (self.offset, self.lines) = (piece.offset + bytes.len() as u64, piece.lines);
        self.line_start = piece.line_start;
    }

    pub fn finish(&mut self, chunks: &mut Chunks, out: &mut Vec<Claim>) {
        if let Some((start, open)) = self.open.take()
            && self.row.is_record(&open)
        {
            chunks.add(self.offset, || start, out);
        }
    }

    /// Continues a row that began in an earlier piece; returns where the next one may begin.
    fn go_on(&mut self, piece: &Piece, chunks: &mut Chunks, out: &mut Vec<Claim>) -> Option<usize> {
        let Some((start, open)) = &mut self.open else {
            return Some(0);
        };
        let found = self.row.go_on(open, piece.bytes)?;
        if found.record {
            chunks.add(piece.offset + found.end as u64, || *start, out);
        }
        self.open = None;
        Some(found.next)
    }

    /// Finds the rows that begin in the piece.
    fn find(&mut self, piece: &mut Piece, mut at: usize, chunks: &mut Chunks, out: &mut Vec<Claim>) {
        let bytes = piece.bytes;
        let mut ends = self.row.ends(bytes, at);
        while at < bytes.len() {
            let Some(found) = ends.of(at) else {
                self.open = Some((piece.place(at), self.row.open(&bytes[at..])));
                return;
            };
            if found.record {
                chunks.add(piece.offset + found.end as u64, || piece.place(at), out);
            }
            at = found.next;
        }
    }
}

/// A piece of the file, and what is known about it.
struct Piece<'a> {
    bytes: &'a [u8],
    offset: u64,
    /// The line ends before the byte `counted`, and where its line begins.
    lines: LineEnds,
    line_start: u64,
    counted: usize,
}

impl Piece<'_> {
    /// The place of a byte that is not before the one asked for last.
    fn place(&mut self, at: usize) -> Place {
        let passed = &self.bytes[self.counted..at];
        self.lines.pass(passed);
        if let Some(end) = memchr::memrchr2(b'\n', b'\r', passed) {
            self.line_start = self.offset + (self.counted + end) as u64 + 1;
        }
        self.counted = at;
        let offset = self.offset + at as u64;
        Place { offset, line: self.lines.line(), column: offset - self.line_start + 1 }
    }
}
