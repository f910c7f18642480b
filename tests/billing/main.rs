//! Billing on stores and an API that fail: whatever happens, each event is billed once or listed, and each package has one invoice.
//!
//! Closers and senders work at the same time, die at any of their calls, and are followed by others. `FANFOLD_SEEDS=100000` tries more
//! worlds than every run of the tests does.

mod api;
mod judge;
mod statements;
mod time;
mod world;

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use fanfold::model::billing::calendar::HalfMonth;
use fanfold::model::billing::package::PackageId;
use fanfold::model::billing::sending::{Guarantees, SendState, Sending};
use fanfold::model::error::Result;
use fanfold::model::timestamp::Timestamp;
use fanfold::processor::billing::close::Closed;
use fanfold::processor::billing::meter::Metered;
use fanfold::stage::billing::outbox::drain;
use fanfold::stage::billing::send::{Send, Sent};
use fanfold::store::Clock;
use fanfold::store::billing::memory::MemoryBilling;
use fanfold::store::billing::{Packages, Sealed, Unbilled};
use fanfold::store::blob::Blob;
use fanfold::store::faults::{Faults, Faulty};
use futures::FutureExt;
use futures::future::BoxFuture;
use serde_json::{Value, json};

use crate::api::{BUSY, MOODS, Mood, PROMISED};
use crate::judge::invoiced;
use crate::time::{Time, run};
use crate::world::{SPACING, Trouble, World, history, moods, sends};

/// Worlds in every run of the tests.
const WORLDS: u64 = 600;

fn worlds() -> u64 {
    std::env::var("FANFOLD_SEEDS").ok().and_then(|many| many.parse().ok()).unwrap_or(WORLDS)
}

#[test]
fn each_event_is_billed_once_and_each_package_has_one_invoice_whatever_fails() {
    let (mut adjusts, mut conflicts, mut rejected, mut again) = (0, 0, 0, 0);
    for seed in 0..worlds() {
        let world = World::new(seed, moods);
        let wrong = history(&world, &world.store);
        assert!(wrong.is_empty(), "seed {seed}: {wrong:#?}");
        adjusts += world.store.packages().keys().filter(|id| id.sequence > 0).count();
        let listed = world.store.listed();
        conflicts += listed.values().filter(|(_, why)| *why == Unbilled::Conflict).count();
        rejected += listed.len();
        let sent = world.api.arrivals().iter().filter(|arrival| arrival.created.is_some()).count();
        again += sent - world.store.packages().len();
    }
    println!("{adjusts} adjustments, {conflicts} conflicts, {rejected} events not billed, {again} sent again");
    assert!([adjusts, conflicts, rejected - conflicts, again].iter().all(|reached| *reached as u64 > worlds()));
}

/// Packages of which some writes take long; and of two writers, the later one wins, unless versions are looked at.
#[derive(Clone)]
struct Slow {
    store: MemoryBilling,
    time: Time,
    looks: bool,
}

impl Packages for Slow {
    async fn seal(&self, sealed: &Sealed) -> Result<String> {
        self.store.seal(sealed).await
    }

    async fn of(&self, client: &str, half: HalfMonth) -> Result<Vec<Sealed>> {
        self.store.of(client, half).await
    }

    async fn read(&self, id: &PackageId) -> Result<Option<(Sealed, Sending)>> {
        self.store.read(id).await
    }

    async fn write(&self, id: &PackageId, sending: &Sending) -> Result<bool> {
        if self.time.is_likely(10) {
            self.time.sleep(Duration::from_millis(self.time.draw(0..90_000) as u64)).await;
        }
        let there = self.store.read(id).await?.map_or(0, |(_, there)| there.version);
        let version = if self.looks { sending.version } else { there + 1 };
        self.store.write(id, &Sending { version, ..sending.clone() }).await
    }

    async fn due(&self, at: Timestamp, most: usize) -> Result<Vec<PackageId>> {
        self.store.due(at, most).await
    }
}

/// Packages of three clients that are ready, in a world by chance.
fn ready(seed: u64) -> World {
    sealed_in(World::new(seed, moods), 3)
}

#[test]
fn each_package_has_one_invoice_however_its_senders_die() {
    for seed in 0..10 * worlds() {
        let world = ready(seed);
        let wrong = sends(&world, &slow(&world, true));
        assert!(wrong.is_empty(), "seed {seed}: {wrong:#?}");
    }
}

