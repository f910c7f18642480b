//! An API that makes invoices, and does everything else that such APIs do.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use fanfold::model::billing::package::PackageId;
use fanfold::model::billing::sending::{Answer, Guarantees, Lookup};
use fanfold::model::timestamp::Timestamp;
use fanfold::store::Clock;
use fanfold::store::billing::Invoices;

use crate::time::Time;

/// How long it knows a key at least, after how long at the latest a look-up finds an invoice, how long it goes on after its client gave up, and
/// for how long it works on an invoice at the longest, in seconds.
const RETENTION: i64 = 30;
const LAG: i64 = 5;
const GOES_ON: i64 = 10;
const WORKS: i64 = 600;
/// How long it says that it is busy, in seconds.
pub const BUSY: i64 = 60;

/// What it promises.
pub const PROMISED: Guarantees =
    Guarantees { key_retention: RETENTION, visible_after: GOES_ON + LAG + 1, request_timeout: 4 };

/// What becomes of a request with a key that is not known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mood {
    Answers,
    /// Nothing is heard, and the invoice is made, at once or later, or not at all.
    HangsAfter,
    HangsBefore,
    Hangs,
    /// Status 500, and the invoice is made, or not; a client that asks again under the key is told the same.
    FailsAfter,
    Fails,
    /// Status 500, and a client that asks again under the key is heard.
    Breaks,
    /// Status 400.
    Refuses,
    /// Status 429, with a time to come back, or without.
    BusyUntil,
    Busy,
}

pub const MOODS: [Mood; 10] = [
    Mood::Answers,
    Mood::HangsAfter,
    Mood::HangsBefore,
    Mood::Hangs,
    Mood::FailsAfter,
    Mood::Fails,
    Mood::Breaks,
    Mood::Refuses,
    Mood::BusyUntil,
    Mood::Busy,
];

/// An invoice that was made.
#[derive(Debug, Clone)]
pub struct Invoice {
    pub package: PackageId,
    pub body: Vec<u8>,
    /// When, and when the API has worked on it; both may lie ahead.
    pub at: Timestamp,
    processed: Timestamp,
}

/// A request as it arrived.
#[derive(Debug, Clone)]
pub struct Arrival {
    pub at: Timestamp,
    pub package: PackageId,
    /// The key and the body of one that creates.
    pub created: Option<(String, Vec<u8>)>,
}

/// What is known of a key.
struct Known {
    until: Timestamp,
    /// What is answered again, if that is known.
    stored: Option<Answer>,
    /// Whether a further request is heard as the first was.
    heard: bool,
}

#[derive(Default)]
struct Books {
    invoices: Vec<Invoice>,
    keys: BTreeMap<String, Known>,
    arrivals: Vec<Arrival>,
    /// What is wrong with its clients.
    wrong: Vec<String>,
    /// The moods of requests that create, the next one last; then it answers.
    moods: Vec<Mood>,
}

/// The API; clones are one.
#[derive(Clone)]
pub struct Api {
    books: Arc<Mutex<Books>>,
    time: Time,
    /// Percent of the look-ups that nothing is said to.
    silent: i64,
    /// Whether its clients have one key for a package, whatever they say.
    pub one_key: bool,
}

impl Api {
    pub fn new(time: &Time, mut moods: Vec<Mood>, silent: i64) -> Self {
        moods.reverse();
        let books = Books { moods, ..Books::default() };
        Self { books: Arc::new(Mutex::new(books)), time: time.clone(), silent, one_key: false }
    }

    pub fn invoices(&self) -> Vec<Invoice> {
        self.books.lock().unwrap().invoices.clone()
    }

    pub fn arrivals(&self) -> Vec<Arrival> {
        self.books.lock().unwrap().arrivals.clone()
    }

    pub fn wrong(&self) -> Vec<String> {
        self.books.lock().unwrap().wrong.clone()
    }

    /// How many moods no request met.
    pub fn moods_left(&self) -> usize {
        self.books.lock().unwrap().moods.len()
    }

