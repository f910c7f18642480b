//! Who waits for a report is told its end, whatever happens at the same time: all orders in which a client subscribes and a report ends, and
//! at each of their steps the death of whoever is at work, or of the client.

use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::{Context, Poll, Waker};

use fanfold::intake::s3_event::event_of;
use fanfold::model::error::Result;
use fanfold::model::ids::BatchId;
use fanfold::model::input::InputRef;
use fanfold::model::progress::BatchState;
use fanfold::model::reporting::end::{PartCounts, ReportEnd, end_key};
use fanfold::model::reporting::id::ReportId;
use fanfold::model::reporting::request::ReportRequest;
use fanfold::model::reporting::signature::Keys;
use fanfold::model::timestamp::Timestamp;
use fanfold::stage::notify::{Hooks, Notify, subscribe};
use fanfold::stage::{Disposition, deliver};
use fanfold::store::blob::Blob;
use fanfold::store::blob::memory::MemoryBlob;
use fanfold::store::channel::Delivery;
use fanfold::store::faults::Faulty;
use fanfold::store::push::{Push, Pushed};
use fanfold::store::reports::{Reports, Told};
use fanfold::store::sockets::memory::MemorySockets;
use fanfold::store::sockets::{Subscriber, Subscriptions};
use fanfold::store::web::memory::MemoryWeb;
use fanfold::store::web::{Request, Response, WebError};
use serde_json::json;

use crate::steps::{Stepwise, step};
use crate::world::{At, FOREVER};

const NOW: Timestamp = Timestamp(1_772_500_000_000);

/// What happens at a moment.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Move {
    /// Somebody makes a step.
    Goes(Who),
    /// A function dies at this step; a queue delivers its message again, and a client that hears of it says again what it said.
    Dies(Who),
    /// The client's connection is lost, and it connects anew.
    Reconnects,
    /// The report, which has ended, is made again.
    Redrives,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Who {
    /// What answers the client.
    Subscribe,
    /// What closes the batch.
    Gather,
    /// What writes the end.
    Consolidate,
    /// What tells of the end of a generation.
    Notify(u32),
}

/// What is written, and who is connected.
#[derive(Default)]
struct State {
    closed: bool,
    ended: bool,
    /// How often it was redriven.
    generation: u32,
    /// The client's connection: each has another number.
    connection: u32,
    /// Whether the client was told the end over the connection that it has now.
    told: bool,
    /// The generation whose end there is a new message about.
    announced: Option<u32>,
    /// What those have read who are at work.
    read: BTreeMap<Who, Vec<String>>,
}

/// The parts of the system in one order of events.
#[derive(Clone)]
struct Site {
    state: Arc<Mutex<State>>,
    sockets: MemorySockets,
    input: MemoryBlob,
    output: MemoryBlob,
    id: ReportId,
    batch: BatchId,
}

/// What the parts do otherwise than they should.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Mutant {
    None,
    /// The state is read before the subscription is written.
    ReadsFirst,
    /// The subscribers are read before the state is.
    ListsFirst,
    /// A message whose batch is not closed yet is dropped.
    DropsEarly,
    /// It is noted of a subscriber that it was told before it is.
    NotesFirst,
    /// A subscriber is forgotten once it was told.
    ForgetsTold,
}

