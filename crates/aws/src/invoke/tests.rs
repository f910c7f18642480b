use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

use fanfold::store::testing::function;

use super::*;
use crate::calls::counted;
use crate::clients::lambda_of_emulator;

const ARN: &str = "arn:aws:lambda:us-east-1:123456789012:function:enrich:live";
const PATIENCE: Duration = Duration::from_secs(20);

/// What a server does with a request.
enum Act {
    /// Answers with this status, these headers and this body; the request's own if there is none.
    Answer(u16, Vec<(&'static str, String)>, Option<String>),
    /// Closes the connection.
    HangUp,
    /// Says nothing until the client goes.
    Hang,
}

/// The heads of requests as they came.
type Heads = Arc<Mutex<Vec<String>>>;

/// A server that does the same with every request, and a function that is called through it.
async fn served(act: impl Fn() -> Act + Send + 'static) -> (LambdaFunction, Heads) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    let heads = Heads::default();
    let kept = heads.clone();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let _ = stream.and_then(|stream| serve(stream, &act, &kept));
        }
    });
    let client = lambda_of_emulator(&endpoint).await;
    (LambdaFunction::new(client, &FunctionArn::parse(ARN).unwrap()), heads)
}

/// Serves one connection until it is closed.
fn serve(mut stream: TcpStream, act: &impl Fn() -> Act, heads: &Heads) -> std::io::Result<()> {
    let mut received = Vec::new();
    let mut piece = [0; 65536];
    loop {
        let end = received.windows(4).position(|four| four == b"\r\n\r\n");
        let Some(end) = end else {
            match stream.read(&mut piece)? {
                0 => return Ok(()),
                some => received.extend_from_slice(&piece[..some]),
            }
            continue;
        };
        let head = String::from_utf8_lossy(&received[..end]).to_lowercase();
        let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")?.parse().ok()).unwrap_or(0);
        while received.len() < end + 4 + length {
            match stream.read(&mut piece)? {
                0 => return Ok(()),
                some => received.extend_from_slice(&piece[..some]),
            }
        }
        let body = String::from_utf8_lossy(&received[end + 4..end + 4 + length]).into_owned();
        received.drain(..end + 4 + length);
        heads.lock().unwrap().push(head);
        match act() {
            Act::Answer(status, headers, answer) => {
                let answer = answer.unwrap_or(body);
                write!(stream, "HTTP/1.1 {status} Any\r\ncontent-length: {}\r\n", answer.len())?;
                headers.iter().try_for_each(|(name, value)| write!(stream, "{name}: {value}\r\n"))?;
                write!(stream, "\r\n{answer}")?;
            }
            Act::HangUp => return Ok(()),
            Act::Hang => while stream.read(&mut piece)? > 0 {},
        }
    }
}

fn error(status: u16, code: &str) -> Act {
    let body = format!("{{\"Type\":\"User\",\"message\":\"said {code}\"}}");
    Act::Answer(status, vec![("x-amzn-errortype", code.to_owned())], Some(body))
}

#[tokio::test]
async fn functions_in_lambda_keep_the_contract() {
    let (echo, heads) = served(|| Act::Answer(200, Vec::new(), None)).await;
    let raised = r#"{"errorType":"ValueError","errorMessage":"no"}"#;
    let raised = || Act::Answer(200, vec![("x-amz-function-error", "Unhandled".into())], Some(raised.into()));
    let (raising, _) = served(raised).await;
    let (missing, _) = served(|| error(404, "ResourceNotFoundException")).await;
    let (slow, slow_heads) = served(|| Act::Hang).await;
    function::all(&echo, &raising, &missing, &slow).await;
    assert_eq!(slow_heads.lock().unwrap().len(), 1, "it is not called again");
    let heads = heads.lock().unwrap();
    assert!(heads[0].starts_with("post /2015-03-31/functions/arn%3aaws%3alambda%3aus-east-1"), "{}", heads[0]);
    assert!(heads[0].contains("x-amz-invocation-type: requestresponse") && heads[0].contains("x-amz-log-type: tail"));
}

