//! The counters table: what each chunk adds to the counters of its groups, one row for each group and chunk. A counter is
//! the sum of its group's rows.
//!
//! Rows are set and never added to, so that repeating it changes nothing, and no two chunks write the same row.

pub mod memory;
pub mod surrounded;

use std::future::Future;

use crate::model::error::Result;
use crate::model::fold::{Group, Totals};
use crate::model::ids::{BatchId, ChunkIndex};

/// The most rows that are set or deleted in one request.
pub const MOST_ROWS: usize = 25;

/// The name of a chunk among the rows of a group. A redrive is another generation of its batch, so that its chunks have
/// names of their own.
pub fn chunk_name(batch: &BatchId, chunk: ChunkIndex) -> String {
    format!("{batch}#{:08}", chunk.get())
}

/// The counters table. Failed calls have already been retried, unless they failed as `Busy`; they may still have taken
/// effect.
pub trait Counters: Send + Sync + 'static {
    /// Sets what a chunk adds to the counters of at most [`MOST_ROWS`] groups, each given once, whatever it was set to
    /// before. Returns the positions of those that the table was too busy for. Idempotent.
    fn set(
        &self,
        batch: &BatchId,
        chunk: ChunkIndex,
        rows: &[(Group, Totals)],
    ) -> impl Future<Output = Result<Vec<usize>>> + Send;

    /// Reads the counters of a group: the sum of its rows, however many there are. Sees every write that came before.
    /// Nothing is counted of a group that has no rows.
    fn read(&self, group: &Group) -> impl Future<Output = Result<Totals>> + Send;

    /// Deletes what a chunk added to the counters of at most [`MOST_ROWS`] groups, each given once. Returns the positions
    /// of those that the table was too busy for. Idempotent.
    fn forget(
        &self,
        batch: &BatchId,
        chunk: ChunkIndex,
        groups: &[Group],
    ) -> impl Future<Output = Result<Vec<usize>>> + Send;
}
