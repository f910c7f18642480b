//! A large input file, generated record by record.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::Path;

use fanfold::model::format::Layout;

use crate::records::{HEADER, Record, Records};

/// The shape of a file to generate.
#[derive(Debug, Clone, Copy)]
pub struct Shape {
    /// How the records are laid out in it.
    pub layout: Layout,
    /// The minimum size of the file in bytes, exceeded by one record at most.
    pub bytes: u64,
    /// The minimum size of a record in bytes.
    pub record_bytes: usize,
    /// The seed of the records.
    pub seed: u64,
}

/// The contents of a generated file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Made {
    /// Its bytes.
    pub bytes: u64,
    /// Its records.
    pub records: u64,
    /// The number of records that will fail.
    pub failing: u64,
}

/// Writes a file; the same shape always gives the same file.
///
/// # Errors
/// Those of the disk.
pub fn write(path: &Path, shape: &Shape) -> io::Result<Made> {
    let mut file = Counted { file: BufWriter::new(File::create(path)?), bytes: 0 };
    let made = fill(&mut file, shape)?;
    file.file.flush()?;
    Ok(made)
}

struct Counted<W> {
    file: W,
    bytes: u64,
}

impl<W: Write> Write for Counted<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.file.write(bytes)?;
        self.bytes += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

fn fill<W: Write>(file: &mut Counted<W>, shape: &Shape) -> io::Result<Made> {
    let records = Records { seed: shape.seed, repeat: 1, tag: "m".into(), count: u64::MAX };
    match shape.layout {
        Layout::Csv => writeln!(file, "{HEADER}")?,
        // The whole document on one line, as programs write it.
        Layout::Json => file.write_all(b"{\"records\":[")?,
        Layout::Jsonl | Layout::Parquet => {}
    }
    let (mut count, mut failing) = (0, 0);
    while file.bytes < shape.bytes {
        let mut record = records.get(count);
        record.pad(shape.record_bytes);
        if records.fails(count) {
            record.spoil();
            failing += 1;
        }
        if shape.layout == Layout::Json && count > 0 {
            file.write_all(b",")?;
        }
        put(file, shape.layout, &record)?;
        count += 1;
    }
    if shape.layout == Layout::Json {
        file.write_all(b"]}\n")?;
    }
    Ok(Made { bytes: file.bytes, records: count, failing })
}

fn put(file: &mut impl Write, layout: Layout, record: &Record) -> io::Result<()> {
    match layout {
        Layout::Csv => writeln!(file, "{}", record.line()),
        Layout::Json => Ok(serde_json::to_writer(file, &record.fields())?),
        Layout::Jsonl | Layout::Parquet => {
            serde_json::to_writer(&mut *file, &record.fields())?;
            file.write_all(b"\n")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use fanfold::format::Decoder;
    use fanfold::model::format::InputFormat;

    fn made(layout: Layout, record_bytes: usize) -> (Vec<u8>, Made) {
        let mut file = Counted { file: Vec::new(), bytes: 0 };
        let made = fill(&mut file, &Shape { layout, bytes: 200_000, record_bytes, seed: 3 }).unwrap();
        (file.file, made)
    }

    #[test]
    fn a_file_of_each_layout_holds_what_is_said_of_it() {
        for layout in [Layout::Csv, Layout::Json, Layout::Jsonl] {
            let (bytes, made) = made(layout, 0);
            let mut decoder = Decoder::new(&InputFormat::plain(layout), crate::records::KEY_FIELD);
            let mut entries = Vec::new();
            decoder.push(&bytes, &mut entries).unwrap();
            decoder.finish(&mut entries).unwrap();
            assert_eq!((entries.len() as u64, bytes.len() as u64), (made.records, made.bytes));
            assert!(made.bytes >= 200_000 && made.bytes < 200_300 && made.failing > 0);
            let spoiled = entries.iter().filter(|entry| entry.record.get().contains("unknown")).count();
            assert_eq!(spoiled as u64, made.failing);
            assert!(entries.iter().all(|entry| entry.fault.is_none()));
        }
    }

    #[test]
    fn records_are_as_large_as_is_asked_for() {
        let (_, made) = made(Layout::Jsonl, 10_000);
        assert!((18..=20).contains(&made.records), "{made:?}");
    }
}
