//! How much work one batch may make, so that no file costs more than somebody has allowed.

use serde::Deserialize;

use crate::model::error::{Error, Result};
use crate::model::fault::{Fault, FaultCode};
use crate::model::price::{Dollars, Work};

/// The most that one batch may make; a redrive is a batch of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits(Work);

/// The limits as they are written.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase", default)]
struct Written {
    records: u64,
    written_bytes: u64,
    dollars: f64,
}

impl Default for Written {
    fn default() -> Self {
        Self { records: 1_000_000_000, written_bytes: 1 << 40, dollars: 100.0 }
    }
}

impl Default for Limits {
    /// What ordinary files never come near: a thousand million records, 1 TiB written, and $100. That buys a hundred
    /// million records of up to 1 KB in a variant that works by chunks, and five million in `sync` and `async`.
    fn default() -> Self {
        let Written { records, written_bytes, .. } = Written::default();
        Self(Work { records, written_bytes, dollars: Dollars(100_000_000_000) })
    }
}

/// A limit that some work exceeds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Limit {
    /// That of records.
    Records,
    /// That of bytes.
    WrittenBytes,
    /// That of dollars.
    Dollars,
}

impl Limit {
    /// What of some work it limits.
    fn of(self, work: &Work) -> u64 {
        match self {
            Self::Records => work.records,
            Self::WrittenBytes => work.written_bytes,
            Self::Dollars => work.dollars.0,
        }
    }
}

/// What is known of the work of a whole file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Estimate {
    /// All of it.
    pub whole: Work,
    /// From how many records that is estimated.
    pub sample: u64,
}

impl Limits {
    /// No limits.
    pub const NONE: Self = Self(Work { records: u64::MAX, written_bytes: u64::MAX, dollars: Dollars(u64::MAX) });

    /// A limit of records only.
    pub const fn of_records(records: u64) -> Self {
        Self(Work { records, ..Self::NONE.0 })
    }

    /// The most records.
    pub fn records(&self) -> u64 {
        self.0.records
    }

    /// Reads the limits from a JSON object; one that is left out is as by default.
    ///
    /// # Errors
    /// `Config`, which says what is wrong with them.
    pub fn parse(text: &str) -> Result<Self> {
        let wanted = || Error::config("LIMITS must be a JSON object such as {\"records\":1000000,\"dollars\":10}");
        if !text.trim_start().starts_with('{') {
            return Err(wanted());
        }
        let Written { records, written_bytes, dollars } =
            serde_json::from_str(text).map_err(|e| wanted().because(e))?;
        let wrong = |name: &str, value: String| {
            Error::config(format!("LIMITS: {name} is {value}; it must be above 0, and leave room to count"))
        };
        if let Some((name, _)) = [("records", records), ("writtenBytes", written_bytes)].iter().find(|(_, n)| *n == 0) {
            return Err(wrong(name, 0.to_string()));
        }
        let dollars = Dollars::of(dollars).ok_or_else(|| wrong("dollars", dollars.to_string()))?;
        Ok(Self(Work { records, written_bytes, dollars }))
    }

    /// The limit that the work exceeds, if any, more than `times` over.
    pub fn exceeded(&self, work: &Work, times: u64) -> Option<Limit> {
        let all = [Limit::Records, Limit::WrittenBytes, Limit::Dollars];
        all.into_iter().find(|limit| limit.of(work) > limit.of(&self.0).saturating_mul(times))
    }

    /// The fault of a file that exceeds a limit. `estimate` is what is known of all of it, if anything.
    pub fn fault(&self, limit: Limit, estimate: Option<&Estimate>) -> Fault {
        let Self(most) = self;
        let estimate = estimate.filter(|estimate| limit.of(&estimate.whole) > limit.of(most));
        let amount = |work: &Work| match limit {
            Limit::Records => format!("{} records", work.records),
            Limit::WrittenBytes => format!("{} bytes", work.written_bytes),
            Limit::Dollars => work.dollars.to_string(),
        };
        let verb = match limit {
            Limit::Records => "make",
            Limit::WrittenBytes => "write",
            Limit::Dollars => "cost",
        };
        let allowed = amount(most);
        let told = match estimate {
            Some(Estimate { whole, sample }) => {
                format!("about {}, by its first {sample} records, and LIMITS allows {allowed}", amount(whole))
            }
            None => format!("more than {allowed}, the most that LIMITS allows"),
        };
        let enough = self.raised(limit, estimate.map(|estimate| estimate.whole)).written();
        let message = format!("the file would {verb} {told}; divide the file, or deploy with LIMITS={enough}");
        Fault::new(FaultCode::LimitExceeded, message)
    }

