//! What scatter cuts a batch into.

use futures::stream::{self, BoxStream, StreamExt};

use crate::model::error::Result;
use crate::model::fault::{Fault, FaultCode};
use crate::model::ids::{ChunkIndex, too_many_chunks};
use crate::model::range::Claim;
use crate::model::record::Entry;

/// The size from which a chunk is full, whatever the number of its records.
pub const CHUNK_BYTES: usize = 1024 * 1024;

/// What comes of the input: chunks, then one end.
#[derive(Debug)]
pub enum Cut {
    /// The next chunk.
    Chunk(Chunk),
    /// The next chunk, of records that stay where they are.
    Claim(ChunkIndex, Claim),
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
    /// Why the input could not be read to its end.
    pub fault: Option<Fault>,
}

impl End {
    /// The end of an input of which nothing was cut yet.
    pub fn new(columns: Option<Vec<String>>, fault: Option<Fault>) -> Self {
        Self { records: 0, chunks: 0, columns, fault }
    }

    /// The next chunk's place, counted with its records.
    ///
    /// # Errors
    /// `Malformed` past the chunks that a batch can have.
    pub fn count(&mut self, records: u64) -> Result<ChunkIndex> {
        let index = ChunkIndex::new(self.chunks)?;
        self.chunks += 1;
        self.records += records;
        Ok(index)
    }

    /// The end of an input that makes more than `most` chunks.
    pub fn overflow(&mut self, most: u32) {
        self.fault = Some(Fault::new(FaultCode::TooManyChunks, too_many_chunks(most)));
    }
}

/// Cuts what a batch is made of.
pub trait Cutter: Send + Sized {
    /// The next cut; none after the end.
    ///
    /// # Errors
    /// Those of what is cut.
    fn next(&mut self) -> impl Future<Output = Result<Option<Cut>>> + Send;

    /// All cuts.
    fn stream<'a>(self) -> BoxStream<'a, Result<Cut>>
    where
        Self: 'a,
    {
        stream::try_unfold(self, |mut cutter| async move { Ok(cutter.next().await?.map(|cut| (cut, cutter))) }).boxed()
    }
}
