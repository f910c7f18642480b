//! Where a row ends, and whether its quotes are what they should be.
//!
//! A quote opens a field only as its first byte; inside an unquoted field it is text. After the quote that closes a
//! field only another quote, a delimiter or the end of the row may follow. A row that breaks this rule ends with the
//! line on which it does. So does a row whose quote is not closed within the largest size of a record.

use memchr::{memchr, memchr2, memchr3};

use crate::format::line_ends::place;
use crate::model::format::Dialect;
use crate::model::record::MAX_RECORD_BYTES;

/// What a byte would mean.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum At {
    /// It is the first of the row.
    Row,
    /// It is the first of a field.
    Field,
    /// It belongs to an unquoted field, or ends it.
    Text,
    /// It is inside quotes.
    Quoted,
    /// It follows a quote that closes, unless it is a quote itself.
    Closed,
    /// The row broke the rule.
    Broken,
    /// The row is a comment.
    Comment,
}

/// A row being read, in pieces.
#[derive(Debug, Clone, Copy)]
pub struct Quoting {
    at: At,
    length: usize,
    marked: bool,
    /// Whether there is a line end inside quotes.
    folded: bool,
    too_long: bool,
}

impl Default for Quoting {
    fn default() -> Self {
        Self { at: At::Row, length: 0, marked: false, folded: false, too_long: false }
    }
}

impl Quoting {
    /// Finds the line end, `\r` or `\n`, that ends the row; `None` if it is not among these bytes. The first byte of
    /// a row is not a line end.
    #[inline]
    pub fn end(&mut self, bytes: &[u8], dialect: &Dialect) -> Option<usize> {
        let mut from = 0;
        while let Some(&first) = bytes.get(from) {
            let rest = &bytes[from..];
            match self.at {
                At::Row if Some(first) == dialect.comment => self.at = At::Comment,
                At::Row => self.at = At::Field,
                At::Field if first == dialect.quote => {
                    (self.at, self.marked) = (At::Quoted, true);
                    from += 1;
                }
                At::Field | At::Text => match memchr3(dialect.quote, b'\n', b'\r', rest) {
                    Some(hit) if rest[hit] == dialect.quote => {
                        let opens = hit > 0 && rest[hit - 1] == dialect.delimiter;
                        (self.at, self.marked) = (if opens { At::Quoted } else { At::Text }, true);
                        from += hit + 1;
                    }
                    Some(hit) => return Some(from + hit),
                    None => {
                        self.at = if rest.last() == Some(&dialect.delimiter) { At::Field } else { At::Text };
                        break;
                    }
                },
                At::Quoted => {
                    let room = MAX_RECORD_BYTES.saturating_sub(self.length + from).min(rest.len());
                    match self.inside(&rest[..room], dialect.quote) {
                        Some(hit) => {
                            self.at = At::Closed;
                            from += hit + 1;
                        }
                        None if room < rest.len() => {
                            (self.at, self.too_long) = (At::Broken, true);
                            from += room;
                        }
                        None => break,
                    }
                }
                At::Closed if matches!(first, b'\n' | b'\r') => return Some(from),
                At::Closed => {
                    self.at = match first {
                        _ if first == dialect.quote => At::Quoted,
                        _ if first == dialect.delimiter => At::Field,
                        _ => At::Broken,
                    };
                    from += 1;
                }
                At::Broken | At::Comment => match memchr2(b'\n', b'\r', rest) {
                    Some(hit) => return Some(from + hit),
                    None => break,
                },
            }
        }
        self.length += bytes.len();
        None
    }

    /// Finds the next quote inside quotes, and notes line ends before it.
    #[inline]
    fn inside(&mut self, bytes: &[u8], quote: u8) -> Option<usize> {
        if self.folded {
            return memchr(quote, bytes);
        }
        let hit = memchr3(quote, b'\n', b'\r', bytes)?;
        if bytes[hit] == quote {
            return Some(hit);
        }
        self.folded = true;
        memchr(quote, &bytes[hit..]).map(|length| hit + length)
    }

    /// Whether the row has a line end inside quotes.
    pub fn is_folded(&self) -> bool {
        self.folded
    }

    /// Whether the row has a quote.
    pub fn is_marked(&self) -> bool {
        self.marked
    }

    /// Whether the row is a comment.
    pub fn is_comment(&self) -> bool {
        self.at == At::Comment
    }

    /// Whether the row, which is complete, breaks the rule.
    pub fn is_broken(&self) -> bool {
        matches!(self.at, At::Broken | At::Quoted)
    }

    /// Whether a quote was still open where the row had the largest size of a record.
    pub fn is_too_long(&self) -> bool {
        self.too_long
    }
}

/// Says what is wrong with the quotes of a row that begins on `line`: where the field was opened, and where the
/// quote is that does not close it. Only the beginning of the row may be known.
pub fn misquoted(row: &[u8], line: u64, dialect: &Dialect) -> String {
    let quote = char::from(dialect.quote);
    let fields = Fields::of(row, dialect);
    let at = |byte| {
        let (line, column) = place(row, line, byte);
        format!("line {line}, column {column}")
    };
    let opened = fields.opened.unwrap_or_default();
    match fields.stray {
        Some(stray) => format!(
            "{}: something follows the quote that closes the field opened at {}; write a quote inside a quoted \
             field as {quote}{quote}",
            at(stray),
            at(opened)
        ),
        None => format!("{}: the quote that opens this field is not closed; close it, or remove it", at(opened)),
    }
}

/// The number, from 1, of the field that a byte of a row belongs to.
pub fn field_at(row: &[u8], byte: usize, dialect: &Dialect) -> usize {
    Fields::of(&row[..byte], dialect).ended + 1
}

/// A row, looked at byte by byte.
#[derive(Default)]
struct Fields {
    ended: usize,
    /// Where the last quote stands that opens a field.
    opened: Option<usize>,
    /// Where the quote stands that should close it, but is followed by something else.
    stray: Option<usize>,
}

impl Fields {
    fn of(row: &[u8], dialect: &Dialect) -> Self {
        let (mut fields, mut at) = (Self::default(), At::Field);
        for (byte, &value) in row.iter().enumerate() {
            let (quote, delimiter) = (value == dialect.quote, value == dialect.delimiter);
            at = match at {
                At::Field if quote => {
                    fields.opened = Some(byte);
                    At::Quoted
                }
                At::Quoted if quote => At::Closed,
                At::Closed if quote => At::Quoted,
                At::Quoted => At::Quoted,
                _ if delimiter => {
                    fields.ended += 1;
                    At::Field
                }
                At::Closed => {
                    fields.stray = Some(byte - 1);
                    return fields;
                }
                _ => At::Text,
            };
        }
        fields
    }
}
