//! Bzip2. A file of several streams is read to the end of the last.

use bzip2::{Decompress, Status};

use crate::format::unpack::{PIECE, Sink, Unpack, broken};
use crate::model::fault::{Fault, FaultCode};

/// Unpacks a stream, in blocks of up to 900 KB.
#[derive(Default)]
pub struct Bunzip2 {
    /// Unpacks the stream that is not complete.
    stream: Option<Decompress>,
    /// Whether the last step filled its buffer.
    full: bool,
}

impl Unpack for Bunzip2 {
    fn step(&mut self, bytes: &[u8], sink: Sink<'_>) -> Result<usize, Fault> {
        if bytes.is_empty() && self.stream.is_none() {
            return Ok(0);
        }
        let stream = self.stream.get_or_insert_with(|| Decompress::new(false));
        let (before, mut unpacked) = (stream.total_in(), Vec::with_capacity(PIECE));
        let status = stream.decompress_vec(bytes, &mut unpacked);
        // What comes before damage is kept.
        if !unpacked.is_empty() {
            sink(&unpacked)?;
        }
        let status = status.map_err(damaged)?;
        let taken = usize::try_from(stream.total_in() - before).unwrap_or(bytes.len());
        let ended = status == Status::StreamEnd;
        self.full = unpacked.len() == PIECE && !ended;
        if ended {
            self.stream = None;
        } else if taken == 0 && unpacked.is_empty() && !bytes.is_empty() {
            return Err(damaged("it makes no progress"));
        }
        Ok(taken)
    }

    fn has_more(&self) -> bool {
        self.full
    }

    fn finish(&mut self, _: Sink<'_>) -> Result<(), Fault> {
        if self.stream.is_some() { Err(damaged("it ends within a stream")) } else { Ok(()) }
    }
}

fn damaged(error: impl std::fmt::Display) -> Fault {
    broken("bzip2", FaultCode::BrokenBzip2, error)
}
