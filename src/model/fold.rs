//! Counters of groups of records: how many, and the sums, least and greatest of their numbers.
//!
//! Numbers are exact decimals: a sum never wraps and is never rounded. A record's numbers are bounded, and so is what a
//! sum takes.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use bigdecimal::{BigDecimal, RoundingMode};
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::model::decimal::Decimal;

/// The most significant digits of a record's number, as in an item:
/// <https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Constraints.html>
pub const MAX_DIGITS: usize = 38;
/// The powers of ten that its first significant digit may have, as in an item.
const MAGNITUDES: std::ops::RangeInclusive<i64> = -130..=125;
/// The longest text of a sum: the digits of the largest and of the smallest number, and of how many there may be.
const MAX_SUM_BYTES: usize = 512;
/// The longest key of a group: a partition key of DynamoDB
/// (<https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Constraints.html>).
pub const MAX_GROUP_BYTES: usize = 2048;

/// An exact decimal number.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Exact(BigDecimal);

impl Exact {
    /// Reads a record's number, in JSON's notation. `None` if it has more than [`MAX_DIGITS`] significant digits, is
    /// 1e126 or more, or closer to zero than 1e-130.
    pub fn parse(number: &str) -> Option<Self> {
        let decimal = Decimal::parse(number)?;
        let digits = decimal.significant();
        let fits = digits <= MAX_DIGITS && (digits == 0 || MAGNITUDES.contains(&decimal.magnitude()));
        fits.then(|| Self::plain(&decimal)).flatten()
    }

    fn plain(decimal: &Decimal) -> Option<Self> {
        BigDecimal::from_str(&decimal.plain(MAX_SUM_BYTES)?).ok().map(Self)
    }

    /// Reads a sum as it is written: any number in plain notation. `None` of any other text.
    pub fn of_text(text: &str) -> Option<Self> {
        let is_plain = text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'-' || byte == b'.')
            && text.bytes().any(|byte| byte.is_ascii_digit());
        Some(text).filter(|_| is_plain).and_then(|text| Self::plain(&Decimal::parse(text)?))
    }

    /// Adds another number.
    pub fn add(&mut self, other: &Self) {
        self.0 += &other.0;
    }

    /// Takes another number away.
    pub fn subtract(&mut self, other: &Self) {
        self.0 -= &other.0;
    }

    /// The product with another number, exactly.
    #[must_use]
    pub fn times(&self, other: &Self) -> Self {
        Self(&self.0 * &other.0)
    }

    /// The nearest number of so many decimal places; of two that are equally near, the one whose last digit is even.
    #[must_use]
    pub fn rounded(&self, places: u8) -> Self {
        Self(self.0.with_scale_round(i64::from(places), RoundingMode::HalfEven))
    }

    /// Whether it is zero.
    pub fn is_zero(&self) -> bool {
        self.0 == 0
    }
}

impl fmt::Display for Exact {
    /// The one plain notation of the number: no exponent, no zeros that say nothing.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = self.0.to_plain_string();
        let plain = Decimal::parse(&text).and_then(|decimal| decimal.plain(MAX_SUM_BYTES));
        f.write_str(plain.as_deref().unwrap_or(&text))
    }
}

impl Serialize for Exact {
    /// Writes a text: not every reader of JSON keeps the digits of a number.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Exact {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<str>::deserialize(deserializer)?;
        Self::of_text(&text).ok_or_else(|| D::Error::custom("a sum is not a plain number"))
    }
}

/// The values that a group of records has in common, in the order of the settings.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Group(Vec<String>);

impl Group {
    /// A group of these values. `None` if its key would be longer than [`MAX_GROUP_BYTES`].
    pub fn new(values: Vec<String>) -> Option<Self> {
        let group = Self(values);
        (group.key().len() <= MAX_GROUP_BYTES).then_some(group)
    }

    /// The key of the group: its values as a JSON array, so that no two groups have the same.
    pub fn key(&self) -> String {
        serde_json::Value::from(self.0.clone()).to_string()
    }

    /// The values.
    pub fn values(&self) -> &[String] {
        &self.0
    }
}

/// Numbers by the names of their fields.
pub type Numbers = BTreeMap<String, Exact>;

/// What is counted of a group.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Totals {
    /// Its records.
    pub count: u64,
    /// The sums of fields. One that no record had a number for is left out, here and below.
    #[serde(rename = "sum", skip_serializing_if = "BTreeMap::is_empty")]
    pub sums: Numbers,
    /// The least numbers of fields.
    #[serde(rename = "min", skip_serializing_if = "BTreeMap::is_empty")]
    pub mins: Numbers,
    /// The greatest numbers of fields.
    #[serde(rename = "max", skip_serializing_if = "BTreeMap::is_empty")]
    pub maxs: Numbers,
}

