//! Checks of pages, before and after they are decompressed, so that no forged number is believed: the parquet crate
//! allocates what a page promises, and an allocation that fails ends the process.

use std::ops::Range;

use parquet::basic::{Encoding, Type};
use parquet::column::page::Page;
use parquet::data_type::ByteArray;
use parquet::file::metadata::ColumnChunkMetaData;
use parquet::schema::types::ColumnDescPtr;

use crate::error::Error;
use crate::pieces::Pieces;
use crate::thrift::{DICTIONARY_PAGE, INDEX_PAGE, Input, page_head};

/// The most values of a page of a list: all of them may belong to one record, and are then held at once.
const MOST_LEVELS: u64 = 1 << 26;

/// How much memory the pages of a column take at most, in bytes, while they are read one by one.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Memory {
    /// For the dictionary, with its values.
    pub(crate) dictionary: u64,
    /// For the largest data page.
    pub(crate) page: u64,
}

impl Memory {
    pub(crate) fn max(self, other: Self) -> Self {
        Self { dictionary: self.dictionary.max(other.dictionary), page: self.page.max(other.page) }
    }
}

/// Walks through the headers of the pages in a range of the file.
pub(crate) fn check_pages(
    chunk: &ColumnChunkMetaData,
    name: &str,
    range: Range<u64>,
    pieces: &Pieces,
) -> Result<Memory, Error> {
    let damaged = |what: &str| Error::damaged(format!("{name}: {what}"));
    let nested = chunk.column_descr().max_rep_level() > 0;
    let (mut memory, mut at) = (Memory::default(), range.start);
    while at < range.end {
        let bytes = pieces.from(at).filter(|bytes| !bytes.is_empty()).ok_or(Error::Missing(at, range.end))?;
        let head = page_head(&bytes).ok_or_else(|| damaged("the header of a page cannot be decoded"))?;
        at = at + head.len + head.compressed;
        if at > range.end {
            return Err(damaged("a page ends behind its column"));
        }
        match head.kind {
            INDEX_PAGE => {}
            DICTIONARY_PAGE => {
                // Every value takes a byte at least.
                if head.values > head.uncompressed {
                    return Err(damaged("the dictionary promises more values than it has"));
                }
                let values = head.values * value_bytes(chunk.column_type());
                memory.dictionary = memory.dictionary.max(head.uncompressed + values);
            }
            _ => {
                if nested && head.values > MOST_LEVELS {
                    return Err(damaged("a page has too many values"));
                }
                memory.page = memory.page.max(head.uncompressed);
            }
        }
    }
    Ok(memory)
}

/// The number of bytes that a value takes when it is decoded, without what it refers to.
fn value_bytes(of: Type) -> u64 {
    match of {
        Type::BOOLEAN => 1,
        Type::INT32 | Type::FLOAT => 4,
        Type::INT64 | Type::DOUBLE => 8,
        Type::INT96 => 12,
        Type::BYTE_ARRAY | Type::FIXED_LEN_BYTE_ARRAY => size_of::<ByteArray>() as u64,
    }
}

/// Checks the counts inside a page. `None` if one is too large.
pub(crate) fn check_page(page: &Page, column: &ColumnDescPtr) -> Option<()> {
    let bytes = page.buffer().as_ref();
    match page {
        Page::DictionaryPage { num_values, .. } => (*num_values as usize <= bytes.len()).then_some(()),
        Page::DataPage { num_values, encoding, .. } if counts_first(*encoding) => {
            let mut at = 0;
            for level in [column.max_rep_level(), column.max_def_level()] {
                if level > 0 {
                    let length = bytes.get(at..)?.first_chunk::<4>()?;
                    at = at.checked_add(4)?.checked_add(u32::from_le_bytes(*length) as usize)?;
                }
            }
            check_delta(bytes.get(at..)?, u64::from(*num_values), *encoding)
        }
        Page::DataPageV2 { num_values, encoding, def_levels_byte_len, rep_levels_byte_len, .. } => {
            let at = (*def_levels_byte_len as usize).checked_add(*rep_levels_byte_len as usize)?;
            let values = bytes.get(at..)?;
            if counts_first(*encoding) { check_delta(values, u64::from(*num_values), *encoding) } else { Some(()) }
        }
        Page::DataPage { .. } => Some(()),
    }
}

/// The encodings whose values follow an array of lengths, which is decoded at once.
fn counts_first(encoding: Encoding) -> bool {
    matches!(encoding, Encoding::DELTA_LENGTH_BYTE_ARRAY | Encoding::DELTA_BYTE_ARRAY)
}

