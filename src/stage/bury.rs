//! Ends what keeps failing: consumes the dead-letter channels, so that a batch ends even if a part of it cannot be
//! processed. A chunk is buried: its records fail with the reason. A scatter ends its batch as failed, and so does a map. A message that
//! no stage can work on is parked for people to look at, which raises an alarm; a gather message is parked too, and
//! sweep takes up its batch again.

use crate::batch::Batches;
use crate::batch::bury::is_refused;
use crate::batch::find::Found;
use crate::intake::claim_check;
use crate::intake::s3_event::{self, Created, Notice};
use crate::model::error::{Error, ErrorKind, Result};
use crate::model::fault::{Fault, FaultCode};
use crate::model::ids::BatchId;
use crate::model::message::{GatherMessage, MapFailure, ProcessMessage, RedriveMessage};
use crate::model::progress::{Batch, BatchState, Stop};
use crate::model::request::{RecordMessage, Request};
use crate::model::timestamp::Timestamp;
use crate::stage::reception::{MOST_TRIES, SILENCE};
use crate::stage::{Disposition, Received, Stage, Subject, late};
use crate::store::channel::{Channel, Delivery, Outgoing};
use crate::store::ledger::tree::Progress;
use crate::store::ledger::{Ledger, Notes, Part};
use crate::store::requests::{NoRequests, Requests};
use crate::store::{Clock, Stores};

/// The bury stage.
pub struct Bury<S: Stores, R = NoRequests> {
    /// Where chunks wait and outcomes are kept, and batch state.
    pub batches: Batches<S>,
    /// The name of the bucket that inputs are uploaded to; events from any other are parked.
    pub input_bucket: String,
    /// The channel for messages that no stage can work on.
    pub parked: S::Channel,
    /// The time.
    pub clock: S::Clock,
    /// The variant's name.
    pub variant: String,
    /// What became of records that were sent one at a time.
    pub requests: R,
}

impl<S: Stores> Bury<S> {
    /// The same for a pipeline that takes records one at a time.
    pub fn with_requests<R: Requests>(self, requests: R) -> Bury<S, R> {
        let Self { batches, input_bucket, parked, clock, variant, .. } = self;
        Bury { batches, input_bucket, parked, clock, variant, requests }
    }
}

/// What a dead letter asked for.
#[derive(Debug)]
pub enum Letter {
    /// To process a chunk.
    Chunk(Box<ProcessMessage>),
    /// To scatter what was uploaded.
    Scatter(Vec<Created>),
    /// To scatter a redrive.
    Redrive(BatchId),
    /// To gather a batch.
    Gather(GatherMessage),
    /// To end a batch whose map failed.
    Map(Box<MapFailure>),
    /// To store a record that was sent by itself.
    Record(Box<RecordMessage>),
    /// Nothing that fanfold asks for.
    Unknown,
}

impl Letter {
    fn parse(body: &str) -> Self {
        let created = |notice| match notice {
            Notice::Created(created) => Some(created),
            Notice::Nothing(_) => None,
        };
        let scatter = || s3_event::parse(body).ok();
        None.or_else(|| claim_check::parse(body).ok().flatten().map(|check| Self::Chunk(Box::new(check))))
            .or_else(|| GatherMessage::parse(body).ok().map(Self::Gather))
            .or_else(|| RedriveMessage::parse(body).ok().map(|message| Self::Redrive(message.redrive)))
            .or_else(|| MapFailure::parse(body).ok().map(|failure| Self::Map(Box::new(failure))))
            .or_else(|| RecordMessage::parse(body).ok().map(|message| Self::Record(Box::new(message))))
            .or_else(|| scatter().map(|notices| Self::Scatter(notices.into_iter().filter_map(created).collect())))
            .unwrap_or(Self::Unknown)
    }
}

/// Ends a request whose record could not be stored, unless it has ended: then its end was only not told. If its id belongs to
/// another record, that is told.
///
/// # Errors
/// Those of the table.
pub async fn give_up<R: Requests>(requests: &R, message: &RecordMessage, now: Timestamp) -> Result<()> {
    let request = Request::accepted(message);
    let noted = requests.read(&message.id, now).await?;
    if noted.as_ref().is_some_and(|noted| noted.digest != request.digest) {
        return requests.note_conflict(&message.id, Timestamp(message.at)).await;
    }
    let reason = noted.and_then(|noted| noted.reason).unwrap_or_else(|| SILENCE.to_owned());
    match requests.write(&request.failed(format!("{reason} (tried {MOST_TRIES} times)"))).await? {
        true => Ok(()),
        false => requests.note_conflict(&message.id, Timestamp(message.at)).await,
    }
}

