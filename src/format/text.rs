//! Bytes that should be text.

use std::borrow::Cow;

use simdutf8::compat::from_utf8;

use crate::model::format::charset::Charset;

/// The first byte of a text that means nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BadByte {
    charset: Charset,
    /// Its place, from 0.
    pub at: usize,
    value: u8,
    /// Whether all such bytes of the text would be letters and signs in Windows' western encoding.
    western: bool,
}

/// The bytes as text.
///
/// # Errors
/// The first byte that means nothing.
pub fn of(bytes: &[u8], charset: Charset) -> Result<Cow<'_, str>, BadByte> {
    let bad = |at: usize, western| BadByte { charset, at, value: bytes[at], western };
    if charset.is_utf8() {
        from_utf8(bytes).map(Cow::Borrowed).map_err(|error| bad(error.valid_up_to(), is_western(bytes)))
    } else {
        charset.decode(bytes).map_err(|at| bad(at, false))
    }
}

/// Whether no byte of the text that is not ASCII is part of a character of UTF-8, and each has a meaning in
/// Windows-1252: <https://encoding.spec.whatwg.org/windows-1252.html>
fn is_western(bytes: &[u8]) -> bool {
    let no_utf8 = bytes.utf8_chunks().all(|chunk| chunk.valid().is_ascii());
    no_utf8 && !bytes.iter().any(|byte| matches!(byte, 0x81 | 0x8d | 0x8f | 0x90 | 0x9d))
}

impl std::fmt::Display for BadByte {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if !self.charset.is_utf8() {
            return write!(f, "byte 0x{:02X} means nothing in {}", self.value, self.charset);
        }
        write!(f, "byte 0x{:02X} is not UTF-8", self.value)?;
        if self.western {
            write!(
                f,
                "; it looks like WINDOWS-1252: convert the file (iconv -f WINDOWS-1252 -t UTF-8 FILE > NEW) and \
                 upload it again, or set the pipeline's encoding"
            )
        } else {
            write!(f, "; save the file as UTF-8 and upload it again")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bad_byte_is_told_with_what_it_may_be() {
        assert_eq!(of("für".as_bytes(), Charset::UTF_8), Ok("für".into()));
        let told = of(b"caf\xe9 noir", Charset::UTF_8).unwrap_err();
        assert_eq!(told.at, 3);
        assert!(told.to_string().starts_with("byte 0xE9 is not UTF-8; it looks like WINDOWS-1252"), "{told}");
        for other in [&b"f\xc3\xbcr caf\xe9"[..], b"\x81\x40"] {
            let told = of(other, Charset::UTF_8).unwrap_err().to_string();
            assert!(told.ends_with("save the file as UTF-8 and upload it again"), "{told}");
        }
    }
}
