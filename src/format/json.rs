//! A JSON document, read element by element: `{"records":[{…},…]}`, an array, or one with the records elsewhere. The
//! state machine here finds where each value ends, and serde_json checks whether it is valid; other members are checked
//! and skipped.

use serde::de::{DeserializeOwned, IgnoredAny};
use serde_json::value::RawValue;

use crate::format::line_ends::place;
use crate::format::{reason, text, too_large};
use crate::model::fault::{Fault, FaultCode};
use crate::model::format::InputFormat;
use crate::model::format::charset::Charset;
use crate::model::range::{Place, Range};
use crate::model::record::{Entry, MAX_RECORD_BYTES, Raw};

/// The arrays that a message names if none of them holds the records.
const SHOWN: usize = 5;

/// The state machine's place in the document.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum At {
    Start,
    KeyOrEnd,
    Key,
    Colon,
    MemberValue,
    AfterMember,
    Nested,
    Array,
    ElementOrEnd,
    Element,
    AfterElement,
    End,
}

/// A line and a column, both from 1, the column in bytes; and the offset in the file, from 0.
#[derive(Debug, Clone, Copy)]
pub(super) struct Position {
    pub line: u64,
    pub column: u64,
    pub offset: u64,
}

impl std::fmt::Display for Position {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "line {}, column {}", self.line, self.column)
    }
}

/// Reads records from pieces of a document.
pub struct JsonRecords {
    document: Document,
    charset: Charset,
    next: u64,
}

impl JsonRecords {
    /// A reader of a document.
    pub fn new(format: &InputFormat) -> Self {
        Self { document: Document::new(format), charset: format.encoding, next: 0 }
    }

    /// A reader of some of a document's elements.
    pub fn part(format: &InputFormat, range: &Range) -> Self {
        let position = Position { line: range.line, column: range.column, offset: range.offset };
        let document = Document { at: At::Element, part: true, position, ..Document::new(format) };
        Self { document, charset: format.encoding, next: range.first }
    }

    /// Whether the document has begun, so that it is known whether there is anything around the records.
    pub fn has_begun(&self) -> bool {
        self.document.has_begun()
    }

    /// Goes on at a record that is not the first.
    pub fn seek(&mut self, place: Place, next: u64) {
        self.document.seek(place);
        self.next = next;
    }

    /// Counts bytes before the document.
    pub fn skip(&mut self, bytes: usize) {
        self.document.skip(bytes);
    }

    /// Reads the next piece.
    ///
    /// # Errors
    /// A fault with line and column where the document stops being valid.
    pub fn push(&mut self, bytes: &[u8], out: &mut Vec<Entry>) -> Result<(), Fault> {
        self.document.push(bytes, |element, _| {
            let Position { line, column, offset } = element.start();
            out.push(Entry { place: Place { offset, line, column }, ..element.entry(self.next, self.charset) });
            self.next += 1;
        })
    }

    /// Ends the document. A file of nothing but white space has no records.
    ///
    /// # Errors
    /// A fault if the document is not complete or has no `records`.
    pub fn finish(&mut self, out: &mut Vec<Entry>) -> Result<(), Fault> {
        if self.document.part {
            // A number at the end has no byte after it that would end it.
            self.push(b" ", out)?;
        }
        self.document.finish()
    }
}

/// A document being read, whatever is done with its elements.
pub(super) struct Document {
    at: At,
    position: Position,
    value: Option<Value>,
    charset: Charset,
    /// The names of the members that lead to the records, and how many of the objects around these were entered.
    path: Vec<String>,
    depth: usize,
    /// How many of the path's members were seen.
    seen: usize,
    /// Whether the member that is being read is the next of the path.
    on_path: bool,
    /// Whether the records are the document.
    bare: bool,
    /// The name of the last member, and those of arrays that were skipped.
    name: String,
    arrays: Vec<String>,
    after_return: bool,
    /// Whether there are only elements, without a document around them.
    part: bool,
}

