//! What the stages share of a batch: where its chunks wait, where their results are kept, and how
//! its end is noticed. Here is where variants differ.

use futures::future::try_join;

use super::Stores;
use crate::blob::{Blob, read_all};
use crate::channel::{Channel, Outgoing};
use crate::ledger::Ledger;
use crate::ledger::completion::{self, Progress};
use crate::model::error::{Error, Result};
use crate::model::ids::{BatchId, ChunkIndex, MAX_CHUNKS, MAX_TREE_CHUNKS};
use crate::model::message::{GatherMessage, to_body};
use crate::model::progress::{Batch, BatchState, Sealing, Tally};
use crate::model::record::{Entry, Outcome};
use crate::model::timestamp::Timestamp;
use crate::tasks::Tasks;

/// Where chunks wait and results are kept.
pub enum Chunks<S: Stores> {
    /// In the work bucket, an object a chunk.
    Bucket(S::Blob),
    /// In the tasks table, a row a record.
    Table(S::Tasks),
}

/// How the end of a batch is noticed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Condition {
    /// All leaves of the ledger's completion tree are full.
    Tree,
    /// The batch is sealed, and no pending chunk is left in the work bucket.
    Listing,
}

impl Condition {
    /// How many chunks a batch can have.
    pub fn most_chunks(self) -> u32 {
        match self {
            Self::Tree => MAX_TREE_CHUNKS,
            Self::Listing => MAX_CHUNKS,
        }
    }
}

/// What a worker finds of its chunk.
pub enum Found {
    /// The records wait.
    Pending(Vec<Entry>),
    /// The chunk was done before.
    Done(Progress),
}

/// Chunks, ledger and the way to gather.
pub struct Batches<S: Stores> {
    /// Where chunks wait.
    pub chunks: Chunks<S>,
    /// Batch state.
    pub ledger: S::Ledger,
    /// To gather.
    pub gather: S::Channel,
    /// How the end is noticed.
    pub condition: Condition,
}

impl<S: Stores> Chunks<S> {
    /// Keeps the records of a chunk until they are processed. A repeat never takes back a result.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn put(&self, batch: &BatchId, chunk: ChunkIndex, entries: &[Entry], now: Timestamp) -> Result<()> {
        match self {
            Self::Bucket(work) => {
                let lines = lines_of(entries)?;
                work.put(&batch.pending_key(chunk), "application/jsonl", lines.into()).await?;
                Ok(())
            }
            Self::Table(tasks) => tasks.create(batch, chunk, entries, now).await,
        }
    }

    /// The records of a chunk; none if they were discarded.
    async fn pending(&self, batch: &BatchId, chunk: ChunkIndex) -> Result<Option<Vec<Entry>>> {
        match self {
            Self::Bucket(work) => {
                let lines = read_all(work, &batch.pending_key(chunk)).await?;
                lines.map(|lines| parse_lines(&lines)).transpose()
            }
            Self::Table(tasks) => {
                let rows = tasks.read(batch, chunk).await?;
                Ok((!rows.is_empty()).then(|| rows.into_iter().map(|row| row.entry).collect()))
            }
        }
    }

    /// Keeps the outcomes of a chunk.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn put_result(
        &self,
        batch: &BatchId,
        chunk: ChunkIndex,
        outcomes: &[Outcome],
        now: Timestamp,
    ) -> Result<()> {
        match self {
            Self::Bucket(work) => {
                let lines = lines_of(outcomes)?;
                work.put(&batch.done_key(chunk), "application/jsonl", lines.into()).await?;
                Ok(())
            }
            Self::Table(tasks) => tasks.resolve(batch, chunk, outcomes, now).await,
        }
    }

    /// The outcomes of a chunk that is done.
    ///
    /// # Errors
    /// Those of the store; `Internal` if an outcome is missing.
    pub async fn result(&self, batch: &BatchId, chunk: ChunkIndex) -> Result<Vec<Outcome>> {
        let missing = || Error::internal(format!("chunk {chunk} of batch {batch} is done and lacks its result"));
        match self {
            Self::Bucket(work) => {
                let lines = read_all(work, &batch.done_key(chunk)).await?;
                parse_lines(&lines.ok_or_else(missing)?)
            }
            Self::Table(tasks) => {
                let rows = tasks.read(batch, chunk).await?.into_iter();
                let outcomes = rows.map(|row| {
                    let (index, request) = (row.entry.index, row.entry.record);
                    row.response.map(|response| Outcome { index, request, response })
                });
                outcomes.collect::<Option<_>>().ok_or_else(missing)
            }
        }
    }

    /// Deletes the records of a chunk that is done. Rows of the tasks table stay until they expire:
    /// they hold the result too.
    async fn discard(&self, batch: &BatchId, chunk: ChunkIndex) -> Result<()> {
        match self {
            Self::Bucket(work) => work.delete(&batch.pending_key(chunk)).await,
            Self::Table(_) => Ok(()),
        }
    }

    async fn any_pending(&self, batch: &BatchId) -> Result<bool> {
        match self {
            Self::Bucket(work) => Ok(!work.list(&batch.pending_prefix(), 1).await?.is_empty()),
            Self::Table(_) => Err(Error::internal("the tasks table can not say what is pending")),
        }
    }
}

