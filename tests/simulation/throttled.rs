//! Files that are larger than a new table and a new bucket can take at once: nothing fails, and little time is lost.

use fanfold::batch::view::{Around, view};
use fanfold::model::forecast::TimeLeft;
use fanfold::model::progress::{Batch, BatchState};
use fanfold::model::schema::RecordSchema;
use fanfold::model::timestamp::Timestamp;
use fanfold::model::view::BatchView;
use fanfold::pipeline::variant::Variant;
use fanfold::stage::gather::Results;
use futures::FutureExt;

use super::clockwork::BEGIN;
use super::invariant::{FAILS, generations};
use super::mutation::Mutation;
use super::plan::{File, Often, Plan, Record};
use super::state::{Options, PARKED, PROCESS, State};
use super::{schema, setting};
use crate::world::World;

/// What a run came to.
#[derive(Debug)]
struct Run {
    batches: Vec<Batch>,
    /// How long it took, as a multiple of the time that the table or the bucket needs for what it took.
    ratio: f64,
    /// How many requests or items were refused for each that was taken.
    refused: f64,
    /// Messages that were given up.
    given_up: usize,
}

impl Plan {
    /// Files of so many records for a table and a bucket that are new, with at most `workers` functions at once.
    fn throttled(variant: Variant, files: usize, records: usize, chunk_size: usize, workers: usize) -> Self {
        let plan = Self::small(variant);
        let file = |file: usize| {
            let record = |n: usize| Record {
                key: format!("k{file}-{n}"),
                price: "1.5".to_owned(),
                note: format!("f{file}n{n}"),
            };
            let (key, records) = (format!("file{file}.csv"), (0..records).map(record).collect());
            File { key, records, at: 10 * file as i64, ..plan.files[0].clone() }
        };
        let files = (0..files).map(file).collect();
        let plan = Self { chunk_size, results: Results::None, files, ..plan };
        Self { workers: Some(workers), sweep: true, redeployed: false, ..plan }
    }
}

fn run(plan: &Plan, schema: &RecordSchema, mutation: Option<Mutation>) -> Run {
    let state = World::run(plan, schema, Options { mutation, ..Options::default() });
    if mutation.is_none() {
        assert_eq!(state.broken, None);
    }
    came_to(&state)
}

fn came_to(state: &State) -> Run {
    let capacity = state.capacity.as_ref().unwrap();
    let per_taken = |refused: u64, taken: u64| refused as f64 / taken as f64;
    // What takes the longest sets the pace.
    let tables = [&capacity.items, &capacity.tasks].map(|t| (t.own_seconds(), t.last, per_taken(t.refused, t.taken)));
    let bucket = &capacity.work;
    let bucket = (bucket.own_seconds(), bucket.last, per_taken(bucket.refused, bucket.taken));
    let (own, last, refused) = tables.into_iter().chain([bucket]).max_by(|a, b| a.0.total_cmp(&b.0)).unwrap();
    Run {
        batches: generations(state).collect(),
        ratio: (last - BEGIN) as f64 / 1000.0 / own,
        refused,
        given_up: state.hurt.len() + state.queues[PARKED].messages.len(),
    }
}

fn check(name: &str, plan: &Plan) {
    let run = run(plan, &schema(), None);
    let (files, records) = (plan.files.len(), plan.files[0].records.len());
    let (ratio, refused) = (run.ratio, run.refused);
    println!("{name}: {files} of {records} records, {ratio:.2} of the least time, {refused:.2} refused for each taken");
    assert_eq!((run.batches.len(), run.given_up), (files, 0));
    for batch in run.batches {
        let tally = batch.tally.unwrap();
        assert_eq!((batch.state, tally.succeeded, tally.failed), (BatchState::Succeeded, records as u64, 0));
        assert_eq!(tally.failed_chunks, 0);
    }
    assert!(ratio <= 1.2, "{ratio}");
}

#[test]
fn a_new_table_takes_a_large_file_without_a_failure() {
    let records = setting("FANFOLD_RECORDS").unwrap_or(100_000);
    for name in ["ranged", "chunked", "dynamodb"] {
        check(name, &Plan::throttled(Variant::named(name).unwrap(), 1, records, 500, 50));
    }
}

#[test]
fn a_new_bucket_takes_many_objects_without_a_failure() {
    let records = setting("FANFOLD_OBJECTS").unwrap_or(4_000);
    check("async", &Plan::throttled(Variant::named("async").unwrap(), 10, records, 1, 200));
}