impl Document {
    /// The beginning of a document.
    pub fn new(format: &InputFormat) -> Self {
        Self {
            at: At::Start,
            position: Position { line: 1, column: 1, offset: 0 },
            value: None,
            charset: format.encoding,
            path: format.path(),
            depth: 0,
            seen: 0,
            on_path: false,
            bare: false,
            name: String::new(),
            arrays: Vec::new(),
            after_return: false,
            part: false,
        }
    }

    /// Whether its first byte was read, which tells whether there is anything around the records.
    pub fn has_begun(&self) -> bool {
        self.at != At::Start
    }

    /// Goes on at an element that is not the first.
    pub fn seek(&mut self, place: Place) {
        let Place { offset, line, column } = place;
        (self.at, self.value, self.position) = (At::Element, None, Position { line, column, offset });
        (self.seen, self.on_path, self.after_return) = (self.path.len(), true, false);
        self.depth = if self.bare { 0 } else { self.path.len().saturating_sub(1) };
        self.name = self.path.last().cloned().unwrap_or_default();
    }

    /// Skips bytes before the document; they count for no column.
    pub fn skip(&mut self, bytes: usize) {
        self.position.offset += bytes as u64;
    }

    /// Reads the next piece. `sink` gets each complete element, and the offset of the byte after it.
    ///
    /// # Errors
    /// A fault with line and column where the document stops being valid.
    pub fn push(&mut self, bytes: &[u8], mut sink: impl FnMut(&Value, u64)) -> Result<(), Fault> {
        for &byte in bytes {
            self.step(byte, &mut sink)?;
            self.position.offset += 1;
            if matches!(byte, b'\n' | b'\r') {
                // The two bytes of `\r\n` are one line end.
                self.position.line += u64::from(byte == b'\r' || !self.after_return);
                self.position.column = 1;
            } else {
                self.position.column += 1;
            }
            self.after_return = byte == b'\r';
        }
        Ok(())
    }

    /// Ends the document. A file of nothing but white space has no records.
    ///
    /// # Errors
    /// A fault if the document is not complete or has no `records`.
    pub fn finish(&mut self) -> Result<(), Fault> {
        match self.at {
            At::Start => Ok(()),
            At::AfterElement if self.part => Ok(()),
            At::End if self.seen == self.path.len() => Ok(()),
            At::End => Err(self.no_records()),
            _ => Err(Fault::new(
                FaultCode::TruncatedJson,
                format!("{}: the document ends too early; upload the whole file", self.position),
            )),
        }
    }

    fn step(&mut self, byte: u8, sink: &mut impl FnMut(&Value, u64)) -> Result<(), Fault> {
        if let Some(value) = &mut self.value {
            match value.step(byte) {
                Step::Inside => return Ok(()),
                Step::Last => return self.complete(self.position.offset + 1, sink),
                // A number ends at the first byte that is not part of it, which has yet to be read.
                Step::Past => self.complete(self.position.offset, sink)?,
            }
        }
        if matches!(byte, b' ' | b'\t' | b'\r' | b'\n') {
            return Ok(());
        }
        self.at = match (self.at, byte) {
            (At::Start, b'{') => At::KeyOrEnd,
            (At::Start, b'[') => {
                (self.bare, self.seen) = (true, self.path.len());
                At::ElementOrEnd
            }
            (At::KeyOrEnd | At::AfterMember, b'}') if self.depth > 0 => {
                self.depth -= 1;
                At::AfterMember
            }
            (At::KeyOrEnd | At::AfterMember, b'}') => At::End,
            (At::AfterMember, b',') => At::Key,
            (At::Colon, b':') if self.on_path && self.seen == self.path.len() => At::Array,
            (At::Colon, b':') if self.on_path => At::Nested,
            (At::Colon, b':') => At::MemberValue,
            (At::Nested, b'{') => {
                self.depth += 1;
                At::KeyOrEnd
            }
            (At::Array, b'[') => At::ElementOrEnd,
            (At::ElementOrEnd | At::AfterElement, b']') if self.bare => At::End,
            (At::ElementOrEnd | At::AfterElement, b']') => At::AfterMember,
            (At::AfterElement, b',') => At::Element,
            (At::KeyOrEnd | At::Key, b'"') => self.begin(At::Key, byte),
            (at @ (At::MemberValue | At::ElementOrEnd | At::Element), b',' | b':' | b']' | b'}') => {
                return Err(self.unexpected(at, byte));
            }
            (At::MemberValue, _) => self.begin(At::MemberValue, byte),
            (At::ElementOrEnd | At::Element, _) => self.begin(At::Element, byte),
            (at, _) => return Err(self.unexpected(at, byte)),
        };
        Ok(())
    }

