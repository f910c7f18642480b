//! Reports: asked for by the API of `fanfold serve` and by the function, made by a pipeline, and fetched in every form.

use std::process::Command;
use std::sync::LazyLock;

use fanfold::model::progress::BatchState;
use jsonschema::Validator;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::page::{Answer, Server};
use super::world::World;

/// What is counted of the assets of a test: three records a day in the last days of February and the first of March.
pub async fn count(name: &str) {
    let world = World::of("metering").await;
    let days = ["2026-02-27", "2026-02-28", "2026-03-01", "2026-03-02"];
    let mut rows = "id,asset,day,kwh\n".to_owned();
    for (n, day) in days.iter().cycle().take(12).enumerate() {
        rows += &format!("{name}-{n},{name} ü 株 🚀,{day},{}.5\n{name}-x{n},{name}/../x,{day},1\n", n);
    }
    let summary = world.upload(&format!("{name}.csv"), rows.into_bytes()).await;
    assert_eq!((summary.state, summary.records.total), (BatchState::Succeeded, 24));
}

pub fn own(name: &str) -> String {
    format!("{name}-{}", std::process::id())
}

/// Asks for a report of these assets.
pub fn ask(server: &Server, key: &str, order: &Value, more: &[&str]) -> Answer {
    let (key, body) = (format!("Idempotency-Key: {key}"), order.to_string());
    let mut options = vec!["--header", &key, "--header", "content-type: application/json", "--data-binary", &body];
    options.extend(more);
    server.ask("/reports", &options)
}

pub fn order(name: &str) -> Value {
    let assets = [format!("{name} ü 株 🚀"), "never counted".to_owned(), format!("{name}/../x")];
    json!({"type": "usage", "from": "2026-02-28", "to": "2026-03-02", "zone": "Europe/Berlin", "assets": assets, "format": "pdf"})
}

/// Checks a report's document against its published schema, and returns it.
pub fn valid(told: Value) -> Value {
    static SCHEMA: LazyLock<Validator> = LazyLock::new(|| {
        let schema = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/report.schema.json"));
        jsonschema::validator_for(&serde_json::from_str(schema).unwrap()).unwrap()
    });
    let wrong: Vec<String> = SCHEMA.iter_errors(&told).map(|error| error.to_string()).collect();
    assert!(wrong.is_empty(), "{wrong:?}: {told}");
    told
}

/// Waits until a report has ended, as a client does that is kept waiting again and again.
pub fn ended(server: &Server, id: &str) -> Value {
    for _ in 0..300 {
        let answer = server.ask(&format!("/reports/{id}?wait=20"), &[]);
        assert_eq!(answer.status, 200, "{}", answer.body);
        let told = valid(answer.json());
        if !told["end"].is_null() {
            assert!(!answer.headers.contains("retry-after"), "{}", answer.headers);
            return told;
        }
    }
    panic!("report {id} does not end");
}

/// Fetches a document by the link that a server answers with, and returns its bytes.
pub fn fetch(server: &Server, id: &str, form: &str) -> Vec<u8> {
    let answer = server.ask(&format!("/reports/{id}/result?format={form}"), &[]);
    assert_eq!(answer.status, 303, "{}", answer.body);
    let link = answer.json()["url"].as_str().unwrap().to_owned();
    assert!(link.contains("X-Amz-Expires=900"), "{link}");
    follow(&link)
}

pub fn follow(link: &str) -> Vec<u8> {
    let done = Command::new("curl").args(["--silent", "--fail", "--noproxy", "*", link]).output().unwrap();
    assert!(done.status.success(), "{link}");
    done.stdout
}

