//! The functions of a simulated deployment: the real stages, each with stores in its hand.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use fanfold::batch::find::Batches;
use fanfold::model::timestamp::Timestamp;
use fanfold::pipeline::variant::Parts;
use fanfold::stage::bury::Bury;
use fanfold::stage::gather::Gather;
use fanfold::stage::process::Process;
use fanfold::stage::scatter::Scatter;
use fanfold::stage::sweep::Sweep;
use fanfold::stage::{Outcome, Stage, packs};
use fanfold::store::blob::memory::MemoryBlob;
use fanfold::store::channel::Delivery;
use fanfold::store::faults::Faulty;

use super::hand::Hand;
use super::plan::Plan;
use super::state::{
    Data, GATHER, GIVE_UP_AFTER, INPUT, PARKED, PROCESS, SCATTER, STALL_AFTER, SWEEP_TIMEOUT, TIMEOUTS,
};
use super::stores::{SimChannel, SimStores, Watched};
use super::world::{Ended, Running, World};

/// The stores in the hand of one function.
struct Stocked {
    data: Data,
    hand: Hand,
    plan: Arc<Plan>,
    width: usize,
}

impl Stocked {
    fn blob(&self, of: impl Fn(&Data) -> &MemoryBlob) -> Faulty<Watched<MemoryBlob>, Hand> {
        Faulty::new(Watched { store: of(&self.data).clone(), hand: self.hand.clone() }, self.hand.clone())
    }

    fn channel(&self, queue: usize) -> Faulty<SimChannel, Hand> {
        Faulty::new(SimChannel { queue, hand: self.hand.clone() }, self.hand.clone())
    }

    fn batches(&self, hand: &Hand) -> Batches<SimStores> {
        let ledger = Watched { store: self.data.ledger.clone(), hand: hand.clone() };
        let parts = Parts {
            input: self.blob(|data| &data.input),
            work: self.blob(|data| &data.work),
            tasks: Some(Faulty::new(self.data.tasks.clone(), hand.clone())),
            ledger: Faulty::new(ledger, hand.clone()),
            gather: self.channel(GATHER),
        };
        self.plan.variant.batches(parts).unwrap()
    }
}

impl World {
    fn stores(&self, hand: &Hand) -> Stocked {
        hand.world(|state| Stocked {
            data: state.data.clone(),
            hand: hand.clone(),
            plan: state.plan.clone(),
            width: state.plan.variant.width,
        })
    }

    /// One run of sweep.
    pub fn sweeping(&self, hand: Hand) -> Running {
        let deadline = Timestamp(hand.world(|state| state.clockwork.now) + SWEEP_TIMEOUT * 1000);
        let stores = self.stores(&hand);
        let sweep = Sweep::<SimStores> {
            batches: stores.batches(&hand),
            scatter: stores.channel(SCATTER),
            process: stores.channel(PROCESS),
            output: stores.blob(|data| &data.output),
            clock: hand.clone(),
            stall_after: STALL_AFTER,
            give_up_after: GIVE_UP_AFTER,
            width: stores.width,
        };
        Box::pin(async move { Ended::Sweep(sweep.run(deadline).await) })
    }

    /// The function that a queue feeds.
    pub fn function(&self, queue: usize, hand: Hand, deliveries: Vec<(u64, Delivery)>) -> Running {
        let stores = self.stores(&hand);
        let (plan, batches, clock) = (&stores.plan, stores.batches(&hand), hand.clone());
        match queue {
            SCATTER => {
                let stage = Scatter::<SimStores> {
                    input: stores.blob(|data| &data.input),
                    input_bucket: INPUT.to_owned(),
                    process: stores.channel(PROCESS),
                    batches,
                    clock,
                    variant: plan.variant.name.to_owned(),
                    key_field: "itemNo".to_owned(),
                    chunk_size: plan.variant.chunk_size(plan.chunk_size),
                    width: stores.width,
                    ranged: plan.variant.ranged(),
                };
                Box::pin(work(stage, hand, queue, deliveries))
            }
            PROCESS => {
                let items = Watched { store: stores.data.items.clone(), hand: hand.clone() };
                let items = Faulty::new(items, hand.clone());
                let (schema, width) = (self.schema.clone(), stores.width);
                let stage = Process::<SimStores> { batches, items, clock, schema, width };
                Box::pin(work(stage, hand, queue, deliveries))
            }
            GATHER => {
                let output = stores.blob(|data| &data.output);
                let (width, results) = (stores.width, plan.results);
                let stage = Gather::<SimStores> { batches, output, clock, width, results };
                Box::pin(work(stage, hand, queue, deliveries))
            }
            _ => {
                let stage = Bury::<SimStores> {
                    batches,
                    input_bucket: INPUT.to_owned(),
                    parked: stores.channel(PARKED),
                    clock,
                    variant: plan.variant.name.to_owned(),
                };
                Box::pin(work(stage, hand, queue, deliveries))
            }
        }
    }
}

/// One invocation, as the server of the functions runs it.
async fn work(stage: impl Stage, hand: Hand, queue: usize, deliveries: Vec<(u64, Delivery)>) -> Ended {
    let deadline = Timestamp(hand.world(|state| state.clockwork.now) + TIMEOUTS[queue] * 1000);
    let (ids, deliveries): (Vec<u64>, Vec<Delivery>) = deliveries.into_iter().unzip();
    let mut ended = Vec::new();
    for pack in packs(&stage, &deliveries) {
        let doomed = pack.iter().any(|delivery| hand.world(|state| state.is_poison(&delivery.body)));
        hand.doomed.store(doomed && queue == PROCESS, Ordering::Relaxed);
        for (delivery, outcome) in pack.iter().zip(stage.handle_pack(&pack, deadline).await) {
            if let (GATHER, Outcome::Retry(error)) = (queue, &outcome) {
                hand.watch_waiting(&delivery.body, &error.to_string());
            }
            let at = deliveries.iter().position(|other| other.id == delivery.id);
            ended.extend(at.map(|at| (ids[at], outcome, stage.subject(&delivery.body))));
        }
    }
    Ended::Messages(ended)
}
