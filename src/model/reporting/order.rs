//! What a report is asked for: a kind, a range of days in a zone, and the assets that it is about.

use std::collections::HashSet;

use jiff::civil::Date;
use jiff::tz::TimeZone;
use serde::Serialize;
use serde_json::{Map, Value};

use crate::model::reporting::webhook::Hook;
use crate::model::timestamp::Timestamp;

/// The most assets of a report.
pub const MOST_ASSETS: usize = 100_000;
/// The most days of a report: ten years.
pub const MOST_DAYS: i32 = 3_660;
/// The longest name of an asset, in bytes. It is in no key.
pub const LONGEST_ASSET: usize = 16_384;
/// The longest type of a report, in bytes.
const LONGEST_KIND: usize = 100;
/// The latest deadline, in seconds: as long as the rows of a part are kept unless that is set.
const LATEST_DEADLINE: i64 = 7 * 24 * 3600;
/// How much of a text that is wrong is said again, in characters.
const QUOTED: usize = 100;

/// In which form a report is delivered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Form {
    /// One document with everything.
    Json,
    /// One row for each asset and day.
    Csv,
    /// A document to be read by people.
    Pdf,
}

impl Form {
    const ALL: [(&str, Self); 3] = [("json", Self::Json), ("csv", Self::Csv), ("pdf", Self::Pdf)];
}

/// What a report is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Assets {
    /// These, in this order, each once.
    Named(Vec<String>),
    /// All that anything is known of.
    All,
}

/// What a report is asked for.
#[derive(Debug, Clone, PartialEq)]
pub struct Order {
    /// Which report.
    pub kind: String,
    /// The first day.
    pub from: Date,
    /// The day after the last.
    pub to: Date,
    /// The zone whose days these are.
    pub zone: TimeZone,
    /// The zone's name.
    pub zone_name: String,
    /// What it is about.
    pub assets: Assets,
    /// In which form it is wanted.
    pub form: Form,
    /// After how many seconds what is not there is left out.
    pub deadline: Option<i64>,
    /// Who is told of its end.
    pub webhook: Option<Hook>,
}

/// What is wrong with an order: a member's path and what to do, one for each member that is wrong.
pub type Wrong = Vec<(String, String)>;

/// Reads the members of an order, and notes what is wrong.
struct Reader<'a> {
    members: &'a Map<String, Value>,
    wrong: Wrong,
}

impl Reader<'_> {
    fn text(&mut self, name: &str, default: Option<&str>) -> Option<String> {
        match (self.members.get(name), default) {
            (Some(Value::String(text)), _) => return Some(text.clone()),
            (None, Some(default)) => return Some(default.to_owned()),
            (None, None) => self.note(name, "is missing".to_owned()),
            (Some(_), _) => self.note(name, "must be a text".to_owned()),
        }
        None
    }

    fn note(&mut self, path: &str, what: String) {
        self.wrong.push((format!("/{path}"), what));
    }

    fn day(&mut self, name: &str) -> Option<Date> {
        let text = self.text(name, None)?;
        let day = Date::strptime("%Y-%m-%d", &text).ok().filter(|day| day.to_string() == text);
        if day.is_none() {
            self.note(name, format!("{} is no day; write one as 2026-02-28", quoted(&text)));
        }
        day
    }

    /// `None` if it is wrong.
    fn deadline(&mut self) -> Option<Option<i64>> {
        let Some(given) = self.members.get("deadline") else {
            return Some(None);
        };
        let seconds = given.as_i64().filter(|seconds| (1..=LATEST_DEADLINE).contains(seconds));
        if seconds.is_none() {
            self.note("deadline", format!("must be a whole number of seconds from 1 to {LATEST_DEADLINE}"));
        }
        seconds.map(Some)
    }

    /// `None` if it is wrong.
    fn webhook(&mut self) -> Option<Option<Hook>> {
        if !self.members.contains_key("webhook") {
            return Some(None);
        }
        let url = self.text("webhook", None)?;
        Hook::parse(&url).map(Some).map_err(|what| self.note("webhook", format!("{} {what}", quoted(&url)))).ok()
    }

    fn assets(&mut self) -> Option<Assets> {
        let listed = match self.members.get("assets") {
            Some(Value::String(all)) if all == "all" => return Some(Assets::All),
            Some(Value::Array(listed)) => listed,
            Some(_) => {
                self.note("assets", "must be a list of names, or \"all\"".to_owned());
                return None;
            }
            None => {
                self.note("assets", "is missing: give a list of names, or \"all\"".to_owned());
                return None;
            }
        };
        if listed.len() > MOST_ASSETS {
            self.note("assets", format!("has {} names, and a report has at most {MOST_ASSETS}", listed.len()));
            return None;
        }
        let (mut seen, mut names) = (HashSet::new(), Vec::new());
        for (place, name) in listed.iter().enumerate() {
            match name {
                Value::String(name) if (1..=LONGEST_ASSET).contains(&name.len()) => {
                    if seen.insert(name.as_str()) {
                        names.push(name.clone());
                    }
                }
                _ => {
                    self.note(&format!("assets/{place}"), format!("must be a text of 1 to {LONGEST_ASSET} bytes"));
                    return None;
                }
            }
        }
        Some(Assets::Named(names))
    }
}

