//! The API behind the page, as `fanfold serve` offers it, and as a function behind an HTTP API.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

use serde_json::{Value, json};

use crate::world::{World, variable};

const TOKEN: &str = "0123456789abcdef";

/// Signs a request to an HTTP API (<https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-access-control-iam.html>).
pub const SIGNED: [&str; 4] = ["--aws-sigv4", "aws:amz:us-east-1:execute-api", "--user", "test:test"];

/// What offers the API, ended with the test if that is a server.
pub struct Server {
    process: Option<Child>,
    address: String,
    /// What lets a request in.
    credentials: Vec<String>,
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(process) = &mut self.process {
            let _ = process.kill();
            let _ = process.wait();
        }
    }
}

/// What curl was told.
pub struct Answer {
    pub status: u16,
    pub headers: String,
    pub body: String,
}

impl Answer {
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|e| panic!("{e}: {}", self.body))
    }

    /// What a client shows that has the document.
    fn tag(&self) -> String {
        let tag = self.headers.lines().find_map(|line| line.strip_prefix("etag: ")).unwrap();
        // Names and values of headers are in lower case here.
        tag.strip_prefix("w/").unwrap().trim_matches('"').to_owned()
    }

    /// The problem that an answer describes.
    pub fn problem(&self) -> (u16, String) {
        assert!(self.headers.contains("content-type: application/problem+json"), "{}", self.headers);
        let told = self.json();
        assert_eq!(told["status"], self.status, "{told}");
        (self.status, told["detail"].as_str().unwrap().to_owned())
    }
}

