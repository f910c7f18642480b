//! The splitter: cuts an uploaded file into chunks, sends a claim check for each, and seals the
//! batch when the last one is sent.

pub mod cut;
pub mod entries;
pub mod limit;
mod manifest;
pub mod objects;
pub mod redrive;
pub mod rows;
mod send;
pub mod split;

use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures::stream::{self, BoxStream, StreamExt, TryStreamExt};

use crate::batch::Batches;
use crate::batch::dispatch::Dispatch;
use crate::batch::outcomes::{self, Outcomes};
use crate::batch::rules::Deployed;
use crate::format::detect;
use crate::intake::s3_event::{self, Created, Notice};
use crate::model::error::{Error, ErrorKind, Result};
use crate::model::fair::FairBy;
use crate::model::fault::{Fault, FaultCode};
use crate::model::format::settings::FormatSettings;
use crate::model::format::{InputFormat, Layout};
use crate::model::ids::BatchId;
use crate::model::limits::Limits;
use crate::model::manifest::is_manifest;
use crate::model::message::RedriveMessage;
use crate::model::progress::{Batch, Opening, Stop};
use crate::model::timestamp::Timestamp;
use crate::stage::reception::Timetable;
use crate::stage::scatter::cut::{Cut, Cutter, End};
use crate::stage::scatter::entries::EntryCutter;
use crate::stage::scatter::limit::Budget;
use crate::stage::scatter::objects::Listed;
use crate::stage::scatter::rows::{Pinned, RowReader};
use crate::stage::scatter::split::{RangeSplitter, Splitter};
use crate::stage::{Disposition, Received, Stage, Subject, late};
use crate::store::blob::{Pin, sections};
use crate::store::channel::Delivery;
use crate::store::ledger::{Ledger, OpenResult, Part};
use crate::store::{Clock, Stores};

/// How long scatter works between two bookmarks, unless it is told otherwise.
pub const BOOKMARK_AFTER: Duration = Duration::from_secs(20);

/// What a batch is made of, chunk by chunk.
type Cuts<'a> = BoxStream<'a, Result<Cut>>;

/// The scatter stage.
pub struct Scatter<S: Stores> {
    /// The bucket that inputs are uploaded to.
    pub input: S::Blob,
    /// The name of that bucket; events from any other are refused.
    pub input_bucket: String,
    /// The work bucket, where what is known of the objects of a batch is kept.
    pub work: S::Blob,
    /// The channel to the workers.
    pub workers: Dispatch<S::Channel>,
    /// Where chunks wait, and batch state.
    pub batches: Batches<S>,
    /// The time.
    pub clock: S::Clock,
    /// The variant's name.
    pub variant: String,
    /// What records have to be, for batches that begin now.
    pub rules: Deployed,
    /// How files are read.
    pub format: FormatSettings,
    /// Records in a chunk.
    pub chunk_size: usize,
    /// Chunks that are written at once.
    pub width: usize,
    /// Whether chunks are ranges of the input, where it can be read in ranges.
    pub ranged: bool,
    /// What reads Parquet files; without it, they end their batches with a fault.
    pub rows: Option<Arc<dyn RowReader>>,
    /// How much work one batch may make.
    pub limits: Limits,
    /// How long it works between two bookmarks.
    pub bookmark_after: Duration,
}

/// What scatter is asked to do.
#[derive(Debug)]
pub enum Order {
    /// To cut uploads into chunks.
    Scatter(Vec<Notice>),
    /// To cut the records that failed into chunks again, as this generation.
    Redrive(RedriveMessage),
}

impl<S: Stores> Stage for Scatter<S> {
    const NAME: &'static str = "scatter";

    type Message = Order;

    fn parse(&self, body: &str) -> Result<Option<Order>> {
        match RedriveMessage::parse(body) {
            Ok(message) => Ok(Some(Order::Redrive(message))),
            Err(_) => s3_event::parse(body).map(|notices| Some(Order::Scatter(notices))),
        }
    }

    fn subject(order: &Order) -> Option<Subject> {
        let batch = match order {
            Order::Redrive(message) => Some(message.redrive.clone()),
            Order::Scatter(notices) => notices.iter().find_map(|notice| match notice {
                Notice::Created(created) => Some(created.batch()),
                Notice::Nothing(_) => None,
            }),
        };
        batch.map(|batch| Subject { batch, part: Part::Scatter })
    }

