//! What sends to a client at the other end of a connection.

use std::future::Future;

use crate::model::error::Result;

/// What became of something that was sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pushed {
    /// It was taken.
    Sent,
    /// The connection is gone, and will not come back.
    Gone,
}

/// Sends texts to connections.
pub trait Push: Send + Sync + 'static {
    /// Sends a text to a connection. If this fails, the client may have got it all the same.
    ///
    /// # Errors
    /// Those of the call.
    fn push(&self, connection: &str, text: &str) -> impl Future<Output = Result<Pushed>> + Send;
}
