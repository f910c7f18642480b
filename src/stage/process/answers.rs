//! How records get their answers: from earlier tries, and from the processor, slice by slice.
//!
//! Work that is not repeatable is given to the processor a few seconds at a time, and what it answered is kept, so that
//! little of it is done again if the function dies. A record that fails for the time being is tried once in a delivery;
//! its chunk comes again after a pause.

use std::collections::BTreeMap;

use serde_json::value::RawValue;
use serde_json::{Map, Value};

use crate::batch::answers::{Answers, Lease, Log};
use crate::batch::concurrent::bounded;
use crate::model::answer::{Answer, Line};
use crate::model::calls::StageCalls;
use crate::model::error::{Error, ErrorKind, Result};
use crate::model::ids::BatchId;
use crate::model::message::ProcessMessage;
use crate::model::progress::Mark;
use crate::model::timestamp::Timestamp;
use crate::processor::{Chunk, MAX_RESULT_BYTES, Processor, Record, Reply};
use crate::stage::Received;
use crate::stage::process::Process;
use crate::stage::reception::{MOST_TRIES, Timetable};
use crate::store::ledger::{Notes, PROCESSOR};
use crate::store::{Clock, Stores};

/// How long a processor works before what it answered is kept, in milliseconds.
const SLICE: i64 = 10_000;
/// How long a chunk may come again without any of its records being tried, in milliseconds.
const LONGEST_IDLE: i64 = 3_600_000;
/// The pause before a record is tried again, in seconds; it doubles with each try.
const FIRST_PAUSE: i64 = 5;

/// What asked for a chunk.
type Asked<'a> = Received<'a, ProcessMessage>;

/// How far the records of a chunk are answered.
pub(super) enum Standing {
    /// Each has its final answer, in their order.
    Answered(Vec<Answer>, Unsaved),
    /// An earlier try decided the chunk's outcomes, and got no further.
    Decided(Mark),
    /// Some are to be tried at this moment, which is no try of the chunk's message.
    Later(Timestamp, Error),
}

/// Answers that were not kept, since their chunk is about to be done.
#[derive(Default)]
pub(super) struct Unsaved(Option<(Log, Vec<Line>)>);

/// A chunk whose records are being answered.
struct Effort {
    /// The valid records.
    chunk: Chunk,
    log: Log,
    answers: BTreeMap<u64, Answer>,
    /// What the log does not have yet.
    unsaved: Vec<Line>,
    /// The records that failed for the time being in this delivery: how often they were tried, and why they failed.
    failing: BTreeMap<u64, (u32, String)>,
    /// Why the rest was not tried, if it was not.
    untried: Option<String>,
    /// Whether any record was tried in this delivery.
    moved: bool,
    /// Whether nothing more is asked for in this delivery.
    rests: bool,
    error: Option<Error>,
}

/// What became of the attempt to begin with a chunk.
enum Begun {
    Effort(Box<Effort>),
    Decided(Mark),
    /// Another function has it until then.
    Held(Timestamp),
    Failed(Error),
}

impl Begun {
    fn effort(&mut self) -> Option<&mut Effort> {
        match self {
            Self::Effort(effort) => Some(effort),
            Self::Decided(_) | Self::Held(_) | Self::Failed(_) => None,
        }
    }
}

impl Effort {
    fn new(chunk: Chunk, log: Log) -> Self {
        let known = |record: &Record| Some((record.index, log.known.answer(record.index)?.clone()));
        let answers = chunk.records.iter().filter_map(known).collect();
        let (unsaved, failing) = (Vec::new(), BTreeMap::new());
        Self { chunk, log, answers, unsaved, failing, untried: None, moved: false, rests: false, error: None }
    }

    /// What is still to be asked for in this delivery.
    fn rest(&self, now: Timestamp, until: Timestamp) -> Option<Chunk> {
        if !self.goes_on() {
            return None;
        }
        let is_open =
            |record: &&Record| !self.answers.contains_key(&record.index) && !self.failing.contains_key(&record.index);
        let tried = |record: &Record| Record { tried: self.log.known.tried(record.index), ..record.clone() };
        let records: Vec<Record> = self.chunk.records.iter().filter(is_open).map(tried).collect();
        let asked = Chunk { now, until, ..self.chunk.with_records(records) };
        Some(asked).filter(|asked| !asked.records.is_empty())
    }

    fn take(&mut self, asked: &[u64], replies: Result<Vec<Reply>>) {
        let replies = match replies {
            Ok(replies) if replies.len() == asked.len() => replies,
            Ok(replies) => return self.error = Some(unanswered(replies.len(), asked.len())),
            Err(error) => return self.error = Some(error),
        };
        let before = self.unsaved.len();
        self.untried = None;
        for (index, reply) in asked.iter().copied().zip(replies) {
            self.take_one(index, reply);
        }
        let moved = self.unsaved.len() > before;
        self.rests = !moved;
        self.moved |= moved;
    }

