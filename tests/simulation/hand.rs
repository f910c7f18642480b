//! A function's hand: every call that it makes to a store passes through it, and may be slow, fail before or
//! after its effect, or be the function's last.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use fanfold::model::error::{Error, Result};
use fanfold::model::ids::{BatchId, ChunkIndex};
use fanfold::model::message::GatherMessage;
use fanfold::model::progress::{Batch, Sealing, Tally};
use fanfold::store::channel::Outgoing;
use fanfold::store::faults::fault;

use super::brief::Looks;
use super::clockwork::{Alarm, Event, Waiting};
use super::invariant;
use super::mutation::{Late, Mutation};
use super::state::{STAGES, State};
use super::sweeping;

/// A function's access to the world: its clock, and the faults of its calls.
#[derive(Clone)]
pub struct Hand {
    pub state: Arc<Mutex<State>>,
    pub task: u64,
    /// The queue that feeds it; `None` for sweep.
    pub queue: Option<usize>,
    /// When it started.
    pub began: i64,
    /// Whether it dies of its next write of items.
    pub doomed: Arc<AtomicBool>,
    /// How often it may look at the clock before its time is up, if it is brief.
    pub looks: Looks,
}

impl Hand {
    pub fn stage(&self) -> &'static str {
        self.queue.map_or("sweep", |queue| STAGES[queue])
    }

    pub fn world<T>(&self, act: impl FnOnce(&mut State) -> T) -> T {
        act(&mut self.state.lock().unwrap())
    }

    pub async fn enter(&self, call: &'static str) -> Result<()> {
        let alarm = Arc::new(Alarm::default());
        let point = self.world(|state| {
            state.points += 1;
            let slow = state.happens(state.plan.chaos.slow) || state.is_sluggish(call);
            let milliseconds = match &state.capacity {
                // Services far from their limits answer alike, so that only pauses keep functions apart.
                Some(_) => 20,
                None if slow => state.rng.i64(1_000..200_000),
                None => state.rng.i64(1..50),
            };
            state.after(milliseconds, Event::Wake(alarm.clone()));
            state.points
        });
        Waiting(alarm).await;
        if self.dies(call, point) {
            std::future::pending::<()>().await;
        }
        self.world(|state| {
            state.catch_up(self.task);
            if state.is_out(call) {
                state.tell(|| format!("function {} {call} is OUT of order", self.task));
                return Err(fault(call));
            }
            if state.is_flaky(call) || state.happens(state.plan.chaos.before) {
                state.tell(|| format!("function {} {call} FAILS before its effect", self.task));
                return Err(fault(call));
            }
            if state.is_busy(call) || state.is_throttled(call) {
                state.tell(|| format!("function {} {call} meets a BUSY service", self.task));
                return Err(Error::busy(format!("{call} was told to slow down")));
            }
            state.tell(|| format!("function {} {call}", self.task));
            Ok(())
        })
    }

    pub async fn leave(&self, call: &'static str) -> Result<()> {
        let point = self.world(|state| {
            state.points += 1;
            state.points
        });
        if self.dies(call, point) {
            std::future::pending::<()>().await;
        }
        self.world(|state| {
            state.calls.entry((self.stage(), call)).or_insert(point);
            if state.is_flaky(call) || state.happens(state.plan.chaos.after) {
                state.tell(|| format!("function {} {call} FAILS after its effect", self.task));
                return Err(fault(call));
            }
            Ok(())
        })
    }

    /// Decides whether the function dies at a call.
    fn dies(&self, call: &'static str, point: u32) -> bool {
        self.world(|state| {
            let poisoned = self.doomed.load(Ordering::Relaxed) && call == "items.write";
            let crashes = state.options.crash == Some(point);
            state.crashed |= crashes;
            let dies = poisoned || crashes || state.happens(state.plan.chaos.death);
            if dies {
                state.tell(|| format!("function {} DIES at {call}, point {point}", self.task));
                state.dying.insert(self.task);
            }
            dies
        })
    }

    pub fn cut(&self, call: &'static str, many: usize) -> Option<usize> {
        self.world(|state| {
            let cut = many > 0 && state.happens(state.plan.chaos.midway);
            cut.then(|| {
                state.tell(|| format!("function {} {call} FAILS midway", self.task));
                state.rng.usize(..many)
            })
        })
    }

    /// The positions of things that a table leaves undone, as it has no capacity for them.
    pub fn undone<'a>(&self, call: &'static str, keys: impl Iterator<Item = &'a str>) -> Vec<usize> {
        self.world(|state| {
            let (now, units) = (state.clockwork.now, f64::from(state.plan.units));
            let mut undone = Vec::new();
            for (place, key) in keys.enumerate() {
                let taken = match &mut state.capacity {
                    Some(capacity) if call == "items.write" => capacity.items.takes(key, units, now),
                    Some(capacity) => capacity.tasks.takes(key, 1.0, now),
                    None => !state.is_busy(call),
                };
                if !taken {
                    undone.push(place);
                }
            }
            if !undone.is_empty() {
                state.tell(|| format!("function {} {call} leaves {undone:?} undone", self.task));
                state.reach("write left in part");
            }
            undone
        })
    }

    /// Whether the function was refused eight times with what it wants to write.
    pub fn is_tired(&self, key: &str) -> bool {
        self.world(|state| {
            let refusals = state.refusals.entry((self.task, key.to_owned())).or_default();
            *refusals += 1;
            *refusals >= 8
        })
    }

    /// Whether the tasks table has capacity for rows of a chunk.
    pub fn takes_rows(&self, batch: &BatchId, chunk: ChunkIndex, units: usize) -> bool {
        self.world(|state| {
            let now = state.clockwork.now;
            let key = format!("{batch}#{chunk}");
            state.capacity.as_mut().is_none_or(|capacity| capacity.tasks.takes(&key, units as f64, now))
        })
    }

    /// Called before a message is sent: notes which batch it hurts if it is given up, and whether that is right.
    pub fn watch_giving_up(&self, queue: usize, message: &Outgoing) {
        self.world(|state| state.at_giving_up(self.task, queue, message));
    }

    pub fn has(&self, mutation: Mutation) -> bool {
        self.world(|state| state.options.mutation == Some(mutation))
    }

    pub fn send(&self, queue: usize, message: Outgoing) {
        self.world(|state| {
            if self.queue.is_none() {
                let copies = state.swept.entry((queue, message.body.clone())).or_default();
                *copies += 1;
                let copies = *copies;
                sweeping::at_sweeping(state, queue, &message.body, copies, self.began);
            }
            state.send(queue, message);
        });
    }

    /// Notes the progress that sweep sees of a batch; the last word of the mark, the attempts to gather, does
    /// not count as progress.
    pub fn watch_progress(&self, batch: &BatchId, mark: &str) {
        let mark = mark.rsplit_once(' ').map_or(mark, |(progress, _)| progress);
        self.world(|state| {
            let progress = state.progress.entry(batch.clone()).or_default();
            if progress.1 != mark {
                *progress = (progress.0 + 1, mark.to_owned());
            }
        });
    }

    /// Whether one of these stages has a mutation.
    pub fn has_in(&self, stages: &[&str], mutation: Mutation) -> bool {
        self.has(mutation) && stages.contains(&self.stage())
    }

    pub fn put_off(&self, late: impl IntoIterator<Item = Late>) {
        self.world(|state| state.late.entry(self.task).or_default().0.extend(late));
    }

    /// Makes delayed effects happen with the function's next call.
    pub fn catch_up_after(&self, mutations: &[Mutation]) {
        self.world(|state| {
            if state.options.mutation.is_some_and(|mutation| mutations.contains(&mutation))
                && let Some(late) = state.late.get_mut(&self.task)
            {
                late.1 = true;
            }
        });
    }

    pub fn count(&self, batch: &BatchId, leaf: u32, tally: Tally) -> (u32, Tally) {
        self.world(|state| {
            let count = state.counts.entry((batch.clone(), leaf)).or_default();
            *count = (count.0 + 1, count.1 + tally);
            *count
        })
    }

    pub fn watch_announcement(&self, messages: &[Outgoing]) {
        for message in messages {
            let id = GatherMessage::parse(&message.body).unwrap().batch_id;
            self.world(|state| invariant::at_announcement(state, &id));
        }
    }

    pub fn watch_deciding(&self, key: &str) {
        self.world(|state| {
            let now = state.clockwork.now;
            state.done.entry(key.to_owned()).or_insert(now);
        });
    }

    pub fn watch_sealing(&self, batch: &Batch, sealing: &Sealing) {
        self.world(|state| {
            if batch.sealing.as_ref().is_some_and(|first| first.chunks < sealing.chunks) {
                state.reach("later seal with more chunks");
            }
            state.seals.insert(self.task, sealing.clone());
        });
    }

    pub fn watch_putting(&self, key: &str) {
        self.world(|state| {
            let put_back = state.batches.iter().find_map(|batch| Some(batch.done_key(batch.chunk_of_pending(key)?)));
            if put_back.is_some_and(|done| state.done.contains_key(&done)) {
                state.reach("pending chunk put back that is done");
            }
            let now = state.clockwork.now;
            state.put.insert(key.to_owned(), now);
        });
    }

    /// Called when gather's message is to be redelivered.
    pub fn watch_waiting(&self, body: &str, why: &str) {
        if let (Ok(message), true) = (GatherMessage::parse(body), why.contains("pending chunks")) {
            self.world(|state| invariant::at_waiting(state, &message.batch_id, self.began));
        }
    }

    pub fn watch_taking(&self, id: &BatchId) {
        self.world(|state| invariant::outputs_stayed(state, id));
    }

    pub fn watch_closing(&self, batch: &Batch) {
        self.world(|state| {
            state.tell(|| format!("batch {} is {}", batch.opening.id, batch.state.name()));
            invariant::at_closing(state, batch);
            state.redrive(batch);
        });
    }
}
