//! What a batch is doing, as it changes: server-sent events.
//! <https://html.spec.whatwg.org/multipage/server-sent-events.html>

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use futures::stream;
use tokio::sync::watch::Receiver;

use crate::batches::Of;
use crate::desk::Desk;
use crate::pipelines::id_of;
use crate::problem::{Problem, Result};
use crate::watching::{Document, Look};

/// When a client whose connection broke comes back.
const RETRY: Duration = Duration::from_secs(2);

/// Where a stream of events stands.
struct Follow {
    looks: Receiver<Look>,
    /// The tag that the client has, and whether it was told the end.
    last: Option<String>,
    ended: bool,
}

impl Follow {
    /// The next document that the client does not have; `None` after the end, and if there is none any more.
    async fn next(&mut self) -> Option<Arc<Document>> {
        while !self.ended {
            let look = self.looks.borrow_and_update().clone();
            match look {
                // A failure ends the stream; the client connects again, and is told why.
                Some(Err(_)) => return None,
                Some(Ok(Some(document))) if self.last.as_ref() != Some(&document.tag) => {
                    self.last = Some(document.tag.clone());
                    self.ended = document.is_final;
                    return Some(document);
                }
                _ => self.looks.changed().await.ok()?,
            }
        }
        None
    }
}

pub async fn of(
    State(desk): State<Arc<Desk>>,
    Path(id): Path<String>,
    Query(of): Query<Of>,
    headers: HeaderMap,
) -> Result<Response> {
    if !desk.streams {
        return Err(Problem::missing("there are no events here; ask for the batch again, with its ETag"));
    }
    let id = id_of(&id)?;
    let name = desk.pipelines.with(of.pipeline.as_deref(), &id).await?.0;
    let last = headers.get("last-event-id").and_then(|tag| tag.to_str().ok()).map(str::to_owned);
    let mut follow = Follow { looks: desk.follow(name, &id)?, last, ended: false };
    if follow.last.is_some() {
        // A client that has the end is told not to come back, which is the only way to stop it.
        let first = follow.looks.wait_for(Option::is_some).await.ok().and_then(|look| look.clone());
        let found = first.transpose()?.flatten();
        if found.is_some_and(|document| document.is_final && Some(&document.tag) == follow.last.as_ref()) {
            return Ok(StatusCode::NO_CONTENT.into_response());
        }
    }
    let events = stream::unfold(follow, |mut follow| async move {
        let document = follow.next().await?;
        let event = Event::default().event("view").id(&document.tag).retry(RETRY).data(&document.text);
        Some((Ok::<_, Infallible>(event), follow))
    });
    Ok(Sse::new(events).keep_alive(KeepAlive::default()).into_response())
}
