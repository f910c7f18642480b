//! Stores records that are sent one at a time, in packs: each becomes what the processor makes of it, and its request's
//! status says so.
//!
//! The order makes a crash harmless: the id is claimed → the processor's work → the item → the status.
//! A message that was interrupted is redelivered, and a request that has its end is not worked on again.

use crate::batch::concurrent::bounded;
use crate::model::error::{Error, ErrorKind, Result};
use crate::model::format::Layout;
use crate::model::ids::{BatchId, ChunkIndex, Revision};
use crate::model::record::Entry;
use crate::model::request::{RecordMessage, Request};
use crate::model::schema::RecordSchema;
use crate::model::timestamp::Timestamp;
use crate::processor::{Chunk, Processor, Record, Reply, Tried};
use crate::stage::reception::Timetable;
use crate::stage::{Disposition, Pack, Received, Stage, Subject, late};
use crate::store::Clock;
use crate::store::requests::{Claimed, Requests};

/// The most records that are stored together: what four full requests of items hold.
const PACK: usize = 100;
/// What is told of a record that could not be stored for a reason that is not its sender's concern.
const INTERNAL: &str = "it could not be stored yet; the function's log says why";

/// The stage of records that are sent one at a time.
pub struct Records<R, P, K> {
    /// What became of requests.
    pub requests: R,
    /// What is done with valid records.
    pub processor: P,
    /// The time.
    pub clock: K,
    /// What a valid record is.
    pub schema: RecordSchema,
    /// Calls under way at once.
    pub width: usize,
    /// Whether records are events, which others put on the queue as well. Such a message has no request: what becomes of an event is known by
    /// its own identity.
    pub events: bool,
}

/// A valid record that was sent by itself: a chunk of its own.
struct Task {
    request: Request,
    chunk: Chunk,
    record: Record,
}

impl Task {
    fn chunk(&self) -> Chunk {
        self.chunk.with_records(vec![self.record.clone()])
    }
}

/// What there is to do for a message.
enum Step {
    /// Its record is given to the processor.
    Work(Box<Task>),
    /// What the processor made of it is stored.
    Store(Box<Task>),
    /// This is written of its request, which ends with that.
    End(Request),
    /// Its record could not be stored now. The request says why, if its sender is told.
    Again(Request, Error),
    /// Nothing.
    Over(Disposition),
}

impl<R: Requests, P: Processor, K: Clock> Stage for Records<R, P, K> {
    const NAME: &'static str = "records";

    type Message = RecordMessage;

    fn parse(&self, body: &str) -> Result<Option<RecordMessage>> {
        let event = if self.events { RecordMessage::event(body, self.clock.now()) } else { None };
        event.unwrap_or_else(|| RecordMessage::parse(body)).map(Some)
    }

    fn subject(_message: &RecordMessage) -> Option<Subject> {
        None
    }

    fn packs<'a>(&self, mut messages: Pack<'a, RecordMessage>) -> Vec<Pack<'a, RecordMessage>> {
        // If several that arrive together have one key, the latest is stored last.
        messages.sort_by_key(|received| received.message.at);
        let mut packs = Vec::new();
        while messages.len() > PACK {
            let rest = messages.split_off(PACK);
            packs.push(std::mem::replace(&mut messages, rest));
        }
        packs.push(messages);
        packs
    }

    async fn handle(&self, received: &Received<'_, RecordMessage>, deadline: Timestamp) -> Disposition {
        let disposition = self.handle_pack(std::slice::from_ref(received), deadline).await.pop();
        disposition.unwrap_or_else(|| Disposition::Retry(Error::internal("a message had no outcome")))
    }

    async fn handle_pack(&self, pack: &[Received<'_, RecordMessage>], deadline: Timestamp) -> Vec<Disposition> {
        let table = Timetable::new(self.clock.now(), deadline);
        let begun = pack.iter().map(|received| self.begin(received, &table)).collect();
        let worked = self.work(bounded(begun, self.width).await).await;
        let steps = self.store(worked).await;
        let ends = pack.iter().zip(steps).map(|(received, step)| self.end(received, step)).collect();
        bounded(ends, self.width).await
    }
}

