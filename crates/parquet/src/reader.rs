//! Parquet files as inputs of a pipeline: the bytes of a row group are read, then its rows one after the other.

use std::borrow::Cow;
use std::ops::Range;

use bytes::Bytes;
use fanfold::model::fault::{Fault, FaultCode};
use fanfold::model::record::{Entry, MAX_RECORD_BYTES};
use fanfold::stage::scatter::rows::{Entries, RandomAccess, RowReader};
use futures::stream::{self, StreamExt};
use serde_json::value::RawValue;

use crate::error::Error;
use crate::footer::{Footer, Part, RowGroup, Tail};
use crate::pieces::Pieces;
use crate::rows::{Limits, Row, Rows};

/// How much of the end of a file is read first; nearly every footer is in it.
const TAIL: u64 = 64 * 1024;
/// The least that is read for row groups, so that small ones share a request.
const AHEAD: u64 = 8 * 1024 * 1024;

/// What is wrong with a row that JSON readers would refuse.
pub(crate) const TOO_DEEP: &str = "the record is nested too deeply";
/// How many times its size a footer may take in memory.
const FOOTER_GROWS: u64 = 20;

/// Reads Parquet files for scatter.
#[derive(Debug, Clone, Copy)]
pub struct Parquet {
    memory: u64,
}

impl Default for Parquet {
    /// With 320 MiB, which fit into a function of 512 MB beside all else.
    fn default() -> Self {
        Self::with_memory(320 << 20)
    }
}

impl Parquet {
    /// A reader that holds no more bytes than this of a file: those of a row group, and of each column the decompressed
    /// dictionary and one page. Of a row group that has more than two fifths of it, only some pages are held at a time,
    /// if the file has an offset index. What does not fit is a fault of the file.
    pub fn with_memory(bytes: u64) -> Self {
        Self { memory: bytes }
    }
}

impl RowReader for Parquet {
    fn entries<'a>(&'a self, file: Box<dyn RandomAccess + 'a>, first: u64) -> Entries<'a> {
        let Self { memory } = *self;
        let reading = Reading {
            file,
            first,
            memory,
            footer: None,
            group: 0,
            from: 0,
            index: None,
            held: None,
            rows: None,
            read: 0,
            ended: false,
        };
        let entries = stream::try_unfold(reading, |mut reading| async move {
            match reading.next().await {
                Ok(None) => Ok(None),
                Ok(Some(entry)) => Ok(Some((Ok(entry), reading))),
                Err(Failure::File(error)) => {
                    reading.ended = true;
                    Ok(Some((Err(reading.fault(&error)), reading)))
                }
                Err(Failure::Store(error)) => Err(error),
            }
        });
        entries.boxed()
    }
}

/// Why the next row cannot be read.
enum Failure {
    /// The file is at fault.
    File(Error),
    /// It could not be fetched.
    Store(fanfold::Error),
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::File(error)
    }
}

impl From<fanfold::Error> for Failure {
    fn from(error: fanfold::Error) -> Self {
        Self::Store(error)
    }
}

/// A file that is being read.
struct Reading<'a> {
    file: Box<dyn RandomAccess + 'a>,
    /// The first row that is wanted.
    first: u64,
    memory: u64,
    footer: Option<Box<Footer>>,
    /// The row group that is next, and its first row that is not read.
    group: usize,
    from: u64,
    /// Where the pages of the row group are, as far as that was read.
    index: Option<(Range<u64>, Bytes)>,
    /// The bytes that were read last for whole row groups, with their offset.
    held: Option<(u64, Bytes)>,
    rows: Option<Rows>,
    /// The number of rows that were read.
    read: u64,
    ended: bool,
}

