//! What sweep promises, on stores in memory.

use std::sync::Mutex;

use fanfold::batch::Batches;
use fanfold::batch::chunks::RecordStore;
use fanfold::batch::dispatch::{Dispatch, FanOut};
use fanfold::batch::reasons::Told;
use fanfold::model::condition::Condition;
use fanfold::model::fair::FairBy;
use fanfold::model::fault::FaultCode;
use fanfold::model::ids::{BatchId, ChunkIndex};
use fanfold::model::input::InputRef;
use fanfold::model::message::ProcessMessage;
use fanfold::model::progress::{BatchState, Observation, Opening, Sealing, Tally};
use fanfold::model::summary::Summary;
use fanfold::model::timestamp::Timestamp;
use fanfold::model::tolerance::Tolerance;
use fanfold::pipeline::local::MemoryStores;
use fanfold::stage::sweep::{Patience, Sweep};
use fanfold::store::Clock;
use fanfold::store::blob::memory::MemoryBlob;
use fanfold::store::channel::Channel;
use fanfold::store::channel::memory::MemoryChannel;
use fanfold::store::clock::SystemClock;
use fanfold::store::ledger::memory::MemoryLedger;
use fanfold::store::ledger::tree::{self, Progress};
use fanfold::store::ledger::{Control, Ledger, OpenResult};
use fanfold::store::pace::Pace;

const HOUR: i64 = 3600;

/// A sweep over a ledger with one batch, which began long ago.
struct Fixture {
    ledger: MemoryLedger,
    gather: MemoryChannel,
    process: MemoryChannel,
    work: MemoryBlob,
    output: MemoryBlob,
    sweep: Sweep<MemoryStores>,
    batch: BatchId,
}

impl Fixture {
    async fn begun(hours_ago: i64, condition: Condition) -> Self {
        Self::of(hours_ago, condition, 2).await
    }

    async fn of(hours_ago: i64, condition: Condition, chunks: u32) -> Self {
        let (ledger, gather, process) = (MemoryLedger::new(), MemoryChannel::new(), MemoryChannel::new());
        let (work, output) = (MemoryBlob::new(), MemoryBlob::new());
        let batch = BatchId::parse("orders-0123456789ab").unwrap();
        let started_at = SystemClock.now().plus_seconds(-hours_ago * HOUR);
        let input = InputRef {
            bucket: "input".to_owned(),
            key: "orders.csv".to_owned(),
            version_id: Some("v1".to_owned()),
            e_tag: None,
            bytes: 1,
            format: Some("csv".to_owned()),
            read_as: None,
        };
        let (id, variant) = (batch.clone(), "any".to_owned());
        let opening = Opening {
            id,
            variant,
            input,
            condition,
            ranged: false,
            rules: None,
            only: None,
            chunk_size: 1,
            started_at,
            sequence: started_at,
        };
        assert_eq!(ledger.open(&opening).await.unwrap(), OpenResult::Created);
        let (records, columns, head) = (Some(u64::from(chunks)), None, None);
        let sealing = Sealing { records, chunks, columns, head, error: None, scattered_at: started_at };
        assert_eq!(tree::seal(&ledger, &batch, &sealing).await.unwrap(), Progress::Open);
        let chunks = RecordStore::Copied { work: work.clone() };
        let sweep = Sweep {
            batches: Batches {
                chunks,
                ledger: ledger.clone(),
                gather: gather.clone(),
                condition,
                answers: None,
                counters: None,
                told: Told::default(),
                tolerance: Tolerance::All,
            },
            scatter: MemoryChannel::new(),
            workers: Dispatch { channel: process.clone(), fan_out: FanOut::Messages, fair_by: FairBy::Batch },
            output: output.clone(),
            clock: SystemClock,
            patience: Patience { stall_after: HOUR / 4, give_up_after: 24 * HOUR },
            width: 1,
            pace: Pace::new(SystemClock),
            counted: Mutex::default(),
        };
        Self { ledger, gather, process, work, output, sweep, batch }
    }

    async fn run(&self) {
        self.sweep.run(SystemClock.now().plus_seconds(300)).await.unwrap();
    }

