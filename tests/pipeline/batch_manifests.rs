//! Manifests of S3 Batch Operations as inputs, and its completion report among the outputs, in every variant.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use fanfold::model::answer::quote;
use fanfold::model::format::settings::FormatSettings;
use fanfold::model::message::{RedriveMessage, to_body};
use fanfold::model::report::ReportColumns;
use fanfold::model::summary::Summary;
use fanfold::pipeline::local::{LocalPipeline, Settings};
use fanfold::pipeline::variant::{BUILT_IN, Variant};
use fanfold::processor::each::Each;
use fanfold::processor::{Processor, Record, Reply};
use fanfold::stage::gather::Results;
use fanfold::store::channel::{Channel, Outgoing};
use serde_json::json;
use serde_json::value::to_raw_value;

/// A manifest with versions: two objects that the function refuses, and a row that is none.
const MANIFEST: &str = "photos,a%20b.jpg,v1\r\n\r\nphotos,bad%2C1.jpg,v2\r\n\"photos\",\"c\",v3\r\n\
                        photos,short\r\n\"photos\",\"bad 2\",v5\r\nphotos,d,\r\n";
const FAILED: &str = "photos,bad%2C1.jpg,v2\nphotos,short\n\"photos\",\"bad 2\",v5\n";
const REFUSED: &str = "failed,200,PermanentFailure,access denied";
const SHORT: &str = "photos,short,,failed,,PermanentFailure,\"line 5: the row has 2 fields, and the columns of the file, \
                     which has no header, are 3\"\n";

