//! The failures of one reason: read again as they were uploaded, and processed again without the others.

use bytes::Bytes;
use fanfold::batch::control;
use fanfold::batch::view::{Around, view};
use fanfold::model::ids::BatchId;
use fanfold::model::message::{RedriveMessage, to_body};
use fanfold::model::progress::{Batch, BatchState};
use fanfold::model::reason::ReasonId;
use fanfold::model::view::BatchView;
use fanfold::pipeline::Pipeline;
use fanfold::pipeline::local::{LocalPipeline, LocalStores, Settings};
use fanfold::pipeline::variant::{BUILT_IN, Variant};
use fanfold::processor::items::WriteItems;
use fanfold::stage::gather::Results;
use fanfold::store::Clock;
use fanfold::store::blob::memory::MemoryBlob;
use fanfold::store::channel::{Channel, Outgoing};
use fanfold::store::clock::SystemClock;
use futures::TryStreamExt;

const STRICT: &str = r#"{"properties":{"price":{"type":"number"},"note":{"maxLength":3}},"required":["price"]}"#;

fn settings(variant: Variant, results: Results) -> Settings {
    let schema = STRICT.to_owned();
    Settings { variant: Some(variant), schema, chunk_size: 3, results, ..Settings::default() }
}

/// Of twelve records, four have no number for a price, and two have too long a note.
fn csv() -> Vec<String> {
    let row = |n: usize| match n % 6 {
        0 | 3 => format!("{n},cheap,\"a\n{n}\""),
        1 => format!("{n},{n},much too long"),
        _ => format!("{n},{n},ok"),
    };
    (0..12).map(row).collect()
}

