//! On a real deployment: functions killed, messages sent twice or lost, chunks that cannot be processed.

use std::process::Command;
use std::time::Duration;

use fanfold::model::condition::Condition;
use fanfold::model::format::Layout;
use fanfold::model::ids::{BatchId, ChunkIndex, Revision};
use fanfold::model::input::InputRef;
use fanfold::model::message::{ProcessMessage, to_body};
use fanfold::model::progress::{BatchState, Opening, Sealing};
use fanfold::model::record::Entry;
use fanfold::model::summary::Summary;
use fanfold::store::Clock;
use fanfold::store::blob::{Blob, read_all};
use fanfold::store::channel::{Channel, Outgoing};
use fanfold::store::clock::SystemClock;
use fanfold::store::items::Items;
use fanfold::store::ledger::{Ledger, Notes, Part, tree};
use futures::future::join_all;
use futures::join;
use serde_json::json;
use serde_json::value::to_raw_value;

use super::world::World;
use super::{counts, csv};

const CHUNK_SIZE: usize = 50;

/// A batch as scatter leaves it, without the messages that scatter would send.
pub struct Scattered {
    pub id: BatchId,
    messages: Vec<ProcessMessage>,
    keys: Vec<String>,
}

impl Scattered {
    /// Creates chunks of ten records each.
    pub async fn put(world: &World, name: &str, chunks: u32) -> Self {
        let (key, now) = (format!("{name}.csv"), SystemClock.now());
        let id = BatchId::of("by hand", &key, &Revision::Version(now.0.to_string()));
        let input = InputRef {
            bucket: "by hand".into(),
            key,
            version_id: None,
            e_tag: None,
            bytes: 0,
            format: Some("csv".to_owned()),
            read_as: None,
        };
        let opening = Opening {
            id: id.clone(),
            variant: "chunked".to_owned(),
            input,
            condition: Condition::Tree,
            ranged: false,
            rules: None,
            only: None,
            chunk_size: 0,
            started_at: now,
            sequence: now,
        };
        world.ledger.open(&opening).await.unwrap();
        let (mut messages, mut keys) = (Vec::new(), Vec::new());
        for index in 0..chunks {
            let chunk = ChunkIndex::new(index).unwrap();
            let mut lines = String::new();
            for n in u64::from(index) * 10..u64::from(index + 1) * 10 {
                keys.push(format!("{name}{n}"));
                let record = json!({"itemNo": format!("{name}{n}"), "price": "1.5"});
                let entry = Entry::decoded(n, to_raw_value(&record).unwrap());
                lines.push_str(&(serde_json::to_string(&entry).unwrap() + "\n"));
            }
            world.work.put(&id.pending_key(chunk), "application/jsonl", lines.into()).await.unwrap();
            messages.push(ProcessMessage::new(id.clone(), chunk, 10, Layout::Csv, now));
        }
        let columns = Some(vec!["itemNo".to_owned(), "price".to_owned()]);
        let records = Some(u64::from(chunks) * 10);
        let sealing = Sealing { records, chunks, columns, head: None, error: None, scattered_at: now };
        let progress = tree::seal(&world.ledger, &id, &sealing).await.unwrap();
        assert_eq!(progress, tree::Progress::Open);
        Self { id, messages, keys }
    }

    async fn send(&self, world: &World, messages: &[ProcessMessage]) {
        let outgoing = messages.iter().map(|message| Outgoing::new(to_body(message))).collect();
        world.process.send(outgoing).await.unwrap();
    }

    async fn stored(&self, world: &World) -> usize {
        let mut stored = 0;
        for key in &self.keys {
            stored += usize::from(world.items.read(key).await.unwrap().is_some());
        }
        stored
    }
}

/// The processes of fanfold's functions whose names begin with the prefix.
fn processes(functions: &str) -> Vec<String> {
    // The listing includes their environments, which hold the functions' names.
    let listed = Command::new("ps").args(["axeww", "-o", "pid=,command="]).output().unwrap();
    let listed = String::from_utf8_lossy(&listed.stdout).into_owned();
    let named = format!("AWS_LAMBDA_FUNCTION_NAME=test-{functions}");
    let lines = listed.lines().filter(|line| line.contains(&named) && line.contains("bootstrap"));
    lines.filter_map(|line| line.split_whitespace().next().map(str::to_owned)).collect()
}

/// Kills these processes, and returns how many it killed.
pub fn kill_all(functions: &str) -> usize {
    let kill = |process: &String| Command::new("kill").args(["-9", process]).status().unwrap().success();
    processes(functions).iter().filter(|process| kill(process)).count()
}

#[tokio::test]
async fn functions_that_are_killed_cost_time_and_nothing_else() {
    // By then, scatter of `ranged` has long sent its claim checks: killing it would only hold up another test.
    join!(kill("dynamodb", "dynamodb-"), kill("ranged", "ranged-process"));
}

