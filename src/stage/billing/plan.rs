//! Which half months are to be closed: a file of them, which becomes a batch like any other.

use jiff::{SignedDuration, Timestamp as Moment};
use serde_json::json;

use crate::model::billing::admission::Terms;
use crate::model::billing::calendar::{HalfMonth, Zone, Zones};
use crate::model::error::{Error, Result};
use crate::model::timestamp::Timestamp;
use crate::store::Clock;
use crate::store::billing::{Clients, NOBODY};
use crate::store::blob::Blob;

/// Which half months.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Which {
    /// Those that closed within these seconds.
    ClosedWithin(i64),
    /// All of which events may still come: those that closed and whose end lies as far back as events are taken, and those that are open.
    All,
    /// This one, of all clients for whom it has closed.
    One(HalfMonth),
}

/// Lists half months.
#[derive(Debug, Clone)]
pub struct Plan<C, B, K> {
    /// The terms of clients.
    pub clients: C,
    /// Where files become batches.
    pub input: B,
    /// What their keys begin with there.
    pub prefix: String,
    /// The time.
    pub clock: K,
}

/// How much longer than events are taken a half month is listed among all, so that several runs may fail.
const SPARE: SignedDuration = SignedDuration::from_hours(24 * 4);
/// Half a month, at the longest.
const HALF: SignedDuration = SignedDuration::from_hours(24 * 16);

impl Which {
    /// Whether a file, by its key in a bucket, lists all half months: it is named by a moment.
    pub fn is_all(key: &str, prefix: &str) -> bool {
        let moment = key.strip_prefix(prefix).and_then(|name| name.strip_suffix(ALL));
        moment.is_some_and(|moment| moment.parse::<Moment>().is_ok())
    }
}

/// How a file of all half months ends.
const ALL: &str = "-all.jsonl";

impl<C: Clients, B: Blob, K: Clock> Plan<C, B, K> {
    /// Puts the half months into a file, and returns its key; `None` if there are none.
    ///
    /// # Errors
    /// Those of the stores: then it is to be tried again.
    pub async fn write(&self, which: Which) -> Result<Option<String>> {
        let now = self.clock.now();
        let lines = self.lines(which, now).await?;
        if lines.is_empty() {
            return Ok(None);
        }
        let key = format!("{}{}", self.prefix, name(which, now));
        // Of two that run at the same moment, one does; what both list is the same.
        self.input.put_new(&key, "application/x-ndjson", lines.concat().into()).await?;
        Ok(Some(key))
    }

    async fn lines(&self, which: Which, now: Timestamp) -> Result<Vec<String>> {
        let now = Moment::from_millisecond(now.0)
            .map_err(|e| Error::internal("the clock is beyond all calendars").because(e))?;
        let clients = self.clients.all().await?;
        let longest = clients.iter().flat_map(|(_, terms)| terms).map(|terms| terms.horizon).max();
        let nobody = nobody(longest.unwrap_or_default());
        // A client whose terms cannot be read is not passed over: its half months fail where everybody sees it.
        let known = |(client, terms): (String, Option<Terms>)| Some((client, terms.or_else(|| nobody.clone())?));
        let mut clients: Vec<(String, Terms)> = clients.into_iter().filter_map(known).collect();
        clients.sort_by(|one, other| one.0.cmp(&other.0));
        if which == Which::All {
            // Events of which there is no client are on days of UTC.
            clients.extend(nobody.clone().map(|terms| (NOBODY.to_owned(), terms)));
        }
        let line = |client: &str, half: HalfMonth| {
            let id = format!("{client}/{}", half.to_string().replace("-H", "/H"));
            format!("{}\n", json!({"id": id, "client": client, "half": half.to_string()}))
        };
        let of = |(client, terms): &(String, Terms)| {
            halves(terms, which, now).into_iter().map(|half| line(client, half)).collect::<Vec<_>>()
        };
        Ok(clients.iter().flat_map(of).collect())
    }
}

fn nobody(horizon: SignedDuration) -> Option<Terms> {
    let zones = Zones::always(Zone::named("UTC")?);
    Some(Terms { zones, grace: SignedDuration::ZERO, horizon, prices: None, zero_usage_from: None })
}

fn name(which: Which, now: Timestamp) -> String {
    match which {
        Which::ClosedWithin(_) => format!("{now}-closed.jsonl"),
        Which::All => format!("{now}{ALL}"),
        Which::One(half) => format!("{now}-{half}.jsonl"),
    }
}

