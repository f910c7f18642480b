//! What only `ranged` promises: nothing is copied, and workers read the upload that the batch was made from.
#![cfg(feature = "ranged")]

use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use fanfold::batch::Batches;
use fanfold::batch::ranges::{Ranges, Read};
use fanfold::model::error::Result;
use fanfold::model::fault::{Fault, FaultCode};
use fanfold::model::format::Layout;
use fanfold::model::ids::{BatchId, ChunkIndex};
use fanfold::model::input::Source;
use fanfold::model::message::{ProcessMessage, to_body};
use fanfold::model::progress::BatchState;
use fanfold::model::range::{Claim, Range};
use fanfold::model::summary::{Summary, Unread};
use fanfold::model::timestamp::Timestamp;
use fanfold::pipeline::Pipeline;
use fanfold::pipeline::local::{INPUT, LocalPipeline, MemoryStores, Settings};
use fanfold::pipeline::variant::{BUILT_IN, Variant};
use fanfold::stage::Disposition;
use fanfold::stage::gather::Results;
use fanfold::store::blob::memory::MemoryBlob;
use fanfold::store::channel::{Channel, Outgoing};
use fanfold::store::faults::{Faults, Faulty};
use fanfold::store::ledger::tree::Progress;
use fanfold::store::ledger::{CLAIMS, Claims, Ledger};
use fanfold::store::pace::PacedStores;
use flate2::Compression;
use flate2::write::GzEncoder;
use futures::future::try_join3;

const ORDERS: &str = include_str!("../../examples/orders.schema.json");

fn settings(variant: &str, chunk_size: usize) -> Settings {
    let variant = Some(Variant::named(variant).unwrap());
    Settings { variant, schema: ORDERS.into(), key_field: "itemNo".into(), chunk_size, ..Settings::default() }
}

fn pipeline(chunk_size: usize) -> LocalPipeline {
    LocalPipeline::of_items(&settings("ranged", chunk_size)).unwrap()
}

async fn send(pipeline: &LocalPipeline, event: &str) {
    pipeline.stores.queues[0].send(vec![Outgoing::new(event.to_owned())]).await.unwrap();
}

async fn scatter(pipeline: &LocalPipeline, event: &str) {
    send(pipeline, event).await;
    let delivery = pipeline.stores.queues[0].receive(1).await.unwrap().remove(0);
    let outcome = pipeline.handle(0, &delivery).await;
    assert!(matches!(outcome, Disposition::Done), "{outcome:?}");
    pipeline.stores.queues[0].delete(&delivery.receipt).await.unwrap();
}

async fn process(pipeline: &LocalPipeline, most: usize) {
    for delivery in pipeline.stores.queues[1].receive(most).await.unwrap() {
        assert!(matches!(pipeline.handle(1, &delivery).await, Disposition::Done));
        pipeline.stores.queues[1].delete(&delivery.receipt).await.unwrap();
    }
}

async fn run(pipeline: &LocalPipeline, key: &str, body: impl Into<bytes::Bytes>) -> (BatchId, Summary) {
    let (batch, event) = pipeline.upload(key, body);
    send(pipeline, &event).await;
    let left = pipeline.run().await.unwrap();
    assert!(left.is_empty(), "{left:?}");
    let summary = pipeline.summary(&batch).unwrap();
    (batch, summary)
}

fn output(pipeline: &LocalPipeline, batch: &BatchId, name: &str) -> Option<String> {
    let bytes = pipeline.stores.output.read(&batch.output_key(name))?;
    Some(String::from_utf8(bytes.to_vec()).unwrap())
}

fn counts(summary: &Summary) -> (u64, u64, u64) {
    (summary.records.total, summary.records.succeeded, summary.records.failed)
}

fn csv(rows: usize) -> String {
    let rows: String = (0..rows).map(|n| format!("i{n},{n}.50\n")).collect();
    format!("itemNo,price\n{rows}")
}

/// Quotes with line ends in them, doubled quotes, rows that fail, rows with a field too many.
const AWKWARD: &str = "itemNo,price,note\r\n\
    \"a\n1\",1.5,\"one\r\n\"\"two\"\"\n\"\n\
    b2,cheap,\"\n\"\r\n\
    \"c,\"\"3\",2.5,plain\n\
    \r\n\
    d4,3.5,\"x\",too many\n\
    \"e\n\n5\",4.5,\"\"\n\
    ,6,no key\n\
    g7,7.5,\"für \u{1F600}\"";

