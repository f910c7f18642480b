//! The requests table: what became of records that were sent one at a time, under the ids of their requests.

pub mod memory;
pub mod surrounded;

use std::future::Future;

use crate::model::error::{Error, Result};
use crate::model::request::{Request, RequestId};
use crate::model::timestamp::Timestamp;

/// What a claim came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Claimed {
    /// The id belongs to this record, by this claim or an earlier one, and nothing has become of it yet.
    Open,
    /// The id belongs to this record, and this has become of it.
    Ended(Request),
    /// The id belongs to another record.
    Another,
}

/// The requests table. Failed calls have already been retried; they may still have taken effect.
pub trait Requests: Send + Sync + 'static {
    /// Gives an id to a record, unless it has another. Of several claims with different records, one succeeds. Idempotent.
    fn claim(&self, request: &Request) -> impl Future<Output = Result<Claimed>> + Send;

    /// Writes what is known of a request, unless its id belongs to another record; returns whether the id is this record's.
    /// Of a request that has ended, nothing changes. Idempotent.
    fn write(&self, request: &Request) -> impl Future<Output = Result<bool>> + Send;

    /// Notes that another record was sent under an id. The first moment counts. Idempotent.
    fn note_conflict(&self, id: &RequestId, at: Timestamp) -> impl Future<Output = Result<()>> + Send;

    /// Reads what became of a request, as it was last written; `None` if nothing is known of it, or no more.
    fn read(&self, id: &RequestId, now: Timestamp) -> impl Future<Output = Result<Option<Request>>> + Send;
}

/// The requests of a pipeline that takes no records one at a time.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoRequests;

fn none<T>() -> Result<T> {
    Err(Error::malformed("this pipeline takes no records one at a time"))
}

impl Requests for NoRequests {
    async fn claim(&self, _request: &Request) -> Result<Claimed> {
        none()
    }

    async fn write(&self, _request: &Request) -> Result<bool> {
        none()
    }

    async fn note_conflict(&self, _id: &RequestId, _at: Timestamp) -> Result<()> {
        none()
    }

    async fn read(&self, _id: &RequestId, _now: Timestamp) -> Result<Option<Request>> {
        none()
    }
}
