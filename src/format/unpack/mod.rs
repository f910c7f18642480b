//! Files in other files: compressed ones, unpacked as they arrive, and UTF-16.

mod bzip2;
mod gzip;
mod utf16;
mod zstd;

use crate::model::fault::{Fault, FaultCode};
use crate::model::format::{Compression, Utf16};

/// How much is unpacked at a time, at most, before it is passed on.
const PIECE: usize = 64 * 1024;

/// Takes what was unpacked.
pub type Sink<'a> = &'a mut dyn FnMut(&[u8]) -> Result<(), Fault>;

/// Unpacks a stream, a little at a time: whatever a few bytes expand to, it never has to be held at once.
pub trait Unpack: Send {
    /// Unpacks some of the next bytes, and passes on the result, up to any damage; returns how many bytes it took.
    /// It takes some, unless there are none, or there [is more](Self::has_more) of those before.
    ///
    /// # Errors
    /// A fault if the bytes are damaged, or the first error of `sink`.
    fn step(&mut self, bytes: &[u8], sink: Sink<'_>) -> Result<usize, Fault>;

    /// Whether the next step has something to pass on even without more bytes.
    fn has_more(&self) -> bool {
        false
    }

    /// Passes on the rest.
    ///
    /// # Errors
    /// A fault if the stream ends too early, or the first error of `sink`.
    fn finish(&mut self, sink: Sink<'_>) -> Result<(), Fault>;
}

/// What unpacks a compressed file.
pub fn of_compression(compression: Compression) -> Box<dyn Unpack> {
    match compression {
        Compression::Gzip => Box::<gzip::Gunzip>::default(),
        Compression::Zstd => Box::<zstd::Unzstd>::default(),
        Compression::Bzip2 => Box::<bzip2::Bunzip2>::default(),
    }
}

/// What makes UTF-8 of UTF-16.
pub fn of_utf16(utf16: Utf16) -> Box<dyn Unpack> {
    Box::new(utf16::FromUtf16::new(utf16))
}

fn broken(what: &str, code: FaultCode, error: impl std::fmt::Display) -> Fault {
    Fault::new(code, format!("the {what} stream is damaged or ends too early ({error}); compress the file again"))
}
