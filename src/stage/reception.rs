//! What happens to a message before and after its stage works on it: it is given up once it has failed often enough, and
//! otherwise redelivered in time. The queue's own count of receives is not what counts: a try that ended only because a
//! service was busy, or too early, is excused, and a delivery that never came to a function is no try, unless it is the
//! first, of which nothing is noted.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use crate::model::error::{Error, ErrorKind};
use crate::model::ids::BatchId;
use crate::model::record::cut;
use crate::model::timestamp::Timestamp;
use crate::stage::{Disposition, Subject};
use crate::store::channel::{Channel, Delivery, Outgoing};
use crate::store::ledger::{LastFailure, Notes, Part, Trouble};
use crate::store::{Clock, Stores};

/// How often a message is tried before it is given up. Tries that a busy service ended do not count, nor do those that
/// came too early.
pub const MOST_TRIES: u32 = 5;
/// The pause before a failed message is redelivered; it doubles from the first value to the second.
const FIRST_PAUSE: Duration = Duration::from_secs(5);
const LONGEST_PAUSE: Duration = Duration::from_secs(300);

/// How often it is noted that a service is busy, in milliseconds.
const NOTED_EVERY: i64 = 10_000;

/// The time that an invocation keeps in reserve for its answer, or a tenth of what it has.
const RESERVE: i64 = 3_000;

/// How an invocation divides its time, which ends with its function's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timetable {
    began: Timestamp,
    deadline: Timestamp,
}

impl Timetable {
    /// The time from now on.
    pub fn new(now: Timestamp, deadline: Timestamp) -> Self {
        Self { began: now, deadline }
    }

    fn whole(&self) -> i64 {
        self.deadline.0.saturating_sub(self.began.0).max(0)
    }

    fn before_the_end(&self, milliseconds: i64) -> Timestamp {
        Timestamp(self.deadline.0.saturating_sub(milliseconds))
    }

    fn reserve(&self) -> i64 {
        RESERVE.min(self.whole() / 10)
    }

    /// Whether work may still begin: not in the last quarter.
    pub fn is_open(&self, now: Timestamp) -> bool {
        self.deadline.0 - now.0 >= self.whole() / 4
    }

    /// Until when calls of the work are repeated for which a service is busy.
    pub fn work(&self) -> Timestamp {
        self.before_the_end(2 * self.reserve())
    }

    /// When work stops that another invocation can go on with.
    pub fn handover(&self) -> Timestamp {
        self.before_the_end(4 * self.reserve())
    }

    /// When unfinished work is abandoned.
    pub fn end_of_work(&self) -> Timestamp {
        self.before_the_end(self.reserve())
    }

    /// When its function ends at the latest.
    pub fn end(&self) -> Timestamp {
        self.deadline
    }

    /// Until when calls are repeated that say what became of messages. After that there is time to answer.
    pub fn conclusion(&self) -> Timestamp {
        self.before_the_end(self.reserve() / 3)
    }
}

/// What is noted of tries that nothing else is known of.
pub const SILENCE: &str = "its function ended without an answer each time";

/// Receives the messages of one channel.
pub struct Reception<S: Stores> {
    /// The channel that the messages come from; `None` if there are several.
    pub source: Option<S::Channel>,
    /// Where a message goes that is given up; `None` if it is redelivered until it expires.
    pub dead_letters: Option<S::Channel>,
    /// Where tries and failures are noted.
    pub ledger: S::Ledger,
    /// The time.
    pub clock: S::Clock,
    /// Of which batch it was last noted that something is wrong, and when.
    pub noted: Mutex<Option<(BatchId, Timestamp)>>,
}

/// A message that may be worked on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Admitted {
    /// Which try this is, from 1; `None` if that could not be found out.
    tries: Option<u32>,
    /// How often it was received.
    received: u32,
}

impl Admitted {
    /// Whether a message is given up that fails now.
    pub fn is_last(&self) -> bool {
        self.tries.is_some_and(|tries| tries >= MOST_TRIES)
    }
}

