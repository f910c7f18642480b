//! The request that tells a receiver that a report has ended: <https://www.standardwebhooks.com>.

use std::pin::pin;
use std::time::Duration;

use futures::future::{Either, select};
use serde_json::value::RawValue;

use crate::model::error::{Error, Result};
use crate::model::reporting::end::ReportEnd;
use crate::model::reporting::webhook::{Allowed, Hook};
use crate::model::timestamp::Timestamp;
use crate::store::Clock;
use crate::store::keyring::Keyring;
use crate::store::web::{Request, Response, Web, WebError};

/// How long a receiver may take.
const PATIENCE: Duration = Duration::from_secs(15);
/// How much of an answer is read, for the log.
const MOST: usize = 1_024;
/// The pauses before another try, in milliseconds: as long as it has been tried already, from the first to the longest.
const FIRST_PAUSE: i64 = 5_000;
const LONGEST_PAUSE: i64 = 6 * 3_600_000;
/// How long it is tried: less than a queue keeps a message.
const TRIED_FOR: i64 = 3 * 24 * 3_600_000;
/// The longest time for which a message can be put off
/// (<https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_ChangeMessageVisibility.html>), and some less.
const MOST_PUT_OFF: i64 = 11 * 3_600_000;

/// What sends requests to receivers.
#[derive(Debug)]
pub struct Hooks<W, G> {
    /// The client.
    pub web: W,
    /// Which addresses may be called.
    pub allowed: Allowed,
    /// Where the keys are that sign. They are asked for when they are needed: those who wait at a connection need none.
    pub keyring: G,
}

/// What came of a request.
#[derive(Debug, PartialEq)]
pub enum Called {
    /// The receiver has it, or wants none.
    Over(String),
    /// It may be sent again, after a pause in seconds if the receiver asked for one.
    Again(String, Option<i64>),
}

/// What a receiver is told, and what tells it from all else that it is told.
#[derive(Debug)]
pub struct Event {
    id: String,
    body: String,
}

impl Event {
    /// That a report has ended, with its document. However often that is told, its id is the same.
    ///
    /// # Errors
    /// `Internal` if the document is none.
    pub fn new(end: &ReportEnd, document: &str) -> Result<Self> {
        let unreadable = |e| Error::internal("the document of a report is not JSON").because(e);
        let data: &RawValue = serde_json::from_str(document).map_err(unreadable)?;
        let body = format!(r#"{{"type":"report.ended","timestamp":"{}","data":{data}}}"#, end.finished_at);
        // A full stop ends the id where it is signed.
        Ok(Self { id: format!("report-{}-{}", end.id, end.generation), body })
    }
}

impl<W: Web, G: Keyring> Hooks<W, G> {
    /// Sends an event once.
    pub async fn call(&self, hook: &Hook, event: &Event, clock: &impl Clock) -> Called {
        let keys = match self.keyring.keys().await {
            Ok(keys) => keys,
            Err(error) => return Called::Again(error.to_string(), None),
        };
        let seconds = clock.now().epoch_seconds();
        let headers = [
            ("content-type", "application/json".to_owned()),
            ("user-agent", "fanfold".to_owned()),
            ("webhook-id", event.id.clone()),
            ("webhook-timestamp", seconds.to_string()),
            ("webhook-signature", keys.sign(&event.id, seconds, &event.body)),
        ];
        let request = Request {
            origin: hook.origin.clone(),
            method: "POST".to_owned(),
            target: hook.target.clone(),
            headers: headers.map(|(name, value)| (name.to_owned(), value)).into(),
            body: event.body.clone(),
            most: MOST,
        };
        let sent = async {
            let line = self.web.line(&hook.origin).await?;
            self.web.send(line, request).await
        };
        match select(pin!(sent), pin!(clock.sleep(PATIENCE))).await {
            Either::Left((Ok(response), _)) => answered(&response),
            Either::Left((Err(WebError::Unsent(why) | WebError::Unsure(why)), _)) => Called::Again(why, None),
            Either::Right(_) => Called::Again(format!("no answer within {} s", PATIENCE.as_secs()), None),
        }
    }
}

fn answered(response: &Response) -> Called {
    let said = format!("the receiver answered {}", response.status);
    match response.status {
        200..=299 => Called::Over(said),
        // "I want no more of these", says the specification.
        410 => Called::Over(said),
        _ => Called::Again(said, response.retry_after.as_ref().and_then(|seconds| seconds.trim().parse().ok())),
    }
}

/// When to try again what was first tried at some time; `None` if it has been tried for long enough.
pub fn next(first: Timestamp, wanted: Option<i64>, clock: &impl Clock) -> Option<Timestamp> {
    let now = clock.now();
    let tried = now.0.saturating_sub(first.0);
    if tried >= TRIED_FOR {
        return None;
    }
    // Those that failed together come back apart.
    let pause = tried.clamp(FIRST_PAUSE, LONGEST_PAUSE) as f64 * (0.75 + clock.chance() / 2.0);
    let wanted = wanted.unwrap_or_default().clamp(0, MOST_PUT_OFF / 1_000) * 1_000;
    Some(Timestamp(now.0 + (pause as i64).max(wanted)))
}
