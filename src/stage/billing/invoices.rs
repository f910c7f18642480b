//! An API for invoices, over HTTP.

use std::pin::pin;
use std::time::Duration;

use futures::future::{Either, select};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::model::billing::package::PackageId;
use crate::model::billing::sending::{Answer, Lookup};
use crate::model::processing::bill::InvoiceSettings;
use crate::model::processing::http::{CallTemplate, Class, Rendered, Secrets, Values};
use crate::model::timestamp::Timestamp;
use crate::processor::http::answer::{moment, said};
use crate::store::Clock;
use crate::store::billing::Invoices;
use crate::store::web::{Request, Response, Web, WebError};

/// The most of a response's body that is read.
const MOST: usize = 256 * 1024;
/// Statuses by which an API refuses whatever is sent: by its URL, its method, or who sends it.
const WRONG_ADDRESS: [u16; 5] = [401, 403, 404, 405, 407];

/// An API for invoices.
#[derive(Debug)]
pub struct WebInvoices<W, K> {
    /// The client.
    pub web: W,
    /// The time.
    pub clock: K,
    /// Where it is, and what is sent.
    pub settings: InvoiceSettings,
    /// The secrets that requests have.
    pub secrets: Secrets,
}

/// What an API says of an invoice.
#[derive(Deserialize)]
struct Told {
    id: Value,
    #[serde(default)]
    state: Option<String>,
    #[serde(default)]
    reason: Option<String>,
}

impl Told {
    /// The invoice that a body tells of.
    fn of(body: &[u8]) -> Option<(String, Self)> {
        let told: Self = serde_json::from_slice(body).ok()?;
        let id = match &told.id {
            Value::String(id) => id.clone(),
            Value::Number(id) => id.to_string(),
            _ => return None,
        };
        Some((id, told))
    }
}

impl<W: Web, K: Clock> WebInvoices<W, K> {
    /// The response to a request of a package, before a moment; otherwise, why there is none, and whether it may have reached the API.
    async fn call(
        &self,
        call: &CallTemplate,
        id: &PackageId,
        sent: Option<(&str, &[u8])>,
        until: Timestamp,
    ) -> Result<Response, String> {
        let request = self.request(call, id, sent)?;
        let left = u64::try_from(until.0 - self.clock.now().0).unwrap_or_default();
        let answer = async {
            let line = self.web.line(&call.url.origin).await?;
            self.web.send(line, request).await
        };
        match select(pin!(answer), pin!(self.clock.sleep(Duration::from_millis(left)))).await {
            Either::Left((Ok(response), _)) => Ok(response),
            Either::Left((Err(WebError::Unsent(reason) | WebError::Unsure(reason)), _)) => Err(reason),
            Either::Right(_) => Err("it did not answer in time".to_owned()),
        }
    }

    fn request(&self, call: &CallTemplate, id: &PackageId, sent: Option<(&str, &[u8])>) -> Result<Request, String> {
        let fields: Map<String, Value> = [
            ("package", json!(id)),
            ("client", json!(id.client)),
            ("half", json!(id.half.to_string())),
            ("sequence", json!(id.sequence)),
        ]
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value))
        .collect();
        let values = Values { fields: &fields, task: "", batch: "", index: 0, secrets: &self.secrets };
        let Rendered { method, target, mut headers, body: _ } = call.render(&values)?;
        let mut body = String::new();
        if let Some((key, bytes)) = sent {
            // A quoted string, as https://datatracker.ietf.org/doc/draft-ietf-httpapi-idempotency-key-header/ says.
            headers.push(("Idempotency-Key".to_owned(), format!("\"{key}\"")));
            body = String::from_utf8(bytes.to_vec()).map_err(|_| "the package is not text".to_owned())?;
        }
        Ok(Request { origin: call.url.origin.clone(), method, target, headers, body, most: MOST })
    }

    /// What the API answered, in a line.
    fn said(&self, response: &Response) -> String {
        let cut = if response.cut { ", more than is read" } else { "" };
        format!("the API answered {}{cut}", said(&self.secrets, response))
    }

    /// In how many seconds it wants to be asked again.
    fn pause(&self, response: &Response) -> Option<i64> {
        let now = self.clock.now();
        let until = moment(response.retry_after.as_ref()?, now)?;
        Some((until.0 - now.0 + 999).div_euclid(1000))
    }

    fn class(&self, response: &Response) -> Class {
        self.settings.http.statuses.class(response.status, response.retry_after.is_some())
    }
}

impl<W: Web, K: Clock> Invoices for WebInvoices<W, K> {
    async fn create(&self, id: &PackageId, key: &str, body: &[u8], until: Timestamp) -> Answer {
        let call = &self.settings.http.call;
        let response = match self.call(call, id, Some((key, body)), until).await {
            Ok(response) => response,
            Err(reason) => return Answer::Unsure(reason),
        };
        // 409 says that a request under this key is under way. Others say nothing of the package: a setting is wrong, or a token is old.
        if response.status == 409 || WRONG_ADDRESS.contains(&response.status) {
            return Answer::Unsure(self.said(&response));
        }
        match self.class(&response) {
            Class::Succeeded => match Told::of(&response.body) {
                Some((invoice, _)) => Answer::Accepted(invoice),
                None => Answer::Unsure(format!("it did not say the id of an invoice: {}", self.said(&response))),
            },
            Class::Busy => Answer::Busy(self.pause(&response)),
            Class::Permanent => Answer::Rejected(self.said(&response)),
            Class::Temporary => Answer::Unsure(self.said(&response)),
        }
    }

    async fn find(&self, id: &PackageId, until: Timestamp) -> Lookup {
        let response = match self.call(&self.settings.look_up.call, id, None, until).await {
            Ok(response) => response,
            Err(reason) => return Lookup::Unsure(reason),
        };
        match self.settings.look_up.found(response.status) {
            Some(false) => Lookup::Absent,
            Some(true) => match Told::of(&response.body) {
                Some((invoice, told)) => match told.state.as_deref().map(str::to_ascii_lowercase).as_deref() {
                    None | Some("processed") => Lookup::Processed(invoice),
                    Some("accepted" | "pending" | "processing") => Lookup::Pending(invoice),
                    Some("rejected" | "failed") => {
                        let reason = told.reason.map(|reason| self.secrets.hide(&reason));
                        Lookup::Rejected(invoice, reason.unwrap_or_else(|| "the API rejected it".to_owned()))
                    }
                    Some(other) => {
                        let other = self.secrets.hide(other);
                        Lookup::Unsure(format!("the API told of a state that is not known: {other}"))
                    }
                },
                None => Lookup::Unsure(format!("it did not say the id of an invoice: {}", self.said(&response))),
            },
            None if self.class(&response) == Class::Busy => Lookup::Busy(self.pause(&response)),
            None => Lookup::Unsure(self.said(&response)),
        }
    }
}

#[cfg(test)]
#[path = "invoices_tests.rs"]
mod tests;
