//! The reader of scatter: what it asks for, and what a scatter that is repeated makes of it.

mod support;

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::ops::Range;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use fanfold::intake::s3_event::event_of;
use fanfold::model::ids::{BatchId, Revision};
use fanfold::model::input::InputRef;
use fanfold::model::record::Entry;
use fanfold::model::summary::Summary;
use fanfold::pipeline::local::{INPUT, LocalPipeline, LocalStores, Settings};
use fanfold::pipeline::variant::Variant;
use fanfold::processor::items::WriteItems;
use fanfold::stage::scatter::rows::{RandomAccess, RowReader};
use fanfold::store::blob::memory::MemoryBlob;
use fanfold::store::faults::{Faults, Faulty, fault};
use fanfold::store::items::memory::MemoryItems;
use fanfold::{Error, Result};
use fanfold_parquet::Parquet;
use futures::TryStreamExt;
use futures::future::{BoxFuture, FutureExt};
use support::{file, footer};

/// A file that notes what is read of it.
struct Noted(Bytes, Arc<Mutex<Vec<u64>>>);

impl RandomAccess for Noted {
    fn size(&self) -> u64 {
        self.0.len() as u64
    }

    fn read(&self, range: Range<u64>) -> BoxFuture<'_, Result<Bytes>> {
        self.1.lock().unwrap().push(range.end - range.start);
        std::future::ready(Ok(self.0.slice(range.start as usize..range.end as usize))).boxed()
    }
}

/// How many entries there are, and what they are: a million would take much room.
#[derive(Default)]
struct Seen(u64, DefaultHasher);

impl Seen {
    fn add(&mut self, entry: &Entry) {
        assert_eq!(entry.index, self.0);
        self.0 += 1;
        (entry.record.get(), &entry.fault).hash(&mut self.1);
    }
}

/// The entries of a file, why there are no more, and how many bytes each read had.
async fn read(parquet: Parquet, bytes: &Bytes) -> (Seen, Option<String>, Vec<u64>) {
    let reads = Arc::default();
    let noted = Box::new(Noted(bytes.clone(), Arc::clone(&reads)));
    let (mut entries, mut told) = (Seen::default(), None);
    let mut stream = parquet.entries(noted, 0);
    while let Some(entry) = stream.try_next().await.unwrap() {
        assert!(told.is_none(), "a fault is the last");
        match entry {
            Ok(entry) => entries.add(&entry),
            Err(fault) => told = Some(fault.message),
        }
    }
    drop(stream);
    (entries, told, Arc::into_inner(reads).unwrap().into_inner().unwrap())
}

#[tokio::test]
async fn each_row_group_is_read_once_and_small_ones_together() {
    let bytes = file("million");
    let (entries, told, reads) = read(Parquet::default(), &bytes).await;
    assert_eq!((entries.0, told), (1_000_000, None));
    let groups = footer(&bytes).unwrap().row_groups().len();
    assert!(reads.len() <= groups + 2, "{reads:?}");
    assert!(reads.iter().sum::<u64>() < bytes.len() as u64 * 3 / 2, "{reads:?}");
    let (entries, _, reads) = read(Parquet::default(), &file("row_groups_of_one")).await;
    assert_eq!((entries.0, reads.len()), (50, 2), "the footer, and fifty row groups: {reads:?}");
}

#[tokio::test]
async fn a_large_row_group_is_read_by_its_pages_and_makes_the_same_entries() {
    let bytes = file("million");
    let (whole, ..) = read(Parquet::default(), &bytes).await;
    let memory = 20_700_000;
    let (entries, told, reads) = read(Parquet::with_memory(memory), &bytes).await;
    assert_eq!((entries.0, told), (1_000_000, None));
    assert_eq!((whole.0, entries.1.finish()), (1_000_000, whole.1.finish()));
    let group = footer(&bytes).unwrap().row_groups()[0].compressed;
    assert!(group > memory * 2 / 5 && reads.iter().all(|read| *read < group / 2), "{reads:?}");
}