#[tokio::test]
async fn ranges_give_the_same_as_copies_whatever_the_borders() {
    let json: Vec<String> = AWKWARD
        .split('\n')
        .enumerate()
        .map(|(n, text)| {
            let price = if n % 4 == 3 { "\"x\"".to_owned() } else { format!("{n}.5") };
            format!("{{\"itemNo\":\"k{n}\",\n\"price\":{price}, \"note\":{}}}", serde_json::to_string(text).unwrap())
        })
        .collect();
    let document = format!("{{\"about\":{{\"records\":[1]}},\"records\":[ {} ]\n}}", json.join(" ,\n"));
    let lines = json.iter().map(|record| record.replace('\n', "")).collect::<Vec<_>>().join("\r\n\n");
    let marked = format!("\u{feff}{AWKWARD}");
    let copies = BUILT_IN.iter().find(|variant| variant.name == "chunked").copied();
    let copies = copies.or(BUILT_IN.first().copied()).map_or("ranged", |variant: Variant| variant.name);
    for (key, text) in [("x.csv", AWKWARD), ("y.csv", &marked), ("x.json", &document), ("x.jsonl", &lines)] {
        for chunk_size in 1..=12 {
            let copied = LocalPipeline::of_items(&settings(copies, chunk_size)).unwrap();
            let ranged = pipeline(chunk_size);
            let (batch, expected) = run(&copied, key, text.to_owned()).await;
            let (_, summary) = run(&ranged, key, text.to_owned()).await;
            assert!(counts(&expected).1 > 0 && counts(&expected).2 > 0, "{expected:?}");
            assert_eq!(counts(&summary), counts(&expected), "{key} in {chunk_size}");
            assert_eq!(summary.failures, expected.failures, "{key} in {chunk_size}");
            for kind in ["results", "failed"] {
                let name = format!("{kind}.{}", key.rsplit('.').next().unwrap());
                assert_eq!(output(&ranged, &batch, &name), output(&copied, &batch, &name), "{name} in {chunk_size}");
            }
            let untimed = |pipeline: &LocalPipeline| {
                let items = pipeline.items().all().into_iter();
                items.map(|(key, item)| (key, item.index, item.fields)).collect::<Vec<_>>()
            };
            assert_eq!(untimed(&ranged), untimed(&copied), "{key} in {chunk_size}");
        }
    }
}

#[tokio::test]
async fn nothing_is_copied_and_only_failures_are_kept() {
    let pipeline = pipeline(10);
    let (_, summary) = run(&pipeline, "orders.csv", csv(95)).await;
    assert_eq!((summary.state, counts(&summary)), (BatchState::Succeeded, (95, 95, 0)));
    assert_eq!(pipeline.stores.work.keys(), Vec::<String>::new());
    let (batch, summary) = run(&pipeline, "more.csv", csv(95).replace("i42,42.50", "i42,cheap")).await;
    assert_eq!((summary.state, counts(&summary)), (BatchState::PartiallyFailed, (95, 94, 1)));
    assert_eq!(pipeline.stores.work.keys(), [format!("{batch}/done/00000004.jsonl")]);
    let kept = pipeline.stores.work.read(&pipeline.stores.work.keys()[0]).unwrap();
    let kept = std::str::from_utf8(&kept).unwrap();
    assert!(kept.starts_with("{\"succeeded\":9}\n") && kept.lines().count() == 2, "{kept}");
    assert_eq!(output(&pipeline, &batch, "results.csv").unwrap().lines().count(), 96);
}

#[tokio::test]
async fn workers_read_the_version_that_the_batch_was_made_from() {
    let pipeline = pipeline(5);
    let (batch, event) = pipeline.upload("orders.csv", csv(12));
    scatter(&pipeline, &event).await;
    pipeline.stores.input.upload("orders.csv", "something else altogether");
    assert!(pipeline.run().await.unwrap().is_empty());
    assert_eq!(counts(&pipeline.summary(&batch).unwrap()), (12, 12, 0));
    assert_eq!(output(&pipeline, &batch, "results.csv").unwrap().lines().last(), Some("i11,11.50,true,"));
}

