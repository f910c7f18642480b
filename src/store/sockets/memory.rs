//! Tickets, connections and subscriptions in memory.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::model::error::Result;
use crate::model::reporting::id::ReportId;
use crate::model::timestamp::Timestamp;
use crate::store::sockets::{CONNECTION, Caller, Connections, Subscriber, Subscriptions, TICKET};

/// Until when something counts.
type Kept<T> = (T, Timestamp);

#[derive(Debug, Default)]
struct Tables {
    tickets: BTreeMap<String, Kept<Caller>>,
    connections: BTreeMap<String, Kept<Caller>>,
    subscribers: BTreeMap<(ReportId, String), Kept<Subscriber>>,
}

/// What is known of connections; clones share it.
#[derive(Debug, Clone, Default)]
pub struct MemorySockets(Arc<Mutex<Tables>>);

impl MemorySockets {
    /// Nobody is connected.
    pub fn new() -> Self {
        Self::default()
    }

    fn tables(&self) -> MutexGuard<'_, Tables> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn until(now: Timestamp, milliseconds: i64) -> Timestamp {
    Timestamp(now.0 + milliseconds)
}

fn counts<T>((kept, until): Kept<T>, now: Timestamp) -> Option<T> {
    (until > now).then_some(kept)
}

impl Connections for MemorySockets {
    async fn issue(&self, ticket: &str, caller: &Caller, now: Timestamp) -> Result<()> {
        self.tables().tickets.insert(ticket.to_owned(), (caller.clone(), until(now, TICKET)));
        Ok(())
    }

    async fn redeem(&self, ticket: &str, now: Timestamp) -> Result<Option<Caller>> {
        Ok(self.tables().tickets.remove(ticket).and_then(|kept| counts(kept, now)))
    }

    async fn connect(&self, connection: &str, caller: &Caller, now: Timestamp) -> Result<()> {
        self.tables().connections.insert(connection.to_owned(), (caller.clone(), until(now, CONNECTION)));
        Ok(())
    }

    async fn caller(&self, connection: &str, now: Timestamp) -> Result<Option<Caller>> {
        Ok(self.tables().connections.get(connection).cloned().and_then(|kept| counts(kept, now)))
    }

    async fn disconnect(&self, connection: &str) -> Result<()> {
        self.tables().connections.remove(connection);
        Ok(())
    }
}

impl Subscriptions for MemorySockets {
    async fn subscribe(&self, report: &ReportId, subscriber: &Subscriber, now: Timestamp) -> Result<()> {
        let key = (report.clone(), subscriber.connection.clone());
        let kept = Subscriber { told: None, ..subscriber.clone() };
        self.tables().subscribers.insert(key, (kept, until(now, CONNECTION)));
        Ok(())
    }

    async fn note_told(&self, report: &ReportId, connection: &str, generation: u32) -> Result<()> {
        if let Some((kept, _)) = self.tables().subscribers.get_mut(&(report.clone(), connection.to_owned())) {
            kept.told = Some(generation);
        }
        Ok(())
    }

    async fn unsubscribe(&self, report: &ReportId, connection: &str) -> Result<()> {
        self.tables().subscribers.remove(&(report.clone(), connection.to_owned()));
        Ok(())
    }

    async fn subscribers(&self, report: &ReportId, now: Timestamp) -> Result<Vec<Subscriber>> {
        let tables = self.tables();
        let of_it = tables.subscribers.iter().filter(|((of, _), _)| of == report);
        Ok(of_it.filter_map(|(_, kept)| counts(kept.clone(), now)).collect())
    }
}
