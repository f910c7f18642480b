//! How the outputs are made: the outcomes are merged into the documents, in one run or in several, each of which goes on
//! where the one before it stopped.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::batch::Batches;
use crate::batch::keys::Keys;
use crate::batch::lane;
use crate::batch::objects::Objects;
use crate::batch::outcomes::{Merged, Outcomes};
use crate::model::error::{Error, ErrorKind, Result};
use crate::model::format::{InputFormat, Layout};
use crate::model::own::OwnAttributes;
use crate::model::progress::{Batch, Sealing, Tally};
use crate::model::record::Outcome;
use crate::model::report::ReportColumns;
use crate::model::schema::RecordSchema;
use crate::model::summary::{Failure, Output, SHOWN_FAILURES};
use crate::model::timestamp::Timestamp;
use crate::render::records::{Source, columns_of};
use crate::stage::gather::checkpoint::{Checkpoint, Checkpoints, State};
use crate::stage::gather::results::Results;
use crate::stage::gather::write::{Documents, Wanted};
use crate::stage::reception::Timetable;
use crate::store::blob::upload::abandon;
use crate::store::ledger::RuleBook;
use crate::store::{Clock, Stores};

/// What the outputs of a batch are made of, and how.
pub(super) struct Job<'a, S: Stores> {
    pub batches: &'a Batches<S>,
    /// Where outputs go.
    pub output: &'a S::Blob,
    pub clock: &'a S::Clock,
    /// Results that are read ahead.
    pub width: usize,
    /// Which outcomes are written out.
    pub results: Results,
    /// The fields that name objects, if a completion report is written.
    pub report: Option<&'a ReportColumns>,
    /// How long outputs are written until it is noted how far they are.
    pub checkpoint_after: Duration,
    /// The batch and the generations before it, the oldest first.
    pub generations: &'a [Batch],
    /// The seal, as far as it is about the file.
    pub sealing: &'a Sealing,
    /// The format of the file.
    pub format: InputFormat,
    /// The objects that the batch is made of, if it is made of many.
    pub objects: Option<&'a Objects>,
    /// Whether it is too early to do without an input that is missing.
    pub early: bool,
    /// The time that there is.
    pub table: Timetable,
    /// When to stop, so that another goes on.
    pub handover: Timestamp,
}

/// What was written beside the summary.
#[derive(Default)]
pub(super) struct Outputs {
    pub written: Vec<Output>,
    /// The keys of all objects that were written.
    pub keys: BTreeSet<String>,
    pub failures: Vec<Failure>,
    /// Whether results were wanted but cannot be written, since the input was overwritten or deleted.
    pub gone: bool,
    /// The counts of all records.
    pub tally: Tally,
    /// How many of those that were stored were replaced, if that is known.
    pub replaced: Option<u64>,
    /// The counts of the last generation's records, and what its leaves say, if it has any.
    pub own: Tally,
    pub counted: Option<Tally>,
}

/// Why a run ends that does not finish.
enum Halt {
    /// What it would go on with is no longer there.
    Gone(Error),
    Failed(Error),
}

impl From<Error> for Halt {
    fn from(error: Error) -> Self {
        Self::Failed(error)
    }
}

impl Halt {
    /// What an error of the documents means: an upload that was begun may have been abandoned, or completed.
    fn of(error: Error) -> Self {
        if error.kind == ErrorKind::Missing { Self::Gone(error) } else { Self::Failed(error) }
    }
}

