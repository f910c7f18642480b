//! The function that prints. It is given a link to read the data by and one to write the document by, and has no rights of its
//! own: what a template does, it does without any.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use lambda_runtime::{Error, LambdaEvent, service_fn};
use serde::Deserialize;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::render::{LIMIT, RenderError, render_within};
use crate::report::Report;

/// The most bytes of data: 5,000 rows of 16 columns with long cells, three times over.
const MOST_BYTES: u64 = 64 << 20;
/// How long one transfer may take.
const TRANSFER: Duration = Duration::from_secs(30);
/// A template of the user's, where the function's package is.
const TEMPLATE: &str = "report.typ";

/// Whether a template is still running that was given up.
static STUCK: AtomicBool = AtomicBool::new(false);

/// What is to be printed.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Order {
    /// A link to the data.
    data: String,
    /// A link that takes the document.
    document: String,
}

/// Whether Lambda started this process
/// (<https://docs.aws.amazon.com/lambda/latest/dg/configuration-envvars.html#configuration-envvars-runtime>).
pub fn is_wanted() -> bool {
    std::env::var_os("AWS_LAMBDA_RUNTIME_API").is_some()
}

/// Serves invocations until Lambda ends the process.
///
/// # Errors
/// What the Lambda runtime cannot recover from.
pub fn run() -> Result<(), Error> {
    let package = std::env::var_os("LAMBDA_TASK_ROOT").map(PathBuf::from).unwrap_or_default();
    let template = package.join(TEMPLATE);
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(lambda_runtime::run(service_fn(
        async |event: LambdaEvent<Order>| {
            if STUCK.load(Ordering::Relaxed) {
                // Whoever asks tries again, and has a process of its own then.
                std::process::exit(1);
            }
            let template = template.clone();
            tokio::task::spawn_blocking(move || print(&event.payload, &template, LIMIT)).await?
        },
    )))
}