/// The half months of a client that are to be closed, the earliest first.
fn halves(terms: &Terms, which: Which, now: Moment) -> Vec<HalfMonth> {
    let closed = |half: HalfMonth| terms.closes(half).filter(|closes| *closes <= now);
    let since = match which {
        Which::One(half) => return closed(half).map(|_| half).into_iter().collect(),
        Which::ClosedWithin(seconds) => now - SignedDuration::from_secs(seconds),
        Which::All => now.saturating_sub(terms.horizon + terms.grace + SPARE).unwrap_or(Moment::MIN),
    };
    let earliest = since.saturating_sub(terms.grace + HALF + HALF).unwrap_or(Moment::MIN);
    let mut half = HalfMonth::of(terms.zones.day(earliest));
    let mut found = Vec::new();
    // One closes after the other, and the last one is open.
    while let Some(closes) = closed(half) {
        if closes > since {
            found.push(half);
        }
        half = half.next();
    }
    // They are looked at, and not closed.
    while which == Which::All && half.first() <= terms.zones.day(now) {
        found.push(half);
        half = half.next();
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn terms(zone: &str, grace: i64) -> Terms {
        let zones = Zones::always(Zone::named(zone).unwrap());
        let (grace, horizon) = (SignedDuration::from_hours(grace), SignedDuration::from_hours(24 * 35));
        Terms { zones, grace, horizon, prices: None, zero_usage_from: None }
    }

    fn names(zone: &str, grace: i64, which: Which, now: &str) -> Vec<String> {
        halves(&terms(zone, grace), which, now.parse().unwrap()).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_half_is_listed_once_it_has_closed_where_its_client_is() {
        let hour = Which::ClosedWithin(3600);
        for (zone, now, listed) in [
            ("UTC", "2026-03-01T00:59:59Z", None),
            ("UTC", "2026-03-01T01:00:00Z", Some("2026-02-H2")),
            ("UTC", "2026-03-01T01:59:59Z", Some("2026-02-H2")),
            ("UTC", "2026-03-01T02:00:00Z", None),
            ("America/New_York", "2026-03-01T06:00:00Z", Some("2026-02-H2")),
            ("Pacific/Kiritimati", "2026-02-28T11:30:00Z", Some("2026-02-H2")),
            ("UTC", "2026-03-16T01:10:00Z", Some("2026-03-H1")),
        ] {
            assert_eq!(names(zone, 1, hour, now), listed.into_iter().collect::<Vec<_>>(), "{zone} {now}");
        }
        assert_eq!(names("UTC", 48, hour, "2026-03-03T00:00:00Z"), ["2026-02-H2"], "the grace is long");
    }

    #[test]
    fn a_file_of_all_half_months_is_known_by_its_name() {
        let now = Timestamp(1_800_000_000_123);
        let all = name(Which::All, now);
        assert!(Which::is_all(&all, "") && Which::is_all(&format!("in/{all}"), "in/"));
        for other in [name(Which::ClosedWithin(60), now), "x-all.jsonl".to_owned(), format!("in/{all}")] {
            assert!(!Which::is_all(&other, ""), "{other}");
        }
    }

    /// The last event of a half month that is taken comes 35 days after its end, and the runs of three days may fail.
    #[test]
    fn a_half_is_listed_for_longer_than_its_events_are_taken() {
        for (now, first) in [("2026-03-11T00:30:00Z", "2026-01-H2"), ("2026-03-12T00:30:00Z", "2026-02-H1")] {
            assert_eq!(names("UTC", 0, Which::All, now)[0], first, "{now}");
        }
    }

    #[test]
    fn every_run_of_an_hour_lists_each_half_once() {
        let now: Moment = "2026-01-01T00:17:00Z".parse().unwrap();
        for zone in ["UTC", "Asia/Kathmandu", "America/New_York"] {
            let listed =
                |hour: i64| halves(&terms(zone, 1), Which::ClosedWithin(3600), now + SignedDuration::from_hours(hour));
            let all: Vec<HalfMonth> = (0..24 * 90).flat_map(listed).collect();
            assert_eq!(all.len(), 6, "{zone}: {all:?}");
            assert!(all.windows(2).all(|two| two[1] == two[0].next()), "{zone}: {all:?}");
        }
    }

    #[test]
    fn a_run_over_all_lists_the_halves_in_which_events_may_still_come() {
        let all = names("UTC", 1, Which::All, "2026-03-03T00:00:00Z");
        assert_eq!(
            all,
            ["2026-01-H2", "2026-02-H1", "2026-02-H2", "2026-03-H1"],
            "from the one that has days 35 days ago"
        );
        let open = names("Pacific/Kiritimati", 500, Which::All, "2026-02-28T12:00:00Z");
        assert_eq!(
            open.last().map(String::as_str),
            Some("2026-03-H1"),
            "it began there, and those before it are still open"
        );
        let half = HalfMonth::parse("2026-02-H2").unwrap();
        assert_eq!(names("UTC", 1, Which::One(half), "2026-03-03T00:00:00Z"), ["2026-02-H2"]);
        assert_eq!(names("UTC", 1, Which::One(half), "2026-03-01T00:00:00Z"), Vec::<String>::new());
    }
}
