//! A queue that behaves like SQS: at-least-once, unordered, with a visibility timeout and a receive count; a
//! FIFO queue delivers the messages of a group one at a time and drops duplicates.

use std::collections::BTreeMap;

use fanfold::intake::claim_check;
use fanfold::intake::s3_event::{Notice, parse};
use fanfold::model::ids::BatchId;
use fanfold::model::message::{GatherMessage, RedriveMessage};
use fanfold::store::ledger::Part;

use super::state::{DEAD, PROCESS, SCATTER};

/// For how many milliseconds a FIFO queue drops messages with the same deduplication id:
/// <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/using-messagededuplicationid-property.html>
const DEDUPLICATION: i64 = 300_000;

#[derive(Debug, Clone)]
pub struct Message {
    pub id: u64,
    pub body: String,
    pub group: Option<String>,
    pub visible_at: i64,
    pub receives: u32,
    /// When it was received for the first time.
    pub first_received: Option<i64>,
}

#[derive(Debug, Default)]
pub struct Queue {
    pub messages: Vec<Message>,
    seen: BTreeMap<String, i64>,
    next: u64,
}

impl Queue {
    /// Accepts a message, and returns whether it did.
    pub fn send(&mut self, body: String, group: Option<String>, now: i64, delay: i64) -> bool {
        if let Some(group) = &group {
            if self.seen.get(group).is_some_and(|at| now - at < DEDUPLICATION) {
                return false;
            }
            self.seen.insert(group.clone(), now);
        }
        self.next += 1;
        let visible_at = now + delay;
        self.messages.push(Message { id: self.next, body, group, visible_at, receives: 0, first_received: None });
        true
    }

    /// Takes over a message from a queue that gave it up.
    pub fn bury(&mut self, message: Message, now: i64) {
        self.next += 1;
        self.messages.push(Message { id: self.next, visible_at: now, first_received: None, ..message });
    }

    /// The messages that can be delivered.
    pub fn visible(&self, now: i64) -> Vec<usize> {
        let free = |at: usize| {
            let message = &self.messages[at];
            let waits = || message.group.is_some() && self.messages[..at].iter().any(|m| m.group == message.group);
            message.visible_at <= now && !waits()
        };
        (0..self.messages.len()).filter(|at| free(*at)).collect()
    }

    pub fn get(&mut self, id: u64) -> Option<&mut Message> {
        self.messages.iter_mut().find(|message| message.id == id)
    }

    pub fn delete(&mut self, id: u64) {
        self.messages.retain(|message| message.id != id);
    }
}

/// What a message of a queue is about.
pub fn subject_of(queue: usize, body: &str) -> Option<(BatchId, Part)> {
    match queue % DEAD {
        SCATTER => {
            let redrive = RedriveMessage::parse(body).ok().map(|message| message.redrive);
            let created = || match parse(body).ok()?.pop()? {
                Notice::Created(created) => Some(created.batch()),
                Notice::Nothing(_) => None,
            };
            Some((redrive.or_else(created)?, Part::Scatter))
        }
        PROCESS => claim_check::parse(body).ok().flatten().map(|m| (m.batch_id, Part::Chunk(m.chunk))),
        _ => GatherMessage::parse(body).ok().map(|m| (m.batch_id, Part::Gather)),
    }
}
