//! What is told, to whom, and when again.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};

use super::*;
use crate::intake::s3_event::event_of;
use crate::model::input::InputRef;
use crate::model::progress::BatchState;
use crate::model::reporting::signature::Keys;
use crate::model::reporting::webhook::Allowed;
use crate::stage::deliver;
use crate::store::blob::memory::MemoryBlob;
use crate::store::channel::Delivery;
use crate::store::clock::SystemClock;
use crate::store::sockets::memory::MemorySockets;
use crate::store::web::memory::MemoryWeb;
use crate::store::web::{Request, Response, WebError};
use serde_json::{Value, json};

const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
const URL: &str = "https://example.com/hooks/a?b";

/// A report that stands as it says; whoever operates the system is told more.
struct Standing {
    is_final: bool,
    generation: u32,
}

/// Each look at a report is at another time.
static LOOKS: AtomicU32 = AtomicU32::new(0);

impl Reports for Standing {
    async fn tell(&self, report: &ReportId, operated: bool) -> Result<Option<Told>> {
        let at = LOOKS.fetch_add(1, Ordering::Relaxed);
        let text = json!({"id": report, "operated": operated, "asOf": at}).to_string();
        Ok(Some(Told { text, is_final: self.is_final, generation: self.generation }))
    }
}

/// Connections, of which one is gone and one cannot be reached.
#[derive(Clone, Default)]
struct Line(Arc<Mutex<Vec<(String, Value)>>>);

impl Push for Line {
    async fn push(&self, connection: &str, text: &str) -> Result<Pushed> {
        match connection {
            "gone" => return Ok(Pushed::Gone),
            "broken" => return Err(Error::transient("no connection")),
            _ => {}
        }
        self.0.lock().unwrap().push((connection.to_owned(), without_time(serde_json::from_str(text).unwrap())));
        Ok(Pushed::Sent)
    }
}

/// A document without when it was looked at.
fn without_time(mut document: Value) -> Value {
    document.as_object_mut().unwrap().remove("asOf").unwrap();
    document
}

struct Site {
    input: MemoryBlob,
    output: MemoryBlob,
    sockets: MemorySockets,
    line: Line,
    requests: Arc<Mutex<Vec<Request>>>,
    id: ReportId,
    batch: BatchId,
}

impl Site {
    /// A report that has ended, asked for by somebody with a webhook or without.
    async fn of(owner: &str, webhook: Option<&str>) -> Self {
        let (input, output, id) = (MemoryBlob::new(), MemoryBlob::new(), ReportId::of_bits(7));
        let batch = BatchId::parse("7-000000000000").unwrap();
        let mut order = json!({"type": "usage", "from": "2026-01-01", "to": "2026-02-01", "assets": []});
        if let Some(url) = webhook {
            order["webhook"] = json!(url);
        }
        let request = ReportRequest::new(id.clone(), owner, Timestamp(0), order);
        input.put(&id.request_key(), "application/json", serde_json::to_vec(&request).unwrap().into()).await.unwrap();
        for generation in [0, 1] {
            let end = ReportEnd {
                v: 1,
                id: id.clone(),
                generation,
                state: BatchState::Succeeded,
                partial: false,
                parts: Default::default(),
                rows: 0,
                as_of: None,
                finished_at: Timestamp(1_772_500_000_000),
                outputs: Vec::new(),
                error: None,
            };
            let text = serde_json::to_vec(&end).unwrap();
            output.put(&end_key(&batch, generation), "application/json", text.into()).await.unwrap();
        }
        let (sockets, line) = (MemorySockets::new(), Line::default());
        Self { input, output, sockets, line, requests: Arc::default(), id, batch }
    }

    async fn subscribe(&self, connection: &str, operated: bool) {
        let subscriber = Subscriber { connection: connection.to_owned(), operated, told: None };
        self.sockets.subscribe(&self.id, &subscriber, SystemClock.now()).await.unwrap();
    }

    async fn waiting(&self) -> Vec<String> {
        let all = self.sockets.subscribers(&self.id, SystemClock.now()).await.unwrap();
        let waits = all.into_iter().filter(|subscriber| subscriber.told.is_none());
        waits.map(|subscriber| subscriber.connection).collect()
    }

    fn delivery(&self, generation: u32, first_received: Option<Timestamp>) -> Delivery {
        let (bucket, key) = ("output".to_owned(), end_key(&self.batch, generation));
        let created =
            InputRef { bucket, key, version_id: Some("v1".into()), e_tag: None, bytes: 1, format: None, read_as: None };
        Delivery { id: "m".into(), receipt: "r".into(), body: event_of(&created).unwrap(), attempt: 1, first_received }
    }

    /// What becomes of the message of generation 0, if the report stands so and its receiver answers so.
    async fn told(&self, standing: Standing, answer: std::result::Result<u16, WebError>) -> Disposition {
        self.told_since(standing, answer, None, None).await
    }

    async fn told_since(
        &self,
        standing: Standing,
        answer: std::result::Result<u16, WebError>,
        retry_after: Option<&str>,
        first: Option<Timestamp>,
    ) -> Disposition {
        let keyring = Keys::parse([SECRET]).unwrap();
        deliver(&self.stage(standing, keyring, answer, retry_after), &self.delivery(0, first), FOREVER).await
    }

