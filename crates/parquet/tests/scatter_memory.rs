//! A million rows through a whole pipeline whose buckets are folders, in bounded memory.

mod support;

use std::sync::Arc;

use fanfold::intake::s3_event::event_of;
use fanfold::model::ids::{BatchId, Revision};
use fanfold::model::input::InputRef;
use fanfold::pipeline::local::{INPUT, LocalPipeline, LocalStores};
use fanfold::pipeline::variant::Variant;
use fanfold::stage::gather::Results;
use fanfold::store::blob::file::FileBlob;
use fanfold::{Each, Record, Reply, Settings};
use fanfold_parquet::Parquet;
use support::counting::{Counting, begin, peak};
use support::{file, files, footer};

#[global_allocator]
static ALLOCATOR: Counting = Counting;

#[tokio::test]
async fn a_million_rows_go_through_a_pipeline_in_little_memory_above_a_row_group() {
    let group = {
        let footer = footer(&file("million")).unwrap();
        footer.row_groups().iter().map(|group| group.bytes.end - group.bytes.start).max().unwrap()
    };
    let folder = tempfile::tempdir().unwrap();
    let open = |name: &str| FileBlob::open(&folder.path().join(name), name == "input").unwrap();
    let stores = LocalStores {
        input: open("input"),
        work: open("work"),
        output: open("output"),
        counters: Default::default(),
        tasks: Default::default(),
        ledger: Default::default(),
        queues: Default::default(),
        machine: Default::default(),
    };
    let (key, path) = ("million.parquet", files().join("million.parquet"));
    let version = stores.input.adopt(key, &path).unwrap();
    let bytes = std::fs::metadata(&path).unwrap().len();
    let batch = BatchId::of(INPUT, key, &Revision::Version(version.clone()));
    let (bucket, key, version_id) = (INPUT.to_owned(), key.to_owned(), Some(version));
    let input = InputRef { bucket, key, version_id, e_tag: None, bytes, format: None, read_as: None };
    let settings = Settings {
        variant: Some(Variant::named("chunked").unwrap()),
        results: Results::Failed,
        rows: Some(Arc::new(Parquet::default())),
        ..Settings::default()
    };
    let before = begin();
    let accept = Each(|record: Record| async move {
        let even = record.fields["even"].as_bool().unwrap_or_default();
        Ok(if even { Reply::Done(None) } else { Reply::Failed("odd".to_owned()) })
    });
    let pipeline = LocalPipeline::with_stores(&settings, stores, accept).unwrap();
    let summary = pipeline.run_batch(&batch, event_of(&input).unwrap(), || {}).await.unwrap();
    let above = peak() - before;
    println!("{:.1} MiB, of which a row group has {:.1}", mib(above), mib(group as usize));
    assert_eq!((summary.records.total, summary.records.failed), (1_000_000, 500_000), "{:?}", summary.error);
    assert_eq!((summary.chunks.total, summary.failures[0].message.as_str()), (2000, "row 2: odd"));
    assert!(above < group as usize + (64 << 20), "{above}");
}

fn mib(bytes: usize) -> f64 {
    bytes as f64 / f64::from(1 << 20)
}
