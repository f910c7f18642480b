//! What S3 Batch Operations' completion report says of a record's object.

use std::borrow::Cow;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

/// The fields of a record that name its object, as the columns of S3 Batch Operations' manifests do
/// (<https://docs.aws.amazon.com/AmazonS3/latest/userguide/batch-ops-create-job.html#specify-batchjob-manifest>).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReportColumns {
    /// The field that names the bucket.
    pub bucket: String,
    /// The field that has the object's key, URL-encoded.
    pub key: String,
    /// The field that has the object's version, if there is one.
    pub version: String,
}

impl Default for ReportColumns {
    fn default() -> Self {
        let [bucket, key, version] = ["bucket", "key", "version"].map(str::to_owned);
        Self { bucket, key, version }
    }
}

/// What stands in a URL-encoded key as it is.
const PLAIN: &AsciiSet =
    &NON_ALPHANUMERIC.remove(b'/').remove(b'-').remove(b'_').remove(b'.').remove(b'~').remove(b'*').remove(b'+');

/// A key as manifests and reports have it. One that is URL-encoded stays as it is; of any other, what cannot stand in an
/// encoded key is encoded, so that `a b` and `a%20b` are the same.
pub fn url_encoded(key: &str) -> Cow<'_, str> {
    let is_escape =
        |at: usize| key.as_bytes().get(at + 1..at + 3).is_some_and(|two| two.iter().all(u8::is_ascii_hexdigit));
    let mut parts = key.match_indices('%').filter(|(at, _)| !is_escape(*at)).map(|(at, _)| at).peekable();
    // A percent sign is plain where it begins an escape.
    const ESCAPED: &AsciiSet = &PLAIN.remove(b'%');
    if parts.peek().is_none() {
        return utf8_percent_encode(key, ESCAPED).into();
    }
    let (mut encoded, mut from) = (String::new(), 0);
    for at in parts {
        encoded.extend(utf8_percent_encode(&key[from..at], ESCAPED));
        encoded.push_str("%25");
        from = at + 1;
    }
    encoded.extend(utf8_percent_encode(&key[from..], ESCAPED));
    encoded.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_encoded_once() {
        for (key, encoded) in [
            ("a/b-1_2.c~d*+", "a/b-1_2.c~d*+"),
            ("a%20b/%C3%BC.jpg", "a%20b/%C3%BC.jpg"),
            ("100%", "100%25"),
            ("100%/%zz/%C3%BC/\u{fc}", "100%25/%25zz/%C3%BC/%C3%BC"),
            ("a&b=c?d#e", "a%26b%3Dc%3Fd%23e"),
            ("%\u{fc}", "%25%C3%BC"),
            ("a b/\u{fc},\".jpg", "a%20b/%C3%BC%2C%22.jpg"),
            ("100%", "100%25"),
            ("%%41%zz %4", "%25%41%25zz%20%254"),
            ("=1+1", "%3D1+1"),
            ("", ""),
        ] {
            assert_eq!(url_encoded(key), encoded);
            assert_eq!(url_encoded(encoded), encoded);
        }
    }
}
