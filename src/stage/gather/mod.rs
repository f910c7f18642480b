//! The aggregator: merges the chunks' results into the outputs, writes the summary last, and
//! closes the batch.

mod write;

use std::collections::BTreeSet;

use crate::batch::keys::Keys;
use crate::batch::objects::Objects;
use crate::batch::outcomes::{self, Generation, Outcomes};
use crate::batch::{Batches, coverage};
use crate::model::error::{Error, ErrorKind, Result};
use crate::model::fault::{Fault, FaultCode};
use crate::model::format::{InputFormat, Layout};
use crate::model::ids::BatchId;
use crate::model::message::GatherMessage;
use crate::model::own::OwnAttributes;
use crate::model::progress::{Batch, Sealing, Tally};
use crate::model::record;
use crate::model::schema::RecordSchema;
use crate::model::summary::{
    ChunkCounts, Failure, ObjectCounts, ObjectFault, Output, OutputRef, RecordCounts, SHOWN_FAILURES, Summary, Unread,
    final_state,
};
use crate::model::timestamp::Timestamp;
use crate::render::objects::RESULTS;
use crate::render::records::{Source, documents};
use crate::stage::gather::write::{Documents, FAILED, Wanted, columns_of};
use crate::stage::summary::{put_summary, written_before};
use crate::stage::{Disposition, Received, Stage, Subject, late};
use crate::store::blob::{Blob, list_all};
use crate::store::ledger::tree::Progress;
use crate::store::ledger::{Lease, Ledger, Part, RuleBook};
use crate::store::{Clock, Stores};

/// Seconds that a lease outlasts the function that took it, since no two clocks agree.
const CLOCKS_APART: i64 = 10;

/// Which outcomes are written out.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Results {
    /// Those of every record, and the failed records again by themselves.
    #[default]
    All,
    /// Only the failed records.
    Failed,
    /// Only the summary is written.
    None,
}

impl Results {
    /// Returns the choice with a name, as in `RESULTS`.
    ///
    /// # Errors
    /// `Config`, which lists the valid names.
    pub fn named(name: &str) -> Result<Self> {
        match name {
            "all" => Ok(Self::All),
            "failed" => Ok(Self::Failed),
            "none" => Ok(Self::None),
            _ => Err(Error::config(format!("RESULTS is {name:?}; it can be all, failed or none"))),
        }
    }
}

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
}

impl<S: Stores> Stage for Gather<S> {
    const NAME: &'static str = "gather";

    type Message = BatchId;

    fn parse(&self, body: &str) -> Result<Option<BatchId>> {
        GatherMessage::parse(body).map(|message| Some(message.batch_id))
    }

    fn subject(batch: &BatchId) -> Option<Subject> {
        Some(Subject { batch: batch.clone(), part: Part::Gather })
    }

