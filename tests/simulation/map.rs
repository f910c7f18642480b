//! Step Functions, as far as the map of a batch goes: it runs a worker for each claim check, hands over what a worker does not get done
//! to the queue, and says when all are through. Its express executions may run twice
//! (<https://docs.aws.amazon.com/step-functions/latest/dg/choosing-workflow-type.html>), and it may fail as a whole.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use fanfold::batch::map;
use fanfold::model::ids::BatchId;
use fanfold::model::message::{GatherMessage, MapError, MapFailure, MapOrder, to_body};
use fanfold::model::timestamp::Timestamp;
use fanfold::store::channel::{Delivery, Outgoing};
use futures::FutureExt;

use super::clockwork::Event;
use super::mutation::Mutation;
use super::state::{DEAD, GATHER, MAP, PROCESS, State, TIMEOUTS};
use super::world::World;

/// The most workers of a map at once.
const MOST: usize = 3;
/// Of so many chunks, one is worked on twice, and of so many looks, one finds the map failed.
const TWICE: u32 = 20;
const FAILED: u32 = 15;

/// The maps, by their batches, and their workers.
#[derive(Debug, Default)]
pub struct Maps {
    begun: BTreeSet<BatchId>,
    running: BTreeMap<BatchId, Run>,
    workers: BTreeMap<u64, (BatchId, String)>,
    next: u64,
}

#[derive(Debug, Default)]
struct Run {
    waiting: VecDeque<String>,
    at_work: usize,
}

impl State {
    /// Begins the map that is ordered, unless it was begun before.
    pub fn begin_map(&mut self, order: &Outgoing) {
        let MapOrder { batch_id: batch, chunks, .. } = MapOrder::parse(&order.body).unwrap();
        if !self.maps.begun.insert(batch.clone()) {
            self.tell(|| format!("the map of {batch} was begun before"));
            return;
        }
        self.tell(|| format!("the map of {batch} begins"));
        let waiting = map::read(&self.data.work, &batch, chunks).now_or_never().unwrap();
        let waiting: VecDeque<String> = waiting.expect("claim checks are written before").into();
        self.maps.running.insert(batch.clone(), Run { waiting, at_work: 0 });
        let delay = self.rng.i64(0..2_000);
        self.after(delay, Event::Map(batch));
    }

    /// The claim checks for which workers begin now.
    fn go_on(&mut self, batch: &BatchId) -> Vec<(u64, Delivery)> {
        if self.plan.sweep && self.rng.u32(..FAILED) == 0 && self.happens(5_000) {
            self.fail_map(batch);
        }
        let (mut begun, now) = (Vec::new(), Timestamp(self.clockwork.now));
        let twice = self.rng.u32(..TWICE) == 0;
        let Some(run) = self.maps.running.get_mut(batch) else {
            return begun;
        };
        if let Some(again) = run.waiting.front().filter(|_| twice).cloned() {
            run.waiting.push_back(again);
        }
        while run.at_work < MOST
            && let Some(body) = run.waiting.pop_front()
        {
            run.at_work += 1;
            self.maps.next += 1;
            let id = self.maps.next;
            self.maps.workers.insert(id, (batch.clone(), body.clone()));
            // It is in no queue.
            let (name, receipt) = (format!("{batch}/{id}"), Delivery::receipt_of_invocation(&id.to_string()));
            begun.push((id, Delivery { id: name, receipt, body, attempt: 1, first_received: Some(now) }));
        }
        begun
    }

    /// Ends a worker, which got its chunk done or not, and perhaps the map.
    pub fn end_worker(&mut self, worker: u64, done: bool) {
        let Some((batch, body)) = self.maps.workers.remove(&worker) else {
            return;
        };
        if !done && self.options.mutation != Some(Mutation::ChunksAreNotHandedOver) {
            self.reach("chunk handed over by a map");
            self.send(PROCESS, Outgoing::new(body));
        }
        let Some(run) = self.maps.running.get_mut(&batch) else {
            return;
        };
        run.at_work -= 1;
        if run.at_work > 0 || !run.waiting.is_empty() {
            let pause = self.rng.i64(0..200);
            return self.after(pause, Event::Map(batch));
        }
        self.maps.running.remove(&batch);
        self.tell(|| format!("the map of {batch} ends"));
        // A question has a deduplication id of its own.
        let asked = self.options.mutation != Some(Mutation::MapsAnnounce);
        let (message, group) = match asked {
            true => (GatherMessage::new(batch.clone()).if_complete(), format!("{batch}/map")),
            false => (GatherMessage::new(batch.clone()), batch.to_string()),
        };
        self.send(GATHER, Outgoing::ordered(to_body(&message), &group));
    }

    /// Ends a map before its time. Workers that have begun go on.
    fn fail_map(&mut self, batch: &BatchId) {
        if self.maps.running.remove(batch).is_none() {
            return;
        }
        self.reach("map that failed");
        self.hurt.insert(batch.in_generation(0));
        self.tell(|| format!("the map of {batch} FAILS"));
        // Of one that somebody ends, nothing is said.
        if self.rng.u32(..4) > 0 {
            let failed = MapError { error: "States.ItemReaderFailed".to_owned(), cause: None };
            self.send(DEAD + PROCESS, Outgoing::new(to_body(&MapFailure::new(batch.clone(), failed))));
        }
    }
}

impl World {
    pub fn map(&mut self, batch: &BatchId) {
        let begun = self.state.lock().unwrap().go_on(batch);
        for (worker, delivery) in begun {
            let deliveries = vec![(worker, delivery)];
            self.spawn(Some(MAP), vec![worker], TIMEOUTS[MAP], |world, hand| world.function(MAP, hand, deliveries));
        }
    }
}
