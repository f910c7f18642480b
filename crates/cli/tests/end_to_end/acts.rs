//! What is done with a report besides waiting for it: it is cancelled, made again and deleted, by who asked for it alone.

use std::time::Duration;

use fanfold::store::blob::Blob;
use serde_json::{Value, json};

use crate::faults::kill_all;
use crate::page::Server;
use crate::reports::{ask, count, ended, fetch, order, own, valid};
use crate::waiting::id_of;
use crate::world::World;

/// A report once it is as wanted.
async fn once(server: &Server, id: &str, wanted: impl Fn(&Value) -> bool) -> Value {
    for _ in 0..600 {
        let told = valid(server.ask(&format!("/reports/{id}"), &[]).json());
        if wanted(&told) {
            return told;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("report {id} does not come to this");
}

/// The workers of reports, who do nothing until this is dropped.
struct Paused<'a>(&'a Server);

impl<'a> Paused<'a> {
    fn new(server: &'a Server) -> Self {
        Self::act(server, "pause");
        Self(server)
    }

    fn act(server: &Server, action: &str) {
        let answer = server.act(&format!("/pipelines/reports/{action}"), &format!("{action} {}", fastrand::u64(..)));
        assert_eq!(answer.status, 202, "{}", answer.body);
    }
}

impl Drop for Paused<'_> {
    fn drop(&mut self) {
        Self::act(self.0, "resume");
    }
}

#[tokio::test]
async fn a_report_that_is_cancelled_names_what_is_missing() {
    let name = own("cancelled");
    count(&name).await;
    let (server, function) = (Server::start(&World::of("reports").await, true), Server::function());
    let paused = Paused::new(&server);
    let id = id_of(&ask(&function, &name, &order(&name), &[]));
    let early = function.ask(&format!("/reports/{id}/result"), &[]).problem();
    assert!(early.0 == 409 && early.1.contains("wait for its end"), "{early:?}");
    // Whose parts are sent and worked on by nobody.
    let told = once(&function, &id, |told| told["state"] == "PROCESSING").await;
    stream_lives(&server, told["batchId"].as_str().unwrap());
    let act = |action: &str| function.act(&format!("/reports/{id}/{action}"), &format!("{name} {action}"));
    let cancelled = act("cancel");
    assert_eq!(cancelled.status, 202, "{}", cancelled.body);
    let told = ended(&function, &id);
    drop(paused);
    let end = &told["end"];
    let seen = (&told["state"], &end["partial"], &end["parts"]["failed"]);
    assert_eq!(seen, (&json!("CANCELLED"), &json!(true), &json!(3)));
    let report: Value = serde_json::from_slice(&fetch(&function, &id, "json")).unwrap();
    let missing: Vec<&Value> = report["missing"].as_array().unwrap().iter().map(|one| &one["asset"]).collect();
    assert_eq!(json!(missing), order(&name)["assets"]);
    let again = function.act(&format!("/reports/{id}/cancel"), &format!("{name} again"));
    assert_eq!(again.problem().0, 409);

    // Its parts are made when they are asked for again.
    let redriven = act("redrive");
    assert_eq!(redriven.status, 202, "{}", redriven.body);
    let told = once(&function, &id, |told| told["end"]["generation"] == 1).await;
    assert_eq!((&told["state"], &told["end"]["rows"]), (&json!("SUCCEEDED"), &json!(4)), "{told}");
}

/// The events of a batch that nobody works on begin at once, and comments show that they go on.
fn stream_lives(server: &Server, batch: &str) {
    let path = format!("/batches/{batch}/events");
    let told = server.ask(&path, &["--max-time", "17", "--write-out", "begun after %{time_starttransfer}"]);
    assert!(told.status == 200 && told.headers.contains("content-type: text/event-stream"), "{}", told.headers);
    let (stream, begun) = told.body.split_once("begun after ").unwrap();
    assert!(begun.parse::<f64>().unwrap() < 1.0, "{begun} s");
    assert!(stream.starts_with("event: view\n") && stream.contains("retry: 2000\n"), "{stream}");
    assert!(stream.lines().any(|line| line == ":"), "a comment after fifteen seconds: {stream}");
}

