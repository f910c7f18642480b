//! A tasks table in memory.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use crate::model::error::Result;
use crate::model::ids::{BatchId, ChunkIndex};
use crate::model::record::{Entry, Outcome};
use crate::model::timestamp::Timestamp;
use crate::store::tasks::{Row, Rows, Tasks, Verdict, fitting};

type Chunks = BTreeMap<(BatchId, ChunkIndex), Chunk>;

#[derive(Debug, Default)]
struct Chunk {
    rows: BTreeMap<u64, Row>,
    verdict: Option<Verdict>,
}

/// A tasks table in memory; clones share their rows.
#[derive(Debug, Clone, Default)]
pub struct MemoryTasks(Arc<Mutex<Chunks>>);

impl MemoryTasks {
    /// An empty table.
    pub fn new() -> Self {
        Self::default()
    }

    fn chunk<T>(&self, batch: &BatchId, chunk: ChunkIndex, act: impl FnOnce(&mut Chunk) -> T) -> T {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        act(all.entry((batch.clone(), chunk)).or_default())
    }
}

impl Tasks for MemoryTasks {
    async fn create(&self, batch: &BatchId, chunk: ChunkIndex, entries: &[Entry], _now: Timestamp) -> Result<()> {
        self.chunk(batch, chunk, |chunk| {
            for entry in entries {
                chunk.rows.entry(entry.index).or_insert_with(|| Row {
                    entry: fitting(entry),
                    response: None,
                    result: None,
                });
            }
        });
        Ok(())
    }

    async fn read(&self, batch: &BatchId, chunk: ChunkIndex) -> Result<Rows> {
        Ok(self.chunk(batch, chunk, |chunk| Rows {
            rows: chunk.rows.values().cloned().collect(),
            verdict: chunk.verdict.clone(),
        }))
    }

    async fn settle(&self, batch: &BatchId, chunk: ChunkIndex, verdict: Verdict, _now: Timestamp) -> Result<Verdict> {
        Ok(self.chunk(batch, chunk, |chunk| chunk.verdict.get_or_insert(verdict).clone()))
    }

    async fn resolve(
        &self,
        batch: &BatchId,
        chunk: ChunkIndex,
        outcomes: &[Outcome],
        _now: Timestamp,
    ) -> Result<Vec<usize>> {
        self.chunk(batch, chunk, |chunk| {
            for outcome in outcomes {
                // A repeat finds the reason again, which may be that the record could not even be decoded.
                let fault = (!outcome.response.success).then(|| outcome.response.message.clone());
                let (record, raw) = (outcome.request.clone(), outcome.raw.clone());
                let (line, object) = (outcome.line, outcome.object);
                let entry = Entry { fault, raw, line, object, ..Entry::decoded(outcome.index, record) };
                chunk.rows.insert(
                    outcome.index,
                    Row { entry, response: Some(outcome.response.clone()), result: outcome.result.clone() },
                );
            }
        });
        Ok(Vec::new())
    }
}
