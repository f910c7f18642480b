//! Files of several writers, through whole pipelines.

mod support;

use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use fanfold::model::fault::FaultCode;
use fanfold::model::message::RedriveMessage;
use fanfold::model::progress::BatchState;
use fanfold::model::record::Response;
use fanfold::model::summary::Summary;
use fanfold::pipeline::local::{LocalPipeline, Settings};
use fanfold::pipeline::variant::{BUILT_IN, Unit, Variant};
use fanfold::store::channel::{Channel, Outgoing};
use fanfold_parquet::Parquet;
use serde_json::value::RawValue;
use support::{file, files, footer, read_all};

fn pipeline(variant: Variant, key_field: &str, chunk_size: usize) -> LocalPipeline {
    let settings = Settings {
        variant: Some(variant),
        key_field: key_field.to_owned(),
        chunk_size,
        rows: Some(Arc::new(Parquet::default())),
        ..Settings::default()
    };
    LocalPipeline::of_items(&settings).unwrap()
}

fn output(pipeline: &LocalPipeline, summary: &Summary, name: &str) -> Option<String> {
    let bytes = pipeline.stores.output.read(&summary.batch_id.output_key(name))?;
    Some(String::from_utf8(bytes.to_vec()).unwrap())
}

#[derive(serde::Deserialize)]
struct Line {
    index: u64,
    request: Box<RawValue>,
    response: Response,
}

/// Checks that every row comes out of a pipeline as it comes out of the reader.
async fn check(name: &str, bytes: &Bytes, variant: Variant) -> u64 {
    let pipeline = pipeline(variant, "int64", 7);
    let summary = pipeline.run_file(&format!("{name}.parquet"), bytes.clone()).await.unwrap();
    assert_eq!((&summary.error, summary.input.format.as_deref()), (&None, Some("parquet")), "{name}");
    assert_eq!(summary.fallback.as_deref(), (variant.name == "ranged").then_some("chunked"));
    let rows = read_all(bytes, u64::MAX).unwrap();
    let results = output(&pipeline, &summary, "results.jsonl").unwrap();
    let lines: Vec<Line> = results.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!((lines.len(), summary.records.total), (rows.len(), rows.len() as u64), "{name}");
    let chunks = rows.len().div_ceil(variant.chunk_size(7)) as u64;
    assert_eq!(summary.chunks.total, chunks, "{name}: row groups are no limits of chunks");
    for (at, (line, (json, fault))) in lines.iter().zip(rows).enumerate() {
        let place = format!("row {}: ", at + 1);
        assert_eq!(line.index, at as u64);
        match fault {
            None => assert_eq!(line.request.get(), json, "{name}, row {at}"),
            Some(fault) => assert_eq!(line.response.message, format!("{place}{fault}")),
        }
        assert!(line.response.success || line.response.message.starts_with(&place), "{}", line.response.message);
    }
    summary.records.succeeded
}

#[tokio::test]
async fn files_of_every_writer_go_through_every_variant() {
    let own = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/files");
    let (mut checked, mut stored) = (0, 0);
    for entry in [files(), &own].into_iter().flat_map(|folder| std::fs::read_dir(folder).unwrap()) {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|extension| extension != "jsonl") {
            continue;
        }
        let name = path.file_stem().unwrap().to_str().unwrap();
        let bytes = Bytes::from(std::fs::read(path.with_extension("parquet")).unwrap());
        let rows = footer(&bytes).unwrap().rows();
        // A chunk for each of thousands of rows says no more than one for each of hundreds.
        for variant in BUILT_IN.iter().filter(|variant| rows < 1000 || variant.unit == Unit::Chunk) {
            stored += check(name, &bytes, *variant).await;
            checked += 1;
        }
    }
    assert!(checked > 150 && stored > 10_000, "{checked} runs stored {stored} records");
}

#[tokio::test]
async fn a_file_without_rows_succeeds_and_one_of_small_row_groups_fills_chunks() {
    for variant in BUILT_IN {
        let none = pipeline(*variant, "int64", 7).run_file("none.parquet", file("no_rows")).await.unwrap();
        assert_eq!((none.state, none.records.total, none.chunks.total), (BatchState::Succeeded, 0, 0));
        let pipeline = pipeline(*variant, "int64", 7);
        let summary = pipeline.run_file("small.parquet", file("row_groups_of_one")).await.unwrap();
        assert_eq!((summary.records.total, summary.chunks.total), (50, 50_u64.div_ceil(variant.chunk_size(7) as u64)));
    }
}

#[tokio::test]
async fn without_a_reader_a_parquet_file_is_refused_with_what_to_do() {
    for variant in BUILT_IN {
        let settings = Settings { variant: Some(*variant), ..Settings::default() };
        let pipeline = LocalPipeline::of_items(&settings).unwrap();
        let summary = pipeline.run_file("pandas.parquet", file("pandas")).await.unwrap();
        let fault = summary.error.unwrap();
        assert_eq!((summary.state, fault.code), (BatchState::Failed, FaultCode::OtherKind));
        assert!(fault.message.contains("convert it to JSON Lines"), "{}", fault.message);
    }
}

