//! A requests table whose calls are surrounded.

use futures::FutureExt;

use crate::model::error::Result;
use crate::model::request::{Request, RequestId};
use crate::model::timestamp::Timestamp;
use crate::store::requests::{Claimed, Requests};
use crate::store::surround::{Surround, Surrounded};

impl<T: Requests, A: Surround> Requests for Surrounded<T, A> {
    async fn claim(&self, request: &Request) -> Result<Claimed> {
        self.around.call("requests.claim", || self.store.claim(request).boxed()).await
    }

    async fn write(&self, request: &Request) -> Result<bool> {
        self.around.call("requests.write", || self.store.write(request).boxed()).await
    }

    async fn note_conflict(&self, id: &RequestId, at: Timestamp) -> Result<()> {
        self.around.call("requests.note_conflict", || self.store.note_conflict(id, at).boxed()).await
    }

    async fn read(&self, id: &RequestId, now: Timestamp) -> Result<Option<Request>> {
        self.around.call("requests.read", || self.store.read(id, now).boxed()).await
    }
}
