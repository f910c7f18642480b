//! Files in other files: compressed ones, unpacked as they arrive, and UTF-16.

mod bzip2;
mod gzip;
mod utf16;
mod zstd;

use crate::model::fault::{Fault, FaultCode};
use crate::model::format::{Compression, InputFormat, Utf16};

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

/// What a file has to be unpacked from, from the outside to the inside; none, if its bytes are those of its records.
pub struct Layers(Vec<Box<dyn Unpack>>);

impl Layers {
    /// The layers of a format.
    pub fn of(format: &InputFormat) -> Self {
        Self(format.compression.map(of_compression).into_iter().chain(format.utf16.map(of_utf16)).collect())
    }

    /// No layers.
    pub fn none() -> Self {
        Self(Vec::new())
    }

    /// As [`Unpack::step`], for all layers.
    ///
    /// # Errors
    /// As for [`Unpack::step`].
    pub fn step(&mut self, bytes: &[u8], sink: Sink<'_>) -> Result<usize, Fault> {
        match self.0.as_mut_slice() {
            [] => {
                let piece = &bytes[..bytes.len().min(crate::format::PIECE)];
                sink(piece)?;
                Ok(piece.len())
            }
            [layer, inner @ ..] => layer.step(bytes, &mut |plain| pass(inner, plain, sink)),
        }
    }

    /// As [`Unpack::has_more`], for all layers.
    pub fn has_more(&self) -> bool {
        self.0.first().is_some_and(|layer| layer.has_more())
    }

    /// As [`Unpack::finish`], for all layers.
    ///
    /// # Errors
    /// As for [`Unpack::finish`].
    pub fn finish(&mut self, sink: Sink<'_>) -> Result<(), Fault> {
        for layer in 0..self.0.len() {
            let (ended, inner) = self.0[layer..].split_at_mut(1);
            ended[0].finish(&mut |plain| pass(inner, plain, sink))?;
        }
        Ok(())
    }
}

/// Passes bytes through layers, from the outside to the inside.
fn pass(layers: &mut [Box<dyn Unpack>], mut bytes: &[u8], sink: Sink<'_>) -> Result<(), Fault> {
    let [layer, inner @ ..] = layers else {
        return sink(bytes);
    };
    while !bytes.is_empty() || layer.has_more() {
        let taken = layer.step(bytes, &mut |plain| pass(inner, plain, sink))?;
        bytes = &bytes[taken..];
    }
    Ok(())
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
