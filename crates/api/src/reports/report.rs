//! A report that was asked for, and its document.

use std::time::Duration;

use axum::http::StatusCode;
use serde_json::{Map, Value, json};

use crate::document::{again_in, digest, unmoved};
use crate::pipelines::{Pipeline, Pipelines};
use crate::problem::{Problem, Result};
use crate::reports::assets;
use crate::watching::Document;
use fanfold::model::error::{self as model, Error};
use fanfold::model::ids::{BatchId, Revision};
use fanfold::model::reporting::end::{ReportEnd, end_key, generation_of};
use fanfold::model::reporting::id::ReportId;
use fanfold::model::reporting::order::{Assets, Order};
use fanfold::model::reporting::request::ReportRequest;
use fanfold::model::view::{BatchView, VERSION};
use fanfold::stage::summary::SUMMARY;
use fanfold::store::Clock;
use fanfold::store::blob::{Blob, list_all, read_all};
use fanfold::store::clock::SystemClock;
use fanfold::store::ledger::KEPT_SECONDS;
use fanfold::store::reports::{Reports, Told};
use fanfold_aws::push::LONGEST;

/// A report of a pipeline.
#[derive(Debug, Clone)]
pub struct Report {
    /// The pipeline's name.
    pub name: String,
    pub pipeline: Pipeline,
    pub request: ReportRequest,
    /// The batch that it is.
    pub batch: BatchId,
    /// Whether who asks operates the system, and may see what it is made of.
    pub operated: bool,
}

/// What others are told of the batch of a report.
const TOLD: [&str; 10] =
    ["version", "batchId", "state", "generation", "asOf", "startedAt", "finishedAt", "records", "pace", "timeLeft"];

/// What there is of a report.
pub struct Seen {
    pub view: Option<BatchView>,
    pub end: Option<ReportEnd>,
    /// Whether it ended, and all that told of its end was deleted.
    pub deleted: bool,
}

impl Seen {
    /// How it stands: as its batch does, until that has ended and the documents are being made.
    fn state(&self) -> &'static str {
        match (&self.end, &self.view) {
            (Some(end), _) => end.state.name(),
            _ if self.deleted => "DELETED",
            (None, Some(view)) if view.state.is_final() => "CONSOLIDATING",
            (None, Some(view)) => view.state.name(),
            (None, None) => "ACCEPTED",
        }
    }

    /// Which redrive of its batch it is, from 0.
    pub fn generation(&self) -> u32 {
        let ended = self.end.as_ref().map(|end| end.generation);
        self.view.as_ref().map(|view| view.generation).or(ended).unwrap_or_default()
    }
}

fn another() -> Problem {
    let detail = "another report was asked for under this Idempotency-Key; give this one another key";
    Problem::new(StatusCode::UNPROCESSABLE_ENTITY, detail)
}

pub fn unknown() -> Problem {
    Problem::missing("there is no report with this id, or it is not yours")
}

/// The request that has an id, and the pipeline that it was written for.
async fn asked_for<'a>(
    pipelines: impl Iterator<Item = (&'a str, &'a Pipeline)>,
    id: &ReportId,
) -> Result<Option<(&'a str, &'a Pipeline, ReportRequest)>> {
    for (name, pipeline) in pipelines {
        if let Some(request) = read_all(&pipeline.input(), &id.request_key()).await? {
            return Ok(Some((name, pipeline, ReportRequest::read(&request)?)));
        }
    }
    Ok(None)
}

impl Reports for Pipelines {
    async fn tell(&self, id: &ReportId, operated: bool) -> model::Result<Option<Told>> {
        let told = async {
            let Some((name, pipeline, request)) = asked_for(self.iter(), id).await? else {
                return Ok(None);
            };
            Report::of(name, pipeline, request, operated).await?.told().await.map(Some)
        };
        told.await.map_err(Error::from)
    }
}

/// A report that was found.
impl Reports for Report {
    async fn tell(&self, _id: &ReportId, _operated: bool) -> model::Result<Option<Told>> {
        Ok(Some(self.told().await?))
    }
}

