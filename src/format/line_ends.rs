//! Counts lines, by whatever ends them: `\n`, `\r\n`, or `\r` alone.

use memchr::{memchr, memchr_iter};

/// The line ends among bytes that arrive in pieces.
#[derive(Debug, Clone, Copy, Default)]
pub struct LineEnds {
    ends: u64,
    after_return: bool,
}

impl LineEnds {
    /// Starts on this line, counted from 1, at its first byte.
    pub fn at_line(line: u64) -> Self {
        Self { ends: line.saturating_sub(1), after_return: false }
    }

    /// Passes some bytes.
    #[inline]
    pub fn pass(&mut self, bytes: &[u8]) {
        // Most often it is a line end.
        if bytes.len() <= 2 {
            bytes.iter().for_each(|byte| self.pass_byte(*byte));
        } else {
            self.pass_many(bytes);
        }
    }

    fn pass_byte(&mut self, byte: u8) {
        let ends = match byte {
            b'\r' => true,
            b'\n' => !self.after_return,
            _ => false,
        };
        self.ends += u64::from(ends);
        self.after_return = byte == b'\r';
    }

    fn pass_many(&mut self, bytes: &[u8]) {
        let Some(last) = bytes.last() else {
            return;
        };
        // The two bytes of `\r\n` are one line end, even if they are cut apart.
        self.ends -= u64::from(self.after_return && bytes[0] == b'\n');
        self.ends += memchr_iter(b'\n', bytes).count() as u64;
        if let Some(first) = memchr(b'\r', bytes) {
            self.ends += lone_returns(&bytes[first..]);
        }
        self.after_return = *last == b'\r';
    }

    /// Passes so many bytes that are known to hold no line end.
    #[inline]
    pub fn pass_text(&mut self, bytes: usize) {
        self.after_return &= bytes == 0;
    }

    /// The line of the next byte, from 1.
    pub fn line(&self) -> u64 {
        self.ends + 1
    }
}

/// The number of `\r` that no `\n` follows, in a plain loop that compilers vectorise.
fn lone_returns(bytes: &[u8]) -> u64 {
    // At most so many that a byte counts them, in whole vectors.
    const LANES: usize = u8::MAX as usize / 32 * 32;
    let (before, last) = bytes.split_at(bytes.len() - 1);
    let counts = before.chunks(LANES).zip(bytes[1..].chunks(LANES)).map(|(these, next)| {
        let lone = these.iter().zip(next).map(|(byte, next)| u8::from((*byte == b'\r') & (*next != b'\n')));
        u64::from(lone.sum::<u8>())
    });
    counts.sum::<u64>() + u64::from(last == b"\r")
}

/// The line and the column, both from 1 and the column in bytes, of a byte of a text that begins on `line`.
pub fn place(text: &[u8], line: u64, byte: usize) -> (u64, u64) {
    let mut ends = LineEnds::at_line(line);
    ends.pass(&text[..byte]);
    let start = memchr::memrchr2(b'\n', b'\r', &text[..byte]).map_or(0, |end| end + 1);
    (ends.line(), (byte - start) as u64 + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_end_as_the_file_ends_them() {
        let text = b"a\nb\r\nc\rd\r\r\n\n\re\n";
        let lines = [1, 1, 2, 2, 2, 3, 3, 4, 4, 5, 5, 6, 7, 8, 8];
        for size in 1..=text.len() {
            let mut ends = LineEnds::default();
            for piece in text.chunks(size) {
                ends.pass(piece);
            }
            assert_eq!(ends.line(), 9, "pieces of {size}");
        }
        for (byte, line) in lines.into_iter().enumerate() {
            // A `\n` after a `\r` belongs to the line that both end; no text begins with it.
            if text[byte] != b'\n' {
                assert_eq!(place(text, 1, byte).0, line, "byte {byte}");
            }
        }
        assert_eq!(place(b"ab\ncd", 5, 4), (6, 2));
    }
}
