//! A prefix of the input bucket, whose objects become one batch.

use std::path::Path;

use fanfold::format::manifest::MAX_BYTES;
use fanfold::model::error::{Error, Result};
use fanfold::model::format::settings::FormatSettings;
use fanfold::model::manifest::{Listed, MAX_OBJECTS, holds_records, is_manifest};
use fanfold_aws::s3::S3Blob;

const EXTENSION: &str = ".manifest.jsonl";

/// A prefix as a user names it: `s3://bucket/folder/`.
pub struct Prefix {
    /// The bucket.
    pub bucket: String,
    /// What keys begin with.
    prefix: String,
}

impl Prefix {
    /// The prefix that is named, if it is one and not a file.
    pub fn of(path: &Path) -> Option<Self> {
        let place = path.to_str()?.strip_prefix("s3://")?;
        let (bucket, prefix) = place.split_once('/').unwrap_or((place, ""));
        Some(Self { bucket: bucket.to_owned(), prefix: prefix.to_owned() })
    }

    /// The key of the manifest: the one given, or one that is made of the prefix; or what is wrong with it.
    pub fn key(&self, given: Option<&str>, input_bucket: &str) -> std::result::Result<String, String> {
        if self.bucket != input_bucket {
            return Err(format!(
                "s3://{}/ is not the pipeline's input bucket, s3://{input_bucket}/: its functions may read nothing else; \
                 copy the objects there, into a folder that it ignores, such as _incoming/, and submit that",
                self.bucket
            ));
        }
        match given {
            Some(given) if is_manifest(given) && given.to_ascii_lowercase().ends_with(EXTENSION) => {
                Ok(given.to_owned())
            }
            Some(given) => Err(format!("{given} would not be known as a list of objects; give a --key in {EXTENSION}")),
            None => {
                let name = self.prefix.trim_matches('/').replace('/', "-");
                let name = name.trim_start_matches(|c: char| !c.is_alphanumeric());
                Ok(format!("{}{EXTENSION}", if name.is_empty() { "all" } else { name }))
            }
        }
    }

    /// The part of a key that lies below the last folder of the prefix.
    fn below<'a>(&self, key: &'a str) -> &'a str {
        let folder = self.prefix.rfind('/').map_or(0, |slash| slash + 1);
        key.get(folder..).unwrap_or_default()
    }

    /// Lists the objects with records, each with its entity tag: one that is overwritten before its batch begins is not
    /// mistaken for the one that was listed. Returns their manifest, and how many there are.
    ///
    /// # Errors
    /// Those of the call; `Malformed` if there are none, or too many.
    pub async fn manifest(&self, input: &S3Blob, settings: &FormatSettings) -> Result<(Vec<u8>, usize)> {
        let place = format!("s3://{}/{}", self.bucket, self.prefix);
        let (mut text, mut many, mut after) = (Vec::new(), 0, None);
        loop {
            let page = input.tagged(&self.prefix, after.as_deref()).await?;
            for (key, tag) in &page {
                if holds_records(self.below(key), settings) {
                    let listed = Listed { e_tag: tag.clone(), ..Listed::newest(key) };
                    serde_json::to_writer(&mut text, &listed)
                        .map_err(|e| Error::internal("a key cannot be written").because(e))?;
                    text.push(b'\n');
                    many += 1;
                }
            }
            if many > MAX_OBJECTS || text.len() > MAX_BYTES {
                let most = format!("more than {MAX_OBJECTS} objects, or too many keys for one list");
                return Err(Error::malformed(format!("under {place} lie {most}; submit its folders by themselves")));
            }
            after = page.into_iter().last().map(|(key, _)| key);
            if after.is_none() {
                break;
            }
        }
        if many == 0 {
            return Err(Error::malformed(format!(
                "under {place} lies no file of records: nothing, or only names that the pipeline ignores"
            )));
        }
        Ok((text, many))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prefix_names_its_manifest() {
        let key = |uri: &str, given| Prefix::of(Path::new(uri)).unwrap().key(given, "in");
        for (uri, name) in [
            ("s3://in/2026/11/", "2026-11.manifest.jsonl"),
            ("s3://in/_incoming/orders", "incoming-orders.manifest.jsonl"),
            ("s3://in/für/", "für.manifest.jsonl"),
            ("s3://in/", "all.manifest.jsonl"),
            ("s3://in", "all.manifest.jsonl"),
        ] {
            assert_eq!(key(uri, None).unwrap(), name, "{uri}");
        }
        assert_eq!(key("s3://in/x/", Some("y/z.manifest.jsonl")).unwrap(), "y/z.manifest.jsonl");
        assert!(key("s3://in/x/", Some("z.csv")).unwrap_err().contains(".manifest.jsonl"));
        assert!(key("s3://out/x/", None).unwrap_err().contains("not the pipeline's input bucket, s3://in/"));
        assert!(Prefix::of(Path::new("orders.csv")).is_none());
    }

    #[test]
    fn only_what_lies_below_the_named_folder_is_ignored() {
        let below = |uri: &str, key| Prefix::of(Path::new(uri)).unwrap().below(key).to_owned();
        assert_eq!(below("s3://in/_incoming/", "_incoming/a/b.csv"), "a/b.csv");
        assert_eq!(below("s3://in/_incoming/or", "_incoming/orders.csv"), "orders.csv");
        assert_eq!(below("s3://in/_in", "_incoming/orders.csv"), "_incoming/orders.csv");
    }
}
