//! A tasks table in memory.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use super::{Row, Tasks, fitting};
use crate::model::error::Result;
use crate::model::ids::{BatchId, ChunkIndex};
use crate::model::record::{Entry, Outcome};
use crate::model::timestamp::Timestamp;

type Rows = BTreeMap<(BatchId, ChunkIndex), BTreeMap<u64, Row>>;

/// A tasks table in memory; clones share their rows.
#[derive(Debug, Clone, Default)]
pub struct MemoryTasks(Arc<Mutex<Rows>>);

impl MemoryTasks {
    /// An empty table.
    pub fn new() -> Self {
        Self::default()
    }

    fn rows<T>(&self, batch: &BatchId, chunk: ChunkIndex, act: impl FnOnce(&mut BTreeMap<u64, Row>) -> T) -> T {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        act(all.entry((batch.clone(), chunk)).or_default())
    }
}

impl Tasks for MemoryTasks {
    async fn create(&self, batch: &BatchId, chunk: ChunkIndex, entries: &[Entry], _now: Timestamp) -> Result<()> {
        self.rows(batch, chunk, |rows| {
            for entry in entries {
                rows.entry(entry.index).or_insert_with(|| Row { entry: fitting(entry), response: None });
            }
        });
        Ok(())
    }

    async fn read(&self, batch: &BatchId, chunk: ChunkIndex) -> Result<Vec<Row>> {
        Ok(self.rows(batch, chunk, |rows| rows.values().cloned().collect()))
    }

    async fn resolve(&self, batch: &BatchId, chunk: ChunkIndex, outcomes: &[Outcome], _now: Timestamp) -> Result<()> {
        self.rows(batch, chunk, |rows| {
            for outcome in outcomes {
                // A repeat finds the reason again, which may be that the record could not even be decoded.
                let fault = (!outcome.response.success).then(|| outcome.response.message.clone());
                let entry = Entry { index: outcome.index, record: outcome.request.clone(), fault };
                rows.insert(outcome.index, Row { entry, response: Some(outcome.response.clone()) });
            }
        });
        Ok(())
    }
}
