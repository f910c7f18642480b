//! UTF-16 to UTF-8. Half a surrogate pair becomes bytes that are not UTF-8, and thereby a fault of its record.

use crate::format::unpack::{PIECE, Sink, Unpack};
use crate::model::fault::{Fault, FaultCode};
use crate::model::format::Utf16;

/// Reads units as they arrive.
pub struct FromUtf16 {
    order: Utf16,
    /// The first byte of a unit.
    byte: Option<u8>,
    /// The first unit of a pair.
    high: Option<u16>,
}

impl FromUtf16 {
    pub fn new(order: Utf16) -> Self {
        Self { order, byte: None, high: None }
    }

    fn unit(&mut self, unit: u16, out: &mut Vec<u8>) {
        let pair = self.high.take().map(|high| (high, char::decode_utf16([high, unit]).next()));
        match pair {
            Some((_, Some(Ok(both)))) => return push(both, out),
            Some((high, _)) => push_half(high, out),
            None => {}
        }
        match unit {
            0xd800..0xdc00 => self.high = Some(unit),
            0xdc00..0xe000 => push_half(unit, out),
            _ => push(char::from_u32(u32::from(unit)).unwrap_or(char::REPLACEMENT_CHARACTER), out),
        }
    }
}

fn push(character: char, out: &mut Vec<u8>) {
    out.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
}

/// Writes half a pair as UTF-8 would write a character of that number.
fn push_half(unit: u16, out: &mut Vec<u8>) {
    let [high, low] = unit.to_be_bytes();
    out.extend([0xe0 | high >> 4, 0x80 | (high & 0x0f) << 2 | low >> 6, 0x80 | low & 0x3f]);
}

impl Unpack for FromUtf16 {
    fn step(&mut self, bytes: &[u8], sink: Sink<'_>) -> Result<usize, Fault> {
        let piece = &bytes[..bytes.len().min(PIECE)];
        let mut out = Vec::with_capacity(piece.len() * 2);
        for &byte in piece {
            let Some(first) = self.byte.take() else {
                self.byte = Some(byte);
                continue;
            };
            let unit = match self.order {
                Utf16::Le => u16::from_le_bytes([first, byte]),
                Utf16::Be => u16::from_be_bytes([first, byte]),
            };
            self.unit(unit, &mut out);
        }
        sink(&out)?;
        Ok(piece.len())
    }

    fn finish(&mut self, sink: Sink<'_>) -> Result<(), Fault> {
        let mut out = Vec::new();
        if let Some(high) = self.high.take() {
            push_half(high, &mut out);
        }
        sink(&out)?;
        match self.byte {
            Some(_) => Err(Fault::new(FaultCode::NotUtf8, "the file is UTF-16, and ends in the middle of a character")),
            None => Ok(()),
        }
    }
}