    async fn handle(&self, received: &Received<'_, BatchId>, deadline: Timestamp) -> Disposition {
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
    async fn take(&self, id: &BatchId, owner: &str, deadline: Timestamp, early: bool) -> Result<Disposition> {
        let Some(batch) = self.batches.ledger.read(id).await? else {
            return Err(Error::malformed(format!("the ledger does not know batch {id}")));
        };
        if batch.state.is_final() {
            return Ok(Disposition::Done);
        }
        if !self.batches.is_complete(&batch).await? {
            if batch.sealing.is_none() {
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
            Lease::Acquired(batch) => match self.gather(*batch, owner, early).await {
                Ok(()) => Ok(Disposition::Done),
                Err(error) => {
                    // The lease also ends by itself, only later.
                    if let Err(error) = self.batches.ledger.release_lease(id, owner, self.clock.now()).await {
                        tracing::warn!(batch_id = %id, %error, "batch not let go");
                    }
                    Err(error)
                }
            },
        }
    }

    async fn gather(&self, batch: Batch, owner: &str, early: bool) -> Result<()> {
        let id = batch.opening.id.clone();
        let summary = match written_before(&self.output, &batch).await? {
            Some(summary) => summary,
            None => self.write(&batch, early).await?,
        };
        let tally = summary.tally();
        self.batches.ledger.close(&id, owner, summary.state, tally, summary.finished_at).await?;
        let (state, records, failed) = (summary.state.name(), summary.records.total, tally.failed);
        tracing::info!(batch_id = %id, state, records, failed, "batch closed");
        Ok(())
    }

    async fn write(&self, batch: &Batch, early: bool) -> Result<Summary> {
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
        let counted = generations.last().and_then(Generation::tally);
        let outputs = match batch.opening.input.format() {
            Ok(format) if sealing.error.is_none() || sealing.chunks > 0 || id.generation() > 0 => {
                self.write_outputs(&generations, &sealing, format, objects.as_ref(), early).await?
            }
            _ => Outputs::default(),
        };
        let lost = check(batch, &sealing, whole, counted, &outputs)?;
        if batch.gather_attempts > 1 || id.generation() > 0 {
            self.forget(batch, objects.is_some(), &outputs).await?;
        }
        let unread = if objects.is_some() { None } else { self.unread(batch, &sealing).await? };
        let objects = objects.map(|objects| counts(&objects));
        let summary = Summary { unread, objects, ..self.summary(batch, sealing, outputs, lost) };
        put_summary(&self.output, &summary).await?;
        Ok(summary)
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
        for key in keys.iter().filter(|key| !outputs.keys.contains(*key)) {
            self.output.delete(key).await?;
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

    async fn write_outputs(
        &self,
        generations: &[Generation],
        sealing: &Sealing,
        format: InputFormat,
        objects: Option<&Objects>,
        early: bool,
    ) -> Result<Outputs> {
        let all = match self.results {
            Results::All => match Outcomes::all(&self.batches, generations, self.width).await {
                Err(error) if error.kind == ErrorKind::Missing && !early => None,
                all => all?,
            },
            Results::Failed | Results::None => None,
        };
        let mut outputs = Outputs { gone: self.results == Results::All && all.is_none(), ..Outputs::default() };
        let whole = all.is_some();
        let stored = if whole { self.keys(generations, format.layout).await? } else { None };
        let mut outcomes = match all {
            Some(outcomes) => outcomes,
            None => Outcomes::failed(&self.batches, generations, self.width),
        };
        let Some((first, last)) = generations.first().zip(generations.last()) else {
            return Err(Error::internal("a batch without generations"));
        };
        let first_outcome = outcomes.next().await?;
        let (id, failed) = (&last.batch.opening.id, self.results != Results::None);
        let wanted = Wanted { all: whole, failed };
        let documents = match objects {
            Some(objects) => Documents::of_objects(&self.output, id, wanted, objects),
            None => Documents::of_file(&self.output, id, wanted, source(sealing, format, first_outcome.as_ref())),
        };
        outputs.stored = stored;
        encode(documents, first_outcome, &mut outcomes, &mut outputs).await?;
        outputs.own = outcomes.own_tally();
        if let (false, Some(counted), Some(told)) = (whole, last.tally(), first.tally()) {
            if generations.len() == 1 {
                // What succeeded was counted without being read.
                outputs.own.succeeded = counted.succeeded;
            }
            outputs.tally.succeeded = (told.succeeded + told.failed).saturating_sub(outputs.tally.failed);
        }
        Ok(outputs)
    }

    /// A place for the keys of records, if all generations went by the same rules.
    async fn keys(&self, generations: &[Generation], layout: Layout) -> Result<Option<Keys>> {
        let mut digests = generations.iter().map(|generation| generation.batch.opening.rules.as_deref());
        let Some(digest) = digests.next().flatten() else {
            return Ok(None);
        };
        if !digests.all(|other| other == Some(digest)) {
            return Ok(None);
        }
        // A count that cannot be had must not keep a batch from its end.
        let rules = self.batches.ledger.read_rules(digest).await?;
        let schema = rules.and_then(|rules| RecordSchema::of(&rules, OwnAttributes::default()).ok());
        Ok(schema.map(|schema| Keys::new(schema, layout)))
    }
}

/// Writes outcomes as they are read.
async fn encode<B: Blob>(
    mut documents: Documents<'_, B>,
    first: Option<record::Outcome>,
    outcomes: &mut Outcomes<'_>,
    outputs: &mut Outputs,
) -> Result<()> {
    let mut next = first;
    while let Some(outcome) = next {
        if let Some(stored) = &mut outputs.stored {
            stored.add(&outcome);
        }
        documents.add(&outcome).await?;
        if outcome.response.success {
            outputs.tally.succeeded += 1;
        } else {
            outputs.tally.failed += 1;
            if outputs.failures.len() < SHOWN_FAILURES {
                let object = documents.object(&outcome);
                outputs.failures.push(Failure { index: outcome.index, object, message: outcome.response.message });
            }
        }
        next = outcomes.next().await?;
    }
    outputs.replaced = outputs.stored.take().and_then(Keys::replaced);
    (outputs.written, outputs.keys) = documents.end().await?;
    Ok(())
}

/// The file that the records of a batch come from.
fn source(sealing: &Sealing, format: InputFormat, first: Option<&record::Outcome>) -> Source {
    let columns = sealing.columns.clone().unwrap_or_else(|| first.map(columns_of).unwrap_or_default());
    let columns = if format.layout == Layout::Csv { columns } else { Vec::new() };
    Source { format, columns, head: sealing.head.clone() }
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
fn check(
    batch: &Batch,
    sealing: &Sealing,
    whole: Option<u64>,
    counted: Option<Tally>,
    outputs: &Outputs,
) -> Result<Option<Fault>> {
    let (Some(_), Some(records)) = (sealing.records, whole) else {
        return Ok(None);
    };
    let merged = outputs.own;
    let counted = counted.unwrap_or(merged);
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

/// What was written beside the summary.
#[derive(Default)]
struct Outputs {
    written: Vec<Output>,
    /// The keys of all objects that were written.
    keys: BTreeSet<String>,
    failures: Vec<Failure>,
    /// Whether results were wanted but cannot be written, since the input was overwritten or deleted.
    gone: bool,
    /// The counts of all records.
    tally: Tally,
    /// The keys of those that were stored, while they are read.
    stored: Option<Keys>,
    /// How many of them were replaced, if that is known.
    replaced: Option<u64>,
    /// The counts of the last generation's records.
    own: Tally,
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
