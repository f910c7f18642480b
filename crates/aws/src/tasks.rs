//! A tasks table in DynamoDB.

use std::collections::{BTreeSet, HashMap};

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::operation::put_item::PutItemError;
use aws_sdk_dynamodb::operation::transact_write_items::TransactWriteItemsError;
use aws_sdk_dynamodb::primitives::Blob;
use aws_sdk_dynamodb::types::{
    AttributeValue, CancellationReason, Put, PutRequest, ReturnValuesOnConditionCheckFailure, TransactWriteItem,
    WriteRequest,
};
use serde_json::value::RawValue;

use crate::batch_write::{Written, batch_write};
use crate::error;
use fanfold::model::error::{Error, Result};
use fanfold::model::ids::{BatchId, ChunkIndex};
use fanfold::model::record::{Entry, Outcome, Raw, Response};
use fanfold::model::timestamp::Timestamp;
use fanfold::store::tasks::{Row, Rows, Tasks, Verdict, fitting};

const KEPT_SECONDS: i64 = 30 * 24 * 3600;
/// The sort key of a chunk's verdict, which sorts before those of its records, whose numbers begin with 0.
const VERDICT_ROW: &str = "-1";
const WORKED: &str = "WORKED";
const BURIED: &str = "BURIED";
/// The counters of a chunk, as JSON.
const FOLD: &str = "fold";

type Attributes = HashMap<String, AttributeValue>;

/// The tasks table.
#[derive(Debug, Clone)]
pub struct DynamoTasks {
    client: Client,
    table: String,
}

impl DynamoTasks {
    /// A table by its name.
    pub fn new(client: Client, table: impl Into<String>) -> Self {
        Self { client, table: table.into() }
    }
}

/// Why DynamoDB cancelled a transaction: the worst of the reasons of its items
/// (<https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_TransactWriteItems.html>).
fn cancelled(table: &str, reasons: &[CancellationReason]) -> Error {
    let code = |reason: &CancellationReason| reason.code().filter(|code| *code != "None").map(str::to_owned);
    let codes: BTreeSet<String> = reasons.iter().filter_map(code).collect();
    let said = format!("the table {table} does not take a chunk: {}", Vec::from_iter(codes.iter().cloned()).join(", "));
    if codes.iter().all(|code| error::is_busy(code)) { Error::busy(said) } else { Error::config(said) }
}

impl Tasks for DynamoTasks {
    /// Writes rows that must not exist yet, all or none. Since a chunk is always split into the same groups, one existing
    /// row means that all exist.
    async fn create(&self, batch: &BatchId, chunk: ChunkIndex, entries: &[Entry], now: Timestamp) -> Result<()> {
        let mut puts = Vec::with_capacity(entries.len());
        for entry in entries {
            let row = pending_row(batch, chunk, &fitting(entry), now);
            let put = Put::builder().table_name(&self.table).set_item(Some(row));
            let put = put.condition_expression("attribute_not_exists(pk)").build();
            let put = put.map_err(|e| Error::internal("a row lacks its attributes").because(e))?;
            puts.push(TransactWriteItem::builder().put(put).build());
        }
        let Err(error) = self.client.transact_write_items().set_transact_items(Some(puts)).send().await else {
            return Ok(());
        };
        let Some(TransactWriteItemsError::TransactionCanceledException(reasons)) = error.as_service_error() else {
            return Err(error::of_call("write to the table", &self.table, error));
        };
        let reasons = reasons.cancellation_reasons();
        if reasons.iter().any(|reason| reason.code() == Some("ConditionalCheckFailed")) {
            return Ok(());
        }
        // Two transactions at once, or too many: the SDK does not retry that by itself.
        Err(cancelled(&self.table, reasons))
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
                    Some(verdict) => chunk_rows.verdict = Some(verdict?),
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
            .set_item(Some(verdict_row(batch, chunk, &verdict, now)?))
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
        kept.unwrap_or_else(|| Err(Error::internal("a row of the tasks table is not readable")))
    }

