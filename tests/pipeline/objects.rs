//! Batches over many objects, on the real stages and stores in memory, for every variant.

use std::io::Write;

use fanfold::model::fault::FaultCode;
use fanfold::model::format::settings::FormatSettings;
use fanfold::model::ids::BatchId;
use fanfold::model::message::{RedriveMessage, to_body};
use fanfold::model::progress::BatchState;
use fanfold::model::summary::Summary;
use fanfold::pipeline::local::{LocalPipeline, Settings};
use fanfold::pipeline::variant::{BUILT_IN, Variant};
use fanfold::stage::gather::Results;
use fanfold::store::blob::Blob;
use fanfold::store::channel::{Channel, Outgoing};
use serde_json::{Value, json};

const ORDERS: &str = include_str!("../../examples/orders.schema.json");

fn settings(variant: Variant) -> Settings {
    let (schema, key_field) = (ORDERS.to_owned(), "itemNo".to_owned());
    Settings { variant: Some(variant), schema, key_field, chunk_size: 2, ..Settings::default() }
}

fn pipeline(variant: Variant) -> LocalPipeline {
    LocalPipeline::of_items(&settings(variant)).unwrap()
}

async fn send(pipeline: &LocalPipeline, body: String) {
    pipeline.stores.queues[0].send(vec![Outgoing::new(body)]).await.unwrap();
    let left = pipeline.run().await.unwrap();
    assert!(left.is_empty(), "{left:?}");
}

/// Makes a batch of a manifest, and works until no message is left.
async fn run(pipeline: &LocalPipeline, key: &str, manifest: String) -> (BatchId, Summary) {
    let (batch, event) = pipeline.upload(key, manifest);
    send(pipeline, event).await;
    let summary = pipeline.summary(&batch).expect("every batch gets a summary");
    (batch, summary)
}

fn list(keys: &[&str]) -> String {
    json!(keys.iter().map(|key| format!("s3://input/{key}")).collect::<Vec<_>>()).to_string()
}

fn output(pipeline: &LocalPipeline, key: &str) -> Option<String> {
    Some(String::from_utf8(pipeline.stores.output.read(key)?.to_vec()).unwrap())
}

/// The outputs of a batch, without its name, and without the summary.
fn outputs(pipeline: &LocalPipeline, batch: &BatchId) -> Vec<String> {
    let names = pipeline.stores.output.keys().into_iter();
    let names = names.filter_map(|key| key.strip_prefix(&batch.output_key("")).map(str::to_owned));
    names.filter(|name| name != "summary.json").collect()
}

