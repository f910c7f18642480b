//! Gzip, unpacked as it arrives. A file of several members is read to the end of the last.

use std::io::Write;

use flate2::write::MultiGzDecoder;

use crate::model::fault::{Fault, FaultCode};

/// How much is unpacked at a time. Deflate expands data at most 1,032-fold (<https://zlib.net/zlib_tech.html>),
/// so that a piece stays below 9 MiB whatever it holds.
const PIECE: usize = 8 * 1024;

/// Unpacks a stream.
pub struct Gunzip {
    inner: MultiGzDecoder<Vec<u8>>,
    any: bool,
}

impl Default for Gunzip {
    fn default() -> Self {
        Self { inner: MultiGzDecoder::new(Vec::new()), any: false }
    }
}

impl Gunzip {
    /// Unpacks the next bytes and passes on the result, up to any damage.
    ///
    /// # Errors
    /// A fault if the bytes are not gzip, or the first error of `sink`.
    pub fn push(&mut self, bytes: &[u8], mut sink: impl FnMut(&[u8]) -> Result<(), Fault>) -> Result<(), Fault> {
        for piece in bytes.chunks(PIECE) {
            self.any = true;
            let written = self.inner.write_all(piece);
            if written.is_err() {
                // Brings out what was unpacked before the damage; that it fails as well tells nothing new.
                let _ = self.inner.try_finish();
            }
            self.drain(&mut sink)?;
            written.map_err(broken)?;
        }
        Ok(())
    }

    /// Unpacks the rest.
    ///
    /// # Errors
    /// A fault if the stream ends too early, or the first error of `sink`.
    pub fn finish(mut self, mut sink: impl FnMut(&[u8]) -> Result<(), Fault>) -> Result<(), Fault> {
        if !self.any {
            return Ok(());
        }
        let finished = self.inner.try_finish();
        self.drain(&mut sink)?;
        finished.map_err(broken)
    }

    fn drain(&mut self, sink: &mut impl FnMut(&[u8]) -> Result<(), Fault>) -> Result<(), Fault> {
        let plain = std::mem::take(self.inner.get_mut());
        if plain.is_empty() { Ok(()) } else { sink(&plain) }
    }
}

fn broken(error: std::io::Error) -> Fault {
    Fault::new(
        FaultCode::BrokenGzip,
        format!("the gzip stream is damaged or ends too early ({error}); compress the file again"),
    )
}
