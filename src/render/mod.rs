//! What gather writes beside the summary: documents, each rendered from the stream of outcomes.

pub mod objects;
pub mod records;
pub mod report;

use crate::model::error::Result;
use crate::model::record::Outcome;

/// Renders a document, outcome by outcome.
pub trait Render: Send {
    /// Writes what comes before the first record.
    fn begin(&mut self, out: &mut Vec<u8>);

    /// Goes on where another left off that had begun: whether it had written no record yet, which is what its
    /// [`is_empty`](Self::is_empty) said.
    fn resume(&mut self, _empty: bool) {}

    /// Whether no record was written, if that matters for what comes next.
    fn is_empty(&self) -> bool {
        false
    }

    /// Writes one record.
    ///
    /// # Errors
    /// `Internal` if the outcome's record is not what process writes.
    fn add(&mut self, outcome: &Outcome, out: &mut Vec<u8>) -> Result<()>;

    /// Writes what comes after the last record.
    fn end(&mut self, out: &mut Vec<u8>);
}

/// Which outcomes a document is made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Filter {
    /// All; the document is written even if there are none.
    All,
    /// Those of records that failed; if there are none, no document is written.
    Failed,
}

/// A document of a batch.
pub struct Document {
    /// What the summary calls it.
    pub name: &'static str,
    /// The name of its object, under that of the batch.
    pub file: String,
    /// Its media type.
    pub content_type: &'static str,
    /// Which outcomes it is made of.
    pub filter: Filter,
    /// How it is written.
    pub render: Box<dyn Render>,
}
