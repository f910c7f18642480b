//! The contract of `Function`.

use std::time::Duration;

use bytes::Bytes;
use serde_json::{Value, json};

use crate::model::error::ErrorKind;
use crate::store::function::{CallError, Function};

const PATIENCE: Duration = Duration::from_secs(20);

/// Checks that four functions keep their contract: one that answers with what it is given, one that raises an error,
/// one that does not exist, and one that takes longer than two seconds.
///
/// # Panics
/// If they do not.
pub async fn all(echo: &impl Function, raising: &impl Function, missing: &impl Function, slow: &impl Function) {
    a_payload_comes_back(echo).await;
    a_failure_is_an_answer(raising).await;
    let refused = missing.invoke(Bytes::from_static(b"{}"), PATIENCE).await.unwrap_err();
    assert!(matches!(&refused, CallError::Refused(error) if error.kind == ErrorKind::Missing), "{refused:?}");
    let unknown = slow.invoke(Bytes::from_static(b"{}"), Duration::from_secs(1)).await.unwrap_err();
    assert!(matches!(unknown, CallError::Unknown(_)), "{unknown:?}");
}

async fn a_payload_comes_back(echo: &impl Function) {
    for payload in [json!({"für": "<&", "n": 1}), json!([]), json!(null), json!({"large": "x".repeat(1 << 20)})] {
        let returned = echo.invoke(payload.to_string().into(), PATIENCE).await.unwrap();
        assert_eq!(returned.error, None);
        assert_eq!(serde_json::from_slice::<Value>(&returned.payload).unwrap(), payload);
    }
}

async fn a_failure_is_an_answer(raising: &impl Function) {
    let returned = raising.invoke(Bytes::from_static(b"{}"), PATIENCE).await.unwrap();
    assert!(returned.error.is_some());
    let payload: Value = serde_json::from_slice(&returned.payload).unwrap();
    assert!(payload["errorMessage"].is_string() && payload["errorType"].is_string(), "{payload}");
}
