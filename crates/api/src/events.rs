//! What a batch is doing, as it changes: server-sent events.
//! <https://html.spec.whatwg.org/multipage/server-sent-events.html>

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Path, Query, State};
use axum::response::sse::{Event, KeepAlive, Sse};
use futures::stream::{self, Stream};

use crate::batches::{Document, Of, document};
use crate::desk::Desk;
use crate::pipelines::id_of;
use crate::problem::{Problem, Result};

/// The ledger has no events that a client could await, so it is looked at: often while something changes, then less so.
const FIRST_PAUSE: Duration = Duration::from_millis(500);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// Where a stream of events stands.
struct Follow {
    last: Option<String>,
    pause: Duration,
    ended: bool,
}

pub async fn of(
    State(desk): State<Arc<Desk>>,
    Path(id): Path<String>,
    Query(of): Query<Of>,
) -> Result<Sse<impl Stream<Item = std::result::Result<Event, Infallible>>>> {
    if !desk.streams {
        return Err(Problem::missing("there are no events here; ask for the batch again, with its ETag"));
    }
    let id = id_of(&id)?;
    let name = desk.pipelines.with(of.pipeline.as_deref(), &id).await?.0.to_owned();
    let begin = Follow { last: None, pause: FIRST_PAUSE, ended: false };
    let events = stream::unfold((desk, name, id, begin), |(desk, name, id, mut follow)| async move {
        if follow.ended {
            return None;
        }
        loop {
            if follow.last.is_some() {
                tokio::time::sleep(follow.pause).await;
            }
            // A failure ends the stream; the page connects again, and is told why.
            let Document { text, tag, is_final } = document(&desk.pipelines, &name, &id).await.ok()?;
            if follow.last.as_ref() == Some(&tag) {
                follow.pause = (follow.pause * 3 / 2).min(LONGEST_PAUSE);
                continue;
            }
            follow = Follow { last: Some(tag), pause: FIRST_PAUSE, ended: is_final };
            return Some((Ok(Event::default().event("view").data(text)), (desk, name, id, follow)));
        }
    });
    Ok(Sse::new(events).keep_alive(KeepAlive::default()))
}
