//! Gathers that have little time, so that many invocations write the outputs of one batch, in parts of a few bytes.

use bytes::Bytes;
use fanfold::model::ids::BatchId;
use fanfold::pipeline::variant::Variant;
use fastrand::Rng;
use serde_json::{Value, json};

use super::invariant::Broken;
use super::mutation::Mutation;
use super::plan::Plan;
use super::state::State;

pub const GETS_ON: &str = "I12 whoever goes on with the outputs of a batch gets further than those before";

/// What the haste of a seed is drawn by.
const HASTE: u64 = 0x4a57_e0c4_ec9b_0175;

/// How gather is hurried.
#[derive(Debug, Clone, Copy)]
pub struct Haste {
    /// For how many milliseconds one invocation writes outputs, and after how many it keeps how far it is.
    pub at_most: u64,
    pub checkpoint_after: u64,
    /// The size of the parts in which outputs are uploaded.
    pub part: usize,
}

impl Plan {
    /// The same plan, perhaps with gathers that have little time.
    pub fn hasty(mut self) -> Self {
        let mut rng = Rng::with_seed(self.seed ^ HASTE);
        let large = self.files.iter().any(|file| file.records.len() > 100);
        let at_most = [0, 40, 200, 2_000][rng.usize(usize::from(large)..4)];
        let checkpoint_after = [0, 30, 100, 60_000][rng.usize(..4)];
        let part = [40, 150, 600, 4_000][rng.usize(usize::from(large)..4)];
        self.haste = (rng.u32(..4) == 0).then_some(Haste { at_most, checkpoint_after, part });
        self
    }

    /// A batch whose outputs are written outcome by outcome, each by another invocation.
    pub fn piecemeal(variant: Variant) -> Self {
        Self { haste: Some(Haste { at_most: 0, checkpoint_after: 0, part: 100 }), ..Self::small(variant) }
    }

    /// The same of many objects.
    pub fn piecemeal_objects(variant: Variant) -> Self {
        Self { haste: Some(Haste { at_most: 0, checkpoint_after: 0, part: 60 }), ..Self::objects(variant) }
    }
}

/// The batch whose checkpoints are under a key, or under a prefix.
pub fn batch_of(key: &str) -> Option<BatchId> {
    let (batch, rest) = key.split_once('/')?;
    rest.strip_prefix("gather/")?;
    BatchId::parse(batch).ok()
}

/// The line of a checkpoint, and what follows it.
fn divided(checkpoint: &[u8]) -> (Value, &[u8]) {
    let line = checkpoint.iter().position(|byte| *byte == b'\n').unwrap();
    (serde_json::from_slice(&checkpoint[..line]).unwrap(), &checkpoint[line + 1..])
}

fn joined(head: &Value, rest: &[u8]) -> Bytes {
    [head.to_string().as_bytes(), b"\n", rest].concat().into()
}

fn number(value: &Value) -> u64 {
    value.as_u64().unwrap_or_default()
}

fn count(value: &Value) -> u64 {
    value.as_array().map_or(0, |values| values.len() as u64)
}

/// How far a checkpoint is: a number that grows with everything that gather does.
fn distance(checkpoint: &[u8]) -> u64 {
    let (head, _) = divided(checkpoint);
    let (state, flag) = (&head["state"], |value: &Value| u64::from(value == &json!(true)));
    let merged = number(&state["tally"]["succeeded"]) + number(&state["tally"]["failed"]);
    let lane = |lane: &Value| {
        let (walk, beside) = (&lane["walk"], &lane["beside"]);
        let walked = 257 * number(&walk["leaf"]) - count(&walk["left"]["read"]);
        walked + number(&beside["next"]) + flag(&beside["walked"]) + flag(&lane["ended"])
    };
    let lanes: u64 = state["lanes"].as_array().unwrap().iter().map(lane).sum();
    let written = state["documents"]["whole"].as_array().into_iter().flatten().map(|place| flag(&place["written"]));
    merged + lanes + flag(&state["ended"]) + written.sum::<u64>() + count(&state["documents"]["keys"])
}

impl State {
    /// Called when a checkpoint is written.
    pub fn at_checkpoint(&mut self, key: &str, checkpoint: &[u8]) {
        let Some(batch) = batch_of(key) else { return };
        let now = distance(checkpoint);
        // Without the upload, or the input, there is nothing to go on with.
        let before = self.distances.insert(batch.clone(), now);
        let back = before.is_some_and(|before| before >= now);
        if back && !self.gone.remove(&batch.in_generation(0)) && self.shredded.is_empty() {
            let why = format!("{key} of {batch} is at {now}, and there was one at {before:?}");
            self.breaks(Broken { invariant: GETS_ON, why });
        }
    }

    /// Called when the upload of a document was not there, since another function had completed it.
    pub fn at_missing(&mut self, key: &str) {
        self.reach("upload that is gone");
        let batch = key.split_once('/').and_then(|(batch, _)| BatchId::parse(batch).ok());
        self.gone.extend(batch);
    }

    /// Called when a checkpoint is read.
    pub fn at_going_on(&mut self, key: &str) {
        self.reach("outputs gone on with");
        let batch = batch_of(key);
        if batch.as_ref().is_some_and(|batch| batch.generation() > 0) {
            self.reach("outputs of a redrive gone on with");
        }
        let first = batch.map(|batch| batch.in_generation(0));
        let file = self.batches.iter().position(|batch| Some(batch) == first.as_ref());
        if file.is_some_and(|file| !self.plan.files[file].parts.is_empty()) {
            self.reach("outputs of many objects gone on with");
        }
    }
}

/// The checkpoint that a mutant writes instead.
pub fn mutated(mutation: Option<Mutation>, checkpoint: Bytes) -> Bytes {
    let (mut head, rest) = divided(&checkpoint);
    match mutation {
        Some(Mutation::WaitingCountsTwice) => {
            for lane in head["state"]["lanes"].as_array_mut().unwrap() {
                let waiting = lane["waiting"].as_array().unwrap();
                let success = |outcome: &&Value| outcome["response"]["success"] == true;
                let succeeded = waiting.iter().filter(success).count() as u64;
                let failed = waiting.len() as u64 - succeeded;
                lane["tally"]["succeeded"] = (number(&lane["tally"]["succeeded"]) + succeeded).into();
                lane["tally"]["failed"] = (number(&lane["tally"]["failed"]) + failed).into();
            }
            joined(&head, rest)
        }
        Some(Mutation::RestIsLost) => {
            let hashes = 8 * number(&head["state"]["hashes"]) as usize;
            let documents = &mut head["state"]["documents"];
            if documents.is_null() {
                return checkpoint;
            }
            let lose = |place: &mut Value| {
                if !place["rest"].is_null() {
                    place["rest"] = 0.into();
                }
            };
            documents["whole"].as_array_mut().into_iter().flatten().for_each(lose);
            if let Some(current) = documents["current"].get_mut(2) {
                lose(current);
            }
            joined(&head, &rest[rest.len() - hashes..])
        }
        Some(Mutation::TallyIsForgotten) => {
            head["state"]["tally"] = json!({"succeeded": 0, "failed": 0, "failed_chunks": 0});
            joined(&head, rest)
        }
        _ => checkpoint,
    }
}
