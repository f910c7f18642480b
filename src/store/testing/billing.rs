//! The contracts of `Events`, `Packages` and `Aggregates`.

use jiff::civil::{Date, date};
use jiff::tz::Offset;

use crate::model::billing::admission::Admitted;
use crate::model::billing::aggregate::Aggregate;
use crate::model::billing::calendar::HalfMonth;
use crate::model::billing::event::UsageEvent;
use crate::model::billing::package::PackageId;
use crate::model::billing::sending::{Answer, Guarantees, SendState, Sending};
use crate::model::billing::usage::Usage;
use crate::model::fold::Exact;
use crate::model::timestamp::Timestamp;
use crate::store::billing::{Aggregates, Events, Insertion, NOBODY, Packages, Sealed, Unbilled};

fn event(client: &str, id: &str, day: Date, quantity: &str) -> Admitted {
    let at = format!("{day}T12:00:00.123456789Z").parse().unwrap();
    let (source, meter) = ("/meters/ß#1".to_owned(), "kwh".to_owned());
    let quantity = Exact::parse(quantity).unwrap();
    let event = UsageEvent { source, id: id.to_owned(), client: client.to_owned(), meter, at, quantity };
    let (offset, zone_data) = (Offset::from_seconds(20_700).unwrap(), "2026b".to_owned());
    Admitted { event, day, zone: "Asia/Kathmandu".to_owned(), offset, zone_data }
}

/// Checks that a table of events keeps its contract.
///
/// # Panics
/// If it does not.
pub async fn events(events: &impl Events) {
    an_identity_belongs_to_the_event_that_was_first(events).await;
    events_are_found_by_client_and_half_month(events).await;
    what_is_not_billed_is_not_found(events).await;
}

async fn an_identity_belongs_to_the_event_that_was_first(events: &impl Events) {
    let day = date(2026, 2, 28);
    let first = event("anna", "first", day, "-1.50");
    assert_eq!(events.find(&first).await.unwrap(), Insertion::Created);
    assert_eq!(events.keep(&first).await.unwrap(), Insertion::Created);
    // Other digits of the same number, and another zone by which it is on the same day, are no other event.
    let same = Admitted { zone: "UTC".to_owned(), ..event("anna", "first", day, "-1.5") };
    for others in [
        event("anna", "first", day, "2"),
        event("bert", "first", day, "-1.5"),
        event("anna", "first", date(2026, 3, 1), "-1.5"),
    ] {
        assert_eq!(
            (events.keep(&others).await.unwrap(), events.find(&others).await.unwrap()),
            (Insertion::Conflict, Insertion::Conflict)
        );
    }
    assert_eq!(
        (events.keep(&same).await.unwrap(), events.find(&same).await.unwrap()),
        (Insertion::Duplicate, Insertion::Duplicate)
    );
    assert_eq!(settled(events, "anna", day, 1).await, [first]);
}

/// How often an index that lags is asked.
const PATIENCE: usize = 1_000;

/// What is found of the half month of a day, once so many events are: an index may lag.
async fn settled(events: &impl Events, client: &str, day: Date, many: usize) -> Vec<Admitted> {
    for _ in 0..PATIENCE {
        let mut found = events.billed_in(client, HalfMonth::of(day)).await.unwrap();
        if found.len() >= many {
            found.sort_by_key(|event| event.event.identity());
            return found;
        }
    }
    panic!("fewer than {many} events of {client} are found about {day}")
}

async fn events_are_found_by_client_and_half_month(events: &impl Events) {
    let (one, two) = (date(2026, 2, 1), date(2026, 2, 16));
    let all = [
        event("a#2026-02-01", "1", one, "1"),
        event("a", "2", one, "99999999999999999999999999999999999999"),
        event("a", "3", two, "0.00000000000000000000000000000000000001"),
        event("株式会社 🚀", "4", one, "4"),
    ];
    for event in &all {
        assert_eq!(events.keep(event).await.unwrap(), Insertion::Created);
    }
    for event in &all {
        assert_eq!(settled(events, &event.event.client, event.day, 1).await, std::slice::from_ref(event));
    }
    assert_eq!(events.billed_in("a", HalfMonth::of(date(2026, 3, 3))).await.unwrap(), []);
    // More than fit into one answer.
    let many = 700;
    let long = "x".repeat(900);
    for number in 0..many {
        events.keep(&event("many", &format!("{number}-{long}"), one, "1")).await.unwrap();
    }
    assert_eq!(settled(events, "many", one, many).await.len(), many);
}

