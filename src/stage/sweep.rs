//! The one stage that no message triggers: every minute it looks at every open batch, and mends those that are
//! stalled. Lost messages are sent again, and batches that are over are ended. All of it may be repeated, and two
//! sweeps may run at once.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, PoisonError};

use futures::stream::{self, StreamExt, TryStreamExt};

use crate::batch::budget::Counted;
use crate::batch::dispatch::{self, Dispatch};
use crate::batch::leaves::{self, Missing};
use crate::batch::{Batches, coverage};
use crate::intake::s3_event;
use crate::model::error::{Error, ErrorKind, Result};
use crate::model::fair::FairBy;
use crate::model::fault::{Fault, FaultCode};
use crate::model::ids::{BatchId, ChunkIndex};
use crate::model::message::{RedriveMessage, to_body};
use crate::model::progress::{Batch, BatchState, Observation, Stop};
use crate::model::range::Claim;
use crate::model::summary::{ChunkCounts, RecordCounts, Summary};
use crate::model::timestamp::Timestamp;
use crate::stage::late;
use crate::stage::summary::{put_summary, written_before};
use crate::store::channel::{Channel, Outgoing};
use crate::store::ledger::tree::Progress;
use crate::store::ledger::{Control, KEPT_SECONDS, Lease, Ledger, OpenBatch};
use crate::store::pace::Pace;
use crate::store::{Clock, Stores};

/// How many chunks are sent again between two looks at the clock.
const GROUP: usize = 100;
/// The most time that ending a batch takes; it is not begun any closer to the deadline.
const RESERVE_SECONDS: i64 = 5;
/// How long calls for one batch are repeated for which a service is busy.
const BUSY_SECONDS: i64 = 10;
/// How often the pause before a stalled batch is mended again is doubled: up to eight times as long.
const MOST_DOUBLINGS: u32 = 3;
/// How long before what is kept of a batch expires it is given up at the latest, whether or not its workers are paused.
const IN_TIME_SECONDS: i64 = 3 * 24 * 3600;
const OWNER: &str = "sweep";

/// How long a batch may go without progress.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Patience {
    /// Seconds without progress after which it is mended for the first time.
    pub stall_after: i64,
    /// Seconds without progress after which it is ended as it is.
    pub give_up_after: i64,
}

/// The sweep stage.
pub struct Sweep<S: Stores> {
    /// Where chunks wait and outcomes are kept, and batch state.
    pub batches: Batches<S>,
    /// The channel to scatter.
    pub scatter: S::Channel,
    /// The channel to the workers.
    pub workers: Dispatch<S::Channel>,
    /// Where outputs go.
    pub output: S::Blob,
    /// The time.
    pub clock: S::Clock,
    /// How long a batch may go without progress.
    pub patience: Patience,
    /// Calls under way at once.
    pub width: usize,
    /// The pace of its calls.
    pub pace: Pace<S::Clock>,
    /// What earlier runs of this process counted of batches that have no leaves.
    pub counted: Mutex<BTreeMap<BatchId, Counted>>,
}

impl<S: Stores> Sweep<S> {
    /// Sets what shares the workers.
    #[must_use]
    pub fn with_fair_by(mut self, fair_by: FairBy) -> Self {
        self.workers.fair_by = fair_by;
        self
    }

    /// Looks at every open batch, as far as the time until `deadline` allows. A batch that cannot be mended does not
    /// keep sweep from the others.
    ///
    /// # Errors
    /// The last error, after all batches were looked at.
    pub async fn run(&self, deadline: Timestamp) -> Result<()> {
        let until = deadline.plus_seconds(-RESERVE_SECONDS);
        let (mut last, mut after, mut open) = (Ok(()), None, BTreeSet::new());
        let paused = self.batches.ledger.paused().await?.is_some();
        loop {
            let page = self.batches.ledger.open_batches(after.as_ref()).await?;
            for OpenBatch { id, .. } in &page {
                if self.clock.now() >= until {
                    tracing::warn!("no time left, the next sweep goes on");
                    return last;
                }
                // A busy service must not keep sweep at one batch for all of its time.
                self.pace.until(self.clock.now().plus_seconds(BUSY_SECONDS).min(until));
                if let Err(error) = self.look_after(id, paused, until).await {
                    tracing::error!(batch_id = %id, %error, "batch not looked after");
                    last = Err(error);
                }
                open.insert(id.clone());
            }
            after = page.into_iter().last();
            if after.is_none() {
                self.counted.lock().unwrap_or_else(PoisonError::into_inner).retain(|id, _| open.contains(id));
                return last;
            }
        }
    }

