//! The splitter: cuts an uploaded file into chunks, sends a claim check for each, and seals the
//! batch when the last one is sent.

pub mod cut;
pub mod entries;
pub mod limit;
mod manifest;
pub mod objects;
pub mod redrive;
pub mod rows;
pub mod split;

use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use futures::stream::{self, BoxStream, StreamExt, TryStreamExt};

use crate::batch::Batches;
use crate::batch::dispatch::{self, Dispatch};
use crate::batch::outcomes::{self, Outcomes};
use crate::batch::rules::Deployed;
use crate::format::detect;
use crate::intake::s3_event::{self, Created, Notice};
use crate::model::error::{Error, ErrorKind, Result};
use crate::model::fault::{Fault, FaultCode};
use crate::model::format::settings::FormatSettings;
use crate::model::format::{InputFormat, Layout};
use crate::model::ids::{BatchId, ChunkIndex};
use crate::model::limits::Limits;
use crate::model::manifest::{Object, is_manifest};
use crate::model::message::{ProcessMessage, RedriveMessage};
use crate::model::price::Tariff;
use crate::model::progress::{Batch, Opening, Sealing};
use crate::model::timestamp::Timestamp;
use crate::stage::scatter::cut::{Chunk, Cut, Cutter, End};
use crate::stage::scatter::entries::EntryCutter;
use crate::stage::scatter::limit::Budget;
use crate::stage::scatter::rows::{Pinned, RowReader};
use crate::stage::scatter::split::{RangeSplitter, Splitter};
use crate::stage::{Disposition, Received, Stage, Subject, late};
use crate::store::blob::{Pin, sections};
use crate::store::channel::Delivery;
use crate::store::ledger::{CLAIMS, Claims, Ledger, OpenResult, Part};
use crate::store::{Clock, Stores};

/// What a batch is made of, chunk by chunk.
type Cuts<'a> = BoxStream<'a, Result<Cut>>;

/// Claim checks that go out in one request.
const MESSAGES: usize = CLAIMS as usize;

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
}

/// What scatter is asked to do.
#[derive(Debug)]
pub enum Order {
    /// To cut uploads into chunks.
    Scatter(Vec<Notice>),
    /// To cut the records that failed into chunks again, as this generation.
    Redrive(BatchId),
}

impl<S: Stores> Stage for Scatter<S> {
    const NAME: &'static str = "scatter";

    type Message = Order;

    fn parse(&self, body: &str) -> Result<Option<Order>> {
        match RedriveMessage::parse(body) {
            Ok(message) => Ok(Some(Order::Redrive(message.redrive))),
            Err(_) => s3_event::parse(body).map(|notices| Some(Order::Scatter(notices))),
        }
    }

    fn subject(order: &Order) -> Option<Subject> {
        let batch = match order {
            Order::Redrive(batch) => Some(batch.clone()),
            Order::Scatter(notices) => notices.iter().find_map(|notice| match notice {
                Notice::Created(created) => Some(created.batch()),
                Notice::Nothing(_) => None,
            }),
        };
        batch.map(|batch| Subject { batch, part: Part::Scatter })
    }

