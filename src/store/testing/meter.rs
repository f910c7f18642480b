//! The contract of `Meter`.

use std::time::Duration;

use futures::stream::{self, StreamExt};

use crate::model::timestamp::Timestamp;
use crate::store::meter::{Ask, Lease, Meter, Reserved, Want};

const NOW: Timestamp = Timestamp(1_700_000_000_123);

/// Checks that meters keep their contract.
///
/// # Panics
/// If they do not.
pub async fn all(meter: &impl Meter) {
    moments_follow_each_other_and_idle_time_is_not_saved_up(meter).await;
    what_lies_too_late_is_not_reserved(meter).await;
    nothing_begins_while_the_meter_holds(meter).await;
    no_moment_is_given_twice(meter).await;
    leases_keep_the_limit_and_end_by_time(meter).await;
    leases_may_be_asked_for_again(meter).await;
    many_callers_share_the_limit(meter).await;
}

fn after(ms: i64) -> Timestamp {
    Timestamp(NOW.0 + ms)
}

fn ask(calls: u32, spacing: Duration) -> Ask {
    Ask { calls, spacing, latest: Timestamp(i64::MAX / 1_000_000) }
}

async fn granted(meter: &impl Meter, name: &str, asked: Ask, now: Timestamp) -> Vec<i64> {
    match meter.reserve(name, asked, now).await.unwrap() {
        Reserved::Granted(moments) => moments.into_iter().map(|moment| moment.0 - NOW.0).collect(),
        Reserved::Later(next) => panic!("nothing before {next}"),
    }
}

async fn moments_follow_each_other_and_idle_time_is_not_saved_up(meter: &impl Meter) {
    let tenth = Duration::from_millis(100);
    assert_eq!(granted(meter, "follow", ask(3, tenth), NOW).await, [0, 100, 200]);
    assert_eq!(granted(meter, "follow", ask(2, tenth), after(50)).await, [300, 400]);
    assert_eq!(granted(meter, "follow", ask(3, tenth), after(60_000)).await, [60_000, 60_100, 60_200]);
    // A clock that is slow waits with the others.
    assert_eq!(granted(meter, "follow", ask(1, tenth), after(-1_000)).await, [60_300]);
    assert_eq!(granted(meter, "other", ask(1, tenth), NOW).await, [0], "each meter is its own");
    let brief = Duration::from_micros(1_400);
    assert_eq!(granted(meter, "brief", ask(4, brief), NOW).await, [0, 2, 3, 5], "no moment is too early");
    assert_eq!(granted(meter, "brief", ask(1, brief), NOW).await, [6]);
    assert_eq!(granted(meter, "free", ask(3, Duration::ZERO), NOW).await, [0, 0, 0]);
}

async fn what_lies_too_late_is_not_reserved(meter: &impl Meter) {
    let second = Duration::from_secs(1);
    granted(meter, "late", ask(5, second), NOW).await;
    for _ in 0..2 {
        let asked = Ask { latest: after(4_000), ..ask(1, second) };
        let Reserved::Later(next) = meter.reserve("late", asked, NOW).await.unwrap() else {
            panic!("a moment was reserved");
        };
        assert!((5_000..=5_001).contains(&(next.0 - NOW.0)), "{next}");
    }
    assert_eq!(granted(meter, "late", Ask { latest: after(5_000), ..ask(1, second) }, NOW).await, [5_000]);
}

async fn nothing_begins_while_the_meter_holds(meter: &impl Meter) {
    let tenth = Duration::from_millis(100);
    meter.hold("held", after(3_000)).await.unwrap();
    meter.hold("held", after(2_000)).await.unwrap();
    assert_eq!(granted(meter, "held", ask(2, tenth), NOW).await, [3_000, 3_100]);
    meter.hold("held", after(1_000)).await.unwrap();
    assert_eq!(granted(meter, "held", ask(1, tenth), NOW).await, [3_200]);
}

async fn no_moment_is_given_twice(meter: &impl Meter) {
    let callers = (0..20).map(|n| granted(meter, "shared", ask(3, Duration::from_millis(10)), after(n % 7)));
    let mut all: Vec<i64> = stream::iter(callers).buffer_unordered(20).collect::<Vec<_>>().await.concat();
    all.sort_unstable();
    assert_eq!(all.len(), 60);
    assert!(all.windows(2).all(|pair| pair[1] - pair[0] >= 10), "{all:?}");
}

