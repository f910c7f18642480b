//! Rows as JSON objects, one after the other.

use std::cmp::Ordering;
use std::sync::Arc;

use crate::column::{Column, Missing};
use crate::error::Error;
use crate::footer::Footer;
use crate::kind;
use crate::pages::{Pages, Selection};
use crate::pieces::Pieces;
use crate::schema::{Node, Repeated, Shape};

/// The most rows that are decoded at once.
const BATCH: u64 = 1024;
/// The most values that are decoded at once; a record's lists are not cut.
const BATCH_VALUES: u64 = 256 * 1024;

/// What may be held in memory.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// The most bytes of decompressed pages, over all columns: of each, the dictionary and one page are held.
    pub page_bytes: u64,
    /// The most bytes of a row as JSON; a larger one fails.
    pub row_bytes: usize,
}

impl Default for Limits {
    /// 512 MiB of pages, 6 MiB for a row.
    fn default() -> Self {
        Self { page_bytes: 512 * 1024 * 1024, row_bytes: 6 * 1024 * 1024 }
    }
}

/// A row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Row<'a> {
    /// Its index in the file, from 0.
    pub index: u64,
    /// A JSON object on one line, with the columns in the order of the schema; `null` if it was too large.
    pub json: &'a str,
    /// Why the row is not what its schema promises. `json` then holds a text in place of each value that JSON cannot
    /// express.
    pub fault: Option<&'a str>,
    /// Where in `json` the first such text begins; 0 if there is none.
    pub fault_at: usize,
}

/// Reads the rows of a part of a file.
pub struct Rows {
    record: Arc<Node>,
    columns: Vec<Column>,
    /// How many rows to pass over in each column before the first one; empty once that is done.
    skip: Vec<usize>,
    /// The index of the next row, and how many are left, of which some are in the batch.
    next: u64,
    left: u64,
    in_batch: u64,
    batch: u64,
    out: Out,
    failed: Option<Error>,
}

/// The row being written.
struct Out {
    json: Vec<u8>,
    fault: Option<String>,
    fault_at: usize,
    limit: usize,
    too_large: bool,
}

impl Rows {
    /// Reads the rows of a selection, whose ranges are in `pieces`.
    ///
    /// # Errors
    /// `Missing` if they are not; `TooLarge` if the pages are over the limit; `Damaged`, `Unsupported`.
    pub fn new(footer: &Footer, selection: &Selection, pieces: &Pieces, limits: Limits) -> Result<Self, Error> {
        let part = selection.part();
        let group = footer.row_groups().get(part.row_group).map_or(0, |group| group.rows);
        let (mut columns, mut skip, mut bytes) = (Vec::new(), Vec::new(), 0_u64);
        for (index, chunk) in footer.chunks(part)?.iter().enumerate() {
            let opened = Pages::open(chunk, selection.locations(index), group, &part.rows, pieces)?;
            bytes = bytes.saturating_add(opened.bytes);
            columns.push(Column::new(&chunk.column_descr_ptr(), Box::new(opened.pages))?);
            skip.push(opened.skip);
        }
        if bytes > limits.page_bytes {
            let what = format!("reading row group {}", part.row_group);
            return Err(Error::TooLarge { what, bytes, limit: limits.page_bytes });
        }
        Ok(Self {
            record: footer.record().clone(),
            columns,
            skip,
            next: part.first,
            left: part.rows.end - part.rows.start,
            in_batch: 0,
            // Few at first: rows with long lists are not known yet.
            batch: 32,
            out: Out { json: Vec::new(), fault: None, fault_at: 0, limit: limits.row_bytes, too_large: false },
            failed: None,
        })
    }

    /// Returns the next row; `None` at the end.
    ///
    /// # Errors
    /// `Damaged`, and `Missing`, as well at every further call.
    // It lends its buffer, which an iterator cannot.
    #[allow(clippy::should_implement_trait)]
    pub fn next(&mut self) -> Result<Option<Row<'_>>, Error> {
        if let Some(error) = &self.failed {
            return Err(error.clone());
        }
        if self.left == 0 {
            return Ok(None);
        }
        if let Err(error) = self.build() {
            self.failed = Some(error.clone());
            return Err(error);
        }
        self.left -= 1;
        self.in_batch -= 1;
        self.next += 1;
        let json = std::str::from_utf8(&self.out.json).map_err(|_| Error::damaged("a row is not UTF-8"))?;
        let Out { fault, fault_at, .. } = &self.out;
        Ok(Some(Row { index: self.next - 1, json, fault: fault.as_deref(), fault_at: *fault_at }))
    }

    /// Calls `each` for every row that is left.
    ///
    /// # Errors
    /// Those of [`next`](Self::next).
    pub fn for_each(&mut self, mut each: impl FnMut(Row<'_>)) -> Result<(), Error> {
        while let Some(row) = self.next()? {
            each(row);
        }
        Ok(())
    }

    /// Writes the next row.
    fn build(&mut self) -> Result<(), Error> {
        if self.in_batch == 0 {
            self.fill()?;
        }
        self.out.begin();
        let mut builder = Builder { columns: &mut self.columns, out: &mut self.out };
        let written = builder.fields_of(&self.record);
        // A record ends where the next begins, in every column.
        let ended = self.columns.iter().all(|column| column.rep() == 0);
        let spent = self.in_batch > 1 || self.columns.iter().all(Column::is_spent);
        if written.is_err() || !ended || !spent {
            return Err(Error::damaged(format!("the columns of row {} do not fit together", self.next)));
        }
        self.out.end();
        Ok(())
    }

    /// Decodes the next batch.
    fn fill(&mut self) -> Result<(), Error> {
        for (column, rows) in self.columns.iter_mut().zip(std::mem::take(&mut self.skip)) {
            column.skip(rows)?;
        }
        let rows = self.batch.min(self.left);
        let mut levels = 0;
        for column in &mut self.columns {
            column.read(rows as usize)?;
            levels += column.levels() as u64;
        }
        // As many rows as bring the batch to its values, judged by those just read.
        let fit = (BATCH_VALUES * rows).checked_div(levels).unwrap_or(BATCH);
        self.batch = fit.clamp(1, BATCH.min(self.batch * 2));
        self.in_batch = rows;
        Ok(())
    }
}