impl Report {
    /// Finds a report, if it was asked for by this caller: of others' it is not told that they exist.
    pub async fn find<'a>(
        pipelines: impl Iterator<Item = (&'a str, &'a Pipeline)>,
        id: &ReportId,
        owner: &str,
        operated: bool,
    ) -> Result<Self> {
        let (name, pipeline, request) = asked_for(pipelines, id).await?.ok_or_else(unknown)?;
        if request.owner != owner {
            return Err(unknown());
        }
        Self::of(name, pipeline, request, operated).await
    }

    /// The report of a request whose file is written.
    pub async fn of(name: &str, pipeline: &Pipeline, request: ReportRequest, operated: bool) -> Result<Self> {
        let key = request.id.file_key();
        // A request whose file was not written is one that nobody was told of.
        let newest = pipeline.input().newest(&key).await?.ok_or_else(unknown)?;
        let version = newest.version.ok_or_else(|| Error::config("the input bucket keeps no versions"))?;
        let batch = BatchId::of(&pipeline.resources.input_bucket, &key, &Revision::Version(version));
        Ok(Self { name: name.to_owned(), pipeline: pipeline.clone(), request, batch, operated })
    }

    /// What there is of it.
    pub async fn seen(&self) -> Result<Seen> {
        let view = self.pipeline.seen(&self.batch).await?;
        let (end, deleted) = match &view {
            Some(view) if view.state.is_final() => {
                let end = self.end(view.generation).await?;
                // Its batch's summary was there before the batch was closed.
                let deleted = end.is_none() && !self.has_summary().await?;
                (end, deleted)
            }
            Some(_) => (None, false),
            // It has not begun, or the ledger forgot it.
            None => {
                let forgotten = SystemClock.now().epoch_seconds() - self.request.at.epoch_seconds() > KEPT_SECONDS;
                let end = if forgotten { self.last_end().await? } else { None };
                let deleted = forgotten && end.is_none();
                (end, deleted)
            }
        };
        Ok(Seen { view, end, deleted })
    }

    /// A link to the end of a generation, and until when it is valid; there is nothing to be read by it before.
    pub async fn end_link(&self, generation: u32, valid: Duration) -> Result<Value> {
        let expires_at = SystemClock.now().plus_seconds(valid.as_secs().cast_signed());
        let link = self.pipeline.output().link(&end_key(&self.batch, generation), "end.json", valid).await?;
        Ok(json!({ "url": link, "expiresAt": expires_at }))
    }

    async fn end(&self, generation: u32) -> Result<Option<ReportEnd>> {
        let text = read_all(&self.pipeline.output(), &end_key(&self.batch, generation)).await?;
        let unread = |e| Problem::from(Error::internal("the end of a report is not readable").because(e));
        text.map(|text| serde_json::from_slice(&text).map_err(unread)).transpose()
    }

    /// That of its latest generation, without the ledger.
    async fn last_end(&self) -> Result<Option<ReportEnd>> {
        let keys = list_all(&self.pipeline.output(), &self.batch.output_key("report/")).await?;
        let generations = keys.iter().filter_map(|key| generation_of(&self.batch, key));
        match generations.max() {
            Some(generation) => self.end(generation).await,
            None => Ok(None),
        }
    }

    async fn has_summary(&self) -> Result<bool> {
        Ok(self.pipeline.output().newest(&self.batch.output_key(SUMMARY)).await?.is_some())
    }

    /// Whether there is something to act on.
    ///
    /// # Errors
    /// 409 before its batch begins, 410 once that is forgotten.
    pub async fn begun(&self) -> Result<()> {
        match self.seen().await? {
            Seen { view: Some(_), .. } => Ok(()),
            Seen { end: None, deleted: false, .. } => {
                Err(Problem::new(StatusCode::CONFLICT, "the report has not begun; ask again in some seconds"))
            }
            _ => Err(Problem::new(StatusCode::GONE, "the report ended too long ago to be changed; ask for a new one")),
        }
    }

    /// Its document, as those are told who wait at the other end of a connection.
    async fn told(&self) -> Result<Told> {
        let seen = self.seen().await?;
        let Document { mut text, is_final, .. } = self.document_of(&seen)?;
        if text.len() > LONGEST {
            text = without_batch(&text)?;
        }
        Ok(Told { text, is_final, generation: seen.generation() })
    }

    /// Its document, as it is sent.
    pub async fn document(&self) -> Result<Document> {
        self.document_of(&self.seen().await?)
    }

    fn document_of(&self, seen: &Seen) -> Result<Document> {
        let unwritten = |e| Problem::from(Error::internal("the report cannot be shown").because(e));
        let written = |view: Option<&BatchView>| {
            let mut batch = serde_json::to_value(view).map_err(unwritten)?;
            if let (Some(members), false) = (batch.as_object_mut(), self.operated) {
                members.retain(|name, _| TOLD.contains(&name.as_str()));
            }
            serde_json::to_string(&self.all(seen, &batch)).map_err(unwritten)
        };
        let parts = seen.view.as_ref().map(unmoved);
        let (settled, shown) = match &parts {
            Some((settled, shown)) => (written(Some(settled))?, written(Some(shown))?),
            None => (written(None)?, written(None)?),
        };
        let is_final = seen.end.is_some() || seen.deleted;
        let left = seen.view.as_ref().and_then(|view| view.time_left.as_ref()).map(|left| left.seconds);
        Ok(Document {
            text: written(seen.view.as_ref())?,
            tag: digest(&settled),
            print: digest(&shown),
            is_final,
            again_in: (!is_final).then(|| again_in(left)),
        })
    }

    fn all(&self, seen: &Seen, batch: &Value) -> Value {
        let ReportRequest { id, at, order, .. } = &self.request;
        // Their names may be many megabytes, which whoever asks has.
        let order: Map<String, Value> = order
            .as_object()
            .into_iter()
            .flatten()
            .filter(|(name, _)| *name != "assets")
            .map(|(name, value)| (name.clone(), value.clone()))
            .collect();
        json!({
            "version": VERSION,
            "id": id,
            "state": seen.state(),
            "requestedAt": at,
            "order": order,
            "pipeline": self.name,
            "batchId": self.batch,
            "batch": batch,
            "end": seen.end,
        })
    }

    /// Its end.
    ///
    /// # Errors
    /// 409 until it has ended, 410 once nothing tells of it.
    pub async fn ended(&self) -> Result<ReportEnd> {
        let seen = self.seen().await?;
        let state = seen.state();
        let without = || match seen.deleted {
            true => Problem::new(StatusCode::GONE, "the report was deleted; ask for it again"),
            false => Problem::new(StatusCode::CONFLICT, format!("the report is {state}: wait for its end")),
        };
        seen.end.ok_or_else(without)
    }
}

