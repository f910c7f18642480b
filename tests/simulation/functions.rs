//! The functions of a simulated deployment: the real stages, each with stores that pass through its hand.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use fanfold::model::error::{ErrorKind, Result};
use fanfold::model::format::settings::FormatSettings;
use fanfold::model::limits::Limits;
use fanfold::model::timestamp::Timestamp;
use fanfold::model::tolerance::Tolerance;
use fanfold::pipeline::{Bucket, Pipeline, Queue, Supply};
use fanfold::processor::chain::Chain;
use fanfold::stage::reception::{Admitted, Reception, Timetable};
use fanfold::stage::sweep::Patience;
use fanfold::stage::{Disposition, Received, Sorted, Stage, Subject, sort};
use fanfold::store::blob::memory::MemoryBlob;
use fanfold::store::channel::Delivery;
use fanfold::store::counters::memory::MemoryCounters;
use fanfold::store::faults::Faulty;
use fanfold::store::ledger::memory::MemoryLedger;
use fanfold::store::pace::{Pace, PacedStores};
use fanfold::store::tasks::memory::MemoryTasks;

use super::brief::Brief;
use super::hand::Hand;
use super::mutation::Mutation;
use super::plan::Plan;
use super::service::Reached;
use super::state::{
    DEAD, Data, GATHER, GIVE_UP_AFTER, INPUT, MAP, PARKED, PROCESS, SCATTER, STALL_AFTER, SWEEP_TIMEOUT, TIMEOUTS,
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
        let topic = queue == Queue::Topic;
        let queue = match queue {
            Queue::Scatter => SCATTER,
            Queue::Process | Queue::Topic => PROCESS,
            Queue::Gather => GATHER,
            Queue::Parked => PARKED,
            Queue::Machine => MAP,
        };
        Ok(self.faulty(SimChannel { queue, topic, hand: self.hand.clone() }))
    }

    fn tasks(&self) -> Result<Faulty<Watched<MemoryTasks>, Hand>> {
        Ok(self.faulty(self.watched(self.data.tasks.clone())))
    }

    fn counters(&self) -> Result<Faulty<Watched<MemoryCounters>, Hand>> {
        Ok(self.faulty(self.watched(self.data.counters.clone())))
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
        let tolerance = match plan.tolerance {
            _ if hand.has(Mutation::BudgetIsIgnored) => Tolerance::All,
            Tolerance::Share { hundredths, .. } if hand.has(Mutation::FloorIsIgnored) => {
                Tolerance::Share { hundredths, from: 0 }
            }
            tolerance => tolerance,
        };
        let pipeline = Pipeline::new(supply, plan.variant, INPUT).with_processing(plan.processing());
        (pipeline.with_tolerance(tolerance), plan)
    }

    /// Runs sweep once.
    pub fn sweeping(&self, hand: Hand) -> Running {
        let deadline = Timestamp(hand.world(|state| state.clockwork.now) + SWEEP_TIMEOUT * 1000);
        let patience = Patience { stall_after: STALL_AFTER, give_up_after: GIVE_UP_AFTER };
        let pipeline = self.pipeline(&hand).0;
        pipeline.pace.until(deadline);
        let sweep = pipeline.sweep(patience).unwrap();
        Box::pin(async move { Ended::Sweep(sweep.run(deadline).await) })
    }

    /// The function that serves a queue.
    pub fn function(&self, queue: usize, mut hand: Hand, deliveries: Vec<(u64, Delivery)>) -> Running {
        let brief = hand.world(|state| state.plan.brief).filter(|_| queue == SCATTER);
        hand.looks = brief.map(Brief::looks).unwrap_or_default();
        let (pipeline, plan) = self.pipeline(&hand);
        let now = hand.world(|state| state.clockwork.now);
        let deadline = Timestamp(now + TIMEOUTS[queue] * 1000);
        let table = Timetable::new(Timestamp(now), deadline);
        let (reception, pace) = (reception(&pipeline, queue), pipeline.pace.clone());
        let invocation = Invocation { reception, pace, hand, queue, table, deadline, deliveries };
        match queue {
            SCATTER => {
                let stage = pipeline.scatter(self.schema.rules(), plan.chunk_size, FormatSettings::default()).unwrap();
                let stage = match brief {
                    Some(brief) => stage.with_bookmarks_after(brief.bookmarks_after()),
                    None => stage,
                };
                let ignored = invocation.hand.has(Mutation::LimitIsIgnored);
                let stage = stage.with_limits(if ignored { Limits::NONE } else { plan.limits });
                Box::pin(invocation.run(stage))
            }
            PROCESS | MAP => {
                let supply = &pipeline.supply;
                let items = supply.faulty(supply.watched(supply.data.items.clone()));
                let other = plan.redeployed && invocation.hand.task.is_multiple_of(2);
                let schema = if other { &self.other } else { &self.schema };
                let store = pipeline.write_items(items);
                let reached = plan.service.map(|service| Reached { service, hand: invocation.hand.clone() });
                match reached {
                    None => Box::pin(invocation.run(pipeline.process(schema.clone(), store).unwrap())),
                    Some(first) if first.service.stored => {
                        let chain = Chain { first, then: store };
                        Box::pin(invocation.run(pipeline.process(schema.clone(), chain).unwrap()))
                    }
                    Some(alone) => Box::pin(invocation.run(pipeline.process(schema.clone(), alone).unwrap())),
                }
            }
            GATHER => {
                let mut stage = pipeline.gather(plan.results).unwrap();
                if let Some(haste) = plan.haste {
                    stage.checkpoint_after = Duration::from_millis(haste.checkpoint_after);
                    stage.at_most = Some(Duration::from_millis(haste.at_most));
                }
                Box::pin(invocation.run(stage))
            }
            _ => Box::pin(invocation.run(pipeline.bury().unwrap())),
        }
    }
}