impl Site {
    async fn new() -> Self {
        let (input, output, id) = (MemoryBlob::new(), MemoryBlob::new(), ReportId::of_bits(7));
        let order = json!({"type": "usage", "from": "2026-01-01", "to": "2026-02-01", "assets": []});
        let request = serde_json::to_vec(&ReportRequest::new(id.clone(), "anna", NOW, order)).unwrap();
        input.put(&id.request_key(), "application/json", request.into()).await.unwrap();
        let batch = BatchId::parse("7-000000000000").unwrap();
        Self { state: Arc::default(), sockets: MemorySockets::new(), input, output, id, batch }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    /// Notes what somebody has read.
    fn reads(&self, who: Who, read: impl std::fmt::Debug) {
        self.state().read.entry(who).or_default().push(format!("{read:?}"));
    }

    fn connection(&self) -> String {
        format!("connection {}", self.state().connection)
    }

    /// The client is sent a document over a connection, which it may have lost.
    fn hears(&self, connection: &str, text: &str) -> Pushed {
        let mut state = self.state();
        if connection != format!("connection {}", state.connection) {
            return Pushed::Gone;
        }
        state.told |= text == format!("final {}", state.generation);
        Pushed::Sent
    }

    /// A client says that it waits, and is answered.
    async fn subscribes(self, mutant: Mutant) {
        let connection = self.connection();
        let subscriber = Subscriber { connection: connection.clone(), operated: false, told: None };
        let sockets = Faulty::new(self.sockets.clone(), Stepwise);
        let reports = Reader { site: self.clone(), who: Who::Subscribe };
        self.reads(Who::Subscribe, &connection);
        let told = if mutant == Mutant::ReadsFirst {
            let told = reports.tell(&self.id, false).await.unwrap();
            sockets.subscribe(&self.id, &subscriber, NOW).await.unwrap();
            told
        } else {
            subscribe(&sockets, &reports, &self.id, &subscriber, NOW).await.unwrap()
        };
        step().await;
        self.hears(&connection, &told.unwrap().text);
    }

    async fn closes(self) {
        step().await;
        self.state().closed = true;
    }

    async fn writes_the_end(self) {
        let generation = self.state().generation;
        step().await;
        let end = ReportEnd {
            v: 1,
            id: self.id.clone(),
            generation,
            state: BatchState::Succeeded,
            partial: false,
            parts: PartCounts::default(),
            rows: 0,
            as_of: None,
            finished_at: NOW,
            outputs: Vec::new(),
            error: None,
        };
        let text = serde_json::to_vec(&end).unwrap();
        self.output.put(&end_key(&self.batch, generation), "application/json", text.into()).await.unwrap();
        let mut state = self.state();
        (state.ended, state.announced) = (true, Some(generation));
    }

    /// A function works on the message, and says whether it is deleted.
    async fn notifies(self, generation: u32, mutant: Mutant) -> bool {
        let who = Who::Notify(generation);
        let sockets = Mutated { site: self.clone(), who, mutant, listed: Arc::default() };
        if mutant == Mutant::ListsFirst {
            let listed = sockets.subscribers(&self.id, NOW).await.unwrap();
            *sockets.listed.lock().unwrap() = Some(listed);
        }
        let stage = Notify {
            // Neither is written any more.
            input: self.input.clone(),
            output: self.output.clone(),
            reports: Reader { site: self.clone(), who },
            sockets: Some((sockets, self.clone())),
            hooks: None::<Hooks<Nobody, Keys>>,
            clock: At(NOW),
        };
        let (bucket, key) = ("output".to_owned(), end_key(&self.batch, generation));
        let created =
            InputRef { bucket, key, version_id: Some("v1".into()), e_tag: None, bytes: 1, format: None, read_as: None };
        let body = event_of(&created).unwrap();
        let delivery = Delivery { id: "m".into(), receipt: "r".into(), body, attempt: 1, first_received: None };
        match deliver(&stage, &delivery, FOREVER).await {
            // Of a generation after which another one began, nothing is told.
            Disposition::Done | Disposition::Discarded(_) => true,
            Disposition::Later(..) => mutant == Mutant::DropsEarly,
            other => panic!("{other:?}"),
        }
    }
}

type Nobody = MemoryWeb<fn(Request) -> std::future::Ready<std::result::Result<Response, WebError>>>;

/// The reports as somebody reads them.
struct Reader {
    site: Site,
    who: Who,
}

impl Reports for Reader {
    async fn tell(&self, _report: &ReportId, _operated: bool) -> Result<Option<Told>> {
        // As the API does: first the ledger, and then the end, if the batch is closed.
        step().await;
        let (closed, generation) = {
            let state = self.site.state();
            (state.closed, state.generation)
        };
        self.site.reads(self.who, (closed, generation));
        if closed {
            step().await;
        }
        // Each generation has an end of its own, which stays.
        let ended = { self.site.state().ended } || self.site.state().generation > generation;
        let is_final = closed && ended;
        self.site.reads(self.who, is_final);
        let text = format!("{} {generation}", if is_final { "final" } else { "running" });
        Ok(Some(Told { text, is_final, generation }))
    }
}

impl Push for Site {
    async fn push(&self, connection: &str, text: &str) -> Result<Pushed> {
        step().await;
        Ok(self.hears(connection, text))
    }
}

/// The subscriptions as notify sees them.
#[derive(Clone)]
struct Mutated {
    site: Site,
    who: Who,
    mutant: Mutant,
    listed: Arc<Mutex<Option<Vec<Subscriber>>>>,
}

impl Subscriptions for Mutated {
    async fn subscribe(&self, report: &ReportId, subscriber: &Subscriber, now: Timestamp) -> Result<()> {
        self.site.sockets.subscribe(report, subscriber, now).await
    }

