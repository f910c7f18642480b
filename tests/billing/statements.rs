//! Half months that are stated, and the rows of their days.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::time::Duration;

use fanfold::model::billing::admission::Admitted;
use fanfold::model::billing::aggregate::{Aggregate, Grain, fold};
use fanfold::model::billing::calendar::HalfMonth;
use fanfold::model::billing::statement::{Counts, Statement};
use fanfold::model::error::Result;
use fanfold::processor::billing::daily::Daily;
use fanfold::processor::billing::halves::Halves;
use fanfold::store::Clock;
use fanfold::store::billing::Aggregates;
use fanfold::store::billing::memory::MemoryBilling;
use fanfold::store::blob::memory::MemoryBlob;
use fanfold::store::faults::Faulty;

use futures::future::BoxFuture;

use crate::judge::came;
use crate::time::{Time, run};
use crate::world::{Agreed, Lagging, Story, Trouble, World};
use crate::{event, worlds};

/// Rows that are watched, some of whose writes take long.
#[derive(Clone)]
pub struct Rows {
    world: World,
    /// Whether versions are looked at.
    looks: bool,
}

impl Aggregates for Rows {
    async fn used_in(&self, client: &str, half: HalfMonth) -> Result<BTreeMap<String, Aggregate>> {
        self.world.store.used_in(client, half).await
    }

    async fn set(&self, client: &str, period: &str, row: &Aggregate) -> Result<bool> {
        if self.world.time.is_likely(40) {
            self.world.time.sleep(Duration::from_millis(self.world.time.draw(0..9_000) as u64)).await;
        }
        let there = self.world.store.aggregates().get(&(client.to_owned(), period.to_owned())).cloned();
        let version = there.as_ref().map_or(0, |there| there.version) + 1;
        let set = Aggregate { version: if self.looks { row.version } else { version }, ..row.clone() };
        let is_set = self.world.store.set(client, period, &set).await?;
        if is_set && there.as_ref().is_some_and(|there| there.usage.events > row.usage.events) {
            self.world.wrong.lock().unwrap().push(format!("{period} of {client} was {there:?}, and is {row:?}"));
        }
        Ok(is_set)
    }
}

type Stating = Halves<
    Faulty<Lagging, Trouble>,
    Faulty<MemoryBilling, Trouble>,
    Agreed,
    Faulty<MemoryBlob, Trouble>,
    Time,
    Faulty<Rows, Trouble>,
>;

/// What states half months of a world, and sets the rows of their days and hours.
pub fn stating(world: &World, trouble: &Trouble) -> Stating {
    let rows = Rows { world: world.clone(), looks: world.looks };
    let daily = Daily { aggregates: Faulty::new(rows, trouble.clone()), grain: Grain::Hour };
    Halves { close: world.closing(trouble), daily }
}

/// What is wrong with the statements of all half months: each event that came is billed, or listed; and with the rows of days.
pub fn stated(world: &World, story: &Story) -> Vec<String> {
    let wrong = Mutex::new(Vec::new());
    run(
        &world.time,
        vec![Box::pin(async {
            let halves = stating(world, &Trouble::none(&world.time));
            let mut counts = Counts::default();
            // Some events are on days before and after those that are billed.
            for client in &story.clients {
                for half in ["2026-02-H1", "2026-02-H2", "2026-03-H1", "2026-03-H2"] {
                    let half = HalfMonth::parse(half).unwrap();
                    let stated = halves.stated(client, half).await.unwrap();
                    let stated: Statement = serde_json::from_str(stated.get()).unwrap();
                    if stated.events.difference() != 0 || stated.events.unbilled + stated.uncounted as u64 != 0 {
                        wrong.lock().unwrap().push(format!("{stated:?}"));
                    }
                    counts.add(&stated.events);
                }
            }
            let came = came(story).len() as u64;
            if counts.came != came {
                wrong.lock().unwrap().push(format!("{came} events came, and statements say {counts:?}"));
            }
        })],
    );
    let mut wrong = wrong.into_inner().unwrap();
    wrong.extend(counted(world));
    wrong
}

/// What is wrong with the rows of days and hours: each is what its events say.
fn counted(world: &World) -> Option<String> {
    let mut events: BTreeMap<String, Vec<Admitted>> = BTreeMap::new();
    for event in world.store.events().into_values() {
        events.entry(event.event.client.clone()).or_default().push(event);
    }
    let mut wanted = BTreeMap::new();
    for (client, events) in events {
        wanted.extend(fold(&events, Grain::Hour).into_iter().map(|(period, usage)| ((client.clone(), period), usage)));
    }
    let there: BTreeMap<_, _> = world.store.aggregates().into_iter().map(|(of, row)| (of, row.usage)).collect();
    (there != wanted).then(|| format!("days are {there:#?}, and events say {wanted:#?}"))
}

/// Three runs state a half month again and again, while events come in.
fn crowd(seed: u64, looks: bool) -> Vec<String> {
    let mut world = World::new(seed, |_| Vec::new());
    world.looks = looks;
    let (client, half, none) = ("client-0 UTC", HalfMonth::parse("2026-02-H2").unwrap(), Trouble::none(&world.time));
    let pause = async |most: i64| world.time.sleep(Duration::from_millis(world.time.draw(0..most) as u64)).await;
    let feed = async {
        for number in 0..30 {
            let event = event(client, &number.to_string(), "2026-02-28T20:00:00Z");
            world.metering(&none).take(&event).await.unwrap();
            pause(4_000).await;
        }
    };
    let state = async || {
        for _ in 0..40 {
            let trouble = Trouble::new(&world.time, 3, None);
            let _ = stating(&world, &trouble).stated(client, half).await;
            pause(3_000).await;
        }
    };
    let mut actors: Vec<BoxFuture<'_, ()>> = vec![Box::pin(feed)];
    actors.extend((0..3).map(|_| Box::pin(state()) as BoxFuture<'_, ()>));
    run(&world.time, actors);
    let last = async {
        world.time.sleep(Duration::from_secs(60)).await;
        stating(&world, &none).stated(client, half).await.unwrap();
    };
    run(&world.time, vec![Box::pin(last)]);
    let wrong = world.wrong.lock().unwrap().clone();
    wrong.into_iter().chain(counted(&world)).collect()
}

#[test]
fn no_row_goes_back_whoever_sets_it() {
    for seed in 0..worlds() / 6 {
        assert_eq!(crowd(seed, true), Vec::<String>::new(), "seed {seed}");
    }
    let noticed = (0..worlds() / 6).find(|seed| !crowd(*seed, false).is_empty());
    assert!(noticed.is_some(), "nobody notices two who set a row at once");
    println!("two who set a row at once are noticed by world {noticed:?}");
}