    fn stage<G: Keyring>(
        &self,
        reports: Standing,
        keyring: G,
        answer: std::result::Result<u16, WebError>,
        retry_after: Option<&str>,
    ) -> impl Stage<Message = Written> {
        let (noted, retry_after) = (self.requests.clone(), retry_after.map(str::to_owned));
        let web = MemoryWeb(move |request: Request| {
            noted.lock().unwrap().push(request);
            let retry_after = retry_after.clone();
            std::future::ready(answer.clone().map(|status| Response { status, retry_after, ..Response::default() }))
        });
        Notify {
            input: self.input.clone(),
            output: self.output.clone(),
            reports,
            sockets: Some((self.sockets.clone(), self.line.clone())),
            hooks: Some(Hooks { web, allowed: Allowed::parse(&["https://example.com/hooks/"]).unwrap(), keyring }),
            clock: SystemClock,
        }
    }
}

/// A deadline that never comes.
const FOREVER: Timestamp = Timestamp(i64::MAX);
const ENDED: Standing = Standing { is_final: true, generation: 0 };

fn header<'a>(request: &'a Request, name: &str) -> &'a str {
    &request.headers.iter().find(|(known, _)| known == name).unwrap().1
}

#[tokio::test]
async fn who_waits_is_told_once_and_the_gone_are_forgotten() {
    let site = Site::of("anna", None).await;
    for (connection, operated) in [("a", false), ("gone", false), ("b", true)] {
        site.subscribe(connection, operated).await;
    }
    assert!(matches!(site.told(ENDED, Ok(200)).await, Disposition::Done));
    let told = |operated: bool| json!({"id": site.id, "operated": operated});
    let mut got = site.line.0.lock().unwrap().clone();
    got.sort_by(|(a, _), (b, _)| a.cmp(b));
    assert_eq!(got, [("a".to_owned(), told(false)), ("b".to_owned(), told(true))]);
    assert!(site.waiting().await.is_empty());
    assert!(site.requests.lock().unwrap().is_empty(), "there is no receiver");
    assert!(matches!(site.told(ENDED, Ok(200)).await, Disposition::Done));
    assert_eq!(site.line.0.lock().unwrap().len(), 2, "a second message finds nobody");
}

#[tokio::test]
async fn one_that_is_not_reached_comes_again_and_the_others_do_not_wait_for_it() {
    let site = Site::of("anna", Some(URL)).await;
    for connection in ["broken", "a"] {
        site.subscribe(connection, false).await;
    }
    assert!(matches!(site.told(ENDED, Ok(200)).await, Disposition::Retry(_)));
    assert_eq!(site.waiting().await, ["broken"]);
    assert_eq!(site.line.0.lock().unwrap().len(), 1);
    assert!(site.requests.lock().unwrap().is_empty(), "the receiver is told when all are reached, or in the last try");
}

#[tokio::test]
async fn nobody_is_told_before_it_is_over_or_of_what_is_made_again() {
    let site = Site::of("anna", Some(URL)).await;
    site.subscribe("a", false).await;
    let early = site.told(Standing { is_final: false, generation: 0 }, Ok(200)).await;
    assert!(matches!(early, Disposition::Later(at, _) if at > SystemClock.now()), "{early:?}");
    for is_final in [false, true] {
        let again = site.told(Standing { is_final, generation: 1 }, Ok(200)).await;
        assert!(matches!(again, Disposition::Discarded(_)), "{again:?}");
    }
    assert_eq!(site.waiting().await, ["a"]);
    assert!(site.requests.lock().unwrap().is_empty() && site.line.0.lock().unwrap().is_empty());
}

#[tokio::test]
async fn a_receiver_gets_the_document_under_a_signature() {
    for (owner, operated) in [("anna", false), (OPERATOR, true)] {
        let site = Site::of(owner, Some(URL)).await;
        assert!(matches!(site.told(ENDED, Ok(204)).await, Disposition::Done));
        assert!(matches!(site.told(ENDED, Ok(204)).await, Disposition::Done));
        let requests = site.requests.lock().unwrap();
        let [first, second] = &requests[..] else { panic!("{} requests", requests.len()) };
        assert_eq!((first.method.as_str(), first.target.as_str()), ("POST", "/hooks/a?b"));
        let mut body: Value = serde_json::from_str(&first.body).unwrap();
        body["data"] = without_time(body["data"].take());
        let data = json!({"id": site.id, "operated": operated});
        assert_eq!(body, json!({"type": "report.ended", "timestamp": "2026-03-03T01:06:40.000Z", "data": data}));
        let (id, seconds) = (header(first, "webhook-id"), header(first, "webhook-timestamp"));
        assert_eq!(id, format!("report-{}-0", site.id));
        assert!((SystemClock.now().epoch_seconds() - seconds.parse::<i64>().unwrap()).abs() < 60);
        let signed = Keys::parse([SECRET]).unwrap().sign(id, seconds.parse().unwrap(), &first.body);
        assert_eq!(header(first, "webhook-signature"), signed);
        assert!(
            header(second, "webhook-id") == id && second.body != first.body,
            "a repetition is known by its id alone"
        );
    }
}

