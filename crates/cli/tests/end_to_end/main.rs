//! The deployed pipeline: real functions, queues, buckets and tables on a local AWS. `make test` starts one,
//! deploys to it, and passes three variables that point here.

#![allow(clippy::disallowed_methods, reason = "a test awaits at once what it lists, which is a few")]

mod acts;
mod billing;
mod control;
mod counted;
mod faults;
mod interrupt;
mod invoke;
mod map;
mod objects;
mod page;
mod reconcile;
mod records;
mod reports;
mod topic;
mod users;
mod waiting;
mod web;
mod world;

use fanfold::model::calls::{INVOCATION, MEMORY_TIME};
use fanfold::model::progress::BatchState;
use fanfold::model::summary::Summary;
use fanfold::store::Clock;
use fanfold::store::blob::{Blob, read_all};
use fanfold::store::channel::{Channel, Outgoing};
use fanfold::store::clock::SystemClock;
use fanfold::store::items::{Items, WriteMode};
use fanfold::store::ledger::{Ledger, Notes};
use fanfold::store::testing as suites;
use serde_json::{Value, json};

use world::{World, variants};

fn counts(summary: &Summary) -> (u64, u64, u64) {
    (summary.records.total, summary.records.succeeded, summary.records.failed)
}

fn csv(rows: usize, filler: &str) -> Vec<u8> {
    let rows: String = (0..rows).map(|n| format!("{filler}{n},{n}.25,\"{filler}, für\"\n")).collect();
    format!("itemNo,price,note\n{rows}").into_bytes()
}

#[tokio::test]
async fn s3_keeps_the_contract() {
    suites::blob::all(&World::open().await.new_bucket("contract-blob").await).await;
}

#[tokio::test]
async fn sqs_keeps_the_contract() {
    let world = World::open().await;
    let (plain, ordered) = (world.new_queue("contract", false).await, world.new_queue("contract.fifo", true).await);
    suites::channel::all(&plain, &ordered).await;
}

#[tokio::test]
async fn dynamodb_items_keep_the_contract() {
    suites::items::all(&World::open().await.new_items("contract-items").await).await;
    let ordered = World::open().await.new_items("contract-ordered").await.in_mode(WriteMode::Ordered);
    suites::items::all(&ordered).await;
    suites::items::ordered(&ordered).await;
}

#[tokio::test]
async fn dynamodb_ledger_keeps_the_contract() {
    suites::ledger::all(&World::open().await.new_ledger("contract-ledger").await).await;
    let empty = World::open().await.new_ledger("contract-listing").await;
    suites::listing::all(&empty, &suites::ledger::opening("listed")).await;
}

#[tokio::test]
async fn dynamodb_counters_keep_the_contract() {
    suites::counters::all(&World::open().await.new_counters("contract-counters").await).await;
}

#[tokio::test]
async fn dynamodb_requests_keep_the_contract() {
    let requests = World::open().await.new_requests("contract-requests").await;
    suites::requests::all(&requests, SystemClock.now()).await;
}

#[tokio::test]
async fn dynamodb_billing_keeps_the_contract() {
    let billing = World::open().await.new_billing("contract-billing").await;
    suites::billing::events(&billing).await;
    suites::billing::packages(&billing).await;
    suites::billing::aggregates(&World::open().await.new_aggregates("contract-aggregates").await).await;
}

#[tokio::test]
async fn dynamodb_meters_keep_the_contract() {
    suites::meter::all(&World::open().await.new_meter("contract-meter").await).await;
}

#[tokio::test]
async fn dynamodb_tasks_keep_the_contract() {
    suites::tasks::all(&World::open().await.new_tasks("contract-tasks").await).await;
}

/// What must be equal in every variant: a summary without names and times.
fn comparable(summary: &Summary) -> Value {
    let mut value = serde_json::to_value(summary).unwrap();
    for own in ["batchId", "variant", "chunks", "outputs", "startedAt", "scatteredAt", "gatherStartedAt", "finishedAt"]
    {
        value.as_object_mut().unwrap().remove(own).expect(own);
    }
    for own in ["bucket", "versionId"] {
        value["input"].as_object_mut().unwrap().remove(own).expect(own);
    }
    for output in ["results", "failed"] {
        let key = value[output]["key"].as_str().map(|key| key.rsplit('/').next().unwrap().to_owned());
        value[output] = json!(key);
    }
    value
}

/// A file in which every tenth record is invalid.
fn with_failures(rows: usize) -> Vec<u8> {
    let price = |n: usize| if n % 10 == 9 { "free".to_owned() } else { format!("{n}.5") };
    let rows: String = (0..rows).map(|n| format!("equal{n},{},\"für, {n}\"\n", price(n))).collect();
    format!("itemNo,price,note\n{rows}").into_bytes()
}