/// Lengths, in `DELTA_BYTE_ARRAY` first those of the shared beginnings, are encoded as `DELTA_BINARY_PACKED`:
/// <https://github.com/apache/parquet-format/blob/master/Encodings.md#delta-encoding-delta_binary_packed--5>.
fn check_delta(values: &[u8], most: u64, encoding: Encoding) -> Option<()> {
    let mut input = Input::new(values);
    if encoding == Encoding::DELTA_BYTE_ARRAY {
        skip_delta(&mut input, most)?;
    }
    skip_delta(&mut input, most)
}

/// Passes over an array of numbers, of which there are at most `most`.
fn skip_delta(input: &mut Input<'_>, most: u64) -> Option<()> {
    let (block, minis, count) = (input.varint()?, input.varint()?, input.varint()?);
    input.varint()?; // the first value
    if count > most || minis == 0 {
        return None;
    }
    let values_per_mini = block / minis;
    // The first value is in the head.
    let mut left = count.saturating_sub(1);
    while left > 0 {
        input.varint()?; // the smallest difference
        let widths = input.take(minis)?;
        for width in widths {
            if left > 0 {
                input.take(values_per_mini.checked_mul(u64::from(*width))? / 8)?;
                left = left.saturating_sub(values_per_mini);
            }
        }
        if values_per_mini == 0 {
            return None;
        }
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use parquet::schema::parser::parse_message_type;
    use parquet::schema::types::SchemaDescriptor;

    use super::*;

    /// Checks pages with these headers, each followed by two bytes.
    fn checked(headers: &[[i32; 4]]) -> Result<Memory, Error> {
        let mut bytes = Vec::new();
        for [kind, uncompressed, compressed, values] in headers {
            let mut field = |head: u8, value: i32| {
                bytes.push(head);
                let mut rest = (value << 1 ^ value >> 31) as u32;
                while rest >= 0x80 {
                    bytes.push(rest as u8 | 0x80);
                    rest >>= 7;
                }
                bytes.push(rest as u8);
            };
            field(0x15, *kind);
            field(0x15, *uncompressed);
            field(0x15, *compressed);
            // The header of a dictionary is field 7, of a data page 5: a struct whose first field is the number.
            bytes.push(if *kind == 2 { 0x4c } else { 0x2c });
            let values = (*values << 1 ^ *values >> 31) as u8;
            bytes.extend([0x15, values, 0, 0, 0xaa, 0xaa]);
        }
        let schema = parse_message_type("message m { required binary a; }").unwrap();
        let column = SchemaDescriptor::new(Arc::new(schema)).column(0);
        let chunk = ColumnChunkMetaData::builder(column).build().unwrap();
        let end = 4 + bytes.len() as u64;
        check_pages(&chunk, "column a", 4..end, &[(4, bytes.into())].into_iter().collect())
    }

    #[test]
    fn memory_is_counted_before_a_page_is_decompressed() {
        let memory = checked(&[[2, 100, 2, 50], [0, 9000, 2, 7], [0, i32::MAX, 2, 7], [0, 5, 2, 7]]).unwrap();
        assert_eq!((memory.dictionary, memory.page), (100 + 50 * size_of::<ByteArray>() as u64, i32::MAX as u64));
    }

    #[test]
    fn forged_headers_are_refused() {
        let fine = [0, 10, 2, 7];
        for forged in
            [[2, 10, 2, 11], [0, -1, 2, 7], [0, 10, -1, 7], [0, 10, 3, 7], [0, 10, i32::MAX, 7], [0, 10, 2, -1]]
        {
            let error = checked(&[fine, forged]).unwrap_err();
            assert!(
                matches!(&error, Error::Damaged(_)) && error.to_string().contains("column a"),
                "{forged:?}: {error}"
            );
        }
    }

    #[test]
    fn a_forged_count_of_lengths_is_refused() {
        // Blocks of 128 in 4 parts, 3 values, the first is 5; then differences of 1 bit.
        let honest = [0x80, 0x01, 4, 3, 10, 0, 1, 0, 0, 0, 0, 0, 0, 0];
        assert_eq!(check_delta(&honest, 3, Encoding::DELTA_LENGTH_BYTE_ARRAY), Some(()));
        assert_eq!(check_delta(&honest, 2, Encoding::DELTA_LENGTH_BYTE_ARRAY), None);
        let twice = [honest[..13].to_vec(), vec![0x80, 0x01, 4, 0xff, 0xff, 0x7f, 10]].concat();
        assert_eq!(check_delta(&twice, 3, Encoding::DELTA_LENGTH_BYTE_ARRAY), Some(()));
        assert_eq!(check_delta(&twice, 3, Encoding::DELTA_BYTE_ARRAY), None);
    }
}
