//! Which events are billed, and on which day.

use jiff::civil::Date;
use jiff::tz::Offset;
use jiff::{SignedDuration, Timestamp};

use crate::model::billing::calendar::{self, HalfMonth, Zones};
use crate::model::billing::event::UsageEvent;
use crate::model::billing::money::Prices;

/// How far ahead of the clock that takes it an event may be: clocks differ.
pub const AHEAD: SignedDuration = SignedDuration::from_mins(5);

/// What is agreed with a client.
#[derive(Debug, Clone, PartialEq)]
pub struct Terms {
    /// In which zones its days begin.
    pub zones: Zones,
    /// How long after its end a half month is still open for events.
    pub grace: SignedDuration,
    /// How old an event may be. Older ones are not billed.
    pub horizon: SignedDuration,
    /// What is charged, if there are prices.
    pub prices: Option<Prices>,
    /// The first day from which on a half month in which nothing is used is billed as well.
    pub zero_usage_from: Option<Date>,
}

/// An event that is billed, and where.
#[derive(Debug, Clone, PartialEq)]
pub struct Admitted {
    /// The event.
    pub event: UsageEvent,
    /// The client's day on which it is, for good: a zone that the client takes later does not move it.
    pub day: Date,
    /// The zone by which it is on that day.
    pub zone: String,
    /// How far the clock of that zone was ahead of UTC: its hour is fixed as well.
    pub offset: Offset,
    /// The version of the zone data by which that is so, as in `2026b`.
    pub zone_data: String,
}

impl Admitted {
    /// The half month in which it is billed.
    pub fn half(&self) -> HalfMonth {
        HalfMonth::of(self.day)
    }

    /// The hour of the client in which it is, as in `2026-02-28T23-05:00`.
    pub fn hour(&self) -> String {
        self.event.at.to_zoned(self.offset.to_time_zone()).strftime("%Y-%m-%dT%H%:z").to_string()
    }
}

impl Terms {
    /// The day on which an event is.
    pub fn place(&self, event: UsageEvent) -> Admitted {
        let zone = self.zones.at(event.at);
        let (offset, zone_data) = (zone.offset(event.at), calendar::zone_data().to_owned());
        Admitted { day: zone.day(event.at), zone: zone.name().to_owned(), offset, zone_data, event }
    }

    /// Why an event that comes at a moment is not billed, in words; `None` if it is.
    pub fn refusal(&self, event: &UsageEvent, now: Timestamp) -> Option<String> {
        let age = now.duration_since(event.at);
        if age < -AHEAD {
            return Some(format!("its time, {}, is {:#} ahead of the clock; five minutes are taken", event.at, -age));
        }
        (age > self.horizon)
            .then(|| format!("its time, {}, is {age:#} ago; at most {:#} are taken", event.at, self.horizon))
    }

    /// Whether a half month is billed in which nothing was used.
    pub fn bills_nothing(&self, half: HalfMonth) -> bool {
        self.zero_usage_from.is_some_and(|from| from <= half.first())
    }

    /// From when on a half month is closed.
    pub fn closes(&self, half: HalfMonth) -> Option<Timestamp> {
        self.zones.bounds(half)?.1.checked_add(self.grace).ok()
    }
}

#[cfg(test)]
mod tests {
    use jiff::civil::date;
    use serde_json::json;

    use super::*;
    use crate::model::billing::calendar::Zone;

    fn event(time: &str) -> UsageEvent {
        UsageEvent::parse(&json!({
            "specversion": "1.0", "source": "/m", "id": "1", "subject": "anna", "type": "kwh", "time": time, "data": {"quantity": 1},
        }))
        .unwrap()
    }

    fn terms() -> Terms {
        let zones = Zones::always(Zone::named("America/New_York").unwrap());
        Terms {
            zones,
            grace: SignedDuration::from_hours(1),
            horizon: SignedDuration::from_hours(24 * 35),
            prices: None,
            zero_usage_from: None,
        }
    }

    #[test]
    fn an_event_is_on_the_day_of_its_client_and_within_the_horizon() {
        let now = "2026-03-01T05:30:00Z".parse().unwrap();
        let admitted = terms().place(event("2026-03-01T04:59:59.999999999Z"));
        assert_eq!(terms().refusal(&admitted.event, now), None);
        assert_eq!((admitted.day, admitted.zone.as_str()), (date(2026, 2, 28), "America/New_York"));
        assert_eq!(admitted.half().to_string(), "2026-02-H2");
        for (time, told) in [
            ("2026-03-01T05:35:00Z", None),
            ("2026-03-01T05:35:00.000000001Z", Some("ahead of the clock; five minutes are taken")),
            ("2026-01-25T05:30:00Z", None),
            ("2026-01-25T05:29:59.999999999Z", Some("at most 840h are taken")),
        ] {
            let refused = terms().refusal(&event(time), now);
            assert_eq!(refused.is_some(), told.is_some(), "{time}: {refused:?}");
            assert!(refused.unwrap_or_default().contains(told.unwrap_or_default()), "{time}");
        }
        let closes = terms().closes(HalfMonth::parse("2026-02-H2").unwrap());
        assert_eq!(closes, Some("2026-03-01T06:00:00Z".parse().unwrap()));
    }
}
