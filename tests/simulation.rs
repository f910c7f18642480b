//! The real stages on stores in memory, one thread, one seed, virtual time: messages come late,
//! twice and out of order, calls fail before and after their effect, functions die anywhere, and
//! every batch ends as the reference model says.
//!
//! A seed that fails prints itself and its shortest trace, and is appended to
//! `tests/simulation/seeds.txt`, whose seeds run first. `FANFOLD_SEEDS=100000` runs more.

#[path = "simulation/clockwork.rs"]
mod clockwork;
#[path = "simulation/functions.rs"]
mod functions;
#[path = "simulation/hand.rs"]
mod hand;
#[path = "simulation/invariant.rs"]
mod invariant;
#[path = "simulation/mutation.rs"]
mod mutation;
#[path = "simulation/plan.rs"]
mod plan;
#[path = "simulation/queue.rs"]
mod queue;
#[path = "simulation/state.rs"]
mod state;
#[path = "simulation/stores.rs"]
mod stores;
#[path = "simulation/world.rs"]
mod world;

use std::collections::BTreeMap;
use std::io::Write;
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use fanfold::model::schema::RecordSchema;
use fanfold::variant::BUILT_IN;

use invariant::Broken;
use mutation::Mutation;
use plan::Plan;
use state::{Options, PARKED, State};
use world::World;

const ORDERS: &str = include_str!("../examples/orders.schema.json");
const SEEDS: u64 = 10_000;
/// Seeds in which a mutation has to be caught.
const MUTANT_SEEDS: u64 = 5_000;
const KEPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/simulation/seeds.txt");

fn schema() -> RecordSchema {
    RecordSchema::parse(ORDERS, "itemNo").unwrap()
}

fn run(seed: u64, schema: &RecordSchema, options: Options) -> State {
    World::run(&Plan::of(seed), schema, options)
}

/// The trace of a seed that fails, with as few faults as it takes.
fn shortest_trace(seed: u64, schema: &RecordSchema) -> String {
    let whole = run(seed, schema, Options { traced: true, ..Options::default() });
    let shorter = (0..whole.faults).find_map(|most| {
        let options = Options { most_faults: Some(most), traced: true, ..Options::default() };
        Some(run(seed, schema, options)).filter(|state| state.broken.is_some())
    });
    let state = shorter.unwrap_or(whole);
    let (faults, plan) = (state.faults, &state.plan);
    format!("{plan:#?}\n{}\n{faults} faults, {:?}", state.trace.join("\n"), state.broken)
}

/// What seeds reached, by name.
type Reached = BTreeMap<&'static str, u64>;

fn note(reached: &mut Reached, state: &State) {
    let mut add = |name, many: usize| *reached.entry(name).or_default() += many as u64;
    let seeds = usize::from;
    add("faults", state.faults as usize);
    add("points at which a function could die", state.points as usize);
    add("messages parked", state.queues[PARKED].messages.len());
    for batch in invariant::generations(state) {
        let sealing = batch.sealing.as_ref();
        add(batch.state.name(), 1);
        add("redriven", seeds(batch.opening.id.generation() > 0));
        add("of several leaves", seeds(sealing.is_some_and(|sealing| sealing.leaves() > 1)));
        add("sealed by force", seeds(sealing.is_some_and(|sealing| sealing.records.is_none())));
        add("with buried chunks", seeds(batch.tally.is_some_and(|tally| tally.failed_chunks > 0)));
        add("given up", seeds(batch.stop.as_ref().is_some_and(|stop| stop.fault.code == "GAVE_UP")));
        add("gathered more than once", seeds(batch.gather_attempts > 1));
        add("looked after by sweep", seeds(batch.seen.is_some()));
    }
}

