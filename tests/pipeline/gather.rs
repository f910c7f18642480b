//! Outputs that are written by several invocations, each of which goes on where the one before it stopped.

use std::time::Duration;

use fanfold::model::ids::{BatchId, Revision};
use fanfold::model::report::ReportColumns;
use fanfold::model::summary::Summary;
use fanfold::pipeline::Pipeline;
use fanfold::pipeline::local::{INPUT, LocalPipeline, Settings};
use fanfold::pipeline::variant::{BUILT_IN, Variant};
use fanfold::stage::gather::Results;
use fanfold::stage::{Disposition, deliver};
use fanfold::store::Clock;
use fanfold::store::blob::{Blob, UploadId};
use fanfold::store::channel::{Channel, Outgoing};
use fanfold::store::clock::SystemClock;
use futures::FutureExt;

const ORDERS: &str = include_str!("../../examples/orders.schema.json");

fn pipeline(variant: Variant, results: Results) -> LocalPipeline {
    let (schema, key_field) = (ORDERS.to_owned(), "itemNo".to_owned());
    let (variant, report) = (Some(variant), Some(report()));
    let settings = Settings { variant, schema, key_field, chunk_size: 3, results, report, ..Settings::default() };
    LocalPipeline::of_items(&settings).unwrap()
}

/// A report that has what the records have.
fn report() -> ReportColumns {
    ReportColumns { bucket: "price".to_owned(), key: "itemNo".to_owned(), version: String::new() }
}

/// Processes a file, and gathers its batch step by step, each in an invocation of its own, in parts of a few bytes; calls
/// `look` after each.
async fn piecemeal(pipeline: &LocalPipeline, variant: Variant, results: Results, key: &str, mut look: impl FnMut()) {
    let queues = &pipeline.stores.queues;
    let (_, event) = pipeline.upload(key, file(key.rsplit('.').next().unwrap()));
    queues[0].send(vec![Outgoing::new(event)]).await.unwrap();
    for stage in [0, 1] {
        loop {
            let deliveries = queues[stage].receive(10).await.unwrap();
            for delivery in &deliveries {
                assert!(matches!(pipeline.handle(stage, delivery).await, Disposition::Done));
                queues[stage].delete(&delivery.receipt).await.unwrap();
            }
            if deliveries.is_empty() {
                break;
            }
        }
    }
    let _same = pipeline.stores.output.clone().in_parts_of(50);
    let mut gather = Pipeline::new(pipeline.stores.clone(), variant, INPUT).gather(results).unwrap();
    (gather.at_most, gather.report) = (Some(Duration::ZERO), Some(report()));
    while let Some(delivery) = queues[2].receive(1).await.unwrap().pop() {
        match deliver(&gather, &delivery, SystemClock.now().plus_seconds(60)).await {
            Disposition::Done => queues[2].delete(&delivery.receipt).await.unwrap(),
            Disposition::Later(..) => queues[2].release(&delivery.receipt, Duration::ZERO).await.unwrap(),
            other => panic!("{other:?}"),
        }
        look();
    }
}

/// Records, every fifth of which is refused.
fn file(extension: &str) -> String {
    let price = |n: usize| if n % 5 == 2 { "\"free\"".to_owned() } else { format!("{n}.50") };
    let records: Vec<String> =
        (0..40).map(|n| format!("{{\"itemNo\":\"k{}\",\"price\":{}}}", n % 30, price(n))).collect();
    match extension {
        "csv" => {
            format!("itemNo,price\n{}", (0..40).map(|n| format!("k{},{}\n", n % 30, price(n))).collect::<String>())
        }
        "json" => format!("[{}]", records.join(",\n")),
        _ => records.join("\n"),
    }
}

/// Without what differs from one run to the next.
fn told(summary: Summary) -> String {
    let mut told = serde_json::to_value(summary).unwrap();
    for name in ["startedAt", "scatteredAt", "gatherStartedAt", "finishedAt"] {
        told[name].take();
    }
    told.to_string()
}