    async fn handle(&self, received: &Received<'_, Order>, deadline: Timestamp) -> Disposition {
        let (now, Received { message, delivery, .. }) = (self.clock.now(), received);
        let (again, until) = (late::again(delivery, now), Timetable::new(now, deadline).handover());
        late::concluded(self.take(message, delivery, again.is_some(), until).await, again)
    }
}

/// Checks that a batch which is not sealed was begun by a scatter. Bury begins one, without rules, only to seal it in the
/// stead of a scatter that was given up; workers of several deployments would judge its records differently.
fn has_rules(batch: &Batch) -> Result<()> {
    let told = || Error::conflict("the batch was begun without rules, and is ended without its records");
    batch.opening.rules.as_ref().map(drop).ok_or_else(told)
}

/// The error for an upload that is not there.
fn unread(created: &Created) -> Error {
    Error::missing(format!("s3://{}/{} could not be read", created.bucket, created.key))
}

impl<S: Stores> Scatter<S> {
    /// Sets what reads Parquet files.
    #[must_use]
    pub fn with_rows(self, rows: Option<Arc<dyn RowReader>>) -> Self {
        Self { rows, ..self }
    }

    /// Sets how long it works between two bookmarks.
    #[must_use]
    pub fn with_bookmarks_after(self, bookmark_after: Duration) -> Self {
        Self { bookmark_after, ..self }
    }

    /// Sets what shares the workers.
    #[must_use]
    pub fn with_fair_by(mut self, fair_by: FairBy) -> Self {
        self.workers.fair_by = fair_by;
        self
    }

    /// Sets how much work one batch may make.
    #[must_use]
    pub fn with_limits(self, limits: Limits) -> Self {
        Self { limits, ..self }
    }

    /// Works on an order until `until`. Missing objects are an error as long as it is `early`, and after that end their
    /// batch.
    async fn take(&self, order: &Order, delivery: &Delivery, early: bool, until: Timestamp) -> Result<Disposition> {
        let notices = match order {
            Order::Redrive(message) => return self.redrive(message, until).await,
            Order::Scatter(notices) => notices,
        };
        let mut last = Disposition::Done;
        for notice in notices {
            last = match notice {
                Notice::Nothing(reason) => Disposition::Discarded(reason.clone()),
                Notice::Created(created) => match self.scatter(created, early, until).await {
                    Err(error) if error.kind == ErrorKind::Missing => {
                        self.miss(created, error, delivery, early).await?;
                        Disposition::Done
                    }
                    scattered => scattered?,
                },
            };
            if matches!(last, Disposition::Later(..)) {
                break;
            }
        }
        Ok(last)
    }

    /// Scatters one upload, as far as there is time until `until`, or says why there is nothing to do.
    async fn scatter(&self, created: &Created, early: bool, until: Timestamp) -> Result<Disposition> {
        if created.bucket != self.input_bucket {
            return Err(Error::malformed(format!("the event is about another bucket: {}", created.bucket)));
        }
        // What began before it was ignored goes on.
        if let Some(pattern) = self.format.ignored(&created.key)
            && self.batches.ledger.read(&created.batch()).await?.is_none()
        {
            return Ok(Disposition::Discarded(format!("the name matches {pattern:?}, which is ignored")));
        }
        let mut opening = Opening {
            chunk_size: u32::try_from(self.chunk_size).unwrap_or(u32::MAX),
            rules: Some(self.rules.keep(&self.batches).await?),
            ..created.opening(&self.variant, self.batches.condition, self.clock.now())
        };
        if is_manifest(&created.key) {
            return self.scatter_objects(created, opening, early, until).await;
        }
        let body = match self.body(&opening, 0).await {
            Ok(Some(body)) => body,
            Ok(None) => return Err(unread(created)),
            Err(error) if error.kind == ErrorKind::Conflict => {
                return self.end_unread(created, error.to_string()).await.map(|()| Disposition::Done);
            }
            Err(error) => return Err(error),
        };
        let (head, body) = with_head(body).await?;
        let found = detect::detect(&created.key, &head, &self.format);
        if let Ok(format) = &found {
            opening.ranged = self.ranged && format.is_in_place();
            opening.input.found(format.clone());
        }
        let batch = self.open(&opening).await?;
        if let Some(ended) = self.end_again(&batch).await? {
            return Ok(ended);
        }
        has_rules(&batch)?;
        // A scatter with other settings may have begun the batch.
        let rules = self.rules.of(&self.batches, batch.opening.rules.as_deref()).await?;
        // What is under way is read as it was begun.
        let found = if batch.bookmark.is_some() { Ok(batch.opening.input.format()?) } else { found };
        let cuts = match (found, rules) {
            (Ok(_), Ok(rules)) => self.cuts(&batch, &batch.opening.input.format()?, &rules.key_field, body).await?,
            (Err(fault), _) | (_, Err(fault)) => nothing(&batch, fault),
        };
        self.run(&batch, cuts, Listed::default(), until).await
    }

