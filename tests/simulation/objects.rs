//! Batches over many objects: how a seed divides a file into objects, what is wrong with some, what people do to them
//! while the batch runs, and what the outputs must say.

use std::ops::Range;

use fanfold::model::fault::FaultCode;
use fanfold::model::ids::BatchId;
use fanfold::model::summary::Summary;
use fanfold::pipeline::variant::Variant;
use fanfold::store::blob::Blob;
use fastrand::Rng;
use futures::FutureExt;
use serde_json::json;

use super::invariant::{Broken, EQUALS, ONCE};
use super::output::{Line, failed_records, index_of};
use super::plan::{File, Form, Plan, Record};
use super::state::{INPUT, State};

const MANY: u64 = 0x0b1e_c75a_11d1_71de;
/// Where the objects are kept as they were found.
const FOUND: &str = "found.jsonl";

/// An object of a batch that is made of many.
#[derive(Debug, Clone)]
pub struct Part {
    pub key: String,
    /// Its records, among those of the file.
    pub records: Range<usize>,
    pub gzip: bool,
    pub flaw: Flaw,
    /// Whether its manifest names its version.
    pub pinned: bool,
    /// What becomes of it as soon as it was found.
    pub fate: Fate,
}

/// What is wrong with an object; only a torn one has records.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Flaw {
    None,
    Torn,
    Missing,
    Archive,
    OtherLayout,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    Stays,
    Overwritten,
    Deleted,
    /// Deleted with all its versions.
    Shredded,
}

impl Plan {
    /// A plan whose first batch, at least, is made of many objects: that of another kind of the same seed, divided.
    pub fn many(seed: u64, variant: Option<Variant>) -> Self {
        let mut rng = Rng::with_seed(seed ^ MANY);
        let mut plan = if rng.bool() { Self::of(seed, variant) } else { Self::swarm(seed, variant) };
        let shreds = plan.sweep && rng.u32(..10) == 0;
        for (number, file) in plan.files.iter_mut().enumerate() {
            if number == 0 || rng.bool() {
                divide(&mut rng, file, number, shreds);
            }
        }
        plan
    }

    /// A batch of several objects, one of which is missing and the others change, without random faults.
    pub fn objects(variant: Variant) -> Self {
        let mut plan = Self::small(variant);
        let file = &mut plan.files[0];
        let (many, form) = (file.records.len(), file.form);
        let part = |number: usize, records, flaw, fate| {
            let key = format!("in 0/{number}.{}", form.extension());
            Part { key, records, gzip: false, flaw, pinned: false, fate }
        };
        file.parts = vec![
            part(0, 0..2, Flaw::None, Fate::Overwritten),
            part(1, 2..2, Flaw::None, Fate::Stays),
            part(2, 2..2, Flaw::Missing, Fate::Overwritten),
            part(3, 2..many, Flaw::None, Fate::Deleted),
        ];
        (file.key, file.broken) = ("small.manifest.json".to_owned(), true);
        plan
    }
}

/// Divides a file into objects.
fn divide(rng: &mut Rng, file: &mut File, number: usize, shreds: bool) {
    let mut parts = Vec::new();
    let (mut from, many) = (0, file.records.len());
    let pinned = rng.bool();
    while from < many || parts.is_empty() || rng.u32(..3) == 0 {
        let length = match rng.u32(..4) {
            0 => 0,
            1 => 1,
            2 => 1 + rng.usize(..12),
            _ => many,
        };
        let until = (from + length).min(many);
        let (flaw, fate) = (flaw(rng, &parts), fate(rng, shreds));
        let whole = matches!(flaw, Flaw::None | Flaw::Torn);
        let records = if whole { from..until } else { from..from };
        from = records.end;
        let gzip = rng.u32(..4) == 0 || (flaw == Flaw::Torn && file.form != Form::Json);
        let form = if flaw == Flaw::OtherLayout { other(file.form) } else { file.form };
        let packed = if gzip { ".gz" } else { "" };
        let key = format!("in {number}/{}.{}{packed}", parts.len(), form.extension());
        parts.push(Part { key, records, gzip, flaw, pinned, fate });
    }
    let extension = ["json", "jsonl", "csv"][rng.usize(..3)];
    // Two files with one key keep one.
    let stem = file.key.split('.').next().unwrap_or_default();
    file.key = format!("{stem}.manifest.{extension}");
    (file.gzip, file.broken) = (false, parts.iter().any(|part| part.flaw != Flaw::None));
    file.parts = parts;
}

