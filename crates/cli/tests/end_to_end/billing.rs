//! Billing: events of files become packages, and these become invoices, each once, at an API that often fails.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use fanfold::model::processing::arn::FunctionArn;
use fanfold::model::progress::BatchState;
use fanfold::store::channel::{Channel, Outgoing};
use fanfold::store::function::Function;
use fanfold_aws::invoke::LambdaFunction;
use fanfold_aws::sqs::SqsChannel;
use jiff::{Timestamp, ToSpan, Zoned};
use serde_json::{Value, json};

use crate::page::Server;
use crate::records::Door;
use crate::reports::own;
use crate::world::{Done, World, variable};

/// The API for invoices of the examples, as a program of its own.
struct Api(Child, String);

impl Api {
    /// Starts it where the deployment sends packages.
    fn start() -> Self {
        let deployment = std::fs::read_to_string(variable("FANFOLD_TEST_DEPLOYMENT")).unwrap();
        let deployment: Value = serde_json::from_str(&deployment).unwrap();
        let processors = deployment["pipelines"]["billing"]["definition"]["processors"].as_str().unwrap();
        let processors: Value = serde_json::from_str(processors).unwrap();
        let url = processors[0]["bill"]["invoices"]["url"].as_str().unwrap().to_owned();
        let port = url.rsplit_once(':').unwrap().1.split('/').next().unwrap();
        let program = concat!(env!("CARGO_MANIFEST_DIR"), "/../../examples/invoice-api/server.py");
        let mut child = Command::new("python3").args([program, port]).stdout(Stdio::piped()).spawn().unwrap();
        let mut said = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut said).unwrap();
        assert!(said.starts_with("listening"), "{said}");
        Self(child, url.replace("/invoices", "/log"))
    }

    fn log(&self) -> Value {
        let done = Command::new("curl").args(["--silent", "--fail", "--noproxy", "*", &self.1]).output().unwrap();
        serde_json::from_slice(&done.stdout).unwrap()
    }
}

impl Drop for Api {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn json_of(done: &Done) -> Value {
    serde_json::from_str(&done.stdout).unwrap_or_else(|e| panic!("{e}: {} {}", done.stdout, done.stderr))
}

/// A text as a part of a query.
fn encoded(text: &str) -> String {
    text.bytes().map(|byte| format!("%{byte:02X}")).collect()
}

/// The statements of a client.
fn of<'a>(told: &'a Value, client: &str) -> Vec<&'a Value> {
    told["statements"].as_array().unwrap().iter().filter(|statement| statement["client"] == client).collect()
}

fn count(statements: &[&Value], what: &str) -> u64 {
    statements.iter().map(|statement| statement["events"][what].as_u64().unwrap()).sum()
}

