//! CSV: RFC 4180 with a header row, or without one if the pipeline is told the columns. What breaks its rules is a fault
//! of the row that does, and of no other.

mod cells;
pub mod header;
mod quoting;

use std::borrow::Cow;
use std::sync::Arc;

use serde::Serialize;
use serde::ser::{SerializeMap, Serializer};
use serde_json::value::to_raw_value;

pub use self::cells::encode;
use self::cells::{Cells, Cutter, MAX_FIELDS};
pub use self::quoting::Quoting;
use self::quoting::{field_at, misquoted};
use crate::format::line_ends::LineEnds;
use crate::format::text::{self, BadByte};
use crate::format::{BYTE_ORDER_MARK, too_large};
use crate::model::fault::{Fault, FaultCode};
use crate::model::format::charset::Charset;
use crate::model::format::{Dialect, InputFormat, MAX_HEADER_BYTES};
use crate::model::range::{Place, Range};
use crate::model::record::{Entry, MAX_RECORD_BYTES, Raw, fits};

/// The most bytes that are kept of the beginning of a file up to the end of its header.
const KEPT_HEAD: usize = MAX_HEADER_BYTES as usize;

/// Reads records from pieces of a file.
pub struct CsvRecords {
    dialect: Dialect,
    charset: Charset,
    max_header: u32,
    columns: Columns,
    /// Whether the file has no header, so that its first row is a record.
    headless: bool,
    /// What is wrong with the columns of such a file, which ends it once there is a byte of it.
    refused: Option<Fault>,
    lines: LineEnds,
    /// The row that began in an earlier piece.
    open: Option<Partial>,
    cutter: Cutter,
    /// Whether there is a column without a name.
    nameless: bool,
    next: u64,
    /// How many bytes are before the next one.
    offset: u64,
}

enum Columns {
    /// The header is still to come.
    Awaited { key_field: Option<String>, head: Vec<u8> },
    /// They are known, and so are the bytes that name them; `ended` once the header's line end is among these.
    Known { names: Arc<[String]>, head: Vec<u8>, ended: bool },
}

/// A row whose end was not seen yet.
struct Partial {
    quoting: Quoting,
    start: Place,
    bytes: Vec<u8>,
    /// Why the row is not kept, if it is too large.
    dropped: Option<String>,
}

impl CsvRecords {
    /// A reader of a file whose columns, those of its header or those that the format has, must include `key_field`.
    pub fn new(format: &InputFormat, key_field: &str) -> Self {
        let (place, head) = (Place { offset: 0, line: 1, column: 1 }, Vec::new());
        if format.columns.is_empty() {
            let key_field = Some(key_field.to_owned());
            return Self::begin(format, Columns::Awaited { key_field, head }, place, 0);
        }
        let refused = header::check_told(&format.columns, key_field, format.max_header).err();
        let columns = Columns::Known { names: format.columns.as_slice().into(), head, ended: true };
        Self { refused, ..Self::begin(format, columns, place, 0) }
    }

    /// A reader of some rows of a file with these columns.
    pub fn part(format: &InputFormat, columns: &[String], range: &Range) -> Self {
        let columns = Columns::Known { names: columns.into(), head: Vec::new(), ended: true };
        Self::begin(format, columns, range.place(), range.first)
    }

    fn begin(format: &InputFormat, columns: Columns, place: Place, next: u64) -> Self {
        let (offset, lines, cutter) = (place.offset, LineEnds::at_line(place.line), Cutter::default());
        let (dialect, charset, max_header) = (format.dialect, format.encoding, format.max_header);
        let nameless = matches!(&columns, Columns::Known { names, .. } if has_nameless(names));
        let (headless, refused, open) = (!format.columns.is_empty(), None, None);
        Self { dialect, charset, max_header, columns, headless, refused, lines, open, cutter, nameless, next, offset }
    }

    /// Whether the header was read, with its line end, or there is none.
    pub fn has_begun(&self) -> bool {
        matches!(self.columns, Columns::Known { ended: true, .. })
    }

    /// Goes on at a record that is not the first.
    pub fn seek(&mut self, place: Place, next: u64) {
        (self.offset, self.lines) = (place.offset, LineEnds::at_line(place.line));
        (self.open, self.next) = (None, next);
    }

