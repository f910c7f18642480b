//! The aggregator: merges the chunks' results into the outputs, writes the summary last, and
//! closes the batch.

use serde_json::{Map, Value};

use crate::batch::keys::Keys;
use crate::batch::outcomes::{self, Generation, Outcomes};
use crate::batch::{Batches, coverage};
use crate::model::error::{Error, Result};
use crate::model::fault::{Fault, FaultCode};
use crate::model::format::{InputFormat, Layout};
use crate::model::ids::BatchId;
use crate::model::message::GatherMessage;
use crate::model::own::OwnAttributes;
use crate::model::progress::{Batch, Sealing, Tally};
use crate::model::record;
use crate::model::schema::RecordSchema;
use crate::model::summary::{
    ChunkCounts, Failure, Output, OutputRef, RecordCounts, SHOWN_FAILURES, Summary, Unread, final_state,
};
use crate::model::timestamp::Timestamp;
use crate::render::records::{Source, documents};
use crate::render::{Document, Filter};
use crate::stage::summary::{SUMMARY, put_summary};
use crate::stage::{Disposition, Received, Stage, Subject};
use crate::store::blob::upload::Upload;
use crate::store::blob::{Blob, read_all};
use crate::store::ledger::tree::Progress;
use crate::store::ledger::{Lease, Ledger, Part};
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
        self.take(&received.message, &received.delivery.receipt, deadline).await.into()
    }
}

