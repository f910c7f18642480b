//! Bytes to records and back, as streams: every codec takes its input in pieces of any size and holds one
//! record at a time.

pub mod csv;
pub mod detect;
pub mod found;
pub mod json;
pub mod jsonl;
pub mod line_ends;
pub mod manifest;
pub mod scan;
pub mod text;
pub mod unpack;

use crate::format::unpack::Layers;
use crate::model::fault::Fault;
use crate::model::format::{InputFormat, Layout};
use crate::model::range::{Place, Range};
use crate::model::record::Entry;

/// The preferred size of a piece for a decoder, in bytes.
pub const PIECE: usize = 8 * 1024;

const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// Removes a byte order mark from the beginning of a file; it may be split across pieces like everything else.
#[derive(Default)]
struct Mark {
    matched: usize,
    past: bool,
}

impl Mark {
    /// The bytes to read once the next piece arrives: those that were held back, and the rest of the piece.
    fn strip<'a>(&mut self, bytes: &'a [u8]) -> (&'static [u8], &'a [u8]) {
        if self.past {
            return (&[], bytes);
        }
        let same = BYTE_ORDER_MARK[self.matched..].iter().zip(bytes).take_while(|(a, b)| a == b).count();
        self.matched += same;
        let rest = &bytes[same..];
        self.past = self.found() || !rest.is_empty();
        (if self.past { self.held() } else { &[] }, rest)
    }

    /// The bytes still to read when no more pieces arrive.
    fn finish(&mut self) -> &'static [u8] {
        if std::mem::replace(&mut self.past, true) { &[] } else { self.held() }
    }

    fn held(&self) -> &'static [u8] {
        if self.found() { &[] } else { &BYTE_ORDER_MARK[..self.matched] }
    }

    fn found(&self) -> bool {
        self.matched == BYTE_ORDER_MARK.len()
    }

    /// The beginning of a file, with the mark again if it had one.
    fn before(&self, head: &[u8]) -> Vec<u8> {
        [if self.found() { BYTE_ORDER_MARK } else { &[] }, head].concat()
    }
}

/// A decoder of one layout.
enum Records {
    Csv(csv::CsvRecords),
    Json(json::JsonRecords),
    Jsonl(jsonl::JsonlRecords),
}

/// Decodes an input file. Feed it with [`push`](Self::push), then [`finish`](Self::finish) it. After an error,
/// the entries before the break are in `out`, and the decoder is spent.
pub struct Decoder {
    layers: Layers,
    text: Text,
}

/// Decodes what was unpacked.
struct Text {
    records: Records,
    mark: Mark,
    /// How many bytes are passed over before the next record.
    skip: u64,
}

impl Decoder {
    /// A decoder of a format; for CSV, a column must be named `key_field`. A Parquet file is not read from front to
    /// back, so there is no decoder of its bytes; to this one, they are broken JSON Lines.
    pub fn new(format: &InputFormat, key_field: &str) -> Self {
        let records = match format.layout {
            Layout::Csv => Records::Csv(csv::CsvRecords::new(format, key_field)),
            Layout::Json => Records::Json(json::JsonRecords::new(format)),
            Layout::Jsonl | Layout::Parquet => Records::Jsonl(jsonl::JsonlRecords::new(format)),
        };
        Self { layers: Layers::of(format), text: Text { records, mark: Mark::default(), skip: 0 } }
    }

    /// A decoder of some records of a file that [is in place](InputFormat::is_in_place), which [`scan::Scanner`]
    /// found: from the bytes of `range` it makes the same entries as a decoder of the whole file. `columns` are those
    /// of a CSV file.
    pub fn part(format: &InputFormat, columns: &[String], range: &Range) -> Self {
        let records = match format.layout {
            Layout::Csv => Records::Csv(csv::CsvRecords::part(format, columns, range)),
            Layout::Json => Records::Json(json::JsonRecords::part(format, range)),
            Layout::Jsonl | Layout::Parquet => Records::Jsonl(jsonl::JsonlRecords::part(format, range)),
        };
        let mark = Mark { matched: 0, past: true };
        Self { layers: Layers::none(), text: Text { records, mark, skip: 0 } }
    }

    /// Whether so much of the file was read that [`seek`](Self::seek) may be called.
    pub fn has_begun(&self) -> bool {
        match &self.text.records {
            Records::Csv(records) => records.has_begun(),
            Records::Json(records) => records.has_begun(),
            Records::Jsonl(_) => true,
        }
    }

    /// Goes on at a record by its place and index. The file's beginning must have been read, as far as
    /// [`has_begun`](Self::has_begun) wants. Of a file that [is in place](InputFormat::is_in_place), the bytes from there
    /// on are taken next; any other is unpacked once more, from its first byte.
    pub fn seek(&mut self, format: &InputFormat, place: Place, index: u64) {
        let Self { layers, text } = self;
        if !format.is_in_place() {
            *layers = Layers::of(format);
            text.skip = place.offset;
        }
        text.mark.past = true;
        match &mut text.records {
            Records::Csv(records) => records.seek(place, index),
            Records::Json(records) => records.seek(place, index),
            Records::Jsonl(records) => records.seek(place, index),
        }
    }

