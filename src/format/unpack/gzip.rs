//! Gzip. A file of several members is read to the end of the last; zeros after it are padding.

use std::io::Write;

use flate2::write::GzDecoder;

use crate::format::unpack::{Sink, Unpack, broken};
use crate::model::fault::{Fault, FaultCode};

/// How much is unpacked at a time. Deflate expands data at most 1,032-fold (<https://zlib.net/zlib_tech.html>). Few,
/// because small records take many times their text in memory.
const PACKED: usize = 512;

/// Unpacks a stream.
pub struct Gunzip {
    member: GzDecoder<Vec<u8>>,
    any: bool,
    /// Whether zeros follow the last member.
    padding: bool,
}

impl Default for Gunzip {
    fn default() -> Self {
        Self { member: GzDecoder::new(Vec::new()), any: false, padding: false }
    }
}

impl Unpack for Gunzip {
    fn step(&mut self, bytes: &[u8], sink: Sink<'_>) -> Result<usize, Fault> {
        let piece = &bytes[..bytes.len().min(PACKED)];
        self.any |= !piece.is_empty();
        let written = self.write(piece);
        if written.is_err() && !self.padding {
            // Brings out what was unpacked before the damage; that it fails as well tells nothing new.
            let _ = self.member.try_finish();
        }
        self.drain(sink)?;
        written.map_err(damaged)?;
        Ok(piece.len())
    }

    fn finish(&mut self, sink: Sink<'_>) -> Result<(), Fault> {
        if !self.any || self.padding {
            return Ok(());
        }
        let finished = self.member.try_finish();
        self.drain(sink)?;
        finished.map_err(damaged)
    }
}

impl Gunzip {
    fn write(&mut self, mut bytes: &[u8]) -> std::io::Result<()> {
        while let Some(&next) = bytes.first() {
            if self.padding {
                return if bytes.iter().all(|byte| *byte == 0) { Ok(()) } else { Err(garbage()) };
            }
            let taken = self.member.write(bytes)?;
            bytes = &bytes[taken..];
            if taken == 0 {
                // The member is complete.
                self.member.try_finish()?;
                let unpacked = std::mem::take(self.member.get_mut());
                self.member = GzDecoder::new(unpacked);
                self.padding = next == 0;
            }
        }
        Ok(())
    }

    fn drain(&mut self, sink: Sink<'_>) -> Result<(), Fault> {
        let plain = std::mem::take(self.member.get_mut());
        if plain.is_empty() { Ok(()) } else { sink(&plain) }
    }
}

fn garbage() -> std::io::Error {
    std::io::Error::other("something follows it after zeros")
}

fn damaged(error: std::io::Error) -> Fault {
    broken("gzip", FaultCode::BrokenGzip, error)
}
