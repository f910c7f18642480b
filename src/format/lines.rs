//! Splits a stream that arrives in pieces into lines.

/// Cuts pieces into lines. A line past `limit` bytes is dropped and reported as `None`.
pub struct Lines {
    limit: usize,
    partial: Vec<u8>,
    dropped: bool,
}

impl Lines {
    /// Cuts lines of at most `limit` bytes.
    pub fn new(limit: usize) -> Self {
        Self { limit, partial: Vec::new(), dropped: false }
    }

    /// Passes each line that the piece completes to `sink`, without its line end.
    ///
    /// # Errors
    /// The first error of `sink`.
    pub fn push<E>(&mut self, mut bytes: &[u8], mut sink: impl FnMut(Option<&[u8]>) -> Result<(), E>) -> Result<(), E> {
        while let Some(end) = memchr::memchr(b'\n', bytes) {
            let (line, rest) = (&bytes[..end], &bytes[end + 1..]);
            bytes = rest;
            if self.partial.is_empty() && !self.dropped && line.len() <= self.limit {
                sink(Some(line))?;
            } else {
                self.keep(line);
                self.flush(&mut sink)?;
            }
        }
        self.keep(bytes);
        Ok(())
    }

    /// Passes the last line to `sink`, if it has no line end.
    ///
    /// # Errors
    /// The error of `sink`.
    pub fn finish<E>(&mut self, mut sink: impl FnMut(Option<&[u8]>) -> Result<(), E>) -> Result<(), E> {
        if self.partial.is_empty() && !self.dropped {
            return Ok(());
        }
        self.flush(&mut sink)
    }

    fn keep(&mut self, bytes: &[u8]) {
        if self.dropped || self.partial.len() + bytes.len() > self.limit {
            self.partial = Vec::new();
            self.dropped = true;
        } else {
            self.partial.extend_from_slice(bytes);
        }
    }

    fn flush<E>(&mut self, sink: &mut impl FnMut(Option<&[u8]>) -> Result<(), E>) -> Result<(), E> {
        let result = sink((!self.dropped).then_some(self.partial.as_slice()));
        self.partial.clear();
        self.dropped = false;
        result
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_of_any_size_give_the_same_lines() {
        let text = b"one\n\ntwo two\nlong long long\nlast";
        for size in 1..text.len() {
            let mut lines = Lines::new(8);
            let mut seen: Vec<Option<Vec<u8>>> = Vec::new();
            let mut sink = |line: Option<&[u8]>| -> Result<(), ()> {
                seen.push(line.map(<[u8]>::to_vec));
                Ok(())
            };
            for piece in text.chunks(size) {
                lines.push(piece, &mut sink).unwrap();
            }
            lines.finish(&mut sink).unwrap();
            let expected: [Option<&[u8]>; 5] = [Some(b"one"), Some(b""), Some(b"two two"), None, Some(b"last")];
            assert_eq!(seen, expected.map(|line| line.map(<[u8]>::to_vec)));
        }
    }
}
