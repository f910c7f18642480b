//! Reports: asked for once, made by a pipeline, and fetched by a link that is signed at that moment.

mod assets;
pub mod report;

use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::body::Bytes;
use axum::extract::{Extension, Path, Query, State};
use axum::http::header::{ACCEPT, LOCATION, RETRY_AFTER};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::actions::{cancel_of, redrive_of};
use crate::desk::Desk;
use crate::door::{KEY, Vouched};
use crate::pipelines::Pipeline;
use crate::problem::{Problem, Result};
use crate::reports::report::{Report, accept};
use crate::waiting::Asked;
use crate::{batches, events as stream};
use fanfold::model::error::Error;
use fanfold::model::reporting::id::ReportId;
use fanfold::model::reporting::order::{Order, Wrong};
use fanfold::model::reporting::request::{OPERATOR, ReportRequest};
use fanfold::model::reporting::webhook::Allowed;
use fanfold::store::Clock;
use fanfold::store::clock::SystemClock;

/// The longest request: what a function is given of one
/// (<https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html>).
pub const MOST_BYTES: usize = 6 << 20;
/// How long a link to a document can be followed. A function's credentials, which sign it, may end sooner than a longer one
/// (<https://repost.aws/knowledge-center/presigned-url-s3-bucket-expiration>).
const LINK: Duration = Duration::from_secs(900);
/// The forms of a document.
const FORMS: [(&str, &str); 3] = [("json", "application/json"), ("csv", "text/csv"), ("pdf", "application/pdf")];

pub type Caller = Option<Extension<Vouched>>;

/// Whose reports a caller asks for.
pub fn owner(caller: Caller) -> Arc<str> {
    caller.map_or_else(|| OPERATOR.into(), |Extension(Vouched(owner))| owner)
}

/// What is wrong with an order, as a problem.
fn refused(wrong: &Wrong) -> Problem {
    let told: Vec<String> = wrong.iter().map(|(path, what)| format!("{path} {what}")).collect();
    Problem::bad(told.join("; "))
}

/// The pipeline that makes reports of a type: the one that is named, or the first.
fn maker<'a>(desk: &'a Desk, name: Option<&str>, kind: &str) -> Result<(&'a str, &'a Pipeline)> {
    let makes =
        |pipeline: &Pipeline| pipeline.resources.reports.as_deref().is_some_and(|made| made == "any" || made == kind);
    let mut named = desk.makers.iter().filter(|(known, _)| name.is_none_or(|name| name == *known)).peekable();
    if named.peek().is_none() {
        return Err(Problem::missing(match name {
            Some(name) => format!("pipeline {name:?} makes no reports"),
            None => "no pipeline makes reports; deploy one with REPORTS=true".to_owned(),
        }));
    }
    let unmade = || refused(&vec![("/type".to_owned(), format!("{kind:?} is made by no pipeline"))]);
    named.find(|(_, pipeline)| makes(pipeline)).ok_or_else(unmade)
}

/// Refuses a webhook that the pipeline may not call.
fn refuse_unheard(pipeline: &Pipeline, order: &Order) -> Result<()> {
    let Some(hook) = &order.webhook else {
        return Ok(());
    };
    let known = Allowed::parse(&pipeline.resources.webhooks);
    let known = known.map_err(|what| Error::config(format!("the deployment names webhooks of which {what}")))?;
    if known.allow(hook) {
        return Ok(());
    }
    let told = "is no address that may be called here; who operates the system allows some by WEBHOOKS";
    Err(refused(&vec![("/webhook".to_owned(), told.to_owned())]))
}

