//! Uploads whose event never arrived.

use fanfold::store::blob::Blob;
use fanfold::store::ledger::Ledger;
use serde_json::Value;

use crate::csv;
use crate::world::World;

#[tokio::test]
async fn an_upload_whose_event_was_lost_becomes_a_batch() {
    let world = World::of("ranged").await;
    let (key, bytes) = ("lost a+b%/ü.csv", csv(120, "lost"));
    let since = world.now();
    let written = world.input.put(key, "text/csv", bytes.into()).await.unwrap();
    let batch = world.batch(key, &written.version.unwrap());
    // The emulator loses no event: what it led to is taken back.
    world.summary(&batch).await;
    world.forget(&batch).await;
    let reconcile = |more: &[&str]| {
        let all = ["reconcile", "--json", "--min-age", "0", "--since", &since, "--pipeline", "ranged"];
        let done = world.command(&[&all[..], more].concat());
        assert_eq!(done.code, 0, "{}", done.stderr);
        let told: Value = serde_json::from_str(&done.stdout).unwrap();
        let found = told["batches"].as_array().unwrap().iter().find(|found| found["batchId"] == batch.as_str());
        found.map(|found| found["key"].as_str().unwrap().to_owned())
    };
    for _ in 0..2 {
        assert_eq!(reconcile(&["--dry-run"]).as_deref(), Some(key));
    }
    assert!(world.ledger.read(&batch).await.unwrap().is_none(), "nothing was sent");
    assert_eq!(reconcile(&[]).as_deref(), Some(key));
    // Its end is not waited for: for five minutes, the queue to gather drops what announces the same batch again.
    let processed = world.processed(&batch).await;
    assert_eq!(processed.sealing.unwrap().records, Some(120));
    assert_eq!(reconcile(&[]), None, "the ledger knows it by now");
}
