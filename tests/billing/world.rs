//! Actors that keep events, close half months and send packages, on stores that fail.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use fanfold::model::billing::admission::{Admitted, Terms};
use fanfold::model::billing::calendar::{HalfMonth, Zone, Zones};
use fanfold::model::billing::package::PackageId;
use fanfold::model::billing::sending::{Guarantees, SendState, Sending};
use fanfold::model::error::Result;
use fanfold::model::timestamp::Timestamp;
use fanfold::processor::billing::close::Close;
use fanfold::processor::billing::meter::Meter;
use fanfold::stage::billing::send::Send;
use fanfold::store::Clock;
use fanfold::store::billing::memory::MemoryBilling;
use fanfold::store::billing::{Clients, Events, Insertion, Packages, Sealed, Unbilled};
use fanfold::store::blob::memory::MemoryBlob;
use fanfold::store::faults::{Faults, Faulty, fault};
use fanfold::store::meter::memory::MemoryMeter;
use futures::future::BoxFuture;
use jiff::SignedDuration;
use jiff::civil::date;
use serde_json::{Value, json};

use crate::api::{Api, MOODS, Mood, PROMISED};
use crate::judge::{invoiced, unbilled};
use crate::statements::{stated, stating};
use crate::time::{Time, run};

/// Shortly before the end of a half month in each zone of a client.
pub const BEGIN: &str = "2026-02-28T21:00:00Z";
pub const SPACING: Duration = Duration::from_millis(200);
/// How long a half month stays open, in seconds, and for how long events come in.
const GRACE: i64 = 3_600;
const BUSY_FOR: i64 = 12 * 3_600;

/// How long it takes at most until nothing is left to do, in days: an API that is busy and fails is asked again ever more seldom.
const PATIENCE: i64 = 3;

/// How the names of clients begin whose half months are billed also if nothing was used.
pub const BILLED_FOR_NOTHING: &str = "client-1";

/// The terms of all clients: their names say their zones.
#[derive(Clone)]
pub struct Agreed;

impl Clients for Agreed {
    async fn terms(&self, client: &str) -> Result<Option<Terms>> {
        let zone = client.split_once(' ').map_or("UTC", |(_, zone)| zone);
        Ok(Zone::named(zone).map(|zone| Terms {
            zones: Zones::always(zone),
            grace: SignedDuration::from_secs(GRACE),
            horizon: SignedDuration::from_hours(24),
            prices: Some(serde_json::from_value(json!({"currency": "EUR", "meters": {"kwh": "0.335"}})).unwrap()),
            zero_usage_from: client.starts_with(BILLED_FOR_NOTHING).then(|| date(2026, 2, 16)),
        }))
    }

    async fn all(&self) -> Result<Vec<(String, Option<Terms>)>> {
        unreachable!("worlds know their clients")
    }
}

/// What goes wrong in calls of an actor.
#[derive(Clone)]
pub struct Trouble {
    time: Time,
    /// Percent of the calls that fail, before or after their effect.
    fails: i64,
    /// The number of calls until the actor dies, if it does.
    left: Arc<Mutex<Option<i64>>>,
}

impl Trouble {
    pub fn new(time: &Time, fails: i64, left: Option<i64>) -> Self {
        Self { time: time.clone(), fails, left: Arc::new(Mutex::new(left)) }
    }

    pub fn none(time: &Time) -> Self {
        Self::new(time, 0, None)
    }

    /// Whether the actor is dead: all of its calls fail from then on, as if they had not been made.
    pub fn died(&self) -> bool {
        self.left.lock().unwrap().is_some_and(|left| left < 0)
    }

    fn strike(&self, call: &str) -> Result<()> {
        let mut left = self.left.lock().unwrap();
        if let Some(left) = left.as_mut() {
            *left -= 1;
            if *left < 0 {
                return Err(fault(call));
            }
        }
        if self.time.is_likely(self.fails) { Err(fault(call)) } else { Ok(()) }
    }
}

impl Faults for Trouble {
    async fn before(&self, call: &'static str) -> Result<()> {
        self.strike(call)?;
        // Some take so long that the moment of a request passes.
        let longest = if self.time.is_likely(3) { 1_500 } else { 40 };
        self.time.sleep(Duration::from_millis(self.time.draw(0..longest) as u64)).await;
        Ok(())
    }

    async fn after(&self, call: &'static str) -> Result<()> {
        self.strike(call)
    }

    fn midway(&self, _call: &'static str, _many: usize) -> Option<usize> {
        None
    }
}

