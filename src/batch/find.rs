//! What the stages share of a batch: how a chunk is found, finished or buried, and how the end of
//! the batch is noticed. Here is where variants differ.

use std::collections::BTreeSet;

use futures::future::join;

use crate::batch::chunks::{Chunks, Kept};
use crate::batch::concurrent::bounded;
use crate::batch::coverage::{self, Ascending};
use crate::batch::ranges::{self, Read, Records};
use crate::model::condition::Condition;
use crate::model::error::{Error, ErrorKind, Result};
use crate::model::fault::Fault;
use crate::model::format::Layout;
use crate::model::ids::{BatchId, ChunkIndex};
use crate::model::input::Source;
use crate::model::message::{GatherMessage, ProcessMessage, to_body};
use crate::model::progress::{Batch, Leaf, Mark, Opening, Sealing, Stop};
use crate::model::range::Claim;
use crate::model::record::Entry;
use crate::model::timestamp::Timestamp;
use crate::store::Stores;
use crate::store::channel::{Channel, Outgoing};
use crate::store::ledger::Ledger;
use crate::store::ledger::tree::{self, Progress};

/// The records of a chunk, and what a worker has to know of their batch.
pub struct Work {
    /// The records.
    pub entries: Vec<Entry>,
    /// How the input lay.
    pub layout: Layout,
    /// What orders the batch among all.
    pub sequence: Timestamp,
}

/// What a worker finds of its chunk.
pub enum Found {
    /// The records wait.
    Pending(Work),
    /// The records wait, and are not to be processed any more.
    Stopped(Box<Stop>),
    /// The records are not what they were, for this reason, and never will be.
    Gone(String),
    /// The chunk was done before.
    Done(Progress),
    /// The batch does not count this chunk; the reason is for the log.
    Stray(&'static str),
}

/// What could be read of a chunk's records.
enum Waiting {
    Yes(Vec<Entry>),
    No,
    Gone(String),
    /// The message does not say of which input they are.
    Somewhere,
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
    /// What there is to do for chunks of one batch, in their order. Up to `width` of them are read at
    /// once.
    pub async fn find(&self, messages: &[&ProcessMessage], width: usize) -> Vec<Result<Found>> {
        let Some(id) = messages.first().map(|message| &message.batch_id) else {
            return Vec::new();
        };
        if self.condition == Condition::Listing {
            let found = messages.iter().map(|message| self.find_by_listing(message));
            return bounded(found.collect(), width).await;
        }
        let leaves = messages.iter().map(|message| message.chunk.leaf()).collect();
        let (looked, read) = join(self.ledger.look(id, &leaves), self.read_all(messages, width)).await;
        let judged = messages.iter().zip(read).map(|(message, read)| async {
            let (batch, leaves) = looked.as_ref().map_err(Error::again)?;
            let batch = batch.as_ref().ok_or_else(|| unknown(id))?;
            let leaf = leaves.get(&message.chunk.leaf()).cloned().unwrap_or_default();
            self.judge(batch, &leaf, message, read).await
        });
        bounded(judged.collect(), width).await
    }

    /// What there is to do for one chunk.
    ///
    /// # Errors
    /// Those of the stores; `Transient` if the chunk is neither pending nor done, as it may seem
    /// while another worker ends it.
    pub async fn find_one(&self, message: &ProcessMessage) -> Result<Found> {
        let found = self.find(&[message], 1).await.pop();
        found.unwrap_or_else(|| Err(Error::internal("nothing was looked for")))
    }

    async fn find_by_listing(&self, message: &ProcessMessage) -> Result<Found> {
        let id = &message.batch_id;
        let Some(entries) = self.chunks.pending(id, message.chunk).await? else {
            return self.by_listing(id).await.map(Found::Done);
        };
        if let (Some(layout), Some(sequence)) = (message.layout, message.sequence.map(Timestamp)) {
            return Ok(Found::Pending(Work { entries, layout, sequence }));
        }
        let batch = self.ledger.read(id).await?.ok_or_else(|| unknown(id))?;
        work(message, &batch.opening, entries).map(Found::Pending)
    }

    async fn read_all(&self, messages: &[&ProcessMessage], width: usize) -> Vec<Result<Waiting>> {
        let read = messages.iter().map(|message| async move {
            let Some(claim) = message.claim() else {
                let entries = self.chunks.pending(&message.batch_id, message.chunk).await?;
                return Ok(entries.map_or(Waiting::No, Waiting::Yes));
            };
            match &message.input {
                Some(input) => self.read(&message.batch_id, input, &claim).await,
                None => Ok(Waiting::Somewhere),
            }
        });
        bounded(read.collect(), width).await
    }

    async fn read(&self, id: &BatchId, input: &Source, claim: &Claim) -> Result<Waiting> {
        Ok(match self.chunks.input()?.read(id, input, claim).await? {
            Read::Records(entries) => Waiting::Yes(entries),
            Read::Gone(reason) => Waiting::Gone(reason),
        })
    }

