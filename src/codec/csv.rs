//! CSV: RFC 4180 with a header row, read by the csv crate's own engine.

use csv_core::{ReadRecordResult, Reader};
use serde::Serialize;
use serde::ser::{SerializeMap, Serializer};
use serde_json::value::to_raw_value;

use super::{not_utf8, too_large};
use crate::model::record::{Entry, MAX_RECORD_BYTES, fits};
use crate::model::summary::Fault;

const FIELDS: usize = 64;
const BYTES: usize = 4 * 1024;
const MAX_FIELDS: usize = 64 * 1024;
// The ledger keeps the header in the batch's item, which holds 400 KB.
const MAX_HEADER_BYTES: usize = 64 * 1024;

/// Reads rows from pieces of a file.
pub struct CsvRecords {
    core: Box<Reader>,
    row: Row,
    columns: Option<Vec<String>>,
    key_field: String,
    next: u64,
    /// Bytes taken so far, for places in messages.
    offset: u64,
}

/// The row that is being read.
struct Row {
    bytes: Vec<u8>,
    ends: Vec<usize>,
    byte_count: usize,
    field_count: usize,
    /// Whether any byte of the row was seen, and where it began.
    start: Option<(u64, u64)>,
    oversize: bool,
}

impl CsvRecords {
    /// A reader of a file whose header must name `key_field`.
    pub fn new(key_field: &str) -> Self {
        Self {
            core: Box::new(Reader::new()),
            row: Row {
                bytes: vec![0; BYTES],
                ends: vec![0; FIELDS],
                byte_count: 0,
                field_count: 0,
                start: None,
                oversize: false,
            },
            columns: None,
            key_field: key_field.to_owned(),
            next: 0,
            offset: 0,
        }
    }

    /// The header, once read.
    pub fn columns(&self) -> Option<&[String]> {
        self.columns.as_deref()
    }

    /// Reads the next piece.
    ///
    /// # Errors
    /// A fault with line and byte if the text is not UTF-8 or the header can not be used.
    pub fn push(&mut self, mut bytes: &[u8], out: &mut Vec<Entry>) -> Result<(), Fault> {
        while !bytes.is_empty() {
            // Line ends between rows go in by themselves, so that a row's first line is known.
            let blank = bytes.iter().take_while(|b| matches!(b, b'\r' | b'\n')).count();
            let piece = match (self.row.start, blank) {
                (None, 0) => {
                    self.row.start = Some((self.core.line(), self.offset));
                    // The engine leaves out a byte order mark that it is given at once. The file's
                    // own is gone already, and how pieces are cut must not matter.
                    if self.offset == 0 { &bytes[..1] } else { bytes }
                }
                (None, blank) => &bytes[..blank],
                (Some(_), _) => bytes,
            };
            let taken = self.read(piece, out)?;
            bytes = &bytes[taken..];
        }
        Ok(())
    }

    /// Reads the last row, which need not end with a line end.
    ///
    /// # Errors
    /// A fault if a quote is still open.
    pub fn finish(&mut self, out: &mut Vec<Entry>) -> Result<(), Fault> {
        let Some((line, byte)) = self.row.start else {
            return Ok(());
        };
        // A line end ends the row, unless it stands inside quotes.
        while self.row.start.is_some() {
            let taken = self.read(b"\n", out)?;
            if taken == 1 && self.row.start.is_some() {
                let message =
                    format!("line {line}, byte {byte}: a quote in this row is not closed before the file ends");
                return Err(Fault::new("OPEN_QUOTE", message));
            }
        }
        Ok(())
    }

    /// One step of the engine; says how many bytes it took.
    fn read(&mut self, piece: &[u8], out: &mut Vec<Entry>) -> Result<usize, Fault> {
        let row = &mut self.row;
        let (result, taken, wrote, ended) =
            self.core.read_record(piece, &mut row.bytes[row.byte_count..], &mut row.ends[row.field_count..]);
        self.offset += taken as u64;
        row.byte_count += wrote;
        row.field_count += ended;
        match result {
            ReadRecordResult::InputEmpty | ReadRecordResult::End => {}
            ReadRecordResult::OutputFull => row.more_bytes(),
            ReadRecordResult::OutputEndsFull => row.more_fields(),
            ReadRecordResult::Record => self.complete(out)?,
        }
        Ok(taken)
    }

