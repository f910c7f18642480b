//! CSV: finds rows where the decoder ends them, by the bytes that matter.

use crate::format::csv::{CsvRecords, Quoting, header};
use crate::format::found::Found;
use crate::format::scan::Chunks;
use crate::format::scan::bits::{Marks, WIDTH, marks, running_parity};
use crate::format::scan::rows::{Ends, Row, Rows};
use crate::model::fault::Fault;
use crate::model::format::{Dialect, InputFormat};
use crate::model::range::{Claim, Place};
use crate::model::record::MAX_RECORD_BYTES;

/// Finds the rows, once the header is read, if there is one.
pub struct CsvScan {
    rows: Rows<CsvRow>,
    records: CsvRecords,
    /// How many bytes there are up to the end of the header's line, as far as they were read; without a header, only a
    /// byte order mark is before the first row.
    header: u64,
    begun: bool,
}

/// The rows of a dialect.
pub struct CsvRow(Dialect);

impl CsvScan {
    pub fn new(format: &InputFormat, key_field: &str) -> Self {
        let records = CsvRecords::new(format, key_field);
        Self { rows: Rows::new(CsvRow(format.dialect)), records, header: 0, begun: false }
    }

    pub fn columns(&self) -> Option<&[String]> {
        self.records.columns()
    }

    pub fn head(&self) -> Option<&[u8]> {
        self.records.head()
    }

    pub fn header(&self) -> u64 {
        if self.head().is_some() { self.header } else { 0 }
    }

    pub fn skip(&mut self, bytes: usize) {
        self.header += bytes as u64;
    }

    pub fn push(&mut self, mut bytes: &[u8], chunks: &mut Chunks, out: &mut Vec<Claim>) -> Result<(), Fault> {
        if !self.begun {
            let taken = self.records.push_header(bytes)?;
            self.header += taken as u64;
            bytes = &bytes[taken..];
            if bytes.is_empty() {
                return Ok(());
            }
            self.seek(Place { offset: self.header, line: self.records.line(), column: 1 }, chunks);
        }
        self.rows.push(bytes, chunks, out);
        Ok(())
    }

    /// Whether the header was read, with its line end.
    pub fn has_begun(&self) -> bool {
        self.begun || self.records.has_begun()
    }

    /// Goes on at a row, once the header was read.
    pub fn seek(&mut self, place: Place, chunks: &mut Chunks) {
        self.rows.seek(place);
        chunks.names = names(self.columns().unwrap_or_default());
        self.begun = true;
    }

    pub fn finish(&mut self, chunks: &mut Chunks, out: &mut Vec<Claim>) -> Result<(), Fault> {
        if self.begun {
            self.rows.finish(chunks, out);
            return Ok(());
        }
        self.records.finish(&mut Vec::new())
    }
}

/// How many bytes a row gains when it becomes a JSON object: its names, and `{}`, and `:""` for each of them.
fn names(columns: &[String]) -> u64 {
    let named = columns.iter().filter(|name| !name.is_empty());
    2 + named.map(|name| header::json_bytes(name) + 3).sum::<u64>()
}

impl Row for CsvRow {
    type Ends<'a> = RowEnds<'a>;
    type Open = Quoting;

    fn ends<'a>(&self, piece: &'a [u8], start: usize) -> RowEnds<'a> {
        RowEnds::new(piece, start, self.0)
    }

    fn open(&self, bytes: &[u8]) -> Quoting {
        let mut quoting = Quoting::default();
        quoting.end(bytes, &self.0);
        quoting
    }

    fn go_on(&self, quoting: &mut Quoting, bytes: &[u8]) -> Option<Found> {
        let end = quoting.end(bytes, &self.0)?;
        Some(Found { end, next: end + 1, record: !quoting.is_comment() })
    }

    fn is_record(&self, quoting: &Quoting) -> bool {
        !quoting.is_comment()
    }
}

/// Finds where rows end, 64 bytes at a time. As long as every quote is where it may be, the number of quotes before a
/// byte tells whether it is inside quotes.
pub struct RowEnds<'a> {
    piece: &'a [u8],
    dialect: Dialect,
    /// The offset of the current block, and of the next.
    block: usize,
    next: usize,
    /// Line ends outside quotes in the block that have not been returned yet.
    ends: u64,
    /// Whether the block has, after `ends`, a row to be read byte by byte.
    odd: bool,
    /// All ones if the bytes before the next block are inside quotes.
    inside: u64,
    /// Whether a quote at the beginning of the next block may open a field.
    may_open: bool,
    /// Whether a quote before the next block closes a field.
    closed: bool,
}

