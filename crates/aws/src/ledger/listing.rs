//! The list of batches: a sparse index, whose keys are of one batch each, and the batches themselves. A page of 100 takes two
//! requests.

use std::collections::HashMap;

use aws_sdk_dynamodb::types::AttributeValue;

use super::attributes::{LISTED, batch_key, batch_of, listed_of};
use super::{DynamoLedger, number, text};
use crate::error;
use fanfold::model::error::{Error, Result};
use fanfold::model::progress::Batch;
use fanfold::store::ledger::{Listed, Listing};

const INDEX: &str = "all-batches";
/// What one read of the batches takes: <https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_BatchGetItem.html>
const PAGE: i32 = 100;

impl Listing for DynamoLedger {
    /// Reads the index, which DynamoDB updates a moment later:
    /// <https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/GSI.html>
    async fn recent(&self, after: Option<&Listed>) -> Result<Vec<Batch>> {
        let mut after = after.cloned();
        loop {
            let listed = self.listed(after.as_ref()).await?;
            let Some(last) = listed.last() else {
                return Ok(Vec::new());
            };
            let keys: Vec<String> = listed.iter().map(|listed| batch_key(&listed.id)).collect();
            let mut found = self.read_items(keys.clone()).await?;
            // What expired since has left the table.
            let batches: Vec<Batch> =
                keys.iter().filter_map(|key| found.remove(key)).map(|item| batch_of(&item)).collect::<Result<_>>()?;
            if !batches.is_empty() {
                return Ok(batches);
            }
            after = Some(last.clone());
        }
    }
}

impl DynamoLedger {
    /// A page of the index.
    async fn listed(&self, after: Option<&Listed>) -> Result<Vec<Listed>> {
        let after = after.map(|batch| {
            HashMap::from([
                ("pk".to_owned(), AttributeValue::S(batch_key(&batch.id))),
                ("listed".to_owned(), text(LISTED)),
                ("startedAt".to_owned(), number(batch.started_at.0)),
            ])
        });
        let request = self.client.query().table_name(&self.table).index_name(INDEX);
        let request = request
            .key_condition_expression("#listed = :listed")
            .expression_attribute_names("#listed", "listed")
            .expression_attribute_values(":listed", text(LISTED))
            .scan_index_forward(false)
            .limit(PAGE)
            .set_exclusive_start_key(after);
        let page = request.send().await;
        let page = page.map_err(|e| self.unlisted(error::of_call("read the index of", &self.table, e)))?;
        page.items.unwrap_or_default().iter().map(listed_of).collect()
    }

    /// A table that was made before batches were listed has no such index.
    fn unlisted(&self, error: Error) -> Error {
        if !error.to_string().contains(INDEX) {
            return error;
        }
        Error::config(format!("the table {} has no list of batches; deploy it again with `make deploy`", self.table))
            .because(error)
    }
}