/// Writes the outputs, from the newest checkpoint on if there is one. `None` if the time was up before they were
/// finished.
///
/// # Errors
/// Those of the stores.
pub(super) async fn write_outputs<S: Stores>(
    job: &Job<'_, S>,
    checkpoints: &mut Checkpoints<'_, S::Blob>,
) -> Result<Option<Outputs>> {
    if let Some(found) = checkpoints.newest().await? {
        let uploads = found.state.documents.iter().flat_map(|documents| documents.uploads());
        let uploads: Vec<_> = uploads.map(|(key, id)| (key.to_owned(), id.clone())).collect();
        match go_on(job, found, checkpoints).await {
            Ok(outputs) => return Ok(outputs),
            Err(Halt::Failed(error)) => return Err(error),
            Err(Halt::Gone(error)) => {
                tracing::warn!(%error, "checkpoint not gone on with: the outputs are written from the beginning");
                checkpoints.clear().await;
                for (key, id) in uploads {
                    abandon(job.output, &key, &id).await;
                }
            }
        }
    }
    let run = Run::new(job).await?;
    run.run(checkpoints).await.map_err(|(Halt::Gone(error) | Halt::Failed(error))| error)
}

async fn go_on<S: Stores>(
    job: &Job<'_, S>,
    found: Checkpoint,
    checkpoints: &mut Checkpoints<'_, S::Blob>,
) -> std::result::Result<Option<Outputs>, Halt> {
    let Tally { succeeded, failed, .. } = found.state.tally;
    tracing::info!(merged = succeeded + failed, "outputs gone on with");
    Run::resumed(job, found).await?.run(checkpoints).await
}

/// A place for the keys of records, if all generations went by the same rules.
async fn keys<S: Stores>(job: &Job<'_, S>) -> Result<Option<Keys>> {
    let mut digests = job.generations.iter().map(|batch| batch.opening.rules.as_deref());
    let Some(digest) = digests.next().flatten() else {
        return Ok(None);
    };
    if !digests.all(|other| other == Some(digest)) {
        return Ok(None);
    }
    // A count that cannot be had must not keep a batch from its end.
    let rules = job.batches.ledger.read_rules(digest).await?;
    let schema = rules.and_then(|rules| RecordSchema::of(&rules, OwnAttributes::default()).ok());
    Ok(schema.map(|schema| Keys::new(schema, job.format.layout)))
}

/// The outputs that are being made.
struct Run<'a, S: Stores> {
    job: &'a Job<'a, S>,
    /// Whether results are among the documents.
    whole: bool,
    /// The outcomes, until all are merged, and then where each generation ended.
    outcomes: std::result::Result<Outcomes<'a>, Vec<lane::Place>>,
    columns: Option<Vec<String>>,
    /// Begun with the first outcome, or at the end.
    documents: Option<Documents<'a, S::Blob>>,
    tally: Tally,
    failures: Vec<Failure>,
    stored: Option<Keys>,
    replaced: Option<u64>,
}

impl<'a, S: Stores> Run<'a, S> {
    async fn new(job: &'a Job<'a, S>) -> Result<Self> {
        let Job { batches, width, .. } = *job;
        let all = match job.results {
            Results::All => match Outcomes::all(batches, job.generations, Vec::new(), width).await {
                Err(error) if error.kind == ErrorKind::Missing && !job.early => None,
                all => all?,
            },
            Results::Failed | Results::None => None,
        };
        let whole = all.is_some();
        Ok(Self {
            job,
            whole,
            outcomes: Ok(all.unwrap_or_else(|| Outcomes::failed(batches, job.generations, Vec::new(), width))),
            columns: None,
            documents: None,
            tally: Tally::default(),
            failures: Vec::new(),
            stored: if whole { keys(job).await? } else { None },
            replaced: None,
        })
    }

