//! Records that are sent one at a time: the three ways to take them keep one contract.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::Duration;

use fanfold::store::channel::{Channel, Outgoing};
use fanfold::store::items::Items;
use fanfold_aws::sqs::SqsChannel;
use serde_json::{Value, json};

use super::faults::kill_all;
use super::page::{Answer, SIGNED, curl};
use super::world::{World, variable};

/// Pipelines that take records one at a time, each in another way. The first asks a user's function about each record.
const PIPELINES: [&str; 3] = ["asked", "async", "sync"];

/// Where a pipeline takes records.
pub struct Door {
    pub world: World,
    url: String,
    /// `queue`, `table` or `function`.
    by: String,
    credentials: Vec<String>,
}

impl Door {
    pub async fn of(pipeline: &str) -> Self {
        let text = std::fs::read_to_string(variable("FANFOLD_TEST_DEPLOYMENT")).unwrap();
        let deployment: Value = serde_json::from_str(&text).unwrap();
        let api = &deployment["pipelines"][pipeline]["records_api"];
        let told = |name: &str| api[name].as_str().unwrap_or_else(|| panic!("{name}: {api}")).to_owned();
        let credentials = match told("authorisation").as_str() {
            "IAM" => SIGNED.map(str::to_owned).into(),
            _ => vec!["--header".to_owned(), format!("x-api-key: {}", key(api["key"]["id"].as_str().unwrap()))],
        };
        Self { world: World::of(pipeline).await, url: told("url"), by: told("by"), credentials }
    }

    pub fn ask(&self, path: &str, options: &[&str]) -> Answer {
        let all: Vec<&str> = self.credentials.iter().map(String::as_str).chain(options.iter().copied()).collect();
        curl(&format!("{}{path}", self.url), &all)
    }

    fn post(&self, key: Option<&str>, record: &str) -> Answer {
        let named = key.map(|key| format!("Idempotency-Key: {key}"));
        let mut options = vec!["--header", "Content-Type: application/json", "--data-binary", record];
        options.extend(named.iter().flat_map(|named| ["--header", named.as_str()]));
        self.ask("/records", &options)
    }

    /// Sends a record and returns the id by which its status is asked for.
    fn send(&self, key: Option<&str>, record: &str) -> String {
        let answer = self.post(key, record);
        assert_eq!(answer.status, 202, "{}: {record}: {}", self.by, answer.body);
        let id = answer.json()["id"].as_str().unwrap().to_owned();
        assert!(
            answer.headers.contains(&format!("location: /v1/status/{}\r", id.to_lowercase())),
            "{}",
            answer.headers
        );
        assert!(answer.headers.contains("retry-after: 1"), "{}", answer.headers);
        id
    }

