//! A function of the user's that is called with a payload and answers with another.

pub mod memory;
pub mod surrounded;

use std::future::Future;
use std::time::Duration;

use bytes::Bytes;

use crate::model::error::Error;

/// The most bytes of a request; Lambda takes fewer than 6 MiB
/// (<https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html>).
pub const MAX_REQUEST_BYTES: usize = 6 * 1024 * 1024 - 1;

/// A function.
pub trait Function: Send + Sync + 'static {
    /// Calls the function once and waits for its answer, for at most `patience`. A payload is JSON of at most
    /// [`MAX_REQUEST_BYTES`]. Nothing is repeated: a call whose end is not known may run still.
    fn invoke(&self, payload: Bytes, patience: Duration) -> impl Future<Output = Result<Returned, CallError>> + Send;
}

/// What a function returned.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Returned {
    /// Its answer: JSON as a rule, and perhaps nothing. That of a function that failed says why.
    pub payload: Bytes,
    /// How it failed, if it did: Lambda's `FunctionError`
    /// (<https://docs.aws.amazon.com/lambda/latest/api/API_Invoke.html#API_Invoke_ResponseSyntax>).
    pub error: Option<String>,
    /// The version that ran.
    pub version: Option<String>,
    /// What is billed for the call, if that is known.
    pub billed: Option<Billed>,
}

/// What is billed for a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Billed {
    /// The duration.
    pub milliseconds: u64,
    /// The function's memory.
    pub memory_mb: u64,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum CallError {
    /// Too many calls are under way. The function did not run.
    #[error("{0}")]
    Throttled(String),
    /// The function did not run, and may at another time: it could not be reached, or is not ready.
    #[error("{0}")]
    NotRun(String),
    /// Whether the function ran, or runs still, is not known: no answer came in time, or the connection broke.
    #[error("{0}")]
    Unknown(String),
    /// The payload is larger than the service takes. The function did not run.
    #[error("the request is too large")]
    TooLarge,
    /// The function is gone (`Missing`), may not be called (`Denied`), or cannot run (`Config`). It did not run.
    #[error(transparent)]
    Refused(Error),
}
