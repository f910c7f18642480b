//! What each contract's answers mean, by tables.

use serde_json::{Value, json};

use super::{chunk, is_of, settings, told};
use crate::processor::invoke::spelling::Spelling;
use crate::processor::invoke::task::Task;

/// Tasks with the ids `a`, `b` and `c`.
fn tasks() -> Vec<Task> {
    let task = |(place, id): (usize, &str)| Task { place, id: id.to_owned(), json: "{}".to_owned() };
    ["a", "b", "c"].into_iter().enumerate().map(task).collect()
}

fn read(contract: &str, payload: &str) -> Vec<String> {
    told(&Spelling(&settings(contract, json!({}))).answers(payload.as_bytes(), &tasks()))
}

/// Every task failed for the time being, because the answer is not one of the contract.
fn is_malformed(contract: &str, payload: &str) -> bool {
    let begin = format!("temporary: the function's answer does not keep the contract {contract}: ");
    read(contract, payload).iter().all(|told| told.starts_with(&begin))
}

/// Whether JSON is an answer under the contract fanfold, as far as a schema can say it.
fn is_answer(payload: &str) -> bool {
    let schema = include_str!("../../../../docs/invoke-answer.schema.json");
    serde_json::from_str(payload).is_ok_and(|answer| is_of(schema, &answer))
}

const DONE: [&str; 3] = ["done"; 3];

#[test]
fn sqs_nothing_listed_is_a_complete_success() {
    for payload in [
        "",
        " \n",
        "null",
        "{}",
        "[]",
        "\"\"",
        r#"{"batchItemFailures":null}"#,
        r#"{"batchItemFailures":[]}"#,
        r#"{"statusCode":200,"body":"3 messages"}"#,
    ] {
        assert_eq!(read("sqs", payload), DONE, "{payload}");
    }
}

#[test]
fn sqs_what_is_listed_failed_for_the_time_being() {
    let rejected = "temporary: rejected by processor: the function listed it in batchItemFailures";
    let failures = |ids: &[&str]| {
        let list: Vec<Value> = ids.iter().map(|id| json!({"itemIdentifier": id})).collect();
        read("sqs", &json!({"batchItemFailures": list}).to_string())
    };
    assert_eq!(failures(&["b"]), ["done", rejected, "done"]);
    assert_eq!(failures(&["c", "c"]), ["done", "done", rejected], "SQS does not mind a repetition");
    assert_eq!(failures(&["c", "a", "b"]), [rejected; 3]);
}

#[test]
fn sqs_what_cannot_be_understood_is_a_complete_failure() {
    for payload in [
        "{",
        "ok",
        "\"ok\"",
        "7",
        "true",
        "[1]",
        r#"{"batchItemFailures":"a"}"#,
        r#"{"batchItemFailures":{"itemIdentifier":"a"}}"#,
        r#"{"batchItemFailures":["a"]}"#,
        r#"{"batchItemFailures":[{"itemIdentifier":""}]}"#,
        r#"{"batchItemFailures":[{"itemIdentifier":null}]}"#,
        r#"{"batchItemFailures":[{"itemIdentifier":1}]}"#,
        r#"{"batchItemFailures":[{"messageId":"a"}]}"#,
        r#"{"batchItemFailures":[{"itemIdentifier":"a"},{"itemIdentifier":"d"}]}"#,
    ] {
        assert!(is_malformed("sqs", payload), "{payload}: {:?}", read("sqs", payload));
    }
}

#[test]
fn s3batch_codes_are_taken_as_they_are() {
    let answer = json!({
        "invocationSchemaVersion": "1.0", "treatMissingKeysAs": "PermanentFailure", "invocationId": "i",
        "results": [
            {"taskId": "c", "resultCode": "PermanentFailure", "resultString": "NoSuchKey: it is\ngone"},
            {"taskId": "a", "resultCode": "Succeeded", "resultString": "[\"Alice\", \"Bob\"]"},
            {"taskId": "b", "resultCode": "TemporaryFailure", "resultString": "SlowDown"},
        ],
    });
    let expected = [
        r#"done "[\"Alice\", \"Bob\"]""#,
        "temporary: the function answered: SlowDown",
        "failed: the function answered: NoSuchKey: it is gone",
    ];
    assert_eq!(read("s3batch", &answer.to_string()), expected);
    let silent = json!({"results": [
        {"taskId": "a", "resultCode": "Succeeded", "resultString": ""},
        {"taskId": "b", "resultCode": "TemporaryFailure"},
        {"taskId": "c", "resultCode": "PermanentFailure", "resultString": null},
    ]});
    let expected = [
        "done",
        "temporary: the function answered TemporaryFailure without a reason",
        "failed: the function answered PermanentFailure without a reason",
    ];
    assert_eq!(read("s3batch", &silent.to_string()), expected);
}