    async fn look_after(&self, id: &BatchId, paused: bool, until: Timestamp) -> Result<()> {
        let Some(mut batch) = self.batches.ledger.read(id).await? else {
            return Ok(());
        };
        if batch.state.is_final() {
            return Ok(());
        }
        let now = self.clock.now();
        batch = self.enforce(batch, now, until).await;
        if paused && self.holds(&batch, now).await? {
            return Ok(());
        }
        let since = got_on_at(&batch);
        if is_over(since, self.patience.give_up_after, now) && batch.stop.is_none() {
            let hours = (now.0 - since.0) / 3_600_000;
            let stop = Stop { state: BatchState::Failed, fault: Fault::gave_up(hours), at: now };
            batch = self.batches.ledger.stop(id, &stop).await?;
        }
        let stands_still = self.stands_still(&batch, now).await?;
        match batch.state {
            BatchState::Gathering if batch.lease_until.is_some_and(|lease| lease >= now) => Ok(()),
            _ if self.is_hopeless(&batch, now) => self.close(&batch, now, until).await,
            BatchState::Scattering => self.mend_scatter(&batch, stands_still, now).await,
            BatchState::Processing => self.mend_process(&batch, stands_still, until).await,
            _ if stands_still => self.mend_process(&batch, true, until).await,
            _ => Ok(()),
        }
    }

    /// Leaves alone a batch that waits for workers which people have paused, and returns whether it is one: that it stands
    /// still is what they wanted, so that the time counts neither as a stall nor as time without progress. Before what is kept of
    /// the batch expires, it is given up like any other, so that it ends.
    async fn holds(&self, batch: &Batch, now: Timestamp) -> Result<bool> {
        let kept_until =
            batch.opening.started_at.plus_seconds(KEPT_SECONDS - self.patience.give_up_after - IN_TIME_SECONDS);
        if batch.state != BatchState::Processing || batch.stop.is_some() || now >= kept_until {
            return Ok(false);
        }
        let next = now.plus_seconds(self.patience.stall_after);
        let seen = Observation { mark: self.mark(batch).await?, since: now, mended: 0, next };
        if seen.missing() == Some(0) {
            return Ok(false);
        }
        self.batches.ledger.observe(&batch.opening.id, &seen).await?;
        Ok(true)
    }

    /// Stops a batch of which more records failed than are tolerated. If they cannot be counted, it is mended all the same.
    async fn enforce(&self, batch: Batch, now: Timestamp, until: Timestamp) -> Batch {
        let (id, until) = (&batch.opening.id, until.min(now.plus_seconds(BUSY_SECONDS)));
        let all = || self.counted.lock().unwrap_or_else(PoisonError::into_inner);
        let mut counted = all().remove(id).unwrap_or_default();
        let enforced = self.batches.enforce(&batch, &mut counted, self.width, now, || self.clock.now() < until).await;
        all().insert(id.clone(), counted);
        match enforced {
            Ok(stopped) => stopped.unwrap_or(batch),
            Err(error) => {
                tracing::warn!(batch_id = %id, %error, "failures not counted");
                batch
            }
        }
    }

    /// Whether the batch is stalled: unchanged since sweep saw it long ago. Sweep notes what it sees. After a stalled
    /// batch is mended it gets that time again, doubled for as long as mending does not help: the messages sent for
    /// it may still be waiting, and every copy is one more to work off.
    async fn stands_still(&self, batch: &Batch, now: Timestamp) -> Result<bool> {
        let mark = self.mark(batch).await?;
        let same = batch.seen.as_ref().filter(|seen| seen.mark == mark);
        let stands_still = same.is_some_and(|seen| seen.next <= now);
        if same.is_none() || stands_still {
            let in_vain = batch.seen.as_ref().filter(|seen| progress_of(&seen.mark) == progress_of(&mark));
            let since = in_vain.map_or(now, |seen| seen.since);
            let mended = in_vain.map_or(0, |seen| seen.mended) + u32::from(stands_still);
            let pause = self.patience.stall_after << mended.min(MOST_DOUBLINGS);
            let seen = Observation { mark, since, mended, next: now.plus_seconds(pause) };
            self.batches.ledger.observe(&batch.opening.id, &seen).await?;
        }
        Ok(stands_still)
    }

