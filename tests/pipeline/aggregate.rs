//! Counters equal a plain fold of the outcomes, whatever is repeated, whoever ends a chunk, and after a redrive.

use std::collections::BTreeMap;

use fanfold::batch::Batches;
use fanfold::batch::chunks::Decision;
use fanfold::batch::counting::Counted;
use fanfold::batch::find::Found;
use fanfold::intake::claim_check;
use fanfold::model::fold::{Fold, Group, Totals};
use fanfold::model::ids::{BatchId, ChunkIndex};
use fanfold::model::message::{RedriveMessage, to_body};
use fanfold::model::processing::Processing;
use fanfold::model::processing::aggregate::AggregateSettings;
use fanfold::model::record::Outcome;
use fanfold::model::schema::RecordSchema;
use fanfold::model::summary::Summary;
use fanfold::pipeline::Pipeline;
use fanfold::pipeline::local::{INPUT, LocalPipeline, MemoryStores, Settings};
use fanfold::pipeline::variant::{BUILT_IN, Pending, Variant};
use fanfold::stage::sweep::Patience;
use fanfold::stage::{Disposition, deliver};
use fanfold::store::Clock;
use fanfold::store::channel::{Channel, Delivery, Outgoing};
use fanfold::store::clock::SystemClock;
use fanfold::store::counters::memory::MemoryCounters;
use fanfold::store::ledger::Ledger;
use fanfold::store::pace::PacedStores;
use serde_json::{Value, json};

const SCHEMA: &str = r#"{"type":"object","properties":{"quantity":{"maximum":900}}}"#;

fn aggregate() -> AggregateSettings {
    let settings =
        json!({"group_by": ["client", "day"], "sum": ["quantity"], "min": ["quantity"], "max": ["quantity"]});
    AggregateSettings::parse(&settings).unwrap()
}

fn settings(variant: Variant) -> Settings {
    let (schema, aggregate) = (SCHEMA.to_owned(), Some(aggregate()));
    Settings { variant: Some(variant), schema, chunk_size: 7, aggregate, ..Settings::default() }
}

fn pipeline(variant: Variant) -> LocalPipeline {
    LocalPipeline::of_items(&settings(variant)).unwrap()
}

/// Records in random order, some of which fail: by the schema, for want of a group, by what is no number.
fn file(from: usize, many: usize, seed: u64) -> String {
    let mut rng = fastrand::Rng::with_seed(seed);
    let record = |n: usize| {
        let client = ["acme", "", "株式会社", "acme\",\"x"][rng.usize(..4)];
        let day = rng.u32(1..4);
        let hundredths = rng.i64(-99_999..99_999);
        let quantity: Value = match rng.u32(..8) {
            0 => Value::Null,
            1 => json!("a dozen"),
            2 => json!(950),
            _ => serde_json::from_str(&format!("{hundredths}e-2")).unwrap(),
        };
        let mut record = json!({"id": format!("r{n}"), "client": client, "day": day, "quantity": quantity});
        if rng.u32(..10) == 0 {
            record.as_object_mut().unwrap().remove("client");
        }
        format!("{record}\n")
    };
    (from..from + many).map(record).collect()
}

/// The counters by a plain fold of the outcomes in the results of batches.
fn folded(pipeline: &LocalPipeline, batches: &[&BatchId]) -> BTreeMap<Group, Totals> {
    let mut fold = Fold::default();
    for batch in batches {
        let results = pipeline.stores.output.read(&batch.output_key("results.jsonl")).unwrap();
        for line in results.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
            let outcome: Value = serde_json::from_slice(line).unwrap();
            if outcome["response"]["success"] == true {
                fold.add(aggregate().contribution(outcome["request"].as_object().unwrap()).unwrap());
            }
        }
    }
    fold.groups().map(|(group, totals)| (group.clone(), totals.clone())).collect()
}

fn summary(pipeline: &LocalPipeline, batch: &BatchId) -> Summary {
    pipeline.summary(batch).unwrap()
}

async fn send(pipeline: &LocalPipeline, stage: usize, body: String) {
    pipeline.stores.queues[stage].send(vec![Outgoing::new(body)]).await.unwrap();
}

