//! What process does with the records of one chunk before it writes them: validate, and build items.

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use fanfold::model::format::Layout;
use fanfold::model::ids::BatchId;
use fanfold::model::item::Item;
use fanfold::model::own::OwnAttributes;
use fanfold::model::record::Entry;
use fanfold::model::schema::RecordSchema;
use fanfold::model::timestamp::Timestamp;
use fanfold_aws::items::put_requests;
use serde_json::json;
use serde_json::value::to_raw_value;

const RECORDS: u64 = 500;

fn entry(n: u64) -> Entry {
    let row = json!({"itemNo": format!("A-{n}"), "name": "Teekanne, weiß", "price": format!("{n}.50"), "note": ""});
    Entry::decoded(n, to_raw_value(&row).expect("a row"))
}

fn item(schema: &RecordSchema, entry: &Entry, batch: &BatchId) -> Item {
    let valid = schema.check(entry, Layout::Csv).expect("a valid row");
    let (key, fields) = (valid.key, valid.fields);
    Item {
        key,
        fields,
        batch: batch.clone(),
        index: entry.index,
        updated_at: Timestamp(1_700_000_000_000),
        sequence: Timestamp(0),
    }
}

fn benchmarks(criterion: &mut Criterion) {
    let schema = include_str!("../examples/orders.schema.json");
    let schema = RecordSchema::parse(schema, "itemNo").expect("a good schema");
    let batch = BatchId::parse("orders-0123456789ab").expect("a batch id");
    let entries: Vec<Entry> = (0..RECORDS).map(entry).collect();
    let items: Vec<Item> = entries.iter().map(|entry| item(&schema, entry, &batch)).collect();
    let bytes: usize = entries.iter().map(|entry| entry.record.get().len()).sum();

    for (unit, throughput) in [("bytes", Throughput::Bytes(bytes as u64)), ("records", Throughput::Elements(RECORDS))] {
        let mut group = criterion.benchmark_group(format!("process {unit}"));
        group.throughput(throughput);
        group.bench_function("validate", |b| {
            b.iter(|| entries.iter().filter(|entry| schema.check(black_box(entry), Layout::Csv).is_ok()).count());
        });
        group.bench_function("build item writes", |b| {
            b.iter(|| {
                let batches =
                    black_box(&items).chunks(25).map(|items| put_requests(items, "itemNo", &OwnAttributes::default()));
                batches.map(|requests| requests.expect("complete items").len()).sum::<usize>()
            });
        });
        group.finish();
    }
}

criterion_group!(benches, benchmarks);
criterion_main!(benches);
