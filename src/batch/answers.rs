//! What was answered for the records of a chunk, kept from one try to the next: for work that should be done once for
//! each record, by functions that may die and messages that may come twice.
//!
//! A chunk has a log of objects in the work bucket, numbered from 0, each of which the first writer wins
//! (<https://docs.aws.amazon.com/AmazonS3/latest/userguide/conditional-writes.html>). The newest says which function has
//! the chunk, and until when: others leave it alone that long. The others hold what was answered.

use std::collections::BTreeMap;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::batch::chunks::MOST_AT_ONCE;
use crate::batch::concurrent::bounded;
use crate::model::answer::{Answer, Line, Tried};
use crate::model::error::{Error, Result};
use crate::model::ids::{BatchId, ChunkIndex};
use crate::model::timestamp::Timestamp;
use crate::store::blob::{Blob, list_all, read_all};

const JSON_LINES: &str = "application/jsonl";

/// Where answers are kept.
#[derive(Debug, Clone)]
pub struct Answers<B> {
    /// The work bucket.
    pub work: B,
    /// Whether a success is stored somewhere else once all of a chunk's records are answered. Then a chunk that is
    /// ended before that has no successes.
    pub stored: bool,
}

/// The first line of an object.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Header {
    /// The delivery that wrote it.
    owner: String,
    /// Until when that delivery has the chunk.
    until: Timestamp,
    /// When it was written.
    at: Timestamp,
}

/// What is known of a record.
#[derive(Debug, Clone, Default)]
struct Record {
    answer: Option<Answer>,
    tried: Tried,
    reason: String,
}

/// What is known of a chunk's records.
#[derive(Debug, Default)]
pub struct Known {
    records: BTreeMap<u64, Record>,
    holder: Option<Header>,
    idle_since: Option<Timestamp>,
    objects: u32,
}

impl Known {
    /// The final answer for a record, if there is one.
    pub fn answer(&self, index: u64) -> Option<&Answer> {
        self.records.get(&index)?.answer.as_ref()
    }

    /// The tries of a record that gave no final answer.
    pub fn tried(&self, index: u64) -> Tried {
        self.records.get(&index).map(|record| record.tried).unwrap_or_default()
    }

    /// Why a record that has no final answer failed the last time; `None` if it was not tried.
    pub fn reason(&self, index: u64) -> Option<&str> {
        let tried = self.records.get(&index).filter(|record| record.tried.times > 0)?;
        Some(&tried.reason)
    }

    /// Whether no record has an answer or a try.
    pub fn is_empty(&self) -> bool {
        self.records.is_empty()
    }

    /// Since when no record was tried or answered, although a function had the chunk.
    pub fn idle_since(&self) -> Option<Timestamp> {
        self.idle_since
    }

    /// Whether a function has had the chunk before the one that has it now.
    pub fn came_before(&self) -> bool {
        self.objects > 1
    }

    /// Until when another function has the chunk; `None` if none has.
    pub fn held_until(&self, now: Timestamp) -> Option<Timestamp> {
        self.holder.as_ref().map(|holder| holder.until).filter(|until| *until > now)
    }

    /// The first final answer of a record stays.
    fn add(&mut self, line: Line) {
        let record = self.records.entry(line.index).or_default();
        if record.answer.is_some() {
            return;
        }
        if line.success.is_none() {
            record.tried.times += 1;
            record.tried.unsure |= line.unsure;
            record.reason = line.message;
        } else {
            record.answer = line.into_answer();
        }
    }

    fn add_object(&mut self, object: &[u8]) -> Result<()> {
        let mut lines = object.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
        let unreadable = |e: serde_json::Error| {
            // Only the error's class: its message may quote an answer.
            Error::internal(format!("what was answered is not readable: {:?}", e.classify()))
        };
        let header = lines.next().unwrap_or_default();
        let header: Header = serde_json::from_slice(header).map_err(unreadable)?;
        let mut idle = true;
        for line in lines {
            idle = false;
            self.add(serde_json::from_slice(line).map_err(unreadable)?);
        }
        self.idle_since = self.idle_since.filter(|_| idle).or(Some(header.at));
        self.holder = Some(header);
        self.objects += 1;
        Ok(())
    }
}

/// Whether a function has a chunk.
#[derive(Debug)]
pub enum Lease {
    /// It has, and may go on with what is known.
    Acquired(Log),
    /// Another one has it until then.
    Held(Timestamp),
}

