//! A pipeline whose records are parts of reports, and what makes their documents.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use fanfold::intake::s3_event::event_of;
use fanfold::model::error::{Error, Result};
use fanfold::model::fold::{Exact, Group, Totals};
use fanfold::model::ids::{BatchId, ChunkIndex};
use fanfold::model::input::InputRef;
use fanfold::model::processing::usage::UsageSettings;
use fanfold::model::reporting::end::{ReportEnd, end_key};
use fanfold::model::reporting::id::ReportId;
use fanfold::model::reporting::part::KEY_FIELD;
use fanfold::model::reporting::request::ReportRequest;
use fanfold::model::summary::Summary;
use fanfold::model::timestamp::Timestamp;
use fanfold::pipeline::local::{LocalPipeline, Settings};
use fanfold::pipeline::variant::Variant;
use fanfold::processor::chain::Chain;
use fanfold::processor::items::WriteItems;
use fanfold::processor::usage::Usage;
use fanfold::stage::consolidate::Consolidate;
use fanfold::stage::{Disposition, deliver};
use fanfold::store::Clock;
use fanfold::store::blob::Blob;
use fanfold::store::blob::memory::MemoryBlob;
use fanfold::store::channel::{Channel, Delivery};
use fanfold::store::clock::SystemClock;
use fanfold::store::counters::Counters;
use fanfold::store::counters::memory::MemoryCounters;
use fanfold::store::items::Items;
use fanfold::store::items::memory::MemoryItems;
use fanfold::store::press::{Press, Printed};
use fanfold::store::testing::press::MemoryPress;
use serde_json::{Value, json};

/// Where people find reports.
pub const PAGE: &str = "https://example.com/reports.html#/";
/// A deadline that never comes.
pub const FOREVER: Timestamp = Timestamp(i64::MAX);
const SCHEMA: &str = r#"{"required":["part"],"properties":{"part":{"type":"string"}}}"#;

/// Counters that cannot be read of some assets.
#[derive(Clone)]
pub struct Meters {
    pub table: MemoryCounters,
    pub broken: Arc<Mutex<BTreeSet<String>>>,
}

impl Meters {
    /// Counters of assets by day: how many records there were, and how much they summed to.
    pub async fn of(counted: &[(&str, &str, u64, &str)]) -> Self {
        let meters = Self { table: MemoryCounters::new(), broken: Arc::default() };
        for (asset, day, count, kwh) in counted {
            meters.count(asset, day, *count, kwh).await;
        }
        meters
    }

    /// From now on, the counters of an asset cannot be read, or can again.
    pub fn set_broken(&self, asset: &str, broken: bool) {
        let mut all = self.broken.lock().unwrap();
        if broken {
            all.insert(asset.to_owned())
        } else {
            all.remove(asset)
        };
    }

    /// Counts more.
    pub async fn count(&self, asset: &str, day: &str, count: u64, kwh: &str) {
        let group = Group::new(vec![asset.to_owned(), day.to_owned()]).unwrap();
        let sums = BTreeMap::from([("kwh".to_owned(), Exact::parse(kwh).unwrap())]);
        let batch = BatchId::parse("metering-000000000000").unwrap();
        let totals = Totals { count, sums, ..Totals::default() };
        self.table.set(&batch, ChunkIndex::FIRST, &[(group, totals)]).await.unwrap();
    }
}

impl Counters for Meters {
    async fn set(&self, batch: &BatchId, chunk: ChunkIndex, rows: &[(Group, Totals)]) -> Result<Vec<usize>> {
        self.table.set(batch, chunk, rows).await
    }

    async fn read(&self, group: &Group) -> Result<Totals> {
        let broken = self.broken.lock().unwrap().contains(&group.values()[0]);
        match broken {
            true => Err(Error::transient("table metering-counters: no connection")),
            false => self.table.read(group).await,
        }
    }

    async fn forget(&self, batch: &BatchId, chunk: ChunkIndex, groups: &[Group]) -> Result<Vec<usize>> {
        self.table.forget(batch, chunk, groups).await
    }
}

/// A press that fails each time.
pub struct Broken(pub Error);

impl Press for Broken {
    async fn print(&self, _data: &str, _document: &str, _patience: Duration) -> Result<Printed> {
        Err(self.0.again())
    }
}

/// A press that does not answer.
pub struct Hanging;

impl Press for Hanging {
    async fn print(&self, _data: &str, _document: &str, _patience: Duration) -> Result<Printed> {
        std::future::pending().await
    }
}

/// A clock that stands still.
#[derive(Clone, Copy)]
pub struct At(pub Timestamp);

impl Clock for At {
    fn now(&self) -> Timestamp {
        self.0
    }

    async fn sleep(&self, _time: Duration) {
        std::future::pending().await
    }

    fn chance(&self) -> f64 {
        0.5
    }
}

/// A pipeline of reports.
pub struct World {
    pub pipeline: LocalPipeline,
    pub rows: MemoryItems,
    pub settings: UsageSettings,
}

impl World {
    pub fn new(variant: Variant, meters: Meters) -> Self {
        let rows = MemoryItems::new();
        Self::with(variant, meters, rows.clone(), rows)
    }