    async fn unsubscribe(&self, report: &ReportId, connection: &str) -> Result<()> {
        step().await;
        self.site.sockets.unsubscribe(report, connection).await
    }

    async fn note_told(&self, report: &ReportId, connection: &str, generation: u32) -> Result<()> {
        step().await;
        match self.mutant {
            Mutant::ForgetsTold => self.site.sockets.unsubscribe(report, connection).await,
            _ => self.site.sockets.note_told(report, connection, generation).await,
        }
    }

    async fn subscribers(&self, report: &ReportId, now: Timestamp) -> Result<Vec<Subscriber>> {
        if let Some(listed) = self.listed.lock().unwrap().take() {
            return Ok(listed);
        }
        step().await;
        let listed = self.site.sockets.subscribers(report, now).await?;
        self.site.reads(self.who, &listed);
        if let (Mutant::NotesFirst, Who::Notify(generation)) = (self.mutant, self.who) {
            for one in &listed {
                self.site.sockets.note_told(report, &one.connection, generation).await?;
            }
        }
        Ok(listed)
    }
}

type Running = Pin<Box<dyn Future<Output = bool>>>;

/// A function that is at work.
struct Working {
    who: Who,
    running: Running,
    /// How many steps it made, the one to its first call among them.
    steps: u32,
}

/// One order of events.
struct Run {
    site: Site,
    mutant: Mutant,
    running: Vec<Working>,
    /// The generations whose messages wait for another try.
    postponed: BTreeSet<u32>,
    /// How often something may still go wrong.
    deaths: u32,
    /// How often it may still be redriven.
    redrives: u32,
}

impl Run {
    async fn new(mutant: Mutant, deaths: u32, redrives: u32) -> Self {
        let site = Site::new().await;
        let mut run = Self { site, mutant, running: Vec::new(), postponed: BTreeSet::new(), deaths, redrives };
        for who in [Who::Subscribe, Who::Gather, Who::Consolidate] {
            run.starts(who);
        }
        run
    }

    fn starts(&mut self, who: Who) {
        let (site, mutant) = (self.site.clone(), self.mutant);
        let running: Running = match who {
            Who::Subscribe => Box::pin(async move {
                site.subscribes(mutant).await;
                true
            }),
            Who::Gather => Box::pin(async move {
                site.closes().await;
                true
            }),
            Who::Consolidate => Box::pin(async move {
                site.writes_the_end().await;
                true
            }),
            Who::Notify(generation) => Box::pin(site.notifies(generation, mutant)),
        };
        self.site.state().read.remove(&who);
        self.running.push(Working { who, running, steps: 0 });
        // Up to its first call.
        self.goes(who);
    }

    /// Somebody makes a step.
    fn goes(&mut self, who: Who) {
        let at = self.running.iter().position(|working| working.who == who).unwrap();
        let polled = self.running[at].running.as_mut().poll(&mut Context::from_waker(Waker::noop()));
        self.running[at].steps += 1;
        if let Poll::Ready(done) = polled {
            drop(self.running.remove(at));
            self.site.state().read.remove(&who);
            if let (false, Who::Notify(generation)) = (done, who) {
                self.postponed.insert(generation);
            }
        }
        let announced = self.site.state().announced.take();
        if let Some(generation) = announced {
            self.starts(Who::Notify(generation));
        }
        // Before the batch is closed, another try would only find the same.
        if self.site.state().closed {
            std::mem::take(&mut self.postponed).into_iter().for_each(|generation| self.starts(Who::Notify(generation)));
        }
    }

