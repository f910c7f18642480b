//! What fanfold promises, on the real stages and stores in memory. Each promise of `docs/SEMANTICS.md` names
//! its test.

use std::io::Write;

use fanfold::intake::claim_check;
use fanfold::model::condition::Condition;
use fanfold::model::error::ErrorKind;
use fanfold::model::ids::BatchId;
use fanfold::model::progress::BatchState;
use fanfold::model::summary::Summary;
use fanfold::model::timestamp::Timestamp;
use fanfold::pipeline::local::{LocalPipeline, Settings};
use fanfold::pipeline::variant::{BUILT_IN, Pending, Variant};
use fanfold::stage::Disposition;
use fanfold::store::channel::{Channel, Delivery, Outgoing};
use fanfold::store::ledger::Ledger;
use serde_json::{Value, json};

const ORDERS: &str = include_str!("../examples/orders.schema.json");

fn pipeline(variant: Variant, chunk_size: usize) -> LocalPipeline {
    let (schema, key_field) = (ORDERS.to_owned(), "itemNo".to_owned());
    let settings = Settings { variant: Some(variant), schema, key_field, chunk_size, ..Settings::default() };
    LocalPipeline::of_items(&settings).unwrap()
}

/// How many chunks a variant makes.
fn chunks(variant: Variant, records: usize, chunk_size: usize) -> usize {
    records.div_ceil(variant.chunk_size(chunk_size))
}

/// Makes each promise a test for every variant.
macro_rules! promises {
    ($($name:ident),* $(,)?) => {
        mod promise {
            $(#[tokio::test]
            async fn $name() {
                for variant in super::BUILT_IN {
                    println!("variant {}", variant.name);
                    super::$name(*variant).await;
                }
            })*
        }
    };
}

promises! {
    every_record_of_a_chunk_becomes_an_item,
    a_summary_counts_the_records_that_later_ones_replaced,
    an_emptied_pipeline_leaves_no_message_and_no_pending_object,
    an_invalid_record_fails_alone_and_can_be_mended,
    of_two_records_with_one_key_the_last_wins_and_both_succeed,
    a_file_that_cannot_be_read_fails_as_a_whole_with_the_place,
    a_file_that_breaks_midway_keeps_and_counts_what_came_before,
    an_empty_file_succeeds_with_no_records,
    a_key_may_hold_anything,
    events_that_make_no_batch_are_discarded,
    a_repeated_event_makes_one_batch_and_a_new_upload_another,
    a_repeated_message_changes_nothing,
    a_message_that_cannot_be_parsed_is_rejected_alone,
    a_claim_check_that_tells_only_its_chunk_is_worked_on,
    outputs_are_in_the_form_of_their_input,
    a_crash_after_the_mark_is_made_good_by_the_redelivery,
    a_gather_that_failed_goes_on_when_its_message_comes_again,
    a_chunk_that_is_put_back_when_it_is_done_holds_nothing_up,
}

async fn send(pipeline: &LocalPipeline, stage: usize, body: &str) {
    pipeline.stores.queues[stage].send(vec![Outgoing::new(body.to_owned())]).await.unwrap();
}

/// Uploads a file, works until no message is left, and returns the batch and its summary.
async fn run(pipeline: &LocalPipeline, key: &str, body: impl Into<bytes::Bytes>) -> (BatchId, Summary) {
    let (batch, event) = pipeline.upload(key, body);
    send(pipeline, 0, &event).await;
    let left = pipeline.run().await.unwrap();
    assert!(left.is_empty(), "{left:?}");
    let summary = pipeline.summary(&batch).expect("every batch gets a summary");
    (batch, summary)
}

fn output(pipeline: &LocalPipeline, batch: &BatchId, name: &str) -> Option<String> {
    let bytes = pipeline.stores.output.read(&batch.output_key(name))?;
    Some(String::from_utf8(bytes.to_vec()).unwrap())
}

fn csv(rows: usize) -> String {
    let rows: String = (0..rows).map(|n| format!("i{n},{n}.50\n")).collect();
    format!("itemNo,price\n{rows}")
}

fn counts(summary: &Summary) -> (u64, u64, u64) {
    (summary.records.total, summary.records.succeeded, summary.records.failed)
}

