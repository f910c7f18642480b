//! The pages of some rows: where they lie in the file, and whether they can be believed.

use std::ops::Range;
use std::sync::Arc;

use parquet::column::page::{Page, PageMetadata, PageReader};
use parquet::errors::{ParquetError, Result as ParquetResult};
use parquet::file::metadata::ColumnChunkMetaData;
use parquet::file::page_index::index_reader::decode_offset_index;
use parquet::file::page_index::offset_index::PageLocation;
use parquet::file::serialized_reader::SerializedPageReader;
use parquet::schema::types::ColumnDescPtr;

use crate::check::{Memory, check_page, check_pages};
use crate::error::{Error, guarded};
use crate::footer::{Footer, Part, dictionary, extent, hull};
use crate::pieces::Pieces;
use crate::thrift;

/// Ranges of the file that are no further apart than this are read as one: a request costs more than the bytes.
const GAP: u64 = 64 * 1024;
/// The largest offset index that is worth reading.
const MAX_INDEX_BYTES: u64 = 16 * 1024 * 1024;

/// What has to be read of a file for a part of it.
#[derive(Debug, Clone)]
pub struct Selection {
    part: Part,
    /// For each column, where its pages are, if the offset index is known.
    pages: Vec<Option<Vec<PageLocation>>>,
    ranges: Vec<Range<u64>>,
}

impl Footer {
    /// The range of the file that says where the pages of a part are. `None` if there is no such index, or if it
    /// does not help because the part is the whole row group.
    pub fn index(&self, part: &Part) -> Option<Range<u64>> {
        let whole = self.row_groups().get(part.row_group)?.rows == part.rows.end - part.rows.start.min(part.rows.end);
        if whole {
            return None;
        }
        let mut all = None;
        for chunk in self.chunks(part).ok()? {
            all = Some(hull(all, index_range(chunk)?));
        }
        all.filter(|all| !all.is_empty() && all.end - all.start <= MAX_INDEX_BYTES)
    }

    /// Selects what to read for a part: all pages of its row group, or with the bytes of its [`index`](Self::index)
    /// only those that hold the part's rows.
    ///
    /// # Errors
    /// `Damaged` if the part is not one of this file.
    pub fn select(&self, part: &Part, index: Option<&[u8]>) -> Result<Selection, Error> {
        let index = self.index(part).zip(index);
        let rows = self.row_groups().get(part.row_group).map_or(0, |group| group.rows);
        let (mut pages, mut ranges) = (Vec::new(), Vec::new());
        for chunk in self.chunks(part)? {
            let Some(extent) = extent(chunk) else { return Err(Error::damaged("a column is not within the file")) };
            let locations = index.as_ref().and_then(|(range, bytes)| locations(chunk, &extent, rows, range, bytes));
            match &locations {
                Some(locations) => needed(locations, &extent, rows, &part.rows, &mut ranges),
                None => ranges.push(extent),
            }
            pages.push(locations);
        }
        Ok(Selection { part: part.clone(), pages, ranges: merged(ranges) })
    }
}

impl Selection {
    /// The part.
    pub fn part(&self) -> &Part {
        &self.part
    }

    /// The ranges of the file that must be given to [`Rows::new`](crate::Rows::new), in their order, none adjacent
    /// to another.
    pub fn ranges(&self) -> &[Range<u64>] {
        &self.ranges
    }

    /// The pages of a column that are read: only their places are known before they are decompressed.
    pub(crate) fn locations(&self, column: usize) -> Option<&[PageLocation]> {
        self.pages.get(column)?.as_deref()
    }
}

fn index_range(chunk: &ColumnChunkMetaData) -> Option<Range<u64>> {
    let start = u64::try_from(chunk.offset_index_offset()?).ok()?;
    let length = u64::try_from(chunk.offset_index_length()?).ok()?;
    Some(start..start.checked_add(length)?)
}

/// The places of a column's pages. `None` if the index is not usable, and then it is as if there were none.
fn locations(
    chunk: &ColumnChunkMetaData,
    extent: &Range<u64>,
    rows: u64,
    range: &Range<u64>,
    bytes: &[u8],
) -> Option<Vec<PageLocation>> {
    let own = index_range(chunk)?;
    let start = usize::try_from(own.start.checked_sub(range.start)?).ok()?;
    let end = usize::try_from(own.end.checked_sub(range.start)?).ok()?;
    let own = bytes.get(start..end)?;
    thrift::check_struct(own)?;
    let locations = guarded("an offset index", || decode_offset_index(own)).ok()?.page_locations().clone();
    let (mut offset, mut row) = (extent.start, 0);
    for (at, page) in locations.iter().enumerate() {
        let (first, begin) = (u64::try_from(page.first_row_index).ok()?, u64::try_from(page.offset).ok()?);
        let size = u64::try_from(page.compressed_page_size).ok()?;
        let in_order = if at == 0 { first == 0 } else { first >= row };
        if !in_order || first > rows || begin < offset || begin.checked_add(size)? > extent.end {
            return None;
        }
        (offset, row) = (begin + size, first);
    }
    (!locations.is_empty()).then_some(locations)
}

/// The rows of each page.
fn spans(locations: &[PageLocation], rows: u64) -> impl Iterator<Item = (&PageLocation, Range<u64>)> {
    let ends = locations.iter().skip(1).map(|page| page.first_row_index as u64).chain([rows]);
    locations.iter().zip(ends).map(|(page, end)| (page, page.first_row_index as u64..end))
}

