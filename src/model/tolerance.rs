//! How many records of a batch may fail before it is stopped.

use std::fmt;

use crate::model::error::{Error, Result};
use crate::model::fault::{Fault, FaultCode};
use crate::model::ids::LEAF_SIZE;
use crate::model::progress::{Leaf, Tally};

/// How many records have to be processed before their share of failures says something.
pub const MEANINGFUL: u64 = 1_000;
/// A hundred per cent, in the unit of [`Tolerance::Share`].
const WHOLE: u64 = 10_000;
/// Into how many parts the budget is divided, so that the failures of one leaf are compared with those of all others
/// only when they reach a further part.
const PARTS: u64 = 16;

/// How many records of a batch may fail. A batch that has more is stopped.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Tolerance {
    /// All of them.
    #[default]
    All,
    /// This many.
    Records(u64),
    /// A share of those processed so far.
    Share {
        /// The share, in hundredths of a per cent.
        hundredths: u64,
        /// How many have to be processed before it counts.
        from: u64,
    },
}

/// What the counters of one leaf say of a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// The batch has more failures than tolerated.
    Exceeded,
    /// Perhaps it has: the leaves have to be summed.
    Doubtful,
    /// Nothing new.
    Tolerable,
}

impl Tolerance {
    /// A share in hundredths of a per cent, which counts as soon as [`MEANINGFUL`] records are processed.
    pub fn share(hundredths: u64) -> Self {
        Self::Share { hundredths, from: MEANINGFUL }
    }

    /// Parses the setting `TOLERATE`: a number of records, such as `1000`, or a percentage of at most two decimal
    /// places, such as `5%` or `0.25%`.
    ///
    /// # Errors
    /// `Config` for any other text.
    pub fn parse(text: &str) -> Result<Self> {
        let text = text.trim();
        let read = match text.strip_suffix('%') {
            Some(percent) => hundredths(percent.trim_end()).filter(|share| *share <= WHOLE).map(Self::share),
            None => digits(text).map(Self::Records),
        };
        let wanted = "a number of records, such as 1000, or a percentage of them up to 100%, such as 5% or 0.25%";
        read.ok_or_else(|| Error::config(format!("TOLERATE is {text:?}; it must be {wanted}")))
    }

    /// Whether more records failed than are tolerated.
    pub fn exceeded(self, succeeded: u64, failed: u64) -> bool {
        let processed = succeeded.saturating_add(failed);
        match self {
            Self::All => false,
            Self::Records(most) => failed > most,
            Self::Share { hundredths, from } => {
                processed >= from
                    && u128::from(failed) * u128::from(WHOLE) > u128::from(processed) * u128::from(hundredths)
            }
        }
    }

    /// How many of that many processed records may fail.
    fn of(self, processed: u64) -> u64 {
        match self {
            Self::All => u64::MAX,
            Self::Records(most) => most,
            Self::Share { hundredths, from } => {
                let most = u128::from(processed.max(from)) * u128::from(hundredths) / u128::from(WHOLE);
                u64::try_from(most).unwrap_or(u64::MAX)
            }
        }
    }

    /// What a leaf of a batch, its `number`th, says of the whole after a chunk with that many failures was counted.
    ///
    /// The only leaf of a batch decides. Several are summed when one of them reaches a further sixteenth of the budget:
    /// up to 31 times for a number of records, and for a percentage some 16 times the logarithm of the leaves, however
    /// many chunks have failures. In between, up to a sixteenth a leaf may go unnoticed, which sweep notices.
    pub fn judge(self, number: u32, leaf: &Leaf, failed: u64) -> Verdict {
        let Tally { succeeded, failed: all, .. } = leaf.tally;
        let exceeded = self.exceeded(succeeded, all);
        // Only the last leaf has a size of its own.
        if number == 0 && leaf.size.is_some() {
            return if exceeded { Verdict::Exceeded } else { Verdict::Tolerable };
        }
        // What succeeds in other leaves takes back a percentage, but no number.
        if exceeded && matches!(self, Self::Records(_)) {
            return Verdict::Doubtful;
        }
        if self == Self::All || failed == 0 {
            return Verdict::Tolerable;
        }
        let step = (self.of(processed(number, leaf)) / PARTS).max(1);
        if all / step > all.saturating_sub(failed) / step { Verdict::Doubtful } else { Verdict::Tolerable }
    }

