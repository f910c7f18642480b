//! What was answered for the records of a chunk, kept from one try to the next: for work that should be done once for
//! each record, by functions that may die and messages that may come twice.
//!
//! A chunk has a log of objects in the work bucket, numbered from 0, each of which the first writer wins
//! (<https://docs.aws.amazon.com/AmazonS3/latest/userguide/conditional-writes.html>). The newest says which function has
//! the chunk, until when others leave it alone, and which of those before it hold answers.

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
    /// Since when no record was tried.
    idle_since: Timestamp,
    /// The objects before this one that have answers.
    with: Vec<u32>,
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
    newest: Option<Header>,
    /// Whether the newest object has answers.
    told: bool,
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
        self.newest.as_ref().map(|newest| newest.idle_since)
    }

    /// Whether a function has had the chunk before the one that has it now.
    pub fn came_before(&self) -> bool {
        self.objects > 1
    }

    /// Until when another function has the chunk; `None` if none has.
    pub fn held_until(&self, now: Timestamp) -> Option<Timestamp> {
        self.newest.as_ref().map(|newest| newest.until).filter(|until| *until > now)
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

    /// Adds the answers of an object, and returns its header.
    fn add_object(&mut self, object: &[u8]) -> Result<Header> {
        let mut lines = object.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
        let unreadable = |e: serde_json::Error| {
            // Only the error's class: its message may quote an answer.
            Error::internal(format!("what was answered is not readable: {:?}", e.classify()))
        };
        let header = serde_json::from_slice(lines.next().unwrap_or_default()).map_err(unreadable)?;
        for line in lines {
            self.told = true;
            self.add(serde_json::from_slice(line).map_err(unreadable)?);
        }
        Ok(header)
    }

    /// The header of the next object, which has answers if anything was `told`.
    fn next(&self, owner: &str, now: Timestamp, until: Timestamp, told: bool) -> Header {
        let idle_since = self.idle_since().filter(|_| !told).unwrap_or(now);
        let mut with = self.newest.as_ref().map(|newest| newest.with.clone()).unwrap_or_default();
        with.extend(self.objects.checked_sub(1).filter(|_| self.told));
        Header { owner: owner.to_owned(), until, idle_since, with }
    }

    /// Notes that this function wrote the next object.
    fn wrote(&mut self, header: Header, told: bool) {
        (self.newest, self.told) = (Some(header), told);
        self.objects += 1;
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
        let (batch, owner, known) = (batch.clone(), owner.to_owned(), Known::default());
        let mut log = Log { batch, chunk, owner, until, known };
        // As a rule, nobody had it before.
        if self.write(&mut log, &[], now, until).await? {
            return Ok(Lease::Acquired(log));
        }
        log.known = self.read(&log.batch, chunk).await?;
        let held = log.known.newest.as_ref().filter(|newest| newest.until > now && newest.owner != log.owner);
        if let Some(holder) = held {
            return Ok(Lease::Held(holder.until));
        }
        if self.write(&mut log, &[], now, until).await? {
            return Ok(Lease::Acquired(log));
        }
        // Somebody else was faster, or is this very caller, whose request was repeated.
        log.known = self.read(&log.batch, chunk).await?;
        let holder = log.known.newest.as_ref().filter(|newest| newest.owner != log.owner);
        Ok(match holder.map(|holder| holder.until) {
            Some(until) => Lease::Held(until.max(now)),
            None => Lease::Acquired(log),
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
            let there = read_all(&self.work, &key).await?;
            let header = there.map(|object| Known::default().add_object(&object)).transpose()?;
            let Some(header) = header.filter(|header| header.owner == log.owner) else {
                return Err(Error::busy(format!("another function works on chunk {} of {}", log.chunk, log.batch)));
            };
            log.known.wrote(header, !lines.is_empty());
        }
        lines.into_iter().for_each(|line| log.known.add(line));
        Ok(())
    }

    /// Reads what is known of a chunk.
    ///
    /// # Errors
    /// Those of the bucket; `Internal` if it is not readable.
    pub async fn read(&self, batch: &BatchId, chunk: ChunkIndex) -> Result<Known> {
        let keys = list_all(&self.work, &batch.answers_prefix(chunk)).await?;
        let Some(last) = keys.last() else {
            return Ok(Known::default());
        };
        let lacks = || Error::internal("what was answered has a gap");
        let newest = read_all(&self.work, last).await?.ok_or_else(lacks)?;
        let mut known = Known::default();
        let header = Known::default().add_object(&newest)?;
        let objects = header
            .with
            .iter()
            .map(|number| async { read_all(&self.work, &batch.answers_key(chunk, *number)).await?.ok_or_else(lacks) });
        // The first answer of a record counts, so that their order matters.
        for object in bounded(objects.collect(), MOST_AT_ONCE as usize).await {
            known.add_object(&object?)?;
        }
        known.told = false;
        known.newest = Some(known.add_object(&newest)?);
        known.objects = u32::try_from(keys.len()).map_err(|e| Error::internal("too many answers").because(e))?;
        Ok(known)
    }

    /// Writes the next object of a log, unless another function did. It has answers if there are `lines`.
    async fn write(&self, log: &mut Log, lines: &[Line], now: Timestamp, until: Timestamp) -> Result<bool> {
        let header = log.known.next(&log.owner, now, until, !lines.is_empty());
        let unwritable = |e| Error::internal("an answer cannot be written").because(e);
        let mut object = serde_json::to_vec(&header).map_err(unwritable)?;
        object.push(b'\n');
        for line in lines {
            serde_json::to_writer(&mut object, line).map_err(unwritable)?;
            object.push(b'\n');
        }
        let key = log.batch.answers_key(log.chunk, log.known.objects);
        let written = self.work.put_new(&key, JSON_LINES, Bytes::from(object)).await?;
        if written {
            log.known.wrote(header, !lines.is_empty());
        }
        Ok(written)
    }
}