/// Takes the messages that wait for a stage.
async fn taken(pipeline: &LocalPipeline, stage: usize) -> Vec<Delivery> {
    let queue = &pipeline.stores.queues[stage];
    let mut taken = Vec::new();
    loop {
        let some = queue.receive(10).await.unwrap();
        if some.is_empty() {
            return taken;
        }
        for delivery in some {
            queue.delete(&delivery.receipt).await.unwrap();
            taken.push(delivery);
        }
    }
}

/// Makes chunks of a file, and returns the messages about them.
async fn scattered(pipeline: &LocalPipeline, key: &str, body: String) -> (BatchId, Vec<Delivery>) {
    let (batch, event) = pipeline.upload(key, body);
    send(pipeline, 0, event).await;
    for delivery in taken(pipeline, 0).await {
        assert!(matches!(pipeline.handle(0, &delivery).await, Disposition::Done));
    }
    (batch, taken(pipeline, 1).await)
}

fn deployed(pipeline: &LocalPipeline, variant: Variant) -> Pipeline<fanfold::pipeline::local::Memory> {
    let processing = Processing { aggregate: Some(aggregate()), ..Processing::default() };
    Pipeline::new(pipeline.stores.clone(), variant, INPUT).with_processing(processing)
}

/// What a worker does that dies as soon as it has decided.
async fn decide_and_die(batches: &Batches<PacedStores<MemoryStores>>, delivery: &Delivery) -> (BatchId, ChunkIndex) {
    let message = claim_check::parse(&delivery.body).unwrap().unwrap();
    let Found::Pending(work) = batches.find_one(&message).await.unwrap() else {
        panic!("chunk {} does not wait", message.chunk);
    };
    let schema = RecordSchema::parse(SCHEMA, "id").unwrap();
    let mut fold = Fold::default();
    let outcomes = work.entries.into_iter().map(|entry| {
        let counted = schema.check(&entry, work.layout).and_then(|valid| aggregate().contribution(&valid.fields));
        let failure = counted.map(|contribution| fold.add(contribution)).err();
        Outcome::of(entry, failure)
    });
    let outcomes = outcomes.collect();
    let decision = if message.range.is_some() { Decision::excepted(outcomes) } else { Decision::worked(outcomes) };
    let (id, chunk) = (message.batch_id.clone(), message.chunk);
    batches.chunks.decide(&id, chunk, decision.with_fold(Some(fold)), "", SystemClock.now()).await.unwrap();
    (id, chunk)
}

#[tokio::test]
async fn counters_equal_a_plain_fold_when_every_message_comes_twice() {
    for variant in BUILT_IN {
        let pipeline = pipeline(*variant);
        let (batch, messages) = scattered(&pipeline, "a.jsonl", file(0, 100, 7)).await;
        for delivery in messages.iter().chain(messages.iter().rev()) {
            pipeline.handle(1, delivery).await;
        }
        pipeline.run().await.unwrap();
        let records = summary(&pipeline, &batch).records;
        assert!(records.succeeded > 50 && records.failed > 20, "{}: {records:?}", variant.name);
        let totals = pipeline.counters().totals();
        assert_eq!(totals, folded(&pipeline, &[&batch]), "{}", variant.name);
        assert_eq!(totals.values().map(|totals| totals.count).sum::<u64>(), records.succeeded);
        assert!(pipeline.items().all().len() as u64 == records.succeeded, "an item for each that is counted");
    }
}

