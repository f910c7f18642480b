//! A tasks table in DynamoDB.

use std::collections::HashMap;
use std::time::Duration;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::operation::put_item::PutItemError;
use aws_sdk_dynamodb::operation::transact_write_items::TransactWriteItemsError;
use aws_sdk_dynamodb::primitives::Blob;
use aws_sdk_dynamodb::types::{
    AttributeValue, Put, PutRequest, ReturnValuesOnConditionCheckFailure, TransactWriteItem, WriteRequest,
};
use futures::stream::{self, StreamExt, TryStreamExt};
use serde_json::value::RawValue;

use crate::batch_write::{BATCH_ITEMS, Written, batch_write};
use crate::error;
use fanfold::model::error::{Error, Result};
use fanfold::model::ids::{BatchId, ChunkIndex};
use fanfold::model::record::{Entry, Outcome, Raw, Response};
use fanfold::model::timestamp::Timestamp;
use fanfold::store::tasks::{Row, Rows, Tasks, Verdict, fitting};

/// Rows per transaction, and their total text; a transaction may hold 100 items and 4 MB:
/// <https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_TransactWriteItems.html>
const GROUP_ROWS: usize = 100;
const GROUP_BYTES: usize = 2 * 1024 * 1024;
const ROUNDS: u32 = 6;
const FIRST_PAUSE: Duration = Duration::from_millis(25);
const KEPT_SECONDS: i64 = 30 * 24 * 3600;
/// The sort key of a chunk's verdict, which sorts before those of its records, whose numbers begin with 0.
const VERDICT_ROW: &str = "-1";
const WORKED: &str = "WORKED";
const BURIED: &str = "BURIED";

type Attributes = HashMap<String, AttributeValue>;

/// The tasks table.
#[derive(Debug, Clone)]
pub struct DynamoTasks {
    client: Client,
    table: String,
    width: usize,
}

impl DynamoTasks {
    /// A table by its name; sends up to `width` requests at once for the outcomes of a chunk.
    pub fn new(client: Client, table: impl Into<String>, width: usize) -> Self {
        Self { client, table: table.into(), width }
    }

    /// Writes rows that must not exist yet, all or none. Since a chunk is always split into the same groups,
    /// one existing row means that all exist.
    async fn create_group(&self, rows: Vec<Attributes>) -> Result<()> {
        let mut puts = Vec::with_capacity(rows.len());
        for row in rows {
            let put = Put::builder().table_name(&self.table).set_item(Some(row));
            let put = put.condition_expression("attribute_not_exists(pk)").build();
            let put = put.map_err(|e| Error::internal("a row lacks its attributes").because(e))?;
            puts.push(TransactWriteItem::builder().put(put).build());
        }
        let mut pause = FIRST_PAUSE;
        for _ in 0..ROUNDS {
            let request = self.client.transact_write_items().set_transact_items(Some(puts.clone()));
            let Err(error) = request.send().await else {
                return Ok(());
            };
            let Some(TransactWriteItemsError::TransactionCanceledException(cancelled)) = error.as_service_error()
            else {
                return Err(error::of_call("write to the table", &self.table, error));
            };
            if cancelled.cancellation_reasons().iter().any(|r| r.code() == Some("ConditionalCheckFailed")) {
                return Ok(());
            }
            // Two transactions at once, or too many: the SDK does not retry that by itself.
            tokio::time::sleep(pause).await;
            pause *= 2;
        }
        Err(Error::transient(format!("the table {} is too busy to take a chunk", self.table)))
    }
}

impl Tasks for DynamoTasks {
    async fn create(&self, batch: &BatchId, chunk: ChunkIndex, entries: &[Entry], now: Timestamp) -> Result<()> {
        let entries: Vec<Entry> = entries.iter().map(fitting).collect();
        // One after another, since scatter has several chunks under way at once.
        for group in groups(&entries) {
            self.create_group(group.iter().map(|entry| pending_row(batch, chunk, entry, now)).collect()).await?;
        }
        Ok(())
    }