impl<S: Stores> Gather<S> {
    async fn take(&self, id: &BatchId, owner: &str, deadline: Timestamp) -> Result<Disposition> {
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
            Lease::Acquired(batch) => match self.gather(*batch, owner).await {
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

    async fn gather(&self, batch: Batch, owner: &str) -> Result<()> {
        let id = batch.opening.id.clone();
        let summary = match self.written_before(&batch).await? {
            Some(summary) => summary,
            None => self.write(&batch).await?,
        };
        let tally = Tally {
            succeeded: summary.records.succeeded,
            failed: summary.records.failed,
            failed_chunks: summary.chunks.failed,
        };
        self.batches.ledger.close(&id, owner, summary.state, tally, summary.finished_at).await?;
        let (state, records, failed) = (summary.state.name(), summary.records.total, tally.failed);
        tracing::info!(batch_id = %id, state, records, failed, "batch closed");
        Ok(())
    }

    /// Returns the summary that an earlier attempt wrote before it could close the batch: it stays as it is.
    async fn written_before(&self, batch: &Batch) -> Result<Option<Summary>> {
        if batch.gather_attempts < 2 {
            return Ok(None);
        }
        let id = &batch.opening.id;
        let summary = read_all(&self.output, &id.output_key(SUMMARY)).await?;
        let summary = summary.and_then(|bytes| serde_json::from_slice(&bytes).ok());
        Ok(summary.filter(|summary: &Summary| summary.generation == id.generation()))
    }

    async fn write(&self, batch: &Batch) -> Result<Summary> {
        let id = &batch.opening.id;
        let mut sealing = sealed(batch)?;
        let mut whole = sealing.records;
        if id.generation() > 0 {
            // Records that an earlier generation lost stay lost in every later one; and what it did counts, even if
            // this one could not be scattered.
            let first = sealed(&self.batches.known_batch(&id.in_generation(0)).await?)?;
            (whole, sealing.columns, sealing.head) = (first.records, first.columns, first.head);
        }
        let generations = outcomes::generations(&self.batches, batch).await?;
        let counted = generations.last().and_then(Generation::tally);
        let outputs = match batch.opening.input.format() {
            Ok(format) if sealing.error.is_none() || sealing.chunks > 0 || id.generation() > 0 => {
                self.write_outputs(&generations, &sealing, format).await?
            }
            _ => Outputs::default(),
        };
        let lost = check(batch, &sealing, whole, counted, &outputs)?;
        if batch.gather_attempts > 1 || id.generation() > 0 {
            self.forget(batch, &outputs).await?;
        }
        let unread = self.unread(batch, &sealing).await?;
        let summary = Summary { unread, ..self.summary(batch, sealing, outputs, lost) };
        put_summary(&self.output, &summary).await?;
        Ok(summary)
    }

    /// Deletes the outputs that an earlier attempt or generation wrote and this one did not.
    async fn forget(&self, batch: &Batch, outputs: &Outputs) -> Result<()> {
        let Ok(format) = batch.opening.input.format() else {
            return Ok(());
        };
        for document in documents(&Source { format, columns: Vec::new(), head: None }) {
            if outputs.key(document.name).is_none() {
                self.output.delete(&batch.opening.id.output_key(&document.file)).await?;
            }
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
    ) -> Result<Outputs> {
        let all = match self.results {
            Results::All => Outcomes::all(&self.batches, generations, self.width).await?,
            Results::Failed | Results::None => None,
        };
        let mut outputs = Outputs { gone: self.results == Results::All && all.is_none(), ..Outputs::default() };
        let whole = all.is_some();
        let mut keys = if whole { self.keys(generations, format.layout).await? } else { None };
        let mut outcomes = match all {
            Some(outcomes) => outcomes,
            None => Outcomes::failed(&self.batches, generations, self.width),
        };
        let Some((first, last)) = generations.first().zip(generations.last()) else {
            return Err(Error::internal("a batch without generations"));
        };
        let mut reading = Reading { outcomes: &mut outcomes, keys: keys.as_mut(), whole };
        self.encode(&last.batch, sealing, format, &mut reading, &mut outputs).await?;
        outputs.replaced = keys.and_then(Keys::replaced);
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
        let schema = RecordSchema::of(&self.batches.rules(digest).await?, OwnAttributes::default());
        Ok(schema.ok().map(|schema| Keys::new(schema, layout)))
    }

    /// Writes outcomes as they are read.
    async fn encode(
        &self,
        batch: &Batch,
        sealing: &Sealing,
        format: InputFormat,
        reading: &mut Reading<'_, '_>,
        outputs: &mut Outputs,
    ) -> Result<()> {
        let id = &batch.opening.id;
        let whole = reading.whole;
        let mut next = reading.outcomes.next().await?;
        let columns = sealing.columns.clone();
        let columns = columns.unwrap_or_else(|| next.as_ref().map(columns_of).unwrap_or_default());
        let columns = if format.layout == Layout::Csv { columns } else { Vec::new() };
        let source = Source { format, columns, head: sealing.head.clone() };
        let wanted = |filter| match filter {
            Filter::All => whole,
            Filter::Failed => self.results != Results::None,
        };
        let documents = documents(&source).into_iter().filter(|document| wanted(document.filter));
        let mut writing: Vec<_> = documents.map(|document| Writing::new(&self.output, id, document)).collect();
        while let Some(outcome) = next {
            if let Some(keys) = &mut reading.keys {
                keys.add(&outcome);
            }
            for document in &mut writing {
                document.add(&outcome).await?;
            }
            if outcome.response.success {
                outputs.tally.succeeded += 1;
            } else {
                outputs.tally.failed += 1;
                if outputs.failures.len() < SHOWN_FAILURES {
                    outputs.failures.push(Failure { index: outcome.index, message: outcome.response.message });
                }
            }
            next = reading.outcomes.next().await?;
        }
        for document in writing {
            outputs.written.extend(document.end().await?);
        }
        Ok(())
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

/// The columns of a CSV file whose scatter died before it could record them.
fn columns_of(outcome: &record::Outcome) -> Vec<String> {
    let row: Option<Map<String, Value>> = serde_json::from_str(outcome.request.get()).ok();
    row.map(|row| row.into_iter().map(|(name, _)| name).collect()).unwrap_or_default()
}

/// The outcomes of a batch while they are read.
struct Reading<'a, 'b> {
    outcomes: &'a mut Outcomes<'b>,
    keys: Option<&'a mut Keys>,
    /// Whether all are there, or for certain only those that failed.
    whole: bool,
}

/// What was written beside the summary.
#[derive(Default)]
struct Outputs {
    written: Vec<Output>,
    failures: Vec<Failure>,
    /// Whether results were wanted but cannot be written, since the input was overwritten or deleted.
    gone: bool,
    /// The counts of all records.
    tally: Tally,
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

/// A document that is being written.
struct Writing<'a, B: Blob> {
    blob: &'a B,
    key: String,
    document: Document,
    /// Begun with the first record, or at once if the document has all records.
    upload: Option<Upload<'a, B>>,
}

impl<'a, B: Blob> Writing<'a, B> {
    fn new(blob: &'a B, id: &BatchId, mut document: Document) -> Self {
        let key = id.output_key(&document.file);
        let upload = (document.filter == Filter::All).then(|| begin(blob, &key, &mut document));
        Self { blob, key, document, upload }
    }

    async fn add(&mut self, outcome: &record::Outcome) -> Result<()> {
        let Self { blob, key, document, upload } = self;
        if document.filter == Filter::Failed && outcome.response.success {
            return Ok(());
        }
        let upload = upload.get_or_insert_with(|| begin(*blob, key, document));
        document.render.add(outcome, upload.buffer())?;
        upload.flow().await
    }

    /// Finishes the document, if it was begun.
    async fn end(mut self) -> Result<Option<Output>> {
        let Some(mut upload) = self.upload else {
            return Ok(None);
        };
        self.document.render.end(upload.buffer());
        upload.finish().await?;
        Ok(Some(Output { name: self.document.name.to_owned(), key: self.key }))
    }
}

fn begin<'a, B: Blob>(blob: &'a B, key: &str, document: &mut Document) -> Upload<'a, B> {
    let mut upload = Upload::new(blob, key.to_owned(), document.content_type);
    document.render.begin(upload.buffer());
    upload
}

fn sealed(batch: &Batch) -> Result<Sealing> {
    let sealing = batch.sealing.clone();
    sealing.ok_or_else(|| Error::internal("a batch was gathered before it was sealed"))
}
