//! Calls of a function in memory, on a clock that only sleeping moves.

use std::sync::atomic::{AtomicI64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use serde_json::{Value, json};

use super::{chunk, chunk_of, settings, told};
use crate::model::error::{Error, ErrorKind};
use crate::model::processing::invoke::InvokeSettings;
use crate::model::timestamp::Timestamp;
use crate::processor::invoke::Invoke;
use crate::processor::{Chunk, Processor};
use crate::store::Clock;
use crate::store::function::memory::MemoryFunction;
use crate::store::function::{Billed, CallError, MAX_REQUEST_BYTES, Returned};

#[derive(Debug, Clone)]
pub(super) struct Hand(Arc<AtomicI64>);

impl Hand {
    pub fn new() -> Self {
        Self(Arc::new(AtomicI64::new(chunk(0).now.0)))
    }

    fn advance(&self, ms: i64) {
        self.0.fetch_add(ms, Ordering::Relaxed);
    }
}

impl Clock for Hand {
    fn now(&self) -> Timestamp {
        Timestamp(self.0.load(Ordering::Relaxed))
    }

    async fn sleep(&self, time: Duration) {
        self.advance((time.as_millis() as i64).max(1));
        tokio::task::yield_now().await;
    }

    fn chance(&self) -> f64 {
        0.5
    }
}

/// Requests as they came.
pub(super) type Requests = Arc<Mutex<Vec<Value>>>;

pub(super) type Answer = Result<Returned, CallError>;

/// A processor whose function answers so, and the requests it was given.
pub(super) fn invoke(
    settings: InvokeSettings,
    clock: &Hand,
    answer: impl Fn(usize, &Value, Duration) -> Answer + Send + Sync + 'static,
) -> (Invoke<impl crate::store::function::Function, Hand>, Requests) {
    let (requests, calls) = (Requests::default(), AtomicUsize::new(0));
    let kept = requests.clone();
    let function = MemoryFunction::new(move |payload: Bytes, patience| {
        assert!(payload.len() <= MAX_REQUEST_BYTES);
        let request: Value = serde_json::from_slice(&payload).unwrap();
        kept.lock().unwrap().push(request.clone());
        answer(calls.fetch_add(1, Ordering::Relaxed), &request, patience)
    });
    (Invoke::new(settings, function, clock.clone()), requests)
}

/// How many records each request had.
fn sizes(requests: &Requests) -> Vec<usize> {
    let requests = requests.lock().unwrap();
    let list = |request: &Value| {
        ["Records", "tasks", "Items"].iter().find_map(|name| request.get(name)?.as_array().map(Vec::len))
    };
    requests.iter().map(|request| list(request).unwrap()).collect()
}

pub(super) async fn one(invoke: &impl Processor, chunk: Chunk) -> Vec<String> {
    told(&invoke.process(vec![chunk]).await.remove(0).unwrap())
}

fn good() -> Answer {
    Ok(Returned::answer("null"))
}

pub(super) fn failed(kind: &str, words: &str) -> Answer {
    let payload = json!({"errorType": kind, "errorMessage": words}).to_string();
    Ok(Returned { error: Some("Unhandled".to_owned()), ..Returned::answer(payload) })
}

fn ids(request: &Value) -> Vec<String> {
    request["Records"]
        .as_array()
        .unwrap()
        .iter()
        .map(|record| record["messageId"].as_str().unwrap().to_owned())
        .collect()
}

#[tokio::test]
async fn each_contract_has_calls_of_its_own_size() {
    for (contract, records, expected) in
        [("sqs", 23, vec![10, 10, 3]), ("map", 23, vec![23]), ("fanfold", 23, vec![23])]
    {
        let (invoke, requests) = invoke(settings(contract, json!({})), &Hand::new(), |_, _, _| good());
        one(&invoke, chunk(records)).await;
        assert_eq!(sizes(&requests), expected, "{contract}");
    }
    let object = json!({"bucket": "b", "key": "k"});
    let objects = chunk_of(vec![object.as_object().cloned().unwrap(); 3]);
    let (invoke, requests) = invoke(settings("s3batch", json!({})), &Hand::new(), |_, request, _| {
        let answer = json!({"results": [{"taskId": request["tasks"][0]["taskId"], "resultCode": "Succeeded"}]});
        Ok(Returned::answer(answer.to_string()))
    });
    assert_eq!(one(&invoke, objects).await, ["done"; 3]);
    assert_eq!(sizes(&requests), [1, 1, 1]);
}

#[tokio::test]
async fn replies_are_in_the_order_of_the_records_of_their_chunks() {
    let (invoke, _) = invoke(settings("sqs", json!({"records_per_call": 2})), &Hand::new(), |_, request, _| {
        let failures: Vec<Value> = ids(request).iter().skip(1).map(|id| json!({"itemIdentifier": id})).collect();
        Ok(Returned::answer(json!({"batchItemFailures": failures}).to_string()))
    });
    let answers = invoke.process(vec![chunk(3), chunk(0), chunk(4)]).await;
    let answers: Vec<Vec<bool>> = answers
        .into_iter()
        .map(|replies| told(&replies.unwrap()).iter().map(|told| told == "done").collect())
        .collect();
    assert_eq!(answers, [vec![true, false, true], vec![], vec![true, false, true, false]]);
}

#[tokio::test]
async fn a_function_that_fails_fails_for_the_time_being() {
    let (raising, _) = invoke(settings("sqs", json!({})), &Hand::new(), |_, _, _| failed("ValueError", "no\nway"));
    assert_eq!(one(&raising, chunk(2)).await, ["temporary: the function failed: ValueError: no way"; 2]);
    let late = "RequestId: 1 Error: Task timed out after 3.00 seconds";
    let (slow, _) = invoke(settings("map", json!({})), &Hand::new(), move |_, _, _| failed("Sandbox.Timedout", late));
    let told = one(&slow, chunk(1)).await;
    assert_eq!(told, [format!("unsure: the function failed: Sandbox.Timedout: {late}")]);
}

#[tokio::test]
async fn a_call_without_an_end_may_have_had_its_effect() {
    let clock = Hand::new();
    let hand = clock.clone();
    let (invoke, _) = invoke(settings("sqs", json!({})), &clock, move |_, _, patience| {
        hand.advance(patience.as_millis() as i64);
        Err(CallError::Unknown(format!("no answer within {patience:?}")))
    });
    let told = one(&invoke, chunk(1)).await;
    assert_eq!(told, ["unsure: the function was called and did not answer: no answer within 299s"]);
    assert!(clock.now() < chunk(1).deadline, "there is time to keep what is known");
    let spent = invoke.spent();
    assert_eq!((spent.calls, spent.tries, spent.milliseconds), (1, 1, 299_000));
}

#[tokio::test]
async fn a_throttled_call_is_made_again_after_a_pause() {
    let clock = Hand::new();
    let (invoke, requests) = invoke(settings("sqs", json!({})), &clock, |call, _, _| {
        if call < 5 { Err(CallError::Throttled("Rate Exceeded.".to_owned())) } else { good() }
    });
    assert_eq!(one(&invoke, chunk(2)).await, ["done", "done"]);
    assert_eq!(sizes(&requests).len(), 6);
    assert_eq!(clock.now().0 - chunk(0).now.0, 50 + 100 + 200 + 400 + 800);
    assert_eq!(invoke.spent().calls, 1, "what was refused is no call");
}

#[tokio::test]
async fn a_function_that_is_throttled_for_ever_tries_nothing() {
    let clock = Hand::new();
    let (invoke, requests) =
        invoke(settings("sqs", json!({})), &clock, |_, _, _| Err(CallError::Throttled("Rate Exceeded.".to_owned())));
    let told = one(&invoke, chunk(11)).await;
    assert_eq!(told, ["untried: the function has as many calls as it takes: Rate Exceeded."; 11]);
    assert!(clock.now() >= chunk(0).until && clock.now() < chunk(0).deadline);
    assert!(sizes(&requests).len() < 300, "it is asked less and less often");
}

#[tokio::test]
async fn no_call_begins_when_there_is_no_time_left() {
    let clock = Hand::new();
    let hand = clock.clone();
    let ticking = settings("sqs", json!({"records_per_call": 1, "concurrency": 1}));
    let (invoke, requests) = invoke(ticking, &clock, move |_, _, _| {
        hand.advance(90_000);
        good()
    });
    let told = one(&invoke, chunk(5)).await;
    assert_eq!(told[..3], ["done", "done", "done"]);
    assert_eq!(told[3..], ["untried: no time was left to call the function"; 2]);
    assert_eq!(sizes(&requests), [1, 1, 1]);
}

#[tokio::test]
async fn no_call_begins_with_less_time_than_calls_took_of_late() {
    let clock = Hand::new();
    let hand = clock.clone();
    let ticking = settings("sqs", json!({"records_per_call": 1, "concurrency": 1}));
    let (invoke, requests) = invoke(ticking, &clock, move |call, _, patience| {
        hand.advance([120_000, 10, 140_000][call.min(2)]);
        if call >= 2 { Err(CallError::Unknown(format!("no answer within {patience:?}"))) } else { good() }
    });
    let late = |records| Chunk { until: chunk(0).deadline, ..chunk(records) };
    assert_eq!(one(&invoke, late(2)).await, ["done", "done"]);
    // 179 s are left: more than half of all that there was, and than the slowest call took of late.
    assert_eq!(
        one(&invoke, late(1)).await,
        ["unsure: the function was called and did not answer: no answer within 178.99s"]
    );
    // 39 s are left of 299.
    for _ in 0..13 {
        assert_eq!(one(&invoke, late(1)).await, ["untried: no time was left to call the function"]);
    }
    assert_eq!(requests.lock().unwrap().len(), 3);
    // It is not refused for ever, even if no delivery has more time.
    let told = one(&invoke, late(1)).await;
    assert!(told[0].starts_with("unsure"), "140 s × 0.9^13 = 35.6 s: {told:?}");
}

#[tokio::test]
async fn a_call_that_did_not_reach_the_function_is_made_again_and_counts_in_the_end() {
    let unreachable = || Err(CallError::NotRun("connection refused".to_owned()));
    let (back, _) = invoke(
        settings("map", json!({})),
        &Hand::new(),
        move |call, _, _| {
            if call < 3 { unreachable() } else { good() }
        },
    );
    assert_eq!(one(&back, chunk(1)).await, ["done"]);
    let (gone, requests) = invoke(settings("map", json!({})), &Hand::new(), move |_, _, _| unreachable());
    assert_eq!(one(&gone, chunk(1)).await, ["temporary: the function could not be called: connection refused"]);
    assert_eq!(sizes(&requests).len(), 4);
    assert_eq!(gone.spent().calls, 0);
}

#[tokio::test]
async fn a_function_that_is_gone_or_denied_is_an_error_of_the_chunk() {
    for kind in [ErrorKind::Missing, ErrorKind::Denied, ErrorKind::Config] {
        let refuse = move |_: usize, _: &Value, _: Duration| Err(CallError::Refused(Error::new(kind, "there is none")));
        let (invoke, requests) = invoke(settings("sqs", json!({"concurrency": 1})), &Hand::new(), refuse);
        let answers = invoke.process(vec![chunk(25), chunk(1)]).await;
        for answer in answers {
            let error = answer.unwrap_err();
            assert_eq!((error.kind, error.to_string().as_str()), (kind, "there is none"));
        }
        assert_eq!(sizes(&requests), [10], "it is not asked again");
    }
}

#[tokio::test]
async fn what_was_answered_before_a_function_went_is_not_lost() {
    let (invoke, _) = invoke(settings("sqs", json!({"concurrency": 1})), &Hand::new(), |call, _, _| match call {
        0 => good(),
        _ => Err(CallError::Refused(Error::denied("you may not"))),
    });
    let answers = invoke.process(vec![chunk(12), chunk(1)]).await;
    let first = told(answers[0].as_ref().unwrap());
    assert_eq!(first[..10], ["done"; 10]);
    assert_eq!(first[10..], ["temporary: the function could not be called: you may not"; 2]);
    assert_eq!(answers[1].as_ref().unwrap_err().kind, ErrorKind::Denied);
}

#[tokio::test]
async fn an_answer_that_is_too_large_is_asked_for_in_halves() {
    let words = "Response payload size exceeded maximum allowed payload size (6291556 bytes).";
    let large = move || failed("Function.ResponseSizeTooLarge", words);
    let (invoke, requests) = invoke(settings("map", json!({})), &Hand::new(), move |_, request, _| {
        let items = request["Items"].as_array().unwrap();
        let is_large = items.len() > 2 || items.iter().any(|item| item["amount"] == json!(5));
        if is_large { large() } else { Ok(Returned::answer(json!(items).to_string())) }
    });
    let told = one(&invoke, chunk(7)).await;
    assert_eq!(told[0], r#"done {"id":"0","amount":0}"#);
    assert_eq!(told[6], r#"done {"id":"6","amount":6}"#);
    assert_eq!(told[5], format!("temporary: the function failed: Function.ResponseSizeTooLarge: {words}"));
    assert_eq!(sizes(&requests), [7, 3, 1, 2, 4, 2, 2, 1, 1]);
    assert_eq!((invoke.spent().tries, told.len()), (23, 7));
}

#[tokio::test]
async fn a_chunk_is_divided_by_bytes_and_what_fits_no_call_fails_for_good() {
    let record = |bytes: usize| json!({"id": "x".repeat(bytes)}).as_object().cloned().unwrap();
    let mb = 1024 * 1024;
    let large = chunk_of([2 * mb, 3 * mb, 2 * mb, 6 * mb, 5 * mb, mb / 2].map(record).to_vec());
    let (invoke, requests) = invoke(settings("fanfold", json!({})), &Hand::new(), |_, request, _| {
        let done = |task: &Value| json!({"taskId": task["taskId"], "status": "succeeded"});
        let results: Vec<Value> = request["tasks"].as_array().unwrap().iter().map(done).collect();
        Ok(Returned::answer(json!({"results": results}).to_string()))
    });
    let told = one(&invoke, large).await;
    let too_large = "failed: the record is too large to be sent to the function; a request has at most 6 MB";
    assert_eq!(told, ["done", "done", "done", too_large, "done", "done"]);
    assert_eq!(sizes(&requests), [2, 1, 2]);
}

#[tokio::test]
async fn a_request_that_the_service_finds_too_large_is_halved() {
    let (invoke, requests) = invoke(settings("map", json!({})), &Hand::new(), |_, request, _| {
        if request["Items"].as_array().unwrap().len() > 1 { Err(CallError::TooLarge) } else { good() }
    });
    assert_eq!(one(&invoke, chunk(2)).await, ["done", "done"]);
    assert_eq!(sizes(&requests), [2, 1, 1]);
    let (never, _) = self::invoke(settings("map", json!({})), &Hand::new(), |_, _, _| Err(CallError::TooLarge));
    assert!(one(&never, chunk(1)).await[0].starts_with("failed: the record is too large"));
}

#[tokio::test]
async fn what_the_function_took_is_counted() {
    let clock = Hand::new();
    let hand = clock.clone();
    let (invoke, _) = invoke(settings("sqs", json!({})), &clock, move |call, _, _| {
        hand.advance(30);
        let billed = Some(Billed { milliseconds: 31, memory_mb: 128 });
        Ok(Returned { version: Some(format!("{}", call % 2)), billed, ..Returned::answer("{}") })
    });
    one(&invoke, chunk(25)).await;
    let spent = invoke.spent();
    assert_eq!((spent.calls, spent.tries, spent.milliseconds), (3, 25, 90));
    assert_eq!(spent.billed_mb_ms, Some(3 * 31 * 128));
    assert_eq!(spent.versions.into_iter().collect::<Vec<_>>(), ["0", "1"]);
    assert_eq!(invoke.spent().calls, 0);
}