    async fn resumed(job: &'a Job<'a, S>, found: Checkpoint) -> std::result::Result<Self, Halt> {
        let other = || Halt::Gone(Error::internal("the checkpoint is of other outputs"));
        let Checkpoint { state, rests, hashes } = found;
        if state.results != job.results || state.lanes.len() != job.generations.len() {
            return Err(other());
        }
        let outcomes = if state.ended {
            Err(state.lanes)
        } else if state.whole {
            let gone = || Error::conflict("the input was overwritten");
            match Outcomes::all(job.batches, job.generations, state.lanes, job.width).await {
                Err(error) if error.kind == ErrorKind::Missing && !job.early => return Err(Halt::Gone(error)),
                outcomes => Ok(outcomes?.ok_or_else(|| Halt::Gone(gone()))?),
            }
        } else {
            Ok(Outcomes::failed(job.batches, job.generations, state.lanes, job.width))
        };
        let merging = state.whole && !state.ended;
        let stored = if merging { keys(job).await? } else { None };
        let mut run = Self {
            job,
            whole: state.whole,
            outcomes,
            columns: state.columns,
            documents: None,
            tally: state.tally,
            failures: state.failures,
            stored: stored.map(|keys| keys.resume(hashes)),
            replaced: state.replaced,
        };
        if let Some(place) = state.documents {
            let documents = run.begin(None).resume(place, &mut &rests[..]);
            run.documents = Some(documents.ok_or_else(other)?);
        }
        Ok(run)
    }

    /// Merges the outcomes that are left, and lets the documents appear. `None` if the time is up before.
    async fn run(mut self, checkpoints: &mut Checkpoints<'_, S::Blob>) -> std::result::Result<Option<Outputs>, Halt> {
        if self.outcomes.is_ok() {
            if !self.merge(checkpoints).await? {
                return Ok(None);
            }
            self.end().await.map_err(Halt::of)?;
            if checkpoints.are_used() {
                self.save(checkpoints).await?;
            }
        }
        // S3 may take minutes to assemble thousands of parts:
        // https://docs.aws.amazon.com/AmazonS3/latest/API/API_CompleteMultipartUpload.html
        if checkpoints.are_used() && !self.job.table.is_open(self.job.clock.now()) {
            return Ok(None);
        }
        while let Some(documents) = &mut self.documents
            && documents.complete().await.map_err(Halt::of)?
        {
            if checkpoints.are_used() {
                self.save(checkpoints).await?;
            }
        }
        Ok(Some(self.outputs()))
    }

    /// Merges outcomes into the documents until there are no more, or the time is up; returns whether it came to the end.
    async fn merge(&mut self, checkpoints: &mut Checkpoints<'_, S::Blob>) -> std::result::Result<bool, Halt> {
        let after = i64::try_from(self.job.checkpoint_after.as_millis()).unwrap_or(i64::MAX);
        let due = |now: Timestamp| Timestamp(now.0.saturating_add(after));
        let mut next = due(self.job.clock.now());
        while let Ok(outcomes) = &mut self.outcomes {
            let appeared = match outcomes.step().await? {
                Merged::Outcome(outcome) => self.add(&outcome).await.map_err(Halt::of)?,
                Merged::Nothing => false,
                Merged::End => return Ok(true),
            };
            if let Some(documents) = &mut self.documents {
                documents.flow().await.map_err(Halt::of)?;
            }
            let now = self.job.clock.now();
            if now >= self.job.handover {
                self.save(checkpoints).await?;
                return Ok(false);
            }
            // A document that appeared has no upload any more with which one could go on from the checkpoint before.
            if now >= next || (appeared && checkpoints.are_used()) {
                self.save(checkpoints).await?;
                next = due(self.job.clock.now());
            }
        }
        Ok(true)
    }

    /// Adds the next outcome, and returns whether a document appeared that was uploaded in parts.
    async fn add(&mut self, outcome: &Outcome) -> Result<bool> {
        if self.documents.is_none() {
            self.documents = Some(self.begin(Some(outcome)));
        }
        if let Some(stored) = &mut self.stored {
            stored.add(outcome);
        }
        let Some(documents) = &mut self.documents else {
            return Ok(false);
        };
        if outcome.response.success {
            self.tally.succeeded += 1;
        } else {
            self.tally.failed += 1;
            if self.failures.len() < SHOWN_FAILURES {
                let (object, message) = (documents.object(outcome), outcome.response.message.clone());
                self.failures.push(Failure { index: outcome.index, object, message });
            }
        }
        documents.add(outcome).await
    }