fn lines(pipeline: &LocalPipeline, batch: &BatchId) -> Vec<Value> {
    let results = output(pipeline, &batch.output_key("results.jsonl")).unwrap();
    results.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn counts(summary: &Summary) -> (u64, u64, u64) {
    (summary.records.total, summary.records.succeeded, summary.records.failed)
}

#[tokio::test]
async fn one_batch_is_made_of_the_records_of_all_objects() {
    for variant in BUILT_IN {
        let pipeline = pipeline(*variant);
        for (key, text) in [
            ("in/a.csv", "itemNo,price\r\na1,1\r\n\"a2\",free\r\na3,3\r\n"),
            ("in/none.csv", "itemNo,price\n"),
            ("in/b c.csv", "price;itemNo\n1.5;b1\n;b2\n"),
            ("in/empty.csv", ""),
        ] {
            pipeline.stores.input.upload(key, text);
        }
        let manifest = "input,in/a.csv\ninput,in%2Fnone.csv\ninput,in/b+c.csv\ninput,in/empty.csv\ninput,in/_SUCCESS\n";
        let (batch, summary) = run(&pipeline, "day.manifest.csv", manifest.to_owned()).await;
        assert_eq!((summary.state, counts(&summary)), (BatchState::PartiallyFailed, (5, 3, 2)), "{}", variant.name);
        let objects = summary.objects.unwrap();
        assert_eq!((objects.total, objects.failed, objects.faults), (4, 0, vec![]));
        assert_eq!(summary.fallback.as_deref(), (variant.name == "ranged").then_some("chunked"));
        let told: Vec<_> = lines(&pipeline, &batch)
            .iter()
            .map(|line| format!("{} {} {}", line["index"], line["object"], line["response"]["success"]))
            .collect();
        assert_eq!(
            told,
            [
                "0 \"in/a.csv\" true",
                "1 \"in/a.csv\" false",
                "2 \"in/a.csv\" true",
                "3 \"in/b c.csv\" true",
                "4 \"in/b c.csv\" false"
            ]
        );
        let failures: Vec<_> =
            summary.failures.iter().map(|f| (f.index, f.object.as_deref().unwrap(), &f.message[..7])).collect();
        assert_eq!(failures, [(1, "in/a.csv", "line 3:"), (4, "in/b c.csv", "line 3:")]);
        assert_eq!(outputs(&pipeline, &batch), ["failed/00000-a.csv", "failed/00002-b-c.csv", "results.jsonl"]);
        assert_eq!(summary.failed.unwrap().key, batch.output_key("failed/"));
        let failed = |name: &str| output(&pipeline, &batch.output_key(name)).unwrap();
        assert_eq!(failed("failed/00000-a.csv"), "itemNo,price\r\n\"a2\",free\r\n");
        assert_eq!(failed("failed/00002-b-c.csv"), "price;itemNo\n;b2\n");
        assert_eq!(pipeline.items().all().len(), 3);
        assert_eq!(pipeline.items().all()["b1"].index, 3);
        let left = pipeline.stores.work.keys().into_iter().filter(|key| key.contains("/pending/")).count();
        assert_eq!(left, 0);
    }
}

#[tokio::test]
async fn an_object_that_cannot_be_read_fails_alone() {
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gzip.write_all(b"itemNo,price\nz1,1\n").unwrap();
    let mut torn = gzip.finish().unwrap();
    torn.truncate(torn.len() - 4);
    for variant in BUILT_IN {
        let pipeline = pipeline(*variant);
        let upload = |key: &str, bytes: &[u8]| pipeline.stores.input.upload(key, bytes.to_vec());
        upload("good.csv", b"itemNo,price\ng1,1\n");
        upload("torn.csv.gz", &torn);
        upload("other.jsonl", b"{\"itemNo\":\"o1\",\"price\":1}\n");
        upload("headless.csv", b"h1,1\n");
        upload("x.xlsx.csv", b"PK\x03\x04....");
        upload("last.csv", b"itemNo,price\nl1,1\nl2,no\n");
        let mut manifest: Vec<Value> =
            ["good.csv", "torn.csv.gz", "gone.csv", "other.jsonl", "headless.csv", "x.xlsx.csv", "last.csv"]
                .iter()
                .map(|key| json!({"Key": key}))
                .collect();
        manifest.push(json!("s3://elsewhere/x.csv"));
        manifest.push(json!({"key": "good.csv", "versionId": "v999"}));
        manifest.push(json!({"key": "good.csv", "eTag": "0123"}));
        let (batch, summary) = run(&pipeline, "some.manifest.json", json!(manifest).to_string()).await;
        assert_eq!((summary.state, counts(&summary)), (BatchState::Failed, (4, 3, 1)), "{}", variant.name);
        let error = summary.error.unwrap();
        assert_eq!(error.code, FaultCode::UnreadableObjects);
        let first = "8 of 10 objects could not be read to the end; the first is torn.csv.gz: BROKEN_GZIP: ";
        assert!(error.message.starts_with(first), "{}", error.message);
        let objects = summary.objects.unwrap();
        assert_eq!((objects.total, objects.failed), (10, 8));
        let told: Vec<_> =
            objects.faults.iter().map(|fault| (fault.object.as_str(), fault.fault.code.name())).collect();
        assert_eq!(
            told,
            [
                ("torn.csv.gz", "BROKEN_GZIP"),
                ("gone.csv", "UNAVAILABLE_OBJECT"),
                ("other.jsonl", "OTHER_LAYOUT"),
                ("headless.csv", "NO_HEADER"),
                ("x.xlsx.csv", "OTHER_KIND"),
                ("x.csv", "OTHER_BUCKET"),
                ("good.csv", "UNAVAILABLE_OBJECT"),
                ("good.csv", "UNAVAILABLE_OBJECT"),
            ]
        );
        assert_eq!(outputs(&pipeline, &batch), ["failed/00006-last.csv", "results.jsonl"]);
    }
}

#[tokio::test]
async fn what_failed_can_be_redriven_although_an_object_was_missing() {
    for variant in BUILT_IN {
        let pipeline = pipeline(*variant);
        pipeline.stores.input.upload("a.csv", "itemNo,price\na1,free\na2,2\n");
        pipeline.stores.input.upload("b.csv", "itemNo,price\nb1,free\n");
        let (batch, before) = run(&pipeline, "all.manifest.json", list(&["a.csv", "gone.csv", "b.csv"])).await;
        assert_eq!((before.state, counts(&before)), (BatchState::Failed, (3, 1, 2)));
        let names = outputs(&pipeline, &batch);
        assert_eq!(names, ["failed/00000-a.csv", "failed/00002-b.csv", "results.jsonl"]);
        // What a stale attempt may have left is forgotten.
        pipeline.stores.output.upload(&batch.output_key("failed/00001-gone.csv"), "stale");
        send(&pipeline, to_body(&RedriveMessage::new(batch.in_generation(1)))).await;
        let after = pipeline.summary(&batch).unwrap();
        assert_eq!((after.generation, after.state, counts(&after)), (1, BatchState::Failed, (3, 1, 2)));
        assert_eq!((&after.error, &after.objects), (&before.error, &before.objects));
        assert_eq!((&after.failures, outputs(&pipeline, &batch)), (&before.failures, names));
        assert_eq!(lines(&pipeline, &batch).len(), 3);
    }
}

#[tokio::test]
async fn a_repeated_scatter_cuts_what_the_first_one_found() {
    for variant in BUILT_IN {
        let pipeline = pipeline(*variant);
        pipeline.stores.input.upload("a.csv", "itemNo,price\na1,1\n");
        pipeline.stores.input.upload("b.csv", "itemNo,price\nb1,1\n");
        let (batch, event) = pipeline.upload("all.manifest.json", list(&["a.csv", "b.csv", "c.csv"]));
        pipeline.stores.queues[0].send(vec![Outgoing::new(event.clone())]).await.unwrap();
        let delivery = pipeline.stores.queues[0].receive(1).await.unwrap().remove(0);
        pipeline.handle(0, &delivery).await;
        pipeline.stores.input.upload("a.csv", "itemNo,price\nx1,1\nx2,1\nx3,1\n");
        pipeline.stores.input.delete("b.csv").await.unwrap();
        pipeline.stores.input.upload("c.csv", "itemNo,price\nc1,1\n");
        send(&pipeline, event).await;
        let summary = pipeline.summary(&batch).unwrap();
        assert_eq!((counts(&summary), summary.objects.unwrap().failed), ((2, 2, 0), 1), "{}", variant.name);
        let keys: Vec<String> = pipeline.items().all().into_keys().collect();
        assert_eq!(keys, ["a1", "b1"]);
    }
}

#[tokio::test]
async fn a_manifest_that_is_no_list_fails_with_its_place() {
    for variant in BUILT_IN {
        let pipeline = pipeline(*variant);
        let (batch, summary) = run(&pipeline, "x.manifest.jsonl", "\"s3://input/a.csv\"\n7\n".to_owned()).await;
        let error = summary.error.unwrap();
        assert_eq!((summary.state, error.code), (BatchState::Failed, FaultCode::BrokenManifest));
        assert!(error.message.contains("line 2"), "{}", error.message);
        assert_eq!(outputs(&pipeline, &batch), Vec::<String>::new());
        let (batch, summary) = run(&pipeline, "none.manifest.json", "[]".to_owned()).await;
        assert_eq!((summary.state, counts(&summary)), (BatchState::Succeeded, (0, 0, 0)));
        assert_eq!(outputs(&pipeline, &batch), ["results.jsonl"]);
        let (_, summary) = run(&pipeline, "gone.manifest.json", list(&["gone.csv"])).await;
        assert_eq!((summary.state, counts(&summary)), (BatchState::Failed, (0, 0, 0)));
        assert_eq!(summary.objects.unwrap().failed, 1);
    }
}

#[tokio::test]
async fn json_documents_are_objects_of_a_batch_too() {
    let forms = [
        ("json", "{\"records\":[{\"itemNo\":\"1\",\"price\":1},\n{\"itemNo\" : \"2\"}]}"),
        ("jsonl", "{\"itemNo\":\"1\",\"price\":1}\n{\"itemNo\" : \"2\"}\n"),
    ];
    for (variant, (extension, text)) in BUILT_IN.iter().flat_map(|variant| forms.map(|form| (variant, form))) {
        let settings = Settings { results: Results::Failed, ..settings(*variant) };
        let pipeline = LocalPipeline::of_items(&settings).unwrap();
        let keys = [format!("a.{extension}"), format!("b.{extension}")];
        keys.iter().for_each(|key| _ = pipeline.stores.input.upload(key, text));
        let manifest: String = keys.iter().map(|key| json!({ "key": key }).to_string() + "\n").collect();
        let (batch, summary) = run(&pipeline, "two.manifest.jsonl", manifest).await;
        assert_eq!((summary.state, counts(&summary)), (BatchState::PartiallyFailed, (4, 2, 2)), "{}", variant.name);
        let names = [format!("failed/00000-a.{extension}"), format!("failed/00001-b.{extension}")];
        assert_eq!(outputs(&pipeline, &batch), names);
        for name in names {
            let failed = output(&pipeline, &batch.output_key(&name)).unwrap();
            assert!(failed.contains("{\"itemNo\" : \"2\"}") && !failed.contains("price"), "{failed}");
        }
    }
}

#[tokio::test]
async fn a_folder_of_files_that_make_no_batches_can_be_a_batch() {
    let settings = Settings { format: FormatSettings::default(), ..settings(BUILT_IN[0]) };
    let pipeline = LocalPipeline::of_items(&settings).unwrap();
    let (_, event) = pipeline.upload("_incoming/a.csv", "itemNo,price\na1,1\n");
    send(&pipeline, event).await;
    assert!(pipeline.stores.output.keys().is_empty(), "the folder is ignored");
    let (_, summary) = run(&pipeline, "all.manifest.json", list(&["_incoming/a.csv", "_incoming/_a.csv"])).await;
    assert_eq!((counts(&summary), summary.objects.unwrap().total), ((1, 1, 0), 1));
}