fn flaw(rng: &mut Rng, before: &[Part]) -> Flaw {
    // The first object that can be opened tells the layout.
    let told = before.iter().any(|part| !matches!(part.flaw, Flaw::Missing | Flaw::Archive));
    match rng.u32(..24) {
        0 | 1 => Flaw::Torn,
        2 => Flaw::Missing,
        3 => Flaw::Archive,
        4 if told => Flaw::OtherLayout,
        _ => Flaw::None,
    }
}

fn fate(rng: &mut Rng, shreds: bool) -> Fate {
    match rng.u32(..8) {
        0 | 1 => Fate::Overwritten,
        2 => Fate::Deleted,
        3 if shreds => Fate::Shredded,
        _ => Fate::Stays,
    }
}

fn other(form: Form) -> Form {
    if form == Form::Jsonl { Form::Csv } else { Form::Jsonl }
}

impl File {
    /// The form of its results.
    pub fn results(&self) -> Form {
        if self.parts.is_empty() { self.form } else { Form::Jsonl }
    }

    /// The records that scatter cuts into chunks by themselves.
    pub fn divisions(&self) -> Vec<Range<usize>> {
        let parts = self.parts.iter().map(|part| part.records.clone());
        if self.parts.is_empty() { std::iter::once(0..self.records.len()).collect() } else { parts.collect() }
    }

    fn part_of(&self, index: usize) -> Option<&Part> {
        self.parts.iter().find(|part| part.records.contains(&index))
    }

    fn part_bytes(&self, part: &Part) -> Vec<u8> {
        let records = &self.records[part.records.clone()];
        match part.flaw {
            Flaw::Archive => b"PK\x03\x04 of another program".to_vec(),
            Flaw::OtherLayout => self.encoded(other(self.form), &[], part.gzip, false),
            flaw => self.encoded(self.form, records, part.gzip, flaw == Flaw::Torn),
        }
    }
}

/// Uploads the objects of a file, and returns their manifest.
pub fn upload(state: &mut State, file: &File) -> Vec<u8> {
    let versions = file.parts.iter().map(|part| {
        let there = part.flaw != Flaw::Missing;
        let version = there.then(|| state.data.input.upload(&part.key, file.part_bytes(part)));
        if let Some(version) = &version {
            state.uploaded(&part.key, version);
        }
        version.filter(|_| part.pinned)
    });
    let listed: Vec<_> = file.parts.iter().map(|part| part.key.as_str()).zip(versions).collect();
    let object = |(key, version): &(&str, Option<String>)| match version {
        Some(version) => json!({"bucket": INPUT, "key": key, "versionId": version}),
        None if key.ends_with("0.csv") => json!({"Key": key, "Size": 7}),
        None => json!(format!("s3://{INPUT}/{key}")),
    };
    let row = |(key, version): &(&str, Option<String>)| {
        format!("{INPUT},{},{}\n", key.replace(' ', "+"), version.as_deref().unwrap_or_default())
    };
    let text = match file.key.rsplit('.').next() {
        Some("csv") => listed.iter().map(row).collect(),
        Some("jsonl") => listed.iter().map(|listed| format!("{}\n", object(listed))).collect(),
        _ => json!(listed.iter().map(object).collect::<Vec<_>>()).to_string(),
    };
    text.into_bytes()
}

/// Called when an object of the work bucket appears: once the objects of a batch were found, people change them.
pub fn at_appearing(state: &mut State, key: &str) {
    let batch = state.batches.iter().position(|id| id.objects_key(FOUND) == key);
    let Some(number) = batch.filter(|_| state.data.work.versions(key) == 1) else { return };
    let file = state.plan.files[number].clone();
    for part in &file.parts {
        match part.fate {
            Fate::Stays => {}
            Fate::Overwritten => {
                let record = Record { key: "later".into(), price: "1".into(), note: "from a later upload".into() };
                let bytes = file.encoded(file.form, &[record.clone(), record], part.gzip, false);
                state.data.input.upload(&part.key, bytes);
                state.reach("object overwritten after it was found");
            }
            Fate::Deleted => {
                state.data.input.delete(&part.key).now_or_never();
                state.reach("object deleted after it was found");
            }
            Fate::Shredded => {
                state.shredded.insert(part.key.clone());
                state.reach("object deleted with all its versions");
            }
        }
    }
}

