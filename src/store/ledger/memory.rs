//! A ledger in memory.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};

use crate::model::calls::{Calls, StageCalls};
use crate::model::error::{Error, Result};
use crate::model::failures::{Example, Explained, MOST_EXAMPLES};
use crate::model::ids::{BatchId, ChunkIndex, NODE_SIZE};
use crate::model::progress::{
    Batch, BatchState, Bookmark, Leaf, Mark, Node, Observation, Opening, SEAL_TOKEN, Sealing, Stop, Tally,
};
use crate::model::range::Claim;
use crate::model::reason::{MOST_REASONS, Reason, ReasonId};
use crate::model::schema::Rules;
use crate::model::timestamp::Timestamp;
use crate::store::ledger::{
    Claims, Control, FIRST_LEAVES, LastFailure, Lease, Ledger, Listed, Listing, Notes, OpenBatch, OpenResult, Overview,
    Part, RuleBook, Snapshot, Trouble,
};

/// Batches on a page of the list.
const PAGE: usize = 100;

/// A ledger in memory; clones share their batches.
#[derive(Debug, Clone, Default)]
pub struct MemoryLedger(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    batches: BTreeMap<BatchId, (Batch, Option<String>)>,
    leaves: BTreeMap<(BatchId, u32), Leaf>,
    nodes: BTreeMap<(BatchId, u32), Node>,
    claims: BTreeMap<(BatchId, u32), Vec<Claim>>,
    rules: BTreeMap<String, Rules>,
    calls: BTreeMap<BatchId, Calls>,
    failures: BTreeMap<(BatchId, Part), LastFailure>,
    reasons: BTreeMap<BatchId, BTreeMap<ReasonId, Explained>>,
    troubles: BTreeMap<BatchId, Trouble>,
    /// Tries begun and excused, by message.
    tries: BTreeMap<String, (u32, u32)>,
    paused: Option<Timestamp>,
}

impl State {
    fn batch(&mut self, batch: &BatchId) -> Result<&mut (Batch, Option<String>)> {
        self.batches.get_mut(batch).ok_or_else(|| Error::internal(format!("the ledger does not know batch {batch}")))
    }

    fn leaf(&mut self, batch: &BatchId, number: u32) -> &mut Leaf {
        self.leaves.entry((batch.clone(), number)).or_default()
    }

    fn node(&mut self, batch: &BatchId, number: u32) -> &mut Node {
        self.nodes.entry((batch.clone(), number)).or_default()
    }
}

impl MemoryLedger {
    /// An empty ledger.
    pub fn new() -> Self {
        Self::default()
    }