impl Reading<'_> {
    async fn next(&mut self) -> Result<Option<Entry>, Failure> {
        loop {
            if self.ended {
                return Ok(None);
            }
            if let Some(rows) = &mut self.rows
                && let Some(row) = rows.next()?
            {
                self.read = row.index + 1;
                return Ok(Some(entry_of(row)));
            }
            // Its bytes go before others are read.
            self.rows = None;
            let footer = match self.footer.take() {
                Some(footer) => footer,
                None => self.tail().await?,
            };
            match self.part(&footer) {
                Some((part, true)) => self.rows = Some(self.whole(&footer, &part).await?),
                Some((part, false)) => self.rows = Some(self.pages(&footer, &part).await?),
                None => self.ended = true,
            }
            self.footer = Some(footer);
        }
    }

    async fn tail(&mut self) -> Result<Box<Footer>, Failure> {
        let size = self.file.size();
        let mut least = TAIL;
        loop {
            let last = self.file.read(size.saturating_sub(least)..size).await?;
            match Footer::tail(&last, size)? {
                Tail::Footer(footer) => return Ok(footer),
                Tail::Needs(more) if more.saturating_mul(FOOTER_GROWS) > self.memory => {
                    let limit = self.memory / FOOTER_GROWS;
                    return Err(Error::TooLarge { what: "the footer".into(), bytes: more, limit }.into());
                }
                Tail::Needs(more) if more > least => least = more,
                Tail::Needs(_) => return Err(Error::damaged("its footer is not where it should be").into()),
            }
        }
    }

    /// The rows to be read next, and whether they are a whole row group.
    fn part(&mut self, footer: &Footer) -> Option<(Part, bool)> {
        loop {
            let group = footer.row_groups().get(self.group)?;
            self.from = self.from.max(self.first.saturating_sub(group.first));
            if self.from >= group.rows {
                (self.group, self.from, self.index) = (self.group + 1, 0, None);
                continue;
            }
            let whole = Part { row_group: self.group, rows: 0..group.rows, first: group.first };
            let some = self.some(group);
            let part = Part { rows: self.from..self.from.saturating_add(some).min(group.rows), ..whole.clone() };
            let part = Part { first: group.first + part.rows.start, ..part };
            let divided = some < group.rows && footer.index(&part).is_some();
            let part = if divided { part } else { whole };
            self.from = part.rows.end;
            return Some((part, !divided));
        }
    }

    /// How many rows of a row group are read at a time.
    fn some(&self, group: &RowGroup) -> u64 {
        if group.compressed <= self.memory * 2 / 5 {
            return group.rows;
        }
        let fit = u128::from(group.rows) * u128::from(self.memory / 8) / u128::from(group.compressed);
        u64::try_from(fit).unwrap_or(u64::MAX).max(1)
    }

    /// Reads a row group, with what follows if it is small.
    async fn whole(&mut self, footer: &Footer, part: &Part) -> Result<Rows, Failure> {
        let selection = footer.select(part, None)?;
        self.check(part, selection.ranges())?;
        let mut pieces = Vec::new();
        for range in selection.ranges() {
            pieces.push((range.start, self.ahead(range).await?));
        }
        self.rows_of(footer, &selection, pieces)
    }

    /// Reads the pages that hold some rows of a row group.
    async fn pages(&mut self, footer: &Footer, part: &Part) -> Result<Rows, Failure> {
        self.held = None;
        let index = match (footer.index(part), self.index.take()) {
            (Some(range), Some((read, bytes))) if range == read => Some((range, bytes)),
            (Some(range), _) => Some((range.clone(), self.file.read(range).await?)),
            (None, _) => None,
        };
        let selection = footer.select(part, index.as_ref().map(|(_, bytes)| bytes.as_ref()))?;
        self.index = index;
        self.check(part, selection.ranges())?;
        let mut pieces = Vec::new();
        for range in selection.ranges() {
            pieces.push((range.start, self.file.read(range.clone()).await?));
        }
        self.rows_of(footer, &selection, pieces)
    }

    fn check(&self, part: &Part, ranges: &[Range<u64>]) -> Result<(), Error> {
        let (bytes, limit) = (ranges.iter().map(length).sum(), self.memory * 4 / 5);
        if bytes > limit {
            let what = format!("reading row group {}", part.row_group);
            return Err(Error::TooLarge { what, bytes, limit });
        }
        Ok(())
    }

    fn rows_of(
        &self,
        footer: &Footer,
        selection: &crate::pages::Selection,
        pieces: Vec<(u64, Bytes)>,
    ) -> Result<Rows, Failure> {
        let bytes: u64 = pieces.iter().map(|(_, bytes)| bytes.len() as u64).sum();
        let limits = Limits { page_bytes: self.memory.saturating_sub(bytes), row_bytes: MAX_RECORD_BYTES };
        Ok(Rows::new(footer, selection, &Pieces::from_iter(pieces), limits)?)
    }

    async fn ahead(&mut self, range: &Range<u64>) -> Result<Bytes, Failure> {
        let cut = |start: u64, bytes: &Bytes| {
            let from = usize::try_from(range.start.checked_sub(start)?).ok()?;
            let to = from.checked_add(usize::try_from(length(range)).ok()?)?;
            (to <= bytes.len()).then(|| bytes.slice(from..to))
        };
        if let Some(bytes) = self.held.as_ref().and_then(|(start, bytes)| cut(*start, bytes)) {
            return Ok(bytes);
        }
        self.held = None;
        let end = range.end.max(range.start.saturating_add(AHEAD)).min(self.file.size());
        let bytes = self.file.read(range.start..end).await?;
        let found = cut(range.start, &bytes);
        self.held = Some((range.start, bytes));
        Ok(found.ok_or(Error::Missing(range.start, range.end))?)
    }

    fn fault(&self, error: &Error) -> Fault {
        let after = if self.read == 0 { String::new() } else { format!("after row {}: ", self.read) };
        Fault::new(FaultCode::BrokenParquet, format!("{after}{error}"))
    }
}

fn length(range: &Range<u64>) -> u64 {
    range.end.saturating_sub(range.start)
}

/// The entry of a row.
fn entry_of(row: Row<'_>) -> Entry {
    let place = row.index + 1;
    let fault = match row.fault {
        Some(fault) => fault.into(),
        None => match RawValue::from_string(row.json.to_owned()) {
            Ok(json) => return Entry::decoded(row.index, json),
            Err(_) => Cow::Borrowed(TOO_DEEP),
        },
    };
    let text = (row.json != "null").then(|| marked(row));
    Entry::faulty(row.index, text.as_deref(), format!("row {place}: {fault}"))
}

/// The text of a row that has a fault, with a sign before the value that is at fault: so it is not JSON, and fails
/// again wherever it comes, until somebody corrects it.
fn marked(row: Row<'_>) -> String {
    let (before, after) = row.json.split_at_checked(row.fault_at).unwrap_or(("", row.json));
    format!("{before}!{after}")
}