async fn a_summary_counts_the_records_that_later_ones_replaced(variant: Variant) {
    let pipeline = pipeline(variant, 2);
    let csv = "itemNo,price\na,1\nb,2\na,3\nb,free\na,4\n";
    let (_, summary) = run(&pipeline, "orders.csv", csv).await;
    assert_eq!((counts(&summary), summary.records.replaced), ((5, 4, 1), Some(2)), "{}", variant.name);
    assert_eq!(pipeline.items().all().len(), 2, "{}", variant.name);
    let json = r#"{"records":[{"itemNo":"c","price":1},{"itemNo":"\u0063","price":1}]}"#;
    let (_, summary) = run(&pipeline, "orders.json", json).await;
    assert_eq!((counts(&summary), summary.records.replaced), ((2, 2, 0), Some(1)), "{}", variant.name);
    assert_eq!(pipeline.items().all().len(), 3, "{}", variant.name);
}

async fn every_record_of_a_chunk_becomes_an_item(variant: Variant) {
    let pipeline = pipeline(variant, 100);
    let (batch, summary) = run(&pipeline, "orders.csv", csv(1_001)).await;
    assert_eq!((summary.state, counts(&summary)), (BatchState::Succeeded, (1_001, 1_001, 0)));
    assert_eq!((summary.chunks.total as usize, summary.chunks.failed), (chunks(variant, 1_001, 100), 0));
    let items = pipeline.items().all();
    assert_eq!(items.len(), 1_001);
    for n in 0..1_001_u64 {
        let item = &items[&format!("i{n}")];
        assert_eq!((item.index, &item.batch), (n, &batch));
        assert_eq!(item.fields["price"].to_string(), format!("{n}.50"));
    }
    let results = output(&pipeline, &batch, "results.csv").unwrap();
    assert_eq!(results.lines().count(), 1_002);
    assert_eq!(results.lines().nth(1_001), Some("i1000,1000.50,true,"));
    assert_eq!(summary.failed, None);
    assert_eq!(output(&pipeline, &batch, "failed.csv"), None);
}

async fn an_emptied_pipeline_leaves_no_message_and_no_pending_object(variant: Variant) {
    let pipeline = pipeline(variant, 10);
    run(&pipeline, "orders.csv", csv(95)).await;
    assert!(pipeline.stores.queues.iter().all(|queue| queue.bodies().is_empty()));
    assert_eq!(pipeline.stores.work.keys().iter().filter(|key| key.contains("/pending/")).count(), 0);
    let done = pipeline.stores.work.keys().iter().filter(|key| key.contains("/done/")).count();
    assert_eq!(done, if variant.pending == Pending::Bucket { chunks(variant, 95, 10) } else { 0 });
}

async fn an_invalid_record_fails_alone_and_can_be_mended(variant: Variant) {
    let pipeline = pipeline(variant, 3);
    let broken = include_str!("../examples/broken.csv");
    let (batch, summary) = run(&pipeline, "broken.csv", broken).await;
    assert_eq!((summary.state, counts(&summary)), (BatchState::PartiallyFailed, (8, 3, 5)));
    let failed = output(&pipeline, &batch, "failed.csv").unwrap();
    assert_eq!(
        failed,
        "itemNo,name,price,note\n\
         B-002,Fork,cheap,the price is no number\n\
         ,Knife,3.20,the key is missing\n\
         B-004,Spoon,,the price is missing\n\
         B-006,Lid,7.00,one,field too many\n\
         B-007,Ladle\n"
    );
    let messages: Vec<(u64, &str)> = summary.failures.iter().map(|f| (f.index, f.message.as_str())).collect();
    assert_eq!(messages[0], (1, "line 3: price: the cell \"cheap\" is not a number"));
    assert_eq!(messages[3], (5, "line 7: the row has 5 fields, and the header has 4"));
    let mended = failed
        .replace("cheap", "4.00")
        .replace("\n,Knife", "\nB-003,Knife")
        .replace("Spoon,,", "Spoon,2.00,")
        .replace("7.00,one,", "7.00,one ")
        .replace("B-007,Ladle", "B-007,Ladle,5.00,");
    let (_, summary) = run(&pipeline, "mended.csv", mended).await;
    assert_eq!((summary.state, counts(&summary)), (BatchState::Succeeded, (5, 5, 0)));
}

