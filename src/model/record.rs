//! Records on their way through the pipeline, and their outcomes.

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use serde_json::value::{RawValue, to_raw_value};

use crate::model::answer::Answer;
use crate::model::range::Place;

/// The largest record that is accepted, as JSON; a larger one fails, with its place, in constant memory.
pub const MAX_RECORD_BYTES: usize = 6 * 1024 * 1024;

/// A record as scatter passes it on: one line of a pending chunk.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Entry {
    /// The record's place in the input, from 0.
    pub index: u64,
    /// The record's JSON text: an object; for one that cannot be decoded, its text as a string; `null` if it was too
    /// large to keep.
    pub record: Box<RawValue>,
    /// Why the record cannot be decoded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fault: Option<String>,
    /// The record's bytes in the input, unless they can be made from `record` again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub raw: Option<Raw>,
    /// The line of the input on which the record begins, from 1; 0 if that is not known, or `fault` names it.
    #[serde(default, skip_serializing_if = "is_unknown")]
    pub line: u64,
    /// The place in its batch's list of the object that the record is from, from 0; none in a batch of one file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub object: Option<u32>,
    /// Where it begins in its file, as the decoder of a file knows it; it is not passed on.
    #[serde(skip)]
    pub place: Place,
}

fn is_unknown(line: &u64) -> bool {
    *line == 0
}

/// Bytes of the input, unchanged. As JSON they are a string, or `{"latin1":"…"}`, a string of a character for each
/// byte, if they are not UTF-8.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Raw(Box<[u8]>);

impl Raw {
    /// Keeps these bytes.
    pub fn new(bytes: impl Into<Box<[u8]>>) -> Self {
        Self(bytes.into())
    }

    /// The bytes.
    pub fn bytes(&self) -> &[u8] {
        &self.0
    }
}

#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum Written<'a> {
    Text(std::borrow::Cow<'a, str>),
    Bytes { latin1: String },
}

impl Serialize for Raw {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let written = match std::str::from_utf8(&self.0) {
            Ok(text) => Written::Text(text.into()),
            Err(_) => Written::Bytes { latin1: self.0.iter().map(|byte| char::from(*byte)).collect() },
        };
        written.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Raw {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match Written::deserialize(deserializer)? {
            Written::Text(text) => Ok(Self::new(text.into_owned().into_bytes())),
            Written::Bytes { latin1 } => {
                let bytes: Result<Vec<u8>, _> = latin1.chars().map(u8::try_from).collect();
                bytes.map(Self::new).map_err(de::Error::custom)
            }
        }
    }
}

impl Entry {
    /// A record that was decoded.
    pub fn decoded(index: u64, record: Box<RawValue>) -> Self {
        Self { index, record, fault: None, raw: None, line: 0, object: None, place: Place::default() }
    }

    /// A text that is not a record; it is kept for correction, unless it is too large.
    pub fn faulty(index: u64, text: Option<&str>, fault: impl Into<String>) -> Self {
        let record = text.filter(|text| fits(text, text.len())).and_then(|text| to_raw_value(text).ok());
        let mut fault = fault.into();
        if text.is_some() && record.is_none() {
            fault.push_str("; the record is too large to be repeated in the outputs");
        }
        let record = record.unwrap_or_else(|| RawValue::NULL.to_owned());
        Self { index, record, fault: Some(fault), raw: None, line: 0, object: None, place: Place::default() }
    }

    /// Bytes that are not a record, and may not even be text.
    pub fn broken(index: u64, bytes: &[u8], fault: impl Into<String>) -> Self {
        let text = String::from_utf8_lossy(bytes);
        let raw = matches!(text, std::borrow::Cow::Owned(_)).then(|| Raw::new(bytes));
        let entry = Self::faulty(index, Some(&text), fault);
        // A record of which nothing is kept is not repeated either.
        let raw = raw.filter(|_| entry.record.get() != "null");
        Self { raw, ..entry }
    }

    /// The number of bytes that the record takes in a chunk, close enough to cut chunks by.
    pub fn weight(&self) -> usize {
        let raw = self.raw.as_ref().map_or(0, |raw| raw.bytes().len());
        self.record.get().len() + self.fault.as_ref().map_or(0, String::len) + raw + 32
    }
}

/// Whether a value whose texts have that many bytes fits into a record as JSON: one byte may become six, as in
/// `\u0001`. Large values are measured before they are built.
pub fn fits(value: &impl Serialize, text_bytes: usize) -> bool {
    struct Room(usize);
    impl std::io::Write for Room {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0 = self.0.checked_sub(bytes.len()).ok_or(std::io::ErrorKind::FileTooLarge)?;
            Ok(bytes.len())
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }
    text_bytes <= MAX_RECORD_BYTES / 8 || serde_json::to_writer(Room(MAX_RECORD_BYTES), value).is_ok()
}

/// The outcome of one record: one line of a chunk's result, and of `results.jsonl`.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Outcome {
    /// The record's place in the input, from 0.
    pub index: u64,
    /// The record, as in [`Entry::record`].
    pub request: Box<RawValue>,
    /// Whether it succeeded, and if not, why.
    pub response: Response,
    /// The processor's result for a success, if it gave one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub result: Option<Box<RawValue>>,
    /// The record's bytes, as in [`Entry::raw`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub raw: Option<Raw>,
    /// The record's line, as in [`Entry::line`].
    #[serde(default, skip_serializing_if = "is_unknown")]
    pub line: u64,
    /// The object that the record is from, as in [`Entry::object`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub object: Option<u32>,
}

/// Whether a record succeeded.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Response {
    /// Whether it did; with the items processor, whether it became an item.
    pub success: bool,
    /// Why not; empty for a success.
    pub message: String,
}

