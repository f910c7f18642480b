//! The contract of `Connections` and of `Subscriptions`.

use crate::model::reporting::id::ReportId;
use crate::model::timestamp::Timestamp;
use crate::store::sockets::{CONNECTION, Caller, Connections, Subscriber, Subscriptions, TICKET};

fn caller(owner: &str, operated: bool) -> Caller {
    Caller { owner: owner.to_owned(), operated }
}

fn later(now: Timestamp, milliseconds: i64) -> Timestamp {
    Timestamp(now.0 + milliseconds)
}

/// Checks that a store of connections keeps its contract.
///
/// # Panics
/// If it does not.
pub async fn all(sockets: &(impl Connections + Subscriptions), now: Timestamp) {
    a_ticket_is_used_once(sockets, now).await;
    a_connection_is_its_callers_until_it_ends(sockets, now).await;
    subscribers_are_those_of_one_report(sockets, now).await;
    many_subscribers_are_all_there(sockets, now).await;
}

async fn a_ticket_is_used_once(sockets: &impl Connections, now: Timestamp) {
    let whose = caller("jwt:https://a:sub:ünna", false);
    sockets.issue("one", &whose, now).await.unwrap();
    assert_eq!(sockets.redeem("other", now).await.unwrap(), None);
    assert_eq!(sockets.caller("one", now).await.unwrap(), None, "a ticket is no connection");
    assert_eq!(sockets.redeem("one", later(now, TICKET - 1_000)).await.unwrap(), Some(whose));
    assert_eq!(sockets.redeem("one", now).await.unwrap(), None);
    sockets.issue("late", &caller("here", true), now).await.unwrap();
    assert_eq!(sockets.redeem("late", later(now, TICKET + 1_000)).await.unwrap(), None);
}

async fn a_connection_is_its_callers_until_it_ends(sockets: &impl Connections, now: Timestamp) {
    let (one, two) = (caller("iam:AIDA1", false), caller("here", true));
    sockets.connect("L0SM9cOFvHcCIhw=", &one, now).await.unwrap();
    sockets.connect("two", &two, now).await.unwrap();
    assert_eq!(sockets.redeem("two", now).await.unwrap(), None, "a connection is no ticket");
    assert_eq!(sockets.caller("L0SM9cOFvHcCIhw=", later(now, CONNECTION - 1_000)).await.unwrap(), Some(one));
    assert_eq!(sockets.caller("L0SM9cOFvHcCIhw=", later(now, CONNECTION + 1_000)).await.unwrap(), None);
    for _ in 0..2 {
        sockets.disconnect("L0SM9cOFvHcCIhw=").await.unwrap();
    }
    assert_eq!(sockets.caller("L0SM9cOFvHcCIhw=", now).await.unwrap(), None);
    assert_eq!(sockets.caller("two", now).await.unwrap(), Some(two));
}

async fn subscribers_are_those_of_one_report(sockets: &impl Subscriptions, now: Timestamp) {
    let (report, other) = (ReportId::of_bits(1), ReportId::of_bits(2));
    let subscriber =
        |connection: &str, operated| Subscriber { connection: connection.to_owned(), operated, told: None };
    assert_eq!(sockets.subscribers(&report, now).await.unwrap(), []);
    let (a, b) = (subscriber("a", false), subscriber("b", true));
    for one in [&b, &a, &b] {
        sockets.subscribe(&report, one, now).await.unwrap();
    }
    sockets.subscribe(&other, &a, now).await.unwrap();
    assert_eq!(sockets.subscribers(&report, now).await.unwrap(), [a.clone(), b.clone()]);
    assert_eq!(sockets.subscribers(&report, later(now, CONNECTION + 1_000)).await.unwrap(), []);
    for generation in [0, 3] {
        sockets.note_told(&report, "a", generation).await.unwrap();
        let told = Subscriber { told: Some(generation), ..a.clone() };
        assert_eq!(sockets.subscribers(&report, now).await.unwrap(), [told, b.clone()]);
    }
    sockets.subscribe(&report, &a, now).await.unwrap();
    assert_eq!(sockets.subscribers(&report, now).await.unwrap(), [a.clone(), b.clone()], "it waits anew");
    for _ in 0..2 {
        sockets.unsubscribe(&report, "a").await.unwrap();
        sockets.note_told(&report, "a", 1).await.unwrap();
    }
    assert_eq!(sockets.subscribers(&report, now).await.unwrap(), [b], "who is told does not come back by that");
    assert_eq!(sockets.subscribers(&other, now).await.unwrap(), [a]);
}

async fn many_subscribers_are_all_there(sockets: &impl Subscriptions, now: Timestamp) {
    let report = ReportId::of_bits(3);
    // More than a page of answers holds, by their ids, which are long here.
    let ids: Vec<String> = (0..1_200).map(|n| format!("{n:04}{}", "x".repeat(900))).collect();
    for id in &ids {
        let subscriber = Subscriber { connection: id.clone(), operated: false, told: None };
        sockets.subscribe(&report, &subscriber, now).await.unwrap();
    }
    let found = sockets.subscribers(&report, now).await.unwrap();
    assert_eq!(found.into_iter().map(|one| one.connection).collect::<Vec<_>>(), ids);
}
