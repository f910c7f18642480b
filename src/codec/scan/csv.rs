//! CSV: rows end where the csv crate's engine ends them, found by the bytes that matter.

use memchr::{memchr, memchr3};

use super::Chunks;
use super::rows::{Reading, Row, Rows};
use crate::codec::csv::CsvRecords;
use crate::model::range::Claim;
use crate::model::summary::Fault;

/// Finds rows once the header is read.
pub struct CsvScan {
    rows: Rows<CsvRow>,
    header: u64,
}

/// A row that the decoder itself reads.
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
    fn separates(byte: u8) -> bool {
        matches!(byte, b'\r' | b'\n')
    }

    #[inline]
    fn end(piece: &[u8], start: usize) -> Option<usize> {
        let mut at = start;
        loop {
            let hit = at + memchr3(b'\n', b'\r', b'"', &piece[at..])?;
            if piece[hit] != b'"' {
                return Some(hit);
            }
            // Elsewhere in a field a quote is a character like others. What stands before `at`
            // ends a quoted field, so that a comma here is never one inside quotes.
            at = if hit == start || piece[hit - 1] == b',' { after_quotes(piece, hit + 1)? } else { hit + 1 };
        }
    }

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

/// Where a field goes on after its closing quote; two quotes are one that does not close it.
#[inline]
fn after_quotes(piece: &[u8], mut at: usize) -> Option<usize> {
    loop {
        at += memchr(b'"', &piece[at..])? + 1;
        if piece.get(at) != Some(&b'"') {
            return Some(at);
        }
        at += 1;
    }
}
