//! DynamoDB's batch writes, repeated until none of a batch's items is left unprocessed.

use std::time::Duration;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::error::ProvideErrorMetadata;
use aws_sdk_dynamodb::types::WriteRequest;

use crate::error;
use fanfold::model::error::{Error, Result};

/// Items per request, which may hold 16 MB:
/// <https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_BatchWriteItem.html>
pub const BATCH_ITEMS: usize = 25;
const ROUNDS: u32 = 8;
const FIRST_PAUSE: Duration = Duration::from_millis(25);

/// The outcome of a batch write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Written {
    /// All items are stored.
    All,
    /// DynamoDB refuses the batch as a whole because of one of its items; none is stored.
    Refused,
}

/// Writes at most [`BATCH_ITEMS`] items. Items that DynamoDB leaves unprocessed are sent again after a pause,
/// which doubles each time.
///
/// # Errors
/// `Transient` if items are left after the last round.
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
