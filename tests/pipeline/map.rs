//! The variant whose workers Step Functions runs, one for each claim check of a list that scatter writes.

#![cfg(feature = "sfn")]

use std::future::pending;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use fanfold::batch::map;
use fanfold::intake::s3_event::event_of;
use fanfold::model::error::Result;
use fanfold::model::fault::FaultCode;
use fanfold::model::format::settings::FormatSettings;
use fanfold::model::ids::{BatchId, Revision};
use fanfold::model::input::InputRef;
use fanfold::model::message::{GatherMessage, MapError, MapFailure, MapOrder, ProcessMessage, to_body};
use fanfold::model::processing::{Processing, Work};
use fanfold::model::progress::BatchState;
use fanfold::model::schema::{Cells, RecordSchema, Rules};
use fanfold::pipeline::local::{INPUT, Memory};
use fanfold::pipeline::variant::Variant;
use fanfold::pipeline::{Pipeline, Queue, Supply};
use fanfold::processor::each::Each;
use fanfold::processor::{Record, Reply};
use fanfold::stage::gather::Results;
use fanfold::stage::sweep::Patience;
use fanfold::stage::{Disposition, deliver};
use fanfold::store::Clock;
use fanfold::store::channel::Delivery;
use fanfold::store::clock::SystemClock;
use fanfold::store::items::memory::MemoryItems;
use fanfold::store::ledger::Ledger;
use futures::FutureExt;

const CONTENT: &str = "id,n\na,1\nb,2\nc,3\nd,4\ne,5\n";

/// A pipeline, the batch of a file, and the event of its upload.
fn uploaded(content: &str) -> (Pipeline<Memory>, BatchId, Delivery) {
    let pipeline = Pipeline::new(Memory::default(), Variant::named("sfn").unwrap(), INPUT);
    let version = pipeline.supply.input.upload("orders.csv", content.to_owned());
    let batch = BatchId::of(INPUT, "orders.csv", &Revision::Version(version.clone()));
    let (bucket, key, version_id) = (INPUT.to_owned(), "orders.csv".to_owned(), Some(version));
    let input =
        InputRef { bucket, key, version_id, e_tag: None, bytes: content.len() as u64, format: None, read_as: None };
    (pipeline, batch, of(event_of(&input).unwrap()))
}

/// A delivery of its own.
fn of(body: String) -> Delivery {
    Delivery { id: "m".to_owned(), receipt: "r".to_owned(), body, attempt: 1, first_received: None }
}

async fn scatter(pipeline: &Pipeline<Memory>, event: &Delivery) {
    let rules = Rules { key_field: "id".to_owned(), schema: "{}".to_owned(), cells: Cells::default() };
    let scatter = pipeline.scatter(rules, 2, FormatSettings::default()).unwrap();
    let deadline = SystemClock.now().plus_seconds(300);
    assert!(matches!(deliver(&scatter, event, deadline).await, Disposition::Done));
}

#[tokio::test]
async fn the_map_is_started_once_when_all_chunks_are_put_and_its_list_is_written() {
    let (pipeline, batch, event) = uploaded(CONTENT);
    scatter(&pipeline, &event).await;
    let queue = |queue| pipeline.supply.queue(queue).unwrap();
    let orders = queue(Queue::Machine).bodies();
    assert_eq!(orders, [to_body(&MapOrder::new(batch.clone(), 3))]);
    let list = map::read(&pipeline.supply.work, &batch, 3).await.unwrap();
    let chunks: Vec<u32> = list.iter().map(|line| ProcessMessage::parse(line).unwrap().chunk.get()).collect();
    assert_eq!(chunks, [0, 1, 2]);
    assert!(queue(Queue::Process).bodies().is_empty(), "the map runs the workers");
    // A second delivery of the event finds the batch sealed.
    scatter(&pipeline, &event).await;
    assert_eq!(queue(Queue::Machine).bodies().len(), 1);
    // What the map does not get done, sweep sends to the workers.
    let sweep = pipeline.sweep(Patience { stall_after: 0, give_up_after: 3_600_000 }).unwrap();
    for _ in 0..2 {
        sweep.run(SystemClock.now().plus_seconds(300)).await.unwrap();
    }
    assert_eq!(queue(Queue::Process).bodies().len(), 3);
}

#[tokio::test]
async fn a_batch_without_chunks_needs_no_map() {
    let (pipeline, batch, event) = uploaded("id,n\n");
    scatter(&pipeline, &event).await;
    assert!(pipeline.supply.queue(Queue::Machine).unwrap().bodies().is_empty());
    assert!(pipeline.supply.ledger.read(&batch).await.unwrap().unwrap().is_complete());
}

