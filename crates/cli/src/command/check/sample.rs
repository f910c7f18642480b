//! The first records of a file, read no further than they reach.

use std::fs::File;
use std::io::Read;

use futures::TryStreamExt;

use crate::rows::{self, OnDisk};
use fanfold::format::Decoder;
use fanfold::format::detect::unread_parquet;
use fanfold::format::scan::Scanner;
use fanfold::format::unpack::Layers;
use fanfold::model::fault::Fault;
use fanfold::model::format::InputFormat;
use fanfold::model::range::Claim;
use fanfold::model::record::{Entry, MAX_RECORD_BYTES};
use fanfold::stage::scatter::limit::Progress;

/// How much of a file is read at a time.
const PIECE: usize = 64 * 1024;

/// The first records of a file.
pub(in crate::command) struct Sample {
    pub(in crate::command) entries: Vec<Entry>,
    /// The line on which each begins.
    pub(in crate::command) lines: Vec<u64>,
    /// The columns of a CSV file, if its header could be read.
    pub(in crate::command) columns: Option<Vec<String>>,
    /// How far it was read to find them, if that says how much more there is.
    pub(in crate::command) read: Option<Progress>,
    /// Whether these are all records of the file.
    pub(in crate::command) whole: bool,
    /// Why the file cannot be read further.
    pub(in crate::command) fault: Option<Fault>,
}

impl Sample {
    /// Reads up to `most` records of a file that begins with `head` and goes on with `rest`.
    ///
    /// # Errors
    /// Those of `rest`.
    pub(in crate::command) fn read(
        head: Vec<u8>,
        mut rest: impl Read,
        format: &InputFormat,
        key_field: &str,
        most: usize,
    ) -> std::io::Result<Self> {
        let (mut reading, mut buffer) = (Reading::new(format, key_field, most), head);
        let (mut length, mut whole) = (buffer.len(), false);
        let fault = loop {
            let ended = length == 0;
            let fed = if ended { reading.finish() } else { reading.feed(&buffer[..length]) };
            whole |= ended && fed.is_ok();
            if ended || fed.is_err() || reading.has_enough() {
                break fed.err();
            }
            buffer.resize(PIECE, 0);
            length = rest.read(&mut buffer)?;
        };
        let Reading { decoder, mut entries, claims, taken, .. } = reading;
        let header = if format.compression.is_none() { decoder.header() } else { 0 };
        let read = Some(Progress { records: entries.len() as u64, bytes: taken, header });
        // What is wrong after the last record that was asked for was not asked for.
        let fault = fault.filter(|_| entries.len() < most);
        whole &= entries.len() <= most;
        entries.truncate(most);
        let lines = claims.iter().take(entries.len()).map(|claim| claim.range.line).collect();
        let columns = decoder.columns().map(<[String]>::to_vec);
        Ok(Self { entries, lines, columns, read, whole, fault })
    }

    /// Reads up to `most` records of a Parquet file.
    ///
    /// # Errors
    /// `Config` if the file is a pipe, or cannot be read.
    pub(in crate::command) async fn of_rows(file: File, most: usize) -> fanfold::Result<Self> {
        let (mut entries, mut whole) = (Vec::new(), false);
        let Some(reader) = rows::reader() else {
            let fault = Some(unread_parquet());
            return Ok(Self { entries, lines: Vec::new(), columns: None, read: None, whole, fault });
        };
        let mut rows = reader.entries(Box::new(OnDisk::new(file)?), 0);
        let fault = loop {
            match rows.try_next().await? {
                None => {
                    whole = true;
                    break None;
                }
                // What comes after the last record that was asked for was not asked for.
                Some(_) if entries.len() == most => break None,
                Some(Ok(entry)) => entries.push(entry),
                Some(Err(fault)) => break Some(fault),
            }
        };
        Ok(Self { entries, lines: Vec::new(), columns: None, read: None, whole, fault })
    }
}

/// A file that is being read: its records from the decoder that batches use, their lines from the scanner.
struct Reading {
    layers: Layers,
    decoder: Decoder,
    /// `None` once it has met a fault, about which the decoder says more.
    scanner: Option<Scanner>,
    entries: Vec<Entry>,
    claims: Vec<Claim>,
    most: usize,
    /// The bytes of the file that were decoded.
    taken: u64,
}

impl Reading {
    fn new(format: &InputFormat, key_field: &str, most: usize) -> Self {
        let layers = Layers::of(format);
        // That is what it is once it is unpacked.
        let plain = InputFormat { compression: None, utf16: None, ..format.clone() };
        let decoder = Decoder::new(&plain, key_field);
        let scanner = Some(Scanner::new(&plain, key_field, 1, MAX_RECORD_BYTES));
        Self { layers, decoder, scanner, entries: Vec::new(), claims: Vec::new(), most, taken: 0 }
    }

    fn has_enough(&self) -> bool {
        self.entries.len() >= self.most
    }

    fn feed(&mut self, mut bytes: &[u8]) -> Result<(), Fault> {
        while !self.has_enough() && (!bytes.is_empty() || self.layers.has_more()) {
            let Self { layers, decoder, scanner, entries, claims, .. } = self;
            let taken = layers.step(bytes, &mut |plain| push(plain, decoder, scanner, entries, claims))?;
            bytes = &bytes[taken..];
            self.taken += taken as u64;
        }
        Ok(())
    }

    fn finish(&mut self) -> Result<(), Fault> {
        let Self { layers, decoder, scanner, entries, claims, .. } = self;
        layers.finish(&mut |plain| push(plain, decoder, scanner, entries, claims))?;
        if let Some(scanner) = scanner {
            // The decoder says what is wrong.
            let _ = scanner.finish(claims);
        }
        decoder.finish(entries)
    }
}

fn push(
    plain: &[u8],
    decoder: &mut Decoder,
    scanner: &mut Option<Scanner>,
    entries: &mut Vec<Entry>,
    claims: &mut Vec<Claim>,
) -> Result<(), Fault> {
    if scanner.as_mut().is_some_and(|scanner| scanner.push(plain, claims).is_err()) {
        *scanner = None;
    }
    decoder.push(plain, entries)
}
