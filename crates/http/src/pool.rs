//! Connections that wait for their next request.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use fanfold::store::web::Origin;
use http_body_util::Full;
use hyper::client::conn::http1::SendRequest;
use tokio::time::Instant;

/// A connection's end, at which requests go in.
pub type Sender = SendRequest<Full<Bytes>>;

/// How long a connection is kept without a request: less than the five seconds after which Node.js closes one
/// (<https://nodejs.org/api/http.html#serverkeepalivetimeout>), and servers with a shorter time are few. A request that meets
/// the end of its connection may have been worked on.
const IDLE: Duration = Duration::from_secs(4);
/// The most connections that are kept for an origin.
const KEPT: usize = 256;

type Kept = HashMap<Origin, Vec<(Sender, Instant)>>;

/// Connections that wait; clones share them.
#[derive(Debug, Clone, Default)]
pub struct Pool(Arc<Mutex<Kept>>);

impl Pool {
    /// A connection of this origin that still works, the one used last: so that the others can end.
    pub fn take(&self, origin: &Origin) -> Option<Line> {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let lines = kept.get_mut(origin)?;
        while let Some((sender, since)) = lines.pop() {
            if since.elapsed() > IDLE {
                // Those below it have waited for longer.
                lines.clear();
            } else if sender.is_ready() {
                drop(kept);
                return Some(self.line(origin, sender));
            }
        }
        None
    }

    /// A connection, which returns here.
    pub fn line(&self, origin: &Origin, sender: Sender) -> Line {
        Line { pool: self.clone(), origin: origin.clone(), sender: Some(sender) }
    }
}

/// A connection that nobody else uses. It is kept for others when it is dropped, if it can take a request then.
#[derive(Debug)]
pub struct Line {
    pool: Pool,
    origin: Origin,
    sender: Option<Sender>,
}

impl Line {
    /// Takes the connection's end, so that it does not return by itself.
    pub(crate) fn take(&mut self) -> Option<Sender> {
        self.sender.take()
    }

    /// Puts it back.
    pub(crate) fn put(&mut self, sender: Sender) {
        self.sender = Some(sender);
    }

    pub(crate) fn origin(&self) -> &Origin {
        &self.origin
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        let Some(sender) = self.sender.take().filter(Sender::is_ready) else {
            return;
        };
        let mut kept = self.pool.0.lock().unwrap_or_else(PoisonError::into_inner);
        let lines = kept.entry(self.origin.clone()).or_default();
        if lines.len() < KEPT {
            lines.push((sender, Instant::now()));
        }
    }
}