async fn of_two_records_with_one_key_the_last_wins_and_both_succeed(variant: Variant) {
    let pipeline = pipeline(variant, 100);
    let (_, summary) = run(&pipeline, "x.csv", "itemNo,price\na,1\nb,2\na,3\n").await;
    assert_eq!(counts(&summary), (3, 3, 0));
    let items = pipeline.items().all();
    assert_eq!((items.len(), items["a"].index), (2, 2));
    assert_eq!(items["a"].fields["price"], 3);
}

async fn a_file_that_cannot_be_read_fails_as_a_whole_with_the_place(variant: Variant) {
    let mut truncated = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    truncated.write_all(csv(10).as_bytes()).unwrap();
    let truncated = truncated.finish().unwrap();
    let cases: [(&str, Vec<u8>, &str, &str); 6] = [
        ("x.csv", b"itemNo,\xff\xfe\n1,1\n".to_vec(), "NOT_UTF8", "line 1, column 2 of the header"),
        ("x.csv.gz", truncated[..truncated.len() / 2].to_vec(), "BROKEN_GZIP", "damaged or ends too early"),
        ("x.json", b"{\"records\":[{\"itemNo\":\"1\"".to_vec(), "TRUNCATED_JSON", "line 1, column 26"),
        ("x.xml", b"<a/>".to_vec(), "UNKNOWN_FORMAT", ".csv, .tsv, .txt, .json, .jsonl or .ndjson"),
        ("x.csv", b"a1,2.00\na2,3.00\n".to_vec(), "NO_HEADER", "no column is named \"itemNo\""),
        ("x.json", b"7".to_vec(), "BROKEN_JSON", "line 1, column 1"),
    ];
    for (key, body, code, place) in cases {
        let pipeline = pipeline(variant, 5);
        let (_, summary) = run(&pipeline, key, body).await;
        let error = summary.error.unwrap();
        assert_eq!((summary.state, error.code.name()), (BatchState::Failed, code));
        assert!(error.message.contains(place), "{code}: {}", error.message);
        assert!(pipeline.stores.input.read(key).is_some(), "the input stays");
    }
}

async fn a_file_that_breaks_midway_keeps_and_counts_what_came_before(variant: Variant) {
    let pipeline = pipeline(variant, 500);
    let elements: Vec<String> = (0..10_000).map(|n| format!("{{\"itemNo\":\"i{n}\",\"price\":1}}")).collect();
    let body = format!("{{\"records\":[{}\n]}} never", elements.join(","));
    let (batch, summary) = run(&pipeline, "orders.json", body).await;
    assert_eq!((summary.state, counts(&summary)), (BatchState::Failed, (10_000, 10_000, 0)));
    assert!(summary.error.unwrap().message.starts_with("line 2, column 4:"));
    assert_eq!(pipeline.items().all().len(), 10_000);
    let results = output(&pipeline, &batch, "results.json").unwrap();
    assert_eq!(results.matches("\"success\":true").count(), 10_000);
}

async fn an_empty_file_succeeds_with_no_records(variant: Variant) {
    for (key, body) in
        [("x.csv", ""), ("x.csv", "itemNo,price\n"), ("x.json", "{\"records\":[]}"), ("x.json", ""), ("x.jsonl", "\n")]
    {
        let (_, summary) = run(&pipeline(variant, 5), key, body).await;
        assert_eq!((summary.state, counts(&summary)), (BatchState::Succeeded, (0, 0, 0)), "{key} {body:?}");
        assert_eq!(summary.chunks.total, 0);
    }
}

async fn a_key_may_hold_anything(variant: Variant) {
    for key in ["a b/c+d%20.csv", "ordner/für März.csv", "100%.csv", "../../x.csv", "a\u{7}b.csv"] {
        let pipeline = pipeline(variant, 5);
        let (batch, summary) = run(&pipeline, key, csv(7)).await;
        assert_eq!((summary.state, summary.input.key.as_str()), (BatchState::Succeeded, key));
        let prefix = format!("{batch}/");
        for written in pipeline.stores.work.keys().iter().chain(&pipeline.stores.output.keys()) {
            assert!(written.starts_with(&prefix) && !written.contains(".."), "{key}: {written}");
        }
    }
}

