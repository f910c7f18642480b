//! What billing keeps: events, what was used by days, packages and how they stand; and the API that makes invoices of them.

pub mod memory;
pub mod surrounded;

use std::collections::BTreeMap;
use std::future::Future;

use crate::model::billing::admission::{Admitted, Terms};
use crate::model::billing::aggregate::Aggregate;
use crate::model::billing::calendar::HalfMonth;
use crate::model::billing::package::PackageId;
use crate::model::billing::sending::{Answer, Lookup, Sending};
use crate::model::error::Result;
use crate::model::timestamp::Timestamp;

/// What became of an event that was to be kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Insertion {
    /// It was new.
    Created,
    /// It was there already.
    Duplicate,
    /// Another event was there under its identity, and stays.
    Conflict,
}

/// Why an event is not billed.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Unbilled {
    /// Another event has its identity.
    Conflict,
    /// It is too old, or too far ahead, as the words say.
    Rejected(String),
    /// There is no such client.
    Nobody,
}

/// The name under which the events are listed of which there is no client. No client has it.
pub const NOBODY: &str = "";

impl Unbilled {
    /// The client under whom an event is listed for this.
    pub fn lists<'a>(&self, event: &'a Admitted) -> &'a str {
        if *self == Self::Nobody { NOBODY } else { &event.event.client }
    }
}

/// Events by their identities. Failed calls have already been retried; they may still have taken effect.
pub trait Events: Send + Sync + 'static {
    /// Keeps an event, unless there is one under its identity. Of several with different contents, one is kept. Idempotent.
    fn keep(&self, event: &Admitted) -> impl Future<Output = Result<Insertion>> + Send;

    /// What would become of an event that was to be kept.
    fn find(&self, event: &Admitted) -> impl Future<Output = Result<Insertion>> + Send;

    /// Lists an event that is not billed, once for its identity and content, on the day that it is given with; the latest day and reason stay.
    /// One that is kept afterwards counts as kept. Idempotent.
    fn list(&self, event: &Admitted, why: &Unbilled) -> impl Future<Output = Result<()>> + Send;

    /// The events of a client in a half month that are billed. Those that were kept shortly before may be missing, also some that were found before.
    fn billed_in(&self, client: &str, half: HalfMonth) -> impl Future<Output = Result<Vec<Admitted>>> + Send;

    /// Those that are listed in a half month of a client, or in one of [`NOBODY`], likewise.
    fn listed_in(
        &self,
        client: &str,
        half: HalfMonth,
    ) -> impl Future<Output = Result<Vec<(Admitted, Unbilled)>>> + Send;
}

/// A package as it was sealed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sealed {
    /// Its name.
    pub id: PackageId,
    /// The key of the object that has its bytes, which names their digest.
    pub object: String,
    /// When it was sealed.
    pub at: Timestamp,
}

/// Packages by their names, and how each stands. Reads see every write that came before them. Failed calls may still have taken effect.
pub trait Packages: Send + Sync + 'static {
    /// Seals a package, which is then ready to be sent, unless there is one of this name; returns the object of the one that is there now.
    fn seal(&self, sealed: &Sealed) -> impl Future<Output = Result<String>> + Send;

    /// The packages of a client for a half month, in their order.
    fn of(&self, client: &str, half: HalfMonth) -> impl Future<Output = Result<Vec<Sealed>>> + Send;

    /// A package and how it stands.
    fn read(&self, id: &PackageId) -> impl Future<Output = Result<Option<(Sealed, Sending)>>> + Send;

    /// Writes how a package stands, if it stands as in the version before; returns whether it did.
    fn write(&self, id: &PackageId, sending: &Sending) -> impl Future<Output = Result<bool>> + Send;

    /// Packages for which something can be done at a moment, at most so many, those that are due first. Those that changed shortly before may
    /// be missing, or be there although nothing can be done for them.
    fn due(&self, at: Timestamp, most: usize) -> impl Future<Output = Result<Vec<PackageId>>> + Send;
}

/// What clients used, by days and hours. Reads see every write that came before them.
pub trait Aggregates: Send + Sync + 'static {
    /// The rows of a client for the days of a half month and for their hours, by their names.
    fn used_in(
        &self,
        client: &str,
        half: HalfMonth,
    ) -> impl Future<Output = Result<BTreeMap<String, Aggregate>>> + Send;

    /// Sets a row, if there is the version before, and none before the first; returns whether it did. A failed call may still have taken effect.
    fn set(&self, client: &str, period: &str, row: &Aggregate) -> impl Future<Output = Result<bool>> + Send;
}

/// What is agreed with clients.
pub trait Clients: Send + Sync + 'static {
    /// The terms of a client; `None` if there is no such client.
    ///
    /// # Errors
    /// `Malformed` if what is stored of it are no terms.
    fn terms(&self, client: &str) -> impl Future<Output = Result<Option<Terms>>> + Send;

    /// All clients with their terms, in any order; `None` if what is stored of one are no terms.
    fn all(&self) -> impl Future<Output = Result<Vec<(String, Option<Terms>)>>> + Send;
}

/// An API that makes invoices.
pub trait Invoices: Send + Sync + 'static {
    /// Sends a package, under a key. Ends before `until`: nothing of it is written to the connection after that.
    fn create(&self, id: &PackageId, key: &str, body: &[u8], until: Timestamp) -> impl Future<Output = Answer> + Send;

    /// Looks an invoice up by the package that it bills. Ends before `until`.
    fn find(&self, id: &PackageId, until: Timestamp) -> impl Future<Output = Lookup> + Send;
}