    /// Whether the place that was sought is yet to come.
    pub fn is_skipping(&self) -> bool {
        self.text.skip > 0
    }

    /// Takes the next piece of the file and appends the records that it completes to `out`.
    ///
    /// # Errors
    /// A [`Fault`] with the place where the file as a whole stops being readable.
    pub fn push(&mut self, mut bytes: &[u8], out: &mut Vec<Entry>) -> Result<(), Fault> {
        while !bytes.is_empty() || self.has_more() {
            let taken = self.step(bytes, out)?;
            bytes = &bytes[taken..];
        }
        Ok(())
    }

    /// As [`push`](Self::push), but takes only so much of the piece that few records come of it, and returns how many
    /// bytes that is. It may take none if there [is more](Self::has_more) of those before.
    ///
    /// # Errors
    /// As for [`push`](Self::push).
    pub fn step(&mut self, bytes: &[u8], out: &mut Vec<Entry>) -> Result<usize, Fault> {
        let Self { layers, text } = self;
        layers.step(bytes, &mut |plain| text.push(plain, out))
    }

    /// Whether the next step makes records of bytes that were taken before.
    pub fn has_more(&self) -> bool {
        self.layers.has_more()
    }

    /// Ends the file.
    ///
    /// # Errors
    /// As for [`push`](Self::push), for a file that ends too early.
    pub fn finish(&mut self, out: &mut Vec<Entry>) -> Result<(), Fault> {
        let Self { layers, text } = self;
        layers.finish(&mut |plain| text.push(plain, out))?;
        text.finish(out)
    }

    /// The columns of a CSV file, once they are known.
    pub fn columns(&self) -> Option<&[String]> {
        match &self.text.records {
            Records::Csv(records) => records.columns(),
            Records::Json(_) | Records::Jsonl(_) => None,
        }
    }

    /// How many bytes of a CSV file were kept up to the end of its header; 0 for other layouts.
    pub fn header(&self) -> u64 {
        match &self.text.records {
            Records::Csv(records) => records.head().map_or(0, <[u8]>::len) as u64,
            Records::Json(_) | Records::Jsonl(_) => 0,
        }
    }

    /// The bytes at the start of a CSV file that name its columns, once its header is read; `None` if it has none.
    pub fn head(&self) -> Option<Vec<u8>> {
        match &self.text.records {
            Records::Csv(records) => records.head().map(|head| self.text.mark.before(head)),
            Records::Json(_) | Records::Jsonl(_) => None,
        }
    }
}

impl Text {
    fn push(&mut self, bytes: &[u8], out: &mut Vec<Entry>) -> Result<(), Fault> {
        if self.mark.past {
            let skipped = usize::try_from(self.skip).map_or(bytes.len(), |skip| skip.min(bytes.len()));
            self.skip -= skipped as u64;
            return self.push_records(&bytes[skipped..], out);
        }
        let (held, rest) = self.mark.strip(bytes);
        if self.mark.found() {
            self.skip_mark();
        }
        self.push_records(held, out)?;
        self.push_records(rest, out)
    }

    fn finish(&mut self, out: &mut Vec<Entry>) -> Result<(), Fault> {
        let held = self.mark.finish();
        self.push_records(held, out)?;
        match &mut self.records {
            Records::Csv(records) => records.finish(out),
            Records::Json(records) => records.finish(out),
            Records::Jsonl(records) => {
                records.finish(out);
                Ok(())
            }
        }
    }

    fn skip_mark(&mut self) {
        let mark = BYTE_ORDER_MARK.len();
        match &mut self.records {
            Records::Csv(records) => records.skip(mark),
            Records::Json(records) => records.skip(mark),
            Records::Jsonl(records) => records.skip(mark),
        }
    }

    fn push_records(&mut self, bytes: &[u8], out: &mut Vec<Entry>) -> Result<(), Fault> {
        match &mut self.records {
            Records::Csv(records) => records.push(bytes, out),
            Records::Json(records) => records.push(bytes, out),
            Records::Jsonl(records) => {
                records.push(bytes, out);
                Ok(())
            }
        }
    }
}

fn too_large(place: impl std::fmt::Display) -> String {
    format!(
        "{place}: the record is larger than {} bytes; it is not repeated in the outputs",
        crate::model::record::MAX_RECORD_BYTES
    )
}

/// The reason that serde_json gives, without its place, which counts from the start of the value.
fn reason(error: &serde_json::Error) -> String {
    let text = error.to_string();
    match text.split_once(" at line ") {
        Some((reason, _)) => reason.to_owned(),
        None => text,
    }
}

#[cfg(test)]
mod tests;