    /// Returns a text that changes whenever the batch makes progress, or is at least worked on.
    async fn mark(&self, batch: &Batch) -> Result<String> {
        let id = &batch.opening.id;
        let done = match batch.state {
            BatchState::Gathering => 0,
            BatchState::Processing => {
                let missing = self.batches.missing(batch).await?;
                if batch.opening.condition.has_tree() && !batch.is_complete() {
                    // A worker that filled the last leaf died before it marked the root: `missing` made up for it.
                    self.batches.announce(id, missing.progress).await?;
                }
                missing.count
            }
            _ => {
                let done = match self.batches.chunks.first_pending(id).await {
                    Ok(first) if !batch.opening.ranged => first.map_or(0, |chunk| chunk.get() as usize + 1),
                    _ => self.batches.ledger.read_leaves(id, 0..1).await?.iter().map(|leaf| leaf.done.len()).sum(),
                };
                done + batch.bookmark.map_or(0, |bookmark| bookmark.chunk as usize)
            }
        };
        Ok(Observation::mark_of(batch.state, done, batch.stop.is_some(), batch.gather_attempts))
    }

    /// Mends a batch whose chunks were not all sent yet.
    async fn mend_scatter(&self, batch: &Batch, stands_still: bool, now: Timestamp) -> Result<()> {
        let id = &batch.opening.id;
        if !stands_still {
            return Ok(());
        }
        if let Some(stop) = &batch.stop {
            let progress = self.batches.seal_by_force(id, stop.fault.clone(), now).await?;
            return self.batches.announce(id, progress).await;
        }
        tracing::warn!(batch_id = %id, "scatter is asked again");
        let message = match id.generation() {
            0 => s3_event::event_of(&batch.opening.input),
            _ => Some(to_body(&RedriveMessage::new(id.clone()).only(batch.opening.only.clone()))),
        };
        match message {
            Some(message) => self.scatter.send(vec![Outgoing::new(message)]).await,
            None => Ok(()),
        }
    }

    /// Mends a batch that waits for chunks, or for its end to be announced: missing chunks are sent again, or buried
    /// if the batch is being stopped.
    async fn mend_process(&self, batch: &Batch, stands_still: bool, until: Timestamp) -> Result<()> {
        if batch.stop.is_none() && !stands_still {
            return Ok(());
        }
        let id = &batch.opening.id;
        // Records that wait of a chunk that is done were put back by a repeated scatter: they must not be processed.
        let (waited, _) = self.batches.resume(batch).await?;
        let Missing { chunks, count, mut progress } = self.batches.missing(batch).await?;
        if count == 0 && !stands_still {
            // The batch is complete, was announced when it became so, and may be waiting for gather.
            return Ok(());
        }
        tracing::warn!(batch_id = %id, missing = count, stopped = batch.stop.is_some(), "batch mended");
        for group in chunks.chunks(GROUP) {
            if self.clock.now() >= until {
                break;
            }
            progress = progress.or(match &batch.stop {
                Some(stop) => self.bury(batch, group, stop).await?,
                None => self.send_again(batch, group).await?,
            });
        }
        // A worker that died after it marked a chunk and before it deleted the records may have been the last one.
        let (resumed, _) = self.batches.resume(batch).await?;
        self.batches.announce(id, latest(vec![waited, progress, resumed])).await
    }

    async fn bury(&self, batch: &Batch, chunks: &[ChunkIndex], stop: &Stop) -> Result<Progress> {
        let (id, now) = (&batch.opening.id, self.clock.now());
        let (reason, early) = (&stop.fault.message, !is_over(stop.at, late::PATIENCE_SECONDS, now));
        let buried = stream::iter(self.claims(batch, chunks).await?).map(|(chunk, claim)| async move {
            self.batches.bury(id, chunk, claim.as_ref(), reason, early, now).await
        });
        let progress: Vec<Progress> = buried.buffer_unordered(self.width).try_collect().await?;
        Ok(latest(progress))
    }

    /// Pairs chunks with their claims, if they are ranges of the input.
    async fn claims(&self, batch: &Batch, chunks: &[ChunkIndex]) -> Result<Vec<(ChunkIndex, Option<Claim>)>> {
        if batch.opening.ranged {
            return coverage::claims(&self.batches.ledger, &batch.opening.id, chunks).await;
        }
        Ok(chunks.iter().map(|chunk| (*chunk, None)).collect())
    }

