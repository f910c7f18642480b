//! A ledger in DynamoDB. Each method is one conditional write, which DynamoDB applies atomically and orders per
//! item:
//! <https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Expressions.ConditionExpressions.html>
//!
//! The sets of leaves, nodes and batches grow by `ADD`, which creates item and set where they are missing
//! (<https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Expressions.UpdateExpressions.html>). A repeat fails
//! its condition, and asks for the item as it was then
//! (<https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_UpdateItem.html>).

mod answers;
mod attributes;
mod listing;
mod notes;

use std::collections::{BTreeSet, HashMap};
use std::ops::Range;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::operation::update_item::builders::UpdateItemFluentBuilder;
use aws_sdk_dynamodb::types::{AttributeValue, KeysAndAttributes, ReturnValue, ReturnValuesOnConditionCheckFailure};
use futures::stream::{self, StreamExt, TryStreamExt};

use self::attributes::{
    Attributes, OPEN, batch_item, batch_key, batch_of, claims_key, claims_of, leaf_key, leaf_of, node_key, node_of,
    open_batch_of, reason_name, rules_key, rules_of,
};
use crate::error;
use fanfold::model::error::{Error, Result};
use fanfold::model::ids::{BatchId, ChunkIndex, NODE_SIZE};
use fanfold::model::progress::{
    Batch, BatchState, Bookmark, Leaf, Mark, Node, Observation, Opening, SEAL_TOKEN, Sealing, Stop, Tally,
};
use fanfold::model::range::Claim;
use fanfold::model::schema::Rules;
use fanfold::model::timestamp::Timestamp;
use fanfold::store::ledger::{Claims, KEPT_SECONDS, Lease, Ledger, OpenBatch, OpenResult, RuleBook, Snapshot};

/// Items per read: <https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_BatchGetItem.html>
const BATCH_KEYS: usize = 100;
/// Such reads under way at once, where more items are wanted.
const READS: usize = 3;
const OPEN_PAGE: i32 = 100;

/// The ledger table.
#[derive(Debug, Clone)]
pub struct DynamoLedger {
    client: Client,
    table: String,
}

/// An item after a conditional update, or as it was when the condition failed.
enum Updated {
    After(Attributes),
    Refused(Option<Attributes>),
}

impl Updated {
    fn either(self) -> Option<Attributes> {
        match self {
            Self::After(item) => Some(item),
            Self::Refused(item) => item,
        }
    }
}

impl DynamoLedger {
    /// A table by its name.
    pub fn new(client: Client, table: impl Into<String>) -> Self {
        Self { client, table: table.into() }
    }

    /// Starts an update whose expressions name each attribute `x` as `#x`, since many of the plain names are
    /// reserved words.
    fn update(&self, key: String, expression: &str, condition: &str, names: &[&str]) -> UpdateItemFluentBuilder {
        let names = names.iter().map(|name| (format!("#{name}"), (*name).to_owned())).collect();
        self.client
            .update_item()
            .table_name(&self.table)
            .key("pk", AttributeValue::S(key))
            .update_expression(expression)
            .condition_expression(condition)
            .set_expression_attribute_names(Some(names))
            .return_values(ReturnValue::AllNew)
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld)
    }

    async fn send(&self, update: UpdateItemFluentBuilder) -> Result<Updated> {
        match update.send().await {
            Ok(done) => Ok(Updated::After(done.attributes.unwrap_or_default())),
            Err(error) => match error.as_service_error() {
                Some(service) if service.is_conditional_check_failed_exception() => {
                    let aws_sdk_dynamodb::operation::update_item::UpdateItemError::ConditionalCheckFailedException(
                        refused,
                    ) = error.into_service_error()
                    else {
                        return Ok(Updated::Refused(None));
                    };
                    Ok(Updated::Refused(refused.item))
                }
                _ => Err(error::of_call("update the table", &self.table, error)),
            },
        }
    }

    /// Reads items in one request. DynamoDB may leave out some that it has no capacity for.
    async fn read_items(&self, keys: Vec<String>) -> Result<HashMap<String, Attributes>> {
        let mut wanted = KeysAndAttributes::builder().consistent_read(true);
        for key in keys {
            wanted = wanted.keys(HashMap::from([("pk".to_owned(), AttributeValue::S(key))]));
        }
        let wanted = wanted.build().map_err(|e| Error::internal("a read without keys").because(e))?;
        let request = self.client.batch_get_item().request_items(&self.table, wanted);
        let mut found = request.send().await.map_err(|e| error::of_call("read the table", &self.table, e))?;
        let left = found.unprocessed_keys.as_ref().and_then(|left| left.get(&self.table));
        if left.is_some_and(|left| !left.keys.is_empty()) {
            return Err(Error::busy(format!("the table {} is too busy to be read", self.table)));
        }
        let items = found.responses.as_mut().and_then(|responses| responses.remove(&self.table)).unwrap_or_default();
        let keyed = |item: Attributes| Some((item.get("pk")?.as_s().ok()?.clone(), item));
        Ok(items.into_iter().filter_map(keyed).collect())
    }

    /// Reads items in as many requests as it takes, in the order of their keys; those that are not there are empty.
    async fn read_all<T: Default>(
        &self,
        keys: impl Iterator<Item = String>,
        parse: fn(&Attributes) -> T,
    ) -> Result<Vec<T>> {
        let keys: Vec<String> = keys.collect();
        let pages: Vec<Vec<String>> = keys.chunks(BATCH_KEYS).map(<[String]>::to_vec).collect();
        let read = |page: Vec<String>| async move {
            let found = self.read_items(page.clone()).await?;
            Ok(page.iter().map(|key| found.get(key).map(parse).unwrap_or_default()).collect::<Vec<T>>())
        };
        stream::iter(pages).map(read).buffered(READS).try_concat().await
    }

    /// Sets the size of a leaf or a node, once, and returns its item.
    async fn set_size(&self, key: String, size: u32, now: Timestamp) -> Result<Attributes> {
        let (expression, names) = ("SET #size = :size, #expiresAt = :x", ["size", "expiresAt"]);
        let update = self
            .update(key.clone(), expression, "attribute_not_exists(#size) OR #size = :size", &names)
            .expression_attribute_values(":size", number(size))
            .expression_attribute_values(":x", expiry(now));
        match self.send(update).await? {
            Updated::After(item) => Ok(item),
            Updated::Refused(_) => Err(Error::internal(format!("{key} has another size than {size} already"))),
        }
    }
}

