//! A function in memory.

use std::time::Duration;

use bytes::Bytes;

use crate::store::function::{CallError, Function, Returned};

/// A function made from a closure of the payload and the patience.
#[derive(Debug, Clone)]
pub struct MemoryFunction<F>(F);

impl<F> MemoryFunction<F>
where
    F: Fn(Bytes, Duration) -> Result<Returned, CallError>,
{
    /// A function that answers so.
    pub fn new(answer: F) -> Self {
        Self(answer)
    }
}

impl<F> Function for MemoryFunction<F>
where
    F: Fn(Bytes, Duration) -> Result<Returned, CallError> + Send + Sync + 'static,
{
    async fn invoke(&self, payload: Bytes, patience: Duration) -> Result<Returned, CallError> {
        (self.0)(payload, patience)
    }
}

impl Returned {
    /// The answer of a function that succeeded.
    pub fn answer(payload: impl Into<Bytes>) -> Self {
        Self { payload: payload.into(), ..Self::default() }
    }
}
