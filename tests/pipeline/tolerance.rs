//! How many records of a batch may fail before it is stopped, in every variant.

use fanfold::model::fault::FaultCode;
use fanfold::model::ids::BatchId;
use fanfold::model::message::{RedriveMessage, to_body};
use fanfold::model::progress::{Batch, BatchState};
use fanfold::model::summary::Summary;
use fanfold::model::timestamp::Timestamp;
use fanfold::model::tolerance::Tolerance;
use fanfold::pipeline::Pipeline;
use fanfold::pipeline::local::{INPUT, LocalPipeline, Memory, Settings};
use fanfold::pipeline::variant::{BUILT_IN, Variant};
use fanfold::processor::items::WriteItems;
use fanfold::stage::sweep::Patience;
use fanfold::store::Clock;
use fanfold::store::channel::{Channel, Outgoing};
use fanfold::store::clock::SystemClock;
use fanfold::store::ledger::Ledger;

/// A number in each record.
const NUMBERS: &str = r#"{"type":"object","properties":{"n":{"type":"integer"}}}"#;

fn settings(variant: Variant, tolerate: &str, chunk_size: usize) -> Settings {
    let tolerance = Tolerance::parse(tolerate).unwrap();
    Settings { variant: Some(variant), schema: NUMBERS.to_owned(), tolerance, chunk_size, ..Settings::default() }
}

/// Records of which those in some places fail.
fn lines(many: usize, fails: impl Fn(usize) -> bool) -> String {
    let line = |n| format!("{{\"id\":\"{n}\",\"n\":{}}}\n", if fails(n) { "\"x\"".to_owned() } else { n.to_string() });
    (0..many).map(line).collect()
}

/// Those whose ledger counts chunks.
fn with_leaves() -> impl Iterator<Item = Variant> {
    BUILT_IN.iter().copied().filter(|variant| variant.condition.has_tree())
}

async fn ended(settings: &Settings, file: String) -> (Summary, LocalPipeline) {
    let pipeline = LocalPipeline::of_items(settings).unwrap();
    let summary = pipeline.run_file("numbers.jsonl", file).await.unwrap();
    (summary, pipeline)
}

fn code(summary: &Summary) -> Option<FaultCode> {
    summary.error.as_ref().map(|error| error.code)
}

#[tokio::test]
async fn a_batch_that_ends_at_its_budget_is_not_stopped() {
    for variant in BUILT_IN.iter().copied() {
        let (summary, pipeline) = ended(&settings(variant, "5", 2), lines(40, |n| n < 5)).await;
        assert_eq!((summary.state, code(&summary)), (BatchState::PartiallyFailed, None), "{}", variant.name);
        assert_eq!((summary.records.failed, pipeline.items().all().len()), (5, 35), "{}", variant.name);
    }
}

#[tokio::test]
async fn one_failure_more_stops_it_and_what_was_done_is_kept() {
    for variant in with_leaves() {
        let (summary, pipeline) = ended(&settings(variant, "5", 2), lines(100, |n| n < 6)).await;
        let (items, name) = (pipeline.items().all().len(), variant.name);
        assert_eq!((summary.state, code(&summary)), (BatchState::Failed, Some(FaultCode::TooManyFailures)), "{name}");
        let message = &summary.error.as_ref().unwrap().message;
        assert!(message.ends_with(" records failed, and TOLERATE allows 5"), "{name}: {message}");
        assert!(message.starts_with("6 of "), "{name}: {message}");
        // Messages come in tens: of those, the chunks of the first ones were processed.
        assert!((1..100 - 6).contains(&items), "{name}: {items} items");
        let counted = (summary.records.total, summary.records.succeeded, summary.records.failed);
        assert_eq!(counted, (100, items as u64, 100 - items as u64), "{name}");
        let results = pipeline.stores.output.read(&summary.batch_id.output_key("results.jsonl")).unwrap();
        let skipped = String::from_utf8_lossy(&results).matches(message.as_str()).count();
        assert_eq!(skipped, 100 - items - 6, "{name}: each record that was skipped says why");
    }
}

#[tokio::test]
async fn one_failure_too_many_in_the_last_chunk_counts() {
    for variant in with_leaves() {
        let (summary, pipeline) = ended(&settings(variant, "0", 10), lines(30, |n| n == 29)).await;
        let told = (summary.state, code(&summary), pipeline.items().all().len());
        assert_eq!(told, (BatchState::Failed, Some(FaultCode::TooManyFailures), 29), "{}", variant.name);
    }
}

#[tokio::test]
async fn a_percentage_counts_from_a_thousand_records_on() {
    for variant in with_leaves() {
        let (summary, _) = ended(&settings(variant, "5%", 100), lines(999, |_| true)).await;
        assert_eq!((code(&summary), summary.records.failed), (None, 999), "{}", variant.name);
        let (summary, _) = ended(&settings(variant, "5%", 100), lines(3_000, |n| n % 20 == 0)).await;
        assert_eq!((code(&summary), summary.records.failed), (None, 150), "{}", variant.name);
        let (summary, pipeline) = ended(&settings(variant, "5%", 100), lines(3_000, |n| n % 10 == 0)).await;
        assert_eq!(code(&summary), Some(FaultCode::TooManyFailures), "{}", variant.name);
        let (message, items) = (summary.error.unwrap().message, pipeline.items().all().len());
        assert!(message.ends_with("records failed, and TOLERATE allows 5%"), "{message}");
        assert!((900..2_700).contains(&items), "{}: {items} items", variant.name);
    }
}

