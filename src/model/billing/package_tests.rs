//! Packages and their adjustments, held against plain sums.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::model::billing::event::UsageEvent;

fn event(id: usize, day: u8, meter: &str, quantity: &str) -> UsageEvent {
    UsageEvent::parse(&json!({
        "specversion": "1.0", "source": "/m", "id": id.to_string(), "subject": "anna", "type": meter,
        "time": format!("2026-02-{day:02}T12:00:00Z"), "data": {"quantity": quantity},
    }))
    .unwrap()
}

fn half() -> HalfMonth {
    HalfMonth::parse("2026-02-H1").unwrap()
}

fn used(events: &[UsageEvent]) -> Used {
    let day = |event: &UsageEvent| event.at.to_zoned(jiff::tz::TimeZone::UTC).date();
    events.iter().map(|event| (event.identity(), (day(event), event.clone()))).collect()
}

fn prices(meters: Value) -> Prices {
    serde_json::from_value(json!({"currency": "EUR", "meters": meters})).unwrap()
}

fn next(events: &[UsageEvent], before: &[Issued], prices: &Prices) -> Option<Issued> {
    Issued::next("anna", half(), &used(events), before, Some(prices)).unwrap()
}

#[test]
fn a_name_is_read_back_and_has_one_notation() {
    for name in ["anna/2026-02/H2/0", "a/b//2026-12/H1/17", "株式会社/2026-01/H2/3"] {
        assert_eq!(PackageId::parse(name).unwrap().to_string(), name);
    }
    for wrong in [
        "anna/2026-02/H2",
        "/2026-02/H2/0",
        "anna/2026-02/H3/0",
        "anna/2026-02/H2/00",
        "anna/2026-02/H2/-1",
        "anna/2026-13/H2/0",
        "2026-02/H2/0",
    ] {
        assert_eq!(PackageId::parse(wrong), None, "{wrong}");
    }
    let names = ["anna/2026-02/H2/0", "anna/2026-02/H2/1", "anna/2026-02/H1/0", "ann/2026-02/H2/0"];
    let keys = names.iter().flat_map(|name| (0..3).map(|epoch| PackageId::parse(name).unwrap().key(epoch)));
    let keys: BTreeSet<String> = keys.collect();
    assert!(keys.iter().all(|key| key.len() == 32) && keys.len() == 12);
}

#[test]
fn what_comes_late_is_billed_beside_what_was_billed() {
    let prices = prices(json!({"kwh": "0.335", "m3": "2"}));
    let mut events = vec![event(1, 1, "kwh", "1"), event(2, 15, "kwh", "2"), event(3, 3, "visits", "1")];
    let issued = next(&events, &[], &prices).unwrap();
    let first = issued.package.clone();
    assert_eq!((first.id.to_string().as_str(), first.adjusts.as_ref(), first.events), ("anna/2026-02/H1/0", None, 3));
    let line = |package: &Package, meter: &str| {
        let line = package.lines.iter().find(|line| line.meter == meter).unwrap();
        (line.quantity.to_string(), line.amount.as_ref().map(Exact::to_string))
    };
    assert_eq!(line(&first, "kwh"), ("3".to_owned(), Some("1".to_owned()))); // 1.005
    assert_eq!(line(&first, "visits"), ("1".to_owned(), None), "what has no price has a quantity");
    assert_eq!(first.total.as_ref().unwrap().to_string(), "1");
    assert_eq!(next(&events, std::slice::from_ref(&issued), &prices), None, "all of it is billed");

    events.extend([event(4, 15, "kwh", "-5"), event(5, 2, "m3", "0.5")]);
    let second = next(&events, &[issued], &prices).unwrap().package;
    assert_eq!((second.id.sequence, second.adjusts.as_ref(), second.events), (1, Some(&first.id), 2));
    assert_eq!(line(&second, "kwh"), ("-5".to_owned(), Some("-1.67".to_owned()))); // all: -0.67
    assert_eq!(second.days.keys().collect::<Vec<_>>(), ["2026-02-02", "2026-02-15"]);
    assert_eq!(second.lines.len(), 2, "what has not changed is not listed");
    assert_eq!(serde_json::from_slice::<Package>(&second.bytes().unwrap()).unwrap(), second);
}

#[test]
fn what_was_billed_keeps_its_price() {
    let before =
        next(&[event(1, 1, "kwh", "10"), event(4, 1, "visits", "2")], &[], &prices(json!({"kwh": "0.10"}))).unwrap();
    let events = ["kwh", "kwh", "m3", "visits", "visits"].iter().zip(["10", "1", "1", "2", "1"]).zip([1, 2, 3, 4, 5]);
    let events: Vec<UsageEvent> = events.map(|((meter, quantity), id)| event(id, 1, meter, quantity)).collect();
    let later = prices(json!({"kwh": "99", "m3": "2", "visits": "5"}));
    let second = next(&events, std::slice::from_ref(&before), &later).unwrap().package;
    let amounts: Vec<String> = second.lines.iter().map(|line| line.amount.as_ref().unwrap().to_string()).collect();
    assert_eq!(amounts, ["0.1", "2", "15"], "what had no price is charged by the first that it gets");
    let none = [event(4, 1, "visits", "2"), event(1, 1, "kwh", "10"), event(9, 1, "m3", "1")];
    let third = next(&none, std::slice::from_ref(&before), &later).unwrap().package;
    let lines: Vec<String> = third.lines.iter().map(|line| format!("{} {}", line.meter, line.quantity)).collect();
    assert_eq!(lines, ["m3 1", "visits 0"], "and with the next package, whatever that bills");
    let wrong = Issued { events: BTreeSet::new(), ..before.clone() };
    let refused = Issued::next("anna", half(), &used(&none), &[wrong], None).unwrap_err();
    assert!(refused.to_string().contains("the list of the events of anna/2026-02/H1/0"), "{refused}");
    let other: Prices = serde_json::from_value(json!({"currency": "USD", "meters": {}})).unwrap();
    let refused = Issued::next("anna", half(), &used(&events), &[before], Some(&other)).unwrap_err();
    assert!(refused.to_string().contains("was billed in EUR, and prices are in USD"), "{refused}");
}

