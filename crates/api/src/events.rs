//! What a batch is doing, as it changes: server-sent events.
//! <https://html.spec.whatwg.org/multipage/server-sent-events.html>

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use futures::stream::unfold;

use crate::batches::Of;
use crate::desk::Desk;
use crate::pipelines::id_of;
use crate::problem::Result;
use crate::watching::Following;

/// When a client whose connection broke comes back.
const RETRY: Duration = Duration::from_secs(2);

/// Where a stream of events stands.
struct Follow {
    following: Following,
    /// What the client has, and whether it was told the end.
    last: Option<String>,
    ended: bool,
}

pub async fn of(
    State(desk): State<Arc<Desk>>,
    Path(id): Path<String>,
    Query(of): Query<Of>,
    headers: HeaderMap,
) -> Result<Response> {
    desk.streaming()?;
    let id = id_of(&id)?;
    let name = desk.pipelines.with(of.pipeline.as_deref(), &id.in_generation(0)).await?.0;
    stream(desk.follow(name, &id)?, &headers).await
}

/// The events of what is followed, from what the client has on.
pub async fn stream(mut following: Following, headers: &HeaderMap) -> Result<Response> {
    let last = headers.get("last-event-id").and_then(|last| last.to_str().ok()).map(str::to_owned);
    if let Some(last) = &last {
        // A client that has the end is told not to come back, which is the only way to stop it.
        let found = following.now().await?;
        if found.is_some_and(|document| document.is_final && document.print == *last) {
            return Ok(StatusCode::NO_CONTENT.into_response());
        }
    }
    let follow = Follow { following, last, ended: false };
    let events = unfold(follow, |mut follow| async move {
        if follow.ended {
            return None;
        }
        // A failure ends the stream; the client connects again, and is told why.
        let document = follow.following.changed_from(follow.last.as_deref()).await?;
        (follow.last, follow.ended) = (Some(document.print.clone()), document.is_final);
        let event = Event::default().event("view").id(&document.print).retry(RETRY).data(&document.text);
        Some((Ok::<_, Infallible>(event), follow))
    });
    Ok(Sse::new(events).keep_alive(KeepAlive::default()).into_response())
}
