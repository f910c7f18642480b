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
    pub records: Vec<Record>,
    /// The code of the fault.
    pub fault: Option<&'static str>,
    /// The header of a CSV file.
    pub columns: Option<Vec<String>>,
    /// The bytes up to the end of the header's line.
    pub head: Option<Vec<u8>>,
}

/// A record and its bytes in the file.
#[derive(Debug)]
pub struct Record {
    /// What becomes of it.
    pub told: Expected,
    /// Its bytes.
    pub bytes: Vec<u8>,
}

/// The expectation for a record.
#[derive(Debug, PartialEq)]
pub enum Expected {
    /// The record is this object.
    Object(String),
    /// The record is JSON, but not an object.
    Other(String),
    /// The record cannot be decoded.
    Broken,
    /// The record is too large to keep.
    Nothing,
}

type Broken = &'static str;

/// Reads a file of any layout.
pub fn read(layout: Layout, bytes: &[u8], key_field: &str) -> Reading {
    read_under(None, layout, bytes, key_field)
}

/// Reads a CSV file without a header, whose columns are these, with the key field among them.
pub fn headless(columns: &[String], bytes: &[u8]) -> Reading {
    read_under(Some(columns.to_vec()), Layout::Csv, bytes, "")
}

fn read_under(columns: Option<Vec<String>>, layout: Layout, bytes: &[u8], key_field: &str) -> Reading {
    let mut reading = Reading { records: Vec::new(), fault: None, columns, head: None };
    let done = match layout {
        Layout::Csv => csv(bytes, key_field, &mut reading),
        Layout::Json => Document { rest: without_mark(bytes), records: &mut reading.records }.read(),
        Layout::Jsonl | Layout::Parquet => {
            jsonl(without_mark(bytes), &mut reading.records);
            Ok(())
        }
    };
    reading.fault = done.err();
    reading
}

/// Strips one byte order mark from the start of a file.
fn without_mark(bytes: &[u8]) -> &[u8] {
    bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes)
}

fn is_line_end(byte: u8) -> bool {
    byte == b'\n' || byte == b'\r'
}

fn csv(bytes: &[u8], key_field: &str, reading: &mut Reading) -> Result<(), Broken> {
    let mut at = bytes.len() - without_mark(bytes).len();
    loop {
        at += bytes[at..].iter().take_while(|byte| is_line_end(**byte)).count();
        if at == bytes.len() {
            return Ok(());
        }
        let (row, cells) = row(&bytes[at..]);
        at += row.len();
        match &reading.columns {
            None if row == b"sep=," => {}
            None => {
                reading.columns = Some(header(row, cells, key_field)?);
                let end = match &bytes[at..] {
                    [b'\r', b'\n', ..] => 2,
                    [b'\r' | b'\n', ..] => 1,
                    _ => 0,
                };
                reading.head = Some(bytes[..at + end].to_vec());
            }
            Some(columns) => {
                let bytes = match (&cells, row) {
                    // The row ends with the file, inside quotes.
                    (None, row) if at == bytes.len() => {
                        let ends = row.iter().rev().take_while(|byte| is_line_end(**byte)).count();
                        row[..row.len() - ends].to_vec()
                    }
                    _ => row.to_vec(),
                };
                let told = match cells {
                    _ if row.len() > MAX_RECORD_BYTES => Expected::Nothing,
                    Some(cells) => object(columns, cells).map_or(Expected::Broken, Expected::Object),
                    None => Expected::Broken,
                };
                reading.records.push(Record { told, bytes });
            }
        }
    }
}

/// The row at the start of the text, and its cells if its quotes are in order.
fn row(text: &[u8]) -> (&[u8], Option<Vec<Vec<u8>>>) {
    let broken = |at: usize| {
        let rest = text[at..].iter().take_while(|byte| !is_line_end(**byte)).count();
        (&text[..at + rest], None)
    };
    let (mut at, mut cells) = (0, Vec::new());
    loop {
        let mut cell = Vec::new();
        if text.get(at) == Some(&b'"') {
            at += 1;
            loop {
                match text[at..] {
                    [] => return (text, None),
                    _ if at >= MAX_RECORD_BYTES => return broken(at),
                    [b'"', b'"', ..] => {
                        cell.push(b'"');
                        at += 2;
                    }
                    [b'"', ..] => break,
                    [byte, ..] => {
                        cell.push(byte);
                        at += 1;
                    }
                }
            }
            at += 1;
        } else {
            cell.extend(text[at..].iter().take_while(|byte| **byte != b',' && !is_line_end(**byte)));
            at += cell.len();
        }
        cells.push(cell);
        match text.get(at) {
            Some(b',') => at += 1,
            Some(b'\r' | b'\n') | None => return (&text[..at], Some(cells)),
            Some(_) => return broken(at),
        }
    }
}