impl Order {
    /// Reads an order: `{"type","from","to","zone"?,"assets","format"?,"deadline"?,"webhook"?}`, days as `2026-02-28`, `to` excluded.
    ///
    /// # Errors
    /// All that is wrong, by the members' paths.
    pub fn parse(order: &Value) -> Result<Self, Wrong> {
        let Value::Object(members) = order else {
            return Err(vec![(String::new(), "a report is asked for by a JSON object".to_owned())]);
        };
        let mut reader = Reader { members, wrong: Vec::new() };
        for name in members.keys().filter(|name| !MEMBERS.contains(&name.as_str())) {
            let known = MEMBERS.join(", ");
            reader.note(&name[..name.floor_char_boundary(QUOTED)], format!("is not known; there is {known}"));
        }
        let kind = reader.text("type", None);
        if kind.as_ref().is_some_and(|kind| !(1..=LONGEST_KIND).contains(&kind.len())) {
            reader.note("type", format!("must be a text of 1 to {LONGEST_KIND} bytes"));
        }
        let (from, to) = (reader.day("from"), reader.day("to"));
        if let (Some(from), Some(to)) = (from, to) {
            match from.until(to).map(|span| span.get_days()) {
                Ok(days) if days < 0 => reader.note("to", format!("{to} is before {from}, the first day")),
                Ok(0) => reader.note("to", format!("{to} is the first day; `to` is the day after the last one")),
                Ok(days) if days <= MOST_DAYS => {}
                _ => reader.note("to", format!("is more than {MOST_DAYS} days after the first")),
            }
        }
        let zone_name = reader.text("zone", Some("UTC"));
        let zone = zone_name.as_deref().and_then(|name| TimeZone::get(name).ok());
        if let (Some(name), None) = (&zone_name, &zone) {
            let name = quoted(name);
            reader.note("zone", format!("{name} is no zone; give one as Europe/Berlin, by its name at IANA"));
        }
        let assets = reader.assets();
        let form = reader.text("format", Some("json"));
        let known = form.as_deref().and_then(|form| Form::ALL.iter().find(|(name, _)| *name == form));
        if let (Some(form), None) = (&form, known) {
            reader.note("format", format!("{} is no format; there is json, csv, pdf", quoted(form)));
        }
        let (deadline, webhook) = (reader.deadline(), reader.webhook());
        match (kind, from, to, zone, zone_name, assets, known, deadline, webhook) {
            (
                Some(kind),
                Some(from),
                Some(to),
                Some(zone),
                Some(zone_name),
                Some(assets),
                Some((_, form)),
                Some(deadline),
                Some(webhook),
            ) if reader.wrong.is_empty() => {
                Ok(Self { kind, from, to, zone, zone_name, assets, form: *form, deadline, webhook })
            }
            _ => Err(reader.wrong),
        }
    }

    /// The days, from the first to the last.
    pub fn days(&self) -> impl Iterator<Item = Date> + use<> {
        let to = self.to;
        std::iter::successors(Some(self.from), |day| day.tomorrow().ok()).take_while(move |day| *day < to)
    }

    /// The moments at which the first day begins and the last one ends, in the zone. A day that has no midnight there begins
    /// with its first moment.
    pub fn moments(&self) -> Option<(Timestamp, Timestamp)> {
        let begin = |day: Date| {
            let zoned = day.to_zoned(self.zone.clone()).ok()?.start_of_day().ok()?;
            Some(Timestamp(zoned.timestamp().as_millisecond()))
        };
        Some((begin(self.from)?, begin(self.to)?))
    }
}

/// A text that is wrong, in quotes, with no more of it than helps.
fn quoted(text: &str) -> String {
    let begin: String = text.chars().take(QUOTED).collect();
    if begin.len() < text.len() { format!("{begin:?}…") } else { format!("{text:?}") }
}

