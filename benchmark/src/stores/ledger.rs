//! A ledger in memory with a journal, so that the next process begins where this one ended.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::ops::Range;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use fanfold::model::calls::{Calls, StageCalls};
use fanfold::model::condition::Condition;
use fanfold::model::error::{Error, Result};
use fanfold::model::failures::Example;
use fanfold::model::fault::Fault;
use fanfold::model::ids::{BatchId, ChunkIndex};
use fanfold::model::input::InputRef;
use fanfold::model::progress::{
    Batch, BatchState, Bookmark, Leaf, Mark, Node, Observation, Opening, Sealing, Stop, Tally,
};
use fanfold::model::range::Claim;
use fanfold::model::reason::{Reason, ReasonId};
use fanfold::model::record::Raw;
use fanfold::model::schema::Rules;
use fanfold::model::timestamp::Timestamp;
use fanfold::store::ledger::memory::MemoryLedger;
use fanfold::store::ledger::{
    Claims, Control, LastFailure, Lease, Ledger, Notes, OpenBatch, OpenResult, Overview, Part, RuleBook, Snapshot,
    Trouble,
};
use serde::{Deserialize, Serialize};

use super::{failed, if_there, pause};

/// A ledger with a journal; clones share both. The journal holds what scatter and process write, and who
/// gathers a batch; its end is not in it.
#[derive(Debug, Clone)]
pub struct JournalLedger {
    memory: MemoryLedger,
    journal: Arc<Mutex<File>>,
}

/// A write.
#[derive(Serialize, Deserialize)]
enum Entry {
    Open(#[serde(with = "OpeningForm")] Opening),
    Mark(BatchId, ChunkIndex, Mark, Timestamp),
    Claims(BatchId, u32, Vec<Claim>),
    Rules(Rules),
    Size(BatchId, u32, u32),
    Node(BatchId, u32),
    NodeSize(BatchId, u32, u32),
    Root(BatchId, u32),
    Bookmark(BatchId, Bookmark),
    Take(BatchId, String, Timestamp, Timestamp),
    Release(BatchId, String, Timestamp),
    Seal(BatchId, #[serde(with = "SealingForm")] Sealing),
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "Opening")]
struct OpeningForm {
    id: BatchId,
    variant: String,
    input: InputRef,
    condition: Condition,
    ranged: bool,
    rules: Option<String>,
    only: Option<ReasonId>,
    chunk_size: u32,
    started_at: Timestamp,
    sequence: Timestamp,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "Sealing")]
struct SealingForm {
    records: Option<u64>,
    chunks: u32,
    columns: Option<Vec<String>>,
    head: Option<Raw>,
    error: Option<Fault>,
    scattered_at: Timestamp,
}

impl JournalLedger {
    /// Opens the ledger recorded in a journal; a missing journal is begun.
    ///
    /// # Errors
    /// `Internal` if it cannot be read.
    pub async fn open(path: &Path) -> Result<Self> {
        let memory = MemoryLedger::new();
        if let Some(file) = if_there(File::open(path), path)? {
            for line in BufReader::new(file).lines() {
                let line = line.map_err(failed(path))?;
                let entry = serde_json::from_str(&line).map_err(|e| failed(path)(e.into()))?;
                replay(&memory, entry).await?;
            }
        }
        let journal = File::options().create(true).append(true).open(path).map_err(failed(path))?;
        Ok(Self { memory, journal: Arc::new(Mutex::new(journal)) })
    }

    fn note(&self, entry: &Entry) -> Result<()> {
        let broken = || Error::internal("the journal cannot be written");
        let mut line = serde_json::to_vec(entry).map_err(|e| broken().because(e))?;
        line.push(b'\n');
        let mut journal = self.journal.lock().unwrap_or_else(PoisonError::into_inner);
        journal.write_all(&line).map_err(|e| broken().because(e))
    }
}

async fn replay(memory: &MemoryLedger, entry: Entry) -> Result<()> {
    let now = Timestamp(0);
    match entry {
        Entry::Open(opening) => memory.open(&opening).await.map(|_| ()),
        Entry::Mark(batch, chunk, mark, at) => memory.mark_leaf(&batch, chunk, mark, at).await.map(|_| ()),
        Entry::Rules(rules) => memory.put_rules(&rules).await,
        Entry::Claims(batch, group, claims) => memory.put_claims(&batch, group, &claims, now).await,
        Entry::Size(batch, leaf, size) => memory.size_leaf(&batch, leaf, size, now).await.map(|_| ()),
        Entry::Node(batch, leaf) => memory.mark_node(&batch, leaf, now).await.map(|_| ()),
        Entry::NodeSize(batch, node, size) => memory.size_node(&batch, node, size, now).await.map(|_| ()),
        Entry::Root(batch, mark) => memory.mark_root(&batch, mark).await.map(|_| ()),
        Entry::Take(batch, owner, now, until) => memory.take(&batch, &owner, now, until).await.map(drop),
        Entry::Release(batch, owner, now) => memory.release_lease(&batch, &owner, now).await,
        Entry::Bookmark(batch, bookmark) => memory.note_bookmark(&batch, &bookmark).await,
        Entry::Seal(batch, sealing) => memory.seal(&batch, &sealing).await.map(|_| ()),
    }
}

