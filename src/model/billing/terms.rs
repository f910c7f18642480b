//! The terms of a client, as a record of a file has them.

use jiff::civil::Date;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Map, Value};

use crate::model::billing::admission::Terms;
use crate::model::billing::calendar::{Zone, Zones};
use crate::model::billing::money::{Currency, Prices};
use crate::model::fold::Exact;

/// What is agreed where nothing is said: how long a half month is open after its end, in minutes, and how old events may be, in days.
const GRACE: i64 = 60;
const HORIZON: i64 = 35;
/// The most of both: grace of a quarter of a year, and events of two.
const MOST_GRACE: i64 = 60 * 24 * 92;
const MOST_HORIZON: i64 = 182;

impl Terms {
    /// Reads terms: `{"zone": "Europe/Berlin", "zones": [{"from": "2026-03-01T00:00:00Z", "zone": "UTC"}], "grace_minutes": 60,
    /// "horizon_days": 35, "zero_usage_from": "2026-03-01", "currency": "EUR", "prices": {"kwh": "0.335"}}`, of which the zone alone must be there. Other members say nothing
    /// here.
    ///
    /// # Errors
    /// Everything that is wrong with them.
    pub fn parse(fields: &Map<String, Value>) -> Result<Self, Vec<String>> {
        let mut reader = Reader { fields, wrong: Vec::new() };
        let zones = reader.zones();
        let grace = reader.whole("grace_minutes", GRACE, 0..=MOST_GRACE);
        let horizon = reader.whole("horizon_days", HORIZON, 1..=MOST_HORIZON);
        let prices = reader.prices();
        let zero_usage_from = reader.date("zero_usage_from");
        match zones {
            Some(zones) if reader.wrong.is_empty() => Ok(Self {
                zones,
                grace: SignedDuration::from_mins(grace),
                horizon: SignedDuration::from_hours(24 * horizon),
                prices,
                zero_usage_from,
            }),
            _ => Err(reader.wrong),
        }
    }
}

struct Reader<'a> {
    fields: &'a Map<String, Value>,
    wrong: Vec<String>,
}

