//! The table of requests that `fanfold plan` knows, from the rows of measurements.

use std::collections::{BTreeMap, BTreeSet};

use fanfold_plan::counted::{FEATURES, Requests, Size, of_table};
use fanfold_plan::emulator::Run;
use fanfold_plan::own::Plan;

use crate::row::Row;

/// Terms of one count, at most.
const TERMS: usize = 3;
/// What a further term has to be worth: the mean error of a count, in requests and as a part of it.
const WORTH: f64 = 0.02;

/// What depends on the bytes of a file, as requests to S3 alone do. There are few files of several sections, and what a stage does for as long as it
/// takes grows with them, too.
const OF_BYTES: [&str; 3] = ["section", "part", "large"];

/// What was counted of a batch, and what it was made of.
struct Seen {
    features: [f64; FEATURES.len()],
    calls: BTreeMap<(String, String), f64>,
}

/// The bytes of a row of the benchmark's files, on average.
const ROW_BYTES: u64 = 84;

/// The table of these rows, as text: of each variant, the rows of the last version that was measured on `target`.
pub fn table(rows: &[Row], target: &str, variants: &[&str]) -> String {
    let mut table = format!("variant,stage,operation,{}\n", FEATURES.join(","));
    for variant in variants {
        let seen: Vec<Seen> = newest(rows, target, variant).into_iter().map(seen).collect();
        let kinds: BTreeSet<_> = seen.iter().flat_map(|one| one.calls.keys()).cloned().collect();
        for (stage, operation) in kinds {
            let kind = (stage.clone(), operation.clone());
            let counts: Vec<f64> = seen.iter().map(|one| one.calls.get(&kind).copied().unwrap_or_default()).collect();
            let each = fitted(&seen, &counts, operation.starts_with("s3."));
            let cells: Vec<String> = each.iter().map(|each| format!("{}", (each * 1e4).round() / 1e4 + 0.0)).collect();
            table += &format!("{variant},{stage},{operation},{}\n", cells.join(","));
        }
    }
    table
}

/// The rows of a variant that are of its last version on a target, in chunks of the default size.
pub fn newest<'a>(rows: &'a [Row], target: &str, variant: &str) -> Vec<&'a Row> {
    let of =
        |row: &&Row| row.variant == variant && row.target == target && row.succeeded() && row.chunk_size == Some(500);
    let last = rows.iter().rfind(of).map(|row| row.commitish.as_str());
    rows.iter().filter(of).filter(|row| Some(row.commitish.as_str()) == last).collect()
}

/// What the batch of a row was made of. How many invocations there were is in its counts: each reads the batch's state once.
pub fn size(row: &Row) -> Size {
    let of_records = matches!(row.variant.as_str(), "sync" | "async");
    let chunks = if of_records { row.count } else { row.count.div_ceil(u64::from(row.chunk_size.unwrap_or(500))) };
    let states = row.calls.get("process").and_then(|calls| calls.get("dynamodb.BatchGetItem"));
    let invocations = states.copied().unwrap_or(row.count.div_ceil(10));
    let each = if of_records { 1 } else { u64::from(row.chunk_size.unwrap_or(500)) };
    Size { records: row.count, bytes: row.count * ROW_BYTES, chunks, each, invocations }
}

/// The plan of a row's batch.
fn plan_of(row: &Row) -> Plan {
    let size = size(row);
    Plan {
        variant: row.variant.clone(),
        records: size.records,
        bytes: size.bytes,
        chunks: size.chunks,
        each: size.each,
        units: 1,
        concurrency: u64::from(row.concurrency.unwrap_or(50)),
        memory: u64::from(row.memory_mb.unwrap_or(512)),
        warm: None,
    }
}