impl Ledger for JournalLedger {
    async fn open(&self, opening: &Opening) -> Result<OpenResult> {
        pause().await;
        let opened = self.memory.open(opening).await?;
        if opened == OpenResult::Created {
            self.note(&Entry::Open(opening.clone()))?;
        }
        Ok(opened)
    }

    async fn read(&self, batch: &BatchId) -> Result<Option<Batch>> {
        pause().await;
        self.memory.read(batch).await
    }

    async fn look(&self, batch: &BatchId, leaves: &BTreeSet<u32>) -> Result<Snapshot> {
        pause().await;
        self.memory.look(batch, leaves).await
    }

    async fn read_leaves(&self, batch: &BatchId, leaves: Range<u32>) -> Result<Vec<Leaf>> {
        pause().await;
        self.memory.read_leaves(batch, leaves).await
    }

    async fn mark_leaf(&self, batch: &BatchId, chunk: ChunkIndex, mark: Mark, now: Timestamp) -> Result<Leaf> {
        pause().await;
        self.note(&Entry::Mark(batch.clone(), chunk, mark.clone(), now))?;
        self.memory.mark_leaf(batch, chunk, mark, now).await
    }

    async fn size_leaf(&self, batch: &BatchId, leaf: u32, size: u32, now: Timestamp) -> Result<Leaf> {
        pause().await;
        self.note(&Entry::Size(batch.clone(), leaf, size))?;
        self.memory.size_leaf(batch, leaf, size, now).await
    }

    async fn read_nodes(&self, batch: &BatchId, nodes: Range<u32>) -> Result<Vec<Node>> {
        pause().await;
        self.memory.read_nodes(batch, nodes).await
    }

    async fn mark_node(&self, batch: &BatchId, leaf: u32, now: Timestamp) -> Result<Node> {
        pause().await;
        self.note(&Entry::Node(batch.clone(), leaf))?;
        self.memory.mark_node(batch, leaf, now).await
    }

    async fn size_node(&self, batch: &BatchId, node: u32, size: u32, now: Timestamp) -> Result<Node> {
        pause().await;
        self.note(&Entry::NodeSize(batch.clone(), node, size))?;
        self.memory.size_node(batch, node, size, now).await
    }

    async fn mark_root(&self, batch: &BatchId, mark: u32) -> Result<Batch> {
        pause().await;
        self.note(&Entry::Root(batch.clone(), mark))?;
        self.memory.mark_root(batch, mark).await
    }

    async fn note_bookmark(&self, batch: &BatchId, bookmark: &Bookmark) -> Result<()> {
        pause().await;
        self.note(&Entry::Bookmark(batch.clone(), *bookmark))?;
        self.memory.note_bookmark(batch, bookmark).await
    }

    async fn seal(&self, batch: &BatchId, sealing: &Sealing) -> Result<Batch> {
        pause().await;
        self.note(&Entry::Seal(batch.clone(), sealing.clone()))?;
        self.memory.seal(batch, sealing).await
    }

    async fn take(&self, batch: &BatchId, owner: &str, now: Timestamp, until: Timestamp) -> Result<Lease> {
        pause().await;
        self.note(&Entry::Take(batch.clone(), owner.to_owned(), now, until))?;
        self.memory.take(batch, owner, now, until).await
    }

    async fn release_lease(&self, batch: &BatchId, owner: &str, now: Timestamp) -> Result<()> {
        pause().await;
        self.note(&Entry::Release(batch.clone(), owner.to_owned(), now))?;
        self.memory.release_lease(batch, owner, now).await
    }

    async fn close(
        &self,
        batch: &BatchId,
        owner: &str,
        state: BatchState,
        tally: Tally,
        finished_at: Timestamp,
    ) -> Result<()> {
        pause().await;
        self.memory.close(batch, owner, state, tally, finished_at).await
    }

    async fn stop(&self, batch: &BatchId, stop: &Stop) -> Result<Batch> {
        self.memory.stop(batch, stop).await
    }

    async fn observe(&self, batch: &BatchId, seen: &Observation) -> Result<()> {
        self.memory.observe(batch, seen).await
    }

    async fn open_batches(&self, after: Option<&OpenBatch>) -> Result<Vec<OpenBatch>> {
        self.memory.open_batches(after).await
    }
}

impl Claims for JournalLedger {
    async fn put_claims(&self, batch: &BatchId, group: u32, claims: &[Claim], now: Timestamp) -> Result<()> {
        pause().await;
        self.note(&Entry::Claims(batch.clone(), group, claims.to_vec()))?;
        self.memory.put_claims(batch, group, claims, now).await
    }

    async fn read_claims(&self, batch: &BatchId, groups: Range<u32>) -> Result<Vec<Vec<Claim>>> {
        pause().await;
        self.memory.read_claims(batch, groups).await
    }
}

