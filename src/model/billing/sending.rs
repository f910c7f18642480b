//! How a package is sent to an API that may answer late, wrongly or not at all, so that it makes exactly one invoice of it.
//!
//! What is relied on is what such APIs promise: for some time, requests with one key have one effect; and after some time, a look-up by
//! reference finds what was made. While the key is known, a try whose end is unknown is repeated, with the same key and the same bytes.
//! After that, only if a look-up that began late enough has found nothing, and then under another key: the API may still know the former
//! one, and forget it at any moment.

use serde::{Deserialize, Serialize};

use crate::model::timestamp::Timestamp;

/// The pause after the first try whose end is unknown, and the longest, in seconds.
const PAUSES: (i64, i64) = (1, 300);
/// The longest pause between two look-ups of an invoice that is worked on, and the longest that an API may ask for, in seconds.
const LONGEST_POLL: i64 = 3_600;
const LONGEST_WAIT: i64 = 86_400;
/// What is kept of a reason, and the longest id of an invoice, in bytes: a row has room for 400 KB
/// (<https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Constraints.html>).
const LONGEST_REASON: usize = 1_000;
const LONGEST_INVOICE: usize = 256;

/// What is relied on of an API, in seconds of the sender's clock: where clocks differ, by that much less or more than the API promises.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Guarantees {
    /// How long requests with one key have one effect, from the first of them on.
    pub key_retention: i64,
    /// When a look-up finds what a request made, from the end of the request on: the API may go on when its client has given up.
    pub visible_after: i64,
    /// How long a request may take. Its client ends it then.
    pub request_timeout: i64,
}

/// Where a package stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum SendState {
    /// It is sealed, and waits for being sent.
    Ready,
    /// A sender sends it.
    Sending,
    /// What became of a try is not known.
    Unknown,
    /// There is an invoice.
    Accepted,
    /// The API has worked on the invoice.
    Processed,
    /// The API does not take it, or lost its invoice: a person has to act.
    Rejected,
}

impl SendState {
    /// Whether nothing more is done for it.
    pub fn is_final(self) -> bool {
        matches!(self, Self::Processed | Self::Rejected)
    }

    /// Whether there is an invoice.
    pub fn is_invoiced(self) -> bool {
        matches!(self, Self::Accepted | Self::Processed)
    }
}

/// What an API answered to a package.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// There is an invoice with this id.
    Accepted(String),
    /// The package is wrong, for this reason.
    Rejected(String),
    /// It was not looked at; when to come back, in seconds, if that was said.
    Busy(Option<i64>),
    /// It may or may not have had an effect.
    Unsure(String),
}

/// What a look-up found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Lookup {
    /// No invoice.
    Absent,
    /// An invoice that is worked on.
    Pending(String),
    /// An invoice that was worked on.
    Processed(String),
    /// An invoice that cannot be worked on, and why.
    Rejected(String, String),
    /// It was not looked at; when to come back, in seconds, if that was said.
    Busy(Option<i64>),
    /// Nothing can be said, for this reason.
    Unsure(String),
}

/// What is to be done next for a package.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// Nothing, ever.
    Nothing,
    /// Nothing before this moment.
    Wait(Timestamp),
    /// It is sent.
    Send,
    /// Its invoice is looked up.
    LookUp,
}

/// How a package stands with the API.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Sending {
    /// Where it stands.
    pub state: SendState,
    /// How often this was written: of two writers, one is refused.
    pub version: u64,
    /// Nothing is done for it before.
    pub due: Timestamp,
    /// Which of its keys it is sent under, from 0.
    pub epoch: u32,
    /// Tries under that key that may have had an effect, and when the first of them began.
    pub tries: u32,
    /// See `tries`.
    pub first: Option<Timestamp>,
    /// When the latest try of all ends or ended at the latest.
    pub until: Option<Timestamp>,
    /// How often in a row the API asked for fewer requests, which is no try.
    pub refusals: u32,
    /// How often in a row its invoice was still worked on.
    pub polls: u32,
    /// The id of its invoice.
    pub invoice: Option<String>,
    /// What was wrong the last time.
    pub reason: Option<String>,
    /// Whether the API said that the package is wrong, after a try of which it may have made an invoice.
    pub refused: bool,
}

