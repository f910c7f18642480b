//! Secrets: parameters of Systems Manager and secrets of Secrets Manager, read once at the start of a function.
//!
//! Without their SDK crates: aws-sdk-ssm, with all of its 146 operations, takes 175 s of a processor to build, more than
//! everything else that the functions are made of, and aws-sdk-secretsmanager 24 s, and one request of each is needed. Both
//! speak AWS JSON 1.1 (<https://smithy.io/2.0/aws/protocols/aws-json-1_1-protocol.html>): a POST, signed by the crate that
//! the SDK signs with. A parameter is asked for with its decryption
//! (<https://docs.aws.amazon.com/systems-manager/latest/APIReference/API_GetParameter.html>), a secret for its current version
//! (<https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_GetSecretValue.html>).

use std::collections::BTreeMap;
use std::time::Duration;

use aws_config::SdkConfig;
use aws_credential_types::Credentials;
use futures::stream::{self, StreamExt, TryStreamExt};
use serde_json::{Value, json};

use crate::clients;
use crate::error::is_busy;
use crate::signed::{self, Signer};
use fanfold::model::error::{Error, ErrorKind, Result};
use fanfold::model::processing::http::{Keeper, Origin, SecretSource, Secrets};
use fanfold::store::Clock;
use fanfold::store::web::{Request, Response, Web, WebError};

/// A secret has at most 64 KiB, and grows when it is escaped
/// (<https://docs.aws.amazon.com/secretsmanager/latest/userguide/reference_limits.html>).
const MOST: usize = 512 * 1024;
/// Secrets that are read at once.
const READS: usize = 4;
const TRIES: u32 = 4;
const PAUSE: Duration = Duration::from_millis(200);
const TIMEOUT: Duration = Duration::from_secs(5);

/// Reads secrets with the function's own credentials; `AWS_ENDPOINT_URL` names an emulator.
///
/// # Errors
/// Of the first that cannot be read: `Config` if it is not there or has another form, `Denied` if the role may not read it or
/// decrypt it, and `Transient`. No message holds a secret.
pub async fn read_from_env(
    web: &impl Web,
    clock: &impl Clock,
    sources: &BTreeMap<String, SecretSource>,
) -> Result<Secrets> {
    if sources.is_empty() {
        return Ok(Secrets::default());
    }
    read(&clients::loader().load().await, web, clock, sources).await
}

/// The same with a configuration of the SDK: its credentials and its endpoint count.
///
/// # Errors
/// As of [`read_from_env`].
pub async fn read(
    config: &SdkConfig,
    web: &impl Web,
    clock: &impl Clock,
    sources: &BTreeMap<String, SecretSource>,
) -> Result<Secrets> {
    let credentials = signed::credentials(config).await?;
    let reads = sources.iter().map(|(name, source)| {
        let reader = Reader { web, clock, credentials: &credentials, endpoint: config.endpoint_url(), source };
        async move { Ok((name.clone(), reader.value(name).await?)) }
    });
    // As a list, whose type says nothing of how it was made: the future may be sent.
    let reads: Vec<_> = reads.collect();
    let values: Vec<(String, String)> = stream::iter(reads).buffered(READS).try_collect().await?;
    Ok(Secrets::new(values))
}

struct Reader<'a, W, K> {
    web: &'a W,
    clock: &'a K,
    credentials: &'a Credentials,
    endpoint: Option<&'a str>,
    source: &'a SecretSource,
}

