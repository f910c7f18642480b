//! The work of a batch is bounded: what a file would cost is known, and refused, before a thousandth of it is spent.

use bytes::Bytes;
use fanfold::model::fault::{Fault, FaultCode};
use fanfold::model::format::settings::FormatSettings;
use fanfold::model::ids::BatchId;
use fanfold::model::limits::Limits;
use fanfold::model::message::{RedriveMessage, to_body};
use fanfold::model::price::{S3_WRITE, WRITE_UNIT};
use fanfold::model::progress::{BatchState, Sealing};
use fanfold::model::summary::Summary;
use fanfold::pipeline::local::{LocalPipeline, Settings};
use fanfold::pipeline::variant::{BUILT_IN, Pending, Variant};
use fanfold::store::channel::{Channel, Outgoing};
use fanfold::store::ledger::Ledger;

/// The longest header that can be allowed.
const WIDEST: &str = r#"{"max_header":65536}"#;
const TEN_DOLLARS: &str = r#"{"dollars":10}"#;
const MIB: usize = 1024 * 1024;

fn settings(variant: Variant, limits: &str, format: &str) -> Settings {
    Settings {
        variant: Some(variant),
        key_field: "k".to_owned(),
        limits: Limits::parse(limits).unwrap(),
        format: FormatSettings::parse(format).unwrap(),
        ..Settings::default()
    }
}

/// 64 KiB of column names, and rows of four bytes up to a size: each becomes an item of 64 KB.
fn wide(bytes: usize) -> Bytes {
    let mut text = format!("k,{}\n", "n".repeat(65_500)).into_bytes();
    text.resize(bytes, 0);
    let rows = text.iter().position(|byte| *byte == 0).unwrap();
    text[rows..].as_chunks_mut::<4>().0.iter_mut().for_each(|row| *row = *b"1,2\n");
    let end = text.iter().rposition(|byte| *byte == b'\n').unwrap();
    text.truncate(end + 1);
    text.into()
}

/// What scatter left of a file.
struct Scattered {
    sealing: Sealing,
    claim_checks: usize,
    objects: usize,
}

/// Gives a message to scatter, and nothing to the workers.
async fn scatter(pipeline: &LocalPipeline, batch: &BatchId, message: String) -> Scattered {
    let queues = &pipeline.stores.queues;
    queues[0].send(vec![Outgoing::new(message)]).await.unwrap();
    let delivery = queues[0].receive(1).await.unwrap().remove(0);
    pipeline.handle(0, &delivery).await;
    queues[0].delete(&delivery.receipt).await.unwrap();
    let mut claim_checks = 0;
    loop {
        let received = queues[1].receive(10).await.unwrap();
        if received.is_empty() {
            break;
        }
        claim_checks += received.len();
        for delivery in received {
            queues[1].delete(&delivery.receipt).await.unwrap();
        }
    }
    let sealing = pipeline.stores.ledger.read(batch).await.unwrap().unwrap().sealing.unwrap();
    Scattered { sealing, claim_checks, objects: pipeline.stores.work.keys().len() }
}

async fn scattered(settings: &Settings, key: &str, file: Bytes) -> Scattered {
    let pipeline = LocalPipeline::of_items(settings).unwrap();
    let (batch, event) = pipeline.upload(key, file);
    scatter(&pipeline, &batch, event).await
}

/// The variants that cut a file as it lies there, and as copies.
fn chunked_and_ranged() -> Vec<Variant> {
    BUILT_IN.iter().filter(|variant| ["chunked", "ranged"].contains(&variant.name)).copied().collect()
}

/// The dollars of what was put and sent, as AWS's pages tell them: 65 units an item, and what the chunks need.
fn spent(scattered: &Scattered) -> f64 {
    let records = scattered.sealing.records.unwrap() as f64;
    let objects = 2.0 * scattered.objects as f64 * S3_WRITE.value();
    records * 65.0 * WRITE_UNIT.value() + objects + scattered.claim_checks as f64 * 10.0 * WRITE_UNIT.value()
}

#[tokio::test]
async fn a_wide_header_costs_nothing() {
    for variant in chunked_and_ranged() {
        let left = scattered(&settings(variant, "{}", "{}"), "wide.csv", wide(4 * MIB)).await;
        let fault = left.sealing.error.clone().unwrap();
        assert_eq!((left.sealing.chunks, left.claim_checks, left.objects), (0, 0, 0), "{}", variant.name);
        assert_eq!(fault.code, FaultCode::LimitExceeded);
        assert!(fault.message.contains("take 65508 bytes, and 4096 are allowed"), "{}", fault.message);
    }
}

#[tokio::test]
async fn a_wide_file_ends_before_a_thousandth_of_its_cost_is_spent() {
    for variant in chunked_and_ranged() {
        for size in [4 * MIB, 131 * 1_000_000] {
            let file = wide(size);
            let rows = (file.len() - 65_503) / 4;
            let cost = rows as f64 * 65.0 * WRITE_UNIT.value();
            let left = scattered(&settings(variant, TEN_DOLLARS, WIDEST), "wide.csv", file).await;
            let (spent, fault) = (spent(&left), left.sealing.error.clone().unwrap());
            println!("{} of {size} bytes: {spent:.6} of {cost:.2} dollars, {}", variant.name, fault.message);
            assert_eq!(fault.code, FaultCode::LimitExceeded);
            assert!(fault.message.contains("LIMITS allows "), "{}", fault.message);
            assert!(spent < cost / 1000.0, "{}: {spent} of {cost}", variant.name);
        }
    }
}