pub fn digest(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// What a report of a test holds.
fn verify(name: &str, told: &Value, fetched: impl Fn(&str) -> Vec<u8>) {
    let end = &told["end"];
    assert_eq!(
        (&told["state"], &end["partial"], &end["rows"]),
        (&json!("SUCCEEDED"), &json!(false), &json!(4)),
        "{told}"
    );
    for document in end["outputs"].as_array().unwrap() {
        let bytes = fetched(document["name"].as_str().unwrap());
        assert_eq!(
            (&document["bytes"], &document["sha256"]),
            (&json!(bytes.len()), &json!(digest(&bytes))),
            "{document}"
        );
    }
    let report: Value = serde_json::from_slice(&fetched("json")).unwrap();
    let first = json!({
        "name": format!("{name} ü 株 🚀"),
        "rows": [["2026-02-28", 3, "16.5"], ["2026-03-01", 3, "19.5"]],
        "totals": [null, 6, "36"],
    });
    assert_eq!((&report["assets"][0], &report["totals"]), (&first, &json!([null, "12", "42"])));
    let csv = String::from_utf8(fetched("csv")).unwrap();
    assert!(csv.starts_with("asset,day,records,kwh\n") && csv.lines().count() == 5, "{csv}");
    assert!(fetched("pdf").starts_with(b"%PDF-1.7"));
}

#[tokio::test]
async fn a_report_is_the_same_whoever_makes_it_and_however_it_is_fetched() {
    let name = own("same");
    count(&name).await;
    let world = World::of("reports").await;
    let server = Server::start(&world, true);
    let asked = ask(&server, &name, &order(&name), &[]);
    assert_eq!(asked.status, 202, "{}", asked.body);
    let id = asked.json()["id"].as_str().unwrap().to_owned();
    assert!(asked.headers.contains(&format!("location: /reports/{id}")) && asked.headers.contains("retry-after: 2"));
    let link = asked.json()["end"]["url"].as_str().unwrap().to_owned();
    // The same request again, while the first is being worked on.
    assert_eq!(ask(&server, &name, &order(&name), &[]).json()["id"], json!(id));
    let mut other = order(&name);
    other["to"] = json!("2026-03-03");
    assert_eq!(ask(&server, &name, &other, &[]).problem().0, 422);
    let told = ended(&server, &id);
    verify(&name, &told, |form| fetch(&server, &id, form));
    // Whoever has the link needs no server to learn of the end.
    let end: Value = serde_json::from_slice(&follow(&link)).unwrap();
    assert_eq!(end, told["end"]);
    assert!(told["order"].get("assets").is_none() && told["order"]["zone"] == "Europe/Berlin", "{}", told["order"]);
    for action in ["cancel", "redrive"] {
        let key = format!("Idempotency-Key: {name}-{action}");
        let answer = server.ask(&format!("/reports/{id}/{action}"), &["--request", "POST", "--header", &key]);
        assert_eq!(answer.problem().0, 409, "{action}: {}", answer.body);
    }

    // Events tell the same end, and nothing more to who has it.
    let events = server.ask(&format!("/reports/{id}/events"), &[]);
    let event = events.body.lines().find_map(|line| line.strip_prefix("data: ")).unwrap();
    let event: Value = serde_json::from_str(event).unwrap();
    assert_eq!(event["end"], told["end"]);
    let last = events.body.lines().find_map(|line| line.strip_prefix("id: ")).unwrap();
    assert_eq!(
        server.ask(&format!("/reports/{id}/events"), &["--header", &format!("Last-Event-ID: {last}")]).status,
        204
    );

    // By the function: another caller's key is another report, and it is told nothing of this one.
    let function = Server::function();
    let foreign = function.ask(&format!("/reports/{id}"), &[]).problem();
    assert_eq!(
        foreign,
        function.ask(&format!("/reports/{}", "0".repeat(32)), &[]).problem(),
        "as one that there is not"
    );
    let asked = ask(&function, &name, &order(&name), &[]);
    assert_eq!(asked.status, 202, "{}", asked.body);
    let second = asked.json()["id"].as_str().unwrap().to_owned();
    assert_ne!(second, id);
    let told = ended(&function, &second);
    verify(&name, &told, |form| fetch(&function, &second, form));
    // Who may see batches there sees no reports of others among them.
    let batch = told["batchId"].as_str().unwrap();
    assert_eq!(function.ask(&format!("/batches/{batch}"), &[]).problem().0, 404);
    assert!(told["batch"]["records"]["total"] == 3 && told["batch"].get("input").is_none(), "{}", told["batch"]);
    assert_eq!(function.ask("/batches?pipeline=reports", &[]).problem().0, 404);
    assert!(!function.ask("/pipelines", &[]).body.contains("\"reports\""));
    assert_eq!(server.ask(&format!("/batches/{batch}"), &[]).status, 200, "whoever operates the system does");
}

#[tokio::test]
async fn a_report_of_all_assets_is_one_of_those_that_were_counted() {
    let name = own("all");
    let world = World::of("metering").await;
    // A year of this run's own: what was counted stays.
    let year = 2100 + std::process::id() % 800;
    let row = |asset: &str, day: &str| format!("{name}-{asset}-{day},{name} {asset},{year}-{day},1.5\n");
    let rows = [("b", "01-31"), ("a", "02-01"), ("a", "02-02"), ("c ü", "02-28"), ("d", "03-01")];
    let rows: String = rows.iter().map(|(asset, day)| row(asset, day)).collect();
    world.upload(&format!("{name}.csv"), format!("id,asset,day,kwh\n{rows}").into_bytes()).await;
    let order =
        json!({"type": "usage", "from": format!("{year}-02-01"), "to": format!("{year}-03-01"), "assets": "all"});
    for (key, server) in
        [("server", Server::start(&World::of("reports").await, true)), ("function", Server::function())]
    {
        let asked = ask(&server, &format!("{name}-{key}"), &order, &[]);
        assert_eq!(asked.status, 202, "{}", asked.body);
        let id = asked.json()["id"].as_str().unwrap().to_owned();
        let told = ended(&server, &id);
        assert_eq!((&told["state"], &told["end"]["rows"]), (&json!("SUCCEEDED"), &json!(3)), "{told}");
        let report: Value = serde_json::from_slice(&fetch(&server, &id, "json")).unwrap();
        let named = report["assets"].as_array().unwrap().iter().map(|asset| asset["name"].as_str().unwrap());
        assert_eq!(named.collect::<Vec<_>>(), [format!("{name} a"), format!("{name} c ü")]);
    }
}

#[tokio::test]
async fn fifty_requests_under_one_key_are_one_report() {
    let name = own("fifty");
    let world = World::of("reports").await;
    let server = Server::start(&world, true);
    let order = json!({"type": "usage", "from": "2026-01-01", "to": "2026-01-02", "assets": [name]});
    let ids: Vec<Value> = std::thread::scope(|scope| {
        let asked: Vec<_> =
            (0..50).map(|_| scope.spawn(|| ask(&server, &name, &order, &[]).json()["id"].clone())).collect();
        asked.into_iter().map(|asked| asked.join().unwrap()).collect()
    });
    assert!(ids.iter().all(|id| *id == ids[0]), "{ids:?}");
    let id = ids[0].as_str().unwrap();
    let versions = world.clients.s3.list_object_versions().bucket(world.input_bucket());
    let versions = versions.prefix(format!("reports/{id}")).send().await.unwrap();
    assert_eq!(versions.versions().len(), 1, "one fan-out");
    let told = ended(&server, id);
    assert_eq!((&told["state"], &told["end"]["parts"]["total"]), (&json!("SUCCEEDED"), &json!(1)));
}

#[tokio::test]
async fn a_report_of_nothing_ends_at_once_for_who_waits() {
    let world = World::of("reports").await;
    let server = Server::start(&world, true);
    let order = json!({"type": "usage", "from": "2026-02-29", "to": "2026-03-01", "assets": []});
    let (status, detail) = ask(&server, &own("leap"), &order, &[]).problem();
    assert!(status == 400 && detail.contains("/from \"2026-02-29\" is no day"), "{detail}");
    let order = json!({"type": "usage", "from": "2026-02-28", "to": "2026-03-01", "assets": []});
    let mut answer = ask(&server, &own("none"), &order, &["--header", "Prefer: wait=25"]);
    let id = answer.json()["id"].as_str().unwrap().to_owned();
    if answer.status == 202 {
        // A machine that is busy took longer.
        ended(&server, &id);
        answer = ask(&server, &own("none"), &order, &["--header", "Prefer: wait=25"]);
    }
    assert!(answer.headers.contains("preference-applied: wait=25"), "{}", answer.headers);
    let told = answer.json();
    assert_eq!((answer.status, &told["state"], &told["end"]["rows"]), (200, &json!("SUCCEEDED"), &json!(0)));
    assert!(fetch(&server, &id, "pdf").starts_with(b"%PDF"));
}

#[tokio::test]
async fn what_cannot_be_a_report_is_refused_by_the_path_of_what_is_wrong() {
    let world = World::of("reports").await;
    let server = Server::start(&world, true);
    let refusals = [
        (json!({"from": "2026-03-02", "to": "2026-03-01"}), "/to 2026-03-01 is before 2026-03-02"),
        (json!({"zone": "Mars/Base"}), "/zone \"Mars/Base\" is no zone"),
        (json!({"assets": ["a", 7]}), "/assets/1 must be a text"),
        (json!({"type": "weather"}), "/type \"weather\" is made by no pipeline"),
        (json!({"from": "2026-03-01", "to": "2026-03-01"}), "/to 2026-03-01 is the first day"),
        (json!({"deadline": "soon"}), "/deadline must be a whole number of seconds"),
        (json!({"limit": 7}), "/limit is not known"),
    ];
    for (change, words) in refusals {
        let mut order = order("x");
        order.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
        let (status, detail) = ask(&server, &own("wrong"), &order, &[]).problem();
        assert!(status == 400 && detail.contains(words), "{words}: {detail}");
    }
    let body = ["--request", "POST", "--header", "Idempotency-Key: k", "--data-binary", "{"];
    assert_eq!(server.ask("/reports", &body).problem().0, 400);
    for id in ["x", "..%2F..%2Fx", &"0".repeat(32)] {
        assert_eq!(server.ask(&format!("/reports/{id}"), &[]).problem().0, 404, "{id}");
    }
}
