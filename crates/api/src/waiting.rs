//! How a client waits for a document: not at all, or until it changes, or until its end.

use std::sync::Arc;
use std::time::Duration;

use axum::http::header::{CONTENT_TYPE, ETAG, IF_NONE_MATCH, RETRY_AFTER};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};

use crate::problem::{Problem, Result};
use crate::watching::{Document, Following};
use fanfold::model::error::Error;
use fanfold::store::Clock;
use fanfold::store::clock::SystemClock;

/// The longest that a client is kept waiting: an HTTP API gives a function up after 30 seconds
/// (<https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-quotas.html>).
const LONGEST_WAIT: Duration = Duration::from_secs(25);
/// The same where each request that waits holds a function of its own: the account's functions are shared by all pipelines
/// (<https://docs.aws.amazon.com/lambda/latest/dg/lambda-concurrency.html>).
const LONGEST_WAIT_OF_A_FUNCTION: Duration = Duration::from_secs(2);

/// What a client asks for, besides the document.
#[derive(Debug)]
pub struct Asked<'a> {
    headers: &'a HeaderMap,
    /// How long it may be kept waiting, and whether that is a preference.
    wait: Option<(Duration, bool)>,
}

impl<'a> Asked<'a> {
    /// Reads the parameter `wait` and the headers. Where answers do not stream, each request that waits holds a function.
    pub fn of(wait: Option<&str>, headers: &'a HeaderMap, streams: bool) -> Result<Self> {
        let longest = if streams { LONGEST_WAIT } else { LONGEST_WAIT_OF_A_FUNCTION };
        Ok(Self { headers, wait: wait_of(wait, headers, longest)? })
    }

    /// Whether it waits.
    pub fn waits(&self) -> bool {
        self.wait.is_some()
    }

    /// Waits until the document changes for who knows how it was, and until it is closed for others.
    pub async fn until(&self, mut following: Following) -> Result<Option<Arc<Document>>> {
        let (wait, knows) = (self.wait.unwrap_or_default().0, self.headers.contains_key(IF_NONE_MATCH));
        let wanted = |document: &Document| document.is_final || knows && !is_known(self.headers, &document.tag);
        following.until(wait, LONGEST_WAIT, wanted).await
    }

    /// The answer: the document, or that the client has it.
    pub fn answer(&self, found: &Document) -> Result<Response> {
        let mut answer = if is_known(self.headers, &found.tag) {
            StatusCode::NOT_MODIFIED.into_response()
        } else {
            ([(CONTENT_TYPE, "application/json")], found.text.clone()).into_response()
        };
        // Weak, since texts of one tag may differ in when they were so.
        let mut said = vec![(ETAG, format!("W/\"{}\"", found.tag))];
        said.extend(found.again_in.map(|seconds| (RETRY_AFTER, spread(seconds, SystemClock.chance()).to_string())));
        if let Some((wait, true)) = self.wait {
            said.push((HeaderName::from_static("preference-applied"), format!("wait={}", wait.as_secs())));
        }
        for (name, value) in said {
            let value = HeaderValue::from_str(&value);
            let value = value.map_err(|e| Error::internal("a header cannot be sent").because(e))?;
            answer.headers_mut().insert(name, value);
        }
        Ok(answer)
    }
}

/// Up to a quarter more, by a chance from 0 to 1, so that those who wait for the same do not all come back in the same second.
fn spread(seconds: u64, chance: f64) -> u64 {
    seconds + (seconds as f64 / 4.0 * chance) as u64
}

/// How long whoever asks is kept waiting, at most for `longest`, and whether that was a preference.
fn wait_of(wait: Option<&str>, headers: &HeaderMap, longest: Duration) -> Result<Option<(Duration, bool)>> {
    let limited = |seconds| Duration::from_secs(seconds).min(longest);
    if let Some(text) = wait {
        let seconds: u64 =
            text.parse().map_err(|_| Problem::bad("`wait` is a whole number of seconds, as in wait=20"))?;
        return Ok(Some((limited(seconds), false)));
    }
    // https://www.rfc-editor.org/rfc/rfc7240#section-2
    let preferences = headers.get_all("prefer").iter().filter_map(|value| value.to_str().ok());
    let seconds = preferences.flat_map(|value| value.split(',')).find_map(|one| {
        let (name, value) = one.split(';').next()?.split_once('=')?;
        name.trim().eq_ignore_ascii_case("wait").then(|| value.trim().trim_matches('"').parse::<u64>().ok())?
    });
    Ok(seconds.map(|seconds| (limited(seconds), true)))
}

/// Whether a client that names these documents has this one
/// (<https://www.rfc-editor.org/rfc/rfc9110#name-if-none-match>).
fn is_known(headers: &HeaderMap, tag: &str) -> bool {
    let named = headers.get_all(IF_NONE_MATCH).iter().filter_map(|value| value.to_str().ok());
    named
        .flat_map(|value| value.split(','))
        .map(str::trim)
        .any(|one| one == "*" || one.strip_prefix("W/").unwrap_or(one).trim_matches('"') == tag)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clients_come_back_at_different_times_and_none_too_early() {
        for (seconds, latest) in [(2, 2), (8, 9), (30, 37)] {
            let told: Vec<u64> = (0..100).map(|n| spread(seconds, f64::from(n) / 100.0)).collect();
            assert_eq!((told[0], told.iter().max()), (seconds, Some(&latest)));
            assert!(told.is_sorted());
        }
    }
}
