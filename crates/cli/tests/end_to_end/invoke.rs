//! Functions of users that deployed pipelines call: every answer that a contract knows, functions that fail, and functions
//! of fanfold that are killed while they wait for one.

use std::time::Duration;

use fanfold::model::ids::BatchId;
use fanfold::model::progress::BatchState;
use fanfold::model::summary::{ProcessorSummary, Summary};
use fanfold::store::blob::Blob;
use fanfold::store::items::Items;
use futures::future::join_all;
use serde_json::{Value, json};

use crate::counts;
use crate::users::{ALWAYS, Case, File, HEADER, KILLS_OF_OWN, Notes, check_counters, distinct, tries};
use crate::world::World;

const LISTED: &str = "rejected by processor: the function listed it in batchItemFailures";
const RAISED: &str = "the function failed: Runtime.HandlerError: no such price";
const LATE: &str = "the function failed: Sandbox.Timedout: Task timed out after 5.00 seconds";
const DIED: &str = "the function failed: Runtime.HandlerError: Worker process died";

/// What is said of a record that was tried in vain.
fn in_vain(reason: &str) -> String {
    format!("{reason} (tried 5 times)")
}

fn processor(summary: &Summary) -> &ProcessorSummary {
    summary.processor.as_ref().expect("what the calls took")
}

/// A text as a cell of a CSV file.
fn cell(text: &str) -> String {
    if text.contains([',', '"']) { format!("\"{}\"", text.replace('"', "\"\"")) } else { text.to_owned() }
}

/// The results of a file, with one reason of calls that took too long: on a machine that is busy, the worker's own time may end before
/// that of the function that it calls.
fn timed_out(results: &str) -> String {
    let lines = results.lines().map(|line| match line.split_once("the function was called and did not answer: ") {
        Some((before, told)) if told.contains("request has timed out") => {
            let tried = told.rfind(" (tried ").map_or("", |at| &told[at..]);
            format!("{before}{LATE}{tried}\n")
        }
        _ => format!("{line}\n"),
    });
    lines.collect()
}

/// Checks what became of each record of a CSV file in a pipeline whose function notes its calls.
async fn check(world: &World, file: &File, batch: &BatchId, reason: impl Fn(Case) -> String) -> Summary {
    let (summary, notes) = (world.summary(batch).await, Notes::open());
    let failed = file.cases.iter().filter(|case| case.fails()).count();
    let all = file.cases.len() as u64;
    assert_eq!(counts(&summary), (all, all - failed as u64, failed as u64), "{}", file.name);
    let (mut results, mut repeated) = (format!("{HEADER},success,message\n"), format!("{HEADER}\n"));
    let (mut noted, mut again) = (Vec::new(), 0);
    for (n, case) in file.cases.iter().enumerate() {
        let row = file.row(n);
        if case.fails() {
            results += &format!("{row},false,{}\n", cell(&format!("line {}: {}", n + 2, reason(*case))));
            repeated += &format!("{row}\n");
        } else {
            results += &format!("{row},true,\n");
        }
        let calls = notes.calls(batch, n);
        again += calls.len() - tries(&calls).len();
        assert_eq!(tries(&calls), (1..=u64::from(case.tries())).collect::<Vec<_>>(), "{} {n}: {case:?}", file.name);
        noted.extend(calls);
        let item = world.items.read(&file.key(n)).await.unwrap();
        assert_eq!(item.is_none(), case.fails(), "{} {n}: {case:?}", file.name);
    }
    assert_eq!(timed_out(&world.output(batch, "results.csv").await), results);
    assert_eq!(world.output(batch, "failed.csv").await, if failed > 0 { repeated } else { String::new() });
    check_told(&summary, &noted, again);
    assert!(processor(&summary).milliseconds > 0, "{summary:?}");
    summary
}

/// Checks that a summary tells of the calls that were noted. Those that were made again in the same try may be missing.
fn check_told(summary: &Summary, noted: &[Value], again: usize) {
    let told = processor(summary);
    let (calls, made) = (told.calls as usize, distinct(noted));
    assert!((noted.len() - again..=noted.len()).contains(&(told.attempts as usize)), "{told:?}, {again}");
    assert!((made.saturating_sub(again)..=made).contains(&calls), "{told:?}, {again}");
}

