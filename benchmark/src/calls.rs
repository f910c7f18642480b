//! Counts the requests that the functions made for a batch. They write their counts to the ledger at the end of
//! each invocation, so that a count can lag some moments behind the summary.

use std::collections::BTreeMap;
use std::future::Future;
use std::time::Duration;

use fanfold::model::calls::{Calls, INVOCATION, MEMORY_TIME, StageCalls};
use fanfold::model::error::Result;
use fanfold::model::ids::BatchId;
use fanfold::store::ledger::{Notes, PROCESSOR};
use fanfold_aws::ledger::DynamoLedger;

use crate::stopwatch::Stopwatch;

/// How long the last invocation may take to write its counts.
const PATIENCE: Duration = Duration::from_secs(5);
const PAUSE: Duration = Duration::from_millis(100);

/// Requests by stage and by `service.Operation`.
pub type Requests = BTreeMap<String, BTreeMap<String, u64>>;

/// Whether every invocation of a batch with that many chunks has written its counts.
fn complete(calls: &Calls, chunks: u64) -> bool {
    calls.0.contains_key("gather") && calls.0.get("process").is_some_and(|stage| stage.messages >= chunks)
}

fn requests(calls: Calls) -> Requests {
    let stages = calls.0.into_iter().filter(|(stage, _)| stage != PROCESSOR);
    // What Lambda bills is left out: the time of functions on this machine is none of AWS.
    let of_lambda = |name: &str| [INVOCATION, MEMORY_TIME].contains(&name);
    let kept = |calls: StageCalls| calls.requests.into_iter().filter(|(name, _)| !of_lambda(name)).collect();
    stages.map(|(stage, calls)| (stage, kept(calls))).collect()
}

/// The requests of a batch, once all are counted; and a remark if some could not be obtained.
pub async fn of_batch(ledger: &DynamoLedger, batch: &BatchId, chunks: u64) -> (Requests, Option<String>) {
    settled(chunks, PATIENCE, || ledger.read_calls(batch)).await
}

async fn settled<F>(chunks: u64, patience: Duration, read: impl Fn() -> F) -> (Requests, Option<String>)
where
    F: Future<Output = Result<Calls>>,
{
    let waited = Stopwatch::start();
    loop {
        let calls = match read().await {
            Ok(calls) => calls,
            Err(error) => return (Requests::new(), Some(format!("the calls could not be read: {error}"))),
        };
        if complete(&calls, chunks) {
            return (requests(calls), None);
        }
        if waited.elapsed() >= patience {
            let note = "not all functions wrote their calls in time: the row has what was there".to_owned();
            return (requests(calls), Some(note));
        }
        // The ledger has no event that a client could await.
        tokio::time::sleep(PAUSE).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use fanfold::model::calls::StageCalls;
    use std::cell::Cell;

    fn calls(messages: u64, gathered: bool) -> Calls {
        let stage = |messages| StageCalls { messages, requests: [("s3.GetObject".to_owned(), messages)].into() };
        let mut calls = Calls([("process".to_owned(), stage(messages))].into());
        if gathered {
            calls.0.insert("gather".into(), stage(1));
        }
        calls
    }

    #[tokio::test]
    async fn the_counts_are_taken_when_every_stage_has_written() {
        let asked = Cell::new(0);
        let read = || {
            asked.set(asked.get() + 1);
            let now = [calls(1, false), calls(1, true), calls(2, true)][asked.get().min(3) - 1].clone();
            async move { Ok(now) }
        };
        let (requests, note) = settled(2, PATIENCE, read).await;
        assert_eq!((asked.get(), note), (3, None));
        assert_eq!(requests["process"]["s3.GetObject"], 2);
    }

    #[tokio::test]
    async fn counts_that_stay_away_are_told() {
        let (requests, note) = settled(9, Duration::ZERO, || async { Ok(calls(8, true)) }).await;
        assert_eq!(requests["process"]["s3.GetObject"], 8);
        assert!(note.unwrap().contains("not all functions"));
    }
}
