//! Bytes to records and back, as streams: every codec takes its input in pieces of any size and
//! holds one record at a time.

pub mod csv;
pub mod gzip;
pub mod json;
pub mod jsonl;
pub mod lines;
pub mod outputs;
pub mod s3_event;

use crate::model::format::{InputFormat, Layout};
use crate::model::record::Entry;
use crate::model::summary::Fault;

const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// A decoder of one layout.
enum Records {
    Csv(csv::CsvRecords),
    Json(json::JsonRecords),
    Jsonl(jsonl::JsonlRecords),
}

/// Decodes an input file. Feed it with [`push`](Self::push), then [`finish`](Self::finish) it.
/// After an error the entries that came before the break are in `out`, and the decoder is spent.
pub struct Decoder {
    records: Records,
    gunzip: Option<gzip::Gunzip>,
    head: Option<Vec<u8>>,
}

impl Decoder {
    /// A decoder of a format; of CSV, one whose header must name `key_field`.
    pub fn new(format: InputFormat, key_field: &str) -> Self {
        Self {
            records: match format.layout {
                Layout::Csv => Records::Csv(csv::CsvRecords::new(key_field)),
                Layout::Json => Records::Json(json::JsonRecords::default()),
                Layout::Jsonl => Records::Jsonl(jsonl::JsonlRecords::default()),
            },
            gunzip: format.gzip.then(gzip::Gunzip::default),
            head: Some(Vec::new()),
        }
    }

    /// Takes the next piece of the file and appends the records that it completes to `out`.
    ///
    /// # Errors
    /// A [`Fault`] with the place where the file as a whole stops being readable.
    pub fn push(&mut self, bytes: &[u8], out: &mut Vec<Entry>) -> Result<(), Fault> {
        let Some(mut gunzip) = self.gunzip.take() else {
            return self.push_plain(bytes, out);
        };
        let pushed = gunzip.push(bytes, |plain| self.push_plain(plain, out));
        self.gunzip = Some(gunzip);
        pushed
    }

    /// Says that the file ends here.
    ///
    /// # Errors
    /// As [`push`](Self::push), for a file that ends too early.
    pub fn finish(&mut self, out: &mut Vec<Entry>) -> Result<(), Fault> {
        if let Some(gunzip) = self.gunzip.take() {
            gunzip.finish(|plain| self.push_plain(plain, out))?;
        }
        if let Some(head) = self.head.take() {
            self.push_records(&head, out)?;
        }
        match &mut self.records {
            Records::Csv(records) => records.finish(out),
            Records::Json(records) => records.finish(),
            Records::Jsonl(records) => records.finish(out),
        }
    }

    /// The columns of a CSV file, once its header is read.
    pub fn columns(&self) -> Option<&[String]> {
        match &self.records {
            Records::Csv(records) => records.columns(),
            Records::Json(_) | Records::Jsonl(_) => None,
        }
    }

    /// Leaves out a byte order mark, which may come in pieces as everything else.
    fn push_plain(&mut self, bytes: &[u8], out: &mut Vec<Entry>) -> Result<(), Fault> {
        let Some(mut head) = self.head.take() else {
            return self.push_records(bytes, out);
        };
        head.extend_from_slice(bytes);
        if head.len() < BYTE_ORDER_MARK.len() && BYTE_ORDER_MARK.starts_with(&head) {
            self.head = Some(head);
            return Ok(());
        }
        let body = head.strip_prefix(BYTE_ORDER_MARK).unwrap_or(&head);
        self.push_records(body, out)
    }

    fn push_records(&mut self, bytes: &[u8], out: &mut Vec<Entry>) -> Result<(), Fault> {
        match &mut self.records {
            Records::Csv(records) => records.push(bytes, out),
            Records::Json(records) => records.push(bytes, out),
            Records::Jsonl(records) => records.push(bytes, out),
        }
    }
}

fn not_utf8(place: impl std::fmt::Display) -> Fault {
    Fault::new("NOT_UTF8", format!("{place}: the text is not UTF-8; convert the file and upload it again"))
}

fn too_large(place: impl std::fmt::Display) -> String {
    format!(
        "{place}: the record is larger than {} bytes; it is not repeated in the outputs",
        crate::model::record::MAX_RECORD_BYTES
    )
}

/// What serde_json has to say, without its place, which counts from the value's own start.
fn reason(error: &serde_json::Error) -> String {
    let text = error.to_string();
    match text.split_once(" at line ") {
        Some((reason, _)) => reason.to_owned(),
        None => text,
    }
}

#[cfg(test)]
mod tests;