    fn begin(&mut self, at: At, byte: u8) -> At {
        self.value = Some(Value::new(byte, self.position));
        at
    }

    fn complete(&mut self, end: u64, sink: &mut impl FnMut(&Value, u64)) -> Result<(), Fault> {
        let Some(value) = self.value.take() else {
            return Ok(());
        };
        self.at = match self.at {
            At::Key => {
                self.name = value.parse(self.charset)?;
                self.on_path = self.path.get(self.depth) == Some(&self.name);
                if self.on_path && self.seen > self.depth {
                    let message = format!("{}: the document has a second member {:?}", value.start, self.name);
                    return Err(Fault::new(FaultCode::BrokenJson, message));
                }
                self.seen += usize::from(self.on_path);
                At::Colon
            }
            At::Element => {
                sink(&value, end);
                At::AfterElement
            }
            _ => {
                if !value.oversize {
                    value.parse::<IgnoredAny>(self.charset)?;
                }
                if value.first == b'[' && self.arrays.len() < SHOWN {
                    self.arrays.push(self.name.chars().take(40).collect());
                }
                At::AfterMember
            }
        };
        Ok(())
    }

    fn no_records(&self) -> Fault {
        let path = self.path.join(".");
        let hint = match self.arrays.as_slice() {
            [] => String::new(),
            arrays => format!(
                "; it has the array{} {}: set the pipeline's records_path, or rename it",
                if arrays.len() > 1 { "s" } else { "" },
                arrays.join(", ")
            ),
        };
        Fault::new(
            FaultCode::NoRecords,
            format!("the document has no member {path:?}; it must look like {{\"records\":[…]}} or […]{hint}"),
        )
    }

    fn unexpected(&self, at: At, byte: u8) -> Fault {
        let array = format!("{:?} must be an array", self.path.join("."));
        let object = format!("{:?} must be an object", self.name);
        let wanted = match at {
            At::Nested => &object,
            At::Start => "the document must begin with { or [",
            At::KeyOrEnd => "a member name or } is missing",
            At::Key => "a member name is missing",
            At::Colon => "a colon is missing",
            At::Array => &array,
            At::AfterMember => "a comma or } is missing",
            At::AfterElement => "a comma or ] is missing",
            At::End => "something follows the document's end",
            At::MemberValue | At::ElementOrEnd | At::Element => "a value is missing",
        };
        let found = char::from(byte).escape_default();
        Fault::new(FaultCode::BrokenJson, format!("{}: {wanted}, found '{found}'", self.position))
    }
}

/// What a byte means for the value being read.
enum Step {
    Inside,
    Last,
    Past,
}

/// A value being read.
pub(super) struct Value {
    start: Position,
    first: u8,
    text: Vec<u8>,
    oversize: bool,
    kind: Kind,
    in_string: bool,
    escaped: bool,
    depth: usize,
}

#[derive(PartialEq, Eq)]
enum Kind {
    Nested,
    Text,
    Bare,
}

