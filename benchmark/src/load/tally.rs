//! What became of the requests of one rate.

use std::time::Duration;

use fanfold::model::error::Result;
use fanfold::model::request::{RequestId, RequestState};
use fanfold::store::Clock;
use fanfold::store::clock::SystemClock;
use fanfold::store::items::Items;
use fanfold::store::requests::Requests;
use futures::stream::{self, StreamExt, TryStreamExt};

use super::Taken;
use super::client::{Looked, Sent};

/// Statuses that are asked for at once in the end.
const WIDTH: usize = 32;
/// How long the last of them may take to end.
const PATIENCE: Duration = Duration::from_secs(900);

/// The answers of one rate.
#[derive(Debug, Default)]
pub struct Tally {
    /// How long requests arrived, in seconds.
    pub seconds: f64,
    /// How many were not sent, since too many were under way.
    pub unsent: u64,
    /// How late the latest was sent: if this is much, the sender is what was measured.
    pub late: Duration,
    /// How many were taken, told to come later (429), and answered otherwise or not at all.
    taken: u64,
    throttled: u64,
    failed: u64,
    /// How long each answer took that was no 429, and each watched record until its request had ended.
    answered: Vec<Duration>,
    visible: Vec<Duration>,
    looked: Vec<Looked>,
}

/// What became of records that were taken.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Counted {
    /// Those that are stored as they were sent, and all others.
    pub stored: u64,
    pub lost: u64,
}

impl Counted {
    /// Whether each is stored.
    pub fn is_whole(&self) -> bool {
        self.lost == 0
    }
}

/// The value that a share of all does not exceed, in milliseconds.
fn at(sorted: &[Duration], share: f64) -> String {
    let place = ((sorted.len() as f64 * share).ceil() as usize).clamp(1, sorted.len().max(1)) - 1;
    sorted.get(place).map_or_else(|| "–".to_owned(), |time| format!("{:.1}", time.as_secs_f64() * 1000.0))
}

impl Tally {
    /// The columns of a row; times in milliseconds.
    pub const HEADER: &str = "| pipeline | by | asked a second | taken a second | 429 | failed | unsent | late | POST p50 | p99 | p99.9 | visible p50 | p99 | p99.9 | status p50 | record p50 | watched | stored | lost |\n|---|---|---|---|---|---|---|---|---|---|---|---|---|---|---|---|---|---|---|";

    /// Adds an answer.
    pub fn note(&mut self, sent: &Sent) {
        match sent.status {
            202 => self.taken += 1,
            429 => self.throttled += 1,
            _ => self.failed += 1,
        }
        if sent.status != 429 {
            self.answered.push(sent.answered);
        }
        self.visible.extend(sent.visible);
        self.looked.extend(sent.looked);
    }

    /// The row of a table.
    pub fn row(&self, pipeline: &str, by: &str, rate: f64, counted: &Counted) -> String {
        let sorted = |times: &[Duration]| {
            let mut times = times.to_vec();
            times.sort_unstable();
            times
        };
        let (answered, visible) = (sorted(&self.answered), sorted(&self.visible));
        let half = |time: fn(&Looked) -> Duration| at(&sorted(&self.looked.iter().map(time).collect::<Vec<_>>()), 0.5);
        let shares = |times: &[Duration]| [0.5, 0.99, 0.999].map(|share| at(times, share)).join(" | ");
        format!(
            "| {pipeline} | {by} | {rate} | {:.1} | {} | {} | {} | {:.1} | {} | {} | {} | {} | {} | {} | {} |",
            self.taken as f64 / self.seconds,
            self.throttled,
            self.failed,
            self.unsent,
            self.late.as_secs_f64() * 1000.0,
            shares(&answered),
            shares(&visible),
            half(|looked| looked.status),
            half(|looked| looked.record),
            visible.len(),
            counted.stored,
            counted.lost,
        )
    }
}

/// Waits until the requests of records that were taken have ended, and compares their items with what was sent.
///
/// # Errors
/// Those of the tables.
pub async fn check(requests: &impl Requests, items: &impl Items, taken: &[Taken]) -> Result<Counted> {
    let began = SystemClock.now();
    let stored = async |one: &Taken| -> Result<bool> {
        loop {
            let now = SystemClock.now();
            // A table that is busy is asked again.
            let request = requests.read(&RequestId::parse(&one.id)?, now).await.ok().flatten();
            match request.map(|request| request.state) {
                Some(RequestState::Stored) => break,
                Some(RequestState::Failed) => return Ok(false),
                _ if now.0 - began.0 > PATIENCE.as_millis() as i64 => return Ok(false),
                // The table offers nothing else than to ask again.
                _ => SystemClock.sleep(Duration::from_millis(200)).await,
            }
        }
        let item = items.read(&one.key).await?;
        Ok(item.is_some_and(|item| item.fields.get("price").and_then(serde_json::Value::as_u64) == Some(one.number)))
    };
    let stored = stream::iter(taken).map(stored).buffer_unordered(WIDTH);
    let count = async |counted: Counted, stored: bool| {
        Ok(Counted { stored: counted.stored + u64::from(stored), lost: counted.lost + u64::from(!stored) })
    };
    stored.try_fold(Counted::default(), count).await
}

#[cfg(test)]
mod tests {
    use super::*;
    use fanfold::model::ids::{BatchId, Revision};
    use fanfold::model::item::Item;
    use fanfold::model::request::{RecordMessage, Request};
    use fanfold::store::items::memory::MemoryItems;
    use fanfold::store::requests::memory::MemoryRequests;
    use serde_json::json;
    use serde_json::value::to_raw_value;

    #[test]
    fn shares_are_those_of_the_sorted_times() {
        let times: Vec<Duration> = (1..=1000).map(Duration::from_millis).collect();
        assert_eq!([0.5, 0.99, 0.999, 1.0].map(|share| at(&times, share)), ["500.0", "990.0", "999.0", "1000.0"]);
        assert_eq!((at(&times[..1], 0.999), at(&[], 0.5)), ("1.0".to_owned(), "–".to_owned()));
    }

    #[tokio::test]
    async fn a_record_that_is_not_stored_as_it_was_sent_is_lost() {
        let (requests, items) = (MemoryRequests::new(), MemoryItems::new());
        let now = SystemClock.now();
        let taken = |number: u64| Taken { id: format!("r{number}"), key: format!("k{number}"), number };
        for (number, price) in [(0, 0), (1, 7)] {
            let Taken { id, key, .. } = taken(number);
            let message =
                RecordMessage::new(RequestId::parse(&id).unwrap(), false, now, to_raw_value(&json!({})).unwrap());
            requests.write(&Request::accepted(&message).stored(&key)).await.unwrap();
            let fields = json!({ "price": price }).as_object().cloned().unwrap();
            let batch = BatchId::of("b", "k", &Revision::Version(String::new()));
            let item = Item { key, fields, batch, index: 0, updated_at: now, sequence: now };
            items.write(&[item]).await.unwrap();
        }
        let message =
            RecordMessage::new(RequestId::parse("r2").unwrap(), false, now, to_raw_value(&json!({})).unwrap());
        requests.write(&Request::accepted(&message).failed("no")).await.unwrap();
        let all = [taken(0), taken(1), taken(2)];
        assert_eq!(check(&requests, &items, &all).await.unwrap(), Counted { stored: 1, lost: 2 });
    }
}
