//! What the author of a processor is promised, in every variant.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};

use fanfold::model::error::{Error, Result};
use fanfold::model::progress::BatchState;
use fanfold::model::summary::Summary;
use fanfold::pipeline::local::{LocalPipeline, Settings};
use fanfold::pipeline::variant::{BUILT_IN, Variant};
use fanfold::processor::each::Each;
use fanfold::processor::{Chunk, MAX_RESULT_BYTES, Processor, Record, Reply};
use serde_json::Value;
use serde_json::value::to_raw_value;

const SCHEMA: &str = r#"{"required":["id"],"properties":{"n":{"type":"integer","maximum":1000}}}"#;

fn pipeline<P: Processor>(variant: Variant, processor: P) -> LocalPipeline<P> {
    let settings = Settings { variant: Some(variant), schema: SCHEMA.into(), chunk_size: 7, ..Settings::default() };
    LocalPipeline::new(&settings, processor).unwrap()
}

fn lines(records: u64) -> String {
    (0..records).map(|n| format!("{{\"id\":\"r{n}\",\"n\":{n}}}\n")).collect()
}

fn output<P: Processor>(pipeline: &LocalPipeline<P>, summary: &Summary, name: &str) -> Vec<Value> {
    let text = pipeline.stores.output.read(&summary.batch_id.output_key(name)).unwrap_or_default();
    let lines = std::str::from_utf8(&text).unwrap().lines();
    lines.map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// Doubles a number; every third has no result, and every tenth fails.
async fn double(record: Record) -> Result<Reply> {
    let n = record.fields["n"].as_u64().unwrap();
    Ok(match n {
        _ if n % 10 == 9 => Reply::Failed(format!("{n} is refused")),
        _ if n.is_multiple_of(3) => Reply::Done(None),
        _ => Reply::Done(Some(to_raw_value(&(2 * n)).unwrap())),
    })
}

#[tokio::test]
async fn a_result_is_kept_with_the_outcome_of_its_record() {
    for variant in BUILT_IN {
        let pipeline = pipeline(*variant, Each(double));
        let summary = pipeline.run_file("numbers.jsonl", lines(40)).await.unwrap();
        assert_eq!((summary.state, summary.records.failed), (BatchState::PartiallyFailed, 4), "{}", variant.name);
        let results = output(&pipeline, &summary, "results.jsonl");
        assert_eq!(results.len(), 40);
        for (n, outcome) in (0..).zip(&results) {
            let expected = (n % 10 != 9 && n % 3 != 0).then_some(Value::from(2 * n));
            assert_eq!(outcome.get("result"), expected.as_ref(), "{}: {outcome}", variant.name);
            assert_eq!(outcome["response"]["success"], n % 10 != 9);
        }
        assert_eq!(output(&pipeline, &summary, "failed.jsonl").len(), 4);
    }
}

#[tokio::test]
async fn only_valid_records_are_processed_and_in_their_order() {
    for variant in BUILT_IN {
        let seen = Arc::new(Mutex::new(BTreeMap::new()));
        let noted = seen.clone();
        let pipeline = pipeline(
            *variant,
            Each(move |record: Record| {
                noted.lock().unwrap().insert(record.index, record.key.clone());
                async { Ok(Reply::Done(None)) }
            }),
        );
        let file =
            lines(10) + "not JSON\n" + "{\"n\":1}\n" + "{\"id\":\"x\",\"n\":5000}\n" + "{\"id\":\"last\",\"n\":5}\n";
        let summary = pipeline.run_file("numbers.jsonl", file).await.unwrap();
        assert_eq!((summary.records.total, summary.records.failed), (14, 3), "{}", variant.name);
        let seen = seen.lock().unwrap();
        let expected: BTreeMap<u64, String> =
            (0..10).map(|n| (n, format!("r{n}"))).chain([(13, "last".into())]).collect();
        assert_eq!(*seen, expected, "{}", variant.name);
    }
}

#[tokio::test]
async fn a_chunk_that_fails_comes_again_and_is_buried_in_the_end() {
    for variant in BUILT_IN {
        let attempts = Arc::new(AtomicU32::new(0));
        let counted = attempts.clone();
        let pipeline = pipeline(
            *variant,
            Each(move |record: Record| {
                let counted = counted.clone();
                async move {
                    match record.index {
                        // The third attempt succeeds.
                        3 if counted.fetch_add(1, Ordering::Relaxed) < 2 => Err(Error::transient("busy")),
                        20 => Err(Error::transient("never")),
                        _ => Ok(Reply::Done(None)),
                    }
                }
            }),
        );
        let summary = pipeline.run_file("numbers.jsonl", lines(24)).await.unwrap();
        let lost = if variant.chunk_size(7) == 1 { 1 } else { 7 };
        assert_eq!((summary.records.total, summary.records.failed), (24, lost), "{}", variant.name);
        assert_eq!(summary.state, BatchState::PartiallyFailed);
        assert_eq!(summary.chunks.failed, if variant.chunk_size(7) == 1 { summary.chunks.failed } else { 1 });
        assert_eq!(attempts.load(Ordering::Relaxed), 3, "{}", variant.name);
    }
}

/// Answers for too few records.
struct Short;

impl Processor for Short {
    async fn process(&self, chunks: Vec<Chunk>) -> Vec<Result<Vec<Reply>>> {
        chunks.iter().map(|chunk| Ok(vec![Reply::Done(None); chunk.records.len() - 1])).collect()
    }
}

#[tokio::test]
async fn a_processor_that_answers_for_too_few_records_fails_its_chunks() {
    for variant in BUILT_IN {
        let summary = pipeline(*variant, Short).run_file("numbers.jsonl", lines(3)).await.unwrap();
        assert_eq!((summary.records.succeeded, summary.records.failed), (0, 3), "{}", variant.name);
        let message = &summary.failures[0].message;
        assert!(message.starts_with("line 1: the chunk could not be processed"), "{message}");
    }
}

#[tokio::test]
async fn a_result_that_is_too_long_fails_its_record() {
    for variant in BUILT_IN {
        let long = |record: Record| async move {
            let bytes = MAX_RESULT_BYTES - 2 + usize::from(record.index == 1);
            Ok(Reply::Done(Some(to_raw_value(&"x".repeat(bytes)).unwrap())))
        };
        let pipeline = pipeline(*variant, Each(long));
        let summary = pipeline.run_file("numbers.jsonl", lines(2)).await.unwrap();
        assert_eq!((summary.records.succeeded, summary.records.failed), (1, 1), "{}", variant.name);
        assert!(summary.failures[0].message.contains("16384 bytes"), "{}", summary.failures[0].message);
    }
}
