//! The records of a batch, generated from a seed: each can be generated again to check the result, so that no
//! batch is held in memory.

use fanfold::format::csv::encode;
use fanfold::model::format::Dialect;
use serde_json::{Map, Number, Value};

/// The field that is the items' key.
pub const KEY_FIELD: &str = "itemNo";

/// The first line of the file, without its line end.
pub const HEADER: &str = "itemNo,price,name,category,note";

const ADJECTIVES: [&str; 8] = ["small", "large", "green", "quiet", "heavy", "folding", "süße", "spare"];
const NOUNS: [&str; 8] = ["kettle", "ladder", "lamp", "crate", "Tür", "saddle", "engine", "notebook"];
const CATEGORIES: [&str; 5] = ["home", "garden", "office", "workshop", "travel"];

/// The records of one batch. A record's content depends on seed, repeat and index only, so that all variants do
/// equal work; the tag makes the keys unique to the batch.
#[derive(Debug, Clone)]
pub struct Records {
    /// The run's seed.
    pub seed: u64,
    /// Which of the run's repeats this is, from 1.
    pub repeat: u32,
    /// The prefix of the batch's keys.
    pub tag: String,
    /// The number of records.
    pub count: u64,
}

/// One record, as text as in the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// The key.
    pub item_no: String,
    price: String,
    name: String,
    category: &'static str,
    note: String,
}

/// SplitMix64 (Steele, Lea, Flood 2014). The generator of a crate may change with its version, and with it the
/// meaning of a seed.
fn mix(mut z: u64) -> u64 {
    z = z.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

impl Records {
    /// The record at an index.
    pub fn get(&self, index: u64) -> Record {
        let mut state = mix(mix(mix(self.seed) ^ u64::from(self.repeat)) ^ index);
        let mut next = |below: u64| {
            state = mix(state);
            state % below
        };
        let cents = 1 + next(9_999_999);
        let [adjective, noun] = [ADJECTIVES[next(8) as usize], NOUNS[next(8) as usize]];
        let category = CATEGORIES[next(5) as usize];
        Record {
            item_no: format!("{}-{index:08}", self.tag),
            price: format!("{}.{:02}", cents / 100, cents % 100),
            name: format!("{adjective} {noun} {}", next(1000)),
            category,
            // A comma and quotes, so that every row needs a real CSV reader.
            note: format!("shelf {}, row {} \"{category}\"", next(100), next(40)),
        }
    }

    /// Whether the record at an index is to fail, in a file where some do: one in a thousand.
    pub fn fails(&self, index: u64) -> bool {
        mix(mix(self.seed ^ 0xfa11) ^ index).is_multiple_of(1000)
    }

    /// Indexes spread over the batch: the first, the last, and a random one in each of `parts` equal parts,
    /// since a regular grid would always hit the same place in chunks.
    pub fn sample(&self, parts: u64) -> Vec<u64> {
        let parts = parts.min(self.count);
        let mut indexes = vec![0, self.count.saturating_sub(1)];
        for part in 0..parts {
            let (from, until) = (self.count * part / parts, self.count * (part + 1) / parts);
            indexes.push(from + mix(self.seed ^ mix(part)) % (until - from));
        }
        indexes.sort_unstable();
        indexes.dedup();
        indexes.retain(|index| *index < self.count);
        indexes
    }
}

impl Record {
    /// The record as a line of the file, without its line end: the same text as the csv crate's in a tenth of
    /// the time, because generating the file is part of what is timed.
    pub fn line(&self) -> String {
        let note = self.note.replace('"', "\"\"");
        format!("{},{},{},{},\"{note}\"", self.item_no, self.price, self.name, self.category)
    }

    /// Gives the record an invalid price.
    pub fn spoil(&mut self) {
        "unknown".clone_into(&mut self.price);
    }

    /// Makes the record longer, until its line has at least that many bytes.
    pub fn pad(&mut self, bytes: usize) {
        let mut left = bytes.saturating_sub(self.line().len());
        while left > 0 {
            let filler = " and more of the same, as it was seen before";
            let piece = &filler[..filler.len().min(left)];
            self.note.push_str(piece);
            left -= piece.len();
        }
    }

    /// The values, in the header's order.
    pub fn cells(&self) -> [&str; 5] {
        [&self.item_no, &self.price, &self.name, self.category, &self.note]
    }

    /// The fields of the item that the record becomes.
    pub fn fields(&self) -> Map<String, Value> {
        HEADER.split(',').zip(self.cells()).map(|(name, cell)| (name.to_owned(), value(name, cell))).collect()
    }
}

fn value(name: &str, cell: &str) -> Value {
    match (name, cell.parse::<Number>()) {
        ("price", Ok(number)) => Value::Number(number),
        _ => Value::String(cell.to_owned()),
    }
}

/// A row of CSV, without its line end.
pub fn row<T: AsRef<str>>(cells: &[T]) -> String {
    let mut row = Vec::new();
    encode(cells.iter().map(AsRef::as_ref), &Dialect::STANDARD, &mut row);
    String::from_utf8_lossy(&row).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn records(count: u64) -> Records {
        Records { seed: 7, repeat: 1, tag: "t".into(), count }
    }

    #[test]
    fn a_line_is_what_a_csv_writer_writes_and_a_reader_reads() {
        for index in 0..1000 {
            let record = records(1000).get(index);
            assert_eq!(record.line(), row(&record.cells()));
        }
    }

    #[test]
    fn a_seed_means_the_same_records_for_ever() {
        let first = records(1).get(0);
        assert_eq!(first, records(1).get(0));
        assert_eq!(first.line(), "t-00000000,93806.85,quiet lamp 841,home,\"shelf 39, row 28 \"\"home\"\"\"");
        let other = Records { repeat: 2, ..records(1) }.get(0);
        assert_ne!(first.line(), other.line());
    }

    #[test]
    fn keys_differ_and_prices_are_numbers() {
        let all = records(5000);
        let keys: std::collections::BTreeSet<String> = (0..5000).map(|i| all.get(i).item_no).collect();
        assert_eq!(keys.len(), 5000);
        assert!((0..5000).all(|i| all.get(i).fields()["price"].as_f64().is_some_and(|p| p > 0.0)));
    }

    #[test]
    fn a_padded_record_has_its_length_and_a_spoiled_one_no_price() {
        let mut record = records(1).get(0);
        for (wanted, length) in [(10, record.line().len()), (500, 500), (65_536, 65_536)] {
            record.pad(wanted);
            assert_eq!(record.line().len(), length);
        }
        record.spoil();
        assert_eq!(record.fields()["price"], "unknown");
    }

    #[test]
    fn one_record_in_a_thousand_fails() {
        let failing = (0..100_000).filter(|index| records(1).fails(*index)).count();
        assert!((60..140).contains(&failing), "{failing}");
    }

    #[test]
    fn a_sample_holds_both_ends_and_something_of_every_part() {
        let sample = records(10_000).sample(100);
        assert_eq!((sample[0], *sample.last().unwrap()), (0, 9_999));
        for part in 0..100 {
            assert!(sample.iter().any(|i| (part * 100..(part + 1) * 100).contains(i)), "{part}");
        }
        assert_eq!(records(1).sample(100), [0]);
        assert_eq!(records(3).sample(100), [0, 1, 2]);
        assert_eq!(records(0).sample(100), [0; 0]);
    }
}