/// All members of an order.
const MEMBERS: [&str; 8] = ["type", "from", "to", "zone", "assets", "format", "deadline", "webhook"];

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    fn order(members: Value) -> Result<Order, Wrong> {
        let mut whole = json!({"type": "usage", "from": "2026-01-01", "to": "2026-02-01", "assets": ["a"]});
        for (name, value) in members.as_object().unwrap() {
            whole[name] = value.clone();
        }
        Order::parse(&whole)
    }

    #[test]
    fn an_order_is_read() {
        let read = order(json!({"assets": ["b", "a", "b", "../../x", "株式会社", "🚀"], "format": "pdf"})).unwrap();
        let names = ["b", "a", "../../x", "株式会社", "🚀"].map(str::to_owned).to_vec();
        assert_eq!((read.assets.clone(), read.form, read.zone_name.as_str()), (Assets::Named(names), Form::Pdf, "UTC"));
        assert_eq!((read.deadline, read.webhook), (None, None));
        let told = order(json!({"webhook": "https://example.com/hooks/a"})).unwrap().webhook.unwrap();
        assert_eq!((told.origin.host.as_str(), told.target.as_str()), ("example.com", "/hooks/a"));
        let all = order(json!({"assets": "all", "deadline": 600})).unwrap();
        assert_eq!((all.assets, all.deadline), (Assets::All, Some(600)));
        assert_eq!(order(json!({"assets": []})).unwrap().assets, Assets::Named(Vec::new()));
    }

    #[test]
    fn what_is_wrong_is_told_by_its_path() {
        for (members, path, words) in [
            (json!({"from": "2026-02-02"}), "/to", "before 2026-02-02"),
            (json!({"to": "2026-01-01"}), "/to", "the day after the last one"),
            (json!({"type": ""}), "/type", "1 to 100 bytes"),
            (json!({"type": "t".repeat(101)}), "/type", "1 to 100 bytes"),
            (json!({"zone": "ü".repeat(5_000)}), "/zone", "üüü\"… is no zone"),
            (json!({"from": "2026-02-29"}), "/from", "is no day"),
            (json!({"from": "2026-1-1"}), "/from", "is no day"),
            (json!({"to": "9999-12-31"}), "/to", "more than 3660 days"),
            (json!({"zone": "Europe/Nowhere"}), "/zone", "is no zone"),
            (json!({"zone": 1}), "/zone", "must be a text"),
            (json!({"assets": ["a", 1]}), "/assets/1", "must be a text"),
            (json!({"assets": ["x".repeat(16_385)]}), "/assets/0", "16384 bytes"),
            (json!({"assets": vec!["a"; MOST_ASSETS + 1]}), "/assets", "100000"),
            (json!({"assets": "some"}), "/assets", "or \"all\""),
            (json!({"format": "xml"}), "/format", "json, csv, pdf"),
            (json!({"form": "pdf"}), "/form", "is not known"),
            (json!({"deadline": 0}), "/deadline", "from 1 to 604800"),
            (json!({"deadline": 604_801}), "/deadline", "from 1 to 604800"),
            (json!({"deadline": "600"}), "/deadline", "from 1 to 604800"),
            (json!({"deadline": null}), "/deadline", "from 1 to 604800"),
            (json!({"webhook": 1}), "/webhook", "must be a text"),
            (json!({"webhook": "http://example.com/"}), "/webhook", "must begin with https://"),
        ] {
            let wrong = order(members.clone()).unwrap_err();
            let told = wrong.iter().any(|(at, what)| at == path && what.contains(words));
            assert!(told, "{members}: {wrong:?}");
        }
        assert_eq!(Order::parse(&json!([])).unwrap_err().len(), 1);
        assert_eq!(Order::parse(&json!({})).unwrap_err().len(), 4, "all problems at once");
        assert!(order(json!({"from": "2024-02-29", "to": "2024-03-01"})).is_ok());
    }

    #[test]
    fn a_day_is_as_long_as_its_zone_makes_it() {
        let hours = |from: &str, to: &str, zone: &str| {
            let read = order(json!({"from": from, "to": to, "zone": zone})).unwrap();
            let (begin, end) = read.moments().unwrap();
            (end.0 - begin.0) as f64 / 3_600_000.0
        };
        assert_eq!(hours("2026-03-29", "2026-03-30", "Europe/Berlin"), 23.0);
        assert_eq!(hours("2026-10-25", "2026-10-26", "Europe/Berlin"), 25.0);
        assert_eq!(hours("2018-11-04", "2018-11-05", "America/Sao_Paulo"), 23.0, "a day without midnight");
        assert_eq!(hours("2011-12-29", "2011-12-31", "Pacific/Apia"), 24.0, "a day that there was not");
        assert_eq!(hours("2026-01-01", "2026-02-01", "Australia/Lord_Howe"), 31.0 * 24.0);
    }

    /// The day after, by the rules of the calendar alone.
    fn next((year, month, day): (i16, i8, i8)) -> (i16, i8, i8) {
        let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
        let long = [31, if leap { 29 } else { 28 }, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31][month as usize - 1];
        match (day == long, month == 12) {
            (false, _) => (year, month, day + 1),
            (true, false) => (year, month + 1, 1),
            (true, true) => (year + 1, 1, 1),
        }
    }

    proptest! {
        #[test]
        fn days_are_those_of_a_naive_calendar(year in 1999_i16..2032, month in 1_i8..=12, day in 1_i8..=28, many in 1_usize..900) {
            let from = Date::new(year, month, day).unwrap();
            let expected: Vec<_> = std::iter::successors(Some((year, month, day)), |day| Some(next(*day))).take(many + 1).collect();
            let (y, m, d) = expected[many];
            let read = order(json!({"from": from.to_string(), "to": format!("{y:04}-{m:02}-{d:02}")})).unwrap();
            let days: Vec<_> = read.days().map(|day| (day.year(), day.month(), day.day())).collect();
            prop_assert_eq!(days, &expected[..many]);
        }
    }
}
