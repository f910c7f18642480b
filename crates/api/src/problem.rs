//! Errors as problem details: <https://www.rfc-editor.org/rfc/rfc9457>.

use axum::http::header::{CONTENT_TYPE, RETRY_AFTER};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

use fanfold::model::error::{Error, ErrorKind};

/// Why a request was not carried out, and what to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    pub status: StatusCode,
    pub detail: String,
}

pub type Result<T> = std::result::Result<T, Problem>;

impl Problem {
    pub fn new(status: StatusCode, detail: impl Into<String>) -> Self {
        Self { status, detail: detail.into() }
    }

    pub fn missing(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, detail)
    }

    pub fn bad(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, detail)
    }

    /// Its members. Without a type of its own, a problem is what its status says.
    pub fn members(&self) -> Value {
        let title = self.status.canonical_reason().unwrap_or("Error");
        json!({ "type": "about:blank", "title": title, "status": self.status.as_u16(), "detail": self.detail })
    }
}

impl From<Error> for Problem {
    fn from(error: Error) -> Self {
        let status = match error.kind {
            ErrorKind::Transient | ErrorKind::Busy => StatusCode::SERVICE_UNAVAILABLE,
            ErrorKind::Conflict => StatusCode::CONFLICT,
            ErrorKind::Missing => StatusCode::NOT_FOUND,
            ErrorKind::Malformed => StatusCode::BAD_REQUEST,
            ErrorKind::Denied => StatusCode::FORBIDDEN,
            ErrorKind::Config | ErrorKind::Internal => StatusCode::INTERNAL_SERVER_ERROR,
        };
        Self::new(status, error.to_string())
    }
}

/// For those who ask for no answer over HTTP.
impl From<Problem> for Error {
    fn from(problem: Problem) -> Self {
        let kind = match problem.status {
            StatusCode::SERVICE_UNAVAILABLE => ErrorKind::Transient,
            StatusCode::NOT_FOUND => ErrorKind::Missing,
            StatusCode::FORBIDDEN => ErrorKind::Denied,
            _ => ErrorKind::Internal,
        };
        Self::new(kind, problem.detail)
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let mut response = (self.status, self.members().to_string()).into_response();
        let status = self.status;
        response.extensions_mut().insert(self);
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        if status == StatusCode::SERVICE_UNAVAILABLE {
            headers.insert(RETRY_AFTER, HeaderValue::from_static("2"));
        }
        response
    }
}

/// Tells those who do not operate the system that something is wrong with it, without what it is made of; that is in the log.
pub async fn without_names(response: Response) -> Response {
    match response.extensions().get::<Problem>() {
        Some(problem) if hides(problem) => told_without_names(problem.clone()).into_response(),
        _ => response,
    }
}

fn hides(problem: &Problem) -> bool {
    problem.status.is_server_error() || problem.status == StatusCode::FORBIDDEN
}

/// The same of one problem.
pub fn told_without_names(problem: Problem) -> Problem {
    if !hides(&problem) {
        return problem;
    }
    let Problem { status, detail } = problem;
    tracing::error!(%status, detail, "request not answered");
    let status = if status == StatusCode::FORBIDDEN { StatusCode::INTERNAL_SERVER_ERROR } else { status };
    let told = "the service cannot answer this now; ask again, and tell its operator if that does not help";
    Problem::new(status, told)
}

pub async fn no_such_route() -> Problem {
    Problem::missing("there is nothing at this path; the list of batches is at /batches, the page at /")
}

pub async fn no_such_method() -> Problem {
    Problem::new(StatusCode::METHOD_NOT_ALLOWED, "this path takes another method")
}
