//! Encodings of one byte a character, in which ASCII is ASCII: rows and lines can be found by bytes in any of them.

use std::borrow::Cow;

use encoding_rs::Encoding;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::model::error::{Error, Result};

/// What the bytes of a text mean: UTF-8, or an encoding of one byte a character.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Charset(&'static Encoding);

impl Charset {
    /// UTF-8.
    pub const UTF_8: Self = Self(encoding_rs::UTF_8);

    /// The encoding with one of its names on the web: <https://encoding.spec.whatwg.org/#names-and-labels>
    ///
    /// # Errors
    /// `Config` if none has it, or if its characters are not one byte each.
    pub fn named(name: &str) -> Result<Self> {
        let found = Encoding::for_label(name.as_bytes());
        let fits = |encoding: &&'static Encoding| *encoding == encoding_rs::UTF_8 || encoding.is_single_byte();
        found.filter(fits).map(Self).ok_or_else(|| {
            Error::config(format!(
                "encoding {name:?} is not known; it can be utf-8 or one of a byte a character, such as windows-1252, \
                 iso-8859-2, koi8-r or macintosh; UTF-16 with a byte order mark is recognised by itself"
            ))
        })
    }

    /// Whether it is UTF-8.
    pub fn is_utf8(&self) -> bool {
        self.0 == encoding_rs::UTF_8
    }

    /// The text of bytes in an encoding other than UTF-8.
    ///
    /// # Errors
    /// The place of the first byte that means nothing.
    pub fn decode<'a>(&self, bytes: &'a [u8]) -> std::result::Result<Cow<'a, str>, usize> {
        let text = self.0.decode_without_bom_handling_and_without_replacement(bytes);
        // One by one, only to say which it is.
        text.ok_or_else(|| {
            let means_nothing = |byte: &u8| {
                self.0.decode_without_bom_handling_and_without_replacement(std::slice::from_ref(byte)).is_none()
            };
            bytes.iter().position(means_nothing).unwrap_or_default()
        })
    }
}

impl Default for Charset {
    fn default() -> Self {
        Self::UTF_8
    }
}

impl std::fmt::Display for Charset {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0.name().to_ascii_lowercase())
    }
}

impl std::fmt::Debug for Charset {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{self}")
    }
}

impl Serialize for Charset {
    fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Charset {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        Self::named(&String::deserialize(deserializer)?).map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn encodings_of_one_byte_are_known_by_their_usual_names() {
        for (name, bytes, text) in [
            ("windows-1252", &b"caf\xe9 \x80"[..], "café €"),
            ("latin1", b"\xfc", "ü"),
            ("ISO-8859-2", b"\xb1", "ą"),
            ("koi8-r", b"\xc1", "а"),
        ] {
            assert_eq!(Charset::named(name).unwrap().decode(bytes), Ok(text.into()), "{name}");
        }
        assert_eq!(Charset::named("iso-8859-3").unwrap().decode(b"ab\xa5"), Err(2));
        for other in ["utf-16le", "shift_jis", "gbk", "klingon", ""] {
            let told = Charset::named(other).unwrap_err().to_string();
            assert!(told.contains("windows-1252"), "{told}");
        }
        assert!(Charset::named("UTF8").unwrap().is_utf8());
    }
}
