//! All ways to wait for a report, on the deployed pipeline: by the API, by a connection, by a webhook and by a link.

use std::collections::BTreeSet;
use std::time::Duration;

use fanfold::model::reporting::signature::Keys;
use fanfold::store::Clock;
use fanfold::store::clock::SystemClock;
use fanfold::store::testing as suites;
use fanfold_http::testing::{Act, FaultyServer, Seen};
use futures::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};

use crate::page::{Answer, Server};
use crate::reports::{ask, count, digest, ended, fetch, follow, order, own};
use crate::world::{World, variable};

/// How long a client waits for what has to come.
const PATIENCE: Duration = Duration::from_secs(120);
/// What the deployment signs with: scripts/functions.py writes it.
const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

/// A client at one end of a connection.
struct Client(WebSocketStream<MaybeTlsStream<TcpStream>>);

impl Client {
    /// Asks a server for an address.
    fn address(server: &Server) -> String {
        let answer = server.act("/sockets", &format!("socket {}", fastrand::u64(..)));
        assert_eq!(answer.status, 201, "{}", answer.body);
        answer.json()["url"].as_str().unwrap().to_owned()
    }

    async fn connect(server: &Server) -> Self {
        Self(connect_async(Self::address(server)).await.unwrap().0)
    }

    async fn says(&mut self, text: &str) {
        self.0.send(Message::text(text)).await.unwrap();
    }

    async fn hears(&mut self) -> Value {
        loop {
            let next = timeout(PATIENCE, self.0.next()).await.expect("nothing came").unwrap().unwrap();
            if let Message::Text(text) = next {
                return serde_json::from_str(&text).unwrap();
            }
        }
    }

    async fn subscribes(&mut self, id: &str) -> Value {
        self.says(&json!({ "subscribe": id }).to_string()).await;
        self.hears().await
    }

    /// The last document of a report, waited for.
    async fn end(&mut self, id: &str) -> Value {
        let mut told = self.subscribes(id).await;
        while told["end"].is_null() {
            assert!(told["problem"].is_null(), "{told}");
            told = self.hears().await;
        }
        told
    }
}

/// Where the deployment may call.
fn hooks() -> String {
    let deployment = std::fs::read_to_string(variable("FANFOLD_TEST_DEPLOYMENT")).unwrap();
    let deployment: Value = serde_json::from_str(&deployment).unwrap();
    deployment["pipelines"]["reports"]["webhooks"][0].as_str().unwrap().to_owned()
}

/// A document without when it was looked at, and without the requests, which functions count when they end.
fn settled(mut told: Value) -> Value {
    if let Some(batch) = told["batch"].as_object_mut() {
        batch.remove("asOf").unwrap();
        for counted in ["costs", "stages"] {
            batch.entry(counted).and_modify(|value| *value = json!(!value.is_null()));
        }
    }
    told
}

/// A report with a webhook that has this path.
fn order_with(name: &str, path: &str) -> Value {
    let mut order = order(name);
    order["webhook"] = json!(format!("{}{path}", hooks()));
    order
}

