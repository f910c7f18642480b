//! What the work of a batch costs: list prices of one region at one date, and an estimate that is made before the work.
//!
//! Sources: <https://aws.amazon.com/s3/pricing/>, <https://aws.amazon.com/sqs/pricing/>,
//! <https://aws.amazon.com/dynamodb/pricing/on-demand/>. Free tiers and discounts are left out. So is Lambda, which costs
//! little beside the writes, and whatever gather writes, which depends on `RESULTS`.

use std::fmt;
use std::ops::Add;

use serde::{Deserialize, Serialize};

use crate::model::condition::Condition;

/// When the prices were looked up. DynamoDB's were halved on 2024-11-01 and have not changed since.
pub const AS_OF: &str = "November 2026";
/// The region that they apply to.
pub const REGION: &str = "us-east-1";

/// A request to S3 that writes or lists.
pub const S3_WRITE: Dollars = Dollars(5_000);
/// A request to S3 that reads.
pub const S3_READ: Dollars = Dollars(400);
/// A request to SQS of up to 64 KiB.
pub const SQS: Dollars = Dollars(400);
/// A request that publishes up to 64 KiB to a topic; deliveries to queues cost nothing (<https://aws.amazon.com/sns/pricing/>).
pub const SNS: Dollars = Dollars(500);
/// A transition between states of a standard workflow (<https://aws.amazon.com/step-functions/pricing/>).
pub const TRANSITION: Dollars = Dollars(25_000);
/// An express workflow that is started: a request, and 64 MB for 100 ms or less. One that waits for a function longer than that takes
/// $0.10 more for each million and 100 ms, which is not known when it is started.
pub const EXPRESS: Dollars = Dollars(1_104);
/// Writing 1 KiB of an item on demand; twice that in a transaction.
pub const WRITE_UNIT: Dollars = Dollars(625);
/// Reading 4 KiB of items on demand.
pub const READ_UNIT: Dollars = Dollars(125);

/// An invocation of a function (<https://aws.amazon.com/lambda/pricing/>).
pub const LAMBDA_REQUEST: Dollars = Dollars(200);
/// A GB of memory for a second, on x86; $0.0000133334 on arm64.
pub const LAMBDA_GB_SECOND: Dollars = Dollars(16_667);

/// A message is sent, received and deleted.
const REQUESTS_OF_A_MESSAGE: u64 = 3;
/// What an item has beside the fields of its record: the batch, the place and the time, in bytes.
const OWN_BYTES: u64 = 128;

/// An amount of money, in billionths of a dollar.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Dollars(pub u64);

impl Dollars {
    /// An amount; `None` if it is not above zero, or too much to be counted.
    pub fn of(dollars: f64) -> Option<Self> {
        let billionths = (dollars * 1e9).round();
        (billionths >= 1.0 && billionths < u64::MAX as f64).then_some(Self(billionths as u64))
    }

    /// The amount as a number of dollars.
    pub const fn value(self) -> f64 {
        self.0 as f64 / 1e9
    }

    /// The price of a million of what costs this.
    pub const fn per_million(self) -> f64 {
        self.0 as f64 / 1e3
    }

    const fn times(self, many: u64) -> Self {
        Self(self.0.saturating_mul(many))
    }
}

impl Add for Dollars {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }
}

impl fmt::Display for Dollars {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let value = self.value();
        match value {
            100.0.. => write!(f, "${value:.0}"),
            0.01.. => write!(f, "${value:.2}"),
            _ => write!(f, "${value:.6}"),
        }
    }
}

/// What becomes of records: the sum over the chunks of a batch.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Work {
    /// How many there are.
    pub records: u64,
    /// The bytes that are written of them: as items, and as copies that wait or are kept with their outcomes.
    pub written_bytes: u64,
    /// What the requests cost.
    pub dollars: Dollars,
}

impl Work {
    /// The same for `records` records, of which these are a sample.
    pub fn scaled(&self, records: u64) -> Self {
        let scale = |part: u64| {
            let whole = u128::from(part) * u128::from(records) / u128::from(self.records.max(1));
            u64::try_from(whole).unwrap_or(u64::MAX)
        };
        Self { records, written_bytes: scale(self.written_bytes), dollars: Dollars(scale(self.dollars.0)) }
    }
}

impl Add for Work {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self {
            records: self.records.saturating_add(other.records),
            written_bytes: self.written_bytes.saturating_add(other.written_bytes),
            dollars: self.dollars + other.dollars,
        }
    }
}

/// Where the records of a chunk wait, and their outcomes are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Waiting {
    /// In an object of the work bucket, and another one.
    Object,
    /// In rows of the tasks table, one for each record.
    Rows,
    /// In the input. Of outcomes, only failures are kept.
    InPlace,
}

/// What the chunks of a batch cost, by the parts of its variant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tariff {
    /// What a chunk costs, whatever is in it.
    chunk: Dollars,
    /// How many units each KiB of a record costs to write.
    units: u64,
    /// How often each 4 KiB of a chunk are read from a table.
    reads: u64,
    /// How often a record is written.
    copies: u64,
}