impl Sending {
    /// A package that was sealed at a moment.
    pub fn ready(at: Timestamp) -> Self {
        Self {
            state: SendState::Ready,
            version: 0,
            due: at,
            epoch: 0,
            tries: 0,
            first: None,
            until: None,
            refusals: 0,
            polls: 0,
            invoice: None,
            reason: None,
            refused: false,
        }
    }

    /// What is to be done.
    pub fn step(&self, now: Timestamp, of: &Guarantees) -> Step {
        match self.state {
            SendState::Processed | SendState::Rejected => Step::Nothing,
            // Of one that is sent, the sender is at work until then, or died.
            _ if self.due > now => Step::Wait(self.due),
            SendState::Ready if self.first.is_none() || self.is_known(now, of) => Step::Send,
            _ => Step::LookUp,
        }
    }

    /// Whether a try that begins now ends while the API still knows its key.
    fn is_known(&self, now: Timestamp, of: &Guarantees) -> bool {
        self.first.is_some_and(|first| now.plus_seconds(of.request_timeout) < first.plus_seconds(of.key_retention))
    }

    /// What is written before a try that begins at a moment and ends before `until`.
    #[must_use]
    pub fn begun(&self, at: Timestamp, of: &Guarantees) -> Self {
        let until = at.plus_seconds(of.request_timeout);
        Self {
            state: SendState::Sending,
            due: until,
            tries: self.tries + 1,
            first: self.first.or(Some(at)),
            until: Some(until),
            polls: 0,
            ..self.next()
        }
    }

    /// What is written if a try that was begun was not made after all, from how it stood `before`.
    #[must_use]
    pub fn not_made(&self, before: &Self) -> Self {
        Self { version: self.version + 1, ..before.clone() }
    }

    /// What is written if nothing can be done for some seconds, for a reason of one's own.
    #[must_use]
    pub fn postponed(&self, seconds: i64, reason: &str, now: Timestamp) -> Self {
        Self { due: now.plus_seconds(seconds), reason: Some(cut(reason)), ..self.next() }
    }

    /// What is written after an answer to a try.
    #[must_use]
    pub fn answered(&self, answer: Answer, now: Timestamp, of: &Guarantees) -> Self {
        let next = Self { until: Some(now), ..self.next() };
        match answer {
            Answer::Accepted(invoice) if !is_id(&invoice) => {
                next.unknown("the API answered with an id of an invoice that is empty or too long", now)
            }
            Answer::Accepted(invoice) => Self { refusals: 0, ..next.accepted(invoice, now, of) },
            // Nothing was made of tries under former keys.
            Answer::Rejected(reason) if self.tries == 1 => next.rejected(&reason),
            // What it says of this try says nothing about those before.
            Answer::Rejected(reason) => Self { refused: true, ..next.unknown(&reason, now) },
            Answer::Unsure(reason) => next.unknown(&reason, now),
            Answer::Busy(seconds) => {
                let tries = self.tries - 1;
                Self {
                    state: if tries == 0 { SendState::Ready } else { SendState::Unknown },
                    tries,
                    first: self.first.filter(|_| tries > 0),
                    ..next.refused(seconds, now)
                }
            }
        }
    }

    /// What is written after a look-up that began at `from`.
    #[must_use]
    pub fn looked_up(&self, found: Lookup, from: Timestamp, now: Timestamp, of: &Guarantees) -> Self {
        let next = self.next();
        let state = if self.state == SendState::Sending { SendState::Unknown } else { self.state };
        let unsure = |reason: &str| {
            let reason = if self.refused { self.reason.clone() } else { Some(cut(reason)) };
            Self { state, due: now.plus_seconds(PAUSES.1.min(of.visible_after.max(1))), reason, ..next.clone() }
        };
        match found {
            Lookup::Pending(invoice) | Lookup::Processed(invoice) | Lookup::Rejected(invoice, _)
                if !is_id(&invoice) =>
            {
                unsure("the API told of an invoice whose id is empty or too long")
            }
            Lookup::Unsure(reason) => unsure(&reason),
            Lookup::Absent => next.absent(from, now, of),
            Lookup::Pending(invoice) => Self { refusals: 0, ..next }.accepted(invoice, now, of),
            Lookup::Processed(invoice) => {
                Self { state: SendState::Processed, invoice: Some(invoice), reason: None, ..next }
            }
            Lookup::Rejected(invoice, reason) => Self { invoice: Some(invoice), ..next.rejected(&reason) },
            Lookup::Busy(seconds) => Self { state, ..next.refused(seconds, now) },
        }
    }