/// The object that cells under these columns make.
fn object(columns: &[String], cells: Vec<Vec<u8>>) -> Option<String> {
    let cells: Vec<String> = cells.into_iter().map(|cell| String::from_utf8(cell).ok()).collect::<Option<_>>()?;
    let nameless = |(column, cell): (&String, &String)| column.is_empty() && !cell.is_empty();
    if cells.len() != columns.len() || cells.len() > 64 * 1024 || columns.iter().zip(&cells).any(nameless) {
        return None;
    }
    let fields = columns.iter().cloned().zip(cells.into_iter().map(Value::String));
    let fields: Map<String, Value> = fields.filter(|(column, _)| !column.is_empty()).collect();
    Some(Value::Object(fields).to_string())
}

fn header(row: &[u8], cells: Option<Vec<Vec<u8>>>, key_field: &str) -> Result<Vec<String>, Broken> {
    if row.len() > MAX_RECORD_BYTES {
        return Err("HEADER_TOO_LARGE");
    }
    let cells = cells.ok_or("OPEN_QUOTE")?;
    let cells: Vec<String> =
        cells.into_iter().map(|cell| String::from_utf8(cell).map_err(|_| "NOT_UTF8")).collect::<Result<_, _>>()?;
    let named: Vec<&String> = cells.iter().filter(|cell| !cell.is_empty()).collect();
    if row.len() > 64 * 1024 {
        Err("HEADER_TOO_LARGE")
    } else if named.iter().collect::<HashSet<_>>().len() < named.len() {
        Err("DUPLICATE_COLUMN")
    } else if !cells.iter().any(|cell| cell == key_field) {
        Err("NO_HEADER")
    } else if json_of(&cells) > 64 * 1024 {
        Err("HEADER_TOO_LARGE")
    } else if json_of(&cells) > 4 * 1024 {
        Err("LIMIT_EXCEEDED")
    } else {
        Ok(cells)
    }
}

fn json_of(names: &[String]) -> usize {
    Value::from(names).to_string().len()
}

fn jsonl(bytes: &[u8], records: &mut Vec<Record>) {
    for line in bytes.split(|byte| is_line_end(*byte)) {
        let mut rest = line.trim_ascii_start();
        while !rest.is_empty() {
            let length = record_on(rest);
            records.push(line_record(&rest[..length]));
            rest = &rest[length..];
        }
    }
}

/// The length of the record at the start of what is left of a line: up to another object, or all of it.
fn record_on(line: &[u8]) -> usize {
    let object = if line[0] == b'{' { nested(line) } else { None };
    let after = object.map(|length| line[length..].trim_ascii_start()).filter(|after| after.first() == Some(&b'{'));
    after.map_or(line.len(), |after| line.len() - after.len())
}

fn line_record(record: &[u8]) -> Record {
    let bytes = record.trim_ascii().to_vec();
    let told = match String::from_utf8(bytes.clone()) {
        _ if record.len() > MAX_RECORD_BYTES => Expected::Nothing,
        Ok(text) if text.starts_with('{') && serde_json::from_str::<IgnoredAny>(&text).is_ok() => {
            Expected::Object(text)
        }
        _ => Expected::Broken,
    };
    Record { told, bytes }
}

/// The part of a document that is still to be read.
struct Document<'a> {
    rest: &'a [u8],
    records: &'a mut Vec<Record>,
}

impl<'a> Document<'a> {
    fn read(&mut self) -> Result<(), Broken> {
        if self.peek().is_err() {
            return Ok(());
        }
        if self.peek()? == b'[' {
            self.array()?;
            return if self.peek().is_err() { Ok(()) } else { Err("BROKEN_JSON") };
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
            let bytes = self.raw_value()?.to_vec();
            let told = match Self::json(&bytes) {
                Ok(None) => Expected::Nothing,
                Ok(Some(text)) if text.starts_with('{') => Expected::Object(text),
                Ok(Some(text)) => Expected::Other(text),
                Err(_) => Expected::Broken,
            };
            self.records.push(Record { told, bytes });
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

    /// The text of a value, as [`json`](Self::json) tells it.
    fn value(&mut self) -> Result<Option<String>, Broken> {
        self.raw_value().and_then(Self::json)
    }

    /// The bytes of a value, which end where its brackets are closed.
    fn raw_value(&mut self) -> Result<&[u8], Broken> {
        let length = match self.peek()? {
            b'{' | b'[' => nested(self.rest),
            b'"' => quoted(self.rest),
            b',' | b':' | b']' | b'}' => return Err("BROKEN_JSON"),
            _ => self.rest.iter().position(|byte| b",]} \t\r\n".contains(byte)),
        };
        let (value, rest) = self.rest.split_at(length.ok_or("TRUNCATED_JSON")?);
        self.rest = rest;
        Ok(value)
    }

    /// The bytes as JSON; `None` if they are too many, in which case they are not looked into.
    fn json(bytes: &[u8]) -> Result<Option<String>, Broken> {
        if bytes.len() > MAX_RECORD_BYTES {
            return Ok(None);
        }
        let text = std::str::from_utf8(bytes).map_err(|_| "NOT_UTF8")?;
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