#[tokio::test]
async fn what_does_not_fit_into_memory_is_a_fault_of_the_file() {
    let (entries, told, _) = read(Parquet::with_memory(1 << 20), &file("million")).await;
    let told = told.unwrap();
    assert!(entries.0 == 0 && told.contains("write smaller row groups and pages"), "{told}");
    // Without an offset index, all of a row group is needed.
    let (entries, told, _) = read(Parquet::with_memory(8 << 10), &file("types_zstd_v2_delta")).await;
    let told = told.unwrap();
    assert!(entries.0 == 0 && told.starts_with("reading row group 0 takes "), "{told}");
}

#[tokio::test]
async fn an_error_of_the_store_is_none_of_the_file() {
    struct Gone;
    impl RandomAccess for Gone {
        fn size(&self) -> u64 {
            1000
        }
        fn read(&self, _: Range<u64>) -> BoxFuture<'_, Result<Bytes>> {
            std::future::ready(Err(Error::conflict("overwritten"))).boxed()
        }
    }
    let parquet = Parquet::default();
    let error = parquet.entries(Box::new(Gone), 0).try_next().await.unwrap_err();
    assert_eq!(error.to_string(), "overwritten");
}

/// Fails one write of a chunk, or loses connections.
#[derive(Clone, Default)]
struct Once {
    puts: Arc<AtomicU32>,
    fail: u32,
    lossy: bool,
    bodies: Arc<AtomicU32>,
}

impl Faults for Once {
    async fn before(&self, call: &'static str) -> Result<()> {
        let failing = call == "blob.put" && self.puts.fetch_add(1, Relaxed) + 1 == self.fail;
        if failing { Err(fault(call)) } else { Ok(()) }
    }

    async fn after(&self, _: &'static str) -> Result<()> {
        Ok(())
    }

    fn midway(&self, call: &'static str, many: usize) -> Option<usize> {
        let lost = self.lossy && call == "blob.body" && self.bodies.fetch_add(1, Relaxed).is_multiple_of(3);
        lost.then_some(many / 2)
    }
}

type Store = Faulty<MemoryBlob, Once>;

/// What is left of each chunk of a batch, and its summary.
async fn chunks(fail: u32) -> (BTreeMap<String, Bytes>, Summary) {
    let faults = Once { fail, ..Once::default() };
    let store = |faults: &Once| Faulty::new(MemoryBlob::default(), faults.clone());
    let stores: LocalStores<Store> = LocalStores {
        input: store(&Once { lossy: fail > 0, ..Once::default() }),
        work: store(&faults),
        output: store(&Once::default()),
        counters: Default::default(),
        tasks: Default::default(),
        ledger: Default::default(),
        queues: Default::default(),
        machine: Default::default(),
    };
    let (key, bytes) = ("pages.parquet", file("pages"));
    let size = bytes.len() as u64;
    let version = stores.input.store.upload(key, bytes);
    let batch = BatchId::of(INPUT, key, &Revision::Version(version.clone()));
    let (bucket, key, version_id) = (INPUT.to_owned(), key.to_owned(), Some(version));
    let input = InputRef { bucket, key, version_id, e_tag: None, bytes: size, format: None, read_as: None };
    let settings = Settings {
        variant: Some(Variant::named("chunked").unwrap()),
        key_field: "int64".to_owned(),
        chunk_size: 64,
        rows: Some(Arc::new(Parquet::default())),
        ..Settings::default()
    };
    let work = stores.work.store.clone();
    let pipeline = LocalPipeline::with_stores(&settings, stores, WriteItems::new(MemoryItems::new())).unwrap();
    let summary = pipeline.run_batch(&batch, event_of(&input).unwrap(), || {}).await.unwrap();
    let done = work.keys().into_iter().filter_map(|key| {
        let (_, chunk) = key.split_once("/done/")?;
        Some((chunk.to_owned(), work.read(&key)?))
    });
    assert!(fail == 0 || faults.puts.load(Relaxed) > fail);
    (done.collect(), summary)
}

#[tokio::test]
async fn a_scatter_that_fails_midway_cuts_the_same_chunks_when_it_is_repeated() {
    let (expected, summary) = chunks(0).await;
    assert_eq!((expected.len(), summary.records.total), (79, 5000));
    for fail in [1, 2, 30, 79] {
        let (cut, again) = chunks(fail).await;
        assert!(cut == expected && again.records == summary.records, "write {fail} failed");
    }
}