#[tokio::test]
async fn documents_that_were_deleted_are_gone() {
    let name = own("deleted");
    count(&name).await;
    let world = World::of("reports").await;
    let server = Server::function();
    let id = id_of(&ask(&server, &name, &order(&name), &[]));
    let told = ended(&server, &id);
    let outputs = told["end"]["outputs"].as_array().unwrap();
    let key = |name: &str| outputs.iter().find(|one| one["name"] == name).unwrap()["key"].as_str().unwrap().to_owned();

    // By what the client takes, and else as it was asked for.
    for (accept, form) in [("application/pdf", "pdf"), ("text/csv", "csv"), ("text/html, */*", "pdf")] {
        let answer = server.ask(&format!("/reports/{id}/result"), &["--header", &format!("Accept: {accept}")]);
        let link = answer.json()["url"].as_str().unwrap().to_owned();
        assert!(answer.status == 303 && link.contains(&format!("{id}.{form}")), "{accept}: {link}");
    }

    world.output.delete(&key("pdf")).await.unwrap();
    let (status, detail) = server.ask(&format!("/reports/{id}/result?format=pdf"), &[]).problem();
    let finished = told["end"]["finishedAt"].as_str().unwrap();
    assert!(status == 410 && detail.contains(finished) && detail.contains("ask for it again"), "{detail}");
    assert!(!fetch(&server, &id, "csv").is_empty(), "the others are there");

    // All that tells of it.
    let batch = told["batchId"].as_str().unwrap();
    for key in [key("csv"), key("json"), format!("{batch}/report/0/end.json"), format!("{batch}/summary.json")] {
        world.output.delete(&key).await.unwrap();
    }
    let told = valid(server.ask(&format!("/reports/{id}"), &[]).json());
    assert_eq!((&told["state"], &told["end"]), (&json!("DELETED"), &Value::Null));
    assert_eq!(server.ask(&format!("/reports/{id}/result"), &[]).problem().0, 410);
}

#[tokio::test]
async fn workers_that_are_killed_cost_a_report_time_and_nothing_else() {
    let name = own("struck");
    count(&name).await;
    let server = Server::function();
    let mut order = order(&name);
    let assets: Vec<String> = (0..200).map(|n| format!("{name} {n}")).collect();
    order["assets"] =
        json!([order["assets"].as_array().unwrap().clone(), assets.iter().map(|one| json!(one)).collect()].concat());
    let (mut ids, mut struck) = (Vec::new(), 0);
    for round in 0..5 {
        ids.push(id_of(&ask(&server, &format!("{name} {round}"), &order, &[])));
        struck += usize::from(strike("reports-process").await);
    }
    assert!(struck >= 3, "{struck} of 5 reports lost their workers");
    for id in &ids {
        let told = ended(&server, id);
        let end = &told["end"];
        assert_eq!(
            (&told["state"], &end["rows"], &end["parts"]["succeeded"]),
            (&json!("SUCCEEDED"), &json!(4), &json!(203)),
            "{told}"
        );
        let report: Value = serde_json::from_slice(&fetch(&server, id, "json")).unwrap();
        assert_eq!(report["totals"], json!([null, "12", "42"]));
    }
}

/// Kills the processes of functions, as soon as there are any. There may be none for long: they were done before they were seen.
async fn strike(functions: &str) -> bool {
    for _ in 0..1200 {
        if kill_all(functions) > 0 {
            return true;
        }
        tokio::time::sleep(Duration::from_millis(25)).await;
    }
    false
}

#[tokio::test]
async fn who_did_not_ask_for_a_report_can_do_nothing_with_it() {
    let name = own("foreign");
    let (server, function) = (Server::start(&World::of("reports").await, true), Server::function());
    let order = json!({"type": "usage", "from": "2026-01-01", "to": "2026-01-02", "assets": []});
    let id = id_of(&ask(&server, &name, &order, &[]));
    ended(&server, &id);
    let none = "0".repeat(32);
    for (method, path) in [("GET", ""), ("GET", "/link"), ("GET", "/result"), ("POST", "/cancel"), ("POST", "/redrive")]
    {
        let key = format!("Idempotency-Key: {name}{path}");
        let answers = [&id, &none].map(|id| {
            function.ask(&format!("/reports/{id}{path}"), &["--request", method, "--header", &key]).problem()
        });
        assert!(answers[0].0 == 404 && answers[0] == answers[1], "{method} {path}: {answers:?}");
    }
}
