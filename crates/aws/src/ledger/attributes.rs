//! The items of the ledger table, and their attributes.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use aws_sdk_dynamodb::types::AttributeValue;
use serde::de::DeserializeOwned;

use fanfold::model::calls::StageCalls;
use fanfold::model::condition::Condition;
use fanfold::model::error::{Error, Result};
use fanfold::model::failures::Explained;
use fanfold::model::ids::{BatchId, ChunkIndex};
use fanfold::model::input::InputRef;
use fanfold::model::progress::{Batch, BatchState, Leaf, Node, Observation, Opening, Sealing, Tally};
use fanfold::model::range::Claim;
use fanfold::model::reason::{Reason, ReasonId};
use fanfold::model::schema::Rules;
use fanfold::model::timestamp::Timestamp;
use fanfold::store::ledger::{LastFailure, Listed, OpenBatch, Part, Trouble};

/// The prefix of the key of a batch's item.
const BATCH: &str = "BATCH#";

/// One item's attributes.
pub type Attributes = HashMap<String, AttributeValue>;

/// The key of a batch's item.
pub fn batch_key(batch: &BatchId) -> String {
    format!("{BATCH}{batch}")
}

/// The key of a leaf's item.
pub fn leaf_key(batch: &BatchId, leaf: u32) -> String {
    format!("LEAF#{batch}#{leaf:05}")
}

/// The key of a node's item.
pub fn node_key(batch: &BatchId, node: u32) -> String {
    format!("NODE#{batch}#{node:03}")
}

/// The key of an item that holds claims.
pub fn claims_key(batch: &BatchId, group: u32) -> String {
    format!("CLAIMS#{batch}#{group:05}")
}

/// The key of an item that holds rules.
pub fn rules_key(digest: &str) -> String {
    format!("RULES#{digest}")
}

/// The key of the item that counts how often a message was tried.
pub fn tries_key(message: &str) -> String {
    format!("TRIES#{message}")
}

/// A count of such an item.
pub fn tries(item: &Attributes, what: &str) -> u32 {
    item.get(what).and_then(|count| count.as_n().ok()?.parse().ok()).unwrap_or_default()
}

/// The value of `open` in a batch that is not closed.
pub const OPEN: &str = "1";

/// The key of the item that holds why a part of a batch could not be processed.
pub fn failure_key(batch: &BatchId, part: Part) -> String {
    match part {
        Part::Scatter => format!("FAILURE#{batch}#scatter"),
        Part::Chunk(chunk) => format!("FAILURE#{batch}#{:08}", chunk.get()),
        Part::Gather => format!("FAILURE#{batch}#gather"),
    }
}

/// The items that count a stage's calls together. Each invocation adds to one, and an item takes 1,000 writes a second:
/// <https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/bp-partition-key-design.html>
pub const CALL_SHARDS: u32 = 8;

/// The key of one of these items.
pub fn calls_key(batch: &BatchId, stage: &str, shard: u32) -> String {
    format!("CALLS#{batch}#{stage}#{shard}")
}

/// The key of the item that says what people decided about the pipeline; it does not expire.
pub const PIPELINE_KEY: &str = "PIPELINE";

/// Since when the workers are paused, in that item.
pub fn paused_of(item: &Attributes) -> Option<Timestamp> {
    number(item, "pausedAt").map(Timestamp)
}

/// The value of `listed` in every batch.
pub const LISTED: &str = "1";

/// The item of a batch just opened. Its attribute `open` puts it into the sparse index of open batches, and `listed` into
/// that of all.
pub fn batch_item(opening: &Opening) -> Attributes {
    let input = serde_json::to_string(&opening.input).unwrap_or_default();
    [
        ("pk", AttributeValue::S(batch_key(&opening.id))),
        ("batchId", AttributeValue::S(opening.id.to_string())),
        ("state", AttributeValue::S(BatchState::Scattering.name().to_owned())),
        ("variant", AttributeValue::S(opening.variant.clone())),
        ("input", AttributeValue::S(input)),
        ("condition", AttributeValue::S(condition_name(opening.condition).to_owned())),
        ("ranged", AttributeValue::Bool(opening.ranged)),
        ("chunkSize", AttributeValue::N(opening.chunk_size.to_string())),
        ("startedAt", AttributeValue::N(opening.started_at.0.to_string())),
        ("sequence", AttributeValue::N(opening.sequence.0.to_string())),
        ("open", AttributeValue::S(OPEN.to_owned())),
        ("listed", AttributeValue::S(LISTED.to_owned())),
    ]
    .into_iter()
    .chain(opening.rules.iter().map(|digest| ("rules", AttributeValue::S(digest.clone()))))
    .chain(opening.only.iter().map(|reason| ("only", AttributeValue::S(reason.as_str().to_owned()))))
    .map(|(name, value)| (name.to_owned(), value))
    .collect()
}

