//! The variant whose workers are triggered by the work bucket's own notifications, as in a pipeline of 2020
//! that hung because it looked for its end in listings. In whatever order a worker writes and deletes, the tree
//! notices the end.

#![cfg(feature = "notification")]

use fanfold::model::progress::BatchState;
use fanfold::pipeline::local::{LocalPipeline, Settings};
use fanfold::pipeline::variant::Variant;
use fanfold::stage::Disposition;
use fanfold::store::blob::Blob;
use fanfold::store::channel::{Channel, Outgoing};
use fanfold::store::ledger::Ledger;

fn pipeline() -> LocalPipeline {
    let variant = Some(Variant::named("notification").unwrap());
    LocalPipeline::of_items(&Settings { variant, chunk_size: 2, ..Settings::default() }).unwrap()
}

const FILE: &str = "id,n\na,1\nb,2\nc,3\nd,4\ne,5\n";

async fn scatter(pipeline: &LocalPipeline, event: &str) {
    pipeline.stores.queues[0].send(vec![Outgoing::new(event.to_owned())]).await.unwrap();
    let delivery = pipeline.stores.queues[0].receive(1).await.unwrap().remove(0);
    assert!(matches!(pipeline.handle(0, &delivery).await, Disposition::Done));
    pipeline.stores.queues[0].delete(&delivery.receipt).await.unwrap();
}

#[tokio::test]
async fn scatter_sends_nothing_and_each_chunk_is_notified_once() {
    let pipeline = pipeline();
    let (batch, event) = pipeline.upload("orders.csv", FILE);
    scatter(&pipeline, &event).await;
    let told = pipeline.stores.queues[1].bodies();
    assert_eq!(told.len(), 3);
    for (body, chunk) in told.iter().zip(0..) {
        assert!(body.contains("s3") && body.contains(&format!("pending%2F{chunk:08}")), "{body}");
    }
    assert!(pipeline.run().await.unwrap().is_empty());
    let summary = pipeline.summary(&batch).unwrap();
    assert_eq!((summary.state, summary.records.succeeded), (BatchState::Succeeded, 5));
}

/// The published failure: a worker writes its outcomes, and before it deletes its pending chunk, the last
/// worker looks for pending chunks. It finds one, and nobody looks again.
#[tokio::test]
async fn a_worker_that_deletes_late_does_not_hang_its_batch() {
    let pipeline = pipeline();
    let (batch, event) = pipeline.upload("orders.csv", FILE);
    scatter(&pipeline, &event).await;
    let (_, first) = {
        let keys = pipeline.stores.work.keys();
        (keys.len(), keys[0].clone())
    };
    let waiting = pipeline.stores.work.read(&first).unwrap();
    for delivery in pipeline.stores.queues[1].receive(10).await.unwrap() {
        assert!(matches!(pipeline.handle(1, &delivery).await, Disposition::Done));
        pipeline.stores.queues[1].delete(&delivery.receipt).await.unwrap();
        if pipeline.stores.work.read(&first).is_none() {
            // As if its worker had not got to the deletion yet, whenever another one looks.
            pipeline.stores.work.put(&first, "application/jsonl", waiting.clone()).await.unwrap();
        }
    }
    assert_eq!(pipeline.stores.queues[2].bodies().len(), 1, "gather was told");
    assert!(pipeline.run().await.unwrap().is_empty());
    let summary = pipeline.summary(&batch).unwrap();
    assert_eq!((summary.state, summary.records.total), (BatchState::Succeeded, 5));
    assert!(pipeline.stores.work.keys().iter().all(|key| !key.contains("/pending/")), "the notification saw to it");
}

/// The other published failure: chunks are processed while scatter still writes, for a moment none is pending,
/// and the batch ends without the rest.
#[tokio::test]
async fn chunks_that_are_done_while_scatter_writes_do_not_end_their_batch() {
    let whole = pipeline();
    let (batch, event) = whole.upload("orders.csv", FILE);
    scatter(&whole, &event).await;
    let opening = whole.stores.ledger.read(&batch).await.unwrap().unwrap().opening;
    let pipeline = pipeline();
    assert_eq!(pipeline.upload("orders.csv", FILE).0, batch);
    // Its scatter has opened the batch and put one chunk.
    pipeline.stores.ledger.open(&opening).await.unwrap();
    let first = whole.stores.work.keys().remove(0);
    pipeline.stores.work.put(&first, "application/jsonl", whole.stores.work.read(&first).unwrap()).await.unwrap();
    assert!(pipeline.run().await.unwrap().is_empty());
    assert_eq!(pipeline.items().all().len(), 2, "that chunk is done");
    assert!(pipeline.stores.queues[2].bodies().is_empty() && pipeline.summary(&batch).is_none());
    assert!(pipeline.stores.work.keys().iter().all(|key| !key.contains("/pending/")), "nothing waits");
    // Scatter goes on.
    scatter(&pipeline, &event).await;
    assert!(pipeline.run().await.unwrap().is_empty());
    let summary = pipeline.summary(&batch).unwrap();
    assert_eq!((summary.state, summary.records.succeeded), (BatchState::Succeeded, 5));
    assert_eq!(pipeline.items().all().len(), 5);
}