    /// Why a batch with these counts is stopped, which its remaining records repeat.
    pub fn fault(self, tally: Tally) -> Fault {
        let (failed, all) = (grouped(tally.failed), grouped(tally.succeeded + tally.failed));
        Fault::new(FaultCode::TooManyFailures, format!("{failed} of {all} records failed, and TOLERATE allows {self}"))
    }
}

impl fmt::Display for Tolerance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::All => f.write_str("all"),
            Self::Records(most) => f.write_str(&grouped(*most)),
            Self::Share { hundredths, .. } => {
                let (whole, part) = (hundredths / 100, hundredths % 100);
                match (part, part % 10) {
                    (0, _) => write!(f, "{whole}%"),
                    (_, 0) => write!(f, "{whole}.{}%", part / 10),
                    _ => write!(f, "{whole}.{part:02}%"),
                }
            }
        }
    }
}

/// How many records of a batch are processed, as its `number`th leaf lets one guess: those before it have as many in
/// each chunk.
fn processed(number: u32, leaf: &Leaf) -> u64 {
    let here = leaf.tally.succeeded.saturating_add(leaf.tally.failed);
    let done = u64::try_from(leaf.done.len()).unwrap_or(u64::MAX).max(1);
    let before = u64::from(number) * u64::from(LEAF_SIZE);
    here.saturating_add(before.saturating_mul(here / done))
}

fn digits(text: &str) -> Option<u64> {
    let plain = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|_| plain)
}

/// A decimal number of at most two places, in hundredths.
fn hundredths(text: &str) -> Option<u64> {
    let (whole, part) = text.split_once('.').unwrap_or((text, "0"));
    let part = match part.len() {
        1 => digits(part)? * 10,
        2 => digits(part)?,
        _ => return None,
    };
    digits(whole)?.checked_mul(100)?.checked_add(part)
}

