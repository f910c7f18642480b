//! What the stages share of a batch: how a chunk is found, finished or buried, and how the end of
//! the batch is noticed. Here is where variants differ.

use std::collections::BTreeSet;

use futures::future::try_join;

use super::Stores;
use super::chunks::{Chunks, Kept};
use crate::channel::{Channel, Outgoing};
use crate::ledger::Ledger;
use crate::ledger::completion::{self, Progress};
use crate::model::error::{Error, ErrorKind, Result};
use crate::model::ids::{BatchId, ChunkIndex, MAX_CHUNKS, MAX_TREE_CHUNKS};
use crate::model::message::{GatherMessage, to_body};
use crate::model::progress::{Batch, BatchState, Leaf, Sealing, Stop, Tally};
use crate::model::record::Entry;
use crate::model::summary::Fault;
use crate::model::timestamp::Timestamp;

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
    /// The records wait, and are not to be processed any more.
    Stopped(Vec<Entry>, Box<Stop>),
    /// The chunk was done before.
    Done(Progress),
    /// The batch does not count this chunk; the reason is for the log.
    Stray(&'static str),
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

impl<S: Stores> Batches<S> {
    /// What there is to do for a chunk.
    ///
    /// # Errors
    /// Those of the stores; `Transient` if the chunk is neither pending nor done, as it may seem
    /// while another worker ends it.
    pub async fn find(&self, id: &BatchId, chunk: ChunkIndex) -> Result<Found> {
        if self.condition == Condition::Listing {
            return match self.chunks.pending(id, chunk).await? {
                Some(entries) => Ok(Found::Pending(entries)),
                None => self.by_listing(id).await.map(Found::Done),
            };
        }
        let ((batch, leaf), pending) = try_join(self.ledger.look(id, chunk), self.chunks.pending(id, chunk)).await?;
        let batch = batch.ok_or_else(|| Error::malformed(format!("the ledger does not know batch {id}")))?;
        if leaf.holds(chunk) {
            if pending.is_some() {
                self.chunks.discard(id, chunk).await?;
            }
            return completion::settle(&self.ledger, id, chunk.leaf(), &leaf).await.map(Found::Done);
        }
        if is_stray(&batch, chunk) {
            self.chunks.discard(id, chunk).await?;
            return Ok(Found::Stray("the batch ended without this chunk"));
        }
        match (pending, batch.stop) {
            (Some(entries), Some(stop)) => Ok(Found::Stopped(entries, Box::new(stop))),
            (Some(entries), None) => Ok(Found::Pending(entries)),
            (None, _) => Err(Error::transient(format!("chunk {chunk} of batch {id} is neither pending nor done"))),
        }
    }

    /// Notes that a chunk's items and outcomes are written.
    ///
    /// # Errors
    /// Those of the stores.
    pub async fn finish(&self, batch: &BatchId, chunk: ChunkIndex, tally: Tally, now: Timestamp) -> Result<Progress> {
        let progress = self.note(batch, chunk, tally, now).await?;
        self.chunks.discard(batch, chunk).await?;
        match self.condition {
            Condition::Tree => Ok(progress),
            Condition::Listing => self.by_listing(batch).await,
        }
    }

    /// Marks a chunk in the tree, if there is one.
    async fn note(&self, batch: &BatchId, chunk: ChunkIndex, tally: Tally, now: Timestamp) -> Result<Progress> {
        match self.condition {
            Condition::Tree => completion::mark(&self.ledger, batch, chunk, tally, now).await,
            Condition::Listing => Ok(Progress::Open),
        }
    }

    /// Ends a chunk that can not or must not be processed: all of its records fail for `reason`,
    /// unless the outcomes were decided before. A chunk whose records are gone ends without any,
    /// which shows in the batch's total.
    ///
    /// # Errors
    /// Those of the stores.
    pub async fn bury(&self, id: &BatchId, chunk: ChunkIndex, reason: &str, now: Timestamp) -> Result<Progress> {
        let entries = match self.chunks.pending(id, chunk).await {
            Ok(Some(entries)) => entries,
            // Who ends a chunk decides it before discarding its records.
            Ok(None) if self.condition == Condition::Listing => return self.by_listing(id).await,
            Ok(None) => Vec::new(),
            Err(error) if error.kind == ErrorKind::Internal => {
                tracing::error!(batch_id = %id, %chunk, %error, "records lost");
                Vec::new()
            }
            Err(error) => return Err(error),
        };
        let tally = self.chunks.decide(id, chunk, Kept::buried(entries, reason), reason, now).await?;
        tracing::warn!(batch_id = %id, %chunk, %reason, "chunk buried");
        self.finish(id, chunk, tally, now).await
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

    /// Seals a batch whose scatter will not come to the end of its work, with the chunks it put.
    /// Those between them that it did not come to count as buried without records: not before the
    /// seal, since until then the scatter may still come to them.
    ///
    /// # Errors
    /// Those of the stores.
    pub async fn seal_by_force(&self, id: &BatchId, fault: Fault, now: Timestamp) -> Result<Progress> {
        let known = self.chunks.known(id).await?;
        let chunks = known.last().map_or(0, |last| last.get() + 1);
        let reason = fault.message.clone();
        let sealing = Sealing { records: None, chunks, columns: None, error: Some(fault), scattered_at: now };
        let mut progress = self.seal(id, &sealing).await?;
        if self.condition == Condition::Tree {
            for index in 0..chunks {
                let chunk = ChunkIndex::new(index)?;
                if !known.contains(&chunk) {
                    progress = self.bury(id, chunk, &reason, now).await?;
                }
            }
        }
        match self.ledger.read(id).await? {
            Some(sealed) => Ok(self.resume(&sealed).await?.0),
            None => Ok(progress),
        }
    }

    /// Whether a batch that was opened is complete by now.
    ///
    /// # Errors
    /// Those of the stores.
    pub async fn is_complete(&self, batch: &Batch) -> Result<bool> {
        match (self.condition, &batch.sealing) {
            (Condition::Tree, _) => Ok(batch.is_complete()),
            (Condition::Listing, None) => Ok(false),
            (Condition::Listing, Some(sealing)) => {
                let first = self.chunks.first_pending(&batch.opening.id).await?;
                Ok(first.is_none_or(|chunk| chunk.get() >= sealing.chunks))
            }
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

    /// The leaves of a batch that is sealed.
    ///
    /// # Errors
    /// Those of the ledger.
    pub async fn leaves(&self, batch: &Batch) -> Result<Vec<Leaf>> {
        let leaves = batch.sealing.as_ref().map_or(0, Sealing::leaves);
        self.ledger.read_leaves(&batch.opening.id, 0..leaves).await
    }

    /// The chunks of a sealed batch that are not done. Full leaves that nobody brought to the root
    /// are brought there on the way, and so the batch may turn out to be complete.
    ///
    /// # Errors
    /// Those of the stores.
    pub async fn missing(&self, batch: &Batch) -> Result<(Vec<ChunkIndex>, Progress)> {
        let chunks = batch.sealing.as_ref().map_or(0, |sealing| sealing.chunks);
        if self.condition == Condition::Listing {
            let mut pending = self.chunks.all_pending(&batch.opening.id).await?;
            pending.retain(|chunk| chunk.get() < chunks);
            let complete = pending.is_empty() && batch.sealing.is_some();
            return Ok((pending, if complete { Progress::Complete } else { Progress::Open }));
        }
        let leaves = self.leaves(batch).await?;
        let mut progress = if batch.is_complete() { Progress::Complete } else { Progress::Open };
        for (number, leaf) in (0..).zip(&leaves) {
            if !batch.root.contains(&i64::from(number)) {
                progress = completion::settle(&self.ledger, &batch.opening.id, number, leaf).await?;
            }
        }
        let done: BTreeSet<u32> = leaves.into_iter().flat_map(|leaf| leaf.done).collect();
        let missing = (0..chunks).filter(|chunk| !done.contains(chunk));
        Ok((missing.map(ChunkIndex::new).collect::<Result<_>>()?, progress))
    }

    /// What a repeated scatter has left to do for a batch that is sealed: its end may have to be
    /// announced, and chunks to be sent again.
    ///
    /// A scatter that is repeated may put back what waited of chunks that are done. If it died there,
    /// nobody else would ever look at them: where a mark tells that they are done they are deleted,
    /// else they have to be processed once more.
    ///
    /// # Errors
    /// Those of the stores.
    pub async fn resume(&self, batch: &Batch) -> Result<(Progress, Vec<ChunkIndex>)> {
        let id = &batch.opening.id;
        let mut waiting = Vec::new();
        for chunk in self.chunks.all_pending(id).await? {
            let done = match self.condition {
                _ if is_stray(batch, chunk) => true,
                Condition::Tree => self.ledger.look(id, chunk).await?.1.holds(chunk),
                Condition::Listing => false,
            };
            if done {
                self.chunks.discard(id, chunk).await?;
            } else if self.condition == Condition::Listing {
                waiting.push(chunk);
            }
        }
        let complete = !batch.state.is_final() && self.is_complete(batch).await?;
        Ok((if complete { Progress::Complete } else { Progress::Open }, waiting))
    }

    /// First the listing, then the seal: whichever of worker and scatter comes last sees both.
    async fn by_listing(&self, id: &BatchId) -> Result<Progress> {
        if self.chunks.first_pending(id).await?.is_some() {
            return Ok(Progress::Open);
        }
        let state = self.ledger.read(id).await?.map(|batch| batch.state);
        Ok(match state {
            Some(BatchState::Processing | BatchState::Gathering) => Progress::Complete,
            _ => Progress::Open,
        })
    }
}

/// Whether a batch has ended, or been sealed, without a chunk that is not done.
fn is_stray(batch: &Batch, chunk: ChunkIndex) -> bool {
    let past = batch.sealing.as_ref().is_some_and(|sealing| chunk.get() >= sealing.chunks);
    past || batch.state.is_final()
}
