use serde_json::json;

use super::*;
use crate::model::billing::calendar::HalfMonth;
use crate::model::processing::bill::BillSettings;
use crate::store::clock::SystemClock;
use crate::store::web::memory::MemoryWeb;

fn id() -> PackageId {
    PackageId { client: "anna & co".to_owned(), half: HalfMonth::parse("2026-02-H2").unwrap(), sequence: 1 }
}

fn settings() -> InvoiceSettings {
    let settings = BillSettings::parse(&json!({"clients_of": "clients", "invoices": {
        "url": "https://api.example.com/invoices", "rate": 10, "headers": {"Authorization": "Bearer {@secret.token}"},
        "look_up": {"url": "https://api.example.com/invoices?package={package}"},
        "secrets": {"token": "arn:aws:ssm:eu-west-1:123456789012:parameter/token"},
    }}));
    settings.unwrap().invoices.unwrap()
}

/// What is made of a response, to the sending of a package and to its look-up.
async fn told(response: Result<(u16, Option<&str>, &str), WebError>) -> (Answer, Lookup) {
    let response = response.map(|(status, retry_after, body)| Response {
        status,
        retry_after: retry_after.map(str::to_owned),
        body: body.as_bytes().to_vec(),
        cut: false,
    });
    let web = MemoryWeb(move |request: Request| {
        assert_eq!(request.origin.authority(), "api.example.com");
        if request.method == "POST" {
            assert_eq!((request.target.as_str(), request.body.as_str()), ("/invoices", "{}"));
            assert!(request.headers.contains(&("Idempotency-Key".to_owned(), "\"key\"".to_owned())));
            assert!(request.headers.contains(&("Content-Type".to_owned(), "application/json".to_owned())));
            assert!(request.headers.contains(&("Authorization".to_owned(), "Bearer s3cret".to_owned())));
        } else {
            assert_eq!(request.target, "/invoices?package=anna%20%26%20co%2F2026-02%2FH2%2F1");
            assert_eq!((request.method.as_str(), request.body.as_str()), ("GET", ""));
        }
        std::future::ready(response.clone())
    });
    let secrets = Secrets::new([("token".to_owned(), "s3cret".to_owned())]);
    let invoices = WebInvoices { web, clock: SystemClock, settings: settings(), secrets };
    let until = SystemClock.now().plus_seconds(60);
    (invoices.create(&id(), "key", b"{}", until).await, invoices.find(&id(), until).await)
}

fn text(text: &str) -> String {
    text.to_owned()
}

#[tokio::test]
async fn what_the_api_answers_is_told() {
    let made = r#"{"id": "i-1", "state": "pending"}"#;
    assert_eq!(told(Ok((201, None, made))).await.0, Answer::Accepted(text("i-1")));
    assert_eq!(told(Ok((200, None, made))).await.1, Lookup::Pending(text("i-1")));
    assert_eq!(told(Ok((200, None, r#"{"id": 7}"#))).await.1, Lookup::Processed(text("7")));
    let rejected = r#"{"id": "i-1", "state": "rejected", "reason": "no such customer"}"#;
    assert_eq!(told(Ok((200, None, rejected))).await.1, Lookup::Rejected(text("i-1"), text("no such customer")));
    let answers =
        [told(Ok((429, Some("7"), ""))).await, told(Ok((503, Some("7"), ""))).await, told(Ok((429, None, ""))).await];
    let busy = |seconds| (Answer::Busy(seconds), Lookup::Busy(seconds));
    assert_eq!(answers, [busy(Some(7)), busy(Some(7)), busy(None)]);
    let past = told(Ok((429, Some("Sat, 28 Feb 2026 21:00:00 GMT"), ""))).await;
    assert_eq!(past, busy(Some(0)));
    let (answer, _) = told(Ok((422, None, "unknown s3cret"))).await;
    assert_eq!(answer, Answer::Rejected(text("the API answered 422: unknown [secret]")));
    assert_eq!(told(Ok((404, None, ""))).await.1, Lookup::Absent);
    let echoed = told(Ok((200, None, r#"{"id": 1, "state": "rejected", "reason": "s3cret"}"#))).await;
    assert_eq!(echoed.1, Lookup::Rejected(text("1"), text("[secret]")));
}

#[tokio::test]
async fn what_is_not_clear_is_unsure() {
    for response in [
        Ok((500, None, "{}")),
        Ok((409, None, "under way")),
        Ok((401, None, "the token is old")),
        Ok((403, None, "")),
        Ok((405, None, "")),
        Ok((409, Some("1"), "under way")),
        Ok((200, None, "made")),
        Ok((200, None, r#"{"id": null}"#)),
        Err(WebError::Unsent("no route".to_owned())),
        Err(WebError::Unsure("reset".to_owned())),
    ] {
        let (answer, found) = told(response.clone()).await;
        assert!(matches!(answer, Answer::Unsure(_)), "{response:?}: {answer:?}");
        assert!(matches!(found, Lookup::Unsure(_)), "{response:?}: {found:?}");
    }
    let (_, found) = told(Ok((200, None, r#"{"id": "i", "state": "asleep"}"#))).await;
    assert_eq!(found, Lookup::Unsure(text("the API told of a state that is not known: asleep")));
}

#[tokio::test]
async fn an_api_that_does_not_answer_is_left_in_time() {
    let web = MemoryWeb(|_: Request| std::future::pending::<Result<Response, WebError>>());
    let secrets = Secrets::new([("token".to_owned(), "s3cret".to_owned())]);
    let invoices = WebInvoices { web, clock: SystemClock, settings: settings(), secrets };
    let until = Timestamp(SystemClock.now().0 + 20);
    assert_eq!(invoices.create(&id(), "key", b"{}", until).await, Answer::Unsure(text("it did not answer in time")));
}
