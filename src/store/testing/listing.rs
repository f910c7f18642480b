//! The contract of `Listing`.

use crate::model::error::Result;
use crate::model::ids::BatchId;
use crate::model::progress::{Batch, BatchState, Opening, Sealing, Tally};
use crate::model::timestamp::Timestamp;
use crate::store::ledger::tree::{self, Progress};
use crate::store::ledger::{Ledger, Listed, Listing};

/// Batches that are opened: more than a page holds.
const BATCHES: i64 = 230;

/// Checks that all batches are listed, whatever became of them. Takes a ledger that knows no batch, and what batches are
/// opened with.
///
/// # Panics
/// If they are not.
pub async fn all(ledger: &(impl Ledger + Listing), opening: &Opening) {
    assert_eq!(ledger.recent(None).await.unwrap(), []);
    for n in 0..BATCHES {
        // Two begin at the same time.
        let (id, started_at) = (id(n), Timestamp(opening.started_at.0 + n / 2));
        ledger.open(&Opening { id, started_at, ..opening.clone() }).await.unwrap();
    }
    close(ledger, &id(3), opening.started_at).await.unwrap();
    let listed = every(ledger).await;
    let mut wanted: Vec<(Timestamp, BatchId)> =
        (0..BATCHES).map(|n| (Timestamp(opening.started_at.0 + n / 2), id(n))).collect();
    let mut found: Vec<(Timestamp, BatchId)> =
        listed.iter().map(|batch| (batch.opening.started_at, batch.opening.id.clone())).collect();
    assert!(found.windows(2).all(|pair| pair[0].0 >= pair[1].0), "the latest first");
    found.sort();
    wanted.sort();
    assert_eq!(found, wanted, "each once");
    let closed = listed.iter().filter(|batch| batch.state.is_final()).map(|batch| batch.opening.id.clone());
    assert_eq!(closed.collect::<Vec<_>>(), [id(3)]);
}

fn id(n: i64) -> BatchId {
    BatchId::parse(&format!("listed{n}-0123456789ab")).unwrap()
}

async fn close(ledger: &impl Ledger, batch: &BatchId, now: Timestamp) -> Result<()> {
    let sealing = Sealing { records: Some(0), chunks: 0, columns: None, head: None, error: None, scattered_at: now };
    assert_eq!(tree::seal(ledger, batch, &sealing).await?, Progress::Complete);
    ledger.take(batch, "a", now, now).await?;
    ledger.close(batch, "a", BatchState::Succeeded, Tally::default(), now).await
}

async fn every(ledger: &impl Listing) -> Vec<Batch> {
    let (mut all, mut after) = (Vec::new(), None);
    loop {
        let page = ledger.recent(after.as_ref()).await.unwrap();
        let Some(last) = page.last() else {
            return all;
        };
        after = Some(Listed::of(last));
        all.extend(page);
    }
}
