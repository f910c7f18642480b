//! Completion of batches so large that their leaves are marked in nodes: the real tree on the ledger in memory, with
//! workers, seals and sweeps that go on in any order between any two calls, that die at any call, and that come again or
//! are lost. A reference model knows which chunks are done; `tests/simulation.rs` does the same for whole pipelines,
//! whose batches are small. And one file of so many chunks goes through all stages.

#[path = "nodes/ledger.rs"]
mod ledger;
#[path = "nodes/plan.rs"]
mod plan;
#[path = "nodes/world.rs"]
mod world;

use fanfold::batch::leaves::sum;
use fanfold::batch::view::{Around, view};
use fanfold::model::progress::Batch;
use fanfold::pipeline::local::{LocalPipeline, Settings};
use fanfold::pipeline::variant::Variant;
use fanfold::store::ledger::Ledger;

use ledger::Mutation;
use plan::{COUNTS, Deaths, Plan};
use world::run;

const SEEDS: u64 = 3_000;

#[test]
fn a_large_batch_completes_once_all_is_done_whatever_fails() {
    let (mut by_count, mut nodes, mut late, mut forced) = ([0; COUNTS.len()], 0, 0, 0);
    for plan in (0..SEEDS).map(Plan::of) {
        let report = run(&plan, None);
        if let Some(broken) = report.broken {
            panic!("{broken}\n{plan:#?}");
        }
        by_count[COUNTS.iter().position(|count| *count == plan.chunks).unwrap()] += 1;
        nodes += usize::from(report.nodes > 1);
        late += usize::from(report.late);
        forced += usize::from(report.kept < plan.chunks);
    }
    println!("{by_count:?} of each size, {nodes} with several nodes, {forced} sealed by force, {late} with late marks");
    assert!(by_count.into_iter().chain([nodes, late, forced]).all(|runs| runs > 100));
}

#[test]
fn a_function_may_die_at_every_call_for_a_large_batch() {
    for (chunks, forced) in [
        (65_536, None),
        (65_537, None),
        (65_792, None),
        (131_073, None),
        (131_073, Some(65_793)),
        (131_073, Some(65_536)),
    ] {
        for seed in 0..4 {
            let plan = Plan::quiet(seed, chunks, forced);
            let turns = run(&plan, None).turns;
            assert!(turns > 4, "{plan:?}");
            for turn in 1..=turns {
                let plan = Plan { deaths: Deaths::At(turn), ..plan.clone() };
                let report = run(&plan, None);
                assert_eq!(report.broken, None, "{plan:#?}");
                assert!(report.turns > turn, "what died has come again");
            }
        }
    }
}

#[test]
fn mistakes_about_nodes_are_caught() {
    for mutation in Mutation::ALL {
        let caught = (0..SEEDS).find_map(|seed| Some((seed, run(&Plan::of(seed), Some(mutation)).broken?)));
        let (seed, broken) = caught.unwrap_or_else(|| panic!("{mutation:?} is not caught"));
        println!("{mutation:?}: caught after {} seeds: {broken}", seed + 1);
    }
}

/// All stages, over a file of which each record is a chunk.
#[tokio::test]
async fn a_file_of_65_800_chunks_is_processed_to_its_end() {
    const RECORDS: u64 = 65_800;
    let (schema, key_field) = (include_str!("../examples/orders.schema.json").to_owned(), "itemNo".to_owned());
    let settings = Settings {
        variant: Some(Variant::named("ranged").unwrap()),
        schema,
        key_field,
        chunk_size: 1,
        ..Settings::default()
    };
    let pipeline = LocalPipeline::of_items(&settings).unwrap();
    let rows: String =
        (0..RECORDS).map(|n| format!("i{n},{}\n", if n % 1000 == 999 { "free" } else { "1.5" })).collect();
    let (batch, event) = pipeline.upload("large.csv", format!("itemNo,price\n{rows}"));
    let summary = pipeline.run_batch(&batch, event, || {}).await.unwrap();
    let records = &summary.records;
    assert_eq!((records.total, records.succeeded, records.failed), (RECORDS, RECORDS - 65, 65));
    let closed = pipeline.stores.ledger.read(&batch).await.unwrap().unwrap();
    assert_eq!(closed.root, (-1..=256).collect());
    // The leaves say the same as long as a batch is not closed.
    let (done, tally) = sum(&pipeline.stores.ledger, &Batch { tally: None, ..closed.clone() }).await.unwrap();
    assert_eq!((done, tally.failed), (RECORDS, 65));
    let view = view(&pipeline.stores.ledger, &batch, &Around::default(), closed.opening.started_at).await.unwrap();
    let view = view.unwrap();
    assert_eq!((view.chunks.done, view.records.failed), (Some(RECORDS), 65));
    let [group] = view.failures.as_slice() else { panic!("{:?}", view.failures) };
    assert_eq!((group.reason.as_str(), group.count), ("price: the cell … is not a number", 65));
}
