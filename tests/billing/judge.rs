//! What is wrong with a world in the end.

use std::collections::{BTreeMap, BTreeSet};

use fanfold::model::billing::calendar::HalfMonth;
use fanfold::model::billing::event::UsageEvent;
use fanfold::model::billing::package::{Line, Package, PackageId};
use fanfold::model::billing::sending::SendState;
use fanfold::model::billing::usage::Usage;
use fanfold::model::fold::Exact;
use fanfold::store::billing::Unbilled;

use crate::world::{BILLED_FOR_NOTHING, SPACING, Story, World};

/// How much earlier than its moment the request after one may begin, in milliseconds, since that may be late.
const SLACK: i64 = 20;

/// The events that came: each identity with each content.
pub fn came(story: &Story) -> BTreeSet<(String, [u8; 32])> {
    let parsed = story.events.iter().map(|event| UsageEvent::parse(event).unwrap());
    parsed.map(|event| (event.identity(), event.content())).collect()
}

/// What is wrong with what is billed: each event that came, once and for its client and half, or listed.
pub fn unbilled(world: &World, story: &Story) -> Vec<String> {
    let mut wrong = Vec::new();
    let came = came(story);
    let kept = world.store.events();
    let listed = world.store.listed();
    for (identity, content) in &came {
        let billed = kept.get(identity).is_some_and(|kept| kept.event.content() == *content);
        let why = listed.get(&(identity.clone(), *content)).map(|(_, why)| why);
        let conflicts = why == Some(&Unbilled::Conflict);
        // What was too far ahead when it came first is listed, and billed when it comes again.
        let rejected = matches!(why, Some(Unbilled::Rejected(_)));
        if billed && conflicts || !billed && !conflicts && !rejected {
            wrong.push(format!("{identity} is billed: {billed}, a conflict: {conflicts}, rejected: {rejected}"));
        }
    }
    let mut used: BTreeMap<(String, HalfMonth), Vec<&UsageEvent>> = BTreeMap::new();
    for event in kept.values() {
        used.entry((event.event.client.clone(), event.half())).or_default().push(&event.event);
    }
    let mut billed: BTreeMap<(String, HalfMonth), Vec<Package>> = BTreeMap::new();
    for (id, (sealed, _)) in world.store.packages() {
        let package = package(world, &sealed.object);
        if package.id != id {
            wrong.push(format!("{id} is {package:?}"));
        }
        billed.entry((id.client, id.half)).or_default().push(package);
    }
    let nothing = |client: &&String| client.starts_with(BILLED_FOR_NOTHING);
    for client in story.clients.iter().filter(nothing) {
        for half in story.halves.iter().filter(|half| !billed.contains_key(&(client.clone(), **half))) {
            wrong.push(format!("{half} of {client} is not billed"));
        }
    }
    let all: BTreeSet<_> = used.keys().chain(billed.keys()).cloned().collect();
    for of in all {
        let used = Usage::of(used.remove(&of).unwrap_or_default());
        wrong.extend(charged(&used, &billed.remove(&of).unwrap_or_default()).map(|told| format!("{of:?}: {told}")));
    }
    wrong
}

/// What is wrong with packages that bill what was used.
fn charged(used: &Usage, packages: &[Package]) -> Option<String> {
    let mut days = Usage::default();
    packages.iter().flat_map(|package| package.days.values()).for_each(|usage| days.add(usage));
    let counted: u64 = packages.iter().map(|package| package.events).sum();
    let sum = |meter: &str, part: fn(&Line) -> Option<&Exact>| {
        let mut sum = Exact::default();
        let lines = packages.iter().flat_map(|package| &package.lines).filter(|line| line.meter == meter);
        lines.filter_map(part).for_each(|part| sum.add(part));
        sum
    };
    let price = Exact::of_text("0.335").unwrap();
    let same = (days.events, days.digest, counted) == (used.events, used.digest, used.events)
        && used.quantities.iter().all(|(meter, quantity)| {
            let amount = if meter == "kwh" { quantity.times(&price).rounded(2) } else { Exact::default() };
            sum(meter, |line| Some(&line.quantity)) == *quantity && sum(meter, |line| line.amount.as_ref()) == amount
        });
    (!same).then(|| format!("used {used:?}, billed {packages:#?}"))
}

fn package(world: &World, object: &str) -> Package {
    serde_json::from_slice(&world.output.read(object).unwrap()).unwrap()
}

/// What is wrong with invoices: one for each package, with its bytes; and nothing is asked of the API after an end, or too fast.
pub fn invoiced(world: &World) -> Vec<String> {
    let mut wrong = Vec::new();
    let invoices = world.api.invoices();
    let packages = world.store.packages();
    for (id, (sealed, sending)) in &packages {
        let made: Vec<_> = invoices.iter().filter(|made| made.package == *id).collect();
        let bytes = world.output.read(&sealed.object).unwrap();
        if made.len() != 1 || made[0].body != bytes || sending.state != SendState::Processed {
            wrong.push(format!("{id} has {} invoices, and is {sending:?}", made.len()));
        }
    }
    let known = |id: &PackageId| packages.contains_key(id);
    wrong.extend(
        invoices.iter().filter(|made| !known(&made.package)).map(|made| format!("{} is unknown", made.package)),
    );
    wrong.extend(world.wrong.lock().unwrap().iter().cloned());
    let arrivals = world.api.arrivals();
    let closest = SPACING.as_millis() as i64 - SLACK;
    let fast = arrivals.windows(2).filter(|two| two[1].at.0 - two[0].at.0 < closest);
    wrong.extend(fast.map(|two| format!("requests at {} and {}", two[0].at, two[1].at)));
    wrong
}
