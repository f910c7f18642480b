//! The competing consumers: validate the records of a chunk, give them to the processor, keep their
//! outcomes, and mark the chunk as done.
//!
//! The order makes a crash harmless: the processor's work → the chunk's result → the mark → the pending records are
//! deleted. A message that was interrupted is redelivered, and a chunk that has its mark is not worked on again.

mod answers;
mod store;

use serde_json::{Map, Value};

use crate::batch::Batches;
use crate::batch::chunks::{Decision, check_counters};
use crate::batch::concurrent::bounded;
use crate::batch::find::{Found, Work};
use crate::batch::rules::Schemas;
use crate::intake::claim_check;
use crate::model::answer::Answer;
use crate::model::error::{Error, Result};
use crate::model::fold::{Contribution, Fold};
use crate::model::format::Layout;
use crate::model::message::ProcessMessage;
use crate::model::processing::aggregate::AggregateSettings;
use crate::model::progress::Mark;
use crate::model::record::{Entry, Outcome};
use crate::model::schema::{RecordSchema, Valid};
use crate::model::timestamp::Timestamp;
use crate::processor::{Chunk, Processor, Record, Tried};
use crate::stage::process::answers::{Standing, Unsaved};
use crate::stage::process::store::Answered;
use crate::stage::reception::Timetable;
use crate::stage::{Disposition, Pack, Received, Stage, Subject, late};
use crate::store::ledger::Part;
use crate::store::ledger::tree::Progress;
use crate::store::{Clock, Stores};

/// The process stage.
pub struct Process<S: Stores, P> {
    /// Where chunks wait and results are kept, and batch state.
    pub batches: Batches<S>,
    /// What is done with valid records.
    pub processor: P,
    /// The time.
    pub clock: S::Clock,
    /// What a valid record is.
    pub schemas: Schemas,
    /// Calls under way at once.
    pub width: usize,
    /// What is counted of the records that succeed, if anything is.
    pub aggregate: Option<AggregateSettings>,
}

/// The most records and messages that are worked on together.
const PACK_RECORDS: u32 = 2500;
const PACK_MESSAGES: usize = 16;
/// The records assumed for a message that does not say how many its chunk holds.
const UNTOLD_RECORDS: u32 = 500;

impl<S: Stores, P: Processor> Stage for Process<S, P> {
    const NAME: &'static str = "process";

    type Message = ProcessMessage;

    fn parse(&self, body: &str) -> Result<Option<ProcessMessage>> {
        claim_check::parse(body)
    }

    fn subject(message: &ProcessMessage) -> Option<Subject> {
        Some(Subject { batch: message.batch_id.clone(), part: Part::Chunk(message.chunk) })
    }

    async fn handle(&self, received: &Received<'_, ProcessMessage>, deadline: Timestamp) -> Disposition {
        let disposition = self.handle_pack(std::slice::from_ref(received), deadline).await.pop();
        disposition.unwrap_or_else(|| Disposition::Retry(Error::internal("a message had no outcome")))
    }

    /// Packs messages of one batch, as many as fill requests without taking much memory.
    fn packs<'a>(&self, messages: Pack<'a, ProcessMessage>) -> Vec<Pack<'a, ProcessMessage>> {
        // Where calls are made one at a time, messages are handled one at a time too.
        if self.width == 1 {
            return messages.into_iter().map(|message| vec![message]).collect();
        }
        let mut packs: Vec<(u32, Pack<'a, ProcessMessage>)> = Vec::new();
        for received in messages {
            let message = &received.message;
            let records = message.records.unwrap_or(UNTOLD_RECORDS);
            let room = packs.iter_mut().find(|(held, pack)| {
                let same = pack.iter().all(|other| other.message.batch_id == message.batch_id);
                same && held.saturating_add(records) <= PACK_RECORDS && pack.len() < PACK_MESSAGES
            });
            match room {
                Some((held, pack)) => {
                    *held += records;
                    pack.push(received);
                }
                None => packs.push((records, vec![received])),
            }
        }
        packs.into_iter().map(|(_, pack)| pack).collect()
    }

    async fn handle_pack(&self, pack: &[Received<'_, ProcessMessage>], deadline: Timestamp) -> Vec<Disposition> {
        self.take(pack, Timetable::new(self.clock.now(), deadline)).await
    }
}

