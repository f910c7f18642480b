//! The failed records of a batch, as they were uploaded.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::http::header::{CONTENT_DISPOSITION, CONTENT_TYPE};
use axum::response::{IntoResponse, Response};
use futures::stream::{self, StreamExt, TryStreamExt};
use serde::Deserialize;
use tokio::sync::mpsc;

use crate::desk::Desk;
use crate::pipelines::{id_of, unknown};
use crate::problem::{Problem, Result};
use fanfold::batch::control::latest;
use fanfold::model::error::Error;
use fanfold::pipeline::variant::Variant;

/// The most bytes of an answer that is sent as a whole: Lambda takes 6 MB, in which bytes may be escaped
/// (<https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html>).
const MOST_AT_ONCE: usize = 4 << 20;
/// Pieces that wait to be sent.
const AHEAD: usize = 4;

/// Which records are asked for.
#[derive(Debug, Deserialize)]
pub struct Wanted {
    pipeline: Option<String>,
    reason: Option<String>,
}

/// Sends them while they are read, so that their number does not matter, or as a whole where answers are not streamed. What
/// cannot be read at the beginning is a problem; later on, the answer breaks off.
pub async fn of(
    State(desk): State<Arc<Desk>>,
    Path(id): Path<String>,
    Query(wanted): Query<Wanted>,
) -> Result<Response> {
    let id = id_of(&id)?;
    let (_, pipeline) = desk.pipelines.with(wanted.pipeline.as_deref(), &id).await?;
    let batch = latest(&pipeline.ledger(), &id).await?.ok_or_else(|| unknown(&id))?;
    let only = pipeline.reason(&id, wanted.reason.as_deref()).await?;
    let failures = pipeline.deployed().pipeline(Variant::named(&batch.opening.variant)?).failures()?;
    let (pieces, mut sent) = mpsc::channel::<std::result::Result<_, Error>>(AHEAD);
    let (told, begun) = tokio::sync::oneshot::channel();
    tokio::spawn(async move {
        let mut file = match failures.of(&batch, only).await {
            Ok(file) => file,
            Err(error) => return drop(told.send(Err(error))),
        };
        if told.send(Ok((file.name.clone(), file.content_type))).is_err() {
            return;
        }
        while let Some(piece) = file.pieces.next().await {
            // Whoever asked may have gone.
            if pieces.send(piece).await.is_err() {
                return;
            }
        }
    });
    let ended = |_| Error::internal("the records could not be read");
    let (name, content_type) = begun.await.map_err(ended)??;
    let disposition = format!("attachment; filename=\"{name}\"");
    let headers = [(CONTENT_TYPE, content_type.to_owned()), (CONTENT_DISPOSITION, disposition)];
    let first = sent.recv().await.transpose()?;
    if !desk.streams {
        let mut whole = first.map(Vec::from).unwrap_or_default();
        while let Some(piece) = sent.recv().await {
            whole.extend_from_slice(&piece?);
            if whole.len() > MOST_AT_ONCE {
                let detail = format!(
                    "these are more records than the gateway passes on: use `fanfold failures {id}`, or the output"
                );
                return Err(Problem::new(StatusCode::CONFLICT, detail));
            }
        }
        return Ok((headers, whole).into_response());
    }
    let rest = stream::unfold(sent, |mut sent| async move { sent.recv().await.map(|piece| (piece, sent)) });
    let body = stream::iter(first.map(Ok)).chain(rest).map_err(std::io::Error::other);
    Ok((headers, Body::from_stream(body)).into_response())
}
