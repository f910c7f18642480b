//! An HTTP API that is a function.

use std::future::Future;

use crate::store::web::{Origin, Request, Response, Web, WebError};

/// An API that a function answers for, called when the request reaches it.
#[derive(Debug, Clone)]
pub struct MemoryWeb<F>(pub F);

impl<F, R> Web for MemoryWeb<F>
where
    F: Fn(Request) -> R + Send + Sync + 'static,
    R: Future<Output = Result<Response, WebError>> + Send,
{
    type Line = ();

    async fn line(&self, _origin: &Origin) -> Result<(), WebError> {
        Ok(())
    }

    async fn send(&self, _line: (), request: Request) -> Result<Response, WebError> {
        (self.0)(request).await
    }
}
