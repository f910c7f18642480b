//! What records are told is listed among the refusals.

use serde_json::{Value, json};

use super::calls::{Answer, Hand, failed, invoke, one};
use super::{chunk, chunk_of, settings};
use crate::model::error::Error;
use crate::model::refusal::{INVOKED, Refusal};
use crate::processor::Chunk;
use crate::store::function::{CallError, Returned};

/// The reason that the first record of a chunk fails for.
async fn reason(contract: &str, chunk: Chunk, answer: impl Fn(&Value) -> Answer + Send + Sync + 'static) -> String {
    let once = json!({"records_per_call": 1, "concurrency": 1});
    let (invoke, _) = invoke(settings(contract, once), &Hand::new(), move |_, request, _| answer(request));
    one(&invoke, chunk).await[0].split_once(": ").unwrap().1.to_owned()
}

fn result(request: &Value, status: &str, message: Option<&str>) -> Answer {
    let result = json!({"taskId": request["tasks"][0]["taskId"], "status": status, "message": message});
    Ok(Returned::answer(json!({"results": [result]}).to_string()))
}

/// Calls are throttled, or refused from the second one on.
fn second(call: impl Fn() -> CallError + Send + Sync + 'static) -> impl Fn(&Value) -> Answer + Send + Sync + 'static {
    move |request| match request["tasks"][0]["index"].as_u64() {
        Some(41) => result(request, "succeeded", None),
        _ => Err(call()),
    }
}

#[tokio::test]
async fn every_reason_is_listed() {
    let large = || chunk_of(vec![json!({"id": "x".repeat(7 << 20)}).as_object().cloned().unwrap()]);
    let late = || Chunk { until: chunk(1).now, ..chunk(1) };
    let mut turned = chunk(2);
    turned.records.reverse();
    let mut examples = vec![
        (
            "FUNCTION_ANSWERED",
            reason("fanfold", chunk(1), |it| result(it, "permanent", Some("no; such: client"))).await,
        ),
        ("FUNCTION_GAVE_NO_REASON", reason("fanfold", chunk(1), |it| result(it, "temporary", None)).await),
        (
            "FUNCTION_OMITTED_RECORD",
            reason("fanfold", chunk(1), |_| Ok(Returned::answer(json!({"results": []}).to_string()))).await,
        ),
        ("FUNCTION_FAILED", reason("map", chunk(1), |_| failed("ValueError", "no; way")).await),
        ("FUNCTION_ANSWER_MALFORMED", reason("fanfold", chunk(1), |_| Ok(Returned::answer("null"))).await),
        ("FUNCTION_THROTTLED", reason("map", chunk(1), |_| Err(CallError::Throttled("Rate".into()))).await),
        ("FUNCTION_SILENT", reason("map", chunk(1), |_| Err(CallError::Unknown("reset".into()))).await),
        ("FUNCTION_NOT_CALLED", reason("map", chunk(1), |_| Err(CallError::NotRun("refused".into()))).await),
        ("NO_TIME_TO_CALL", reason("map", late(), |_| Ok(Returned::default())).await),
        ("RECORD_TOO_LARGE_TO_SEND", reason("map", large(), |_| Ok(Returned::default())).await),
        ("RECORD_NAMES_NO_OBJECT", reason("s3batch", chunk(1), |_| Ok(Returned::default())).await),
    ];
    let rejected = reason("sqs", chunk(1), |request| {
        let failure = json!({"itemIdentifier": request["Records"][0]["messageId"]});
        Ok(Returned::answer(json!({"batchItemFailures": [failure]}).to_string()))
    });
    examples.push(("FUNCTION_REJECTED", rejected.await));
    let (gone, _) = invoke(settings("fanfold", json!({"records_per_call": 1, "concurrency": 1})), &Hand::new(), {
        let answer = second(|| CallError::Refused(Error::missing("there is no such function")));
        move |_, request, _| answer(request)
    });
    examples.push(("FUNCTION_NOT_CALLED", one(&gone, turned).await[1].split_once(": ").unwrap().1.to_owned()));
    for (code, message) in &examples {
        let found = Refusal::of(message).unwrap_or_else(|| panic!("{message}"));
        assert_eq!(found.iter().map(|refusal| refusal.code).collect::<Vec<_>>(), [*code], "{message}");
    }
    assert!(INVOKED.iter().all(|refusal| examples.iter().any(|(code, _)| *code == refusal.code)));
}
