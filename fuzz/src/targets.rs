//! The promises about every input, target by target.

use std::io::{Read, Write};

use flate2::Compression;
use flate2::bufread::MultiGzDecoder;
use flate2::write::GzEncoder;
use serde::de::IgnoredAny;
use serde_json::Value;

use crate::cut::Cut;
use crate::decode::{Decoded, KEY_FIELD, decode, headless_format};
use crate::reference::{self, Expected, Reading, Record};
use fanfold::format::{self, Decoder};
use fanfold::model::format::settings::FormatSettings;
use fanfold::model::format::{Compression as Packing, InputFormat, Layout};
use fanfold::model::record::{Entry, Outcome, Raw};
use fanfold::render::records::{Kind, Source, render};

pub use crate::events::{message, s3_event};
pub use crate::ranges::ranges;
pub use crate::record::record;

/// A target and its name, which is also the name of its corpus.
pub type Target = (&'static str, fn(&[u8]));

/// All targets.
pub const TARGETS: [Target; 9] = [
    ("csv", csv),
    ("json", json),
    ("jsonl", jsonl),
    ("gzip", gzip),
    ("detect", detect),
    ("ranges", ranges),
    ("s3_event", s3_event),
    ("message", message),
    ("record", record),
];

/// CSV: the first byte selects how the rest, which is the file, is cut into pieces.
pub fn csv(data: &[u8]) {
    plain(Layout::Csv, data);
    headless(data);
}

/// A JSON document, cut as for [`csv`].
pub fn json(data: &[u8]) {
    plain(Layout::Json, data);
}

/// JSON Lines, cut as for [`csv`].
pub fn jsonl(data: &[u8]) {
    plain(Layout::Jsonl, data);
}

/// Gzip: after the cut there is a byte for the layout of the file and what happens to it, and one for the place
/// where. The file is taken as gzip as it is, or is packed first and may then lose its end or flip a bit.
pub fn gzip(data: &[u8]) {
    let [cut, kind, place, file @ ..] = data else { return };
    let layout = [Layout::Csv, Layout::Json, Layout::Jsonl][usize::from(kind % 3)];
    let at = |length: usize| length * usize::from(*place) / 256;
    let packed = match kind / 3 % 5 {
        0 => file.to_vec(),
        1 => pack(file, Compression::default()),
        2 => [pack(&file[..at(file.len())], Compression::fast()), pack(&file[at(file.len())..], Compression::none())]
            .concat(),
        3 => {
            let mut packed = pack(file, Compression::best());
            packed.truncate(at(packed.len()));
            packed
        }
        _ => {
            let mut packed = pack(file, Compression::fast());
            let place = at(packed.len());
            packed[place] ^= 1 << (kind % 8);
            packed
        }
    };
    packed_file(layout, &packed, Cut(*cut));
}

/// Any file: after the cut there is a byte for its name. It is refused in words, or read alike in one piece and in
/// several.
pub fn detect(data: &[u8]) {
    const KEYS: [&str; 8] = ["a.csv", "a.json", "a.jsonl", "a.txt", "a.tsv", "a.csv.gz", "a.jsonl.zst", "a.json.bz2"];
    let [cut, name, file @ ..] = data else { return };
    let key = KEYS[usize::from(*name) % KEYS.len()];
    let columns = [KEY_FIELD, "a", "b"].map(str::to_owned).to_vec();
    detect_as(key, file, *cut, &FormatSettings::default());
    detect_as(key, file, *cut, &FormatSettings { columns, ..FormatSettings::default() });
}

fn detect_as(key: &str, file: &[u8], cut: u8, settings: &FormatSettings) {
    let format = match format::detect::detect(key, file, settings) {
        Ok(format) => format,
        Err(fault) => return assert!(!fault.message.is_empty()),
    };
    let read = |cut: Cut| {
        let (mut decoder, mut decoded) = (Decoder::new(&format, KEY_FIELD), Decoded::default());
        let pushed = cut.pieces(file).try_for_each(|piece| decoder.push(piece, &mut decoded.entries));
        decoded.fault = pushed.and_then(|()| decoder.finish(&mut decoded.entries)).err();
        decoded.shown()
    };
    assert_eq!(read(Cut(cut)), read(Cut::WHOLE), "in one piece and in several, as {format:?}");
}

fn plain(layout: Layout, data: &[u8]) {
    let [cut, file @ ..] = data else { return };
    let format = InputFormat::plain(layout);
    let whole = decode(format.clone(), file, Cut::WHOLE);
    agrees(&format, &whole, &reference::read(layout, file, KEY_FIELD));
    let pieces = decode(format.clone(), file, Cut(*cut));
    assert_eq!(pieces.shown(), whole.shown(), "in one piece and in several");
    if layout == Layout::Json {
        agrees_with_serde(file, &whole);
    }
    whole.entries.iter().for_each(waits_on_a_line);
    can_be_uploaded_again(&format, &whole);
}

/// The file as one without a header.
fn headless(data: &[u8]) {
    let [cut, file @ ..] = data else { return };
    let format = headless_format();
    let whole = decode(format.clone(), file, Cut::WHOLE);
    agrees(&format, &whole, &reference::headless(&format.columns, file));
    let pieces = decode(format.clone(), file, Cut(*cut));
    assert_eq!(pieces.shown(), whole.shown(), "in one piece and in several");
    whole.entries.iter().for_each(waits_on_a_line);
    can_be_uploaded_again(&format, &whole);
}

fn pack(bytes: &[u8], level: Compression) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), level);
    encoder.write_all(bytes).expect("a write to memory");
    encoder.finish().expect("a write to memory")
}

