//! A service that records are sent to before they are stored: it answers some for good, some for the time being, and
//! some not before it opens.

use std::collections::BTreeMap;

use fanfold::intake::claim_check;
use fanfold::model::answer::Line;
use fanfold::model::error::{Error, Result};
use fanfold::model::ids::BatchId;
use fanfold::pipeline::variant::Variant;
use fanfold::processor::{Chunk, Processor, Record, Reply};
use fanfold::stage::reception::MOST_TRIES;
use fanfold::store::faults::Faults;
use fastrand::Rng;
use serde_json::value::{RawValue, to_raw_value};

use super::clockwork::BEGIN;
use super::hand::Hand;
use super::invariant::{Broken, generations, kept};
use super::mutation::Mutation;
use super::plan::{File, Plan};
use super::state::State;

pub const ANSWERED_ONCE: &str = "I13 a record is given to the service by one function at a time, five times at most, and not after its answer is kept";
pub const ANSWER_COUNTS: &str = "I14 the outcome of a record is the answer that was kept";

/// What the service of a seed is drawn by.
const SERVED: u64 = 0x5e21_71ce_0a95_77e2;

/// A service.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Service {
    seed: u64,
    /// When it opens, in milliseconds.
    opens: i64,
    /// Whether what succeeds becomes an item.
    pub stored: bool,
}

/// How it answers for a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mood {
    Done,
    Result,
    Never,
    After(u32),
}

impl Service {
    fn mood(self, index: usize) -> Mood {
        let mut rng = Rng::with_seed(self.seed ^ index as u64);
        match rng.u32(..10) {
            0 => Mood::Never,
            1 | 2 => Mood::After(1 + rng.u32(..MOST_TRIES + 1)),
            3..=5 => Mood::Result,
            _ => Mood::Done,
        }
    }

    /// The reference model: whether a record succeeds in the end.
    pub fn answers(self, index: usize) -> bool {
        match self.mood(index) {
            Mood::Done | Mood::Result => true,
            Mood::Never => false,
            Mood::After(tries) => tries < MOST_TRIES,
        }
    }
}

impl Plan {
    /// The same plan, perhaps with a service.
    pub fn served(mut self) -> Self {
        let mut rng = Rng::with_seed(self.seed ^ SERVED);
        let opens = [0, 0, 90_000, 4_000_000][rng.usize(..4)];
        let service = Service { seed: rng.u64(..), opens, stored: rng.bool() };
        // Deployments with another schema, and tables at their limits, are tried without.
        if rng.u32(..4) == 0 && self.workers.is_none() {
            self.served_by(service);
        }
        self
    }

    fn served_by(&mut self, service: Service) {
        self.service = Some(service);
        self.files.iter_mut().for_each(|file| file.service = Some(service));
    }

    /// A batch whose records are sent to a service.
    pub fn of_service(variant: Variant, stored: bool) -> Self {
        let mut plan = Self { redeployed: false, ..Self::small(variant) };
        plan.served_by(Service { seed: 3, opens: 0, stored });
        plan
    }
}

impl File {
    /// Whether a record comes to be stored, as far as its form and the service go.
    pub fn comes_through(&self, index: usize) -> bool {
        self.records[index].is_number() && self.service.is_none_or(|service| service.answers(index))
    }

    /// Whether records become items.
    pub fn makes_items(&self) -> bool {
        self.service.is_none_or(|service| service.stored)
    }
}

/// A record of a generation.
type Place = (BatchId, u64);

/// What is known of the service's work.
#[derive(Debug, Default)]
pub struct Served {
    /// The answers that were kept, and the results among them.
    kept: BTreeMap<Place, Option<String>>,
    /// How many tries were kept that gave no answer.
    tries: BTreeMap<Place, u32>,
    /// The function that waits for the service.
    asking: BTreeMap<Place, u64>,
    /// The batch whose message a function works on: the message may be given up by another before it ends.
    working: BTreeMap<u64, BatchId>,
    results: u64,
}

impl Served {
    /// Called when a function has ended.
    pub fn at_ending(&mut self, task: u64) {
        self.asking.retain(|_, asking| *asking != task);
        self.working.remove(&task);
    }

    /// Called when a function begins to work on a message.
    pub fn at_beginning(&mut self, task: u64, body: &str) {
        if let Ok(Some(check)) = claim_check::parse(body) {
            self.working.insert(task, check.batch_id);
        }
    }

    /// Called when answers were kept.
    pub fn at_keeping(&mut self, key: &str, object: &[u8]) {
        let Some(batch) = key.split_once("/answers/").and_then(|(batch, _)| BatchId::parse(batch).ok()) else {
            return;
        };
        for line in object.split(|byte| *byte == b'\n').skip(1).filter(|line| !line.is_empty()) {
            let Line { index, success, result, .. } = serde_json::from_slice(line).unwrap();
            let place = (batch.clone(), index);
            if success.is_none() {
                *self.tries.entry(place).or_default() += 1;
            } else {
                self.kept.entry(place).or_insert(result.map(|result| result.get().to_owned()));
            }
        }
    }
}

