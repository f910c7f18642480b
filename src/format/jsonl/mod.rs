//! JSON Lines: one object a line, or several. Blank lines are skipped; what is not an object fails alone.

pub mod line;

use std::borrow::Cow;

use serde_json::value::RawValue;

use self::line::{Ends, Line};
use crate::format::line_ends::LineEnds;
use crate::format::{reason, text, too_large};
use crate::model::format::InputFormat;
use crate::model::format::charset::Charset;
use crate::model::range::{self, Range};
use crate::model::record::{Entry, MAX_RECORD_BYTES, Raw};

/// Reads records from pieces of a file.
pub struct JsonlRecords {
    charset: Charset,
    place: Place,
    /// The record that began in an earlier piece.
    open: Option<Partial>,
}

/// The place of the next record.
#[derive(Default)]
struct Place {
    index: u64,
    offset: u64,
    lines: LineEnds,
    /// How many bytes of its line are before it.
    column: u64,
}

/// A record whose end was not seen yet.
#[derive(Default)]
struct Partial {
    line: Line,
    bytes: Vec<u8>,
    /// How many bytes it has, even if they are too many to be kept.
    length: usize,
}

impl JsonlRecords {
    /// A reader of a file.
    pub fn new(format: &InputFormat) -> Self {
        Self { charset: format.encoding, place: Place::default(), open: None }
    }

    /// A reader of some records of a file.
    pub fn part(format: &InputFormat, range: &Range) -> Self {
        Self { place: Place::at(range.place(), range.first), ..Self::new(format) }
    }

    /// Goes on at a record that is not the first.
    pub fn seek(&mut self, place: range::Place, index: u64) {
        (self.place, self.open) = (Place::at(place, index), None);
    }

    /// Counts bytes before the file's first line.
    pub fn skip(&mut self, bytes: usize) {
        self.place.offset += bytes as u64;
    }

    /// Reads the next piece.
    pub fn push(&mut self, bytes: &[u8], out: &mut Vec<Entry>) {
        let mut at = 0;
        if let Some(open) = &mut self.open {
            let found = open.line.end(bytes);
            open.keep(&bytes[..found.map_or(bytes.len(), |found| found.end)]);
            let Some(found) = found else {
                return;
            };
            at = found.next;
            self.complete(out);
            self.place.pass(&bytes[found.end..at]);
        }
        let mut ends = Ends::new(bytes);
        while at < bytes.len() {
            // A line that is one object, as nearly all are, need not be searched for others.
            let whole = ends.line(at).and_then(|end| Some((end, self.place.object(&bytes[at..end], self.charset)?)));
            if let Some((end, entry)) = whole {
                self.place.pass_line(end - at, &bytes[end..=end]);
                self.place.index += 1;
                out.push(entry);
                at = end + 1;
                continue;
            }
            let Some(found) = ends.of(at) else {
                let mut open = Partial::default();
                open.line.end(&bytes[at..]);
                open.keep(&bytes[at..]);
                self.open = Some(open);
                return;
            };
            if found.record {
                let record = &bytes[at..found.end];
                self.place.take((record.len() <= MAX_RECORD_BYTES).then_some(record), self.charset, out);
            }
            self.place.pass_line(found.end - at, &bytes[found.end..found.next]);
            at = found.next;
        }
    }

    /// Reads the last record, which need not end with a line end.
    pub fn finish(&mut self, out: &mut Vec<Entry>) {
        self.complete(out);
    }

    fn complete(&mut self, out: &mut Vec<Entry>) {
        if let Some(open) = self.open.take() {
            if open.line.is_record() {
                self.place.take((open.length <= MAX_RECORD_BYTES).then_some(&open.bytes), self.charset, out);
            }
            self.place.pass_record(open.length);
        }
    }
}

impl Partial {
    fn keep(&mut self, bytes: &[u8]) {
        self.length += bytes.len();
        if self.length > MAX_RECORD_BYTES {
            self.bytes = Vec::new();
        } else {
            self.bytes.extend_from_slice(bytes);
        }
    }
}

impl Place {
    fn at(place: range::Place, index: u64) -> Self {
        let lines = LineEnds::at_line(place.line);
        Self { index, offset: place.offset, lines, column: place.column.saturating_sub(1) }
    }

    /// Where the record begins.
    fn start(&self) -> range::Place {
        range::Place { offset: self.offset, line: self.lines.line(), column: self.column + 1 }
    }

    /// Passes a record, and what follows it.
    fn pass_line(&mut self, record: usize, end: &[u8]) {
        self.pass_record(record);
        self.pass(end);
    }

    fn pass_record(&mut self, bytes: usize) {
        self.column += bytes as u64;
        self.offset += bytes as u64;
        self.lines.pass_text(bytes);
    }

    /// Passes the line end after a record, if there is one.
    fn pass(&mut self, end: &[u8]) {
        if !end.is_empty() {
            self.lines.pass(end);
            self.offset += end.len() as u64;
            self.column = 0;
        }
    }

    fn take(&mut self, bytes: Option<&[u8]>, charset: Charset, out: &mut Vec<Entry>) {
        out.push(Entry { place: self.start(), ..self.entry(bytes, charset) });
        self.index += 1;
    }

    /// The entry of a record; of one that is too large, no bytes are given.
    fn entry(&self, bytes: Option<&[u8]>, charset: Charset) -> Entry {
        let line = self.lines.line();
        let Some(bytes) = bytes else {
            return Entry::faulty(self.index, None, too_large(format_args!("line {line}")));
        };
        if let Some(entry) = self.object(bytes, charset) {
            return entry;
        }
        let record = bytes.trim_ascii();
        let column = self.column + (bytes.len() - bytes.trim_ascii_start().len()) as u64 + 1;
        let broken = |fault: String| Entry::broken(self.index, record, fault);
        let text = match text::of(record, charset) {
            Ok(text) => text,
            Err(bad) => return broken(format!("line {line}, column {}: {bad}", column + bad.at as u64)),
        };
        match serde_json::from_str::<&RawValue>(&text) {
            Ok(_) => broken(format!("line {line}: the line is not a JSON object")),
            Err(error) => {
                let column = column + (error.column() as u64).saturating_sub(1);
                broken(format!("line {line}, column {column}: the line is not JSON: {}", reason(&error)))
            }
        }
    }

    /// The entry of a record that is one object, and not too large.
    fn object(&self, bytes: &[u8], charset: Charset) -> Option<Entry> {
        let record = bytes.trim_ascii();
        if bytes.len() > MAX_RECORD_BYTES || record.first() != Some(&b'{') {
            return None;
        }
        let text = text::of(record, charset).ok()?;
        let value = serde_json::from_str::<&RawValue>(&text).ok()?.to_owned();
        let raw = matches!(text, Cow::Owned(_)).then(|| Raw::new(record));
        let place = self.start();
        Some(Entry { raw, line: place.line, place, ..Entry::decoded(self.index, value) })
    }
}