    async fn read(&self, batch: &BatchId, chunk: ChunkIndex) -> Result<Rows> {
        let mut chunk_rows = Rows::default();
        let mut next = None;
        loop {
            let request = self.client.query().table_name(&self.table).consistent_read(true);
            let request = request
                .key_condition_expression("pk = :pk")
                .expression_attribute_values(":pk", AttributeValue::S(key(batch, chunk)))
                .set_exclusive_start_key(next);
            let page = request.send().await.map_err(|e| error::of_call("read the table", &self.table, e))?;
            for item in page.items.unwrap_or_default() {
                match verdict_of(&item) {
                    Some(verdict) => chunk_rows.verdict = Some(verdict),
                    None => chunk_rows.rows.push(row_of(item)?),
                }
            }
            next = page.last_evaluated_key.filter(|key| !key.is_empty());
            if next.is_none() {
                return Ok(chunk_rows);
            }
        }
    }

    /// Writes a row of its own, conditionally, so that only one of several writers succeeds.
    async fn settle(&self, batch: &BatchId, chunk: ChunkIndex, verdict: Verdict, now: Timestamp) -> Result<Verdict> {
        let request = self.client.put_item().table_name(&self.table);
        let request = request
            .set_item(Some(verdict_row(batch, chunk, &verdict, now)))
            .condition_expression("attribute_not_exists(pk)")
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld);
        let Err(error) = request.send().await else {
            return Ok(verdict);
        };
        if !error.as_service_error().is_some_and(PutItemError::is_conditional_check_failed_exception) {
            return Err(error::of_call("write to the table", &self.table, error));
        }
        let kept = match error.into_service_error() {
            PutItemError::ConditionalCheckFailedException(refused) => refused.item.as_ref().and_then(verdict_of),
            _ => None,
        };
        kept.ok_or_else(|| Error::internal("a row of the tasks table is not readable"))
    }

    async fn resolve(&self, batch: &BatchId, chunk: ChunkIndex, outcomes: &[Outcome], now: Timestamp) -> Result<()> {
        let mut batches = Vec::new();
        for group in outcomes.chunks(BATCH_ITEMS) {
            let mut requests = Vec::with_capacity(group.len());
            for outcome in group {
                let put = PutRequest::builder().set_item(Some(resolved_row(batch, chunk, outcome, now))).build();
                let put = put.map_err(|e| Error::internal("a row lacks its attributes").because(e))?;
                requests.push(WriteRequest::builder().put_request(put).build());
            }
            batches.push(batch_write(&self.client, &self.table, requests));
        }
        let written: Vec<Written> = stream::iter(batches).buffer_unordered(self.width).try_collect().await?;
        if written.contains(&Written::Refused) {
            return Err(Error::internal(format!("the table {} refuses an outcome of {batch}", self.table)));
        }
        Ok(())
    }
}

/// Splits a chunk into groups that fit into one transaction, always in the same way.
fn groups(entries: &[Entry]) -> Vec<&[Entry]> {
    let mut groups = Vec::new();
    let (mut from, mut bytes) = (0, 0);
    for (at, entry) in entries.iter().enumerate() {
        if at - from == GROUP_ROWS || (at > from && bytes + entry.weight() > GROUP_BYTES) {
            groups.push(&entries[from..at]);
            (from, bytes) = (at, 0);
        }
        bytes += entry.weight();
    }
    if from < entries.len() {
        groups.push(&entries[from..]);
    }
    groups
}

fn key(batch: &BatchId, chunk: ChunkIndex) -> String {
    format!("{batch}#{:08}", chunk.get())
}

fn row(batch: &BatchId, chunk: ChunkIndex, index: u64, line: u64, request: &RawValue, now: Timestamp) -> Attributes {
    HashMap::from([
        ("line".to_owned(), AttributeValue::N(line.to_string())),
        ("pk".to_owned(), AttributeValue::S(key(batch, chunk))),
        ("record".to_owned(), AttributeValue::N(index.to_string())),
        ("request".to_owned(), AttributeValue::S(request.get().to_owned())),
        ("expiresAt".to_owned(), AttributeValue::N(expiry(now))),
    ])
}

fn pending_row(batch: &BatchId, chunk: ChunkIndex, entry: &Entry, now: Timestamp) -> Attributes {
    let mut attributes = row(batch, chunk, entry.index, entry.line, &entry.record, now);
    if let Some(fault) = &entry.fault {
        attributes.insert("fault".to_owned(), AttributeValue::S(fault.clone()));
    }
    attributes.extend(raw_attribute(entry.raw.as_ref()));
    attributes.extend(object_attribute(entry.object));
    attributes
}