impl<S: Stores> Batches<S> {
    /// What there is to do for a chunk.
    ///
    /// # Errors
    /// Those of the stores; `Transient` if the chunk is neither pending nor done, as it may seem
    /// while another worker ends it.
    pub async fn find(&self, batch: &BatchId, chunk: ChunkIndex) -> Result<Found> {
        let neither = || Error::transient(format!("chunk {chunk} of batch {batch} is neither pending nor done"));
        if self.condition == Condition::Listing {
            return match self.chunks.pending(batch, chunk).await? {
                Some(entries) => Ok(Found::Pending(entries)),
                None => self.by_listing(batch).await.map(Found::Done),
            };
        }
        let number = chunk.leaf();
        let leaves = self.ledger.read_leaves(batch, number..number + 1);
        let (mut leaves, pending) = try_join(leaves, self.chunks.pending(batch, chunk)).await?;
        let leaf = leaves.pop().unwrap_or_default();
        if !leaf.holds(chunk) {
            return pending.map(Found::Pending).ok_or_else(neither);
        }
        if pending.is_some() {
            self.chunks.discard(batch, chunk).await?;
        }
        completion::settle(&self.ledger, batch, number, &leaf).await.map(Found::Done)
    }

    /// Notes that a chunk's items and result are written.
    ///
    /// # Errors
    /// Those of the stores.
    pub async fn finish(&self, batch: &BatchId, chunk: ChunkIndex, tally: Tally, now: Timestamp) -> Result<Progress> {
        match self.condition {
            Condition::Tree => {
                let progress = completion::mark(&self.ledger, batch, chunk, tally, now).await?;
                self.chunks.discard(batch, chunk).await?;
                Ok(progress)
            }
            Condition::Listing => {
                self.chunks.discard(batch, chunk).await?;
                self.by_listing(batch).await
            }
        }
    }

    /// Seals a batch after its last message was sent.
    ///
    /// # Errors
    /// Those of the stores.
    pub async fn seal(&self, batch: &BatchId, sealing: &Sealing) -> Result<Progress> {
        match self.condition {
            Condition::Tree => completion::seal(&self.ledger, batch, sealing).await,
            Condition::Listing => {
                self.ledger.seal(batch, sealing).await?;
                self.by_listing(batch).await
            }
        }
    }

    /// Whether a batch that was opened is complete by now.
    ///
    /// # Errors
    /// Those of the stores.
    pub async fn is_complete(&self, batch: &Batch) -> Result<bool> {
        match self.condition {
            Condition::Tree => Ok(batch.is_complete()),
            Condition::Listing if batch.sealing.is_none() => Ok(false),
            Condition::Listing => Ok(!self.chunks.any_pending(&batch.opening.id).await?),
        }
    }

    /// Tells gather that a batch is complete, if it is. Repeats are harmless.
    ///
    /// # Errors
    /// Those of the channel.
    pub async fn announce(&self, batch: &BatchId, progress: Progress) -> Result<()> {
        if progress == Progress::Open {
            return Ok(());
        }
        tracing::info!(batch_id = %batch, "batch complete");
        let body = to_body(&GatherMessage::new(batch.clone()));
        self.gather.send(vec![Outgoing::grouped(body, batch.as_str())]).await
    }

    /// First the listing, then the seal: whichever of worker and scatter comes last sees both.
    async fn by_listing(&self, batch: &BatchId) -> Result<Progress> {
        if self.chunks.any_pending(batch).await? {
            return Ok(Progress::Open);
        }
        let state = self.ledger.read(batch).await?.map(|batch| batch.state);
        Ok(match state {
            Some(BatchState::Processing | BatchState::Gathering) => Progress::Complete,
            _ => Progress::Open,
        })
    }
}

fn lines_of<T: serde::Serialize>(values: &[T]) -> Result<Vec<u8>> {
    let mut lines = Vec::new();
    for value in values {
        serde_json::to_writer(&mut lines, value)
            .map_err(|e| Error::internal("a record can not be written to its chunk").because(e))?;
        lines.push(b'\n');
    }
    Ok(lines)
}

fn parse_lines<T: serde::de::DeserializeOwned>(lines: &[u8]) -> Result<Vec<T>> {
    let lines = lines.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
    let values = lines.map(serde_json::from_slice).collect::<std::result::Result<_, _>>();
    values.map_err(|e| Error::internal("a chunk is not readable").because(e))
}