/// An event of a bucket without versions.
fn without_version(event: &str, body: &str) -> (String, BatchId) {
    let tag = fanfold::store::blob::memory::tag(body.as_bytes());
    let mut event: serde_json::Value = serde_json::from_str(event).unwrap();
    let object = event["Records"][0]["s3"]["object"].as_object_mut().unwrap();
    object.remove("versionId");
    object.insert("eTag".to_owned(), tag.clone().into());
    let sequencer = "0A".to_owned();
    object.insert("sequencer".to_owned(), sequencer.clone().into());
    let revision = fanfold::model::ids::Revision::Etag { etag: tag, sequencer };
    (event.to_string(), BatchId::of("input", "orders.csv", &revision))
}

#[tokio::test]
async fn a_file_that_was_overwritten_and_has_no_versions_fails_its_chunks_clearly() {
    let pipeline = pipeline(5);
    let (_, event) = pipeline.upload("orders.csv", csv(12));
    let (event, batch) = without_version(&event, &csv(12));
    scatter(&pipeline, &event).await;
    process(&pipeline, 1).await;
    pipeline.stores.input.upload("orders.csv", csv(12).replace("i1", "j1"));
    assert!(pipeline.run().await.unwrap().is_empty());
    let summary = pipeline.summary(&batch).unwrap();
    let error = summary.error.as_ref().unwrap();
    assert_eq!((summary.state, counts(&summary), summary.chunks.failed), (BatchState::Failed, (5, 5, 0), 2));
    assert!(error.message.contains("12 records, of which 5 have an outcome: the input was overwritten"), "{error:?}");
    assert_eq!(summary.results, None);
    assert!(pipeline.items().all().keys().all(|key| key.starts_with('i')));
    let closed = pipeline.stores.ledger.read(&batch).await.unwrap().unwrap();
    assert_eq!(closed.state, BatchState::Failed);
}

#[tokio::test]
async fn a_file_overwritten_after_its_last_chunk_has_no_results_and_says_so() {
    let pipeline = pipeline(5);
    let (_, event) = pipeline.upload("orders.csv", csv(7));
    let (event, batch) = without_version(&event, &csv(7));
    scatter(&pipeline, &event).await;
    process(&pipeline, 10).await;
    pipeline.stores.input.upload("orders.csv", "gone");
    assert!(pipeline.run().await.unwrap().is_empty());
    let summary = pipeline.summary(&batch).unwrap();
    assert_eq!((summary.state, counts(&summary)), (BatchState::Failed, (7, 7, 0)));
    assert_eq!(summary.error.unwrap().code.name(), "INPUT_CHANGED");
    assert_eq!(pipeline.items().all().len(), 7);
}

/// What the stages of a pipeline share.
fn batches(pipeline: &LocalPipeline) -> Batches<PacedStores<MemoryStores>> {
    let (supply, variant) = (pipeline.stores.clone(), Variant::named("ranged").unwrap());
    Pipeline::new(supply, variant, INPUT).batches().unwrap()
}

