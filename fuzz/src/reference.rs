//! The expected content of a file, worked out from the whole file at once, slowly and simply.

use std::collections::HashSet;

use serde::de::IgnoredAny;
use serde_json::{Map, Value};

use fanfold::model::format::Layout;
use fanfold::model::record::MAX_RECORD_BYTES;

/// The content of a file: its records in order, up to the fault that ends it.
#[derive(Debug)]
pub struct Reading {
    /// The records.
    pub records: Vec<Expected>,
    /// The code of the fault.
    pub fault: Option<&'static str>,
    /// The header of a CSV file.
    pub columns: Option<Vec<String>>,
}

/// The expectation for a record.
#[derive(Debug, PartialEq)]
pub enum Expected {
    /// The record is this object.
    Object(String),
    /// The record is JSON, but not an object.
    Other(String),
    /// The record is this line, and not a JSON object.
    Line(String),
    /// The record is a row of these cells, which are not as many as in the header.
    Row(Vec<String>),
    /// The record is too large to keep.
    Nothing,
}

type Broken = &'static str;

/// Reads a file of any layout.
pub fn read(layout: Layout, bytes: &[u8], key_field: &str) -> Reading {
    let mut reading = Reading { records: Vec::new(), fault: None, columns: None };
    let done = match layout {
        Layout::Csv => csv(bytes, key_field, &mut reading),
        Layout::Json => Document { rest: without_mark(bytes), records: &mut reading.records }.read(),
        Layout::Jsonl => jsonl(without_mark(bytes), &mut reading.records),
    };
    reading.fault = done.err();
    reading
}

/// Strips one byte order mark from the start of a file.
fn without_mark(bytes: &[u8]) -> &[u8] {
    bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes)
}

fn csv(bytes: &[u8], key_field: &str, reading: &mut Reading) -> Result<(), Broken> {
    // The reader itself drops one byte order mark.
    let mut reader = csv::ReaderBuilder::new().has_headers(false).flexible(true).from_reader(bytes);
    let mut rows: Vec<csv::ByteRecord> = reader.byte_records().map(|row| row.expect("bytes in memory")).collect();
    let open = ends_in_quotes(without_mark(bytes));
    if open {
        rows.pop();
    }
    for row in &rows {
        match (&reading.columns, cells(row).transpose()?) {
            (None, None) => return Err("HEADER_TOO_LARGE"),
            (None, Some(cells)) => reading.columns = Some(header(cells, key_field)?),
            (Some(_), None) => reading.records.push(Expected::Nothing),
            (Some(columns), Some(cells)) if cells.len() != columns.len() => reading.records.push(Expected::Row(cells)),
            (Some(columns), Some(cells)) => {
                let fields = columns.iter().cloned().zip(cells.into_iter().map(Value::String));
                reading.records.push(Expected::Object(Value::Object(fields.collect::<Map<_, _>>()).to_string()));
            }
        }
    }
    if open { Err("OPEN_QUOTE") } else { Ok(()) }
}

/// The cells of a row as text; `None` if it is too large.
fn cells(row: &csv::ByteRecord) -> Option<Result<Vec<String>, Broken>> {
    if row.as_slice().len() >= MAX_RECORD_BYTES || row.len() > 64 * 1024 {
        return None;
    }
    let cells = row.iter().map(|cell| String::from_utf8(cell.to_vec()).map_err(|_| "NOT_UTF8"));
    Some(cells.collect())
}

fn header(cells: Vec<String>, key_field: &str) -> Result<Vec<String>, Broken> {
    if cells.concat().len() > 64 * 1024 {
        Err("HEADER_TOO_LARGE")
    } else if !cells.iter().any(|cell| cell == key_field) {
        Err("NO_HEADER")
    } else if cells.iter().collect::<HashSet<_>>().len() < cells.len() {
        Err("DUPLICATE_COLUMN")
    } else {
        Ok(cells)
    }
}

/// Whether a quote that opens a field is still open at the end.
fn ends_in_quotes(bytes: &[u8]) -> bool {
    #[derive(Clone, Copy, PartialEq)]
    enum At {
        FieldStart,
        Plain,
        Quoted,
        AfterQuote,
    }
    let mut at = At::FieldStart;
    for byte in bytes {
        at = match (at, byte) {
            (At::Quoted, b'"') => At::AfterQuote,
            (At::Quoted, _) | (At::AfterQuote | At::FieldStart, b'"') => At::Quoted,
            (_, b',' | b'\r' | b'\n') => At::FieldStart,
            _ => At::Plain,
        };
    }
    at == At::Quoted
}

