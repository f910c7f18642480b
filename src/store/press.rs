//! What makes a document for people out of the data of a report.

use std::future::Future;
use std::time::Duration;

use crate::model::error::Result;

/// What came of a document that was to be printed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Printed {
    /// It is there.
    Done {
        /// Its size.
        bytes: u64,
        /// The SHA-256 of its bytes, in hexadecimal digits.
        sha256: String,
    },
    /// It cannot be made of this data, for this reason.
    Refused(String),
}

/// Makes documents out of objects of one bucket. Failed calls may still have taken effect.
pub trait Press: Send + Sync + 'static {
    /// Prints the data under a key as the object under another, replacing what is there, and waits for that at most for `patience`.
    /// The same data makes the same bytes.
    fn print(&self, data: &str, document: &str, patience: Duration) -> impl Future<Output = Result<Printed>> + Send;
}