/// Rows of a file, of which `names` is the second column's name.
fn rows(names: &str, many: usize) -> String {
    let rows: String = (0..many).map(|n| format!("{n},x\n")).collect();
    format!("k,{names}\n{rows}")
}

#[tokio::test]
async fn no_chunk_weighs_more_than_it_may_whatever_the_names_are() {
    for variant in BUILT_IN.iter().copied() {
        let mut settings = settings(variant, "{}", WIDEST);
        settings.chunk_size = 500;
        for key in ["wide.csv", "wide.csv.gz"] {
            let text = rows(&"n".repeat(65_000), 50);
            let file = if key.ends_with("gz") { gzip(text.as_bytes()) } else { text.into() };
            let left = scattered(&settings, key, file).await;
            let in_a_chunk = if variant.chunk_size(500) == 1 { 1 } else { 16 };
            assert_eq!(left.sealing.chunks, 50_u32.div_ceil(in_a_chunk), "{} {key}", variant.name);
        }
    }
}

fn gzip(bytes: &[u8]) -> Bytes {
    use std::io::Write;
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gzip.write_all(bytes).unwrap();
    gzip.finish().unwrap().into()
}

async fn run(settings: &Settings, key: &str, file: impl Into<Bytes>) -> (Summary, usize) {
    let pipeline = LocalPipeline::of_items(settings).unwrap();
    let summary = pipeline.run_file(key, file).await.unwrap();
    (summary, pipeline.items().all().len())
}

fn is_limited(summary: &Summary) -> Option<&Fault> {
    assert_eq!(summary.state == BatchState::Failed, summary.error.is_some());
    summary.error.as_ref().inspect(|error| assert_eq!(error.code, FaultCode::LimitExceeded, "{}", error.message))
}

#[tokio::test]
async fn the_chunks_before_a_limit_are_processed_and_counted() {
    for variant in BUILT_IN.iter().copied() {
        for key in ["f.csv", "f.csv.gz"] {
            let bytes = |many| if key == "f.csv" { rows("a", many).into() } else { gzip(rows("a", many).as_bytes()) };
            let mut settings = settings(variant, r#"{"records":7}"#, "{}");
            settings.chunk_size = 3;
            let whole = 7 / variant.chunk_size(3) * variant.chunk_size(3);
            let (summary, items) = run(&settings, key, bytes(20)).await;
            let fault = is_limited(&summary).unwrap_or_else(|| panic!("{} takes all", variant.name));
            assert!(fault.message.contains(" 7"), "{}", fault.message);
            assert_eq!((summary.records.succeeded as usize, items), (whole, whole), "{} {key}", variant.name);
            let (summary, items) = run(&settings, key, bytes(7)).await;
            assert_eq!((is_limited(&summary), items), (None, 7), "{} {key}", variant.name);
        }
    }
}

#[tokio::test]
async fn a_header_is_no_sign_of_more_records() {
    for variant in BUILT_IN.iter().copied() {
        let mut settings = settings(variant, r#"{"records":7}"#, "{}");
        settings.chunk_size = 3;
        let (summary, items) = run(&settings, "f.csv", rows(&"n".repeat(4000), 7)).await;
        assert_eq!((is_limited(&summary), items), (None, 7), "{}", variant.name);
    }
}

#[tokio::test]
async fn a_scatter_that_is_repeated_cuts_the_same() {
    for variant in chunked_and_ranged() {
        let settings = Settings { chunk_size: 4, ..settings(variant, r#"{"writtenBytes":3000}"#, "{}") };
        let all = [rows("a", 200), rows("a", 200)];
        let mut sealed = Vec::new();
        for text in all {
            let Sealing { records, chunks, error, .. } = scattered(&settings, "f.csv", text.into()).await.sealing;
            sealed.push((records, chunks, error));
        }
        assert!(sealed[0] == sealed[1] && sealed[0].1 > 1 && sealed[0].2.is_some(), "{sealed:?}");
    }
}

#[tokio::test]
async fn a_redrive_and_many_objects_are_limited_alike() {
    for variant in BUILT_IN.iter().filter(|variant| variant.pending != Pending::Table).copied() {
        // None of the rows is a number.
        let schema = r#"{"properties":{"a":{"type":"number"}}}"#.to_owned();
        let mut settings = Settings { schema, chunk_size: 2, ..settings(variant, "{}", "{}") };
        let pipeline = LocalPipeline::of_items(&settings).unwrap();
        let (batch, event) = pipeline.upload("f.csv", rows("a", 9));
        pipeline.run_batch(&batch, event, || {}).await.unwrap();
        settings.limits = Limits::of_records(6);
        let later = LocalPipeline::sharing(&settings, pipeline.stores.clone(), processor()).unwrap();
        let again = batch.in_generation(1);
        let left = scatter(&later, &again, to_body(&RedriveMessage::new(again.clone()))).await;
        assert_eq!((left.sealing.records, left.sealing.error.unwrap().code), (Some(6), FaultCode::LimitExceeded));
        let many = LocalPipeline::of_items(&settings).unwrap();
        for name in ["a.csv", "b.csv", "c.csv"] {
            many.stores.input.upload(name, rows("a", 3));
        }
        let list = r#"["s3://input/a.csv","s3://input/b.csv","s3://input/c.csv"]"#;
        let (batch, event) = many.upload("all.manifest.json", list);
        let left = scatter(&many, &batch, event).await;
        assert_eq!((left.sealing.records, left.sealing.error.unwrap().code), (Some(6), FaultCode::LimitExceeded));
    }
}

fn processor() -> fanfold::processor::items::WriteItems<fanfold::store::items::memory::MemoryItems> {
    fanfold::processor::items::WriteItems::new(fanfold::store::items::memory::MemoryItems::new())
}
