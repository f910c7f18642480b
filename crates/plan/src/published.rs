//! The published system on AWS in 2020, by which the model is tried: its runs, and what it called.
//!
//! What its functions called was counted ([`Pattern::batch`]): linear in records, so that two counts say it all. How long its calls and its own
//! computing took is not known: those are the [`Constants`], which are fitted to half of the runs.

use std::collections::BTreeMap;

use crate::mapping::Ramp;
use crate::run::{self, Passed};
use crate::work::{Batch, Calls, Function, Step};
use crate::{limits, rate::Rate};

const ROWS: &str = include_str!("../published.csv");
/// Records of a chunk.
const CHUNK: f64 = 100.0;
/// Calls under way at once where it works asynchronously.
const WIDTH: f64 = 100.0;
/// The memory of its process function; scatter had 3,008 MB, and what computes in one thread has one processor of those.
const PROCESS_MB: f64 = 512.0;

/// A run that was published. Durations are whole seconds.
#[derive(Debug, Clone, PartialEq)]
pub struct Run {
    /// The variant, as it is called here.
    pub variant: String,
    /// Records.
    pub records: u64,
    /// From the beginning of scatter to the end.
    pub seconds: f64,
    /// Those of scatter, if they were published.
    pub scatter: Option<f64>,
    /// Those of gather.
    pub gather: Option<f64>,
}

/// All runs that succeeded, in the order of variants, counts and time.
pub fn runs() -> Vec<Run> {
    let of = |line: &str| {
        let mut cells = line.split(',');
        let mut next = || cells.next().unwrap_or_default();
        let (variant, records, seconds) = (next().to_owned(), next().parse().ok()?, next().parse().ok()?);
        let (scatter, gather) = (next().parse().ok(), next().parse().ok());
        Some(Run { variant, records, seconds, scatter, gather })
    };
    ROWS.lines().skip(1).filter_map(of).collect()
}

/// What is not known of the published system: seconds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Constants {
    /// A write to S3 or SQS, one after the other, in a function with a whole processor.
    pub write: f64,
    /// A read of S3, likewise.
    pub read: f64,
    /// What a write computes of which many are under way.
    pub many_writes: f64,
    /// What a read computes of which many are under way.
    pub many_reads: f64,
    /// What scatter computes for a record of a chunk.
    pub parse: f64,
    /// What gather computes for a record of a chunk.
    pub join: f64,
    /// What a row of a table computes that is written with others.
    pub row: f64,
    /// What scatter computes for a chunk's message.
    pub message: f64,
    /// From an object until a function is at the event of it.
    pub notice: f64,
    /// From a message until a function is at it.
    pub hop: f64,
    /// A function's start.
    pub start: f64,
}

/// Where a constant is.
pub type Place = fn(&mut Constants) -> &mut f64;

/// The names of the constants and their places, to be fitted.
pub const FITTED: [(&str, Place); 11] = [
    ("a write to S3 or SQS, alone", |constants| &mut constants.write),
    ("a read of S3, alone", |constants| &mut constants.read),
    ("computing of a write, of many at once", |constants| &mut constants.many_writes),
    ("computing of a read, of many at once", |constants| &mut constants.many_reads),
    ("computing of a record in scatter", |constants| &mut constants.parse),
    ("computing of a record in gather", |constants| &mut constants.join),
    ("computing of a row that is written with others", |constants| &mut constants.row),
    ("computing of a chunk's message in scatter", |constants| &mut constants.message),
    ("from an object to the function that is told of it", |constants| &mut constants.notice),
    ("from a message to its function", |constants| &mut constants.hop),
    ("the start of a function", |constants| &mut constants.start),
];

impl Default for Constants {
    /// Where fitting begins: round numbers.
    fn default() -> Self {
        Self {
            write: 0.03,
            read: 0.02,
            many_writes: 0.005,
            many_reads: 0.005,
            parse: 1e-4,
            join: 1e-4,
            row: 1e-3,
            message: 1e-3,
            notice: 0.1,
            hop: 0.1,
            start: 0.1,
        }
    }
}

fn alone(writes: f64, reads: f64, constants: &Constants) -> Step {
    let calls = |many, seconds| Calls { rate: None, many, units: 0.0, seconds };
    Step { cpu: 0.0, calls: vec![calls(writes, constants.write), calls(reads, constants.read)], width: 1.0 }
}

/// Calls of which many are under way: a function computes for each.
fn together(writes: f64, reads: f64, computes: f64, constants: &Constants) -> Step {
    let cpu = writes * constants.many_writes + reads * constants.many_reads + computes;
    Step { cpu, width: WIDTH, ..alone(writes, reads, constants) }
}

