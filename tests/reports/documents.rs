//! What a report holds, whatever was asked for and whatever went wrong.

use fanfold::batch::control::redrive;
use fanfold::model::progress::BatchState;
use fanfold::pipeline::variant::BUILT_IN;
use fanfold::stage::{Disposition, deliver};
use fanfold::store::Clock;
use fanfold::store::channel::{Channel, Outgoing};
use fanfold::store::clock::SystemClock;
use fanfold::store::ledger::Ledger;
use serde_json::json;

use crate::world::{FOREVER, Meters, World, ended};

const COUNTED: [(&str, &str, u64, &str); 6] = [
    ("pump 1", "2026-02-26", 1, "1000"),
    ("pump 1", "2026-02-27", 2, "0.1"),
    ("pump 1", "2026-03-01", 3, "0.2"),
    ("pump 1", "2026-03-02", 1, "1000"),
    ("../../x", "2026-02-28", 5, "-7"),
    ("株式会社🚀", "2026-02-28", 1, "12345678901234567890.5"),
];

#[tokio::test]
async fn rows_are_in_the_order_of_the_request_in_every_variant() {
    let long = "x".repeat(10_000);
    let asked = ["株式会社🚀", "never counted", "pump 1", long.as_str(), "../../x"];
    for variant in BUILT_IN {
        let world = World::new(*variant, Meters::of(&COUNTED).await);
        let (summary, end) = world.report(1, &asked).await;
        assert_eq!((summary.state, end.state, end.partial), (BatchState::Succeeded, BatchState::Succeeded, false));
        assert_eq!((end.parts.total, end.parts.succeeded, end.rows), (5, 5, 4), "{}", variant.name);
        let report = world.json(&end);
        let names: Vec<&str> =
            report["assets"].as_array().unwrap().iter().map(|one| one["name"].as_str().unwrap()).collect();
        assert_eq!(names, asked, "{}", variant.name);
        let pump = json!({
            "name": "pump 1",
            "rows": [["2026-02-27", 2, "0.1"], ["2026-03-01", 3, "0.2"]],
            "totals": [null, 5, "0.3"],
        });
        assert_eq!(report["assets"][2], pump, "days of the range alone, and exact sums");
        assert_eq!(report["assets"][1], json!({"name": "never counted", "rows": [], "totals": [null, 0, "0"]}));
        assert_eq!(report["totals"], json!([null, "11", "12345678901234567883.8"]));
        assert_eq!((&report["zone"], &report["missing"]), (&json!("Europe/Berlin"), &json!([])));
        assert_eq!(report["title"], "usage, 2026-02-27 to 2026-03-01", "the last day is one of the report");
        let csv = String::from_utf8(world.document(&end, "csv")).unwrap();
        let wanted = "asset,day,records,kwh\n株式会社🚀,2026-02-28,1,12345678901234567890.5\npump 1,2026-02-27,2,0.1\n\
            pump 1,2026-03-01,3,0.2\n../../x,2026-02-28,5,-7\n";
        assert_eq!(csv, wanted, "{}", variant.name);
        assert!(world.document(&end, "pdf").starts_with(b"%PDF"));
    }
}

#[tokio::test]
async fn a_report_of_nothing_is_done() {
    let world = World::new(BUILT_IN[0], Meters::of(&COUNTED).await);
    let (summary, end) = world.report(1, &[]).await;
    assert_eq!((summary.records.total, end.state, end.rows), (0, BatchState::Succeeded, 0));
    let report = world.json(&end);
    assert_eq!((&report["assets"], &report["totals"]), (&json!([]), &json!(null)));
    assert_eq!(report["columns"].as_array().unwrap().len(), 3, "a document has columns, though no rows");
    assert_eq!(world.document(&end, "csv"), b"asset,day,records,kwh\n");
}

#[tokio::test]
async fn a_part_that_fails_is_named_and_the_others_are_there() {
    let meters = Meters::of(&COUNTED).await;
    meters.set_broken("../../x", true);
    for variant in BUILT_IN {
        let world = World::new(*variant, meters.clone());
        let (summary, end) = world.report(1, &["pump 1", "../../x"]).await;
        assert_eq!(
            (summary.state, end.state, end.partial),
            (BatchState::PartiallyFailed, BatchState::PartiallyFailed, true)
        );
        assert_eq!((end.parts.succeeded, end.parts.failed), (1, 1), "{}", variant.name);
        let report = world.json(&end);
        let reason = "the counters could not be read (tried 5 times)";
        assert_eq!(report["missing"], json!([{"asset": "../../x", "reason": reason}]), "no name of a table");
        assert_eq!((report["assets"].as_array().unwrap().len(), &report["partial"]), (1, &json!(true)));
    }
}

#[tokio::test]
async fn a_report_whose_rows_expired_fails_and_has_no_documents() {
    let world = World::new(BUILT_IN[0], Meters::of(&COUNTED).await);
    let summary = world.run(1, &["pump 1", "../../x"]).await;
    let expired = SystemClock.now().plus_seconds(3601);
    deliver(&world.consolidate(expired), &ended(&summary), FOREVER).await;
    let end = world.end(&summary);
    let error = end.error.unwrap();
    assert_eq!((end.state, error.code.as_str(), end.outputs.len()), (BatchState::Failed, "ROWS_EXPIRED", 0));
    assert!(error.message.contains("\"pump 1\" expired") && error.message.contains("ask for it again"), "{error:?}");
}

