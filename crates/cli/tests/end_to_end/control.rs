//! What people do to a pipeline and its batches by command: failed records by reason, pauses and scales.

use std::process::Stdio;

use fanfold::store::Clock;
use fanfold::store::clock::SystemClock;
use serde_json::{Value, json};

use crate::world::{Done, World};

const PIPELINE: &str = "notification";

fn told(done: &Done) -> Value {
    assert_eq!(done.code, 0, "{}", done.stderr);
    serde_json::from_str(&done.stdout).unwrap_or_else(|e| panic!("{e}: {}", done.stdout))
}

#[tokio::test]
async fn failed_records_of_one_reason_are_saved_and_redriven() {
    let world = World::of(PIPELINE).await;
    let file = "itemNo,price\nr-1,1\nr-2,two\nr-3,\nr-4,four\n";
    let batch = world.put("reasons.csv", file.into()).await;
    let summary = world.summary(&batch).await;
    assert_eq!(summary.records.failed, 3);
    let id = batch.as_str();
    let command = |words: &[&str]| world.command(&[words, &["--pipeline", PIPELINE]].concat());
    let view = told(&command(&["status", id, "--json"]));
    let groups = view["failures"].as_array().unwrap();
    let of = |count: u64| groups.iter().find(|group| group["count"] == count).unwrap()["id"].as_str().unwrap();
    let (numbers, missing) = (of(2), of(1));
    assert_eq!((&view["redrivable"], view["costs"]["soFar"].as_f64().unwrap() > 0.0), (&json!(true), true));

    let all = command(&["failures", id]);
    assert_eq!(all.stdout, "itemNo,price\nr-2,two\nr-3,\nr-4,four\n", "{}", all.stderr);
    assert_eq!(command(&["failures", id, "--reason", numbers]).stdout, "itemNo,price\nr-2,two\nr-4,four\n");
    let folder = tempfile::tempdir().unwrap();
    let saved = command(&["failures", id, "--reason", missing, "--output", folder.path().to_str().unwrap(), "--json"]);
    let saved = told(&saved);
    let text = std::fs::read_to_string(saved["file"].as_str().unwrap()).unwrap();
    assert_eq!((text.as_str(), &saved["bytes"]), ("itemNo,price\nr-3,\n", &json!(text.len())));
    let unknown = command(&["failures", id, "--reason", "nothing"]);
    assert!(unknown.code == 1 && unknown.stderr.contains(numbers), "{}", unknown.stderr);

    let only = command(&["redrive", id, "--reason", numbers, "--dry-run"]);
    assert!(only.stderr.contains("2 records will be processed again, about $"), "{}", only.stderr);
    assert!(world.ledger_of(&format!("{id}.r1")).await.is_none(), "a dry run does nothing");
    let only = command(&["redrive", id, "--reason", numbers, "--wait", "--json"]);
    assert_eq!(only.code, 3, "{}", only.stderr);
    let begun = world.ledger_of(&format!("{id}.r1")).await.unwrap();
    assert_eq!(begun.sealing.unwrap().records, Some(2), "the third is left as it was");
    let view = told(&command(&["status", id, "--json"]));
    let left: u64 = view["failures"].as_array().unwrap().iter().map(|group| group["count"].as_u64().unwrap()).sum();
    assert_eq!((left, &view["records"]["failed"], view["only"].as_str()), (3, &json!(3), Some(numbers)));
}

/// What the command tells of a batch once its chunks wait for workers, or it is closed.
async fn scattered(world: &World, batch: &str) -> Value {
    for _ in 0..1_200 {
        let done = world.command(&["status", batch, "--pipeline", PIPELINE, "--json"]);
        if done.code == 0 {
            let seen = told(&done);
            if seen["state"] == "PROCESSING" || !seen["finishedAt"].is_null() {
                return seen;
            }
        }
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
    panic!("{batch} is not scattered within two minutes");
}

/// Others upload to this pipeline meanwhile: they wait.
#[tokio::test]
async fn a_paused_pipeline_says_so_and_goes_on() {
    let world = World::of(PIPELINE).await;
    let what = world.command(&["pause", PIPELINE, "--dry-run", "--json"]);
    assert_eq!(told(&what)["done"], false);
    let paused = told(&world.command(&["pause", PIPELINE, "--json"]));
    assert_eq!((&paused["paused"], &paused["pipeline"]), (&json!(true), &json!(PIPELINE)));
    // A worker that was about to receive when the pause began may still take what comes.
    let mut stragglers = 0;
    let (batch, seen) = loop {
        let batch = world.put("paused.csv", "itemNo,price\np-1,1\n".into()).await;
        let seen = scattered(&world, batch.as_str()).await;
        if seen["standstill"]["kind"] == "STALLED" {
            break (batch, seen);
        }
        stragglers += 1;
        assert!(stragglers < 10, "workers take what comes, although the pipeline is paused: {seen}");
    };
    let reason = seen["standstill"]["reasons"][0].as_str().unwrap();
    assert!(reason.contains("paused") && reason.contains("fanfold resume"), "{reason}");
    let scaled = world.command(&["scale", PIPELINE, "--concurrency", "3", "--json"]);
    assert_eq!(told(&scaled)["concurrency"], 3);
    let wrong = world.command(&["scale", PIPELINE, "--concurrency", "1"]);
    assert!(wrong.code == 1 && wrong.stderr.contains("from 2 to 1000"), "{}", wrong.stderr);
    let mut watching = world.process(&std::env::temp_dir(), &["watch", "--pipeline", PIPELINE, "--json"]);
    let watching = watching.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let until = SystemClock.now();
    let resumed = told(&world.command(&["resume", PIPELINE, "--json"]));
    let summary = world.summary(&batch).await;
    assert_eq!(summary.records.succeeded, 1);
    // Until then, another such worker may have taken it, too.
    assert!(resumed["batches"].as_u64().unwrap() >= 1 || summary.finished_at <= until, "{resumed}");
    // It ends by itself, once all that were open are closed.
    let watched = watching.wait_with_output().unwrap();
    let lines = String::from_utf8(watched.stdout).unwrap();
    if let Some(last) = lines.lines().rfind(|line| line.contains(batch.as_str())) {
        let last: Value = serde_json::from_str(last).unwrap();
        assert_eq!((&last["pipeline"], &last["state"]), (&json!(PIPELINE), &json!("SUCCEEDED")));
    }
    let again = world.command(&["watch", batch.as_str(), "--pipeline", PIPELINE]);
    assert!(again.code == 0 && again.stderr.contains("succeeded 1/1 records"), "{}", again.stderr);
}