/// The batch of a variant, as it was counted: see `docs/MODEL.md`.
pub fn batch(variant: &str, records: u64, constants: &Constants) -> Batch {
    let n = records as f64;
    let chunks = (n / CHUNK).ceil();
    // S3 announces the chunks of `notification` itself.
    let sent = if variant == "notification" { 0.0 } else { chunks };
    let nothing = Step { cpu: 0.0, calls: Vec::new(), width: 1.0 };
    let (messages, scattering, invocation, message, gathering) = match variant {
        // A record is put, and ten are sent with one request. Process puts its outcome, deletes it and lists what is left.
        "sync" => (
            n,
            alone(1.1 * n, 0.0, constants),
            alone(1.0, 0.0, constants),
            alone(2.0, 1.0, constants),
            alone(0.0, n, constants),
        ),
        "async" => (
            n,
            together(1.1 * n, 0.0, 0.0, constants),
            together(1.0, 0.0, 0.0, constants),
            together(2.0, 1.0, 0.0, constants),
            together(0.0, n, 0.0, constants),
        ),
        // A record is a row. Process reads it twice and puts it with its outcome, and the item; gather reads it.
        "dynamodb" => (
            chunks,
            together(chunks / 10.0, 0.0, n * constants.row, constants),
            nothing,
            together(n / chunks, n / chunks, n / chunks * constants.row, constants),
            together(0.0, n, 0.0, constants),
        ),
        // A chunk is an object. Process reads it, puts its outcomes and deletes it; gather reads them.
        _ => (
            chunks,
            together(1.1 * chunks, 0.0, n * constants.parse + sent * constants.message, constants),
            together(1.0, 1.0, 0.0, constants),
            together(2.0, 1.0, 0.0, constants),
            together(0.0, chunks, n * constants.join, constants),
        ),
    };
    let whole = Function { share: 1.0, start: constants.start };
    // S3 tells process of chunks, and of their outcomes another function, which tells gather.
    let (hop, announcement) = match variant {
        "notification" => (constants.notice, constants.notice + constants.hop),
        _ => (constants.hop, constants.hop),
    };
    Batch {
        rates: vec![Rate::new("writes of the items table", limits::TABLE_WRITES.value)],
        // Its clock begins in scatter: of the smallest batches, some took less than a second in all.
        notice: 0.0,
        hop,
        announcement,
        scatter: Function { start: 0.0, ..whole },
        scattering,
        messages: messages as u64,
        listed: false,
        process: Function { share: PROCESS_MB / limits::ONE_CPU.value, start: constants.start },
        ramp: Ramp {
            first: limits::MAPPING_FIRST.value,
            growth: limits::MAPPING_GROWTH_2020.value / 60.0,
            most: limits::ACCOUNT.value,
        },
        at_once: 10,
        invocation,
        message,
        gather: whole,
        gathering,
    }
}

/// How many seconds a batch is predicted to take.
pub fn predicted(variant: &str, records: u64, constants: &Constants) -> f64 {
    run::run(&batch(variant, records, constants)).gathered
}

/// By how much a number of seconds is off, as a part of what was published, or of a second if that is more.
fn off(predicted: f64, published: f64) -> f64 {
    (predicted - published).abs() / published.max(1.0)
}

/// What the model makes of runs, one by one. Those that are alike pass once.
fn passed<'a>(runs: &'a [Run], constants: &Constants) -> Vec<(&'a Run, Passed)> {
    let mut known: BTreeMap<(&str, u64), Passed> = BTreeMap::new();
    let mut found = Vec::with_capacity(runs.len());
    for run in runs {
        let (variant, records) = (run.variant.as_str(), run.records);
        let pass = || run::run(&batch(variant, records, constants));
        found.push((run, *known.entry((variant, records)).or_insert_with(pass)));
    }
    found
}

/// By how much predictions of whole runs are off, one by one.
pub fn errors(runs: &[Run], constants: &Constants) -> Vec<f64> {
    passed(runs, constants).into_iter().map(|(run, passed)| off(passed.gathered, run.seconds)).collect()
}

/// What fitting makes smaller: the errors of runs, and half as much of those of scatter and gather. Errors beyond three are of runs that
/// something else held up: retries of minutes.
fn cost(runs: &[Run], constants: &Constants) -> f64 {
    let of = |(run, passed): (&Run, Passed)| {
        let part =
            |predicted: f64, published: Option<f64>| published.map_or(0.0, |published| off(predicted, published));
        let parts = part(passed.scattered, run.scatter) + part(passed.gathering, run.gather);
        off(passed.gathered, run.seconds).min(3.0) + parts.min(3.0) / 2.0
    };
    passed(runs, constants).into_iter().map(of).sum()
}

/// The middle of some numbers, or the mean of the two in the middle.
pub fn median(mut of: Vec<f64>) -> f64 {
    of.sort_by(f64::total_cmp);
    let at = |place: usize| of.get(place).copied().unwrap_or(f64::NAN);
    (at(of.len() / 2) + at(of.len().saturating_sub(1) / 2)) / 2.0
}

/// The runs that are fitted to, and those that are held back: every other one.
pub fn halves() -> (Vec<Run>, Vec<Run>) {
    let (fitted, held): (Vec<_>, Vec<_>) = runs().into_iter().enumerate().partition(|(place, _)| place % 2 == 0);
    (fitted.into_iter().map(|(_, run)| run).collect(), held.into_iter().map(|(_, run)| run).collect())
}