/// What the function does with a whole call, and what is then said of a record.
fn whole_calls() -> [(&'static str, String); 5] {
    let malformed = |problem: &str| format!("the function's answer does not keep the contract sqs: {problem}");
    [
        ("raises", RAISED.to_owned()),
        ("slow", LATE.to_owned()),
        ("dies", DIED.to_owned()),
        ("malformed", malformed("it is not an object")),
        ("unknown", malformed("no task has the id \"nobody\"")),
    ]
}

#[tokio::test]
async fn a_consumer_of_sqs_is_asked_again_about_what_it_lists_and_about_calls_that_fail() {
    let world = World::of("consumer").await;
    let half = [Case("good", 0), Case("listed", ALWAYS), Case("listed", 1), Case("good", 0), Case("listed", 1)];
    let mut files = vec![(File::new("half", &half), in_vain(LISTED))];
    for (mode, reason) in whole_calls() {
        files.push((File::new(&format!("{mode}-once"), &[Case(mode, 1); 3]), String::new()));
        files.push((File::new(&format!("{mode}-always"), &[Case(mode, ALWAYS); 2]), in_vain(&reason)));
    }
    let ended = files.iter().map(|(file, reason)| async {
        let batch = world.put(&format!("{}.csv", file.name), file.csv().into_bytes()).await;
        check(&world, file, &batch, |_| reason.clone()).await
    });
    let summaries = join_all(ended).await;
    let told = processor(&summaries[0]);
    assert_eq!(told.processors, ["invoke", "items", "aggregate"]);
    assert_eq!(told.function_arn.as_deref(), Some("arn:aws:lambda:us-east-1:000000000000:function:user-consumer"));
    assert_eq!((told.contract.as_deref(), told.versions.as_slice()), (Some("sqs"), &["$LATEST".to_owned()][..]));
    // Two calls for five records, of which three come again twice, once more, ... in one call each; unless time ended before an answer.
    assert!(told.calls >= 6 && told.attempts >= 5 + 3 + 3, "{told:?}");
    for (file, _) in &files {
        check_counters(&world, &file.fold(|case| !case.fails()));
    }
}

#[tokio::test]
async fn a_function_of_fanfolds_own_contract_makes_the_items_that_are_stored() {
    let _in_peace = KILLS_OF_OWN.read().await;
    let (world, notes) = (World::of("own").await, Notes::open());
    let silent = "the function answered nothing about this record";
    let cases = [
        (Case("good", 0), ""),
        (Case("temporary", 1), ""),
        (Case("temporary", ALWAYS), "the function answered: come back later (tried 5 times)"),
        (Case("silent", 1), ""),
        (Case("silent", ALWAYS), &in_vain(silent)),
        (Case("permanent", ALWAYS), "the function answered: no such client"),
        (Case("closed-own", ALWAYS), "the function answered: no such client"),
        (Case("closed-own", ALWAYS), "the function answered: no such client"),
    ];
    let file = File::new("own", &cases.each_ref().map(|(case, _)| *case));
    let batch = world.put("own.jsonl", file.jsonl().into_bytes()).await;
    let summary = world.summary(&batch).await;
    assert_eq!((summary.state, counts(&summary)), (BatchState::PartiallyFailed, (8, 3, 5)));
    let asked = |case: Case| if case.0 == "permanent" || case.0.starts_with("closed") { 1 } else { case.tries() };
    let results: Vec<Value> = lines(&world.output(&batch, "results.jsonl").await);
    let (mut noted, mut again) = (Vec::new(), 0);
    for (n, (case, reason)) in cases.iter().enumerate() {
        let calls = notes.calls(&batch, n);
        assert_eq!(tries(&calls).len() as u32, asked(*case), "{n}: {case:?}");
        again += calls.len() - tries(&calls).len();
        noted.extend(calls);
        let response = &results[n]["response"];
        assert_eq!(response["success"], json!(!case.fails()), "{n}: {response}");
        if case.fails() {
            assert!(response["message"].as_str().unwrap().ends_with(reason), "{n}: {response}");
        } else {
            assert_eq!(results[n]["result"], json!({"seen": n}), "{n}");
        }
        check_made(&world, &file, n, (!case.fails()).then(|| case.tries())).await;
    }
    check_told(&summary, &noted, again);
    assert_eq!(processor(&summary).contract.as_deref(), Some("fanfold"));
    check_counters(&world, &file.fold(|case| !case.fails()));
    let failed = lines(&world.output(&batch, "failed.jsonl").await);
    let repeated: Vec<Value> = lines(&file.jsonl())
        .into_iter()
        .zip(&cases)
        .filter(|(_, (case, _))| case.fails())
        .map(|(line, _)| line)
        .collect();
    assert_eq!(failed, repeated);
}

/// Checks that the item of a record is the one that the function made of it in this try; that there is none without one.
async fn check_made(world: &World, file: &File, n: usize, tried: Option<u32>) {
    let item = world.items.read(&file.key(n)).await.unwrap();
    let note = item.map(|item| item.fields["note"].as_str().unwrap().to_owned());
    assert_eq!(note, tried.map(|tried| format!("own in try {tried}")), "{n}");
}

fn lines(text: &str) -> Vec<Value> {
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[tokio::test]
async fn records_that_failed_are_redriven_once_the_function_takes_them_and_are_counted_once() {
    let _in_peace = KILLS_OF_OWN.read().await;
    let (world, notes) = (World::of("own").await, Notes::open());
    notes.turn("closed-redriven", false);
    let cases = ["good", "closed-redriven", "good", "permanent", "closed-redriven"];
    let cases = cases.map(|mode| Case(mode, if mode == "good" { 0 } else { ALWAYS }));
    let file = File::new("redriven", &cases);
    let batch = world.put("redriven.csv", file.csv().into_bytes()).await;
    assert_eq!(counts(&world.summary(&batch).await), (5, 2, 3));
    check_counters(&world, &file.fold(|case| case.0 == "good"));
    for generation in 1..=2 {
        notes.turn("closed-redriven", true);
        let done = world.redrive(&batch);
        assert_eq!(done.code, 3, "{}", done.stderr);
        let summary = done.summary();
        assert_eq!((summary.generation, counts(&summary)), (generation, (5, 4, 1)));
        // In a generation of its own, each record that failed is given to the function once.
        let told = processor(&summary);
        assert_eq!((told.calls, told.attempts), (1, if generation == 1 { 3 } else { 1 }));
        check_counters(&world, &file.fold(|case| case.0 != "permanent"));
    }
    let asked: Vec<usize> = (0..5).map(|n| notes.calls(&batch, n).len()).collect();
    assert_eq!(asked, [1, 2, 1, 3, 2]);
    for (n, case) in cases.iter().enumerate() {
        check_made(&world, &file, n, (case.0 != "permanent").then_some(1)).await;
    }
}

#[tokio::test]
async fn a_function_of_s3_batch_operations_works_through_a_manifest_and_a_throttled_call_is_no_try() {
    let (world, notes) = (World::of("objects").await, Notes::open());
    let put = async |key: &str, text: &'static str| {
        world.input.put(key, "image/jpeg", text.as_bytes().into()).await.unwrap().version.unwrap()
    };
    let first = put("_photos/a b.jpg", "one").await;
    put("_photos/a b.jpg", "second").await;
    put("_photos/ü,1.jpg", "umlaut").await;
    let bucket = world.input_bucket();
    let soon = format!("_photos/soon-{}.jpg", std::process::id());
    let manifest = format!(
        "{bucket},_photos/a%20b.jpg,{first}\n\"{bucket}\",\"_photos/%C3%BC%2C1.jpg\",\n{bucket},_photos/gone.jpg,\n\
         {bucket},{soon},\n{bucket}\n"
    );
    let functions = world.functions().await;
    let limited = functions.put_function_concurrency().function_name("user-objects").reserved_concurrent_executions(0);
    limited.send().await.unwrap();
    let batch = world.put("photos.csv", manifest.into_bytes()).await;
    // Of two calls, each is refused more often than a record is tried.
    world.await_calls("process", "lambda:InvokeFunction", 20);
    functions.delete_function_concurrency().function_name("user-objects").send().await.unwrap();
    while notes.calls(&batch, 3).is_empty() {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    put(&soon, "late").await;
    let summary = world.summary(&batch).await;
    assert_eq!((summary.state, counts(&summary)), (BatchState::PartiallyFailed, (5, 3, 2)));
    let asked: Vec<Vec<Value>> = (0..5).map(|n| notes.calls(&batch, n)).collect();
    // A call whose answer came too late for its worker is made again.
    let again = asked.iter().zip([1, 1, 1, 2, 0]).map(|(calls, least)| calls.len().checked_sub(least).unwrap()).sum();
    assert!(asked[4].is_empty(), "{asked:?}");
    assert_eq!(asked[0][0]["arguments"], json!({"by": "objects"}));
    assert_eq!(processor(&summary).contract.as_deref(), Some("s3batch"));
    // No throttled call among them.
    check_told(&summary, &asked.concat(), again);
    assert_eq!(world.output(&batch, "failed.csv").await, format!("{bucket},_photos/gone.jpg,\n{bucket}\n"));
    let rows = [
        format!("_photos/a%20b.jpg,{first},succeeded,200,,\"_photos/a b.jpg, 3 bytes\""),
        "_photos/%C3%BC%2C1.jpg,,succeeded,200,,\"_photos/ü,1.jpg, 6 bytes\"".to_owned(),
        "_photos/gone.jpg,,failed,200,PermanentFailure,404: Not Found".to_owned(),
        format!("{soon},,succeeded,200,,\"{soon}, 4 bytes\""),
    ];
    let report = world.output(&batch, "report.csv").await;
    let told: Vec<&str> = report.lines().collect();
    assert_eq!(told[..4], rows.map(|row| format!("{bucket},{row}")));
    assert!(told.len() == 5 && told[4].starts_with(&format!("{bucket},,,failed,,PermanentFailure,")), "{report}");
}

#[tokio::test]
async fn a_function_of_distributed_map_is_called_by_its_alias_and_the_summary_names_its_version() {
    let (world, notes) = (World::of("mapped").await, Notes::open());
    let file = File::new("mapped", &[Case("good", 0); 20]);
    let batch = world.put("mapped.csv", file.csv().into_bytes()).await;
    let summary = world.summary(&batch).await;
    assert_eq!((summary.state, counts(&summary)), (BatchState::Succeeded, (20, 20, 0)));
    let told = processor(&summary);
    assert!(told.calls >= 3 && told.attempts >= 20, "eight records a call: {told:?}");
    assert_eq!((told.contract.as_deref(), told.versions.as_slice()), (Some("map"), &["1".to_owned()][..]));
    assert!(told.function_arn.as_deref().is_some_and(|arn| arn.ends_with(":function:user-mapped:live")));
    let mut noted = Vec::new();
    for n in 0..20 {
        let calls = notes.of("calls", &file.key(n));
        assert_eq!(calls[0]["input"], json!({"by": "mapped"}));
        noted.extend(calls);
    }
    // Eight records a call, and none twice, unless its answer came too late.
    check_told(&summary, &noted, noted.len() - 20);
    assert!(distinct(&noted) <= 3 + noted.len() - 20, "{noted:?}");
    for (group, least, greatest) in [(file.group(0), "0.25", "18.25"), (file.group(1), "1.25", "19.25")] {
        let told = world.counted(&group);
        assert_eq!((&told["count"], &told["sum"]), (&json!(10), &json!({})), "{told}");
        assert_eq!((&told["min"]["price"], &told["max"]["price"]), (&json!(least), &json!(greatest)), "{told}");
    }
}

const MANY: usize = 300;

#[tokio::test]
async fn an_idempotent_function_has_each_effect_once_whatever_is_killed() {
    let (world, notes) = (World::of("powertools").await, Notes::open());
    let cases: Vec<Case> = (0..MANY).map(|n| if n % 25 == 7 { Case("raises", 1) } else { Case("good", 0) }).collect();
    let file = File::new("effects", &cases);
    let batch = world.put("effects.csv", file.csv().into_bytes()).await;
    let mut killed = 0;
    for share in 1..=3 {
        while notes.had_effects(&batch, MANY) < share * MANY / 5 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        killed += crate::faults::kill_all("powertools-process");
    }
    assert!(killed >= 3, "{killed} processes were killed");
    let summary = world.summary(&batch).await;
    let all = MANY as u64;
    assert_eq!((summary.state, counts(&summary)), (BatchState::Succeeded, (all, all, 0)), "{killed} killed");
    for n in 0..MANY {
        assert_eq!(notes.effects(&batch, n), 1, "{n}");
    }
    let repeated = (0..MANY).filter(|n| notes.calls(&batch, *n).len() > 1 && cases[*n].1 == 0).count();
    println!("{killed} processes were killed; {repeated} records came again");
    assert!(repeated > 0, "no function was killed while it waited for an answer");
    check_counters(&world, &file.fold(|_| true));
}

#[tokio::test]
async fn a_function_made_with_powertools_lists_what_raises() {
    let (world, notes) = (World::of("powertools").await, Notes::open());
    let file = File::new("raising", &[Case("good", 0), Case("raises", 1), Case("raises", ALWAYS)]);
    let batch = world.put("raising.csv", file.csv().into_bytes()).await;
    // Once it is alone in its call, the call fails.
    let reason = "the function failed: Runtime.HandlerError: All records failed processing.";
    let summary = world.summary(&batch).await;
    assert_eq!((summary.state, counts(&summary)), (BatchState::PartiallyFailed, (3, 2, 1)));
    // The last try may be one whose worker gave up, on a machine that is busy.
    let told = timed_out(&summary.failures[0].message);
    assert!([reason, LATE].iter().any(|reason| told.starts_with(&format!("line 4: {reason}"))), "{told}");
    assert!(told.ends_with("(tried 5 times)\n"), "{told}");
    for (n, case) in file.cases.iter().enumerate() {
        // The function may be asked again in the same try, since the other test of this pipeline kills who asked.
        assert_eq!(tries(&notes.calls(&batch, n)), (1..=u64::from(case.tries())).collect::<Vec<_>>(), "{n}");
    }
    assert_eq!((0..3).map(|n| notes.effects(&batch, n)).collect::<Vec<_>>(), [1, 1, 0]);
    check_counters(&world, &file.fold(|case| !case.fails()));
}