    /// Counts bytes before the file's first line.
    pub fn skip(&mut self, bytes: usize) {
        self.offset += bytes as u64;
    }

    /// The columns, once known.
    pub fn columns(&self) -> Option<&[String]> {
        match &self.columns {
            Columns::Awaited { .. } => None,
            Columns::Known { names, .. } => Some(names),
        }
    }

    /// The bytes from the start of the file to the end of the header's line, once read. Comments and blank lines
    /// before a header are left out if they are many. `None` if the file has no header.
    pub fn head(&self) -> Option<&[u8]> {
        match &self.columns {
            Columns::Known { head, .. } if !self.headless => Some(head),
            _ => None,
        }
    }

    /// The line of the next byte.
    pub fn line(&self) -> u64 {
        self.lines.line()
    }

    /// Reads the next piece of the file.
    ///
    /// # Errors
    /// A fault if the columns cannot be used.
    pub fn push(&mut self, mut bytes: &[u8], out: &mut Vec<Entry>) -> Result<(), Fault> {
        while !bytes.is_empty() {
            let taken = self.step(bytes, out)?;
            self.offset += taken as u64;
            bytes = &bytes[taken..];
        }
        Ok(())
    }

    /// Reads the next piece up to the end of the header's line, and returns how many bytes that took.
    ///
    /// # Errors
    /// As for [`push`](Self::push).
    pub fn push_header(&mut self, bytes: &[u8]) -> Result<usize, Fault> {
        self.is_usable()?;
        let mut taken = 0;
        while taken < bytes.len() && !self.has_begun() {
            let step = self.step(&bytes[taken..], &mut Vec::new())?;
            self.offset += step as u64;
            taken += step;
        }
        Ok(taken)
    }

    /// Reads the last row, which need not end with a line end.
    ///
    /// # Errors
    /// As for [`push`](Self::push).
    pub fn finish(&mut self, out: &mut Vec<Entry>) -> Result<(), Fault> {
        let Some(mut row) = self.open.take() else {
            return Ok(());
        };
        if row.quoting.is_broken() {
            // In `failed` a line end follows, which must not become a part of the record.
            let text = row.bytes.len() - row.bytes.iter().rev().take_while(|byte| is_end(**byte)).count();
            row.bytes.truncate(text);
        }
        self.complete(row, out)
    }

    /// Reads some line ends, or a row, or as much of it as there is; returns how many bytes that is.
    fn step(&mut self, bytes: &[u8], out: &mut Vec<Entry>) -> Result<usize, Fault> {
        self.is_usable()?;
        if let Some(mut row) = self.open.take() {
            let end = row.quoting.end(bytes, &self.dialect);
            row.keep(&bytes[..end.unwrap_or(bytes.len())], &self.dialect);
            self.lines.pass(&bytes[..end.unwrap_or(bytes.len())]);
            return match end {
                Some(end) => self.complete(row, out).map(|()| end),
                None => {
                    self.open = Some(row);
                    Ok(bytes.len())
                }
            };
        }
        let blank = match self.columns {
            Columns::Known { ended: true, .. } => bytes.iter().take_while(|byte| is_end(**byte)).count(),
            // The header's own line end may be cut between two pieces.
            Columns::Known { .. } => return Ok(self.end_header(bytes[0])),
            Columns::Awaited { .. } => usize::from(is_end(bytes[0])),
        };
        if blank > 0 {
            self.columns.pass(&bytes[..blank]);
            self.lines.pass(&bytes[..blank]);
            return Ok(blank);
        }
        let start = Place { offset: self.offset, line: self.lines.line(), column: 1 };
        let mut quoting = Quoting::default();
        let end = quoting.end(bytes, &self.dialect);
        let row = &bytes[..end.unwrap_or(bytes.len())];
        if quoting.is_folded() {
            self.lines.pass(row);
        } else {
            self.lines.pass_text(row.len());
        }
        if end.is_some() && row.len() <= MAX_RECORD_BYTES {
            self.row(row, start, quoting, out)?;
        } else {
            let mut open = Partial { quoting, start, bytes: Vec::new(), dropped: None };
            open.keep(row, &self.dialect);
            match end {
                Some(_) => self.complete(open, out)?,
                None => self.open = Some(open),
            }
        }
        Ok(row.len())
    }

    /// Whether the columns of a file without a header can be used.
    fn is_usable(&self) -> Result<(), Fault> {
        self.refused.clone().map_or(Ok(()), Err)
    }