    /// The status of a request once it is as wanted.
    async fn status(&self, id: &str, is_wanted: impl Fn(&Value) -> bool) -> Value {
        let mut told = Value::Null;
        for _ in 0..1_200 {
            let answer = self.ask(&format!("/status/{id}"), &[]);
            told = answer.json();
            let moves = answer.status == 404 || told["state"] == "ACCEPTED";
            assert_eq!(answer.headers.contains("retry-after: 1"), moves, "{}: {}{told}", self.by, answer.headers);
            assert!(matches!(answer.status, 200 | 404), "{}: {told}", self.by);
            if answer.status == 200 && is_wanted(&told) {
                assert!(answer.headers.contains("etag: \""), "{}", answer.headers);
                return told;
            }
            // The contract offers nothing else than to ask again.
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        panic!("{}: {id} is still {told}", self.by)
    }

    pub async fn ended(&self, id: &str) -> Value {
        self.status(id, |told| told["state"] != "ACCEPTED").await
    }
}

/// What an API key is.
fn key(id: &str) -> String {
    let url = format!("{}/apikeys/{id}?includeValue=true", variable("FANFOLD_TEST_ENDPOINT"));
    let signed = ["--aws-sigv4", "aws:amz:us-east-1:apigateway", "--user", "test:test"];
    let told = curl(&url, &signed);
    told.json()["value"].as_str().unwrap_or_else(|| panic!("{}", told.body)).to_owned()
}

/// A text that no other run has.
fn own(name: &str) -> String {
    format!("{name}-{}", std::process::id())
}

/// A record with these fields beside its key, with which the function finds nothing wrong.
fn record(key: &str, fields: &Value) -> String {
    let mut record = json!({"itemNo": key, "price": 1, "mode": "fine", "wrong": 0, "quiet": true});
    for (name, value) in fields.as_object().unwrap() {
        record[name] = value.clone();
    }
    record.to_string()
}

#[tokio::test]
async fn records_that_are_sent_one_at_a_time_become_items_in_three_ways() {
    for pipeline in PIPELINES {
        let door = Door::of(pipeline).await;
        let text = "\\ \" ' $x #if(1) &+% \u{7f} 株式会社 🚀 \n\t/";
        let item = own(&format!("one-{}", door.by));
        let fields = json!({"price": 1.5, "text": text, "deep": {"a": [1, null, true]}});
        let record = record(&item, &fields);
        let id = door.send(Some(&item), &record);
        let told = door.ended(&id).await;
        assert_eq!((&told["state"], &told["key"], &told["conflict"]), (&json!("STORED"), &json!(item), &json!(false)));
        assert_eq!(door.send(Some(&item), &record), id, "the same record under the same key");

        let stored = door.world.items.read(&item).await.unwrap().unwrap().fields;
        assert_eq!((&stored["text"], &stored["deep"]), (&json!(text), &json!({"a": [1, null, true]})), "{}", door.by);
        assert_eq!(
            stored.contains_key("note"),
            pipeline == "asked",
            "what the function made of it is stored: {stored:?}"
        );
        let shown = door.ask(&format!("/records/{item}"), &[]);
        assert_eq!(shown.status, 200, "{}", shown.body);
        assert_eq!((&shown.json()["price"], &shown.json()["text"]["S"]), (&json!({"N": "1.5"}), &json!(text)));

        // Another record under the same key is refused at once by a table, and otherwise told by the status.
        let other = door.post(Some(&item), &record.replace("1.5", "2.5"));
        if door.by == "table" {
            assert_eq!(other.problem().0, 422, "{}", other.body);
        } else {
            assert_eq!(other.status, 202, "{}", other.body);
            door.status(&id, |told| told["conflict"] == true).await;
        }
        assert_eq!(door.world.items.read(&item).await.unwrap().unwrap().fields["price"], 1.5);
    }
}

#[tokio::test]
async fn what_is_no_record_is_refused_by_each_way() {
    for pipeline in PIPELINES {
        let door = Door::of(pipeline).await;
        let by = &door.by;
        let (typed, plain) = (["--header", "Content-Type: application/json"], ["--header", "Content-Type: text/plain"]);
        for body in ["{", "[]", r#"{"price":1}"#, r#"{"itemNo":"x","price":"y"}"#, ""] {
            let answer = door.ask("/records", &[&typed[..], &["--data-binary", body]].concat());
            assert_eq!(answer.problem().0, 400, "{by}: {body}");
        }
        let record = r#"{"itemNo":"x","price":1}"#;
        assert_eq!(door.ask("/records", &[&plain[..], &["--data-binary", record]].concat()).problem().0, 415, "{by}");
        for key in ["a b", "a/b", "ü", "x\"y"] {
            assert_eq!(door.post(Some(key), record).problem().0, 400, "{by}: {key}");
        }
        // Too long for an argument of a program.
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), record.replace("\"x\"", &format!("\"{}\"", "x".repeat(262_144)))).unwrap();
        assert_eq!(door.post(None, &format!("@{}", file.path().display())).problem().0, 413, "{by}");
        let missing = door.ask(&format!("/status/{}", own("nobody")), &[]);
        assert!(missing.problem().0 == 404 && missing.headers.contains("retry-after: 1"), "{by}: {}", missing.body);
        assert_eq!(door.ask("/records/there%20is%20none", &[]).problem().0, 404, "{by}");
        let stranger = curl(&format!("{}/records", door.url), &[&typed[..], &["--data-binary", record]].concat());
        assert!(matches!(stranger.status, 401 | 403), "{by}: {}", stranger.status);
    }
}

