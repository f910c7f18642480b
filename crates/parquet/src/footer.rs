//! The footer: what a file holds and where.

use std::ops::Range;
use std::sync::Arc;

use parquet::basic::CompressionCodec;
use parquet::file::metadata::{
    ColumnChunkMetaData, ParquetMetaData, ParquetMetaDataOptions, ParquetMetaDataReader, ParquetStatisticsPolicy,
    RowGroupMetaData,
};

use crate::error::{Error, guarded};
use crate::kind::Kind;
use crate::schema::{self, Node};
use crate::thrift;

/// The largest footer that is read, in bytes. Most have some KiB; a hundred columns in a thousand row groups take about
/// ten MiB. In memory, a footer takes up to twenty times as much.
pub const MAX_FOOTER_BYTES: u64 = 32 * 1024 * 1024;

const MAGIC: &[u8] = b"PAR1";
const ENCRYPTED: &[u8] = b"PARE";
/// The footer's length and the magic bytes, at the end of the file.
const END: u64 = 8;

/// The result of looking at the end of a file.
#[derive(Debug)]
pub enum Tail {
    /// The footer was in it.
    Footer(Box<Footer>),
    /// That many bytes from the end of the file are needed.
    Needs(u64),
}

/// A row group: some rows, all columns of which lie together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RowGroup {
    /// The number of its rows.
    pub rows: u64,
    /// The index of its first row in the file, from 0.
    pub first: u64,
    /// Where its columns lie in the file; empty if it has none.
    pub bytes: Range<u64>,
    /// The number of bytes of its pages as they are in the file.
    pub compressed: u64,
    /// The number of bytes of its pages once they are decompressed; still encoded, so that the values may take more.
    pub uncompressed: u64,
}

/// Some rows of a row group, to be a chunk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part {
    /// The row group, from 0.
    pub row_group: usize,
    /// The rows, from 0 at the beginning of the row group.
    pub rows: Range<u64>,
    /// The index of the first of them in the file, from 0.
    pub first: u64,
}

/// A footer that was read and checked.
#[derive(Debug)]
pub struct Footer {
    metadata: ParquetMetaData,
    record: Arc<Node>,
    row_groups: Vec<RowGroup>,
    columns: Vec<String>,
}

impl Footer {
    /// Reads the footer from the last bytes of a file of `file_len` bytes; give at least eight, and 64 KiB nearly
    /// always suffice. All columns are checked to be readable.
    ///
    /// # Errors
    /// `NotParquet`, `Truncated`, `Encrypted`, `Codec`, `DuplicateColumn`, `Unsupported`, `Damaged`, and `TooLarge`
    /// for a footer of more than [`MAX_FOOTER_BYTES`].
    pub fn tail(last: &[u8], file_len: u64) -> Result<Tail, Error> {
        let whole = last.len() as u64 >= file_len;
        let Some((rest, magic)) = last.split_last_chunk::<4>() else { return Err(Error::NotParquet) };
        match magic.as_slice() {
            ENCRYPTED => return Err(Error::Encrypted),
            MAGIC if file_len > END => {}
            _ if whole && last.starts_with(MAGIC) => return Err(Error::Truncated),
            _ => return Err(Error::NotParquet),
        }
        let Some((rest, length)) = rest.split_last_chunk::<4>() else { return Ok(Tail::Needs(END)) };
        let length = u64::from(u32::from_le_bytes(*length));
        let most = file_len - END;
        // The file begins with the magic bytes as well.
        if length == 0 || length + MAGIC.len() as u64 > most {
            return Err(Error::damaged(format!("its footer should have {length} bytes, in a file of {file_len}")));
        }
        if length > MAX_FOOTER_BYTES {
            return Err(Error::TooLarge { what: "the footer".into(), bytes: length, limit: MAX_FOOTER_BYTES });
        }
        match usize::try_from(length).ok().and_then(|length| rest.len().checked_sub(length)) {
            Some(start) => Ok(Tail::Footer(Box::new(Self::decode(&rest[start..], most - length)?))),
            None => Ok(Tail::Needs(length + END)),
        }
    }

    /// Reads the footer itself, which begins at `end` in the file.
    fn decode(bytes: &[u8], end: u64) -> Result<Self, Error> {
        let check = thrift::check_footer(bytes).ok_or_else(|| Error::damaged("its footer cannot be decoded"))?;
        if check.encrypted {
            return Err(Error::Encrypted);
        }
        // Statistics can be most of a footer, and nothing here looks at them.
        let options = ParquetMetaDataOptions::new()
            .with_column_stats_policy(ParquetStatisticsPolicy::SkipAll)
            .with_encoding_stats_policy(ParquetStatisticsPolicy::SkipAll)
            .with_size_stats_policy(ParquetStatisticsPolicy::SkipAll);
        let metadata =
            guarded("its footer", || ParquetMetaDataReader::decode_metadata_with_options(bytes, Some(&options)))?;
        let schema = metadata.file_metadata().schema_descr();
        let record = Arc::new(schema::record(schema)?);
        schema.columns().iter().try_for_each(|column| Kind::of(column).map(drop))?;
        let columns = schema.root_schema().get_fields().iter().map(|field| field.name().to_owned()).collect();
        let mut row_groups = Vec::with_capacity(metadata.num_row_groups());
        let mut first = 0;
        for (index, group) in metadata.row_groups().iter().enumerate() {
            let group = row_group(group, index, first, end)?;
            first += group.rows;
            row_groups.push(group);
        }
        Ok(Self { metadata, record, row_groups, columns })
    }

