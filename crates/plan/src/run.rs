//! Lets a batch pass, event by event.

use std::cmp::Ordering;
use std::collections::BinaryHeap;

use crate::mapping::Ramp;
use crate::work::{Batch, Step};

/// In how many slices scatter works: after each, its share of the messages is sent.
const SLICES: u64 = 200;
/// The most invocations that are followed one by one; if there are more, each stands for several.
const MOST_FOLLOWED: u64 = 100_000;

/// When what was over, in seconds after the upload.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Passed {
    /// Scatter.
    pub scattered: f64,
    /// The last message.
    pub processed: f64,
    /// Gather, and with it the batch.
    pub gathered: f64,
    /// The seconds that gather takes.
    pub gathering: f64,
    /// Invocations of process.
    pub invocations: u64,
    /// Seconds of all functions together.
    pub billed: f64,
}

/// What happens at a moment.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Event {
    /// Scatter has done another slice.
    Sliced,
    /// Messages arrive in the queue.
    Arrived(u64),
    /// The mapping may run more functions.
    More,
    /// An invocation ends that stands for so many.
    Ended(u64),
}

/// An event and its moment; the earliest is the greatest, and of those the one that was planned first.
#[derive(Debug, PartialEq)]
struct Planned(f64, u64, Event);

impl Eq for Planned {}

impl PartialOrd for Planned {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Planned {
    fn cmp(&self, other: &Self) -> Ordering {
        other.0.total_cmp(&self.0).then(other.1.cmp(&self.1))
    }
}

/// A batch under way.
struct Course {
    batch: Batch,
    events: BinaryHeap<Planned>,
    planned: u64,
    /// How many invocations one that is followed stands for.
    grain: u64,
    slices: u64,
    sliced: u64,
    waiting: u64,
    running: u64,
    /// Functions that were started.
    started: u64,
    first: Option<f64>,
    /// When the mapping is looked at again, at the latest.
    more: f64,
    invocations: u64,
    billed: f64,
}

impl Course {
    fn plan(&mut self, at: f64, event: Event) {
        self.planned += 1;
        self.events.push(Planned(at, self.planned, event));
    }

    /// When a function is through with a step that it begins at a moment.
    fn through(&mut self, at: f64, step: &Step, share: f64, times: f64) -> f64 {
        let mut end = at + step.seconds(share);
        for calls in &step.calls {
            if let Some(rate) = calls.rate {
                end = end.max(self.batch.rates[rate].take(at, calls.many * calls.units * times));
            }
        }
        end
    }

    /// The messages of the slices up to one of them.
    fn sent(&self, slices: u64) -> u64 {
        match self.batch.listed && slices < self.slices {
            true => 0,
            false => self.batch.messages * slices / self.slices,
        }
    }

    fn slice(&mut self, at: f64) {
        let step = self.batch.scattering.times(1.0 / self.slices as f64);
        let end = self.through(at, &step, self.batch.scatter.share, 1.0);
        self.billed += end - at;
        self.plan(end, Event::Sliced);
    }

