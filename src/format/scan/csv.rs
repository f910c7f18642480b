//! CSV: finds rows where the csv crate's engine ends them, by the bytes that matter.

use memchr::{memchr, memchr3};

use crate::format::csv::CsvRecords;
use crate::format::scan::Chunks;
use crate::format::scan::bits::{Marks, WIDTH, marks, running_parity};
use crate::format::scan::rows::{Ends, Reading, Row, Rows};
use crate::model::fault::Fault;
use crate::model::range::Claim;

/// Finds the rows, once the header is read.
pub struct CsvScan {
    rows: Rows<CsvRow>,
    header: u64,
}

/// A row that is read by the decoder itself.
pub struct CsvRow(CsvRecords);

impl CsvScan {
    pub fn new(key_field: &str) -> Self {
        Self { rows: Rows::new(CsvRow(CsvRecords::new(key_field))), header: 0 }
    }

    pub fn columns(&self) -> Option<&[String]> {
        self.rows.row().0.columns()
    }

    pub fn header(&self) -> u64 {
        if self.columns().is_some() { self.header } else { 0 }
    }

    pub fn skip(&mut self, bytes: usize) {
        self.header += bytes as u64;
        self.rows.row_mut().begin(1, self.header);
    }

    pub fn push(&mut self, bytes: &[u8], chunks: &mut Chunks, out: &mut Vec<Claim>) -> Result<(), Fault> {
        if self.columns().is_some() {
            return self.rows.push(bytes, chunks, out);
        }
        let records = &mut self.rows.row_mut().0;
        let taken = records.push_header(bytes)?;
        let (line, offset) = records.rows().place();
        self.header = offset;
        self.rows.seek(line, offset);
        if taken == bytes.len() { Ok(()) } else { self.rows.push(&bytes[taken..], chunks, out) }
    }

    pub fn finish(&mut self, chunks: &mut Chunks, out: &mut Vec<Claim>) -> Result<(), Fault> {
        if self.columns().is_some() {
            self.rows.finish(chunks, out)
        } else {
            self.rows.row_mut().0.finish(&mut Vec::new())
        }
    }
}

impl Row for CsvRow {
    type Ends<'a> = RowEnds<'a>;

    fn is_plain(_: u8) -> bool {
        true
    }

    fn begin(&mut self, line: u64, offset: u64) {
        self.0.rows().seek(line, offset);
    }

    fn read(&mut self, bytes: &[u8]) -> Result<(usize, Reading), Fault> {
        let rows = self.0.rows();
        let (taken, complete) = rows.read(bytes);
        if !complete {
            return Ok((taken, Reading::Open));
        }
        rows.skip()?;
        Ok((taken, Reading::Record))
    }

    fn finish(&mut self) -> Result<Reading, Fault> {
        let rows = self.0.rows();
        rows.finish()?;
        rows.skip()?;
        Ok(Reading::Record)
    }
}

/// Finds where rows end, 64 bytes at a time. As long as quotes open only where they may, the number of quotes
/// before a byte tells whether it is inside quotes.
pub struct RowEnds<'a> {
    piece: &'a [u8],
    /// The offset of the current block, and of the next.
    block: usize,
    next: usize,
    /// Line ends outside quotes in the block that have not been returned yet.
    ends: u64,
    /// Whether the block has, after `ends`, a quote where it has no meaning.
    odd: bool,
    /// All ones if the bytes before the next block are inside quotes.
    inside: u64,
    /// Whether a quote at the beginning of the next block may open a field.
    may_open: bool,
}

impl<'a> Ends<'a> for RowEnds<'a> {
    fn new(piece: &'a [u8], start: usize) -> Self {
        Self { piece, block: start, next: start, ends: 0, odd: false, inside: 0, may_open: true }
    }

    #[inline]
    fn of(&mut self, start: usize) -> Option<usize> {
        loop {
            if self.ends != 0 {
                let end = self.block + self.ends.trailing_zeros() as usize;
                self.ends &= self.ends - 1;
                return Some(end);
            }
            if self.odd {
                let end = end_of(self.piece, start)?;
                *self = Self::new(self.piece, end + 1);
                return Some(end);
            }
            if self.next >= self.piece.len() {
                return None;
            }
            self.look();
        }
    }
}

impl RowEnds<'_> {
    #[inline]
    fn look(&mut self) {
        let Marks { quotes, ends, commas } = marks(self.piece, self.next);
        let inside = running_parity(quotes) ^ self.inside;
        // A quote may also open right after one that closes: the two are a quote inside quotes.
        let before = quotes | ends | commas;
        let odd = quotes & inside & !(before << 1 | u64::from(self.may_open));
        self.ends = ends & !inside;
        if odd != 0 {
            self.odd = true;
            self.ends &= (1 << odd.trailing_zeros()) - 1;
        }
        self.inside = 0_u64.wrapping_sub(inside >> 63);
        self.may_open = before >> 63 == 1;
        self.block = self.next;
        self.next += WIDTH;
    }
}

/// Finds the end of the row at `start`, whatever its quotes.
fn end_of(piece: &[u8], start: usize) -> Option<usize> {
    let mut at = start;
    loop {
        let hit = at + memchr3(b'\n', b'\r', b'"', &piece[at..])?;
        if piece[hit] != b'"' {
            return Some(hit);
        }
        // Elsewhere in a field, a quote is a character like any other. Whatever is before `at` ends a quoted
        // field, so that a comma here is never inside quotes.
        at = if hit == start || piece[hit - 1] == b',' { after_quotes(piece, hit + 1)? } else { hit + 1 };
    }
}

/// Finds where a field goes on after its closing quote; two quotes are one that does not close it.
fn after_quotes(piece: &[u8], mut at: usize) -> Option<usize> {
    loop {
        at += memchr(b'"', &piece[at..])? + 1;
        if piece.get(at) != Some(&b'"') {
            return Some(at);
        }
        at += 1;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use proptest::sample::select;

    use super::*;

    /// All line ends that end a row.
    fn all(text: &[u8], mut end_of: impl FnMut(usize) -> Option<usize>) -> Vec<usize> {
        let (mut at, mut ends) = (0, Vec::new());
        while let Some(end) = end_of(at) {
            assert!(end >= at && end < text.len());
            ends.push(end);
            at = end + 1;
        }
        ends
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
                let mut blocks = RowEnds::new(&text, 0);
                prop_assert_eq!(all(&text, |at| blocks.of(at)), all(&text, |at| end_of(&text, at)));
            }
        }
    }
}
