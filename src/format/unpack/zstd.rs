//! Zstandard. A file of several frames is read to the end of the last.

use zstd::stream::raw::{Decoder, InBuffer, Operation, OutBuffer};

use crate::format::unpack::{PIECE, Sink, Unpack, broken};
use crate::model::fault::{Fault, FaultCode};

/// The least that a frame begins with.
const FRAME_HEADER: usize = 5;
const BLOCK_HEADER: usize = 3;

/// Unpacks a stream. A frame may ask for a window of up to 128 MiB, as `zstd --ultra -22` does; most ask for 8 MiB at most.
#[derive(Default)]
pub struct Unzstd {
    decoder: Option<Decoder<'static>>,
    /// How many bytes the decoder wants next; 0 between two frames.
    wanted: usize,
    /// Whether the last step filled its buffer.
    full: bool,
}

impl Unpack for Unzstd {
    fn step(&mut self, bytes: &[u8], sink: Sink<'_>) -> Result<usize, Fault> {
        let decoder = match &mut self.decoder {
            Some(decoder) => decoder,
            none => none.insert(Decoder::new().map_err(damaged)?),
        };
        // With more than a block, what it unpacked before damage would be lost with the damage. What the decoder wants
        // is a block and the header of the next.
        let wanted = if self.wanted == 0 { FRAME_HEADER } else { self.wanted };
        let most = if wanted > BLOCK_HEADER { wanted - BLOCK_HEADER } else { wanted };
        let (mut input, mut unpacked) = (InBuffer::around(&bytes[..bytes.len().min(most)]), vec![0; PIECE]);
        let mut output = OutBuffer::around(unpacked.as_mut_slice());
        self.wanted = decoder.run(&mut input, &mut output).map_err(damaged)?;
        let plain = output.as_slice();
        // A frame that is complete holds nothing back.
        self.full = self.wanted > 0 && plain.len() == PIECE;
        if !plain.is_empty() {
            sink(plain)?;
        }
        Ok(input.pos())
    }

    fn has_more(&self) -> bool {
        self.full
    }

    fn finish(&mut self, _: Sink<'_>) -> Result<(), Fault> {
        if self.wanted > 0 { Err(damaged("it ends within a frame")) } else { Ok(()) }
    }
}

fn damaged(error: impl std::fmt::Display) -> Fault {
    broken("Zstandard", FaultCode::BrokenZstd, error)
}
