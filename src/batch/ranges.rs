//! Chunks that are ranges of the input: their records are read in place.

use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use futures::stream::{self, BoxStream, StreamExt, TryStreamExt};
use tokio::sync::OnceCell;

use crate::format::{Decoder, PIECE};
use crate::model::error::{Error, ErrorKind, Result};
use crate::model::ids::BatchId;
use crate::model::input::Source;
use crate::model::progress::Batch;
use crate::model::range::{Claim, Range};
use crate::model::record::Entry;
use crate::store::blob::{Blob, Body, Pin, Section, sections};

/// The input bucket, and the columns of the input that was read last.
pub struct Ranges<B> {
    /// The bucket.
    pub bucket: B,
    last: Mutex<Option<(BatchId, Columns)>>,
}

/// The columns of a CSV file, read only once, however many chunks need them.
type Columns = Arc<OnceCell<Arc<[String]>>>;

/// The result of reading a range.
pub enum Read {
    /// The records.
    Records(Vec<Entry>),
    /// The input is not there, or not yet; what to say if that is so for good.
    Missing(String),
    /// The input was overwritten, with this reason.
    Gone(String),
}

impl<B: Blob> Ranges<B> {
    /// Reads ranges of the objects in a bucket.
    pub fn new(bucket: B) -> Self {
        Self { bucket, last: Mutex::new(None) }
    }

    /// Returns the cell for the columns of a batch's input, empty if they were not read yet.
    fn recall(&self, batch: &BatchId) -> Columns {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        match &*last {
            Some((of, columns)) if of == batch => columns.clone(),
            _ => last.insert((batch.clone(), Columns::default())).1.clone(),
        }
    }

    /// Reads the records of a chunk of a batch.
    ///
    /// # Errors
    /// Those of the bucket; `Internal` if the range does not hold what scatter found in it.
    pub async fn read(&self, batch: &BatchId, input: &Source, claim: &Claim) -> Result<Read> {
        match self.entries(batch, input, claim).await {
            Ok(Some(entries)) => Ok(Read::Records(entries)),
            Ok(None) => {
                let version =
                    input.version_id.as_ref().map_or(String::new(), |version| format!("version {version} of "));
                Ok(Read::Missing(format!(
                    "{version}{} was deleted after the batch had begun; upload the file again",
                    input.key
                )))
            }
            Err(error) if error.kind == ErrorKind::Conflict => Ok(Read::Gone(format!(
                "{} was overwritten after the batch had begun, and its bucket keeps no versions; \
                 the new file is a batch of its own, upload the former one again under another key",
                input.key
            ))),
            Err(error) => Err(error),
        }
    }

    async fn entries(&self, batch: &BatchId, input: &Source, claim: &Claim) -> Result<Option<Vec<Entry>>> {
        let range = &claim.range;
        let Some(columns) = self.columns(batch, input, range).await? else {
            return Ok(None);
        };
        let Some(body) = self.open(input, range.bytes()).await? else {
            return Ok(None);
        };
        let format = input.format()?;
        let mut entries = Vec::new();
        let decoded = decode(Decoder::part(&format, &columns, range), body, &mut entries).await?;
        if decoded.is_err() || entries.len() != claim.records as usize {
            return Err(Error::internal(format!(
                "bytes {} to {} of {} hold {} records, and {} were found there before",
                range.offset,
                range.offset + range.length,
                input.key,
                entries.len(),
                claim.records
            )));
        }
        Ok(Some(entries))
    }

    /// Returns the columns of a CSV file, of which a header is read only once; `None` if the input is gone.
    async fn columns(&self, batch: &BatchId, input: &Source, range: &Range) -> Result<Option<Arc<[String]>>> {
        if range.header == 0 {
            return Ok(Some(input.format()?.columns.into()));
        }
        let columns = self.recall(batch);
        // An input that is gone has no error to pass on: `Err(None)` stands for it.
        let read = columns.get_or_try_init(|| async {
            let body = self.open(input, 0..range.header).await.map_err(Some)?.ok_or(None)?;
            let head: Vec<Bytes> = body.try_collect().await?;
            let columns = crate::format::csv::columns_of(&head.concat(), &input.format()?);
            let columns = columns.ok_or_else(|| Error::internal("the header can no longer be read"))?;
            Ok::<_, Option<Error>>(columns)
        });
        match read.await {
            Ok(columns) => Ok(Some(columns.clone())),
            Err(None) => Ok(None),
            Err(Some(error)) => Err(error),
        }
    }