    /// What is written if a person has a package that was rejected sent again, once what was wrong is mended.
    #[must_use]
    pub fn again(&self, now: Timestamp) -> Option<Self> {
        let again =
            || Self { state: SendState::Unknown, due: now, first: None, invoice: None, refused: false, ..self.next() };
        (self.state == SendState::Rejected).then(again)
    }

    fn absent(self, from: Timestamp, now: Timestamp, of: &Guarantees) -> Self {
        let settled = self.until.map_or(now, |until| until.plus_seconds(of.visible_after));
        let is_settled = from >= settled;
        match &self.invoice {
            // The answer that there is an invoice is right, even if a look-up does not find it yet.
            Some(_) if self.state == SendState::Accepted && !is_settled => return Self { due: settled, ..self },
            Some(invoice) if self.state == SendState::Accepted => {
                let gone =
                    format!("invoice {invoice} is not found any more: find out who removed it before it is sent again");
                return self.rejected(&gone);
            }
            _ => {}
        }
        if self.is_known(now, of) && !self.refused {
            let due = now.plus_seconds(pause(self.tries));
            return Self { state: SendState::Ready, due, ..self };
        }
        if !is_settled {
            return Self { state: SendState::Unknown, due: settled, ..self };
        }
        if self.refused {
            return Self { state: SendState::Rejected, ..self };
        }
        Self { state: SendState::Ready, due: now, epoch: self.epoch + 1, tries: 0, first: None, ..self }
    }

    fn accepted(self, invoice: String, now: Timestamp, of: &Guarantees) -> Self {
        let pause = (of.visible_after.max(1) << self.polls.min(16)).min(LONGEST_POLL.max(of.visible_after));
        Self {
            state: SendState::Accepted,
            due: now.plus_seconds(pause),
            polls: self.polls + 1,
            invoice: Some(invoice),
            reason: None,
            refused: false,
            ..self
        }
    }

    fn rejected(self, reason: &str) -> Self {
        Self { state: SendState::Rejected, reason: Some(cut(reason)), ..self }
    }

    fn unknown(self, reason: &str, now: Timestamp) -> Self {
        let due = now.plus_seconds(pause(self.tries));
        Self { state: SendState::Unknown, due, reason: Some(cut(reason)), refusals: 0, ..self }
    }

    fn refused(self, seconds: Option<i64>, now: Timestamp) -> Self {
        let refusals = self.refusals + 1;
        let pause = pause(refusals).max(seconds.unwrap_or_default().min(LONGEST_WAIT));
        // What a person has to read stays.
        let reason = self.reason.clone().filter(|_| self.refused);
        let reason = reason.or_else(|| Some("the API asked for fewer requests".to_owned()));
        Self { due: now.plus_seconds(pause), refusals, reason, ..self }
    }

    fn next(&self) -> Self {
        Self { version: self.version + 1, ..self.clone() }
    }
}

/// The pause before the next try, in seconds.
fn pause(tries: u32) -> i64 {
    (PAUSES.0 << tries.saturating_sub(1).min(16)).min(PAUSES.1)
}

fn is_id(invoice: &str) -> bool {
    (1..=LONGEST_INVOICE).contains(&invoice.len())
}