#[tokio::test]
async fn whoever_ends_a_chunk_counts_what_was_decided() {
    for variant in BUILT_IN {
        for by in ["bury", "another worker", "sweep"] {
            let pipeline = pipeline(*variant);
            let (batch, messages) = scattered(&pipeline, "a.jsonl", file(0, 20, 3)).await;
            let deployed = deployed(&pipeline, *variant);
            for delivery in &messages {
                decide_and_die(&deployed.batches().unwrap(), delivery).await;
            }
            assert!(pipeline.counters().all().is_empty());
            let deadline = SystemClock.now().plus_seconds(60);
            match by {
                "bury" => {
                    let bury = deployed.bury().unwrap();
                    for delivery in &messages {
                        assert!(matches!(deliver(&bury, delivery, deadline).await, Disposition::Done));
                    }
                }
                "another worker" => {
                    for delivery in &messages {
                        assert!(matches!(pipeline.handle(1, delivery).await, Disposition::Done));
                    }
                }
                _ => {
                    let patience = Patience { stall_after: 0, give_up_after: i64::MAX / 2000 };
                    for _ in 0..3 {
                        deployed.sweep(patience).unwrap().run(deadline).await.unwrap();
                    }
                }
            }
            pipeline.run().await.unwrap();
            let what = format!("{} {by}", variant.name);
            assert!(summary(&pipeline, &batch).records.succeeded > 0, "{what}");
            assert_eq!(pipeline.counters().totals(), folded(&pipeline, &[&batch]), "{what}");
        }
    }
}

#[tokio::test]
async fn a_chunk_that_was_buried_adds_nothing() {
    for variant in BUILT_IN {
        let pipeline = pipeline(*variant);
        let (batch, messages) = scattered(&pipeline, "a.jsonl", file(0, 20, 5)).await;
        let deployed = deployed(&pipeline, *variant);
        let bury = deployed.bury().unwrap();
        let deadline = SystemClock.now().plus_seconds(60);
        deliver(&bury, &messages[0], deadline).await;
        for delivery in &messages {
            pipeline.handle(1, delivery).await;
        }
        pipeline.run().await.unwrap();
        assert!(summary(&pipeline, &batch).chunks.failed == 1, "{}", variant.name);
        assert_eq!(pipeline.counters().totals(), folded(&pipeline, &[&batch]), "{}", variant.name);
    }
}

#[tokio::test]
async fn a_redrive_adds_what_succeeds_then_and_a_later_upload_adds_to_both() {
    for variant in BUILT_IN {
        let pipeline = pipeline(*variant);
        let batch = pipeline.upload("a.jsonl", file(0, 60, 11));
        let first = pipeline.run_batch(&batch.0, batch.1, || {}).await.unwrap().records.succeeded;
        let before = pipeline.counters().totals();
        assert_eq!(before, folded(&pipeline, &[&batch.0]), "{}", variant.name);
        // The schema is corrected: quantities may be above 900 now.
        let corrected = Settings { schema: "{}".to_owned(), ..settings(*variant) };
        let corrected = LocalPipeline::sharing(&corrected, pipeline.stores.clone(), processor(&pipeline)).unwrap();
        let redrive = to_body(&RedriveMessage::new(batch.0.in_generation(1)));
        for _ in 0..2 {
            send(&corrected, 0, redrive.clone()).await;
        }
        for stage in 0..3 {
            let taken = taken(&corrected, stage).await;
            for delivery in taken.iter().chain(&taken) {
                corrected.handle(stage, delivery).await;
            }
        }
        let second = summary(&corrected, &batch.0).records;
        assert!(second.succeeded > first && second.failed > 0, "{}: {second:?}", variant.name);
        let after = corrected.counters().totals();
        assert_eq!(after, folded(&corrected, &[&batch.0]), "{}", variant.name);
        assert_ne!(after, before);
        let late = corrected.upload("late.jsonl", file(1000, 30, 13));
        corrected.run_batch(&late.0, late.1, || {}).await.unwrap();
        assert_eq!(corrected.counters().totals(), folded(&corrected, &[&batch.0, &late.0]), "{}", variant.name);

        // What one batch added is taken away, in all of its generations, and nothing of the other.
        let batches = deployed(&corrected, *variant).batches().unwrap();
        for again in [false, true] {
            for generation in 0..2 {
                let id = batch.0.in_generation(generation);
                let known = batches.ledger.read(&id).await.unwrap().unwrap();
                let counted = Counted { chunks: &batches.chunks, batch: &known };
                let rows = counted.rows().await.unwrap();
                let held = corrected.counters().all().iter().filter(|(_, of, ..)| *of == id).count() as u64;
                assert_eq!(held, if again { 0 } else { rows }, "{}", variant.name);
                assert!(rows > 0);
                assert_eq!(counted.forget(corrected.counters()).await.unwrap(), rows);
            }
        }
        assert_eq!(corrected.counters().totals(), folded(&corrected, &[&late.0]), "{}", variant.name);
    }
}

