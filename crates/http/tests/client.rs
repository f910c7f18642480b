//! The client against a server that is as faulty as servers are.

use std::time::Duration;

use fanfold::store::web::{Origin, Request, Response, Web, WebError};
use fanfold_http::HttpWeb;
use fanfold_http::testing::{Act, FaultyServer, Seen};
use tokio::time::timeout;

async fn server(decide: impl Fn(&Seen, usize) -> Act + Send + Sync + 'static) -> FaultyServer {
    FaultyServer::start("127.0.0.1:0", decide).await.unwrap()
}

fn request(server: &FaultyServer, target: &str) -> Request {
    let origin = Origin { tls: false, host: "localhost".to_owned(), port: server.address.port() };
    let headers = vec![("Idempotency-Key".to_owned(), "\"k\"".to_owned()), ("X-A".to_owned(), "ü".to_owned())];
    let (method, body) = ("POST".to_owned(), r#"{"a":1}"#.to_owned());
    Request { origin, method, target: target.to_owned(), headers, body, most: 4096 }
}

async fn send(web: &HttpWeb, request: Request) -> Result<Response, WebError> {
    let line = web.line(&request.origin).await?;
    timeout(Duration::from_millis(500), web.send(line, request))
        .await
        .unwrap_or(Err(WebError::Unsure("late".to_owned())))
}

fn is_unsure(answer: &Result<Response, WebError>) -> bool {
    matches!(answer, Err(WebError::Unsure(_)))
}

#[tokio::test]
async fn a_request_comes_as_it_was_sent_and_its_connection_is_used_again() {
    let server = server(|_, _| Act::Work).await;
    let web = HttpWeb::new();
    for _ in 0..3 {
        let response = send(&web, request(&server, "/a?b=%2F")).await.unwrap();
        assert_eq!((response.status, response.body.as_slice(), response.cut), (200, &br#"{"ok":true}"#[..], false));
    }
    let log = server.log();
    let seen = &log.seen[2];
    assert_eq!((seen.method.as_str(), seen.target.as_str(), seen.body.as_str()), ("POST", "/a?b=%2F", r#"{"a":1}"#));
    assert_eq!(seen.key(), "\"k\"");
    assert_eq!(seen.headers["host"], format!("localhost:{}", server.address.port()));
    assert_eq!((seen.headers["x-a"].as_str(), seen.headers["content-length"].as_str()), ("ü", "7"));
    assert!(seen.headers["user-agent"].starts_with("fanfold/"));
    assert!(log.seen.iter().all(|seen| seen.connection == 1), "{:?}", log.seen);
}

#[tokio::test]
async fn bodies_are_cut_and_only_small_ones_keep_their_connection() {
    for (bytes, kept, cut, connections) in [(4096, 4096, false, 1), (20_000, 4096, true, 1), (5_000_000, 4096, true, 2)]
    {
        let server = server(move |_, _| Act::Large(bytes)).await;
        let web = HttpWeb::new();
        for _ in 0..2 {
            let response = send(&web, request(&server, "/")).await.unwrap();
            assert_eq!((response.body.len(), response.cut), (kept, cut), "{bytes}");
        }
        assert_eq!(server.log().seen[1].connection, connections, "{bytes}");
    }
}

#[tokio::test]
async fn a_refusal_names_what_is_not_sure() {
    let server = server(|seen, _| match seen.target.as_str() {
        "/hang-before" => Act::HangBefore,
        "/hang-after" => Act::HangAfter,
        "/drop-before" => Act::DropBefore,
        "/drop-after" => Act::DropAfter,
        "/busy" => Act::Busy(429, Some("7".to_owned())),
        _ => Act::Refuse(302),
    })
    .await;
    let web = HttpWeb::new();
    for target in ["/hang-before", "/hang-after", "/drop-before", "/drop-after"] {
        let answer = send(&web, request(&server, target)).await;
        assert!(is_unsure(&answer), "{target}: {answer:?}");
    }
    let busy = send(&web, request(&server, "/busy")).await.unwrap();
    assert_eq!((busy.status, busy.retry_after.as_deref()), (429, Some("7")));
    assert_eq!(send(&web, request(&server, "/moved")).await.unwrap().status, 302);
    let closed = Origin { tls: false, host: "127.0.0.1".to_owned(), port: 1 };
    assert!(matches!(web.line(&closed).await, Err(WebError::Unsent(_))));
    let plain = Origin { tls: true, ..request(&server, "/").origin };
    let Err(WebError::Unsent(told)) = web.line(&plain).await else { panic!("no TLS is there") };
    assert!(told.contains("no encrypted connection to localhost:"), "{told}");
}

#[tokio::test]
async fn a_connection_that_is_given_up_is_closed() {
    let server = server(|_, _| Act::HangAfter).await;
    let web = HttpWeb::new();
    assert!(is_unsure(&send(&web, request(&server, "/")).await));
    // The server sees the end of it.
    timeout(Duration::from_secs(5), async {
        while server.log().under_way > 0 {
            tokio::task::yield_now().await;
        }
    })
    .await
    .unwrap();
}

#[tokio::test]
async fn a_connection_that_the_server_closed_is_not_used_again() {
    let server = server(|_, _| Act::WorkAndClose).await;
    let web = HttpWeb::new();
    for n in 1..=3 {
        assert_eq!(send(&web, request(&server, "/")).await.unwrap().status, 200);
        assert_eq!(server.log().seen.last().unwrap().connection, n);
        // The client learns of it from the runtime.
        for _ in 0..100 {
            tokio::task::yield_now().await;
        }
    }
}

#[tokio::test]
async fn a_connection_that_was_not_used_is_kept() {
    let server = server(|_, _| Act::Work).await;
    let web = HttpWeb::new();
    for _ in 0..3 {
        drop(web.line(&request(&server, "/").origin).await.unwrap());
    }
    send(&web, request(&server, "/")).await.unwrap();
    assert_eq!(server.log().seen[0].connection, 1);
}
