//! What a batch was made from.

use serde::{Deserialize, Serialize};

/// The file that a batch was made from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct InputRef {
    /// The bucket.
    pub bucket: String,
    /// The object's key, decoded.
    pub key: String,
    /// The object's version, if the bucket keeps versions.
    pub version_id: Option<String>,
    /// The object's entity tag, if the bucket keeps no versions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub e_tag: Option<String>,
    /// The object's size.
    pub bytes: u64,
    /// The format, such as `csv` or `jsonl.gz`; `None` if the extension is unknown.
    pub format: Option<String>,
}

/// The one upload of an object that is read, even if its bucket keeps others.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Source {
    /// The object's key, decoded.
    pub key: String,
    /// The object's version, if the bucket keeps versions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version_id: Option<String>,
    /// The object's entity tag, if the bucket keeps no versions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub e_tag: Option<String>,
}

impl InputRef {
    /// The upload to read.
    pub fn source(&self) -> Source {
        Source { key: self.key.clone(), version_id: self.version_id.clone(), e_tag: self.e_tag.clone() }
    }
}
