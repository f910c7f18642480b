//! Runs a decoder as scatter does, and measures how much memory it holds.

use crate::cut::Cut;
use crate::memory;
use fanfold::format::Decoder;
use fanfold::model::fault::Fault;
use fanfold::model::format::{InputFormat, Layout};
use fanfold::model::record::{Entry, MAX_RECORD_BYTES};

/// The key field of all files used here.
pub const KEY_FIELD: &str = "k";

/// The bytes that a decoder may hold before it has read anything, and for a fault's message.
pub const FIXED: usize = 96 * 1024;
/// The bytes that each byte of a record being read may take: its text, which grows by doubling, and
/// serde_json's notes on open brackets.
pub const PER_BYTE: usize = 4;
/// The bytes that each field of a CSV row may take, and the number of fields that are kept apart: where the
/// field ends and, once the row is complete, the place of its text, in lists that grow by doubling.
pub const PER_FIELD: usize = 48;
const MAX_FIELDS: usize = 64 * 1024;
/// The bytes that each byte of an entry may take while it is made: the entry, and a text twice as long.
pub const PER_ENTRY: usize = 3;
/// The bytes into which a byte of gzip may expand.
const INFLATED: usize = 1032;
/// The size of the pieces in which gzip is unpacked.
const PACKED_PIECE: usize = 8 * 1024;

/// A file as a decoder read it.
#[derive(Debug, Default)]
pub struct Decoded {
    /// The records.
    pub entries: Vec<Entry>,
    /// The fault that ended it early.
    pub fault: Option<Fault>,
    /// The header of a CSV file.
    pub columns: Option<Vec<String>>,
    /// The bytes that hold it.
    pub head: Option<Vec<u8>>,
}

impl Decoded {
    /// All of it as text, for comparison.
    pub fn shown(&self) -> String {
        let mut text = format!("{:?}\n{:?}\n", self.columns, self.fault);
        for entry in &self.entries {
            let fault = entry.fault.as_deref().unwrap_or("-");
            text.push_str(&format!("{} {} {fault} {:?}\n", entry.index, entry.record.get(), entry.raw));
        }
        text
    }
}

/// The maximum that a decoder may hold while it takes a piece, when it has read `read` bytes including that
/// piece, and made `entries` of it.
pub fn most(format: &InputFormat, read: usize, piece: usize, entries: &[Entry]) -> usize {
    let made: usize = entries.iter().map(size).sum();
    let (text, unpacked) = if format.compression.is_some() {
        (read.saturating_mul(INFLATED), 64 * 1024 + PER_ENTRY * INFLATED * piece.min(PACKED_PIECE))
    } else {
        (read, 0)
    };
    let fields = if format.layout == Layout::Csv { text.min(MAX_FIELDS) } else { 0 };
    FIXED + unpacked + PER_BYTE * text.min(MAX_RECORD_BYTES) + PER_FIELD * fields + PER_ENTRY * made
}

fn size(entry: &Entry) -> usize {
    let raw = entry.raw.as_ref().map_or(0, |raw| raw.bytes().len());
    size_of::<Entry>() + entry.record.get().len() + entry.fault.as_ref().map_or(0, String::len) + raw
}

/// The end of a decoder's run.
pub struct End {
    /// The fault that ended it early.
    pub fault: Option<Fault>,
    /// The header of a CSV file.
    pub columns: Option<Vec<String>>,
    /// The bytes that hold it.
    pub head: Option<Vec<u8>>,
    /// The maximum number of bytes held.
    pub peak: usize,
}

/// Decodes a file in pieces. As in scatter, the entries of a piece are dropped before the next piece arrives;
/// `sink` sees them.
///
/// # Panics
/// If the decoder held more than [`most`].
pub fn decode_pieces<P: AsRef<[u8]>>(
    format: InputFormat,
    pieces: impl Iterator<Item = P>,
    sink: impl FnMut(&[Entry]),
) -> End {
    let made = format.clone();
    decode_with(move || Decoder::new(&made, KEY_FIELD), format, pieces, sink)
}

/// As [`decode_pieces`], also for a decoder of a part of a file.
///
/// # Panics
/// As for [`decode_pieces`].
pub fn decode_with<P: AsRef<[u8]>>(
    make: impl FnOnce() -> Decoder,
    format: InputFormat,
    mut pieces: impl Iterator<Item = P>,
    mut sink: impl FnMut(&[Entry]),
) -> End {
    let base = memory::live();
    let mut decoder = make();
    let (mut read, mut peak) = (0, 0);
    loop {
        let mut entries = Vec::new();
        let piece = memory::uncounted(|| pieces.next());
        let bytes = piece.as_ref().map(AsRef::as_ref);
        let last = bytes.is_none();
        memory::reset_peak();
        let result = match bytes {
            Some(bytes) => decoder.push(bytes, &mut entries),
            None => decoder.finish(&mut entries),
        };
        let held = usize::try_from(memory::peak() - base).unwrap_or(0);
        memory::uncounted(|| {
            let bytes = bytes.unwrap_or_default().len();
            read += bytes;
            let most = most(&format, read, bytes, &entries);
            let count = entries.len();
            assert!(held <= most, "{held} bytes held, at most {most} allowed: {count} entries after {read} bytes");
            sink(&entries);
        });
        drop(entries);
        memory::uncounted(|| drop(piece));
        peak = peak.max(held);
        if last || result.is_err() {
            let (columns, head) = (decoder.columns().map(<[String]>::to_vec), decoder.head());
            return End { fault: result.err(), columns, head, peak };
        }
    }
}

/// Decodes a file cut into pieces.
///
/// # Panics
/// As for [`decode_pieces`].
pub fn decode(format: InputFormat, bytes: &[u8], cut: Cut) -> Decoded {
    let mut all = Vec::new();
    let end = decode_pieces(format, cut.pieces(bytes), |entries| all.extend_from_slice(entries));
    Decoded { entries: all, fault: end.fault, columns: end.columns, head: end.head }
}

/// CSV without a header, of two columns.
pub fn headless_format() -> InputFormat {
    let columns = [KEY_FIELD, "a"].map(str::to_owned).to_vec();
    InputFormat { columns, ..InputFormat::plain(Layout::Csv) }
}
