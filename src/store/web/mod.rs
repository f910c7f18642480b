//! HTTP APIs of others.

pub mod memory;

use std::future::Future;

pub use crate::model::processing::http::Origin;

/// A request, without what belongs to its connection: `Host` and `Content-Length` are the client's to set.
#[derive(Clone, PartialEq, Eq)]
pub struct Request {
    /// Where it goes.
    pub origin: Origin,
    /// `POST` and the like.
    pub method: String,
    /// Path and query, percent-encoded.
    pub target: String,
    /// Headers; values may be secret.
    pub headers: Vec<(String, String)>,
    /// What it carries; empty for nothing.
    pub body: String,
    /// How many bytes of the response's body are wanted; the rest is discarded.
    pub most: usize,
}

/// A response.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Response {
    /// Its status. Redirects are not followed.
    pub status: u16,
    /// What `Retry-After` says, if it is there.
    pub retry_after: Option<String>,
    /// The first bytes of its body, as many as were wanted.
    pub body: Vec<u8>,
    /// Whether its body goes on.
    pub cut: bool,
}

/// Why there is no response. The words hold nothing of the request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WebError {
    /// The request did not reach the API.
    Unsent(String),
    /// The request may have reached the API.
    Unsure(String),
}

/// A client of HTTP APIs.
///
/// A connection is asked for before a request is to begin: opening one takes several round trips, and would delay some
/// requests and not others, so that more of them would reach the API together than began together.
pub trait Web: Send + Sync + 'static {
    /// A connection that nobody else uses. One that is dropped unused is kept for others.
    type Line: Send;

    /// A connection to an origin: one that is open, or a new one. Takes as long as it takes; drop the future to give up.
    ///
    /// # Errors
    /// `Unsent`.
    fn line(&self, origin: &Origin) -> impl Future<Output = Result<Self::Line, WebError>> + Send;

    /// Sends a request, and waits for its response as long as it takes. Dropping the future closes the connection.
    ///
    /// # Errors
    /// Why there is no response, and whether the request may have reached the API all the same.
    fn send(&self, line: Self::Line, request: Request) -> impl Future<Output = Result<Response, WebError>> + Send;
}