#[tokio::test]
async fn messages_that_come_twice_in_any_order_make_one_report() {
    for seed in 0..20 {
        let meters = Meters::of(&COUNTED).await;
        let world = World::new(BUILT_IN[0], meters.clone());
        let assets = ["pump 1", "../../x", "株式会社🚀", "a", "b", "c", "d"];
        let (_, batch, event) = world.ask(1, &assets).await;
        let mut rng = fastrand::Rng::with_seed(seed);
        world.pipeline.stores.queues[0].send(vec![Outgoing::new(event)]).await.unwrap();
        for stage in 0..3 {
            let messages = world.take(stage).await;
            let mut twice = [messages.clone(), messages].concat();
            rng.shuffle(&mut twice);
            for message in &twice {
                world.pipeline.handle(stage, message).await;
            }
        }
        let summary = world.pipeline.summary(&batch).unwrap();
        for _ in 0..2 {
            deliver(&world.consolidate(SystemClock.now()), &ended(&summary), FOREVER).await;
        }
        let end = world.end(&summary);
        assert_eq!((end.state, end.parts.succeeded, end.rows), (BatchState::Succeeded, 7, 4), "seed {seed}");
        assert_eq!(world.json(&end)["totals"], json!([null, "11", "12345678901234567883.8"]));
    }
}

#[tokio::test]
async fn a_part_has_one_answer_whatever_is_counted_meanwhile() {
    for variant in BUILT_IN {
        let meters = Meters::of(&COUNTED).await;
        let world = World::new(*variant, meters.clone());
        let (_, batch, event) = world.ask(1, &["pump 1", "a", "b"]).await;
        world.pipeline.stores.queues[0].send(vec![Outgoing::new(event)]).await.unwrap();
        for message in world.take(0).await {
            world.pipeline.handle(0, &message).await;
        }
        let messages = world.take(1).await;
        for message in &messages {
            world.pipeline.handle(1, message).await;
        }
        let answered = world.rows.all();
        assert_eq!(answered.len(), 3, "{}", variant.name);
        meters.count("pump 1", "2026-02-28", 100, "100").await;
        for message in &messages {
            world.pipeline.handle(1, message).await;
        }
        assert_eq!(world.rows.all(), answered, "{}", variant.name);
        for message in world.take(2).await {
            world.pipeline.handle(2, &message).await;
        }
        let summary = world.pipeline.summary(&batch).unwrap();
        deliver(&world.consolidate(SystemClock.now()), &ended(&summary), FOREVER).await;
        assert_eq!(world.json(&world.end(&summary))["totals"], json!([null, "5", "0.3"]), "{}", variant.name);
    }
}

#[tokio::test]
async fn what_is_no_report_is_left_alone() {
    let world = World::new(BUILT_IN[0], Meters::of(&COUNTED).await);
    let summary = world.pipeline.run_file("mine.jsonl", "{\"part\":\"x\"}\n").await.unwrap();
    let disposition = deliver(&world.consolidate(SystemClock.now()), &ended(&summary), FOREVER).await;
    assert!(
        matches!(&disposition, Disposition::Discarded(why) if why == "mine.jsonl is the file of no report"),
        "{disposition:?}"
    );
    assert_eq!(summary.records.failed, 1);
    assert!(summary.failures[0].message.contains("it is no part of a report"), "{:?}", summary.failures);
    // What a person wrote where requests have their files is another batch.
    let (id, batch, event) = world.ask(2, &[]).await;
    world.pipeline.upload(&id.file_key(), "{\"part\":\"y\"}\nnot JSON\n");
    let summary = world.pipeline.run_batch(&batch, event, || {}).await.unwrap();
    assert_eq!(summary.records.total, 0, "the upload that the event names, and none that came after it");
}

#[tokio::test]
async fn a_redrive_adds_what_was_missing_and_leaves_the_earlier_report_alone() {
    for variant in BUILT_IN {
        let meters = Meters::of(&COUNTED).await;
        meters.set_broken("../../x", true);
        let world = World::new(*variant, meters.clone());
        let (summary, first) = world.report(1, &["../../x", "pump 1"]).await;
        let before = world.json(&first);
        meters.set_broken("../../x", false);
        // What was answered is not asked for again.
        meters.count("pump 1", "2026-02-28", 100, "100").await;
        let stores = &world.pipeline.stores;
        let batch = stores.ledger.read(&summary.batch_id).await.unwrap().unwrap();
        redrive(&stores.ledger, &stores.queues[0], &batch, None).await.unwrap();
        world.pipeline.run().await.unwrap();
        let summary = world.pipeline.summary(&summary.batch_id).unwrap();
        deliver(&world.consolidate(SystemClock.now()), &ended(&summary), FOREVER).await;
        let second = world.end(&summary);
        assert_eq!((second.generation, second.state, second.rows), (1, BatchState::Succeeded, 3), "{}", variant.name);
        let report = world.json(&second);
        assert_eq!(report["totals"], json!([null, "10", "-6.7"]), "{}", variant.name);
        assert_eq!(report["assets"][0]["name"], "../../x", "in the order of the request");
        assert_eq!((world.json(&first), before["missing"].as_array().unwrap().len()), (before, 1), "{}", variant.name);
    }
}