    async fn handle(&self, received: &Received<'_, Order>, _deadline: Timestamp) -> Disposition {
        let again = late::again(received.delivery, self.clock.now());
        late::concluded(self.take(&received.message, received.delivery, again.is_some()).await, again)
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

    /// Sets how much work one batch may make.
    #[must_use]
    pub fn with_limits(self, limits: Limits) -> Self {
        Self { limits, ..self }
    }

    /// Works on an order. Missing objects are an error as long as it is `early`, and after that end their batch.
    async fn take(&self, order: &Order, delivery: &Delivery, early: bool) -> Result<Disposition> {
        let notices = match order {
            Order::Redrive(batch) => return self.redrive(batch).await,
            Order::Scatter(notices) => notices,
        };
        let mut discarded = None;
        for notice in notices {
            discarded = match notice {
                Notice::Nothing(reason) => Some(reason.clone()),
                Notice::Created(created) => match self.scatter(created, early).await {
                    Err(error) if error.kind == ErrorKind::Missing => {
                        self.miss(created, error, delivery, early).await?;
                        None
                    }
                    scattered => scattered?,
                },
            };
        }
        Ok(discarded.map_or(Disposition::Done, Disposition::Discarded))
    }

    /// Scatters one upload, or says why there is nothing to do.
    async fn scatter(&self, created: &Created, early: bool) -> Result<Option<String>> {
        if created.bucket != self.input_bucket {
            return Err(Error::malformed(format!("the event is about another bucket: {}", created.bucket)));
        }
        // What began before it was ignored goes on.
        if let Some(pattern) = self.format.ignored(&created.key)
            && self.batches.ledger.read(&created.batch()).await?.is_none()
        {
            return Ok(Some(format!("the name matches {pattern:?}, which is ignored")));
        }
        let mut opening = Opening {
            chunk_size: u32::try_from(self.chunk_size).unwrap_or(u32::MAX),
            rules: Some(self.rules.keep(&self.batches).await?),
            ..created.opening(&self.variant, self.batches.condition, self.clock.now())
        };
        if is_manifest(&created.key) {
            return self.scatter_objects(created, opening, early).await.map(|()| None);
        }
        let body =
            sections::read(&self.input, created.key.clone(), Pin::of(&opening.input.source()), 0, self.width).await;
        let body = match body {
            Ok(Some(body)) => body,
            Ok(None) => return Err(unread(created)),
            Err(error) if error.kind == ErrorKind::Conflict => {
                return self.end_unread(created, error.to_string()).await.map(|()| None);
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
        if batch.sealing.is_some() {
            return self.resume(&batch).await.map(|()| None);
        }
        has_rules(&batch)?;
        // A scatter with other settings may have begun the batch.
        let rules = self.rules.of(&self.batches, batch.opening.rules.as_deref()).await?;
        let cuts = match (found, rules) {
            (Ok(_), Ok(rules)) => {
                self.cuts(&batch.opening, &batch.opening.input.format()?, &rules.key_field, body).await?
            }
            (Err(fault), _) | (_, Err(fault)) => nothing(fault),
        };
        self.run(&batch.opening, cuts, &[]).await?;
        Ok(None)
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
        let fault = Fault::new(FaultCode::UnavailableObject, why);
        let progress = self.batches.seal_by_force(id, fault, self.clock.now()).await?;
        self.batches.announce(id, progress).await
    }

    /// Cuts an input into chunks, the way it was begun: a scatter with other settings may have died over it.
    async fn cuts<'a>(
        &'a self,
        opening: &Opening,
        format: &InputFormat,
        key_field: &str,
        body: BoxStream<'a, Result<Bytes>>,
    ) -> Result<Cuts<'a>> {
        let budget = self.budget(opening);
        let chunk_size = if opening.chunk_size == 0 { self.chunk_size } else { opening.chunk_size as usize };
        if format.layout == Layout::Parquet {
            drop(body);
            let Some(reader) = &self.rows else { return Ok(nothing(detect::unread_parquet())) };
            let source = opening.input.source();
            let pin = Pin::of(&source);
            let gone = || Error::missing(format!("{} was deleted while it was read", opening.input.key));
            let file = Pinned::open(&self.input, source.key, pin).await?.ok_or_else(gone)?;
            return Ok(EntryCutter::new(reader.entries(Box::new(file)), chunk_size, budget, None).stream());
        }
        // How far a compressed file was read says little about what is to come.
        let budget = if format.compression.is_none() { budget.of_size(opening.input.bytes) } else { budget };
        Ok(if opening.ranged {
            RangeSplitter::new(body, format, key_field, chunk_size, budget).stream()
        } else {
            Splitter::new(body, format, key_field, chunk_size, budget).stream()
        })
    }

    /// What a batch may make.
    fn budget(&self, opening: &Opening) -> Budget {
        let condition = self.batches.condition;
        let tariff = Tariff::of(self.batches.chunks.waiting(opening.ranged), condition);
        Budget::new(condition.most_chunks(), self.limits, tariff)
    }

    /// Scatters the records that failed in the generations before this one, or says why there is nothing to do.
    async fn redrive(&self, id: &BatchId) -> Result<Disposition> {
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
            chunk_size: u32::try_from(self.chunk_size).unwrap_or(u32::MAX),
            rules: Some(self.rules.keep(&self.batches).await?),
            ..first.opening
        };
        let batch = self.open(&opening).await?;
        if batch.sealing.is_some() {
            return self.resume(&batch).await.map(|()| Disposition::Done);
        }
        if let Err(fault) = self.rules.of(&self.batches, batch.opening.rules.as_deref()).await? {
            self.run(&batch.opening, nothing(fault), &[]).await?;
            return Ok(Disposition::Done);
        }
        let generations = outcomes::generations(&self.batches, &before).await?;
        let outcomes = Outcomes::failed(&self.batches, &generations, self.width);
        let columns = first.sealing.and_then(|sealing| sealing.columns);
        let chunk_size = batch.opening.chunk_size as usize;
        let budget = self.budget(&batch.opening);
        let cuts = EntryCutter::new(redrive::failed(outcomes), chunk_size, budget, columns);
        self.run(&batch.opening, cuts.stream(), &[]).await?;
        Ok(Disposition::Done)
    }

    async fn open(&self, opening: &Opening) -> Result<Batch> {
        Ok(match self.batches.ledger.open(opening).await? {
            OpenResult::Created => Batch::opened(opening.clone()),
            OpenResult::Existing(batch) => *batch,
        })
    }