    /// Puts a record of a chunk as pending.
    fn put(&self, chunk: u32) {
        let record = r#"{"index":0,"record":{"itemNo":"1"}}"#;
        self.work.upload(&self.batch.pending_key(ChunkIndex::new(chunk).unwrap()), record);
    }

    async fn mark(&self, chunk: u32) {
        let tally = Tally { succeeded: 1, ..Tally::default() };
        let chunk = ChunkIndex::new(chunk).unwrap();
        self.ledger.mark_leaf(&self.batch, chunk, tally.into(), Timestamp(0)).await.unwrap();
    }
}

#[tokio::test]
async fn a_root_that_sweep_completes_is_announced_at_once() {
    let fixture = Fixture::begun(0, Condition::Tree).await;
    fixture.mark(0).await;
    fixture.run().await;
    assert!(fixture.gather.receive(1).await.unwrap().is_empty(), "a chunk is missing");
    // Its worker died before it could check the leaf.
    fixture.mark(1).await;
    fixture.run().await;
    assert_eq!(fixture.gather.receive(1).await.unwrap().len(), 1);
}

/// Of a batch whose leaves are marked in nodes, sweep reads those that are not known to be full.
#[tokio::test]
async fn a_large_batch_gets_what_it_lacks_and_its_end_is_announced() {
    let fixture = Fixture::of(0, Condition::Tree, 65_793).await;
    let (ledger, batch) = (&fixture.ledger, &fixture.batch);
    for leaf in 0..256 {
        ledger.mark_root(batch, leaf).await.unwrap();
    }
    for chunk in (65_536..65_793).filter(|chunk| *chunk != 65_600) {
        fixture.mark(chunk).await;
    }
    fixture.put(65_600);
    fixture.run().await;
    // The worker of the last leaf died before it could mark it.
    assert_eq!(ledger.read_nodes(batch, 1..2).await.unwrap()[0].full, [257].into());
    let seen = ledger.read(batch).await.unwrap().unwrap().seen.unwrap();
    assert_eq!(seen.mark, "PROCESSING 1 0");
    ledger.observe(batch, &Observation { next: SystemClock.now(), ..seen }).await.unwrap();
    fixture.run().await;
    let sent = fixture.process.receive(10).await.unwrap();
    let sent: Vec<u32> = sent.iter().map(|sent| ProcessMessage::parse(&sent.body).unwrap().chunk.get()).collect();
    assert_eq!(sent, [65_600]);
    assert!(fixture.gather.receive(1).await.unwrap().is_empty(), "a chunk is missing");
    fixture.mark(65_600).await;
    // The worker that filled the last node died before it could mark the root.
    ledger.mark_node(batch, 256, Timestamp(0)).await.unwrap();
    fixture.run().await;
    assert_eq!(fixture.gather.receive(1).await.unwrap().len(), 1);
}

#[tokio::test]
async fn a_batch_is_given_up_for_standing_still_and_not_for_its_age() {
    let fixture = Fixture::begun(100, Condition::Tree).await;
    let seen = |hours_ago: i64| {
        let since = SystemClock.now().plus_seconds(-hours_ago * HOUR);
        Observation { mark: "PROCESSING 1 0".to_owned(), since, mended: 3, next: SystemClock.now().plus_seconds(HOUR) }
    };
    let stop = async || fixture.ledger.read(&fixture.batch).await.unwrap().unwrap().stop;
    fixture.mark(0).await;
    fixture.ledger.observe(&fixture.batch, &seen(23)).await.unwrap();
    fixture.run().await;
    assert_eq!(stop().await, None, "it got on a day ago");
    fixture.ledger.observe(&fixture.batch, &seen(25)).await.unwrap();
    fixture.run().await;
    assert_eq!(stop().await.unwrap().fault.code, FaultCode::GaveUp);
}

/// A scatter died and left a gap, the batch was sealed without it, and gather took it; then another, slow
/// scatter gets to that chunk and dies before it could send it.
#[tokio::test]
async fn a_chunk_that_comes_while_its_batch_is_gathered_is_sent_by_sweep() {
    let fixture = Fixture::begun(1, Condition::Listing).await;
    let now = SystemClock.now();
    let earlier = now.plus_seconds(-HOUR);
    fixture.ledger.take(&fixture.batch, "dead", earlier, earlier).await.unwrap();
    fixture.put(0);
    let seen = Observation { mark: "GATHERING 0 1".to_owned(), since: earlier, mended: 0, next: now };
    fixture.ledger.observe(&fixture.batch, &seen).await.unwrap();
    fixture.run().await;
    let sent = fixture.process.receive(10).await.unwrap();
    assert_eq!(sent.len(), 1);
    let message = ProcessMessage::parse(&sent[0].body).unwrap();
    assert_eq!((message.batch_id, message.chunk.get()), (fixture.batch, 0));
    assert!(fixture.gather.receive(1).await.unwrap().is_empty(), "it is not complete");
}

