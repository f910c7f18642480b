//! What the work on records took outside of fanfold: the calls of a user's function or API.

use std::collections::BTreeSet;

use crate::model::calls::Requests;

const CALLS: &str = "calls";
const TRIES: &str = "tries";
const MILLISECONDS: &str = "milliseconds";
const BILLED: &str = "billedMbMs";
const VERSION: &str = "version ";

/// What calls took.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Spent {
    /// Calls that were carried out, or may have been. One that a service refused, as too many, is none.
    pub calls: u64,
    /// Tries of records: how many records the calls were about.
    pub tries: u64,
    /// How long the calls took, as the caller saw them.
    pub milliseconds: u64,
    /// What is billed for them, in milliseconds times megabytes of memory; `None` if it is known of none.
    pub billed_mb_ms: Option<u64>,
    /// The versions of the function that were seen.
    pub versions: BTreeSet<String>,
}

impl Spent {
    /// Adds what others took.
    pub fn add(&mut self, other: Self) {
        self.calls += other.calls;
        self.tries += other.tries;
        self.milliseconds += other.milliseconds;
        self.billed_mb_ms = match (self.billed_mb_ms, other.billed_mb_ms) {
            (Some(one), Some(another)) => Some(one + another),
            (one, another) => one.or(another),
        };
        self.versions.extend(other.versions);
    }

    /// What is billed, in the unit of Lambda's prices (<https://aws.amazon.com/lambda/pricing/>).
    pub fn billed_gb_seconds(&self) -> Option<f64> {
        self.billed_mb_ms.map(|mb_ms| mb_ms as f64 / 1024.0 / 1000.0)
    }
}

impl Spent {
    /// As the counts of a batch are kept, by name.
    pub fn counts(&self) -> Requests {
        let counts = [(CALLS, self.calls), (TRIES, self.tries), (MILLISECONDS, self.milliseconds)];
        let billed = self.billed_mb_ms.map(|billed| (BILLED.to_owned(), billed));
        let versions = self.versions.iter().map(|version| (format!("{VERSION}{version}"), 1));
        let counts = counts.into_iter().map(|(name, count)| (name.to_owned(), count));
        counts.chain(billed).chain(versions).collect()
    }

    /// What such counts say.
    pub fn of(counts: &Requests) -> Self {
        let count = |name: &str| counts.get(name).copied();
        let versions = counts.keys().filter_map(|name| name.strip_prefix(VERSION)).map(str::to_owned).collect();
        Self {
            calls: count(CALLS).unwrap_or_default(),
            tries: count(TRIES).unwrap_or_default(),
            milliseconds: count(MILLISECONDS).unwrap_or_default(),
            billed_mb_ms: count(BILLED),
            versions,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_spent_survives_its_counts() {
        let versions = ["7", "$LATEST"].map(str::to_owned).into();
        let spent = Spent { calls: 3, tries: 30, milliseconds: 90, billed_mb_ms: Some(11_520), versions };
        assert_eq!(Spent::of(&spent.counts()), spent);
        let unbilled = Spent { billed_mb_ms: None, ..spent };
        assert_eq!(Spent::of(&unbilled.counts()), unbilled);
    }

    #[test]
    fn what_is_not_known_of_some_is_known_of_the_others() {
        let version = |name: &str| BTreeSet::from([name.to_owned()]);
        let mut all = Spent { calls: 1, tries: 10, milliseconds: 5, billed_mb_ms: None, versions: version("1") };
        all.add(Spent { calls: 2, tries: 3, milliseconds: 7, billed_mb_ms: Some(512_000), versions: version("2") });
        all.add(Spent { billed_mb_ms: Some(512_000), ..Spent::default() });
        assert_eq!((all.calls, all.tries, all.milliseconds), (3, 13, 12));
        assert_eq!((all.billed_gb_seconds(), all.versions.len()), (Some(1.0), 2));
        assert_eq!(Spent::default().billed_gb_seconds(), None);
    }
}
