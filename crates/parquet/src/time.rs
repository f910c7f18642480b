//! Days and times as text: RFC 3339, and ISO 8601's expanded years where four digits do not suffice.

use std::io::Write;

use parquet::basic::TimeUnit;

const SECONDS_OF_DAY: i64 = 86_400;
const NANOSECOND: i64 = 1_000_000_000;
const JULIAN_DAY_OF_1970: i64 = 2_440_588;

/// How many units make a second, and the digits of its fraction.
fn unit_of(unit: TimeUnit) -> (i64, usize) {
    match unit {
        TimeUnit::MILLIS => (1_000, 3),
        TimeUnit::MICROS => (1_000_000, 6),
        TimeUnit::NANOS => (NANOSECOND, 9),
    }
}

/// Appends a day, given in days since 1970-01-01.
pub(crate) fn date(days: i64, out: &mut Vec<u8>) {
    out.push(b'"');
    civil(days, out);
    out.push(b'"');
}

/// Appends a time of day. `None` if it is not within a day; midnight at its end, 24:00:00, is.
pub(crate) fn time(value: i64, unit: TimeUnit, utc: bool, out: &mut Vec<u8>) -> Option<()> {
    let (second, digits) = unit_of(unit);
    if !(0..=SECONDS_OF_DAY * second).contains(&value) {
        return None;
    }
    out.push(b'"');
    clock(value / second, value % second, digits, out);
    end(utc, out);
    Some(())
}

/// Appends a timestamp, given in units since 1970-01-01T00:00:00.
pub(crate) fn timestamp(value: i64, unit: TimeUnit, utc: bool, out: &mut Vec<u8>) {
    let (second, digits) = unit_of(unit);
    moment(value.div_euclid(second), value.rem_euclid(second), digits, out);
    end(utc, out);
}

/// Appends the timestamp of an INT96: nanoseconds of the day in eight bytes, then the Julian day.
pub(crate) fn int96(words: &[u32], out: &mut Vec<u8>) {
    let [low, high, day] = *words else { return out.extend_from_slice(b"null") };
    let nanoseconds = (u64::from(high) << 32 | u64::from(low)) as i64;
    let midnight = (i64::from(day) - JULIAN_DAY_OF_1970) * SECONDS_OF_DAY;
    moment(midnight + nanoseconds.div_euclid(NANOSECOND), nanoseconds.rem_euclid(NANOSECOND), 9, out);
    end(false, out);
}

/// Appends an INTERVAL, three little-endian numbers, as a duration of ISO 8601 whose parts do not carry into each
/// other: `"P14M3DT0.250S"` is 14 months, 3 days and 250 milliseconds.
pub(crate) fn interval(bytes: &[u8; 12], out: &mut Vec<u8>) {
    let part = |at: usize| u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]]);
    let (months, days, milliseconds) = (part(0), part(4), part(8));
    // Writing to memory does not fail.
    let _ = write!(out, "\"P{months}M{days}DT{}.{:03}S\"", milliseconds / 1000, milliseconds % 1000);
}

fn moment(seconds: i64, fraction: i64, digits: usize, out: &mut Vec<u8>) {
    out.push(b'"');
    civil(seconds.div_euclid(SECONDS_OF_DAY), out);
    out.push(b'T');
    clock(seconds.rem_euclid(SECONDS_OF_DAY), fraction, digits, out);
}

fn end(utc: bool, out: &mut Vec<u8>) {
    out.extend_from_slice(if utc { b"Z\"" } else { b"\"" });
}

fn clock(seconds: i64, fraction: i64, digits: usize, out: &mut Vec<u8>) {
    two(seconds / 3600, out);
    out.push(b':');
    two(seconds / 60 % 60, out);
    out.push(b':');
    two(seconds % 60, out);
    if fraction == 0 {
        return;
    }
    let _ = write!(out, ".{fraction:0digits$}");
    while out.last() == Some(&b'0') {
        out.pop();
    }
}

fn two(value: i64, out: &mut Vec<u8>) {
    out.extend_from_slice(&[b'0' + (value / 10 % 10) as u8, b'0' + (value % 10) as u8]);
}

/// Appends a day of the proleptic Gregorian calendar; <http://howardhinnant.github.io/date_algorithms.html> explains
/// the arithmetic.
fn civil(days: i64, out: &mut Vec<u8>) {
    let days = days + 719_468;
    let era = days.div_euclid(146_097);
    let day_of_era = days.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    let year = era * 400 + year_of_era + i64::from(month <= 2);
    if (0..=9999).contains(&year) {
        two(year / 100, out);
        two(year % 100, out);
    } else {
        let _ = write!(out, "{year:+07}");
    }
    out.push(b'-');
    two(month, out);
    out.push(b'-');
    two(day, out);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(write: impl FnOnce(&mut Vec<u8>)) -> String {
        let mut out = Vec::new();
        write(&mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn days() {
        for (days, expected) in [
            (0, "1970-01-01"),
            (-1, "1969-12-31"),
            (11_016, "2000-02-29"),
            (20_484, "2026-01-31"),
            (-719_162, "0001-01-01"),
            (-719_528, "0000-01-01"),
            (-719_529, "-000001-12-31"),
            (2_932_896, "9999-12-31"),
            (2_932_897, "+010000-01-01"),
            (i64::from(i32::MAX), "+5881580-07-11"),
        ] {
            assert_eq!(text(|out| date(days, out)), format!("\"{expected}\""));
        }
    }

    #[test]
    fn timestamps_of_every_unit_and_the_ends_of_their_range() {
        let at = |value, unit, utc| text(|out| timestamp(value, unit, utc, out));
        assert_eq!(at(1_769_817_600_123, TimeUnit::MILLIS, true), "\"2026-01-31T00:00:00.123Z\"");
        assert_eq!(at(-1, TimeUnit::MICROS, false), "\"1969-12-31T23:59:59.999999\"");
        assert_eq!(at(1_500_000_000, TimeUnit::NANOS, false), "\"1970-01-01T00:00:01.5\"");
        assert_eq!(at(i64::MIN, TimeUnit::NANOS, true), "\"1677-09-21T00:12:43.145224192Z\"");
        assert_eq!(at(i64::MAX, TimeUnit::MICROS, false), "\"+294247-01-10T04:00:54.775807\"");
        assert_eq!(at(i64::MIN, TimeUnit::MILLIS, false), "\"-292275055-05-16T16:47:04.192\"");
    }

    #[test]
    fn times_within_a_day() {
        assert_eq!(text(|out| time(86_399_999, TimeUnit::MILLIS, true, out).unwrap()), "\"23:59:59.999Z\"");
        assert_eq!(text(|out| time(86_400_000_000, TimeUnit::MICROS, false, out).unwrap()), "\"24:00:00\"");
        assert_eq!(time(-1, TimeUnit::NANOS, false, &mut Vec::new()), None);
    }

    #[test]
    fn int96_and_intervals() {
        let noon = 43_200 * NANOSECOND as u64 + 1;
        let words = [noon as u32, (noon >> 32) as u32, 2_440_589];
        assert_eq!(text(|out| int96(&words, out)), "\"1970-01-02T12:00:00.000000001\"");
        let bytes = [14, 0, 0, 0, 3, 0, 0, 0, 250, 0, 0, 0];
        assert_eq!(text(|out| interval(&bytes, out)), "\"P14M3DT0.250S\"");
    }
}