/// What receives the messages of a queue. Bury is fed by several, so that it releases and gives up nothing.
fn reception(pipeline: &Pipeline<Stocked>, queue: usize) -> Reception<PacedStores<SimStores>> {
    let channel = |queue| {
        let supply = &pipeline.supply;
        Some(supply.faulty(SimChannel { queue, topic: false, hand: supply.hand.clone() })).filter(|_| queue < PARKED)
    };
    let queue = if queue == MAP { PROCESS } else { queue };
    if queue >= DEAD {
        return pipeline.reception(None, None);
    }
    pipeline.reception(channel(queue), channel(DEAD + queue))
}

/// One invocation of a function.
struct Invocation {
    reception: Reception<PacedStores<SimStores>>,
    pace: Pace<Hand>,
    hand: Hand,
    queue: usize,
    table: Timetable,
    deadline: Timestamp,
    deliveries: Vec<(u64, Delivery)>,
}

impl Invocation {
    /// Runs it as the server of the functions does.
    async fn run<S: Stage>(self, stage: S) -> Ended {
        let deliveries: Vec<Delivery> = self.deliveries.iter().map(|(_, delivery)| delivery.clone()).collect();
        let Sorted { packs, rest } = sort(&stage, &deliveries);
        self.pace.until(self.table.work());
        let mut ended = Vec::new();
        for (delivery, disposition) in rest {
            ended.extend(self.conclude(delivery, None, None, disposition).await);
        }
        for pack in packs {
            self.pace.until(self.table.work());
            let mut admitted = Vec::new();
            let mut tries = Vec::new();
            for received in pack {
                self.concerns(received.delivery);
                match self.reception.admit(received.delivery, S::subject(&received.message).as_ref()).await {
                    Some(tried) => {
                        admitted.push(received);
                        tries.push(tried);
                    }
                    None => ended.extend(self.id_of(received.delivery).map(|id| (id, true))),
                }
            }
            let poison = |received: &Received<'_, _>| self.hand.world(|state| state.is_poison(&received.delivery.body));
            let doomed = admitted.iter().any(poison) && [PROCESS, MAP].contains(&self.queue);
            self.hand.doomed.store(doomed, Ordering::Relaxed);
            let dispositions = stage.handle_pack(&admitted, self.deadline).await;
            self.pace.until(self.table.conclusion());
            for ((Received { delivery, message, .. }, tried), disposition) in
                admitted.iter().zip(tries).zip(dispositions)
            {
                if let (GATHER, Disposition::Retry(error)) = (self.queue, &disposition) {
                    self.hand.watch_waiting(&delivery.body, &error.to_string());
                }
                ended.extend(self.conclude(delivery, Some(tried), S::subject(message), disposition).await);
            }
        }
        Ended::Messages(ended)
    }

    fn id_of(&self, delivery: &Delivery) -> Option<u64> {
        self.deliveries.iter().find(|(_, other)| other.id == delivery.id).map(|(id, _)| *id)
    }

    /// From now on, what the function does for a message concerns this one.
    fn concerns(&self, delivery: &Delivery) {
        let message = self.id_of(delivery).map(|id| (self.queue, id));
        self.hand.world(|state| {
            state.concluding.extend(message.map(|message| (self.hand.task, message)));
            state.served.at_beginning(self.hand.task, &delivery.body);
        });
    }

    async fn conclude(
        &self,
        delivery: &Delivery,
        tried: Option<Admitted>,
        subject: Option<Subject>,
        disposition: Disposition,
    ) -> Option<(u64, bool)> {
        self.concerns(delivery);
        let id = self.id_of(delivery)?;
        self.hand.world(|state| {
            state.tell(|| format!("function {} ends: {disposition:?}", self.hand.task));
            match &disposition {
                Disposition::Retry(error) if error.kind == ErrorKind::Busy => {
                    state.reach("try that a busy service ended");
                }
                Disposition::Later(..) if self.queue == SCATTER && tried.is_some() => {
                    state.reach("scatter to be gone on with");
                }
                Disposition::Rejected(_) => _ = state.rejected.insert((self.queue, id)),
                _ => {}
            }
        });
        let tried = match tried {
            Some(tried) => tried,
            None => match self.reception.admit(delivery, subject.as_ref()).await {
                Some(tried) => tried,
                None => return Some((id, true)),
            },
        };
        Some((id, self.reception.conclude(delivery, tried, subject.as_ref(), disposition).await))
    }
}
