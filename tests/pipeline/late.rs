//! Truth that comes late: what cannot be read yet, and what then turns out to be gone.

use fanfold::model::error::{Error, Result};
use fanfold::model::fault::FaultCode;
use fanfold::model::ids::{BatchId, Revision};
use fanfold::model::input::InputRef;
use fanfold::model::progress::BatchState;
use fanfold::model::schema::RecordSchema;
use fanfold::model::summary::Summary;
use fanfold::pipeline::Pipeline;
use fanfold::pipeline::local::{INPUT, LocalPipeline, LocalStores, Settings};
use fanfold::pipeline::variant::{BUILT_IN, Variant};
use fanfold::processor::each::Each;
use fanfold::processor::{Record, Reply};
use fanfold::stage::{Disposition, deliver};
use fanfold::store::Clock;
use fanfold::store::blob::Blob;
use fanfold::store::blob::memory::{MemoryBlob, tag};
use fanfold::store::channel::{Channel, Delivery};
use fanfold::store::clock::SystemClock;
use fanfold::store::faults::{Faults, Faulty};
use fanfold::store::ledger::Ledger;

const CSV: &str = "itemNo,price\na,1\nb,2\nc,3\n";
const MISSING: &str = "could not be read";

fn settings(variant: Variant) -> Settings {
    let schema = r#"{"type":"object"}"#.to_owned();
    Settings { variant: Some(variant), schema, key_field: "itemNo".into(), chunk_size: 2, ..Settings::default() }
}

fn pipeline(variant: Variant) -> LocalPipeline {
    LocalPipeline::of_items(&settings(variant)).unwrap()
}

fn event(key: &str, version: &str) -> (BatchId, String) {
    let (bucket, version_id) = (INPUT.to_owned(), Some(version.to_owned()));
    let input =
        InputRef { bucket, key: key.to_owned(), version_id, e_tag: None, bytes: 26, format: None, read_as: None };
    let id = BatchId::of(INPUT, key, &Revision::Version(version.to_owned()));
    (id, fanfold::intake::s3_event::event_of(&input).unwrap())
}

/// A message that first arrived so many seconds ago.
fn delivery(body: &str, seconds_ago: i64) -> Delivery {
    let first_received = Some(SystemClock.now().plus_seconds(-seconds_ago));
    Delivery { id: "m".into(), receipt: "m-2".into(), body: body.to_owned(), attempt: 2, first_received }
}

/// Checks that a message comes again in so many seconds.
fn waits(disposition: &Disposition, seconds: i64, why: &str) {
    let Disposition::Later(at, error) = disposition else { panic!("{disposition:?}") };
    let pause = (at.0 - SystemClock.now().0) / 100;
    assert!((seconds * 10 - 20..=seconds * 10).contains(&pause), "{pause} tenths of a second");
    assert!(error.to_string().contains(why), "{error}");
}

async fn ended(pipeline: &LocalPipeline, batch: &BatchId) -> Summary {
    let left = pipeline.run().await.unwrap();
    assert!(left.is_empty(), "{left:?}");
    pipeline.summary(batch).unwrap()
}

#[tokio::test]
async fn an_upload_that_cannot_be_read_is_waited_for_and_then_fails_its_batch() {
    for (variant, key) in BUILT_IN.iter().flat_map(|variant| [(variant, "x.csv"), (variant, "x.manifest.json")]) {
        let pipeline = pipeline(*variant);
        let (batch, event) = event(key, "v9");
        for (ago, again) in [(0, 5), (60, 60), (500, 300), (800, 100)] {
            waits(&pipeline.handle(0, &delivery(&event, ago)).await, again, MISSING);
            assert!(pipeline.stores.ledger.read(&batch).await.unwrap().is_none(), "{}", variant.name);
        }
        for _ in 0..2 {
            let last = pipeline.handle(0, &delivery(&event, 901)).await;
            assert!(matches!(last, Disposition::Done), "{}: {last:?}", variant.name);
        }
        let summary = ended(&pipeline, &batch).await;
        assert_eq!((summary.state, summary.records.total), (BatchState::Failed, 0), "{}", variant.name);
        let error = summary.error.unwrap();
        assert_eq!(error.code, FaultCode::UnavailableObject);
        let told =
            format!("s3://input/{key} could not be read; it was looked for during 15 minutes, so it was deleted");
        assert!(error.message.starts_with(&told), "{}", error.message);
    }
}

#[tokio::test]
async fn an_upload_that_was_overwritten_without_versions_fails_its_batch() {
    for variant in BUILT_IN {
        let pipeline = pipeline(*variant);
        let (batch, event) = without_version(&pipeline);
        pipeline.stores.input.upload("x.csv", "later");
        assert!(matches!(pipeline.handle(0, &delivery(&event, 0)).await, Disposition::Done));
        let summary = ended(&pipeline, &batch).await;
        assert_eq!((summary.state, summary.error.unwrap().code), (BatchState::Failed, FaultCode::UnavailableObject));
    }
}

