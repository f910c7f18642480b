//! Where clients connect that wait for reports. Who may connect is told an address that is signed and holds a ticket, to be used once: the
//! gateway refuses whoever has no signature, and the ticket says whose the connection is.

use std::time::Duration;

use fanfold::model::error::{Error, Result};
use fanfold::store::Clock;
use fanfold::store::clock::SystemClock;
use fanfold::store::sockets::{Caller, Connections, TICKET};
use fanfold_aws::clients::Clients;
use fanfold_aws::deployment::Deployment;
use fanfold_aws::sockets::DynamoSockets;

/// How long an address can be used to connect.
pub const VALID: Duration = Duration::from_millis(TICKET.unsigned_abs());

/// Where clients connect.
#[derive(Debug, Clone)]
pub struct Sockets {
    pub(crate) store: DynamoSockets,
    clients: Clients,
    /// The address that they connect to.
    url: String,
}

impl Sockets {
    /// That of a deployment, if it has one.
    pub fn of(deployment: &Deployment, clients: &Clients) -> Option<Self> {
        let place = deployment.sockets.as_ref()?;
        let store = DynamoSockets::new(clients.dynamodb.clone(), &place.table);
        Some(Self { store, clients: clients.clone(), url: place.url.clone() })
    }

    /// What a page has to be allowed to connect to.
    pub(crate) fn origin(&self) -> Option<String> {
        let (scheme, rest) = self.url.split_once("://")?;
        Some(format!("{scheme}://{}", rest.split('/').next()?))
    }

    /// An address for a caller.
    pub(crate) async fn address(&self, caller: &Caller) -> Result<String> {
        let mut bits = [0; 16];
        getrandom::fill(&mut bits).map_err(|e| Error::internal("there are no random bits").because(e))?;
        let ticket = format!("{:032x}", u128::from_be_bytes(bits));
        self.store.issue(&ticket, caller, SystemClock.now()).await?;
        // A handshake is a GET: https://docs.aws.amazon.com/apigateway/latest/developerguide/apigateway-websocket-control-access-iam.html
        let url = format!("{}?ticket={ticket}", self.url.replacen("ws", "http", 1));
        let signed = self.clients.link("execute-api", &url, VALID).await?;
        Ok(signed.replacen("http", "ws", 1))
    }
}
