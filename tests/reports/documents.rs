//! What a report holds, whatever was asked for and whatever went wrong.

use fanfold::batch::control::{cancel, redrive};
use fanfold::model::error::{Error, ErrorKind};
use fanfold::model::progress::BatchState;
use fanfold::model::reporting::id::ReportId;
use fanfold::model::timestamp::Timestamp;
use fanfold::pipeline::variant::BUILT_IN;
use fanfold::stage::consolidate::Consolidate;
use fanfold::stage::{Disposition, Received, Stage, deliver};
use fanfold::store::Clock;
use fanfold::store::blob::Blob;
use fanfold::store::channel::{Channel, Outgoing};
use fanfold::store::clock::SystemClock;
use fanfold::store::items::memory::MemoryItems;
use fanfold::store::ledger::Ledger;
use fanfold::store::testing::press::MemoryPress;
use serde_json::{Value, json};

use crate::world::{Broken, FOREVER, Hanging, Meters, PAGE, World, ended};

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
        let printed = world.pipeline.stores.output.read(&format!("{}/report/0/print.json", summary.batch_id)).unwrap();
        let printed: Value = serde_json::from_slice(&printed).unwrap();
        assert_eq!(printed["full"], format!("{PAGE}{}", end.id), "{}", variant.name);
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
async fn rows_that_were_deleted_are_expired_and_no_hole() {
    let world = World::new(BUILT_IN[0], Meters::of(&COUNTED).await);
    let summary = world.run(1, &["pump 1", "../../x"]).await;
    // The table deletes what expired at some time of its own.
    let emptied = Consolidate {
        input: world.pipeline.stores.input.clone(),
        output: world.pipeline.stores.output.clone(),
        rows: MemoryItems::new(),
        press: MemoryPress { bucket: world.pipeline.stores.output.clone() },
        clock: SystemClock,
        columns: world.settings.columns(),
        page: None,
    };
    deliver(&emptied, &ended(&summary), FOREVER).await;
    let end = world.end(&summary);
    assert_eq!(
        (end.state, end.error.unwrap().code.as_str(), end.outputs.len()),
        (BatchState::Failed, "ROWS_EXPIRED", 0)
    );
}