/// Has the function do something that it does by itself every hour or minute.
async fn invoke(world: &World, event: Value) -> Value {
    let name = &world.resources.billing.as_ref().unwrap().function;
    let arn = FunctionArn::parse(&format!("arn:aws:lambda:us-east-1:000000000000:function:{name}")).unwrap();
    let function = LambdaFunction::new(world.functions().await, &arn);
    let done = function.invoke(event.to_string().into(), Duration::from_secs(100)).await.unwrap();
    assert_eq!(done.error, None, "{}", String::from_utf8_lossy(&done.payload));
    serde_json::from_slice(&done.payload).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_event_is_billed_once_and_each_package_has_one_invoice() {
    let (world, api) = (World::of("billing").await, Api::start());
    let (clients, usage) = (World::of("clients").await, World::of("usage").await);
    let (anna, bert, stranger) = (own("anna & co"), own("bert/株"), own("stranger"));

    // Terms are checked when they are uploaded.
    let priced = json!({"client": anna, "zone": "America/New_York", "horizon_days": 75, "currency": "EUR", "prices": {"kwh": "0.335"}});
    let plain = json!({"client": bert, "zone": "Pacific/Kiritimati", "horizon_days": 75});
    let wrong = json!({"client": stranger, "zone": "Mars/Crater"});
    let told = clients.submit("clients.jsonl", format!("{priced}\n{plain}\n{wrong}\n").as_bytes());
    assert_eq!(told.summary().state, BatchState::PartiallyFailed, "{}", told.stderr);
    assert!(told.summary().failures[0].message.contains("zone is \"Mars/Crater\""), "{:?}", told.summary().failures);

    // Ten events of each client in each half of the last whole month, each twice, by a CSV file.
    let end: Zoned = Timestamp::now().in_tz("UTC").unwrap().first_of_month().unwrap();
    let month = end.checked_sub(1.month()).unwrap();
    let (first, source) = (month.timestamp(), own("meters"));
    let row = |id: &str, client: &str, hours: i64, quantity: &str| {
        format!("/{source},{id},{client},kwh,{},{quantity}\n", first + hours.hours())
    };
    let mut rows = String::new();
    for n in 0..20 {
        for (name, client) in [("a", &anna), ("b", &bert)] {
            let row = row(&format!("{name}{n}"), client, 30 + 33 * n, "1.5");
            rows += &row.repeat(2);
        }
    }
    rows += &row("old", &bert, -24 * 80, "1");
    rows += &row("of nobody", &stranger, 30, "1");
    let file = format!("source,id,subject,type,time,quantity\n{rows}");
    let taken = usage.submit("usage.csv", file.as_bytes()).summary();
    assert_eq!((taken.records.total, taken.records.failed), (82, 2), "{:?}", taken.failures);
    // Another event has its id. It comes later, since of two in one file that which is counted first is billed.
    let other = format!("source,id,subject,type,time,quantity\n{}", row("a0", &anna, 31, "7"));
    let taken = usage.submit("other.csv", other.as_bytes()).summary();
    assert_eq!((taken.records.total, taken.records.failed), (1, 1), "{:?}", taken.failures);

    let previewed =
        world.command(&["billing", "preview", &anna, "--month", &month.strftime("%Y-%m").to_string(), "--json"]);
    let previewed: Vec<Value> = previewed.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(previewed.iter().map(|package| package["events"].as_u64().unwrap()).sum::<u64>(), 20);

    // The function lists what is to be closed; so does the command, which waits for it.
    let planned = invoke(&world, json!({"action": "plan", "all": true})).await;
    assert!(planned["key"].as_str().unwrap().ends_with("-all.jsonl"), "{planned}");
    let reconciled = world.command(&["billing", "reconcile", "--json"]);
    let told = json_of(&reconciled);
    assert_eq!((reconciled.code, &told["difference"]), (0, &json!(0)), "{told}");
    let counts = |client: &str| {
        let statements = of(&told, client);
        ["came", "billed", "unbilled", "conflicts", "rejected"].map(|what| count(&statements, what))
    };
    assert_eq!((counts(&anna), counts(&bert)), ([21, 20, 0, 1, 0], [21, 20, 0, 0, 1]));
    assert!(counts("")[4] >= 1, "that of nobody is counted, too: {told}");

    // So it is by days, which are those of the client: 20 events, one every 33 hours from the second day on.
    let days = |client: &str| {
        let shown =
            world.command(&["billing", "usage", client, "--month", &month.strftime("%Y-%m").to_string(), "--json"]);
        let rows: Vec<Value> = shown.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        rows.iter()
            .map(|row| (row["period"].as_str().unwrap().to_owned(), row["row"].clone()))
            .collect::<BTreeMap<_, _>>()
    };
    for (client, zone) in [(&anna, "America/New_York"), (&bert, "Pacific/Kiritimati")] {
        let mut wanted: BTreeMap<String, u64> = BTreeMap::new();
        let day = |n: i64| (first + (30 + 33 * n).hours()).in_tz(zone).unwrap().date();
        let in_month = |n: &i64| day(*n).month() == month.month();
        (0..20).filter(in_month).for_each(|n| *wanted.entry(day(n).to_string()).or_default() += 1);
        let found: BTreeMap<String, u64> =
            days(client).into_iter().map(|(day, row)| (day, row["events"].as_u64().unwrap())).collect();
        assert_eq!(found, wanted, "{client}");
    }
    let day = (first + 40.hours()).in_tz("America/New_York").unwrap().date().to_string();
    let before = days(&anna).remove(&day);

    // The page shows the same.
    let server = Server::start(&world, false);
    let shown = server.ask(&format!("/billing?client={}", encoded(&anna)), &[]).json();
    assert_eq!((&shown["pipeline"], &shown["difference"]), (&json!("billing"), &json!(0)), "{shown}");
    let statements = shown["clients"][&anna].as_array().unwrap();
    assert_eq!(statements.iter().map(|of| of["events"]["billed"].as_u64().unwrap()).sum::<u64>(), 20, "{shown}");
    assert_eq!(shown["clients"].as_object().unwrap().len(), 1);
    assert_eq!(server.ask("/billing?pipeline=usage", &[]).status, 404);

    // One that comes late is billed by a package of its own.
    let late = json!({
        "specversion": "1.0", "source": format!("/{source}"), "id": "late", "subject": anna, "type": "kwh",
        "time": (first + 40.hours()).to_string(), "data": {"quantity": "0.5"},
    });
    assert_eq!(usage.submit("late.jsonl", format!("{late}\n").as_bytes()).summary().state, BatchState::Succeeded);
    let rerun = world.command(&["billing", "rerun", &month.strftime("%Y-%m-H1").to_string(), "--json"]);
    assert_eq!(rerun.code, 0, "{}", rerun.stderr);
    let (before, after) =
        (before.unwrap_or_else(|| json!({"events": 0, "version": 0})), days(&anna).remove(&day).unwrap());
    let more = |what: &str| after[what].as_u64().unwrap() - before[what].as_u64().unwrap();
    assert_eq!((more("events"), more("version")), (1, 1), "{before} {after}");

    let packages = || {
        let mut all = Vec::new();
        for client in [&anna, &bert] {
            let listed = world.command(&[
                "billing",
                "packages",
                client,
                "--month",
                &month.strftime("%Y-%m").to_string(),
                "--json",
            ]);
            all.extend(listed.stdout.lines().map(|line| serde_json::from_str::<Value>(line).unwrap()));
        }
        all
    };
    // It is invoked by a schedule as well.
    let mut all = packages();
    for _ in 0..20 {
        if all.iter().all(|package| package["state"] == "PROCESSED") {
            break;
        }
        invoke(&world, json!({"action": "send"})).await;
        all = packages();
    }
    assert_eq!(all.len(), 5, "{all:?}");
    assert!(all.iter().all(|package| package["state"] == "PROCESSED" && package["invoice"].is_string()), "{all:?}");
    let log = api.log();
    assert_eq!((&log["doubled"], &log["otherBodies"]), (&json!([]), &json!([])), "{log}");
    assert!(log["packages"].as_u64().unwrap() >= 5, "{log}");

    // From a line of an invoice back to its events.
    let adjusts = format!("{anna}/{}/H1/1", month.strftime("%Y-%m"));
    let shown = world.command(&["billing", "package", &adjusts]);
    for part in ["0.5 kwh at 0.335 = 0.", "state     PROCESSED", "invoice   inv-"] {
        assert!(shown.stdout.contains(part), "{}", shown.stdout);
    }
    let listed = world.command(&["billing", "package", &adjusts, "--events"]);
    assert!(listed.stdout.contains(&format!("0.5 kwh  /{source} late")), "{}", listed.stdout);
    let again = world.command(&["billing", "package", &adjusts, "--send-again"]);
    assert_eq!(
        (again.code, again.stderr.contains("only what was rejected is sent again")),
        (1, true),
        "{}",
        again.stderr
    );
}

/// What one client used is never another's, whatever names they have.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_data_of_two_clients_never_meet() {
    let world = World::of("billing").await;
    let (clients, usage) = (World::of("clients").await, World::of("usage").await);
    let base = own("meet");
    // Names that would be one where names and days are put together carelessly.
    let names = [
        base.clone(),
        format!("{base}#2026-01-01"),
        format!("{base}/2026-01"),
        format!("{base}/2026-01/H1"),
        format!("{base}#"),
    ];
    let terms: String = names.iter().map(|name| format!("{}\n", json!({"client": name, "zone": "UTC"}))).collect();
    assert_eq!(clients.submit("meet.jsonl", terms.as_bytes()).summary().state, BatchState::Succeeded);
    let now = Timestamp::now();
    let event = |place: usize, name: &String| {
        let quantity = 10_u32.pow(place as u32).to_string();
        let event = json!({
            "specversion": "1.0", "source": name, "id": "1", "subject": name, "type": "kwh", "time": now.to_string(),
            "data": {"quantity": quantity},
        });
        format!("{event}\n")
    };
    let events: String = names.iter().enumerate().map(|(place, name)| event(place, name)).collect();
    assert_eq!(usage.submit("meet-usage.jsonl", events.as_bytes()).summary().state, BatchState::Succeeded);
    let month = now.strftime("%Y-%m").to_string();
    for (place, name) in names.iter().enumerate() {
        let shown = world.command(&["billing", "preview", name, "--month", &month, "--json"]);
        let package = json_of(&shown);
        assert_eq!((&package["client"], &package["events"]), (&json!(name), &json!(1)), "{package}");
        let quantity = 10_u32.pow(place as u32).to_string();
        assert_eq!(package["lines"], json!([{"meter": "kwh", "quantity": quantity}]), "{name}");
    }
}

