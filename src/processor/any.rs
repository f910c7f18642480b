//! A processor of any kind, behind a pointer.

use futures::FutureExt;
use futures::future::BoxFuture;

use crate::model::error::Result;
use crate::model::spent::Spent;
use crate::processor::{Chunk, Processor, Reply};

/// A processor of any kind. What is generic over processors is compiled once with it, instead of once for each; a call of it costs an
/// allocation, which is nothing beside a chunk.
pub struct AnyProcessor(Box<dyn Erased>);

impl AnyProcessor {
    /// Of this kind.
    pub fn new(processor: impl Processor) -> Self {
        Self(Box::new(processor))
    }
}

/// [`Processor`], as far as a pointer can have it.
trait Erased: Send + Sync + 'static {
    fn process(&self, chunks: Vec<Chunk>) -> BoxFuture<'_, Vec<Result<Vec<Reply>>>>;
    fn stores(&self) -> bool;
    fn store(&self, chunks: Vec<Chunk>) -> BoxFuture<'_, Vec<Result<Vec<Reply>>>>;
    fn spent(&self) -> Spent;
    fn is_repeatable(&self) -> bool;
}

impl<P: Processor> Erased for P {
    fn process(&self, chunks: Vec<Chunk>) -> BoxFuture<'_, Vec<Result<Vec<Reply>>>> {
        Processor::process(self, chunks).boxed()
    }

    fn stores(&self) -> bool {
        Processor::stores(self)
    }

    fn store(&self, chunks: Vec<Chunk>) -> BoxFuture<'_, Vec<Result<Vec<Reply>>>> {
        Processor::store(self, chunks).boxed()
    }

    fn spent(&self) -> Spent {
        Processor::spent(self)
    }

    fn is_repeatable(&self) -> bool {
        Processor::is_repeatable(self)
    }
}

impl Processor for AnyProcessor {
    async fn process(&self, chunks: Vec<Chunk>) -> Vec<Result<Vec<Reply>>> {
        self.0.process(chunks).await
    }

    fn stores(&self) -> bool {
        self.0.stores()
    }

    async fn store(&self, chunks: Vec<Chunk>) -> Vec<Result<Vec<Reply>>> {
        self.0.store(chunks).await
    }

    fn spent(&self) -> Spent {
        self.0.spent()
    }

    fn is_repeatable(&self) -> bool {
        self.0.is_repeatable()
    }
}