    /// Opens an upload; `None` if it is not there.
    async fn body(&self, opening: &Opening, from: u64) -> Result<Option<BoxStream<'_, Result<Bytes>>>> {
        let source = opening.input.source();
        let pin = Pin::of(&source);
        sections::read(&self.input, source.key, pin, from, self.width).await
    }

    /// Decides about an upload that is missing: what was sealed before goes on, and the rest of it is an error as long as it
    /// is `early`, and after that ends its batch.
    async fn miss(&self, created: &Created, error: Error, delivery: &Delivery, early: bool) -> Result<()> {
        match self.batches.ledger.read(&created.batch()).await? {
            Some(batch) if batch.sealing.is_some() => self.resume(&batch).await,
            _ if early => Err(error),
            _ => self.end_unread(created, late::told(delivery, &error)).await,
        }
    }

    /// Ends the batch of an upload that cannot be read, so that whoever waits for it learns why. What another scatter cut
    /// of it stays.
    async fn end_unread(&self, created: &Created, why: String) -> Result<()> {
        let opening = created.opening(&self.variant, self.batches.condition, self.clock.now());
        let batch = self.open(&opening).await?;
        if batch.sealing.is_some() {
            return self.resume(&batch).await;
        }
        let id = &opening.id;
        tracing::error!(batch_id = %id, %why, "batch ended without its upload");
        self.end_by_force(id, Fault::new(FaultCode::UnavailableObject, why)).await.map(drop)
    }

    /// Ends a batch of which nothing more is to be cut: it was sealed, or was stopped while it was under way. `None` if
    /// there is more to do. A batch with too many failures, or whose map failed, is cut to its end: what is left of it is to be redriven once
    /// the cause is mended, and a redrive takes the records of chunks.
    async fn end_again(&self, batch: &Batch) -> Result<Option<Disposition>> {
        if batch.sealing.is_some() {
            return self.resume(batch).await.map(|()| Some(Disposition::Done));
        }
        let goes_on = |stop: &&Stop| matches!(stop.fault.code, FaultCode::TooManyFailures | FaultCode::MapFailed);
        match batch.stop.as_ref().filter(|stop| batch.bookmark.is_some() && !goes_on(stop)) {
            Some(stop) => self.end_by_force(&batch.opening.id, stop.fault.clone()).await.map(Some),
            None => Ok(None),
        }
    }

    /// Ends a batch with the chunks that were made of it.
    async fn end_by_force(&self, id: &BatchId, fault: Fault) -> Result<Disposition> {
        let progress = self.batches.seal_by_force(id, fault, self.clock.now()).await?;
        self.batches.announce(id, progress).await?;
        Ok(Disposition::Done)
    }

    /// Cuts an input into chunks, the way it was begun: a scatter with other settings may have died over it. Goes on from
    /// the batch's bookmark.
    async fn cuts<'a>(
        &'a self,
        batch: &Batch,
        format: &InputFormat,
        key_field: &str,
        body: BoxStream<'a, Result<Bytes>>,
    ) -> Result<Cuts<'a>> {
        let Batch { opening, bookmark, .. } = batch;
        let budget = self.budget(opening);
        let chunk_size = if opening.chunk_size == 0 { self.chunk_size } else { opening.chunk_size as usize };
        if format.layout == Layout::Parquet {
            drop(body);
            let Some(reader) = &self.rows else { return Ok(nothing(batch, detect::unread_parquet())) };
            let source = opening.input.source();
            let pin = Pin::of(&source);
            let first = bookmark.map_or(0, |bookmark| bookmark.record);
            let file = Pinned::open(&self.input, source.key, pin).await?.ok_or_else(|| gone(opening))?;
            let entries = reader.entries(Box::new(file), first);
            return Ok(EntryCutter::new(entries, chunk_size, budget, None).from(bookmark.as_ref()).stream());
        }
        // How far a compressed file was read says little about what is to come.
        let budget = if format.compression.is_none() { budget.of_size(opening.input.bytes) } else { budget };
        let rest = match bookmark {
            Some(bookmark) => {
                let from = if format.is_in_place() { bookmark.place.offset } else { 0 };
                Some((bookmark, self.body(opening, from).await?.ok_or_else(|| gone(opening))?))
            }
            None => None,
        };
        if opening.ranged {
            let mut cutter = RangeSplitter::new(body, format, key_field, chunk_size, budget);
            if let Some((bookmark, rest)) = rest {
                cutter.seek(bookmark, rest).await?;
            }
            return Ok(cutter.stream());
        }
        let mut cutter = Splitter::new(body, format, key_field, chunk_size, budget);
        if let Some((bookmark, rest)) = rest {
            cutter.seek(bookmark, rest).await?;
        }
        Ok(cutter.stream())
    }

    /// What a batch may make.
    fn budget(&self, opening: &Opening) -> Budget {
        let condition = self.batches.condition;
        let tariff = self.workers.fan_out.tariff(self.batches.chunks.waiting(opening.ranged), condition);
        Budget::new(condition.most_chunks(), self.limits, tariff)
    }

    /// Scatters the records that failed in the generations before this one, as far as there is time until `until`, or says
    /// why there is nothing to do.
    async fn redrive(&self, order: &RedriveMessage, until: Timestamp) -> Result<Disposition> {
        let id = &order.redrive;
        let Some(before) = id.generation().checked_sub(1) else {
            return Err(Error::malformed(format!("{id} names no generation that a redrive could make")));
        };
        let first = self.batches.ledger.read(&id.in_generation(0)).await?.filter(Batch::is_redrivable);
        let before = self.batches.ledger.read(&id.in_generation(before)).await?;
        let (Some(first), Some(before)) = (first, before.filter(|batch| batch.state.is_final())) else {
            return Ok(Disposition::Discarded(format!("the generation before {id} is not one that can be redriven")));
        };
        let opening = Opening {
            id: id.clone(),
            started_at: self.clock.now(),
            // The failed records lie scattered over the input, so they are copied.
            ranged: false,
            only: order.reason.clone(),
            chunk_size: u32::try_from(self.chunk_size).unwrap_or(u32::MAX),
            rules: Some(self.rules.keep(&self.batches).await?),
            ..first.opening
        };
        let batch = self.open(&opening).await?;
        if let Some(ended) = self.end_again(&batch).await? {
            return Ok(ended);
        }
        if let Err(fault) = self.rules.of(&self.batches, batch.opening.rules.as_deref()).await? {
            return self.run(&batch, nothing(&batch, fault), Listed::default(), until).await;
        }
        let generations = outcomes::generations(&self.batches, &before).await?;
        let outcomes = Outcomes::failed(&self.batches, &generations, Vec::new(), self.width);
        let columns = first.sealing.and_then(|sealing| sealing.columns);
        let chunk_size = batch.opening.chunk_size as usize;
        let budget = self.budget(&batch.opening);
        let cuts = EntryCutter::new(redrive::failed(outcomes, batch.opening.only.clone()), chunk_size, budget, columns);
        self.run(&batch, cuts.from(batch.bookmark.as_ref()).stream(), Listed::default(), until).await
    }

    async fn open(&self, opening: &Opening) -> Result<Batch> {
        Ok(match self.batches.ledger.open(opening).await? {
            OpenResult::Created => Batch::opened(opening.clone()),
            OpenResult::Existing(batch) => *batch,
        })
    }
}

/// The error for an upload that is no longer there.
fn gone(opening: &Opening) -> Error {
    Error::missing(format!("{} was deleted while it was read", opening.input.key))
}

/// The cuts of an input of which nothing can be read, or nothing more.
fn nothing<'a>(batch: &Batch, fault: Fault) -> Cuts<'a> {
    let mut end = End::new(None, Some(fault));
    batch.bookmark.iter().for_each(|bookmark| end.seek(bookmark));
    stream::iter([Ok(Cut::End(end))]).boxed()
}

/// Reads the beginning of a file, and returns it with the whole.
async fn with_head(mut body: BoxStream<'_, Result<Bytes>>) -> Result<(Bytes, BoxStream<'_, Result<Bytes>>)> {
    let (mut head, mut first) = (BytesMut::new(), Vec::new());
    while head.len() < detect::HEAD {
        let Some(piece) = body.try_next().await? else {
            break;
        };
        head.extend_from_slice(&piece[..piece.len().min(detect::HEAD - head.len())]);
        first.push(Ok(piece));
    }
    Ok((head.freeze(), stream::iter(first).chain(body).boxed()))
}
