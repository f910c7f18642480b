//! Who waits at the other end of a connection: tickets by which clients connect, whose a connection is, and which reports it was asked
//! about.

pub mod memory;
mod surrounded;

use std::future::Future;

use crate::model::error::Result;
use crate::model::reporting::id::ReportId;
use crate::model::timestamp::Timestamp;

/// How long a ticket may be used, in milliseconds.
pub const TICKET: i64 = 60_000;
/// How long what is noted of a connection counts, in milliseconds: none lives longer than two hours
/// (<https://docs.aws.amazon.com/apigateway/latest/developerguide/apigateway-execution-service-websocket-limits-table.html>).
pub const CONNECTION: i64 = 2 * 3_600_000 + 300_000;

/// Whose a connection is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    /// Whose reports may be asked about.
    pub owner: String,
    /// Whether who asks operates the system, and may see what it is made of.
    pub operated: bool,
}

/// A connection that waits for a report.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subscriber {
    /// The connection's id.
    pub connection: String,
    /// As of [`Caller::operated`].
    pub operated: bool,
    /// The generation whose end it was told; `None` if it waits for one.
    pub told: Option<u32>,
}

/// Tickets and connections.
pub trait Connections: Send + Sync + 'static {
    /// Notes whose a ticket is. It can be used once, within [`TICKET`].
    ///
    /// # Errors
    /// Those of the call.
    fn issue(&self, ticket: &str, caller: &Caller, now: Timestamp) -> impl Future<Output = Result<()>> + Send;

    /// Uses a ticket up, and returns whose it is; `None` if there is no such ticket, it was used, or is too old.
    ///
    /// # Errors
    /// Those of the call.
    fn redeem(&self, ticket: &str, now: Timestamp) -> impl Future<Output = Result<Option<Caller>>> + Send;

    /// Notes whose a connection is, for [`CONNECTION`].
    ///
    /// # Errors
    /// Those of the call.
    fn connect(&self, connection: &str, caller: &Caller, now: Timestamp) -> impl Future<Output = Result<()>> + Send;

    /// Whose a connection is; `None` if that is not known.
    ///
    /// # Errors
    /// Those of the call.
    fn caller(&self, connection: &str, now: Timestamp) -> impl Future<Output = Result<Option<Caller>>> + Send;

    /// Forgets a connection. Its subscriptions stay until they are used or too old.
    ///
    /// # Errors
    /// Those of the call.
    fn disconnect(&self, connection: &str) -> impl Future<Output = Result<()>> + Send;
}

/// Which connections wait for a report. What is written is read by every read that begins later.
pub trait Subscriptions: Send + Sync + 'static {
    /// Notes that a connection waits for a report, for [`CONNECTION`]. What it was told before does not count any more.
    ///
    /// # Errors
    /// Those of the call.
    fn subscribe(
        &self,
        report: &ReportId,
        subscriber: &Subscriber,
        now: Timestamp,
    ) -> impl Future<Output = Result<()>> + Send;

    /// Notes the generation whose end a connection was told, if it still waits for the report.
    ///
    /// # Errors
    /// Those of the call.
    fn note_told(
        &self,
        report: &ReportId,
        connection: &str,
        generation: u32,
    ) -> impl Future<Output = Result<()>> + Send;

    /// Notes that a connection waits for a report no more.
    ///
    /// # Errors
    /// Those of the call.
    fn unsubscribe(&self, report: &ReportId, connection: &str) -> impl Future<Output = Result<()>> + Send;

    /// All that subscribed to a report, in the order of their ids.
    ///
    /// # Errors
    /// Those of the call.
    fn subscribers(&self, report: &ReportId, now: Timestamp) -> impl Future<Output = Result<Vec<Subscriber>>> + Send;
}