/// Decoding gzip gives the same as decoding its content; for damaged gzip, it gives no less than another reader
/// gets out of it.
fn packed_file(layout: Layout, packed: &[u8], cut: Cut) {
    let format = InputFormat { compression: Some(Packing::Gzip), ..InputFormat::plain(layout) };
    let whole = decode(format.clone(), packed, Cut::WHOLE);
    let pieces = decode(format, packed, cut);
    assert_eq!(pieces.shown(), whole.shown(), "in one piece and in several");
    let mut content = Vec::new();
    // Zeros at the end are padding, as far as they are not the end of the last member.
    let zeros = packed.iter().rev().take_while(|byte| **byte == 0).count();
    let intact = packed.is_empty()
        || (0..=zeros).rev().any(|padding| {
            content.clear();
            MultiGzDecoder::new(&packed[..packed.len() - padding]).read_to_end(&mut content).is_ok()
        });
    if intact {
        agrees(&InputFormat::plain(layout), &whole, &reference::read(layout, &content, KEY_FIELD));
        return;
    }
    let mut decoder = Decoder::new(&InputFormat::plain(layout), KEY_FIELD);
    let mut entries = Vec::new();
    let fault = decoder.push(&content, &mut entries).err();
    assert!(whole.entries.len() >= entries.len(), "{} records of {} are lost", whole.entries.len(), entries.len());
    for (have, want) in whole.entries.iter().zip(&entries) {
        assert_eq!(have.record.get(), want.record.get());
    }
    let code = whole.fault.map(|fault| fault.code);
    match fault {
        Some(fault) => assert_eq!(code, Some(fault.code)),
        None => assert!(code.is_some(), "damaged gzip was taken for a whole file"),
    }
}

fn agrees(format: &InputFormat, have: &Decoded, want: &Reading) {
    let code = have.fault.as_ref().map(|fault| fault.code.name());
    assert_eq!(code, want.fault, "{:?}", have.fault);
    assert_eq!((&have.columns, &have.head), (&want.columns, &want.head));
    assert_eq!(have.entries.len(), want.records.len(), "records");
    for (place, (entry, Record { told, bytes })) in have.entries.iter().zip(&want.records).enumerate() {
        assert_eq!(entry.index, place as u64);
        let told_faulty = !matches!(told, Expected::Object(_));
        assert_eq!(entry.fault.is_some(), told_faulty, "record {place}: {:?}, and not {told:?}", entry.fault);
        let record = entry.record.get();
        match told {
            Expected::Object(text) | Expected::Other(text) => assert_eq!(tokens(record), tokens(text)),
            Expected::Broken => assert_eq!(kept(record), String::from_utf8_lossy(bytes)),
            Expected::Nothing => assert_eq!(record, "null"),
        }
        if *told != Expected::Nothing {
            assert_eq!(failed_bytes(format, have, entry), *bytes, "record {place}: {entry:?}");
        }
    }
}

/// The bytes of a record as the file of failed records repeats them.
fn failed_bytes(format: &InputFormat, file: &Decoded, entry: &Entry) -> Vec<u8> {
    let out = failed(format, file, std::slice::from_ref(entry));
    let (before, after) = match format.layout {
        Layout::Csv if !format.columns.is_empty() => (0, 1),
        Layout::Csv => {
            let head = file.head.clone().unwrap_or_default();
            let end = if head.ends_with(b"\r\n") { 2 } else { 1 };
            (head.len() + if head.ends_with(b"\n") || head.ends_with(b"\r") { 0 } else { 1 }, end)
        }
        Layout::Json => ("{\"records\":[\n".len(), "\n]}\n".len()),
        Layout::Jsonl | Layout::Parquet => (0, 1),
    };
    out[before..out.len() - after].to_vec()
}

