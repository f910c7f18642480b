//! Events and packages in memory.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::model::billing::admission::Admitted;
use crate::model::billing::aggregate::{Aggregate, bounds};
use crate::model::billing::calendar::HalfMonth;
use crate::model::billing::package::PackageId;
use crate::model::billing::sending::Sending;
use crate::model::error::Result;
use crate::model::timestamp::Timestamp;
use crate::store::billing::{Aggregates, Events, Insertion, Packages, Sealed, Unbilled};

/// An event that is not billed: its identity and its content.
pub type Listed = (String, [u8; 32]);

#[derive(Debug, Default)]
struct Tables {
    events: BTreeMap<String, Admitted>,
    listed: BTreeMap<Listed, (Admitted, Unbilled)>,
    packages: BTreeMap<PackageId, (Sealed, Sending)>,
    aggregates: BTreeMap<(String, String), Aggregate>,
}

impl Tables {
    fn find(&self, event: &Admitted) -> Insertion {
        match self.events.get(&event.event.identity()) {
            None => Insertion::Created,
            Some(there) if there.event.content() == event.event.content() => Insertion::Duplicate,
            Some(_) => Insertion::Conflict,
        }
    }
}

/// Events and packages in memory; clones share them.
#[derive(Debug, Clone, Default)]
pub struct MemoryBilling(Arc<Mutex<Tables>>);

impl MemoryBilling {
    /// Without events and packages.
    pub fn new() -> Self {
        Self::default()
    }

    /// All events by their identities.
    pub fn events(&self) -> BTreeMap<String, Admitted> {
        self.tables().events.clone()
    }

    /// All that is not billed.
    pub fn listed(&self) -> BTreeMap<Listed, (Admitted, Unbilled)> {
        self.tables().listed.clone()
    }

    /// All packages.
    pub fn packages(&self) -> BTreeMap<PackageId, (Sealed, Sending)> {
        self.tables().packages.clone()
    }

    /// All rows of what was used, by clients, and days and hours.
    pub fn aggregates(&self) -> BTreeMap<(String, String), Aggregate> {
        self.tables().aggregates.clone()
    }

    fn tables(&self) -> MutexGuard<'_, Tables> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Events for MemoryBilling {
    async fn keep(&self, event: &Admitted) -> Result<Insertion> {
        let mut tables = self.tables();
        let kept = tables.find(event);
        if kept == Insertion::Created {
            tables.events.insert(event.event.identity(), event.clone());
        }
        Ok(kept)
    }

    async fn find(&self, event: &Admitted) -> Result<Insertion> {
        Ok(self.tables().find(event))
    }

    async fn list(&self, event: &Admitted, why: &Unbilled) -> Result<()> {
        let listed = (event.event.identity(), event.event.content());
        self.tables().listed.insert(listed, (event.clone(), why.clone()));
        Ok(())
    }

    async fn listed_in(&self, client: &str, half: HalfMonth) -> Result<Vec<(Admitted, Unbilled)>> {
        let tables = self.tables();
        let of = |(event, why): &&(Admitted, Unbilled)| why.lists(event) == client && event.half() == half;
        Ok(tables.listed.values().filter(of).cloned().collect())
    }

    async fn billed_in(&self, client: &str, half: HalfMonth) -> Result<Vec<Admitted>> {
        let tables = self.tables();
        Ok(tables
            .events
            .values()
            .filter(|event| event.event.client == client && event.half() == half)
            .cloned()
            .collect())
    }
}

impl Packages for MemoryBilling {
    async fn seal(&self, sealed: &Sealed) -> Result<String> {
        let mut tables = self.tables();
        let there =
            tables.packages.entry(sealed.id.clone()).or_insert_with(|| (sealed.clone(), Sending::ready(sealed.at)));
        Ok(there.0.object.clone())
    }

    async fn of(&self, client: &str, half: HalfMonth) -> Result<Vec<Sealed>> {
        let id = |sequence| PackageId { client: client.to_owned(), half, sequence };
        let tables = self.tables();
        Ok(tables.packages.range(id(0)..=id(u32::MAX)).map(|(_, (sealed, _))| sealed.clone()).collect())
    }

    async fn read(&self, id: &PackageId) -> Result<Option<(Sealed, Sending)>> {
        Ok(self.tables().packages.get(id).cloned())
    }

    async fn write(&self, id: &PackageId, sending: &Sending) -> Result<bool> {
        let mut tables = self.tables();
        let there = tables.packages.get_mut(id).filter(|(_, there)| there.version + 1 == sending.version);
        Ok(there.map(|(_, there)| *there = sending.clone()).is_some())
    }

    async fn due(&self, at: Timestamp, most: usize) -> Result<Vec<PackageId>> {
        let tables = self.tables();
        let due = tables.packages.iter().filter(|(_, (_, sending))| !sending.state.is_final() && sending.due <= at);
        let mut due: Vec<_> = due.map(|(id, (_, sending))| (sending.due, id)).collect();
        due.sort();
        Ok(due.into_iter().map(|(_, id)| id.clone()).take(most).collect())
    }
}

impl Aggregates for MemoryBilling {
    async fn used_in(&self, client: &str, half: HalfMonth) -> Result<BTreeMap<String, Aggregate>> {
        let (first, last) = bounds(half);
        let of = |period| (client.to_owned(), period);
        let tables = self.tables();
        let rows = tables.aggregates.range(of(first)..=of(last));
        Ok(rows.map(|((_, period), row)| (period.clone(), row.clone())).collect())
    }

    async fn set(&self, client: &str, period: &str, row: &Aggregate) -> Result<bool> {
        let mut tables = self.tables();
        let key = (client.to_owned(), period.to_owned());
        let before = tables.aggregates.get(&key).map_or(0, |there| there.version);
        let sets = row.version == before + 1;
        if sets {
            tables.aggregates.insert(key, row.clone());
        }
        Ok(sets)
    }
}
