//! Merging the chunks' results into the outputs, without stores.

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use fanfold::model::format::{InputFormat, Layout};
use fanfold::model::record::{Entry, Outcome};
use fanfold::render::records::{Kind, Source, render};
use serde_json::json;
use serde_json::value::to_raw_value;

const RECORDS: u64 = 10_000;

/// The lines of the chunks' results, as gather reads them.
fn results() -> String {
    let line = |n: u64| {
        let row = json!({"itemNo": format!("A-{n}"), "name": "Teekanne, weiß", "price": format!("{n}.50"), "note": ""});
        let entry = Entry::decoded(n, to_raw_value(&row).expect("a row"));
        let outcome = Outcome::of(entry, n.is_multiple_of(100).then(|| "price: too high".to_owned()));
        serde_json::to_string(&outcome).expect("a line") + "\n"
    };
    (0..RECORDS).map(line).collect()
}

fn merge(lines: &str, layout: Layout) -> usize {
    let columns = ["itemNo", "name", "price", "note"].map(str::to_owned).to_vec();
    let source = Source { format: InputFormat::plain(layout), columns, head: None };
    let mut encoders = [Kind::Results, Kind::Failed].map(|kind| render(kind, &source));
    let mut outputs = [Vec::new(), Vec::new()];
    for line in lines.lines() {
        let outcome: Outcome = serde_json::from_str(line).expect("an outcome");
        let wanted = [true, !outcome.response.success];
        for ((encoder, output), _) in encoders.iter_mut().zip(&mut outputs).zip(wanted).filter(|(_, wanted)| *wanted) {
            encoder.add(&outcome, output).expect("a readable outcome");
        }
    }
    outputs.map(|output| output.len()).into_iter().sum()
}

fn copy(lines: &str) -> usize {
    let mut output = Vec::new();
    for line in lines.lines() {
        output.extend_from_slice(line.as_bytes());
        output.push(b'\n');
    }
    output.len()
}

fn benchmarks(criterion: &mut Criterion) {
    let lines = results();
    for (unit, throughput) in
        [("bytes", Throughput::Bytes(lines.len() as u64)), ("records", Throughput::Elements(RECORDS))]
    {
        let mut group = criterion.benchmark_group(format!("merge {unit}"));
        group.throughput(throughput);
        // The minimum: the same bytes, line by line, into another buffer.
        group.bench_function("plain copy", |b| b.iter(|| copy(black_box(&lines))));
        for layout in [Layout::Csv, Layout::Json, Layout::Jsonl] {
            group.bench_function(layout.extension(), |b| b.iter(|| merge(black_box(&lines), layout)));
        }
        group.finish();
    }
}

criterion_group!(benches, benchmarks);
criterion_main!(benches);