    async fn resolve(
        &self,
        batch: &BatchId,
        chunk: ChunkIndex,
        outcomes: &[Outcome],
        now: Timestamp,
    ) -> Result<Vec<usize>> {
        let mut requests = Vec::with_capacity(outcomes.len());
        for outcome in outcomes {
            let put = PutRequest::builder().set_item(Some(resolved_row(batch, chunk, outcome, now))).build();
            let put = put.map_err(|e| Error::internal("a row lacks its attributes").because(e))?;
            requests.push(WriteRequest::builder().put_request(put).build());
        }
        let returned = match batch_write(&self.client, &self.table, requests).await? {
            Written::Except(returned) => returned,
            Written::Refused => {
                return Err(Error::internal(format!("the table {} refuses an outcome of {batch}", self.table)));
            }
        };
        let number = |row: &Attributes| row.get("record")?.as_n().ok().cloned();
        let left: BTreeSet<String> = returned.iter().filter_map(number).collect();
        let is_left = |position: &usize| left.contains(&outcomes[*position].index.to_string());
        Ok((0..outcomes.len()).filter(is_left).collect())
    }
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

fn verdict_row(batch: &BatchId, chunk: ChunkIndex, verdict: &Verdict, now: Timestamp) -> Result<Attributes> {
    let (name, reason) = match verdict {
        Verdict::Worked(_) => (WORKED, ""),
        Verdict::Buried(reason) => (BURIED, reason.as_str()),
    };
    let mut row = HashMap::from([
        ("pk".to_owned(), AttributeValue::S(key(batch, chunk))),
        ("record".to_owned(), AttributeValue::N(VERDICT_ROW.to_owned())),
        ("verdict".to_owned(), AttributeValue::S(name.to_owned())),
        ("message".to_owned(), AttributeValue::S(reason.to_owned())),
        ("expiresAt".to_owned(), AttributeValue::N(expiry(now))),
    ]);
    if let Verdict::Worked(Some(fold)) = verdict {
        let json = serde_json::to_string(fold).map_err(|e| Error::internal("counters cannot be written").because(e))?;
        row.insert(FOLD.to_owned(), AttributeValue::S(json));
    }
    Ok(row)
}

/// The verdict that a row holds; `None` if it is the row of a record.
fn verdict_of(item: &Attributes) -> Option<Result<Verdict>> {
    let text = |name: &str| item.get(name)?.as_s().ok();
    match text("verdict")?.as_str() {
        WORKED => {
            let fold = text(FOLD).map(|json| serde_json::from_str(json)).transpose();
            Some(fold.map(Verdict::Worked).map_err(|_| Error::internal("a row of the tasks table is not readable")))
        }
        _ => Some(Ok(Verdict::Buried(text("message").cloned().unwrap_or_default()))),
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
    Ok(Row { entry: Entry { fault, raw, line, object, ..Entry::decoded(index, record) }, response, result })
}

#[cfg(test)]
mod tests {
    use super::*;
    use fanfold::model::error::ErrorKind;

    #[test]
    fn a_cancelled_transaction_is_tried_again_only_if_the_table_was_busy() {
        let kind = |codes: &[&str]| {
            let reasons: Vec<_> = codes.iter().map(|code| CancellationReason::builder().code(*code).build()).collect();
            cancelled("tasks", &reasons).kind
        };
        assert_eq!(kind(&["None", "TransactionConflict", "ThrottlingError"]), ErrorKind::Busy);
        assert_eq!(kind(&["None", "ThrottlingError", "ValidationError"]), ErrorKind::Config);
        let told = cancelled("tasks", &[CancellationReason::builder().code("ValidationError").build()]).to_string();
        assert_eq!(told, "the table tasks does not take a chunk: ValidationError");
    }
}