/// What the summary of a batch says of its objects.
pub fn objects_are_right(id: &BatchId, file: &File, summary: &Summary, hurt: bool) -> Result<(), Broken> {
    let wrong = |why: String| Err(Broken { invariant: EQUALS, why });
    let alone = summary.error.as_ref().is_some_and(|error| error.code == FaultCode::GaveUp);
    if alone || (hurt && summary.objects.is_none()) {
        return Ok(());
    }
    let Some(objects) = &summary.objects else {
        return if file.parts.is_empty() { Ok(()) } else { wrong(format!("{id} tells of no objects")) };
    };
    let flawed = file.parts.iter().filter(|part| part.flaw != Flaw::None);
    let flawed: Vec<&str> = flawed.map(|part| part.key.as_str()).collect();
    let told: Vec<&str> = objects.faults.iter().map(|fault| fault.object.as_str()).collect();
    let counted = (objects.total as usize, objects.failed as usize);
    if !hurt && (counted != (file.parts.len(), flawed.len()) || !flawed.iter().take(20).eq(&told)) {
        return wrong(format!("{id} tells of {counted:?} objects, and that these failed: {told:?}, not {flawed:?}"));
    }
    let code = summary.error.as_ref().map(|error| error.code);
    if !hurt && (code == Some(FaultCode::UnreadableObjects)) == flawed.is_empty() {
        return wrong(format!("{id} ends with {code:?}, and these failed: {flawed:?}"));
    }
    Ok(())
}

/// The objects that outcomes name are those of their records.
pub fn origins_are_right(id: &BatchId, file: &File, lines: &[Line]) -> Result<(), Broken> {
    for line in lines {
        let part = index_of(&line.record).and_then(|index| file.part_of(index)).map(|part| part.key.clone());
        if line.object != part {
            let why = format!("{id} says that {:?} is from {:?}, not {part:?}", line.record, line.object);
            return Err(Broken { invariant: EQUALS, why });
        }
    }
    Ok(())
}

/// The keys under which the failed records of a file may be.
fn failed_keys(id: &BatchId, file: &File) -> Vec<(String, Range<usize>)> {
    let extension = file.form.extension();
    if file.parts.is_empty() {
        return vec![(id.output_key(&format!("failed.{extension}")), 0..file.records.len())];
    }
    let key = |(number, part): (usize, &Part)| {
        let stem = part.key.rsplit('/').next().and_then(|name| name.split('.').next()).unwrap_or_default();
        (id.output_key(&format!("failed/{number:05}-{stem}.{extension}")), part.records.clone())
    };
    file.parts.iter().enumerate().map(key).collect()
}

/// The failed records that a batch has in its outputs, cut from the file byte for byte; `None` if there are none.
pub fn failed_found(state: &State, id: &BatchId, file: &File) -> Result<Option<Vec<Record>>, Broken> {
    let keys = failed_keys(id, file);
    let there = state.data.output.keys();
    let stray = there.iter().find(|key| key.starts_with(&id.output_key("failed")) && keys.iter().all(|k| k.0 != **key));
    if let Some(stray) = stray {
        return Err(Broken { invariant: EQUALS, why: format!("{id} has {stray}") });
    }
    let mut all: Option<Vec<Record>> = None;
    for (key, records) in keys {
        let Some(bytes) = state.data.output.read(&key) else { continue };
        let found = failed_records(&bytes, file.form);
        let unreadable = || Broken { invariant: EQUALS, why: format!("{key} is not readable") };
        let found = found.ok_or_else(unreadable)?;
        let within = found.iter().all(|record| index_of(record).is_some_and(|index| records.contains(&index)));
        if !within || found.is_empty() {
            return Err(Broken { invariant: ONCE, why: format!("{key} has none or other records: {found:?}") });
        }
        if bytes != file.repeated(&found) {
            return Err(Broken { invariant: EQUALS, why: format!("{key} repeats failed records in other bytes") });
        }
        all.get_or_insert_default().extend(found);
    }
    Ok(all)
}