impl Out {
    fn begin(&mut self) {
        self.json.clear();
        (self.fault, self.fault_at) = (None, 0);
        self.too_large = false;
    }

    fn fault(&mut self, column: &str, fault: kind::Fault, at: usize) {
        // The first reason suffices.
        if self.fault.is_none() {
            self.fault = Some(format!("column {column}: {fault}"));
            self.fault_at = at;
        }
    }

    /// Forgets a row that is too large, as often as it grows again.
    fn check(&mut self) {
        if self.json.len() > self.limit {
            self.too_large = true;
            self.json.clear();
        }
    }

    fn end(&mut self) {
        self.check();
        if self.too_large {
            self.json.clear();
            self.json.extend_from_slice(b"null");
            self.fault_at = 0;
            let limit = self.limit;
            self.fault = Some(format!("the record is larger than {limit} bytes; it is not repeated in the outputs"));
        }
    }
}

/// Puts a record together from the levels of its columns.
///
/// A column has an entry for each of its values, with two levels. The definition level says how much of the path to
/// the value is there: below that of a node, the node is NULL. The repetition level says which list goes on with the
/// value: 0 begins a record.
struct Builder<'a> {
    columns: &'a mut [Column],
    out: &'a mut Out,
}

impl Builder<'_> {
    fn push(&mut self, bytes: &[u8]) {
        self.out.json.extend_from_slice(bytes);
    }

    fn node(&mut self, node: &Node) -> Result<(), Missing> {
        if let Shape::Leaf = node.shape {
            return self.leaf(node.leaves.start);
        }
        let Some(def) = self.columns.get(node.leaves.start).filter(|_| !node.leaves.is_empty()).map(Column::def) else {
            // A struct without fields, which has no column that says whether it is NULL.
            self.push(b"{}");
            return Ok(());
        };
        let def = def.ok_or(Missing)?;
        if def < node.def {
            self.push(b"null");
            return self.pass(node);
        }
        match &node.shape {
            Shape::Leaf => Ok(()),
            Shape::Struct(_) => self.fields_of(node),
            Shape::List(levels, element) => {
                self.repeat(node, def, *levels, [b'[', b']'], |builder| builder.node(element))
            }
            Shape::Map(levels, both) => self.repeat(node, def, *levels, [b'{', b'}'], |builder| {
                let [key, value] = &**both;
                builder.leaf(key.leaves.start)?;
                builder.push(b":");
                builder.node(value)
            }),
        }
    }

    fn leaf(&mut self, index: usize) -> Result<(), Missing> {
        let column = self.columns.get_mut(index).ok_or(Missing)?;
        let at = self.out.json.len();
        if let Some(fault) = column.write(&mut self.out.json)? {
            self.out.fault(column.name(), fault, at);
        }
        self.out.check();
        Ok(())
    }

    fn fields_of(&mut self, node: &Node) -> Result<(), Missing> {
        let Shape::Struct(fields) = &node.shape else { return Err(Missing) };
        self.push(b"{");
        for (at, (name, field)) in fields.iter().enumerate() {
            if at > 0 {
                self.push(b",");
            }
            self.push(name.as_bytes());
            self.node(field)?;
        }
        self.push(b"}");
        Ok(())
    }

    /// Writes the elements of a list or a map, of which there may be none.
    fn repeat(
        &mut self,
        node: &Node,
        def: i16,
        levels: Repeated,
        brackets: [u8; 2],
        mut element: impl FnMut(&mut Self) -> Result<(), Missing>,
    ) -> Result<(), Missing> {
        self.push(&brackets[..1]);
        if def < levels.def {
            self.pass(node)?;
        } else {
            loop {
                element(self)?;
                let mut reps = self.columns.get(node.leaves.clone()).ok_or(Missing)?.iter().map(Column::rep);
                let rep = reps.next().ok_or(Missing)?;
                if reps.any(|other| other != rep) {
                    return Err(Missing);
                }
                match rep.cmp(&levels.rep) {
                    Ordering::Equal => self.push(b","),
                    Ordering::Less => break,
                    Ordering::Greater => return Err(Missing),
                }
            }
        }
        self.push(&brackets[1..]);
        Ok(())
    }

    /// Passes over a node that is NULL or empty: it has one entry in each of its columns.
    fn pass(&mut self, node: &Node) -> Result<(), Missing> {
        self.columns.get_mut(node.leaves.clone()).ok_or(Missing)?.iter_mut().try_for_each(Column::pass)
    }
}
