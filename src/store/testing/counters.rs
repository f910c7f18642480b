//! The contract of `Counters`.

use std::collections::BTreeMap;

use crate::model::fold::{Exact, Group, MAX_GROUP_BYTES, Totals};
use crate::model::ids::{BatchId, ChunkIndex};
use crate::store::counters::{Counters, MOST_ROWS};

/// Checks that a counters table keeps its contract.
///
/// # Panics
/// If it does not.
pub async fn all(counters: &impl Counters) {
    a_counter_is_the_sum_of_its_rows(counters).await;
    a_repeat_adds_nothing_and_a_later_one_counts(counters).await;
    what_is_forgotten_is_gone_and_nothing_else(counters).await;
    every_group_is_its_own(counters).await;
    numbers_keep_their_digits(counters).await;
    a_counter_of_many_rows_is_read_to_the_end(counters).await;
}

fn batch(name: &str) -> BatchId {
    BatchId::parse(&format!("{name}-0123456789ab")).unwrap()
}

fn chunk(index: u32) -> ChunkIndex {
    ChunkIndex::new(index).unwrap()
}

fn group(values: &[&str]) -> Group {
    Group::new(values.iter().map(|value| (*value).to_owned()).collect()).unwrap()
}

fn totals(count: u64, number: &str) -> Totals {
    let numbers = || BTreeMap::from([("quantity".to_owned(), Exact::parse(number).unwrap())]);
    Totals { count, sums: numbers(), mins: numbers(), maxs: numbers() }
}

/// Sets rows that the table has to take at once.
async fn set(counters: &impl Counters, batch: &BatchId, index: u32, rows: &[(Group, Totals)]) {
    assert!(counters.set(batch, chunk(index), rows).await.unwrap().is_empty());
}

async fn a_counter_is_the_sum_of_its_rows(counters: &impl Counters) {
    let acme = group(&["sum", "2026-11-26"]);
    assert_eq!(counters.read(&acme).await.unwrap(), Totals::default());
    set(counters, &batch("first"), 0, &[(acme.clone(), totals(2, "0.1"))]).await;
    set(counters, &batch("first"), 1, &[(acme.clone(), totals(3, "0.2"))]).await;
    set(counters, &batch("first").in_generation(1), 0, &[(acme.clone(), totals(4, "-1"))]).await;
    set(counters, &batch("second"), 0, &[(acme.clone(), Totals { count: 1, ..Totals::default() })]).await;
    let read = counters.read(&acme).await.unwrap();
    let told = [&read.sums, &read.mins, &read.maxs].map(|numbers| numbers["quantity"].to_string());
    assert_eq!((read.count, told), (10, ["-0.7".to_owned(), "-1".to_owned(), "0.2".to_owned()]));
    set(counters, &batch("second"), 0, &[]).await;
}

async fn a_repeat_adds_nothing_and_a_later_one_counts(counters: &impl Counters) {
    let many: Vec<(Group, Totals)> =
        (0..MOST_ROWS).map(|n| (group(&["repeat", &n.to_string()]), totals(1, "1.50"))).collect();
    for _ in 0..3 {
        set(counters, &batch("repeat"), 7, &many).await;
    }
    for (group, totals) in &many {
        assert_eq!(counters.read(group).await.unwrap(), *totals);
    }
    set(counters, &batch("repeat"), 7, &[(many[0].0.clone(), totals(2, "5"))]).await;
    assert_eq!(counters.read(&many[0].0).await.unwrap(), totals(2, "5"));
}

async fn what_is_forgotten_is_gone_and_nothing_else(counters: &impl Counters) {
    let groups: Vec<Group> = (0..MOST_ROWS).map(|n| group(&["forget", &n.to_string()])).collect();
    let rows: Vec<(Group, Totals)> = groups.iter().map(|group| (group.clone(), totals(1, "1"))).collect();
    for index in [3, 4] {
        set(counters, &batch("forget"), index, &rows).await;
    }
    for _ in 0..2 {
        assert!(counters.forget(&batch("forget"), chunk(3), &groups).await.unwrap().is_empty());
        assert!(counters.forget(&batch("stranger"), chunk(4), &groups).await.unwrap().is_empty());
        assert!(counters.forget(&batch("forget").in_generation(1), chunk(4), &groups).await.unwrap().is_empty());
    }
    for group in &groups {
        assert_eq!(counters.read(group).await.unwrap(), totals(1, "1"));
    }
    assert!(counters.forget(&batch("forget"), chunk(4), &[]).await.unwrap().is_empty());
}

async fn every_group_is_its_own(counters: &impl Counters) {
    let long = "x".repeat(MAX_GROUP_BYTES - 4);
    let groups = [
        group(&["a", "b"]),
        group(&["a,b"]),
        group(&["a\",\"b"]),
        group(&["", "a", "b"]),
        group(&[""]),
        group(&["", ""]),
        group(&["株式会社"]),
        group(&["株式会社\u{0}\n"]),
        group(&[&long]),
    ];
    let rows: Vec<(Group, Totals)> =
        groups.iter().zip(1..).map(|(group, count)| (group.clone(), totals(count, "1"))).collect();
    set(counters, &batch("own"), 0, &rows).await;
    for (group, totals) in &rows {
        assert_eq!(counters.read(group).await.unwrap(), *totals);
    }
}

async fn numbers_keep_their_digits(counters: &impl Counters) {
    let precise = group(&["digits"]);
    set(counters, &batch("digits"), 0, &[(precise.clone(), totals(1, "9.9e125"))]).await;
    set(counters, &batch("digits"), 1, &[(precise.clone(), totals(1, "1e-130"))]).await;
    let read = counters.read(&precise).await.unwrap();
    let sum = read.sums["quantity"].to_string();
    assert_eq!(sum, format!("99{}.{}1", "0".repeat(124), "0".repeat(129)));
    // The sum of a chunk may have that many digits, too.
    set(counters, &batch("digits"), 2, &[(precise.clone(), read.clone())]).await;
    let twice = counters.read(&precise).await.unwrap();
    assert_eq!(twice.sums["quantity"].to_string(), format!("198{}.{}2", "0".repeat(124), "0".repeat(129)));
}

async fn a_counter_of_many_rows_is_read_to_the_end(counters: &impl Counters) {
    // Over a megabyte, the page of a query.
    let heavy = group(&["many"]);
    let fields = |n: u32| {
        let number = Exact::parse(&n.to_string()).unwrap();
        (0..120).map(|field| (format!("{field}{}", "f".repeat(200)), number.clone())).collect()
    };
    for n in 0..60 {
        let totals = Totals { count: 1, sums: fields(n), ..Totals::default() };
        set(counters, &batch("many"), n, &[(heavy.clone(), totals)]).await;
    }
    let read = counters.read(&heavy).await.unwrap();
    assert_eq!((read.count, read.sums.len()), (60, 120));
    assert!(read.sums.values().all(|sum| sum.to_string() == (0..60).sum::<u32>().to_string()));
}