    /// Judges a request as it arrives: what is answered, or `None` if nothing is.
    fn judge(&self, id: &PackageId, key: &str, body: &[u8], until: Timestamp) -> Option<Answer> {
        let now = self.time.now();
        let books = &mut *self.books.lock().unwrap();
        let of_key = |arrival: &Arrival| arrival.created.as_ref().is_some_and(|(other, _)| other == key);
        let other =
            books.arrivals.iter().filter(|arrival| of_key(arrival)).any(|arrival| {
                arrival.package != *id || arrival.created.as_ref().is_some_and(|(_, sent)| sent != body)
            });
        if other {
            books.wrong.push(format!("something else under the key of {id}"));
        }
        let created = Some((key.to_owned(), body.to_owned()));
        books.arrivals.push(Arrival { at: now, package: id.clone(), created });
        let known = books.keys.get(key).filter(|known| now < known.until);
        if let Some(known) = known.filter(|known| !known.heard) {
            let under_way = || Answer::Unsure("409: a request with this key is under way".to_owned());
            return Some(known.stored.clone().unwrap_or_else(under_way));
        }
        let gives_up = until;
        // No key is known for longer because it is used again, and some for longer than was promised.
        let longest = now.plus_seconds(RETENTION + self.time.draw(0..60));
        let until = known.map_or(longest, |known| known.until);
        let mood = books.moods.pop().unwrap_or(Mood::Answers);
        let at = match mood {
            Mood::Answers | Mood::HangsAfter | Mood::FailsAfter => Some(now),
            Mood::HangsBefore => Some(Timestamp(self.time.draw(now.0..gives_up.0 + GOES_ON * 1000))),
            _ => None,
        };
        let invoice = format!("i-{}", books.invoices.len());
        if let Some(at) = at {
            let processed = Timestamp(at.0 + self.time.draw(0..WORKS * 1000));
            books.invoices.push(Invoice { package: id.clone(), body: body.to_owned(), at, processed });
        }
        let failed = || Answer::Unsure("status 500".to_owned());
        let (answer, stored) = match mood {
            Mood::Answers => (Some(Answer::Accepted(invoice.clone())), Some(Answer::Accepted(invoice))),
            Mood::HangsAfter => (None, Some(Answer::Accepted(invoice))),
            Mood::FailsAfter | Mood::Fails => (Some(failed()), Some(failed())),
            Mood::Refuses => {
                let refused = Answer::Rejected("status 400".to_owned());
                (Some(refused.clone()), Some(refused))
            }
            Mood::Breaks => (Some(failed()), None),
            Mood::HangsBefore | Mood::Hangs => (None, None),
            Mood::BusyUntil => return Some(Answer::Busy(Some(BUSY))),
            Mood::Busy => return Some(Answer::Busy(None)),
        };
        books.keys.insert(key.to_owned(), Known { until, stored, heard: mood == Mood::Breaks });
        answer
    }

    /// Answers after a while, if that is before a moment.
    async fn after_a_while<T>(&self, answer: Option<T>, until: Timestamp) -> Option<T> {
        let takes = if answer.is_some() { self.time.draw(5..3_000) } else { i64::MAX };
        let left = until.0 - self.time.now().0;
        self.time.sleep(Duration::from_millis(takes.min(left).max(0) as u64)).await;
        answer.filter(|_| takes <= left)
    }
}

impl Invoices for Api {
    async fn create(&self, id: &PackageId, key: &str, body: &[u8], until: Timestamp) -> Answer {
        let former = id.key(0);
        let key = if self.one_key { &former } else { key };
        let answer = self.judge(id, key, body, until);
        self.after_a_while(answer, until).await.unwrap_or_else(|| Answer::Unsure("no answer in time".to_owned()))
    }

    async fn find(&self, id: &PackageId, until: Timestamp) -> Lookup {
        let now = self.time.now();
        let (lag, is_silent) = (self.time.draw(0..LAG * 1000), self.time.is_likely(self.silent));
        let found = {
            let mut books = self.books.lock().unwrap();
            books.arrivals.push(Arrival { at: now, package: id.clone(), created: None });
            let made = books.invoices.iter().enumerate();
            let mut seen = made.filter(|(_, made)| made.package == *id && made.at.0 + lag <= now.0);
            seen.next().map(|(number, made)| (format!("i-{number}"), made.processed <= now))
        };
        let found = match found {
            None => Lookup::Absent,
            Some((invoice, false)) => Lookup::Pending(invoice),
            Some((invoice, true)) => Lookup::Processed(invoice),
        };
        self.after_a_while(Some(found).filter(|_| !is_silent), until)
            .await
            .unwrap_or_else(|| Lookup::Unsure("no answer in time".to_owned()))
    }
}
