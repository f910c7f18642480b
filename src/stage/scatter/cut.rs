//! What scatter cuts a batch into.

use futures::stream::{self, BoxStream, StreamExt};

use crate::model::error::Result;
use crate::model::fault::Fault;
use crate::model::ids::ChunkIndex;
use crate::model::manifest::ObjectEnd;
use crate::model::price::Work;
use crate::model::progress::Bookmark;
use crate::model::range::Claim;
use crate::model::record::{Entry, Raw};

/// The size at which a chunk is full, however many records it holds.
pub const CHUNK_BYTES: usize = 1024 * 1024;

/// What an input is cut into: chunks, then one end.
#[derive(Debug)]
pub enum Cut {
    /// The next chunk.
    Chunk(Chunk),
    /// The next chunk, whose records stay where they are, and what the chunks before it take of the batch's limits.
    Claim(ChunkIndex, Claim, Work),
    /// One of the batch's objects has no more, by its place among them.
    Object(usize, ObjectEnd),
    /// Nothing yet: time passes with what is not cut.
    Nothing,
    /// There are no more.
    End(End),
}

/// Records that are processed together.
#[derive(Debug)]
pub struct Chunk {
    /// The chunk's place in the batch.
    pub index: ChunkIndex,
    /// Its records.
    pub entries: Vec<Entry>,
    /// What the chunks before it take of the batch's limits.
    pub before: Work,
}

impl Cut {
    /// Where another invocation would go on with this chunk.
    pub fn bookmark(&self) -> Option<Bookmark> {
        match self {
            Self::Chunk(chunk) => {
                let first = chunk.entries.first()?;
                let (record, place, object) = (first.index, first.place, first.object);
                Some(Bookmark { chunk: chunk.index.get(), record, place, object, work: chunk.before })
            }
            Self::Claim(chunk, Claim { range, .. }, work) => {
                let (record, place) = (range.first, range.place());
                Some(Bookmark { chunk: chunk.get(), record, place, object: None, work: *work })
            }
            Self::Object(..) | Self::Nothing | Self::End(_) => None,
        }
    }
}

/// What is known at the end of the input.
#[derive(Debug)]
pub struct End {
    /// Records in all chunks.
    pub records: u64,
    /// Chunks made.
    pub chunks: u32,
    /// The columns of a CSV file.
    pub columns: Option<Vec<String>>,
    /// The bytes at the start of a CSV file that name them.
    pub head: Option<Raw>,
    /// Why the input could not be read to its end.
    pub fault: Option<Fault>,
    /// What came of each object, if the batch is made of many.
    pub objects: Vec<ObjectEnd>,
}

impl End {
    /// The end of an input from which nothing was cut yet.
    pub fn new(columns: Option<Vec<String>>, fault: Option<Fault>) -> Self {
        Self { records: 0, chunks: 0, columns, head: None, fault, objects: Vec::new() }
    }

    /// Goes on where an earlier invocation stopped.
    pub fn seek(&mut self, bookmark: &Bookmark) {
        (self.chunks, self.records) = (bookmark.chunk, bookmark.work.records);
    }

    /// Counts the next chunk and its records, and returns its place.
    ///
    /// # Errors
    /// `Malformed` if a batch cannot have so many chunks.
    pub fn count(&mut self, records: u64) -> Result<ChunkIndex> {
        let index = ChunkIndex::new(self.chunks)?;
        self.chunks += 1;
        self.records += records;
        Ok(index)
    }
}

/// Cuts the records of a batch into chunks.
pub trait Cutter: Send + Sized {
    /// Returns the next cut; `None` after the end.
    ///
    /// # Errors
    /// Those of the source.
    fn next(&mut self) -> impl Future<Output = Result<Option<Cut>>> + Send;

    /// Streams all cuts.
    fn stream<'a>(self) -> BoxStream<'a, Result<Cut>>
    where
        Self: 'a,
    {
        stream::try_unfold(self, |mut cutter| async move { Ok(cutter.next().await?.map(|cut| (cut, cutter))) }).boxed()
    }
}
