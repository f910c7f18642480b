//! Counts lines, by whatever ends them: `\n`, `\r\n`, or `\r` alone.

use memchr::memchr_iter;

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
    pub fn pass(&mut self, bytes: &[u8]) {
        let Some(last) = bytes.last() else {
            return;
        };
        let returns = memchr_iter(b'\r', bytes).count();
        self.ends += (memchr_iter(b'\n', bytes).count() + returns) as u64;
        // The two bytes of `\r\n` are one line end.
        self.ends -= u64::from(self.after_return && bytes[0] == b'\n');
        if returns > 0 {
            self.ends -= memchr_iter(b'\r', bytes).filter(|at| bytes.get(at + 1) == Some(&b'\n')).count() as u64;
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
