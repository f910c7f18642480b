//! How many records of a batch were replaced, because a later one has the same key.

use std::hash::{Hash, Hasher};

use sha2::{Digest, Sha256};

use crate::model::format::Layout;
use crate::model::record::Outcome;
use crate::model::schema::RecordSchema;

/// The most records that are counted, which bounds the memory to 32 MiB.
const MOST: usize = 4 * 1024 * 1024;
/// How many more keys memory is taken for at a time.
const MORE: usize = 256 * 1024;

/// A hasher whose values any build may go on with: they are kept between invocations.
struct Stable(Sha256);

impl Hasher for Stable {
    fn write(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    fn finish(&self) -> u64 {
        let digest = self.0.clone().finalize();
        digest.iter().take(8).fold(0, |hash, byte| hash << 8 | u64::from(*byte))
    }
}

/// The keys of the records that were stored. Of each 64 bits are kept: that two keys among [`MOST`] have the same has a
/// probability of less than one in a million.
pub struct Keys {
    schema: RecordSchema,
    layout: Layout,
    /// `None` once there are too many, or one is not known.
    hashes: Option<Vec<u64>>,
}

impl Keys {
    /// No keys yet, of records that keep this schema.
    pub fn new(schema: RecordSchema, layout: Layout) -> Self {
        Self { schema, layout, hashes: Some(Vec::new()) }
    }

    /// Notes the key of a record, if it was stored.
    pub fn add(&mut self, outcome: &Outcome) {
        let Some(hashes) = self.hashes.as_mut().filter(|_| outcome.response.success) else {
            return;
        };
        match self.schema.key(&outcome.request, self.layout) {
            Some(key) if hashes.len() < MOST => {
                if hashes.len() == hashes.capacity() {
                    hashes.reserve_exact(MORE);
                }
                let mut hasher = Stable(Sha256::new());
                key.hash(&mut hasher);
                hashes.push(hasher.finish());
            }
            _ => self.hashes = None,
        }
    }

    /// What is kept of the keys; `None` once that is nothing any more.
    pub fn hashes(&self) -> Option<&[u64]> {
        self.hashes.as_deref()
    }

    /// Goes on with what was kept of keys.
    pub fn resume(self, hashes: Option<Vec<u64>>) -> Self {
        Self { hashes, ..self }
    }

    /// How many of the stored records are no longer there, if all keys are known.
    pub fn replaced(self) -> Option<u64> {
        let mut hashes = self.hashes?;
        let stored = hashes.len();
        hashes.sort_unstable();
        hashes.dedup();
        Some((stored - hashes.len()) as u64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::record::Entry;
    use serde_json::value::RawValue;

    fn outcome(index: u64, record: &str, failure: Option<&str>) -> Outcome {
        let record = RawValue::from_string(record.to_owned()).unwrap();
        Outcome::of(Entry::decoded(index, record), failure.map(str::to_owned))
    }

    #[test]
    fn records_are_replaced_by_later_ones_with_their_key() {
        let mut keys = Keys::new(RecordSchema::parse("{}", "id").unwrap(), Layout::Json);
        for (index, key) in (0..).zip(["\"a\"", "\"1\"", "1", "1.0", "\"b\"", "\"a\"", "\"a\""]) {
            keys.add(&outcome(index, &format!("{{\"id\":{key}}}"), None));
        }
        keys.add(&outcome(7, r#"{"id":"b"}"#, Some("refused")));
        keys.add(&outcome(8, "null", Some("too large")));
        assert_eq!(keys.replaced(), Some(4));
    }

    #[test]
    fn nothing_is_told_where_a_key_is_not_known() {
        let mut keys = Keys::new(RecordSchema::parse("{}", "id").unwrap(), Layout::Json);
        keys.add(&outcome(0, r#"{"other":"a"}"#, None));
        keys.add(&outcome(1, r#"{"id":"a"}"#, None));
        assert_eq!(keys.replaced(), None);
    }
}