    async fn judge(
        &self,
        batch: &Batch,
        leaf: &Leaf,
        message: &ProcessMessage,
        read: Result<Waiting>,
    ) -> Result<Found> {
        let (id, chunk) = (&message.batch_id, message.chunk);
        let copied = message.range.is_none();
        if leaf.holds(chunk) {
            // What can not be read now may be there all the same.
            if copied && !matches!(read, Ok(Waiting::No)) {
                self.chunks.discard(id, chunk).await?;
            }
            return tree::settle(&self.ledger, id, chunk.leaf(), leaf).await.map(Found::Done);
        }
        if is_stray(batch, chunk) {
            if copied {
                self.chunks.discard(id, chunk).await?;
            }
            return Ok(Found::Stray("the batch ended without this chunk"));
        }
        let read = match (read?, message.claim()) {
            (Waiting::Somewhere, Some(claim)) => self.read(id, &batch.opening.input.source(), &claim).await?,
            (read, _) => read,
        };
        match (read, &batch.stop) {
            (Waiting::No | Waiting::Somewhere, _) => {
                Err(Error::transient(format!("chunk {chunk} of batch {id} is neither pending nor done")))
            }
            (_, Some(stop)) => Ok(Found::Stopped(Box::new(stop.clone()))),
            (Waiting::Yes(entries), None) => work(message, &batch.opening, entries).map(Found::Pending),
            (Waiting::Gone(reason), None) => Ok(Found::Gone(reason)),
        }
    }

    /// The records of a chunk that is to be ended; none if they are gone. `claim` is of one that is a
    /// range of the input.
    async fn last_seen(&self, id: &BatchId, chunk: ChunkIndex, claim: Option<&Claim>) -> Result<Option<Vec<Entry>>> {
        let Some(claim) = claim else {
            return self.chunks.pending(id, chunk).await;
        };
        let batch = self.ledger.read(id).await?.ok_or_else(|| unknown(id))?;
        match self.chunks.input()?.read(id, &batch.opening.input.source(), claim).await? {
            Read::Records(entries) => Ok(Some(entries)),
            Read::Gone(_) => Ok(None),
        }
    }

    /// A batch that must be known.
    ///
    /// # Errors
    /// Those of the ledger; `Internal` if it is not.
    pub async fn known_batch(&self, id: &BatchId) -> Result<Batch> {
        let unknown = || Error::internal(format!("the ledger does not know batch {id}"));
        self.ledger.read(id).await?.ok_or_else(unknown)
    }

    /// The records of a sealed batch whose chunks are ranges, as far as those reach, and which of them
    /// lie in no chunk; `None` if the input is not what it was.
    ///
    /// # Errors
    /// Those of the stores.
    pub async fn records(&self, batch: &Batch, width: usize) -> Result<Option<(Records<'_>, Ascending)>> {
        let coverage = coverage::of(&self.ledger, batch).await?;
        let Some(first) = coverage.first else {
            return Ok(Some((Records::none(), Ascending::default())));
        };
        let records = self.chunks.input()?.all(batch, &first, coverage.end, width).await?;
        Ok(records.map(|records| (records, coverage.holes.into_iter().collect())))
    }

    /// The chunks that a scatter came to, as far as it shows.
    async fn known(&self, id: &BatchId) -> Result<BTreeSet<ChunkIndex>> {
        let batch = self.ledger.read(id).await?.ok_or_else(|| unknown(id))?;
        if !batch.opening.ranged {
            return self.chunks.known(id).await;
        }
        let mut known = BTreeSet::new();
        coverage::each_claim(&self.ledger, id, |chunk, _| _ = known.insert(chunk)).await?;
        Ok(known)
    }

    /// Notes that a chunk's items and outcomes are written; `copied` says whether its records wait in
    /// a store of their own.
    ///
    /// # Errors
    /// Those of the stores.
    pub async fn finish(
        &self,
        batch: &BatchId,
        chunk: ChunkIndex,
        mark: Mark,
        copied: bool,
        now: Timestamp,
    ) -> Result<Progress> {
        let progress = self.note(batch, chunk, mark, now).await?;
        if copied {
            self.chunks.discard(batch, chunk).await?;
        }
        match self.condition {
            Condition::Tree => Ok(progress),
            Condition::Listing => self.by_listing(batch).await,
        }
    }

    /// Marks a chunk in the tree, if there is one.
    async fn note(&self, batch: &BatchId, chunk: ChunkIndex, mark: Mark, now: Timestamp) -> Result<Progress> {
        match self.condition {
            Condition::Tree => tree::mark(&self.ledger, batch, chunk, mark, now).await,
            Condition::Listing => Ok(Progress::Open),
        }
    }

