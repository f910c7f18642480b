//! The real stages on stores in memory, with one thread, one seed and virtual time: messages arrive late, twice
//! and out of order, calls fail before and after their effect, functions die anywhere, and every batch ends as
//! the reference model predicts.
//!
//! There are three kinds of seeds: a plain one has a little of every fault, a swarm one much of a few, and one
//! called many has batches over many objects. A seed that fails prints itself and its shortest trace, and is
//! appended to `tests/simulation/seeds.txt`, whose seeds run first. `FANFOLD_SEEDS=100000` runs more, `FANFOLD_KIND=swarm` only one kind.

#[path = "simulation/brief.rs"]
mod brief;
#[path = "simulation/buckets.rs"]
mod buckets;
#[path = "simulation/budget.rs"]
mod budget;
#[path = "simulation/capacity.rs"]
mod capacity;
#[path = "simulation/checkpoints.rs"]
mod checkpoints;
#[path = "simulation/clockwork.rs"]
mod clockwork;
#[path = "simulation/counters.rs"]
mod counters;
#[path = "simulation/functions.rs"]
mod functions;
#[path = "simulation/hand.rs"]
mod hand;
#[path = "simulation/invariant.rs"]
mod invariant;
#[path = "simulation/late.rs"]
mod late;
#[path = "simulation/ledger.rs"]
mod ledger;
#[path = "simulation/map.rs"]
mod map;
#[path = "simulation/mutation.rs"]
mod mutation;
#[path = "simulation/objects.rs"]
mod objects;
#[path = "simulation/output.rs"]
mod output;
#[path = "simulation/paused.rs"]
mod paused;
#[path = "simulation/plan.rs"]
mod plan;
#[path = "simulation/queue.rs"]
mod queue;
#[path = "simulation/reached.rs"]
mod reached;
#[path = "simulation/reasons.rs"]
mod reasons;
#[path = "simulation/service.rs"]
mod service;
#[path = "simulation/state.rs"]
mod state;
#[path = "simulation/stores.rs"]
mod stores;
#[path = "simulation/swarm.rs"]
mod swarm;
#[path = "simulation/sweeping.rs"]
mod sweeping;
#[path = "simulation/throttled.rs"]
mod throttled;
#[path = "simulation/topic.rs"]
mod topic;
#[path = "simulation/world.rs"]
mod world;

use std::collections::BTreeMap;
use std::fmt;
use std::io::Write;
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use fanfold::model::progress::BatchState;
use fanfold::model::schema::RecordSchema;
use fanfold::pipeline::variant::{BUILT_IN, Variant};
use fanfold::store::Clock;
use fanfold::store::clock::SystemClock;
use fastrand::Rng;

use invariant::Broken;
use mutation::Mutation;
use plan::Plan;
use reached::Reached;
use state::{Options, State};
use world::World;

const ORDERS: &str = include_str!("../examples/orders.schema.json");
/// The number of seeds of each kind in every run of the tests.
const SEEDS: [(Kind, u64); 3] = [(Kind::Plain, 10_000), (Kind::Swarm, 4_000), (Kind::Many, 6_000)];
/// The number of failing seeds after which a search ends.
const MOST_FAILURES: usize = 50;
const KEPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/simulation/seeds.txt");

/// The kind of plan that a seed makes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    Plain,
    Swarm,
    Many,
}

/// A seed of a kind, and the variant if the seed does not choose it: variants added later must not change the
/// plans of seeds that were kept before.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Seed(Kind, u64, Option<&'static str>);

impl Seed {
    fn new(kind: Kind, number: u64) -> Self {
        let place = Rng::with_seed(!number).usize(..BUILT_IN.len());
        Self(kind, number, (place >= plan::FIRST_VARIANTS).then(|| BUILT_IN[place].name))
    }

    /// Parses a line of `seeds.txt`, such as `swarm 12 notification`.
    fn parse(line: &str) -> Self {
        let (kind, rest) = match (line.strip_prefix("swarm "), line.strip_prefix("many ")) {
            (Some(rest), _) => (Kind::Swarm, rest),
            (_, Some(rest)) => (Kind::Many, rest),
            _ => (Kind::Plain, line),
        };
        let (number, variant) = rest.split_once(' ').map_or((rest, None), |(number, name)| (number, Some(name)));
        let number = number.parse().unwrap_or_else(|e| panic!("{line:?} is no seed: {e}"));
        Self(kind, number, variant.map(|name| Variant::named(name).unwrap().name))
    }