    fn take_one(&mut self, index: u64, reply: Reply) {
        let answer = match reply {
            Reply::Done(result) => done(result, None),
            Reply::Replaced { item, result } => done(result, Some(item)),
            Reply::Failed(reason) => Answer::Failed(reason),
            Reply::Temporary { reason, unsure } => {
                let times = self.log.known.tried(index).times + 1;
                if times < MOST_TRIES {
                    self.unsaved.push(Line::tried(index, &reason, unsure));
                    self.failing.insert(index, (times, reason));
                    return;
                }
                Answer::Failed(format!("{reason} (tried {times} times)"))
            }
            Reply::Untried(reason) => {
                self.untried.get_or_insert(reason);
                return;
            }
        };
        self.unsaved.push(Line::answer(index, &answer));
        self.answers.insert(index, answer);
    }

    /// Whether something is still to be asked for in this delivery.
    fn goes_on(&self) -> bool {
        !self.rests && self.error.is_none() && self.answers.len() + self.failing.len() < self.chunk.records.len()
    }

    fn is_answered(&self) -> bool {
        self.answers.len() == self.chunk.records.len()
    }

    fn standing(mut self, now: Timestamp) -> Result<Standing> {
        let (answered, all) = (self.answers.len(), self.chunk.records.len());
        if self.is_answered() {
            let answers = self.chunk.records.iter().filter_map(|record| self.answers.remove(&record.index)).collect();
            return Ok(Standing::Answered(answers, Unsaved(Some((self.log, self.unsaved)))));
        }
        let idle = self.log.known.idle_since().map_or(0, |since| now.0 - since.0);
        let busy = |error: Error| match idle >= LONGEST_IDLE {
            true => Error::transient(format!("no record could be tried for {} minutes: {error}", idle / 60_000)),
            false => error,
        };
        if let Some(error) = self.error {
            return Err(if error.kind == ErrorKind::Busy { busy(error) } else { error });
        }
        let open = all - answered;
        if let Some((times, reason)) = self.failing.values().max_by_key(|(times, _)| *times) {
            let pause = FIRST_PAUSE << times.saturating_sub(1).min(8);
            let said = format!("{open} of {all} records are to be tried again: {reason}");
            return Ok(Standing::Later(now.plus_seconds(pause), Error::transient(said)));
        }
        let reason = self.untried.as_deref().unwrap_or("no time was left");
        let untried = Error::busy(format!("{open} of {all} records were not tried: {reason}"));
        // What gets on comes again at once.
        if self.moved { Ok(Standing::Later(now, untried)) } else { Err(busy(untried)) }
    }
}

fn done(result: Option<Box<RawValue>>, item: Option<Map<String, Value>>) -> Answer {
    match &result {
        Some(long) if long.get().len() > MAX_RESULT_BYTES => {
            Answer::Failed(format!("its result is longer than {MAX_RESULT_BYTES} bytes"))
        }
        _ => Answer::Done { result, item },
    }
}