fn resolved_row(batch: &BatchId, chunk: ChunkIndex, outcome: &Outcome, now: Timestamp) -> Attributes {
    let mut attributes = row(batch, chunk, outcome.index, outcome.line, &outcome.request, now);
    attributes.insert("success".to_owned(), AttributeValue::Bool(outcome.response.success));
    attributes.insert("message".to_owned(), AttributeValue::S(outcome.response.message.clone()));
    if let Some(result) = &outcome.result {
        attributes.insert("result".to_owned(), AttributeValue::S(result.get().to_owned()));
    }
    attributes.extend(raw_attribute(outcome.raw.as_ref()));
    attributes.extend(object_attribute(outcome.object));
    attributes
}

fn raw_attribute(raw: Option<&Raw>) -> Option<(String, AttributeValue)> {
    raw.map(|raw| ("raw".to_owned(), AttributeValue::B(Blob::new(raw.bytes()))))
}

fn object_attribute(object: Option<u32>) -> Option<(String, AttributeValue)> {
    object.map(|object| ("object".to_owned(), AttributeValue::N(object.to_string())))
}

fn verdict_row(batch: &BatchId, chunk: ChunkIndex, verdict: &Verdict, now: Timestamp) -> Attributes {
    let (name, reason) = match verdict {
        Verdict::Worked => (WORKED, ""),
        Verdict::Buried(reason) => (BURIED, reason.as_str()),
    };
    HashMap::from([
        ("pk".to_owned(), AttributeValue::S(key(batch, chunk))),
        ("record".to_owned(), AttributeValue::N(VERDICT_ROW.to_owned())),
        ("verdict".to_owned(), AttributeValue::S(name.to_owned())),
        ("message".to_owned(), AttributeValue::S(reason.to_owned())),
        ("expiresAt".to_owned(), AttributeValue::N(expiry(now))),
    ])
}

fn verdict_of(item: &Attributes) -> Option<Verdict> {
    let text = |name: &str| item.get(name)?.as_s().ok();
    match text("verdict")?.as_str() {
        WORKED => Some(Verdict::Worked),
        _ => Some(Verdict::Buried(text("message").cloned().unwrap_or_default())),
    }
}

fn expiry(now: Timestamp) -> String {
    now.plus_seconds(KEPT_SECONDS).epoch_seconds().to_string()
}

fn row_of(mut item: Attributes) -> Result<Row> {
    let mut text = |name: &str| match item.remove(name) {
        Some(AttributeValue::S(text) | AttributeValue::N(text)) => Some(text),
        _ => None,
    };
    let corrupt = || Error::internal("a row of the tasks table is not readable");
    let index = text("record").and_then(|index| index.parse().ok()).ok_or_else(corrupt)?;
    let line = text("line").and_then(|line| line.parse().ok()).unwrap_or_default();
    let object = text("object").and_then(|object| object.parse().ok());
    let record = text("request").and_then(|record| RawValue::from_string(record).ok()).ok_or_else(corrupt)?;
    let (fault, message) = (text("fault"), text("message").unwrap_or_default());
    let result = text("result").map(RawValue::from_string).transpose().map_err(|_| corrupt())?;
    let raw = item.remove("raw").and_then(|raw| match raw {
        AttributeValue::B(bytes) => Some(Raw::new(bytes.into_inner())),
        _ => None,
    });
    let success = item.get("success").and_then(|value| value.as_bool().ok().copied());
    // A repeat finds the reason again, which may be that the record could not be decoded at all.
    let fault = fault.or_else(|| (success == Some(false)).then(|| message.clone()));
    let response = success.map(|success| Response { success, message });
    Ok(Row { entry: Entry { index, record, fault, raw, line, object }, response, result })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::value::to_raw_value;

    #[test]
    fn groups_keep_both_limits_of_a_transaction() {
        let entry = |bytes: usize| Entry::decoded(0, to_raw_value(&"x".repeat(bytes)).unwrap());
        let sizes = |entries: &[Entry]| -> Vec<usize> { groups(entries).iter().map(|group| group.len()).collect() };
        assert_eq!(sizes(&vec![entry(10); 250]), [100, 100, 50]);
        assert_eq!(sizes(&vec![entry(300 * 1024); 8]), [6, 2]);
        assert_eq!(sizes(&[]), Vec::<usize>::new());
    }
}