    fn plan(self) -> Plan {
        let variant = self.2.map(|name| Variant::named(name).unwrap());
        let plan = match self.0 {
            Kind::Plain => Plan::of(self.1, variant),
            Kind::Swarm => Plan::swarm(self.1, variant),
            Kind::Many => Plan::many(self.1, variant),
        };
        plan.brief().limited().late().hasty().budgeted().served().counted(self)
    }
}

impl fmt::Display for Seed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self(Kind::Plain, seed, _) => write!(f, "{seed}"),
            Self(Kind::Swarm, seed, _) => write!(f, "swarm {seed}"),
            Self(Kind::Many, seed, _) => write!(f, "many {seed}"),
        }?;
        self.2.map_or(Ok(()), |variant| write!(f, " {variant}"))
    }
}

fn schema() -> RecordSchema {
    RecordSchema::parse(ORDERS, "itemNo").unwrap()
}

fn run(seed: Seed, schema: &RecordSchema, options: Options) -> State {
    World::run(&seed.plan(), schema, options)
}

/// The trace of a failing seed, with as few faults as it takes to fail.
fn shortest_trace(seed: Seed, schema: &RecordSchema, options: Options) -> String {
    let whole = run(seed, schema, Options { traced: true, ..options.clone() });
    let shorter = (0..whole.faults).find_map(|most| {
        let options = Options { most_faults: Some(most), traced: true, ..options.clone() };
        Some(run(seed, schema, options)).filter(|state| state.broken.is_some())
    });
    let state = shorter.unwrap_or(whole);
    let (faults, plan) = (state.faults, &state.plan);
    format!("{plan:#?}\n{}\n{faults} faults, {:?}", state.trace.join("\n"), state.broken)
}

/// Runs seeds on as many threads as there are cores, until some have failed.
fn search(kind: Kind, seeds: std::ops::Range<u64>, schema: &RecordSchema) -> (Reached, Vec<(Seed, Broken)>) {
    let (next, failed) = (AtomicU64::new(seeds.start), Mutex::new(Vec::new()));
    let all = Mutex::new(Reached::default());
    let threads = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                let mut reached = Reached::default();
                while failed.lock().unwrap().len() < MOST_FAILURES {
                    let seed = Seed::new(kind, next.fetch_add(1, Ordering::Relaxed));
                    if seed.1 >= seeds.end {
                        break;
                    }
                    let state = run(seed, schema, Options::default());
                    reached.note(seed, &state);
                    if let Some(broken) = state.broken {
                        println!("seed {seed} breaks {broken}");
                        failed.lock().unwrap().push((seed, broken));
                    }
                }
                all.lock().unwrap().merge(reached);
            });
        }
    });
    (all.into_inner().unwrap(), failed.into_inner().unwrap())
}

/// Keeps the seeds that failed, and reports the first one in full.
fn fail_if_any(failed: &[(Seed, Broken)], schema: &RecordSchema) {
    let kept = std::fs::read_to_string(KEPT).unwrap_or_default();
    let mut file = std::fs::OpenOptions::new().append(true).create(true).open(Path::new(KEPT)).unwrap();
    for (seed, _) in failed.iter().filter(|(seed, _)| !kept.lines().any(|line| line == seed.to_string())) {
        writeln!(file, "{seed}").unwrap();
    }
    if let Some((seed, broken)) = failed.iter().min_by_key(|(seed, _)| *seed) {
        panic!("seed {seed} breaks {broken}\n{}", shortest_trace(*seed, schema, Options::default()));
    }
}

/// Lets a function die once after each call that any stage of any variant made under any seed.
fn die_after_each_call(reached: &Reached, schema: &RecordSchema) {
    for (call, (seed, point)) in &reached.calls {
        let crash = Options { crash: Some(*point), ..Options::default() };
        let state = run(*seed, schema, crash.clone());
        assert!(state.crashed, "seed {seed} does not come to point {point}");
        if let Some(broken) = state.broken {
            let trace = shortest_trace(*seed, schema, crash);
            panic!("seed {seed} that dies at {point}, after {call:?}, breaks {broken}\n{trace}");
        }
    }
    for variant in BUILT_IN {
        for stage in ["scatter", "process", "gather", "bury", "sweep"] {
            let died = reached.calls.keys().filter(|call| (call.0, call.1) == (variant.name, stage)).count();
            assert!(died > 2, "{stage} of {} made calls of {died} kinds only", variant.name);
        }
    }
}

fn setting<T: std::str::FromStr>(name: &str) -> Option<T> {
    let text = std::env::var(name).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{name} is {text:?}")))
}

