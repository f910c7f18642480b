//! Uploads: a form by which a browser sends a file to the bucket itself.

use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::extract::rejection::JsonRejection;
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use serde::Deserialize;
use serde_json::json;

use crate::desk::Desk;
use crate::problem::{Problem, Result};
use fanfold::store::Clock;
use fanfold::store::clock::SystemClock;
use fanfold_aws::form::form;

/// How long an upload may take to begin.
const VALID: Duration = Duration::from_secs(600);
/// The longest key of S3: <https://docs.aws.amazon.com/AmazonS3/latest/userguide/object-keys.html>
const LONGEST_KEY: usize = 1024;

/// A file that is to be uploaded.
#[derive(Debug, Deserialize)]
pub struct Announced {
    pipeline: String,
    key: String,
    bytes: u64,
}

pub async fn begin(
    State(desk): State<Arc<Desk>>,
    headers: HeaderMap,
    announced: std::result::Result<Json<Announced>, JsonRejection>,
) -> Result<Response> {
    let Json(Announced { pipeline: name, key, bytes }) =
        announced.map_err(|e| Problem::new(e.status(), format!("give pipeline, key and bytes as JSON: {e}")))?;
    let pipeline = desk.pipelines.named(&name)?;
    if key.is_empty() || key.len() > LONGEST_KEY {
        return Err(Problem::bad("a key has 1 to 1,024 bytes"));
    }
    if !pipeline.resources.announces(&key) {
        let parameters = &pipeline.resources.parameters;
        return Err(Problem::bad(format!(
            "pipeline {name} takes keys that begin with {:?} and end with {:?}; {key:?} would stay where it is",
            parameters.input_prefix, parameters.input_suffix
        )));
    }
    let asked = format!("upload {name} {key} {bytes}");
    let action = async {
        let bucket = &pipeline.resources.input_bucket;
        let form = form(&pipeline.clients, bucket, &key, bytes, SystemClock.now(), VALID).await?;
        let upload = json!({ "url": form.url, "fields": form.fields });
        let body = json!({ "pipeline": name, "key": key, "upload": upload, "expiresAt": form.expires_at });
        Ok((StatusCode::CREATED, body))
    };
    // The form is a secret for as long as it is valid, and another process may make another one: nothing is changed by that.
    desk.once.run(&headers, asked, None, action).await
}