impl<R: Requests, P: Processor, K: Clock> Records<R, P, K> {
    /// Finds out what there is to do for a message.
    async fn begin(&self, received: &Received<'_, RecordMessage>, table: &Timetable) -> Step {
        let message = &received.message;
        let request = Request::accepted(message);
        let claimed = if message.bare { Ok(Claimed::Open) } else { self.requests.claim(&request).await };
        match claimed {
            Ok(Claimed::Open) => {}
            Ok(Claimed::Ended(_)) => return Step::Over(Disposition::Done),
            Ok(Claimed::Another) => {
                let noted = self.requests.note_conflict(&message.id, Timestamp(message.at)).await;
                return match noted {
                    Ok(()) => Step::Over(Disposition::Discarded("another record was sent under its id".to_owned())),
                    Err(error) => Step::Again(request, error),
                };
            }
            Err(error) => return Step::Again(request, error),
        }
        let valid = match self.schema.check(&Entry::decoded(0, message.record.clone()), Layout::Json) {
            Ok(valid) => valid,
            Err(reason) if message.bare => return Step::Over(Disposition::Rejected(Error::malformed(reason))),
            Err(reason) => return Step::End(request.failed(reason)),
        };
        let attempt = received.delivery.attempt;
        // What ended an earlier delivery is not known here: a busy service, or a try that may have had its effect.
        let tried = Tried { times: attempt.saturating_sub(1), unsure: attempt > 1 };
        let record = Record { index: 0, key: valid.key, fields: valid.fields, tried };
        let chunk = Chunk {
            batch: BatchId::of(Self::NAME, message.id.as_str(), &Revision::Version(String::new())),
            index: ChunkIndex::FIRST,
            attempt,
            sequence: Timestamp(message.at),
            now: self.clock.now(),
            until: table.handover(),
            deadline: table.work(),
            records: Vec::new(),
        };
        Step::Work(Box::new(Task { request, chunk, record }))
    }

    /// Has the processor answer for valid records.
    async fn work(&self, steps: Vec<Step>) -> Vec<Step> {
        let given = |step: &Step| if let Step::Work(task) = step { Some(task.chunk()) } else { None };
        let chunks: Vec<Chunk> = steps.iter().filter_map(given).collect();
        let mut replies = if chunks.is_empty() { Vec::new() } else { self.processor.process(chunks).await }.into_iter();
        let worked = |step| match step {
            Step::Work(task) => self.worked(*task, only(replies.next())),
            step => step,
        };
        steps.into_iter().map(worked).collect()
    }

    fn worked(&self, task: Task, reply: Result<Reply>) -> Step {
        let Task { request, chunk, record } = task;
        let record = match reply {
            Ok(Reply::Done(_)) => record,
            Ok(Reply::Replaced { item, .. }) => match record.replaced(item, &self.schema) {
                Ok(record) => record,
                Err(reason) => return Step::End(request.failed(reason)),
            },
            reply => return concluded(request, &record.key, reply),
        };
        match self.processor.stores() {
            true => Step::Store(Box::new(Task { request, chunk, record })),
            false => Step::End(request.stored(record.key)),
        }
    }

    /// Stores what succeeded, where a processor's successes are stored.
    async fn store(&self, steps: Vec<Step>) -> Vec<Step> {
        let given = |step: &Step| if let Step::Store(task) = step { Some(task.chunk()) } else { None };
        let chunks: Vec<Chunk> = steps.iter().filter_map(given).collect();
        let mut replies = if chunks.is_empty() { Vec::new() } else { self.processor.store(chunks).await }.into_iter();
        let stored = |step| match step {
            Step::Store(task) => concluded(task.request, &task.record.key, only(replies.next())),
            step => step,
        };
        steps.into_iter().map(stored).collect()
    }

    async fn end(&self, received: &Received<'_, RecordMessage>, step: Step) -> Disposition {
        let error = match step {
            Step::Over(disposition) => return disposition,
            // What is not billed is listed.
            Step::End(_) if received.message.bare => return Disposition::Done,
            Step::End(request) => match self.requests.write(&request).await {
                Ok(true) => return Disposition::Done,
                Ok(false) => return Disposition::Discarded("another record has its id".to_owned()),
                Err(error) => error,
            },
            Step::Again(request, error) => {
                // Whoever asks for the status is told why it takes long, but not that a service is busy for a moment.
                if error.kind != ErrorKind::Busy && !received.message.bare {
                    let reason = request.reason.clone().unwrap_or_else(|| INTERNAL.to_owned());
                    // The message comes again, whether or not this is written.
                    let _ = self.requests.write(&request.tried(reason)).await;
                }
                error
            }
            Step::Work(_) | Step::Store(_) => Error::internal("a record was not worked on"),
        };
        // A policy that takes a while to spread must cost no record.
        match late::again(received.delivery, self.clock.now()).filter(|_| error.may_pass()) {
            Some(at) => Disposition::Later(at, error),
            None => Disposition::Retry(error),
        }
    }
}

/// The answer for the one record of a chunk.
fn only(replies: Option<Result<Vec<Reply>>>) -> Result<Reply> {
    let reply = replies.unwrap_or_else(|| Ok(Vec::new()))?.pop();
    reply.ok_or_else(|| Error::internal("a record had no answer"))
}

/// How it goes on with a request after the last answer for its record.
fn concluded(request: Request, key: &str, reply: Result<Reply>) -> Step {
    match reply {
        Ok(Reply::Done(_) | Reply::Replaced { .. }) => Step::End(request.stored(key)),
        Ok(Reply::Failed(reason)) => Step::End(request.failed(reason)),
        Ok(Reply::Temporary { reason, .. }) => Step::Again(request.tried(&reason), Error::transient(reason)),
        Ok(Reply::Untried(reason)) => Step::Again(request, Error::busy(reason)),
        Err(error) => Step::Again(request, error),
    }
}
