//! What the author of a processor is promised, in every variant.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};

use fanfold::model::error::{Error, Result};
use fanfold::model::progress::BatchState;
use fanfold::model::summary::Summary;
use fanfold::pipeline::local::{LocalPipeline, Settings};
use fanfold::pipeline::variant::{BUILT_IN, Variant};
use fanfold::processor::chain::Chain;
use fanfold::processor::each::Each;
use fanfold::processor::items::WriteItems;
use fanfold::processor::{Chunk, MAX_RESULT_BYTES, Processor, Record, Reply};
use fanfold::store::items::memory::MemoryItems;
use serde_json::Value;
use serde_json::value::to_raw_value;

const SCHEMA: &str = r#"{"required":["id"],"properties":{"n":{"type":"integer","maximum":1000}}}"#;

fn pipeline(variant: Variant, processor: impl Processor) -> LocalPipeline {
    let settings = Settings { variant: Some(variant), schema: SCHEMA.into(), chunk_size: 7, ..Settings::default() };
    LocalPipeline::new(&settings, processor).unwrap()
}

fn lines(records: u64) -> String {
    (0..records).map(|n| format!("{{\"id\":\"r{n}\",\"n\":{n}}}\n")).collect()
}

fn output(pipeline: &LocalPipeline, summary: &Summary, name: &str) -> Vec<Value> {
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

/// Answers by the index of the record, and counts how often each was tried.
#[derive(Clone, Default)]
struct Moody(Arc<Mutex<BTreeMap<u64, u32>>>);

impl Moody {
    fn pipeline(&self, variant: Variant) -> LocalPipeline {
        let moody = self.clone();
        pipeline(
            variant,
            Each(move |record: Record| {
                let times = *moody.0.lock().unwrap().entry(record.index).and_modify(|times| *times += 1).or_insert(1);
                async move {
                    assert_eq!(record.tried.times, if record.index == 4 { 0 } else { times - 1 }, "{}", record.index);
                    Ok(match record.index {
                        1 => Reply::Failed("never".to_owned()),
                        2 if times < 3 => Reply::temporary("not yet"),
                        3 => Reply::Temporary { reason: "no answer".to_owned(), unsure: times == 2 },
                        4 if times < 4 => Reply::Untried("too fast".to_owned()),
                        6 => {
                            assert!(!record.tried.unsure);
                            Reply::Done(Some(to_raw_value(&"six").unwrap()))
                        }
                        _ => Reply::Done(None),
                    })
                }
            }),
        )
    }
}

#[tokio::test]
async fn only_what_failed_for_the_time_being_is_tried_again() {
    for variant in BUILT_IN {
        let moody = Moody::default();
        let pipeline = moody.pipeline(*variant);
        let summary = pipeline.run_file("numbers.jsonl", lines(10)).await.unwrap();
        assert_eq!((summary.records.total, summary.records.failed), (10, 2), "{}", variant.name);
        assert_eq!(summary.chunks.failed, 0, "{}", variant.name);
        let failed = output(&pipeline, &summary, "results.jsonl");
        let message = |index: usize| failed[index]["response"]["message"].as_str().unwrap().to_owned();
        assert_eq!((message(1).as_str(), message(3).as_str()), ("line 2: never", "line 4: no answer (tried 5 times)"));
        assert_eq!(failed[6]["result"], "six");
        let times: Vec<u32> = moody.0.lock().unwrap().values().copied().collect();
        assert_eq!(times, [1, 1, 3, 5, 4, 1, 1, 1, 1, 1], "{}", variant.name);
    }
}

#[tokio::test]
async fn what_was_answered_counts_when_the_rest_of_a_chunk_is_buried() {
    for variant in BUILT_IN {
        let calls = Arc::new(AtomicU32::new(0));
        let counted = calls.clone();
        let pipeline = pipeline(
            *variant,
            Each(move |record: Record| {
                let counted = counted.clone();
                async move {
                    match record.index {
                        0 => Ok(Reply::Done(Some(to_raw_value(&counted.fetch_add(1, Ordering::Relaxed)).unwrap()))),
                        1 if record.tried.times == 0 => Ok(Reply::temporary("not yet")),
                        1 => Err(Error::config("the function is gone")),
                        _ => Ok(Reply::Done(None)),
                    }
                }
            }),
        );
        let summary = pipeline.run_file("numbers.jsonl", lines(3)).await.unwrap();
        let results = output(&pipeline, &summary, "results.jsonl");
        assert_eq!((summary.records.succeeded, summary.records.failed), (2, 1), "{}: {results:?}", variant.name);
        assert_eq!(results[0]["result"], 0, "{}", variant.name);
        assert_eq!(calls.load(Ordering::Relaxed), 1, "{}", variant.name);
        let message = results[1]["response"]["message"].as_str().unwrap();
        assert!(message.starts_with("line 2: not yet; the chunk could not be processed"), "{message}");
    }
}

#[tokio::test]
async fn an_item_is_stored_instead_of_its_record() {
    for variant in BUILT_IN {
        let enrich = Each(|record: Record| async move {
            let mut item = record.fields;
            let n = item["n"].as_u64().unwrap();
            item.insert("double".to_owned(), (2 * n).into());
            Ok(match n {
                0 => Reply::Done(None),
                1 => Reply::Replaced { item: Default::default(), result: None },
                2 => Reply::Failed("two".to_owned()),
                _ => Reply::Replaced { item, result: Some(to_raw_value(&n).unwrap()) },
            })
        });
        let items = MemoryItems::new();
        let chain = Chain { first: enrich, then: WriteItems::new(items.clone()) };
        let pipeline = pipeline(*variant, chain);
        let summary = pipeline.run_file("numbers.jsonl", lines(9)).await.unwrap();
        assert_eq!((summary.records.succeeded, summary.records.failed), (7, 2), "{}", variant.name);
        assert_eq!(items.all().len(), 7);
        for (key, item) in items.all() {
            let n = item.fields["n"].as_u64().unwrap();
            assert_eq!(key, format!("r{n}"));
            assert_eq!(item.fields.get("double").and_then(Value::as_u64), (n > 0).then_some(2 * n));
        }
        let results = output(&pipeline, &summary, "results.jsonl");
        assert_eq!(results[3]["result"], 3);
        let message = results[1]["response"]["message"].as_str().unwrap();
        assert!(message.contains("the item that it was answered with: the record has no field"), "{message}");
    }
    let lost = Each(|record: Record| async move { Ok(Reply::Replaced { item: record.fields, result: None }) });
    let summary = pipeline(BUILT_IN[0], lost).run_file("numbers.jsonl", lines(1)).await.unwrap();
    assert!(summary.failures[0].message.contains("add items to PROCESSORS"), "{:?}", summary.failures);
}
