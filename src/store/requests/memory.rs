//! The requests table in memory.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::model::error::Result;
use crate::model::request::{Request, RequestId};
use crate::model::timestamp::Timestamp;
use crate::store::requests::{Claimed, Requests};

/// Requests in memory; clones share them.
#[derive(Debug, Clone, Default)]
pub struct MemoryRequests(Arc<Mutex<BTreeMap<RequestId, Request>>>);

impl MemoryRequests {
    /// A table without requests.
    pub fn new() -> Self {
        Self::default()
    }

    /// All requests by their ids.
    pub fn all(&self) -> BTreeMap<RequestId, Request> {
        self.rows().clone()
    }

    /// Replaces what is known of a request, whatever it was.
    pub fn overwrite(&self, request: &Request) {
        self.rows().insert(request.id.clone(), request.clone());
    }

    fn rows(&self) -> MutexGuard<'_, BTreeMap<RequestId, Request>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Requests for MemoryRequests {
    async fn claim(&self, request: &Request) -> Result<Claimed> {
        Ok(match self.rows().entry(request.id.clone()).or_insert_with(|| request.clone()) {
            held if held.digest != request.digest => Claimed::Another,
            held if held.state.is_final() => Claimed::Ended(held.clone()),
            _ => Claimed::Open,
        })
    }

    async fn write(&self, request: &Request) -> Result<bool> {
        let mut rows = self.rows();
        let held = rows.entry(request.id.clone()).or_insert_with(|| request.clone());
        if held.digest != request.digest {
            return Ok(false);
        }
        if !held.state.is_final() {
            *held = Request { conflict_at: held.conflict_at, ..request.clone() };
        }
        Ok(true)
    }

    async fn note_conflict(&self, id: &RequestId, at: Timestamp) -> Result<()> {
        if let Some(held) = self.rows().get_mut(id) {
            held.conflict_at.get_or_insert(at);
        }
        Ok(())
    }

    async fn read(&self, id: &RequestId, now: Timestamp) -> Result<Option<Request>> {
        Ok(self.rows().get(id).filter(|held| held.expires_at() > now).cloned())
    }
}