#[tokio::test]
async fn the_end_of_a_map_is_no_announcement_while_chunks_are_left() {
    let (pipeline, batch, event) = uploaded(CONTENT);
    scatter(&pipeline, &event).await;
    let gather = pipeline.gather(Results::All).unwrap();
    let deadline = SystemClock.now().plus_seconds(300);
    let asks = of(to_body(&GatherMessage::new(batch.clone()).if_complete()));
    assert!(matches!(deliver(&gather, &asks, deadline).await, Disposition::Discarded(_)));
    let announces = of(to_body(&GatherMessage::new(batch.clone())));
    assert!(matches!(deliver(&gather, &announces, deadline).await, Disposition::Retry(_)));
    let schema = RecordSchema::parse("{}", "id").unwrap();
    let process = pipeline.process(schema, pipeline.write_items(MemoryItems::new())).unwrap();
    for line in map::read(&pipeline.supply.work, &batch, 3).await.unwrap() {
        assert!(matches!(deliver(&process, &of(line), deadline).await, Disposition::Done));
    }
    // A map that fails after all, as when its results cannot be written, ends nothing.
    let failed = MapError { error: "States.ResultWriterFailed".to_owned(), cause: None };
    let letter = of(to_body(&MapFailure::new(batch.clone(), failed)));
    assert!(matches!(deliver(&pipeline.bury().unwrap(), &letter, deadline).await, Disposition::Discarded(_)));
    assert!(matches!(deliver(&gather, &asks, deadline).await, Disposition::Done));
    assert_eq!(pipeline.supply.ledger.read(&batch).await.unwrap().unwrap().state, BatchState::Succeeded);
}

/// Step Functions may run a chunk twice: the second invocation waits for the first, which holds the chunk.
#[tokio::test]
async fn two_invocations_of_a_chunk_do_not_ask_for_its_records_both() {
    let (pipeline, batch, event) = uploaded(CONTENT);
    scatter(&pipeline, &event).await;
    let processing = Processing { work: Work::Custom, ..Processing::default() };
    let pipeline = Pipeline::new(pipeline.supply, Variant::named("sfn").unwrap(), INPUT).with_processing(processing);
    let asked = Arc::new(AtomicUsize::new(0));
    let counter = asked.clone();
    let never = move |_: Record| {
        counter.fetch_add(1, Ordering::Relaxed);
        pending::<Result<Reply>>()
    };
    let process = pipeline.process(RecordSchema::parse("{}", "id").unwrap(), Each(never)).unwrap();
    let line = map::read(&pipeline.supply.work, &batch, 3).await.unwrap().remove(0);
    let of = |invocation| Delivery { receipt: Delivery::receipt_of_invocation(invocation), ..of(line.clone()) };
    let (first, second, deadline) = (of("a"), of("b"), SystemClock.now().plus_seconds(60));
    let mut first = Box::pin(deliver(&process, &first, deadline));
    assert!(first.as_mut().now_or_never().is_none());
    let asked_first = asked.load(Ordering::Relaxed);
    assert!(asked_first > 0);
    assert!(matches!(deliver(&process, &second, deadline).await, Disposition::Later(..)));
    assert_eq!(asked.load(Ordering::Relaxed), asked_first);
}

#[tokio::test]
async fn a_map_that_fails_ends_its_batch_and_says_why() {
    let (pipeline, batch, event) = uploaded(CONTENT);
    scatter(&pipeline, &event).await;
    let deadline = SystemClock.now().plus_seconds(300);
    let failed = MapError { error: "States.ItemReaderFailed".to_owned(), cause: Some("no such key".to_owned()) };
    let letter = |batch: &BatchId| of(to_body(&MapFailure::new(batch.clone(), failed.clone())));
    assert!(matches!(deliver(&pipeline.bury().unwrap(), &letter(&batch), deadline).await, Disposition::Done));
    pipeline.sweep(Patience { stall_after: 900, give_up_after: 3_600_000 }).unwrap().run(deadline).await.unwrap();
    let announced = pipeline.supply.queue(Queue::Gather).unwrap().bodies();
    assert_eq!(announced, [to_body(&GatherMessage::new(batch.clone()))]);
    let gather = pipeline.gather(Results::All).unwrap();
    assert!(matches!(deliver(&gather, &of(announced[0].clone()), deadline).await, Disposition::Done));
    let ended = pipeline.supply.ledger.read(&batch).await.unwrap().unwrap();
    let fault = ended.stop.as_ref().map(|stop| stop.fault.clone()).unwrap();
    assert_eq!((ended.state, fault.code), (BatchState::Failed, FaultCode::MapFailed));
    assert_eq!(fault.message, "States.ItemReaderFailed: no such key");
    assert_eq!(ended.tally.map(|tally| (tally.succeeded, tally.failed)), Some((0, 5)));
    assert!(ended.is_redrivable(), "the records that had no worker are processed after all");

    // One of a batch that nobody knows is looked at by people.
    let nobody = letter(&BatchId::parse("nobody-0123456789ab").unwrap());
    assert!(matches!(deliver(&pipeline.bury().unwrap(), &nobody, deadline).await, Disposition::Done));
    assert_eq!(pipeline.supply.queue(Queue::Parked).unwrap().bodies(), [nobody.body]);
}
