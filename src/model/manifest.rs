//! Batches over many objects: a manifest is an input that lists other objects, whose records are those of the batch.

use serde::{Deserialize, Serialize};

use crate::model::fault::{Fault, FaultCode};
use crate::model::format::InputFormat;
use crate::model::format::settings::FormatSettings;
use crate::model::record::Raw;

/// What stands before the extension of a manifest's key: `orders.manifest.csv`.
const MARK: &str = ".manifest";

/// The most objects that a batch can be made of.
pub const MAX_OBJECTS: usize = 65_536;

/// Whether a key names a manifest: its extension, which is that of a file of records, follows `.manifest`.
pub fn is_manifest(key: &str) -> bool {
    let name = key.rsplit('/').next().unwrap_or(key).to_ascii_lowercase();
    let packed = [".gz", ".zst", ".bz2"].iter().find_map(|packed| name.strip_suffix(packed));
    let name = packed.unwrap_or(&name);
    let stem = [".json", ".jsonl", ".ndjson", ".csv"].iter().find_map(|layout| name.strip_suffix(layout));
    stem.is_some_and(|stem| stem.ends_with(MARK))
}

/// Whether an object that was found among others holds records: not a folder, not a file that the pipeline ignores, and
/// no manifest itself. Of its key only what is `below` the place that was searched says so: who collects files in a
/// folder that is ignored may still submit that folder.
pub fn holds_records(below: &str, settings: &FormatSettings) -> bool {
    !below.is_empty() && !below.ends_with('/') && settings.ignored(below).is_none() && !is_manifest(below)
}

/// An object as a manifest names it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Listed {
    /// Its bucket; that of the manifest if none is named.
    #[serde(default, alias = "Bucket", skip_serializing_if = "Option::is_none")]
    pub bucket: Option<String>,
    /// Its key.
    #[serde(alias = "Key")]
    pub key: String,
    /// Its version; the newest if none is named.
    #[serde(default, alias = "VersionId", skip_serializing_if = "Option::is_none")]
    pub version_id: Option<String>,
    /// Its entity tag, which the newest must have.
    #[serde(default, alias = "ETag", alias = "Etag", skip_serializing_if = "Option::is_none")]
    pub e_tag: Option<String>,
}

impl Listed {
    /// An object of the manifest's bucket, whichever is the newest.
    pub fn newest(key: impl Into<String>) -> Self {
        Self { bucket: None, key: key.into(), version_id: None, e_tag: None }
    }
}

/// An object of a batch, as it was found when the batch began.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Object {
    /// Its key.
    pub key: String,
    /// Its version, if its bucket keeps versions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version_id: Option<String>,
    /// Its entity tag, if its bucket keeps no versions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub e_tag: Option<String>,
    /// Its size.
    #[serde(default)]
    pub bytes: u64,
    /// How it is read, or why it cannot be.
    #[serde(flatten)]
    pub reading: Reading,
}

/// How an object is read, or why it cannot be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Reading {
    /// Its format.
    ReadAs(InputFormat),
    /// What is wrong with it.
    Fault(Fault),
}

impl Object {
    /// Its format, if it can be read.
    pub fn format(&self) -> Option<&InputFormat> {
        match &self.reading {
            Reading::ReadAs(format) => Some(format),
            Reading::Fault(_) => None,
        }
    }
}

/// What was found in an object when it was read.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ObjectEnd {
    /// How many records came of it.
    pub records: u64,
    /// The bytes at the start of a CSV file that name its columns.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub head: Option<Raw>,
    /// Why it could not be read to its end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fault: Option<Fault>,
}

/// The fault of a batch of which some objects could not be read to their ends, given the objects and their faults.
pub fn unreadable<'a>(all: usize, faults: impl Iterator<Item = (&'a str, &'a Fault)>) -> Option<Fault> {
    let mut faults = faults.peekable();
    let (key, first) = *faults.peek()?;
    let (key, code, message) = (key.to_owned(), first.code, first.message.clone());
    let (many, verb) = (faults.count(), if all == 1 { "object" } else { "objects" });
    let message = format!("{many} of {all} {verb} could not be read to the end; the first is {key}: {code}: {message}");
    Some(Fault::new(FaultCode::UnreadableObjects, message))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_manifest_is_known_by_its_name() {
        for key in ["x.manifest.json", "a/b.MANIFEST.CSV.gz", "x.y.manifest.jsonl", "x.manifest.ndjson.zst"] {
            assert!(is_manifest(key), "{key}");
        }
        for key in ["manifest.json", "x.manifest", "x.manifest.txt", "x.manifest.json/y.json", "manifest/x.json", ""] {
            assert!(!is_manifest(key), "{key}");
        }
    }

    #[test]
    fn what_lies_among_files_of_records_is_told_from_them() {
        let settings = FormatSettings::default();
        for (below, holds) in [
            ("orders.csv", true),
            ("2026/11/orders.csv", true),
            ("_SUCCESS", false),
            (".orders.csv.crc", false),
            ("_temporary/orders.csv", false),
            ("folder/", false),
            ("", false),
            ("again.manifest.json", false),
        ] {
            assert_eq!(holds_records(below, &settings), holds, "{below}");
        }
    }

    #[test]
    fn an_object_is_written_by_what_is_known_of_it() {
        let format = InputFormat::of_key("x.csv").unwrap();
        let key = || "a.csv".to_owned();
        let read = Object {
            key: key(),
            version_id: Some("v".into()),
            e_tag: None,
            bytes: 7,
            reading: Reading::ReadAs(format),
        };
        let text = serde_json::to_string(&read).unwrap();
        assert_eq!(text, r#"{"key":"a.csv","versionId":"v","bytes":7,"readAs":{"layout":"csv"}}"#);
        assert_eq!(serde_json::from_str::<Object>(&text).unwrap(), read);
        let reading = Reading::Fault(Fault::new(FaultCode::UnavailableObject, "gone"));
        let gone = Object { key: key(), version_id: None, e_tag: None, bytes: 0, reading };
        let text = serde_json::to_string(&gone).unwrap();
        assert_eq!(text, r#"{"key":"a.csv","bytes":0,"fault":{"code":"UNAVAILABLE_OBJECT","message":"gone"}}"#);
        assert_eq!(serde_json::from_str::<Object>(&text).unwrap(), gone);
    }

    #[test]
    fn the_fault_of_a_batch_names_how_many_objects_and_the_first() {
        let fault = Fault::new(FaultCode::UnavailableObject, "it is not there");
        assert_eq!(unreadable(3, std::iter::empty()), None);
        let told = unreadable(3, [("b.csv", &fault), ("c.csv", &fault)].into_iter()).unwrap();
        assert_eq!(
            told.message,
            "2 of 3 objects could not be read to the end; the first is b.csv: UNAVAILABLE_OBJECT: it is not there"
        );
    }
}