    /// Begins the documents, given the first outcome, if there is one.
    fn begin(&mut self, first: Option<&Outcome>) -> Documents<'a, S::Blob> {
        let Job { generations, sealing, format, objects, .. } = self.job;
        let id = &generations[generations.len() - 1].opening.id;
        let Job { results, report, .. } = *self.job;
        // Without successes, a report that has to have them would be another one.
        let report = report.filter(|_| self.whole || results == Results::Failed);
        let wanted = Wanted { all: self.whole, failed: results != Results::None, report };
        if let Some(objects) = objects {
            return Documents::of_objects(self.job.output, id, wanted, objects);
        }
        let told = || Some(format.columns.clone()).filter(|columns| !columns.is_empty());
        let found = || sealing.columns.clone().or_else(told);
        let named = || found().unwrap_or_else(|| first.map(columns_of).unwrap_or_default());
        let columns =
            self.columns.get_or_insert_with(|| if format.layout == Layout::Csv { named() } else { Vec::new() });
        let source = Source { format: format.clone(), columns: columns.clone(), head: sealing.head.clone() };
        Documents::of_file(self.job.output, id, wanted, source)
    }

    /// Uploads all but the requests with which the documents appear.
    async fn end(&mut self) -> Result<()> {
        if self.documents.is_none() {
            self.documents = Some(self.begin(None));
        }
        if let Some(documents) = &mut self.documents {
            documents.end().await?;
        }
        self.replaced = self.stored.take().and_then(Keys::replaced);
        self.outcomes = Err(self.lanes());
        Ok(())
    }

    fn lanes(&self) -> Vec<lane::Place> {
        match &self.outcomes {
            Ok(outcomes) => outcomes.places(),
            Err(lanes) => lanes.clone(),
        }
    }

    async fn save(&mut self, checkpoints: &mut Checkpoints<'_, S::Blob>) -> std::result::Result<(), Halt> {
        let mut rests = Vec::new();
        let documents = match &mut self.documents {
            Some(documents) => Some(documents.place(&mut rests).await.map_err(Halt::of)?),
            None => None,
        };
        let state = State {
            results: self.job.results,
            whole: self.whole,
            lanes: self.lanes(),
            ended: self.outcomes.is_err(),
            columns: self.columns.clone(),
            documents,
            tally: self.tally,
            failures: self.failures.clone(),
            hashes: None,
            replaced: self.replaced,
        };
        let body = Checkpoint::encode(state, &rests, self.stored.as_ref().and_then(Keys::hashes))?;
        drop(rests);
        Ok(checkpoints.write(body).await?)
    }

    fn outputs(self) -> Outputs {
        let lanes = self.lanes();
        let counted = |batch: Option<&Batch>, lane: Option<&lane::Place>| {
            let tree = batch.is_some_and(|batch| batch.opening.condition.has_tree());
            lane.filter(|_| tree).map(lane::Place::counted)
        };
        let generations = self.job.generations;
        let told = counted(generations.first(), lanes.first());
        let counted = counted(generations.last(), lanes.last());
        let (mut own, mut tally) = (lanes.last().map(lane::Place::tally).unwrap_or_default(), self.tally);
        if let (false, Some(counted), Some(told)) = (self.whole, counted, told) {
            if generations.len() == 1 {
                // What succeeded was counted without being read.
                own.succeeded = counted.succeeded;
            }
            tally.succeeded = (told.succeeded + told.failed).saturating_sub(tally.failed);
        }
        let (written, keys) = self.documents.map(|documents| documents.written()).unwrap_or_default();
        let gone = self.job.results == Results::All && !self.whole;
        Outputs { written, keys, failures: self.failures, gone, tally, replaced: self.replaced, own, counted }
    }
}