async fn what_is_not_billed_is_not_found(events: &impl Events) {
    let day = date(2026, 1, 31);
    let listed = event("list", "listed", day, "1");
    let rejected = |reason: &str| Unbilled::Rejected(reason.to_owned());
    let earlier = Admitted { day: date(2026, 1, 10), ..listed.clone() };
    events.list(&earlier, &Unbilled::Nobody).await.unwrap();
    for why in [Unbilled::Conflict, rejected("an hour too old"), rejected("two hours too old")] {
        events.list(&listed, &why).await.unwrap();
    }
    let conflicts = event("list", "listed", day, "2");
    events.list(&conflicts, &Unbilled::Conflict).await.unwrap();
    assert_eq!(events.find(&listed).await.unwrap(), Insertion::Created, "it may still be kept");
    assert_eq!(events.keep(&event("list", "beside it", day, "2")).await.unwrap(), Insertion::Created);
    assert_eq!(settled(events, "list", day, 1).await, [event("list", "beside it", day, "2")]);
    let mut found = Vec::new();
    for _ in 0..PATIENCE {
        found = events.listed_in("list", HalfMonth::of(day)).await.unwrap();
        found.sort_by_key(|(_, why)| why.clone());
        if found == [(conflicts.clone(), Unbilled::Conflict), (listed.clone(), rejected("two hours too old"))] {
            break;
        }
    }
    assert_eq!(found.len(), 2, "{found:?}");
    assert_eq!(found[1].1, rejected("two hours too old"));
    for (client, day) in [(NOBODY, earlier.day), ("list", earlier.day), (NOBODY, day)] {
        assert_eq!(events.listed_in(client, HalfMonth::of(day)).await.unwrap(), [], "it is listed once");
    }
    let stranger = event("stranger", "of nobody", day, "1");
    events.list(&stranger, &Unbilled::Nobody).await.unwrap();
    for _ in 0..PATIENCE {
        found = events.listed_in(NOBODY, HalfMonth::of(day)).await.unwrap();
        if !found.is_empty() {
            break;
        }
    }
    assert_eq!(found, [(stranger, Unbilled::Nobody)]);
    assert_eq!(events.listed_in("stranger", HalfMonth::of(day)).await.unwrap(), []);
}

fn package(client: &str, half: &str, sequence: u32) -> Sealed {
    let half = HalfMonth::parse(half).unwrap();
    let id = PackageId { client: client.to_owned(), half, sequence };
    Sealed { object: format!("packages/{sequence}.json"), id, at: Timestamp(1_800_000_000_123) }
}

/// Checks that a table of packages keeps its contract.
///
/// # Panics
/// If it does not.
pub async fn packages(packages: &impl Packages) {
    what_is_due_is_found(packages).await;
    one_package_of_a_name_is_sealed(packages).await;
    of_two_who_write_one_does(packages).await;
}

async fn one_package_of_a_name_is_sealed(packages: &impl Packages) {
    let first = package("a/b#1", "2026-02-H2", 0);
    let other = Sealed { object: "packages/other.json".to_owned(), ..first.clone() };
    assert_eq!(packages.read(&first.id).await.unwrap(), None);
    for (sealed, there) in [(&first, &first), (&other, &first), (&first, &first)] {
        assert_eq!(packages.seal(sealed).await.unwrap(), there.object);
    }
    assert_eq!(packages.read(&first.id).await.unwrap(), Some((first.clone(), Sending::ready(first.at))));
    let late: Vec<Sealed> = [10, 2, 1].map(|sequence| package("a/b#1", "2026-02-H2", sequence)).into();
    for sealed in late.iter().chain([&package("a/b#1", "2026-02-H1", 0), &package("a/b", "2026-02-H2", 0)]) {
        packages.seal(sealed).await.unwrap();
    }
    let found = packages.of("a/b#1", first.id.half).await.unwrap();
    assert_eq!(found, [first, late[2].clone(), late[1].clone(), late[0].clone()], "in their order");
}

async fn of_two_who_write_one_does(packages: &impl Packages) {
    let of = Guarantees { key_retention: 30, visible_after: 10, request_timeout: 5 };
    let now = Timestamp(1_800_000_000_000);
    let sealed = package("two", "2026-02-H1", 0);
    let begun = Sending::ready(now).begun(now, &of);
    assert!(!packages.write(&sealed.id, &begun).await.unwrap(), "nothing was sealed");
    packages.seal(&sealed).await.unwrap();
    assert!(packages.write(&sealed.id, &begun).await.unwrap());
    assert!(!packages.write(&sealed.id, &begun).await.unwrap(), "whoever asks again does not know who wrote it");
    let unknown = begun.answered(Answer::Unsure("status 500".to_owned()), now, &of);
    assert!(packages.write(&sealed.id, &unknown).await.unwrap());
    assert!(!packages.write(&sealed.id, &begun).await.unwrap());
    assert_eq!(packages.seal(&sealed).await.unwrap(), sealed.object, "a seal changes nothing of what was sent");
    assert_eq!(packages.read(&sealed.id).await.unwrap(), Some((sealed, unknown)));
}