impl Totals {
    /// Counts what the other counts, too.
    pub fn merge(&mut self, other: Self) {
        self.count = self.count.saturating_add(other.count);
        join(&mut self.sums, other.sums, |sum, more| sum.add(&more));
        join(&mut self.mins, other.mins, |least, one| *least = one.min(least.clone()));
        join(&mut self.maxs, other.maxs, |greatest, one| *greatest = one.max(greatest.clone()));
    }
}

fn join(all: &mut Numbers, more: Numbers, both: impl Fn(&mut Exact, Exact)) {
    for (field, number) in more {
        match all.get_mut(&field) {
            Some(known) => both(known, number),
            None => _ = all.insert(field, number),
        }
    }
}

/// What one record adds to the counters of its group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Contribution {
    /// Its group.
    pub group: Group,
    /// A count of one, and its numbers.
    pub totals: Totals,
}

/// The counters of groups. As JSON: a list of groups in their order, numbers as texts.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Fold(BTreeMap<Group, Totals>);

impl Fold {
    /// Counts a record.
    pub fn add(&mut self, contribution: Contribution) {
        self.merge_group(contribution.group, contribution.totals);
    }

    /// Counts what the other counts, too.
    pub fn merge(&mut self, other: Self) {
        other.0.into_iter().for_each(|(group, totals)| self.merge_group(group, totals));
    }

    fn merge_group(&mut self, group: Group, totals: Totals) {
        match self.0.get_mut(&group) {
            Some(known) => known.merge(totals),
            None => _ = self.0.insert(group, totals),
        }
    }

    /// The groups in their order.
    pub fn groups(&self) -> impl ExactSizeIterator<Item = (&Group, &Totals)> {
        self.0.iter()
    }

    /// Whether nothing is counted.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The bytes of its JSON.
    pub fn bytes(&self) -> usize {
        serde_json::to_vec(self).map_or(usize::MAX, |json| json.len())
    }
}

impl FromIterator<Contribution> for Fold {
    fn from_iter<T: IntoIterator<Item = Contribution>>(contributions: T) -> Self {
        let mut fold = Self::default();
        contributions.into_iter().for_each(|contribution| fold.add(contribution));
        fold
    }
}

/// A group as it is written.
#[derive(Serialize)]
struct Written<'a> {
    group: &'a Group,
    #[serde(flatten)]
    totals: &'a Totals,
}

/// A group as it is read. All its members are here, since those of a flattened struct cannot be numbers that keep their
/// digits.
#[derive(Deserialize)]
struct Read {
    group: Group,
    count: u64,
    #[serde(default)]
    sum: Numbers,
    #[serde(default)]
    min: Numbers,
    #[serde(default)]
    max: Numbers,
}

impl Serialize for Fold {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.0.iter().map(|(group, totals)| Written { group, totals }))
    }
}

impl<'de> Deserialize<'de> for Fold {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut fold = Self::default();
        for Read { group, count, sum, min, max } in Vec::<Read>::deserialize(deserializer)? {
            fold.merge_group(group, Totals { count, sums: sum, mins: min, maxs: max });
        }
        Ok(fold)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// A record: its group, and a number in hundredths, if it has one.
    type Given = (u8, Option<i64>);

    fn contribution((group, number): Given) -> Contribution {
        let number = number.map(|n| Exact::parse(&format!("{n}e-2")).unwrap());
        let fields: BTreeMap<String, Exact> = number.map(|n| ("n".to_owned(), n)).into_iter().collect();
        let totals = Totals { count: 1, sums: fields.clone(), mins: fields.clone(), maxs: fields };
        Contribution { group: Group::new(vec![format!("g{group}")]).unwrap(), totals }
    }

    fn folded(records: &[Given]) -> Fold {
        records.iter().copied().map(contribution).collect()
    }

    fn written(number: i128) -> String {
        Exact::parse(&format!("{number}e-2")).unwrap().to_string()
    }