fn condition_name(condition: Condition) -> &'static str {
    match condition {
        Condition::Tree => "tree",
        Condition::Listing => "listing",
    }
}

/// The condition with that name. Batches opened before the name was kept have none; of the variants of that
/// time, two used a listing.
fn condition_of(name: Option<&str>, variant: &str) -> Condition {
    match name.unwrap_or(variant) {
        "listing" | "sync" | "async" => Condition::Listing,
        _ => Condition::Tree,
    }
}

/// Reads a batch's item.
pub fn batch_of(item: &Attributes) -> Result<Batch> {
    let needed = |name: &str| text(item, name).ok_or_else(|| corrupt(name));
    let started_at = Timestamp(number(item, "startedAt").ok_or_else(|| corrupt("startedAt"))?);
    let opening = Opening {
        id: BatchId::parse(needed("batchId")?)?,
        variant: needed("variant")?.to_owned(),
        input: json::<InputRef>(item, "input")?.ok_or_else(|| corrupt("input"))?,
        condition: condition_of(text(item, "condition"), needed("variant")?),
        ranged: item.get("ranged").and_then(|ranged| ranged.as_bool().ok()).copied().unwrap_or_default(),
        rules: text(item, "rules").map(str::to_owned),
        only: text(item, "only").map(ReasonId::kept),
        chunk_size: number(item, "chunkSize").unwrap_or_default(),
        started_at,
        sequence: number(item, "sequence").map_or(started_at, Timestamp),
    };
    let state = BatchState::of_name(needed("state")?).ok_or_else(|| corrupt("state"))?;
    let sealing = match number::<u32>(item, "chunks") {
        None => None,
        Some(chunks) => Some(Sealing {
            records: number(item, "records"),
            chunks,
            columns: json(item, "columns")?,
            head: json(item, "head")?,
            error: json(item, "error")?,
            scattered_at: Timestamp(number(item, "scatteredAt").unwrap_or_default()),
        }),
    };
    Ok(Batch {
        opening,
        state,
        sealing,
        root: set(item, "root"),
        gather_started_at: number(item, "gatherStartedAt").map(Timestamp),
        gather_attempts: count(item, "gatherAttempts") as u32,
        lease_until: number(item, "leaseUntil").map(Timestamp),
        finished_at: number(item, "finishedAt").map(Timestamp),
        tally: item.contains_key("succeeded").then(|| tally(item)),
        bookmark: json(item, "bookmark")?,
        stop: json(item, "stop")?,
        seen: text(item, "seen").map(|mark| Observation {
            mark: mark.to_owned(),
            since: number(item, "seenSince").map_or(started_at, Timestamp),
            mended: number(item, "mended").unwrap_or_default(),
            next: Timestamp(number(item, "mendNext").unwrap_or_default()),
        }),
    })
}

/// Reads an item from the index of open batches.
pub fn open_batch_of(item: &Attributes) -> Result<OpenBatch> {
    let Listed { id, started_at } = listed_of(item)?;
    Ok(OpenBatch { id, started_at })
}

/// Reads an item from the index of all batches.
pub fn listed_of(item: &Attributes) -> Result<Listed> {
    // The index holds only keys.
    let id = text(item, "pk").and_then(|key| key.strip_prefix(BATCH));
    Ok(Listed {
        id: BatchId::parse(id.ok_or_else(|| corrupt("pk"))?)?,
        started_at: Timestamp(number(item, "startedAt").ok_or_else(|| corrupt("startedAt"))?),
    })
}

/// Reads an item that holds a failure.
pub fn failure_of(item: &Attributes) -> LastFailure {
    LastFailure {
        attempt: number(item, "attempt").unwrap_or_default(),
        message: text(item, "message").unwrap_or_default().to_owned(),
    }
}

/// What the names of attributes begin with that count reasons. Letters and digits only, so that they can stand in
/// expressions.
const WHY: &str = "why";

/// The attribute of a leaf that counts the records that failed for a reason.
pub fn reason_name(reason: &ReasonId) -> String {
    format!("{WHY}{}", reason.as_str())
}

/// Reads a leaf's item.
pub fn leaf_of(item: &Attributes) -> Leaf {
    let (done, excepted) = (set(item, "done"), set(item, "excepted"));
    let reason = |name: &String| Some((ReasonId::kept(name.strip_prefix(WHY)?), count(item, name)));
    let reasons = item.keys().filter_map(reason).collect();
    let marked = number(item, "firstAt").zip(number(item, "lastAt"));
    let marked = marked.map(|(first, last)| (Timestamp(first), Timestamp(last)));
    Leaf { done, excepted, size: number(item, "size"), tally: tally(item), reasons, marked }
}

/// The key of the item that has the words of a batch's reasons.
pub fn reasons_key(batch: &BatchId) -> String {
    format!("REASONS#{batch}")
}