#[test]
fn s3batch_a_task_without_a_result_is_treated_as_the_answer_says() {
    let treated = |code: Option<&str>| {
        let answer = json!({"treatMissingKeysAs": code, "results": [{"taskId": "a", "resultCode": "Succeeded"}]});
        read("s3batch", &answer.to_string()).split_off(1)
    };
    let nothing = "the function answered nothing about this record";
    assert_eq!(treated(None), [format!("failed: {nothing}"), format!("failed: {nothing}")]);
    assert_eq!(treated(Some("PermanentFailure")), treated(None));
    assert_eq!(treated(Some("TemporaryFailure")), [format!("temporary: {nothing}"), format!("temporary: {nothing}")]);
    assert_eq!(treated(Some("Succeeded")), ["done", "done"]);
    assert_eq!(read("s3batch", r#"{"results":[]}"#), vec![format!("failed: {nothing}"); 3]);
}

#[test]
fn s3batch_what_is_not_of_the_contract_is_malformed() {
    for payload in [
        "",
        "null",
        "{}",
        "[]",
        "7",
        "{",
        r#"{"results":null}"#,
        r#"{"results":[{"taskId":"a"}]}"#,
        r#"{"results":[{"resultCode":"Succeeded"}]}"#,
        r#"{"results":[{"taskId":"a","resultCode":"succeeded"}]}"#,
        r#"{"results":[{"taskId":"d","resultCode":"Succeeded"}]}"#,
        r#"{"results":[{"taskId":"","resultCode":"Succeeded"}]}"#,
        r#"{"results":[{"taskId":"a","resultCode":"Succeeded","resultString":{"a":1}}]}"#,
        r#"{"results":[{"taskId":"a","resultCode":"Succeeded"},{"taskId":"a","resultCode":"TemporaryFailure"}]}"#,
        r#"{"treatMissingKeysAs":"Ignore","results":[]}"#,
    ] {
        assert!(is_malformed("s3batch", payload), "{payload}: {:?}", read("s3batch", payload));
    }
}

#[test]
fn map_a_list_as_long_as_the_items_has_their_results() {
    assert_eq!(read("map", r#"[1.50, null, {"a": [1, 2]}]"#), ["done 1.50", "done", r#"done {"a":[1,2]}"#]);
    for payload in ["", "null", "{}", "[]", "[1,2]", "[1,2,3,4]", "7", "\"ok\"", r#"{"Items":[1,2,3]}"#, "{"] {
        assert_eq!(read("map", payload), DONE, "{payload}");
    }
}

#[test]
fn fanfold_each_task_has_its_status() {
    let answer = r#"{"results":[
        {"taskId":"b","status":"permanent","message":"no such client"},
        {"taskId":"a","status":"succeeded","result":{"price": 1.10},"message":"ignored"},
        {"taskId":"c","status":"succeeded","item":{"id":"2","total":7},"result":[]}]}"#;
    let expected =
        [r#"done {"price":1.10}"#, "failed: the function answered: no such client", r#"item {"id":"2","total":7} []"#];
    assert_eq!(read("fanfold", answer), expected);
    assert!(is_answer(answer));
    let expected = [
        "temporary: the function answered: later",
        "temporary: the function answered temporary without a reason",
        "temporary: the function answered nothing about this record",
    ];
    let answer =
        r#"{"results":[{"taskId":"a","status":"temporary","message":"later"},{"taskId":"b","status":"temporary"}]}"#;
    assert_eq!(read("fanfold", answer), expected);
    assert_eq!(read("fanfold", r#"{"results":[]}"#), [expected[2]; 3]);
}

#[test]
fn fanfold_what_is_not_of_the_contract_is_malformed() {
    for payload in [
        "",
        "null",
        "{}",
        "7",
        "{",
        r#"{"results":{}}"#,
        r#"{"results":["a"]}"#,
        r#"{"results":[{"taskId":"a"}]}"#,
        r#"{"results":[{"taskId":"a","status":"Succeeded"}]}"#,
        r#"{"results":[{"taskId":1,"status":"succeeded"}]}"#,
        r#"{"results":[{"taskId":"a","status":"permanent","message":7}]}"#,
        r#"{"results":[{"taskId":"a","status":"succeeded","item":"x"}]}"#,
    ] {
        assert!(is_malformed("fanfold", payload), "{payload}: {:?}", read("fanfold", payload));
        assert!(!is_answer(payload), "{payload}");
    }
    // A schema does not know the ids.
    for payload in [
        r#"{"results":[{"taskId":"d","status":"succeeded"}]}"#,
        r#"{"results":[{"taskId":"a","status":"succeeded"},{"taskId":"a","status":"succeeded"}]}"#,
    ] {
        assert!(is_malformed("fanfold", payload), "{payload}");
    }
}

#[test]
fn a_task_has_one_id_in_every_try() {
    let (settings, mut chunk) = (settings("fanfold", json!({})), chunk(1));
    let id = |chunk: &crate::processor::Chunk| Spelling(&settings).task(chunk, 0, &chunk.records[0]).unwrap().id;
    let first = id(&chunk);
    chunk.attempt = 5;
    chunk.records[0].tried.times = 3;
    assert_eq!(id(&chunk), first);
}