    fn complete(&mut self, out: &mut Vec<Entry>) -> Result<(), Fault> {
        let (line, byte) = self.row.start.unwrap_or((self.core.line(), self.offset));
        let place = format_args!("line {line}, byte {byte}");
        if let Some(columns) = &self.columns {
            out.push(if self.row.oversize {
                Entry::faulty(self.next, None, too_large(place))
            } else {
                let cells = self.row.cells().ok_or_else(|| not_utf8(place))?;
                let record = Object(columns, &cells);
                if cells.len() == columns.len() && !fits(&record, self.row.byte_count) {
                    Entry::faulty(self.next, None, too_large(place))
                } else {
                    entry(self.next, line, record)
                }
            });
            self.next += 1;
        } else {
            let cells = self.row.cells().ok_or_else(|| not_utf8(place))?;
            self.columns = Some(header(&cells, &self.key_field, self.row.oversize)?);
        }
        self.row.clear();
        Ok(())
    }
}

impl Row {
    fn clear(&mut self) {
        self.byte_count = 0;
        self.field_count = 0;
        self.start = None;
        self.oversize = false;
    }

    /// Room for more text; past the limit the text is dropped instead.
    fn more_bytes(&mut self) {
        if self.bytes.len() >= MAX_RECORD_BYTES {
            self.oversize = true;
            self.byte_count = 0;
        } else {
            self.bytes.resize((self.bytes.len() * 2).min(MAX_RECORD_BYTES), 0);
        }
    }

    fn more_fields(&mut self) {
        if self.ends.len() >= MAX_FIELDS {
            self.oversize = true;
            self.field_count = 0;
        } else {
            self.ends.resize(self.ends.len() * 2, 0);
        }
    }

    /// The fields as text, unless one of them is not UTF-8. Of a row too large, nothing.
    fn cells(&self) -> Option<Vec<&str>> {
        if self.oversize {
            return Some(Vec::new());
        }
        let mut from = 0;
        self.ends[..self.field_count]
            .iter()
            .map(|&end| std::str::from_utf8(&self.bytes[std::mem::replace(&mut from, end)..end]).ok())
            .collect()
    }
}

/// Checks the first row as the header.
fn header(cells: &[&str], key_field: &str, oversize: bool) -> Result<Vec<String>, Fault> {
    if oversize || cells.iter().map(|cell| cell.len()).sum::<usize>() > MAX_HEADER_BYTES {
        return Err(Fault::new(
            "HEADER_TOO_LARGE",
            format!("line 1: the header row is larger than {MAX_HEADER_BYTES} bytes"),
        ));
    }
    if !cells.contains(&key_field) {
        let found = cells.iter().take(20).copied().collect::<Vec<_>>().join(", ");
        return Err(Fault::new(
            "NO_HEADER",
            format!(
                "line 1: no column is named {key_field:?}; add a header row, \
                 or deploy with KEY_FIELD set to one of the columns ({found})"
            ),
        ));
    }
    let mut seen = std::collections::HashSet::new();
    if let Some(twice) = cells.iter().find(|cell| !seen.insert(**cell)) {
        return Err(Fault::new(
            "DUPLICATE_COLUMN",
            format!("line 1: two columns are named {twice:?}; rename one of them"),
        ));
    }
    Ok(cells.iter().map(|cell| (*cell).to_owned()).collect())
}

fn entry(index: u64, line: u64, record: Object) -> Entry {
    let Object(columns, cells) = record;
    if cells.len() != columns.len() {
        let fault = format!("line {line}: the row has {} fields, and the header has {}", cells.len(), columns.len());
        return Entry::faulty(index, Some(&row_text(cells)), fault);
    }
    match to_raw_value(&record) {
        Ok(record) => Entry::decoded(index, record),
        Err(error) => Entry::faulty(index, Some(&row_text(cells)), format!("line {line}: {error}")),
    }
}

/// A row as CSV text, without its line end.
pub fn row_text<T: AsRef<[u8]>>(cells: &[T]) -> String {
    let mut writer = ::csv::Writer::from_writer(Vec::new());
    let written = writer.write_record(cells).ok().and_then(|()| writer.into_inner().ok());
    let text = written.and_then(|bytes| String::from_utf8(bytes).ok()).unwrap_or_default();
    text.trim_end_matches(['\r', '\n']).to_owned()
}

/// A row as a JSON object: column to value, in the header's order.
struct Object<'a>(&'a [String], &'a [&'a str]);

impl Serialize for Object<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        for (column, cell) in self.0.iter().zip(self.1) {
            map.serialize_entry(column, cell)?;
        }
        map.end()
    }
}
