//! What a worker finds when it looks up its chunk.

use futures::future::join;

use crate::batch::Batches;
use crate::batch::concurrent::bounded;
use crate::batch::condition::is_stray;
use crate::batch::ranges::Read;
use crate::model::error::{Error, Result};
use crate::model::format::Layout;
use crate::model::ids::BatchId;
use crate::model::input::Source;
use crate::model::message::ProcessMessage;
use crate::model::progress::{Batch, Leaf, Opening, Stop};
use crate::model::range::Claim;
use crate::model::record::Entry;
use crate::model::timestamp::Timestamp;
use crate::store::Stores;
use crate::store::ledger::Ledger;
use crate::store::ledger::tree::{self, Progress};

/// The records of a chunk, and what a worker has to know about their batch.
pub struct Work {
    /// The records.
    pub entries: Vec<Entry>,
    /// The layout of the input.
    pub layout: Layout,
    /// What orders the batch among all batches.
    pub sequence: Timestamp,
    /// The digest of the rules that it began with, if they were kept.
    pub rules: Option<String>,
}

/// What a worker finds when it looks up its chunk.
pub enum Found {
    /// The records wait.
    Pending(Work),
    /// The records wait, but must no longer be processed.
    Stopped(Box<Stop>),
    /// The records are not there, or not yet; what to say if that is so for good.
    Missing(String),
    /// The records can never be read again, for this reason.
    Gone(String),
    /// The chunk is already done.
    Done(Progress),
    /// The batch does not count this chunk; the reason is for the log.
    Stray(&'static str),
}

/// What could be read of a chunk's records.
enum Waiting {
    Yes(Vec<Entry>),
    No,
    Missing(String),
    Gone(String),
    /// The message does not say which input they lie in.
    Somewhere,
}

impl<S: Stores> Batches<S> {
    /// Says what there is to do for each of some chunks of one batch, in order. Reads up to `width` of them at once.
    pub async fn find(&self, messages: &[&ProcessMessage], width: usize) -> Vec<Result<Found>> {
        let Some(id) = messages.first().map(|message| &message.batch_id) else {
            return Vec::new();
        };
        if !self.condition.has_tree() {
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

    /// Says what there is to do for one chunk.
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
            let rules = message.rules.clone();
            return Ok(Found::Pending(Work { entries, layout, sequence, rules }));
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
            Read::Missing(reason) => Waiting::Missing(reason),
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
            // Records that cannot be read right now may still be there.
            if copied && !matches!(read, Ok(Waiting::No)) {
                self.chunks.discard(id, chunk).await?;
            }
            let began = batch.opening.started_at;
            return tree::settle(&self.ledger, id, chunk.leaf(), leaf, began).await.map(Found::Done);
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
            (Waiting::Missing(reason), None) => Ok(Found::Missing(reason)),
            (Waiting::Gone(reason), None) => Ok(Found::Gone(reason)),
        }
    }
}

/// Completes the records with what a worker has to know, from the opening where the message leaves it out.
fn work(message: &ProcessMessage, opening: &Opening, entries: Vec<Entry>) -> Result<Work> {
    let layout = match message.layout {
        Some(layout) => layout,
        None => opening.input.format()?.layout,
    };
    // A batch has one set of rules; its messages repeat their name to spare workers the look.
    let rules = opening.rules.clone();
    Ok(Work { entries, layout, sequence: message.sequence.map_or(opening.sequence, Timestamp), rules })
}

/// The error for a message whose batch was never opened.
pub(super) fn unknown(batch: &BatchId) -> Error {
    Error::malformed(format!("the ledger does not know batch {batch}"))
}