/// The batches of these rows as runs on an emulator: every other one to fit to, and the others.
pub fn runs(rows: &[Row], target: &str, variants: &[&str]) -> (Vec<Run>, Vec<Run>) {
    let run = |row: &Row| {
        let of_stage = |(stage, calls): (&String, &BTreeMap<String, u64>)| {
            let of = |(operation, many): (&String, &u64)| Requests {
                stage: stage.clone(),
                operation: operation.clone(),
                many: *many as f64,
            };
            calls.iter().map(of).collect::<Vec<_>>()
        };
        let requests = row.calls.iter().flat_map(of_stage).collect();
        Run { plan: plan_of(row), requests, seconds: row.batch_duration_in_seconds.unwrap_or_default() }
    };
    let all = variants.iter().flat_map(|variant| newest(rows, target, variant)).map(run).enumerate();
    let (fitted, held): (Vec<_>, Vec<_>) = all.partition(|(place, _)| place % 2 == 0);
    (fitted.into_iter().map(|(_, run)| run).collect(), held.into_iter().map(|(_, run)| run).collect())
}

fn seen(row: &Row) -> Seen {
    let calls = row.calls.iter().flat_map(|(stage, calls)| {
        calls.iter().map(move |(operation, many)| ((stage.clone(), operation.clone()), *many as f64))
    });
    Seen { features: size(row).features(), calls: calls.collect() }
}

/// How well a table tells all requests of the rows of a variant.
pub struct Told {
    pub variant: String,
    pub rows: usize,
    /// The greatest part by which the sum of a row's requests is told wrongly, of rows of at least a thousand records, if its invocations are
    /// known.
    pub worst: f64,
    /// The same if these are as many as the model of AWS says.
    pub planned: f64,
}

/// What a table tells of the rows that it is from.
pub fn told(table: &str, rows: &[Row], target: &str, variants: &[&str]) -> Vec<Told> {
    let of = |variant: &&str| {
        let rows = newest(rows, target, variant);
        let off = |row: &Row, size: &Size| {
            let counted: u64 = row.calls.values().flat_map(|calls| calls.values()).sum();
            let told = of_table(table, variant, size).unwrap_or_default().iter().map(|of| of.many).sum::<f64>();
            // One request more or less is none that matters.
            ((told - counted as f64).abs() - 1.0).max(0.0) / counted.max(1) as f64
        };
        let planned = |row: &Row| {
            let invocations = plan_of(row).predict().map_or(0, |predicted| predicted.slow.invocations);
            off(row, &Size { invocations, ..size(row) })
        };
        let large = rows.iter().filter(|row| row.count >= 1_000);
        Told {
            variant: (*variant).to_owned(),
            rows: rows.len(),
            worst: large.clone().map(|row| off(row, &size(row))).fold(0.0, f64::max),
            planned: large.map(|row| planned(row)).fold(0.0, f64::max),
        }
    };
    variants.iter().map(of).collect()
}

/// How many there are of each feature: the fewest terms that say what was counted, none of them below zero; also of those that depend on
/// bytes, if `of_bytes`.
fn fitted(seen: &[Seen], counts: &[f64], of_bytes: bool) -> [f64; FEATURES.len()] {
    let mut best = ([0.0; FEATURES.len()], f64::INFINITY);
    let mut chosen = Vec::new();
    choose(0, &mut chosen, &mut |places| {
        if !of_bytes && places.iter().any(|place| OF_BYTES.contains(&FEATURES[*place])) {
            return;
        }
        let Some(each) = solved(seen, counts, places) else { return };
        let error = |(one, count): (&Seen, &f64)| {
            let told: f64 = one.features.iter().zip(each).map(|(many, each)| many * each).sum();
            (told - count).abs() / count.max(1.0).sqrt()
        };
        let mean = seen.iter().zip(counts).map(error).sum::<f64>() / counts.len().max(1) as f64;
        // Of two that say the same, that with whole numbers.
        let broken = each.iter().filter(|each| each.fract() != 0.0).count();
        let worth = mean + WORTH * places.len() as f64 + WORTH / 4.0 * broken as f64;
        if worth < best.1 - 1e-9 {
            best = (each, worth);
        }
    });
    best.0
}

/// Calls `with` for all choices of at most [`TERMS`] places from `from` on.
fn choose(from: usize, chosen: &mut Vec<usize>, with: &mut impl FnMut(&[usize])) {
    if !chosen.is_empty() {
        with(chosen);
    }
    if chosen.len() == TERMS {
        return;
    }
    for place in from..FEATURES.len() {
        chosen.push(place);
        choose(place + 1, chosen, with);
        chosen.pop();
    }
}