/// What there is to do for a message.
enum Step<'a> {
    /// Its chunk is worked on.
    Work(Job<'a>, Chunk),
    /// The outcomes of its chunk are to be kept.
    Keep(Job<'a>, Vec<Answer>, Unsaved),
    /// The outcomes of its chunk were decided before.
    Mark(&'a ProcessMessage, Mark),
    /// It comes again at that moment.
    Later(Timestamp, Error),
    /// The processor has nothing to do with it.
    End(&'a ProcessMessage, Result<Found>),
}

/// A chunk that is worked on.
struct Job<'a> {
    message: &'a ProcessMessage,
    entries: Vec<Entry>,
    /// For each record, why it is not valid; `None` if it is.
    faults: Vec<Option<String>>,
    layout: Layout,
    /// What an item has to be that is stored instead of a record; `None` if no record is valid.
    schema: Option<RecordSchema>,
    /// What each valid record adds to the counters if it succeeds; nothing, if none are kept.
    contributions: Vec<Contribution>,
}

impl<S: Stores, P: Processor> Process<S, P> {
    /// Works on messages of one batch, and returns what became of each, in order.
    async fn take(&self, pack: &[Received<'_, ProcessMessage>], table: Timetable) -> Vec<Disposition> {
        let messages: Vec<&ProcessMessage> = pack.iter().map(|received| &received.message).collect();
        let found = self.batches.find(&messages, self.width).await;
        let mut steps = Vec::with_capacity(pack.len());
        for (received, found) in pack.iter().zip(found) {
            let message = &received.message;
            steps.push(match found {
                Ok(Found::Pending(work)) if message.records.is_none_or(|told| told as usize == work.entries.len()) => {
                    match self.schemas.of(&self.batches, work.rules.as_deref()).await {
                        Ok(schema) => {
                            let (job, chunk) = self.check(schema, received, work, &table);
                            if chunk.records.is_empty() {
                                Step::Keep(job, Vec::new(), Unsaved::default())
                            } else {
                                Step::Work(job, chunk)
                            }
                        }
                        Err(error) => Step::End(message, Err(error)),
                    }
                }
                Ok(Found::Pending(work)) => Step::End(message, Err(miscounted(message, work.entries.len()))),
                found => Step::End(message, found),
            });
        }
        let steps = self.work(pack, steps, &table).await;
        let ended = pack.iter().zip(steps).map(|(received, step)| async {
            let again = late::again(received.delivery, self.clock.now());
            late::concluded(self.end(step, again.is_some()).await, again)
        });
        bounded(ended.collect(), self.width).await
    }

    /// Has the processor answer for valid records, and store those that succeeded.
    async fn work<'a>(
        &self,
        pack: &[Received<'_, ProcessMessage>],
        mut steps: Vec<Step<'a>>,
        table: &Timetable,
    ) -> Vec<Step<'a>> {
        let keep = self.processor.stores();
        let (mut asked, mut given) = (Vec::new(), Vec::new());
        for (received, step) in pack.iter().zip(&mut steps) {
            if let Step::Work(_, chunk) = step {
                let records = if keep { chunk.records.clone() } else { std::mem::take(&mut chunk.records) };
                asked.push((received, chunk.with_records(records)));
            }
        }
        let mut standings = self.answer(asked, table).await.into_iter();
        for step in &mut steps {
            let Step::Work(..) = step else {
                continue;
            };
            let standing = standings.next().unwrap_or_else(|| Err(Error::internal("a chunk has no answer")));
            let unanswered = Step::Later(Timestamp(0), Error::internal("a chunk has no answer"));
            let Step::Work(job, chunk) = std::mem::replace(step, unanswered) else {
                continue;
            };
            match standing {
                Ok(Standing::Answered(answers, unsaved)) => {
                    given.push((step, Answered { job, chunk, answers, unsaved }))
                }
                Ok(Standing::Decided(mark)) => *step = Step::Mark(job.message, mark),
                Ok(Standing::Later(at, error)) => *step = Step::Later(at, error),
                Err(error) => *step = Step::End(job.message, Err(error)),
            }
        }
        let (places, answered): (Vec<_>, Vec<_>) = given.into_iter().unzip();
        for (step, stored) in places.into_iter().zip(self.store(answered).await) {
            *step = stored;
        }
        steps
    }

    async fn end(&self, step: Step<'_>, early: bool) -> Result<Disposition> {
        let (message, progress) = match step {
            Step::Keep(job, answers, unsaved) => {
                let message = job.message;
                match self.conclude(job, answers).await {
                    Ok(progress) => (message, progress),
                    Err(error) => {
                        self.keep_unsaved(unsaved).await;
                        return Err(error);
                    }
                }
            }
            Step::Mark(message, mark) => (message, self.finish(message, mark).await?),
            Step::Later(at, error) => return Ok(Disposition::Later(at, error)),
            Step::Work(job, _) => return Err(miscounted(job.message, job.entries.len())),
            Step::End(message, found) => match found? {
                Found::Stray(reason) => return Ok(Disposition::Discarded(reason.to_owned())),
                Found::Done(progress) => (message, progress),
                Found::Stopped(stop) => (message, self.bury(message, &stop.fault.message, early).await?),
                Found::Missing(reason) if early => return Err(Error::missing(reason)),
                Found::Missing(reason) | Found::Gone(reason) => (message, self.bury(message, &reason, early).await?),
                Found::Pending(_) => return Err(Error::internal("a chunk was found and not worked on")),
            },
        };
        self.batches.announce(&message.batch_id, progress).await?;
        Ok(Disposition::Done)
    }

    async fn bury(&self, message: &ProcessMessage, reason: &str, early: bool) -> Result<Progress> {
        let claim = message.claim();
        self.batches.bury(&message.batch_id, message.chunk, claim.as_ref(), reason, early, self.clock.now()).await
    }

    async fn conclude(&self, job: Job<'_>, answers: Vec<Answer>) -> Result<Progress> {
        let message = job.message;
        let mark = self.keep(job, answers).await?;
        self.finish(message, mark).await
    }

    async fn finish(&self, message: &ProcessMessage, mark: Mark) -> Result<Progress> {
        let (batch, chunk) = (&message.batch_id, message.chunk);
        let (succeeded, failed) = (mark.tally.succeeded, mark.tally.failed);
        tracing::info!(batch_id = %batch, %chunk, succeeded, failed, "chunk written");
        self.batches.finish(batch, chunk, mark, message.range.is_none(), self.clock.now()).await
    }

    /// Keeps the outcomes of a chunk: the answers for its valid records, and for the others why they are not valid.
    async fn keep(&self, job: Job<'_>, answers: Vec<Answer>) -> Result<Mark> {
        let Job { message, entries, faults, layout, contributions, .. } = job;
        let (mut answers, mut contributions) = (answers.into_iter(), contributions.into_iter());
        let mut fold = self.aggregate.as_ref().map(|_| Fold::default());
        let outcomes = entries.into_iter().zip(faults).map(|(entry, fault)| {
            if let Some(fault) = fault {
                return Outcome::of(entry, Some(fault));
            }
            let (answer, contribution) = (answers.next(), contributions.next());
            let Some(answer) = answer else {
                return Outcome::of(entry, Some("the record was not processed".to_owned()));
            };
            if let (Some(fold), Some(contribution), Answer::Done { .. }) = (&mut fold, contribution, &answer) {
                fold.add(contribution);
            }
            let answer = match answer {
                Answer::Failed(reason) => Answer::Failed(layout.placed(entry.index, reason)),
                done => done,
            };
            Outcome::answered(entry, answer)
        });
        let outcomes = outcomes.collect();
        let decision = if message.range.is_some() { Decision::excepted } else { Decision::worked }(outcomes);
        let decision = decision.with_fold(fold);
        let (batch, chunk) = (&message.batch_id, message.chunk);
        self.batches.decide(batch, chunk, decision, "", self.clock.now()).await
    }

    /// Separates the valid records of a chunk from the others.
    fn check<'a>(
        &self,
        schema: std::result::Result<RecordSchema, String>,
        received: &'a Received<'_, ProcessMessage>,
        work: Work,
        table: &Timetable,
    ) -> (Job<'a>, Chunk) {
        let (message, Work { entries, layout, sequence, .. }) = (&received.message, work);
        let (mut records, mut faults) = (Vec::with_capacity(entries.len()), Vec::with_capacity(entries.len()));
        let mut contributions = Vec::new();
        for entry in &entries {
            // What is wrong with the record itself stays so under any rules.
            let judged = match &entry.fault {
                Some(fault) => Err(fault.clone()),
                None => schema.as_ref().map_err(String::clone).and_then(|schema| schema.check(entry, layout)),
            };
            let judged = judged.and_then(|valid| Ok((self.contribution(&valid.fields)?, valid)));
            match judged {
                Ok((contribution, Valid { key, fields })) => {
                    contributions.extend(contribution);
                    records.push(Record { index: entry.index, key, fields, tried: Tried::default() });
                    faults.push(None);
                }
                // A record that could not be decoded has its place in its fault.
                Err(reason) if entry.fault.is_some() => faults.push(Some(reason)),
                Err(reason) => faults.push(Some(layout.placed(entry.index, reason))),
            }
        }
        let most = self.batches.chunks.most_counters();
        if most < usize::MAX
            && let Err(reason) = check_counters(Some(&contributions.iter().cloned().collect()), most)
        {
            // Before any work is done whose outcomes could not be kept.
            let valid = faults.iter_mut().zip(&entries).filter(|(fault, _)| fault.is_none());
            valid.for_each(|(fault, entry)| *fault = Some(layout.placed(entry.index, reason.clone())));
            (records, contributions) = (Vec::new(), Vec::new());
        }
        let chunk = Chunk {
            // Users know the batch by the name of its first generation.
            batch: message.batch_id.in_generation(0),
            index: message.chunk,
            attempt: received.delivery.attempt,
            sequence,
            now: self.clock.now(),
            until: table.handover(),
            deadline: table.work(),
            records,
        };
        (Job { message, entries, faults, layout, schema: schema.ok(), contributions }, chunk)
    }

    /// What a valid record adds to the counters, if any are kept; or why it cannot be counted.
    fn contribution(&self, fields: &Map<String, Value>) -> std::result::Result<Option<Contribution>, String> {
        self.aggregate.as_ref().map(|aggregate| aggregate.contribution(fields)).transpose()
    }
}

fn miscounted(message: &ProcessMessage, held: usize) -> Error {
    let (chunk, records) = (message.chunk, message.records.unwrap_or_default());
    Error::internal(format!("chunk {chunk} holds {held} records, but its message says {records}"))
}