    /// The same with more of what is exceeded: a quarter more than what is needed, or twice as much if that is not known.
    fn raised(&self, limit: Limit, needed: Option<Work>) -> Self {
        let Self(most) = *self;
        let needed = needed.unwrap_or_default();
        let more = |of: Limit| match (of.of(&needed), of.of(&most)) {
            (needed, most) if needed > most => needed.saturating_add(needed / 4),
            (_, most) if of == limit => most.saturating_mul(2),
            (_, most) => most,
        };
        let dollars = Dollars(more(Limit::Dollars));
        let whole = Dollars::of(dollars.value().ceil()).filter(|_| dollars != most.dollars);
        Self(Work {
            records: more(Limit::Records),
            written_bytes: more(Limit::WrittenBytes),
            dollars: whole.unwrap_or(dollars),
        })
    }

    /// The limits that there are, as [`parse`](Self::parse) reads them.
    pub fn written(&self) -> String {
        let Self(Work { records, written_bytes, dollars }) = self;
        let given = [
            ("records", *records, records.to_string()),
            ("writtenBytes", *written_bytes, written_bytes.to_string()),
            ("dollars", dollars.0, dollars.value().to_string()),
        ];
        let given = given.iter().filter(|(_, most, _)| *most < u64::MAX);
        let given: Vec<String> = given.map(|(name, _, written)| format!("\"{name}\":{written}")).collect();
        format!("{{{}}}", given.join(","))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_that_are_left_out_are_those_by_default() {
        assert_eq!(Limits::parse("{}").unwrap(), Limits::default());
        assert_eq!(Limits::parse(r#"{"records":1000000000,"dollars":100}"#).unwrap(), Limits::default());
        let limits = Limits::parse(r#"{"records":7,"dollars":0.5}"#).unwrap();
        assert_eq!(
            (limits.records(), limits.written().as_str()),
            (7, r#"{"records":7,"writtenBytes":1099511627776,"dollars":0.5}"#)
        );
        assert_eq!(Limits::parse(&limits.written()).unwrap(), limits);
        assert_eq!(Limits::of_records(7).written(), r#"{"records":7}"#);
    }

    #[test]
    fn limits_that_make_no_sense_are_refused() {
        for (text, told) in [
            ("7", "LIMITS must be a JSON object such as"),
            (r#"{"euros":7}"#, "unknown field `euros`"),
            (r#"{"records":-1}"#, "LIMITS must be"),
            (r#"{"records":0}"#, "records is 0; it must be above 0"),
            (r#"{"writtenBytes":0}"#, "writtenBytes is 0"),
            (r#"{"dollars":-2.5}"#, "dollars is -2.5"),
            (r#"{"dollars":1e99}"#, "room to count"),
        ] {
            let error = Limits::parse(text).unwrap_err().to_string();
            assert!(error.contains(told), "{text}: {error}");
        }
    }

    #[test]
    fn a_fault_says_what_is_needed_and_how_to_allow_it() {
        let limits = Limits::parse(r#"{"records":100,"dollars":10}"#).unwrap();
        let whole = Work { records: 90, written_bytes: 7, dollars: Dollars::of(43.0).unwrap() };
        assert_eq!((limits.exceeded(&whole, 1), limits.exceeded(&whole, 5)), (Some(Limit::Dollars), None));
        let estimate = Estimate { whole, sample: 16 };
        assert_eq!(
            limits.fault(Limit::Dollars, Some(&estimate)).message,
            "the file would cost about $43.00, by its first 16 records, and LIMITS allows $10.00; divide the file, or \
             deploy with LIMITS={\"records\":100,\"writtenBytes\":1099511627776,\"dollars\":54}"
        );
        assert_eq!(
            limits.fault(Limit::Records, Some(&estimate)).message,
            "the file would make more than 100 records, the most that LIMITS allows; divide the file, or deploy with \
             LIMITS={\"records\":200,\"writtenBytes\":1099511627776,\"dollars\":10}"
        );
        assert_eq!(Limits::NONE.exceeded(&Work { records: u64::MAX, ..whole }, 1), None);
    }
}