/// Every record that failed, with why.
fn failures(summary: &Summary) -> Vec<(u64, String)> {
    summary.failures.iter().map(|failure| (failure.index, failure.message.clone())).collect()
}

#[tokio::test]
async fn a_row_with_a_fault_fails_until_it_is_corrected() {
    for variant in BUILT_IN {
        let pipeline = pipeline(*variant, "n", 2);
        let summary = pipeline.run_file("faults.parquet", file("faults")).await.unwrap();
        assert_eq!((summary.records.total, summary.records.succeeded, summary.records.failed), (6, 2, 4));
        let (at, message) = failures(&summary).remove(0);
        assert_eq!(at, 1);
        assert_eq!(message, "row 2: column f: the value is not a finite number, which JSON cannot express");
        let failed = output(&pipeline, &summary, "failed.jsonl").unwrap();
        let lines: Vec<&str> = failed.lines().collect();
        assert_eq!(lines[0], r#"{"n":1,"f":!"NaN","s":"also"}"#);
        assert_eq!(lines[1], r#"{"n":2,"f":!"Infinity","s":"fine"}"#);
        assert!(lines[3].starts_with("{\"n\":4,\"f\":null,\"s\":!\"\u{fffd}"), "{}", lines[3]);

        let again = pipeline.run_file("again.jsonl", failed.clone()).await.unwrap();
        assert_eq!((again.records.total, again.records.failed), (4, 4));
        assert_eq!(output(&pipeline, &again, "failed.jsonl").as_ref(), Some(&failed));

        let redrive = RedriveMessage::new(summary.batch_id.in_generation(1));
        let message = Outgoing::new(serde_json::to_string(&redrive).unwrap());
        pipeline.stores.queues[0].send(vec![message]).await.unwrap();
        assert!(pipeline.run().await.unwrap().is_empty());
        let redriven = pipeline.summary(&summary.batch_id).unwrap();
        assert_eq!((redriven.generation, failures(&redriven)), (1, failures(&summary)), "{}", variant.name);
        assert_eq!(output(&pipeline, &redriven, "failed.jsonl").as_ref(), Some(&failed));
        assert_eq!(pipeline.items().all().into_keys().collect::<Vec<_>>(), ["0", "5"]);

        let mended = failed.replace("!\"NaN\"", "1.5");
        let mended = pipeline.run_file("mended.jsonl", mended).await.unwrap();
        assert_eq!((mended.records.succeeded, mended.records.failed), (1, 3));
    }
}

#[tokio::test]
async fn a_file_that_cannot_be_read_fails_as_a_whole_and_says_why() {
    let whole = file("int96");
    let encrypted = [&whole[..whole.len() - 4], b"PARE"].concat();
    for (bytes, told) in [
        (whole.slice(..whole.len() - 10), "is truncated"),
        (whole.slice(..4), "is truncated"),
        (Bytes::new(), "does not begin like Parquet"),
        (Bytes::from_static(b"id,name\n1,Ada\n"), "does not begin like Parquet"),
        (encrypted.into(), "is encrypted"),
        (file("brotli"), "is compressed with BROTLI"),
    ] {
        for variant in BUILT_IN {
            let summary = pipeline(*variant, "id", 2).run_file("a.parquet", bytes.clone()).await.unwrap();
            let fault = summary.error.as_ref().unwrap();
            assert_eq!((summary.state, fault.code), (BatchState::Failed, FaultCode::BrokenParquet));
            assert!(fault.message.contains(told) && summary.records.total == 0, "{}", fault.message);
        }
    }
}

/// The second of three row groups is damaged, the first of which has 2,000 rows.
#[tokio::test]
async fn rows_before_a_damage_are_kept_and_processed() {
    let whole = file("pages");
    let footer = footer(&whole).unwrap();
    let group = &footer.row_groups()[1];
    let from = (group.bytes.start + (group.bytes.end - group.bytes.start) / 2) as usize;
    let mut damaged = whole.to_vec();
    damaged[from..from + 64].fill(0xff);
    let mut told = None;
    for variant in BUILT_IN.iter().filter(|variant| variant.unit == Unit::Chunk) {
        let pipeline = pipeline(*variant, "int64", 100);
        let summary = pipeline.run_file("damaged.parquet", damaged.clone()).await.unwrap();
        let (fault, total) = (summary.error.clone().unwrap(), summary.records.total);
        assert_eq!((summary.state, fault.code), (BatchState::Failed, FaultCode::BrokenParquet));
        assert!((2000..4000).contains(&total), "{total}: {}", fault.message);
        assert!(fault.message.starts_with(&format!("after row {total}: the Parquet file is damaged")), "{fault:?}");
        let first = read_all(&whole, u64::MAX).unwrap();
        let results = output(&pipeline, &summary, "results.jsonl").unwrap();
        for (line, (json, _)) in results.lines().zip(first) {
            assert_eq!(serde_json::from_str::<Line>(line).unwrap().request.get(), json);
        }
        let seen = told.get_or_insert((total, fault.clone()));
        assert_eq!(*seen, (total, fault), "every variant reads as far");
    }
}