/// Adds the ranges of the dictionary and of the pages that hold any of the rows.
fn needed(
    locations: &[PageLocation],
    extent: &Range<u64>,
    rows: u64,
    wanted: &Range<u64>,
    ranges: &mut Vec<Range<u64>>,
) {
    if let Some(first) = locations.first() {
        ranges.push(extent.start..first.offset as u64);
    }
    for (page, span) in spans(locations, rows) {
        if span.start < wanted.end && span.end > wanted.start {
            ranges.push(page.offset as u64..page.offset as u64 + page.compressed_page_size as u64);
        }
    }
}

fn merged(mut ranges: Vec<Range<u64>>) -> Vec<Range<u64>> {
    ranges.retain(|range| !range.is_empty());
    ranges.sort_by_key(|range| range.start);
    let mut merged: Vec<Range<u64>> = Vec::new();
    for range in ranges {
        match merged.last_mut() {
            Some(last) if range.start <= last.end.saturating_add(GAP) => last.end = last.end.max(range.end),
            _ => merged.push(range),
        }
    }
    merged
}

/// The pages of a column, each checked after it is decompressed and before it is decoded.
pub(crate) struct Pages {
    inner: SerializedPageReader<Pieces>,
    column: ColumnDescPtr,
}

/// A column whose pages can be read.
pub(crate) struct Opened {
    pub(crate) pages: Pages,
    /// How many bytes of memory the pages take at most while they are read one by one.
    pub(crate) bytes: u64,
    /// How many rows are still to be passed over.
    pub(crate) skip: usize,
}

impl Pages {
    /// Opens the pages of a column that hold the wanted rows.
    ///
    /// # Errors
    /// `Damaged`, `Missing`.
    pub(crate) fn open(
        chunk: &ColumnChunkMetaData,
        locations: Option<&[PageLocation]>,
        rows: u64,
        wanted: &Range<u64>,
        pieces: &Pieces,
    ) -> Result<Opened, Error> {
        let name = format!("column {}", chunk.column_path().string());
        let Some(extent) = extent(chunk) else { return Err(Error::damaged(format!("{name} is not within the file"))) };
        let mut ranges = Vec::new();
        match locations {
            None => ranges.push(extent),
            Some(locations) => needed(locations, &extent, rows, wanted, &mut ranges),
        }
        let mut memory = Memory::default();
        for range in ranges {
            memory = memory.max(check_pages(chunk, &name, range, pieces)?);
        }
        let chunk = match dictionary(chunk) {
            None if chunk.dictionary_page_offset().is_some() => {
                let without = chunk.clone().into_builder().set_dictionary_page_offset(None).build();
                &without.map_err(|error| Error::of(error, &name))?
            }
            _ => chunk,
        };
        let rows = usize::try_from(rows).map_err(|_| Error::damaged("there are too many rows"))?;
        let (reader, locations) = (Arc::new(pieces.clone()), locations.map(<[_]>::to_vec));
        let inner = guarded(&name, || SerializedPageReader::new(reader, chunk, rows, locations))?;
        let mut pages = Self { inner, column: chunk.column_descr_ptr() };
        let start = usize::try_from(wanted.start).unwrap_or(usize::MAX);
        let skip = guarded(&name, || pages.pass_over(start))?;
        Ok(Opened { pages, bytes: memory.dictionary + memory.page, skip })
    }

    /// Passes over the pages before a row, as far as their numbers of rows are known without decompressing them.
    /// Returns how many rows are left to pass over.
    fn pass_over(&mut self, mut rows: usize) -> ParquetResult<usize> {
        while rows > 0
            && let Some(page) = self.inner.peek_next_page()?
        {
            let levels = page.num_levels.filter(|_| self.column.max_rep_level() == 0);
            match page.num_rows.or(levels) {
                _ if page.is_dict && self.inner.supports_deferred_dictionary() => {}
                Some(held) if held <= rows => rows -= held,
                _ => break,
            }
            self.inner.skip_next_page()?;
        }
        Ok(rows)
    }

    fn checked(&self, page: Option<Page>) -> ParquetResult<Option<Page>> {
        match page {
            Some(page) => match check_page(&page, &self.column) {
                Some(()) => Ok(Some(page)),
                None => Err(ParquetError::General("a page promises more values than it has".into())),
            },
            None => Ok(None),
        }
    }
}

impl Iterator for Pages {
    type Item = ParquetResult<Page>;

    fn next(&mut self) -> Option<Self::Item> {
        self.get_next_page().transpose()
    }
}

impl PageReader for Pages {
    fn get_next_page(&mut self) -> ParquetResult<Option<Page>> {
        loop {
            let page = self.inner.get_next_page()?;
            // The column reader takes a page without values for the end; pyarrow writes such pages.
            if page.as_ref().is_none_or(|page| !page.is_data_page() || page.num_values() > 0) {
                return self.checked(page);
            }
        }
    }

    fn peek_next_page(&mut self) -> ParquetResult<Option<PageMetadata>> {
        self.inner.peek_next_page()
    }

    fn skip_next_page(&mut self) -> ParquetResult<()> {
        self.inner.skip_next_page()
    }

    fn supports_deferred_dictionary(&self) -> bool {
        self.inner.supports_deferred_dictionary()
    }

    fn take_deferred_dictionary(&mut self) -> ParquetResult<Option<Page>> {
        let page = self.inner.take_deferred_dictionary()?;
        self.checked(page)
    }

    fn at_record_boundary(&mut self) -> ParquetResult<bool> {
        self.inner.at_record_boundary()
    }
}