fn settings(variant: Variant, results: Results) -> Settings {
    let format = FormatSettings::parse(r#"{"columns":["bucket","key","version"]}"#).unwrap();
    let (key_field, report) = ("key".to_owned(), Some(ReportColumns::default()));
    Settings { variant: Some(variant), key_field, chunk_size: 2, results, report, format, ..Settings::default() }
}

/// A processor as a function of S3 Batch Operations would be: it refuses keys that begin with `bad` until it is mended.
fn worker(mended: Arc<AtomicBool>) -> impl Processor {
    Each(move |record: Record| {
        let refuses = record.key.starts_with("bad") && !mended.load(Ordering::SeqCst);
        let result = to_raw_value(&format!("copied, {}", record.key)).unwrap();
        async move { Ok(if refuses { Reply::Failed(quote("access denied")) } else { Reply::Done(Some(result)) }) }
    })
}

fn pipeline(settings: &Settings) -> (LocalPipeline, Arc<AtomicBool>) {
    let mended = Arc::new(AtomicBool::new(false));
    (LocalPipeline::new(settings, worker(mended.clone())).unwrap(), mended)
}

fn output(pipeline: &LocalPipeline, summary: &Summary, name: &str) -> Option<String> {
    let text = pipeline.stores.output.read(&summary.batch_id.output_key(name))?;
    Some(String::from_utf8(text.to_vec()).unwrap())
}

fn named(summary: &Summary) -> Vec<&str> {
    summary.outputs.iter().map(|output| output.name.as_str()).collect()
}

fn counts(summary: &Summary) -> (u64, u64) {
    (summary.records.succeeded, summary.records.failed)
}

#[tokio::test]
async fn a_manifest_is_worked_through_and_reported_as_s3_batch_operations_does() {
    for variant in BUILT_IN {
        let name = variant.name;
        let (pipeline, mended) = pipeline(&settings(*variant, Results::All));
        let summary = pipeline.run_file("photos.csv", MANIFEST).await.unwrap();
        assert_eq!((counts(&summary), &summary.error), ((3, 3), &None), "{name}");
        assert_eq!(named(&summary), ["results", "failed", "report"], "{name}");
        assert_eq!(output(&pipeline, &summary, "failed.csv").unwrap(), FAILED, "{name}");
        let results = output(&pipeline, &summary, "results.csv").unwrap();
        let rows: Vec<&str> = results.lines().take(2).collect();
        assert_eq!(rows, ["bucket,key,version,success,message", "photos,a%20b.jpg,v1,true,"], "{name}");
        let report = |two: [&str; 2], short: &str| {
            let [first, second] = two;
            format!(
                "photos,a%20b.jpg,v1,succeeded,200,,\"copied, a%20b.jpg\"\nphotos,bad%2C1.jpg,v2,{first}\n\
                 photos,c,v3,succeeded,200,,\"copied, c\"\n{short}photos,bad%202,v5,{second}\n\
                 photos,d,,succeeded,200,,\"copied, d\"\n"
            )
        };
        let expected = report([REFUSED; 2], SHORT);
        assert_eq!(output(&pipeline, &summary, "report.csv").unwrap(), expected, "{name}");

        mended.store(true, Ordering::SeqCst);
        let redrive = to_body(&RedriveMessage::new(summary.batch_id.in_generation(1)));
        pipeline.stores.queues[0].send(vec![Outgoing::new(redrive)]).await.unwrap();
        assert!(pipeline.run().await.unwrap().is_empty(), "{name}");
        let after = pipeline.summary(&summary.batch_id).unwrap();
        assert_eq!((after.generation, counts(&after)), (1, (5, 1)), "{name}");
        let done = ["succeeded,200,,\"copied, bad%2C1.jpg\"", "succeeded,200,,\"copied, bad 2\""];
        assert_eq!(output(&pipeline, &after, "report.csv").unwrap(), report(done, SHORT), "{name}");
        assert_eq!(output(&pipeline, &after, "failed.csv").unwrap(), "photos,short\n", "{name}");

        mended.store(false, Ordering::SeqCst);
        let again = pipeline.run_file("again.csv", FAILED).await.unwrap();
        assert_eq!(counts(&again), (0, 3), "{name}");
        assert_eq!(output(&pipeline, &again, "failed.csv").unwrap(), FAILED, "{name}: uploaded again, they fail alike");
    }
}

#[tokio::test]
async fn a_manifest_without_versions_has_two_columns() {
    for variant in BUILT_IN {
        let (pipeline, _) = pipeline(&settings(*variant, Results::All));
        let summary = pipeline.run_file("photos.csv", "\u{feff}photos,a\nphotos,b,v2\nphotos,bad\n").await.unwrap();
        assert_eq!(counts(&summary), (1, 2), "{}", variant.name);
        assert!(summary.failures[0].message.contains("line 2: the row has 3 fields"), "{:?}", summary.failures);
        let report = output(&pipeline, &summary, "report.csv").unwrap();
        assert!(report.starts_with("photos,a,,succeeded,200,,\"copied, a\"\nphotos,b,,failed,,"), "{report}");
        let narrow = pipeline.run_file("narrow.csv", "photos\n").await.unwrap();
        let error = narrow.error.as_ref().unwrap();
        assert_eq!((error.code.name(), narrow.records.total), ("NO_HEADER", 0), "{}", variant.name);
        assert!(error.message.contains("none is named \"key\"; deploy with columns"), "{}", error.message);
        let empty = pipeline.run_file("empty.csv", "").await.unwrap();
        assert_eq!(
            (named(&empty), output(&pipeline, &empty, "report.csv").unwrap().len()),
            (vec!["results", "report"], 0)
        );
    }
}

#[tokio::test]
async fn the_report_has_the_outcomes_that_are_written_out() {
    for variant in BUILT_IN {
        let failed = pipeline(&settings(*variant, Results::Failed)).0;
        let summary = failed.run_file("photos.csv", MANIFEST).await.unwrap();
        assert_eq!(named(&summary), ["failed", "report"], "{}", variant.name);
        let report = output(&failed, &summary, "report.csv").unwrap();
        let rows: Vec<&str> = report.lines().map(|row| row.split(',').nth(1).unwrap()).collect();
        assert_eq!(rows, ["bad%2C1.jpg", "short", "bad%202"], "{}", variant.name);
        let fine = failed.run_file("fine.csv", "photos,a,v1\n").await.unwrap();
        assert_eq!(named(&fine), Vec::<&str>::new());
        let none = pipeline(&settings(*variant, Results::None)).0;
        let summary = none.run_file("photos.csv", MANIFEST).await.unwrap();
        assert_eq!((named(&summary), counts(&summary)), (vec![], (3, 3)), "{}", variant.name);
        assert_eq!(output(&none, &summary, "report.csv"), None);
    }
}

#[tokio::test]
async fn many_manifests_are_one_batch_with_one_report() {
    for variant in BUILT_IN {
        let (pipeline, mended) = pipeline(&settings(*variant, Results::All));
        pipeline.stores.input.upload("a.csv", "photos,a,v1\r\nphotos,\"bad\",v2\r\nphotos,more,v3\r\n");
        pipeline.stores.input.upload("b.csv", "films,bad\nfilms,b\n");
        let list = json!(["s3://input/a.csv", "s3://input/b.csv"]).to_string();
        let summary = pipeline.run_file("all.manifest.json", list).await.unwrap();
        assert_eq!(counts(&summary), (3, 2), "{}: {:?}", variant.name, summary.error);
        assert_eq!(named(&summary), ["results", "report", "failed"], "{}", variant.name);
        let report = |a: &str, b: &str| {
            format!(
                "photos,a,v1,succeeded,200,,\"copied, a\"\nphotos,bad,v2,{a}\n\
                 photos,more,v3,succeeded,200,,\"copied, more\"\nfilms,bad,,{b}\nfilms,b,,succeeded,200,,\"copied, b\"\n"
            )
        };
        assert_eq!(output(&pipeline, &summary, "report.csv").unwrap(), report(REFUSED, REFUSED));
        assert_eq!(output(&pipeline, &summary, "failed/00000-a.csv").unwrap(), "photos,\"bad\",v2\n");
        assert_eq!(output(&pipeline, &summary, "failed/00001-b.csv").unwrap(), "films,bad\n");

        mended.store(true, Ordering::SeqCst);
        let redrive = to_body(&RedriveMessage::new(summary.batch_id.in_generation(1)));
        pipeline.stores.queues[0].send(vec![Outgoing::new(redrive)]).await.unwrap();
        assert!(pipeline.run().await.unwrap().is_empty());
        let done = "succeeded,200,,\"copied, bad\"";
        assert_eq!(output(&pipeline, &summary, "report.csv").unwrap(), report(done, done), "{}", variant.name);
        assert_eq!(output(&pipeline, &summary, "failed/00001-b.csv"), None);
    }
}
