//! What clients used by days, and by hours: sums that are made anew from events, and never added to.

use std::collections::BTreeMap;

use jiff::civil::Date;
use serde::{Deserialize, Serialize};

use crate::model::billing::admission::Admitted;
use crate::model::billing::calendar::HalfMonth;
use crate::model::billing::event::UsageEvent;
use crate::model::billing::usage::Usage;

/// What sums are made of.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Grain {
    /// Each day.
    #[default]
    Day,
    /// Each day, and each of its hours.
    Hour,
}

/// What a client used on a day, or in an hour of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Aggregate {
    /// How often it was made, this time included: 1 at first.
    pub version: u64,
    /// What was used.
    #[serde(flatten)]
    pub usage: Usage,
}

/// The name of a day, as in `2026-02-28`. The names of its hours begin with it, as in `2026-02-28T23-05:00`.
pub fn day(day: Date) -> String {
    day.to_string()
}

/// Whether a name is that of an hour.
pub fn is_hour(period: &str) -> bool {
    period.contains('T')
}

/// Between which names those of all days and hours of a half month are, both included.
pub fn bounds(half: HalfMonth) -> (String, String) {
    let last = half.days().last().unwrap_or_else(|| half.first());
    // No hour of the last day comes after this.
    (day(half.first()), format!("{}U", day(last)))
}

/// What events say by days, or also by hours: by the clock of the client, whose hour comes twice when clocks are turned back.
pub fn fold(events: &[Admitted], grain: Grain) -> BTreeMap<String, Usage> {
    let mut all: BTreeMap<String, Vec<&UsageEvent>> = BTreeMap::new();
    for admitted in events {
        all.entry(day(admitted.day)).or_default().push(&admitted.event);
        if grain == Grain::Hour {
            all.entry(admitted.hour()).or_default().push(&admitted.event);
        }
    }
    all.into_iter().map(|(period, events)| (period, Usage::of(events))).collect()
}

#[cfg(test)]
mod tests {
    use jiff::SignedDuration;
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;
    use crate::model::billing::admission::Terms;
    use crate::model::billing::calendar::{Zone, Zones};

    fn admitted(zone: &str, number: usize, time: &str) -> Admitted {
        let zones = Zones::always(Zone::named(zone).unwrap());
        let terms = Terms {
            zones,
            grace: SignedDuration::ZERO,
            horizon: SignedDuration::MAX,
            prices: None,
            zero_usage_from: None,
        };
        let event = json!({
            "specversion": "1.0", "source": "/m", "id": number.to_string(), "subject": "anna", "type": "kwh", "time": time,
            "data": {"quantity": 1},
        });
        terms.place(UsageEvent::parse(&event).unwrap())
    }

    #[test]
    fn hours_are_those_of_the_client_and_one_that_comes_twice_is_two() {
        let times = ["05:30", "06:30", "07:30"].map(|time| format!("2026-11-01T{time}:00Z"));
        let events: Vec<_> = times.iter().enumerate().map(|(n, time)| admitted("America/New_York", n, time)).collect();
        let found = fold(&events, Grain::Hour);
        let named: Vec<_> = found.iter().map(|(period, usage)| (period.as_str(), usage.events)).collect();
        assert_eq!(
            named,
            [("2026-11-01", 3), ("2026-11-01T01-04:00", 1), ("2026-11-01T01-05:00", 1), ("2026-11-01T02-05:00", 1)]
        );
        assert_eq!(fold(&events, Grain::Day).into_keys().collect::<Vec<_>>(), ["2026-11-01"]);
    }

    proptest! {
        #[test]
        fn hours_lie_in_their_days_and_add_up_to_them(
            times in prop::collection::vec(1_772_000_000_i64..1_775_000_000, 0..60), zone in 0_usize..4,
        ) {
            let zone = ["UTC", "Pacific/Kiritimati", "Asia/Kathmandu", "America/New_York"][zone];
            let time = |seconds: &i64| jiff::Timestamp::from_second(*seconds).unwrap().to_string();
            let events: Vec<_> =
                times.iter().enumerate().map(|(n, seconds)| admitted(zone, n, &time(seconds))).collect();
            let all = fold(&events, Grain::Hour);
            for (of, whole) in all.iter().filter(|(period, _)| period.len() == 10) {
                let mut hours = Usage::default();
                all.iter().filter(|(name, _)| name.len() > 10 && name.starts_with(of)).for_each(|(_, hour)| hours.add(hour));
                prop_assert_eq!(&hours, whole, "{}", of);
            }
            for admitted in &events {
                let (first, last) = bounds(admitted.half());
                for name in [day(admitted.day), admitted.hour()] {
                    prop_assert!(first <= name && name <= last, "{} of {}", name, admitted.half());
                    for other in [admitted.half().next(), HalfMonth::of(admitted.half().first().yesterday().unwrap())] {
                        let (first, last) = bounds(other);
                        prop_assert!(name < first || last < name, "{} of {}", name, other);
                    }
                }
            }
        }
    }
}