impl<'a> Reader<'a> {
    fn member(&self, name: &str) -> Option<&'a Value> {
        self.fields.get(name).filter(|value| !value.is_null())
    }

    fn zone(&mut self, path: &str, name: Option<&Value>) -> Option<Zone> {
        let zone = name.and_then(Value::as_str).and_then(Zone::named);
        if zone.is_none() {
            let told = name.map_or_else(|| "missing".to_owned(), ToString::to_string);
            self.wrong.push(format!("{path} is {told}: name a zone as of IANA, as in Europe/Berlin"));
        }
        zone
    }

    fn zones(&mut self) -> Option<Zones> {
        let mut zones = self.zone("zone", self.member("zone")).map(Zones::always);
        let later = match self.member("zones") {
            None => return zones,
            Some(Value::Array(later)) => later,
            Some(_) => {
                self.wrong.push("zones must be a list of {\"from\", \"zone\"}, the earliest first".to_owned());
                return None;
            }
        };
        let mut last = None;
        for (place, change) in later.iter().enumerate() {
            let zone = self.zone(&format!("zones/{place}/zone"), change.get("zone"));
            let from = change.get("from").and_then(Value::as_str).and_then(|from| from.parse::<Timestamp>().ok());
            if from.is_none() || from <= last {
                let what = "must be a moment as of RFC 3339, each later than the one before";
                self.wrong.push(format!("zones/{place}/from {what}"));
            }
            last = from.or(last);
            zones = zones.zip(zone.zip(from)).map(|(zones, (zone, from))| zones.then(from, zone));
        }
        zones
    }

    fn whole(&mut self, name: &str, usual: i64, range: std::ops::RangeInclusive<i64>) -> i64 {
        let Some(given) = self.member(name) else {
            return usual;
        };
        given.as_i64().filter(|number| range.contains(number)).unwrap_or_else(|| {
            let (least, most) = (range.start(), range.end());
            self.wrong.push(format!("{name} is {given}: give a whole number from {least} to {most}"));
            usual
        })
    }

    fn date(&mut self, name: &str) -> Option<Date> {
        let given = self.member(name)?;
        let date = given.as_str().and_then(|text| text.parse::<Date>().ok().filter(|date| date.to_string() == text));
        if date.is_none() {
            self.wrong.push(format!("{name} is {given}: give a day, as in 2026-03-01"));
        }
        date
    }

    fn prices(&mut self) -> Option<Prices> {
        let (currency, prices) = (self.member("currency"), self.member("prices"));
        let prices = match (currency, prices) {
            (None, None) => return None,
            (Some(_), Some(Value::Object(prices))) => prices,
            _ => {
                let what = "go together: a currency, as in \"EUR\", and prices by meter, as in {\"kwh\": \"0.335\"}";
                self.wrong.push(format!("currency and prices {what}"));
                return None;
            }
        };
        let code = currency.and_then(Value::as_str).and_then(Currency::parse);
        if code.is_none() {
            self.wrong.push("currency must be three capital letters, as in EUR".to_owned());
        }
        let mut meters = std::collections::BTreeMap::new();
        for (meter, price) in prices {
            let read = match price {
                Value::Number(number) => Exact::parse(&number.to_string()),
                // Its digits are limited as those of numbers are.
                Value::String(text) => Exact::of_text(text).and_then(|_| Exact::parse(text)),
                _ => None,
            };
            match read {
                Some(price) => _ = meters.insert(meter.clone(), price),
                None => self.wrong.push(format!("prices/{meter} must be a decimal number, best as a text")),
            }
        }
        Some(Prices { currency: code?, meters })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::billing::calendar::HalfMonth;
    use serde_json::json;

    fn parsed(value: Value) -> Result<Terms, Vec<String>> {
        Terms::parse(value.as_object().unwrap())
    }

    #[test]
    fn terms_are_read_with_what_is_usual() {
        let least = parsed(json!({"client": "anna", "zone": "Europe/Berlin", "zones": null})).unwrap();
        assert_eq!((least.grace, least.horizon), (SignedDuration::from_hours(1), SignedDuration::from_hours(24 * 35)));
        assert_eq!(least.prices, None);
        let all = parsed(json!({
            "zone": "Europe/Berlin", "zones": [{"from": "2026-03-01T00:00:00Z", "zone": "UTC"}],
            "grace_minutes": 0, "horizon_days": 182, "zero_usage_from": "2026-03-02", "currency": "JPY", "prices": {"kwh": "0.335", "visits": 2.5},
        }))
        .unwrap();
        assert_eq!(all.zones.at("2026-02-28T23:59:59Z".parse().unwrap()).name(), "Europe/Berlin");
        assert_eq!(all.zones.at("2026-03-01T00:00:00Z".parse().unwrap()).name(), "UTC");
        let half = |name: &str| HalfMonth::parse(name).unwrap();
        let nothing = ["2026-02-H2", "2026-03-H1", "2026-03-H2"].map(|name| all.bills_nothing(half(name)));
        assert_eq!((nothing, least.bills_nothing(half("2026-03-H2"))), ([false, false, true], false));
        let prices = all.prices.unwrap();
        assert_eq!((prices.currency.places(), prices.meters["visits"].to_string()), (0, "2.5".to_owned()));
    }

    #[test]
    fn everything_that_is_wrong_is_told() {
        let told = parsed(json!({
            "zone": "Europe/Nowhere", "grace_minutes": -1, "horizon_days": 1.5, "currency": "eur", "zero_usage_from": "2026-03",
            "prices": {"kwh": "cheap", "visits": "1".repeat(100)},
            "zones": [{"from": "2026-03-01T00:00:00Z", "zone": "UTC"}, {"from": "2026-02-01T00:00:00Z", "zone": "?"}],
        }))
        .unwrap_err();
        let parts = [
            "zone is \"Europe/Nowhere\"",
            "zones/1/zone is \"?\"",
            "zones/1/from must be a moment",
            "grace_minutes is -1: give a whole number from 0 to 132480",
            "horizon_days is 1.5",
            "currency must be three",
            "prices/kwh must be a decimal",
            "prices/visits must be a decimal",
            "zero_usage_from is \"2026-03\": give a day",
        ];
        assert_eq!(told.len(), parts.len(), "{told:?}");
        for (told, part) in told.iter().zip(parts) {
            assert!(told.starts_with(part), "{told}");
        }
        for lone in [json!({"zone": "UTC", "currency": "EUR"}), json!({"zone": "UTC", "prices": {}})] {
            assert!(parsed(lone).unwrap_err()[0].starts_with("currency and prices go together"));
        }
        assert!(parsed(json!({})).unwrap_err()[0].starts_with("zone is missing"));
        assert!(parsed(json!({"zone": "UTC", "zones": "UTC"})).is_err());
    }
}
