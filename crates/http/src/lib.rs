//! The client with which fanfold calls HTTP APIs: HTTP/1.1 on hyper, TLS by rustls with ring.
//!
//! hyper, rustls and ring are what the AWS SDK brings already, with the features it asks for, so that no second TLS stack
//! is built. The SDK's own client is not used: it says neither whether a request was sent when it fails, nor when a
//! connection is ready, and it has one pool for all. HTTP/1.1 alone, since a call's connection is then its own: closing it
//! gives up that call and no other.
//!
//! The roots are those of the system, as they are for the SDK's calls: a function's image has them, and an API of one's
//! own company can be trusted by `SSL_CERT_FILE`. There are no proxies, and redirects are not followed.

#![forbid(unsafe_code)]
#![deny(clippy::disallowed_methods, clippy::disallowed_types)]
#![warn(missing_docs)]

mod connect;
mod exchange;
mod pool;
#[cfg(feature = "testing")]
pub mod testing;

use fanfold::store::web::{Origin, Request, Response, Web, WebError};

use connect::Connector;
pub use pool::Line;
use pool::Pool;

/// An HTTP client; clones share their connections.
#[derive(Debug, Clone, Default)]
pub struct HttpWeb {
    connector: Connector,
    pool: Pool,
}

impl HttpWeb {
    /// A client without connections. It needs a runtime of tokio that has I/O and time.
    pub fn new() -> Self {
        Self::default()
    }
}

impl Web for HttpWeb {
    type Line = Line;

    async fn line(&self, origin: &Origin) -> Result<Line, WebError> {
        if let Some(line) = self.pool.take(origin) {
            return Ok(line);
        }
        let mut sender = self.connector.connect(origin).await.map_err(WebError::Unsent)?;
        // One that is not used would not be kept before its task has said that it is ready.
        sender.ready().await.map_err(|_| WebError::Unsent("the connection was closed".to_owned()))?;
        Ok(self.pool.line(origin, sender))
    }

    async fn send(&self, mut line: Line, request: Request) -> Result<Response, WebError> {
        exchange::exchange(&mut line, request).await
    }
}