fn processor(
    pipeline: &LocalPipeline,
) -> fanfold::processor::items::WriteItems<fanfold::store::items::memory::MemoryItems> {
    fanfold::processor::items::WriteItems::new(pipeline.items().clone())
}

#[tokio::test]
async fn a_record_that_cannot_be_counted_fails_for_items_too_and_says_why() {
    for variant in BUILT_IN {
        let pipeline = pipeline(*variant);
        let long = "x".repeat(2048);
        let lines = [
            json!({"id": "a", "client": "acme", "day": 1, "quantity": 2}),
            json!({"id": "b", "client": long, "day": 1}),
            json!({"id": "c", "client": "acme", "day": null}),
            json!({"id": "d", "client": "acme", "day": 1, "quantity": [1]}),
        ];
        let summary = pipeline.run_file("a.jsonl", lines.map(|line| format!("{line}\n")).concat()).await.unwrap();
        assert_eq!((summary.records.succeeded, summary.records.failed), (1, 3), "{}", variant.name);
        assert_eq!(pipeline.items().all().len(), 1);
        let told: Vec<&str> = summary.failures.iter().map(|failure| failure.message.as_str()).collect();
        for part in ["longer than 2048 bytes", "no value in the field \"day\"", "quantity: the value is not a number"] {
            assert!(told.iter().any(|told| told.contains(part)), "{part}: {told:?}");
        }
    }
}

/// A verdict is a row of a table, which has no room for the counters of many long groups.
#[tokio::test]
async fn counters_that_a_decision_cannot_keep_fail_their_records_before_any_work() {
    for variant in BUILT_IN {
        let settings = Settings { chunk_size: 500, ..settings(*variant) };
        let pipeline = LocalPipeline::of_items(&settings).unwrap();
        let record = |n: usize| format!("{}\n", json!({"id": n, "client": format!("{n:01500}"), "day": 1}));
        let summary = pipeline.run_file("a.jsonl", (0..400).map(record).collect::<String>()).await.unwrap();
        let in_table = variant.pending == Pending::Table;
        let expected = if in_table { (0, 400) } else { (400, 0) };
        assert_eq!((summary.records.succeeded, summary.records.failed), expected, "{}", variant.name);
        assert_eq!(summary.chunks.failed, 0);
        assert_eq!(pipeline.items().all().len() as u64, summary.records.succeeded);
        assert_eq!(pipeline.counters().all().len() as u64, summary.records.succeeded);
        if in_table {
            let told = &summary.failures[0].message;
            assert!(
                told.starts_with("line 1: the counters of the chunk take ") && told.contains("CHUNK_SIZE"),
                "{told}"
            );
        }
    }
}

#[tokio::test]
async fn nothing_is_counted_without_the_setting() {
    for variant in BUILT_IN {
        let settings = Settings { aggregate: None, ..settings(*variant) };
        let pipeline = LocalPipeline::of_items(&settings).unwrap();
        pipeline.run_file("a.jsonl", file(0, 20, 7)).await.unwrap();
        assert!(pipeline.counters().all().is_empty());
        let done = pipeline.stores.work.keys().into_iter().filter(|key| key.contains("/done/"));
        let fold = |key: String| pipeline.stores.work.read(&key).unwrap().starts_with(b"{\"fold\"");
        assert!(!done.into_iter().any(fold), "{}", variant.name);
    }
}

#[tokio::test]
async fn counters_of_one_table_are_read_by_group() {
    use fanfold::store::counters::Counters;
    let pipeline = pipeline(BUILT_IN[0]);
    pipeline.run_file("a.jsonl", file(0, 50, 7)).await.unwrap();
    let counters: &MemoryCounters = pipeline.counters();
    for (group, totals) in counters.totals() {
        assert_eq!(counters.read(&group).await.unwrap(), totals);
    }
}
