//! Thrift's compact protocol, as far as sizes can be checked before the parquet crate believes them.
//!
//! That crate allocates what a header promises, and recurses as deep as a schema is nested: a few forged bytes would
//! end the process, which no `catch_unwind` prevents.
//! Format: <https://github.com/apache/thrift/blob/master/doc/specs/thrift-compact-protocol.md>.

/// How deep values are nested in each other at most; real footers need less than ten.
const DEEPEST: u8 = 24;
/// How deep columns are nested in each other at most, in elements of the schema; a list takes two.
pub(crate) const DEEPEST_SCHEMA: usize = 60;

/// The most elements of a schema.
const MOST_ELEMENTS: u64 = 100_000;
/// The least bytes of a column in a row group; its required fields take more.
const LEAST_CHUNK: u64 = 24;

const BINARY: u8 = 8;
const LIST: u8 = 9;
const SET: u8 = 10;
const MAP: u8 = 11;
const STRUCT: u8 = 12;

/// Bytes being read; every method is `None` if they end too early or make no sense.
pub(crate) struct Input<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Input<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    /// How many bytes were read.
    pub(crate) fn at(&self) -> usize {
        self.at
    }

    fn byte(&mut self) -> Option<u8> {
        let byte = *self.bytes.get(self.at)?;
        self.at += 1;
        Some(byte)
    }

    /// The next `count` bytes.
    pub(crate) fn take(&mut self, count: u64) -> Option<&'a [u8]> {
        let taken = self.bytes.get(self.at..)?.get(..usize::try_from(count).ok()?)?;
        self.at += taken.len();
        Some(taken)
    }

    fn advance(&mut self, count: u64) -> Option<()> {
        self.take(count).map(drop)
    }

    /// An unsigned integer in groups of seven bits.
    pub(crate) fn varint(&mut self) -> Option<u64> {
        let mut value = 0_u64;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            value |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Some(value);
            }
        }
        None
    }

    fn integer(&mut self) -> Option<i64> {
        let value = self.varint()?;
        Some((value >> 1) as i64 ^ -((value & 1) as i64))
    }

    /// A number of 32 bits that is not negative.
    fn size(&mut self) -> Option<u64> {
        u64::try_from(i32::try_from(self.integer()?).ok()?).ok()
    }

    /// The id and the type of a struct's next field; `Some(None)` at its end. `id` is that of the field before.
    fn field(&mut self, id: &mut i64) -> Option<Option<u8>> {
        let head = self.byte()?;
        if head & 0x0f == 0 {
            return Some(None);
        }
        *id = match head >> 4 {
            0 => self.integer()?,
            delta => id.checked_add(i64::from(delta))?,
        };
        Some(Some(head & 0x0f))
    }

    /// The type of a list's elements and their number, which the bytes that are left can hold.
    fn list(&mut self) -> Option<(u8, u64)> {
        let head = self.byte()?;
        let count = match head >> 4 {
            15 => self.varint()?,
            count => u64::from(count),
        };
        (count <= (self.bytes.len() - self.at) as u64).then_some((head & 0x0f, count))
    }

    fn skip(&mut self, kind: u8, depth: u8) -> Option<()> {
        let depth = depth.checked_sub(1)?;
        match kind {
            1 | 2 => Some(()),
            3 => self.advance(1),
            4..=6 => self.varint().map(drop),
            7 => self.advance(8),
            13 => self.advance(16),
            BINARY => {
                let length = self.varint()?;
                self.advance(length)
            }
            LIST | SET => {
                let (kind, count) = self.list()?;
                (0..count).try_for_each(|_| self.skip_element(kind, depth))
            }
            MAP => self.skip_map(depth),
            STRUCT => self.each_field(|input, _, kind| input.skip(kind, depth)),
            _ => None,
        }
    }

    /// In a list or a map, a truth value takes a byte; as a field it is in the field's type.
    fn skip_element(&mut self, kind: u8, depth: u8) -> Option<()> {
        if kind <= 2 { self.advance(1) } else { self.skip(kind, depth) }
    }

    fn skip_map(&mut self, depth: u8) -> Option<()> {
        let count = self.varint()?;
        if count == 0 {
            return Some(());
        }
        let kinds = self.byte()?;
        (0..count).try_for_each(|_| {
            self.skip_element(kinds >> 4, depth)?;
            self.skip_element(kinds & 0x0f, depth)
        })
    }

    /// Calls `read` with the id and the type of each field of a struct; it must consume the field.
    fn each_field(&mut self, mut read: impl FnMut(&mut Self, i64, u8) -> Option<()>) -> Option<()> {
        let mut id = 0;
        while let Some(kind) = self.field(&mut id)? {
            read(self, id, kind)?;
        }
        Some(())
    }
}