#[tokio::test]
async fn a_receiver_that_fails_is_called_again_for_three_days() {
    let site = Site::of("anna", Some(URL)).await;
    let hour = 3_600_000;
    let ago = |milliseconds: i64| Some(Timestamp(SystemClock.now().0 - milliseconds));
    let unsure = || Err(WebError::Unsure("the connection broke".into()));
    // How long it was tried, what it answers, and after how many milliseconds it is called again, about.
    for (first, answer, retry_after, pause) in [
        (None, Ok(500), None, 5_000),
        (None, unsure(), None, 5_000),
        (None, Ok(302), None, 5_000),
        (None, Ok(429), Some("600"), 600_000),
        (None, Ok(503), Some("never"), 5_000),
        (None, Ok(503), Some("999999999"), 11 * hour),
        (ago(hour), Ok(500), None, hour),
        (ago(48 * hour), Ok(500), None, 6 * hour),
    ] {
        let disposition = site.told_since(ENDED, answer.clone(), retry_after, first).await;
        let Disposition::Later(at, error) = disposition else { panic!("{answer:?}: {disposition:?}") };
        let after = at.0 - SystemClock.now().0;
        assert!((pause * 7 / 10..=pause * 13 / 10).contains(&after), "{answer:?}, {retry_after:?}: {after}");
        assert!(error.to_string().contains(site.id.as_str()), "{error}");
    }
    let late = site.told_since(ENDED, Ok(500), None, ago(73 * hour)).await;
    assert!(matches!(late, Disposition::Rejected(_)), "{late:?}");
    let refused = site.told(ENDED, Ok(410)).await;
    assert!(matches!(refused, Disposition::Done), "it wants no more of these: {refused:?}");
}

#[tokio::test]
async fn what_may_not_be_called_is_not() {
    let site = Site::of("anna", Some("https://example.com/other")).await;
    let rejected = site.told(ENDED, Ok(200)).await;
    assert!(matches!(rejected, Disposition::Rejected(_)), "somebody has to look at it: {rejected:?}");
    assert!(site.requests.lock().unwrap().is_empty());
}

#[tokio::test]
async fn other_objects_are_no_end() {
    let batch = BatchId::parse("7-000000000000").unwrap();
    assert!(written(&end_key(&batch, 3)).unwrap().is_ok_and(|end| end.generation == 3 && end.batch == batch));
    for key in ["end.json", "7-000000000000/report/0/report.json", "7-000000000000/report/00/end.json"] {
        assert!(written(key).is_none(), "{key}");
    }
    assert!(written("../report/0/end.json").unwrap().is_err());
}

/// A secret that cannot be read.
struct Unreadable;

impl Keyring for Unreadable {
    async fn keys(&self) -> Result<Keys> {
        Err(Error::denied("the secret may not be read"))
    }
}

#[tokio::test]
async fn without_a_key_connections_are_told_and_the_receiver_later() {
    let site = Site::of("anna", Some(URL)).await;
    site.subscribe("a", false).await;
    let later = deliver(&site.stage(ENDED, Unreadable, Ok(200), None), &site.delivery(0, None), FOREVER).await;
    assert!(
        matches!(&later, Disposition::Later(_, error) if error.to_string().contains("may not be read")),
        "{later:?}"
    );
    assert_eq!((site.line.0.lock().unwrap().len(), site.requests.lock().unwrap().len()), (1, 0));
}

#[tokio::test]
async fn in_the_last_try_a_receiver_is_told_whatever_keeps_a_connection_from_it() {
    let site = Site::of("anna", Some(URL)).await;
    site.subscribe("broken", false).await;
    let (keys, delivery) = (Keys::parse([SECRET]).unwrap(), site.delivery(0, None));
    for (status, again) in [(200, false), (503, true)] {
        let stage = site.stage(ENDED, keys.clone(), Ok(status), None);
        let message = stage.parse(&delivery.body).unwrap().unwrap();
        let received = Received { is_last: true, ..Received::new(&delivery, message) };
        let disposition = stage.handle(&received, FOREVER).await;
        // Its three days are its own: what is given up otherwise is not.
        assert_eq!(matches!(disposition, Disposition::Later(..)), again, "{disposition:?}");
        assert_eq!(matches!(disposition, Disposition::Retry(_)), !again, "{disposition:?}");
    }
    assert_eq!(site.requests.lock().unwrap().len(), 2);
}

#[tokio::test]
async fn who_was_told_an_end_is_told_the_next_one() {
    let site = Site::of("anna", None).await;
    site.subscribe("a", false).await;
    for generation in [0, 0, 1] {
        let keys = Keys::parse([SECRET]).unwrap();
        let stage = site.stage(Standing { is_final: true, generation }, keys, Ok(200), None);
        deliver(&stage, &site.delivery(generation, None), FOREVER).await;
    }
    assert_eq!(site.line.0.lock().unwrap().len(), 2, "once for each generation");
}