    fn state<T>(&self, act: impl FnOnce(&mut State) -> T) -> T {
        act(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Ledger for MemoryLedger {
    async fn open(&self, opening: &Opening) -> Result<OpenResult> {
        self.state(|state| match state.batches.get(&opening.id) {
            Some((batch, _)) => Ok(OpenResult::Existing(Box::new(batch.clone()))),
            None => {
                let batch = Batch::opened(opening.clone());
                state.batches.insert(opening.id.clone(), (batch, None));
                Ok(OpenResult::Created)
            }
        })
    }

    async fn read(&self, batch: &BatchId) -> Result<Option<Batch>> {
        Ok(self.state(|state| state.batches.get(batch).map(|(batch, _)| batch.clone())))
    }

    async fn look(&self, batch: &BatchId, leaves: &BTreeSet<u32>) -> Result<Snapshot> {
        Ok(self.state(|state| {
            let leaves = leaves.iter().map(|number| (*number, state.leaf(batch, *number).clone())).collect();
            (state.batches.get(batch).map(|(batch, _)| batch.clone()), leaves)
        }))
    }

    async fn read_leaves(&self, batch: &BatchId, leaves: Range<u32>) -> Result<Vec<Leaf>> {
        Ok(self.state(|state| leaves.map(|number| state.leaf(batch, number).clone()).collect()))
    }

    async fn mark_leaf(&self, batch: &BatchId, chunk: ChunkIndex, mark: Mark, now: Timestamp) -> Result<Leaf> {
        Ok(self.state(|state| {
            let leaf = state.leaf(batch, chunk.leaf());
            if leaf.done.insert(chunk.get()) {
                leaf.tally = leaf.tally + mark.tally;
                if mark.excepted {
                    leaf.excepted.insert(chunk.get());
                }
                for (reason, count) in mark.reasons {
                    *leaf.reasons.entry(reason).or_default() += count;
                }
                leaf.marked = Some((leaf.marked.map_or(now, |(first, _)| first), now));
            }
            leaf.clone()
        }))
    }

    async fn size_leaf(&self, batch: &BatchId, leaf: u32, size: u32, _now: Timestamp) -> Result<Leaf> {
        Ok(self.state(|state| {
            let leaf = state.leaf(batch, leaf);
            leaf.size = Some(size);
            leaf.clone()
        }))
    }

    async fn read_nodes(&self, batch: &BatchId, nodes: Range<u32>) -> Result<Vec<Node>> {
        Ok(self.state(|state| nodes.map(|number| state.node(batch, number).clone()).collect()))
    }

    async fn mark_node(&self, batch: &BatchId, leaf: u32, _now: Timestamp) -> Result<Node> {
        Ok(self.state(|state| {
            let node = state.node(batch, leaf / NODE_SIZE);
            node.full.insert(leaf);
            node.clone()
        }))
    }

    async fn size_node(&self, batch: &BatchId, node: u32, size: u32, _now: Timestamp) -> Result<Node> {
        Ok(self.state(|state| {
            let node = state.node(batch, node);
            node.size = Some(size);
            node.clone()
        }))
    }

    async fn mark_root(&self, batch: &BatchId, mark: u32) -> Result<Batch> {
        self.state(|state| {
            let (batch, _) = state.batch(batch)?;
            batch.root.insert(i64::from(mark));
            Ok(batch.clone())
        })
    }

    async fn note_bookmark(&self, batch: &BatchId, bookmark: &Bookmark) -> Result<()> {
        self.state(|state| {
            state.batch(batch)?.0.bookmark = Some(*bookmark);
            Ok(())
        })
    }

    async fn seal(&self, batch: &BatchId, sealing: &Sealing) -> Result<Batch> {
        self.state(|state| {
            let (batch, _) = state.batch(batch)?;
            if batch.sealing.is_none() {
                batch.sealing = Some(sealing.clone());
                batch.state = BatchState::Processing;
                batch.root.insert(SEAL_TOKEN);
            }
            Ok(batch.clone())
        })
    }

    async fn take(&self, batch: &BatchId, owner: &str, now: Timestamp, until: Timestamp) -> Result<Lease> {
        self.state(|state| {
            let (batch, held_by) = state.batch(batch)?;
            let free = match batch.state {
                BatchState::Processing => true,
                BatchState::Gathering => {
                    batch.lease_until.is_some_and(|lease| lease < now) || held_by.as_deref() == Some(owner)
                }
                BatchState::Scattering => return Err(Error::internal("a batch was taken before it was sealed")),
                _ => return Ok(Lease::Closed(Box::new(batch.clone()))),
            };
            if !free {
                return Ok(Lease::Held(Box::new(batch.clone())));
            }
            batch.state = BatchState::Gathering;
            batch.gather_started_at.get_or_insert(now);
            batch.gather_attempts += 1;
            batch.lease_until = Some(until);
            *held_by = Some(owner.to_owned());
            Ok(Lease::Acquired(Box::new(batch.clone())))
        })
    }

    async fn release_lease(&self, batch: &BatchId, owner: &str, now: Timestamp) -> Result<()> {
        self.state(|state| {
            let (batch, held_by) = state.batch(batch)?;
            if batch.state == BatchState::Gathering && held_by.as_deref() == Some(owner) {
                batch.lease_until = Some(Timestamp(now.0 - 1));
                *held_by = None;
            }
            Ok(())
        })
    }

    async fn close(
        &self,
        batch: &BatchId,
        owner: &str,
        end: BatchState,
        tally: Tally,
        finished_at: Timestamp,
    ) -> Result<()> {
        self.state(|state| {
            let (batch, held_by) = state.batch(batch)?;
            if batch.state.is_final() {
                return Ok(());
            }
            if batch.state != BatchState::Gathering || held_by.as_deref() != Some(owner) {
                return Err(Error::conflict("the batch was taken by another function meanwhile"));
            }
            batch.state = end;
            batch.tally = Some(tally);
            batch.finished_at = Some(finished_at);
            batch.lease_until = None;
            *held_by = None;
            Ok(())
        })
    }

    async fn stop(&self, batch: &BatchId, stop: &Stop) -> Result<Batch> {
        self.state(|state| {
            let (batch, _) = state.batch(batch)?;
            if matches!(batch.state, BatchState::Scattering | BatchState::Processing) {
                batch.stop.get_or_insert_with(|| stop.clone());
            }
            Ok(batch.clone())
        })
    }

    async fn observe(&self, batch: &BatchId, seen: &Observation) -> Result<()> {
        self.state(|state| {
            let (batch, _) = state.batch(batch)?;
            if !batch.state.is_final() {
                batch.seen = Some(seen.clone());
            }
            Ok(())
        })
    }

    async fn open_batches(&self, after: Option<&OpenBatch>) -> Result<Vec<OpenBatch>> {
        Ok(self.state(|state| {
            let open = state.batches.values().filter(|(batch, _)| !batch.state.is_final());
            let mut open: Vec<OpenBatch> = open
                .map(|(batch, _)| OpenBatch { id: batch.opening.id.clone(), started_at: batch.opening.started_at })
                .collect();
            open.sort_by(|a, b| (a.started_at, &a.id).cmp(&(b.started_at, &b.id)));
            open.retain(|batch| after.is_none_or(|a| (batch.started_at, &batch.id) > (a.started_at, &a.id)));
            open
        }))
    }
}

impl Listing for MemoryLedger {
    async fn recent(&self, after: Option<&Listed>) -> Result<Vec<Batch>> {
        let place = |batch: &Batch| (batch.opening.started_at, batch.opening.id.clone());
        Ok(self.state(|state| {
            let mut batches: Vec<Batch> = state.batches.values().map(|(batch, _)| batch.clone()).collect();
            batches.retain(|batch| after.is_none_or(|after| place(batch) < (after.started_at, after.id.clone())));
            batches.sort_by_key(|batch| std::cmp::Reverse(place(batch)));
            batches.truncate(PAGE);
            batches
        }))
    }
}

impl Claims for MemoryLedger {
    async fn put_claims(&self, batch: &BatchId, group: u32, claims: &[Claim], _now: Timestamp) -> Result<()> {
        self.state(|state| state.claims.insert((batch.clone(), group), claims.to_vec()));
        Ok(())
    }

    async fn read_claims(&self, batch: &BatchId, groups: Range<u32>) -> Result<Vec<Vec<Claim>>> {
        Ok(self.state(|state| {
            groups.map(|group| state.claims.get(&(batch.clone(), group)).cloned().unwrap_or_default()).collect()
        }))
    }
}

impl RuleBook for MemoryLedger {
    async fn put_rules(&self, rules: &Rules) -> Result<()> {
        self.state(|state| state.rules.insert(rules.digest(), rules.clone()));
        Ok(())
    }

    async fn read_rules(&self, digest: &str) -> Result<Option<Rules>> {
        Ok(self.state(|state| state.rules.get(digest).cloned()))
    }
}

impl Control for MemoryLedger {
    async fn note_pause(&self, since: Option<Timestamp>) -> Result<()> {
        self.state(|state| state.paused = since);
        Ok(())
    }

    async fn paused(&self) -> Result<Option<Timestamp>> {
        Ok(self.state(|state| state.paused))
    }
}

impl Notes for MemoryLedger {
    async fn note_failure(&self, batch: &BatchId, part: Part, failure: &LastFailure, _now: Timestamp) -> Result<()> {
        self.state(|state| state.failures.insert((batch.clone(), part), failure.clone()));
        Ok(())
    }

    async fn last_failure(&self, batch: &BatchId, part: Part) -> Result<Option<LastFailure>> {
        Ok(self.state(|state| state.failures.get(&(batch.clone(), part)).cloned()))
    }

    async fn add_calls(&self, batch: &BatchId, stage: &str, calls: &StageCalls, _now: Timestamp) -> Result<()> {
        self.state(|state| {
            let batch = state.calls.entry(batch.clone()).or_default();
            batch.0.entry(stage.to_owned()).or_default().add(calls);
        });
        Ok(())
    }

    async fn read_calls(&self, batch: &BatchId) -> Result<Calls> {
        Ok(self.state(|state| state.calls.get(batch).cloned().unwrap_or_default()))
    }

    async fn note_reason(
        &self,
        batch: &BatchId,
        reason: &Reason,
        examples: &[Example],
        _now: Timestamp,
    ) -> Result<bool> {
        Ok(self.state(|state| {
            let reasons = state.reasons.entry(batch.clone()).or_default();
            if reasons.len() >= MOST_REASONS && !reasons.contains_key(&reason.id()) {
                return false;
            }
            let new = || Explained { reason: reason.clone(), examples: Vec::new() };
            let kept = &mut reasons.entry(reason.id()).or_insert_with(new).examples;
            let left = MOST_EXAMPLES.saturating_sub(kept.len());
            kept.extend(examples.iter().take(left).cloned());
            true
        }))
    }

    async fn note_trouble(&self, batch: &BatchId, trouble: &Trouble) -> Result<()> {
        self.state(|state| state.troubles.insert(batch.clone(), trouble.clone()));
        Ok(())
    }

    async fn overview(&self, batch: &BatchId) -> Result<Overview> {
        Ok(self.state(|state| Overview {
            leaves: (0..FIRST_LEAVES).map(|number| state.leaf(batch, number).clone()).collect(),
            batch: state.batches.get(batch).map(|(batch, _)| batch.clone()),
            redriven: state.batches.contains_key(&batch.in_generation(batch.generation() + 1)),
            reasons: state.reasons.get(batch).cloned().unwrap_or_default(),
            trouble: state.troubles.get(batch).cloned(),
            calls: state.calls.get(batch).cloned().unwrap_or_default(),
            paused: state.paused,
        }))
    }

    async fn begin_try(&self, message: &str, _now: Timestamp) -> Result<u32> {
        Ok(self.state(|state| {
            let (begun, excused) = state.tries.entry(message.to_owned()).or_default();
            *begun += 1;
            (1 + *begun).saturating_sub(*excused)
        }))
    }

    async fn excuse_try(&self, message: &str, _now: Timestamp) -> Result<()> {
        self.state(|state| state.tries.entry(message.to_owned()).or_default().1 += 1);
        Ok(())
    }
}
