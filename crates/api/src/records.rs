//! Records that are sent one at a time through a function: the contract of the gateway's document
//! (`infra/modules/api/openapi.yaml`), but that a record is checked by the whole schema at once.

use std::future::Future;
use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::rejection::PathRejection;
use axum::extract::{DefaultBodyLimit, Path, State};
use axum::http::header::{CONTENT_TYPE, ETAG, LOCATION, RETRY_AFTER};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Extension, Json, Router};
use serde_json::value::RawValue;
use serde_json::{Value, json};

use crate::door::KEY;
use crate::problem::{self, Problem, Result};
use fanfold::model::error::{Error, ErrorKind, Result as Stored};
use fanfold::model::format::Layout;
use fanfold::model::record::Entry;
use fanfold::model::request::{RecordMessage, Request, RequestId};
use fanfold::model::schema::RecordSchema;
use fanfold::store::Clock;
use fanfold::store::channel::{Channel, Outgoing};
use fanfold::store::clock::SystemClock;
use fanfold::store::requests::Requests;
use fanfold_aws::items::DynamoItems;

/// The longest record: what a message of the queue, which is made for 256 KiB, holds beside an id.
const MOST_BYTES: usize = 261_000;
/// The media type of an event
/// (<https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/bindings/http-protocol-binding.md#32-structured-content-mode>).
const CLOUD_EVENT: &str = "application/cloudevents+json";
/// The longest `Idempotency-Key`.
const LONGEST_KEY: usize = 128;

/// Who sends a request, as the gateway tells it.
#[derive(Debug, Clone)]
pub struct Caller {
    /// Whose `Idempotency-Key` it is.
    pub id: String,
    /// The request's own id.
    pub request: String,
    /// What the paths of the API begin with, as in `/v1`.
    pub stage: String,
}

/// Shows items.
pub trait Shown: Send + Sync + 'static {
    /// The item under a key, in DynamoDB's own JSON.
    fn show(&self, key: &str) -> impl Future<Output = Stored<Option<Value>>> + Send;
}

impl Shown for DynamoItems {
    async fn show(&self, key: &str) -> Stored<Option<Value>> {
        self.read_typed(key).await
    }
}

/// What takes records one at a time works with.
pub struct Intake<Q, R, I> {
    /// The queue of such records.
    pub queue: Q,
    /// What became of them.
    pub requests: R,
    /// The items, if records become some. Otherwise they are events.
    pub items: Option<I>,
    /// What a valid record is.
    pub schema: RecordSchema,
}

/// The routes, also behind the name of a stage. A request without a [`Caller`] among its extensions is refused.
pub fn records<Q: Channel, R: Requests, I: Shown>(intake: Intake<Q, R, I>, stage: &str) -> Router {
    let routes = match intake.items {
        Some(_) => {
            Router::new().route("/records", post(submit::<Q, R, I>)).route("/records/{key}", get(record::<Q, R, I>))
        }
        None => Router::new().route("/events", post(submit::<Q, R, I>)),
    };
    let routes = routes
        .route("/status/{id}", get(status::<Q, R, I>))
        // What is too long is said by the handler.
        .layer(DefaultBodyLimit::disable())
        .with_state(Arc::new(intake));
    Router::new()
        .nest(stage, routes.clone())
        .merge(routes)
        .fallback(async || {
            Problem::missing("there is nothing at this path; records are sent to /records, and events to /events")
        })
        .method_not_allowed_fallback(problem::no_such_method)
}

fn known(caller: Option<Extension<Caller>>) -> Result<Caller> {
    let unknown = || Problem::new(StatusCode::UNAUTHORIZED, "nobody has authorised the request; sign it with IAM");
    caller.map(|Extension(caller)| caller).ok_or_else(unknown)
}

/// The id of a request, and whether its caller chose it.
fn id_of(headers: &HeaderMap, caller: &Caller) -> Result<(RequestId, bool)> {
    let Some(key) = headers.get(KEY).filter(|key| !key.is_empty()) else {
        return Ok((RequestId::parse(&caller.request)?, false));
    };
    let plain = |key: &&str| {
        (1..=LONGEST_KEY).contains(&key.len()) && key.bytes().all(|c| c.is_ascii_alphanumeric() || b"-._~".contains(&c))
    };
    let key = key.to_str().ok().filter(plain);
    let key = key.ok_or_else(|| Problem::bad("Idempotency-Key has 1 to 128 letters, digits and signs of -._~"))?;
    Ok((RequestId::parse(&format!("{}:{key}", caller.id))?, true))
}

