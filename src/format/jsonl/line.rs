//! Where a record of JSON Lines ends: with its line, or where another object begins on it.

use memchr::{memchr_iter, memchr2};

use crate::format::found::Found;

/// What a byte would mean.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum At {
    /// Nothing but white space was seen.
    #[default]
    Start,
    /// It is inside an object, outside its strings.
    Object,
    /// It is in a string.
    Text,
    /// It follows a backslash in a string.
    Escaped,
    /// The object is complete.
    After,
    /// What was read is no object; the record ends with the line.
    Other,
}

/// A record being read, in pieces.
#[derive(Debug, Clone, Copy, Default)]
pub struct Line {
    at: At,
    depth: usize,
}

impl Line {
    /// Finds the end of the record; `None` if it is not among these bytes.
    pub fn end(&mut self, bytes: &[u8]) -> Option<Found> {
        for (place, &byte) in bytes.iter().enumerate() {
            if is_line_end(byte) {
                return Some(Found { end: place, next: place + 1, record: self.at != At::Start });
            }
            self.at = match (self.at, byte) {
                (At::Other, _) => return self.line_end(bytes, place),
                (at @ (At::Start | At::After), b' ' | b'\t' | b'\x0c') => at,
                (At::Start, b'{') => self.open(),
                (At::Object, b'{' | b'[') => self.open(),
                (At::Object, b'}' | b']') => {
                    self.depth -= 1;
                    if self.depth == 0 { At::After } else { At::Object }
                }
                (At::Object, b'"') => At::Text,
                (At::Object, _) => At::Object,
                (At::Text, b'\\') => At::Escaped,
                (At::Text, b'"') => At::Object,
                (At::Text | At::Escaped, _) => At::Text,
                (At::After, b'{') => return Some(Found { end: place, next: place, record: true }),
                (At::Start | At::After, _) => At::Other,
            };
        }
        None
    }

    /// Whether what was read so far is more than white space.
    pub fn is_record(&self) -> bool {
        self.at != At::Start
    }

    /// Whether an object was read to its end, and nothing but white space after it.
    pub fn is_complete(&self) -> bool {
        self.at == At::After
    }

    fn open(&mut self) -> At {
        self.depth += 1;
        At::Object
    }

    fn line_end(&mut self, bytes: &[u8], from: usize) -> Option<Found> {
        let end = from + memchr2(b'\n', b'\r', &bytes[from..])?;
        Some(Found { end, next: end + 1, record: true })
    }
}

/// Finds the ends of the records that begin in a piece. Nearly every line is one record, for which it is enough to
/// find the line's end.
pub struct Ends<'a> {
    piece: &'a [u8],
    /// The end of the line that was looked at last; the length of the piece if it is not there.
    line_end: usize,
    /// Whether an object may begin on that line after another; `None` if that was not looked for.
    several: Option<bool>,
    fresh: bool,
}

impl<'a> Ends<'a> {
    /// Finds the ends in a piece.
    pub fn new(piece: &'a [u8]) -> Self {
        Self { piece, line_end: 0, several: None, fresh: true }
    }

    /// The end of the line that `start` is on, if it is in the piece. To be called with ascending starts, like
    /// [`of`](Self::of).
    #[inline]
    pub fn line(&mut self, start: usize) -> Option<usize> {
        if self.fresh || start > self.line_end {
            let rest = &self.piece[start..];
            self.line_end = start + memchr2(b'\n', b'\r', rest).unwrap_or(rest.len());
            (self.several, self.fresh) = (None, false);
        }
        Some(self.line_end).filter(|end| *end < self.piece.len())
    }

    /// The end of the record that begins at `start`, if it is in the piece.
    #[inline]
    pub fn of(&mut self, start: usize) -> Option<Found> {
        let end = self.line(start);
        let (piece, line_end) = (self.piece, self.line_end);
        if *self.several.get_or_insert_with(|| may_hold_several(&piece[start..line_end])) {
            let line = &piece[start..piece.len().min(line_end + 1)];
            let found = Line::default().end(line)?;
            return Some(Found { end: start + found.end, next: start + found.next, ..found });
        }
        end.map(|end| {
            let record = piece[start].is_ascii_graphic() || !piece[start..end].trim_ascii().is_empty();
            Found { end, next: end + 1, record }
        })
    }
}

/// Whether an object may begin after another one on the line: whether a brace opens where, but for white space, a
/// bracket was closed before.
#[inline]
fn may_hold_several(line: &[u8]) -> bool {
    memchr_iter(b'{', line).any(|at| matches!(line[..at].trim_ascii_end().last(), Some(b'}' | b']')))
}

fn is_line_end(byte: u8) -> bool {
    matches!(byte, b'\n' | b'\r')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use proptest::sample::select;

    use super::*;

    fn all(text: &[u8], mut of: impl FnMut(usize) -> Option<Found>) -> Vec<Found> {
        let (mut at, mut all) = (0, Vec::new());
        while at < text.len() {
            let Some(found) = of(at) else { break };
            at = found.next;
            all.push(found);
        }
        all
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 2000, ..ProptestConfig::default() })]

        #[test]
        fn records_end_alike_by_lines_and_byte_by_byte(
            tokens in proptest::collection::vec(
                select(vec!["{", "}", "{\"a\":1}", "\"", "\\", "}{", "} {", "[", "]", " ", "\t", "x", "\n", "\r\n", "\r"]),
                0..60,
            ),
        ) {
            let text = tokens.concat().into_bytes();
            let mut ends = Ends::new(&text);
            let slowly = |at: usize| {
                let found = Line::default().end(&text[at..])?;
                Some(Found { end: at + found.end, next: at + found.next, ..found })
            };
            prop_assert_eq!(all(&text, |at| ends.of(at)), all(&text, slowly));
        }
    }
}