async fn events_that_make_no_batch_are_discarded(variant: Variant) {
    let pipeline = pipeline(variant, 5);
    let (batch, event) = pipeline.upload("gone.csv", csv(3));
    let placeholder =
        event.replace("gone%2Ecsv", "folder%2F").replace(&format!("\"size\":{}", csv(3).len()), "\"size\":0");
    assert_ne!(placeholder, event);
    let test = json!({"Service": "Amazon S3", "Event": "s3:TestEvent", "Bucket": "input"}).to_string();
    for body in [test, placeholder, event.replace("ObjectCreated:Put", "ObjectRemoved:Delete")] {
        send(&pipeline, 0, &body).await;
        let delivery = pipeline.stores.queues[0].receive(1).await.unwrap().remove(0);
        assert!(matches!(pipeline.handle(0, &delivery).await, Disposition::Discarded(_)), "{body}");
    }
    assert_eq!(pipeline.stores.ledger.read(&batch).await.unwrap(), None);
    // What Spark leaves beside its files.
    for clutter in ["out/_SUCCESS", "out/.part-0.csv.crc", "_temporary/0/part-0.csv"] {
        let (batch, event) = pipeline.upload(clutter, csv(3));
        send(&pipeline, 0, &event).await;
        let delivery = pipeline.stores.queues[0].receive(1).await.unwrap().remove(0);
        assert!(matches!(pipeline.handle(0, &delivery).await, Disposition::Discarded(_)), "{clutter}");
        assert_eq!(pipeline.stores.ledger.read(&batch).await.unwrap(), None);
    }
}

async fn a_repeated_event_makes_one_batch_and_a_new_upload_another(variant: Variant) {
    let pipeline = pipeline(variant, 5);
    let (batch, event) = pipeline.upload("orders.csv", csv(12));
    for _ in 0..3 {
        send(&pipeline, 0, &event).await;
    }
    assert!(pipeline.run().await.unwrap().is_empty());
    let first = pipeline.stores.output.read(&batch.output_key("summary.json"));
    send(&pipeline, 0, &event).await;
    assert!(pipeline.run().await.unwrap().is_empty());
    assert_eq!(pipeline.stores.output.read(&batch.output_key("summary.json")), first, "a closed batch stays as it is");
    let (second, summary) = run(&pipeline, "orders.csv", csv(12)).await;
    assert_ne!(second, batch);
    assert_eq!(summary.state, BatchState::Succeeded);
}

async fn a_repeated_message_changes_nothing(variant: Variant) {
    let pipeline = pipeline(variant, 5);
    let (batch, event) = pipeline.upload("orders.csv", csv(12));
    send(&pipeline, 0, &event).await;
    let scatter = pipeline.stores.queues[0].receive(1).await.unwrap().remove(0);
    assert!(matches!(pipeline.handle(0, &scatter).await, Disposition::Done));
    let checks = pipeline.stores.queues[1].bodies();
    assert_eq!(checks.len(), chunks(variant, 12, 5));
    for _ in 0..3 {
        for body in &checks {
            send(&pipeline, 1, body).await;
        }
        assert!(pipeline.run().await.unwrap().is_empty());
    }
    let summary = pipeline.summary(&batch).unwrap();
    assert_eq!(counts(&summary), (12, 12, 0));
    let closed = pipeline.stores.ledger.read(&batch).await.unwrap().unwrap();
    assert_eq!((closed.state, closed.gather_attempts), (BatchState::Succeeded, 1));
}

async fn a_message_that_cannot_be_parsed_is_rejected_alone(variant: Variant) {
    let pipeline = pipeline(variant, 5);
    let (batch, event) = pipeline.upload("orders.csv", csv(12));
    for body in ["", "{}", r#"{"v":2,"batchId":"orders-0123456789ab","chunk":0,"records":1}"#] {
        for stage in 0..3 {
            send(&pipeline, stage, body).await;
        }
    }
    send(&pipeline, 0, &event).await;
    let left = pipeline.run().await.unwrap();
    assert_eq!(left.len(), 9);
    for (delivery, outcome) in left {
        let Disposition::Rejected(error) = outcome else { panic!("{}: {outcome:?}", delivery.body) };
        assert_eq!(error.kind, ErrorKind::Malformed);
    }
    assert_eq!(pipeline.summary(&batch).unwrap().state, BatchState::Succeeded);
}