async fn submit<Q: Channel, R: Requests, I: Shown>(
    State(intake): State<Arc<Intake<Q, R, I>>>,
    caller: Option<Extension<Caller>>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response> {
    let caller = known(caller)?;
    let kind = headers.get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    let kind = kind.split(';').next().unwrap_or_default().trim();
    let is_event = intake.items.is_none() && kind.eq_ignore_ascii_case(CLOUD_EVENT);
    if !is_event && !kind.eq_ignore_ascii_case("application/json") {
        let told = match intake.items {
            Some(_) => "send application/json",
            None => "send application/cloudevents+json or application/json",
        };
        return Err(Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, told));
    }
    if body.len() > MOST_BYTES {
        return Err(Problem::new(StatusCode::PAYLOAD_TOO_LARGE, format!("a record has at most {MOST_BYTES} bytes")));
    }
    let (id, keyed) = id_of(&headers, &caller)?;
    let record: Box<RawValue> =
        serde_json::from_slice(&body).map_err(|e| Problem::bad(format!("the body is not JSON: {e}")))?;
    // A record that is no object is told so by the schema, too, but not what it is instead.
    intake.schema.check(&Entry::decoded(0, record.clone()), Layout::Json).map_err(Problem::bad)?;
    // https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_SendMessage.html
    if record.get().contains(['\u{fffe}', '\u{ffff}']) {
        return Err(Problem::bad("the queue does not take U+FFFE and U+FFFF; JSON can escape them"));
    }
    let message = RecordMessage::new(id.clone(), keyed, SystemClock.now(), record);
    let text = serde_json::to_string(&message).map_err(|e| Problem::bad(e.to_string()))?;
    intake.queue.send(vec![Outgoing::new(text)]).await.map_err(behind)?;
    let location =
        HeaderValue::try_from(format!("{}/status/{id}", caller.stage)).map_err(|e| Problem::bad(e.to_string()))?;
    let headers = [(LOCATION, location), (RETRY_AFTER, HeaderValue::from_static("1"))];
    Ok((StatusCode::ACCEPTED, headers, Json(json!({ "id": id }))).into_response())
}

async fn status<Q: Channel, R: Requests, I: Shown>(
    State(intake): State<Arc<Intake<Q, R, I>>>,
    caller: Option<Extension<Caller>>,
    id: std::result::Result<Path<String>, PathRejection>,
) -> Result<Response> {
    known(caller)?;
    let id = named(id)?;
    // What can be no id is known of as little as any other.
    let found = match RequestId::parse(&id) {
        Ok(id) => intake.requests.read(&id, SystemClock.now()).await.map_err(behind)?,
        Err(_) => None,
    };
    match found {
        Some(request) => Ok(told(&request)),
        None => {
            let mut response = Problem::missing("unknown or not yet accepted").into_response();
            response.headers_mut().insert(RETRY_AFTER, HeaderValue::from_static("1"));
            Ok(response)
        }
    }
}

/// What a path names. The key of an item has at most 2,048 bytes
/// (<https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Constraints.html>).
fn named(name: std::result::Result<Path<String>, PathRejection>) -> Result<String> {
    let Path(name) = name.map_err(|e| Problem::bad(format!("the path cannot be read: {e}")))?;
    match name.len() <= 2_048 {
        true => Ok(name),
        false => Err(Problem::bad("nothing can be stored under this: it is too long")),
    }
}

/// What is told of a queue or a table that does not answer as it should. Names and rights are not the caller's concern.
fn behind(error: Error) -> Problem {
    tracing::error!(%error, "request not carried out");
    match error.kind {
        ErrorKind::Transient | ErrorKind::Busy => {
            Problem::new(StatusCode::SERVICE_UNAVAILABLE, "what is behind the API is busy or out of order; try again")
        }
        _ => Problem::new(StatusCode::BAD_GATEWAY, "what is behind the API cannot be reached"),
    }
}

/// What became of a request, as the gateway's template says it.
fn told(request: &Request) -> Response {
    let Request { id, digest, at, state, key, reason, conflict_at } = request;
    let mut body = json!({ "id": id, "state": state, "conflict": conflict_at.is_some(), "acceptedAt": at.0 });
    for (name, value) in [("key", key), ("reason", reason)] {
        if let Some(value) = value {
            body[name] = value.as_str().into();
        }
    }
    let conflict = conflict_at.map(|at| at.0.to_string()).unwrap_or_default();
    let mut response = Json(body).into_response();
    if let Ok(tag) = HeaderValue::try_from(format!("\"{digest}.{}.{conflict}\"", state.name())) {
        response.headers_mut().insert(ETAG, tag);
    }
    if !state.is_final() {
        response.headers_mut().insert(RETRY_AFTER, HeaderValue::from_static("1"));
    }
    response
}

