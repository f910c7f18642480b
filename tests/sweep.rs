//! What sweep promises, on stores in memory.

use fanfold::blob::memory::MemoryBlob;
use fanfold::channel::Channel;
use fanfold::channel::memory::MemoryChannel;
use fanfold::ledger::memory::MemoryLedger;
use fanfold::ledger::{Ledger, Opened};
use fanfold::model::condition::Condition;
use fanfold::model::fault::FaultCode;
use fanfold::model::ids::{BatchId, ChunkIndex};
use fanfold::model::input::InputRef;
use fanfold::model::progress::{Opening, Sealing, Seen, Tally};
use fanfold::model::timestamp::Timestamp;
use fanfold::runtime::clock::SystemClock;
use fanfold::runtime::local::MemoryStores;
use fanfold::stage::Clock;
use fanfold::stage::batches::Batches;
use fanfold::stage::chunks::Chunks;
use fanfold::stage::sweep::Sweep;

const HOUR: i64 = 3600;

/// A sweep over a ledger that holds one batch, which began long ago.
struct Fixture {
    ledger: MemoryLedger,
    gather: MemoryChannel,
    sweep: Sweep<MemoryStores>,
    batch: BatchId,
}

impl Fixture {
    async fn begun(hours_ago: i64) -> Self {
        let (ledger, gather) = (MemoryLedger::new(), MemoryChannel::new());
        let batch = BatchId::parse("orders-0123456789ab").unwrap();
        let started_at = SystemClock.now().plus_seconds(-hours_ago * HOUR);
        let input = InputRef {
            bucket: "input".to_owned(),
            key: "orders.csv".to_owned(),
            version_id: Some("v1".to_owned()),
            e_tag: None,
            bytes: 1,
            format: Some("csv".to_owned()),
        };
        let (id, variant, condition) = (batch.clone(), "chunked".to_owned(), Condition::Tree);
        let opening =
            Opening { id, variant, input, condition, ranged: false, chunk_size: 1, started_at, sequence: started_at };
        assert_eq!(ledger.open(&opening).await.unwrap(), Opened::New);
        let sealing = Sealing { records: Some(2), chunks: 2, columns: None, error: None, scattered_at: started_at };
        ledger.seal(&batch, &sealing).await.unwrap();
        ledger.size_leaf(&batch, 0, 2, started_at).await.unwrap();
        let chunks = Chunks::Bucket { work: MemoryBlob::new(), input: None };
        let sweep = Sweep {
            batches: Batches { chunks, ledger: ledger.clone(), gather: gather.clone(), condition },
            scatter: MemoryChannel::new(),
            process: MemoryChannel::new(),
            output: MemoryBlob::new(),
            clock: SystemClock,
            stall_after: HOUR / 4,
            give_up_after: 24 * HOUR,
            width: 1,
        };
        Self { ledger, gather, sweep, batch }
    }

    async fn run(&self) {
        self.sweep.run(SystemClock.now().plus_seconds(300)).await.unwrap();
    }

    async fn mark(&self, chunk: u32) {
        let tally = Tally { succeeded: 1, ..Tally::default() };
        let chunk = ChunkIndex::new(chunk).unwrap();
        self.ledger.mark_leaf(&self.batch, chunk, tally, Timestamp(0)).await.unwrap();
    }
}

#[tokio::test]
async fn a_root_that_sweep_completes_is_announced_at_once() {
    let fixture = Fixture::begun(0).await;
    fixture.mark(0).await;
    fixture.run().await;
    assert!(fixture.gather.receive(1).await.unwrap().is_empty(), "a chunk is missing");
    // Its worker died before it could look at the leaf.
    fixture.mark(1).await;
    fixture.run().await;
    assert_eq!(fixture.gather.receive(1).await.unwrap().len(), 1);
}

#[tokio::test]
async fn a_batch_is_given_up_for_standing_still_and_not_for_its_age() {
    let fixture = Fixture::begun(100).await;
    let seen = |hours_ago: i64| {
        let since = SystemClock.now().plus_seconds(-hours_ago * HOUR);
        Seen { mark: "PROCESSING 1 0".to_owned(), since, mended: 3, next: SystemClock.now().plus_seconds(HOUR) }
    };
    let stop = async || fixture.ledger.read(&fixture.batch).await.unwrap().unwrap().stop;
    fixture.mark(0).await;
    fixture.ledger.see(&fixture.batch, &seen(23)).await.unwrap();
    fixture.run().await;
    assert_eq!(stop().await, None, "it got on a day ago");
    fixture.ledger.see(&fixture.batch, &seen(25)).await.unwrap();
    fixture.run().await;
    assert_eq!(stop().await.unwrap().fault.code, FaultCode::GaveUp);
}
