//! A processor whose successes another one stores.

use crate::model::error::Result;
use crate::model::spent::Spent;
use crate::processor::{Chunk, Processor, Reply};

/// Works on records with the first, and stores those that succeed with the second.
#[derive(Debug, Clone)]
pub struct Chain<A, B> {
    /// What is done with records.
    pub first: A,
    /// What stores those that succeeded; its work is repeatable.
    pub then: B,
}

impl<A: Processor, B: Processor> Processor for Chain<A, B> {
    async fn process(&self, chunks: Vec<Chunk>) -> Vec<Result<Vec<Reply>>> {
        self.first.process(chunks).await
    }

    fn stores(&self) -> bool {
        true
    }

    async fn store(&self, chunks: Vec<Chunk>) -> Vec<Result<Vec<Reply>>> {
        self.then.process(chunks).await
    }

    fn spent(&self) -> Spent {
        self.first.spent()
    }

    fn is_repeatable(&self) -> bool {
        self.first.is_repeatable()
    }
}