fn outputs(pipeline: &LocalPipeline) -> Vec<(String, String)> {
    let keys = pipeline.stores.output.keys().into_iter().filter(|key| !key.ends_with("summary.json"));
    keys.map(|key| (key.clone(), String::from_utf8_lossy(&pipeline.stores.output.read(&key).unwrap()).into_owned()))
        .collect()
}

fn batch(key: &str) -> BatchId {
    BatchId::of(INPUT, key, &Revision::Version("v1".to_owned()))
}

fn checkpoint(batch: &BatchId, attempt: u32) -> String {
    format!("{}{attempt:06}-000000", batch.gather_prefix())
}

#[tokio::test]
async fn many_invocations_write_what_one_writes() {
    for variant in BUILT_IN {
        for results in [Results::All, Results::Failed, Results::None] {
            for extension in ["csv", "json", "jsonl"] {
                let (key, name) = (format!("x.{extension}"), variant.name);
                let (one, many) = (pipeline(*variant, results), pipeline(*variant, results));
                let expected = one.run_file(&key, file(extension)).await.unwrap();
                piecemeal(&many, *variant, results, &key, || {}).await;
                let summary = many.summary(&batch(&key)).unwrap();
                assert_eq!(expected.records.failed, 8, "{expected:?}");
                let rows = one.stores.output.read(&batch(&key).output_key("report.csv"));
                let rows = rows.map(|rows| String::from_utf8_lossy(&rows).lines().count());
                let wanted = [(Results::All, Some(40)), (Results::Failed, Some(8)), (Results::None, None)];
                assert!(wanted.contains(&(results, rows)), "{name} {key} {results:?}: {rows:?}");
                assert_eq!(told(summary), told(expected), "{name} {key} {results:?}");
                assert_eq!(outputs(&many), outputs(&one), "{name} {key} {results:?}");
                let batch = batch(&key);
                let written = (1..).take_while(|attempt| many.stores.work.versions(&checkpoint(&batch, *attempt)) > 0);
                assert!(written.count() > 5, "{name} {key} {results:?}");
                assert_eq!(
                    one.stores.work.versions(&checkpoint(&batch, 1)),
                    0,
                    "a batch that needs no second invocation"
                );
                let kept = many.stores.work.keys().into_iter().filter(|key| key.contains("/gather/"));
                assert_eq!(kept.count() + many.stores.output.uploads(), 0, "{name} {key} {results:?}");
            }
        }
    }
}

#[tokio::test]
async fn outputs_are_written_from_the_beginning_if_a_checkpoint_or_its_upload_is_lost() {
    for variant in BUILT_IN {
        for part in [false, true] {
            let one = pipeline(*variant, Results::All);
            one.run_file("x.csv", file("csv")).await.unwrap();
            let (many, batch, mut lost) = (pipeline(*variant, Results::All), batch("x.csv"), 0);
            // Half of the outcomes are merged by then.
            let at = checkpoint(&batch, 25);
            let work = many.stores.work.clone();
            let output = many.stores.output.clone();
            let look = || {
                let Some(found) = work.read(&at).filter(|_| lost == 0) else { return };
                lost += 1;
                if part {
                    // Its line names the upload of the results first.
                    let text = String::from_utf8_lossy(&found);
                    let id = text.split("\"id\":\"").nth(1).unwrap().split('"').next().unwrap().to_owned();
                    let id = UploadId(id);
                    output.abort_upload("", &id).now_or_never().unwrap().unwrap();
                } else {
                    work.upload(&at, "{\"version\":0}\n");
                }
            };
            piecemeal(&many, *variant, Results::All, "x.csv", look).await;
            assert_eq!(lost, 1, "{}", variant.name);
            assert_eq!(outputs(&many), outputs(&one), "{} {part}", variant.name);
        }
    }
}
