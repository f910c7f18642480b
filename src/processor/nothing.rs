//! What does nothing with records, for a pipeline that only counts them.

use crate::model::error::Result;
use crate::processor::{Chunk, Processor, Reply};

/// Answers that each record succeeded.
#[derive(Debug, Clone, Copy)]
pub struct Nothing;

impl Processor for Nothing {
    async fn process(&self, chunks: Vec<Chunk>) -> Vec<Result<Vec<Reply>>> {
        chunks.iter().map(|chunk| Ok(vec![Reply::Done(None); chunk.records.len()])).collect()
    }

    fn is_repeatable(&self) -> bool {
        true
    }
}