    /// The number of rows of the file. It is what the footer says: a forged one is only found when rows are read.
    pub fn rows(&self) -> u64 {
        self.row_groups.iter().map(|group| group.rows).sum()
    }

    /// The row groups, in the order of the file.
    pub fn row_groups(&self) -> &[RowGroup] {
        &self.row_groups
    }

    /// The names of the columns, in the order of the schema; a nested column is one.
    pub fn columns(&self) -> &[String] {
        &self.columns
    }

    /// Cuts the file into parts of at most `rows` rows, and of about `bytes` decompressed bytes if that is less. No
    /// part spans two row groups, and none is empty.
    pub fn plan(&self, rows: u64, bytes: u64) -> impl Iterator<Item = Part> {
        self.row_groups.iter().enumerate().flat_map(move |(index, group)| {
            let fit = u128::from(group.rows) * u128::from(bytes) / u128::from(group.uncompressed.max(1));
            let step = rows.min(u64::try_from(fit).unwrap_or(u64::MAX)).max(1);
            // Not `step_by`, which takes a usize.
            let starts = std::iter::successors(Some(0), move |start: &u64| start.checked_add(step));
            starts.take_while(|start| *start < group.rows).map(move |start| Part {
                row_group: index,
                rows: start..start.saturating_add(step).min(group.rows),
                first: group.first + start,
            })
        })
    }

    pub(crate) fn record(&self) -> &Arc<Node> {
        &self.record
    }

    /// The columns of the row group of a part, which must be one of this file's.
    pub(crate) fn chunks(&self, part: &Part) -> Result<&[ColumnChunkMetaData], Error> {
        let group = self.row_groups.get(part.row_group);
        if group.is_none_or(|group| part.rows.start > part.rows.end || part.rows.end > group.rows) {
            let Part { row_group, rows, .. } = part;
            let message = format!("it has no rows {} to {} in row group {row_group}", rows.start, rows.end);
            return Err(Error::damaged(message));
        }
        Ok(self.metadata.row_group(part.row_group).columns())
    }
}

/// Where a column lies in the file.
pub(crate) fn extent(chunk: &ColumnChunkMetaData) -> Option<Range<u64>> {
    let data = chunk.data_page_offset();
    let start = u64::try_from(dictionary(chunk).unwrap_or(data)).ok()?;
    let length = u64::try_from(chunk.compressed_size()).ok()?;
    Some(start..start.checked_add(length)?)
}

/// Where its dictionary is. Some writers put a 0 there if there is none, or an offset behind the data.
pub(crate) fn dictionary(chunk: &ColumnChunkMetaData) -> Option<i64> {
    chunk.dictionary_page_offset().filter(|offset| (1..chunk.data_page_offset()).contains(offset))
}

fn row_group(group: &RowGroupMetaData, index: usize, first: u64, end: u64) -> Result<RowGroup, Error> {
    let damaged = |what: &str| Error::damaged(format!("row group {index}: {what}"));
    let rows = u64::try_from(group.num_rows()).map_err(|_| damaged("its number of rows is negative"))?;
    if first.checked_add(rows).is_none_or(|rows| i64::try_from(rows).is_err()) {
        return Err(damaged("there are too many rows"));
    }
    if rows > 0 && group.columns().is_empty() {
        return Err(damaged("it has rows and no columns"));
    }
    let (mut bytes, mut compressed, mut uncompressed) = (None, 0_u64, 0_u64);
    for chunk in group.columns() {
        let column = chunk.column_path().string();
        if chunk.file_path().is_some() {
            return Err(Error::Unsupported(format!("column {column}: a column in another file")));
        }
        use CompressionCodec as C;
        match chunk.compression_codec() {
            C::UNCOMPRESSED | C::SNAPPY | C::GZIP | C::ZSTD | C::LZ4 | C::LZ4_RAW => {}
            codec => return Err(Error::Codec { column, codec: codec.to_string() }),
        }
        if rows == 0 {
            // Some writers then say nothing sensible.
            continue;
        }
        if u64::try_from(chunk.num_values()).is_ok_and(|values| values < rows) {
            return Err(damaged(&format!("column {column} has fewer values than there are rows")));
        }
        let extent = extent(chunk).filter(|extent| extent.start >= MAGIC.len() as u64 && extent.end <= end);
        let extent = extent.ok_or_else(|| damaged(&format!("column {column} is not within the file")))?;
        compressed = compressed.saturating_add(extent.end - extent.start);
        bytes = Some(hull(bytes, extent));
        uncompressed = uncompressed.saturating_add(u64::try_from(chunk.uncompressed_size()).unwrap_or(0));
    }
    Ok(RowGroup { rows, first, bytes: bytes.unwrap_or(0..0), compressed, uncompressed })
}

/// The smallest range that holds both.
pub(crate) fn hull(range: Option<Range<u64>>, other: Range<u64>) -> Range<u64> {
    match range {
        Some(range) => range.start.min(other.start)..range.end.max(other.end),
        None => other,
    }
}
