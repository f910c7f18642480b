//! Batches: the list, the document of one, and its outputs.

use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::{Path, Query, State};
use axum::http::header::{ACCEPT, LOCATION};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use futures::stream::{FuturesOrdered, TryStreamExt};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::desk::Desk;
use crate::document::document;
use crate::pipelines::{id_of, unknown};
use crate::problem::{Problem, Result};
use crate::waiting::Asked;
use fanfold::batch::list::{Page, list as page_of};
use fanfold::model::ids::BatchId;
use fanfold::model::progress::BatchState;
use fanfold::model::timestamp::Timestamp;
use fanfold::model::view::{BatchLine, Placed, VERSION};
use fanfold::store::Clock;
use fanfold::store::clock::SystemClock;
use fanfold::store::ledger::Listed;

/// Batches of each pipeline in an answer about several.
const MOST: usize = 50;
/// How long a link to an output can be followed.
const LINK: Duration = Duration::from_secs(300);

/// Which batches are asked for.
#[derive(Debug, Deserialize)]
pub struct Wanted {
    pipeline: Option<String>,
    state: Option<String>,
    key: Option<String>,
    next: Option<String>,
}

/// Which pipeline a batch belongs to.
#[derive(Debug, Deserialize)]
pub struct Of {
    pub pipeline: Option<String>,
    /// For how many seconds the answer may wait for the batch.
    pub wait: Option<String>,
}

pub async fn pipelines(State(desk): State<Arc<Desk>>) -> Result<Json<Value>> {
    let mut reads = FuturesOrdered::new();
    for name in desk.pipelines.names() {
        let pipeline = desk.pipelines.named(name)?;
        reads.push_back(async move {
            let variant = &pipeline.resources.variant;
            Ok::<_, Problem>(json!({ "name": name, "variant": variant, "paused": pipeline.paused().await? }))
        });
    }
    let pipelines: Vec<Value> = reads.try_collect().await?;
    Ok(Json(json!({ "pipelines": pipelines })))
}

pub async fn list(State(desk): State<Arc<Desk>>, Query(wanted): Query<Wanted>) -> Result<Json<Value>> {
    let now = SystemClock.now();
    let state = wanted.state.as_deref().map(|name| {
        BatchState::of_name(name).ok_or_else(|| {
            let names = BatchState::ALL.map(BatchState::name).join(", ");
            Problem::bad(format!("there is no state {name:?}; states are: {names}"))
        })
    });
    let (state, after) = (state.transpose()?, wanted.next.as_deref().map(place_of).transpose()?);
    let names: Vec<&str> = match &wanted.pipeline {
        Some(name) => vec![name],
        None => desk.pipelines.names().collect(),
    };
    let alone = names.len() == 1;
    let mut reads = FuturesOrdered::new();
    for name in names {
        let (ledger, after) = (desk.pipelines.named(name)?.ledger(), after.as_ref());
        reads.push_back(async move { Ok::<_, Problem>((name, page_of(&ledger, after, now).await?)) });
    }
    let pages: Vec<(&str, Page)> = reads.try_collect().await?;
    let (mut lines, mut next) = (Vec::new(), None);
    for (name, page) in pages {
        next = page.next.filter(|_| alone);
        let asked = |line: &BatchLine| {
            state.is_none_or(|state| line.state == state) && wanted.key.as_ref().is_none_or(|key| *key == line.key)
        };
        // What follows on a page must not be passed over.
        let most = if alone { usize::MAX } else { MOST };
        let found = page.lines.into_iter().filter(asked).take(most);
        lines.extend(found.map(|batch| Placed { pipeline: name.to_owned(), batch }));
    }
    lines.sort_by_key(|line| std::cmp::Reverse(line.batch.started_at));
    let next = next.map(|Listed { id, started_at }| format!("{}.{id}", started_at.0));
    Ok(Json(json!({ "version": VERSION, "asOf": now, "batches": lines, "next": next })))
}

/// The place in the list that an earlier answer named.
fn place_of(text: &str) -> Result<Listed> {
    let parsed = text.split_once('.').and_then(|(time, id)| {
        Some(Listed { id: BatchId::parse(id).ok()?, started_at: Timestamp(time.parse().ok()?) })
    });
    parsed.ok_or_else(|| Problem::bad("`next` is what an earlier answer had as `next`"))
}

pub async fn one(
    State(desk): State<Arc<Desk>>,
    Path(id): Path<String>,
    Query(of): Query<Of>,
    headers: HeaderMap,
) -> Result<Response> {
    let id = id_of(&id)?;
    let asked = Asked::of(of.wait.as_deref(), &headers, desk.streams)?;
    let name = match &of.pipeline {
        Some(name) => name.as_str(),
        None => desk.pipelines.with(None, &id.in_generation(0)).await?.0,
    };
    let found = match asked.waits() {
        true => asked.until(desk.follow(name, &id)?).await?,
        false => document(desk.pipelines.named(name)?, name, &id).await?.map(Arc::new),
    };
    asked.answer(&*found.ok_or_else(|| unknown(&id))?)
}

pub async fn output(
    State(desk): State<Arc<Desk>>,
    Path((id, name)): Path<(String, String)>,
    Query(of): Query<Of>,
    headers: HeaderMap,
) -> Result<Response> {
    let id = id_of(&id)?;
    let (_, pipeline) = desk.pipelines.with(of.pipeline.as_deref(), &id).await?;
    // Nothing but the outputs of this batch has a link.
    if name.split('/').any(|part| matches!(part, "" | "." | "..")) {
        return Err(Problem::missing(format!("batch {id} has no output {name:?}")));
    }
    let file = name.rsplit('/').next().unwrap_or_default();
    let link = pipeline.output().link(&id.output_key(&name), file, LINK).await?;
    // A token cannot go with a link that is followed, so that the page asks for it.
    if headers.get(ACCEPT).is_some_and(|accept| accept.as_bytes() == b"application/json") {
        return Ok(Json(json!({ "url": link })).into_response());
    }
    Ok((StatusCode::FOUND, [(LOCATION, link)]).into_response())
}
