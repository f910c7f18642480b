//! The aggregator: merges the chunks' results into the outputs, writes the summary last, and
//! closes the batch.

mod checkpoint;
mod failures;
mod outputs;
mod results;
mod write;

pub use failures::{FailedFile, Failures};
pub use results::Results;

use std::time::Duration;

use crate::batch::objects::Objects;
use crate::batch::{Batches, coverage, outcomes};
use crate::model::error::{Error, ErrorKind, Result};
use crate::model::fault::{Fault, FaultCode};
use crate::model::message::GatherMessage;
use crate::model::processing::{Processing, Work};
use crate::model::progress::{Batch, Sealing};
use crate::model::report::ReportColumns;
use crate::model::spent::Spent;
use crate::model::summary::{
    ChunkCounts, ObjectCounts, ObjectFault, OutputRef, ProcessorSummary, RecordCounts, SHOWN_FAILURES, Summary, Unread,
    final_state,
};
use crate::model::timestamp::Timestamp;
use crate::render::objects::RESULTS;
use crate::render::records::{Source, documents};
use crate::render::report::REPORT;
use crate::stage::gather::checkpoint::Checkpoints;
use crate::stage::gather::outputs::{Job, Outputs, write_outputs};
use crate::stage::gather::write::FAILED;
use crate::stage::reception::Timetable;
use crate::stage::summary::{put_summary, written_before};
use crate::stage::{Disposition, Received, Stage, Subject, late};
use crate::store::blob::{Blob, list_all};
use crate::store::ledger::tree::Progress;
use crate::store::ledger::{Lease, Ledger, Notes, PROCESSOR, Part};
use crate::store::{Clock, Stores};

/// Seconds that a lease outlasts the function that took it, since no two clocks agree.
const CLOCKS_APART: i64 = 10;

/// How long outputs are written until it is noted how far they are, so that another invocation can go on from there.
pub const CHECKPOINT_AFTER: Duration = Duration::from_secs(60);
/// The pause before outputs are gone on with after an error.
const PAUSE: i64 = 5;

/// The gather stage.
pub struct Gather<S: Stores> {
    /// Where the chunks' results are kept, and batch state.
    pub batches: Batches<S>,
    /// The work bucket, where what is known of the objects of a batch is kept.
    pub work: S::Blob,
    /// Where outputs go.
    pub output: S::Blob,
    /// The time.
    pub clock: S::Clock,
    /// Results that are read ahead.
    pub width: usize,
    /// Which outcomes are written out.
    pub results: Results,
    /// How long outputs are written until it is noted how far they are.
    pub checkpoint_after: Duration,
    /// How long one invocation writes outputs, if not until its time is up.
    pub at_most: Option<Duration>,
    /// What is done with records, for the summary.
    pub processing: Processing,
    /// The fields that name objects, if a completion report as of S3 Batch Operations is written.
    pub report: Option<ReportColumns>,
}

impl<S: Stores> Stage for Gather<S> {
    const NAME: &'static str = "gather";

    type Message = GatherMessage;

    fn parse(&self, body: &str) -> Result<Option<GatherMessage>> {
        GatherMessage::parse(body).map(Some)
    }

    fn subject(message: &GatherMessage) -> Option<Subject> {
        Some(Subject { batch: message.batch_id.clone(), part: Part::Gather })
    }

    async fn handle(&self, received: &Received<'_, GatherMessage>, deadline: Timestamp) -> Disposition {
        // Each delivery is its own owner: a message may be redelivered while its first delivery is worked on.
        let again = late::again(received.delivery, self.clock.now());
        late::concluded(
            self.take(&received.message, &received.delivery.receipt, deadline, again.is_some()).await,
            again,
        )
    }
}

