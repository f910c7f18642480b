//! A batch keeps the schema and the key field that it began with, whatever is deployed meanwhile.

use fanfold::model::fault::FaultCode;
use fanfold::model::format::settings::FormatSettings;
use fanfold::model::ids::BatchId;
use fanfold::model::message::{RedriveMessage, to_body};
use fanfold::model::progress::BatchState;
use fanfold::model::schema::{Cells, Rules};
use fanfold::model::summary::Summary;
use fanfold::pipeline::Pipeline;
use fanfold::pipeline::local::{LocalPipeline, Memory, Settings};
use fanfold::pipeline::variant::{BUILT_IN, Variant};
use fanfold::processor::items::WriteItems;
use fanfold::stage::Disposition;
use fanfold::store::channel::{Channel, Outgoing};
use fanfold::store::items::memory::MemoryItems;

const FILE: &str = "id,n\na,1\nb,x\nc,3\n";
const LENIENT: &str = r#"{"properties":{"n":{"type":["integer","string"]}}}"#;
const STRICT: &str = r#"{"properties":{"n":{"type":"integer"}}}"#;
const NOTHING: &str = r#"{"required":["neverThere"]}"#;

type Deployment = LocalPipeline;

/// A deployment on these stores and items.
fn deployed(variant: Variant, schema: &str, key_field: &str, stores: &Memory, items: &MemoryItems) -> Deployment {
    let (variant, schema, key_field) = (Some(variant), schema.to_owned(), key_field.to_owned());
    let settings = Settings { variant, schema, key_field, chunk_size: 2, ..Settings::default() };
    LocalPipeline::sharing(&settings, stores.clone(), WriteItems::new(items.clone())).unwrap()
}

/// Has a deployment's scatter take the message that waits for it.
async fn scatter(deployment: &Deployment) {
    let queue = &deployment.stores.queues[0];
    let delivery = queue.receive(1).await.unwrap().remove(0);
    assert!(matches!(deployment.handle(0, &delivery).await, Disposition::Done));
    queue.delete(&delivery.receipt).await.unwrap();
}

async fn begin(deployment: &Deployment, key: &str) -> BatchId {
    begin_with(deployment, key, FILE).await
}

async fn begin_with(deployment: &Deployment, key: &str, file: &str) -> BatchId {
    let (batch, event) = deployment.upload(key, file.to_owned());
    deployment.stores.queues[0].send(vec![Outgoing::new(event)]).await.unwrap();
    scatter(deployment).await;
    batch
}

async fn end(deployment: &Deployment, batch: &BatchId) -> Summary {
    let left = deployment.run().await.unwrap();
    assert!(left.is_empty(), "{left:?}");
    deployment.summary(batch).unwrap()
}

fn stores(variant: Variant) -> Memory {
    LocalPipeline::of_items(&Settings { variant: Some(variant), ..Settings::default() }).unwrap().stores
}

#[tokio::test]
async fn a_batch_is_judged_by_the_schema_that_it_began_with() {
    for variant in BUILT_IN.iter().copied() {
        let (stores, items) = (stores(variant), MemoryItems::new());
        let batch = begin(&deployed(variant, LENIENT, "id", &stores, &items), "orders.csv").await;
        let later = deployed(variant, NOTHING, "id", &stores, &items);
        let summary = end(&later, &batch).await;
        assert_eq!((summary.state, summary.records.succeeded), (BatchState::Succeeded, 3), "{}", variant.name);
        let keys: Vec<String> = items.all().into_keys().collect();
        assert_eq!(keys, ["a", "b", "c"], "{}", variant.name);
        let next = begin(&later, "later.csv").await;
        assert_eq!(end(&later, &next).await.records.failed, 3, "{}: a later batch has the later schema", variant.name);
    }
}

/// The items table of the earlier key is gone; in the later one, a key of the earlier field would overwrite the later.
#[tokio::test]
async fn a_batch_of_another_key_field_fails_until_it_is_redriven() {
    for variant in BUILT_IN.iter().copied() {
        let (stores, items) = (stores(variant), MemoryItems::new());
        // What is wrong with a record itself is still told once it is redriven.
        let file = format!("{FILE}short\n");
        let batch = begin_with(&deployed(variant, LENIENT, "id", &stores, &items), "orders.csv", &file).await;
        let later = deployed(variant, LENIENT, "n", &stores, &items);
        let summary = end(&later, &batch).await;
        assert_eq!((summary.records.failed, items.all().len()), (4, 0), "{}", variant.name);
        assert!(summary.failures[0].message.contains("redrive the batch"), "{}", summary.failures[0].message);
        let redrive = to_body(&RedriveMessage::new(batch.in_generation(1)));
        stores.queues[0].send(vec![Outgoing::new(redrive)]).await.unwrap();
        let summary = end(&later, &batch).await;
        assert_eq!((summary.records.succeeded, summary.records.failed), (3, 1), "{}", variant.name);
        assert!(summary.failures[0].message.starts_with("line 5: the row has 1 fields"), "{:?}", summary.failures);
        assert!(items.all().into_keys().eq(["1", "3", "x"]), "{}", variant.name);
    }
}

#[tokio::test]
async fn a_redrive_goes_by_the_schema_that_is_deployed_then() {
    for variant in BUILT_IN.iter().copied() {
        let (stores, items) = (stores(variant), MemoryItems::new());
        let strict = deployed(variant, STRICT, "id", &stores, &items);
        let batch = begin(&strict, "orders.csv").await;
        let summary = end(&strict, &batch).await;
        assert_eq!((summary.records.succeeded, summary.records.failed), (2, 1), "{}", variant.name);
        let mended = deployed(variant, LENIENT, "id", &stores, &items);
        let redrive = to_body(&RedriveMessage::new(batch.in_generation(1)));
        stores.queues[0].send(vec![Outgoing::new(redrive)]).await.unwrap();
        let summary = end(&mended, &batch).await;
        assert_eq!((summary.generation, summary.records.succeeded), (1, 3), "{}", variant.name);
    }
}

/// What a function refuses at its start would leave a batch standing still; scatter finds it before any chunk waits.
#[tokio::test]
async fn a_schema_that_no_function_starts_with_ends_the_batch_and_says_so() {
    for variant in BUILT_IN.iter().copied() {
        let (stores, items) = (stores(variant), MemoryItems::new());
        let good = deployed(variant, LENIENT, "id", &stores, &items);
        let (batch, event) = good.upload("orders.csv", FILE);
        let pipeline = Pipeline::new(stores.clone(), variant, "input");
        let (key_field, schema) = ("id".to_owned(), r#"{"type":"strin"}"#.to_owned());
        let rules = Rules { key_field, schema, cells: Cells::default() };
        let scatter = pipeline.scatter(rules, 2, FormatSettings::default()).unwrap();
        let channel = &stores.queues[0];
        channel.send(vec![Outgoing::new(event)]).await.unwrap();
        let delivery = channel.receive(1).await.unwrap().remove(0);
        let taken = fanfold::stage::deliver(&scatter, &delivery, fanfold::model::timestamp::Timestamp(i64::MAX)).await;
        assert!(matches!(taken, Disposition::Done), "{taken:?}");
        channel.delete(&delivery.receipt).await.unwrap();
        let summary = end(&good, &batch).await;
        let error = summary.error.unwrap();
        assert_eq!((summary.state, error.code), (BatchState::Failed, FaultCode::BadSchema), "{}", variant.name);
        assert!(error.message.contains("correct SCHEMA at /type"), "{}", error.message);
    }
}