    /// Takes a byte after the header if it belongs to its line end; returns how many bytes that is.
    fn end_header(&mut self, byte: u8) -> usize {
        let Columns::Known { head, ended, .. } = &mut self.columns else {
            return 0;
        };
        let after_return = head.last() == Some(&b'\r');
        *ended = byte != b'\r' || after_return;
        let taken = byte == b'\n' || (byte == b'\r' && !after_return);
        if taken {
            head.push(byte);
            self.lines.pass(&[byte]);
        }
        usize::from(taken)
    }

    fn complete(&mut self, row: Partial, out: &mut Vec<Entry>) -> Result<(), Fault> {
        let Some(fault) = row.dropped else {
            return self.row(&row.bytes, row.start, row.quoting, out);
        };
        match &self.columns {
            _ if row.quoting.is_comment() => return Ok(()),
            Columns::Awaited { .. } => return Err(header::too_large(row.start.line)),
            Columns::Known { .. } => out.push(Entry { place: row.start, ..Entry::faulty(self.next, None, fault) }),
        }
        self.next += 1;
        Ok(())
    }

    fn row(&mut self, row: &[u8], start: Place, quoting: Quoting, out: &mut Vec<Entry>) -> Result<(), Fault> {
        if let Columns::Awaited { .. } = self.columns {
            return self.header(row, start.line, quoting);
        }
        if !quoting.is_comment() {
            out.push(Entry { place: start, ..self.entry(row, start.line, quoting) });
            self.next += 1;
        }
        Ok(())
    }

    /// Reads a row that may be the header, unless it is a comment or names the delimiter, as Excel writes it.
    fn header(&mut self, row: &[u8], line: u64, quoting: Quoting) -> Result<(), Fault> {
        let Columns::Awaited { key_field, head } = &mut self.columns else {
            return Ok(());
        };
        note(head, row);
        if quoting.is_comment() || row == [b's', b'e', b'p', b'=', self.dialect.delimiter] {
            return Ok(());
        }
        if quoting.is_broken() {
            return Err(Fault::new(FaultCode::OpenQuote, misquoted(row, line, &self.dialect)));
        }
        let text = text::of(row, self.charset).map_err(|bad| {
            let column = field_at(row, bad.at, &self.dialect);
            Fault::new(FaultCode::NotUtf8, format!("line {line}, column {column} of the header: {bad}"))
        })?;
        let cells = self.cutter.cut(&text, quoting.is_marked(), &self.dialect).filter(|_| row.len() <= KEPT_HEAD);
        let names: Arc<[String]> = cells.ok_or_else(|| header::too_large(line))?.iter().map(str::to_owned).collect();
        if let Some(key_field) = key_field {
            header::check(&names, key_field, line)?;
            header::measure(&names, self.max_header, line)?;
        }
        self.nameless = has_nameless(&names);
        self.columns = Columns::Known { names, head: std::mem::take(head), ended: false };
        Ok(())
    }

    fn entry(&mut self, row: &[u8], line: u64, quoting: Quoting) -> Entry {
        let (index, dialect, marked) = (self.next, self.dialect, quoting.is_marked());
        let columns = match &self.columns {
            Columns::Known { names, .. } => names,
            Columns::Awaited { .. } => &[][..],
        };
        if quoting.is_broken() {
            return Entry::broken(index, row, misquoted(row, line, &dialect));
        }
        let text = match text::of(row, self.charset) {
            Ok(text) => text,
            Err(bad) => return Entry::broken(index, row, not_text(row, line, &bad, columns, &dialect)),
        };
        let Some(cells) = self.cutter.cut(&text, marked, &dialect) else {
            let fault = format!("line {line}: the row has more than {MAX_FIELDS} fields");
            return Entry::broken(index, row, fault);
        };
        let record = Object(columns, cells);
        if let Some(fault) = record.fault(self.nameless, self.headless) {
            return Entry::broken(index, row, format!("line {line}: {fault}"));
        }
        if !fits(&record, row.len()) {
            return Entry::faulty(index, None, too_large(format_args!("line {line}")));
        }
        let record = to_raw_value(&record);
        let plain = matches!(text, Cow::Borrowed(_)) && self.cutter.was_plain();
        self.cutter.tidy();
        match record {
            Ok(record) => Entry { raw: (!plain).then(|| Raw::new(row)), line, ..Entry::decoded(index, record) },
            Err(error) => Entry::broken(index, row, format!("line {line}: {error}")),
        }
    }
}

