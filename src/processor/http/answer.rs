//! What a response says of a record.

use std::time::Duration;

use serde::Serialize;
use serde_json::value::{RawValue, to_raw_value};

use crate::model::processing::http::{Class, HttpSettings, Secrets};
use crate::model::timestamp::Timestamp;
use crate::processor::{MAX_RESULT_BYTES, Reply};
use crate::store::web::Response;

/// The most of a response's body that is read, and kept as a result.
pub const BODY_BYTES: usize = 4096;
/// The most of a response's body that stands in a reason.
const EXCERPT: usize = 200;
/// However long an API asks to be left alone, it is asked again after that.
const LONGEST_HOLD: i64 = 3_600_000;

/// What a response says of a record.
pub enum Answer {
    /// Its reply.
    Reply(Reply),
    /// The record is to be sent again: the API asks for fewer calls, until then if it says so.
    Busy(Option<Timestamp>),
    /// The record was looked up, and was not sent yet.
    Absent,
}

/// What is known of a record whose response is judged.
#[derive(Debug, Clone, Copy)]
pub struct Asked {
    /// Whether it was looked up, and not sent.
    pub look_up: bool,
    /// Whether an earlier try may have had its effect.
    pub unsure: bool,
}

#[derive(Serialize)]
struct Kept<'a> {
    status: u16,
    #[serde(skip_serializing_if = "Option::is_none")]
    body: Option<&'a RawValue>,
}

/// Judges a response.
pub fn judged(settings: &HttpSettings, secrets: &Secrets, asked: Asked, response: &Response, now: Timestamp) -> Answer {
    let class = settings.statuses.class(response.status, response.retry_after.is_some());
    let found = settings.look_up.as_ref().filter(|_| asked.look_up).map(|look_up| look_up.found(response.status));
    match (found, class) {
        (Some(Some(true)), _) | (None, Class::Succeeded) => Answer::Reply(Reply::Done(result(secrets, response))),
        (Some(Some(false)), _) => Answer::Absent,
        (_, Class::Busy) => Answer::Busy(response.retry_after.as_ref().and_then(|told| moment(told, now))),
        (Some(None), _) => {
            let reason = format!("{UNKNOWN}: its look-up said {}", said(secrets, response));
            Answer::Reply(Reply::Temporary { reason, unsure: true })
        }
        (None, Class::Permanent) => {
            let doubt = if asked.unsure { "; an earlier try may have had its effect" } else { "" };
            Answer::Reply(Reply::Failed(format!("the API answered {}{doubt}", said(secrets, response))))
        }
        (None, Class::Temporary) => {
            let answered = format!("the API answered {}", said(secrets, response));
            // It gave up midway, or a gateway before it did: 501 and 503 are said before anything is done.
            let unsure = matches!(response.status, 500..=599) && !matches!(response.status, 501 | 503);
            let reason = if unsure { format!("{UNKNOWN}: {answered}") } else { answered };
            Answer::Reply(Reply::Temporary { reason, unsure: unsure || asked.unsure })
        }
    }
}

/// How the reason of a record begins that may have been worked on.
pub const UNKNOWN: &str = "the outcome is unknown";

/// The status, and the beginning of the body in one line.
pub fn said(secrets: &Secrets, response: &Response) -> String {
    let text = secrets.hide(&String::from_utf8_lossy(&response.body));
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    let mut excerpt: String = line.chars().filter(|c| !c.is_control()).take(EXCERPT).collect();
    if excerpt.len() < line.len() {
        excerpt.push('…');
    }
    let status = response.status;
    if excerpt.is_empty() { status.to_string() } else { format!("{status}: {excerpt}") }
}

/// The result that is kept: the status, and the body as JSON if it is that and whole, else as text.
fn result(secrets: &Secrets, response: &Response) -> Option<Box<RawValue>> {
    let text = secrets.hide(&String::from_utf8_lossy(&response.body));
    let body = if text.is_empty() { None } else { Some(body(&text, response.cut)?) };
    to_raw_value(&Kept { status: response.status, body: body.as_deref() }).ok()
}

fn body(text: &str, cut: bool) -> Option<Box<RawValue>> {
    let json = (!cut).then(|| serde_json::from_str::<&RawValue>(text).ok()).flatten();
    if let Some(json) = json {
        // Without line ends, so that it fits into a line of the outputs.
        return Some(serde_json::from_str::<serde_json::Value>(json.get()).ok().and_then(|v| to_raw_value(&v).ok())?)
            .filter(fits);
    }
    // Text grows when it is escaped.
    let mut kept = text;
    loop {
        let quoted = to_raw_value(kept).ok()?;
        if fits(&quoted) {
            return Some(quoted);
        }
        let half = kept.len() / 2;
        kept = &kept[..(0..=half).rev().find(|at| kept.is_char_boundary(*at)).unwrap_or_default()];
    }
}

#[allow(clippy::borrowed_box, reason = "what Option::filter passes")]
fn fits(json: &Box<RawValue>) -> bool {
    json.get().len() + 64 <= MAX_RESULT_BYTES
}

/// The moment that `Retry-After` names: seconds from now, or a date
/// (<https://www.rfc-editor.org/rfc/rfc9110#field.retry-after>).
pub fn moment(told: &str, now: Timestamp) -> Option<Timestamp> {
    let told = told.trim();
    let until = match told.parse::<u32>() {
        Ok(seconds) => now.plus_seconds(i64::from(seconds)),
        Err(_) => Timestamp(jiff::fmt::rfc2822::parse(told).ok()?.timestamp().as_millisecond()),
    };
    Some(until.clamp(now, Timestamp(now.0 + LONGEST_HOLD)))
}

/// How long an API is left alone that does not say for how long it wants to be.
pub fn pause(refused: u32) -> Duration {
    Duration::from_secs(1 << refused.min(5))
}
