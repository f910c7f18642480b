//! An API in memory that is as faulty as a test wants, and keeps a log.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use fanfold::model::ids::{BatchId, ChunkIndex};
use fanfold::model::processing::http::HttpSettings;
use fanfold::model::processing::{Processing, Work};
use fanfold::model::timestamp::Timestamp;
use fanfold::processor::{Chunk, Record, Reply, Tried};
use fanfold::store::Clock;
use fanfold::store::web::{Origin, Request, Response, Web, WebError};
use serde_json::{Map, Value, json};

use super::virtual_time::Virtual;

/// What the API does with a call.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Act {
    Answer(u16),
    /// After so many milliseconds.
    Slow(i64),
    /// Never answers, and did not do it.
    HangBefore,
    /// Never answers, and did it.
    HangAfter,
    /// Answers so, and did it.
    After(u16),
    Busy(u16, Option<&'static str>),
    Drop,
    Unreachable,
}

#[derive(Default)]
pub struct Log {
    /// When each call came, in milliseconds.
    pub times: Vec<i64>,
    /// How often each key had its effect.
    pub effects: BTreeMap<String, u32>,
    /// How often each key came.
    pub calls: BTreeMap<String, u32>,
    pub requests: Vec<Request>,
    pub at_once: u32,
    pub most_at_once: u32,
}

/// An API; clones share their log.
#[derive(Clone)]
pub struct Api<F> {
    pub log: Arc<Mutex<Log>>,
    clock: Virtual,
    /// How long the first call over each of so many connections is under way.
    act: F,
}

pub struct AtOnce(Arc<Mutex<Log>>);

impl Drop for AtOnce {
    fn drop(&mut self) {
        self.0.lock().unwrap().at_once -= 1;
    }
}

impl<F: Fn(&Request, u32) -> Act + Clone + Send + Sync + 'static> Api<F> {
    pub fn new(clock: &Virtual, act: F) -> Self {
        Self { log: Arc::default(), clock: clock.clone(), act }
    }

    pub fn times(&self) -> Vec<i64> {
        self.log.lock().unwrap().times.clone()
    }

    /// Does the work of a key, once.
    fn effect(&self, request: &Request) {
        if request.method == "POST" {
            *self.log.lock().unwrap().effects.entry(key(request)).or_default() |= 1;
        }
    }
}

pub fn header<'a>(request: &'a Request, wanted: &str) -> Option<&'a str> {
    request.headers.iter().find(|(name, _)| name.eq_ignore_ascii_case(wanted)).map(|(_, value)| value.as_str())
}

pub fn key(request: &Request) -> String {
    header(request, "idempotency-key").unwrap_or_default().to_owned()
}

impl<F: Fn(&Request, u32) -> Act + Clone + Send + Sync + 'static> Web for Api<F> {
    type Line = ();

    async fn line(&self, _origin: &Origin) -> Result<(), WebError> {
        self.clock.sleep(Duration::from_millis(120)).await;
        Ok(())
    }

    async fn send(&self, _line: (), request: Request) -> Result<Response, WebError> {
        let network = 2 + (self.clock.chance() * 10.0) as u64;
        self.clock.sleep(Duration::from_millis(network)).await;
        let (calls, _guard) = {
            let mut log = self.log.lock().unwrap();
            log.times.push(self.clock.elapsed());
            log.at_once += 1;
            log.most_at_once = log.most_at_once.max(log.at_once);
            log.requests.push(request.clone());
            let calls = log.calls.entry(format!("{}{}", request.method, request.target)).or_default();
            *calls += 1;
            (*calls, AtOnce(self.log.clone()))
        };
        self.clock.sleep(Duration::from_millis(20)).await;
        let response = |status| Response { status, body: br#"{"ok": true}"#.to_vec(), ..Response::default() };
        match (self.act)(&request, calls) {
            Act::Answer(status) => {
                if status < 300 {
                    self.effect(&request);
                }
                Ok(response(status))
            }
            Act::Slow(ms) => {
                self.clock.sleep(Duration::from_millis(ms.try_into().unwrap())).await;
                self.effect(&request);
                Ok(response(200))
            }
            Act::HangBefore => std::future::pending().await,
            Act::HangAfter => {
                self.effect(&request);
                std::future::pending().await
            }
            Act::After(status) => {
                self.effect(&request);
                Ok(response(status))
            }
            Act::Busy(status, told) => Ok(Response { retry_after: told.map(str::to_owned), ..response(status) }),
            Act::Drop => Err(WebError::Unsure("the connection broke".to_owned())),
            Act::Unreachable => Err(WebError::Unsent("connection refused".to_owned())),
        }
    }
}

/// Settings of the processor: these, beside a URL.
pub fn settings(more: Value) -> HttpSettings {
    let mut of = json!({"url": "https://api.example.com/orders/{id}", "rate": null});
    of.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    match Processing::parse(&json!({ "http": of }).to_string()).unwrap().work {
        Work::Http(settings) => *settings,
        other => panic!("{other:?}"),
    }
}

/// A chunk of records whose time is up after so many milliseconds.
pub fn chunk(clock: &Virtual, index: u32, records: u64, until: i64) -> Chunk {
    let now = clock.now();
    let record = |n: u64| {
        let mut fields = Map::new();
        fields.insert("id".to_owned(), json!(n));
        fields.insert("name".to_owned(), json!(format!("näme {n}")));
        Record { index: n, key: n.to_string(), fields, tried: Tried::default() }
    };
    let first = u64::from(index) * 10_000;
    Chunk {
        batch: BatchId::parse("orders-0123456789ab").unwrap(),
        index: ChunkIndex::new(index).unwrap(),
        attempt: 1,
        sequence: now,
        now,
        until: Timestamp(now.0 + until),
        deadline: Timestamp(now.0 + until + 15_000),
        records: (first..first + records).map(record).collect(),
    }
}

pub fn is_done(reply: &Reply) -> bool {
    matches!(reply, Reply::Done(_))
}