impl<S: Stores, P: Processor> Process<S, P> {
    /// Has the processor answer for chunks of valid records, each with the message that asked for it, and says how far
    /// each is, in order.
    pub(super) async fn answer(&self, chunks: Vec<(&Asked<'_>, Chunk)>, table: &Timetable) -> Vec<Result<Standing>> {
        match &self.batches.answers {
            Some(answers) if !self.processor.is_repeatable() => self.answer_by_slices(answers, chunks, table).await,
            _ => self.answer_whole(chunks.into_iter().map(|(_, chunk)| chunk).collect()).await,
        }
    }

    /// Repeatable work is done in one go.
    async fn answer_whole(&self, chunks: Vec<Chunk>) -> Vec<Result<Standing>> {
        if chunks.is_empty() {
            return Vec::new();
        }
        let sizes: Vec<usize> = chunks.iter().map(|chunk| chunk.records.len()).collect();
        let mut given = self.processor.process(chunks).await.into_iter();
        let standing = |records: usize| {
            let replies = given.next().unwrap_or_else(|| Ok(Vec::new()))?;
            if replies.len() != records {
                return Err(unanswered(replies.len(), records));
            }
            let answers = replies.into_iter().map(at_once).collect::<Result<_>>()?;
            Ok(Standing::Answered(answers, Unsaved(None)))
        };
        sizes.into_iter().map(standing).collect()
    }

    async fn answer_by_slices(
        &self,
        answers: &Answers<S::Blob>,
        chunks: Vec<(&Asked<'_>, Chunk)>,
        table: &Timetable,
    ) -> Vec<Result<Standing>> {
        let asked_for = chunks.first().map(|(asked, _)| &asked.message.batch_id);
        let begun = chunks.into_iter().map(|(asked, chunk)| self.begin(answers, asked, chunk, table.end()));
        let mut efforts = bounded(begun.collect(), self.width).await;
        loop {
            let now = self.clock.now();
            let until = Timestamp(table.handover().0.min(now.0 + SLICE));
            if now >= until || !self.slice(&mut efforts, now, until).await {
                break;
            }
            // What is answered waits for the others of its pack.
            if efforts.iter_mut().filter_map(Begun::effort).any(|effort| effort.goes_on()) {
                let kept = efforts.iter_mut().filter_map(Begun::effort);
                bounded(kept.map(|effort| self.save(answers, effort, false)).collect(), self.width).await;
            }
        }
        self.account(asked_for).await;
        let ended = efforts.into_iter().map(|begun| async {
            match begun {
                Begun::Effort(mut effort) => {
                    if !effort.is_answered() {
                        self.save(answers, &mut effort, true).await;
                    }
                    effort.standing(self.clock.now())
                }
                Begun::Decided(mark) => Ok(Standing::Decided(mark)),
                Begun::Held(until) => Ok(Standing::Later(until, Error::busy("another function works on the chunk"))),
                Begun::Failed(error) => Err(error),
            }
        });
        bounded(ended.collect(), self.width).await
    }

    /// Adds what the processor's calls took to the batch's counts, before its chunks are done: so that the counts are
    /// whole when the batch is.
    async fn account(&self, batch: Option<&BatchId>) {
        let counts = self.processor.spent().counts();
        let (Some(batch), true) = (batch, counts.values().any(|count| *count > 0)) else {
            return;
        };
        let calls = StageCalls { messages: 0, requests: counts };
        if let Err(error) = self.batches.ledger.add_calls(batch, PROCESSOR, &calls, self.clock.now()).await {
            tracing::warn!(batch_id = %batch, %error, "calls of the processor not accounted for");
        }
    }

    async fn begin(&self, answers: &Answers<S::Blob>, asked: &Asked<'_>, chunk: Chunk, until: Timestamp) -> Begun {
        let (batch, owner) = (&asked.message.batch_id, &asked.delivery.receipt);
        match answers.acquire(batch, chunk.index, owner, self.clock.now(), until).await {
            Ok(Lease::Acquired(log)) if log.known.came_before() => {
                match self.batches.decided(batch, chunk.index, self.clock.now()).await {
                    Ok(Some(mark)) => Begun::Decided(mark),
                    Ok(None) => Begun::Effort(Box::new(Effort::new(chunk, log))),
                    Err(error) => Begun::Failed(error),
                }
            }
            Ok(Lease::Acquired(log)) => Begun::Effort(Box::new(Effort::new(chunk, log))),
            Ok(Lease::Held(until)) => Begun::Held(until),
            Err(error) => Begun::Failed(error),
        }
    }

    /// Gives the processor what is still to be done. `false` if that is nothing.
    async fn slice(&self, efforts: &mut [Begun], now: Timestamp, until: Timestamp) -> bool {
        let (mut asked, mut chunks) = (Vec::new(), Vec::new());
        for effort in efforts.iter_mut().filter_map(Begun::effort) {
            if let Some(chunk) = effort.rest(now, until) {
                let indexes: Vec<u64> = chunk.records.iter().map(|record| record.index).collect();
                asked.push((effort, indexes));
                chunks.push(chunk);
            }
        }
        if chunks.is_empty() {
            return false;
        }
        let mut replies = self.processor.process(chunks).await.into_iter();
        for (effort, indexes) in asked {
            effort.take(&indexes, replies.next().unwrap_or_else(|| Ok(Vec::new())));
        }
        true
    }

    /// Keeps what was answered since the last time, and lets others have the chunk if it is released.
    async fn save(&self, answers: &Answers<S::Blob>, effort: &mut Effort, released: bool) {
        if effort.unsaved.is_empty() && !released {
            return;
        }
        let lines = std::mem::take(&mut effort.unsaved);
        if let Err(error) = answers.append(&mut effort.log, lines, self.clock.now(), released).await {
            effort.error.get_or_insert(error);
        }
    }

    /// Keeps answers after all, since their chunk could not be ended.
    pub(super) async fn keep_unsaved(&self, unsaved: Unsaved) {
        let (Some(answers), Unsaved(Some((mut log, lines)))) = (&self.batches.answers, unsaved) else {
            return;
        };
        if let Err(error) = answers.append(&mut log, lines, self.clock.now(), true).await {
            tracing::warn!(%error, "answers not kept");
        }
    }
}

/// The answer that a reply to repeatable work is.
fn at_once(reply: Reply) -> Result<Answer> {
    match reply {
        Reply::Done(result) => Ok(done(result, None)),
        Reply::Replaced { item, result } => Ok(done(result, Some(item))),
        Reply::Failed(reason) => Ok(Answer::Failed(reason)),
        Reply::Temporary { reason, .. } | Reply::Untried(reason) => Err(Error::transient(reason)),
    }
}

fn unanswered(replies: usize, records: usize) -> Error {
    Error::internal(format!("the processor answered for {replies} of a chunk's {records} records"))
}
