//! The plan that a seed makes: the files, their chunks, and what goes wrong.

use std::io::Write;

use fanfold::model::condition::Condition;
use fanfold::model::limits::Limits;
use fanfold::model::tolerance::Tolerance;
use fanfold::pipeline::variant::{BUILT_IN, Variant};
use fanfold::stage::gather::Results;
use fanfold::store::items::WriteMode;
use fastrand::Rng;
use flate2::Compression;
use flate2::write::GzEncoder;

use super::brief::Brief;
use super::checkpoints::Haste;
use super::late::Absent;
use super::objects::Part;
use super::service::Service;

/// The price of a record whose item the table rejects.
pub const REFUSED: &str = "13.5";

const HEADER: &str = "itemNo,price,note\n";

/// A record in the reference model.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    pub key: String,
    pub price: String,
    pub note: String,
}

impl Record {
    /// The reference model: whether the record is stored if nothing goes wrong.
    pub fn is_valid(&self) -> bool {
        self.is_number() && self.price != REFUSED
    }

    pub fn is_number(&self) -> bool {
        self.price.parse::<f64>().is_ok()
    }
}

/// The format of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    Csv,
    Json,
    Jsonl,
}

/// A file of records.
#[derive(Debug, Clone)]
pub struct File {
    pub key: String,
    pub form: Form,
    pub records: Vec<Record>,
    /// Whether it is compressed.
    pub gzip: bool,
    /// Whether it cannot be read to its end.
    pub broken: bool,
    /// When it is uploaded, in milliseconds.
    pub at: i64,
    /// How often its event is delivered.
    pub events: u32,
    /// When its batch is cancelled, if it is.
    pub cancelled_at: Option<i64>,
    /// A chunk that cannot be processed.
    pub poison: Option<u32>,
    /// The objects that the records lie in, if there are many: then it is a manifest.
    pub parts: Vec<Part>,
    /// What the file has after its records, which no chunk holds: the limit of a batch is reached before.
    pub beyond: Vec<Record>,
    /// The service that its records are sent to.
    pub service: Option<Service>,
}

impl File {
    pub fn bytes(&self) -> Vec<u8> {
        self.encoded(self.form, &[&self.records[..], &self.beyond].concat(), self.gzip, self.broken)
    }