    /// Invokes process for messages that wait, as often as it may run.
    fn invoke(&mut self, now: f64) {
        let began = *self.first.get_or_insert(now);
        while self.waiting > 0 {
            let free = (self.batch.ramp.after(now - began) as u64).saturating_sub(self.running);
            if free == 0 {
                break;
            }
            let most = self.grain.min(free);
            let messages = self.waiting.min(self.batch.at_once * most);
            let times = messages.div_ceil(self.batch.at_once).max(1);
            let each = messages as f64 / times as f64;
            let cold = self.running + times > self.started;
            self.waiting -= messages;
            self.running += times;
            self.started = self.started.max(self.running);
            let share = self.batch.process.share;
            let begin = now + if cold { self.batch.process.start } else { 0.0 };
            let (invocation, message) = (self.batch.invocation.clone(), self.batch.message.times(each));
            let end = self.through(begin, &invocation, share, times as f64);
            let end = self.through(end, &message, share, times as f64);
            self.invocations += times;
            self.billed += (end - now) * times as f64;
            self.plan(end, Event::Ended(times));
        }
        let next = self.batch.ramp.next(now - began).map(|next| began + next);
        if let Some(next) = next.filter(|next| self.waiting > 0 && *next > self.more) {
            self.more = next;
            self.plan(next, Event::More);
        }
    }
}

/// Lets a batch pass.
pub fn run(batch: &Batch) -> Passed {
    let all = batch.messages.div_ceil(batch.at_once.max(1));
    let mut course = Course {
        batch: batch.clone(),
        events: BinaryHeap::new(),
        planned: 0,
        grain: all.div_ceil(MOST_FOLLOWED).max(1),
        slices: batch.messages.clamp(1, SLICES),
        sliced: 0,
        waiting: 0,
        running: 0,
        started: 0,
        first: None,
        more: 0.0,
        invocations: 0,
        billed: 0.0,
    };
    let mut passed =
        Passed { scattered: 0.0, processed: 0.0, gathered: 0.0, gathering: 0.0, invocations: 0, billed: 0.0 };
    course.slice(batch.notice + batch.scatter.start);
    while let Some(Planned(now, _, event)) = course.events.pop() {
        match event {
            Event::Sliced => {
                let before = course.sent(course.sliced);
                course.sliced += 1;
                let sent = course.sent(course.sliced) - before;
                if sent > 0 {
                    course.plan(now + batch.hop, Event::Arrived(sent));
                }
                if course.sliced < course.slices {
                    course.slice(now);
                } else {
                    passed.scattered = now;
                }
                continue;
            }
            Event::Arrived(messages) => course.waiting += messages,
            Event::More => {}
            Event::Ended(times) => {
                course.running -= times;
                passed.processed = now;
            }
        }
        course.invoke(now);
    }
    let begin = passed.scattered.max(passed.processed) + batch.announcement + batch.gather.start;
    passed.gathered = course.through(begin, &batch.gathering, batch.gather.share, 1.0);
    passed.gathering = passed.gathered - begin;
    passed.invocations = course.invocations;
    passed.billed = course.billed + passed.gathering;
    passed
}

/// What holds a batch up, and how many seconds it would take without that, the most important first: what saves no tenth of
/// the time is not named.
pub fn binding(batch: &Batch) -> Vec<(String, f64)> {
    let whole = run(batch).gathered;
    let mut found = Vec::new();
    for place in 0..batch.rates.len() {
        let mut other = batch.clone();
        other.rates[place] = other.rates[place].clone().lifted();
        found.push((batch.rates[place].name.clone(), run(&other).gathered));
    }
    let at_once = Batch { ramp: Ramp::at_once(batch.ramp.most), ..batch.clone() };
    found.push(("how fast the mapping adds functions".to_owned(), run(&at_once).gathered));
    let many = Batch { ramp: Ramp::at_once(crate::limits::ACCOUNT.value), ..batch.clone() };
    found.push(("how many functions run at once".to_owned(), run(&many).gathered));
    let none = batch.scattering.times(0.0);
    found.push((
        "scatter, which is one function".to_owned(),
        run(&Batch { scattering: none, ..batch.clone() }).gathered,
    ));
    let none = batch.gathering.times(0.0);
    found.push(("gather, which is one function".to_owned(), run(&Batch { gathering: none, ..batch.clone() }).gathered));
    found.retain(|(_, without)| *without < 0.9 * whole);
    found.sort_by(|one, other| one.1.total_cmp(&other.1));
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rate::Rate;
    use crate::work::{Calls, Function};

    fn nothing() -> Step {
        Step { cpu: 0.0, calls: Vec::new(), width: 1.0 }
    }

    fn writes(many: f64, units: f64) -> Step {
        Step { calls: vec![Calls { rate: Some(0), many, units, seconds: 0.01 }], width: 16.0, ..nothing() }
    }

    /// Messages that take a second each, in invocations of one.
    fn batch(messages: u64) -> Batch {
        let function = Function { share: 1.0, start: 0.0 };
        Batch {
            rates: vec![Rate::new("a table", 1e12)],
            notice: 0.0,
            hop: 0.0,
            announcement: 0.0,
            scatter: function,
            scattering: nothing(),
            messages,
            listed: false,
            process: function,
            ramp: Ramp::at_once(10.0),
            at_once: 1,
            invocation: nothing(),
            message: Step { cpu: 1.0, ..nothing() },
            gather: function,
            gathering: nothing(),
        }
    }

    #[test]
    fn functions_that_run_at_once_share_the_messages() {
        for (messages, seconds) in [(0, 0.0), (1, 1.0), (10, 1.0), (11, 2.0), (95, 10.0)] {
            let passed = run(&batch(messages));
            assert_eq!((passed.gathered, passed.invocations), (seconds, messages), "{messages}");
            assert!((passed.billed - messages as f64).abs() < 1e-9, "{passed:?}");
        }
        // The first ten find one message each, and the others four.
        let four = Batch { at_once: 4, ..batch(40) };
        assert_eq!((run(&four).gathered, run(&four).invocations), (5.0, 18));
    }

    #[test]
    fn what_is_listed_waits_for_the_whole_list() {
        let slow = Batch { scattering: Step { cpu: 4.0, ..nothing() }, ..batch(10) };
        assert!((run(&slow).gathered - 5.0).abs() < 1e-9);
        let early = Batch { ramp: Ramp::at_once(1.0), ..slow };
        // The first message is worked on after 0.4 s; of a list, after four.
        assert!((run(&early).gathered - 10.4).abs() < 1e-9);
        assert!((run(&Batch { listed: true, ..early }).gathered - 14.0).abs() < 1e-9);
    }

    #[test]
    fn a_mapping_that_begins_slowly_holds_a_batch_up() {
        let slow = Batch { ramp: Ramp { first: 1.0, growth: 1.0, most: 100.0 }, ..batch(15) };
        // One at 0, two from 1 on, three from 2 on: 1 + 2 + 3 + 4 + 5 = 15 messages in five seconds.
        assert_eq!(run(&slow).gathered, 5.0);
        assert_eq!(binding(&slow)[0].0, "how fast the mapping adds functions");
    }

    #[test]
    fn a_table_lets_pass_what_it_takes() {
        let limited = Batch { rates: vec![Rate::new("a table", 100.0)], message: writes(20.0, 25.0), ..batch(100) };
        // 50,000 units at 100 a second.
        let passed = run(&limited);
        assert!((passed.gathered - 500.0).abs() < 1.0, "{passed:?}");
        let bound = binding(&limited);
        assert_eq!((bound.len(), bound[0].0.as_str()), (1, "a table"));
        assert!(bound[0].1 < 1.0, "{bound:?}");
    }

    #[test]
    fn what_one_function_does_adds_up() {
        let gathering = Step { calls: vec![Calls { rate: None, many: 100.0, units: 0.0, seconds: 0.02 }], ..nothing() };
        let serial = Batch {
            scattering: Step { cpu: 3.0, ..nothing() },
            notice: 0.5,
            hop: 0.5,
            announcement: 0.5,
            gathering,
            ..batch(10)
        };
        let passed = run(&serial);
        assert!((passed.scattered - 3.5).abs() < 1e-9 && (passed.processed - 5.0).abs() < 1e-9, "{passed:?}");
        assert!((passed.gathered - 7.5).abs() < 1e-9, "{passed:?}");
        // A function with half a processor computes for twice as long.
        let half = Batch { scatter: Function { share: 0.5, start: 0.0 }, ..serial };
        assert!((run(&half).scattered - 6.5).abs() < 1e-9);
    }

    #[test]
    fn more_invocations_than_are_followed_take_as_long() {
        let many = Batch { ramp: Ramp::at_once(1_000.0), ..batch(3_000_000) };
        let passed = run(&many);
        assert_eq!(passed.invocations, 3_000_000);
        assert!((passed.gathered - 3_000.0).abs() < 30.0, "{passed:?}");
    }
}