    /// Ends a chunk that can not or must not be processed: all of its records fail for `reason`,
    /// unless the outcomes were decided before. `claim` is of a chunk that is a range of the input. A
    /// chunk whose records are gone ends without any, which shows in the batch's total.
    ///
    /// # Errors
    /// Those of the stores.
    pub async fn bury(
        &self,
        id: &BatchId,
        chunk: ChunkIndex,
        claim: Option<&Claim>,
        reason: &str,
        now: Timestamp,
    ) -> Result<Progress> {
        let entries = match self.last_seen(id, chunk, claim).await {
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
        let mark = self.chunks.decide(id, chunk, Kept::buried(entries, reason), reason, now).await?;
        tracing::warn!(batch_id = %id, %chunk, %reason, "chunk buried");
        self.finish(id, chunk, mark, claim.is_none(), now).await
    }

    /// Seals a batch after its last message was sent.
    ///
    /// # Errors
    /// Those of the stores.
    pub async fn seal(&self, batch: &BatchId, sealing: &Sealing) -> Result<Progress> {
        match self.condition {
            Condition::Tree => tree::seal(&self.ledger, batch, sealing).await,
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
        let known = self.known(id).await?;
        let chunks = known.last().map_or(0, |last| last.get() + 1);
        let reason = fault.message.clone();
        let sealing = Sealing { records: None, chunks, columns: None, error: Some(fault), scattered_at: now };
        let mut progress = self.seal(id, &sealing).await?;
        if self.condition == Condition::Tree {
            for index in 0..chunks {
                let chunk = ChunkIndex::new(index)?;
                if !known.contains(&chunk) {
                    progress = self.bury(id, chunk, None, &reason, now).await?;
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

    async fn leaf(&self, id: &BatchId, chunk: ChunkIndex) -> Result<Leaf> {
        let leaves = self.ledger.read_leaves(id, chunk.leaf()..chunk.leaf() + 1).await?;
        Ok(leaves.into_iter().next().unwrap_or_default())
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
                progress = tree::settle(&self.ledger, &batch.opening.id, number, leaf).await?;
            }
        }
        let done: BTreeSet<u32> = leaves.into_iter().flat_map(|leaf| leaf.done).collect();
        let missing = (0..chunks).filter(|chunk| !done.contains(chunk));
        Ok((missing.map(ChunkIndex::new).collect::<Result<_>>()?, progress))
    }

    /// What is left to do for a batch that is sealed: its end may have to be announced, and chunks to be
    /// sent again.
    ///
    /// A scatter that is repeated, or that runs beside another, may put back what waited of chunks that
    /// are done. Nobody else might ever look at them: what has its mark, or its result, is deleted.
    ///
    /// # Errors
    /// Those of the stores.
    pub async fn resume(&self, batch: &Batch) -> Result<(Progress, Vec<ChunkIndex>)> {
        let id = &batch.opening.id;
        let pending = if batch.opening.ranged { Vec::new() } else { self.chunks.all_pending(id).await? };
        let decided = match self.condition {
            Condition::Listing => self.chunks.decided(id, &pending).await?,
            Condition::Tree => BTreeSet::new(),
        };
        let mut waiting = Vec::new();
        for chunk in pending {
            let done = match self.condition {
                _ if is_stray(batch, chunk) => true,
                Condition::Tree => self.leaf(id, chunk).await?.holds(chunk),
                Condition::Listing => decided.contains(&chunk),
            };
            if done {
                self.chunks.discard(id, chunk).await?;
            } else if self.condition == Condition::Listing {
                waiting.push(chunk);
            }
        }
        let progress = match (self.condition, &batch.sealing) {
            _ if batch.state.is_final() => Progress::Open,
            (Condition::Tree, Some(sealing)) if !batch.is_complete() => {
                tree::size(&self.ledger, batch, sealing.scattered_at).await?
            }
            _ if self.is_complete(batch).await? => Progress::Complete,
            _ => Progress::Open,
        };
        Ok((progress, waiting))
    }

    /// First the seal, then the listing: whichever of worker and scatter comes last sees both, and what
    /// was put before the seal cannot be missed. A listing before that spares most workers the question.
    async fn by_listing(&self, id: &BatchId) -> Result<Progress> {
        if self.chunks.first_pending(id).await?.is_some() {
            return Ok(Progress::Open);
        }
        let batch = self.ledger.read(id).await?.filter(|batch| !batch.state.is_final());
        Ok(match batch {
            Some(batch) if self.is_complete(&batch).await? => Progress::Complete,
            _ => Progress::Open,
        })
    }
}

/// What waits, with what its message leaves out.
fn work(message: &ProcessMessage, opening: &Opening, entries: Vec<Entry>) -> Result<Work> {
    let layout = match message.layout {
        Some(layout) => layout,
        None => ranges::format_of(&opening.input.key)?.layout,
    };
    Ok(Work { entries, layout, sequence: message.sequence.map_or(opening.sequence, Timestamp) })
}

fn unknown(batch: &BatchId) -> Error {
    Error::malformed(format!("the ledger does not know batch {batch}"))
}

/// Whether a batch has ended, or been sealed, without a chunk that is not done.
fn is_stray(batch: &Batch, chunk: ChunkIndex) -> bool {
    let past = batch.sealing.as_ref().is_some_and(|sealing| chunk.get() >= sealing.chunks);
    past || batch.state.is_final()
}
