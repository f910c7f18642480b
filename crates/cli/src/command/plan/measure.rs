//! How many records and chunks a file has. What lies open is scanned as a whole, and of Parquet all rows are read; of what is packed, and of
//! what lies in S3, the beginning.

use std::fs::File;
use std::io::{Read, Seek};

use bytes::Bytes;
use futures::TryStreamExt;

use crate::command::check::sample::Sample;
use crate::rows::{self, OnDisk};
use fanfold::format::detect::{HEAD, detect, unread_parquet};
use fanfold::format::scan::Scanner;
use fanfold::model::error::{Error, Result};
use fanfold::model::fault::Fault;
use fanfold::model::format::settings::FormatSettings;
use fanfold::model::format::{InputFormat, Layout};
use fanfold::model::range::Claim;
use fanfold::model::record::Entry;
use fanfold::stage::scatter::cut::CHUNK_BYTES;
use fanfold::stage::scatter::limit::Progress;
use fanfold::store::blob::{Blob, Pin};
use fanfold_aws::clients::Clients;
use fanfold_aws::s3::S3Blob;

/// How much of a file is read at a time.
const PIECE: usize = 4 << 20;
/// How many records say what the others are like.
const SAMPLE: usize = 20_000;
/// How much of an object is fetched for them.
const BEGINNING: u64 = 4 << 20;
/// What an item has beside the fields of its record, in bytes: as the engine counts them.
const OWN_BYTES: u64 = 128;

/// What a file is made of.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Measured {
    pub(super) records: u64,
    pub(super) bytes: u64,
    pub(super) chunks: u64,
    /// The bytes that are worked on: those of the file, or what they are unpacked.
    pub(super) weight: u64,
    /// Bytes of a record's JSON.
    each: u64,
    /// Whether it can be read in ranges.
    pub(super) in_place: bool,
    /// Whether that is estimated from its beginning.
    pub(super) estimated: bool,
}

impl Measured {
    /// What is said of it, for chunks of that many records and as many bytes as a chunk has at most.
    pub(super) fn given(records: u64, bytes: u64, chunk_size: usize) -> Self {
        let weight = (bytes / records.max(1)).max(1);
        let each = (CHUNK_BYTES as u64 / weight).clamp(1, chunk_size as u64);
        let chunks = records.div_ceil(each);
        Self { records, bytes, chunks, weight: bytes, each: weight, in_place: true, estimated: false }
    }

    /// Records of a chunk, of which the last has what is left: as many as it may have, or fewer if chunks are cut by bytes.
    pub(super) fn in_a_chunk(&self, chunk_size: usize) -> u64 {
        let most = chunk_size as u64;
        if self.records.div_ceil(most) == self.chunks { most } else { self.records.div_ceil(self.chunks.max(1)) }
    }

    /// Units that an item takes to write.
    pub(super) fn units(&self) -> u64 {
        (self.each + OWN_BYTES).div_ceil(1024)
    }
}

fn unusable(name: &str, fault: &Fault) -> Error {
    Error::malformed(format!("{name}: {}", fault.message))
}

/// What the file of that name is made of.
///
/// # Errors
/// `Config` if it cannot be read; `Malformed` if it is no file of records.
pub(super) async fn file(
    name: &str,
    settings: &FormatSettings,
    key_field: &str,
    chunk_size: usize,
) -> Result<Measured> {
    if let Some(place) = name.strip_prefix("s3://") {
        return object(name, place, settings, key_field, chunk_size).await;
    }
    let cannot = |e| Error::config(format!("could not read {name}")).because(e);
    let mut file = File::open(name).map_err(cannot)?;
    let about = file.metadata().map_err(cannot)?;
    if !about.is_file() {
        return Err(Error::config(format!("{name} is not a file")));
    }
    let mut head = Vec::new();
    file.by_ref().take(HEAD as u64).read_to_end(&mut head).map_err(cannot)?;
    let format = detect(name, &head, settings).map_err(|fault| unusable(name, &fault))?;
    if format.is_in_place() {
        file.rewind().map_err(cannot)?;
        return scanned(name, file, &format, key_field, chunk_size);
    }
    if format.layout == Layout::Parquet {
        file.rewind().map_err(cannot)?;
        return rows_of(name, file, about.len(), chunk_size).await;
    }
    let sample = Sample::read(head, file, &format, key_field, SAMPLE).map_err(cannot)?;
    if let Some(fault) = &sample.fault {
        return Err(unusable(name, fault));
    }
    estimated(name, &sample, about.len(), chunk_size)
}

