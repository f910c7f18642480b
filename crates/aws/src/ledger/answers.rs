//! Answers to what people asked for, by keys of their choice, so that it is done once.

use aws_sdk_dynamodb::types::AttributeValue;
use sha2::{Digest, Sha256};

use super::attributes::{Attributes, number as item_number};
use super::{DynamoLedger, number, text};
use crate::error;
use fanfold::model::error::Result;
use fanfold::model::timestamp::Timestamp;

/// How long an answer is kept.
const KEPT_SECONDS: i64 = 24 * 3600;

/// The key of the item that holds an answer. Whoever asks chooses the key, so that its digest stands for it.
fn answer_key(key: &str) -> String {
    let digest = Sha256::digest(key);
    digest.iter().fold("ANSWER#".to_owned(), |key, byte| key + &format!("{byte:02x}"))
}

impl DynamoLedger {
    /// Returns the answer that was kept under a key, if its day is not over: DynamoDB may delete it days later
    /// (<https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/howitworks-ttl.html>).
    ///
    /// # Errors
    /// Those of DynamoDB.
    pub async fn answered(&self, key: &str, now: Timestamp) -> Result<Option<String>> {
        let request = self.client.get_item().table_name(&self.table).consistent_read(true);
        let found = request.key("pk", text(&answer_key(key))).send().await;
        let found = found.map_err(|e| error::of_call("read the table", &self.table, e))?;
        let is_kept =
            |item: &Attributes| item_number(item, "expiresAt").is_some_and(|until: i64| until > now.epoch_seconds());
        let answer = found.item.filter(is_kept).and_then(|mut item| item.remove("answer"));
        Ok(answer.and_then(|answer| match answer {
            AttributeValue::S(answer) => Some(answer),
            _ => None,
        }))
    }

    /// Keeps an answer under a key for a day. Of two, the last one counts.
    ///
    /// # Errors
    /// Those of DynamoDB.
    pub async fn keep_answer(&self, key: &str, answer: &str, now: Timestamp) -> Result<()> {
        let put = self.client.put_item().table_name(&self.table);
        let put = put
            .item("pk", text(&answer_key(key)))
            .item("answer", text(answer))
            .item("expiresAt", number(now.plus_seconds(KEPT_SECONDS).epoch_seconds()));
        put.send().await.map_err(|e| error::of_call("write to the table", &self.table, e))?;
        Ok(())
    }
}
