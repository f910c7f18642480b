//! Connections of a WebSocket API, from this side of it: one POST for each text
//! (<https://docs.aws.amazon.com/apigateway/latest/developerguide/apigateway-how-to-call-websocket-api-connections.html>). It is signed here:
//! one request needs no SDK crate.

use std::time::Duration;

use aws_config::SdkConfig;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use tokio::time::timeout;

use crate::clients::Clients;
use crate::signed::{Signer, credentials};
use fanfold::model::error::{Error, Result};
use fanfold::store::Clock;
use fanfold::store::clock::SystemClock;
use fanfold::store::push::{Push, Pushed};
use fanfold::store::web::{Origin, Request, Web, WebError};

/// How long the answer is waited for.
const PATIENCE: Duration = Duration::from_secs(10);
/// How much of an answer is read.
const MOST: usize = 1_024;
/// The longest text that a client can be sent, in bytes
/// (<https://docs.aws.amazon.com/apigateway/latest/developerguide/apigateway-execution-service-websocket-limits-table.html>).
pub const LONGEST: usize = 128 * 1_024;

/// Sends texts to connections of one API.
#[derive(Debug)]
pub struct GatewayPush<W> {
    web: W,
    config: SdkConfig,
    /// The address of its connections.
    connections: String,
}

impl<W: Web> GatewayPush<W> {
    /// The connections below an address, reached with the clients' credentials.
    pub fn new(clients: &Clients, web: W, connections: impl Into<String>) -> Self {
        Self { web, config: clients.config.clone(), connections: connections.into() }
    }

    /// The signed request.
    async fn request(&self, connection: &str, text: &str) -> Result<Request> {
        // An id ends with an equals sign.
        let id = utf8_percent_encode(connection, NON_ALPHANUMERIC);
        let url = format!("{}/@connections/{id}", self.connections.trim_end_matches('/'));
        let (origin, target) =
            Origin::parse(&url).map_err(|what| Error::config(format!("the address of connections {what}")))?;
        let region = self.config.region().map(ToString::to_string).unwrap_or_default();
        let credentials = credentials(&self.config).await?;
        let signer =
            Signer { credentials: &credentials, region: &region, service: "execute-api", at: SystemClock.now() };
        let headers = signer.headers(&url, &[], text)?;
        let (method, target, body) = ("POST".to_owned(), target.to_owned(), text.to_owned());
        Ok(Request { origin, method, target, headers, body, most: MOST })
    }
}

impl<W: Web> Push for GatewayPush<W> {
    async fn push(&self, connection: &str, text: &str) -> Result<Pushed> {
        let request = self.request(connection, text).await?;
        let sent = timeout(PATIENCE, async {
            let line = self.web.line(&request.origin).await?;
            self.web.send(line, request).await
        });
        let lost = |why: &str| Error::transient(format!("connection {connection} was not reached: {why}"));
        let response = match sent.await {
            Ok(Ok(response)) => response,
            Ok(Err(WebError::Unsent(why) | WebError::Unsure(why))) => return Err(lost(&why)),
            Err(_) => return Err(lost("no answer")),
        };
        match response.status {
            200..=299 => Ok(Pushed::Sent),
            // https://docs.aws.amazon.com/apigatewaymanagementapi/latest/reference/
            410 => Ok(Pushed::Gone),
            403 => Err(Error::denied(format!("connection {connection} may not be reached: {}", said(&response.body)))),
            413 => Err(Error::internal(format!("{} bytes are too many for a connection", text.len()))),
            // Of too many requests, or of a client that does not read what it was sent, for which others must not wait.
            429 => Err(lost("too many requests, or a client that does not read")),
            status => Err(lost(&format!("status {status}, {}", said(&response.body)))),
        }
    }
}

fn said(body: &[u8]) -> String {
    String::from_utf8_lossy(body).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::{Arc, Mutex};

    use fanfold::model::error::ErrorKind;
    use fanfold::store::web::Response;
    use fanfold::store::web::memory::MemoryWeb;

    #[tokio::test]
    async fn a_text_is_posted_and_the_answer_says_what_became_of_it() {
        let seen: Arc<Mutex<Vec<Request>>> = Arc::default();
        let clients = Clients::of_emulator("http://127.0.0.1:1").await;
        for (status, expected) in [
            (200, Ok(Pushed::Sent)),
            (410, Ok(Pushed::Gone)),
            (403, Err(ErrorKind::Denied)),
            (413, Err(ErrorKind::Internal)),
            (429, Err(ErrorKind::Transient)),
            (500, Err(ErrorKind::Transient)),
        ] {
            let noted = seen.clone();
            let web = MemoryWeb(move |request| {
                noted.lock().unwrap().push(request);
                std::future::ready(Ok(Response { status, ..Response::default() }))
            });
            let push = GatewayPush::new(&clients, web, "https://a1.execute-api.eu-west-1.amazonaws.com/live");
            let pushed = push.push("L0SM9cOFvHcCIhw=", "{\"ü\":1}").await.map_err(|error| error.kind);
            assert_eq!(pushed, expected, "{status}");
        }
        let seen = seen.lock().unwrap();
        assert_eq!(seen[0].origin.host, "a1.execute-api.eu-west-1.amazonaws.com");
        assert_eq!(
            (seen[0].target.as_str(), seen[0].body.as_str()),
            ("/live/@connections/L0SM9cOFvHcCIhw%3D", "{\"ü\":1}")
        );
        let authorization = seen[0].headers.iter().find(|(name, _)| name == "authorization").unwrap();
        assert!(authorization.1.contains("/us-east-1/execute-api/aws4_request"), "{}", authorization.1);
    }
}
