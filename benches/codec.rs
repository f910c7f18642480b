//! Decoding of input files: bytes and records a second, by layout.

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use fanfold::codec::Decoder;
use fanfold::model::format::InputFormat;

const RECORDS: u64 = 20_000;
/// What S3 hands on at a time, more or less.
const PIECE: usize = 64 * 1024;

fn csv() -> String {
    let rows: String = (0..RECORDS).map(|n| format!("A-{n},\"Teekanne, weiß {n}\",{n}.50,EUR,leave it\n")).collect();
    format!("itemNo,name,price,currency,note\n{rows}")
}

fn object(n: u64) -> String {
    format!(r#"{{"itemNo":"A-{n}","name":"Teekanne, weiß {n}","price":{n}.50,"currency":"EUR","note":"leave it"}}"#)
}

fn decode(name: &str, text: &str) -> usize {
    let format = InputFormat::of_key(name).expect("a known name");
    let mut decoder = Decoder::new(format, "itemNo");
    let (mut entries, mut count) = (Vec::new(), 0);
    for piece in text.as_bytes().chunks(PIECE) {
        decoder.push(piece, &mut entries).expect("a good file");
        count += entries.len();
        entries.clear();
    }
    decoder.finish(&mut entries).expect("a good file");
    count + entries.len()
}

fn benchmarks(criterion: &mut Criterion) {
    let objects: Vec<String> = (0..RECORDS).map(object).collect();
    let files = [
        ("orders.csv", csv()),
        ("orders.json", format!("{{\"records\":[{}]}}", objects.join(",\n"))),
        ("orders.jsonl", objects.join("\n")),
    ];
    for (name, text) in &files {
        assert_eq!(decode(name, text) as u64, RECORDS);
        for (unit, throughput) in
            [("bytes", Throughput::Bytes(text.len() as u64)), ("records", Throughput::Elements(RECORDS))]
        {
            let mut group = criterion.benchmark_group(format!("decode {unit}"));
            group.throughput(throughput);
            group.bench_function(*name, |b| b.iter(|| decode(black_box(name), black_box(text))));
            group.finish();
        }
    }
}

criterion_group!(benches, benchmarks);
criterion_main!(benches);