/// The log of a chunk, in the hands of the function that has it.
#[derive(Debug)]
pub struct Log {
    batch: BatchId,
    chunk: ChunkIndex,
    owner: String,
    until: Timestamp,
    /// What is known of its records.
    pub known: Known,
}

impl<B: Blob> Answers<B> {
    /// Takes a chunk for a delivery until a moment, unless another has it.
    ///
    /// # Errors
    /// Those of the bucket.
    pub async fn acquire(
        &self,
        batch: &BatchId,
        chunk: ChunkIndex,
        owner: &str,
        now: Timestamp,
        until: Timestamp,
    ) -> Result<Lease> {
        let mut log = Log { batch: batch.clone(), chunk, owner: owner.to_owned(), until, known: Known::default() };
        // As a rule, nobody had it before.
        if self.write(&log, &[], now, until).await? {
            log.known.wrote(&log.owner, now, until);
            return Ok(Lease::Acquired(log));
        }
        log.known = self.read(batch, chunk).await?;
        let held = log.known.holder.as_ref().filter(|holder| holder.until > now && holder.owner != owner);
        if let Some(holder) = held {
            return Ok(Lease::Held(holder.until));
        }
        if self.write(&log, &[], now, until).await? {
            log.known.wrote(&log.owner, now, until);
            return Ok(Lease::Acquired(log));
        }
        // Somebody else was faster, or is this very caller, whose request was repeated.
        let known = self.read(batch, chunk).await?;
        let holder = known.holder.as_ref().map(|holder| (holder.owner == owner, holder.until));
        log.known = known;
        Ok(match holder {
            Some((false, until)) => Lease::Held(until.max(now)),
            _ => Lease::Acquired(log),
        })
    }

    /// Keeps answers, and lets others have the chunk if it is released.
    ///
    /// # Errors
    /// `Busy` if another function has taken the chunk meanwhile; those of the bucket.
    pub async fn append(&self, log: &mut Log, lines: Vec<Line>, now: Timestamp, released: bool) -> Result<()> {
        let until = if released { Timestamp(0) } else { log.until };
        if !self.write(log, &lines, now, until).await? {
            let key = log.batch.answers_key(log.chunk, log.known.objects);
            let mut other = Known::default();
            if let Some(object) = read_all(&self.work, &key).await? {
                other.add_object(&object)?;
            }
            if other.holder.is_none_or(|holder| holder.owner != log.owner) {
                return Err(Error::busy(format!("another function works on chunk {} of {}", log.chunk, log.batch)));
            }
        }
        log.known.wrote(&log.owner, now, until);
        log.known.idle_since = log.known.idle_since.filter(|_| lines.is_empty()).or(Some(now));
        lines.into_iter().for_each(|line| log.known.add(line));
        Ok(())
    }

    /// Reads what is known of a chunk.
    ///
    /// # Errors
    /// Those of the bucket; `Internal` if it is not readable.
    pub async fn read(&self, batch: &BatchId, chunk: ChunkIndex) -> Result<Known> {
        let keys = list_all(&self.work, &batch.answers_prefix(chunk)).await?;
        let objects = keys.iter().map(|key| read_all(&self.work, key)).collect();
        let mut known = Known::default();
        for object in bounded(objects, MOST_AT_ONCE as usize).await {
            let object = object?.ok_or_else(|| Error::internal("what was answered has a gap"))?;
            known.add_object(&object)?;
        }
        Ok(known)
    }

    async fn write(&self, log: &Log, lines: &[Line], now: Timestamp, until: Timestamp) -> Result<bool> {
        let header = Header { owner: log.owner.clone(), until, at: now };
        let unwritable = |e| Error::internal("an answer cannot be written").because(e);
        let mut object = serde_json::to_vec(&header).map_err(unwritable)?;
        object.push(b'\n');
        for line in lines {
            serde_json::to_writer(&mut object, line).map_err(unwritable)?;
            object.push(b'\n');
        }
        let key = log.batch.answers_key(log.chunk, log.known.objects);
        self.work.put_new(&key, JSON_LINES, Bytes::from(object)).await
    }
}

impl Known {
    /// Notes that this function wrote the next object.
    fn wrote(&mut self, owner: &str, at: Timestamp, until: Timestamp) {
        self.holder = Some(Header { owner: owner.to_owned(), until, at });
        self.idle_since = self.idle_since.or(Some(at));
        self.objects += 1;
    }
}