pub async fn ask(
    State(desk): State<Arc<Desk>>,
    Query(of): Query<batches::Of>,
    caller: Caller,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response> {
    let given: Value = serde_json::from_slice(&body).map_err(|e| Problem::bad(format!("the body is not JSON: {e}")))?;
    let order = Order::parse(&given).map_err(|wrong| refused(&wrong))?;
    let (name, pipeline) = maker(&desk, of.pipeline.as_deref(), &order.kind)?;
    let owner = owner(caller);
    let key = headers.get(KEY).and_then(|key| key.to_str().ok()).unwrap_or_default();
    let request = ReportRequest::new(ReportId::of_key(&owner, key), &*owner, SystemClock.now(), given);
    // What was taken once is taken again, whatever may be called by now.
    if order.webhook.is_some() && pipeline.input().newest(&request.id.request_key()).await?.is_none() {
        refuse_unheard(pipeline, &order)?;
    }
    let others = desk.makers.iter().filter(|(known, _)| *known != name).map(|(_, pipeline)| pipeline);
    let request = accept(pipeline, others, request, &order).await?;
    let report = Report::of(name, pipeline, request, desk.operated).await?;
    let id = report.request.id.clone();
    let asked = Asked::of(of.wait.as_deref(), &headers, desk.streams)?;
    if asked.waits()
        && let Some(document) = asked.until(desk.follow_report(report.clone())).await?
        && document.is_final
    {
        return asked.answer(&document);
    }
    let location = HeaderValue::try_from(format!("/reports/{id}")).map_err(|e| Problem::bad(e.to_string()))?;
    let told = [(LOCATION, location), (RETRY_AFTER, HeaderValue::from_static("2"))];
    // Whoever has it needs nothing else to find out that the report has ended, and its documents' names and digests.
    let end = report.end_link(0, LINK).await?;
    let told_of = json!({ "id": id, "state": "ACCEPTED", "pipeline": name, "end": end });
    Ok((StatusCode::ACCEPTED, told, Json(told_of)).into_response())
}

async fn find(desk: &Desk, id: &str, caller: Caller) -> Result<Report> {
    // What can be no id is known of as little as any other.
    let unknown = |_| Problem::missing("there is no report with this id, or it is not yours");
    let id = ReportId::parse(id).map_err(unknown)?;
    Report::find(desk.makers.iter(), &id, &owner(caller), desk.operated).await
}

pub async fn one(
    State(desk): State<Arc<Desk>>,
    Path(id): Path<String>,
    Query(of): Query<batches::Of>,
    caller: Caller,
    headers: HeaderMap,
) -> Result<Response> {
    let asked = Asked::of(of.wait.as_deref(), &headers, desk.streams)?;
    let report = find(&desk, &id, caller).await?;
    if !asked.waits() {
        return asked.answer(&report.document().await?);
    }
    let found = asked.until(desk.follow_report(report)).await?;
    asked.answer(&*found.ok_or_else(|| Problem::missing("the report is gone"))?)
}

/// A link to what is told of its end, for those who look at that again and again: nobody but S3 is asked.
pub async fn link(State(desk): State<Arc<Desk>>, Path(id): Path<String>, caller: Caller) -> Result<Response> {
    let report = find(&desk, &id, caller).await?;
    let generation = report.seen().await?.generation();
    Ok(Json(report.end_link(generation, LINK).await?).into_response())
}

pub async fn events(
    State(desk): State<Arc<Desk>>,
    Path(id): Path<String>,
    caller: Caller,
    headers: HeaderMap,
) -> Result<Response> {
    desk.streaming()?;
    let report = find(&desk, &id, caller).await?;
    stream::stream(desk.follow_report(report), &headers).await
}

/// In which form a result is wanted.
#[derive(Debug, Deserialize)]
pub struct Wanted {
    format: Option<String>,
}

/// The form that is wanted: by name, by what the client accepts, or as the report was asked for.
fn form(wanted: Option<&str>, headers: &HeaderMap, report: &Report) -> Result<&'static str> {
    let named = |name: &str| FORMS.iter().find(|(known, _)| *known == name).map(|(known, _)| *known);
    if let Some(wanted) = wanted {
        return named(wanted)
            .ok_or_else(|| Problem::bad(format!("there is no format {wanted:?}; formats are json, csv, pdf")));
    }
    let accepted = headers.get(ACCEPT).and_then(|accept| accept.to_str().ok()).unwrap_or_default();
    let accepted = accepted.split(',').filter_map(|one| one.split(';').next()).map(str::trim);
    let by_type = |kind: &str| FORMS.iter().find(|(_, known)| *known == kind).map(|(known, _)| *known);
    let asked = report.request.order["format"].as_str().and_then(named).unwrap_or("json");
    Ok(accepted.filter_map(by_type).next().unwrap_or(asked))
}

pub async fn result(
    State(desk): State<Arc<Desk>>,
    Path(id): Path<String>,
    Query(wanted): Query<Wanted>,
    caller: Caller,
    headers: HeaderMap,
) -> Result<Response> {
    let report = find(&desk, &id, caller).await?;
    let form = form(wanted.format.as_deref(), &headers, &report)?;
    let end = report.ended().await?;
    let Some(document) = end.outputs.iter().find(|output| output.name == form) else {
        let why = end.error.map(|error| error.message).unwrap_or_default();
        return Err(Problem::missing(format!("the report has no {form}: {why}")));
    };
    let output = report.pipeline.output();
    if output.newest(&document.key).await?.is_none() {
        let at = end.finished_at;
        return Err(Problem::new(StatusCode::GONE, format!("the report of {at} was deleted; ask for it again")));
    }
    let link = output.link(&document.key, &format!("{}.{form}", report.request.id), LINK).await?;
    // A page cannot read where it was sent to, so that it asks for the link itself.
    if wanted.format.is_some() && headers.get(ACCEPT).is_some_and(|accept| accept.as_bytes() == b"application/json") {
        return Ok(Json(json!({ "url": link })).into_response());
    }
    // The link is another thing than what was asked for: https://www.rfc-editor.org/rfc/rfc9110#name-303-see-other
    Ok((StatusCode::SEE_OTHER, [(LOCATION, link.clone())], Json(json!({ "url": link }))).into_response())
}

pub async fn cancel(
    State(desk): State<Arc<Desk>>,
    Path(id): Path<String>,
    caller: Caller,
    headers: HeaderMap,
) -> Result<Response> {
    let report = find(&desk, &id, caller).await?;
    report.begun().await?;
    cancel_of(&desk, &report.pipeline, &report.batch, &headers).await
}

pub async fn redrive(
    State(desk): State<Arc<Desk>>,
    Path(id): Path<String>,
    caller: Caller,
    headers: HeaderMap,
    body: String,
) -> Result<Response> {
    let report = find(&desk, &id, caller).await?;
    report.begun().await?;
    redrive_of(&desk, &report.pipeline, &report.batch, &headers, &body).await
}