/// A claim check as it is if no message was written.
async fn a_claim_check_that_tells_only_its_chunk_is_worked_on(variant: Variant) {
    if variant.ranged() {
        return; // Only its message says which range it is.
    }
    let pipeline = pipeline(variant, 2);
    let (batch, event) = pipeline.upload("orders.csv", "itemNo,price\na,1.5\nb,2.5\nc,3.5\n");
    send(&pipeline, 0, &event).await;
    let scatter = pipeline.stores.queues[0].receive(1).await.unwrap().remove(0);
    assert!(matches!(pipeline.handle(0, &scatter).await, Disposition::Done));
    pipeline.stores.queues[0].delete(&scatter.receipt).await.unwrap();
    for delivery in pipeline.stores.queues[1].receive(10).await.unwrap() {
        let message = claim_check::parse(&delivery.body).unwrap().unwrap();
        let bare = json!({"v": 1, "batchId": message.batch_id, "chunk": message.chunk});
        send(&pipeline, 1, &bare.to_string()).await;
        pipeline.stores.queues[1].delete(&delivery.receipt).await.unwrap();
    }
    assert!(pipeline.run().await.unwrap().is_empty());
    let summary = pipeline.summary(&batch).unwrap();
    assert_eq!((summary.records.succeeded, summary.records.failed), (3, 0), "{}", variant.name);
    let (_, item) = pipeline.items().all().into_iter().find(|(key, _)| key == "b").unwrap();
    assert_eq!(item.fields["price"], json!(2.5), "converted by the layout of the input");
    assert!(item.sequence.0 > 0);
}

