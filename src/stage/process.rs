//! The competing consumers: validate the records of a chunk, write their items, keep their
//! outcomes, and mark the chunk as done.
//!
//! The order is what makes a crash harmless: all item writes → the chunk's result → the mark → the
//! pending records are deleted. Whatever is interrupted comes again, and a chunk that bears its
//! mark is not worked on twice.

use std::collections::HashMap;

use crate::batch::chunks::Kept;
use crate::batch::concurrent::bounded;
use crate::batch::find::{Batches, Found};
use crate::model::error::{Error, Result};
use crate::model::ids::ChunkIndex;
use crate::model::item::Item;
use crate::model::message::ProcessMessage;
use crate::model::progress::Tally;
use crate::model::record::{self, Entry};
use crate::model::schema::{RecordSchema, Valid};
use crate::model::timestamp::Timestamp;
use crate::stage::{Outcome, Stage, Subject};
use crate::store::channel::Delivery;
use crate::store::items::Items;
use crate::store::ledger::Part;
use crate::store::ledger::tree::Progress;
use crate::store::{Clock, Stores};

/// The process stage.
pub struct Process<S: Stores> {
    /// Where chunks wait and results are kept, and batch state.
    pub batches: Batches<S>,
    /// The items table.
    pub items: S::Items,
    /// The time.
    pub clock: S::Clock,
    /// What a valid record is.
    pub schema: RecordSchema,
    /// Calls under way at once.
    pub width: usize,
}

/// Records and messages that are worked on together at most.
const PACK_RECORDS: u32 = 2500;
const PACK_MESSAGES: usize = 16;

impl<S: Stores> Stage for Process<S> {
    const NAME: &'static str = "process";

    fn subject(&self, body: &str) -> Option<Subject> {
        let message = ProcessMessage::parse(body).ok()?;
        Some(Subject { batch: message.batch_id, part: Part::Chunk(message.chunk) })
    }

    async fn handle(&self, delivery: &Delivery, deadline: Timestamp) -> Outcome {
        let outcome = self.handle_pack(&[delivery], deadline).await.pop();
        outcome.unwrap_or_else(|| Outcome::Retry(Error::internal("a message had no outcome")))
    }

    /// Messages of one batch, as many as fill requests without taking much memory.
    fn packs<'a>(&self, deliveries: &[&'a Delivery]) -> Vec<Vec<&'a Delivery>> {
        // Where calls follow one another, so do messages.
        if self.width == 1 {
            return deliveries.iter().map(|delivery| vec![*delivery]).collect();
        }
        let mut packs: Vec<(Option<ProcessMessage>, u32, Vec<&Delivery>)> = Vec::new();
        for delivery in deliveries {
            let message = ProcessMessage::parse(&delivery.body).ok();
            let records = message.as_ref().map_or(0, |message| message.records);
            let room = packs.iter_mut().find(|(first, held, pack)| {
                let same = first.as_ref().zip(message.as_ref()).is_some_and(|(a, b)| a.batch_id == b.batch_id);
                same && held + records <= PACK_RECORDS && pack.len() < PACK_MESSAGES
            });
            match room {
                Some((_, held, pack)) => {
                    *held += records;
                    pack.push(*delivery);
                }
                None => packs.push((message, records, vec![*delivery])),
            }
        }
        packs.into_iter().map(|(_, _, pack)| pack).collect()
    }

    async fn handle_pack(&self, deliveries: &[&Delivery], _deadline: Timestamp) -> Vec<Outcome> {
        let parsed: Vec<Result<ProcessMessage>> =
            deliveries.iter().map(|delivery| ProcessMessage::parse(&delivery.body)).collect();
        let messages: Vec<&ProcessMessage> = parsed.iter().filter_map(|message| message.as_ref().ok()).collect();
        let mut taken = self.take(&messages).await.into_iter();
        let outcome = |message: &Result<ProcessMessage>| match message {
            Ok(_) => taken.next().unwrap_or_else(|| Err(Error::internal("a message had no outcome"))),
            Err(error) => Err(error.again()),
        };
        parsed.iter().map(outcome).map(Outcome::from).collect()
    }
}