impl<S: Stores> Reception<S> {
    /// Begins a try of a message. `None` if it has been tried often enough: its function ended without a word the last
    /// time, and the message is given up.
    pub async fn admit(&self, delivery: &Delivery, subject: Option<&Subject>) -> Option<Admitted> {
        let received = delivery.attempt;
        if received <= 1 || self.dead_letters.is_none() {
            return Some(Admitted { tries: Some(received), received });
        }
        let tries = match self.ledger.begin_try(&delivery.id, self.clock.now()).await {
            Ok(tries) => tries,
            Err(error) => {
                tracing::warn!(%error, "try not noted");
                return Some(Admitted { tries: None, received });
            }
        };
        if tries > MOST_TRIES {
            self.note_silence(subject, tries - 1).await;
            if self.give_up(delivery, subject).await {
                return None;
            }
        }
        Some(Admitted { tries: Some(tries), received })
    }

    /// Notes how often a message was tried whose function ended without a word, and keeps what an earlier try said.
    async fn note_silence(&self, subject: Option<&Subject>, tries: u32) {
        let Some(Subject { batch, part }) = subject else {
            return;
        };
        let last = self.ledger.last_failure(batch, *part).await.ok().flatten();
        let message = last.map_or_else(|| SILENCE.to_owned(), |last| last.message);
        self.note(subject, Admitted { tries: Some(tries), received: tries }, &Error::internal(message)).await;
    }

    /// Decides whether a message may be deleted; if not, makes sure that it is redelivered in time.
    pub async fn conclude(
        &self,
        delivery: &Delivery,
        admitted: Admitted,
        subject: Option<&Subject>,
        disposition: Disposition,
    ) -> bool {
        let pause = match disposition {
            Disposition::Done => return true,
            Disposition::Discarded(reason) => {
                tracing::info!(%reason, "message discarded");
                return true;
            }
            Disposition::Rejected(error) => {
                tracing::error!(%error, "message rejected");
                self.note(subject, admitted, &error).await;
                if self.give_up(delivery, subject).await {
                    return true;
                }
                // Without a dead-letter channel it waits for the time when there is something that understands it.
                pause(delivery.attempt)
            }
            Disposition::Retry(error) if error.kind == ErrorKind::Busy => {
                tracing::info!(%error, "message will come again: a service is busy");
                self.excuse(delivery).await;
                self.note_trouble(subject, admitted, &error).await;
                // Those that were refused together come back apart.
                pause(delivery.attempt).mul_f64(self.clock.chance())
            }
            Disposition::Retry(error) => {
                tracing::warn!(kind = ?error.kind, %error, "message failed");
                self.note(subject, admitted, &error).await;
                if admitted.is_last() && self.give_up(delivery, subject).await {
                    return true;
                }
                pause(admitted.tries.unwrap_or(delivery.attempt))
            }
            Disposition::Later(at, error) => {
                tracing::info!(%error, %at, "message will come again later");
                self.excuse(delivery).await;
                // Whoever looks must be told of a right or an object that is missing, although it may still come.
                if error.may_pass() {
                    self.note_trouble(subject, admitted, &error).await;
                }
                left_until(self.clock.now(), at)
            }
        };
        self.release(delivery, pause).await;
        false
    }

    /// Has a message that was not admitted redelivered at once. That it was received does not count.
    pub async fn put_back(&self, delivery: &Delivery) {
        // Of later deliveries only those count that were begun.
        if delivery.attempt <= 1 {
            self.excuse(delivery).await;
        }
        self.release(delivery, Duration::ZERO).await;
    }

    async fn excuse(&self, delivery: &Delivery) {
        if self.dead_letters.is_none() || delivery.is_alone() {
            return;
        }
        if let Err(error) = self.ledger.excuse_try(&delivery.id, self.clock.now()).await {
            tracing::warn!(%error, "try not excused");
        }
    }