/// Prints what was asked for: the size and the digest of the document, or why it cannot be made.
fn print(order: &Order, template: &Path, limit: Duration) -> Result<Value, Error> {
    let agent: ureq::Agent = ureq::Agent::config_builder().timeout_global(Some(TRANSFER)).build().into();
    let data = agent.get(&order.data).call()?.body_mut().with_config().limit(MOST_BYTES).read_to_vec()?;
    let refused = |why: String| Ok(json!({ "refused": why }));
    let report = match Report::parse(&data) {
        Ok(report) => report,
        Err(invalid) => return refused(invalid.to_string()),
    };
    let own = match std::fs::read_to_string(template) {
        Ok(own) => Some(own),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => None,
        Err(error) => return refused(format!("the template cannot be read: {error}")),
    };
    let document = match render_within(&report, own.as_deref(), limit) {
        Ok(document) => document,
        Err(error @ (RenderError::Data(_) | RenderError::Template(_))) => return refused(error.to_string()),
        Err(error @ RenderError::TooLong(_)) => {
            STUCK.store(true, Ordering::Relaxed);
            return refused(error.to_string());
        }
        Err(error @ (RenderError::Panicked | RenderError::Thread(_))) => return Err(error.into()),
    };
    let sha256: String = Sha256::digest(&document).iter().map(|byte| format!("{byte:02x}")).collect();
    agent.put(&order.document).header("content-type", "application/pdf").send(&document[..])?;
    Ok(json!({ "bytes": document.len(), "sha256": sha256 }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{BufRead, BufReader, Read, Write};
    use std::net::{TcpListener, TcpStream};
    use std::thread::JoinHandle;

    const DATA: &str = r#"{
        "v": 1, "id": "r-1", "type": "usage", "title": "Usage", "from": "2026-01-01", "to": "2026-02-01", "zone": "UTC",
        "asOf": "2026-02-01T03:04:05Z", "columns": [{"name": "n", "title": "N", "kind": "integer"}],
        "assets": [{"name": "pump 1", "rows": [[12]], "totals": [12]}], "totals": [12]
    }"#;

    /// A request: its first line with its type, and its body.
    type Request = (String, Vec<u8>);

    /// What a bucket was sent, and answers so.
    fn answer(stream: TcpStream, body: &str, status: &str) -> Request {
        let mut reader = BufReader::new(&stream);
        let (mut request, mut length) = (String::new(), 0);
        reader.read_line(&mut request).unwrap();
        loop {
            let mut line = String::new();
            reader.read_line(&mut line).unwrap();
            let line = line.trim().to_ascii_lowercase();
            match line.split_once(": ") {
                Some(("content-length", bytes)) => length = bytes.parse().unwrap(),
                Some(("content-type", kind)) => request += kind,
                Some(_) => {}
                None => break,
            }
        }
        let mut sent = vec![0; length];
        reader.read_exact(&mut sent).unwrap();
        let bytes = body.len();
        write!(&stream, "HTTP/1.1 {status}\r\ncontent-length: {bytes}\r\nconnection: close\r\n\r\n{body}").unwrap();
        (request, sent)
    }

    /// A bucket that gives the data, and takes the document if it answers so many requests.
    fn bucket(data: &'static str, status: &'static str, requests: usize) -> (Order, JoinHandle<Vec<Request>>) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let link = |key: &str| format!("http://{address}/{key}?X-Amz-Signature=ab");
        let order = Order { data: link("print.json"), document: link("report.pdf") };
        let serve = move || {
            let answers = [data, ""].into_iter().take(requests);
            answers.map(|body| answer(listener.accept().unwrap().0, body, status)).collect()
        };
        (order, std::thread::spawn(serve))
    }

    #[test]
    fn data_is_read_and_its_document_written_by_links() {
        let (order, bucket) = bucket(DATA, "200 OK", 2);
        let answer = print(&order, Path::new("/nowhere/report.typ"), LIMIT).unwrap();
        let requests = bucket.join().unwrap();
        let document = &requests[1].1;
        assert!(requests[0].0.starts_with("GET /print.json?X-Amz-Signature=ab "), "{}", requests[0].0);
        assert!(requests[1].0.starts_with("PUT /report.pdf?") && requests[1].0.ends_with("application/pdf"));
        assert_eq!(document, &crate::render(&Report::parse(DATA.as_bytes()).unwrap(), None).unwrap());
        let sha256: String = Sha256::digest(document).iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(answer, json!({"bytes": document.len(), "sha256": sha256}));
    }

    #[test]
    fn what_cannot_be_printed_is_refused_in_words_and_what_may_pass_is_an_error() {
        let (order, _bucket) = bucket("{\"v\": 1}", "200 OK", 1);
        let refused = print(&order, Path::new("/nowhere"), LIMIT).unwrap();
        assert!(refused["refused"].as_str().unwrap().contains("missing field"), "{refused}");
        let (order, _bucket) = bucket(DATA, "503 Slow Down", 1);
        let error = print(&order, Path::new("/nowhere"), LIMIT).unwrap_err();
        assert!(error.to_string().contains("503"), "{error}");
        let folder = tempfile::tempdir().unwrap();
        let template = folder.path().join(TEMPLATE);
        std::fs::write(&template, "#let").unwrap();
        let (order, _bucket) = bucket(DATA, "200 OK", 1);
        let refused = print(&order, &template, LIMIT).unwrap();
        assert!(refused["refused"].as_str().unwrap().contains("line 1"), "{refused}");
    }

    #[test]
    fn an_order_is_two_links_and_nothing_else() {
        assert!(serde_json::from_str::<Order>(r#"{"data":"a","document":"b"}"#).is_ok());
        assert!(serde_json::from_str::<Order>(r#"{"data":"a","document":"b","file":"/etc/passwd"}"#).is_err());
        assert!(serde_json::from_str::<Order>(r#"{"data":"a"}"#).is_err());
    }
}
