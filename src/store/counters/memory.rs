//! A counters table in memory.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::model::error::Result;
use crate::model::fold::{Group, Totals};
use crate::model::ids::{BatchId, ChunkIndex};
use crate::store::counters::Counters;

/// What each chunk adds to the counters of a group.
type Rows = BTreeMap<Group, BTreeMap<(BatchId, ChunkIndex), Totals>>;

/// A counters table in memory; clones share their rows.
#[derive(Debug, Clone, Default)]
pub struct MemoryCounters(Arc<Mutex<Rows>>);

impl MemoryCounters {
    /// An empty table.
    pub fn new() -> Self {
        Self::default()
    }

    fn rows(&self) -> MutexGuard<'_, Rows> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// All rows.
    pub fn all(&self) -> Vec<(Group, BatchId, ChunkIndex, Totals)> {
        let rows = self.rows();
        let flat = rows.iter().flat_map(|(group, chunks)| {
            let row = |((batch, chunk), totals): (&(BatchId, ChunkIndex), &Totals)| {
                (group.clone(), batch.clone(), *chunk, totals.clone())
            };
            chunks.iter().map(row)
        });
        flat.collect()
    }

    /// The counters of all groups.
    pub fn totals(&self) -> BTreeMap<Group, Totals> {
        self.rows().iter().map(|(group, chunks)| (group.clone(), sum(chunks))).collect()
    }
}

fn sum(chunks: &BTreeMap<(BatchId, ChunkIndex), Totals>) -> Totals {
    chunks.values().fold(Totals::default(), |mut sum, totals| {
        sum.merge(totals.clone());
        sum
    })
}

impl Counters for MemoryCounters {
    async fn set(&self, batch: &BatchId, chunk: ChunkIndex, rows: &[(Group, Totals)]) -> Result<Vec<usize>> {
        let mut all = self.rows();
        for (group, totals) in rows {
            all.entry(group.clone()).or_default().insert((batch.clone(), chunk), totals.clone());
        }
        Ok(Vec::new())
    }

    async fn read(&self, group: &Group) -> Result<Totals> {
        Ok(self.rows().get(group).map(sum).unwrap_or_default())
    }

    async fn forget(&self, batch: &BatchId, chunk: ChunkIndex, groups: &[Group]) -> Result<Vec<usize>> {
        let mut all = self.rows();
        for group in groups {
            if let Some(chunks) = all.get_mut(group) {
                chunks.remove(&(batch.clone(), chunk));
                if chunks.is_empty() {
                    all.remove(group);
                }
            }
        }
        Ok(Vec::new())
    }
}
