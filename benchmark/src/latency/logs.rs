//! Finds out how long functions worked, from their logs on an emulator. It keeps one stream per invocation,
//! which ends with a report as Lambda writes it.
//!
//! The logs are read by one plain request, since the SDK's client would be a whole crate just for that; the
//! request is not signed, which only an emulator accepts.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use fanfold::model::error::{Error, Result};
use fanfold::model::timestamp::Timestamp;
use serde::Deserialize;
use serde_json::json;

use super::phases::Report;

/// How often to look for the last report, and the pause between.
const LOOKS: u32 = 40;
const PAUSE: Duration = Duration::from_millis(50);

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Page {
    #[serde(default)]
    events: Vec<Event>,
    next_token: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Event {
    log_stream_name: String,
    message: String,
}

/// The reports of those invocations of a function that mention a batch; `None` if the logs lack them.
///
/// # Errors
/// `Transient` if they cannot be read.
pub async fn report(endpoint: &str, function: &str, since: Timestamp, batch: &str) -> Result<Option<Report>> {
    for _ in 0..LOOKS {
        let mut events = Vec::new();
        let mut token = None;
        loop {
            let page = page(endpoint, function, since, token.as_deref())?;
            events.extend(page.events);
            token = page.next_token;
            if token.is_none() {
                break;
            }
        }
        if let Some(report) = reported(&events, batch) {
            return Ok(Some(report));
        }
        tokio::time::sleep(PAUSE).await;
    }
    Ok(None)
}

/// The sum over the streams that mention a batch; `None` if one of them lacks its report.
fn reported(events: &[Event], batch: &str) -> Option<Report> {
    let mut streams: BTreeMap<&str, Option<f64>> = events
        .iter()
        .filter(|event| event.message.contains(batch))
        .map(|event| (event.log_stream_name.as_str(), None))
        .collect();
    for event in events {
        if let (Some(told), Some(took)) = (streams.get_mut(event.log_stream_name.as_str()), duration(&event.message)) {
            *told = Some(took);
        }
    }
    let told: Option<Vec<f64>> = streams.into_values().collect();
    let told = told.filter(|told| !told.is_empty())?;
    Some(Report { milliseconds: told.iter().sum(), invocations: told.len() })
}

/// The milliseconds in a report: `REPORT RequestId: …\tDuration: 12.34 ms\tBilled Duration: …`.
fn duration(message: &str) -> Option<f64> {
    let report = message.strip_prefix("REPORT ")?;
    let field = report.split('\t').find_map(|field| field.trim().strip_prefix("Duration: "))?;
    field.strip_suffix(" ms")?.parse().ok()
}

fn page(endpoint: &str, function: &str, since: Timestamp, token: Option<&str>) -> Result<Page> {
    let unreadable = || Error::transient("the functions' logs cannot be read");
    let mut body = json!({"logGroupName": format!("/aws/lambda/{function}"), "startTime": since.0});
    if let Some(token) = token {
        body["nextToken"] = token.into();
    }
    let text = post(endpoint, &body.to_string()).map_err(|e| unreadable().because(e))?;
    serde_json::from_str(&text).map_err(|e| unreadable().because(e))
}

fn post(endpoint: &str, body: &str) -> std::io::Result<String> {
    let host = endpoint.trim_start_matches("http://").trim_end_matches('/');
    let mut connection = TcpStream::connect(host)?;
    connection.set_read_timeout(Some(Duration::from_secs(10)))?;
    // HTTP/1.0: the answer arrives whole, and ends with the connection.
    let head = format!(
        "POST / HTTP/1.0\r\nHost: {host}\r\nContent-Type: application/x-amz-json-1.1\r\n\
         X-Amz-Target: Logs_20140328.FilterLogEvents\r\nContent-Length: {}\r\n\
         Authorization: AWS4-HMAC-SHA256 Credential=test/20260101/us-east-1/logs/aws4_request, \
         SignedHeaders=host, Signature=0\r\n\r\n",
        body.len()
    );
    connection.write_all(format!("{head}{body}").as_bytes())?;
    let mut answer = String::new();
    connection.read_to_string(&mut answer)?;
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or_default();
    match head.split_whitespace().nth(1) {
        Some("200") => Ok(body.to_owned()),
        // No function with that name has logged yet.
        Some(_) if body.contains("ResourceNotFoundException") => Ok("{}".to_owned()),
        _ => Err(std::io::Error::other(head.lines().next().unwrap_or("no answer").to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpListener;

    fn event(stream: &str, message: &str) -> Event {
        Event { log_stream_name: stream.into(), message: message.into() }
    }

    #[test]
    fn a_report_tells_its_duration() {
        let report = "REPORT RequestId: 1\tDuration: 12.5 ms\tBilled Duration: 13 ms\tMemory Size: 512 MB\n";
        assert_eq!(duration(report), Some(12.5));
        for other in ["", "START RequestId: 1", "REPORT RequestId: 1", "REPORT x\tDuration: fast ms"] {
            assert_eq!(duration(other), None);
        }
    }

    #[test]
    fn invocations_of_the_batch_are_added_up() {
        let mut events = vec![
            event("a", r#"{"batch_id":"mine-1","message":"chunk written"}"#),
            event("a", "REPORT RequestId: 1\tDuration: 7 ms"),
            event("b", r#"{"batch_id":"other-1"}"#),
            event("b", "REPORT RequestId: 2\tDuration: 100 ms"),
            event("c", r#"{"batch_id":"mine-1"}"#),
        ];
        assert_eq!(reported(&events, "mine-1"), None, "one has not ended");
        events.push(event("c", "REPORT RequestId: 3\tDuration: 4 ms"));
        assert_eq!(reported(&events, "mine-1"), Some(Report { milliseconds: 11.0, invocations: 2 }));
        assert_eq!(reported(&events, "mine-2"), None);
    }

    #[tokio::test]
    async fn pages_are_read_to_the_last() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        let server = std::thread::spawn(move || {
            let answers = [
                r#"{"events":[{"logStreamName":"a","message":"of b-1"}],"nextToken":"2"}"#,
                r#"{"events":[{"logStreamName":"a","message":"REPORT x\tDuration: 3 ms"}]}"#,
            ];
            let mut asked = Vec::new();
            for answer in answers {
                let (mut connection, _) = listener.accept().unwrap();
                let mut request = [0; 4096];
                let length = connection.read(&mut request).unwrap();
                asked.push(String::from_utf8_lossy(&request[..length]).into_owned());
                write!(connection, "HTTP/1.1 200 OK\r\nContent-Type: x\r\n\r\n{answer}").unwrap();
            }
            asked
        });
        let report = report(&endpoint, "f", Timestamp(5), "b-1").await.unwrap();
        assert_eq!(report, Some(Report { milliseconds: 3.0, invocations: 1 }));
        let asked = server.join().unwrap();
        assert!(asked[0].contains(r#""logGroupName":"/aws/lambda/f""#) && asked[1].contains(r#""nextToken":"2""#));
    }
}
