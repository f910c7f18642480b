//! The contract of each store, kept by its implementation in memory. The same suites run against the AWS
//! implementations in `crates/cli/tests/end_to_end`.

use fanfold::model::error::Error;
use fanfold::model::timestamp::Timestamp;
use fanfold::store::billing::memory::MemoryBilling;
use fanfold::store::blob::memory::MemoryBlob;
use fanfold::store::channel::memory::MemoryChannel;
use fanfold::store::counters::memory::MemoryCounters;
use fanfold::store::function::memory::MemoryFunction;
use fanfold::store::function::{CallError, Returned};
use fanfold::store::items::WriteMode;
use fanfold::store::items::memory::MemoryItems;
use fanfold::store::ledger::memory::MemoryLedger;
use fanfold::store::meter::memory::MemoryMeter;
use fanfold::store::requests::memory::MemoryRequests;
use fanfold::store::sockets::memory::MemorySockets;
use fanfold::store::tasks::memory::MemoryTasks;
use fanfold::store::testing as suites;

#[tokio::test]
async fn memory_billing_keeps_the_contract() {
    suites::billing::events(&MemoryBilling::new()).await;
    suites::billing::packages(&MemoryBilling::new()).await;
    suites::billing::aggregates(&MemoryBilling::new()).await;
}

#[tokio::test]
async fn memory_blob_keeps_the_contract() {
    suites::blob::all(&MemoryBlob::new()).await;
}

#[tokio::test]
async fn memory_channel_keeps_the_contract() {
    suites::channel::all(&MemoryChannel::new(), &MemoryChannel::new()).await;
}

#[tokio::test]
async fn memory_functions_keep_the_contract() {
    let echo = MemoryFunction::new(|payload, _| Ok(Returned::answer(payload)));
    let raising = MemoryFunction::new(|_, _| {
        let error = Some("Unhandled".to_owned());
        Ok(Returned { error, ..Returned::answer(r#"{"errorType":"ValueError","errorMessage":"no"}"#) })
    });
    let missing = MemoryFunction::new(|_, _| Err(CallError::Refused(Error::missing("there is no such function"))));
    let slow = MemoryFunction::new(|_, patience| Err(CallError::Unknown(format!("no answer within {patience:?}"))));
    suites::function::all(&echo, &raising, &missing, &slow).await;
}

#[tokio::test]
async fn memory_items_keep_the_contract() {
    suites::items::all(&MemoryItems::new()).await;
    let ordered = MemoryItems::in_mode(WriteMode::Ordered);
    suites::items::all(&ordered).await;
    suites::items::ordered(&ordered).await;
}

#[tokio::test]
async fn memory_ledger_keeps_the_contract() {
    suites::ledger::all(&MemoryLedger::new()).await;
    suites::listing::all(&MemoryLedger::new(), &suites::ledger::opening("listed")).await;
}

#[tokio::test]
async fn memory_counters_keep_the_contract() {
    suites::counters::all(&MemoryCounters::new()).await;
}

#[tokio::test]
async fn memory_tasks_keep_the_contract() {
    suites::tasks::all(&MemoryTasks::new()).await;
}

#[tokio::test]
async fn memory_meter_keeps_the_contract() {
    suites::meter::all(&MemoryMeter::new()).await;
}

#[tokio::test]
async fn memory_requests_keep_the_contract() {
    suites::requests::all(&MemoryRequests::new(), Timestamp(1_800_000_000_000)).await;
}

#[tokio::test]
async fn memory_sockets_keep_the_contract() {
    suites::sockets::all(&MemorySockets::new(), Timestamp(1_800_000_000_000)).await;
}
