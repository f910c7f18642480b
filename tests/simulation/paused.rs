//! Workers that people pause for longer than a batch may go without progress.

use fanfold::batch::dispatch::FanOut;
use fanfold::model::progress::BatchState;
use fanfold::model::timestamp::Timestamp;
use fanfold::pipeline::variant::{BUILT_IN, Variant};
use fanfold::store::ledger::Control;
use futures::FutureExt;

use super::clockwork::Event;
use super::invariant::generations;
use super::mutation::Mutation;
use super::plan::{Chaos, Plan};
use super::schema;
use super::state::{Options, PROCESS, State};
use crate::world::World;

const HOUR: i64 = 3_600_000;

impl State {
    /// Pauses the workers, or lets them go on with what waits by then.
    pub fn pause(&mut self, pauses: bool) {
        self.tell(|| if pauses { "the workers are paused" } else { "the workers go on" }.to_owned());
        self.paused = pauses;
        let since = pauses.then_some(Timestamp(self.clockwork.now));
        self.data.ledger.note_pause(since).now_or_never().unwrap().unwrap();
        for _ in 0..self.queues[PROCESS].messages.len() {
            self.after(0, Event::Poll(PROCESS));
        }
    }
}

/// The variants whose workers can be paused: those that Step Functions runs cannot.
fn pausable() -> impl Iterator<Item = &'static Variant> {
    BUILT_IN.iter().filter(|variant| variant.fan_out != FanOut::Map)
}

fn plan(variant: Variant, from: i64, hours: i64) -> Plan {
    let plan = Plan { sweep: true, redeployed: false, chaos: Chaos::default(), ..Plan::small(variant) };
    Plan { paused: Some((from, from + hours * HOUR)), ..plan }
}

fn ends(plan: &Plan, mutation: Option<Mutation>) -> (State, Vec<BatchState>) {
    let state = World::run(plan, &schema(), Options { mutation, ..Options::default() });
    let ends = generations(&state).map(|batch| batch.state).collect();
    (state, ends)
}

#[test]
fn a_pause_of_days_costs_no_batch() {
    for variant in pausable() {
        for (from, hours) in [(0, 30), (1, 30), (2_000, 50), (5_000, 1)] {
            let (state, ends) = ends(&plan(*variant, from, hours), None);
            assert_eq!(state.broken, None, "{} {from}", variant.name);
            // One of its records is not valid.
            assert_eq!(ends, [BatchState::PartiallyFailed], "{} {from} {hours}", variant.name);
        }
    }
}

#[test]
fn what_is_cancelled_during_a_pause_ends_before_it() {
    for variant in pausable() {
        let mut plan = plan(*variant, 0, 30);
        plan.files[0].cancelled_at = Some(2 * HOUR);
        let (state, ends) = ends(&plan, None);
        assert_eq!(state.broken, None, "{}", variant.name);
        assert_eq!(ends, [BatchState::Cancelled], "{}", variant.name);
        let closed = generations(&state).filter_map(|batch| batch.finished_at).max().unwrap();
        assert!(closed.0 < super::clockwork::BEGIN + 4 * HOUR, "{}: {closed:?}", variant.name);
    }
}

#[test]
fn a_sweep_that_ignores_the_pause_gives_the_batch_up() {
    for variant in pausable() {
        let (_, ends) = ends(&plan(*variant, 0, 30), Some(Mutation::PauseIsIgnored));
        assert_ne!(ends, [BatchState::PartiallyFailed], "{}", variant.name);
    }
}