/// Fits the constants to runs: one after the other is changed by a factor for as long as that makes the mean error smaller, by
/// smaller and smaller factors.
pub fn fit(runs: &[Run]) -> Constants {
    let mut constants = Constants::default();
    let mut least = cost(runs, &constants);
    for factor in [2.0, 1.4, 1.2, 1.1, 1.05, 1.02] {
        loop {
            let before = least;
            for (_, place) in FITTED {
                for by in [factor, 1.0 / factor] {
                    let mut other = constants;
                    *place(&mut other) *= by;
                    let tried = cost(runs, &other);
                    if tried < least {
                        (constants, least) = (other, tried);
                    }
                }
            }
            if least >= before {
                break;
            }
        }
    }
    constants
}

/// What the model says of the runs of one variant with so many records.
#[derive(Debug, Clone, PartialEq)]
pub struct Told {
    /// The variant.
    pub variant: String,
    /// Records.
    pub records: u64,
    /// How many runs there are.
    pub runs: usize,
    /// The seconds of the one in their middle.
    pub published: f64,
    /// The seconds that are predicted.
    pub predicted: f64,
    /// The error of the one in the middle of their errors.
    pub error: f64,
}

/// What the model says of runs, by variants in their order and by records.
pub fn tell(runs: &[Run], constants: &Constants) -> Vec<Told> {
    let mut found: Vec<Told> = Vec::new();
    let errors = errors(runs, constants);
    for Run { variant, records, .. } in runs {
        if found.iter().any(|told| (&told.variant, told.records) == (variant, *records)) {
            continue;
        }
        let alike = || runs.iter().zip(&errors).filter(|(run, _)| (&run.variant, run.records) == (variant, *records));
        found.push(Told {
            variant: variant.clone(),
            records: *records,
            runs: alike().count(),
            published: median(alike().map(|(run, _)| run.seconds).collect()),
            predicted: predicted(variant, *records, constants),
            error: median(alike().map(|(_, error)| *error).collect()),
        });
    }
    found
}

/// The error in the middle of those of each variant's runs, and how many runs there are.
pub fn by_variant(runs: &[Run], constants: &Constants) -> Vec<(String, f64, usize)> {
    let mut names: Vec<&str> = runs.iter().map(|run| run.variant.as_str()).collect();
    names.dedup();
    let errors = errors(runs, constants);
    let of =
        |name: &str| runs.iter().zip(&errors).filter(|(run, _)| run.variant == name).map(|(_, error)| *error).collect();
    names
        .into_iter()
        .map(|name| (name, of(name)))
        .map(|(name, of): (_, Vec<f64>)| (name.to_owned(), median(of.clone()), of.len()))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_runs_are_read() {
        let runs = runs();
        assert_eq!(runs.len(), 505);
        let (fitted, held) = halves();
        assert_eq!((fitted.len(), held.len()), (253, 252));
        let last = runs.last().unwrap();
        assert_eq!((last.variant.as_str(), last.records), ("notification", 1_000_001));
    }

    /// What the constants were not fitted to is predicted: half of the runs of each variant by less than this error.
    #[test]
    fn the_runs_that_are_held_back_are_predicted() {
        let (fitted, held) = halves();
        let constants = fit(&fitted);
        for (variant, error, runs) in by_variant(&held, &constants) {
            let most = if variant == "async" { 0.4 } else { 0.3 };
            assert!(error < most && runs > 30, "{variant}: {error} of {runs} runs");
        }
        let told = tell(&held, &constants);
        assert_eq!(told.iter().map(|told| told.runs).sum::<usize>(), held.len());
        // Each count is predicted alike, however many runs there are.
        let larger = told.iter().filter(|told| told.records > 1_000 && told.runs > 1);
        assert!(median(larger.map(|told| told.error).collect()) < 0.25);
    }

    /// Fitted constants are those of the runs, and not of where fitting begins: other runs, made by the model with constants of its own,
    /// give those back.
    #[test]
    fn constants_that_made_runs_are_found_again() {
        let own = Constants { write: 0.05, read: 0.01, many_writes: 0.02, notice: 0.4, ..Constants::default() };
        let made = |run: Run| {
            let passed = run::run(&batch(&run.variant, run.records, &own));
            let (scatter, gather) = (Some(passed.scattered), Some(passed.gathering));
            Run { seconds: passed.gathered, scatter, gather, ..run }
        };
        let runs: Vec<Run> = runs().into_iter().step_by(3).map(made).collect();
        let found = fit(&runs);
        let mean = errors(&runs, &found).iter().sum::<f64>() / runs.len() as f64;
        assert!(mean < 0.05, "{mean}: {found:?}");
        for (found, own) in [(found.write, own.write), (found.read, own.read), (found.many_writes, own.many_writes)] {
            assert!((found / own - 1.0).abs() < 0.15, "{found} instead of {own}");
        }
    }
}