impl Partial {
    /// Keeps the next bytes of the row, unless it becomes too large.
    fn keep(&mut self, bytes: &[u8], dialect: &Dialect) {
        if self.dropped.is_some() {
            return;
        }
        let room = MAX_RECORD_BYTES - self.bytes.len();
        self.bytes.extend_from_slice(&bytes[..room.min(bytes.len())]);
        if bytes.len() <= room {
            return;
        }
        let mut fault = too_large(format_args!("line {}", self.start.line));
        if self.quoting.is_too_long() {
            fault = format!("{fault}; {}", misquoted(&self.bytes, self.start.line, dialect));
        }
        (self.dropped, self.bytes) = (Some(fault), Vec::new());
    }
}

impl Columns {
    /// Notes line ends before the header.
    fn pass(&mut self, ends: &[u8]) {
        if let Self::Awaited { head, .. } = self {
            note(head, ends);
        }
    }
}

/// Adds what comes before the first record to what is kept of it. What comes before a header is forgotten if it is
/// longer than any header.
fn note(head: &mut Vec<u8>, bytes: &[u8]) {
    if head.len() + bytes.len() > KEPT_HEAD {
        head.clear();
    }
    if bytes.len() <= KEPT_HEAD {
        head.extend_from_slice(bytes);
    }
}

fn has_nameless(names: &[String]) -> bool {
    names.iter().any(String::is_empty)
}

fn is_end(byte: u8) -> bool {
    matches!(byte, b'\r' | b'\n')
}

fn not_text(row: &[u8], line: u64, bad: &BadByte, columns: &[String], dialect: &Dialect) -> String {
    let field = field_at(row, bad.at, dialect);
    match columns.get(field - 1).filter(|name| !name.is_empty()) {
        Some(name) => format!("line {line}, column {name:?}: {bad}"),
        None => format!("line {line}, field {field}: {bad}"),
    }
}

/// How many fields a row has; `None` if its quotes are not in order.
pub fn width(row: &[u8], quoting: &Quoting, dialect: &Dialect) -> Option<usize> {
    (!quoting.is_broken()).then(|| field_at(row, row.len(), dialect))
}

/// Reads the columns from the bytes at the start of a file that name them.
pub fn columns_of(head: &[u8], format: &InputFormat) -> Option<Arc<[String]>> {
    let head = head.strip_prefix(BYTE_ORDER_MARK).unwrap_or(head);
    let columns = Columns::Awaited { key_field: None, head: Vec::new() };
    let mut records = CsvRecords::begin(format, columns, Place { offset: 0, line: 1, column: 1 }, 0);
    records.push(head, &mut Vec::new()).ok()?;
    records.finish(&mut Vec::new()).ok()?;
    match records.columns {
        Columns::Known { names, .. } => Some(names),
        Columns::Awaited { .. } => None,
    }
}

/// A row as a JSON object from column to value, in the header's order. Columns without a name are left out.
struct Object<'a>(&'a [String], Cells<'a>);

impl Object<'_> {
    /// Why the row is not a record.
    fn fault(&self, nameless: bool, headless: bool) -> Option<String> {
        let Self(columns, cells) = self;
        if cells.len() != columns.len() {
            let (cells, columns) = (cells.len(), columns.len());
            return Some(if headless {
                format!("the row has {cells} fields, and the columns of the file, which has no header, are {columns}")
            } else {
                format!("the row has {cells} fields, and the header has {columns}")
            });
        }
        if !nameless {
            return None;
        }
        let mut nameless = (1..).zip(columns.iter().zip(cells.iter())).filter(|(_, (name, _))| name.is_empty());
        let (number, (_, cell)) = nameless.find(|(_, (_, cell))| !cell.is_empty())?;
        let cell: String = cell.chars().take(40).collect();
        Some(format!("column {number} has no name in the header, but holds {cell:?} here; name it, or remove it"))
    }
}

impl Serialize for Object<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        for (column, cell) in self.0.iter().zip(self.1.iter()).filter(|(column, _)| !column.is_empty()) {
            map.serialize_entry(column, cell)?;
        }
        map.end()
    }
}