/// What is checked of a footer before it is decoded.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct FooterCheck {
    /// Whether any column is encrypted.
    pub(crate) encrypted: bool,
}

/// Checks that the lists of a footer are no longer than it is, and that its schema is a tree of bounded depth.
pub(crate) fn check_footer(bytes: &[u8]) -> Option<FooterCheck> {
    let mut check = FooterCheck { encrypted: false };
    let mut input = Input::new(bytes);
    input.each_field(|input, id, kind| {
        check.encrypted |= id == 8;
        match (id, kind) {
            (2, LIST) => check_schema(input),
            (4, LIST) => check_row_groups(input),
            _ => input.skip(kind, DEEPEST),
        }
    })?;
    Some(check)
}

/// Each row group lists its columns, for which much more is allocated than an empty struct takes in the file.
fn check_row_groups(input: &mut Input<'_>) -> Option<()> {
    let (kind, count) = input.list()?;
    (0..count).filter(|_| kind == STRUCT).try_for_each(|_| {
        input.each_field(|input, id, kind| {
            if (id, kind) != (1, LIST) {
                return input.skip(kind, DEEPEST);
            }
            let (kind, count) = input.list()?;
            let start = input.at();
            (0..count).try_for_each(|_| input.skip_element(kind, DEEPEST))?;
            ((input.at() - start) as u64 >= count * LEAST_CHUNK).then_some(())
        })
    })
}

/// The schema is a list of elements, in the order of a walk down the tree; each says how many children follow it.
fn check_schema(input: &mut Input<'_>) -> Option<()> {
    let (STRUCT, count @ ..=MOST_ELEMENTS) = input.list()? else { return None };
    // How many children each open element still waits for.
    let mut open: Vec<u64> = Vec::new();
    for element in 0..count {
        let mut children = 0;
        input.each_field(|input, id, kind| {
            if (id, kind) != (5, 5) {
                return input.skip(kind, DEEPEST);
            }
            children = input.size()?;
            (children < count - element).then_some(())
        })?;
        if let Some(waiting) = open.last_mut() {
            *waiting = waiting.checked_sub(1)?;
        }
        open.push(children);
        while open.last() == Some(&0) {
            open.pop();
        }
        if open.len() > DEEPEST_SCHEMA {
            return None;
        }
    }
    Some(())
}

/// Checks that the lists of a struct are no longer than it is.
pub(crate) fn check_struct(bytes: &[u8]) -> Option<()> {
    Input::new(bytes).skip(STRUCT, DEEPEST)
}

/// The kinds of pages.
pub(crate) const INDEX_PAGE: i64 = 1;
pub(crate) const DICTIONARY_PAGE: i64 = 2;

/// The header of a page, as far as it promises sizes.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct PageHead {
    /// The number of bytes of the header.
    pub(crate) len: u64,
    /// The kind of page.
    pub(crate) kind: i64,
    /// The number of bytes of the page after it is decompressed.
    pub(crate) uncompressed: u64,
    /// The number of bytes of the page in the file.
    pub(crate) compressed: u64,
    /// The number of its values: levels of a data page, entries of a dictionary.
    pub(crate) values: u64,
}