/// Events of which those that were kept within the last seconds may be missing.
#[derive(Clone)]
pub struct Lagging {
    pub store: MemoryBilling,
    time: Time,
    kept: Arc<Mutex<BTreeMap<String, Timestamp>>>,
    /// The most seconds.
    lag: i64,
}

impl Events for Lagging {
    async fn keep(&self, event: &Admitted) -> Result<Insertion> {
        self.kept.lock().unwrap().entry(event.event.identity()).or_insert(self.time.now());
        self.store.keep(event).await
    }

    async fn find(&self, event: &Admitted) -> Result<Insertion> {
        self.store.find(event).await
    }

    async fn list(&self, event: &Admitted, why: &Unbilled) -> Result<()> {
        self.store.list(event, why).await
    }

    async fn listed_in(&self, client: &str, half: HalfMonth) -> Result<Vec<(Admitted, Unbilled)>> {
        self.store.listed_in(client, half).await
    }

    async fn billed_in(&self, client: &str, half: HalfMonth) -> Result<Vec<Admitted>> {
        let mut found = self.store.billed_in(client, half).await?;
        let kept = self.kept.lock().unwrap();
        // Of each by itself, so that one may be found that was kept later than one that is not.
        found.retain(|event| {
            kept[&event.event.identity()].0 <= self.time.now().0 - self.time.draw(0..self.lag * 1000 + 1)
        });
        Ok(found)
    }
}

/// Packages whose ends are noted.
#[derive(Clone)]
pub struct Noted<P> {
    packages: P,
    world: World,
}

impl<P: Packages> Packages for Noted<P> {
    async fn seal(&self, sealed: &Sealed) -> Result<String> {
        self.packages.seal(sealed).await
    }

    async fn of(&self, client: &str, half: HalfMonth) -> Result<Vec<Sealed>> {
        self.packages.of(client, half).await
    }

    async fn read(&self, id: &PackageId) -> Result<Option<(Sealed, Sending)>> {
        self.packages.read(id).await
    }

    async fn write(&self, id: &PackageId, sending: &Sending) -> Result<bool> {
        let written = self.packages.write(id, sending).await?;
        let mut ended = self.world.ended.lock().unwrap();
        if written && sending.state.is_final() {
            ended.insert(id.clone(), sending.state);
        } else if written {
            let before = ended.remove(id);
            // Nothing but a person has one that was rejected sent again.
            if before.is_some_and(|before| (before, sending.state) != (SendState::Rejected, SendState::Unknown)) {
                self.world.wrong.lock().unwrap().push(format!("{id} ended, and is {:?}", sending.state));
            }
        }
        Ok(written)
    }

    async fn due(&self, at: Timestamp, most: usize) -> Result<Vec<PackageId>> {
        self.packages.due(at, most).await
    }
}

/// A world.
#[derive(Clone)]
pub struct World {
    pub time: Time,
    pub store: MemoryBilling,
    pub events: Lagging,
    pub output: MemoryBlob,
    pub meter: MemoryMeter,
    pub api: Api,
    pub guarantees: Guarantees,
    /// How packages ended.
    ended: Arc<Mutex<BTreeMap<PackageId, SendState>>>,
    /// What was written that is wrong.
    pub wrong: Arc<Mutex<Vec<String>>>,
    /// Whether those who set rows of days look at versions.
    pub looks: bool,
}

type Closer =
    Close<Faulty<Lagging, Trouble>, Faulty<MemoryBilling, Trouble>, Agreed, Faulty<MemoryBlob, Trouble>, Time>;
type Sender<P> = Send<Faulty<Noted<P>, Trouble>, Api, Faulty<MemoryBlob, Trouble>, Faulty<MemoryMeter, Trouble>, Time>;

impl World {
    pub fn new(seed: u64, moods: impl FnOnce(&Time) -> Vec<Mood>) -> Self {
        let begin: jiff::Timestamp = BEGIN.parse().unwrap();
        let time = Time::new(Timestamp(begin.as_millisecond()), seed);
        let store = MemoryBilling::new();
        // In some worlds, an index lags for longer than closers wait.
        let lag = time.draw(0..10);
        let events = Lagging { store: store.clone(), time: time.clone(), kept: Arc::default(), lag };
        let (output, meter) = (MemoryBlob::new(), MemoryMeter::new());
        let moods = moods(&time);
        let api = Api::new(&time, moods, 5);
        Self {
            time,
            store,
            events,
            output,
            meter,
            api,
            guarantees: PROMISED,
            ended: Arc::default(),
            wrong: Arc::default(),
            looks: true,
        }
    }