fn jsonl() -> Vec<String> {
    let row = |n: usize| match n % 6 {
        0 | 3 => format!(r#"{{ "id": {n}, "price": "cheap" }}"#),
        1 => format!(r#"{{"id":{n},  "price":{n}, "note":"much too long"}}"#),
        _ => format!(r#"{{"id":{n},"price":{n}}}"#),
    };
    (0..12).map(row).collect()
}

fn with_head(head: &str, rows: &[String], wanted: impl Fn(usize) -> bool) -> String {
    let rows = rows.iter().enumerate().filter(|(n, _)| wanted(*n)).map(|(_, row)| format!("{row}\n"));
    let rows: String = rows.collect();
    if rows.is_empty() { rows } else { format!("{head}{rows}") }
}

async fn known(stores: &LocalStores<MemoryBlob>, id: &BatchId) -> Batch {
    control::latest(&stores.ledger, id).await.unwrap().unwrap()
}

async fn seen(stores: &LocalStores<MemoryBlob>, id: &BatchId) -> BatchView {
    view(&stores.ledger, id, &Around::default(), SystemClock.now()).await.unwrap().unwrap()
}

/// The failed records as they can be had, of one reason or of all.
async fn failed(stores: &LocalStores<MemoryBlob>, variant: Variant, id: &BatchId, only: Option<ReasonId>) -> String {
    let failures = Pipeline::new(stores.clone(), variant, "input").failures().unwrap();
    let file = failures.of(&known(stores, id).await, only).await.unwrap();
    let pieces: Vec<Bytes> = file.pieces.try_collect().await.unwrap();
    String::from_utf8(pieces.concat()).unwrap()
}

async fn redrive(pipeline: &LocalPipeline, id: &BatchId, only: &ReasonId, schema: &str) {
    let stores = &pipeline.stores;
    let batch = known(stores, id).await;
    let next = control::redrive(&stores.ledger, &stores.queues[0], &batch, Some(only.clone())).await.unwrap();
    // A second one that is asked for before the first began is about the same generation, and changes nothing.
    let other = RedriveMessage::new(next).only(Some(ReasonId::kept("000000000000")));
    stores.queues[0].send(vec![Outgoing::new(to_body(&other))]).await.unwrap();
    let variant = known(stores, id).await.opening.variant;
    let settings = settings(Variant::named(&variant).unwrap(), Results::All);
    let later = Settings { schema: schema.to_owned(), ..settings };
    let items = WriteItems::new(pipeline.items().clone());
    let later = LocalPipeline::sharing(&later, stores.clone(), items).unwrap();
    assert!(later.run().await.unwrap().is_empty());
}

#[tokio::test]
async fn failed_records_of_one_reason_are_had_as_they_were_uploaded() {
    for variant in BUILT_IN.iter().copied() {
        for (name, head, rows) in [("a.csv", "id,price,note\n", csv()), ("a.jsonl", "", jsonl())] {
            for results in [Results::All, Results::None] {
                let pipeline = LocalPipeline::of_items(&settings(variant, results)).unwrap();
                let (batch, event) = pipeline.upload(name, with_head(head, &rows, |_| true));
                pipeline.run_batch(&batch, event, || {}).await.unwrap();
                let of = |only| failed(&pipeline.stores, variant, &batch, only);
                let all = with_head(head, &rows, |n| n % 6 == 0 || n % 6 == 3 || n % 6 == 1);
                assert_eq!(of(None).await, all, "{} {name} {results:?}", variant.name);
                if variant.condition.has_tree() {
                    let view = seen(&pipeline.stores, &batch).await;
                    let ids: Vec<&ReasonId> = view.failures.iter().map(|group| &group.id).collect();
                    let prices = with_head(head, &rows, |n| n % 3 == 0);
                    assert_eq!(of(Some(ids[0].clone())).await, prices, "{} {name}", variant.name);
                    let notes = with_head(head, &rows, |n| n % 6 == 1);
                    assert_eq!(of(Some(ids[1].clone())).await, notes, "{} {name}", variant.name);
                }
                assert_eq!(of(Some(ReasonId::kept("000000000000"))).await, "", "{} {name}", variant.name);
            }
        }
    }
}

#[tokio::test]
async fn a_redrive_of_one_reason_leaves_the_others_as_they_were() {
    for variant in BUILT_IN.iter().copied().filter(|variant| variant.condition.has_tree()) {
        let pipeline = LocalPipeline::of_items(&settings(variant, Results::All)).unwrap();
        let rows = csv();
        let (batch, event) = pipeline.upload("a.csv", with_head("id,price,note\n", &rows, |_| true));
        pipeline.run_batch(&batch, event, || {}).await.unwrap();
        let before = seen(&pipeline.stores, &batch).await;
        let counts: Vec<u64> = before.failures.iter().map(|group| group.count).collect();
        assert_eq!((counts, before.redrivable), (vec![4, 2], true), "{}", variant.name);
        let [prices, notes] = [0, 1].map(|place| before.failures[place].id.clone());

        // They fail again, and the others are still told.
        redrive(&pipeline, &batch, &prices, STRICT).await;
        let again = seen(&pipeline.stores, &batch).await;
        assert_eq!(
            (again.generation, again.only.as_ref(), again.state),
            (1, Some(&prices), BatchState::PartiallyFailed)
        );
        let told =
            |view: &BatchView| view.failures.iter().map(|group| (group.id.clone(), group.count)).collect::<Vec<_>>();
        assert_eq!(told(&again), told(&before), "{}", variant.name);
        assert_eq!((again.records.succeeded, again.records.failed), (6, 6), "{}", variant.name);

        redrive(&pipeline, &batch, &prices, "{}").await;
        let mended = seen(&pipeline.stores, &batch).await;
        assert_eq!((mended.generation, told(&mended)), (2, vec![(notes.clone(), 2)]), "{}", variant.name);
        assert_eq!((mended.records.succeeded, mended.records.failed), (10, 2), "{}", variant.name);
        let left = with_head("id,price,note\n", &rows, |n| n % 6 == 1);
        assert_eq!(failed(&pipeline.stores, variant, &batch, None).await, left, "{}", variant.name);
        assert_eq!(pipeline.items().all().len(), 10, "{}", variant.name);

        redrive(&pipeline, &batch, &notes, "{}").await;
        let end = seen(&pipeline.stores, &batch).await;
        assert_eq!((end.state, told(&end), end.redrivable), (BatchState::Succeeded, vec![], false), "{}", variant.name);
        assert_eq!(pipeline.items().all().len(), 12, "{}", variant.name);
    }
}

#[tokio::test]
async fn a_reason_that_nothing_failed_for_is_refused_with_those_that_there_are() {
    let pipeline = LocalPipeline::of_items(&settings(Variant::named("chunked").unwrap(), Results::All)).unwrap();
    let (batch, event) = pipeline.upload("a.jsonl", with_head("", &jsonl(), |_| true));
    pipeline.run_batch(&batch, event, || {}).await.unwrap();
    let view = seen(&pipeline.stores, &batch).await;
    let id = view.failures[0].id.as_str();
    assert_eq!(view.reason(id).unwrap().count, 4);
    for wrong in ["", "other", "000000000000"] {
        let refused = view.reason(wrong).unwrap_err().to_string();
        assert!(refused.contains(id) && refused.contains("reasons are"), "{refused}");
    }
}