async fn outputs_are_in_the_form_of_their_input(variant: Variant) {
    let pipeline = pipeline(variant, 2);
    let records = r#"{"itemNo":"1","price":1.10},{"itemNo":"2","price":"x"},{"itemNo":"3","price":3}"#;
    let (batch, summary) = run(&pipeline, "x.json", format!("{{\"records\":[{records}]}}")).await;
    assert_eq!(counts(&summary), (3, 2, 1));
    let results: Value = serde_json::from_str(&output(&pipeline, &batch, "results.json").unwrap()).unwrap();
    assert_eq!(
        results["records"][0],
        json!({
            "index": 0,
            "request": serde_json::from_str::<Value>(r#"{"itemNo":"1","price":1.10}"#).unwrap(),
            "response": {"success": true, "message": ""},
        })
    );
    let failed: Value = serde_json::from_str(&output(&pipeline, &batch, "failed.json").unwrap()).unwrap();
    assert_eq!(failed, json!({"records": [{"itemNo": "2", "price": "x"}]}));
    let lines = records.replace("},{", "}\n{");
    let (batch, _) = run(&pipeline, "x.ndjson", lines).await;
    assert_eq!(output(&pipeline, &batch, "results.jsonl").unwrap().lines().count(), 3);
    assert_eq!(output(&pipeline, &batch, "failed.jsonl").unwrap(), "{\"itemNo\":\"2\",\"price\":\"x\"}\n");
}

async fn a_crash_after_the_mark_is_made_good_by_the_redelivery(variant: Variant) {
    let pipeline = pipeline(variant, 5);
    let (batch, event) = pipeline.upload("orders.csv", csv(1));
    send(&pipeline, 0, &event).await;
    let scatter = pipeline.stores.queues[0].receive(1).await.unwrap().remove(0);
    assert!(matches!(pipeline.handle(0, &scatter).await, Disposition::Done));
    let check = pipeline.stores.queues[1].receive(1).await.unwrap().remove(0);
    assert!(matches!(pipeline.handle(1, &check).await, Disposition::Done));
    // As if the worker had died before it sent its completion message.
    let lost = pipeline.stores.queues[2].receive(1).await.unwrap().remove(0);
    pipeline.stores.queues[2].delete(&lost.receipt).await.unwrap();
    assert!(pipeline.summary(&batch).is_none());
    let again = pipeline.handle(1, &check).await;
    assert!(matches!(again, Disposition::Done), "{again:?}");
    let gather = Delivery { id: "g".into(), receipt: "r".into(), body: lost.body, attempt: 1, first_received: None };
    assert!(matches!(pipeline.handle(2, &gather).await, Disposition::Done));
    assert_eq!(pipeline.summary(&batch).unwrap().state, BatchState::Succeeded);
}

async fn a_gather_that_failed_goes_on_when_its_message_comes_again(variant: Variant) {
    let pipeline = pipeline(variant, 5);
    let (batch, event) = pipeline.upload("orders.csv", csv(7));
    send(&pipeline, 0, &event).await;
    for stage in [0, 1] {
        for _ in 0..10 {
            for delivery in pipeline.stores.queues[stage].receive(10).await.unwrap() {
                assert!(matches!(pipeline.handle(stage, &delivery).await, Disposition::Done));
            }
        }
    }
    let first = pipeline.stores.queues[2].receive(1).await.unwrap().remove(0);
    let now = fanfold::model::timestamp::Timestamp(4_000_000_000_000);
    // An earlier arrival took the batch for a long time, and died.
    let lease = now.plus_seconds(3600);
    pipeline.stores.ledger.take(&batch, &first.receipt, now, lease).await.unwrap();
    let again = Delivery { attempt: 2, receipt: "another arrival".into(), ..first.clone() };
    match pipeline.handle(2, &again).await {
        Disposition::Later(at, _) => assert!(at > lease, "the message comes again when the lease is over"),
        other => panic!("the lease holds for every other arrival: {other:?}"),
    }
    // A gather that can still do so before it fails releases the lease.
    pipeline.stores.ledger.release_lease(&batch, &first.receipt, Timestamp(1)).await.unwrap();
    assert!(matches!(pipeline.handle(2, &again).await, Disposition::Done));
    assert_eq!(pipeline.summary(&batch).unwrap().state, BatchState::Succeeded);
}

/// A scatter that runs twice at once puts back a chunk that is done, and ends.
async fn a_chunk_that_is_put_back_when_it_is_done_holds_nothing_up(variant: Variant) {
    if variant.pending != Pending::Bucket {
        return;
    }
    let pipeline = pipeline(variant, 5);
    let (batch, event) = pipeline.upload("orders.csv", csv(7));
    send(&pipeline, 0, &event).await;
    let scatter = pipeline.stores.queues[0].receive(1).await.unwrap().remove(0);
    assert!(matches!(pipeline.handle(0, &scatter).await, Disposition::Done));
    let pending = pipeline.stores.work.keys().into_iter().find(|key| key.contains("/pending/")).unwrap();
    let records = pipeline.stores.work.read(&pending).unwrap();
    for _ in 0..chunks(variant, 7, 5) {
        for delivery in pipeline.stores.queues[1].receive(10).await.unwrap() {
            assert!(matches!(pipeline.handle(1, &delivery).await, Disposition::Done));
        }
    }
    pipeline.stores.work.upload(&pending, records);
    let gather = pipeline.stores.queues[2].receive(1).await.unwrap().remove(0);
    assert!(matches!(pipeline.handle(2, &gather).await, Disposition::Done));
    assert_eq!(pipeline.summary(&batch).unwrap().state, BatchState::Succeeded);
    // Under the listing condition it had to go; otherwise the worker that repeats the chunk deletes it.
    let left = pipeline.stores.work.read(&pending).is_some();
    assert_eq!(left, variant.condition == Condition::Tree, "{}", variant.name);
}

/// All code of a folder.
fn read_all(folder: &std::path::Path, code: &mut String) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            read_all(&path, code);
        } else if path.extension().is_some_and(|kind| kind == "rs") {
            code.push_str(&std::fs::read_to_string(path).unwrap());
        }
    }
}

#[test]
fn every_promise_names_a_test_that_exists() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    let page = std::fs::read_to_string(root.join("docs/SEMANTICS.md")).unwrap();
    let mut code = String::new();
    for folder in ["src", "tests", "crates"] {
        read_all(&root.join(folder), &mut code);
    }
    let promises: Vec<&str> = page.lines().filter(|line| line.starts_with("| ") && line.contains('`')).collect();
    assert!(promises.len() >= 12, "{promises:?}");
    for promise in promises {
        let tests = promise.trim_end_matches(" |").rsplit(" | ").next().unwrap();
        let names: Vec<&str> = tests.split('`').skip(1).step_by(2).collect();
        assert!(!names.is_empty(), "{promise}");
        for name in names {
            assert!(code.contains(&format!("fn {name}(")), "no test is named {name}");
        }
    }
}