    /// Finishes what the earlier scatter that sealed the batch may have left undone.
    async fn resume(&self, batch: &Batch) -> Result<()> {
        let (progress, waiting) = self.batches.resume(batch).await?;
        for chunks in waiting.chunks(MESSAGES) {
            self.send_again(&batch.opening, chunks).await?;
        }
        self.batches.announce(&batch.opening.id, progress).await
    }

    /// Sends the chunks of a batch, and seals it. `found` are the objects that it is made of, if there are many.
    async fn run(&self, opening: &Opening, cuts: Cuts<'_>, found: &[Object]) -> Result<()> {
        let id = &opening.id;
        let mut end =
            if opening.ranged { self.send_claims(opening, cuts).await? } else { self.send(opening, cuts).await? };
        if !found.is_empty() {
            crate::batch::objects::keep_read(&self.work, id, &end.objects).await?;
            end = manifest::ended(end, found);
        }
        tracing::info!(batch_id = %id, records = end.records, chunks = end.chunks, "batch scattered");
        let progress = self.batches.seal(id, &self.sealing(end)).await?;
        self.batches.announce(id, progress).await
    }

    /// Writes the claims of some chunks at a time, and then sends their claim checks. A repeat writes and sends the
    /// same again.
    async fn send_claims(&self, opening: &Opening, cuts: Cuts<'_>) -> Result<End> {
        let groups = cuts.try_chunks(MESSAGES).map_err(|error| error.1);
        let sent = groups.map_ok(|group| self.send_group(opening, group)).try_buffer_unordered(self.width);
        let ends: Vec<Option<End>> = sent.try_collect().await?;
        ends.into_iter().flatten().next().ok_or_else(|| Error::internal("the input had no end"))
    }

    async fn send_group(&self, opening: &Opening, group: Vec<Cut>) -> Result<Option<End>> {
        let (mut claims, mut checks, mut first, mut end) = (Vec::new(), Vec::new(), None, None);
        for cut in group {
            match cut {
                Cut::Claim(chunk, claim) => {
                    first.get_or_insert(chunk);
                    checks.push(dispatch::claimed(opening, chunk, &claim)?);
                    claims.push(claim);
                }
                Cut::Chunk(_) => return Err(Error::internal("a copied chunk among ranges")),
                Cut::End(last) => end = Some(last),
            }
        }
        if let Some(first) = first {
            let group = first.get() / CLAIMS;
            self.batches.ledger.put_claims(&opening.id, group, &claims, self.clock.now()).await?;
            self.workers.fan_out(checks).await?;
        }
        Ok(end)
    }

    async fn send_again(&self, opening: &Opening, chunks: &[ChunkIndex]) -> Result<()> {
        let mut checks = Vec::new();
        for &chunk in chunks {
            if let Some(entries) = self.batches.chunks.pending(&opening.id, chunk).await? {
                checks.push(dispatch::copied(opening, chunk, entries.len())?);
            }
        }
        self.workers.send(checks).await
    }

    /// Writes each chunk and then sends its claim check. A repeat writes and sends the same again.
    async fn send(&self, opening: &Opening, cuts: Cuts<'_>) -> Result<End> {
        let mut end = None;
        let sent = cuts.map_ok(|cut| async move {
            match cut {
                Cut::Chunk(chunk) => self.put(opening, chunk).await.map(Ok),
                Cut::Claim(..) => Err(Error::internal("a range among copied chunks")),
                Cut::End(end) => Ok(Err(end)),
            }
        });
        let mut groups = std::pin::pin!(sent.try_buffer_unordered(self.width).try_chunks(MESSAGES));
        while let Some(group) = groups.try_next().await.map_err(|e| e.1)? {
            let mut checks = Vec::with_capacity(group.len());
            for sent in group {
                match sent {
                    Ok(check) => checks.push(check),
                    Err(last) => end = Some(last),
                }
            }
            if !checks.is_empty() {
                self.workers.fan_out(checks).await?;
            }
        }
        end.ok_or_else(|| Error::internal("the input had no end"))
    }

    async fn put(&self, opening: &Opening, chunk: Chunk) -> Result<ProcessMessage> {
        self.batches.chunks.put(&opening.id, chunk.index, &chunk.entries, self.clock.now()).await?;
        dispatch::copied(opening, chunk.index, chunk.entries.len())
    }

    fn sealing(&self, end: End) -> Sealing {
        Sealing {
            records: Some(end.records),
            chunks: end.chunks,
            columns: end.columns,
            head: end.head,
            error: end.fault,
            scattered_at: self.clock.now(),
        }
    }
}

/// The cuts of an input of which nothing can be read.
fn nothing<'a>(fault: Fault) -> Cuts<'a> {
    stream::iter([Ok(Cut::End(End::new(None, Some(fault))))]).boxed()
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
