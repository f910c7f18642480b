//! The id of a report.

use std::fmt;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::model::error::{Error, Result};

/// What a report's file is called in the input bucket, before and after its id.
const FILE: (&str, &str) = ("reports/", ".jsonl");
/// The same of its request.
const REQUEST: (&str, &str) = ("requests/", ".json");

/// The id of a report: 128 bits as 32 hexadecimal digits. It is no secret: who asked for the report is looked at as well.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ReportId(String);

impl ReportId {
    /// An id of random bits.
    pub fn of_bits(bits: u128) -> Self {
        Self(format!("{bits:032x}"))
    }

    /// The id of the report that a caller asked for under a key of its own: the same whenever it asks.
    pub fn of_key(owner: &str, key: &str) -> Self {
        let mut hash = Sha256::new();
        // A length in front: no other caller and key are the same text.
        hash.update(format!("{}:{owner}:{key}", owner.len()));
        let mut bits = [0; 16];
        bits.iter_mut().zip(hash.finalize()).for_each(|(bit, digit)| *bit = digit);
        Self::of_bits(u128::from_be_bytes(bits))
    }

    /// Reads an id.
    ///
    /// # Errors
    /// `Malformed` if it is another text.
    pub fn parse(text: &str) -> Result<Self> {
        let digit = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
        if text.len() == 32 && text.bytes().all(digit) {
            return Ok(Self(text.to_owned()));
        }
        Err(Error::malformed("the id of a report has 32 digits of 0 to 9 and a to f"))
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The key of its file in the input bucket: that of the batch which it is.
    pub fn file_key(&self) -> String {
        format!("{}{self}{}", FILE.0, FILE.1)
    }

    /// The id of the report whose file has a key; `None` if it is the file of none.
    pub fn of_file(key: &str) -> Option<Self> {
        Self::parse(key.strip_prefix(FILE.0)?.strip_suffix(FILE.1)?).ok()
    }

    /// The key of its request in the input bucket.
    pub fn request_key(&self) -> String {
        format!("{}{self}{}", REQUEST.0, REQUEST.1)
    }

    /// The key of one of its parts, by its place.
    pub fn part_key(&self, place: usize) -> String {
        format!("{self}/{place:06}")
    }
}

impl ReportId {
    /// The place of one of its parts, by its key.
    pub fn place_of(&self, part: &str) -> Option<usize> {
        let place = part.strip_prefix(self.as_str())?.strip_prefix('/')?.parse().ok()?;
        (self.part_key(place) == part).then_some(place)
    }
}

impl TryFrom<String> for ReportId {
    type Error = Error;

    fn try_from(text: String) -> Result<Self> {
        Self::parse(&text)
    }
}

impl From<ReportId> for String {
    fn from(id: ReportId) -> Self {
        id.0
    }
}

impl fmt::Display for ReportId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_read_again_and_nothing_else_is() {
        let id = ReportId::of_bits(0xabc);
        assert_eq!(id.as_str(), "00000000000000000000000000000abc");
        assert_eq!(ReportId::parse(id.as_str()).unwrap(), id);
        assert_eq!(ReportId::of_file(&id.file_key()), Some(id.clone()));
        assert_eq!(ReportId::of_file("reports/abc.jsonl"), None);
        for text in [
            "",
            "abc",
            "00000000000000000000000000000ABC",
            "000000000000000000000000000000abc",
            "../../00000000000000000000000abc",
        ] {
            assert!(ReportId::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_key_is_its_callers_own() {
        let id = ReportId::of_key("anna", "k");
        assert_eq!(ReportId::of_key("anna", "k"), id);
        for (owner, key) in [("anna", "l"), ("otto", "k"), ("anna:k", ""), ("ann", "a:k")] {
            assert_ne!(ReportId::of_key(owner, key), id, "{owner} {key}");
        }
    }
}
