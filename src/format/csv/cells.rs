//! The cells of a row, and a row of cells.

use memchr::{memchr, memchr3};

use crate::model::format::Dialect;

/// The most fields of a row.
pub const MAX_FIELDS: usize = 64 * 1024;

/// Divides rows into cells; keeps its memory from row to row.
#[derive(Default)]
pub struct Cutter {
    text: String,
    bounds: Vec<(usize, usize)>,
    /// Whether the row that was divided last has quotes where [`encode`] writes them, and nowhere else.
    plain: bool,
}

/// How much text is kept from row to row.
const KEPT: usize = 64 * 1024;

/// The cells of a row.
#[derive(Clone, Copy)]
pub struct Cells<'a> {
    text: &'a str,
    bounds: &'a [(usize, usize)],
}

impl<'a> Cells<'a> {
    /// How many there are.
    pub fn len(&self) -> usize {
        self.bounds.len()
    }

    /// The cells in order.
    pub fn iter(&self) -> impl Iterator<Item = &'a str> + Clone {
        let text = self.text;
        self.bounds.iter().map(move |&(from, to)| &text[from..to])
    }
}

impl Cutter {
    /// Divides a row whose quotes are in order; `marked` if it has any. `None` if it has more than [`MAX_FIELDS`].
    pub fn cut<'a>(&'a mut self, row: &'a str, marked: bool, dialect: &Dialect) -> Option<Cells<'a>> {
        self.bounds.clear();
        self.plain = true;
        if marked {
            self.unquote(row, dialect)?;
            return Some(Cells { text: &self.text, bounds: &self.bounds });
        }
        let mut from = 0;
        for to in memchr::memchr_iter(dialect.delimiter, row.as_bytes()) {
            self.bounds.push((from, to));
            from = to + 1;
            if self.bounds.len() == MAX_FIELDS {
                return None;
            }
        }
        self.bounds.push((from, row.len()));
        Some(Cells { text: row, bounds: &self.bounds })
    }

    /// Whether the row that was divided last is what [`encode`] makes of its cells.
    pub fn was_plain(&self) -> bool {
        self.plain
    }

    /// Gives back the memory of a large row.
    pub fn tidy(&mut self) {
        if self.text.capacity() > KEPT {
            self.text = String::new();
        }
    }

    fn unquote(&mut self, row: &str, dialect: &Dialect) -> Option<()> {
        self.text.clear();
        let (bytes, mut at) = (row.as_bytes(), 0);
        loop {
            let from = self.text.len();
            if bytes.get(at) == Some(&dialect.quote) {
                at = self.quoted(row, at + 1, dialect);
            } else {
                // Most fields are so short that a search by many bytes at a time takes longer.
                let ends = |byte: &u8| {
                    self.plain &= *byte != dialect.quote;
                    *byte == dialect.delimiter
                };
                let end = bytes[at..].iter().position(ends).map_or(row.len(), |length| at + length);
                self.text.push_str(&row[at..end]);
                at = end;
            }
            if self.bounds.len() == MAX_FIELDS {
                return None;
            }
            self.bounds.push((from, self.text.len()));
            if at >= row.len() {
                // A field that is a row of its own is quoted even if it is empty.
                self.plain |= self.bounds.len() == 1 && self.text.is_empty();
                return Some(());
            }
            at += 1;
        }
    }

    /// Takes the field whose first byte inside the quotes is at `at`; returns where the row goes on.
    fn quoted(&mut self, row: &str, mut at: usize, dialect: &Dialect) -> usize {
        let (bytes, first, start) = (row.as_bytes(), self.bounds.is_empty(), at);
        let mut doubled = false;
        while let Some(length) = memchr(dialect.quote, &bytes[at..]) {
            let end = at + length;
            self.text.push_str(&row[at..end]);
            at = end + 1;
            if bytes.get(at) != Some(&dialect.quote) {
                let comment = first && dialect.comment.is_some() && bytes.get(start) == dialect.comment.as_ref();
                let needed =
                    doubled || comment || memchr3(dialect.delimiter, b'\n', b'\r', &bytes[start..end]).is_some();
                self.plain &= needed;
                return at;
            }
            // Two quotes are one.
            self.text.push(char::from(dialect.quote));
            doubled = true;
            at += 1;
        }
        row.len()
    }
}

/// Writes cells as a row without its line end, with quotes where it would not be read alike without them.
pub fn encode<'a>(cells: impl Iterator<Item = &'a str> + Clone, dialect: &Dialect, out: &mut Vec<u8>) {
    let quote = dialect.quote;
    let alone = cells.clone().nth(1).is_none();
    for (place, cell) in cells.enumerate() {
        if place > 0 {
            out.push(dialect.delimiter);
        }
        let cell = cell.as_bytes();
        let comment = place == 0 && dialect.comment.is_some() && cell.first() == dialect.comment.as_ref();
        let blank = alone && cell.is_empty();
        if !(comment || blank || cell.iter().any(|byte| dialect.is_mark(*byte))) {
            out.extend_from_slice(cell);
            continue;
        }
        out.push(quote);
        for (place, part) in cell.split(|byte| *byte == quote).enumerate() {
            out.extend(std::iter::repeat_n(quote, if place > 0 { 2 } else { 0 }));
            out.extend_from_slice(part);
        }
        out.push(quote);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::format::csv::Quoting;

    proptest! {
        #[test]
        fn cells_come_back_from_their_row(
            cells in proptest::collection::vec("[a-c,;\"'#\r\n ü]{0,6}", 1..5),
            dialect in 0_usize..4,
        ) {
            let standard = Dialect::STANDARD;
            let dialect = [
                standard,
                Dialect { delimiter: b';', ..standard },
                Dialect { quote: b'\'', ..standard },
                Dialect { comment: Some(b'#'), ..standard },
            ][dialect];
            let mut row = Vec::new();
            encode(cells.iter().map(String::as_str), &dialect, &mut row);
            row.push(b'\n');
            let mut quoting = Quoting::default();
            prop_assert_eq!(quoting.end(&row, &dialect), Some(row.len() - 1));
            prop_assert!(!quoting.is_broken() && !quoting.is_comment());
            row.pop();
            let text = std::str::from_utf8(&row).unwrap();
            let mut cutter = Cutter::default();
            let found = cutter.cut(text, quoting.is_marked(), &dialect).unwrap();
            prop_assert_eq!(found.iter().collect::<Vec<_>>(), cells);
            prop_assert!(cutter.was_plain());
        }

        #[test]
        fn a_row_is_plain_if_its_cells_make_it_again(row in "[a-b,\"\r\n]{1,12}", comment: bool) {
            let dialect = Dialect { comment: comment.then_some(b'a'), ..Dialect::STANDARD };
            let mut quoting = Quoting::default();
            let end = quoting.end(row.as_bytes(), &dialect);
            if row.starts_with(['\r', '\n']) || end.is_some() || quoting.is_broken() || quoting.is_comment() {
                return Ok(());
            }
            let (mut cutter, mut again) = (Cutter::default(), Vec::new());
            encode(cutter.cut(&row, quoting.is_marked(), &dialect).unwrap().iter(), &dialect, &mut again);
            prop_assert_eq!(cutter.was_plain(), again == row.as_bytes());
        }
    }
}
