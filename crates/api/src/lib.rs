//! The API and the page that show what the batches of a deployment do, and let people act on them.
//!
//! One router over the ledgers and the buckets. Whoever reaches it acts with the credentials that it was given, so it is served
//! to this machine alone unless there is a token, and a page of another site can neither read from it nor change anything:
//! its `Host` has to be known ([DNS rebinding](https://owasp.org/www-community/attacks/DNS_Rebinding)), and what changes
//! something needs a header that no form can send.

#![forbid(unsafe_code)]
#![deny(clippy::disallowed_methods, clippy::disallowed_types)]
#![warn(missing_docs)]

mod actions;
mod batches;
mod billing;
mod connected;
mod desk;
mod document;
mod door;
mod events;
mod failures;
mod files;
mod once;
mod pipelines;
mod problem;
mod records;
mod reports;
mod sockets;
mod upload;
mod waiting;
mod watching;

use std::sync::Arc;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::middleware::{from_fn_with_state, map_response};
use axum::routing::{get, post};

pub use connected::Connected;
pub use door::{Door, Vouched};
pub use pipelines::{Pipeline, Pipelines};
pub use records::{Caller, Intake, Shown, records};
pub use sockets::Sockets;

use desk::Desk;
use once::Once;
use watching::Watching;

/// The routes of events alone, for callers that a gateway let in and that are answered while the answer is being written.
pub fn events(pipelines: Pipelines) -> Router {
    let (makers, pipelines) = pipelines.split();
    let desk = Desk { pipelines, makers, operated: false, streams: true, ..Desk::default() };
    let reports =
        Router::new().route("/reports/{id}/events", get(reports::events)).layer(map_response(problem::without_names));
    Router::new()
        .route("/batches/{id}/events", get(events::of))
        .merge(reports)
        .with_state(Arc::new(desk))
        .layer(from_fn_with_state(Arc::new(Door::Gateway), door::authorised))
        .fallback(problem::no_such_route)
        .method_not_allowed_fallback(problem::no_such_method)
}

/// All routes. Those of the API are behind the door; the page itself holds nothing to hide.
pub fn router(pipelines: Pipelines, sockets: Option<Sockets>, door: Door) -> Router {
    let mut origins = pipelines.origins();
    origins.extend(sockets.as_ref().and_then(Sockets::origin));
    // Behind a gateway there are several callers, and a report is told of to its own alone.
    let operated = door != Door::Gateway;
    let (makers, others) = pipelines.clone().split();
    // A gateway waits for whole answers.
    let desk = Arc::new(Desk {
        pipelines: if operated { pipelines } else { others },
        makers,
        operated,
        once: Once::default(),
        watching: Watching::default(),
        sockets,
        streams: operated,
    });
    let reports = Router::new()
        .route("/reports", post(reports::ask).layer(DefaultBodyLimit::max(reports::MOST_BYTES)))
        .route("/reports/{id}", get(reports::one))
        .route("/reports/{id}/events", get(reports::events))
        .route("/reports/{id}/link", get(reports::link))
        .route("/reports/{id}/result", get(reports::result))
        .route("/reports/{id}/redrive", post(reports::redrive))
        .route("/reports/{id}/cancel", post(reports::cancel))
        .route("/sockets", post(connected::open))
        .layer(map_response(problem::without_names));
    Router::new()
        .route("/pipelines", get(batches::pipelines))
        .route("/batches", get(batches::list).post(upload::begin))
        .route("/batches/{id}", get(batches::one))
        .route("/batches/{id}/events", get(events::of))
        .route("/batches/{id}/outputs/{name}", get(batches::output))
        .route("/batches/{id}/failures", get(failures::of))
        .route("/billing", get(billing::account))
        .route("/pipelines/{name}/pause", post(actions::pause))
        .route("/pipelines/{name}/resume", post(actions::resume))
        .route("/batches/{id}/redrive", post(actions::redrive))
        .route("/batches/{id}/cancel", post(actions::cancel))
        .merge(reports)
        .with_state(desk)
        .layer(from_fn_with_state(Arc::new(door), door::authorised))
        .merge(files::routes())
        .fallback(problem::no_such_route)
        .method_not_allowed_fallback(problem::no_such_method)
        .layer(from_fn_with_state(Arc::new(origins), files::guarded))
}