#[tokio::test]
async fn the_variants_do_equal_work() {
    for count in [0, 1, 101, 1_001] {
        let file = with_failures(count);
        let mut first: Option<(Value, String, Vec<Value>)> = None;
        for variant in variants() {
            let world = World::of(variant.name).await;
            let done = world.submit("equal.csv", &file);
            let failed = count / 10;
            assert_eq!(done.code, if failed > 0 { 3 } else { 0 }, "{}: {}", variant.name, done.stderr);
            let summary = done.summary();
            assert_eq!(summary.records.total as usize, count, "{}", variant.name);
            assert_eq!(summary.chunks.total as usize, count.div_ceil(variant.chunk_size(50)), "{}", variant.name);
            let mut items = Vec::new();
            for n in 0..count {
                match world.items.read(&format!("equal{n}")).await.unwrap() {
                    Some(item) => {
                        assert_eq!((item.index as usize, &item.batch), (n, &summary.batch_id), "{}", variant.name);
                        items.push(Value::Object(item.fields));
                    }
                    None => assert_eq!(n % 10, 9, "{} {n}", variant.name),
                }
            }
            let outputs = [done.output("results.csv"), done.output("failed.csv")];
            let outputs = outputs.map(Option::unwrap_or_default).concat();
            let work = (comparable(&summary), outputs, items);
            assert_eq!(&work, first.get_or_insert_with(|| work.clone()), "{} at {count}", variant.name);
        }
    }
}

