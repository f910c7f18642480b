//! Ends chunks, and batches, that cannot or must not be worked on.

use std::collections::BTreeSet;

use crate::batch::answers::Known;
use crate::batch::chunks::Decision;
use crate::batch::find::unknown;
use crate::batch::ranges::Read;
use crate::batch::{Batches, coverage};
use crate::model::answer::Answer;
use crate::model::error::{Error, ErrorKind, Result};
use crate::model::fault::Fault;
use crate::model::ids::{BatchId, ChunkIndex};
use crate::model::progress::{Batch, Sealing};
use crate::model::range::Claim;
use crate::model::record::{Entry, Outcome};
use crate::model::timestamp::Timestamp;
use crate::store::Stores;
use crate::store::ledger::Ledger;
use crate::store::ledger::tree::Progress;

/// Whether somebody has to act before what this error was about can be read.
pub fn is_refused(error: &Error) -> bool {
    matches!(error.kind, ErrorKind::Missing | ErrorKind::Denied | ErrorKind::Config)
}

/// What was answered for the records of a chunk that could not be ended by the work on it.
struct Answered {
    known: Known,
    stored: bool,
}

impl Answered {
    /// The decision that follows from it. `reason` is for the records that were not tried.
    fn decide(&self, entries: Vec<Entry>, reason: &str, by_exception: bool) -> Decision {
        let outcome = |mut entry: Entry| {
            let index = entry.index;
            if let Some(fault) = entry.fault.take() {
                return Outcome::of(entry, Some(fault));
            }
            let failure = match self.known.answer(index) {
                Some(Answer::Done { .. }) if self.stored => format!("it was processed, and not stored: {reason}"),
                Some(Answer::Done { result, .. }) => {
                    return Outcome { result: result.clone(), ..Outcome::of(entry, None) };
                }
                Some(Answer::Failed(failure)) => failure.clone(),
                None => self.known.reason(index).map_or_else(|| reason.to_owned(), |last| format!("{last}; {reason}")),
            };
            Outcome::of(entry, Some(failure))
        };
        let outcomes = entries.into_iter().map(outcome).collect();
        if by_exception { Decision::excepted(outcomes) } else { Decision::worked(outcomes) }
    }
}

impl<S: Stores> Batches<S> {
    /// Ends a chunk that cannot or must not be processed: all of its records fail for `reason`, unless the outcomes
    /// were already decided. `claim` is given for a chunk that is a range of the input. A chunk whose records are
    /// gone ends without any, which shows in the batch's total. Records that are missing or may not be read are an error
    /// as long as it is `early`, and after that they are gone. Records that were answered have their answers.
    ///
    /// # Errors
    /// Those of the stores; `Missing` if the input is not there and it is `early`; `Busy` if a function works on the chunk.
    pub async fn bury(
        &self,
        id: &BatchId,
        chunk: ChunkIndex,
        claim: Option<&Claim>,
        reason: &str,
        early: bool,
        now: Timestamp,
    ) -> Result<Progress> {
        let entries = match self.last_seen(id, chunk, claim).await {
            Ok(Some(entries)) => entries,
            // The worker that ends a chunk decides its outcomes before it discards the records.
            Ok(None) if !self.condition.has_tree() => return self.by_listing(id).await,
            Ok(None) => Vec::new(),
            Err(error) if error.kind == ErrorKind::Internal || (!early && is_refused(&error)) => {
                tracing::error!(batch_id = %id, %chunk, %error, "records lost");
                Vec::new()
            }
            Err(error) => return Err(error),
        };
        let decision = match self.answered(id, chunk, now).await? {
            Some(known) if !entries.is_empty() => {
                // A worker may have decided them and got no further; rows that a verdict made final stay as they are.
                if let Some(mark) = self.decided(id, chunk, now).await? {
                    return self.finish_buried(id, chunk, mark, claim.is_none(), now).await;
                }
                known.decide(entries, reason, claim.is_some())
            }
            _ => Decision::buried(entries, reason),
        };
        let mark = self.decide(id, chunk, decision, reason, now).await?;
        tracing::warn!(batch_id = %id, %chunk, %reason, "chunk buried");
        self.finish_buried(id, chunk, mark, claim.is_none(), now).await
    }

    /// What was answered for a chunk that is to be ended; `None` if nothing was.
    async fn answered(&self, id: &BatchId, chunk: ChunkIndex, now: Timestamp) -> Result<Option<Answered>> {
        let Some(answers) = &self.answers else {
            return Ok(None);
        };
        let known = answers.read(id, chunk).await?;
        match known.held_until(now) {
            Some(_) => Err(Error::busy(format!("a function works on chunk {chunk} of batch {id}"))),
            None if known.is_empty() => Ok(None),
            None => Ok(Some(Answered { known, stored: answers.stored })),
        }
    }

    /// Returns the records of a chunk that is to be ended; `None` if they are gone. `claim` is given for a chunk that
    /// is a range of the input.
    async fn last_seen(&self, id: &BatchId, chunk: ChunkIndex, claim: Option<&Claim>) -> Result<Option<Vec<Entry>>> {
        let Some(claim) = claim else {
            return self.chunks.pending(id, chunk).await;
        };
        let batch = self.ledger.read(id).await?.ok_or_else(|| unknown(id))?;
        match self.chunks.input()?.read(id, &batch.opening.input.source(), claim).await? {
            Read::Records(entries) => Ok(Some(entries)),
            Read::Missing(reason) => Err(Error::missing(reason)),
            Read::Gone(_) => Ok(None),
        }
    }

    /// Seals a batch whose scatter will not finish, with the chunks it put. Missing chunks between those are buried
    /// without records, but only after the seal, since until then the scatter may still put them.
    ///
    /// # Errors
    /// Those of the stores.
    pub async fn seal_by_force(&self, id: &BatchId, fault: Fault, now: Timestamp) -> Result<Progress> {
        let batch = self.ledger.read(id).await?.ok_or_else(|| unknown(id))?;
        // Each chunk before scatter's bookmark was put.
        let from = batch.bookmark.map_or(0, |bookmark| bookmark.chunk);
        let known = self.known(&batch, from).await?;
        let chunks = known.last().map_or(from, |last| last.get() + 1);
        let reason = fault.message.clone();
        let sealing =
            Sealing { records: None, chunks, columns: None, head: None, error: Some(fault), scattered_at: now };
        let mut progress = self.seal(id, &sealing).await?;
        if self.condition.has_tree() {
            for index in from..chunks {
                let chunk = ChunkIndex::new(index)?;
                if !known.contains(&chunk) {
                    progress = self.bury(id, chunk, None, &reason, true, now).await?;
                }
            }
        }
        match self.ledger.read(id).await? {
            Some(sealed) => Ok(self.resume(&sealed).await?.0),
            None => Ok(progress),
        }
    }

    /// Returns the chunks that scatter has put from one of them on, as far as the stores show.
    async fn known(&self, batch: &Batch, from: u32) -> Result<BTreeSet<ChunkIndex>> {
        let id = &batch.opening.id;
        if !batch.opening.ranged {
            return self.chunks.known(id, from).await;
        }
        let mut known = BTreeSet::new();
        coverage::each_claim(&self.ledger, id, from, |chunk, _| _ = known.insert(chunk)).await?;
        Ok(known)
    }
}