#[tokio::test]
async fn what_lambda_says_of_a_call_is_returned() {
    let log = "REPORT RequestId: 1\tDuration: 3.49 ms\tBilled Duration: 4 ms\tMemory Size: 128 MB\t\n";
    let headers =
        vec![("x-amz-executed-version", "42".to_owned()), ("x-amz-log-result", aws_smithy_types::base64::encode(log))];
    let (function, _) = served(move || Act::Answer(200, headers.clone(), Some("null".into()))).await;
    let (returned, requests) = counted(function.invoke(Bytes::from_static(b"{}"), PATIENCE)).await;
    let billed = Some(Billed { milliseconds: 4, memory_mb: 128 });
    let expected = Returned { version: Some("42".to_owned()), billed, ..Returned::answer("null") };
    assert_eq!(returned.unwrap(), expected);
    assert_eq!(requests.into_iter().collect::<Vec<_>>(), [("lambda.Invoke".to_owned(), 1)]);
}

#[tokio::test]
async fn nothing_is_repeated_whatever_happens() {
    for (status, code, name) in [
        (429, "TooManyRequestsException", "Throttled"),
        (413, "RequestTooLargeException", "TooLarge"),
        (502, "ENINotReadyException", "NotRun"),
        (403, "AccessDeniedException", "Refused"),
        (500, "ServiceException", "Unknown"),
        (503, "ServiceUnavailable", "Unknown"),
    ] {
        let (function, heads) = served(move || error(status, code)).await;
        let told = function.invoke(Bytes::from_static(b"{}"), PATIENCE).await.unwrap_err();
        assert!(format!("{told:?}").starts_with(name), "{code}: {told:?}");
        assert_eq!(heads.lock().unwrap().len(), 1, "{code}");
    }
    let (function, heads) = served(|| Act::HangUp).await;
    let told = function.invoke(Bytes::from_static(b"{}"), PATIENCE).await.unwrap_err();
    assert!(matches!(told, CallError::Unknown(_)), "{told:?}");
    assert_eq!(heads.lock().unwrap().len(), 1);
}

#[tokio::test]
async fn a_function_that_is_not_reached_did_not_run() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let function = LambdaFunction::new(lambda_of_emulator(&endpoint).await, &FunctionArn::parse(ARN).unwrap());
    let told = function.invoke(Bytes::from_static(b"{}"), PATIENCE).await.unwrap_err();
    assert!(matches!(told, CallError::NotRun(_)), "{told:?}");
}

#[test]
fn what_is_billed_is_in_the_report() {
    let text = "START RequestId: 1 Version: $LATEST\nREPORT RequestId: 1\tDuration: 3.49 ms\tBilled Duration: 4 ms\tMemory Size: 128 MB\tMax Memory Used: 36 MB\tInit Duration: 98.1 ms\t\n";
    assert_eq!(billed(text), Some(Billed { milliseconds: 4, memory_mb: 128 }));
    let json = r#"{"time":"2026-01-01T00:00:00.000Z","type":"platform.report","record":{"requestId":"1","metrics":{"durationMs":3.494,"billedDurationMs":4,"memorySizeMB":512,"maxMemoryUsedMB":36},"status":"success"}}"#;
    let lines = format!("{{\"type\":\"platform.start\"}}\n{json}\n");
    assert_eq!(billed(&lines), Some(Billed { milliseconds: 4, memory_mb: 512 }));
    for without in ["", "REPORT", "REPORT RequestId: 1", "{}", "REPORT Billed Duration: x ms Memory Size: 1 MB"] {
        assert_eq!(billed(without), None, "{without}");
    }
}

#[test]
fn errors_say_whether_the_function_ran() {
    for (code, status, meaning) in [
        ("TooManyRequestsException", 429, Meaning::Throttled),
        ("EC2ThrottledException", 502, Meaning::Throttled),
        ("RequestTooLargeException", 413, Meaning::TooLarge),
        ("ResourceConflictException", 409, Meaning::NotRun),
        ("ResourceNotFoundException", 404, Meaning::Refused(ErrorKind::Missing)),
        ("AccessDeniedException", 403, Meaning::Refused(ErrorKind::Denied)),
        ("InvalidRuntimeException", 502, Meaning::Refused(ErrorKind::Config)),
        ("InvalidParameterValueException", 400, Meaning::Refused(ErrorKind::Config)),
        ("UnrecognizedClientException", 403, Meaning::Refused(ErrorKind::Config)),
        ("ServiceException", 500, Meaning::Unknown),
        ("EFSIOException", 410, Meaning::Unknown),
        ("", 502, Meaning::Unknown),
        ("", 503, Meaning::Unknown),
        ("", 429, Meaning::Throttled),
    ] {
        assert_eq!(Meaning::of(code, status), meaning, "{code}");
    }
}
