//! JSON Lines: every line that is not blank is a record.

use memchr::memchr;

use crate::format::jsonl::text;
use crate::format::lines::Lines;
use crate::format::scan::rows::{Ends, Reading, Row};
use crate::model::fault::Fault;
use crate::model::record::MAX_RECORD_BYTES;

/// Reads a line as the decoder does.
pub struct JsonLine {
    lines: Lines,
    number: u64,
}

impl Default for JsonLine {
    fn default() -> Self {
        Self { lines: Lines::new(MAX_RECORD_BYTES), number: 1 }
    }
}

/// Every `\n` ends a line.
pub struct LineEnds<'a>(&'a [u8]);

impl<'a> Ends<'a> for LineEnds<'a> {
    fn new(piece: &'a [u8], _: usize) -> Self {
        Self(piece)
    }

    #[inline]
    fn of(&mut self, start: usize) -> Option<usize> {
        memchr(b'\n', &self.0[start..]).map(|length| start + length)
    }
}

impl Row for JsonLine {
    type Ends<'a> = LineEnds<'a>;

    fn is_plain(first: u8) -> bool {
        first.is_ascii_graphic()
    }

    fn begin(&mut self, line: u64, _: u64) {
        self.number = line;
    }

    fn read(&mut self, bytes: &[u8]) -> Result<(usize, Reading), Fault> {
        let taken = memchr(b'\n', bytes).map_or(bytes.len(), |end| end + 1);
        let (number, mut reading) = (self.number, Reading::Open);
        self.lines.push(&bytes[..taken], |line| {
            reading = read(line, number)?;
            Ok(())
        })?;
        Ok((taken, reading))
    }

    fn finish(&mut self) -> Result<Reading, Fault> {
        let (number, mut reading) = (self.number, Reading::Blank);
        self.lines.finish(|line| {
            reading = read(line, number)?;
            Ok(())
        })?;
        Ok(reading)
    }
}

/// A line too large to keep is a record, whatever it contains.
fn read(line: Option<&[u8]>, number: u64) -> Result<Reading, Fault> {
    let blank = match line {
        Some(line) => text(line, number)?.is_none(),
        None => false,
    };
    Ok(if blank { Reading::Blank } else { Reading::Record })
}