/// Scans a file to its end.
fn scanned(name: &str, mut file: File, format: &InputFormat, key_field: &str, chunk_size: usize) -> Result<Measured> {
    let mut scanner = Scanner::new(format, key_field, chunk_size, CHUNK_BYTES);
    let (mut buffer, mut claims) = (vec![0; PIECE], Vec::new());
    let mut measured = Measured { chunks: 0, ..Measured::given(0, 0, chunk_size) };
    let mut take = |claims: &mut Vec<Claim>| {
        measured.chunks += claims.len() as u64;
        measured.records += claims.drain(..).map(|claim| u64::from(claim.records)).sum::<u64>();
    };
    let mut bytes = 0;
    loop {
        let length = file.read(&mut buffer).map_err(|e| Error::config(format!("could not read {name}")).because(e))?;
        bytes += length as u64;
        let fed = match length {
            0 => scanner.finish(&mut claims),
            _ => scanner.push(&buffer[..length], &mut claims),
        };
        take(&mut claims);
        fed.map_err(|fault| unusable(name, &fault))?;
        if length == 0 {
            // The names of a CSV file's columns are in each record.
            let each = bytes / measured.records.max(1) + scanner.names();
            return Ok(Measured { bytes, weight: bytes, each, ..measured });
        }
    }
}

/// Reads all rows of a Parquet file, which says of its end alone how many there are.
async fn rows_of(name: &str, file: File, bytes: u64, chunk_size: usize) -> Result<Measured> {
    let Some(reader) = rows::reader() else {
        return Err(unusable(name, &unread_parquet()));
    };
    let (mut records, mut weight) = (0, 0);
    let mut entries = reader.entries(Box::new(OnDisk::new(file)?), 0);
    while let Some(entry) = entries.try_next().await? {
        let entry = entry.map_err(|fault| unusable(name, &fault))?;
        records += 1;
        weight += entry.weight() as u64;
    }
    Ok(Measured { bytes, in_place: false, ..Measured::given(records, weight.max(1), chunk_size) })
}

/// What all records of a file make, if they were all read.
fn counted(name: &str, sample: &Sample, bytes: u64, chunk_size: usize) -> Result<Measured> {
    if let Some(fault) = &sample.fault {
        return Err(unusable(name, fault));
    }
    let records = sample.entries.len() as u64;
    let weight: u64 = sample.entries.iter().map(|entry| entry.weight() as u64).sum();
    Ok(Measured { bytes, in_place: false, ..Measured::given(records, weight.max(1), chunk_size) })
}

/// What a file makes that goes on as its first records do.
fn estimated(name: &str, sample: &Sample, bytes: u64, chunk_size: usize) -> Result<Measured> {
    if sample.whole {
        return counted(name, sample, bytes, chunk_size);
    }
    if let Some(fault) = sample.fault.as_ref().filter(|_| sample.entries.is_empty()) {
        return Err(unusable(name, fault));
    }
    let records = sample.read.and_then(|read| read.records_in(bytes));
    let records = records.ok_or_else(|| Error::malformed(format!("{name} does not begin with a record")))?;
    let weight = sample.entries.iter().map(Entry::weight).sum::<usize>() as u64;
    let weight = weight.checked_div(sample.entries.len() as u64).unwrap_or(1).max(1);
    let made = Measured::given(records, records.saturating_mul(weight), chunk_size);
    Ok(Measured { bytes, in_place: false, estimated: true, ..made })
}

/// What an object makes, by its beginning.
async fn object(
    name: &str,
    place: &str,
    settings: &FormatSettings,
    key_field: &str,
    chunk_size: usize,
) -> Result<Measured> {
    let (bucket, key) = place
        .split_once('/')
        .filter(|(bucket, key)| !bucket.is_empty() && !key.is_empty())
        .ok_or_else(|| Error::config(format!("{name} names no object: give s3://BUCKET/KEY")))?;
    let blob = S3Blob::new(Clients::from_env().await.s3, bucket);
    let gone = || Error::config(format!("there is no object {name}"));
    let section = blob.get_range(key, &Pin::Newest, 0..BEGINNING).await?.ok_or_else(gone)?;
    let (bytes, pieces): (u64, Vec<Bytes>) = (section.size, section.body.try_collect().await?);
    let mut beginning = pieces.concat();
    let head = beginning.drain(..beginning.len().min(HEAD)).collect::<Vec<u8>>();
    let format = detect(key, &head, settings).map_err(|fault| unusable(name, &fault))?;
    if format.layout == Layout::Parquet {
        return Err(Error::config(format!(
            "{name}: the rows of a Parquet object are told at its end; download it, or give --records and --bytes"
        )));
    }
    let sample = Sample::read(head, beginning.as_slice(), &format, key_field, SAMPLE);
    let mut sample = sample.map_err(|e| Error::internal("memory cannot be read").because(e))?;
    if bytes > BEGINNING && (sample.whole || sample.fault.is_some()) {
        // The last record was cut off where reading ended.
        sample.whole = false;
        sample.entries.pop();
        let read = sample.entries.len() as u64;
        sample.read = sample.read.map(|to| Progress { records: read, bytes: BEGINNING, ..to });
    } else if let Some(fault) = &sample.fault {
        return Err(unusable(name, fault));
    }
    let made = estimated(name, &sample, bytes, chunk_size)?;
    Ok(Measured {
        in_place: format.is_in_place(),
        weight: if format.is_in_place() { bytes } else { made.weight },
        ..made
    })
}