fn jsonl(bytes: &[u8], records: &mut Vec<Expected>) -> Result<(), Broken> {
    for line in bytes.split(|byte| *byte == b'\n') {
        if line.len() > MAX_RECORD_BYTES {
            records.push(Expected::Nothing);
            continue;
        }
        let line = std::str::from_utf8(line).map_err(|_| "NOT_UTF8")?.trim().to_owned();
        if line.is_empty() {
            continue;
        }
        let json = serde_json::from_str::<IgnoredAny>(&line).is_ok();
        records.push(if json && line.starts_with('{') { Expected::Object(line) } else { Expected::Line(line) });
    }
    Ok(())
}

/// The part of a document that is still to be read.
struct Document<'a> {
    rest: &'a [u8],
    records: &'a mut Vec<Expected>,
}

impl<'a> Document<'a> {
    fn read(&mut self) -> Result<(), Broken> {
        if self.peek().is_err() {
            return Ok(());
        }
        let mut seen = false;
        self.expect(b'{')?;
        if !self.eat(b'}')? {
            loop {
                let records = self.name()? == "records";
                if records && std::mem::replace(&mut seen, true) {
                    return Err("BROKEN_JSON");
                }
                self.expect(b':')?;
                if records {
                    self.array()?;
                } else {
                    self.value()?;
                }
                if self.eat(b'}')? {
                    break;
                }
                self.expect(b',')?;
            }
        }
        match self.peek() {
            Ok(_) => Err("BROKEN_JSON"),
            Err(_) if seen => Ok(()),
            Err(_) => Err("NO_RECORDS"),
        }
    }

    fn array(&mut self) -> Result<(), Broken> {
        self.expect(b'[')?;
        if self.eat(b']')? {
            return Ok(());
        }
        loop {
            let told = match self.value()? {
                None => Expected::Nothing,
                Some(text) if text.starts_with('{') => Expected::Object(text),
                Some(text) => Expected::Other(text),
            };
            self.records.push(told);
            if self.eat(b']')? {
                return Ok(());
            }
            self.expect(b',')?;
        }
    }

    fn name(&mut self) -> Result<String, Broken> {
        if self.peek()? != b'"' {
            return Err("BROKEN_JSON");
        }
        let Some(text) = self.value()? else { return Err("BROKEN_JSON") };
        serde_json::from_str(&text).map_err(|_| "BROKEN_JSON")
    }

    /// The text of a value; `None` if it is too large, in which case it is not looked into.
    fn value(&mut self) -> Result<Option<String>, Broken> {
        let length = match self.peek()? {
            b'{' | b'[' => nested(self.rest),
            b'"' => quoted(self.rest),
            b',' | b':' | b']' | b'}' => return Err("BROKEN_JSON"),
            _ => self.rest.iter().position(|byte| b",]} \t\r\n".contains(byte)),
        };
        let (text, rest) = self.rest.split_at(length.ok_or("TRUNCATED_JSON")?);
        self.rest = rest;
        if text.len() > MAX_RECORD_BYTES {
            return Ok(None);
        }
        let text = std::str::from_utf8(text).map_err(|_| "NOT_UTF8")?;
        serde_json::from_str::<IgnoredAny>(text).map_err(|_| "BROKEN_JSON")?;
        Ok(Some(text.to_owned()))
    }

    /// The next byte that is not white space.
    fn peek(&mut self) -> Result<u8, Broken> {
        let blank = self.rest.iter().take_while(|byte| b" \t\r\n".contains(byte)).count();
        self.rest = &self.rest[blank..];
        self.rest.first().copied().ok_or("TRUNCATED_JSON")
    }

    fn eat(&mut self, byte: u8) -> Result<bool, Broken> {
        let found = self.peek()? == byte;
        self.rest = &self.rest[usize::from(found)..];
        Ok(found)
    }

    fn expect(&mut self, byte: u8) -> Result<(), Broken> {
        if self.eat(byte)? { Ok(()) } else { Err("BROKEN_JSON") }
    }
}

/// The length of the string at the start of the text.
fn quoted(text: &[u8]) -> Option<usize> {
    let mut at = 1;
    while *text.get(at)? != b'"' {
        at += if text[at] == b'\\' { 2 } else { 1 };
    }
    Some(at + 1)
}

/// The length of the object or array at the start of the text: up to where as many brackets, of either kind,
/// have been closed as opened, ignoring those in strings.
fn nested(text: &[u8]) -> Option<usize> {
    let (mut at, mut depth) = (0, 0_usize);
    loop {
        match *text.get(at)? {
            b'"' => at += quoted(&text[at..])? - 1,
            b'{' | b'[' => depth += 1,
            b'}' | b']' => depth -= 1,
            _ => {}
        }
        at += 1;
        if depth == 0 {
            return Some(at);
        }
    }
}