/// What is to be done for a message, once its items are written.
enum Step<'a> {
    /// The chunk's outcomes are to be kept.
    Keep(&'a ProcessMessage, Job),
    /// Nothing was to be written for it.
    End(&'a ProcessMessage, Result<Found>),
}

/// A chunk that is worked on.
struct Job {
    entries: Vec<Entry>,
    /// Of each record its key, if it may be stored.
    keys: Vec<Option<String>>,
    /// Of each record why it is not stored.
    failures: Vec<Option<String>>,
}

/// The items of several chunks, in the order in which they have to be written. A batch of writes must
/// not name a key twice: of a chunk's items with one key the last stays, and those of different chunks
/// go into different waves.
#[derive(Default)]
struct Pack {
    waves: Vec<Wave>,
}

#[derive(Default)]
struct Wave {
    items: Vec<Item>,
    /// The chunk of each item.
    chunks: Vec<ChunkIndex>,
    places: HashMap<String, usize>,
}

impl Pack {
    fn add(&mut self, chunk: ChunkIndex, item: Item) {
        for wave in &mut self.waves {
            match wave.places.get(&item.key) {
                Some(&place) if wave.chunks[place] == chunk => {
                    wave.items[place] = item;
                    return;
                }
                Some(_) => {}
                None => return wave.push(chunk, item),
            }
        }
        let mut wave = Wave::default();
        wave.push(chunk, item);
        self.waves.push(wave);
    }
}

impl Wave {
    fn push(&mut self, chunk: ChunkIndex, item: Item) {
        self.places.insert(item.key.clone(), self.items.len());
        self.items.push(item);
        self.chunks.push(chunk);
    }
}

/// Why the table refuses items, by chunk and key.
type Refused = HashMap<(ChunkIndex, String), String>;

impl<S: Stores> Process<S> {
    /// Works on messages of one batch; says in their order what became of them.
    async fn take(&self, messages: &[&ProcessMessage]) -> Vec<Result<Outcome>> {
        let found = self.batches.find(messages, self.width).await;
        let mut pack = Pack::default();
        let steps: Vec<Step<'_>> = messages
            .iter()
            .zip(found)
            .map(|(message, found)| match found {
                Ok(Found::Pending(entries)) if entries.len() == message.records as usize => {
                    Step::Keep(message, self.plan(message, entries, &mut pack))
                }
                Ok(Found::Pending(entries)) => Step::End(message, Err(miscounted(message, entries.len()))),
                found => Step::End(message, found),
            })
            .collect();
        let refused = self.write(&pack).await;
        let ended = steps.into_iter().map(|step| self.end(step, &refused));
        bounded(ended.collect(), self.width).await
    }

    /// Writes the items of a pack, wave after wave.
    async fn write(&self, pack: &Pack) -> Result<Refused> {
        let mut refused = Refused::new();
        for wave in &pack.waves {
            for rejection in self.items.write(&wave.items).await? {
                let place = rejection.position;
                if let (Some(chunk), Some(item)) = (wave.chunks.get(place), wave.items.get(place)) {
                    refused.insert((*chunk, item.key.clone()), rejection.reason);
                }
            }
        }
        Ok(refused)
    }

    async fn end(&self, step: Step<'_>, refused: &Result<Refused>) -> Result<Outcome> {
        let (message, progress) = match step {
            Step::Keep(message, job) => {
                let refused = refused.as_ref().map_err(Error::again)?;
                let tally = self.keep(message, job, refused).await?;
                let (batch, chunk, succeeded, failed) =
                    (&message.batch_id, message.chunk, tally.succeeded, tally.failed);
                tracing::info!(batch_id = %batch, %chunk, succeeded, failed, "chunk written");
                (message, self.batches.finish(batch, chunk, tally, message.range.is_none(), self.clock.now()).await?)
            }
            Step::End(message, found) => match found? {
                Found::Stray(reason) => return Ok(Outcome::Discarded(reason.to_owned())),
                Found::Done(progress) => (message, progress),
                Found::Stopped(stop) => (message, self.bury(message, &stop.fault.message).await?),
                Found::Gone(reason) => (message, self.bury(message, &reason).await?),
                Found::Pending(_) => return Err(Error::internal("a chunk was found and not worked on")),
            },
        };
        self.batches.announce(&message.batch_id, progress).await?;
        Ok(Outcome::Done)
    }

    async fn bury(&self, message: &ProcessMessage, reason: &str) -> Result<Progress> {
        let claim = message.claim();
        self.batches.bury(&message.batch_id, message.chunk, claim.as_ref(), reason, self.clock.now()).await
    }

    /// Keeps the outcomes of a chunk whose items are written, but for those that were refused.
    async fn keep(&self, message: &ProcessMessage, job: Job, refused: &Refused) -> Result<Tally> {
        let Job { entries, keys, failures } = job;
        let outcomes = entries.into_iter().zip(keys).zip(failures).map(|((entry, key), failure)| {
            // The records that a refused one would have replaced were not written either.
            let refusal = || refused.get(&(message.chunk, key?)).cloned();
            record::Outcome::of(entry, failure.or_else(refusal))
        });
        let decision = if message.range.is_some() { Kept::excepted } else { Kept::worked }(outcomes.collect());
        let (batch, chunk) = (&message.batch_id, message.chunk);
        self.batches.chunks.decide(batch, chunk, decision, "", self.clock.now()).await
    }

    /// Decides for each record of a chunk whether it becomes an item.
    fn plan(&self, message: &ProcessMessage, entries: Vec<Entry>, pack: &mut Pack) -> Job {
        let updated_at = self.clock.now();
        let (mut keys, mut failures) = (Vec::with_capacity(entries.len()), Vec::with_capacity(entries.len()));
        for entry in &entries {
            match self.schema.check(entry, message.layout) {
                Ok(valid) => {
                    keys.push(Some(valid.key.clone()));
                    failures.push(None);
                    pack.add(message.chunk, item_of(valid, message, entry.index, updated_at));
                }
                Err(reason) => {
                    keys.push(None);
                    failures.push(Some(reason));
                }
            }
        }
        Job { entries, keys, failures }
    }
}

fn miscounted(message: &ProcessMessage, held: usize) -> Error {
    let (chunk, records) = (message.chunk, message.records);
    Error::internal(format!("chunk {chunk} holds {held} records, and its message says {records}"))
}

fn item_of(valid: Valid, message: &ProcessMessage, index: u64, updated_at: Timestamp) -> Item {
    let sequence = Timestamp(message.sequence);
    // Users know the batch by the name of its first generation.
    let batch = message.batch_id.in_generation(0);
    Item { key: valid.key, fields: valid.fields, batch, index, updated_at, sequence }
}