/// Runs seeds on as many threads as there are cores until one fails.
fn search(seeds: std::ops::Range<u64>, schema: &RecordSchema) -> Result<Reached, (u64, Broken)> {
    let (next, failed) = (AtomicU64::new(seeds.start), Mutex::new(None));
    let all = Mutex::new(Reached::new());
    let threads = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                let mut reached = Reached::new();
                while failed.lock().unwrap().is_none() {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= seeds.end {
                        break;
                    }
                    let state = run(seed, schema, Options::default());
                    note(&mut reached, &state);
                    if let Some(broken) = state.broken {
                        failed.lock().unwrap().get_or_insert((seed, broken));
                    }
                }
                for (name, many) in reached {
                    *all.lock().unwrap().entry(name).or_default() += many;
                }
            });
        }
    });
    failed.into_inner().unwrap().map_or_else(|| Ok(all.into_inner().unwrap()), Err)
}

fn fail(seed: u64, broken: &Broken, schema: &RecordSchema) -> ! {
    let kept = std::fs::read_to_string(KEPT).unwrap_or_default();
    if !kept.lines().any(|line| line == seed.to_string()) {
        let mut file = std::fs::OpenOptions::new().append(true).create(true).open(Path::new(KEPT)).unwrap();
        writeln!(file, "{seed}").unwrap();
    }
    panic!("seed {seed} breaks {broken}\n{}", shortest_trace(seed, schema));
}

#[test]
fn every_batch_ends_as_the_reference_model_says_whatever_fails() {
    let schema = schema();
    let kept = std::fs::read_to_string(KEPT).unwrap();
    for seed in kept.lines().filter_map(|line| line.parse().ok()) {
        if let Some(broken) = run(seed, &schema, Options::default()).broken {
            fail(seed, &broken, &schema);
        }
    }
    let many = std::env::var("FANFOLD_SEEDS").ok().map_or(SEEDS, |many| many.parse().expect("a number of seeds"));
    let first = std::env::var("FANFOLD_FIRST_SEED").ok().map_or(0, |first| first.parse().expect("a seed"));
    let reached = search(first..first + many, &schema).unwrap_or_else(|(seed, broken)| fail(seed, &broken, &schema));
    println!("{many} seeds from {first} on, and {} that failed once: {reached:#?}", kept.lines().count());
    // What is never reached is not tested.
    let never: Vec<_> = reached.iter().filter(|(_, many)| **many == 0).collect();
    assert!(many < SEEDS || never.is_empty(), "{never:?}");
}

#[test]
fn a_seed_gives_the_same_run_every_time() {
    let schema = schema();
    for seed in 0..50 {
        let traced = || run(seed, &schema, Options { traced: true, ..Options::default() });
        let (one, other) = (traced(), traced());
        assert!(one.trace == other.trace, "seed {seed}");
        assert!(one.points > 0 || one.batches.is_empty());
    }
}

#[test]
fn a_function_may_die_before_and_after_every_call() {
    let schema = schema();
    let mut points = BTreeMap::new();
    let plans = [("", Plan::small as fn(_) -> Plan), (" poisoned", Plan::poisoned), (" cancelled", Plan::cancelled)];
    for (name, plan) in BUILT_IN.iter().flat_map(|v| plans.map(|(name, plan)| (format!("{}{name}", v.name), plan(*v))))
    {
        let many = World::run(&plan, &schema, Options::default()).points;
        for point in 1..=many {
            let state = World::run(&plan, &schema, Options { crash: Some(point), traced: true, ..Options::default() });
            if let Some(broken) = state.broken {
                panic!("{name} that dies at {point} breaks {broken}\n{}", state.trace.join("\n"));
            }
        }
        points.insert(name, many);
    }
    println!("crash points: {points:?}");
}

#[test]
fn wrong_orders_and_missing_conditions_are_caught() {
    let schema = schema();
    for mutation in Mutation::ALL {
        let caught = (0..MUTANT_SEEDS).find_map(|seed| {
            let options = Options { mutation: Some(mutation), ..Options::default() };
            run(seed, &schema, options).broken.map(|broken| (seed + 1, broken))
        });
        match caught {
            Some((seeds, broken)) => println!("{mutation:?}: caught after {seeds} seeds by {broken}"),
            None => panic!("{mutation:?} was not caught in {MUTANT_SEEDS} seeds"),
        }
    }
}
