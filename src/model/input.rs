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
    /// The format, such as `csv` or `jsonl.gz`; none if the extension is not known.
    pub format: Option<String>,
}