/// Events that are sent one at a time: to the API, or by others to the queue, as CloudEvents.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn events_are_kept_that_are_sent_one_at_a_time() {
    let (billing, clients, door) = (World::of("billing").await, World::of("clients").await, Door::of("usage").await);
    let client = own("single");
    let terms = json!({"client": client, "zone": "UTC"});
    assert_eq!(clients.submit("single.jsonl", format!("{terms}\n").as_bytes()).summary().state, BatchState::Succeeded);
    let now = Timestamp::now();
    let event = |id: &str, quantity: &str| {
        let event = json!({
            "specversion": "1.0", "source": format!("/{client}"), "id": id, "subject": client, "type": "kwh", "time": now.to_string(),
            "data": {"quantity": quantity},
        });
        event.to_string()
    };
    let post = |kind: &str, event: &str| {
        let kind = format!("Content-Type: {kind}");
        door.ask("/events", &["--header", &kind, "--data-binary", event])
    };
    let mut ends = Vec::new();
    for (kind, id, quantity) in [
        ("application/cloudevents+json", "a", "1.5"),
        ("application/json", "b", "2"),
        ("application/json", "a", "1.50"),
        ("application/json", "a", "7"),
    ] {
        let answer = post(kind, &event(id, quantity));
        assert_eq!(answer.status, 202, "{kind}: {}", answer.body);
        let told = door.ended(answer.json()["id"].as_str().unwrap()).await;
        ends.push((told["state"].clone(), told["reason"].clone()));
    }
    let conflict = json!("it is not billed: another event has its source and id");
    let (stored, failed) = (json!("STORED"), json!("FAILED"));
    let kept = (stored, Value::Null);
    assert_eq!(ends, [kept.clone(), kept.clone(), kept, (failed, conflict)]);
    let stranger = post("application/json", &event("n", "1").replace(&client, &own("stranger")));
    let told = door.ended(stranger.json()["id"].as_str().unwrap()).await;
    assert!(told["reason"].as_str().unwrap().contains("there is no client"), "{told}");
    assert_eq!(post("text/plain", "{}").status, 415);
    // What gateways do not know as a path, they refuse as what nobody may do.
    assert_eq!((door.ask("/records", &[]).status, door.ask("/records/a", &[]).status), (403, 403));

    // Others put CloudEvents on the queue as they are.
    let queue = SqsChannel::new(door.world.clients.sqs.clone(), &door.world.resources.queues["records"]);
    queue.send((0..2).map(|_| Outgoing::new(event("c", "0.25"))).collect()).await.unwrap();
    let month = now.strftime("%Y-%m").to_string();
    let mut package = Value::Null;
    for _ in 0..300 {
        package = json_of(&billing.command(&["billing", "preview", &client, "--month", &month, "--json"]));
        if package["events"] == 3 {
            break;
        }
        // Nothing tells of a message.
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert_eq!((&package["events"], &package["lines"][0]["quantity"]), (&json!(3), &json!("3.75")), "{package}");
}