async fn record<Q: Channel, R: Requests, I: Shown>(
    State(intake): State<Arc<Intake<Q, R, I>>>,
    caller: Option<Extension<Caller>>,
    key: std::result::Result<Path<String>, PathRejection>,
) -> Result<Json<Value>> {
    known(caller)?;
    let key = named(key)?;
    let shown = match &intake.items {
        Some(items) => items.show(&key).await.map_err(behind)?,
        None => None,
    };
    shown.map(Json).ok_or_else(|| Problem::missing("there is no record with this key"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::body::{Body, to_bytes};
    use axum::http::Request as Ask;
    use fanfold::store::channel::memory::MemoryChannel;
    use fanfold::store::requests::memory::MemoryRequests;
    use tower::ServiceExt;

    struct One;

    impl Shown for One {
        async fn show(&self, key: &str) -> Stored<Option<Value>> {
            Ok((key == "a/b 株").then(|| json!({"id": {"S": key}})))
        }
    }

    struct Site {
        queue: MemoryChannel,
        requests: MemoryRequests,
        routes: Router,
    }

    impl Site {
        fn new() -> Self {
            let (queue, requests) = (MemoryChannel::new(), MemoryRequests::new());
            let schema = r#"{"properties":{"id":{"type":"string"},"n":{"type":"integer"}},"required":["id","n"]}"#;
            let schema = RecordSchema::parse(schema, "id").unwrap();
            let intake = Intake { queue: queue.clone(), requests: requests.clone(), items: Some(One), schema };
            Self { queue, requests, routes: records(intake, "/v1") }
        }

        /// One whose records are events.
        fn of_events() -> Self {
            let (queue, requests) = (MemoryChannel::new(), MemoryRequests::new());
            let schema = RecordSchema::parse("{}", "id").unwrap();
            let intake = Intake::<_, _, One> { queue: queue.clone(), requests: requests.clone(), items: None, schema };
            Self { queue, requests, routes: records(intake, "/v1") }
        }

        async fn ask(&self, ask: axum::http::request::Builder, body: &str) -> (StatusCode, HeaderMap, Value) {
            let caller = Caller { id: "AIDA".into(), request: "r-1".into(), stage: "/v1".into() };
            let ask = ask.extension(caller).body(Body::from(body.to_owned())).unwrap();
            let response = self.routes.clone().oneshot(ask).await.unwrap();
            let (parts, body) = response.into_parts();
            let body = to_bytes(body, 1 << 20).await.unwrap();
            (parts.status, parts.headers, serde_json::from_slice(&body).unwrap())
        }

        async fn post(&self, key: Option<&str>, body: &str) -> (StatusCode, HeaderMap, Value) {
            let ask = Ask::post("/v1/records").header(CONTENT_TYPE, "application/json; charset=utf-8");
            self.ask(key.into_iter().fold(ask, |ask, key| ask.header(KEY, key)), body).await
        }
    }

    #[tokio::test]
    async fn a_record_reaches_the_queue_byte_by_byte() {
        let site = Site::new();
        let record = "{ \"id\": \"x' &+%\\u00fc🚀\", \"n\": 1 ,\"b\":[ ] }";
        let (status, headers, body) = site.post(Some("order-17"), record).await;
        assert_eq!((status, &body), (StatusCode::ACCEPTED, &json!({"id": "AIDA:order-17"})));
        assert_eq!(
            (headers[LOCATION].to_str().unwrap(), headers[RETRY_AFTER].to_str().unwrap()),
            ("/v1/status/AIDA:order-17", "1")
        );
        let message = RecordMessage::parse(&site.queue.bodies()[0]).unwrap();
        assert_eq!((message.record.get(), message.keyed), (record, true));
        let (_, _, body) = site.post(None, r#"{"id":"y","n":1}"#).await;
        assert_eq!(body, json!({"id": "r-1"}));
        assert!(!RecordMessage::parse(&site.queue.bodies()[1]).unwrap().keyed);
    }

    #[tokio::test]
    async fn what_is_no_record_is_refused_in_words_and_not_sent() {
        let site = Site::new();
        let long = format!(r#"{{"id":"{}","n":1}}"#, "x".repeat(MOST_BYTES));
        let refusals = [
            (None, "{", 400, "not JSON"),
            (None, "", 400, "not JSON"),
            (None, "[]", 400, "object"),
            (None, r#"{"id":"x"}"#, 400, "n"),
            (None, r#"{"id":"x","n":1.5}"#, 400, "n: 1.5 is not"),
            (None, r#"{"id":"x","n":1,"n":2}"#, 400, "member \"n\" twice"),
            (None, r#"{"id":"x","n":1} {}"#, 400, "not JSON"),
            (None, "{\"id\":\"\u{ffff}\",\"n\":1}", 400, "escape"),
            (None, long.as_str(), 413, "at most"),
            (Some("a b"), r#"{"id":"x","n":1}"#, 400, "Idempotency-Key"),
            (Some("a:b"), r#"{"id":"x","n":1}"#, 400, "Idempotency-Key"),
        ];
        for (key, body, wanted, words) in refusals {
            let (status, _, told) = site.post(key, body).await;
            let detail = told["detail"].as_str().unwrap();
            assert!(status == wanted && detail.contains(words), "{}: {status} {told}", &body[..body.len().min(40)]);
        }
        let text = Ask::post("/records").header(CONTENT_TYPE, "text/plain");
        assert_eq!(site.ask(text, r#"{"id":"x","n":1}"#).await.0, StatusCode::UNSUPPORTED_MEDIA_TYPE);
        assert!(site.queue.bodies().is_empty());
        let unknown = Ask::post("/v1/records").header(CONTENT_TYPE, "application/json").body(Body::from("{}")).unwrap();
        let answer = site.routes.clone().oneshot(unknown).await.unwrap();
        assert_eq!(answer.status(), StatusCode::UNAUTHORIZED, "who nobody vouches for");
    }

    #[tokio::test]
    async fn events_are_sent_to_a_path_of_their_own_as_json_or_as_cloud_events() {
        let site = Site::of_events();
        let event = r#"{"specversion":"1.0","id":"1"}"#;
        for kind in [CLOUD_EVENT, "application/json", "Application/CloudEvents+JSON; charset=utf-8"] {
            let ask = Ask::post("/v1/events").header(CONTENT_TYPE, kind);
            assert_eq!(site.ask(ask, event).await.0, StatusCode::ACCEPTED, "{kind}");
        }
        assert_eq!(site.queue.bodies().len(), 3);
        let batch = Ask::post("/v1/events").header(CONTENT_TYPE, "application/cloudevents-batch+json");
        assert_eq!(site.ask(batch, "[]").await.0, StatusCode::UNSUPPORTED_MEDIA_TYPE);
        let (status, _, told) = site.post(None, event).await;
        assert_eq!(
            (status, told["detail"].as_str().unwrap().contains("events to /events")),
            (StatusCode::NOT_FOUND, true)
        );
        assert_eq!(site.ask(Ask::get("/v1/records/1"), "").await.0, StatusCode::NOT_FOUND);
        let plain = Ask::post("/v1/records").header(CONTENT_TYPE, CLOUD_EVENT);
        assert_eq!(Site::new().ask(plain, r#"{"id":"x","n":1}"#).await.0, StatusCode::UNSUPPORTED_MEDIA_TYPE);
    }

    #[tokio::test]
    async fn a_status_is_told_as_the_gateway_tells_it() {
        let site = Site::new();
        let (status, headers, _) = site.ask(Ask::get("/v1/status/AIDA:order-17"), "").await;
        assert_eq!((status, &headers[RETRY_AFTER]), (StatusCode::NOT_FOUND, &HeaderValue::from_static("1")));
        let record = RawValue::from_string("{}".to_owned()).unwrap();
        let id = RequestId::parse("AIDA:order-17").unwrap();
        let request = Request::accepted(&RecordMessage::new(id, true, SystemClock.now(), record));
        site.requests.write(&request.clone().tried("busy")).await.unwrap();
        let (_, headers, body) = site.ask(Ask::get("/status/AIDA%3Aorder-17"), "").await;
        let wanted = json!({"id": "AIDA:order-17", "state": "ACCEPTED", "reason": "busy", "conflict": false, "acceptedAt": request.at.0});
        assert_eq!((&body, &headers[RETRY_AFTER]), (&wanted, &HeaderValue::from_static("1")));
        let before = headers[ETAG].clone();
        site.requests.write(&request.clone().stored("k/1")).await.unwrap();
        site.requests.note_conflict(&request.id, request.at).await.unwrap();
        let (_, headers, body) = site.ask(Ask::get("/v1/status/AIDA:order-17"), "").await;
        let wanted = json!({"id": "AIDA:order-17", "state": "STORED", "key": "k/1", "conflict": true, "acceptedAt": request.at.0});
        assert_eq!(body, wanted);
        assert!(headers[ETAG] != before && !headers.contains_key(RETRY_AFTER));
    }

    #[tokio::test]
    async fn an_item_is_found_by_its_encoded_key() {
        let site = Site::new();
        let (status, _, body) = site.ask(Ask::get("/v1/records/a%2Fb%20%E6%A0%AA"), "").await;
        assert_eq!((status, body), (StatusCode::OK, json!({"id": {"S": "a/b 株"}})));
        assert_eq!(site.ask(Ask::get("/v1/records/none"), "").await.0, StatusCode::NOT_FOUND);
        assert_eq!(site.ask(Ask::get("/v1/"), "").await.0, StatusCode::NOT_FOUND);
    }
}