/// The service, as a function reaches it.
#[derive(Clone)]
pub struct Reached {
    pub service: Service,
    pub hand: Hand,
}

impl Processor for Reached {
    async fn process(&self, chunks: Vec<Chunk>) -> Vec<Result<Vec<Reply>>> {
        let mut answers = Vec::with_capacity(chunks.len());
        for chunk in chunks {
            let mut replies = Vec::with_capacity(chunk.records.len());
            for record in &chunk.records {
                replies.push(self.ask(&chunk, record).await);
            }
            answers.push(Ok(replies));
        }
        answers
    }
}

impl Reached {
    async fn ask(&self, chunk: &Chunk, record: &Record) -> Reply {
        let (task, index) = (self.hand.task, record.index);
        let place = self.hand.world(|state| {
            let place = (state.served.working.get(&task).unwrap_or(&chunk.batch).clone(), index);
            let served = &mut state.served;
            let tries = served.tries.get(&place).copied().unwrap_or_default();
            let why = match served.asking.get(&place) {
                Some(other) => Some(format!("function {other} waits for the same")),
                None if served.kept.contains_key(&place) => Some("its answer was kept".to_owned()),
                None => (tries >= MOST_TRIES).then(|| format!("it was tried {tries} times")),
            };
            served.asking.insert(place.clone(), task);
            if let Some(why) = why {
                let why = format!("function {task} sends record {index} of {}: {why}", place.0);
                state.breaks(Broken { invariant: ANSWERED_ONCE, why });
            }
            place
        });
        let called = self.hand.before("service.call").await;
        let reply = called.and_then(|()| self.answer(record));
        let heard = self.hand.after("service.call").await;
        self.hand.world(|state| _ = state.served.asking.remove(&place));
        heard.and(reply).unwrap_or_else(|error| Reply::Untried(error.to_string()))
    }

    fn answer(&self, record: &Record) -> Result<Reply> {
        let passed = self.hand.world(|state| state.clockwork.now - BEGIN);
        if passed < self.service.opens {
            return Err(Error::busy("the service is not open"));
        }
        let result = || {
            let number = self.hand.world(|state| {
                state.served.results += 1;
                state.served.results
            });
            to_raw_value(&number).unwrap()
        };
        Ok(match self.service.mood(usize::try_from(record.index).unwrap()) {
            Mood::Done => Reply::Done(None),
            Mood::Result => Reply::Done(Some(result())),
            Mood::Never => Reply::Failed("never".to_owned()),
            Mood::After(tries) if record.tried.times >= tries => Reply::Done(None),
            Mood::After(_) => Reply::temporary("not yet"),
        })
    }
}

/// What a store does to an object of answers under a mutation.
pub fn written(mutation: Option<Mutation>, object: &[u8]) -> Vec<u8> {
    let text = String::from_utf8_lossy(object);
    match mutation {
        Some(Mutation::PermanentIsTriedAgain) => text.replace("\"success\":false,", "").into_bytes(),
        _ => object.to_vec(),
    }
}

/// The same when it is read.
pub fn read(mutation: Option<Mutation>, object: &[u8]) -> Vec<u8> {
    let text = String::from_utf8_lossy(object);
    let lines = |wanted: fn(&str) -> bool| {
        let lines = text.lines().enumerate().filter(|(place, line)| *place == 0 || wanted(line));
        lines.map(|(_, line)| format!("{line}\n")).collect::<String>().into_bytes()
    };
    match mutation {
        Some(Mutation::AnswersAreForgotten) => lines(|_| false),
        Some(Mutation::TriesAreForgotten) => lines(|line| line.contains("\"success\"")),
        _ => object.to_vec(),
    }
}

/// The outcomes of all generations have the answers that were kept.
pub fn answers_count(state: &State) -> std::result::Result<(), Broken> {
    for batch in generations(state) {
        let id = &batch.opening.id;
        for chunk in 0..batch.sealing.as_ref().map_or(0, |sealing| sealing.chunks) {
            for outcome in kept(state, id, chunk).unwrap_or_default().outcomes {
                let answer = state.served.kept.get(&(id.clone(), outcome.index));
                let told = outcome.result.as_deref().map(RawValue::get).map(str::to_owned);
                let right = match answer {
                    Some(result) if outcome.response.success => *result == told,
                    _ => true,
                };
                if !right {
                    let why = format!("record {} of {id} has {told:?}, and {answer:?} was kept", outcome.index);
                    return Err(Broken { invariant: ANSWER_COUNTS, why });
                }
            }
        }
    }
    Ok(())
}