/// The longest message of an outcome: a reason may quote a value, which can be long.
pub const MAX_MESSAGE_BYTES: usize = 1000;

/// Cuts a message to [`MAX_MESSAGE_BYTES`].
pub fn cut(mut message: String) -> String {
    if message.len() > MAX_MESSAGE_BYTES {
        message.truncate(message.floor_char_boundary(MAX_MESSAGE_BYTES - '…'.len_utf8()));
        message.push('…');
    }
    message
}

/// Where a record is, before the reason why it failed.
fn place(line: u64) -> String {
    if line == 0 { String::new() } else { format!("line {line}: ") }
}

impl Outcome {
    /// The outcome of an entry; `failure` says why it did not succeed, to which the line is added if it is not told.
    pub fn of(entry: Entry, failure: Option<String>) -> Self {
        let failure = failure.map(|failure| cut(place(entry.line) + &failure));
        Self {
            index: entry.index,
            request: entry.record,
            response: Response { success: failure.is_none(), message: failure.unwrap_or_default() },
            result: None,
            raw: entry.raw,
            line: entry.line,
            object: entry.object,
        }
    }
}

impl Outcome {
    /// The outcome of an entry that was answered.
    pub fn answered(entry: Entry, answer: Answer) -> Self {
        match answer {
            Answer::Done { result, .. } => Self { result, ..Self::of(entry, None) },
            Answer::Failed(reason) => Self::of(entry, Some(reason)),
        }
    }

    /// Why it failed, without the line that stands before the reason of a record.
    pub fn reason(&self) -> &str {
        let message = self.response.message.as_str();
        message.strip_prefix(&place(self.line)).unwrap_or(message)
    }

    /// The record as it was before it was processed; one that could not be decoded keeps its reason.
    pub fn into_entry(self) -> Entry {
        let decoded = !self.request.get().starts_with('"') && self.request.get() != "null";
        let fault = (!decoded && !self.response.success).then_some(self.response.message);
        let Self { index, request: record, raw, line, object, .. } = self;
        Entry { fault, raw, line, object, ..Entry::decoded(index, record) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_message_is_cut_between_characters() {
        assert_eq!(cut("short".into()), "short");
        for long in ["x".repeat(5000), "ü".repeat(5000), format!("x{}", "漢".repeat(5000))] {
            let message = cut(long);
            assert!(message.len() <= MAX_MESSAGE_BYTES && message.len() > MAX_MESSAGE_BYTES - 8, "{}", message.len());
            assert!(message.ends_with('…'));
        }
    }

    #[test]
    fn the_reason_of_a_failure_is_told_with_its_line_and_without() {
        let at = |line: u64, reason: &str| {
            let entry = Entry { line, ..Entry::decoded(0, RawValue::NULL.to_owned()) };
            Outcome::of(entry, Some(reason.to_owned()))
        };
        for (line, reason, message) in [
            (3, "no such key", "line 3: no such key"),
            (0, "no such key", "no such key"),
            (3, "line 3: it says so itself", "line 3: line 3: it says so itself"),
            (0, "line 4: 2 fields", "line 4: 2 fields"),
        ] {
            let outcome = at(line, reason);
            assert_eq!((outcome.response.message.as_str(), outcome.reason()), (message, reason));
        }
        let long = at(7, &"x".repeat(5000));
        assert!(long.reason().starts_with("xxx") && long.reason().ends_with('…'));
    }

    #[test]
    fn text_is_kept_unless_its_json_is_too_large() {
        for (character, kept) in [("x", true), ("\"", true), ("\u{1}", false)] {
            let text = character.repeat(MAX_RECORD_BYTES / 2 - 1);
            let entry = Entry::faulty(0, Some(&text), "line 1");
            assert_eq!(entry.record.get() != "null", kept, "{character:?}");
            assert_eq!(entry.fault.as_deref() == Some("line 1"), kept);
        }
    }

    #[test]
    fn bytes_are_kept_whatever_they_are() {
        for bytes in [&b""[..], b"plain", "f\u{fc}r".as_bytes(), b"caf\xe9", b"\xff\x00\n", &[0x80; 40]] {
            let raw = Raw::new(bytes);
            let written = serde_json::to_string(&raw).unwrap();
            assert!(!written.contains('\n'));
            assert_eq!(serde_json::from_str::<Raw>(&written).unwrap(), raw);
            let entry = Entry::broken(1, bytes, "broken");
            let text: String = serde_json::from_str(entry.record.get()).unwrap();
            assert_eq!(entry.raw.as_ref().map_or(text.as_bytes(), Raw::bytes), bytes);
        }
        assert_eq!(serde_json::to_string(&Raw::new(*b"caf\xe9")).unwrap(), "{\"latin1\":\"caf\u{e9}\"}");
        assert!(serde_json::from_str::<Raw>(r#"{"latin1":"\u0100"}"#).is_err());
    }

    #[test]
    fn an_entry_survives_its_line() {
        let record = RawValue::from_string(r#"{"itemNo":"1","price":0.10}"#.into()).unwrap();
        for entry in [
            Entry::decoded(7, record),
            Entry::faulty(8, Some("a,\"b\n\""), "line 3: 2 fields"),
            Entry::faulty(9, None, "too large"),
            Entry::broken(10, b"caf\xe9", "not UTF-8"),
        ] {
            let line = serde_json::to_string(&entry).unwrap();
            assert!(!line.contains('\n'));
            let back: Entry = serde_json::from_str(&line).unwrap();
            assert_eq!(back.index, entry.index);
            assert_eq!(back.record.get(), entry.record.get());
            assert_eq!((back.fault, back.raw), (entry.fault, entry.raw));
        }
    }
}