#[tokio::test]
async fn a_record_that_cannot_be_stored_ends_as_failed() {
    let door = Door::of("asked").await;
    let record = |mode: &str, wrong: u32| {
        record(&own(&format!("poison-{mode}-{wrong}")), &json!({"mode": mode, "wrong": wrong}))
    };
    // The gateway knows no more of the schema than types; the worker knows all of it.
    let wrong = door.send(None, r#"{"itemNo":"","price":1}"#);
    let (temporary, permanent) = (door.send(None, &record("temporary", 9)), door.send(None, &record("permanent", 9)));
    let late = door.send(None, &record("temporary", 1));
    let large = door.send(None, &record("large", 9));
    let told = door.ended(&permanent).await;
    assert_eq!(
        (&told["state"], &told["reason"]),
        (&json!("FAILED"), &json!("the function answered: no such client")),
        "{told}"
    );
    assert_eq!(door.ended(&wrong).await["state"], "FAILED");
    let told = door.ended(&large).await;
    let reason = told["reason"].as_str().unwrap_or_default();
    assert!(told["state"] == "FAILED" && reason.contains("the item would take 420"), "{told}");
    let again = door.status(&temporary, |told| told["reason"].is_string()).await;
    assert_eq!(
        (&again["state"], &again["reason"]),
        (&json!("ACCEPTED"), &json!("the function answered: come back later")),
        "{again}"
    );
    assert_eq!(door.ended(&late).await["state"], "STORED", "what failed once is tried again");
    let told = door.ended(&temporary).await;
    let reason = "the function answered: come back later (tried 5 times)";
    assert_eq!((&told["state"], &told["reason"]), (&json!("FAILED"), &json!(reason)), "{told}");
    assert_eq!(door.world.items.read(&own("poison-temporary-9")).await.unwrap(), None);
}

#[tokio::test]
async fn what_the_queue_gave_up_ends_as_failed() {
    let door = Door::of("sync").await;
    let letters = SqsChannel::new(door.world.clients.sqs.clone(), &door.world.resources.dead_letter_queues["records"]);
    let id = own("given-up");
    let letter =
        json!({"v": 1, "id": id, "keyed": false, "at": 7_000_000_000_000_i64, "record": {"itemNo": "x"}}).to_string();
    letters.send(vec![Outgoing::new(letter)]).await.unwrap();
    let told = door.ended(&id).await;
    assert_eq!(told["state"], "FAILED");
    assert!(told["reason"].as_str().unwrap().ends_with("(tried 5 times)"), "{told}");
}

#[tokio::test]
async fn a_hundred_requests_with_one_key_are_one_record() {
    for pipeline in PIPELINES {
        let door = Door::of(pipeline).await;
        let key = own(&format!("hundred-{}", door.by));
        let record = record(&key, &json!({}));
        let ids = at_once(100, |_| door.send(Some(&key), &record));
        let ids: BTreeSet<&String> = ids.iter().collect();
        let [id] = ids.into_iter().collect::<Vec<_>>()[..] else { panic!("several ids for {key}") };
        let told = door.ended(id).await;
        assert_eq!((&told["state"], &told["conflict"]), (&json!("STORED"), &json!(false)), "{}: {told}", door.by);
    }
}

#[tokio::test]
async fn workers_that_are_killed_lose_no_record_of_the_queue() {
    lose_none("asked").await;
}

#[tokio::test]
async fn workers_that_are_killed_lose_no_record_of_the_table() {
    lose_none("async").await;
}

#[tokio::test]
async fn workers_that_are_killed_lose_no_record_of_the_function() {
    lose_none("sync").await;
}

/// Sends records while the functions are killed that store them: each is stored once it was taken.
async fn lose_none(pipeline: &str) {
    let door = Door::of(pipeline).await;
    let name = own(&format!("killed-{}", door.by));
    let killed = AtomicUsize::new(0);
    let ids = at_once(200, |n| {
        let id = door.send(None, &record(&format!("{name}-{n}"), &json!({ "price": n })));
        if n % 40 == 20 {
            killed.fetch_add(kill_all(&format!("{pipeline}-records")), Relaxed);
        }
        id
    });
    assert_eq!(ids.iter().collect::<BTreeSet<_>>().len(), 200, "{}: each has an id of its own", door.by);
    for (n, id) in ids.iter().enumerate() {
        assert_eq!(door.ended(id).await["state"], "STORED", "{}: {n}", door.by);
        let item = door.world.items.read(&format!("{name}-{n}")).await.unwrap().unwrap();
        assert_eq!(item.fields["price"], n);
    }
    assert!(killed.into_inner() > 0, "{}: no process was killed", door.by);
}

/// Does something many times, twenty at once, and returns what came of each.
fn at_once<T: Send>(many: usize, work: impl Fn(usize) -> T + Sync) -> Vec<T> {
    let next = AtomicUsize::new(0);
    let worker = || {
        let places = std::iter::repeat_with(|| next.fetch_add(1, Relaxed)).take_while(|n| *n < many);
        places.map(|n| (n, work(n))).collect::<Vec<_>>()
    };
    let mut done: Vec<(usize, T)> = std::thread::scope(|scope| {
        let workers: Vec<_> = (0..20).map(|_| scope.spawn(worker)).collect();
        workers.into_iter().flat_map(|worker| worker.join().unwrap()).collect()
    });
    done.sort_by_key(|(n, _)| *n);
    done.into_iter().map(|(_, done)| done).collect()
}