/// The item numbers of the records that have an outcome.
fn told(pipeline: &LocalPipeline, batch: &BatchId) -> Vec<String> {
    let results = output(pipeline, batch, "results.csv").unwrap();
    results.lines().skip(1).map(|line| line.split(',').next().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn records_that_no_chunk_covers_have_no_outcome_and_the_summary_says_how_much_that_is() {
    let whole = pipeline(1);
    let (batch, event) = whole.upload("orders.csv", csv(38));
    scatter(&whole, &event).await;
    let claims = whole.stores.ledger.read_claims(&batch, 0..4).await.unwrap();
    let opening = whole.stores.ledger.read(&batch).await.unwrap().unwrap().opening;
    // A scatter that kept two groups of ten, but not those before and between them, and died.
    let torn = pipeline(1);
    assert_eq!(torn.upload("orders.csv", csv(38)).0, batch);
    torn.stores.ledger.open(&opening).await.unwrap();
    for group in [1, 3] {
        torn.stores.ledger.put_claims(&batch, group, &claims[group as usize], opening.started_at).await.unwrap();
        for (chunk, claim) in (group * CLAIMS..).zip(&claims[group as usize]) {
            let chunk = ChunkIndex::new(chunk).unwrap();
            let message = ProcessMessage::new(batch.clone(), chunk, 1, Layout::Csv, opening.sequence);
            let message = Outgoing::new(to_body(&message.of_range(claim.range, opening.input.source())));
            torn.stores.queues[1].send(vec![message]).await.unwrap();
        }
    }
    let shared = batches(&torn);
    let fault = Fault::new(FaultCode::ScatterFailed, "it died");
    let progress = shared.seal_by_force(&batch, fault, opening.started_at).await.unwrap();
    assert_eq!(progress, Progress::Open, "the chunks that there are have to be processed");
    assert!(torn.run().await.unwrap().is_empty());
    let summary = torn.summary(&batch).unwrap();
    assert_eq!((summary.state, counts(&summary)), (BatchState::Failed, (18, 18, 0)));
    let expected: Vec<String> = (10..20).chain(30..38).map(|n| format!("i{n}")).collect();
    assert_eq!(told(&torn, &batch), expected);
    assert_eq!(torn.items().all().len(), 18, "what is told was stored, and nothing else");
    // "i0,0.50" and its line end ten times, "i20,20.50" with the line end before it ten times, and one at the end.
    assert_eq!(summary.unread, Some(Unread { bytes: 10 * 8 + (10 * 10 + 1) + 1 }));
    assert_eq!(summary.chunks.total - summary.chunks.failed, 18);
}

#[tokio::test]
async fn records_of_a_chunk_that_was_ended_without_them_have_no_outcome() {
    let pipeline = pipeline(3);
    let (batch, event) = pipeline.upload("orders.csv", csv(8));
    scatter(&pipeline, &event).await;
    let (chunk, now) = (ChunkIndex::new(1).unwrap(), Timestamp(1));
    // The locations of its records are kept, but the records could not be read.
    let _ = batches(&pipeline).bury(&batch, chunk, None, "nobody could read them", false, now).await.unwrap();
    assert!(pipeline.run().await.unwrap().is_empty());
    let summary = pipeline.summary(&batch).unwrap();
    assert_eq!((summary.state, counts(&summary)), (BatchState::Failed, (5, 5, 0)));
    assert_eq!(summary.error.unwrap().code.name(), "LOST_RECORDS");
    assert_eq!(told(&pipeline, &batch), ["i0", "i1", "i2", "i6", "i7"]);
}

#[tokio::test]
async fn a_gzipped_file_is_copied_as_chunked_does_and_the_summary_says_so() {
    let pipeline = pipeline(5);
    let mut gzip = GzEncoder::new(Vec::new(), Compression::fast());
    gzip.write_all(csv(12).as_bytes()).unwrap();
    let (_, summary) = run(&pipeline, "orders.csv.gz", gzip.finish().unwrap()).await;
    assert_eq!((summary.state, counts(&summary)), (BatchState::Succeeded, (12, 12, 0)));
    assert_eq!((summary.variant.as_str(), summary.fallback.as_deref()), ("ranged", Some("chunked")));
    assert_eq!(pipeline.stores.work.keys().len(), 3, "what was kept of its chunks");
    let utf16: Vec<u8> = format!("\u{feff}{}", csv(12)).encode_utf16().flat_map(u16::to_le_bytes).collect();
    let (_, summary) = run(&pipeline, "utf16.csv", utf16).await;
    assert_eq!((counts(&summary), summary.fallback.as_deref()), ((12, 12, 0), Some("chunked")), "another copied file");
    let (_, summary) = run(&pipeline, "orders.csv", csv(12)).await;
    assert_eq!((summary.variant.as_str(), summary.fallback), ("ranged", None));
}

#[tokio::test]
async fn a_record_that_is_too_large_fails_alone_with_its_place() {
    let huge = "x".repeat(7 * 1024 * 1024);
    for (key, text, place) in [
        ("x.csv", format!("itemNo,price\na,1\n{huge},2\nb,3\n"), "line 3:"),
        (
            "x.jsonl",
            format!("{{\"itemNo\":\"a\",\"price\":1}}\n{{\"itemNo\":\"{huge}\"}}\n{{\"itemNo\":\"b\",\"price\":1}}"),
            "line 2",
        ),
        (
            "x.json",
            format!(
                "{{\"records\":[{{\"itemNo\":\"a\",\"price\":1}},\n {{\"itemNo\":\"{huge}\"}},{{\"itemNo\":\"b\",\"price\":1}}]}}"
            ),
            "line 2, column 2",
        ),
    ] {
        let pipeline = pipeline(500);
        let (_, summary) = run(&pipeline, key, text).await;
        assert_eq!((summary.state, counts(&summary)), (BatchState::PartiallyFailed, (3, 2, 1)), "{key}");
        assert!(summary.failures[0].message.starts_with(place), "{:?}", summary.failures);
        assert_eq!(summary.failures[0].index, 1);
    }
}

#[tokio::test]
async fn without_results_a_batch_that_succeeds_is_closed_without_reading_its_input_again() {
    for (results, failed) in [(Results::Failed, true), (Results::None, false)] {
        let pipeline = LocalPipeline::of_items(&Settings { results, ..settings("ranged", 5) }).unwrap();
        let (batch, event) = pipeline.upload("orders.csv", csv(12));
        let (event, batch) = if failed { (event, batch) } else { without_version(&event, &csv(12)) };
        scatter(&pipeline, &event).await;
        process(&pipeline, 10).await;
        // If the input were read again now, it would be missed.
        pipeline.stores.input.upload("orders.csv", "gone");
        assert!(pipeline.run().await.unwrap().is_empty());
        let summary = pipeline.summary(&batch).unwrap();
        assert_eq!((summary.state, counts(&summary)), (BatchState::Succeeded, (12, 12, 0)));
        assert_eq!((summary.results, summary.failed, summary.error), (None, None, None));
        let (batch, summary) = run(&pipeline, "more.csv", csv(12).replace("i7,7.50", "i7,cheap")).await;
        assert_eq!((summary.state, counts(&summary)), (BatchState::PartiallyFailed, (12, 11, 1)));
        assert_eq!(output(&pipeline, &batch, "results.csv"), None);
        assert_eq!(output(&pipeline, &batch, "failed.csv").is_some(), failed);
        assert_eq!(summary.failures[0].index, 7);
    }
}

/// Counts reads and lets other tasks run meanwhile; nothing fails.
#[derive(Clone, Default)]
struct Reads(Arc<AtomicUsize>);

impl Faults for Reads {
    async fn before(&self, call: &'static str) -> Result<()> {
        self.0.fetch_add(usize::from(call == "blob.get_range"), Ordering::Relaxed);
        tokio::task::yield_now().await;
        Ok(())
    }

    async fn after(&self, _: &'static str) -> Result<()> {
        Ok(())
    }

    fn midway(&self, _: &'static str, _: usize) -> Option<usize> {
        None
    }
}

/// A message from before claim checks named their input.
#[tokio::test]
async fn a_claim_check_that_does_not_name_its_input_is_worked_on() {
    let pipeline = pipeline(5);
    let (batch, event) = pipeline.upload("orders.csv", csv(12));
    scatter(&pipeline, &event).await;
    let sent = pipeline.stores.queues[1].receive(10).await.unwrap();
    assert_eq!(sent.len(), 3);
    for delivery in sent {
        let mut message: serde_json::Value = serde_json::from_str(&delivery.body).unwrap();
        let input = message.as_object_mut().unwrap().remove("input").unwrap();
        assert_eq!(input["key"], "orders.csv");
        pipeline.stores.queues[1].send(vec![Outgoing::new(message.to_string())]).await.unwrap();
        pipeline.stores.queues[1].delete(&delivery.receipt).await.unwrap();
    }
    assert!(pipeline.run().await.unwrap().is_empty());
    assert_eq!(counts(&pipeline.summary(&batch).unwrap()), (12, 12, 0));
}

#[tokio::test]
async fn the_header_is_read_once_by_chunks_beside_each_other() {
    let (blob, reads) = (MemoryBlob::default(), Reads::default());
    let version_id = Some(blob.upload("a.csv", "k,n\n1,a\n2,b\n3,c\n"));
    let input = Source { key: "a.csv".to_owned(), version_id, e_tag: None, read_as: None };
    let id = BatchId::parse("a-0123456789ab").unwrap();
    let ranges = Ranges::new(Faulty::new(blob, reads.clone()));
    let claims = [0, 1, 2].map(|n| Claim {
        range: Range { offset: 4 + 4 * n, length: 3, first: n, line: 2 + n, column: 1, header: 4 },
        records: 1,
    });
    let [first, second, third] = claims.each_ref().map(|claim| ranges.read(&id, &input, claim));
    let (first, second, third) = try_join3(first, second, third).await.unwrap();
    for (read, record) in [(first, "1"), (second, "2"), (third, "3")] {
        let Read::Records(entries) = read else { panic!("gone") };
        assert!(entries[0].record.get().starts_with(&format!("{{\"k\":\"{record}\"")), "{entries:?}");
    }
    assert_eq!(reads.0.load(Ordering::Relaxed), 1 + 3);
}