#[tokio::test]
async fn a_batch_that_only_fails_ends_soon() {
    for variant in with_leaves() {
        let settings = settings(variant, "1000", 100);
        let pipeline = LocalPipeline::of_items(&settings).unwrap();
        let summary = pipeline.run_file("numbers.jsonl", lines(20_000, |_| true)).await.unwrap();
        assert_eq!((summary.state, code(&summary)), (BatchState::Failed, Some(FaultCode::TooManyFailures)));
        let results = pipeline.stores.output.read(&summary.batch_id.output_key("results.jsonl")).unwrap();
        let skipped = String::from_utf8_lossy(&results).matches("TOLERATE allows 1,000").count();
        assert!(skipped >= 20_000 - 2_100, "{}: {skipped} skipped", variant.name);
    }
}

#[tokio::test]
async fn failures_of_several_leaves_are_summed() {
    for variant in with_leaves() {
        let (summary, _) = ended(&settings(variant, "60", 1), lines(1_000, |n| n % 20 == 0)).await;
        assert_eq!((code(&summary), summary.records.failed), (None, 50), "{}", variant.name);
        // No leaf alone has more than 52.
        let (summary, pipeline) = ended(&settings(variant, "60", 1), lines(1_000, |n| n % 5 == 0)).await;
        assert_eq!(code(&summary), Some(FaultCode::TooManyFailures), "{}", variant.name);
        assert!(pipeline.items().all().len() < 400, "{}: {}", variant.name, pipeline.items().all().len());
    }
}

/// Gives the pipeline's scatter its message, and workers that many of theirs.
async fn begin(pipeline: &LocalPipeline, event: String, messages: usize) {
    let queues = &pipeline.stores.queues;
    queues[0].send(vec![Outgoing::new(event)]).await.unwrap();
    for (stage, many) in [(0, 1), (1, messages)] {
        for _ in 0..many {
            let delivery = queues[stage].receive(1).await.unwrap().remove(0);
            pipeline.handle(stage, &delivery).await;
            queues[stage].delete(&delivery.receipt).await.unwrap();
        }
    }
}

/// Runs sweep once, as a minute later.
async fn sweep(stores: &Memory, settings: &Settings) {
    let pipeline = Pipeline::new(stores.clone(), settings.variant.unwrap(), INPUT).with_tolerance(settings.tolerance);
    let patience = Patience { stall_after: 900, give_up_after: 86_400 };
    let deadline = Timestamp(SystemClock.now().0 + 300_000);
    pipeline.sweep(patience).unwrap().run(deadline).await.unwrap();
}

async fn known(stores: &Memory, id: &BatchId) -> Batch {
    stores.ledger.read(id).await.unwrap().unwrap()
}

/// Without leaves nobody else can count. With them, it makes up for workers that died.
#[tokio::test]
async fn sweep_notices_what_no_worker_could() {
    for variant in BUILT_IN.iter().copied() {
        let settings = settings(variant, "3", 1);
        let lenient = Settings { tolerance: Tolerance::All, ..settings.clone() };
        let pipeline = LocalPipeline::of_items(&lenient).unwrap();
        let (batch, event) = pipeline.upload("numbers.jsonl", lines(20, |n| n % 2 == 0));
        begin(&pipeline, event, 6).await;
        sweep(&pipeline.stores, &settings).await;
        assert!(known(&pipeline.stores, &batch).await.stop.is_none(), "{}: three may fail", variant.name);
        for _ in 0..2 {
            let delivery = pipeline.stores.queues[1].receive(1).await.unwrap().remove(0);
            pipeline.handle(1, &delivery).await;
            pipeline.stores.queues[1].delete(&delivery.receipt).await.unwrap();
        }
        sweep(&pipeline.stores, &settings).await;
        let stop = known(&pipeline.stores, &batch).await.stop.unwrap();
        assert_eq!(stop.fault.message, "4 of 8 records failed, and TOLERATE allows 3", "{}", variant.name);
        assert!(pipeline.run().await.unwrap().is_empty());
        let summary = pipeline.summary(&batch).unwrap();
        assert_eq!((summary.state, code(&summary)), (BatchState::Failed, Some(FaultCode::TooManyFailures)));
        assert_eq!((summary.records.succeeded, summary.records.failed), (4, 16), "{}", variant.name);
    }
}

#[tokio::test]
async fn a_redrive_processes_the_rest_and_counts_for_itself() {
    for variant in with_leaves() {
        let (stopped, pipeline) = ended(&settings(variant, "5", 2), lines(100, |n| n < 6)).await;
        let (id, stores) = (&stopped.batch_id, &pipeline.stores);
        assert!(known(stores, id).await.is_redrivable(), "{}", variant.name);
        let redrive = async |generation: u32, schema: &str| {
            let settings = Settings { schema: schema.to_owned(), ..settings(variant, "5", 2) };
            let items = WriteItems::new(pipeline.items().clone());
            let later = LocalPipeline::sharing(&settings, stores.clone(), items).unwrap();
            let order = to_body(&RedriveMessage::new(id.in_generation(generation)));
            stores.queues[0].send(vec![Outgoing::new(order)]).await.unwrap();
            assert!(later.run().await.unwrap().is_empty());
            later.summary(id).unwrap()
        };
        // The same records fail again, and the rest is skipped once more.
        let again = redrive(1, NUMBERS).await;
        assert_eq!((again.generation, again.state, code(&again)), (1, BatchState::Failed, code(&stopped)));
        assert!(again.error.unwrap().message.starts_with("6 of "), "{}", variant.name);
        let mended = redrive(2, "{}").await;
        assert_eq!((mended.generation, mended.state, code(&mended)), (2, BatchState::Succeeded, None));
        assert_eq!((mended.records.total, pipeline.items().all().len()), (100, 100), "{}", variant.name);
    }
}