    /// With these counters, and with the `rows` as whoever answers parts writes them.
    pub fn with(variant: Variant, counters: impl Counters, written: impl Items, rows: MemoryItems) -> Self {
        let usage = json!({"counters_of": "metering", "sum": ["kwh"], "keep_hours": 1});
        let usage = UsageSettings::parse(&usage).unwrap();
        let settings = Settings {
            variant: Some(variant),
            schema: SCHEMA.into(),
            key_field: KEY_FIELD.into(),
            chunk_size: 2,
            ..Settings::default()
        };
        let first = Usage { settings: usage.clone(), counters, clock: SystemClock };
        let processor = Chain { first, then: WriteItems::new(written) };
        Self { pipeline: LocalPipeline::new(&settings, processor).unwrap(), rows, settings: usage }
    }

    /// Writes a request and its file, and returns the batch that it will become and its event.
    pub async fn ask(&self, id: u128, assets: &[&str]) -> (ReportId, BatchId, String) {
        self.ask_by(id, assets, None).await
    }

    /// The same, with a deadline: seconds after the beginning of March 3, 2026.
    pub async fn ask_by(&self, id: u128, assets: &[&str], deadline: Option<u32>) -> (ReportId, BatchId, String) {
        let id = ReportId::of_bits(id);
        let mut order = json!({"type": "usage", "from": "2026-02-27", "to": "2026-03-02", "zone": "Europe/Berlin", "assets": assets});
        if let Some(seconds) = deadline {
            order["deadline"] = seconds.into();
        }
        let request = ReportRequest::new(id.clone(), "anna", Timestamp(1_772_500_000_000), order);
        let order = request.order().unwrap();
        let text = serde_json::to_vec(&request).unwrap();
        let input = &self.pipeline.stores.input;
        input.put(&id.request_key(), "application/json", text.into()).await.unwrap();
        let (batch, event) = self.pipeline.upload(&id.file_key(), request.file(&order).unwrap());
        (id, batch, event)
    }

    /// Has the batch of a report worked on until it ends.
    pub async fn run(&self, id: u128, assets: &[&str]) -> Summary {
        let (_, batch, event) = self.ask(id, assets).await;
        self.pipeline.run_batch(&batch, event, || {}).await.unwrap()
    }

    pub fn consolidate(&self, now: Timestamp) -> Consolidate<MemoryBlob, MemoryItems, MemoryPress<MemoryBlob>, At> {
        self.by(MemoryPress { bucket: self.pipeline.stores.output.clone() }, At(now))
    }

    /// What makes documents by another press, at another time.
    pub fn by<P: Press, K: Clock>(&self, press: P, clock: K) -> Consolidate<MemoryBlob, MemoryItems, P, K> {
        let stores = &self.pipeline.stores;
        Consolidate {
            input: stores.input.clone(),
            output: stores.output.clone(),
            rows: self.rows.clone(),
            press,
            clock,
            columns: self.settings.columns(),
            page: Some(PAGE.to_owned()),
        }
    }

    /// Asks for a report and makes its documents.
    pub async fn report(&self, id: u128, assets: &[&str]) -> (Summary, ReportEnd) {
        let summary = self.run(id, assets).await;
        let disposition = deliver(&self.consolidate(SystemClock.now()), &ended(&summary), FOREVER).await;
        assert!(matches!(disposition, Disposition::Done), "{disposition:?}");
        let end = self.end(&summary);
        (summary, end)
    }

    /// The messages that wait for a stage.
    pub async fn take(&self, stage: usize) -> Vec<Delivery> {
        let (queue, mut taken) = (&self.pipeline.stores.queues[stage], Vec::new());
        loop {
            let received = queue.receive(10).await.unwrap();
            if received.is_empty() {
                return taken;
            }
            for delivery in received {
                queue.delete(&delivery.receipt).await.unwrap();
                taken.push(delivery);
            }
        }
    }

    pub fn has_end(&self, summary: &Summary) -> bool {
        self.pipeline.stores.output.read(&end_key(&summary.batch_id, summary.generation)).is_some()
    }

    pub fn end(&self, summary: &Summary) -> ReportEnd {
        let text = self.pipeline.stores.output.read(&end_key(&summary.batch_id, summary.generation)).unwrap();
        serde_json::from_slice(&text).unwrap()
    }

    /// A document of a report that ended.
    pub fn document(&self, end: &ReportEnd, name: &str) -> Vec<u8> {
        let output = end.outputs.iter().find(|output| output.name == name).unwrap();
        let bytes = self.pipeline.stores.output.read(&output.key).unwrap().to_vec();
        assert_eq!(bytes.len() as u64, output.bytes);
        bytes
    }

    pub fn json(&self, end: &ReportEnd) -> Value {
        serde_json::from_slice(&self.document(end, "json")).unwrap()
    }
}

/// The message with which the output bucket tells of a summary.
pub fn ended(summary: &Summary) -> Delivery {
    let (bucket, key) = ("output".to_owned(), summary.batch_id.output_key("summary.json"));
    let created =
        InputRef { bucket, key, version_id: Some("v1".into()), e_tag: None, bytes: 1, format: None, read_as: None };
    let body = event_of(&created).unwrap();
    Delivery { id: "m".into(), receipt: "r".into(), body, attempt: 1, first_received: None }
}