fn slow(world: &World, looks: bool) -> Slow {
    Slow { store: world.store.clone(), time: world.time.clone(), looks }
}

#[test]
fn what_is_relied_on_is_needed() {
    let tried = |name: &str, broken: &dyn Fn(World) -> Vec<String>| {
        let found = (0..10 * worlds()).find(|seed| !broken(ready(*seed)).is_empty());
        assert!(found.is_some(), "nobody notices {name}");
        println!("{name} is noticed by world {found:?}");
    };
    let relied = |guarantees: Guarantees| {
        move |mut world: World| {
            world.guarantees = guarantees;
            sends(&world, &world.store)
        }
    };
    tried("a key that is trusted for too long", &relied(Guarantees { key_retention: 10_000, ..PROMISED }));
    tried("a look-up that is believed too early", &relied(Guarantees { visible_after: 0, ..PROMISED }));
    tried("two who write at once", &|world| sends(&world, &slow(&world, false)));
}

/// An API goes on with what failed, hangs, and may forget the key of the first try at any moment after half a minute.
#[test]
fn a_key_that_may_be_forgotten_is_not_used_again() {
    let tried = |seed: u64, one_key: bool| {
        let mut world = sealed_in(World::new(seed, |_| vec![Mood::Breaks, Mood::HangsBefore]), 1);
        world.api.one_key = one_key;
        let (id, none) = (world.store.packages().into_keys().next().unwrap(), Trouble::none(&world.time));
        run(
            &world.time,
            vec![Box::pin(async {
                let sender = world.sending(&world.store, &none);
                sender.advance(&id, world.in_seconds(60)).await.unwrap();
                world.time.sleep(Duration::from_secs(27)).await;
                send(&world, none.clone(), &id).await;
            })],
        );
        invoiced(&world)
    };
    for seed in 0..worlds() {
        assert_eq!(tried(seed, false), Vec::<String>::new(), "seed {seed}");
    }
    let noticed = (0..worlds()).find(|seed| !tried(*seed, true).is_empty());
    assert!(noticed.is_some(), "nobody notices one key for all times");
}

/// Packages of so many clients that are ready, in a world whose API has these moods.
fn sealed(moods: Vec<Mood>, many: u32) -> World {
    sealed_in(World::new(1, |_| moods), many)
}

fn sealed_in(world: World, many: u32) -> World {
    let trouble = Trouble::none(&world.time);
    run(
        &world.time,
        vec![Box::pin(async {
            for client in 0..many {
                let taken = world
                    .metering(&trouble)
                    .take(&event(&format!("client-{client} UTC"), &client.to_string(), "2026-02-28T20:00:00Z"))
                    .await;
                assert_eq!(taken.unwrap(), Metered::Kept);
            }
            world.time.sleep(Duration::from_secs(4 * 3_600 + 60)).await;
            let half = HalfMonth::parse("2026-02-H2").unwrap();
            let halves: Vec<_> = (0..many).map(|client| (format!("client-{client} UTC"), half)).collect();
            let closed = world.closing(&trouble).close(&halves).await;
            assert!(closed.iter().all(|closed| matches!(closed, Ok(Closed::Sealed(_)))), "{closed:?}");
        })],
    );
    world
}

fn event(client: &str, id: &str, time: &str) -> Value {
    json!({
        "specversion": "1.0", "source": "/m", "id": id, "subject": client, "type": "kwh", "time": time, "data": {"quantity": "1.5"},
    })
}

/// Sends a package until it has ended; whoever dies is followed by somebody without trouble.
async fn send(world: &World, trouble: Trouble, id: &PackageId) {
    let mut trouble = trouble;
    loop {
        let sender = world.sending(&world.store, &trouble);
        match sender.advance(id, world.in_seconds(60)).await {
            Ok(Sent::Ended(SendState::Rejected)) => {
                // What the API refused, a person has sent again.
                let (_, sending) = world.store.read(id).await.unwrap().unwrap();
                let again = sending.again(world.time.now()).unwrap();
                let _ = sender.packages.write(id, &again).await;
            }
            Ok(Sent::Ended(_)) => return,
            Ok(Sent::NoTime) => panic!("a minute is too short"),
            Ok(Sent::Waits(moment) | Sent::Held(moment)) => {
                world.time.sleep(Duration::from_millis((moment.0 - world.time.now().0).max(1) as u64)).await;
            }
            Err(_) if trouble.died() => trouble = Trouble::none(&world.time),
            Err(_) => {}
        }
    }
}