/// As much of a text as is kept.
fn cut(text: &str) -> String {
    text[..text.floor_char_boundary(LONGEST_REASON)].to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    const OF: Guarantees = Guarantees { key_retention: 30, visible_after: 10, request_timeout: 5 };

    fn at(seconds: i64) -> Timestamp {
        Timestamp(seconds * 1000)
    }

    fn tried(answer: Answer) -> Sending {
        Sending::ready(at(0)).begun(at(0), &OF).answered(answer, at(1), &OF)
    }

    fn unsure() -> Answer {
        Answer::Unsure("status 500".to_owned())
    }

    fn looked_up(before: &Sending, found: Lookup, seconds: i64) -> Sending {
        before.looked_up(found, at(seconds), at(seconds), &OF)
    }

    #[test]
    fn an_invoice_is_looked_at_until_it_was_worked_on() {
        let accepted = tried(Answer::Accepted("i-1".to_owned()));
        assert_eq!((accepted.state, accepted.step(at(1), &OF)), (SendState::Accepted, Step::Wait(at(11))));
        assert_eq!(accepted.step(at(11), &OF), Step::LookUp);
        let pauses: Vec<i64> = (0..10)
            .scan(accepted, |waits, _| {
                *waits = looked_up(waits, Lookup::Pending("i-1".to_owned()), 0);
                Some(waits.due.0 / 1000)
            })
            .collect();
        assert_eq!(
            pauses,
            [20, 40, 80, 160, 320, 640, 1_280, 2_560, 3_600, 3_600],
            "an invoice that takes days costs little"
        );
        let ended = looked_up(&tried(Answer::Accepted("i-1".to_owned())), Lookup::Processed("i-1".to_owned()), 22);
        assert_eq!((ended.step(at(9_999), &OF), ended.version), (Step::Nothing, 3));
    }

    #[test]
    fn what_became_of_a_try_is_looked_up_before_anything_else() {
        for unknown in [tried(unsure()), Sending::ready(at(0)).begun(at(0), &OF)] {
            assert!(matches!(unknown.step(at(1), &OF), Step::Wait(_)));
            assert_eq!(unknown.step(at(5), &OF), Step::LookUp);
            assert_eq!(looked_up(&unknown, Lookup::Pending("i".to_owned()), 5).state, SendState::Accepted);
        }
    }

    #[test]
    fn a_try_is_repeated_while_its_key_is_known_and_not_after_that() {
        let again = looked_up(&tried(unsure()), Lookup::Absent, 2);
        assert_eq!((again.state, again.step(at(3), &OF)), (SendState::Ready, Step::Send));
        assert_eq!(again.step(at(24), &OF), Step::Send, "it ends before the key is forgotten");
        assert_eq!(again.step(at(25), &OF), Step::LookUp, "a sender that comes late does not send");
        let fresh = looked_up(&again, Lookup::Absent, 25);
        assert_eq!((fresh.state, fresh.first, fresh.step(at(25), &OF)), (SendState::Ready, None, Step::Send));
        assert_eq!(
            (again.epoch, fresh.epoch),
            (0, 1),
            "the API may still know the former key, and forget it at any moment"
        );
        assert_eq!(fresh.begun(at(26), &OF).first, Some(at(26)));
    }

    #[test]
    fn another_key_is_used_only_after_a_late_look_up() {
        let of = Guarantees { key_retention: 0, ..OF };
        let unknown = Sending::ready(at(0)).begun(at(0), &of).answered(unsure(), at(1), &of);
        let waits = unknown.looked_up(Lookup::Absent, at(10), at(12), &of);
        assert_eq!(
            (waits.state, waits.step(at(10), &of)),
            (SendState::Unknown, Step::Wait(at(11))),
            "it began too early"
        );
        let late = waits.looked_up(Lookup::Absent, at(11), at(12), &of);
        assert_eq!((late.step(at(12), &of), late.epoch), (Step::Send, 1));
    }

    #[test]
    fn an_answer_of_fewer_requests_is_no_try() {
        let busy = tried(Answer::Busy(Some(60)));
        assert_eq!((busy.state, busy.tries, busy.first), (SendState::Ready, 0, None));
        assert_eq!((busy.step(at(60), &OF), busy.step(at(61), &OF)), (Step::Wait(at(61)), Step::Send));
        let pauses: Vec<i64> = (0..12)
            .scan(busy, |busy, _| {
                *busy = busy.begun(at(0), &OF).answered(Answer::Busy(None), at(0), &OF);
                Some(busy.due.0 / 1000)
            })
            .collect();
        assert_eq!(pauses, [2, 4, 8, 16, 32, 64, 128, 256, 300, 300, 300, 300]);
        assert_eq!(tried(Answer::Busy(Some(i64::MAX))).due, at(1 + 86_400), "no API makes it wait for ever");
        // Nor does it forget how often it was refused, if it has to look up in between.
        let mut unknown = tried(unsure());
        for pause in [1, 2, 4, 8, 16] {
            unknown = looked_up(&unknown, Lookup::Busy(None), 10);
            assert_eq!((unknown.state, unknown.due), (SendState::Unknown, at(10 + pause)));
        }
        assert_eq!(
            looked_up(&Sending::ready(at(0)).begun(at(0), &OF), Lookup::Busy(Some(7)), 6).state,
            SendState::Unknown
        );
    }

    #[test]
    fn a_package_that_is_refused_may_have_an_invoice_from_an_earlier_try() {
        let refused = || Answer::Rejected("the reference is taken".to_owned());
        assert_eq!(tried(refused()).state, SendState::Rejected, "there was no other try");
        let again = looked_up(&tried(unsure()), Lookup::Absent, 2).begun(at(3), &OF);
        let unknown = again.answered(refused(), at(4), &OF);
        assert_eq!(unknown.state, SendState::Unknown);
        let found = looked_up(&unknown, Lookup::Pending("i".to_owned()), 6);
        assert_eq!((found.state, found.refused), (SendState::Accepted, false));
        let silent = looked_up(&looked_up(&unknown, Lookup::Busy(None), 5), Lookup::Unsure("status 500".to_owned()), 6);
        let waits = looked_up(&silent, Lookup::Absent, 6);
        assert_eq!((waits.state, waits.due), (SendState::Unknown, at(14)));
        let ended = looked_up(&waits, Lookup::Absent, 14);
        assert_eq!((ended.state, ended.reason.as_deref()), (SendState::Rejected, Some("the reference is taken")));
    }

    #[test]
    fn an_invoice_that_vanishes_is_for_a_person() {
        let accepted = tried(Answer::Accepted("i-1".to_owned()));
        let early = looked_up(&accepted, Lookup::Absent, 5);
        assert_eq!((early.state, early.due), (SendState::Accepted, at(11)));
        let gone = looked_up(&early, Lookup::Absent, 40);
        assert_eq!(gone.state, SendState::Rejected);
        assert!(gone.reason.as_ref().unwrap().contains("invoice i-1 is not found any more"));
        let again = gone.again(at(50)).unwrap();
        assert_eq!(again.step(at(50), &OF), Step::LookUp, "it may be there again");
        let fresh = looked_up(&again, Lookup::Absent, 50);
        assert_eq!((fresh.state, fresh.epoch, fresh.invoice), (SendState::Ready, 1, None));
        assert_eq!(accepted.again(at(50)), None, "nothing is sent again but what was rejected");
    }

    #[test]
    fn what_an_api_says_fits_into_a_row() {
        let long = "ß".repeat(1_000_000);
        for answer in [Answer::Unsure(long.clone()), Answer::Rejected(long.clone())] {
            assert_eq!(tried(answer).reason.unwrap().len(), 1_000);
        }
        for id in [long, String::new()] {
            assert_eq!(tried(Answer::Accepted(id.clone())).state, SendState::Unknown);
            let found = looked_up(&tried(unsure()), Lookup::Processed(id), 5);
            assert_eq!((found.state, found.due, found.invoice.as_ref()), (SendState::Unknown, at(15), None));
        }
    }

    #[test]
    fn a_try_that_was_not_made_leaves_all_as_it_was() {
        let before = looked_up(&tried(unsure()), Lookup::Absent, 2);
        let begun = before.begun(at(3), &OF);
        assert_eq!(begun.not_made(&before), Sending { version: before.version + 2, ..before });
    }
}