fn unknown(batch: &BatchId) -> Error {
    Error::internal(format!("the ledger does not know batch {batch}"))
}

fn number(value: impl ToString) -> AttributeValue {
    AttributeValue::N(value.to_string())
}

fn set_of(value: impl ToString) -> AttributeValue {
    AttributeValue::Ns(vec![value.to_string()])
}

fn text(value: &str) -> AttributeValue {
    AttributeValue::S(value.to_owned())
}

fn expiry(now: Timestamp) -> AttributeValue {
    number(now.plus_seconds(KEPT_SECONDS).epoch_seconds())
}

impl Ledger for DynamoLedger {
    async fn open(&self, opening: &Opening) -> Result<OpenResult> {
        let mut item = batch_item(opening);
        item.insert("expiresAt".into(), expiry(opening.started_at));
        let put = self.client.put_item().table_name(&self.table).set_item(Some(item));
        let put = put
            .condition_expression("attribute_not_exists(pk)")
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld);
        let Err(error) = put.send().await else {
            return Ok(OpenResult::Created);
        };
        use aws_sdk_dynamodb::operation::put_item::PutItemError::ConditionalCheckFailedException;
        if !error.as_service_error().is_some_and(|e| e.is_conditional_check_failed_exception()) {
            return Err(error::of_call("write to the table", &self.table, error));
        }
        match error.into_service_error() {
            ConditionalCheckFailedException(refused) => {
                let item = refused.item.ok_or_else(|| unknown(&opening.id))?;
                Ok(OpenResult::Existing(Box::new(batch_of(&item)?)))
            }
            other => Err(Error::internal("an unexpected refusal").because(other)),
        }
    }

    async fn read(&self, batch: &BatchId) -> Result<Option<Batch>> {
        let request = self.client.get_item().table_name(&self.table).consistent_read(true);
        let request = request.key("pk", AttributeValue::S(batch_key(batch)));
        let found = request.send().await.map_err(|e| error::of_call("read the table", &self.table, e))?;
        found.item.map(|item| batch_of(&item)).transpose()
    }

    async fn look(&self, batch: &BatchId, leaves: &BTreeSet<u32>) -> Result<Snapshot> {
        let batch_key = batch_key(batch);
        let keys = leaves.iter().map(|number| leaf_key(batch, *number));
        let found = self.read_items(keys.chain([batch_key.clone()]).collect()).await?;
        let leaf = |number: &u32| Some((*number, leaf_of(found.get(&leaf_key(batch, *number))?)));
        Ok((found.get(&batch_key).map(batch_of).transpose()?, leaves.iter().filter_map(leaf).collect()))
    }

    async fn read_leaves(&self, batch: &BatchId, leaves: Range<u32>) -> Result<Vec<Leaf>> {
        self.read_all(leaves.map(|number| leaf_key(batch, number)), leaf_of).await
    }

    async fn mark_leaf(&self, batch: &BatchId, chunk: ChunkIndex, mark: Mark, now: Timestamp) -> Result<Leaf> {
        let mut expression =
            "ADD #done :chunks, #doneCount :one, #succeeded :s, #failed :f, #failedChunks :c".to_owned();
        let mut names = vec!["done", "doneCount", "succeeded", "failed", "failedChunks", "expiresAt"];
        if mark.excepted {
            expression.push_str(", #excepted :chunks");
            names.push("excepted");
        }
        let reasons: Vec<(String, u64)> =
            mark.reasons.iter().map(|(reason, count)| (reason_name(reason), *count)).collect();
        for (place, (name, _)) in reasons.iter().enumerate() {
            expression.push_str(&format!(", #{name} :why{place}"));
            names.push(name);
        }
        names.extend(["firstAt", "lastAt"]);
        expression.push_str(" SET #expiresAt = :x, #firstAt = if_not_exists(#firstAt, :now), #lastAt = :now");
        let mut update = self
            .update(leaf_key(batch, chunk.leaf()), &expression, "NOT contains(#done, :chunk)", &names)
            .expression_attribute_values(":now", number(now.0))
            .expression_attribute_values(":chunks", set_of(chunk))
            .expression_attribute_values(":chunk", number(chunk))
            .expression_attribute_values(":one", number(1))
            .expression_attribute_values(":s", number(mark.tally.succeeded))
            .expression_attribute_values(":f", number(mark.tally.failed))
            .expression_attribute_values(":c", number(mark.tally.failed_chunks))
            .expression_attribute_values(":x", expiry(now));
        for (place, (_, count)) in reasons.iter().enumerate() {
            update = update.expression_attribute_values(format!(":why{place}"), number(count));
        }
        let leaf = self.send(update).await?.either();
        Ok(leaf_of(&leaf.unwrap_or_default()))
    }

    async fn size_leaf(&self, batch: &BatchId, leaf: u32, size: u32, now: Timestamp) -> Result<Leaf> {
        Ok(leaf_of(&self.set_size(leaf_key(batch, leaf), size, now).await?))
    }

    async fn read_nodes(&self, batch: &BatchId, nodes: Range<u32>) -> Result<Vec<Node>> {
        self.read_all(nodes.map(|number| node_key(batch, number)), node_of).await
    }

    async fn mark_node(&self, batch: &BatchId, leaf: u32, now: Timestamp) -> Result<Node> {
        let (expression, names) = ("ADD #full :leaves SET #expiresAt = :x", ["full", "expiresAt"]);
        let update = self
            .update(node_key(batch, leaf / NODE_SIZE), expression, "NOT contains(#full, :leaf)", &names)
            .expression_attribute_values(":leaves", set_of(leaf))
            .expression_attribute_values(":leaf", number(leaf))
            .expression_attribute_values(":x", expiry(now));
        Ok(node_of(&self.send(update).await?.either().unwrap_or_default()))
    }

    async fn size_node(&self, batch: &BatchId, node: u32, size: u32, now: Timestamp) -> Result<Node> {
        Ok(node_of(&self.set_size(node_key(batch, node), size, now).await?))
    }

    async fn mark_root(&self, batch: &BatchId, mark: u32) -> Result<Batch> {
        let update = self
            .update(
                batch_key(batch),
                "ADD #root :marks",
                "attribute_exists(pk) AND NOT contains(#root, :mark)",
                &["root"],
            )
            .expression_attribute_values(":marks", set_of(mark))
            .expression_attribute_values(":mark", number(mark));
        batch_of(&self.send(update).await?.either().ok_or_else(|| unknown(batch))?)
    }

    async fn note_bookmark(&self, batch: &BatchId, bookmark: &Bookmark) -> Result<()> {
        let written =
            serde_json::to_string(bookmark).map_err(|e| Error::internal("a bookmark cannot be written").because(e))?;
        let update = self
            .update(batch_key(batch), "SET #bookmark = :bookmark", "attribute_exists(pk)", &["bookmark"])
            .expression_attribute_values(":bookmark", AttributeValue::S(written));
        self.send(update).await?.either().map(drop).ok_or_else(|| unknown(batch))
    }

    async fn seal(&self, batch: &BatchId, sealing: &Sealing) -> Result<Batch> {
        let json = |value: Option<String>| value.map_or(AttributeValue::Null(true), AttributeValue::S);
        let columns = sealing.columns.as_ref().and_then(|columns| serde_json::to_string(columns).ok());
        let head = sealing.head.as_ref().and_then(|head| serde_json::to_string(head).ok());
        let error = sealing.error.as_ref().and_then(|error| serde_json::to_string(error).ok());
        let update = self
            .update(
                batch_key(batch),
                "SET #state = :processing, #records = :records, #chunks = :chunks, #columns = :columns, \
                 #head = :head, #error = :error, #scatteredAt = :scatteredAt ADD #root :token",
                "#state = :scattering",
                &["state", "records", "chunks", "columns", "head", "error", "scatteredAt", "root"],
            )
            .expression_attribute_values(":processing", text(BatchState::Processing.name()))
            .expression_attribute_values(":scattering", text(BatchState::Scattering.name()))
            .expression_attribute_values(":records", sealing.records.map_or(AttributeValue::Null(true), number))
            .expression_attribute_values(":chunks", number(sealing.chunks))
            .expression_attribute_values(":columns", json(columns))
            .expression_attribute_values(":head", json(head))
            .expression_attribute_values(":error", json(error))
            .expression_attribute_values(":scatteredAt", number(sealing.scattered_at.0))
            .expression_attribute_values(":token", set_of(SEAL_TOKEN));
        batch_of(&self.send(update).await?.either().ok_or_else(|| unknown(batch))?)
    }

    async fn take(&self, batch: &BatchId, owner: &str, now: Timestamp, until: Timestamp) -> Result<Lease> {
        let update = self
            .update(
                batch_key(batch),
                "SET #state = :gathering, #owner = :owner, #leaseUntil = :until, \
                 #gatherStartedAt = if_not_exists(#gatherStartedAt, :now) ADD #gatherAttempts :one",
                "#state = :processing OR (#state = :gathering AND (#leaseUntil < :now OR #owner = :owner))",
                &["state", "owner", "leaseUntil", "gatherStartedAt", "gatherAttempts"],
            )
            .expression_attribute_values(":processing", text(BatchState::Processing.name()))
            .expression_attribute_values(":gathering", text(BatchState::Gathering.name()))
            .expression_attribute_values(":owner", text(owner))
            .expression_attribute_values(":now", number(now.0))
            .expression_attribute_values(":until", number(until.0))
            .expression_attribute_values(":one", number(1));
        match self.send(update).await? {
            Updated::After(item) => Ok(Lease::Acquired(Box::new(batch_of(&item)?))),
            Updated::Refused(item) => {
                let held = Box::new(batch_of(&item.ok_or_else(|| unknown(batch))?)?);
                match held.state {
                    BatchState::Scattering => Err(Error::internal("a batch was taken before it was sealed")),
                    state if state.is_final() => Ok(Lease::Closed(held)),
                    _ => Ok(Lease::Held(held)),
                }
            }
        }
    }

    async fn release_lease(&self, batch: &BatchId, owner: &str, now: Timestamp) -> Result<()> {
        let update = self
            .update(
                batch_key(batch),
                "SET #leaseUntil = :now REMOVE #owner",
                "#state = :gathering AND #owner = :owner",
                &["state", "owner", "leaseUntil"],
            )
            .expression_attribute_values(":gathering", text(BatchState::Gathering.name()))
            .expression_attribute_values(":owner", text(owner))
            .expression_attribute_values(":now", number(now.0 - 1));
        self.send(update).await?;
        Ok(())
    }

    async fn close(
        &self,
        batch: &BatchId,
        owner: &str,
        state: BatchState,
        tally: Tally,
        finished_at: Timestamp,
    ) -> Result<()> {
        let update = self
            .update(
                batch_key(batch),
                "SET #state = :state, #finishedAt = :now, #succeeded = :s, #failed = :f, #failedChunks = :c \
                 REMOVE #open, #owner, #leaseUntil",
                "#state = :gathering AND #owner = :owner",
                &["state", "finishedAt", "succeeded", "failed", "failedChunks", "open", "owner", "leaseUntil"],
            )
            .expression_attribute_values(":state", text(state.name()))
            .expression_attribute_values(":gathering", text(BatchState::Gathering.name()))
            .expression_attribute_values(":owner", text(owner))
            .expression_attribute_values(":now", number(finished_at.0))
            .expression_attribute_values(":s", number(tally.succeeded))
            .expression_attribute_values(":f", number(tally.failed))
            .expression_attribute_values(":c", number(tally.failed_chunks));
        match self.send(update).await? {
            Updated::After(_) => Ok(()),
            Updated::Refused(item) => {
                let held = batch_of(&item.ok_or_else(|| unknown(batch))?)?;
                if held.state.is_final() {
                    return Ok(());
                }
                Err(Error::conflict("the batch was taken by another function meanwhile"))
            }
        }
    }

    async fn stop(&self, batch: &BatchId, stop: &Stop) -> Result<Batch> {
        let json = serde_json::to_string(stop).map_err(|e| Error::internal("a stop is not writable").because(e))?;
        let update = self
            .update(
                batch_key(batch),
                "SET #stop = :stop",
                "(#state = :scattering OR #state = :processing) AND attribute_not_exists(#stop)",
                &["state", "stop"],
            )
            .expression_attribute_values(":scattering", text(BatchState::Scattering.name()))
            .expression_attribute_values(":processing", text(BatchState::Processing.name()))
            .expression_attribute_values(":stop", AttributeValue::S(json));
        batch_of(&self.send(update).await?.either().ok_or_else(|| unknown(batch))?)
    }

    async fn observe(&self, batch: &BatchId, seen: &Observation) -> Result<()> {
        let update = self
            .update(
                batch_key(batch),
                "SET #seen = :seen, #seenSince = :since, #mended = :mended, #mendNext = :next",
                "attribute_exists(#open)",
                &["seen", "seenSince", "mended", "mendNext", "open"],
            )
            .expression_attribute_values(":since", number(seen.since.0))
            .expression_attribute_values(":seen", text(&seen.mark))
            .expression_attribute_values(":mended", number(seen.mended))
            .expression_attribute_values(":next", number(seen.next.0));
        self.send(update).await?;
        Ok(())
    }

    /// Reads the sparse index, which DynamoDB updates a moment later:
    /// <https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/GSI.html>
    async fn open_batches(&self, after: Option<&OpenBatch>) -> Result<Vec<OpenBatch>> {
        let after = after.map(|batch| {
            HashMap::from([
                ("pk".to_owned(), AttributeValue::S(batch_key(&batch.id))),
                ("open".to_owned(), text(OPEN)),
                ("startedAt".to_owned(), number(batch.started_at.0)),
            ])
        });
        let request = self.client.query().table_name(&self.table).index_name("open-batches");
        let request = request
            .key_condition_expression("#open = :open")
            .expression_attribute_names("#open", "open")
            .expression_attribute_values(":open", text(OPEN))
            .limit(OPEN_PAGE)
            .set_exclusive_start_key(after);
        let page = request.send().await.map_err(|e| error::of_call("read the index of", &self.table, e))?;
        page.items.unwrap_or_default().iter().map(open_batch_of).collect()
    }
}