    async fn send_again(&self, batch: &Batch, chunks: &[ChunkIndex]) -> Result<Progress> {
        let id = &batch.opening.id;
        let opening = &batch.opening;
        let found = stream::iter(self.claims(batch, chunks).await?).map(|(chunk, claim)| async move {
            let check = match claim {
                Some(claim) => Some(dispatch::claimed(opening, chunk, &claim)?),
                None => match self.batches.chunks.pending(id, chunk).await {
                    Err(error) if error.kind == ErrorKind::Internal => None,
                    pending => pending?.map(|entries| dispatch::copied(opening, chunk, entries.len())).transpose()?,
                },
            };
            match check {
                Some(check) => Ok((Some(check), Progress::Open)),
                // The chunk was ended meanwhile, or it is lost: `bury` finds out which.
                None => {
                    let (reason, now) = ("its records are gone", self.clock.now());
                    let progress = self.batches.bury(id, chunk, None, reason, true, now).await?;
                    Ok::<_, Error>((None, progress))
                }
            }
        });
        let found: Vec<_> = found.buffer_unordered(self.width).try_collect().await?;
        let (checks, progress): (Vec<_>, Vec<_>) = found.into_iter().unzip();
        self.workers.send(opening, checks.into_iter().flatten().collect()).await?;
        Ok(latest(progress))
    }

    /// Whether not even the outputs of the finished work can be written.
    fn is_hopeless(&self, batch: &Batch, now: Timestamp) -> bool {
        let given_up = batch.stop.as_ref().filter(|stop| stop.fault.code == FaultCode::GaveUp);
        let gathering = batch.state == BatchState::Gathering;
        let sealed = batch.sealing.is_some();
        sealed
            && (given_up.is_some_and(|stop| is_over(stop.at, self.patience.stall_after, now))
                || (gathering
                    && is_over(got_on_at(batch), self.patience.give_up_after + self.patience.stall_after, now)))
    }

    /// Ends a batch with only a summary.
    async fn close(&self, batch: &Batch, now: Timestamp, until: Timestamp) -> Result<()> {
        let id = &batch.opening.id;
        let owner = format!("{OWNER}-{}", now.0);
        let Lease::Acquired(batch) = self.batches.ledger.take(id, &owner, now, until).await? else {
            return Ok(());
        };
        let summary = match written_before(&self.output, &batch).await? {
            Some(summary) => summary,
            None => self.summarize(&batch, now).await?,
        };
        self.batches.settle_counters(&batch).await?;
        let tally = summary.tally();
        tracing::error!(batch_id = %id, "batch closed without its outputs");
        self.batches.ledger.close(id, &owner, summary.state, tally, summary.finished_at).await
    }

    /// Writes the summary of a batch that ends without its outputs.
    async fn summarize(&self, batch: &Batch, now: Timestamp) -> Result<Summary> {
        let (_, tally) = leaves::sum(&self.batches.ledger, batch).await?;
        let message = "the outputs could not be written; the counters are of what was done";
        let chunks = batch.sealing.as_ref().map_or(0, |sealing| sealing.chunks);
        let summary = Summary {
            state: BatchState::Failed,
            records: RecordCounts {
                total: tally.succeeded + tally.failed,
                succeeded: tally.succeeded,
                failed: tally.failed,
                replaced: None,
            },
            chunks: ChunkCounts { total: u64::from(chunks), failed: tally.failed_chunks },
            error: Some(Fault::new(FaultCode::GaveUp, message)),
            ..Summary::begun(batch, now)
        };
        put_summary(&self.output, &summary).await?;
        Ok(summary)
    }
}

/// When a batch last made progress, as far as sweep saw.
fn got_on_at(batch: &Batch) -> Timestamp {
    batch.seen.as_ref().map_or(batch.opening.started_at, |seen| seen.since)
}

/// The part of a mark without the attempts to gather, since failed attempts are no progress.
fn progress_of(mark: &str) -> &str {
    mark.rsplit_once(' ').map_or(mark, |(progress, _)| progress)
}

fn latest(progress: Vec<Progress>) -> Progress {
    progress.into_iter().fold(Progress::Open, Progress::or)
}

fn is_over(since: Timestamp, seconds: i64, now: Timestamp) -> bool {
    since.plus_seconds(seconds) <= now
}