/// Reads such an item: the reasons with their examples, by what counts them.
pub fn reasons_of(item: &Attributes) -> Result<BTreeMap<ReasonId, Explained>> {
    let mut reasons = BTreeMap::new();
    for (name, value) in item {
        let (Some(id), Ok(words)) = (name.strip_prefix(WHY), value.as_s()) else {
            continue;
        };
        let kept = item.get(&examples_name(id)).and_then(|kept| kept.as_l().ok());
        let kept = kept.into_iter().flatten().filter_map(|example| example.as_s().ok());
        let examples = kept.map(|text| serde_json::from_str(text).map_err(|e| corrupt(name).because(e)));
        let examples = examples.collect::<Result<_>>()?;
        reasons.insert(ReasonId::kept(id), Explained { reason: Reason::kept(words), examples });
    }
    Ok(reasons)
}

/// The attribute of that item that has a reason's examples.
pub fn examples_name(id: &str) -> String {
    format!("of{id}")
}

/// The key of the item that says what went wrong last.
pub fn trouble_key(batch: &BatchId) -> String {
    format!("TROUBLE#{batch}")
}

/// The name of a part.
pub fn part_name(part: Part) -> String {
    match part {
        Part::Scatter => "scatter".to_owned(),
        Part::Chunk(chunk) => chunk.get().to_string(),
        Part::Gather => "gather".to_owned(),
    }
}

/// Reads such an item.
pub fn trouble_of(item: &Attributes) -> Result<Trouble> {
    let part = match text(item, "part").unwrap_or_default() {
        "scatter" => Part::Scatter,
        "gather" => Part::Gather,
        chunk => Part::Chunk(ChunkIndex::new(chunk.parse().map_err(|e| corrupt("part").because(e))?)?),
    };
    Ok(Trouble {
        part,
        busy: item.get("busy").and_then(|busy| busy.as_bool().ok()).copied().unwrap_or_default(),
        attempt: number(item, "attempt").unwrap_or_default(),
        message: text(item, "message").unwrap_or_default().to_owned(),
        at: Timestamp(number(item, "at").unwrap_or_default()),
    })
}

/// Reads a node's item.
pub fn node_of(item: &Attributes) -> Node {
    Node { full: set(item, "full"), size: number(item, "size") }
}

/// Reads an item that holds claims.
pub fn claims_of(item: &Attributes) -> Result<Vec<Claim>> {
    Ok(json(item, "claims")?.unwrap_or_default())
}

/// Reads an item that holds rules.
pub fn rules_of(item: &Attributes) -> Result<Rules> {
    json(item, "rules")?.ok_or_else(|| corrupt("rules"))
}

/// Reads an item of calls; attributes with a dot in their name are requests.
pub fn calls_of(item: &Attributes) -> StageCalls {
    // Requests have a dot in their names; what a processor spent has none.
    let names = item.keys().filter(|name| !["pk", "messages", "expiresAt"].contains(&name.as_str()));
    StageCalls {
        messages: count(item, "messages"),
        requests: names.map(|name| (name.clone(), count(item, name))).collect(),
    }
}

fn tally(item: &Attributes) -> Tally {
    Tally {
        succeeded: count(item, "succeeded"),
        failed: count(item, "failed"),
        failed_chunks: count(item, "failedChunks"),
    }
}

fn corrupt(name: &str) -> Error {
    Error::internal(format!("a batch's item in the ledger has no usable {name}"))
}

fn text<'a>(item: &'a Attributes, name: &str) -> Option<&'a str> {
    item.get(name)?.as_s().ok().map(String::as_str)
}

pub fn number<T: std::str::FromStr>(item: &Attributes, name: &str) -> Option<T> {
    item.get(name)?.as_n().ok()?.parse().ok()
}

fn count(item: &Attributes, name: &str) -> u64 {
    number(item, name).unwrap_or_default()
}

fn set<T: std::str::FromStr + Ord>(item: &Attributes, name: &str) -> BTreeSet<T> {
    let numbers = item.get(name).and_then(|value| value.as_ns().ok());
    numbers.into_iter().flatten().filter_map(|n| n.parse().ok()).collect()
}

fn json<T: DeserializeOwned>(item: &Attributes, name: &str) -> Result<Option<T>> {
    text(item, name).map(|text| serde_json::from_str(text).map_err(|e| corrupt(name).because(e))).transpose()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_batch_of_before_conditions_were_kept_has_that_of_its_variant() {
        for condition in [Condition::Tree, Condition::Listing] {
            assert_eq!(condition_of(Some(condition_name(condition)), "any"), condition);
        }
        assert_eq!(["sync", "async"].map(|variant| condition_of(None, variant)), [Condition::Listing; 2]);
        assert_eq!(["chunked", "ranged"].map(|variant| condition_of(None, variant)), [Condition::Tree; 2]);
    }
}