#[tokio::test]
async fn sweep_waits_twice_as_long_after_each_mend_in_vain() {
    let fixture = Fixture::begun(1, Condition::Tree).await;
    for chunk in [0, 1] {
        fixture.put(chunk);
    }
    fixture.run().await;
    let mut seen = fixture.ledger.read(&fixture.batch).await.unwrap().unwrap().seen.unwrap();
    assert_eq!(seen.mended, 0);
    for (mended, quarters) in [(1, 2), (2, 4), (3, 8), (4, 8)] {
        let now = SystemClock.now();
        fixture.ledger.observe(&fixture.batch, &Observation { next: now, ..seen }).await.unwrap();
        fixture.run().await;
        seen = fixture.ledger.read(&fixture.batch).await.unwrap().unwrap().seen.unwrap();
        let pause = (seen.next.0 - now.0) / 1000 - quarters * HOUR / 4;
        assert!(seen.mended == mended && (0..60).contains(&pause), "{seen:?}");
        fixture.run().await;
        let again = fixture.ledger.read(&fixture.batch).await.unwrap().unwrap().seen.unwrap();
        assert_eq!(again, seen, "not before its time");
    }
    // A chunk is done, so the batch has advanced.
    fixture.mark(0).await;
    fixture.run().await;
    let after = fixture.ledger.read(&fixture.batch).await.unwrap().unwrap().seen.unwrap();
    assert!(after.mended == 0 && after.mark != seen.mark, "{after:?}");
}

#[tokio::test]
async fn a_batch_whose_outputs_cannot_be_written_is_closed_with_a_summary_alone() {
    let fixture = Fixture::begun(26, Condition::Tree).await;
    let earlier = SystemClock.now().plus_seconds(-25 * HOUR);
    for chunk in [0, 1] {
        fixture.mark(chunk).await;
    }
    fixture.ledger.mark_root(&fixture.batch, 0).await.unwrap();
    fixture.ledger.take(&fixture.batch, "dead", earlier, earlier).await.unwrap();
    let seen = Observation { mark: "GATHERING 0 1".to_owned(), since: earlier, mended: 9, next: SystemClock.now() };
    fixture.ledger.observe(&fixture.batch, &seen).await.unwrap();
    fixture.run().await;
    let summary = fixture.output.read(&fixture.batch.output_key("summary.json")).unwrap();
    let summary: Summary = serde_json::from_slice(&summary).unwrap();
    assert_eq!((summary.state, summary.error.unwrap().code), (BatchState::Failed, FaultCode::GaveUp));
    assert_eq!((summary.records.succeeded, summary.results), (2, None));
    let batch = fixture.ledger.read(&fixture.batch).await.unwrap().unwrap();
    assert_eq!(batch.state, BatchState::Failed);
}

#[tokio::test]
async fn a_batch_whose_workers_are_paused_is_given_up_only_before_it_expires() {
    for (days, given_up) in [(2, false), (25, false), (27, true)] {
        let fixture = Fixture::begun(days * 24, Condition::Tree).await;
        (0..2).for_each(|chunk| fixture.put(chunk));
        fixture.ledger.note_pause(Some(SystemClock.now())).await.unwrap();
        fixture.run().await;
        let batch = fixture.ledger.read(&fixture.batch).await.unwrap().unwrap();
        assert_eq!(batch.stop.is_some(), given_up, "{days} days");
        // The time of a pause is no time without progress.
        fixture.ledger.note_pause(None).await.unwrap();
        fixture.run().await;
        let batch = fixture.ledger.read(&fixture.batch).await.unwrap().unwrap();
        assert_eq!(batch.stop.is_some(), given_up, "{days} days, after the pause");
    }
}