async fn what_is_due_is_found(packages: &impl Packages) {
    let of = Guarantees { key_retention: 30, visible_after: 10, request_timeout: 5 };
    // Before all others of the suite.
    let now = Timestamp(1_000_000);
    let all: Vec<PackageId> = (0..40).map(|n| package(&format!("due {n}"), "2026-03-H1", n).id).collect();
    for (n, id) in all.iter().enumerate() {
        packages
            .seal(&Sealed { id: id.clone(), object: "x".to_owned(), at: Timestamp(now.0 - n as i64) })
            .await
            .unwrap();
    }
    let wanted = async |at: Timestamp, wanted: &[&PackageId]| {
        let mut due = Vec::new();
        for _ in 0..PATIENCE {
            due = packages.due(at, 1_000).await.unwrap();
            if due.iter().eq(wanted.iter().copied()) {
                return;
            }
        }
        panic!("{wanted:?} are due, and found are {due:?}");
    };
    wanted(now, &all.iter().rev().collect::<Vec<_>>()).await;
    wanted(Timestamp(now.0 - 35), &all[35..].iter().rev().collect::<Vec<_>>()).await;
    assert_eq!(packages.due(now, 7).await.unwrap(), all[33..].iter().rev().cloned().collect::<Vec<_>>());
    // One that is sent is due when its sender must have ended, one that ended never, and one that is sent again is due then.
    let begun = Sending::ready(now).begun(now, &of);
    let refused = begun.answered(Answer::Rejected("no".to_owned()), now, &of);
    assert_eq!(refused.state, SendState::Rejected);
    for id in &all {
        assert!(packages.write(id, &begun).await.unwrap());
    }
    wanted(now, &[]).await;
    for id in &all[1..] {
        assert!(packages.write(id, &refused).await.unwrap());
    }
    wanted(Timestamp(now.0 + 5_000), &[&all[0]]).await;
    let again = refused.again(Timestamp(now.0 + 1)).unwrap();
    assert!(packages.write(&all[7], &again).await.unwrap());
    wanted(Timestamp(now.0 + 5_000), &[&all[7], &all[0]]).await;
}

/// Checks that a table of aggregates keeps its contract.
///
/// # Panics
/// If it does not.
pub async fn aggregates(aggregates: &impl Aggregates) {
    let events = [event("株 #1", "1", date(2026, 2, 28), "-1.50"), event("株 #1", "2", date(2026, 2, 28), "0.1")];
    let usage = |many: usize| Usage::of(events[..many].iter().map(|event| &event.event));
    let row = |version, many| Aggregate { version, usage: usage(many) };
    let half = HalfMonth::parse("2026-02-H2").unwrap();
    assert_eq!(aggregates.used_in("株 #1", half).await.unwrap().len(), 0);
    assert!(!aggregates.set("株 #1", "2026-02-28", &row(2, 1)).await.unwrap(), "there is no first version");
    assert!(aggregates.set("株 #1", "2026-02-28", &row(1, 1)).await.unwrap());
    assert!(!aggregates.set("株 #1", "2026-02-28", &row(1, 2)).await.unwrap(), "there is one");
    assert!(aggregates.set("株 #1", "2026-02-28", &row(2, 2)).await.unwrap());
    assert!(!aggregates.set("株 #1", "2026-02-28", &row(2, 1)).await.unwrap(), "somebody was faster");
    // Beside it are other clients, and days before and after.
    for (client, period) in [
        ("株 #1", "2026-02-15"),
        ("株 #1", "2026-02-15T23+05:45"),
        ("株 #1", "2026-02-16"),
        ("株 #1", "2026-02-28T23+05:45"),
        ("株 #1", "2026-03-01"),
        ("株 #1", "2026-03-01T00+05:45"),
        ("株 #", "2026-02-28"),
    ] {
        assert!(aggregates.set(client, period, &row(1, 1)).await.unwrap(), "{client} {period}");
    }
    let found: Vec<_> = aggregates.used_in("株 #1", half).await.unwrap().into_iter().collect();
    let wanted = [("2026-02-16", row(1, 1)), ("2026-02-28", row(2, 2)), ("2026-02-28T23+05:45", row(1, 1))];
    assert_eq!(found, wanted.map(|(period, row)| (period.to_owned(), row)));
    // More than fit into one answer.
    let many = Usage {
        quantities: (0..2_500).map(|n| (format!("{n:0>50}"), Exact::of_text("1.25").unwrap())).collect(),
        ..usage(1)
    };
    for day in 1..=12 {
        let row = Aggregate { version: 1, usage: many.clone() };
        assert!(aggregates.set("many", &format!("2026-03-{day:02}"), &row).await.unwrap());
    }
    let found = aggregates.used_in("many", HalfMonth::parse("2026-03-H1").unwrap()).await.unwrap();
    assert_eq!((found.len(), &found["2026-03-12"].usage), (12, &many));
}