    pub fn metering(&self, trouble: &Trouble) -> Meter<Faulty<Lagging, Trouble>, Agreed, Time> {
        let events = Faulty::new(self.events.clone(), trouble.clone());
        Meter { events, clients: Agreed, clock: self.time.clone() }
    }

    pub fn closing(&self, trouble: &Trouble) -> Closer {
        Close {
            events: Faulty::new(self.events.clone(), trouble.clone()),
            packages: Faulty::new(self.store.clone(), trouble.clone()),
            clients: Agreed,
            output: Faulty::new(self.output.clone(), trouble.clone()),
            clock: self.time.clone(),
            settles: Duration::from_secs(4),
        }
    }

    pub fn sending<P: Packages + Clone>(&self, packages: &P, trouble: &Trouble) -> Sender<P> {
        let packages = Noted { packages: packages.clone(), world: self.clone() };
        Send {
            packages: Faulty::new(packages, trouble.clone()),
            invoices: self.api.clone(),
            output: Faulty::new(self.output.clone(), trouble.clone()),
            meter: Faulty::new(self.meter.clone(), trouble.clone()),
            clock: self.time.clone(),
            guarantees: self.guarantees,
            spacing: SPACING,
        }
    }

    pub fn in_seconds(&self, seconds: i64) -> Timestamp {
        self.time.now().plus_seconds(seconds)
    }

    async fn sleep(&self, seconds: std::ops::Range<i64>) {
        self.time.sleep(Duration::from_millis(self.time.draw(seconds.start * 1000..seconds.end * 1000) as u64)).await;
    }
}

/// What clients use: events, some of them sent twice or with other contents, in any order.
pub struct Story {
    pub clients: Vec<String>,
    pub halves: Vec<HalfMonth>,
    pub events: Vec<Value>,
}

impl Story {
    pub fn new(time: &Time) -> Self {
        let zones = ["UTC", "America/New_York", "Asia/Kathmandu", "Pacific/Kiritimati"];
        let clients: Vec<String> = (0..time.draw(1..4)).map(|n| format!("client-{n} {}", zones[n as usize])).collect();
        let begin: jiff::Timestamp = BEGIN.parse().unwrap();
        let mut events = Vec::new();
        for number in 0..time.draw(0..40) {
            let client = &clients[time.draw(0..clients.len() as i64) as usize];
            // From more than a day before, which is too old, until long after it is sent, which is too far ahead.
            let at = begin + SignedDuration::from_millis(time.draw(-30 * 3_600_000..16 * 3_600_000));
            let quantity = format!("{}.{:03}", time.draw(0..10), time.draw(0..1000));
            let event = json!({
                "specversion": "1.0", "source": "/m", "id": number.to_string(), "subject": client, "time": at.to_string(),
                "type": if time.is_likely(70) { "kwh" } else { "visits" },
                "data": {"quantity": if time.is_likely(20) { format!("-{quantity}") } else { quantity }},
            });
            let mut other = event.clone();
            match time.draw(0..8) {
                0 => other["time"] = (at + SignedDuration::from_hours(5)).to_string().into(),
                1 => other["data"]["quantity"] = 77.into(),
                2 => other["subject"] = clients[0].clone().into(),
                _ => {}
            }
            events.extend(vec![event; 1 + time.draw(0..3) as usize]);
            events.extend((other != events[events.len() - 1]).then_some(other));
        }
        time.shuffle(&mut events);
        let halves = ["2026-02-H2", "2026-03-H1"].map(|name| HalfMonth::parse(name).unwrap());
        Self { clients, halves: halves.into(), events }
    }

    fn pairs(&self) -> Vec<(String, HalfMonth)> {
        self.clients.iter().flat_map(|client| self.halves.iter().map(move |half| (client.clone(), *half))).collect()
    }
}

/// Repeats an actor's work until it is done, or it is too late; whoever dies is followed by another, with other troubles.
async fn live<F: Future<Output = Result<bool>>>(
    world: &World,
    pause: i64,
    until: Timestamp,
    work: impl Fn(Trouble) -> F,
) {
    while world.time.now() < until {
        let left = world.time.is_likely(50).then(|| world.time.draw(0..200));
        let trouble = Trouble::new(&world.time, world.time.draw(0..4), left);
        while !trouble.died() && world.time.now() < until {
            if let Ok(true) = work(trouble.clone()).await {
                return;
            }
            world.sleep(0..pause).await;
        }
    }
}