impl Value {
    fn new(first: u8, start: Position) -> Self {
        let kind = match first {
            b'{' | b'[' => Kind::Nested,
            b'"' => Kind::Text,
            _ => Kind::Bare,
        };
        Self {
            start,
            first,
            text: vec![first],
            oversize: false,
            in_string: kind == Kind::Text,
            depth: usize::from(kind == Kind::Nested),
            kind,
            escaped: false,
        }
    }

    fn step(&mut self, byte: u8) -> Step {
        if self.kind == Kind::Bare && matches!(byte, b',' | b']' | b'}' | b' ' | b'\t' | b'\r' | b'\n') {
            return Step::Past;
        }
        self.keep(byte);
        if self.in_string {
            match byte {
                _ if self.escaped => self.escaped = false,
                b'\\' => self.escaped = true,
                b'"' => {
                    self.in_string = false;
                    if self.kind == Kind::Text {
                        return Step::Last;
                    }
                }
                _ => {}
            }
            return Step::Inside;
        }
        match byte {
            b'"' => self.in_string = self.kind == Kind::Nested,
            b'{' | b'[' => self.depth += 1,
            b'}' | b']' if self.kind == Kind::Nested => {
                self.depth -= 1;
                if self.depth == 0 {
                    return Step::Last;
                }
            }
            _ => {}
        }
        Step::Inside
    }

    fn keep(&mut self, byte: u8) {
        if self.oversize || self.text.len() >= MAX_RECORD_BYTES {
            self.oversize = true;
            self.text = Vec::new();
        } else {
            self.text.push(byte);
        }
    }

    fn entry(&self, index: u64, charset: Charset) -> Entry {
        let place = self.start;
        if self.oversize {
            return Entry::faulty(index, None, too_large(place));
        }
        match self.parse::<Box<RawValue>>(charset) {
            Err(fault) => Entry { raw: Some(Raw::new(&*self.text)), ..Entry::broken(index, &self.text, fault.message) },
            Ok(value) => {
                let record = one_line(value);
                // An element `null` would be taken for one that was too large to keep.
                let same = record.get().as_bytes() == self.text && record.get() != "null";
                let raw = (!same).then(|| Raw::new(&*self.text));
                let fault = (self.text[0] != b'{').then(|| format!("{place}: the element is not an object"));
                let line = if fault.is_none() { place.line } else { 0 };
                Entry { fault, raw, line, ..Entry::decoded(index, record) }
            }
        }
    }

    /// Where the value begins.
    pub fn start(&self) -> Position {
        self.start
    }

    fn parse<T: DeserializeOwned>(&self, charset: Charset) -> Result<T, Fault> {
        let text = text::of(&self.text, charset).map_err(|bad| {
            let fault = format!("{}: {bad}", self.place(bad.at));
            Fault::new(FaultCode::NotUtf8, fault)
        })?;
        serde_json::from_str(&text).map_err(|error| {
            let lines = text.split_inclusive('\n').take(error.line() - 1).map(str::len).sum::<usize>();
            let place = self.place((lines + error.column()).saturating_sub(1).min(text.len()));
            Fault::new(FaultCode::BrokenJson, format!("{place}: this is not JSON: {}", reason(&error)))
        })
    }

    /// The place in the file of a byte of the value.
    fn place(&self, byte: usize) -> Position {
        let (line, column) = place(&self.text, self.start.line, byte);
        let before = if line == self.start.line { self.start.column - 1 } else { 0 };
        Position { line, column: column + before, offset: self.start.offset + byte as u64 }
    }
}

/// The same JSON without line ends: between tokens they are white space, and strings never contain them.
fn one_line(record: Box<RawValue>) -> Box<RawValue> {
    let text = record.get();
    if !text.contains(['\n', '\r']) {
        return record;
    }
    // Not collected into a list of lines: each would take sixteen bytes, and all six million may be empty.
    let mut line = String::with_capacity(text.len());
    text.split(['\n', '\r']).for_each(|part| line.push_str(part.trim_start()));
    RawValue::from_string(line).unwrap_or(record)
}