fn lease(holder: &str, slots: u32) -> Lease {
    Lease { holder: holder.to_owned(), slots }
}

fn want(slots: u32, until: i64) -> Want {
    Want { slots, limit: 10, until: after(until) }
}

async fn leases_keep_the_limit_and_end_by_time(meter: &impl Meter) {
    let name = "leases";
    assert_eq!(meter.lease(name, &lease("a", 0), want(6, 1_000), NOW).await.unwrap(), 6);
    assert_eq!(meter.lease(name, &lease("b", 0), want(6, 9_000), NOW).await.unwrap(), 4, "as many as are left");
    assert_eq!(meter.lease(name, &lease("c", 0), want(1, 9_000), NOW).await.unwrap(), 0);
    assert_eq!(meter.lease(name, &lease("a", 6), want(2, 1_000), NOW).await.unwrap(), 2, "some are given back");
    assert_eq!(meter.lease(name, &lease("c", 0), want(1, 9_000), NOW).await.unwrap(), 1);
    assert_eq!(meter.lease(name, &lease("a", 2), want(9, 1_000), NOW).await.unwrap(), 5, "and taken again");
    // The function that held them died.
    assert_eq!(meter.lease(name, &lease("d", 0), want(9, 9_000), after(1_001)).await.unwrap(), 5);
    assert_eq!(meter.lease(name, &lease("a", 5), want(5, 9_000), after(1_002)).await.unwrap(), 0, "its lease is lost");
    assert_eq!(meter.lease(name, &lease("b", 4), want(4, 20_000), after(8_000)).await.unwrap(), 4, "a renewal");
    assert_eq!(meter.lease(name, &lease("e", 0), want(10, 20_000), after(9_001)).await.unwrap(), 6);
    for (holder, slots) in [("b", 4), ("e", 6)] {
        assert_eq!(meter.lease(name, &lease(holder, slots), want(0, 0), after(9_002)).await.unwrap(), 0);
    }
    assert_eq!(meter.lease(name, &lease("f", 0), want(10, 20_000), after(9_003)).await.unwrap(), 10);
    let fewer = Want { limit: 3, ..want(10, 20_000) };
    assert_eq!(meter.lease(name, &lease("f", 10), fewer, after(9_003)).await.unwrap(), 10, "nothing is taken away");
    assert_eq!(meter.lease(name, &lease("g", 0), fewer, after(9_003)).await.unwrap(), 0);
}

async fn leases_may_be_asked_for_again(meter: &impl Meter) {
    let name = "again";
    for _ in 0..3 {
        assert_eq!(meter.lease(name, &lease("a", 0), want(6, 1_000), NOW).await.unwrap(), 6);
    }
    for _ in 0..3 {
        assert_eq!(meter.lease(name, &lease("a", 6), want(7, 1_000), NOW).await.unwrap(), 7);
    }
    assert_eq!(meter.lease(name, &lease("b", 0), want(9, 1_000), NOW).await.unwrap(), 3);
    for _ in 0..3 {
        assert_eq!(meter.lease(name, &lease("a", 7), want(0, 0), NOW).await.unwrap(), 0);
    }
    assert_eq!(meter.lease(name, &lease("b", 3), want(9, 1_000), NOW).await.unwrap(), 9);
    assert_eq!(meter.lease(name, &lease("c", 0), want(9, 1_000), NOW).await.unwrap(), 1);
}

async fn many_callers_share_the_limit(meter: &impl Meter) {
    let names: Vec<String> = (0..20).map(|n| format!("h{n}")).collect();
    let leases: Vec<Lease> = names.iter().map(|name| lease(name, 0)).collect();
    let callers = leases.iter().map(|lease| meter.lease("many", lease, want(3, 1_000), NOW));
    let held: Vec<u32> = stream::iter(callers).buffer_unordered(20).map(Result::unwrap).collect().await;
    assert_eq!(held.iter().sum::<u32>(), 10, "{held:?}");
}
