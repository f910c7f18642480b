//! Reading input files: decoding, finding chunks, and validating, compared with crates that do the same without
//! what a pipeline needs.

use std::hint::black_box;

use criterion::{BenchmarkGroup, Criterion, Throughput, criterion_group, criterion_main, measurement::WallTime};
use fanfold::format::Decoder;
use fanfold::format::scan::Scanner;
use fanfold::model::format::{InputFormat, Layout};
use fanfold::model::schema::RecordSchema;
use serde_json::Value;

const RECORDS: u64 = 20_000;
/// The approximate size of the pieces that S3 delivers.
const PIECE: usize = 64 * 1024;
const KEY_FIELD: &str = "itemNo";
/// As in the pipeline's chunks.
const CHUNK_SIZE: usize = 500;
const CHUNK_BYTES: usize = 1024 * 1024;

const ORDERS: &str = include_str!("../examples/orders.csv");
const SCHEMA: &str = include_str!("../examples/orders.schema.json");

fn csv() -> String {
    let rows: String = (0..RECORDS).map(|n| format!("A-{n},\"Teekanne, weiß {n}\",{n}.50,EUR,leave it\n")).collect();
    format!("itemNo,name,price,currency,note\n{rows}")
}

/// The example's rows, repeated: some are quoted, some are not ASCII, a few contain line ends.
fn orders() -> String {
    let (header, rows) = ORDERS.split_once('\n').expect("a header");
    let mut text = format!("{header}\n");
    while text.len() < 2 * 1024 * 1024 {
        text.push_str(rows);
    }
    text
}

fn plain() -> String {
    let rows: String =
        (0..RECORDS).map(|n| format!("A-{n:05},Espresso cup,{},{n}.50,EUR,gift wrap\n", n % 12)).collect();
    format!("itemNo,name,quantity,price,currency,note\n{rows}")
}

fn quoted() -> String {
    let row = |n| {
        format!(
            "\"A-{n:05}\",\"Bowl \"\"Hygge\"\", weiß\",\"{}\",\"{n}.50\",\"EUR\",\"no plastic, please\"\r\n",
            n % 12
        )
    };
    let rows: String = (0..RECORDS).map(row).collect();
    format!("itemNo,name,quantity,price,currency,note\r\n{rows}")
}

fn object(n: u64) -> String {
    format!(r#"{{"itemNo":"A-{n}","name":"Teekanne, weiß {n}","price":{n}.50,"currency":"EUR","note":"leave it"}}"#)
}

fn documents() -> [(&'static str, String); 2] {
    let objects: Vec<String> = (0..RECORDS).map(object).collect();
    [("orders.json", format!("{{\"records\":[{}]}}", objects.join(",\n"))), ("orders.jsonl", objects.join("\n"))]
}

fn format_of(name: &str) -> InputFormat {
    InputFormat::of_key(name).expect("a known name")
}

fn decode(name: &str, text: &str) -> usize {
    decode_each(name, text, |_| ())
}

fn decode_each(name: &str, text: &str, mut each: impl FnMut(&fanfold::model::record::Entry)) -> usize {
    let mut decoder = Decoder::new(&format_of(name), KEY_FIELD);
    let (mut entries, mut count) = (Vec::new(), 0);
    for piece in text.as_bytes().chunks(PIECE) {
        decoder.push(piece, &mut entries).expect("a good file");
        count += entries.len();
        entries.drain(..).for_each(|entry| each(&entry));
    }
    decoder.finish(&mut entries).expect("a good file");
    entries.iter().for_each(each);
    count + entries.len()
}

fn scan(layout: Layout, text: &str) -> usize {
    let mut scanner = Scanner::new(&InputFormat::plain(layout), KEY_FIELD, CHUNK_SIZE, CHUNK_BYTES);
    let mut claims = Vec::new();
    for piece in text.as_bytes().chunks(PIECE) {
        scanner.push(piece, &mut claims).expect("a good file");
    }
    scanner.finish(&mut claims).expect("a good file");
    claims.iter().map(|claim| claim.records as usize).sum()
}

/// The fastest way to use the csv crate, according to its documentation: one record for all rows.
fn byte_records(text: &str) -> usize {
    let mut reader = csv::ReaderBuilder::new().flexible(true).from_reader(text.as_bytes());
    let (mut record, mut count) = (csv::ByteRecord::new(), 0);
    while reader.read_byte_record(&mut record).expect("bytes in memory") {
        count += 1;
    }
    count
}

fn csv_values(text: &str) -> usize {
    let mut reader = csv::Reader::from_reader(text.as_bytes());
    reader
        .deserialize()
        .map(|row: csv::Result<std::collections::HashMap<String, String>>| row.expect("a row"))
        .map(black_box)
        .count()
}

fn json_values(text: &str) -> usize {
    #[derive(serde::Deserialize)]
    struct Document {
        records: Vec<Value>,
    }
    serde_json::from_str::<Document>(text).expect("a document").records.len()
}

fn jsonl_values(text: &str) -> usize {
    text.lines().map(|line| serde_json::from_str::<Value>(line).expect("an object")).map(black_box).count()
}

fn group<'a>(criterion: &'a mut Criterion, name: &str, text: &str) -> BenchmarkGroup<'a, WallTime> {
    let mut group = criterion.benchmark_group(name);
    group.throughput(Throughput::Bytes(text.len() as u64));
    group
}