impl<S: Stores> Gather<S> {
    /// Gathers a batch. Results are written without an input that is missing, but not as long as it is `early`.
    async fn take(
        &self,
        message: &GatherMessage,
        owner: &str,
        deadline: Timestamp,
        early: bool,
    ) -> Result<Disposition> {
        let id = &message.batch_id;
        let table = Timetable::new(self.clock.now(), deadline);
        let Some(batch) = self.batches.ledger.read(id).await? else {
            return Err(Error::malformed(format!("the ledger does not know batch {id}")));
        };
        if batch.state.is_final() {
            return Ok(Disposition::Done);
        }
        if !self.batches.is_complete(&batch).await? {
            if batch.sealing.is_none() || message.if_complete {
                // The stage that completes it will announce that.
                return Ok(Disposition::Discarded(format!("batch {id} is not complete")));
            }
            // A repeated scatter may put back chunks that a listing had found gone. This message must stay: for five
            // minutes the queue drops any other with the same deduplication id.
            let (progress, _) = self.batches.resume(&batch).await?;
            if progress == Progress::Open {
                return Err(Error::transient(format!("batch {id} has pending chunks again")));
            }
        }
        let until = deadline.plus_seconds(CLOCKS_APART);
        match self.batches.ledger.take(id, owner, self.clock.now(), until).await? {
            Lease::Closed(_) => Ok(Disposition::Done),
            Lease::Held(batch) => {
                let error = Error::transient(format!("batch {id} is being gathered by another function"));
                // If that function dies, its lease has to end first: retrying sooner would use up the message.
                Ok(Disposition::Later(batch.lease_until.map_or(self.clock.now(), |lease| lease.plus_seconds(1)), error))
            }
            Lease::Acquired(batch) => self.gather_or_release(&batch, owner, table, early).await,
        }
    }

    /// Gathers a batch, or lets it go so that another can go on.
    async fn gather_or_release(
        &self,
        batch: &Batch,
        owner: &str,
        table: Timetable,
        early: bool,
    ) -> Result<Disposition> {
        let id = &batch.opening.id;
        let mut checkpoints = Checkpoints::new(&self.work, id, batch.gather_attempts);
        let ended = self.gather(batch, owner, table, early, &mut checkpoints).await;
        let now = self.clock.now();
        let disposition = match ended {
            Ok(true) => return Ok(Disposition::Done),
            Ok(false) => Ok(Disposition::Later(now, Error::transient("the outputs are not finished yet; goes on"))),
            // Another goes on from where this one came to, which is no failed try.
            Err(error) if error.kind == ErrorKind::Transient && checkpoints.progressed() => {
                Ok(Disposition::Later(now.plus_seconds(PAUSE), error))
            }
            Err(error) => Err(error),
        };
        // The lease also ends by itself, only later.
        if let Err(error) = self.batches.ledger.release_lease(id, owner, now).await {
            tracing::warn!(batch_id = %id, %error, "batch not let go");
        }
        disposition
    }

    /// Gathers a batch; returns whether that is finished.
    async fn gather(
        &self,
        batch: &Batch,
        owner: &str,
        table: Timetable,
        early: bool,
        checkpoints: &mut Checkpoints<'_, S::Blob>,
    ) -> Result<bool> {
        let id = &batch.opening.id;
        checkpoints.find().await?;
        let summary = match written_before(&self.output, batch).await? {
            Some(summary) => summary,
            None => match self.write(batch, table, early, checkpoints).await? {
                Some(summary) => summary,
                None => return Ok(false),
            },
        };
        let tally = summary.tally();
        self.batches.ledger.close(id, owner, summary.state, tally, summary.finished_at).await?;
        let (state, records, failed) = (summary.state.name(), summary.records.total, tally.failed);
        tracing::info!(batch_id = %id, state, records, failed, "batch closed");
        checkpoints.clear().await;
        Ok(true)
    }