/// The file of failed records, if these are they.
fn failed(format: &InputFormat, file: &Decoded, entries: &[Entry]) -> Vec<u8> {
    let (columns, head) = (file.columns.clone().unwrap_or_default(), file.head.clone().map(Raw::new));
    let source = Source { format: format.clone(), columns, head };
    rendered(Kind::Failed, &source, entries)
}

fn rendered(kind: Kind, source: &Source, entries: &[Entry]) -> Vec<u8> {
    let (mut renderer, mut out) = (render(kind, source), Vec::new());
    renderer.begin(&mut out);
    for entry in entries {
        renderer.add(&Outcome::of(entry.clone(), Some("failed".to_owned())), &mut out).expect("an outcome");
    }
    renderer.end(&mut out);
    out
}

/// JSON without the white space between its tokens.
fn tokens(json: &str) -> String {
    let (mut inside, mut escaped) = (false, false);
    json.chars()
        .filter(|c| {
            let blank = !inside && matches!(c, ' ' | '\t' | '\r' | '\n');
            inside ^= *c == '"' && !escaped;
            escaped = inside && *c == '\\' && !escaped;
            !blank
        })
        .collect()
}

fn kept(record: &str) -> String {
    serde_json::from_str(record).expect("the text of a line that is no record")
}

/// Every document that serde_json accepts as `{"records":[…]}` is read, with the same values.
fn agrees_with_serde(file: &[u8], have: &Decoded) {
    #[derive(serde::Deserialize)]
    struct Document {
        records: Vec<Value>,
    }
    // Given bytes, serde_json does not look into the strings that it skips.
    let Ok(text) = std::str::from_utf8(file) else { return };
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let whole = have.fault.is_none() && !have.entries.iter().any(is_broken);
    if whole && !text.trim_ascii().is_empty() {
        serde_json::from_str::<IgnoredAny>(text).expect("what is read is JSON");
    }
    let object = text.trim_ascii().starts_with('{');
    if let (true, Ok(document)) = (object, serde_json::from_str::<Document>(text)) {
        assert_eq!(have.fault, None);
        let values = have.entries.iter().map(|entry| serde_json::from_str::<Value>(entry.record.get()).unwrap());
        assert!(values.eq(document.records));
    }
}

/// Whether a record is not even JSON.
fn is_broken(entry: &Entry) -> bool {
    entry.fault.as_ref().is_some_and(|fault| !fault.ends_with("is not an object"))
}

/// An entry is one line of a pending chunk, and is read back unchanged.
fn waits_on_a_line(entry: &Entry) {
    let line = serde_json::to_string(entry).expect("an entry is JSON");
    assert!(!line.contains('\n'), "{line}");
    let back: Entry = serde_json::from_str(&line).expect("an entry's line");
    assert_eq!((back.index, back.record.get()), (entry.index, entry.record.get()));
    assert_eq!((&back.fault, &back.raw), (&entry.fault, &entry.raw));
    assert!(entry.fault.is_some() || entry.record.get().starts_with('{'));
}

/// The file of failed records is read as the same records, which fail alike, and the file of results can be written.
fn can_be_uploaded_again(format: &InputFormat, file: &Decoded) {
    let columns = file.columns.clone().unwrap_or_default();
    rendered(Kind::Results, &Source { format: format.clone(), columns, head: None }, &file.entries);
    let text = failed(format, file, &file.entries);
    // A line that begins with a byte order mark of its own would lose it as the first of a file.
    let (marked, headed) = (text.starts_with(b"\xef\xbb\xbf"), file.head.is_some());
    if !headed && (marked || (format.layout == Layout::Csv && format.columns.is_empty())) {
        return;
    }
    let again = decode(format.clone(), &text, Cut::WHOLE);
    assert_eq!((&again.fault, &again.columns), (&None, &file.columns));
    let is_sent = |entry: &&Entry| entry.record.get() != "null" || entry.raw.is_some();
    let sent: Vec<&Entry> = file.entries.iter().filter(is_sent).collect();
    assert_eq!(again.entries.len(), sent.len());
    for (came, sent) in again.entries.iter().zip(sent) {
        assert_eq!((came.record.get(), &came.raw), (sent.record.get(), &sent.raw));
        assert_eq!(came.fault.as_deref().map(reason), sent.fault.as_deref().map(reason));
    }
}

/// A fault without the places that it names.
fn reason(fault: &str) -> String {
    fault.chars().filter(|c| !c.is_ascii_digit()).collect()
}
