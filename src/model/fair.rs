//! Whose turn it is: the groups among which a queue divides its workers.

use sha2::{Digest, Sha256};

use crate::model::error::{Error, Result};
use crate::model::ids::BatchId;

/// The longest id of a group that SQS takes, in characters
/// (<https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/quotas-messages.html>).
pub const MAX_GROUP: usize = 128;
/// What stands before the digest in the id of a long name. No encoded name has it, since two digits follow every `%`.
const DIGEST: &str = "%~";

/// What shares the workers: each gets its turn, however many chunks the others have.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum FairBy {
    /// Batches. A redrive counts as the batch that it continues.
    #[default]
    Batch,
    /// The first segments of keys, for clients that upload many files: all files under `acme/` share one turn.
    Prefix,
}

impl FairBy {
    /// Parses the setting `FAIR_BY`.
    ///
    /// # Errors
    /// `Config` for another name.
    pub fn named(name: &str) -> Result<Self> {
        match name {
            "batch" => Ok(Self::Batch),
            "prefix" => Ok(Self::Prefix),
            other => Err(Error::config(format!("FAIR_BY is {other:?}; it can be batch or prefix"))),
        }
    }

    /// The id of the group of a batch whose input has this key: 1 to [`MAX_GROUP`] letters, digits and signs of ASCII,
    /// without spaces, and another one for every other name.
    pub fn group(self, batch: &BatchId, key: &str) -> String {
        match self {
            Self::Batch => batch.in_generation(0).as_str().to_owned(),
            Self::Prefix => encoded(key.split_once('/').map_or(key, |(first, _)| first)),
        }
    }
}

/// A segment of a key as the id of a group: percent-encoded, and if that is too long, its beginning and a digest.
fn encoded(segment: &str) -> String {
    if segment.is_empty() {
        // A key may begin with a slash, and an id may not be empty. No segment has a slash.
        return "/".to_owned();
    }
    let mut id = String::with_capacity(segment.len());
    for byte in segment.bytes() {
        match byte {
            b'!'..=b'~' if byte != b'%' => id.push(char::from(byte)),
            _ => id.push_str(&format!("%{byte:02X}")),
        }
    }
    if id.len() > MAX_GROUP {
        let digest = Sha256::digest(segment.as_bytes());
        id.truncate(MAX_GROUP - DIGEST.len() - 2 * digest.len());
        id.push_str(DIGEST);
        digest.iter().for_each(|byte| id.push_str(&format!("{byte:02x}")));
    }
    id
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    fn prefix(key: &str) -> String {
        FairBy::Prefix.group(&BatchId::parse("orders-0123456789ab").unwrap(), key)
    }

    #[test]
    fn a_redrive_shares_the_turn_of_its_batch() {
        let batch = BatchId::parse("orders-0123456789ab").unwrap();
        for generation in [0, 1, 999] {
            assert_eq!(FairBy::Batch.group(&batch.in_generation(generation), "a/orders.csv"), "orders-0123456789ab");
        }
    }

    #[test]
    fn the_first_segment_of_a_key_is_the_group() {
        for (key, group) in [
            ("acme/2026/a.csv", "acme"),
            ("acme/", "acme"),
            ("a.csv", "a.csv"),
            ("/a.csv", "/"),
            ("ac me/a.csv", "ac%20me"),
            ("ac%20me/a.csv", "ac%2520me"),
            ("zoë/a.csv", "zo%C3%AB"),
        ] {
            assert_eq!(prefix(key), group, "{key}");
        }
    }

    #[test]
    fn a_long_name_keeps_its_beginning() {
        let exact = "x".repeat(MAX_GROUP);
        assert_eq!(prefix(&exact), exact);
        let (one, other) = (prefix(&format!("{exact}1")), prefix(&format!("{exact}2")));
        assert!(one.starts_with("xxxxxx") && one.len() == MAX_GROUP && one != other);
        // Nobody can name a segment like the digest of another.
        assert_ne!(prefix(&one), one);
    }

    #[test]
    fn other_names_are_refused() {
        assert_eq!(FairBy::named("prefix").unwrap(), FairBy::Prefix);
        assert_eq!(FairBy::named("batch").unwrap(), FairBy::default());
        let told = FairBy::named("Batch").unwrap_err().to_string();
        assert!(told.ends_with("FAIR_BY is \"Batch\"; it can be batch or prefix"), "{told}");
    }

    proptest! {
        #[test]
        fn every_id_is_one_that_sqs_takes(key in "\\PC{0,60}") {
            let id = prefix(&key);
            prop_assert!(!id.is_empty() && id.len() <= MAX_GROUP && id.bytes().all(|byte| byte.is_ascii_graphic()));
        }

        #[test]
        fn names_and_ids_correspond(names in prop::collection::btree_set("[a%~é \u{0}/]{0,50}", 0..20)) {
            let names: BTreeSet<&str> = names.iter().map(|name| name.split('/').next().unwrap_or_default()).collect();
            let ids: BTreeSet<String> = names.iter().map(|name| prefix(&format!("{name}/x"))).collect();
            prop_assert_eq!(ids.len(), names.len());
        }
    }
}