/// The id of a report that was taken.
pub fn id_of(asked: &Answer) -> String {
    assert_eq!(asked.status, 202, "{}", asked.body);
    asked.json()["id"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn dynamodb_sockets_keep_the_contract() {
    let sockets = World::open().await.new_sockets("contract-sockets").await;
    suites::sockets::all(&sockets, SystemClock.now()).await;
}

/// What came for a report, waited for.
async fn received(receiver: &FaultyServer, path: &str, many: usize) -> Vec<Seen> {
    let came = async {
        loop {
            let seen: Vec<Seen> =
                receiver.log().seen.iter().filter(|seen| seen.target.ends_with(path)).cloned().collect();
            if seen.len() >= many {
                return seen;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    timeout(PATIENCE, came).await.expect("the receiver was not told")
}

/// What a receiver was told, if its signature is right.
fn verified(seen: &Seen) -> Value {
    let header = |name: &str| seen.headers[name].as_str();
    let (id, seconds) = (header("webhook-id"), header("webhook-timestamp").parse().unwrap());
    let signature = Keys::parse([SECRET]).unwrap().sign(id, seconds, &seen.body);
    assert_eq!(header("webhook-signature"), signature);
    assert!((SystemClock.now().epoch_seconds() - seconds).abs() < 300, "{seconds}");
    serde_json::from_str(&seen.body).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_report_is_the_same_document_by_every_way() {
    let name = own("ways");
    count(&name).await;
    let world = World::of("reports").await;
    let address = hooks();
    let address = address.strip_prefix("http://").unwrap().trim_end_matches('/');
    let receiver = FaultyServer::start(address, |seen, calls| match seen.target.contains("busy") && calls == 1 {
        true => Act::Refuse(503),
        false => Act::Work,
    });
    let receiver = receiver.await.unwrap();
    for (key, path, server) in
        [("server", "kept", Server::start(&world, true)), ("function", "busy", Server::function())]
    {
        let path = format!("{path}-{name}");
        let asked = ask(&server, &format!("{name}-{key}"), &order_with(&name, &path), &[]);
        let id = id_of(&asked);
        // Before the end, by several who wait for the same.
        let (mut first, mut second) = (Client::connect(&server).await, Client::connect(&server).await);
        let (pushed, other) = tokio::join!(first.end(&id), second.end(&id));
        // And by who comes after it, which is told at once.
        let late = Client::connect(&server).await.subscribes(&id).await;
        let polled = ended(&server, &id);
        let waited = server.ask(&format!("/reports/{id}?wait=20"), &[]).json();
        let calls = if key == "function" { 2 } else { 1 };
        let seen = received(&receiver, &path, calls).await;
        let told = verified(&seen[calls - 1]);
        assert_eq!((&told["type"], &told["timestamp"]), (&json!("report.ended"), &polled["end"]["finishedAt"]));
        let ids: BTreeSet<&str> = seen.iter().map(|seen| seen.headers["webhook-id"].as_str()).collect();
        assert_eq!(ids.len(), 1, "a receiver knows a repetition");
        let hooked = told["data"].clone();
        let whole = settled(polled.clone());
        for (way, document) in
            [("socket", pushed), ("other socket", other), ("late", late), ("long poll", waited), ("webhook", hooked)]
        {
            assert_eq!(settled(document), whole, "{key}: {way}");
        }
        if key == "server" {
            let events = server.ask(&format!("/reports/{id}/events"), &[]).body;
            let event = events.lines().find_map(|line| line.strip_prefix("data: ")).unwrap();
            assert_eq!(settled(serde_json::from_str(event).unwrap()), whole, "events");
        }
        let first_link = asked.json()["end"]["url"].as_str().unwrap().to_owned();
        let link = server.ask(&format!("/reports/{id}/link"), &[]).json()["url"].as_str().unwrap().to_owned();
        for link in [first_link, link] {
            assert_eq!(serde_json::from_slice::<Value>(&follow(&link)).unwrap(), polled["end"], "link");
        }
        let pdf = polled["end"]["outputs"].as_array().unwrap().iter().find(|one| one["name"] == "pdf").unwrap();
        assert_eq!(pdf["sha256"], digest(&fetch(&server, &id, "pdf")));
    }
}

#[tokio::test]
async fn a_client_that_is_killed_learns_of_the_end_when_it_comes_back() {
    let name = own("killed");
    count(&name).await;
    let server = Server::function();
    let id = id_of(&ask(&server, &name, &order(&name), &[]));
    // Killed before it said anything, after it did, and after it was answered: without a word, as a process is.
    for point in 0..3 {
        let mut client = Client::connect(&server).await;
        if point > 0 {
            client.says(&json!({ "subscribe": id }).to_string()).await;
        }
        if point > 1 {
            client.hears().await;
        }
        drop(client);
    }
    let mut waits = Client::connect(&server).await;
    waits.end(&id).await;
    // Whatever became of the others, who comes back is told with the first answer, and soon.
    for _ in 0..3 {
        let answer = async { Client::connect(&server).await.subscribes(&id).await };
        // In less than a second alone; other tests run beside this one.
        let told = timeout(Duration::from_secs(10), answer).await.expect("a client that comes back is not told");
        assert_eq!(told["state"], "SUCCEEDED", "{told}");
    }
}

#[tokio::test]
async fn nobody_connects_or_is_told_who_may_not() {
    let name = own("refused");
    let world = World::of("reports").await;
    let (server, function) = (Server::start(&world, true), Server::function());
    let url = Client::address(&function);
    let refused = async |url: &str| match connect_async(url).await {
        Err(Error::Http(response)) => response.status().as_u16(),
        other => panic!("{url}: {other:?}"),
    };
    let (plain, ticket) = url.split_once("?ticket=").unwrap();
    assert!(ticket.contains("X-Amz-Signature="), "{url}");
    assert_eq!(refused(plain).await, 403);
    let unsigned = format!("{plain}?ticket={}", ticket.split('&').next().unwrap());
    assert_eq!(refused(&unsigned).await, 403, "the ticket alone");
    let (ticket, signature) = ticket.split_once('&').unwrap();
    assert_eq!(refused(&format!("{plain}?ticket={}&{signature}", "0".repeat(ticket.len()))).await, 403);
    let mut client = Client(connect_async(&url).await.unwrap().0);
    assert_eq!(refused(&url).await, 403, "a second time");

    // A report of somebody else, and one that there is not.
    let order = json!({"type": "usage", "from": "2026-01-01", "to": "2026-01-02", "assets": []});
    let foreign = id_of(&ask(&server, &name, &order, &[]));
    let mut answers = Vec::new();
    for id in [&foreign, &"0".repeat(32), &"x".to_owned()] {
        answers.push(client.subscribes(id).await);
    }
    assert_eq!(answers[0]["problem"]["status"], 404);
    assert!(answers.iter().all(|answer| *answer == answers[0]), "{answers:?}");
    for said in ["", "{", "[]", r#"{"action": "subscribe"}"#, r#"{"subscribe": 1}"#] {
        client.says(said).await;
        let answer = client.hears().await;
        assert_eq!(answer["problem"]["status"], 400, "{said}: {answer}");
    }
    for (webhook, words) in [
        (json!("https://example.com/"), "/webhook is no address that may be called here"),
        (json!(format!("{}../x", hooks())), "must not have . or .."),
        (json!("http://example.com/"), "must begin with https://"),
    ] {
        let mut order = order.clone();
        order["webhook"] = webhook;
        let (status, detail) = ask(&server, &own("hook"), &order, &[]).problem();
        assert!(status == 400 && detail.contains(words), "{words}: {detail}");
    }
}

/// The lines of a stream of events that begin with this.
fn lines<'a>(told: &'a Answer, field: &str) -> Vec<&'a str> {
    told.body.lines().filter_map(|line| line.strip_prefix(field)).collect()
}

#[tokio::test]
async fn events_are_told_by_the_address_of_a_function() {
    let name = own("events");
    count(&name).await;
    let world = World::of("reports").await;
    let (server, function, events) = (Server::start(&world, true), Server::function(), Server::events());
    let id = id_of(&ask(&function, &name, &order(&name), &[]));
    let path = format!("/reports/{id}/events");
    // The local AWS passes an answer on when it is whole, which is when the report has ended.
    let told = events.ask(&path, &[]);
    assert!(told.status == 200 && told.headers.contains("content-type: text/event-stream"), "{}", told.headers);
    let last: Value = serde_json::from_str(lines(&told, "data: ").last().unwrap()).unwrap();
    assert_eq!(settled(last), settled(ended(&function, &id)));
    let have = format!("Last-Event-ID: {}", lines(&told, "id: ").last().unwrap());
    let again = events.ask(&path, &["--header", &have]);
    assert_eq!((again.status, again.body.as_str()), (204, ""));

    // Batches, too, but for those that are reports, which their owners alone are told of.
    let batch =
        World::open().await.upload(&format!("{name}-batch.csv"), b"itemNo,price\nevents-1,2\n".to_vec()).await.batch_id;
    let told = events.ask(&format!("/batches/{batch}/events"), &[]);
    let last: Value = serde_json::from_str(lines(&told, "data: ").last().unwrap()).unwrap();
    assert_eq!((&last["batchId"], &last["state"]), (&json!(batch), &json!("SUCCEEDED")));
    let order = json!({"type": "usage", "from": "2026-01-01", "to": "2026-01-02", "assets": []});
    let foreign = id_of(&ask(&server, &name, &order, &[]));
    for path in [format!("/reports/{foreign}/events"), format!("/reports/{id}"), "/pipelines".to_owned()] {
        assert_eq!(events.ask(&path, &[]).problem().0, 404, "{path}");
    }
    assert_eq!(events.ask_unsigned(&path).status, 403);
}

#[tokio::test]
async fn a_client_with_something_earlier_is_told_how_a_batch_is_now() {
    let name = own("stream");
    let world = World::open().await;
    let server = Server::start(&world, true);
    let batch = world.upload(&format!("{name}.csv"), b"itemNo,price\nstream-1,2\n".to_vec()).await.batch_id;
    let path = format!("/batches/{batch}/events");
    let told = server.ask(&path, &["--header", "Last-Event-ID: earlier"]);
    assert_eq!(lines(&told, "event: "), ["view"], "{}", told.body);
    let have = format!("Last-Event-ID: {}", lines(&told, "id: ")[0]);
    assert_eq!(server.ask(&path, &["--header", &have]).status, 204);
}
