//! What counters cost: the requests of a batch with items and counters, beside those of the items alone.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use fanfold::batch::view::{Around, view};
use fanfold::intake::s3_event::event_of;
use fanfold::model::error::Result;
use fanfold::model::ids::{BatchId, Revision};
use fanfold::model::input::InputRef;
use fanfold::model::item::Item;
use fanfold::model::processing::aggregate::AggregateSettings;
use fanfold::model::reason::MOST_REASONS;
use fanfold::pipeline::local::{INPUT, LocalPipeline, Memory, Settings};
use fanfold::pipeline::variant::{BUILT_IN, Unit, Variant};
use fanfold::pipeline::{Bucket, Queue, Supply};
use fanfold::processor::items::WriteItems;
use fanfold::store::blob::memory::MemoryBlob;
use fanfold::store::channel::memory::MemoryChannel;
use fanfold::store::clock::SystemClock;
use fanfold::store::counters::memory::MemoryCounters;
use fanfold::store::faults::{Faults, Faulty};
use fanfold::store::items::memory::MemoryItems;
use fanfold::store::items::{Items, WriteReport};
use fanfold::store::ledger::memory::MemoryLedger;
use fanfold::store::tasks::memory::MemoryTasks;
use fanfold::store::{Clock, Stores};
use serde_json::json;

/// Records of a file, sorted by group; a tenth of the million for which the ratio was measured first. `FANFOLD_RECORDS`
/// gives another number.
const RECORDS: usize = 100_000;
const OF_A_GROUP: usize = 100;

/// Counts calls, none of which fails.
#[derive(Clone, Default)]
struct Count(Arc<Mutex<BTreeMap<&'static str, u64>>>);

impl Faults for Count {
    async fn before(&self, call: &'static str) -> Result<()> {
        *self.0.lock().unwrap().entry(call).or_default() += 1;
        Ok(())
    }

    async fn after(&self, _call: &'static str) -> Result<()> {
        Ok(())
    }

    fn midway(&self, _call: &'static str, _many: usize) -> Option<usize> {
        None
    }
}

struct CountedStores;

impl Stores for CountedStores {
    type Blob = Faulty<MemoryBlob, Count>;
    type Channel = MemoryChannel;
    type Tasks = Faulty<MemoryTasks, Count>;
    type Counters = Faulty<MemoryCounters, Count>;
    type Ledger = Faulty<MemoryLedger, Count>;
    type Clock = SystemClock;
}

#[derive(Clone, Default)]
struct Counting {
    stores: Memory,
    count: Count,
}

impl Counting {
    fn counted<T>(&self, store: T) -> Faulty<T, Count> {
        Faulty::new(store, self.count.clone())
    }
}

impl Supply for Counting {
    type Stores = CountedStores;

    fn bucket(&self, bucket: Bucket) -> Result<Faulty<MemoryBlob, Count>> {
        Ok(self.counted(self.stores.bucket(bucket)?))
    }

    fn queue(&self, queue: Queue) -> Result<MemoryChannel> {
        self.stores.queue(queue)
    }

    fn tasks(&self) -> Result<Faulty<MemoryTasks, Count>> {
        Ok(self.counted(self.stores.tasks()?))
    }

    fn counters(&self) -> Result<Faulty<MemoryCounters, Count>> {
        Ok(self.counted(self.stores.counters()?))
    }

    fn ledger(&self) -> Faulty<MemoryLedger, Count> {
        self.counted(self.stores.ledger())
    }

    fn clock(&self) -> SystemClock {
        SystemClock
    }
}

/// An items table that takes as many items in a request as DynamoDB.
struct InBatches(MemoryItems);

impl Items for InBatches {
    fn most(&self) -> usize {
        25
    }

    async fn write(&self, items: &[Item]) -> Result<WriteReport> {
        self.0.write(items).await
    }

    async fn read(&self, key: &str) -> Result<Option<Item>> {
        self.0.read(key).await
    }
}

/// The requests of a batch, by kind.
async fn requests(variant: Variant, aggregate: Option<AggregateSettings>, file: &str) -> BTreeMap<&'static str, u64> {
    let counting = Counting::default();
    let settings = Settings { variant: Some(variant), aggregate, ..Settings::default() };
    let items = counting.counted(InBatches(MemoryItems::new()));
    let pipeline = LocalPipeline::with_stores(&settings, counting.clone(), WriteItems::new(items)).unwrap();
    let bytes = file.len() as u64;
    let version = counting.stores.input.upload("a.csv", file.to_owned());
    let (bucket, key, version_id) = (INPUT.to_owned(), "a.csv".to_owned(), Some(version.clone()));
    let input = InputRef { bucket, key, version_id, e_tag: None, bytes, format: None, read_as: None };
    let batch = BatchId::of(INPUT, "a.csv", &Revision::Version(version));
    let summary = pipeline.run_batch(&batch, event_of(&input).unwrap(), || {}).await.unwrap();
    assert_eq!(summary.records.failed, 0);
    let count = counting.count.0.lock().unwrap().clone();
    let groups = counting.stores.counters.totals();
    assert_eq!(groups.values().map(|totals| totals.count).sum::<u64>() > 0, settings.aggregate.is_some());
    count
}

