//! Plans that reach rare situations by swarm testing: each has much of a few faults instead of a little of all.
//! They modify the plain plan of the same seed, with a generator of their own.

use fanfold::model::condition::Condition;
use fanfold::pipeline::variant::{BUILT_IN, Variant};
use fanfold::stage::gather::Results;
use fanfold::store::items::WriteMode;
use fastrand::Rng;

use super::plan::{Chaos, File, Form, Often, Plan, REFUSED, Record};

const SWARM: u64 = 0x5eed_0f5a_a3b1_e5ed;
const HOUR: i64 = 3_600_000;

/// Calls of which one may fail most of the time.
const CALLS: [&str; 14] = [
    "blob.put",
    "blob.put_new",
    "blob.get",
    "blob.get_range",
    "blob.list",
    "blob.delete",
    "items.write",
    "channel.send",
    "ledger.put_claims",
    "ledger.read",
    "ledger.mark_leaf",
    "ledger.seal",
    "ledger.take",
    "ledger.close",
];

impl Plan {
    pub fn swarm(seed: u64, variant: Option<Variant>) -> Self {
        let mut rng = Rng::with_seed(seed ^ SWARM);
        let mut plan = Self::of(seed, variant);
        // One leaf of the tree is enough here: large batches are left to plain plans.
        plan.files.iter_mut().for_each(|file| file.records.truncate(36));
        if rng.bool() {
            let many = 1 + rng.usize(..36);
            crowd(&mut rng, &mut plan.files[0], many);
        }
        if plan.files.len() > 1 && rng.u32(..8) == 0 {
            overwrite(&mut plan.files);
        }
        match rng.u32(..8) {
            0 | 1 => hot_call(&mut rng, &mut plan),
            2 | 3 => twins(&mut rng, &mut plan),
            4 => torn(&mut rng, &mut plan),
            5 => outrun(&mut rng, &mut plan),
            6 => lossy(&mut rng, &mut plan),
            _ => {}
        }
        plan
    }
}

/// Generates many records with few keys, one in ten of which the table rejects.
fn crowd(rng: &mut Rng, file: &mut File, many: usize) {
    let keys = 1 + rng.usize(..2 * many);
    let record = |n: usize| Record {
        key: format!("k{}", rng.usize(..keys)),
        price: match rng.u32(..10) {
            0 => REFUSED.to_owned(),
            1 => "free".to_owned(),
            _ => format!("{n}.5"),
        },
        note: format!("f0n{n}"),
    };
    file.records = (0..many).map(record).collect();
}

/// Uploads the second file under the key of the first, perhaps while that is being processed.
fn overwrite(files: &mut [File]) {
    let (key, form, gzip) = (files[0].key.clone(), files[0].form, files[0].gzip);
    let second = &mut files[1];
    (second.key, second.form, second.gzip) = (key, form, gzip);
    second.broken &= second.gzip || second.form == Form::Json;
}

/// A storm with one call that fails again and again, and few other faults.
fn hot_call(rng: &mut Rng, plan: &mut Plan) {
    storm(rng, plan);
    plan.chunk_size = if rng.bool() { 1 } else { plan.chunk_size };
    plan.flaky = Some(Often {
        call: CALLS[rng.usize(..CALLS.len())],
        percent: [10, 30, 60][rng.usize(..3)],
        until: [HOUR / 60, HOUR, 8 * HOUR][rng.usize(..3)],
    });
    plan.unreadable = (rng.u32(..8) == 0).then(|| rng.u32(..4));
}

/// Many chunks, and a scatter that keeps only some of them before it fails for good.
fn torn(rng: &mut Rng, plan: &mut Plan) {
    storm(rng, plan);
    if let Some(ranged) = BUILT_IN.iter().find(|variant| variant.ranged()) {
        plan.variant = *ranged;
    }
    plan.chunk_size = 1;
    let many = 11 + rng.usize(..26);
    crowd(rng, &mut plan.files[0], many);
    let call = ["ledger.put_claims", "channel.send", "ledger.seal"][rng.usize(..3)];
    plan.flaky = Some(Often { call, percent: [30, 60][rng.usize(..2)], until: HOUR });
}

/// Scatters so slow that their message is given up while they go on: they get to more chunks than their batch
/// was sealed with.
fn outrun(rng: &mut Rng, plan: &mut Plan) {
    storm(rng, plan);
    plan.chunk_size = 1;
    let many = 2 + rng.usize(..20);
    crowd(rng, &mut plan.files[0], many);
    let call = ["blob.put", "ledger.put_claims", "channel.send", "ledger.seal"][rng.usize(..4)];
    plan.sluggish = Some(Often { call, percent: [10, 30, 60][rng.usize(..3)], until: HOUR });
    plan.chaos = Chaos { death: rng.u32(..50), twice: 9_000, unacknowledged: 300, most: 200, ..Chaos::default() };
}

/// Messages that are lost for good, some along with a function that dies: only sweep can make up for them.
fn lossy(rng: &mut Rng, plan: &mut Plan) {
    storm(rng, plan);
    plan.files.iter_mut().for_each(|file| file.poison = None);
    plan.lossy = [10, 30, 60][rng.usize(..3)];
    plan.chaos = Chaos { death: 200, twice: 500, most: 30, ..Chaos::default() };
}

/// A storm of slow calls, and of messages that arrive while they are being worked on.
fn twins(rng: &mut Rng, plan: &mut Plan) {
    storm(rng, plan);
    let listing: Vec<_> = BUILT_IN.iter().filter(|variant| variant.condition == Condition::Listing).collect();
    if !listing.is_empty() && rng.bool() {
        plan.variant = *listing[rng.usize(..listing.len())];
    }
    plan.chaos = Chaos {
        before: rng.u32(..300),
        after: rng.u32(..100),
        midway: rng.u32(..300),
        death: rng.u32(..100),
        slow: 200 + rng.u32(..800),
        twice: 3000,
        unacknowledged: 300,
        most: 200,
    };
}

fn storm(rng: &mut Rng, plan: &mut Plan) {
    plan.sweep = true;
    plan.strangers = false;
    plan.outage = None;
    plan.redrives = rng.u32(..3);
    plan.results = if rng.u32(..4) == 0 { plan.results } else { Results::All };
    plan.mode = if rng.bool() { WriteMode::Batch } else { WriteMode::Ordered };
    plan.chaos.most = plan.chaos.most.max(1 + rng.u32(..30));
}

impl Form {
    pub fn extension(self) -> &'static str {
        match self {
            Self::Csv => "csv",
            Self::Json => "json",
            Self::Jsonl => "jsonl",
        }
    }
}