fn decoding(criterion: &mut Criterion) {
    let [json, jsonl] = documents();
    for (name, text) in [("orders.csv", csv()), json, jsonl] {
        assert_eq!(decode(name, &text) as u64, RECORDS);
        for (unit, throughput) in
            [("bytes", Throughput::Bytes(text.len() as u64)), ("records", Throughput::Elements(RECORDS))]
        {
            let mut group = criterion.benchmark_group(format!("decode {unit}"));
            group.throughput(throughput);
            group.bench_function(name, |b| b.iter(|| decode(black_box(name), black_box(&text))));
            group.finish();
        }
    }
}

fn scanning(criterion: &mut Criterion) {
    for (name, text) in [("plain", plain()), ("orders", orders()), ("quoted", quoted())] {
        assert_eq!(scan(Layout::Csv, &text), byte_records(&text));
        let mut group = group(criterion, "boundary scan", &text);
        group.bench_function(format!("csv {name}"), |b| b.iter(|| scan(Layout::Csv, black_box(&text))));
        group.bench_function(format!("csv {name}, ByteRecord loop"), |b| b.iter(|| byte_records(black_box(&text))));
        group.finish();
    }
    for (name, text) in documents() {
        let layout = format_of(name).layout;
        assert_eq!(scan(layout, &text) as u64, RECORDS);
        let mut group = group(criterion, "boundary scan", &text);
        group.bench_function(name, |b| b.iter(|| scan(layout, black_box(&text))));
        group.finish();
    }
}

fn validating(criterion: &mut Criterion) {
    type Alone = fn(&str) -> usize;
    let schema = RecordSchema::parse(SCHEMA, KEY_FIELD).expect("the example's schema");
    let [(json, document), (jsonl, lines)] = documents();
    let files: [(&str, String, &str, Alone); 3] = [
        ("orders.csv", csv(), "csv alone", csv_values),
        (json, document, "serde_json alone", json_values),
        (jsonl, lines, "serde_json alone", jsonl_values),
    ];
    for (name, text, other, alone) in files {
        let layout = format_of(name).layout;
        let validate = |text: &str| {
            decode_each(name, text, |entry| {
                black_box(schema.check(entry, layout).expect("a valid record"));
            })
        };
        assert_eq!((validate(&text), alone(&text)), (20_000, 20_000));
        let mut group = group(criterion, "decode and validate", &text);
        group.bench_function(name, |b| b.iter(|| validate(black_box(&text))));
        group.bench_function(format!("{name}, {other}"), |b| b.iter(|| alone(black_box(&text))));
        group.finish();
    }
}

criterion_group!(benches, decoding, scanning, validating);
criterion_main!(benches);
