//! A tasks table whose calls are surrounded.

use std::borrow::Cow;

use futures::FutureExt;

use crate::model::error::Result;
use crate::model::ids::{BatchId, ChunkIndex};
use crate::model::record::{Entry, Outcome};
use crate::model::timestamp::Timestamp;
use crate::store::faults::fault;
use crate::store::surround::{Surround, Surrounded};
use crate::store::tasks::{Rows, Tasks, Verdict};

impl<T: Tasks, A: Surround> Tasks for Surrounded<T, A> {
    async fn create(&self, batch: &BatchId, chunk: ChunkIndex, entries: &[Entry], now: Timestamp) -> Result<()> {
        self.around.call("tasks.create", || self.store.create(batch, chunk, entries, now).boxed()).await
    }

    async fn read(&self, batch: &BatchId, chunk: ChunkIndex) -> Result<Rows> {
        self.around.call("tasks.read", || self.store.read(batch, chunk).boxed()).await
    }

    async fn settle(&self, batch: &BatchId, chunk: ChunkIndex, verdict: Verdict, now: Timestamp) -> Result<Verdict> {
        self.around.call("tasks.settle", || self.store.settle(batch, chunk, verdict.clone(), now).boxed()).await
    }

    async fn resolve(
        &self,
        batch: &BatchId,
        chunk: ChunkIndex,
        outcomes: &[Outcome],
        now: Timestamp,
    ) -> Result<Vec<usize>> {
        const CALL: &str = "tasks.resolve";
        if let Some(resolved) = self.around.midway(CALL, outcomes.len()) {
            self.around.call(CALL, || self.store.resolve(batch, chunk, &outcomes[..resolved], now).boxed()).await?;
            return Err(fault(CALL));
        }
        let (mut left, mut patience) = (Cow::from(outcomes), self.around.patience());
        let mut places: Vec<usize> = (0..outcomes.len()).collect();
        loop {
            let undone = self.around.call(CALL, || self.store.resolve(batch, chunk, &left, now).boxed()).await?;
            let undone: Vec<usize> = undone.iter().map(|place| places[*place]).collect();
            if undone.is_empty() {
                return Ok(undone);
            }
            patience.renewed(undone.len() < places.len());
            if !self.around.again(&mut patience).await? {
                return Ok(undone);
            }
            left = undone.iter().map(|place| outcomes[*place].clone()).collect();
            places = undone;
        }
    }
}
