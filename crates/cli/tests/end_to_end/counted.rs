//! Counters of many groups, under kills and after a redrive.

use std::collections::BTreeMap;
use std::time::Duration;

use fanfold::model::fold::Group;
use fanfold::store::counters::Counters;
use fanfold::store::ledger::Ledger;
use futures::{StreamExt, stream};

use crate::counts;
use crate::faults::kill_all;
use crate::users::{KILLS_OF_OWN, Notes};
use crate::world::World;

/// As many records as fit into the tests.
const RECORDS: usize = 10_000;
const MOST_GROUPS: usize = 10_000;
/// Every seventh record fails until the function is told to take it.
const CLOSED: usize = 7;

/// The group of a record, and hundredths of its price.
fn facts(n: usize, groups: usize) -> (usize, u64) {
    ((n * 7919) % groups, (n % 1000) as u64 * 100 + 25)
}

/// With more records:
///
/// ```sh
/// FANFOLD_TEST_AGGREGATE=1000000 FANFOLD_TEST_PATIENCE=3600 make test
/// ```
#[tokio::test]
async fn counters_of_many_groups_equal_a_plain_fold_under_kills_and_after_a_redrive() {
    let (world, notes) = (World::of("own").await, Notes::open());
    let records = std::env::var("FANFOLD_TEST_AGGREGATE").map_or(RECORDS, |told| told.parse().unwrap());
    let groups = (records / 10).min(MOST_GROUPS);
    let name = format!("counted-{}", std::process::id());
    notes.turn("closed-counted", false);
    let (mut rows, mut fold) = (String::from("itemNo,price,group,mode,wrong,quiet\n"), BTreeMap::new());
    for n in 0..records {
        let (group, price) = facts(n, groups);
        let mode = if n % CLOSED == 0 { "closed-counted" } else { "good" };
        rows += &format!("{name}-{n},{}.25,{name}-{group},{mode},9,y\n", price / 100);
        let entry: &mut (u64, u64) = fold.entry(group).or_default();
        *entry = (entry.0 + 1, entry.1 + price);
    }
    let chunks = records.div_ceil(200);
    let mut killed = 0;
    let alone = KILLS_OF_OWN.write().await;
    let batch = world.put("counted.csv", rows.into_bytes()).await;
    for share in 1..=3 {
        loop {
            let leaves = world.ledger.read_leaves(&batch, 0..chunks.div_ceil(256) as u32).await.unwrap();
            if leaves.iter().map(|leaf| leaf.done.len()).sum::<usize>() >= share * chunks / 5 {
                break;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        killed += kill_all("own-process");
    }
    drop(alone);
    assert!(killed >= 3, "{killed} processes were killed");
    let summary = world.summary(&batch).await;
    let (all, failed) = (records as u64, records.div_ceil(CLOSED) as u64);
    // A local AWS that is busy with a million records may not answer a call in time, five times in a row.
    let (total, succeeded, left) = counts(&summary);
    assert!(total == all && succeeded + left == all && left >= failed, "{succeeded} succeeded, {left} failed");
    notes.turn("closed-counted", true);
    let done = world.redrive(&batch);
    assert_eq!((done.code, counts(&done.summary())), (0, (all, all, 0)), "{}", done.stderr);
    let read = stream::iter(&fold).map(|(group, (count, sum))| {
        let (world, name) = (&world, &name);
        async move {
            let group = Group::new(vec![format!("{name}-{group}")]).unwrap();
            let totals = world.counters.read(&group).await.unwrap();
            let price: f64 = totals.sums["price"].to_string().parse().unwrap();
            assert_eq!((totals.count, price * 100.0), (*count, *sum as f64), "{group:?}");
        }
    });
    read.buffer_unordered(16).collect::<Vec<()>>().await;
    println!("{records} records over {groups} groups, {killed} processes killed");
}