impl<S: Stores, R: Requests> Stage for Bury<S, R> {
    const NAME: &'static str = "bury";

    type Message = Letter;

    fn parse(&self, body: &str) -> Result<Option<Letter>> {
        Ok(Some(Letter::parse(body)))
    }

    fn subject(letter: &Letter) -> Option<Subject> {
        let (batch, part) = match letter {
            Letter::Chunk(message) => (message.batch_id.clone(), Part::Chunk(message.chunk)),
            Letter::Gather(message) => (message.batch_id.clone(), Part::Gather),
            Letter::Redrive(batch) => (batch.clone(), Part::Scatter),
            Letter::Map(failure) => (failure.map.clone(), Part::Scatter),
            Letter::Scatter(created) => (created.first()?.batch(), Part::Scatter),
            Letter::Record(_) | Letter::Unknown => return None,
        };
        Some(Subject { batch, part })
    }

    async fn handle(&self, received: &Received<'_, Letter>, _deadline: Timestamp) -> Disposition {
        let Delivery { body, attempt, .. } = received.delivery;
        let early = late::again(received.delivery, self.clock.now()).is_some();
        let done = match &received.message {
            Letter::Chunk(message) => self.bury_chunk(message, *attempt, early).await,
            Letter::Scatter(uploads) => self.bury_scatter(uploads, *attempt).await,
            Letter::Redrive(batch) => self.bury_redrive(batch, *attempt).await,
            Letter::Gather(message) => self.bury_gather(message).await,
            Letter::Map(failure) => self.bury_map(failure).await,
            Letter::Record(message) => {
                give_up(&self.requests, message, self.clock.now()).await.map(|()| Disposition::Done)
            }
            Letter::Unknown => Err(Error::malformed("the message has no form that fanfold knows")),
        };
        match done {
            Ok(disposition) => disposition,
            Err(error) if error.kind == ErrorKind::Malformed => self.park(body, &error.to_string()).await.into(),
            Err(error) => Disposition::Retry(error),
        }
    }
}

impl<S: Stores, R: Requests> Bury<S, R> {
    /// Ends a chunk. Records that are missing or may not be read are an error as long as it is `early`: a policy that
    /// takes a while to spread must cost no record.
    async fn bury_chunk(&self, message: &ProcessMessage, attempt: u32, early: bool) -> Result<Disposition> {
        let id = &message.batch_id;
        let progress = match self.batches.find_one(message).await {
            Ok(Found::Done(progress)) => progress,
            Ok(Found::Stray(reason)) => return Ok(Disposition::Discarded(reason.to_owned())),
            Ok(Found::Missing(reason)) if early => return Err(Error::missing(reason)),
            Ok(Found::Pending(_) | Found::Stopped(_) | Found::Missing(_) | Found::Gone(_)) => {
                self.end_chunk(message, attempt, early, None).await?
            }
            // The chunk is neither pending nor done, or not readable: if that persists, its records are gone.
            Err(error) if matches!(error.kind, ErrorKind::Transient | ErrorKind::Internal) => {
                self.end_chunk(message, attempt, early, None).await?
            }
            Err(error) if !early && is_refused(&error) => self.end_chunk(message, attempt, early, Some(error)).await?,
            Err(error) => return Err(error),
        };
        self.batches.announce(id, progress).await?;
        Ok(Disposition::Done)
    }

    async fn end_chunk(
        &self,
        message: &ProcessMessage,
        attempt: u32,
        early: bool,
        refused: Option<Error>,
    ) -> Result<Progress> {
        let (id, chunk) = (&message.batch_id, message.chunk);
        let reason = match refused {
            Some(error) => format!("the chunk's records may not be read: {error}"),
            None => self.reason(id, Part::Chunk(chunk), "the chunk could not be processed", attempt).await?,
        };
        self.batches.bury(id, chunk, message.claim().as_ref(), &reason, early, self.clock.now()).await
    }