#[test]
fn usage_that_comes_to_nothing_is_billed_all_the_same() {
    let prices = prices(json!({"kwh": "1"}));
    let events = [event(1, 1, "kwh", "1"), event(2, 1, "kwh", "-1")];
    let package = next(&events, &[], &prices).unwrap().package;
    assert_eq!((package.events, package.lines.len(), package.total), (2, 1, Some(Exact::default())));
    assert_eq!(next(&[], &[], &prices), None, "a client that used nothing");
}

/// An index that lags may show an event at one time and not at the next.
#[test]
fn an_event_that_was_billed_is_never_credited_because_it_is_not_found() {
    let (one, two) = (event(1, 1, "kwh", "1"), event(2, 1, "kwh", "1"));
    let before = next(&[one], &[], &prices(json!({}))).unwrap();
    for found in [vec![], vec![two.clone()], vec![two, event(3, 2, "kwh", "1")]] {
        let refused = Issued::next("anna", half(), &used(&found), std::slice::from_ref(&before), None).unwrap_err();
        assert!(
            refused.to_string().contains("1 events of anna in 2026-02-H1 were billed and are not found"),
            "{refused}"
        );
        assert_eq!(refused.kind, crate::model::error::ErrorKind::Transient);
    }
}

proptest! {
    /// However often packages are made in between, and in whatever order events come, they bill each event once, and charge what one
    /// package of all would.
    #[test]
    fn packages_add_up_to_what_was_used(
        events in prop::collection::vec((1_u8..16, 0_u8..3, -10_000_i32..10_000), 0..60),
        cuts in prop::collection::vec(0_usize..60, 0..6), seed in any::<u64>(),
    ) {
        let prices = prices(json!({"meter 0": "0.335", "meter 1": "0.005"}));
        let mut events: Vec<UsageEvent> = events.iter().enumerate()
            .map(|(id, (day, meter, thousandths))| {
                let sign = if *thousandths < 0 { "-" } else { "" };
                let quantity = format!("{sign}{}.{:03}", thousandths.abs() / 1000, thousandths.abs() % 1000);
                event(id, *day, &format!("meter {meter}"), &quantity)
            }).collect();
        let whole = next(&events, &[], &prices);
        fastrand::Rng::with_seed(seed).shuffle(&mut events);
        let mut cuts: Vec<usize> = cuts.iter().map(|cut| *cut.min(&events.len())).chain([events.len()]).collect();
        cuts.sort_unstable();
        let mut issued: Vec<Issued> = Vec::new();
        for cut in cuts {
            issued.extend(next(&events[..cut], &issued, &prices));
        }
        prop_assert_eq!(issued.is_empty(), whole.is_none());
        let packages: Vec<&Package> = issued.iter().map(|issued| &issued.package).collect();
        if let Some(whole) = whole.map(|whole| whole.package) {
            prop_assert_eq!(packages.iter().map(|package| package.events).sum::<u64>(), whole.events);
            let mut all = Usage::default();
            packages.iter().flat_map(|package| package.days.values()).for_each(|usage| all.add(usage));
            prop_assert_eq!((all.events, all.digest), (whole.events, whole.digest));
            let mut total = Exact::default();
            packages.iter().for_each(|package| total.add(package.total.as_ref().unwrap()));
            prop_assert_eq!(&total, whole.total.as_ref().unwrap());
            for line in &whole.lines {
                let of = |part: fn(&Line) -> Option<&Exact>| {
                    let mut all = Exact::default();
                    packages.iter().flat_map(|package| package.lines.iter()).filter(|other| other.meter == line.meter)
                        .filter_map(part).for_each(|part| all.add(part));
                    all
                };
                prop_assert_eq!(of(|line| Some(&line.quantity)), line.quantity.clone());
                prop_assert_eq!(of(|line| line.amount.as_ref()), line.amount.clone().unwrap_or_default());
            }
        }
    }
}

#[test]
fn a_half_in_which_nothing_was_used_can_be_billed_and_what_comes_late_adjusts_it() {
    let prices = prices(json!({"kwh": "0.335"}));
    let nothing = Issued::nothing("anna", half(), Some(&prices)).unwrap();
    let (package, none) = (&nothing.package, Vec::<Line>::new());
    assert_eq!((package.id.to_string(), package.events, &package.lines), ("anna/2026-02/H1/0".to_owned(), 0, &none));
    assert_eq!(package.total.as_ref().map(ToString::to_string).as_deref(), Some("0"));
    let before = [nothing.clone()];
    assert_eq!(next(&[], &before, &prices), None, "once");
    let late = next(&[event(1, 3, "kwh", "2")], &before, &prices).unwrap().package;
    assert_eq!((late.id.sequence, late.adjusts.as_ref(), late.events), (1, Some(&nothing.package.id), 1));
    assert_eq!(late.total.unwrap().to_string(), "0.67");
    let unpriced = Issued::nothing("anna", half(), None).unwrap().package;
    assert_eq!((unpriced.total, unpriced.currency), (None, None));
}