    /// Returns the records of a batch from its first range up to, but not including, index `end`; `None` if the input
    /// was overwritten.
    ///
    /// # Errors
    /// Those of the bucket; `Missing` if the input is not there.
    pub async fn all<'a>(
        &'a self,
        batch: &Batch,
        first: &Range,
        end: u64,
        width: usize,
    ) -> Result<Option<Records<'a>>> {
        let (id, input) = (&batch.opening.id, &batch.opening.input.source());
        let opened = async {
            let Some(columns) = self.columns(id, input, first).await? else {
                return Ok(None);
            };
            let body = sections::read(&self.bucket, input.key.clone(), Pin::of(input), first.offset, width).await?;
            Ok::<_, Error>(body.map(|body| (columns, body)))
        };
        let (columns, body) = match opened.await {
            Ok(Some(opened)) => opened,
            Ok(None) => return Err(Error::missing(format!("{} could not be read", input.key))),
            Err(error) if error.kind == ErrorKind::Conflict => return Ok(None),
            Err(error) => return Err(error),
        };
        let decoder = Some(Decoder::part(&input.format()?, &columns, first));
        Ok(Some(Records { body, piece: Bytes::new(), decoder, next: first.first, from: first.first, end }))
    }

    async fn open(&self, input: &Source, bytes: std::ops::Range<u64>) -> Result<Option<Body>> {
        let section = self.bucket.get_range(&input.key, &Pin::of(input), bytes).await?;
        Ok(section.map(|Section { body, .. }| body))
    }
}

/// The records of an input, or of its beginning, read in place.
pub struct Records<'a> {
    body: BoxStream<'a, Result<Bytes>>,
    piece: Bytes,
    decoder: Option<Decoder>,
    /// The index of the next record to read, and of the first one not to read.
    next: u64,
    end: u64,
    /// The index of the first record to return.
    from: u64,
}

impl Records<'_> {
    /// Makes a stream of no records, which stands at an index.
    pub fn none(next: u64) -> Self {
        Self { body: stream::empty().boxed(), piece: Bytes::new(), decoder: None, next, end: next, from: next }
    }

    /// The same records without those below an index.
    pub fn from(mut self, index: u64) -> Self {
        self.from = self.from.max(index);
        self
    }

    /// The index of the next record.
    pub fn position(&self) -> u64 {
        self.next.max(self.from)
    }

    /// Returns the next few records; `None` at the end.
    ///
    /// # Errors
    /// Those of the bucket; `Internal` if the input ends too early, or cannot be decoded that far.
    pub async fn next(&mut self) -> Result<Option<Vec<Entry>>> {
        let mut entries = Vec::new();
        while entries.is_empty() {
            let Some(decoder) = self.decoder.as_mut().filter(|_| self.next < self.end) else {
                return Ok(None);
            };
            while self.piece.is_empty() {
                match self.body.try_next().await? {
                    Some(piece) => self.piece = piece,
                    None => break,
                }
            }
            let piece = self.piece.split_to(PIECE.min(self.piece.len()));
            let decoded =
                if piece.is_empty() { decoder.finish(&mut entries) } else { decoder.push(&piece, &mut entries) };
            entries.truncate(usize::try_from(self.end - self.next).unwrap_or(usize::MAX));
            self.next += entries.len() as u64;
            if self.next < self.end && (decoded.is_err() || piece.is_empty()) {
                let reason = decoded.err().map_or("it ends there".to_owned(), |fault| fault.message);
                return Err(Error::internal(format!("the input has no record {}: {reason}", self.next)));
            }
            entries.retain(|entry| entry.index >= self.from);
        }
        Ok(Some(entries))
    }
}

/// Feeds a body to a decoder until it ends or cannot be decoded any further.
async fn decode(
    mut decoder: Decoder,
    mut body: Body,
    entries: &mut Vec<Entry>,
) -> Result<std::result::Result<(), crate::model::fault::Fault>> {
    while let Some(piece) = body.try_next().await? {
        if let Err(fault) = decoder.push(&piece, entries) {
            return Ok(Err(fault));
        }
    }
    Ok(decoder.finish(entries))
}