/// The kinds of seeds to try, and how many of each.
fn wanted() -> Vec<(Kind, u64)> {
    let kind: Option<String> = setting("FANFOLD_KIND");
    let many = setting("FANFOLD_SEEDS");
    let named = |of: &Kind| kind.as_ref().is_none_or(|kind| kind.eq_ignore_ascii_case(&format!("{of:?}")));
    let seeds = SEEDS.into_iter().filter(|(kind, _)| named(kind));
    seeds.map(|(kind, usual)| (kind, many.unwrap_or(usual))).collect()
}

#[test]
fn every_batch_ends_as_the_reference_model_says_whatever_fails() {
    let schema = schema();
    let kept = std::fs::read_to_string(KEPT).unwrap();
    let broken = |seed| Some((seed, run(seed, &schema, Options::default()).broken?));
    fail_if_any(&kept.lines().map(Seed::parse).filter_map(broken).collect::<Vec<_>>(), &schema);
    let first = setting("FANFOLD_FIRST_SEED").unwrap_or(0);
    let mut reached = Reached::default();
    for (kind, many) in wanted() {
        let began = SystemClock.now();
        let (found, failed) = search(kind, first..first + many, &schema);
        fail_if_any(&failed, &schema);
        reached.merge(found);
        // A row for docs/SOAK.md.
        let (now, commit) = (SystemClock.now(), setting("FANFOLD_COMMIT").unwrap_or_else(|| "-".to_owned()));
        let (day, minutes) = (&now.to_string()[..10], (now.0 - began.0) as f64 / 60_000.0);
        let (kind, last) = (format!("{kind:?}").to_lowercase(), first + many - 1);
        println!("| {day} | {commit} | {kind} | {first} to {last} | {many} | {minutes:.1} | 0 |");
    }
    println!("and {} seeds that failed once: {:#?}", kept.lines().count(), reached.counts);
    die_after_each_call(&reached, &schema);
    println!("and a death after each of {} calls", reached.calls.len());
    let never = reached.never();
    let whole = wanted().len() == SEEDS.len() && wanted().iter().zip(SEEDS).all(|(many, usual)| many.1 >= usual.1);
    assert!(!whole || never.is_empty(), "never reached: {never:?}");
}

#[test]
fn a_seed_gives_the_same_run_every_time() {
    let schema = schema();
    for seed in (0..60).map(|seed| Seed::new([Kind::Plain, Kind::Swarm, Kind::Many][seed as usize % 3], seed)) {
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
    let plans = [
        ("", Plan::small as fn(_) -> Plan, BatchState::PartiallyFailed),
        (" poisoned", Plan::poisoned, BatchState::PartiallyFailed),
        (" cancelled", Plan::cancelled, BatchState::Cancelled),
        (" of many objects", Plan::objects, BatchState::Failed),
        (" of a service", |variant| Plan::of_service(variant, true), BatchState::PartiallyFailed),
        (" of a service alone", |variant| Plan::of_service(variant, false), BatchState::PartiallyFailed),
        (" piecemeal", Plan::piecemeal, BatchState::PartiallyFailed),
        (" of many objects, piecemeal", Plan::piecemeal_objects, BatchState::Failed),
    ];
    for (variant, (name, plan, end)) in BUILT_IN.iter().flat_map(|variant| plans.map(|plan| (variant, plan))) {
        let (name, plan) = (format!("{}{name}", variant.name), plan(*variant));
        let whole = World::run(&plan, &schema, Options::default());
        let batch = invariant::generations(&whole).next().unwrap();
        let buried = batch.tally.unwrap().failed_chunks > 0;
        assert_eq!((batch.state, buried), (end, plan.sweep), "{name}");
        let many = whole.points;
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

/// The seeds of one run of the tests, alternating between the kinds.
fn usual_seeds() -> impl Iterator<Item = Seed> {
    let most = SEEDS.map(|(_, many)| many).into_iter().max().unwrap_or_default();
    (0..most).flat_map(|number| {
        let kinds = SEEDS.into_iter().filter(move |(_, many)| number < *many);
        kinds.map(move |(kind, _)| Seed::new(kind, number))
    })
}

#[test]
fn wrong_orders_and_missing_conditions_are_caught() {
    let schema = schema();
    let mut missed = Vec::new();
    for mutation in Mutation::ALL {
        let caught = usual_seeds().enumerate().find_map(|(tried, seed)| {
            let options = Options { mutation: Some(mutation), ..Options::default() };
            run(seed, &schema, options).broken.map(|broken| (tried + 1, broken))
        });
        match caught {
            Some((seeds, broken)) => println!("{mutation:?}: caught after {seeds} seeds by {broken}"),
            None => missed.push(mutation),
        }
    }
    assert!(missed.is_empty(), "not caught: {missed:?}");
}
