//! A processor made from a function of one record.

use std::future::Future;

use crate::model::error::Result;
use crate::processor::{Chunk, Processor, Record, Reply};

/// Calls a function for every record, one after another. If it fails, the attempt at the whole chunk fails and the
/// chunk is retried. For a record that cannot succeed, answer with [`Reply::Failed`].
#[derive(Debug, Clone)]
pub struct Each<F>(pub F);

impl<F, R> Processor for Each<F>
where
    F: Fn(Record) -> R + Send + Sync + 'static,
    R: Future<Output = Result<Reply>> + Send,
{
    async fn process(&self, chunks: Vec<Chunk>) -> Vec<Result<Vec<Reply>>> {
        let mut answers = Vec::with_capacity(chunks.len());
        for chunk in chunks {
            answers.push(self.one(chunk).await);
        }
        answers
    }
}

impl<F, R> Each<F>
where
    F: Fn(Record) -> R,
    R: Future<Output = Result<Reply>>,
{
    async fn one(&self, chunk: Chunk) -> Result<Vec<Reply>> {
        let mut replies = Vec::with_capacity(chunk.records.len());
        for record in chunk.records {
            replies.push((self.0)(record).await?);
        }
        Ok(replies)
    }
}
