//! DynamoDB's batch writes.

use std::collections::HashMap;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::error::ProvideErrorMetadata;
use aws_sdk_dynamodb::types::{AttributeValue, WriteRequest};

use crate::error;
use fanfold::model::error::Result;

/// Items per request, which may hold 16 MB:
/// <https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_BatchWriteItem.html>
pub const BATCH_ITEMS: usize = 25;

/// The outcome of a batch write.
#[derive(Debug, Clone, PartialEq)]
pub enum Written {
    /// All items are stored, except for these.
    Except(Vec<HashMap<String, AttributeValue>>),
    /// DynamoDB refuses the batch as a whole because of one of its items; none is stored.
    Refused,
}

/// Writes at most [`BATCH_ITEMS`] items in one request. DynamoDB returns those that it has no capacity for, and only if
/// it could store none it refuses the request.
///
/// # Errors
/// `Busy` if no item was stored.
pub async fn batch_write(client: &Client, table: &str, requests: Vec<WriteRequest>) -> Result<Written> {
    let left = batch_write_all(client, table, requests).await?;
    Ok(left.map_or(Written::Refused, Written::Except))
}

/// The same for requests of which some may delete items. Returns the items, or the keys of those to be deleted, that
/// DynamoDB has no capacity for; `None` if it refuses the batch.
///
/// # Errors
/// `Busy` if nothing was written.
pub async fn batch_write_all(
    client: &Client,
    table: &str,
    requests: Vec<WriteRequest>,
) -> Result<Option<Vec<HashMap<String, AttributeValue>>>> {
    let written = match client.batch_write_item().request_items(table, requests).send().await {
        Ok(written) => written,
        Err(error) if error.code() == Some("ValidationException") => return Ok(None),
        Err(error) => return Err(error::of_call("write to the table", table, error)),
    };
    let left = written.unprocessed_items.unwrap_or_default().remove(table).unwrap_or_default();
    let of = |request: WriteRequest| {
        request.put_request.map(|put| put.item).or_else(|| request.delete_request.map(|delete| delete.key))
    };
    Ok(Some(left.into_iter().filter_map(of).collect()))
}