#[tokio::test]
async fn messages_that_come_twice_in_any_order_make_one_report() {
    for (seed, variant) in (0..20).flat_map(|seed| BUILT_IN.iter().map(move |variant| (seed, variant))) {
        let meters = Meters::of(&COUNTED).await;
        let world = World::new(*variant, meters.clone());
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
        assert_eq!(
            (end.state, end.parts.succeeded, end.rows),
            (BatchState::Succeeded, 7, 4),
            "{}, seed {seed}",
            variant.name
        );
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
async fn a_late_message_does_not_take_back_a_report() {
    let world = World::new(BUILT_IN[0], Meters::of(&COUNTED).await);
    let (summary, end) = world.report(1, &["pump 1"]).await;
    let expired = SystemClock.now().plus_seconds(3601);
    let disposition = deliver(&world.consolidate(expired), &ended(&summary), FOREVER).await;
    assert!(matches!(&disposition, Disposition::Discarded(why) if why.contains("was made before")), "{disposition:?}");
    assert_eq!(world.end(&summary), end);
    assert!(world.document(&end, "csv").starts_with(b"asset,"));
}

#[tokio::test]
async fn parts_that_were_not_reached_are_named() {
    // Those without a tree leave chunks that nobody asks for to sweep.
    for variant in BUILT_IN.iter().filter(|variant| ["chunked", "sns"].contains(&variant.name)) {
        let world = World::new(*variant, Meters::of(&COUNTED).await);
        let (_, batch, event) = world.ask(1, &["pump 1", "a", "b", "../../x", "c"]).await;
        let stores = &world.pipeline.stores;
        stores.queues[0].send(vec![Outgoing::new(event)]).await.unwrap();
        for message in world.take(0).await {
            world.pipeline.handle(0, &message).await;
        }
        // One chunk of three is worked on before somebody cancels.
        let chunks = world.take(1).await;
        world.pipeline.handle(1, &chunks[1]).await;
        let begun = stores.ledger.read(&batch).await.unwrap().unwrap();
        cancel(&stores.ledger, &begun, SystemClock.now()).await.unwrap();
        for chunk in [&chunks[0], &chunks[2]] {
            stores.queues[1].send(vec![Outgoing::new(chunk.body.clone())]).await.unwrap();
        }
        world.pipeline.run().await.unwrap();
        let summary = world.pipeline.summary(&batch).unwrap();
        deliver(&world.consolidate(SystemClock.now()), &ended(&summary), FOREVER).await;
        let (end, name) = (world.end(&summary), variant.name);
        assert_eq!((end.state, end.partial), (BatchState::Cancelled, true), "{name}");
        assert_eq!((end.parts.total, end.parts.succeeded, end.parts.failed), (5, 2, 3), "{name}");
        let report = world.json(&end);
        let named = |list: &str, field: &str| -> Vec<String> {
            report[list].as_array().unwrap().iter().map(|one| one[field].as_str().unwrap().to_owned()).collect()
        };
        assert_eq!(
            (named("assets", "name"), named("missing", "asset")),
            (vec!["b".into(), "../../x".into()], vec!["pump 1".to_owned(), "a".into(), "c".into()]),
            "{name}"
        );
        let reason = "the batch was cancelled before this record was processed";
        assert_eq!(report["missing"][0]["reason"], reason, "{name}");
    }
}

#[tokio::test]
async fn what_is_not_there_by_the_deadline_is_left_out() {
    for variant in BUILT_IN {
        let world = World::new(*variant, Meters::of(&COUNTED).await);
        // Its deadline was an hour after it was asked for, months ago.
        let (_, batch, event) = world.ask_by(1, &["pump 1", "../../x"], Some(3600)).await;
        let summary = world.pipeline.run_batch(&batch, event, || {}).await.unwrap();
        deliver(&world.consolidate(SystemClock.now()), &ended(&summary), FOREVER).await;
        let end = world.end(&summary);
        assert_eq!(
            (end.state, end.partial, end.parts.failed),
            (BatchState::PartiallyFailed, true, 2),
            "{}",
            variant.name
        );
        let reason = "the deadline of the report passed before it was made";
        let missing = json!([{"asset": "pump 1", "reason": reason}, {"asset": "../../x", "reason": reason}]);
        assert_eq!(world.json(&end)["missing"], missing, "{}", variant.name);
    }
}

#[tokio::test]
async fn a_report_takes_its_own_parts_alone() {
    let world = World::new(BUILT_IN[0], Meters::of(&COUNTED).await);
    let (other, _, _) = world.ask(1, &["../../x"]).await;
    let (id, _, _) = world.ask(2, &["pump 1", "../../x"]).await;
    let file = String::from_utf8(world.pipeline.stores.input.read(&id.file_key()).unwrap().to_vec()).unwrap();
    // Somebody puts another file in the place of the report's: parts of another report, of another asset, of other days, and one of
    // its own, twice.
    let (first, second) = file.split_once('\n').unwrap();
    let forged = [
        first.replace(id.as_str(), other.as_str()),
        first.replace("pump 1", "secret"),
        first.replace("2026-02-27", "2026-01-01"),
        second.trim().to_owned(),
        second.trim().to_owned(),
        "{\"part\":\"x\"}".to_owned(),
    ];
    let (batch, event) = world.pipeline.upload(&id.file_key(), forged.join("\n"));
    let summary = world.pipeline.run_batch(&batch, event, || {}).await.unwrap();
    deliver(&world.consolidate(SystemClock.now()), &ended(&summary), FOREVER).await;
    let (end, report) = (world.end(&summary), world.json(&world.end(&summary)));
    assert_eq!((end.id, end.parts.total, end.parts.succeeded, end.rows), (id, 2, 1, 1));
    assert_eq!(
        report["assets"],
        json!([{"name": "../../x", "rows": [["2026-02-28", 5, "-7"]], "totals": [null, 5, "-7"]}])
    );
    assert_eq!(report["missing"], json!([{"asset": "pump 1", "reason": "it was not reached before the report ended"}]));
}

#[tokio::test]
async fn rows_of_another_question_are_in_no_report() {
    let world = World::new(BUILT_IN[0], Meters::of(&COUNTED).await);
    let summary = world.run(1, &["pump 1"]).await;
    // Another file has the same part asked of other days.
    let (id, _, _) = world.ask(1, &["pump 1"]).await;
    let file = String::from_utf8(world.pipeline.stores.input.read(&id.file_key()).unwrap().to_vec()).unwrap();
    world.pipeline.run_file("reports/other.jsonl", file.replace("2026-02-27", "2026-01-01")).await.unwrap();
    deliver(&world.consolidate(SystemClock.now()), &ended(&summary), FOREVER).await;
    let end = world.end(&summary);
    assert_eq!((end.state, end.rows), (BatchState::PartiallyFailed, 0));
    let reason = "its rows answer another question: they have another from";
    assert_eq!(world.json(&end)["missing"], json!([{"asset": "pump 1", "reason": reason}]));
}

#[tokio::test]
async fn a_press_that_is_busy_costs_no_document_and_one_that_is_broken_ends_the_report() {
    let world = World::new(BUILT_IN[0], Meters::of(&COUNTED).await);
    let summary = world.run(1, &["pump 1"]).await;
    let message = ended(&summary);
    let broken = async |error: Error, is_last: bool| {
        let stage = world.by(Broken(error), SystemClock);
        let received = Received { is_last, ..Received::new(&message, stage.parse(&message.body).unwrap().unwrap()) };
        stage.handle(&received, FOREVER).await
    };
    let disposition = broken(Error::busy("too many calls"), true).await;
    assert!(matches!(&disposition, Disposition::Retry(error) if error.kind == ErrorKind::Busy), "{disposition:?}");
    // How often a message was received says nothing about how often it was tried.
    let disposition = broken(Error::transient("killed"), false).await;
    assert!(matches!(&disposition, Disposition::Retry(_)) && !world.has_end(&summary), "{disposition:?}");
    assert!(matches!(broken(Error::transient("killed"), true).await, Disposition::Done));
    let end = world.end(&summary);
    assert_eq!((end.state, end.error.unwrap().code.as_str()), (BatchState::Failed, "NO_DOCUMENT"));
    assert_eq!(end.outputs.iter().map(|output| output.name.as_str()).collect::<Vec<_>>(), ["json", "csv"]);
    // Somebody has the message delivered again, once the press is well.
    deliver(&world.consolidate(SystemClock.now()), &message, FOREVER).await;
    assert_eq!((world.end(&summary).state, world.end(&summary).outputs.len()), (BatchState::Succeeded, 3));
    // Only then there is nothing to be taken back.
    assert!(matches!(broken(Error::transient("killed"), true).await, Disposition::Discarded(_)));
    assert_eq!(world.end(&summary).state, BatchState::Succeeded);
}

#[tokio::test]
async fn a_press_that_hangs_ends_the_report_in_the_last_try() {
    let world = World::new(BUILT_IN[0], Meters::of(&COUNTED).await);
    let summary = world.run(1, &["pump 1"]).await;
    let message = ended(&summary);
    let stage = world.by(Hanging, SystemClock);
    for is_last in [false, true] {
        let received = Received { is_last, ..Received::new(&message, stage.parse(&message.body).unwrap().unwrap()) };
        let deadline = Timestamp(SystemClock.now().0 + 500);
        let disposition = stage.handle(&received, deadline).await;
        assert!(SystemClock.now() < deadline, "it ends before its function does");
        assert_eq!(matches!(disposition, Disposition::Done), is_last, "{disposition:?}");
    }
    let end = world.end(&summary);
    let error = end.error.unwrap();
    assert_eq!((end.state, error.code.as_str(), end.parts.failed), (BatchState::Failed, "NOT_MADE", 1));
    assert!(error.message.contains("ask for it again"), "{}", error.message);
}

#[tokio::test]
async fn a_request_that_is_not_understood_any_more_ends() {
    let world = World::new(BUILT_IN[0], Meters::of(&COUNTED).await);
    let summary = world.run(1, &["pump 1"]).await;
    let (input, id) = (&world.pipeline.stores.input, ReportId::of_file(&summary.input.key).unwrap());
    let mut request: Value = serde_json::from_slice(&input.read(&id.request_key()).unwrap()).unwrap();
    request["order"]["to"] = request["order"]["from"].clone();
    input.put(&id.request_key(), "application/json", request.to_string().into()).await.unwrap();
    let disposition = deliver(&world.consolidate(SystemClock.now()), &ended(&summary), FOREVER).await;
    assert!(matches!(disposition, Disposition::Done), "{disposition:?}");
    assert_eq!(world.end(&summary).error.unwrap().code, "NOT_MADE");
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