#[tokio::test]
async fn counters_cost_few_requests_if_a_file_is_sorted_by_group() {
    let records = std::env::var("FANFOLD_RECORDS").map_or(RECORDS, |many| many.parse().unwrap());
    let rows = (0..records).map(|n| format!("{n},client {:05},{}.25\n", n / OF_A_GROUP, n % 97));
    let file = format!("id,client,quantity\n{}", rows.collect::<String>());
    let settings = json!({"group_by": ["client"], "sum": ["quantity"], "max": ["quantity"]});
    for variant in BUILT_IN.iter().filter(|variant| variant.unit == Unit::Chunk && variant.name != "notification") {
        let alone = requests(*variant, None, &file).await;
        let both = requests(*variant, Some(AggregateSettings::parse(&settings).unwrap()), &file).await;
        let [before, after] = [&alone, &both].map(|calls| calls.values().sum::<u64>());
        let ratio = after as f64 / before as f64;
        println!(
            "{}: {before} requests alone, {after} with counters, {ratio:.3} times\n{alone:?}\n{both:?}",
            variant.name
        );
        assert!(ratio <= 1.1, "{}: {alone:?}, and with counters {both:?}", variant.name);
    }
}

#[tokio::test]
async fn records_that_fail_for_many_reasons_cost_few_requests() {
    // Each record has a field of its own that is wrong; its name has no digits, which a reason leaves out.
    let word =
        |n: usize| -> String { format!("{n:03}").bytes().map(|digit| char::from(digit - b'0' + b'a')).collect() };
    let schema = r#"{"patternProperties":{"^x":{"type":"number"}}}"#.to_owned();
    let counting = Counting::default();
    let settings = Settings { schema, chunk_size: 100, ..Settings::default() };
    let items = counting.counted(InBatches(MemoryItems::new()));
    let pipeline = LocalPipeline::with_stores(&settings, counting.clone(), WriteItems::new(items)).unwrap();
    let rows: String = (0..500).map(|n| format!("{{\"id\":{n},\"x{}\":true}}\n", word(n))).collect();
    let bytes = rows.len() as u64;
    let version = counting.stores.input.upload("a.jsonl", rows);
    let (bucket, key, version_id) = (INPUT.to_owned(), "a.jsonl".to_owned(), Some(version.clone()));
    let input = InputRef { bucket, key, version_id, e_tag: None, bytes, format: None, read_as: None };
    let batch = BatchId::of(INPUT, "a.jsonl", &Revision::Version(version));
    pipeline.run_batch(&batch, event_of(&input).unwrap(), || {}).await.unwrap();
    let count = counting.count.0.lock().unwrap().clone();
    let seen = view(&counting.stores.ledger, &batch, &Around::default(), SystemClock.now()).await.unwrap().unwrap();
    assert_eq!(seen.failures.iter().map(|group| group.count).sum::<u64>(), 500);
    assert_eq!((seen.failures.len(), seen.failures[0].reason.as_str()), (MOST_REASONS + 1, "other reasons"));
    // Sixteen of each chunk until there is no place for more, which each of the five chunks may have to be told.
    assert!((1..=5).contains(&count["ledger.overview"]), "{count:?}");
    assert_eq!(count["ledger.note_reason"], MOST_REASONS as u64 + count["ledger.overview"]);
}
