//! What changes a batch.

use std::sync::Arc;

use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use serde_json::json;

use crate::batches::Of;
use crate::desk::Desk;
use crate::pipelines::{Pipeline, id_of};
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
    // Rather than redrive more than was meant.
    if !matches!(body.trim(), "" | "{}") {
        return Err(Problem::bad("a redrive takes all failed records, and nothing in its body"));
    }
    let (_, pipeline) = desk.pipelines.with(of.pipeline.as_deref(), &id).await?;
    let action = async {
        let scatter = pipeline.queue("scatter");
        let scatter = scatter.ok_or_else(|| Error::config("the deployment names no scatter queue"))?;
        let batch = latest(pipeline, &id).await?;
        let next = control::redrive(&pipeline.ledger(), &scatter, &batch).await?;
        Ok((StatusCode::ACCEPTED, json!({ "batchId": next })))
    };
    desk.once.run(&headers, format!("redrive {id}"), action).await
}

pub async fn cancel(
    State(desk): State<Arc<Desk>>,
    Path(id): Path<String>,
    Query(of): Query<Of>,
    headers: HeaderMap,
) -> Result<Response> {
    let id = id_of(&id)?;
    let (_, pipeline) = desk.pipelines.with(of.pipeline.as_deref(), &id).await?;
    let action = async {
        let batch = latest(pipeline, &id).await?;
        control::cancel(&pipeline.ledger(), &batch, SystemClock.now()).await?;
        Ok((StatusCode::ACCEPTED, json!({ "batchId": batch.opening.id })))
    };
    desk.once.run(&headers, format!("cancel {id}"), action).await
}

async fn latest(pipeline: &Pipeline, id: &BatchId) -> Result<Batch> {
    let found = control::latest(&pipeline.ledger(), id).await?;
    found.ok_or_else(|| Problem::missing(format!("the ledger does not know batch {id}")))
}