async fn kill(variant: &str, functions: &str) {
    let world = World::of(variant).await;
    let written = world.input.put("killed.csv", "text/csv", csv(10_000, "killed").into()).await.unwrap();
    let id = world.batch("killed.csv", &written.version.unwrap());
    let mut killed = 0;
    for round in 1..=3 {
        // Each time a little later in the batch, when another tenth of its chunks is done.
        for _ in 0..2_000 {
            let leaves = world.ledger.read_leaves(&id, 0..1).await.unwrap();
            if leaves[0].done.len() >= round * 20 {
                break;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        killed += kill_all(functions);
    }
    assert!(killed >= 3, "{killed} processes were killed");
    let summary = world.summary(&id).await;
    assert_eq!((summary.state, counts(&summary)), (BatchState::Succeeded, (10_000, 10_000, 0)), "{killed} killed");
    for n in (0..10_000).step_by(97) {
        assert_eq!(world.items.read(&format!("killed{n}")).await.unwrap().unwrap().index, n);
    }
}

#[tokio::test]
async fn every_message_sent_twice_changes_nothing() {
    let world = World::open().await;
    let batch = Scattered::put(&world, "twice", 30).await;
    for _ in 0..2 {
        batch.send(&world, &batch.messages).await;
    }
    let summary = world.summary(&batch.id).await;
    assert_eq!((summary.state, counts(&summary)), (BatchState::Succeeded, (300, 300, 0)));
    assert_eq!(batch.stored(&world).await, 300);
    let outputs = |world: &World| {
        let (output, key) = (world.output.clone(), batch.id.output_key("results.csv"));
        async move { read_all(&output, &key).await.unwrap().unwrap() }
    };
    let before = outputs(&world).await;
    batch.send(&world, &batch.messages).await;
    // Messages of one queue are taken in turn: when this batch is done, the repeats have been seen.
    world.upload("after-twice.csv", csv(60, "after")).await;
    assert_eq!(outputs(&world).await, before);
    let leaves = world.ledger.read_leaves(&batch.id, 0..1).await.unwrap();
    assert_eq!((leaves[0].tally.succeeded, leaves[0].done.len()), (300, 30));
}

#[tokio::test]
async fn a_chunk_that_cannot_be_processed_is_buried_and_can_be_redriven() {
    let world = World::open().await;
    let mut batch = Scattered::put(&world, "poison", 7).await;
    // The chunk and its message do not agree, so that no attempt can succeed.
    batch.messages[1].records = Some(11);
    batch.send(&world, &batch.messages[..2]).await;
    // Five attempts, and the pause after the last, take longer than sweep allows a batch to stall before it
    // sends a correct message. One more chunk after each attempt is progress that keeps sweep away.
    let poison = Part::Chunk(batch.messages[1].chunk);
    for attempt in 1..=5 {
        let noted = async || world.ledger.last_failure(&batch.id, poison).await.unwrap();
        while noted().await.is_none_or(|last| last.attempt < attempt) {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        let next = attempt as usize + 1;
        batch.send(&world, &batch.messages[next..=next]).await;
    }
    let summary = world.summary(&batch.id).await;
    assert_eq!((summary.state, counts(&summary)), (BatchState::PartiallyFailed, (70, 60, 10)));
    assert_eq!((summary.chunks.failed, batch.stored(&world).await), (1, 60));
    let message = &summary.failures[0].message;
    let said = "the chunk could not be processed: received 5 times; the last error: chunk 1 holds 10 records";
    assert!(message.contains(said), "{message}");
    let failed = read_all(&world.output, &batch.id.output_key("failed.csv")).await.unwrap().unwrap();
    assert_eq!(String::from_utf8_lossy(&failed).lines().count(), 11);

    let id = batch.id.to_string();
    let redriven = world.command(&["redrive", &id, "--variant", "chunked", "--output", "out", "--json"]);
    assert_eq!(redriven.code, 0, "{}", redriven.stderr);
    let summary = redriven.summary();
    assert_eq!((summary.state, counts(&summary), summary.generation), (BatchState::Succeeded, (70, 70, 0), 1));
    assert_eq!(batch.stored(&world).await, 70);
    assert_eq!(redriven.output("results.csv").unwrap().lines().filter(|line| line.ends_with(",true,")).count(), 70);
    assert_eq!(read_all(&world.output, &batch.id.output_key("failed.csv")).await.unwrap(), None);
    let status = world.command(&["status", &id, "--variant", "chunked"]);
    assert!(status.stdout.contains("redriven 1 times"), "{}", status.stdout);
    assert!(status.stdout.contains("records  70 (70 succeeded, 0 failed)"), "{}", status.stdout);
    let again = world.command(&["redrive", &id, "--variant", "chunked"]);
    assert!(again.code == 1 && again.stderr.contains("none of its records failed"), "{}", again.stderr);
}

#[tokio::test]
async fn a_scatter_that_keeps_failing_ends_its_batch() {
    join_all(["chunked", "ranged"].map(fail_to_scatter)).await;
}

async fn fail_to_scatter(variant: &str) {
    let world = World::of(variant).await;
    // S3 sends an event for this object, but does not return it until it is restored.
    let version = world.archive("unreadable.csv", csv(7, "unreadable")).await;
    let summary = world.summary(&world.batch("unreadable.csv", &version)).await;
    let error = summary.error.unwrap();
    assert_eq!((summary.state, error.code.name()), (BatchState::Failed, "SCATTER_FAILED"));
    assert!(error.message.contains("received 5 times; the last error: could not read"), "{}", error.message);
}

#[tokio::test]
async fn what_was_lost_is_sent_again_by_sweep() {
    let world = World::open().await;
    let batch = Scattered::put(&world, "lost", 3).await;
    batch.send(&world, &batch.messages[..1]).await;
    let summary = world.summary(&batch.id).await;
    assert_eq!((summary.state, counts(&summary)), (BatchState::Succeeded, (30, 30, 0)));
    assert_eq!(batch.stored(&world).await, 30);
}

#[tokio::test]
async fn a_cancelled_batch_ends_with_what_was_done() {
    let world = World::open().await;
    let batch = Scattered::put(&world, "cancelled", 3).await;
    let id = batch.id.to_string();
    batch.send(&world, &batch.messages[..1]).await;
    for _ in 0..600 {
        if batch.stored(&world).await == 10 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let cancelled = world.command(&["cancel", &id, "--variant", "chunked"]);
    assert_eq!(cancelled.code, 0, "{}", cancelled.stderr);
    // A worker that starts now skips its chunk; the third chunk has no message, so sweep ends it.
    batch.send(&world, &batch.messages[1..2]).await;
    let summary = world.summary(&batch.id).await;
    assert_eq!((summary.state, counts(&summary)), (BatchState::Cancelled, (30, 10, 20)));
    assert_eq!((summary.error.unwrap().code.name(), batch.stored(&world).await), ("CANCELLED", 10));
    let late = world.command(&["cancel", &id, "--variant", "chunked"]);
    assert!(late.code == 1 && late.stderr.contains("nothing left to cancel"), "{}", late.stderr);
}

#[tokio::test]
async fn twenty_files_at_once_all_end() {
    join_all(["chunked", "ranged"].map(end_twenty)).await;
}

async fn end_twenty(variant: &str) {
    let world = World::of(variant).await;
    let uploads = (0..20).map(|n| {
        let (world, name) = (&world, format!("beside{n}-"));
        async move { world.upload(&format!("{name}.csv"), csv(70 + n, &name)).await }
    });
    let summaries: Vec<Summary> = join_all(uploads).await;
    for (n, summary) in summaries.iter().enumerate() {
        let many = 70 + n as u64;
        assert_eq!((summary.state, counts(summary)), (BatchState::Succeeded, (many, many, 0)), "{n}");
        assert_eq!(summary.chunks.total as usize, (70 + n).div_ceil(CHUNK_SIZE));
        let last = world.items.read(&format!("beside{n}-{}", many - 1)).await.unwrap().unwrap();
        assert_eq!((last.index, &last.batch), (many - 1, &summary.batch_id));
    }
}

/// `make test` looks for this word in all logs.
const SECRET: &str = "never-to-be-logged";

#[tokio::test]
async fn records_never_reach_a_log_line() {
    join_all(["chunked", "ranged"].map(log_nothing)).await;
}

async fn log_nothing(variant: &str) {
    let world = World::of(variant).await;
    let valid = format!("{SECRET}1,1.5,{SECRET}\n");
    let wrong = format!("{SECRET}2,{SECRET},x\n{SECRET}3,1,x,{SECRET}\n{SECRET},\n,1,{SECRET}\n");
    let rows = format!("itemNo,price,note\n{valid}{wrong}");
    let lines = format!("{{\"itemNo\":\"{SECRET}4\",\"price\":\"{SECRET}\"}}\n{{\"itemNo\":{SECRET}\n\"{SECRET}\"\n");
    let cut = format!("{{\"records\":[{{\"itemNo\":\"{SECRET}5\",\"price\":1}},{{\"itemNo\":\"{SECRET}");
    for (name, text, total) in [("secret.csv", rows, 5), ("secret.jsonl", lines, 3), ("secret.json", cut, 1)] {
        let done = world.submit(name, text.as_bytes());
        assert_eq!(counts(&done.summary()).0, total, "{name}: {}", done.stderr);
    }
    // A chunk that can no longer be read.
    let mut batch = Scattered::put(&world, "unread", 1).await;
    let chunk = batch.messages[0].chunk;
    let garbage = format!("{{\"index\":\"{SECRET}\",\"record\":{SECRET}}}\n");
    world.work.put(&batch.id.pending_key(chunk), "application/jsonl", garbage.into()).await.unwrap();
    batch.messages[0].records = Some(1);
    batch.send(&world, &batch.messages).await;
    let summary = world.summary(&batch.id).await;
    assert_eq!((summary.state, summary.error.unwrap().code.name()), (BatchState::Failed, "LOST_RECORDS"));
}
