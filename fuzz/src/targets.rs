//! The promises about every input, target by target.

use std::io::{Read, Write};

use flate2::Compression;
use flate2::bufread::MultiGzDecoder;
use flate2::write::GzEncoder;
use serde::de::IgnoredAny;
use serde_json::Value;

use crate::cut::Cut;
use crate::decode::{Decoded, KEY_FIELD, decode};
use crate::reference::{self, Expected, Reading};
use fanfold::format::Decoder;
use fanfold::model::format::{InputFormat, Layout};
use fanfold::model::record::{Entry, Outcome};
use fanfold::render::Render;
use fanfold::render::records::{Kind, OutputEncoder};

pub use crate::events::{message, record, s3_event};
pub use crate::ranges::ranges;

/// A target and its name, which is also the name of its corpus.
pub type Target = (&'static str, fn(&[u8]));

/// All targets.
pub const TARGETS: [Target; 8] = [
    ("csv", csv),
    ("json", json),
    ("jsonl", jsonl),
    ("gzip", gzip),
    ("ranges", ranges),
    ("s3_event", s3_event),
    ("message", message),
    ("record", record),
];

/// CSV: the first byte selects how the rest, which is the file, is cut into pieces.
pub fn csv(data: &[u8]) {
    plain(Layout::Csv, data);
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

fn plain(layout: Layout, data: &[u8]) {
    let [cut, file @ ..] = data else { return };
    let format = InputFormat { layout, gzip: false };
    let whole = decode(format, file, Cut::WHOLE);
    agrees(&whole, &reference::read(layout, file, KEY_FIELD));
    let pieces = decode(format, file, Cut(*cut));
    assert_eq!(pieces.shown(), whole.shown(), "in one piece and in several");
    if layout == Layout::Json {
        agrees_with_serde(file, &whole);
    }
    whole.entries.iter().for_each(waits_on_a_line);
    can_be_uploaded_again(layout, &whole);
}

fn pack(bytes: &[u8], level: Compression) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), level);
    encoder.write_all(bytes).expect("a write to memory");
    encoder.finish().expect("a write to memory")
}

/// Decoding gzip gives the same as decoding its content; for damaged gzip, it gives no less than another reader
/// gets out of it.
fn packed_file(layout: Layout, packed: &[u8], cut: Cut) {
    let format = InputFormat { layout, gzip: true };
    let whole = decode(format, packed, Cut::WHOLE);
    let pieces = decode(format, packed, cut);
    assert_eq!(pieces.shown(), whole.shown(), "in one piece and in several");
    let mut content = Vec::new();
    let intact = packed.is_empty() || MultiGzDecoder::new(packed).read_to_end(&mut content).is_ok();
    if intact {
        agrees(&whole, &reference::read(layout, &content, KEY_FIELD));
        return;
    }
    let mut decoder = Decoder::new(InputFormat { layout, gzip: false }, KEY_FIELD);
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

fn agrees(have: &Decoded, want: &Reading) {
    let code = have.fault.as_ref().map(|fault| fault.code.name());
    assert_eq!(code, want.fault, "{:?}", have.fault);
    assert_eq!(have.columns, want.columns);
    assert_eq!(have.entries.len(), want.records.len(), "records");
    for (place, (entry, told)) in have.entries.iter().zip(&want.records).enumerate() {
        assert_eq!(entry.index, place as u64);
        let told_faulty = !matches!(told, Expected::Object(_));
        assert_eq!(entry.fault.is_some(), told_faulty, "record {place}: {:?}, and not {told:?}", entry.fault);
        let record = entry.record.get();
        match told {
            Expected::Object(text) | Expected::Other(text) => assert_eq!(tokens(record), tokens(text)),
            Expected::Line(text) => assert_eq!(&kept(record), text),
            Expected::Row(cells) => assert_eq!(&row(&kept(record)), cells),
            Expected::Nothing => assert_eq!(record, "null"),
        }
    }
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

fn row(text: &str) -> Vec<String> {
    // The reader does not drop a byte order mark after a line end.
    let text = format!("\n{text}");
    let mut reader = csv::ReaderBuilder::new().has_headers(false).flexible(true).from_reader(text.as_bytes());
    let mut rows = reader.records().map(|row| row.expect("a row that was text"));
    let cells = rows.next().map(|row| row.iter().map(str::to_owned).collect()).unwrap_or_default();
    assert!(rows.next().is_none(), "one row became several: {text}");
    cells
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
    if have.fault.is_none() && !text.trim_ascii().is_empty() {
        serde_json::from_str::<IgnoredAny>(text).expect("what is read is JSON");
    }
    let object = text.trim_ascii().starts_with('{');
    if let (true, Ok(document)) = (object, serde_json::from_str::<Document>(text)) {
        assert_eq!(have.fault, None);
        let values = have.entries.iter().map(|entry| serde_json::from_str::<Value>(entry.record.get()).unwrap());
        assert!(values.eq(document.records));
    }
}

/// An entry is one line of a pending chunk, and is read back unchanged.
fn waits_on_a_line(entry: &Entry) {
    let line = serde_json::to_string(entry).expect("an entry is JSON");
    assert!(!line.contains('\n'), "{line}");
    let back: Entry = serde_json::from_str(&line).expect("an entry's line");
    assert_eq!((back.index, back.record.get(), back.fault), (entry.index, entry.record.get(), entry.fault.clone()));
    assert!(entry.fault.is_some() || entry.record.get().starts_with('{'));
}

/// The file of failed records is read as the same records, and the file of results can be written.
fn can_be_uploaded_again(layout: Layout, file: &Decoded) {
    let columns = file.columns.clone().unwrap_or_default();
    let encode = |kind| {
        let mut encoder = OutputEncoder::new(kind, layout, &columns);
        let mut out = Vec::new();
        encoder.begin(&mut out);
        for entry in &file.entries {
            encoder.add(&Outcome::of(entry.clone(), Some("failed".to_owned())), &mut out).expect("an outcome");
        }
        encoder.end(&mut out);
        out
    };
    encode(Kind::Results);
    let again = encode(Kind::Failed);
    // If the text begins with a byte order mark of its own, the file would begin with it.
    if (layout == Layout::Csv && file.columns.is_none()) || again.starts_with(b"\xef\xbb\xbf") {
        return;
    }
    let again = decode(InputFormat { layout, gzip: false }, &again, Cut::WHOLE);
    assert_eq!(again.fault, None);
    let sent = file.entries.iter().filter(|entry| entry.record.get() != "null" || entry.fault.is_none());
    let sent: Vec<_> = sent.map(|entry| (entry.record.get(), entry.fault.is_some())).collect();
    let came: Vec<_> = again.entries.iter().map(|entry| (entry.record.get(), entry.fault.is_some())).collect();
    assert_eq!(came, sent);
}