    async fn bury_scatter(&self, uploads: &[Created], attempt: u32) -> Result<Disposition> {
        for created in uploads {
            if created.bucket != self.input_bucket {
                return Err(Error::malformed(format!("the event is about another bucket: {}", created.bucket)));
            }
            let id = created.batch();
            let batch = match self.batches.ledger.read(&id).await? {
                Some(batch) => batch,
                None => {
                    let opening = created.opening(&self.variant, self.batches.condition, self.clock.now());
                    self.batches.ledger.open(&opening).await?;
                    Batch::opened(opening)
                }
            };
            self.end_scatter(&batch, attempt).await?;
        }
        Ok(Disposition::Done)
    }

    async fn bury_redrive(&self, id: &BatchId, attempt: u32) -> Result<Disposition> {
        let batch = self.batches.ledger.read(id).await?;
        let batch = batch.ok_or_else(|| Error::malformed(format!("the redrive {id} never began")))?;
        self.end_scatter(&batch, attempt).await?;
        Ok(Disposition::Done)
    }

    /// Ends a batch whose input could not be cut. The chunks that were cut are still processed; sweep sees to that.
    async fn end_scatter(&self, batch: &Batch, attempt: u32) -> Result<()> {
        let id = &batch.opening.id;
        let progress = match &batch.sealing {
            Some(_) => self.batches.resume(batch).await?.0,
            None => {
                let reason = self.reason(id, Part::Scatter, "the file could not be scattered", attempt).await?;
                tracing::error!(batch_id = %id, %reason, "batch sealed by force");
                self.batches.seal_by_force(id, Fault::new(FaultCode::ScatterFailed, reason), self.clock.now()).await?
            }
        };
        self.batches.announce(id, progress).await
    }

    async fn bury_gather(&self, message: &GatherMessage) -> Result<Disposition> {
        let id = &message.batch_id;
        match self.batches.ledger.read(id).await? {
            Some(batch) if batch.state.is_final() => Ok(Disposition::Discarded("the batch is closed".to_owned())),
            // Whoever knows that the batch is complete has announced it.
            Some(_) if message.if_complete => Ok(Disposition::Discarded("it was a question".to_owned())),
            _ => {
                let reason = self.reason(id, Part::Gather, "the outputs could not be written", 0).await?;
                Err(Error::malformed(reason))
            }
        }
    }

    /// Stops a batch whose map failed, unless all chunks are done: nobody else runs workers for those that are left, which sweep
    /// ends at once.
    async fn bury_map(&self, failure: &MapFailure) -> Result<Disposition> {
        let (id, now) = (&failure.map, self.clock.now());
        let Some(batch) = self.batches.ledger.read(id).await? else {
            return Err(Error::malformed(format!("a map failed of batch {id}, which the ledger does not know")));
        };
        if self.batches.is_complete(&batch).await? {
            return Ok(Disposition::Discarded(format!("batch {id} is complete without its map: {}", failure.failed)));
        }
        let fault = Fault::new(FaultCode::MapFailed, failure.failed.to_string());
        tracing::error!(batch_id = %id, fault = %fault.message, "batch stopped: its map failed");
        self.batches.ledger.stop(id, &Stop { state: BatchState::Failed, fault, at: now }).await?;
        Ok(Disposition::Done)
    }

    /// Sets a message aside for people to look at.
    async fn park(&self, body: &str, reason: &str) -> Result<Disposition> {
        tracing::error!(%reason, "message parked");
        self.parked.send(vec![Outgoing::new(body.to_owned())]).await?;
        Ok(Disposition::Done)
    }

    /// Says what could not be done, how often it was tried and what the last error was.
    async fn reason(&self, batch: &BatchId, part: Part, what: &str, received: u32) -> Result<String> {
        let last = self.batches.ledger.last_failure(batch, part).await?;
        // A letter that SQS moved has the count of its receives; one that a function sent has a count of its own.
        let attempts = last.as_ref().map_or(received.saturating_sub(1), |last| last.attempt);
        let said = match last {
            Some(last) if last.message != SILENCE => format!("the last error: {}", last.message),
            _ => SILENCE.to_owned(),
        };
        Ok(format!("{what}: received {attempts} times; {said}"))
    }
}