/// Uploads an object to a bucket without versions.
fn without_version(pipeline: &LocalPipeline) -> (BatchId, String) {
    pipeline.stores.input.upload("x.csv", CSV);
    let (etag, sequencer) = (tag(CSV.as_bytes()), "0A".to_owned());
    let event =
        event("x.csv", "v9").1.replace(r#""versionId":"v9""#, &format!(r#""eTag":"{etag}","sequencer":"{sequencer}""#));
    (BatchId::of(INPUT, "x.csv", &Revision::Etag { etag, sequencer }), event)
}

#[tokio::test]
async fn an_object_that_is_listed_with_its_version_is_waited_for() {
    for variant in BUILT_IN {
        let pipeline = pipeline(*variant);
        pipeline.stores.input.upload("a.csv", CSV);
        let list = r#"[{"key":"a.csv"},{"key":"b.csv","versionId":"v9"}]"#;
        let version = pipeline.stores.input.upload("x.manifest.json", list);
        let (batch, event) = event("x.manifest.json", &version);
        waits(&pipeline.handle(0, &delivery(&event, 0)).await, 5, "b.csv, which is listed, could not be read");
        assert!(matches!(pipeline.handle(0, &delivery(&event, 900)).await, Disposition::Done));
        let summary = ended(&pipeline, &batch).await;
        assert_eq!((summary.records.total, summary.error.unwrap().code), (3, FaultCode::UnreadableObjects));
    }
}

#[cfg(feature = "ranged")]
#[tokio::test]
async fn a_range_and_an_input_that_cannot_be_read_are_waited_for() {
    let pipeline = pipeline(Variant::named("ranged").unwrap());
    let (batch, event) = without_version(&pipeline);
    assert!(matches!(pipeline.handle(0, &delivery(&event, 0)).await, Disposition::Done));
    let chunks = pipeline.stores.queues[1].receive(10).await.unwrap();
    assert_eq!(chunks.len(), 2);
    assert!(matches!(pipeline.handle(1, &chunks[0]).await, Disposition::Done));
    pipeline.stores.input.delete("x.csv").await.unwrap();
    waits(&pipeline.handle(1, &delivery(&chunks[1].body, 0)).await, 5, "was deleted after the batch had begun");
    let read = pipeline.stores.ledger.read(&batch).await.unwrap().unwrap();
    assert!(!read.is_complete(), "the chunk is not buried yet");
    assert!(matches!(pipeline.handle(1, &delivery(&chunks[1].body, 900)).await, Disposition::Done));
    let gather = pipeline.stores.queues[2].receive(1).await.unwrap().remove(0);
    waits(&pipeline.handle(2, &delivery(&gather.body, 0)).await, 5, MISSING);
    assert!(matches!(pipeline.handle(2, &delivery(&gather.body, 900)).await, Disposition::Done));
    let summary = pipeline.summary(&batch).unwrap();
    assert_eq!((summary.state, summary.chunks.failed), (BatchState::Failed, 1));
}

/// Refuses reads from a bucket.
#[derive(Clone)]
struct Refused;

impl Faults for Refused {
    async fn before(&self, call: &'static str) -> Result<()> {
        if call.starts_with("blob.get") { Err(Error::denied("AccessDenied")) } else { Ok(()) }
    }

    async fn after(&self, _: &'static str) -> Result<()> {
        Ok(())
    }

    fn midway(&self, _: &'static str, _: usize) -> Option<usize> {
        None
    }
}

#[tokio::test]
async fn a_chunk_that_may_not_be_read_is_ended_after_a_while() {
    // Rows of a table are not in a bucket.
    for variant in BUILT_IN.iter().filter(|variant| variant.name != "dynamodb") {
        let pipeline = pipeline(*variant);
        let stores = pipeline.stores.clone();
        let bucket = |blob: MemoryBlob| Faulty::new(blob, Refused);
        let refused = LocalStores {
            input: bucket(stores.input.clone()),
            work: bucket(stores.work),
            output: bucket(stores.output),
            tasks: stores.tasks,
            counters: stores.counters,
            ledger: stores.ledger,
            queues: stores.queues,
            machine: stores.machine,
        };
        let refused = Pipeline::new(refused, *variant, INPUT);
        let schema = RecordSchema::parse(r#"{"type":"object"}"#, "itemNo").unwrap();
        let done = |_: Record| async { Ok(Reply::Done(None)) };
        let (process, bury) = (refused.process(schema, Each(done)).unwrap(), refused.bury().unwrap());
        let version = stores.input.upload("x.csv", CSV);
        let (batch, event) = event("x.csv", &version);
        assert!(matches!(pipeline.handle(0, &delivery(&event, 0)).await, Disposition::Done));
        let chunk = pipeline.stores.queues[1].receive(1).await.unwrap().remove(0);
        pipeline.stores.queues[1].delete(&chunk.receipt).await.unwrap();
        let until = SystemClock.now().plus_seconds(60);
        waits(&deliver(&process, &delivery(&chunk.body, 0), until).await, 5, "AccessDenied");
        let buried = async |ago| deliver(&bury, &delivery(&chunk.body, ago), until).await;
        assert!(matches!(buried(0).await, Disposition::Retry(_)), "{}", variant.name);
        assert!(matches!(buried(900).await, Disposition::Done), "{}", variant.name);
        let summary = ended(&pipeline, &batch).await;
        assert_eq!((summary.state, summary.chunks.failed), (BatchState::Failed, 1), "{}", variant.name);
        assert_eq!(summary.error.unwrap().code, FaultCode::LostRecords, "{}", variant.name);
    }
}