/// A number with commas between its thousands.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn leaf(chunks: u32, succeeded: u64, failed: u64, size: Option<u32>) -> Leaf {
        let tally = Tally { succeeded, failed, failed_chunks: 0 };
        Leaf { done: (0..chunks).collect(), tally, size, ..Leaf::default() }
    }

    #[test]
    fn numbers_and_percentages_are_read_and_told() {
        for (text, tolerance, told) in [
            ("0", Tolerance::Records(0), "0"),
            (" 1000 ", Tolerance::Records(1000), "1,000"),
            ("5%", Tolerance::share(500), "5%"),
            ("5 %", Tolerance::share(500), "5%"),
            ("0%", Tolerance::share(0), "0%"),
            ("100%", Tolerance::share(10_000), "100%"),
            ("0.25%", Tolerance::share(25), "0.25%"),
            ("0.05%", Tolerance::share(5), "0.05%"),
            ("2.5%", Tolerance::share(250), "2.5%"),
        ] {
            assert_eq!(Tolerance::parse(text).unwrap(), tolerance, "{text}");
            assert_eq!(tolerance.to_string(), told);
        }
    }

    #[test]
    fn other_texts_are_refused_in_words() {
        for text in ["", "%", "-1", "+5", "5 records", "1e3", "1,000", "5.%", ".5%", "0.123%", "100.01%", "1.5", "nan%"]
        {
            let told = Tolerance::parse(text).unwrap_err().to_string();
            let wanted = "a number of records, such as 1000, or a percentage of them up to 100%, such as 5% or 0.25%";
            assert!(told.ends_with(&format!("TOLERATE is {text:?}; it must be {wanted}")), "{told}");
        }
        assert!(Tolerance::parse(&"9".repeat(30)).is_err() && Tolerance::parse(&format!("{}%", u64::MAX)).is_err());
    }

    #[test]
    fn exactly_the_budget_is_tolerated() {
        assert!(!Tolerance::All.exceeded(0, u64::MAX));
        assert!(!Tolerance::Records(3).exceeded(0, 3) && Tolerance::Records(3).exceeded(1_000_000, 4));
        assert!(Tolerance::Records(0).exceeded(0, 1) && !Tolerance::Records(0).exceeded(9, 0));
        let five = Tolerance::share(500);
        assert!(!five.exceeded(0, 999) && five.exceeded(0, 1_000), "fewer than a thousand say nothing");
        assert!(!five.exceeded(950, 50) && five.exceeded(949, 51));
        assert!(!Tolerance::share(10_000).exceeded(0, u64::MAX) && Tolerance::share(0).exceeded(u64::MAX - 1, 1));
    }

    #[test]
    fn the_only_leaf_of_a_batch_decides() {
        let five = Tolerance::share(500);
        assert_eq!(five.judge(0, &leaf(4, 949, 51, Some(200)), 1), Verdict::Exceeded);
        assert_eq!(five.judge(0, &leaf(4, 950, 50, Some(200)), 50), Verdict::Tolerable);
        // A chunk without failures may be the one that completes the batch before its neighbour stops it.
        assert_eq!(five.judge(0, &leaf(4, 949, 51, Some(200)), 0), Verdict::Exceeded);
        assert_eq!(five.judge(0, &leaf(4, 949, 51, None), 50), Verdict::Doubtful, "others may be clean");
        // The last leaf is not the only one: 256 chunks before it have some 64,000 records.
        assert_eq!(five.judge(1, &leaf(4, 949, 51, Some(4)), 51), Verdict::Tolerable);
        assert_eq!(five.judge(1, &leaf(4, 700, 300, Some(4)), 300), Verdict::Doubtful);
        assert_eq!(Tolerance::Records(9).judge(7, &leaf(4, 0, 10, None), 0), Verdict::Doubtful, "for its message");
        assert_eq!(Tolerance::All.judge(0, &leaf(4, 0, 10, None), 10), Verdict::Tolerable);
    }

    #[test]
    fn the_reason_has_both_counts() {
        let tally = Tally { succeeded: 8_796, failed: 1_204, failed_chunks: 2 };
        let fault = Tolerance::share(500).fault(tally);
        assert_eq!(fault.message, "1,204 of 10,000 records failed, and TOLERATE allows 5%");
        assert_eq!(grouped(7) + &grouped(999) + &grouped(1_234_567), "79991,234,567");
    }

    proptest! {
        /// Chunks of several leaves are counted in any order: the sums that their counters ask for are few, and notice
        /// a batch of up to 16 leaves before it has twice its budget.
        #[test]
        fn few_sums_notice_a_batch_in_time(
            budget in 0u64..2_000,
            leaves in 1usize..16,
            chunks in prop::collection::vec((0usize..16, 0u64..50), 1..400),
        ) {
            let tolerance = Tolerance::Records(budget);
            let (mut counted, mut sums) = (vec![leaf(0, 0, 0, None); leaves], 0);
            for (place, failed) in chunks {
                let at = place % leaves;
                counted[at].tally.failed += failed;
                let all: u64 = counted.iter().map(|leaf| leaf.tally.failed).sum();
                match tolerance.judge(at as u32, &counted[at], failed) {
                    Verdict::Exceeded => prop_assert!(false, "no leaf is the only one"),
                    Verdict::Doubtful => {
                        sums += 1;
                        if all > budget {
                            break;
                        }
                    }
                    Verdict::Tolerable => prop_assert!(all <= 2 * budget + leaves as u64, "{all} of {budget}"),
                }
            }
            prop_assert!(sums <= 32, "{sums}");
        }
    }
}
