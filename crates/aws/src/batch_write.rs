//! DynamoDB's batches of writes, tried until nothing of them is left undone.

use std::time::Duration;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::error::ProvideErrorMetadata;
use aws_sdk_dynamodb::types::WriteRequest;

use crate::error;
use fanfold::model::error::{Error, Result};

/// Items of one request, which may hold 16 MB:
/// <https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_BatchWriteItem.html>
pub const BATCH_ITEMS: usize = 25;
const ROUNDS: u32 = 8;
const FIRST_PAUSE: Duration = Duration::from_millis(25);

/// What became of a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Written {
    /// All of it is stored.
    All,
    /// DynamoDB refuses the batch as a whole because of one of its items; nothing of it is stored.
    Refused,
}

/// Writes at most [`BATCH_ITEMS`] items. What DynamoDB leaves undone goes in again after a pause
/// that doubles.
///
/// # Errors
/// `Transient` if something is left after the last round.
pub async fn batch_write(client: &Client, table: &str, mut left: Vec<WriteRequest>) -> Result<Written> {
    let mut pause = FIRST_PAUSE;
    for _ in 0..ROUNDS {
        let written = match client.batch_write_item().request_items(table, left).send().await {
            Ok(written) => written,
            Err(error) if error.code() == Some("ValidationException") => return Ok(Written::Refused),
            Err(error) => return Err(error::of_call("write to the table", table, error)),
        };
        left = written.unprocessed_items.unwrap_or_default().remove(table).unwrap_or_default();
        if left.is_empty() {
            return Ok(Written::All);
        }
        tokio::time::sleep(pause).await;
        pause *= 2;
    }
    Err(Error::transient(format!("the table {table} is too busy: {} items left", left.len())))
}
