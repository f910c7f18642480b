//! What billing keeps: events, packages and how they stand; and the API that makes invoices of them.

pub mod memory;
pub mod surrounded;

use std::future::Future;

use jiff::civil::Date;

use crate::model::billing::admission::{Admitted, Terms};
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
    /// It is too old, or too far ahead, or of nobody, as the words say.
    Rejected(String),
}

/// Events by their identities. Failed calls have already been retried; they may still have taken effect.
pub trait Events: Send + Sync + 'static {
    /// Keeps an event, unless there is one under its identity. Of several with different contents, one is kept. Idempotent.
    fn keep(&self, event: &Admitted) -> impl Future<Output = Result<Insertion>> + Send;

    /// What would become of an event that was to be kept.
    fn find(&self, event: &Admitted) -> impl Future<Output = Result<Insertion>> + Send;

    /// Lists an event that is not billed, once as a conflict and once as rejected, whatever the words; the latest stay. One that is kept
    /// afterwards counts as kept. Idempotent.
    fn list(&self, event: &Admitted, why: &Unbilled) -> impl Future<Output = Result<()>> + Send;

    /// The events of a client on a day that are billed. Those that were kept shortly before may be missing, also some that were found before.
    fn on(&self, client: &str, day: Date) -> impl Future<Output = Result<Vec<Admitted>>> + Send;

    /// Those that are listed, likewise.
    fn listed_on(&self, client: &str, day: Date) -> impl Future<Output = Result<Vec<(Admitted, Unbilled)>>> + Send;
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

/// What is agreed with clients.
pub trait Clients: Send + Sync + 'static {
    /// The terms of a client; `None` if there is no such client.
    fn terms(&self, client: &str) -> impl Future<Output = Result<Option<Terms>>> + Send;
}

/// An API that makes invoices.
pub trait Invoices: Send + Sync + 'static {
    /// Sends a package, under a key. Ends before `until`: nothing of it is written to the connection after that.
    fn create(&self, id: &PackageId, key: &str, body: &[u8], until: Timestamp) -> impl Future<Output = Answer> + Send;

    /// Looks an invoice up by the package that it bills. Ends before `until`.
    fn find(&self, id: &PackageId, until: Timestamp) -> impl Future<Output = Lookup> + Send;
}
