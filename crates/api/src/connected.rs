//! Clients that wait at the other end of a connection: a WebSocket API takes them, and has this side asked about each that comes, says
//! something, or goes.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use serde_json::json;

use crate::desk::Desk;
use crate::pipelines::Pipelines;
use crate::problem::{Problem, Result, told_without_names};
use crate::reports::report::{Report, unknown};
use crate::reports::{Caller as Asking, owner};
use crate::sockets::{Sockets, VALID};
use fanfold::model::error as model;
use fanfold::model::reporting::id::ReportId;
use fanfold::stage::notify::subscribe;
use fanfold::store::Clock;
use fanfold::store::clock::SystemClock;
use fanfold::store::sockets::{Caller, Connections, Subscriber};
use fanfold_aws::clients::Clients;
use fanfold_aws::deployment::Deployment;

/// Answers with an address to connect to.
pub async fn open(State(desk): State<Arc<Desk>>, caller: Asking) -> Result<Response> {
    let none =
        || Problem::missing("there are no connections here; deploy with API=true, and with a pipeline for reports");
    let sockets = desk.sockets.as_ref().ok_or_else(none)?;
    let caller = Caller { owner: owner(caller).to_string(), operated: desk.operated };
    let url = sockets.address(&caller).await?;
    let expires_at = SystemClock.now().plus_seconds(VALID.as_secs().cast_signed());
    Ok((StatusCode::CREATED, Json(json!({ "url": url, "expiresAt": expires_at }))).into_response())
}

/// What a client says.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Said {
    /// The report that it waits for.
    subscribe: String,
}

/// The connections of a gateway.
#[derive(Debug)]
pub struct Connected {
    sockets: Sockets,
    makers: Pipelines,
}

impl Connected {
    /// Those of a deployment, if it has any.
    pub fn of(deployment: &Deployment, clients: &Clients) -> Option<Self> {
        let sockets = Sockets::of(deployment, clients)?;
        Some(Self { sockets, makers: Pipelines::of(deployment, clients).split().0 })
    }

    /// Whether a client may connect that has this ticket.
    ///
    /// # Errors
    /// Those of the table.
    pub async fn comes(&self, connection: &str, ticket: &str) -> model::Result<bool> {
        let now = SystemClock.now();
        let Some(caller) = self.sockets.store.redeem(ticket, now).await? else {
            return Ok(false);
        };
        self.sockets.store.connect(connection, &caller, now).await?;
        Ok(true)
    }

    /// What is answered to what a client says: the document of the report that it waits for, or a problem.
    pub async fn says(&self, connection: &str, text: &str) -> String {
        let answered = self.document(connection, text).await;
        answered.unwrap_or_else(|problem| json!({ "problem": told_without_names(problem).members() }).to_string())
    }

    async fn document(&self, connection: &str, text: &str) -> Result<String> {
        let wanted = r#"say {"subscribe": "the id of a report"}"#;
        let said: Said = serde_json::from_str(text).map_err(|_| Problem::bad(wanted))?;
        let (store, now) = (&self.sockets.store, SystemClock.now());
        let gone = || Problem::new(StatusCode::GONE, "this connection is too old; connect again");
        let Caller { owner, operated } = store.caller(connection, now).await?.ok_or_else(gone)?;
        let id = ReportId::parse(&said.subscribe).map_err(|_| unknown())?;
        let report = Report::find(self.makers.iter(), &id, &owner, operated).await?;
        let subscriber = Subscriber { connection: connection.to_owned(), operated, told: None };
        let told = subscribe(store, &report, &id, &subscriber, now).await?;
        told.map(|told| told.text).ok_or_else(unknown)
    }

    /// Forgets a connection that a client has closed.
    ///
    /// # Errors
    /// Those of the table.
    pub async fn goes(&self, connection: &str) -> model::Result<()> {
        self.sockets.store.disconnect(connection).await
    }
}
