//! JSON Lines: one object a line. Blank lines are skipped; a line that is not an object fails alone.

use serde_json::value::RawValue;

use crate::format::lines::Lines;
use crate::format::{not_utf8, reason, too_large};
use crate::model::fault::Fault;
use crate::model::range::Range;
use crate::model::record::{Entry, MAX_RECORD_BYTES};

/// Reads lines from pieces of a file.
pub struct JsonlRecords {
    lines: Lines,
    place: Place,
}

#[derive(Default)]
struct Place {
    next: u64,
    line: u64,
}

impl Default for JsonlRecords {
    fn default() -> Self {
        Self { lines: Lines::new(MAX_RECORD_BYTES), place: Place::default() }
    }
}

impl JsonlRecords {
    /// A reader of some lines of a file.
    pub fn part(range: &Range) -> Self {
        let place = Place { next: range.first, line: range.line.saturating_sub(1) };
        Self { lines: Lines::new(MAX_RECORD_BYTES), place }
    }

    /// Reads the next piece.
    ///
    /// # Errors
    /// A fault with the number of the line that is not UTF-8.
    pub fn push(&mut self, bytes: &[u8], out: &mut Vec<Entry>) -> Result<(), Fault> {
        self.lines.push(bytes, |line| self.place.take(line, out))
    }

    /// Reads the last line, which need not end with a line end.
    ///
    /// # Errors
    /// As for [`push`](Self::push).
    pub fn finish(&mut self, out: &mut Vec<Entry>) -> Result<(), Fault> {
        self.lines.finish(|line| self.place.take(line, out))
    }
}

impl Place {
    fn take(&mut self, line: Option<&[u8]>, out: &mut Vec<Entry>) -> Result<(), Fault> {
        self.line += 1;
        let place = format_args!("line {}", self.line);
        let entry = match line {
            None => Entry::faulty(self.next, None, too_large(place)),
            Some(bytes) => {
                let Some(text) = text(bytes, self.line)? else {
                    return Ok(());
                };
                match serde_json::from_str::<&RawValue>(text) {
                    Ok(record) if text.starts_with('{') => Entry::decoded(self.next, record.to_owned()),
                    Ok(_) => Entry::faulty(self.next, Some(text), format!("{place}: the line is not a JSON object")),
                    Err(error) => Entry::faulty(
                        self.next,
                        Some(text),
                        format!("{place}, column {}: the line is not JSON: {}", error.column(), reason(&error)),
                    ),
                }
            }
        };
        self.next += 1;
        out.push(entry);
        Ok(())
    }
}

/// A line's text without surrounding white space; `None` if it is blank.
///
/// # Errors
/// A fault with the line's number if it is not UTF-8.
pub(super) fn text(line: &[u8], number: u64) -> Result<Option<&str>, Fault> {
    let text = std::str::from_utf8(line).map_err(|_| not_utf8(format_args!("line {number}")))?.trim();
    Ok(Some(text).filter(|text| !text.is_empty()))
}
