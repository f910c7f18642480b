//! The functions of a simulated deployment: the real stages, each with stores that pass through its hand.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use fanfold::model::error::Result;
use fanfold::model::format::settings::FormatSettings;
use fanfold::model::timestamp::Timestamp;
use fanfold::pipeline::{Bucket, Pipeline, Queue, Supply};
use fanfold::processor::items::WriteItems;
use fanfold::stage::sweep::Patience;
use fanfold::stage::{Disposition, Received, Sorted, Stage, sort};
use fanfold::store::blob::memory::MemoryBlob;
use fanfold::store::channel::Delivery;
use fanfold::store::faults::Faulty;
use fanfold::store::ledger::memory::MemoryLedger;
use fanfold::store::tasks::memory::MemoryTasks;

use super::hand::Hand;
use super::plan::Plan;
use super::state::{
    Data, GATHER, GIVE_UP_AFTER, INPUT, PARKED, PROCESS, SCATTER, STALL_AFTER, SWEEP_TIMEOUT, TIMEOUTS,
};
use super::stores::{SimChannel, SimStores, Watched};
use super::world::{Ended, Running, World};

/// The stores that one function uses, through its hand.
struct Stocked {
    data: Data,
    hand: Hand,
}

impl Supply for Stocked {
    type Stores = SimStores;

    fn bucket(&self, bucket: Bucket) -> Result<Faulty<Watched<MemoryBlob>, Hand>> {
        let store = match bucket {
            Bucket::Input => &self.data.input,
            Bucket::Work => &self.data.work,
            Bucket::Output => &self.data.output,
        };
        Ok(self.faulty(self.watched(store.clone())))
    }

    fn queue(&self, queue: Queue) -> Result<Faulty<SimChannel, Hand>> {
        let queue = match queue {
            Queue::Scatter => SCATTER,
            Queue::Process => PROCESS,
            Queue::Gather => GATHER,
            Queue::Parked => PARKED,
        };
        Ok(self.faulty(SimChannel { queue, hand: self.hand.clone() }))
    }

    fn tasks(&self) -> Result<Faulty<MemoryTasks, Hand>> {
        Ok(self.faulty(self.data.tasks.clone()))
    }

    fn ledger(&self) -> Faulty<Watched<MemoryLedger>, Hand> {
        self.faulty(self.watched(self.data.ledger.clone()))
    }

    fn clock(&self) -> Hand {
        self.hand.clone()
    }
}

impl Stocked {
    fn watched<T>(&self, store: T) -> Watched<T> {
        Watched { store, hand: self.hand.clone() }
    }

    fn faulty<T>(&self, store: T) -> Faulty<T, Hand> {
        Faulty::new(store, self.hand.clone())
    }
}

impl World {
    fn pipeline(&self, hand: &Hand) -> (Pipeline<Stocked>, Arc<Plan>) {
        let (data, plan) = hand.world(|state| (state.data.clone(), state.plan.clone()));
        let supply = Stocked { data, hand: hand.clone() };
        (Pipeline { supply, variant: plan.variant, input_bucket: INPUT.to_owned() }, plan)
    }

    /// Runs sweep once.
    pub fn sweeping(&self, hand: Hand) -> Running {
        let deadline = Timestamp(hand.world(|state| state.clockwork.now) + SWEEP_TIMEOUT * 1000);
        let patience = Patience { stall_after: STALL_AFTER, give_up_after: GIVE_UP_AFTER };
        let sweep = self.pipeline(&hand).0.sweep(patience).unwrap();
        Box::pin(async move { Ended::Sweep(sweep.run(deadline).await) })
    }

    /// The function that serves a queue.
    pub fn function(&self, queue: usize, hand: Hand, deliveries: Vec<(u64, Delivery)>) -> Running {
        let (pipeline, plan) = self.pipeline(&hand);
        match queue {
            SCATTER => {
                let stage = pipeline.scatter(self.schema.rules(), plan.chunk_size, FormatSettings::default()).unwrap();
                Box::pin(work(stage, hand, queue, deliveries))
            }
            PROCESS => {
                let supply = &pipeline.supply;
                let items = supply.faulty(supply.watched(supply.data.items.clone()));
                let other = plan.redeployed && hand.task.is_multiple_of(2);
                let schema = if other { &self.other } else { &self.schema };
                let stage = pipeline.process(schema.clone(), WriteItems::new(items)).unwrap();
                Box::pin(work(stage, hand, queue, deliveries))
            }
            GATHER => Box::pin(work(pipeline.gather(plan.results).unwrap(), hand, queue, deliveries)),
            _ => Box::pin(work(pipeline.bury().unwrap(), hand, queue, deliveries)),
        }
    }
}

/// Runs one invocation as the server of the functions does.
async fn work<S: Stage>(stage: S, hand: Hand, queue: usize, deliveries: Vec<(u64, Delivery)>) -> Ended {
    let deadline = Timestamp(hand.world(|state| state.clockwork.now) + TIMEOUTS[queue] * 1000);
    let (ids, deliveries): (Vec<u64>, Vec<Delivery>) = deliveries.into_iter().unzip();
    let id_of = |delivery: &Delivery| deliveries.iter().position(|other| other.id == delivery.id).map(|at| ids[at]);
    let Sorted { packs, rest } = sort(&stage, &deliveries);
    let rest = rest.into_iter().filter_map(|(delivery, disposition)| Some((id_of(delivery)?, disposition, None)));
    let mut ended: Vec<_> = rest.collect();
    for pack in packs {
        let poison = |received: &Received<'_, _>| hand.world(|state| state.is_poison(&received.delivery.body));
        hand.doomed.store(pack.iter().any(poison) && queue == PROCESS, Ordering::Relaxed);
        let dispositions = stage.handle_pack(&pack, deadline).await;
        for (Received { delivery, message }, disposition) in pack.iter().zip(dispositions) {
            if let (GATHER, Disposition::Retry(error)) = (queue, &disposition) {
                hand.watch_waiting(&delivery.body, &error.to_string());
            }
            ended.extend(id_of(delivery).map(|id| (id, disposition, S::subject(message))));
        }
    }
    Ended::Messages(ended)
}