    /// Writes outputs and summary; `None` if the time was up before the outputs were finished.
    async fn write(
        &self,
        batch: &Batch,
        table: Timetable,
        early: bool,
        checkpoints: &mut Checkpoints<'_, S::Blob>,
    ) -> Result<Option<Summary>> {
        let id = &batch.opening.id;
        let mut sealing = sealed(batch)?;
        let mut whole = sealing.records;
        if id.generation() > 0 {
            // Records that an earlier generation lost stay lost in every later one; and what it did counts, even if
            // this one could not be scattered.
            let first = sealed(&self.batches.known_batch(&id.in_generation(0)).await?)?;
            (whole, sealing.columns, sealing.head) = (first.records, first.columns, first.head);
            sealing.error = sealing.error.or(first.error);
        }
        let objects = Objects::of(&self.work, batch).await?;
        let generations = outcomes::generations(&self.batches, batch).await?;
        let outputs = match batch.opening.input.format() {
            Ok(format) if sealing.error.is_none() || sealing.chunks > 0 || id.generation() > 0 => {
                let job = Job {
                    batches: &self.batches,
                    output: &self.output,
                    clock: &self.clock,
                    width: self.width,
                    results: self.results,
                    report: self.report.as_ref(),
                    checkpoint_after: self.checkpoint_after,
                    generations: &generations,
                    sealing: &sealing,
                    format,
                    objects: objects.as_ref(),
                    early,
                    table,
                    handover: self.handover(&table),
                };
                match write_outputs(&job, checkpoints).await? {
                    Some(outputs) => outputs,
                    None => return Ok(None),
                }
            }
            _ => Outputs::default(),
        };
        let lost = check(batch, &sealing, whole, &outputs)?;
        if batch.gather_attempts > 1 || id.generation() > 0 {
            self.forget(batch, objects.is_some(), &outputs).await?;
        }
        let unread = if objects.is_some() { None } else { self.unread(batch, &sealing).await? };
        let objects = objects.map(|objects| counts(&objects));
        let processor = self.processor(batch).await?;
        let summary = Summary { unread, objects, processor, ..self.summary(batch, sealing, outputs, lost) };
        put_summary(&self.output, &summary).await?;
        Ok(Some(summary))
    }

    /// What the work on records took, of a pipeline whose work is more than storing them.
    async fn processor(&self, batch: &Batch) -> Result<Option<ProcessorSummary>> {
        if self.processing.work == Work::Nothing {
            return Ok(None);
        }
        let calls = self.batches.ledger.read_calls(&batch.opening.id).await?;
        let spent = calls.0.get(PROCESSOR).map(|calls| Spent::of(&calls.requests)).unwrap_or_default();
        Ok(Some(ProcessorSummary::of(&self.processing, spent)))
    }

    fn handover(&self, table: &Timetable) -> Timestamp {
        let most = |time: Duration| i64::try_from(time.as_millis()).unwrap_or(i64::MAX);
        let own = self.at_most.map_or(i64::MAX, |time| self.clock.now().0.saturating_add(most(time)));
        Timestamp(own).min(table.handover())
    }

    /// Deletes the outputs that an earlier attempt or generation wrote and this one did not.
    async fn forget(&self, batch: &Batch, many: bool, outputs: &Outputs) -> Result<()> {
        let id = &batch.opening.id;
        let keys: Vec<String> = if many {
            let failed = list_all(&self.output, &id.output_key(FAILED)).await?;
            failed.into_iter().chain([id.output_key(RESULTS)]).collect()
        } else {
            let Ok(format) = batch.opening.input.format() else {
                return Ok(());
            };
            let documents = documents(&Source { format, columns: Vec::new(), head: None });
            documents.into_iter().map(|document| id.output_key(&document.file)).collect()
        };
        let report = self.report.iter().map(|_| id.output_key(REPORT));
        for key in keys.into_iter().chain(report).filter(|key| !outputs.keys.contains(key)) {
            self.output.delete(&key).await?;
        }
        Ok(())
    }