/// Reads the header of a page, which may be followed by anything.
pub(crate) fn page_head(bytes: &[u8]) -> Option<PageHead> {
    let mut head = PageHead { kind: -1, ..PageHead::default() };
    let mut input = Input::new(bytes);
    input.each_field(|input, id, kind| {
        match (id, kind) {
            (1, 5) => head.kind = input.integer()?,
            (2, 5) => head.uncompressed = input.size()?,
            (3, 5) => head.compressed = input.size()?,
            (5 | 7 | 8, STRUCT) => head.values = values(input)?,
            _ => input.skip(kind, DEEPEST)?,
        }
        Some(())
    })?;
    head.len = input.at() as u64;
    (head.kind >= 0).then_some(head)
}

/// The first field of all three headers is the number of values.
fn values(input: &mut Input<'_>) -> Option<u64> {
    let mut values = 0;
    input.each_field(|input, id, kind| {
        if (id, kind) != (1, 5) {
            return input.skip(kind, DEEPEST);
        }
        values = input.size()?;
        Some(())
    })?;
    Some(values)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_schema_that_promises_more_children_than_it_has_is_refused() {
        // FileMetaData { 2: [SchemaElement { 5: children }, SchemaElement {}] }
        let footer = |children: u8| [0x29, 0x2c, 0x55, children << 1, 0, 0, 0];
        assert_eq!(check_footer(&footer(1)), Some(FooterCheck { encrypted: false }));
        assert_eq!(check_footer(&footer(2)), None);
    }

    #[test]
    fn a_deep_schema_and_a_deep_value_are_refused() {
        for (depth, fine) in [(DEEPEST_SCHEMA, true), (DEEPEST_SCHEMA + 1, false), (50_000, false)] {
            let mut footer = vec![0x29, 0xfc];
            let mut count = depth + 1;
            while count >= 0x80 {
                footer.push(count as u8 | 0x80);
                count >>= 7;
            }
            footer.push(count as u8);
            footer.extend([0x55, 2, 0].repeat(depth));
            footer.extend([0, 0]);
            assert_eq!(check_footer(&footer).is_some(), fine, "{depth}");
        }
        assert_eq!(check_footer(&[0x1c].repeat(100_000)), None);
    }

    #[test]
    fn a_row_group_of_empty_columns_is_refused() {
        // FileMetaData { 4: [RowGroup { 1: [ColumnChunk {}, …] }] }
        let footer = |columns: u8| [vec![0x49, 0x1c, 0x19, columns << 4 | 0x0c], vec![0; columns.into()], vec![0, 0]];
        assert!(check_footer(&footer(0).concat()).is_some());
        assert_eq!(check_footer(&footer(3).concat()), None);
    }

    #[test]
    fn a_list_longer_than_what_holds_it_is_refused() {
        assert_eq!(check_struct(&[0x19, 0xfc, 0xff, 0xff, 0xff, 0xff, 0x0f, 0]), None);
        assert_eq!(check_struct(&[0x19, 0x1c, 0, 0]), Some(()));
        assert_eq!(check_footer(&[0x49, 0xfc, 0xff, 0xff, 0xff, 0xff, 0x07, 0]), None);
    }

    #[test]
    fn a_page_header_ends_where_the_page_begins() {
        // PageHeader { 1: DATA_PAGE, 2: 300, 3: 10, 5: { 1: 7, 2: PLAIN } }, and the page.
        let bytes = [0x15, 0, 0x15, 0xd8, 4, 0x15, 20, 0x2c, 0x15, 14, 0x15, 0, 0, 0, 0xff, 0xff];
        let head = page_head(&bytes).unwrap();
        assert_eq!(head, PageHead { len: 14, kind: 0, uncompressed: 300, compressed: 10, values: 7 });
        for end in 0..14 {
            assert_eq!(page_head(&bytes[..end]), None);
        }
    }
}