impl<W: Web, K: Clock> Reader<'_, W, K> {
    /// The value of a secret, tried a few times.
    async fn value(&self, name: &str) -> Result<String> {
        let mut pause = PAUSE;
        for _ in 1..TRIES {
            match self.once(name).await {
                Err(error) if matches!(error.kind, ErrorKind::Transient | ErrorKind::Busy) => {
                    self.clock.sleep(pause.mul_f64(0.5 + self.clock.chance())).await;
                    pause *= 2;
                }
                known => return known,
            }
        }
        self.once(name).await
    }

    async fn once(&self, name: &str) -> Result<String> {
        let request = self.request()?;
        let answer = tokio::time::timeout(TIMEOUT, async {
            let line = self.web.line(&request.origin).await?;
            self.web.send(line, request).await
        });
        let place = &self.source.arn;
        let response = match answer.await {
            Ok(Ok(response)) => response,
            Ok(Err(WebError::Unsent(reason) | WebError::Unsure(reason))) => {
                return Err(Error::transient(format!("could not read the secret {name}, {place}: {reason}")));
            }
            Err(_) => return Err(Error::transient(format!("could not read the secret {name}, {place}: no answer"))),
        };
        let refused = |kind, said: &str| Err(Error::new(kind, format!("the secret {name}, {place}, {said}")));
        if response.status != 200 {
            let (kind, said) = refusal(&response);
            return refused(kind, &format!("cannot be read: {said}"));
        }
        let Some(text) = text_of(self.source.keeper, &response.body) else {
            return refused(ErrorKind::Config, "is no text");
        };
        match self.source.member.as_ref().map(|member| member_of(&text, member)) {
            None => Ok(text),
            Some(Some(value)) => Ok(value),
            Some(None) => refused(ErrorKind::Config, "is no JSON object that has a text or number of the name after #"),
        }
    }

    /// The signed request.
    fn request(&self) -> Result<Request> {
        let (service, target, body) = match self.source.keeper {
            // By its ARN: the name alone would not say whether it begins with a slash.
            Keeper::Ssm => ("ssm", "AmazonSSM.GetParameter", json!({"Name": self.source.arn, "WithDecryption": true})),
            Keeper::SecretsManager => {
                ("secretsmanager", "secretsmanager.GetSecretValue", json!({"SecretId": self.source.arn}))
            }
        };
        let url = match self.endpoint {
            Some(endpoint) => endpoint.trim_end_matches('/').to_owned(),
            None => format!("https://{service}.{}.{}", self.source.region, suffix(&self.source.arn)),
        };
        let (origin, path) = Origin::parse(&url).map_err(|e| Error::config(format!("the endpoint {url}: {e}")))?;
        let path = if path.is_empty() { "/" } else { path };
        let body = body.to_string();
        let mut headers = vec![
            ("Content-Type".to_owned(), "application/x-amz-json-1.1".to_owned()),
            ("X-Amz-Target".to_owned(), target.to_owned()),
        ];
        let signer =
            Signer { credentials: self.credentials, region: &self.source.region, service, at: self.clock.now() };
        let url = format!("{url}{}", if url.ends_with(path) { "" } else { path });
        headers.extend(signer.headers(&url, &headers, &body)?);
        Ok(Request { origin, method: "POST".to_owned(), target: path.to_owned(), headers, body, most: MOST })
    }
}

/// What the names of hosts end with in the partition of an ARN
/// (<https://docs.aws.amazon.com/general/latest/gr/rande.html>).
fn suffix(arn: &str) -> &'static str {
    if arn.starts_with("arn:aws-cn:") { "amazonaws.com.cn" } else { "amazonaws.com" }
}

/// What the caller must do about an error, and the words of the service, which hold no secret.
fn refusal(response: &Response) -> (ErrorKind, String) {
    let body: Value = serde_json::from_slice(&response.body).unwrap_or_default();
    let text = |names: [&str; 2]| names.iter().find_map(|name| body[name].as_str()).unwrap_or_default().to_owned();
    let code = text(["__type", "code"]);
    let code = code.rsplit('#').next().unwrap_or_default();
    let kind = match code {
        "AccessDeniedException" => ErrorKind::Denied,
        // Of Secrets Manager, whose role may not use the key; SSM says so as one that is denied.
        "DecryptionFailure" => ErrorKind::Denied,
        code if is_busy(code) => ErrorKind::Busy,
        _ if response.status >= 500 => ErrorKind::Transient,
        _ => ErrorKind::Config,
    };
    let status = response.status;
    (
        kind,
        format!("{} ({status})", [code.to_owned(), text(["message", "Message"])].join(": ").trim_matches([':', ' '])),
    )
}

fn text_of(keeper: Keeper, body: &[u8]) -> Option<String> {
    let body: Value = serde_json::from_slice(body).ok()?;
    let text = match keeper {
        Keeper::Ssm => &body["Parameter"]["Value"],
        Keeper::SecretsManager => &body["SecretString"],
    };
    text.as_str().map(str::to_owned)
}

fn member_of(text: &str, member: &str) -> Option<String> {
    match serde_json::from_str::<Value>(text).ok()?.get(member)? {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}
