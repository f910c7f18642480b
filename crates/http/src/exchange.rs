//! A request and its response.

use bytes::Bytes;
use fanfold::store::web::{Request, Response, WebError};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::header::{CONTENT_LENGTH, HOST, HeaderName, HeaderValue, RETRY_AFTER, USER_AGENT};

use crate::pool::Line;

/// The most of a body that is read only to keep its connection.
const DISCARDED: usize = 64 * 1024;
const OWN_NAME: &str = concat!("fanfold/", env!("CARGO_PKG_VERSION"));

/// Sends a request over a connection, and reads its response. The connection is put back if it can take another one.
pub async fn exchange(line: &mut Line, request: Request) -> Result<Response, WebError> {
    let most = request.most;
    let request = message(line, request).map_err(WebError::Unsent)?;
    let Some(mut sender) = line.take() else {
        return Err(WebError::Unsent("the connection was used already".to_owned()));
    };
    let response = sender.try_send_request(request).await.map_err(|mut error| {
        // hyper gives back what it has not begun to write.
        match error.take_message() {
            Some(_) => WebError::Unsent("the connection was closed".to_owned()),
            None => WebError::Unsure(format!("the connection broke: {}", words(error.error()))),
        }
    })?;
    let status = response.status().as_u16();
    let told = response.headers().get(RETRY_AFTER).and_then(|told| told.to_str().ok()).map(str::to_owned);
    let (body, cut, whole) = read(response.into_body(), most).await;
    // A body that was not read to its end stands before the next response.
    if whole && sender.ready().await.is_ok() {
        line.put(sender);
    }
    Ok(Response { status, retry_after: told, body, cut })
}

/// An error without its cause would say nothing.
fn words(error: &hyper::Error) -> String {
    let mut words = error.to_string();
    let mut next = std::error::Error::source(error);
    while let Some(cause) = next {
        words.push_str(&format!(": {cause}"));
        next = cause.source();
    }
    words
}

fn message(line: &Line, request: Request) -> Result<hyper::Request<Full<Bytes>>, String> {
    // The errors of these say what is wrong and not with what.
    let mut message = hyper::Request::builder().method(request.method.as_str()).uri(request.target);
    let headers = message.headers_mut().ok_or("the request has no valid method or target")?;
    let authority = HeaderValue::try_from(line.origin().authority()).map_err(|e| e.to_string())?;
    headers.insert(HOST, authority);
    headers.insert(USER_AGENT, HeaderValue::from_static(OWN_NAME));
    for (name, value) in request.headers {
        let name = HeaderName::try_from(name).map_err(|e| e.to_string())?;
        let mut value = HeaderValue::try_from(value).map_err(|e| e.to_string())?;
        value.set_sensitive(true);
        headers.insert(name, value);
    }
    if !request.body.is_empty() || matches!(request.method.as_str(), "PATCH" | "POST" | "PUT") {
        headers.insert(CONTENT_LENGTH, request.body.len().into());
    }
    message.body(Full::new(Bytes::from(request.body))).map_err(|e| e.to_string())
}

/// The first bytes of a body, whether it goes on, and whether it was read to its end. The status is known by now, so that a
/// connection that breaks here is no failure.
async fn read(mut body: Incoming, most: usize) -> (Vec<u8>, bool, bool) {
    let (mut kept, mut read) = (Vec::new(), 0);
    loop {
        match body.frame().await {
            None => return (kept, read > most, true),
            Some(Err(_)) => return (kept, true, false),
            Some(Ok(frame)) => {
                let Ok(data) = frame.into_data() else { continue };
                read += data.len();
                kept.extend_from_slice(&data[..data.len().min(most - kept.len())]);
                if read > most.saturating_add(DISCARDED) {
                    return (kept, true, false);
                }
            }
        }
    }
}
