//! What changes a batch.

use std::sync::Arc;

use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use serde::Deserialize;
use serde_json::json;

use crate::batches::Of;
use crate::desk::Desk;
use crate::pipelines::{Pipeline, id_of, unknown};
use crate::problem::{Problem, Result};
use fanfold::batch::control;
use fanfold::model::error::Error;
use fanfold::model::ids::BatchId;
use fanfold::model::progress::Batch;
use fanfold::store::Clock;
use fanfold::store::clock::SystemClock;

pub async fn redrive(
    State(desk): State<Arc<Desk>>,
    Path(id): Path<String>,
    Query(of): Query<Of>,
    headers: HeaderMap,
    body: String,
) -> Result<Response> {
    let id = id_of(&id)?;
    let (_, pipeline) = desk.pipelines.with(of.pipeline.as_deref(), &id).await?;
    redrive_of(&desk, pipeline, &id, &headers, &body).await
}

/// Redrives a batch of a pipeline.
pub async fn redrive_of(
    desk: &Desk,
    pipeline: &Pipeline,
    id: &BatchId,
    headers: &HeaderMap,
    body: &str,
) -> Result<Response> {
    let Wanted { reason } = wanted(body)?;
    let asked = format!("redrive {id} {}", reason.as_deref().unwrap_or_default());
    let action = async {
        let scatter = pipeline.queue("scatter");
        let scatter = scatter.ok_or_else(|| Error::config("the deployment names no scatter queue"))?;
        let batch = latest(pipeline, id).await?;
        let only = pipeline.reason(id, reason.as_deref()).await?;
        let next = control::redrive(&pipeline.ledger(), &scatter, &batch, only).await?;
        Ok((StatusCode::ACCEPTED, json!({ "batchId": next })))
    };
    desk.once.run(headers, asked, Some(&pipeline.ledger()), action).await
}

/// What a redrive is about.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Wanted {
    reason: Option<String>,
}

/// Reads the body of a redrive. One that is not understood must not be taken for all failed records.
fn wanted(body: &str) -> Result<Wanted> {
    if body.trim().is_empty() {
        return Ok(Wanted::default());
    }
    let refused = |e| Problem::bad(format!("a redrive takes {{}} for all failed records, or {{\"reason\": ID}}: {e}"));
    serde_json::from_str(body).map_err(refused)
}

pub async fn pause(state: State<Arc<Desk>>, name: Path<String>, headers: HeaderMap) -> Result<Response> {
    set_paused(state, name, headers, true).await
}

pub async fn resume(state: State<Arc<Desk>>, name: Path<String>, headers: HeaderMap) -> Result<Response> {
    set_paused(state, name, headers, false).await
}

async fn set_paused(
    State(desk): State<Arc<Desk>>,
    Path(name): Path<String>,
    headers: HeaderMap,
    paused: bool,
) -> Result<Response> {
    let pipeline = desk.pipelines.named(&name)?;
    let workers = pipeline.workers()?;
    let asked = format!("{} {name}", if paused { "pause" } else { "resume" });
    let action = async {
        if paused {
            workers.pause(SystemClock.now()).await?;
        } else {
            workers.resume().await?;
        }
        Ok((StatusCode::ACCEPTED, json!({ "name": name, "paused": paused })))
    };
    desk.once.run(&headers, asked, Some(&pipeline.ledger()), action).await
}

pub async fn cancel(
    State(desk): State<Arc<Desk>>,
    Path(id): Path<String>,
    Query(of): Query<Of>,
    headers: HeaderMap,
) -> Result<Response> {
    let id = id_of(&id)?;
    let (_, pipeline) = desk.pipelines.with(of.pipeline.as_deref(), &id).await?;
    cancel_of(&desk, pipeline, &id, &headers).await
}

/// Cancels a batch of a pipeline.
pub async fn cancel_of(desk: &Desk, pipeline: &Pipeline, id: &BatchId, headers: &HeaderMap) -> Result<Response> {
    let action = async {
        let batch = latest(pipeline, id).await?;
        control::cancel(&pipeline.ledger(), &batch, SystemClock.now()).await?;
        Ok((StatusCode::ACCEPTED, json!({ "batchId": batch.opening.id })))
    };
    desk.once.run(headers, format!("cancel {id}"), Some(&pipeline.ledger()), action).await
}

async fn latest(pipeline: &Pipeline, id: &BatchId) -> Result<Batch> {
    let found = control::latest(&pipeline.ledger(), id).await?;
    found.ok_or_else(|| unknown(id))
}