    proptest! {
        #[test]
        fn neither_order_nor_grouping_matters(
            records in proptest::collection::vec((0..4_u8, proptest::option::of(-1_000_000..1_000_000_i64)), 0..60),
            cuts in proptest::collection::vec(1..20_usize, 1..8),
            seed: u64,
        ) {
            let whole = folded(&records);
            let mut shuffled = records.clone();
            fastrand::Rng::with_seed(seed).shuffle(&mut shuffled);
            let (mut rest, mut parts) = (shuffled.as_slice(), Vec::new());
            for cut in cuts {
                let (part, behind) = rest.split_at(cut.min(rest.len()));
                parts.push(folded(part));
                rest = behind;
            }
            parts.push(folded(rest));
            fastrand::Rng::with_seed(!seed).shuffle(&mut parts);
            let mut merged = Fold::default();
            parts.into_iter().for_each(|part| merged.merge(part));
            prop_assert_eq!(&merged, &whole);
            prop_assert_eq!(serde_json::to_string(&merged).unwrap(), serde_json::to_string(&whole).unwrap());
        }

        #[test]
        fn it_equals_a_plain_fold_of_integers(
            records in proptest::collection::vec((0..4_u8, proptest::option::of(any::<i64>())), 0..40),
        ) {
            let fold = folded(&records);
            for group in 0..4 {
                let of: Vec<_> = records.iter().filter(|(other, _)| *other == group).collect();
                let numbers: Vec<i128> = of.iter().filter_map(|(_, number)| number.map(i128::from)).collect();
                let key = Group::new(vec![format!("g{group}")]).unwrap();
                let totals = fold.0.get(&key).cloned().unwrap_or_default();
                prop_assert_eq!(totals.count, of.len() as u64);
                let told = |of: &BTreeMap<String, Exact>| of.get("n").map(ToString::to_string);
                prop_assert_eq!(told(&totals.sums), (!numbers.is_empty()).then(|| written(numbers.iter().sum())));
                prop_assert_eq!(told(&totals.mins), numbers.iter().min().map(|n| written(*n)));
                prop_assert_eq!(told(&totals.maxs), numbers.iter().max().map(|n| written(*n)));
            }
        }

        #[test]
        fn it_survives_its_json(
            records in proptest::collection::vec((0..4_u8, proptest::option::of(any::<i64>())), 0..40),
        ) {
            let fold = folded(&records);
            let json = serde_json::to_string(&fold).unwrap();
            prop_assert!(!json.contains('\n'));
            prop_assert_eq!(json.len(), fold.bytes());
            prop_assert_eq!(serde_json::from_str::<Fold>(&json).unwrap(), fold);
        }

        #[test]
        fn no_two_groups_have_one_key(one in proptest::collection::vec(".*", 1..4), other in proptest::collection::vec(".*", 1..4)) {
            let same = one == other;
            if let (Some(one), Some(other)) = (Group::new(one), Group::new(other)) {
                prop_assert_eq!(one.key() == other.key(), same);
            }
        }
    }

    #[test]
    fn a_sum_is_exact_at_both_ends_of_what_a_number_may_be() {
        let mut sum = Exact::parse("9.9e125").unwrap();
        for _ in 0..1000 {
            sum.add(&Exact::parse("9.9e125").unwrap());
            sum.add(&Exact::parse("1e-130").unwrap());
        }
        let text = sum.to_string();
        assert_eq!(text, format!("99099{}.{}1", "0".repeat(124), "0".repeat(126)));
        assert_eq!(serde_json::from_str::<Exact>(&format!("{text:?}")).unwrap(), sum);
        sum.add(&Exact::parse("-9.9e125").unwrap());
        assert!(sum.to_string().starts_with("99000"));
    }

    #[test]
    fn a_number_that_takes_much_memory_is_none() {
        for number in ["1e126", "1e-131", "1e999999", "-1e-999999", "1e99999999999999999999", &"1".repeat(39)] {
            assert_eq!(Exact::parse(number), None, "{number}");
        }
        for (number, plain) in [("0e999999", "0"), ("-0.0", "0"), ("1.50", "1.5"), ("1E2", "100"), ("-1e-2", "-0.01")] {
            assert_eq!(Exact::parse(number).unwrap().to_string(), plain);
        }
        for stored in ["\"1e5\"", "\"\"", "\"NaN\"", "\"1 \"", "1", &format!("\"{}\"", "1".repeat(5000))] {
            assert!(serde_json::from_str::<Exact>(stored).is_err(), "{stored}");
        }
    }

    #[test]
    fn the_json_is_short_and_says_no_more_than_there_is() {
        let fold = folded(&[(1, None), (0, Some(250)), (0, Some(-1))]);
        let json = r#"[{"group":["g0"],"count":2,"sum":{"n":"2.49"},"min":{"n":"-0.01"},"max":{"n":"2.5"}},{"group":["g1"],"count":1}]"#;
        assert_eq!(serde_json::to_string(&fold).unwrap(), json);
    }

    #[test]
    fn a_group_longer_than_a_key_may_be_is_none() {
        assert!(Group::new(vec!["x".repeat(MAX_GROUP_BYTES - 4)]).is_some());
        assert!(Group::new(vec!["x".repeat(MAX_GROUP_BYTES - 3)]).is_none());
        assert!(Group::new(vec!["\u{1}".repeat(400)]).is_none(), "its key has six bytes for each");
        assert_eq!(Group::new(vec![String::new(), "株式会社".into()]).unwrap().key(), r#"["","株式会社"]"#);
    }
}
