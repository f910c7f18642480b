//! A tasks table that fails on purpose.

use crate::model::error::Result;
use crate::model::ids::{BatchId, ChunkIndex};
use crate::model::record::{Entry, Outcome};
use crate::model::timestamp::Timestamp;
use crate::store::faults::{Faults, Faulty, fault};
use crate::store::tasks::{Rows, Tasks, Verdict};

impl<T: Tasks, F: Faults> Tasks for Faulty<T, F> {
    async fn create(&self, batch: &BatchId, chunk: ChunkIndex, entries: &[Entry], now: Timestamp) -> Result<()> {
        self.call("tasks.create", self.store.create(batch, chunk, entries, now)).await
    }

    async fn read(&self, batch: &BatchId, chunk: ChunkIndex) -> Result<Rows> {
        self.call("tasks.read", self.store.read(batch, chunk)).await
    }

    async fn settle(&self, batch: &BatchId, chunk: ChunkIndex, verdict: Verdict, now: Timestamp) -> Result<Verdict> {
        self.call("tasks.settle", self.store.settle(batch, chunk, verdict, now)).await
    }

    async fn resolve(&self, batch: &BatchId, chunk: ChunkIndex, outcomes: &[Outcome], now: Timestamp) -> Result<()> {
        const CALL: &str = "tasks.resolve";
        if let Some(resolved) = self.faults.midway(CALL, outcomes.len()) {
            self.call(CALL, self.store.resolve(batch, chunk, &outcomes[..resolved], now)).await?;
            return Err(fault(CALL));
        }
        self.call(CALL, self.store.resolve(batch, chunk, outcomes, now)).await
    }
}