impl Claims for DynamoLedger {
    async fn put_claims(&self, batch: &BatchId, group: u32, claims: &[Claim], now: Timestamp) -> Result<()> {
        let json = serde_json::to_string(claims).map_err(|e| Error::internal("claims are not writable").because(e))?;
        let request = self.client.put_item().table_name(&self.table);
        let request = request
            .item("pk", AttributeValue::S(claims_key(batch, group)))
            .item("claims", AttributeValue::S(json))
            .item("expiresAt", expiry(now));
        request.send().await.map_err(|e| error::of_call("write to the table", &self.table, e))?;
        Ok(())
    }

    async fn read_claims(&self, batch: &BatchId, groups: Range<u32>) -> Result<Vec<Vec<Claim>>> {
        let keys: Vec<String> = groups.map(|group| claims_key(batch, group)).collect();
        let mut claims = Vec::with_capacity(keys.len());
        for keys in keys.chunks(BATCH_KEYS) {
            let found = self.read_items(keys.to_vec()).await?;
            for key in keys {
                claims.push(found.get(key).map(claims_of).transpose()?.unwrap_or_default());
            }
        }
        Ok(claims)
    }
}

impl RuleBook for DynamoLedger {
    /// The item does not expire: there are as many as a deployment ever had schemas.
    async fn put_rules(&self, rules: &Rules) -> Result<()> {
        let json = serde_json::to_string(rules).map_err(|e| Error::internal("rules are not writable").because(e))?;
        let request = self.client.put_item().table_name(&self.table);
        let request =
            request.item("pk", AttributeValue::S(rules_key(&rules.digest()))).item("rules", AttributeValue::S(json));
        request.send().await.map_err(|e| error::of_call("write to the table", &self.table, e))?;
        Ok(())
    }

    async fn read_rules(&self, digest: &str) -> Result<Option<Rules>> {
        let request = self.client.get_item().table_name(&self.table).consistent_read(true);
        let request = request.key("pk", AttributeValue::S(rules_key(digest)));
        let found = request.send().await.map_err(|e| error::of_call("read the table", &self.table, e))?;
        found.item.as_ref().map(rules_of).transpose()
    }
}