impl Tariff {
    /// The tariff of chunks that wait there, in a batch whose end is noticed like this.
    pub fn of(waiting: Waiting, condition: Condition) -> Self {
        // A worker reads the state of the batch; then it marks the chunk, or lists those that are left.
        let noticed = match condition {
            Condition::Tree => READ_UNIT.times(2) + WRITE_UNIT.times(2),
            Condition::Listing => READ_UNIT + S3_WRITE,
        };
        let message = SQS.times(REQUESTS_OF_A_MESSAGE);
        let (kept, units, reads, copies) = match waiting {
            // Records and outcomes are both written once and read once.
            Waiting::Object => (S3_WRITE.times(2) + S3_READ.times(2), 1, 0, 3),
            // A row is put in a transaction, and put again with its outcome; besides, there is the item.
            Waiting::Rows => (Dollars(0), 4, 2, 3),
            // The claim is in the ledger.
            Waiting::InPlace => (S3_READ + WRITE_UNIT, 1, 0, 1),
        };
        Self { chunk: message + noticed + kept, units, reads, copies }
    }

    /// The same where Step Functions runs a worker for each chunk, without a message.
    #[must_use]
    pub fn mapped(self) -> Self {
        let message = SQS.times(REQUESTS_OF_A_MESSAGE);
        Self { chunk: Dollars(self.chunk.0 - message.0) + TRANSITION + EXPRESS, ..self }
    }

    /// The work of a chunk of `records` records that are `weight` bytes as JSON. Records of one chunk count as equally
    /// large.
    pub fn chunk(&self, records: u64, weight: u64) -> Work {
        let units = (weight / records.max(1) + OWN_BYTES).div_ceil(1024) * self.units;
        let reads = weight.div_ceil(4096) * self.reads;
        let dollars = self.chunk + WRITE_UNIT.times(units.saturating_mul(records)) + READ_UNIT.times(reads);
        Work { records, written_bytes: weight.saturating_mul(self.copies), dollars }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn million(waiting: Waiting, condition: Condition, in_a_chunk: u64) -> f64 {
        let chunk = Tariff::of(waiting, condition).chunk(in_a_chunk, in_a_chunk * 100);
        chunk.scaled(1_000_000).dollars.value()
    }

    /// The figures of the design's comparison, for records of 100 bytes.
    #[test]
    fn a_million_records_cost_what_their_variant_does() {
        for (waiting, condition, in_a_chunk, dollars) in [
            (Waiting::InPlace, Condition::Tree, 500, 0.63..0.65),
            (Waiting::Object, Condition::Tree, 500, 0.64..0.67),
            (Waiting::Rows, Condition::Tree, 500, 2.50..2.55),
            (Waiting::Object, Condition::Listing, 1, 17.0..18.0),
        ] {
            let cost = million(waiting, condition, in_a_chunk);
            assert!(dollars.contains(&cost), "{waiting:?} {condition:?}: {cost}");
        }
    }

    #[test]
    fn a_record_costs_a_unit_for_each_kibibyte() {
        let tariff = Tariff::of(Waiting::InPlace, Condition::Tree);
        let units = |weight| (tariff.chunk(1, weight).dollars.0 - tariff.chunk.0) / WRITE_UNIT.0;
        assert_eq!([4, 896, 897, 65_536].map(units), [1, 1, 2, 65]);
        let written = |waiting| Tariff::of(waiting, Condition::Tree).chunk(7, 1000).written_bytes;
        assert_eq!([Waiting::Object, Waiting::Rows, Waiting::InPlace].map(written), [3000, 3000, 1000]);
    }

    /// A transition and an express execution for each chunk, instead of three requests to the queue.
    #[test]
    fn a_map_costs_more_for_a_chunk_than_a_message() {
        let tariff = Tariff::of(Waiting::Object, Condition::Tree);
        let more = tariff.mapped().chunk(1, 100).dollars.0 - tariff.chunk(1, 100).dollars.0;
        assert_eq!(more, 25_000 + 1_104 - 3 * 400);
    }

    #[test]
    fn amounts_are_shown_as_far_as_they_matter() {
        let shown = |dollars: f64| Dollars::of(dollars).unwrap().to_string();
        assert_eq!(
            [1300.4, 100.0, 43.126, 0.01, 0.000_64].map(shown),
            ["$1300", "$100", "$43.13", "$0.01", "$0.000640"]
        );
        assert_eq!([0.0, -1.0, f64::NAN, 1e300, 1e-12].map(Dollars::of), [None; 5]);
        assert_eq!(Dollars::of(0.1).unwrap().value(), 0.1);
    }

    #[test]
    fn what_is_too_much_to_count_is_the_most() {
        let work = Tariff::of(Waiting::Rows, Condition::Tree).chunk(u64::MAX / 2, u64::MAX);
        assert_eq!((work.written_bytes, work.dollars), (u64::MAX, Dollars(u64::MAX)));
        assert_eq!((work + work).records, u64::MAX - 1);
        assert_eq!(Work { records: 1, ..work }.scaled(u64::MAX).dollars, Dollars(u64::MAX));
    }
}
