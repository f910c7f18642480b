//! A report that was asked for, and its document.

use serde_json::{Value, json};

use crate::document::{again_in, digest, unmoved};
use crate::pipelines::Pipeline;
use crate::problem::{Problem, Result};
use crate::watching::Document;
use fanfold::model::error::Error;
use fanfold::model::ids::{BatchId, Revision};
use fanfold::model::reporting::end::{ReportEnd, end_key};
use fanfold::model::reporting::id::ReportId;
use fanfold::model::reporting::request::ReportRequest;
use fanfold::model::view::{BatchView, VERSION};
use fanfold::store::blob::{Blob, read_all};

/// A report of a pipeline.
#[derive(Debug, Clone)]
pub struct Report {
    /// The pipeline's name.
    pub name: String,
    pub pipeline: Pipeline,
    pub request: ReportRequest,
    /// The batch that it is.
    pub batch: BatchId,
}

/// What there is of a report.
pub struct Seen {
    pub view: Option<BatchView>,
    pub end: Option<ReportEnd>,
}

impl Seen {
    /// How it stands: as its batch does, until that has ended and the documents are being made.
    fn state(&self) -> &'static str {
        match (&self.end, &self.view) {
            (Some(end), _) => end.state.name(),
            (None, Some(view)) if view.state.is_final() => "CONSOLIDATING",
            (None, Some(view)) => view.state.name(),
            (None, None) => "ACCEPTED",
        }
    }
}

fn unknown() -> Problem {
    Problem::missing("there is no report with this id, or it is not yours")
}

impl Report {
    /// Finds a report, if it was asked for by this caller: of others' it is not told that they exist.
    pub async fn find(pipelines: &[(&str, &Pipeline)], id: &ReportId, owner: &str) -> Result<Self> {
        for (name, pipeline) in pipelines {
            let input = pipeline.input();
            let Some(request) = read_all(&input, &id.request_key()).await? else {
                continue;
            };
            let request = ReportRequest::read(&request)?;
            if request.owner != owner {
                return Err(unknown());
            }
            return Self::of(name, pipeline, request).await;
        }
        Err(unknown())
    }

    /// The report of a request whose file is written.
    pub async fn of(name: &str, pipeline: &Pipeline, request: ReportRequest) -> Result<Self> {
        let key = request.id.file_key();
        // A request whose file was not written is one that nobody was told of.
        let newest = pipeline.input().newest(&key).await?.ok_or_else(unknown)?;
        let version = newest.version.ok_or_else(|| Error::config("the input bucket keeps no versions"))?;
        let batch = BatchId::of(&pipeline.resources.input_bucket, &key, &Revision::Version(version));
        Ok(Self { name: name.to_owned(), pipeline: pipeline.clone(), request, batch })
    }

    /// What there is of it.
    pub async fn seen(&self) -> Result<Seen> {
        let view = self.pipeline.seen(&self.batch).await?;
        let end = match &view {
            Some(view) if view.state.is_final() => {
                let key = end_key(&self.batch, view.generation);
                let text = read_all(&self.pipeline.output(), &key).await?;
                let unread = |e| Error::internal("the end of a report is not readable").because(e);
                text.map(|text| serde_json::from_slice(&text).map_err(unread)).transpose()?
            }
            _ => None,
        };
        Ok(Seen { view, end })
    }

    /// Its document, as it is sent.
    pub async fn document(&self) -> Result<Document> {
        let seen = self.seen().await?;
        let written = |view: Option<&BatchView>| {
            let text = serde_json::to_string(&self.told(&seen, view));
            text.map_err(|e| Problem::from(Error::internal("the report cannot be shown").because(e)))
        };
        let parts = seen.view.as_ref().map(unmoved);
        let (settled, shown) = match &parts {
            Some((settled, shown)) => (written(Some(settled))?, written(Some(shown))?),
            None => (written(None)?, written(None)?),
        };
        let left = seen.view.as_ref().and_then(|view| view.time_left.as_ref()).map(|left| left.seconds);
        Ok(Document {
            text: written(seen.view.as_ref())?,
            tag: digest(&settled),
            print: digest(&shown),
            is_final: seen.end.is_some(),
            again_in: seen.end.is_none().then(|| again_in(left)),
        })
    }

    fn told(&self, seen: &Seen, view: Option<&BatchView>) -> Value {
        let ReportRequest { id, at, order, .. } = &self.request;
        json!({
            "version": VERSION,
            "id": id,
            "state": seen.state(),
            "requestedAt": at,
            "order": order,
            "pipeline": self.name,
            "batchId": self.batch,
            "batch": view,
            "end": seen.end,
        })
    }

    /// Its end.
    ///
    /// # Errors
    /// 409 until it has ended.
    pub async fn ended(&self) -> Result<ReportEnd> {
        let seen = self.seen().await?;
        let state = seen.state();
        let early =
            || Problem::new(axum::http::StatusCode::CONFLICT, format!("the report is {state}: wait for its end"));
        seen.end.ok_or_else(early)
    }
}

/// Writes a request and its file, unless that was done before, and returns the request that counts.
pub async fn accept(pipeline: &Pipeline, request: ReportRequest, file: Vec<u8>) -> Result<ReportRequest> {
    let input = pipeline.input();
    let key = request.id.request_key();
    let text = serde_json::to_vec(&request).map_err(|e| Error::internal("a request cannot be written").because(e))?;
    let request = match input.put_new(&key, "application/json", text.into()).await? {
        true => request,
        false => {
            let earlier = read_all(&input, &key).await?.ok_or_else(|| Error::missing("the request was deleted"))?;
            let earlier = ReportRequest::read(&earlier)?;
            if earlier.order != request.order {
                return Err(Problem::new(
                    axum::http::StatusCode::UNPROCESSABLE_ENTITY,
                    "another report was asked for under this Idempotency-Key; give this one another key",
                ));
            }
            earlier
        }
    };
    input.put_new(&request.id.file_key(), "application/jsonl", file.into()).await?;
    Ok(request)
}