    /// The bytes of a file of records, which may be broken.
    pub fn encoded(&self, form: Form, records: &[Record], gzip: bool, broken: bool) -> Vec<u8> {
        let texts: Vec<String> = records.iter().map(|record| text(form, record)).collect();
        let lines = || texts.iter().map(|text| format!("{text}\n")).collect::<String>();
        let mut bytes = match form {
            Form::Csv => format!("{HEADER}{}", lines()).into_bytes(),
            Form::Jsonl => lines().into_bytes(),
            Form::Json => {
                let end = if broken { "" } else { "]}" };
                format!(r#"{{"records":[{}{end}"#, texts.join(",")).into_bytes()
            }
        };
        if gzip {
            let mut gzip = GzEncoder::new(Vec::new(), Compression::fast());
            bytes = gzip.write_all(&bytes).and_then(|()| gzip.finish()).unwrap();
            // All records are there without the checksum, but nobody can know that.
            let cut = if broken && form != Form::Json { 8 } else { 0 };
            bytes.truncate(bytes.len() - cut);
        }
        bytes
    }

    /// The file of failed records, if these are they: cut from the file.
    pub fn repeated(&self, failed: &[Record]) -> Vec<u8> {
        let texts: Vec<String> = failed.iter().map(|record| text(self.form, record)).collect();
        match self.form {
            Form::Csv => format!("{HEADER}{}\n", texts.join("\n")),
            Form::Json => format!("{{\"records\":[\n{}\n]}}\n", texts.join(",\n")),
            Form::Jsonl => texts.join("\n") + "\n",
        }
        .into_bytes()
    }
}

/// The text of a record in the file. Of some, it is not the one that an encoder would make of its fields.
fn text(form: Form, record: &Record) -> String {
    let Record { key, price, note } = record;
    let odd = note.ends_with(['0', '3', '6']);
    let number = if record.is_number() { price.clone() } else { format!("\"{price}\"") };
    match (form, odd) {
        (Form::Csv, false) => format!("{key},{price},{note}"),
        (Form::Csv, true) => format!("\"{key}\",{price},{note}"),
        (Form::Json, true) => format!("{{\"itemNo\" : \"{key}\",\n  \"price\":{number}, \"note\":\"{note}\"\r}}"),
        (Form::Jsonl, true) => format!("{{ \"itemNo\":\"{key}\", \"price\":{number}, \"note\":\"{note}\"}}"),
        (_, false) => format!(r#"{{"itemNo":"{key}","price":{number},"note":"{note}"}}"#),
    }
}

/// Where a record was stored: the generation of its batch, and the chunk within it.
pub type Stored = (u32, usize);

impl File {
    /// The reference model: where each record is stored if nothing goes wrong, after that many redrives; `None`
    /// if it fails. Of a chunk's records with the same key the last one is written; if the table rejects it,
    /// none of them is. No chunk has records of two objects, until a redrive cuts the failed records anew.
    pub fn stored(&self, chunk_size: usize, generation: u32) -> Vec<Option<Stored>> {
        let mut stored = vec![None; self.records.len()];
        for generation in 0..=generation {
            let divisions: Vec<Vec<usize>> = if generation == 0 {
                self.divisions().into_iter().map(Iterator::collect).collect()
            } else {
                vec![(0..stored.len()).filter(|index| stored[*index].is_none()).collect()]
            };
            for (number, chunk) in divisions.iter().flat_map(|waiting| waiting.chunks(chunk_size)).enumerate() {
                for index in chunk.iter().filter(|index| self.takes(**index, chunk)) {
                    stored[*index] = Some((generation, number));
                }
            }
        }
        stored
    }

    fn takes(&self, index: usize, chunk: &[usize]) -> bool {
        if !self.makes_items() {
            return self.comes_through(index);
        }
        let record = &self.records[index];
        let rivals = chunk.iter().filter(|index| self.comes_through(**index)).map(|index| &self.records[*index]);
        self.comes_through(index) && rivals.rev().find(|other| other.key == record.key).is_some_and(Record::is_valid)
    }

    /// Whether a record may ever be reported as stored, however the file was cut: it, or a later record with
    /// its key, is written.
    pub fn may_succeed(&self, index: usize) -> bool {
        let record = &self.records[index];
        if !self.makes_items() {
            return self.comes_through(index);
        }
        self.comes_through(index)
            && self.records[index..].iter().any(|other| other.key == record.key && other.is_valid())
    }
}

/// The probabilities of faults, in ten-thousandths of all calls.
#[derive(Debug, Clone, Copy, Default)]
pub struct Chaos {
    /// A call fails before its effect.
    pub before: u32,
    /// A call fails after its effect.
    pub after: u32,
    /// A call on several items reaches only some of them.
    pub midway: u32,
    /// The function dies at a call.
    pub death: u32,
    /// A call takes so long that the function may run out of time.
    pub slow: u32,
    /// A message arrives while it is being worked on.
    pub twice: u32,
    /// A message that was processed arrives again.
    pub unacknowledged: u32,
    /// The number of faults after which nothing goes wrong.
    pub most: u32,
}

/// A call that is affected in a percentage of cases, whichever function makes it.
#[derive(Debug, Clone, Copy)]
pub struct Often {
    pub call: &'static str,
    pub percent: u32,
    /// Until when, in milliseconds.
    pub until: i64,
}

/// Everything that a seed decides before the simulation starts.
#[derive(Debug, Clone)]
pub struct Plan {
    pub seed: u64,
    pub variant: Variant,
    pub chunk_size: usize,
    pub mode: WriteMode,
    pub results: Results,
    pub files: Vec<File>,
    pub chaos: Chaos,
    /// Whether sweep runs. Without it, every batch has to end by redeliveries alone.
    pub sweep: bool,
    /// How often failed records are redriven.
    pub redrives: u32,
    /// Whether messages arrive that fanfold did not send, or that name unknown batches.
    pub strangers: bool,
    /// A call that fails for every function, and for how many milliseconds.
    pub outage: Option<(&'static str, i64)>,
    /// From when until when people pause the workers, in milliseconds.
    pub paused: Option<(i64, i64)>,
    /// A call that fails, before or after its effect.
    pub flaky: Option<Often>,
    /// A call that is slow.
    pub sluggish: Option<Often>,
    /// A call, or any call, for which services are busy in a percentage of cases.
    pub busy: Option<Often>,
    /// Whether the tables and the work bucket take only as much as new ones of AWS, and the most functions that then
    /// process chunks at once.
    pub workers: Option<usize>,
    /// The write units of an item of such a table.
    pub units: u32,
    /// The percentage of messages that are lost in the first hour.
    pub lossy: u32,
    /// A chunk of the first file whose records can no longer be read.
    pub unreadable: Option<u32>,
    /// Whether some process functions are of a deployment with another schema, under which no record is valid.
    pub redeployed: bool,
    /// How much one batch may make.
    pub limits: Limits,
    /// How inputs are read that were uploaded a moment ago.
    pub absent: Option<Absent>,
    /// How little time scatter has.
    pub brief: Option<Brief>,
    /// How gather is hurried.
    pub haste: Option<Haste>,
    /// The service that records are sent to before they are stored.
    pub service: Option<Service>,
    /// Whether counters are kept.
    pub counted: bool,
    /// How many records of a batch may fail.
    pub tolerance: Tolerance,
}

/// What the limits of a seed are drawn by: none of the seeds that were kept before has any.
const LIMITED: u64 = 0x1131_7ed0_c0ff_ee21;

/// Calls that an outage may affect.
const CALLS: [&str; 10] = [
    "blob.put",
    "blob.put_new",
    "blob.get",
    "blob.get_range",
    "items.write",
    "channel.send",
    "ledger.put_claims",
    "ledger.mark_leaf",
    "ledger.seal",
    "ledger.take",
];

/// Calls for which a service may be busy: a name, or any of them.
pub const ANY_CALL: &str = "any call";
const BUSY_CALLS: [&str; 8] = [
    "blob.put",
    "blob.put_new",
    "blob.get",
    "blob.get_range",
    "items.write",
    "tasks.resolve",
    "ledger.mark_leaf",
    "channel.send",
];

/// The number of variants that a seed chooses among: those that existed when the first seeds were kept.
pub const FIRST_VARIANTS: usize = 5;

impl Plan {
    /// The plan of a seed, with a variant if the seed is not to choose one.
    pub fn of(seed: u64, variant: Option<Variant>) -> Self {
        let mut rng = Rng::with_seed(seed);
        let chosen = BUILT_IN[rng.usize(..BUILT_IN.len().min(FIRST_VARIANTS))];
        Self::with(seed, variant.unwrap_or(chosen), &mut rng)
    }

    /// A batch of three chunks, without random faults and without sweep.
    pub fn small(variant: Variant) -> Self {
        let mut plan = Self::with(7, variant, &mut Rng::with_seed(7));
        let chunk_size = 3;
        let many = 2 * variant.chunk_size(chunk_size) + 1;
        let record = |n: usize| Record {
            key: format!("k{n}"),
            price: if n == 1 { "free".to_owned() } else { format!("{n}.5") },
            note: format!("f0n{n}"),
        };
        let file = File {
            key: "small.csv".to_owned(),
            form: Form::Csv,
            records: (0..many).map(record).collect(),
            gzip: false,
            broken: false,
            at: 0,
            events: 1,
            cancelled_at: None,
            poison: None,
            parts: Vec::new(),
            beyond: Vec::new(),
            service: None,
        };
        plan.files = vec![file];
        let (chaos, results) = (Chaos::default(), Results::All);
        let plan =
            Self { sweep: false, redrives: 0, strangers: false, outage: None, redeployed: true, busy: None, ..plan };
        Self { chunk_size, chaos, results, ..plan }
    }

    /// The same plan with a chunk that cannot be processed: bury and sweep have to end the batch.
    pub fn poisoned(variant: Variant) -> Self {
        let mut plan = Self { sweep: true, ..Self::small(variant) };
        plan.files[0].poison = Some(0);
        plan
    }

    /// The same plan, cancelled before any chunk is processed. Under the listing condition only sweep notices a
    /// stop, so that a chunk has to keep the batch open until then.
    pub fn cancelled(variant: Variant) -> Self {
        let mut plan = Self { sweep: true, ..Self::small(variant) };
        plan.files[0].cancelled_at = Some(300);
        plan.files[0].poison = (variant.condition == Condition::Listing).then_some(0);
        plan
    }

    /// The same plan, perhaps with a limit of records that some of its files exceed, up to twice. Many objects stay below it.
    pub fn limited(mut self) -> Self {
        let mut rng = Rng::with_seed(self.seed ^ LIMITED);
        let many = |parted| {
            let of = move |file: &&File| file.parts.is_empty() != parted;
            self.files.iter().filter(of).map(|file| file.records.len()).max().unwrap_or_default()
        };
        let (drawn, most) = (rng.u32(..16) == 0, many(false));
        let limit = (most.div_ceil(2) + rng.usize(..=most / 2)).max(many(true)).max(1);
        if !drawn || most == 0 {
            return self;
        }
        self.limits = Limits::of_records(limit as u64);
        let chunk_size = self.variant.chunk_size(self.chunk_size);
        for file in self.files.iter_mut().filter(|file| file.records.len() > limit) {
            file.beyond = file.records.split_off(limit / chunk_size * chunk_size);
        }
        self
    }

    fn with(seed: u64, variant: Variant, rng: &mut Rng) -> Self {
        // A few faults must never require sweep, nor exhaust a message's receives; a storm may.
        let storm = rng.u32(..3) == 0;
        let mut files: Vec<File> = (0..1 + rng.usize(..2)).map(|n| file(rng, n, storm)).collect();
        // Some batches fill more than one leaf of the completion tree.
        let large = rng.u32(..300) == 0 && variant.condition == Condition::Tree;
        if large {
            files[0].records = records(rng, 0, 257 + rng.clone().usize(..60));
        }
        let chaos = if storm {
            let level = [20, 100, 400][rng.usize(..3)];
            Chaos {
                before: rng.u32(..level),
                after: rng.u32(..level),
                midway: rng.u32(..level),
                death: rng.u32(..level),
                slow: rng.u32(..level / 4),
                twice: rng.u32(..1000),
                unacknowledged: rng.u32(..1000),
                most: 1 + rng.u32(..200),
            }
        } else {
            Chaos {
                before: 100,
                after: 100,
                midway: 100,
                death: 150,
                slow: 10,
                twice: 600,
                unacknowledged: 300,
                most: rng.u32(..5),
            }
        };
        Self {
            seed,
            variant,
            chunk_size: if large { 1 } else { 1 + rng.usize(..6) },
            mode: if rng.bool() { WriteMode::Batch } else { WriteMode::Ordered },
            results: [Results::All, Results::All, Results::All, Results::Failed, Results::None][rng.usize(..5)],
            files,
            chaos,
            sweep: storm,
            redrives: if storm { rng.u32(..3) } else { 0 },
            strangers: storm && rng.u32(..10) == 0,
            paused: None,
            outage: (storm && rng.u32(..20) == 0).then(|| {
                let hours = [1, 3, 30][rng.usize(..3)];
                (CALLS[rng.usize(..CALLS.len())], hours * 3_600_000)
            }),
            flaky: None,
            sluggish: None,
            busy: busy(seed),
            workers: None,
            units: 1,
            lossy: 0,
            unreadable: None,
            redeployed: rng.clone().u32(..8) == 0,
            limits: Limits::NONE,
            absent: None,
            brief: None,
            haste: None,
            service: None,
            counted: false,
            tolerance: Tolerance::All,
        }
    }
}

/// One plan in six has a busy service, by a generator of its own: the plans of seeds that were kept stay what they were.
fn busy(seed: u64) -> Option<Often> {
    let mut rng = Rng::with_seed(seed ^ 0xb0_5e);
    let call = if rng.bool() { ANY_CALL } else { BUSY_CALLS[rng.usize(..BUSY_CALLS.len())] };
    let percent = [10, 50, 90, 100][rng.usize(..if call == ANY_CALL { 3 } else { 4 })];
    let until = [1, 20, 200][rng.usize(..3)] * 60_000;
    (rng.u32(..6) == 0).then_some(Often { call, percent, until })
}

fn file(rng: &mut Rng, number: usize, storm: bool) -> File {
    let form = [Form::Csv, Form::Json, Form::Jsonl][rng.usize(..3)];
    let gzip = rng.u32(..8) == 0;
    let extension = ["csv", "json", "jsonl"][form as usize];
    let packed = if gzip { ".gz" } else { "" };
    let many = [0, 1, rng.usize(..8), rng.usize(..30)][rng.usize(..4)];
    let minutes = |rng: &mut Rng, most: i64| rng.i64(0..most * 60_000);
    let mut file = File {
        key: format!("file {number}.{extension}{packed}"),
        form,
        records: records(rng, number, many),
        gzip,
        broken: rng.u32(..20) == 0,
        at: (1 + minutes(rng, 1)) * number as i64,
        events: 1 + u32::from(rng.u32(..4) == 0),
        cancelled_at: (storm && rng.u32(..10) == 0).then(|| rng.i64(0..2_000)),
        poison: (storm && rng.u32(..5) == 0).then(|| rng.u32(..3)),
        parts: Vec::new(),
        beyond: Vec::new(),
        service: None,
    };
    // Whatever bytes are in rows or lines, they break nothing but themselves.
    if file.broken && form != Form::Json && !gzip {
        file.gzip = true;
        file.key.push_str(".gz");
    }
    file
}

pub fn records(rng: &mut Rng, file: usize, many: usize) -> Vec<Record> {
    // Few keys, so that some records share one, within a file and between files.
    let keys = (many as u32 * 3).max(1);
    let record = |n: usize| Record {
        key: format!("k{}", rng.u32(..keys)),
        price: if rng.u32(..10) == 0 { "free".to_owned() } else { format!("{n}.5") },
        note: format!("f{file}n{n}"),
    };
    (0..many).map(record).collect()
}