#[tokio::test]
async fn every_request_of_a_batch_is_counted() {
    let world = World::open().await;
    let summary = world.submit("calls.csv", &csv(120, "calls")).summary();
    let chunks = summary.chunks.total;
    let mut calls = Default::default();
    for _ in 0..100 {
        // The functions add their counts after their work, so shortly after the summary.
        calls = world.ledger.read_calls(&summary.batch_id).await.unwrap();
        if calls.0.len() == 3 && calls.0["process"].messages >= chunks {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
    let count = |stage: &str, name: &str| calls.0[stage].requests.get(name).copied().unwrap_or_default();
    assert_eq!(calls.0["process"].messages, chunks);
    assert_eq!(count("scatter", "s3.GetObject"), 1);
    assert_eq!(count("scatter", "s3.PutObject"), chunks);
    assert_eq!(count("scatter", "sqs.SendMessageBatch"), 1);
    assert_eq!(count("process", "dynamodb.BatchWriteItem"), 5, "120 items in chunks of 50: 2 + 2 + 1 requests");
    assert_eq!(count("process", "s3.PutObject"), chunks);
    assert_eq!(count("process", "s3.DeleteObject"), chunks);
    assert_eq!(count("gather", "s3.GetObject"), chunks);
    assert_eq!(count("gather", "s3.PutObject"), 2, "results and summary");
    for stage in ["scatter", "process", "gather"] {
        let (invocations, time) = (count(stage, INVOCATION), count(stage, MEMORY_TIME));
        assert!((1..=chunks).contains(&invocations) && time >= 512 * invocations, "{stage}: {calls:?}");
    }
    let told = world.command(&["cost", summary.batch_id.as_str(), "--pipeline", "chunked"]);
    let row = told.stdout.lines().find(|line| line.starts_with("Lambda"));
    assert!(row.is_some_and(|row| row.contains('$')), "{} {}", told.stdout, told.stderr);
}

#[tokio::test]
async fn the_example_goes_through_in_every_format() {
    let world = World::open().await;
    let rows: Vec<Value> = include_str!("../../../../examples/orders.json")
        .parse::<Value>()
        .map(|document| document["records"].as_array().unwrap().clone())
        .unwrap();
    let examples: [(&str, &[u8]); 3] = [
        ("orders.csv", include_bytes!("../../../../examples/orders.csv")),
        ("orders.json", include_bytes!("../../../../examples/orders.json")),
        ("orders.jsonl.gz", include_bytes!("../../../../examples/orders.jsonl.gz")),
    ];
    for (name, bytes) in examples {
        let done = world.submit(name, bytes);
        assert_eq!(done.code, 0, "{}", done.stderr);
        let summary = done.summary();
        assert_eq!((summary.state, counts(&summary)), (BatchState::Succeeded, (1_000, 1_000, 0)), "{name}");
        for (index, row) in rows.iter().enumerate() {
            let key = row["itemNo"].as_str().unwrap();
            let item = world.items.read(key).await.unwrap().expect("an item for every record");
            assert_eq!((item.index, &item.batch), (index as u64, &summary.batch_id));
            assert_eq!(item.fields.len(), row.as_object().unwrap().len(), "{key}");
            for field in ["name", "note", "currency"] {
                assert_eq!(item.fields[field], row[field], "{key} {field}");
            }
            assert_eq!(item.fields["price"].as_f64(), row["price"].as_f64(), "{key}");
        }
        let extension = name.trim_start_matches("orders.").trim_end_matches(".gz");
        let results = done.output(&format!("results.{extension}")).unwrap();
        match extension {
            "csv" => assert_eq!(csv::Reader::from_reader(results.as_bytes()).records().count(), 1_000),
            "json" => {
                let document: Value = serde_json::from_str(&results).unwrap();
                assert_eq!(document["records"].as_array().unwrap().len(), 1_000);
                assert_eq!(document["records"][999]["request"], rows[999]);
            }
            _ => assert_eq!(results.lines().count(), 1_000),
        }
        assert_eq!(done.output(&format!("failed.{extension}")), None);
    }
}

#[tokio::test]
async fn what_failed_can_be_mended_and_uploaded_again() {
    let world = World::open().await;
    let done = world.submit("broken.csv", include_bytes!("../../../../examples/broken.csv"));
    assert_eq!(done.code, 3, "{}", done.stderr);
    assert_eq!(counts(&done.summary()), (8, 3, 5));
    let failed = done.output("failed.csv").unwrap();
    assert_eq!(failed.lines().count(), 6);
    assert!(failed.contains("\nB-006,Lid,7.00,one,field too many\n"), "{failed}");
    let kept = world.items.read("B-005").await.unwrap().unwrap();
    assert_eq!((kept.index, kept.fields["name"].as_str()), (7, Some("Pan, carbon steel")));
}

#[tokio::test]
async fn files_that_cannot_be_read_fail_with_their_place() {
    let world = World::open().await;
    let elements: Vec<String> = (0..120).map(|n| format!("{{\"itemNo\":\"midway-{n}\",\"price\":1}}")).collect();
    let midway = format!("{{\"records\":[{}]}} never", elements.join(","));
    for (name, bytes, code, total) in [
        ("bad.csv", &b"itemNo,\xfe\n1,1\n"[..], "NOT_UTF8", 0),
        ("cut.json", b"{\"records\":[{\"itemNo\":", "TRUNCATED_JSON", 0),
        ("plain.csv.gz", b"itemNo,price\n", "BROKEN_GZIP", 0),
        ("headless.csv", b"1,2\n3,4\n", "NO_HEADER", 0),
        ("midway.json", midway.as_bytes(), "BROKEN_JSON", 120),
    ] {
        let done = world.submit(name, bytes);
        assert_eq!(done.code, 4, "{name}: {}", done.stderr);
        let summary = done.summary();
        assert_eq!(summary.error.as_ref().map(|error| error.code.name()), Some(code), "{name}");
        assert_eq!((summary.state, counts(&summary)), (BatchState::Failed, (total, total, 0)), "{name}");
        assert_eq!(summary.results.is_some(), total > 0, "{name}");
    }
}

#[tokio::test]
async fn empty_files_succeed() {
    let world = World::open().await;
    for (name, bytes) in [
        ("none.csv", &b""[..]),
        ("header.csv", b"itemNo,price\n"),
        ("none.json", b"{\"records\":[]}"),
        ("none.jsonl", b""),
    ] {
        let done = world.submit(name, bytes);
        assert_eq!(done.code, 0, "{name}: {}", done.stderr);
        assert_eq!(counts(&done.summary()), (0, 0, 0), "{name}");
    }
}

#[tokio::test]
async fn keys_of_every_kind_work_and_an_upload_needs_no_command() {
    let world = World::open().await;
    for key in ["a b/c+d.csv", "100%/für März.csv", "deep/er/x=1&y.csv"] {
        let summary = world.upload(key, csv(7, "key")).await;
        assert_eq!((summary.state, summary.input.key.as_str()), (BatchState::Succeeded, key));
    }
    // S3 accepts a folder placeholder, but no batch comes of it; one does come of the next object.
    world.input.put("folder/", "text/plain", Default::default()).await.unwrap();
    assert_eq!(world.upload("folder/x.csv", csv(1, "folder")).await.state, BatchState::Succeeded);
}

#[tokio::test]
async fn many_chunks_fill_several_leaves_and_large_outputs_go_up_in_parts() {
    for variant in ["chunked", "ranged"] {
        fill_leaves(&World::of(variant).await).await;
    }
}

async fn fill_leaves(world: &World) {
    let filler = "many".repeat(160);
    let body = csv(13_001, &filler);
    let done = world.submit("many.csv", &body);
    assert_eq!(done.code, 0, "{}", done.stderr);
    let summary = done.summary();
    assert_eq!(counts(&summary), (13_001, 13_001, 0));
    assert_eq!(summary.chunks.total, 261, "50 records a chunk, as deployed for the tests");
    let results = done.output("results.csv").unwrap();
    assert!(results.len() > 16 * 1024 * 1024, "larger than two parts of an upload");
    let mut expected = String::from("itemNo,price,note,success,message\n");
    for line in String::from_utf8(body).unwrap().lines().skip(1) {
        expected.push_str(line);
        expected.push_str(",true,\n");
    }
    assert!(results == expected, "every record in input order");
    let batch = world.ledger.read(&summary.batch_id).await.unwrap().unwrap();
    assert_eq!(batch.root.len(), 3);
    assert_eq!((batch.state, batch.gather_attempts), (BatchState::Succeeded, 1));
}

#[tokio::test]
async fn a_repeated_event_changes_nothing_and_a_new_upload_is_a_new_batch() {
    let world = World::open().await;
    let first = world.upload("repeat.csv", csv(60, "repeat")).await;
    let summary_key = first.batch_id.output_key("summary.json");
    let written = read_all(&world.output, &summary_key).await.unwrap();
    let version = first.input.version_id.clone().unwrap();
    for _ in 0..3 {
        world.scatter.send(vec![Outgoing::new(world.event("repeat.csv", &version))]).await.unwrap();
    }
    // Messages of one queue are taken in turn: when this batch is done, the repeats have been seen.
    let second = world.upload("repeat.csv", csv(60, "repeat")).await;
    assert_ne!(second.batch_id, first.batch_id);
    assert_eq!(second.state, BatchState::Succeeded);
    assert_eq!(read_all(&world.output, &summary_key).await.unwrap(), written);
    let batch = world.ledger.read(&first.batch_id).await.unwrap().unwrap();
    assert_eq!((batch.state, batch.gather_attempts), (BatchState::Succeeded, 1));
}

#[tokio::test]
async fn a_message_that_nobody_can_work_on_is_parked_alone() {
    let world = World::open().await;
    let poison = json!({"v": 99, "poison": true}).to_string();
    world.process.send(vec![Outgoing::new(poison.clone())]).await.unwrap();
    let beside = world.upload("beside.csv", csv(120, "beside")).await;
    assert_eq!(beside.state, BatchState::Succeeded);
    let mut parked = Vec::new();
    for _ in 0..90 {
        parked.extend(world.parked.receive(10).await.unwrap());
        if !parked.is_empty() {
            break;
        }
    }
    let bodies: Vec<&str> = parked.iter().map(|delivery| delivery.body.as_str()).collect();
    assert_eq!(bodies, [poison.as_str()]);
}

#[tokio::test]
async fn the_command_tells_how_far_a_batch_is() {
    let world = World::open().await;
    let summary = world.submit("status.csv", &csv(60, "status")).summary();
    let id = summary.batch_id.to_string();
    let told = world.command(&["status", &id, "--json", "--variant", "chunked"]);
    assert_eq!(told.code, 0, "{}", told.stderr);
    let status: Value = serde_json::from_str(&told.stdout).unwrap();
    assert_eq!(status["state"], "SUCCEEDED");
    assert_eq!(status["version"], 1);
    let [records, chunks] = [&status["records"], &status["chunks"]];
    let counts = [&records["total"], &records["atLeast"], &records["succeeded"], &records["failed"]];
    assert_eq!(counts, [60, 60, 60, 0]);
    assert_eq!([&chunks["total"], &chunks["done"], &chunks["failed"]], [2, 2, 0]);
    assert!(world.command(&["status", &id, "--variant", "chunked"]).stdout.contains("state    SUCCEEDED"));
    for (arguments, code, words) in [
        (&["status", "orders-0123456789ab", "--variant", "chunked"][..], 1, "does not know batch"),
        (&["status", "no such id", "--variant", "chunked"], 2, "is not a batch id"),
        (&["submit", "no/such/file.csv", "--variant", "chunked"], 2, "is not a file"),
        (&["submit"], 2, "required"),
        (&["status", &id], 1, "name one with --pipeline; deployed are: "),
        (&["status", &id, "--pipeline", "serial"], 1, "is not deployed; deployed are: "),
        (&["status", &id, "--deployment", "no/such.json"], 1, "run `make deploy` first"),
    ] {
        let told = world.command(arguments);
        assert_eq!(told.code, code, "{arguments:?}: {}", told.stderr);
        assert!(told.stderr.contains(words), "{arguments:?}: {}", told.stderr);
    }
}