#[test]
fn it_matters_how_a_busy_table_is_met() {
    let (ranged, schema) = (Variant::named("ranged").unwrap(), schema());
    // More functions, with larger items, than the table can serve within the time of an invocation.
    let crowded = Plan { units: 10, ..Plan::throttled(ranged, 1, 20_000, 100, 200) };
    let failed = |run: &Run| run.batches.iter().filter_map(|batch| batch.tally).map(|tally| tally.failed).sum::<u64>();
    let whole = run(&crowded, &schema, None);
    println!("crowded: {:.2} of the least time, {:.2} refused for each taken", whole.ratio, whole.refused);
    assert_eq!((whole.given_up, failed(&whole), whole.ratio <= 1.2), (0, 0, true), "{whole:?}");

    let together = run(&crowded, &schema, Some(Mutation::NoJitter));
    assert!(together.ratio > 1.5, "without jitter it takes {:.2} of the least time", together.ratio);
    let tired = run(&crowded, &schema, Some(Mutation::GivesUpAfterEight));
    assert!(failed(&tired) > 0, "all items are written even if writes are given up");
    println!("without jitter {:.2} of the least time; {} fail if writes are given up", together.ratio, failed(&tired));

    // A table that takes nothing for an hour.
    let busy = Some(Often { call: "items.write", percent: 100, until: 3_600_000 });
    let closed = Plan { busy, workers: None, ..Plan::throttled(ranged, 1, 100, 10, 50) };
    assert_eq!(World::run(&closed, &schema, Options::default()).broken, None);
    let counted = World::run(&closed, &schema, Options { mutation: Some(Mutation::BusyCounts), ..Options::default() });
    assert_eq!(counted.broken.map(|broken| broken.invariant), Some(FAILS));
}

/// How far off what was foreseen of a batch was, as shares of the time that was left, and how much was left of the whole.
struct Foreseen {
    off: f64,
    left: f64,
    within: bool,
}

/// What a batch is doing at a moment.
fn seen(state: &State, now: i64) -> Option<BatchView> {
    let messages = &state.queues[PROCESS].messages;
    let waiting = messages.iter().filter(|message| message.visible_at <= now).count() as u64;
    let around = Around { waiting: Some(waiting), running: Some(messages.len() as u64 - waiting) };
    let told = view(&state.data.ledger, state.batches.first()?, &around, Timestamp(now));
    told.now_or_never().unwrap().unwrap()
}

/// What was foreseen in each second from half way on until a twentieth of the chunks was left.
fn foreseen(plan: &Plan) -> Vec<Foreseen> {
    let (mut samples, mut last) = (Vec::new(), BEGIN);
    let state = World::watched(plan, &schema(), Options::default(), |state| {
        let now = state.clockwork.now;
        if now < last + 1000 {
            return;
        }
        let Some(view) = seen(state, now) else {
            return;
        };
        last = now;
        let (Some(total), Some(done)) = (view.chunks.total, view.chunks.done) else {
            return;
        };
        if done * 2 >= total && (total - done) * 20 >= total {
            samples.push((now, view.time_left.unwrap()));
        }
    });
    assert_eq!(state.broken, None);
    let end = seen(&state, state.clockwork.now).and_then(|view| view.gather_started_at).unwrap().0;
    let seconds = |from: i64| (end - from) as f64 / 1000.0;
    let judge = |(now, told): (i64, TimeLeft)| {
        let left = seconds(now);
        let within = (told.least..=told.most).contains(&left);
        Foreseen { off: (told.seconds - left).abs() / left, left: left / seconds(BEGIN), within }
    };
    samples.into_iter().map(judge).collect()
}

#[test]
fn from_half_way_on_the_time_left_is_told_within_a_fifth() {
    // In `dynamodb` scatter writes every record into a table that is as busy, so that the total is known at the end only.
    for name in ["ranged", "chunked"] {
        let told = foreseen(&Plan::throttled(Variant::named(name).unwrap(), 1, 200_000, 400, 20));
        let worst = |from: f64| told.iter().filter(|told| told.left >= from).map(|told| told.off).fold(0.0, f64::max);
        // How far those chunks are that are worked on matters at the very end.
        let (worst, last) = (worst(0.125), worst(0.0));
        let within = told.iter().filter(|told| told.within).count();
        println!(
            "{name}: off by at most {:.0} % until an eighth of the time is left, {:.0} % after that; {within} of {} in range",
            worst * 100.0,
            last * 100.0,
            told.len()
        );
        assert!(told.len() >= 15 && told[0].left > 0.3, "{name}: {} looks", told.len());
        assert!(worst <= 0.2, "{name}: {worst}");
        assert_eq!(within, told.len(), "{name}");
    }
}
