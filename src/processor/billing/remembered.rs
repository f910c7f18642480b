//! Terms that are read once for many events.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use crate::model::billing::admission::Terms;
use crate::model::error::Result;
use crate::model::timestamp::Timestamp;
use crate::store::Clock;
use crate::store::billing::Clients;

/// How long terms are believed, in seconds, and of how many clients.
const BELIEVED: i64 = 60;
const MOST: usize = 10_000;

/// Clients whose terms were read within the last minute.
#[derive(Debug)]
pub struct Remembered<C, K> {
    clients: C,
    clock: K,
    terms: Mutex<BTreeMap<String, (Timestamp, Terms)>>,
}

impl<C, K> Remembered<C, K> {
    /// None yet.
    pub fn new(clients: C, clock: K) -> Self {
        Self { clients, clock, terms: Mutex::default() }
    }
}

impl<C: Clients, K: Clock> Clients for Remembered<C, K> {
    async fn terms(&self, client: &str) -> Result<Option<Terms>> {
        let now = self.clock.now();
        let believed = |read: &Timestamp| now < read.plus_seconds(BELIEVED);
        let known = |terms: &BTreeMap<String, (Timestamp, Terms)>| {
            terms.get(client).filter(|(read, _)| believed(read)).map(|(_, terms)| terms.clone())
        };
        if let Some(terms) = known(&self.terms.lock().unwrap_or_else(PoisonError::into_inner)) {
            return Ok(Some(terms));
        }
        let read = self.clients.terms(client).await?;
        // One that comes is there at once.
        let Some(found) = &read else {
            return Ok(None);
        };
        let mut terms = self.terms.lock().unwrap_or_else(PoisonError::into_inner);
        if terms.len() >= MOST {
            terms.clear();
        }
        terms.insert(client.to_owned(), (now, found.clone()));
        Ok(read)
    }

    async fn all(&self) -> Result<Vec<(String, Option<Terms>)>> {
        self.clients.all().await
    }
}