/// A document that is too long for a connection, without what its batch does.
fn without_batch(text: &str) -> Result<String> {
    let unread = |e| Problem::from(Error::internal("the report cannot be shown").because(e));
    let mut document: Value = serde_json::from_str(text).map_err(unread)?;
    document["batch"] = Value::Null;
    Ok(document.to_string())
}

/// Writes a request and its file, unless that was done before, and returns the request that counts. A key is that of one report,
/// whichever of the pipelines makes it.
pub async fn accept(
    pipeline: &Pipeline,
    others: impl Iterator<Item = &Pipeline>,
    mut request: ReportRequest,
    order: &Order,
) -> Result<ReportRequest> {
    let input = pipeline.input();
    let key = request.id.request_key();
    for other in others {
        if other.input().newest(&key).await?.is_some() {
            return Err(another());
        }
    }
    if order.assets == Assets::All && input.newest(&key).await?.is_none() {
        request.found = Some(assets::counted(pipeline, order).await?);
    }
    let text = serde_json::to_vec(&request).map_err(|e| Error::internal("a request cannot be written").because(e))?;
    let request = match input.put_new(&key, "application/json", text.into()).await? {
        true => request,
        false => {
            let earlier = read_all(&input, &key).await?.ok_or_else(|| Error::missing("the request was deleted"))?;
            let earlier = ReportRequest::read(&earlier)?;
            if earlier.order != request.order {
                return Err(another());
            }
            earlier
        }
    };
    // That of the request that counts, which may be an earlier one.
    let file = request.file(order)?;
    input.put_new(&request.id.file_key(), "application/jsonl", file.into()).await?;
    Ok(request)
}