impl<'a> RowEnds<'a> {
    fn new(piece: &'a [u8], start: usize, dialect: Dialect) -> Self {
        let (ends, odd) = (0, dialect.comment.is_some());
        Self { piece, dialect, block: start, next: start, ends, odd, inside: 0, may_open: true, closed: false }
    }

    #[inline]
    fn look(&mut self) {
        let Marks { quotes, ends, delimiters } = marks(self.piece, self.next, self.closed, &self.dialect);
        let inside = if quotes == 0 { self.inside } else { running_parity(quotes) ^ self.inside };
        // A quote may also open right after one that closes: the two are a quote inside quotes.
        let marks = quotes | ends | delimiters;
        let opens = quotes & inside & !(marks << 1 | u64::from(self.may_open));
        let closing = quotes & !inside;
        let follows = (closing << 1 | u64::from(self.closed)) & !marks;
        let odd = opens | follows;
        self.ends = ends & !inside;
        if odd != 0 {
            self.odd = true;
            self.ends &= (1 << odd.trailing_zeros()) - 1;
        }
        self.inside = 0_u64.wrapping_sub(inside >> 63);
        self.may_open = marks >> 63 == 1;
        self.closed = closing >> 63 == 1;
        self.block = self.next;
        self.next += WIDTH;
    }

    /// Reads the row at `start` as the decoder does.
    #[cold]
    fn slowly(&mut self, start: usize) -> Option<Found> {
        let found = row_at(self.piece, start, &self.dialect)?;
        *self = Self::new(self.piece, found.next, self.dialect);
        Some(found)
    }
}

impl Ends for RowEnds<'_> {
    #[inline]
    fn of(&mut self, start: usize) -> Option<Found> {
        loop {
            if self.ends != 0 {
                let place = self.ends.trailing_zeros();
                let end = self.block + place as usize;
                self.ends &= self.ends - 1;
                if end - start > MAX_RECORD_BYTES {
                    return self.slowly(start);
                }
                let paired = self.ends >> place & 2 != 0 && self.piece[end] == b'\r' && self.piece[end + 1] == b'\n';
                if paired {
                    self.ends &= self.ends - 1;
                }
                return Some(Found { end, next: end + 1 + usize::from(paired), record: end > start });
            }
            if self.odd {
                return self.slowly(start);
            }
            if self.next >= self.piece.len() {
                return None;
            }
            self.look();
        }
    }
}

/// The row at `start`, or a line end that is before one.
fn row_at(piece: &[u8], start: usize, dialect: &Dialect) -> Option<Found> {
    if matches!(piece.get(start)?, b'\n' | b'\r') {
        return Some(Found { end: start, next: start + 1, record: false });
    }
    let mut quoting = Quoting::default();
    let end = start + quoting.end(&piece[start..], dialect)?;
    Some(Found { end, next: end + 1, record: !quoting.is_comment() })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use proptest::sample::select;

    use super::*;

    /// Where all rows that are records begin and end.
    fn all(text: &[u8], mut of: impl FnMut(usize) -> Option<Found>) -> Vec<(usize, usize)> {
        let (mut at, mut all) = (0, Vec::new());
        while let Some(found) = of(at) {
            assert!(found.end >= at && found.end < text.len());
            all.extend(found.record.then_some((at, found.end)));
            at = found.next;
        }
        all
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 2000, ..ProptestConfig::default() })]

        #[test]
        fn rows_end_alike_in_blocks_and_byte_by_byte(
            tokens in proptest::collection::vec(
                select(vec!["a", "bcd", ",", ",\"", "\",", "\"\n", "\"", "\"\"", "\n", "\r", "\r\n", "\"x\"", "some more text"]),
                0..150,
            ),
            // Some texts are well-formed up to a place near a block's end.
            before in 0_usize..140,
        ) {
            let tame = ["1,\"", &"x".repeat(before), "\"\n"].concat();
            for head in ["", &"y".repeat(before), &tame] {
                let text = [head, &tokens.concat()].concat().into_bytes();
                for dialect in [Dialect::STANDARD, Dialect { comment: Some(b'b'), ..Dialect::STANDARD }] {
                    let mut blocks = RowEnds::new(&text, 0, dialect);
                    prop_assert_eq!(all(&text, |at| blocks.of(at)), all(&text, |at| row_at(&text, at, &dialect)));
                }
            }
        }
    }
}
