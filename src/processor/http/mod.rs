//! Each record is sent to an HTTP API, at a rate and with a number of calls at once that hold over all functions.
//!
//! Every request of a record has the same `Idempotency-Key`, so that an API that knows the header does its work once
//! (<https://datatracker.ietf.org/doc/draft-ietf-httpapi-idempotency-key-header/>): the id of the record's work as a quoted
//! string, as the draft says, since the header is an item of structured fields. For another API, a look-up finds out before
//! the next try what became of one whose outcome is unknown.
//!
//! Moments at which calls may begin are reserved in groups, for about a second. Calls keep more distance than the rate
//! asks for, since they do not take the same time to the API. A call that is late for its moment does not begin, and gets
//! another one, or calls would gather. Connections are opened ahead of that.

pub mod answer;
mod call;
mod lane;
mod run;

use crate::model::error::Result;
use crate::model::processing::http::{HttpSettings, Secrets};
use crate::model::spent::Spent;
use crate::processor::tally::Tally;
use crate::processor::{Chunk, Processor, Reply};
use crate::store::Clock;
use crate::store::meter::Meter;
use crate::store::web::Web;

/// Sends each record to an HTTP API.
#[derive(Debug)]
pub struct Http<W, M, K> {
    web: W,
    meter: M,
    clock: K,
    name: String,
    settings: HttpSettings,
    secrets: Secrets,
    spent: Tally,
    timing: call::Timing,
}

impl<W, M, K> Http<W, M, K> {
    /// A processor whose calls are measured under a name, by which all functions that call the same API find one meter.
    pub fn new(web: W, meter: M, clock: K, name: impl Into<String>, settings: HttpSettings, secrets: Secrets) -> Self {
        Self {
            web,
            meter,
            clock,
            name: name.into(),
            settings,
            secrets,
            spent: Tally::default(),
            timing: call::Timing::default(),
        }
    }
}

impl<W: Web, M: Meter, K: Clock> Processor for Http<W, M, K> {
    fn spent(&self) -> Spent {
        self.spent.take()
    }

    async fn process(&self, chunks: Vec<Chunk>) -> Vec<Result<Vec<Reply>>> {
        run::work(self, &chunks).await
    }
}
