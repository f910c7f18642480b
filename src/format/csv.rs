//! CSV: RFC 4180 with a header row, parsed by the csv crate's own engine.

use csv_core::{ReadRecordResult, Reader};
use serde::Serialize;
use serde::ser::{SerializeMap, Serializer};
use serde_json::value::to_raw_value;

use crate::format::{not_utf8, too_large};
use crate::model::fault::{Fault, FaultCode};
use crate::model::range::Range;
use crate::model::record::{Entry, MAX_RECORD_BYTES, fits};

const FIELDS: usize = 64;
const BYTES: usize = 4 * 1024;
const MAX_FIELDS: usize = 64 * 1024;
// The ledger keeps the header in the batch's item, which holds 400 KB.
const MAX_HEADER_BYTES: usize = 64 * 1024;

/// Reads records from pieces of a file.
pub struct CsvRecords {
    rows: Rows,
    columns: Option<Vec<String>>,
    key_field: String,
    next: u64,
}

/// Assembles rows from pieces of a file.
pub(super) struct Rows {
    core: Box<Reader>,
    row: Row,
    /// The offset in the file of the next byte, for places in messages.
    offset: u64,
    fresh: bool,
}

/// The row that is being read.
struct Row {
    bytes: Vec<u8>,
    ends: Vec<usize>,
    byte_count: usize,
    field_count: usize,
    /// Where the row began, as line and byte, once any of its bytes was seen.
    start: Option<(u64, u64)>,
    oversize: bool,
}

impl CsvRecords {
    /// A reader of a file whose header must name `key_field`.
    pub fn new(key_field: &str) -> Self {
        Self { rows: Rows::new(1, 0), columns: None, key_field: key_field.to_owned(), next: 0 }
    }

    /// A reader of some rows of a file with these columns.
    pub fn part(columns: &[String], range: &Range) -> Self {
        Self {
            rows: Rows::new(range.line, range.offset),
            columns: Some(columns.to_vec()),
            key_field: String::new(),
            next: range.first,
        }
    }

    /// The header, once read.
    pub fn columns(&self) -> Option<&[String]> {
        self.columns.as_deref()
    }

    pub(super) fn rows(&mut self) -> &mut Rows {
        &mut self.rows
    }

    /// Reads the next piece of the file.
    ///
    /// # Errors
    /// A fault with line and byte if the text is not UTF-8 or the header cannot be used.
    pub fn push(&mut self, mut bytes: &[u8], out: &mut Vec<Entry>) -> Result<(), Fault> {
        while !bytes.is_empty() {
            let (taken, complete) = self.rows.read(bytes);
            bytes = &bytes[taken..];
            if complete {
                self.complete(out)?;
            }
        }
        Ok(())
    }

    /// Reads the next piece up to the end of the header, and returns how many bytes that took.
    ///
    /// # Errors
    /// As for [`push`](Self::push).
    pub fn push_header(&mut self, bytes: &[u8]) -> Result<usize, Fault> {
        let (taken, complete) = self.rows.read(bytes);
        if complete {
            self.complete(&mut Vec::new())?;
        }
        Ok(taken)
    }

    /// Reads the last row, which need not end with a line end.
    ///
    /// # Errors
    /// A fault if a quote is still open.
    pub fn finish(&mut self, out: &mut Vec<Entry>) -> Result<(), Fault> {
        if self.rows.finish()? { self.complete(out) } else { Ok(()) }
    }

    fn complete(&mut self, out: &mut Vec<Entry>) -> Result<(), Fault> {
        let Rows { row, .. } = &mut self.rows;
        let (line, byte) = row.place();
        let place = format_args!("line {line}, byte {byte}");
        if let Some(columns) = &self.columns {
            out.push(if row.oversize {
                Entry::faulty(self.next, None, too_large(place))
            } else {
                let cells = row.cells()?;
                let record = Object(columns, &cells);
                if cells.len() == columns.len() && !fits(&record, row.byte_count) {
                    Entry::faulty(self.next, None, too_large(place))
                } else {
                    entry(self.next, line, record)
                }
            });
            self.next += 1;
        } else {
            self.columns = Some(header(&row.cells()?, &self.key_field, row.oversize)?);
        }
        row.clear();
        Ok(())
    }
}

impl Rows {
    fn new(line: u64, offset: u64) -> Self {
        let mut core = Box::new(Reader::new());
        core.set_line(line);
        let row = Row {
            bytes: vec![0; BYTES],
            ends: vec![0; FIELDS],
            byte_count: 0,
            field_count: 0,
            start: None,
            oversize: false,
        };
        Self { core, row, offset, fresh: true }
    }

    /// Moves to another place, where a row begins.
    pub fn seek(&mut self, line: u64, offset: u64) {
        self.core.set_line(line);
        self.offset = offset;
    }

    /// The place of the next byte: its line, and its offset in the file.
    pub fn place(&self) -> (u64, u64) {
        (self.core.line(), self.offset)
    }

