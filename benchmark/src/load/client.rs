//! A client of the API, which signs its requests or has a key.

use std::time::{Duration, UNIX_EPOCH};

use aws_sigv4::http_request::{SignableBody, SignableRequest, SigningSettings, sign};
use aws_sigv4::sign::v4;
use fanfold::model::error::{Error, Result};
use fanfold::store::Clock;
use fanfold::store::clock::SystemClock;
use fanfold::store::web::{Origin, Request, Web};
use fanfold_http::HttpWeb;

/// How long an answer may take. An HTTP API gives up before
/// (<https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-quotas.html>).
const PATIENCE: Duration = Duration::from_secs(35);
/// As much of an answer as is read.
const MOST: usize = 64 * 1024;

/// What became of a request.
#[derive(Debug, Clone, Copy)]
pub struct Sent {
    /// The status of its answer; 0 if there was none.
    pub status: u16,
    /// When the answer was there, after its arrival.
    pub answered: Duration,
    /// When its status had ended, if it was watched.
    pub visible: Option<Duration>,
    /// How long the answer with that status took, and one with the record.
    pub looked: Option<Looked>,
}

/// How long it takes to look at a record that was sent.
#[derive(Debug, Clone, Copy)]
pub struct Looked {
    /// `GET /status/{id}`.
    pub status: Duration,
    /// `GET /records/{key}`.
    pub record: Duration,
}

/// How requests are let in.
enum Credentials {
    Key(String),
    Signed { id: String, secret: String, token: Option<String>, region: String },
}

/// A client of one API.
pub struct Client {
    web: HttpWeb,
    origin: Origin,
    /// What paths begin with.
    base: String,
    url: String,
    credentials: Credentials,
}

impl Client {
    /// A client of the API at this URL, which asks for a key or for signatures.
    ///
    /// # Errors
    /// `Config` if there is no key, or nothing to sign with.
    pub fn new(url: &str, keyed: bool, key: Option<String>) -> Result<Self> {
        let url = url.trim_end_matches('/');
        let (origin, base) = Origin::parse(url).map_err(|e| Error::config(format!("{url}: {e}")))?;
        let given = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
        let need = |name: &str| {
            given(name).ok_or_else(|| Error::config(format!("{name} is not set: requests are signed with it")))
        };
        let credentials = if keyed {
            Credentials::Key(key.ok_or_else(|| Error::config("the API asks for a key: give it as FANFOLD_API_KEY"))?)
        } else {
            Credentials::Signed {
                id: need("AWS_ACCESS_KEY_ID")?,
                secret: need("AWS_SECRET_ACCESS_KEY")?,
                token: given("AWS_SESSION_TOKEN"),
                region: need("AWS_REGION")?,
            }
        };
        Ok(Self { web: HttpWeb::new(), origin, base: base.to_owned(), url: url.to_owned(), credentials })
    }

    /// Sends a request; status and body of its answer, or status 0 if there is none.
    pub async fn ask(&self, method: &str, path: &str, body: String) -> (u16, Vec<u8>) {
        let Ok(headers) = self.headers(method, path, &body) else {
            return (0, Vec::new());
        };
        let (origin, target) = (self.origin.clone(), format!("{}{path}", self.base));
        let request = Request { origin, method: method.to_owned(), target, headers, body, most: MOST };
        let answer = async {
            let line = self.web.line(&self.origin).await.ok()?;
            self.web.send(line, request).await.ok()
        };
        match tokio::time::timeout(PATIENCE, answer).await {
            Ok(Some(response)) => (response.status, response.body),
            Ok(None) | Err(_) => (0, Vec::new()),
        }
    }

    fn headers(&self, method: &str, path: &str, body: &str) -> Result<Vec<(String, String)>> {
        let mut headers = vec![("content-type".to_owned(), "application/json".to_owned())];
        match &self.credentials {
            Credentials::Key(key) => headers.push(("x-api-key".to_owned(), key.clone())),
            Credentials::Signed { id, secret, token, region } => {
                let wrong = |what: String| Error::internal(format!("a request could not be signed: {what}"));
                let identity =
                    aws_credential_types::Credentials::new(id, secret, token.clone(), None, "environment").into();
                let now = UNIX_EPOCH + Duration::from_millis(SystemClock.now().0.unsigned_abs());
                let params = v4::SigningParams::builder()
                    .identity(&identity)
                    .region(region)
                    .name("execute-api")
                    .time(now)
                    .settings(SigningSettings::default())
                    .build();
                let params = params.map_err(|e| wrong(e.to_string()))?.into();
                let url = format!("{}{path}", self.url);
                let bytes = SignableBody::Bytes(body.as_bytes());
                let request = SignableRequest::new(method, url, std::iter::empty(), bytes);
                let request = request.map_err(|e| wrong(e.to_string()))?;
                let (signed, _) = sign(request, &params).map_err(|e| wrong(e.to_string()))?.into_parts();
                headers.extend(signed.headers().map(|(name, value)| (name.to_owned(), value.to_owned())));
            }
        }
        Ok(headers)
    }
}
