//! What a batch was made from.

use serde::{Deserialize, Serialize};

use crate::model::error::{Error, Result};
use crate::model::format::InputFormat;

/// The file that a batch was made from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
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
    /// How it is read, once it was looked into, if its key does not say all of that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub read_as: Option<InputFormat>,
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
    /// How it is read, if its key does not say all of that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub read_as: Option<InputFormat>,
}

impl InputRef {
    /// The upload to read.
    pub fn source(&self) -> Source {
        let Self { key, version_id, e_tag, read_as, .. } = self.clone();
        Source { key, version_id, e_tag, read_as }
    }

    /// The format that it is read in.
    ///
    /// # Errors
    /// `Internal` if it is of none.
    pub fn format(&self) -> Result<InputFormat> {
        format_of(&self.key, self.read_as.as_ref())
    }

    /// Notes what it was found to be.
    pub fn found(&mut self, format: InputFormat) {
        self.format = Some(format.to_string());
        self.read_as = Some(format).filter(|format| InputFormat::of_key(&self.key).as_ref() != Ok(format));
    }
}

impl Source {
    /// The format that it is read in.
    ///
    /// # Errors
    /// `Internal` if it is of none.
    pub fn format(&self) -> Result<InputFormat> {
        format_of(&self.key, self.read_as.as_ref())
    }
}

fn format_of(key: &str, read_as: Option<&InputFormat>) -> Result<InputFormat> {
    if let Some(format) = read_as {
        return Ok(format.clone());
    }
    let format = InputFormat::of_key(key);
    format.map_err(|fault| Error::internal(format!("a chunk of no format: {}", fault.message)))
}