impl RuleBook for JournalLedger {
    async fn put_rules(&self, rules: &Rules) -> Result<()> {
        pause().await;
        self.note(&Entry::Rules(rules.clone()))?;
        self.memory.put_rules(rules).await
    }

    async fn read_rules(&self, digest: &str) -> Result<Option<Rules>> {
        pause().await;
        self.memory.read_rules(digest).await
    }
}

impl Control for JournalLedger {
    async fn note_pause(&self, since: Option<Timestamp>) -> Result<()> {
        self.memory.note_pause(since).await
    }

    async fn paused(&self) -> Result<Option<Timestamp>> {
        self.memory.paused().await
    }
}

impl Notes for JournalLedger {
    async fn note_failure(&self, batch: &BatchId, part: Part, failure: &LastFailure, now: Timestamp) -> Result<()> {
        self.memory.note_failure(batch, part, failure, now).await
    }

    async fn last_failure(&self, batch: &BatchId, part: Part) -> Result<Option<LastFailure>> {
        self.memory.last_failure(batch, part).await
    }

    async fn add_calls(&self, batch: &BatchId, stage: &str, calls: &StageCalls, now: Timestamp) -> Result<()> {
        self.memory.add_calls(batch, stage, calls, now).await
    }

    async fn read_calls(&self, batch: &BatchId) -> Result<Calls> {
        self.memory.read_calls(batch).await
    }

    async fn note_reason(
        &self,
        batch: &BatchId,
        reason: &Reason,
        examples: &[Example],
        now: Timestamp,
    ) -> Result<bool> {
        self.memory.note_reason(batch, reason, examples, now).await
    }

    async fn note_trouble(&self, batch: &BatchId, trouble: &Trouble) -> Result<()> {
        self.memory.note_trouble(batch, trouble).await
    }

    async fn overview(&self, batch: &BatchId) -> Result<Overview> {
        self.memory.overview(batch).await
    }

    async fn begin_try(&self, message: &str, now: Timestamp) -> Result<u32> {
        self.memory.begin_try(message, now).await
    }

    async fn excuse_try(&self, message: &str, now: Timestamp) -> Result<()> {
        self.memory.excuse_try(message, now).await
    }
}

#[cfg(test)]
mod tests {
    use fanfold::model::range::Range;

    use super::*;

    const NOW: Timestamp = Timestamp(1_700_000_000_123);

    fn opening(id: &BatchId) -> Opening {
        let input = InputRef {
            bucket: "input".into(),
            key: "a.csv".into(),
            version_id: Some("v1".into()),
            e_tag: None,
            bytes: 1 << 40,
            format: Some("csv".into()),
            read_as: None,
        };
        let (id, variant) = (id.clone(), "ranged".to_owned());
        Opening {
            id,
            variant,
            input,
            condition: Condition::Tree,
            ranged: true,
            rules: Some("0123456789abcdef".into()),
            only: None,
            chunk_size: 500,
            started_at: NOW,
            sequence: NOW,
        }
    }

    async fn written(ledger: &JournalLedger, id: &BatchId, claims: &[Claim]) {
        let tally = Tally { succeeded: 4, failed: 1, failed_chunks: 0 };
        let (columns, records) = (Some(vec!["k".to_owned()]), Some(5));
        let sealing = Sealing { records, chunks: 1, columns, head: None, error: None, scattered_at: NOW };
        assert_eq!(ledger.open(&opening(id)).await.unwrap(), OpenResult::Created);
        ledger.put_claims(id, 0, claims, NOW).await.unwrap();
        ledger.mark_leaf(id, ChunkIndex::new(0).unwrap(), tally.into(), NOW).await.unwrap();
        ledger.size_leaf(id, 0, 1, NOW).await.unwrap();
        ledger.mark_root(id, 0).await.unwrap();
        ledger.mark_node(id, 256, NOW).await.unwrap();
        ledger.size_node(id, 1, 2, NOW).await.unwrap();
        ledger.seal(id, &sealing).await.unwrap();
    }

    #[tokio::test]
    async fn another_process_begins_where_the_one_before_ended() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("journal");
        let id = BatchId::parse("a-0123456789ab").unwrap();
        let range = Range { offset: 1 << 40, length: 9, first: 3, line: 4, column: 1, header: 7 };
        let claims = [Claim { range, records: 5 }; 3];
        let first = JournalLedger::open(&path).await.unwrap();
        written(&first, &id, &claims).await;
        let second = JournalLedger::open(&path).await.unwrap();
        assert_eq!(second.read(&id).await.unwrap(), first.read(&id).await.unwrap());
        assert_eq!(second.read_leaves(&id, 0..1).await.unwrap(), first.read_leaves(&id, 0..1).await.unwrap());
        assert_eq!(second.read_nodes(&id, 1..2).await.unwrap(), [Node { full: [256].into(), size: Some(2) }]);
        assert_eq!(second.read_claims(&id, 0..1).await.unwrap(), [claims.to_vec()]);
        assert!(second.read(&id).await.unwrap().unwrap().is_complete());
        assert!(matches!(second.open(&opening(&id)).await.unwrap(), OpenResult::Existing(_)));
    }
}