impl Server {
    pub fn start(world: &World, token: bool) -> Self {
        let mut command = world.process(&std::env::temp_dir(), &["serve", "--port", "0"]);
        if token {
            command.env("FANFOLD_TOKEN", TOKEN);
        }
        let mut process = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(process.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let told = line.trim().to_owned();
        let (address, fragment) = told.split_once('#').map_or((told.as_str(), None), |(a, f)| (a, Some(f)));
        assert_eq!(fragment.is_some(), token, "{told}");
        let authorised = ["--header".to_owned(), format!("Authorization: Bearer {TOKEN}")];
        let credentials = if token { authorised.into() } else { Vec::new() };
        Self { process: Some(process), address: address.trim_end_matches('/').to_owned(), credentials }
    }

    /// The function that is deployed beside the pipelines.
    pub fn function() -> Self {
        Self::deployed("url", &SIGNED)
    }

    /// The function that tells of events, behind an address of its own.
    pub fn events() -> Self {
        // https://docs.aws.amazon.com/lambda/latest/dg/urls-invocation.html
        Self::deployed("events", &["--aws-sigv4", "aws:amz:us-east-1:lambda", "--user", "test:test"])
    }

    fn deployed(at: &str, credentials: &[&str]) -> Self {
        let deployment = std::fs::read_to_string(variable("FANFOLD_TEST_DEPLOYMENT")).unwrap();
        let deployment: Value = serde_json::from_str(&deployment).unwrap();
        assert_eq!(deployment["api"]["authorisation"], "IAM", "{}", deployment["api"]);
        let address = deployment["api"][at].as_str().unwrap().trim_end_matches('/').to_owned();
        Self { process: None, address, credentials: credentials.iter().map(|&text| text.to_owned()).collect() }
    }

    /// What somebody is told who shows nothing.
    pub fn ask_unsigned(&self, path: &str) -> Answer {
        curl(&format!("{}{path}", self.address), &[])
    }

    fn is_function(&self) -> bool {
        self.process.is_none()
    }

    pub fn ask(&self, path: &str, options: &[&str]) -> Answer {
        let mut all: Vec<&str> = self.credentials.iter().map(String::as_str).collect();
        all.extend(options);
        curl(&format!("{}{path}", self.address), &all)
    }

    pub fn act(&self, path: &str, key: &str) -> Answer {
        self.ask(path, &["--request", "POST", "--header", &format!("Idempotency-Key: {key}")])
    }
}

pub fn curl(url: &str, options: &[&str]) -> Answer {
    let mut command = Command::new("curl");
    command.args(["--silent", "--show-error", "--noproxy", "*", "--include"]).args(options).arg(url);
    let said = command.output().unwrap();
    let said = String::from_utf8(said.stdout).unwrap();
    let (headers, body) = said.split_once("\r\n\r\n").unwrap_or_else(|| panic!("{url}: {said}"));
    let status = headers.split(' ').nth(1).unwrap().parse().unwrap();
    Answer { status, headers: headers.to_lowercase(), body: body.to_owned() }
}

/// All that is asked of a batch, and what acts on it.
fn routes(id: &str) -> Vec<(&'static str, String)> {
    [
        ("GET", "/pipelines".to_owned()),
        ("GET", "/batches".to_owned()),
        ("POST", "/batches".to_owned()),
        ("GET", format!("/batches/{id}")),
        ("GET", format!("/batches/{id}/events")),
        ("GET", format!("/batches/{id}/outputs/summary.json")),
        ("GET", format!("/batches/{id}/failures")),
        ("GET", "/billing".to_owned()),
        ("POST", "/pipelines/chunked/pause".to_owned()),
        ("POST", "/pipelines/chunked/resume".to_owned()),
        ("POST", format!("/batches/{id}/redrive")),
        ("POST", format!("/batches/{id}/cancel")),
        ("POST", "/reports".to_owned()),
        ("GET", format!("/reports/{}", "0".repeat(32))),
        ("GET", format!("/reports/{}/events", "0".repeat(32))),
        ("GET", format!("/reports/{}/link", "0".repeat(32))),
        ("GET", format!("/reports/{}/result", "0".repeat(32))),
        ("POST", format!("/reports/{}/cancel", "0".repeat(32))),
        ("POST", format!("/reports/{}/redrive", "0".repeat(32))),
        ("POST", "/sockets".to_owned()),
    ]
    .into()
}

#[tokio::test]
async fn a_file_is_uploaded_followed_redriven_and_downloaded_through_the_page() {
    let world = World::open().await;
    follow(&world, Server::start(&world, false), "page").await;
}

#[tokio::test]
async fn the_same_goes_through_the_function() {
    let world = World::open().await;
    follow(&world, Server::function(), "function").await;
}

async fn follow(world: &World, server: Server, name: &str) {
    let key = format!("{name}-{}.csv", std::process::id());
    let page = server.ask("/", &[]);
    assert!(page.status == 200 && page.headers.contains("default-src 'self'"), "{}", page.headers);

    let content = "itemNo,price\npage-1,2\npage-2,two\n";
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), content).unwrap();
    let announced = json!({"pipeline": "chunked", "key": key, "bytes": content.len()}).to_string();
    let named = format!("Idempotency-Key: upload {key}");
    let posted = ["--header", named.as_str(), "--json", &announced];
    let form = server.ask("/batches", &posted);
    assert_eq!(form.status, 201, "{}", form.body);
    // Another process does not know the form, which is a secret: of a function there may be several.
    if !server.is_function() {
        assert_eq!(server.ask("/batches", &posted).body, form.body, "the same form under the same key");
    }
    let upload = &form.json()["upload"];
    let fields = upload["fields"].as_object().unwrap().iter();
    let mut fields: Vec<String> = fields.map(|(name, value)| format!("{name}={}", value.as_str().unwrap())).collect();
    fields.push(format!("file=@{}", file.path().display()));
    let url = upload["url"].as_str().unwrap();
    let sent = |fields: &[String], more: &[&str]| {
        let mut options: Vec<&str> = fields.iter().flat_map(|field| ["--form", field.as_str()]).collect();
        options.extend(more);
        curl(url, &options)
    };
    // The policy is of this key and this size.
    let other: Vec<String> = fields.iter().map(|field| field.replace(&format!("key={key}"), "key=other.csv")).collect();
    assert_eq!(sent(&other, &[]).status, 403);
    std::fs::write(file.path(), format!("{content}page-3,3\n")).unwrap();
    assert_eq!(sent(&fields, &[]).status, 400);
    std::fs::write(file.path(), content).unwrap();
    let accepted = sent(
        &fields,
        &[
            "--header",
            &format!("Origin: {}", if server.is_function() { "http://localhost:8700" } else { &server.address }),
        ],
    );
    assert_eq!(accepted.status, 201, "{}", accepted.body);
    assert!(accepted.headers.contains("access-control-allow-origin"), "{}", accepted.headers);
    assert!(
        !sent(&fields, &["--header", "Origin: https://example.com"])
            .headers
            .contains("access-control-allow-origin: https")
    );

    let listed = || server.ask(&format!("/batches?pipeline=chunked&key={key}"), &[]).json()["batches"].clone();
    let id = loop {
        if let Some(id) = listed()[0]["batchId"].as_str() {
            break id.to_owned();
        }
        // The index of batches lags, and tells nobody when it has caught up.
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    };
    // The stream ends when the batch is closed. A gateway passes no stream on, so that the batch is asked for again.
    let events = server.ask(&format!("/batches/{id}/events?pipeline=chunked"), &[]);
    let path = format!("/batches/{id}?pipeline=chunked");
    // A function is not kept waiting for long.
    let applied = if server.is_function() { "preference-applied: wait=2" } else { "preference-applied: wait=20" };
    let waited = loop {
        let waited = server.ask(&path, &["--header", "Prefer: respond-async, wait=20; soon=yes"]);
        assert!(waited.headers.contains(applied), "{}", waited.headers);
        if !waited.json()["finishedAt"].is_null() {
            break waited;
        }
        assert!(server.is_function() && waited.headers.contains("retry-after"), "{}", waited.headers);
    };
    assert!(!waited.headers.contains("retry-after"), "{}", waited.body);
    assert_eq!(server.ask(&format!("{path}&wait=0"), &[]).status, 200);
    assert!(server.ask(&format!("{path}&wait=soon"), &[]).problem().1.contains("wait=20"));
    let last: Value = if server.is_function() {
        assert!(events.problem().1.contains("no events here"));
        waited.json()
    } else {
        // Whoever has the end is told not to come back.
        let tag =
            events.body.lines().rfind(|line| line.starts_with("id: ")).unwrap().replace("id: ", "Last-Event-ID: ");
        assert_eq!(server.ask(&format!("/batches/{id}/events?pipeline=chunked"), &["--header", &tag]).status, 204);
        let last = events.body.lines().rfind(|line| line.starts_with("data: ")).unwrap();
        serde_json::from_str(&last["data: ".len()..]).unwrap()
    };
    assert_eq!((&last["state"], &last["records"]["failed"]), (&json!("PARTIALLY_FAILED"), &json!(1)));
    assert_eq!(last["pipeline"], "chunked");

    let document = server.ask(&format!("/batches/{id}"), &[]);
    assert_eq!(document.json()["failures"][0]["count"], 1);
    for path in [format!("/batches/{id}"), format!("/batches/{id}?wait=20")] {
        for form in ["W/\"tag\"", "\"other\", *", "\"tag\""] {
            // Functions count their requests when they end, which is a change after the end.
            let mut tag = document.tag();
            loop {
                let known = format!("If-None-Match: {}", form.replace("tag", &tag));
                let again = server.ask(&path, &["--header", &known]);
                if again.status == 304 {
                    break;
                }
                assert_ne!(again.tag(), tag, "{form}");
                tag = again.tag();
            }
        }
    }

    let failed = server.ask(&format!("/batches/{id}/outputs/failed.csv"), &[]);
    let link = failed.headers.lines().find_map(|line| line.strip_prefix("location: ")).unwrap();
    assert_eq!(failed.status, 302);
    assert!(link.contains("x-amz-expires=300"), "{link}");
    let asked = server.ask(&format!("/batches/{id}/outputs/failed.csv"), &["--header", "Accept: application/json"]);
    let told = asked.json()["url"].as_str().unwrap().to_owned();
    assert_eq!(curl(&told, &[]).body, "itemNo,price\npage-2,two\n");
    let reason = document.json()["failures"][0]["id"].as_str().unwrap().to_owned();
    let some = server.ask(&format!("/batches/{id}/failures?reason={reason}"), &[]);
    assert_eq!((some.status, some.body.as_str()), (200, "itemNo,price\npage-2,two\n"), "{}", some.headers);
    assert!(some.headers.contains("attachment; filename=\"failed.csv\""), "{}", some.headers);
    assert!(server.ask(&format!("/batches/{id}/failures?reason=x"), &[]).problem().1.contains(&reason));
    let (path, wrong) = (format!("/batches/{id}/redrive"), format!("Idempotency-Key: wrong {key}"));
    for (body, told) in
        [(r#"{"reason":"x"}"#, reason.as_str()), (r#"{"reasons":[]}"#, "unknown field"), ("[", "reason")]
    {
        let refused = server.ask(&path, &["--header", &wrong, "--json", body]).problem();
        assert!(refused.0 == 400 && refused.1.contains(told), "{body}: {refused:?}");
    }
    let outputs = document.json()["outputs"].clone();
    let size =
        outputs.as_array().unwrap().iter().find(|output| output["name"] == "failed.csv").unwrap()["bytes"].clone();
    assert_eq!(size, "itemNo,price\npage-2,two\n".len(), "{outputs}");
    let same = world.command(&["status", id.as_str(), "--json", "--pipeline", "chunked"]).stdout;
    assert_eq!(serde_json::from_str::<Value>(&same).unwrap()["outputs"], outputs);
    let outside = server.ask(&format!("/batches/{id}/outputs/..%2Fother"), &[]).problem();
    // A gateway may decode the path before it passes it on.
    let none = if server.is_function() { "nothing at this path" } else { "no output" };
    assert!(outside.0 == 404 && outside.1.contains(none), "{outside:?}");

    let (one, two) = (format!("/batches/{id}/redrive"), format!("/batches/{id}/cancel"));
    let (again, stop) = (format!("again {key}"), format!("stop {key}"));
    let redriven = server.act(&one, &again);
    assert_eq!((redriven.status, redriven.json()), (202, json!({"batchId": format!("{id}.r1")})));
    let closed = |line: &Value| line["generation"] == 1 && !line["finishedAt"].is_null();
    // Whoever waits for the redrive is not told the end of what was before.
    loop {
        let waited = server.ask(&format!("/batches/{id}.r1?pipeline=chunked&wait=20"), &[]);
        if waited.status == 200 && closed(&waited.json()) {
            break;
        }
        assert!(server.is_function() && (waited.status == 404 || waited.json()["generation"] == 1), "{}", waited.body);
    }
    // The index of batches lags, and tells nobody when it has caught up.
    while !closed(&listed()[0]) {
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
    assert_eq!(server.act(&one, &again).json(), redriven.json(), "a double click is one action");
    let other = Server::start(world, false);
    assert_eq!(other.act(&one, &again).json(), redriven.json(), "also for another process");
    assert!(world.ledger_of(&format!("{id}.r2")).await.is_none());
    assert_eq!(server.act(&two, &again).problem().0, 422);
    let refused = server.act(&two, &stop).problem();
    assert!(refused.0 == 409 && refused.1.contains("nothing left to cancel"), "{refused:?}");
    let lines = listed();
    assert_eq!((&lines[0]["generation"], &lines[1]["generation"]), (&json!(1), &json!(0)));
}

#[tokio::test]
async fn a_request_that_cannot_be_carried_out_is_told_why() {
    let world = World::open().await;
    let server = Server::start(&world, false);
    for (path, status, told) in [
        ("/batches/nobody-0123456789ab", 404, "does not know batch nobody-0123456789ab"),
        ("/batches/nobody-0123456789ab/events", 404, "does not know batch"),
        ("/batches/%00", 400, "batch"),
        ("/batches?pipeline=nobody", 404, "\"nobody\" is not deployed; deployed are: "),
        ("/batches?state=DONE", 400, "states are: SCATTERING"),
        ("/batches?next=x", 400, "an earlier answer"),
        ("/nowhere", 404, "nothing at this path"),
    ] {
        let (answered, detail) = server.ask(path, &[]).problem();
        assert!(answered == status && detail.contains(told), "{path}: {answered} {detail}");
    }
    let post = |body: &str| server.ask("/batches", &["--header", "Idempotency-Key: bad", "--json", body]).problem();
    assert_eq!(post("{}").0, 422);
    assert_eq!(post("{").0, 400);
    let large = r#"{"pipeline":"chunked","key":"x.csv","bytes":6000000000}"#;
    assert!(post(large).1.contains("fanfold submit"));
    assert!(post(r#"{"pipeline":"chunked","key":"","bytes":1}"#).1.contains("1,024"));
    assert_eq!(server.ask("/batches", &["--request", "DELETE", "--header", "Idempotency-Key: d"]).problem().0, 405);
}

#[tokio::test]
async fn nobody_else_sees_or_does_anything() {
    let world = World::open().await;
    let (local, guarded) = (Server::start(&world, false), Server::start(&world, true));
    for (method, path) in routes("nobody-0123456789ab") {
        let asked = ["--request", method, "--header", "Idempotency-Key: k", "--max-time", "10"];
        let with = |header| [&asked[..], &["--header", header]].concat();
        // A page of another site, whose name leads here.
        let (status, told) = local.ask(&path, &with("Host: example.com")).problem();
        assert!(status == 403 && told.contains("localhost"), "{method} {path}: {status} {told}");
        for header in ["Host: localhost", "Authorization: Bearer 0123456789abcdee", "Authorization: Basic eDp5"] {
            let url = format!("{}{path}", guarded.address);
            let (status, told) = curl(&url, &with(header)).problem();
            assert!(status == 401 && told.contains("token"), "{method} {path}: {status} {told}");
        }
        if method == "POST" {
            // What a form of another site can send.
            let simple = ["--request", "POST", "--header", "Content-Type: text/plain", "--data", "{}"];
            let (status, told) = local.ask(&path, &simple).problem();
            assert!(status == 400 && told.contains("Idempotency-Key"), "{path}: {status} {told}");
            let empty = local.ask(&path, &[&simple[..], &["--header", "Idempotency-Key;"]].concat()).problem();
            assert_eq!(empty.0, 400, "{path}: {}", empty.1);
        }
    }
    assert_eq!(guarded.ask("/pipelines", &[]).status, 200);
    assert_eq!(curl(&format!("{}/", guarded.address), &[]).status, 200, "the page itself has no secrets");
}

#[tokio::test]
async fn the_function_lets_in_what_is_signed_alone() {
    let function = Server::function();
    for (method, path) in routes("nobody-0123456789ab") {
        let asked = ["--request", method, "--header", "Idempotency-Key: k", "--max-time", "20"];
        assert_eq!(curl(&format!("{}{path}", function.address), &asked).status, 403, "{method} {path}");
    }
    assert_eq!(curl(&format!("{}/", function.address), &[]).status, 403);
    assert_eq!(function.ask("/pipelines", &[]).status, 200);
    let refused = function.ask("/batches/nobody-0123456789ab", &[]).problem();
    assert!(refused.0 == 404 && refused.1.contains("does not know"), "{refused:?}");
}