async fn feed(world: &World, story: &Story) {
    let mut times: Vec<i64> = story.events.iter().map(|_| world.time.draw(0..BUSY_FOR * 1000)).collect();
    times.sort_unstable();
    let begin = world.time.now().0;
    for (event, at) in story.events.iter().zip(times) {
        let left = (begin + at - world.time.now().0).max(0);
        world.time.sleep(Duration::from_millis(left as u64)).await;
        live(world, 2, Timestamp(i64::MAX), async |trouble| {
            world.metering(&trouble).take(event).await?;
            Ok(true)
        })
        .await;
    }
}

async fn close(world: &World, story: &Story, until: Timestamp) {
    live(world, 2_000, until, async |trouble| {
        for half in story.pairs() {
            for closed in world.closing(&trouble).close(std::slice::from_ref(&half)).await {
                closed?;
            }
            // Whoever sees fewer events than somebody else did sets nothing.
            stating(world, &trouble).stated(&half.0, half.1).await?;
        }
        Ok(false)
    })
    .await;
}

async fn send<P: Packages + Clone>(world: &World, packages: &P, until: Timestamp) {
    // Some worlds have few who send.
    live(world, [5, 20, 120, 600][world.time.draw(0..4) as usize], until, async |trouble| {
        let sender = world.sending(packages, &trouble);
        for id in sender.packages.due(world.time.now(), 3).await? {
            sender.advance(&id, world.in_seconds(60)).await?;
        }
        Ok(false)
    })
    .await;
}

/// Closes and sends without trouble until nothing is left to do. What was rejected, a person has sent again.
async fn finish(world: &World, story: &Story) {
    let trouble = Trouble::none(&world.time);
    world.sleep(60..61).await;
    for _ in 0..2 {
        for closed in world.closing(&trouble).close(&story.pairs()).await {
            closed.unwrap();
        }
    }
    let (sender, until) = (world.sending(&world.store, &trouble), world.in_seconds(PATIENCE * 86_400));
    while world.time.now() < until {
        let all = world.store.packages();
        if all.values().all(|(_, sending)| sending.state == SendState::Processed) {
            return;
        }
        for (id, (_, sending)) in &all {
            if let Some(again) = sending.again(world.time.now()) {
                sender.packages.write(id, &again).await.unwrap();
            }
        }
        for id in world.store.due(world.time.now(), 100).await.unwrap() {
            sender.advance(&id, world.in_seconds(60)).await.unwrap();
        }
        world.sleep(1..2).await;
    }
}

/// Lets a world go by, with these packages for its senders, and returns what is wrong in the end.
pub fn history<P: Packages + Clone>(world: &World, packages: &P) -> Vec<String> {
    let story = Story::new(&world.time);
    let until = world.in_seconds(BUSY_FOR + 16 * 86_400);
    let early = world.in_seconds(BUSY_FOR + 2 * 3_600);
    let mut actors: Vec<BoxFuture<'_, ()>> = vec![Box::pin(feed(world, &story))];
    for _ in 0..2 {
        actors.push(Box::pin(close(world, &story, early)));
    }
    for _ in 0..3 {
        actors.push(Box::pin(send(world, packages, early)));
    }
    run(&world.time, actors);
    let wait = (until.0 - world.time.now().0).max(0) as u64;
    run(
        &world.time,
        vec![Box::pin(async {
            world.time.sleep(Duration::from_millis(wait)).await;
            finish(world, &story).await;
        })],
    );
    let mut wrong = world.api.wrong();
    wrong.extend(stated(world, &story));
    wrong.extend(unbilled(world, &story));
    wrong.extend(invoiced(world));
    wrong
}

/// Lets senders alone go on with what is sealed, and returns what is wrong in the end.
pub fn sends<P: Packages + Clone>(world: &World, packages: &P) -> Vec<String> {
    let until = world.in_seconds(3 * 3_600);
    let actors = (0..3).map(|_| Box::pin(send(world, packages, until)) as BoxFuture<'_, ()>);
    run(&world.time, actors.collect());
    let story = Story { clients: Vec::new(), halves: Vec::new(), events: Vec::new() };
    run(&world.time, vec![Box::pin(finish(world, &story))]);
    let mut wrong = world.api.wrong();
    wrong.extend(invoiced(world));
    wrong
}

/// Moods of an API by chance: mostly bad ones.
pub fn moods(time: &Time) -> Vec<Mood> {
    (0..time.draw(0..60)).map(|_| MOODS[time.draw(0..MOODS.len() as i64) as usize]).collect()
}