    /// What can happen now.
    fn moves(&self) -> Vec<Move> {
        let mut moves: Vec<Move> = self.running.iter().map(|working| Move::Goes(working.who)).collect();
        if self.deaths > 0 && !moves.is_empty() {
            // Who has done nothing yet begins anew without a difference.
            let begun = self.running.iter().filter(|working| working.steps > 1);
            moves.extend(begun.map(|working| Move::Dies(working.who)));
            moves.push(Move::Reconnects);
        }
        let state = self.site.state();
        if self.redrives > 0 && state.closed && state.ended {
            moves.push(Move::Redrives);
        }
        moves
    }

    /// All that tells this moment from others.
    async fn print(&self) -> String {
        let waiting = self.site.sockets.subscribers(&self.site.id, NOW).await.unwrap();
        let at: Vec<_> = self.running.iter().map(|working| (working.who, working.steps)).collect();
        let State { closed, ended, generation, connection, told, announced, read } = &*self.site.state();
        let state = format!("{closed} {ended} {generation} {connection} {told} {announced:?} {read:?}");
        format!("{state} {waiting:?} {at:?} {:?} {} {}", self.postponed, self.deaths, self.redrives)
    }

    fn makes(&mut self, made: Move) {
        match made {
            Move::Goes(who) => self.goes(who),
            Move::Dies(who) => {
                self.deaths -= 1;
                self.running.retain(|working| working.who != who);
                self.starts(who);
            }
            Move::Redrives => {
                self.redrives -= 1;
                {
                    let mut state = self.site.state();
                    (state.generation, state.closed, state.ended, state.told) =
                        (state.generation + 1, false, false, false);
                }
                self.starts(Who::Gather);
                self.starts(Who::Consolidate);
            }
            Move::Reconnects => {
                self.deaths -= 1;
                {
                    let mut state = self.site.state();
                    (state.connection, state.told) = (state.connection + 1, false);
                }
                self.running.retain(|working| working.who != Who::Subscribe);
                self.starts(Who::Subscribe);
            }
        }
    }
}

/// Tries all orders, and returns how many different moments they had, and the first order in which the client was not told.
async fn explore(mutant: Mutant, deaths: u32, redrives: u32) -> (usize, Option<Vec<Move>>) {
    // Orders that came to the same have the same to follow.
    let (mut seen, mut orders) = (BTreeSet::new(), vec![Vec::new()]);
    while let Some(order) = orders.pop() {
        let mut run = Run::new(mutant, deaths, redrives).await;
        order.iter().for_each(|made| run.makes(*made));
        if !seen.insert(run.print().await) {
            continue;
        }
        let moves = run.moves();
        if moves.is_empty() && !run.site.state().told {
            return (seen.len(), Some(order));
        }
        orders.extend(moves.into_iter().map(|next| [&order[..], &[next]].concat()));
    }
    (seen.len(), None)
}

#[tokio::test]
async fn in_every_order_a_client_that_stays_connected_is_told_the_end() {
    for redrives in 0..2 {
        let mut before = 20;
        for deaths in 0..3 {
            let (moments, failed) = explore(Mutant::None, deaths, redrives).await;
            assert_eq!(failed, None, "{deaths} deaths, {redrives} redrives");
            assert!(moments > 2 * before, "{moments} moments with {deaths} deaths, {before} without one of them");
            before = moments;
        }
    }
}

#[tokio::test]
async fn each_mutant_leaves_a_client_waiting_in_some_order() {
    for (mutant, deaths, redrives) in [
        (Mutant::ReadsFirst, 0, 0),
        (Mutant::ListsFirst, 0, 0),
        (Mutant::DropsEarly, 0, 0),
        (Mutant::NotesFirst, 1, 0),
        (Mutant::ForgetsTold, 0, 1),
    ] {
        let (_, failed) = explore(mutant, deaths, redrives).await;
        assert!(failed.is_some(), "{mutant:?}");
        if deaths + redrives > 0 {
            assert_eq!(explore(mutant, 0, 0).await.1, None, "{mutant:?} shows by a death or a redrive alone");
        }
    }
}