    /// Reads to the end of the row or of the piece; returns how many bytes it took, and whether the row is
    /// complete.
    pub fn read(&mut self, bytes: &[u8]) -> (usize, bool) {
        let mut all = 0;
        while all < bytes.len() {
            let rest = &bytes[all..];
            // Line ends between rows are fed separately, so that a row's first line is known.
            let blank = rest.iter().take_while(|b| matches!(b, b'\r' | b'\n')).count();
            let piece = match (self.row.start, blank) {
                (None, 0) => {
                    self.row.start = Some(self.place());
                    // The engine drops a byte order mark if it is given one whole. The file's own is gone
                    // already, and how pieces are cut must not matter.
                    if self.fresh { &rest[..1] } else { rest }
                }
                (None, blank) => &rest[..blank],
                (Some(_), _) => rest,
            };
            let (taken, complete) = self.step(piece);
            all += taken;
            if complete {
                return (all, true);
            }
        }
        (all, false)
    }

    /// Ends the last row, if there is one.
    ///
    /// # Errors
    /// A fault if a quote is still open.
    pub fn finish(&mut self) -> Result<bool, Fault> {
        let Some((line, byte)) = self.row.start else {
            return Ok(false);
        };
        // A line end ends the row, unless it stands inside quotes.
        loop {
            match self.step(b"\n") {
                (_, true) => return Ok(true),
                (0, false) => {}
                _ => {
                    let message =
                        format!("line {line}, byte {byte}: a quote in this row is not closed before the file ends");
                    return Err(Fault::new(FaultCode::OpenQuote, message));
                }
            }
        }
    }

    /// Discards a complete row.
    ///
    /// # Errors
    /// A fault if the part of the row that was kept is not UTF-8.
    pub fn skip(&mut self) -> Result<(), Fault> {
        self.row.cells()?;
        self.row.clear();
        Ok(())
    }

    /// Runs the engine once; returns how many bytes it took, and whether a row is complete.
    fn step(&mut self, piece: &[u8]) -> (usize, bool) {
        let row = &mut self.row;
        let (result, taken, wrote, ended) =
            self.core.read_record(piece, &mut row.bytes[row.byte_count..], &mut row.ends[row.field_count..]);
        self.fresh = false;
        self.offset += taken as u64;
        row.byte_count += wrote;
        row.field_count += ended;
        match result {
            ReadRecordResult::InputEmpty | ReadRecordResult::End | ReadRecordResult::Record => {}
            ReadRecordResult::OutputFull => row.more_bytes(),
            ReadRecordResult::OutputEndsFull => row.more_fields(),
        }
        (taken, result == ReadRecordResult::Record)
    }
}

impl Row {
    fn clear(&mut self) {
        self.byte_count = 0;
        self.field_count = 0;
        self.start = None;
        self.oversize = false;
    }

    /// Makes room for more text; past the limit, the text is dropped instead.
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

    fn place(&self) -> (u64, u64) {
        self.start.unwrap_or_default()
    }

    /// The fields as text; none if the row is too large.
    fn cells(&self) -> Result<Vec<&str>, Fault> {
        if self.oversize {
            return Ok(Vec::new());
        }
        let mut from = 0;
        self.ends[..self.field_count]
            .iter()
            .map(|&end| std::str::from_utf8(&self.bytes[std::mem::replace(&mut from, end)..end]))
            .collect::<Result<_, _>>()
            .map_err(|_| {
                let (line, byte) = self.place();
                not_utf8(format_args!("line {line}, byte {byte}"))
            })
    }
}

/// Checks the first row as the header.
fn header(cells: &[&str], key_field: &str, oversize: bool) -> Result<Vec<String>, Fault> {
    if oversize || cells.iter().map(|cell| cell.len()).sum::<usize>() > MAX_HEADER_BYTES {
        return Err(Fault::new(
            FaultCode::HeaderTooLarge,
            format!("line 1: the header row is larger than {MAX_HEADER_BYTES} bytes"),
        ));
    }
    if !cells.contains(&key_field) {
        let found = cells.iter().take(20).copied().collect::<Vec<_>>().join(", ");
        return Err(Fault::new(
            FaultCode::NoHeader,
            format!(
                "line 1: no column is named {key_field:?}; add a header row, \
                 or deploy with KEY_FIELD set to one of the columns ({found})"
            ),
        ));
    }
    let mut seen = std::collections::HashSet::new();
    if let Some(twice) = cells.iter().find(|cell| !seen.insert(**cell)) {
        return Err(Fault::new(
            FaultCode::DuplicateColumn,
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

/// The columns that the head of a file names, without a byte order mark.
pub fn columns_of(head: &[u8]) -> Option<Vec<String>> {
    let mut reader = ::csv::ReaderBuilder::new().has_headers(false).from_reader(head);
    let row = reader.records().next()?.ok()?;
    Some(row.iter().map(str::to_owned).collect())
}

/// A row as CSV text, without its line end.
pub fn row_text<T: AsRef<[u8]>>(cells: &[T]) -> String {
    let mut writer = ::csv::Writer::from_writer(Vec::new());
    let written = writer.write_record(cells).ok().and_then(|()| writer.into_inner().ok());
    let text = written.and_then(|bytes| String::from_utf8(bytes).ok()).unwrap_or_default();
    text.trim_end_matches(['\r', '\n']).to_owned()
}

/// A row as a JSON object from column to value, in the header's order.
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