/// The sender dies at each of its calls, before or after the effect, in front of an API of each mood.
#[test]
fn a_sender_may_die_at_every_call() {
    let (mut met, mut all) = (0, 0);
    for first in MOODS {
        for second in MOODS {
            let mut point = 0;
            loop {
                let world = sealed(vec![first, second], 1);
                let (id, trouble) =
                    (world.store.packages().into_keys().next().unwrap(), Trouble::new(&world.time, 0, Some(point)));
                run(&world.time, vec![send(&world, trouble.clone(), &id).boxed()]);
                let wrong = invoiced(&world);
                assert!(wrong.is_empty(), "{first:?}, {second:?}, dies at {point}: {wrong:#?}");
                met += 2 - world.api.moods_left();
                all += 2;
                if !trouble.died() {
                    break;
                }
                point += 1;
            }
            assert!(point > 8, "{point} calls");
        }
    }
    // Not every package has to be sent twice.
    println!("{met} of {all} moods were met");
    assert!(met * 4 > all * 3);
}

/// One closer dies at each of its calls, while another one closes the same.
#[test]
fn two_closers_seal_one_package() {
    let half = HalfMonth::parse("2026-02-H2").unwrap();
    let halves = [("anna".to_owned(), half)];
    let mut point = 0;
    loop {
        let world = World::new(point as u64, |_| Vec::new());
        let none = Trouble::none(&world.time);
        let dies = Trouble::new(&world.time, 0, Some(point));
        let closed = Arc::new(Mutex::new(Vec::new()));
        run(
            &world.time,
            vec![Box::pin(async {
                for id in ["1", "2"] {
                    world.metering(&none).take(&event("anna", id, "2026-02-28T20:00:00Z")).await.unwrap();
                }
                let early = world.closing(&none).close(&halves).await.pop().unwrap().unwrap();
                assert_eq!(early, Closed::Open, "an hour after its end, it may still get events");
                world.time.sleep(Duration::from_secs(4 * 3_600)).await;
            })],
        );
        let close = async |trouble: &Trouble| {
            let result = world.closing(trouble).close(&halves).await;
            closed.lock().unwrap().extend(result.into_iter().flatten());
        };
        let both: [BoxFuture<'_, ()>; 2] = [Box::pin(close(&dies)), Box::pin(close(&none))];
        run(&world.time, both.into());
        let packages = world.store.packages();
        assert_eq!(packages.len(), 1, "dies at {point}: {:?}", closed.lock().unwrap());
        run(
            &world.time,
            vec![Box::pin(async {
                assert_eq!(world.closing(&none).close(&halves).await.pop().unwrap().unwrap(), Closed::Billed);
            })],
        );
        if !dies.died() {
            break;
        }
        point += 1;
    }
    assert!(point > 10, "{point} calls");
}

#[test]
fn an_event_that_comes_late_is_billed_by_the_next_package_and_one_too_late_is_listed() {
    let world = sealed(Vec::new(), 1);
    let none = Trouble::none(&world.time);
    run(
        &world.time,
        vec![Box::pin(async {
            let client = "client-0 UTC";
            let meter = world.metering(&none);
            let taken = meter.take(&event(client, "late", "2026-02-28T23:59:59.999999999Z")).await.unwrap();
            assert_eq!(taken, Metered::Kept);
            let half = HalfMonth::parse("2026-02-H2").unwrap();
            world.time.sleep(Duration::from_secs(10)).await;
            let closed = world.closing(&none).close(&[(client.to_owned(), half)]).await.pop().unwrap().unwrap();
            assert_eq!(closed, Closed::Sealed(PackageId { client: client.to_owned(), half, sequence: 1 }));
            let same = event(client, "late", "2026-02-28T23:59:59.999999999Z");
            let other = event(client, "late", "2026-03-01T00:00:00Z");
            assert_eq!(meter.take(&same).await.unwrap(), Metered::Known);
            assert_eq!(meter.take(&other).await.unwrap(), Metered::Unbilled(Unbilled::Conflict));
            world.time.sleep(Duration::from_secs(86_400)).await;
            assert_eq!(meter.take(&same).await.unwrap(), Metered::Known, "it is billed, however old it is by now");
            let old = meter.take(&event(client, "too late", "2026-02-28T20:00:00Z")).await.unwrap();
            assert!(
                matches!(&old, Metered::Unbilled(Unbilled::Rejected(reason)) if reason.contains("at most 24h")),
                "{old:?}"
            );
            assert!(matches!(meter.take(&json!({"id": 1})).await.unwrap(), Metered::Wrong(wrong) if wrong.len() == 7));
            let nobody = meter.take(&event("client-0 Mars/Crater", "of nobody", "2026-02-28T20:00:00Z")).await.unwrap();
            assert_eq!(nobody, Metered::Unbilled(Unbilled::Nobody));
            assert_eq!((world.store.events().len(), world.store.listed().len()), (2, 3));
        })],
    );
}

/// A sender that is started every minute, for half an hour.
async fn serve(world: &World) {
    let sender = world.sending(&world.store, &Trouble::none(&world.time));
    let until = world.in_seconds(1_800);
    while world.time.now() < until {
        let next = world.in_seconds(60);
        drain(&sender, world.in_seconds(55)).await.unwrap();
        let left = (next.0 - world.time.now().0).max(0) as u64;
        world.time.sleep(Duration::from_millis(left)).await;
    }
}

#[test]
fn packages_whose_bytes_are_gone_or_changed_keep_no_others_waiting() {
    let world = sealed(Vec::new(), 12);
    let packages: Vec<(Sealed, Sending)> = world.store.packages().into_values().collect();
    run(
        &world.time,
        vec![Box::pin(async {
            for (place, (sealed, _)) in packages.iter().take(6).enumerate() {
                match place % 2 {
                    0 => world.output.delete(&sealed.object).await.unwrap(),
                    _ => drop(world.output.put(&sealed.object, "application/json", "{}".into()).await.unwrap()),
                }
            }
            serve(&world).await;
        })],
    );
    for (place, (_, sending)) in world.store.packages().into_values().enumerate() {
        let (state, told) = match place {
            0..6 if place % 2 == 0 => (SendState::Ready, "is gone: restore it"),
            0..6 => (SendState::Ready, "was changed: restore the version that was sealed"),
            _ => (SendState::Processed, ""),
        };
        assert_eq!(sending.state, state, "{place}: {sending:?}");
        assert!(sending.reason.as_deref().unwrap_or_default().contains(told), "{sending:?}");
    }
    assert_eq!(world.api.invoices().len(), 6, "what was changed is not sent");
}

#[test]
fn what_adjusts_an_invoice_comes_after_it() {
    let world = sealed(vec![Mood::Refuses], 1);
    let none = Trouble::none(&world.time);
    let (client, half) = ("client-0 UTC".to_owned(), HalfMonth::parse("2026-02-H2").unwrap());
    let id = |sequence| PackageId { client: client.clone(), half, sequence };
    let states = || world.store.packages().into_values().map(|(_, sending)| sending.state).collect::<Vec<_>>();
    run(
        &world.time,
        vec![Box::pin(async {
            world.metering(&none).take(&event(&client, "late", "2026-02-28T21:00:00Z")).await.unwrap();
            world.time.sleep(Duration::from_secs(20)).await;
            let closed = world.closing(&none).close(&[(client.clone(), half)]).await.pop().unwrap().unwrap();
            assert_eq!(closed, Closed::Sealed(id(1)));
            serve(&world).await;
            assert_eq!(states(), [SendState::Rejected, SendState::Ready]);
            let (_, waits) = world.store.read(&id(1)).await.unwrap().unwrap();
            assert_eq!(waits.reason.as_deref(), Some("it waits for client-0 UTC/2026-02/H2/0"));
            // A person mends what was wrong, and has it sent again.
            let (_, rejected) = world.store.read(&id(0)).await.unwrap().unwrap();
            assert!(world.store.write(&id(0), &rejected.again(world.time.now()).unwrap()).await.unwrap());
            serve(&world).await;
            assert_eq!(states(), [SendState::Processed, SendState::Processed]);
        })],
    );
    let made: Vec<u32> = world.api.invoices().iter().map(|made| made.package.sequence).collect();
    assert_eq!(made, [0, 1]);
}

/// Counts calls.
#[derive(Clone, Default)]
struct Counting(Arc<Mutex<usize>>);

impl Faults for Counting {
    async fn before(&self, _call: &'static str) -> Result<()> {
        *self.0.lock().unwrap() += 1;
        Ok(())
    }

    async fn after(&self, _call: &'static str) -> Result<()> {
        Ok(())
    }

    fn midway(&self, _call: &'static str, _many: usize) -> Option<usize> {
        None
    }
}

#[test]
fn a_sender_that_has_to_wait_asks_nobody_again_and_again() {
    let world = sealed(vec![Mood::BusyUntil], 60);
    let counting = Counting::default();
    let none = Trouble::none(&world.time);
    let Send { invoices, output, meter, clock, guarantees, spacing, .. } = world.sending(&world.store, &none);
    let packages = Faulty::new(world.store.clone(), counting.clone());
    let sender = Send { packages, invoices, output, meter, clock, guarantees, spacing };
    let calls = |until| {
        *counting.0.lock().unwrap() = 0;
        run(
            &world.time,
            vec![Box::pin(async {
                drain(&sender, until).await.unwrap();
            })],
        );
        *counting.0.lock().unwrap()
    };
    // While the API is busy, only those are looked at whose moments were reserved; and if no time is left, those that are worked on together.
    let (busy, late) = (calls(world.in_seconds(50)), calls(world.in_seconds(2)));
    assert!((20..250).contains(&busy) && (4..40).contains(&late), "{busy} {late}");
}

#[test]
fn an_api_that_is_busy_is_left_alone_by_all_senders() {
    let world = sealed(vec![Mood::BusyUntil], 60);
    run(&world.time, (0..5).map(|_| Box::pin(serve(&world)) as BoxFuture<'_, ()>).collect());
    assert_eq!(invoiced(&world), Vec::<String>::new());
    let first = world.api.arrivals()[0].at.0;
    // Its answer takes three seconds, and moments of the next five were reserved.
    let early = |at: i64| (first + 9_000..first + BUSY * 1_000).contains(&at);
    let arrivals: Vec<i64> = world.api.arrivals().iter().map(|arrival| arrival.at.0).filter(|at| early(*at)).collect();
    assert_eq!(arrivals, Vec::<i64>::new());
}

#[test]
fn one_half_month_that_cannot_be_closed_keeps_no_others_open() {
    let world = sealed(Vec::new(), 1);
    let none = Trouble::none(&world.time);
    run(
        &world.time,
        vec![Box::pin(async {
            for client in ["anna", "bert"] {
                world.metering(&none).take(&event(client, client, "2026-02-28T21:00:00Z")).await.unwrap();
            }
            world.time.sleep(Duration::from_secs(20)).await;
            let half = HalfMonth::parse("2026-02-H2").unwrap();
            let halves = ["anna", "of Mars/Crater", "bert"].map(|client| (client.to_owned(), half));
            let closed = world.closing(&none).close(&halves).await;
            assert!(
                matches!(&closed[0], Ok(Closed::Sealed(_))) && matches!(&closed[2], Ok(Closed::Sealed(_))),
                "{closed:?}"
            );
            let refused = closed[1].as_ref().unwrap_err().to_string();
            assert!(refused.contains("there are no terms of client \"of Mars/Crater\""), "{refused}");
        })],
    );
}

/// Twenty functions that begin at the same moment, each with packages of its own.
#[test]
fn twenty_senders_use_the_rate_and_keep_to_it() {
    let world = sealed(Vec::new(), 300);
    let ids: Vec<PackageId> = world.store.packages().into_keys().collect();
    let work = async |ids: &[PackageId]| {
        let sender = world.sending(&world.store, &Trouble::none(&world.time));
        let mut ended = BTreeSet::new();
        while ended.len() < ids.len() {
            for id in ids {
                if let Sent::Ended(_) = sender.advance(id, world.in_seconds(60)).await.unwrap() {
                    ended.insert(id);
                }
            }
            world.time.sleep(Duration::from_secs(1)).await;
        }
    };
    run(&world.time, ids.chunks(15).map(|ids| Box::pin(work(ids)) as BoxFuture<'_, ()>).collect());
    assert_eq!(invoiced(&world), Vec::<String>::new(), "no two requests are closer than the rate allows");
    let seen = world.api.arrivals();
    let last = seen.iter().rposition(|arrival| arrival.created.is_some()).unwrap();
    let (took, many) = (seen[last].at.0 - seen[0].at.0, last as i64);
    assert!(many >= 299 && many * SPACING.as_millis() as i64 * 100 >= took * 95, "{many} requests in {took} ms");
}