    /// Sends a message to the dead-letter channel, and returns whether that worked.
    async fn give_up(&self, delivery: &Delivery, subject: Option<&Subject>) -> bool {
        let Some(dead_letters) = &self.dead_letters else {
            return false;
        };
        // Only the channel to gather is ordered.
        let body = delivery.body.clone();
        let letter = match subject.filter(|subject| subject.part == Part::Gather) {
            Some(subject) => Outgoing::ordered(body, subject.batch.as_str()),
            None => Outgoing::new(body),
        };
        match dead_letters.send(vec![letter]).await {
            Ok(()) => true,
            Err(error) => {
                tracing::warn!(%error, "message not given up");
                false
            }
        }
    }

    /// Notes why a message failed, so that bury can report it.
    async fn note(&self, subject: Option<&Subject>, admitted: Admitted, error: &Error) {
        // What bury itself fails at must not hide why it was given the message.
        let Some(subject) = subject.filter(|_| self.dead_letters.is_some()) else {
            return;
        };
        let attempt = admitted.tries.unwrap_or(admitted.received);
        let failure = LastFailure { attempt, message: cut(error.to_string()) };
        let noted = self.ledger.note_failure(&subject.batch, subject.part, &failure, self.clock.now()).await;
        if let Err(error) = noted {
            tracing::warn!(%error, "failure not noted");
        }
        self.note_trouble(Some(subject), admitted, error).await;
    }

    /// Notes what keeps a batch from getting on, for those who look at it. What is the same for many messages is noted now
    /// and then.
    async fn note_trouble(&self, subject: Option<&Subject>, admitted: Admitted, error: &Error) {
        let Some(Subject { batch, part }) = subject.filter(|_| self.dead_letters.is_some()) else {
            return;
        };
        let (now, busy) = (self.clock.now(), error.kind == ErrorKind::Busy);
        let often = busy || error.may_pass();
        {
            let mut noted = self.noted.lock().unwrap_or_else(PoisonError::into_inner);
            let again = noted.as_ref().is_some_and(|(of, at)| of == batch && now.0 - at.0 < NOTED_EVERY);
            if often && again {
                return;
            }
            *noted = Some((batch.clone(), now));
        }
        let (attempt, message) = (admitted.tries.unwrap_or(admitted.received), cut(error.to_string()));
        let trouble = Trouble { part: *part, busy, attempt, message, at: now };
        if let Err(error) = self.ledger.note_trouble(batch, &trouble).await {
            tracing::warn!(%error, "trouble not noted");
        }
    }

    async fn release(&self, delivery: &Delivery, pause: Duration) {
        let Some(source) = self.source.as_ref().filter(|_| !delivery.is_alone()) else {
            return;
        };
        if let Err(error) = source.release(&delivery.receipt, pause).await {
            // It is redelivered anyway, when its visibility timeout ends.
            tracing::warn!(%error, "message not released");
        }
    }
}

/// The time from one moment to another; none if that is past.
pub fn left_until(now: Timestamp, moment: Timestamp) -> Duration {
    Duration::from_millis(moment.0.saturating_sub(now.0).max(0).unsigned_abs())
}

fn pause(attempt: u32) -> Duration {
    FIRST_PAUSE.saturating_mul(1 << attempt.saturating_sub(1).min(16)).min(LONGEST_PAUSE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_invocation_keeps_time_for_its_answer() {
        for (whole, work, end, conclusion) in [(120_000, 114_000, 117_000, 119_000), (400, 320, 360, 387)] {
            let table = Timetable::new(Timestamp(1_000), Timestamp(1_000 + whole));
            let until = [table.work(), table.end_of_work(), table.conclusion()].map(|moment| moment.0 - 1_000);
            assert_eq!(until, [work, end, conclusion]);
            assert!(table.is_open(Timestamp(1_000 + whole / 2)) && !table.is_open(Timestamp(1_001 + whole / 4 * 3)));
        }
    }

    #[test]
    fn pauses_grow_to_a_limit() {
        assert_eq!(pause(1), Duration::from_secs(5));
        assert_eq!(pause(3), Duration::from_secs(20));
        assert_eq!(pause(100), LONGEST_PAUSE);
    }
}
