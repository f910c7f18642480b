//! Forms by which a browser uploads a file without credentials of its own: a presigned POST.
//!
//! The SDK for Rust makes none, so the policy is written and signed here as S3 says, by the crate that the SDK signs with:
//! <https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-HTTPPOSTConstructPolicy.html>,
//! <https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-authentication-HTTPPOST.html>.

use std::collections::BTreeMap;
use std::time::{Duration, UNIX_EPOCH};

use aws_credential_types::provider::ProvideCredentials;
use aws_sigv4::sign::v4::{calculate_signature, generate_signing_key};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use crate::clients::Clients;
use fanfold::model::error::{Error, Result};
use fanfold::model::timestamp::Timestamp;

/// The largest object that one POST uploads: 5 GiB.
/// <https://docs.aws.amazon.com/AmazonS3/latest/API/RESTObjectPOST.html>
pub const MOST_BYTES: u64 = 5 * 1024 * 1024 * 1024;

/// A form that uploads one object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Form {
    /// Where it is sent to.
    pub url: String,
    /// Its fields; the file follows them as `file`.
    pub fields: BTreeMap<String, String>,
    /// Until when it is accepted.
    pub expires_at: Timestamp,
}

/// Makes a form for one object of exactly that key and size.
///
/// # Errors
/// `Config` if there are no credentials or no region, `Malformed` if the object is too large for a form.
pub async fn form(
    clients: &Clients,
    bucket: &str,
    key: &str,
    bytes: u64,
    now: Timestamp,
    valid: Duration,
) -> Result<Form> {
    if bytes > MOST_BYTES {
        return Err(Error::malformed(format!(
            "a form uploads 5 GiB at most, and this file has {bytes} bytes; use `fanfold submit`"
        )));
    }
    let config = &clients.config;
    let provider = config.credentials_provider().ok_or_else(|| Error::config("there are no AWS credentials"))?;
    let provided = provider.provide_credentials().await;
    let credentials = provided.map_err(|e| Error::config("there are no AWS credentials").because(e))?;
    let region = region(clients)?;
    let expires_at = Timestamp(now.0 + valid.as_millis() as i64);
    let (stamp, day) = stamps(now);
    let mut fields = BTreeMap::from([
        ("key".to_owned(), key.to_owned()),
        ("x-amz-algorithm".to_owned(), "AWS4-HMAC-SHA256".to_owned()),
        ("x-amz-credential".to_owned(), format!("{}/{day}/{region}/s3/aws4_request", credentials.access_key_id())),
        ("x-amz-date".to_owned(), stamp),
        ("success_action_status".to_owned(), "201".to_owned()),
    ]);
    if let Some(token) = credentials.session_token() {
        fields.insert("x-amz-security-token".to_owned(), token.to_owned());
    }
    let policy = STANDARD.encode(policy(bucket, &fields, bytes, expires_at).to_string());
    let at = UNIX_EPOCH + Duration::from_millis(now.0.max(0) as u64);
    let key_of_day = generate_signing_key(credentials.secret_access_key(), at, region, "s3");
    let signature = calculate_signature(key_of_day, policy.as_bytes());
    fields.extend([("policy".to_owned(), policy), ("x-amz-signature".to_owned(), signature)]);
    let url = match config.endpoint_url() {
        // An emulator is reached under one host name, so that the bucket must be in the path.
        Some(_) => format!("{}/{bucket}", origin(clients, bucket)?),
        None => origin(clients, bucket)?,
    };
    Ok(Form { url, fields, expires_at })
}

/// The origin of the address that a bucket's forms are sent to.
///
/// # Errors
/// `Config` if there is no region.
pub fn origin(clients: &Clients, bucket: &str) -> Result<String> {
    if let Some(endpoint) = clients.config.endpoint_url() {
        return Ok(endpoint.trim_end_matches('/').to_owned());
    }
    let region = region(clients)?;
    Ok(format!("https://{bucket}.s3.{region}.{}", domain(region)))
}

fn region(clients: &Clients) -> Result<&str> {
    let region = clients.config.region().map(AsRef::as_ref);
    region.ok_or_else(|| Error::config("no AWS region is set; set AWS_REGION"))
}

/// What a form may send: its fields as they are, and a file of that size.
fn policy(bucket: &str, fields: &BTreeMap<String, String>, bytes: u64, expires_at: Timestamp) -> Value {
    let given = fields.iter().map(|(name, value)| json!({ (name): value }));
    let conditions: Vec<Value> =
        given.chain([json!({ "bucket": bucket }), json!(["content-length-range", bytes, bytes])]).collect();
    json!({ "expiration": expires_at.to_string(), "conditions": conditions })
}

/// The domain of a region's endpoints: <https://docs.aws.amazon.com/general/latest/gr/s3.html>
fn domain(region: &str) -> &'static str {
    if region.starts_with("cn-") { "amazonaws.com.cn" } else { "amazonaws.com" }
}

/// A time as signatures have it, and its day.
fn stamps(at: Timestamp) -> (String, String) {
    // 2026-11-27T04:13:13.855Z
    let text = at.to_string();
    let plain: String = text.chars().take(19).filter(char::is_ascii_alphanumeric).collect();
    let day = plain.chars().take(8).collect();
    (format!("{plain}Z"), day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_policy_allows_what_the_form_has_and_nothing_else() {
        let fields = BTreeMap::from([("key".to_owned(), "in/a b.csv".to_owned())]);
        let policy = policy("orders", &fields, 12, Timestamp(1_700_000_000_000));
        assert_eq!(
            policy,
            json!({"expiration": "2023-11-14T22:13:20.000Z", "conditions": [
                {"key": "in/a b.csv"}, {"bucket": "orders"}, ["content-length-range", 12, 12],
            ]})
        );
        let stamps = stamps(Timestamp(1_700_000_000_000));
        assert_eq!(stamps, ("20231114T221320Z".to_owned(), "20231114".to_owned()));
        assert_eq!((domain("eu-west-1"), domain("cn-north-1")), ("amazonaws.com", "amazonaws.com.cn"));
    }
}