/// Least squares in some places, each count weighted by itself; `None` if there is no single answer, or one below zero.
fn solved(seen: &[Seen], counts: &[f64], places: &[usize]) -> Option<[f64; FEATURES.len()]> {
    let n = places.len();
    let mut sums = vec![vec![0.0; n + 1]; n];
    for (one, count) in seen.iter().zip(counts) {
        let weight = 1.0 / count.max(1.0);
        for (row, place) in sums.iter_mut().zip(places) {
            for (sum, other) in row.iter_mut().zip(places) {
                *sum += weight * one.features[*place] * one.features[*other];
            }
            row[n] += weight * one.features[*place] * count;
        }
    }
    // Gauss and Jordan.
    for at in 0..n {
        let pivot = (at..n).max_by(|one, other| sums[*one][at].abs().total_cmp(&sums[*other][at].abs()))?;
        sums.swap(at, pivot);
        let scale = sums[at][at];
        if scale.abs() < 1e-9 {
            return None;
        }
        sums[at].iter_mut().for_each(|value| *value /= scale);
        let own = sums[at].clone();
        for (_, row) in sums.iter_mut().enumerate().filter(|(other, _)| *other != at) {
            let times = row[at];
            row.iter_mut().zip(&own).for_each(|(value, own)| *value -= times * own);
        }
    }
    let mut each = [0.0; FEATURES.len()];
    for (row, place) in sums.iter().zip(places) {
        // What is a hair off a whole number is that.
        let whole = row[n].round();
        each[*place] = if (row[n] - whole).abs() < 0.02 { whole } else { row[n] };
    }
    // What is put in parts is not put at once: one request less, and no more.
    let least = |place: usize| if FEATURES[place] == "large" { -1.0 } else { 0.0 };
    each.iter().enumerate().all(|(place, each)| each.is_finite() && *each >= least(place)).then_some(each)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::row::tests::row;

    #[test]
    fn counts_are_told_by_what_makes_them() {
        let rows: Vec<Row> = [10, 100, 1_000, 10_000, 100_000]
            .into_iter()
            .map(|count| {
                let mut row = row("chunked", count, 1, 1.0);
                let (chunks, invocations) = (count.div_ceil(500), count.div_ceil(2_000));
                let process = [
                    ("dynamodb.BatchGetItem", invocations),
                    ("dynamodb.UpdateItem", chunks + invocations + 1),
                    ("s3.GetObject", 2 * chunks),
                ];
                let named = process.map(|(name, many)| (name.to_owned(), many));
                row.calls = [
                    ("process".to_owned(), named.into()),
                    // It keeps a bookmark now and then, of which there are more while it works on the largest file, of two sections.
                    (
                        "scatter".to_owned(),
                        [
                            ("s3.PutObject", 2),
                            ("s3.GetObject", count.div_ceil(99_000)),
                            ("dynamodb.UpdateItem", 3 + 3 * (count / 100_000)),
                        ]
                        .map(|(name, many)| (name.to_owned(), many))
                        .into(),
                    ),
                ]
                .into();
                row
            })
            .collect();
        let told = table(&rows, "an emulator 1.0", &["chunked"]);
        let lines: Vec<&str> = told.lines().skip(1).collect();
        assert_eq!(
            lines,
            [
                "chunked,process,dynamodb.BatchGetItem,0,0,0,0,0,0,0,0,0,1",
                "chunked,process,dynamodb.UpdateItem,1,1,0,0,0,0,0,0,0,1",
                "chunked,process,s3.GetObject,0,2,0,0,0,0,0,0,0,0",
                lines[3],
                "chunked,scatter,s3.GetObject,0,0,0,0,0,0,1,0,0,0",
                "chunked,scatter,s3.PutObject,2,0,0,0,0,0,0,0,0,0",
            ]
        );
        let update: Vec<&str> = lines[3].split(',').collect();
        assert_eq!((update[2], &update[9..12]), ("dynamodb.UpdateItem", &["0", "0", "0"][..]), "none for each section");
        assert_eq!(table(&rows, "another", &["chunked"]).lines().count(), 1);
    }
}