    fn summary(&self, batch: &Batch, sealing: Sealing, outputs: Outputs, lost: Option<Fault>) -> Summary {
        let tally = outputs.tally;
        let stop = batch.stop.clone();
        let state = stop.as_ref().map(|stop| stop.state);
        let error = stop.map(|stop| stop.fault).or(sealing.error).or(lost);
        Summary {
            state: state.unwrap_or_else(|| final_state(tally.failed, error.as_ref())),
            records: RecordCounts {
                total: tally.succeeded + tally.failed,
                succeeded: tally.succeeded,
                failed: tally.failed,
                replaced: outputs.replaced,
            },
            chunks: ChunkCounts { total: u64::from(sealing.chunks), failed: outputs.own.failed_chunks },
            results: outputs.key("results").map(|key| OutputRef { key }),
            failed: outputs.key("failed").map(|key| OutputRef { key }),
            outputs: outputs.written,
            error,
            failures: outputs.failures,
            ..Summary::begun(batch, self.clock.now())
        }
    }

    /// Returns how much of its input was never read, for a batch that was sealed by force. If its chunks are copies,
    /// that is known only if there are none.
    async fn unread(&self, batch: &Batch, sealing: &Sealing) -> Result<Option<Unread>> {
        let known = batch.opening.ranged || (sealing.chunks == 0 && batch.opening.id.generation() == 0);
        if !batch.is_sealed_by_force() || !known {
            return Ok(None);
        }
        let coverage = coverage::of(&self.batches.ledger, batch).await?;
        Ok(Some(Unread { bytes: coverage.unread(batch.opening.input.bytes) }))
    }
}

/// The objects of a batch, as its summary tells them.
fn counts(objects: &Objects) -> ObjectCounts {
    let fault = |(object, fault): (&str, &Fault)| ObjectFault { object: object.to_owned(), fault: fault.clone() };
    ObjectCounts {
        total: objects.found.len() as u64,
        failed: objects.faults().count() as u64,
        faults: objects.faults().take(SHOWN_FAILURES).map(fault).collect(),
    }
}

/// Compares the merged outcomes with the counters, and with the number of records in the file, `whole`. Outcomes that
/// differ from the counters are an error, missing ones a fault to report. If the batch was sealed by force, the
/// number of records is not known.
fn check(batch: &Batch, sealing: &Sealing, whole: Option<u64>, outputs: &Outputs) -> Result<Option<Fault>> {
    let (Some(_), Some(records)) = (sealing.records, whole) else {
        return Ok(None);
    };
    let merged = outputs.own;
    let counted = outputs.counted.unwrap_or(merged);
    if counted != merged {
        return Err(Error::internal(format!(
            "of batch {} {} records succeeded and {} failed by their results, {} and {} by their counters",
            batch.opening.id, merged.succeeded, merged.failed, counted.succeeded, counted.failed
        )));
    }
    let told = outputs.tally.succeeded + outputs.tally.failed;
    if told != records {
        let why = if batch.opening.id.generation() > 0 {
            "the batch had ended without the others before it was redriven"
        } else if batch.opening.ranged {
            "the input was overwritten or deleted before its batch had ended"
        } else {
            "waiting chunks were deleted from the work bucket"
        };
        let message =
            format!("the file has {records} records, of which {told} have an outcome: {why}; upload the file again");
        return Ok(Some(Fault::new(FaultCode::LostRecords, message)));
    }
    let changed = || {
        let message = "the input was overwritten or deleted before its batch had ended, so that its records cannot \
                       be repeated in the results; all of them were processed";
        Fault::new(FaultCode::InputChanged, message)
    };
    Ok(outputs.gone.then(changed))
}

impl Outputs {
    fn key(&self, name: &str) -> Option<String> {
        self.written.iter().find(|output| output.name == name).map(|output| output.key.clone())
    }
}

fn sealed(batch: &Batch) -> Result<Sealing> {
    let sealing = batch.sealing.clone();
    sealing.ok_or_else(|| Error::internal("a batch was gathered before it was sealed"))
}
