//! Notes about a batch, in items of their own.

use std::collections::HashMap;

use aws_sdk_dynamodb::operation::update_item::builders::UpdateItemFluentBuilder;
use aws_sdk_dynamodb::types::{AttributeValue, ReturnValue};
use fanfold::model::calls::{Calls, StageCalls};
use fanfold::model::error::Result;
use fanfold::model::ids::BatchId;
use fanfold::model::timestamp::Timestamp;
use fanfold::store::ledger::{LastFailure, Notes, Part, STAGES};

use super::attributes::{CALL_SHARDS, calls_key, calls_of, failure_key, failure_of, tries, tries_key};
use super::{DynamoLedger, expiry, number, text};
use crate::error;

impl DynamoLedger {
    /// Counts a try of a message: one that began, or one that does not count.
    fn count_try(&self, message: &str, what: &str, now: Timestamp) -> UpdateItemFluentBuilder {
        let request = self.client.update_item().table_name(&self.table);
        request
            .key("pk", AttributeValue::S(tries_key(message)))
            .update_expression("ADD #what :one SET #expiresAt = :x")
            .expression_attribute_names("#what", what)
            .expression_attribute_names("#expiresAt", "expiresAt")
            .expression_attribute_values(":one", number(1))
            .expression_attribute_values(":x", expiry(now))
    }
}

impl Notes for DynamoLedger {
    async fn note_failure(&self, batch: &BatchId, part: Part, failure: &LastFailure, now: Timestamp) -> Result<()> {
        let request = self.client.update_item().table_name(&self.table);
        let request = request
            .key("pk", AttributeValue::S(failure_key(batch, part)))
            .update_expression("SET #message = :message, #attempt = :attempt, #expiresAt = :x")
            .expression_attribute_names("#message", "message")
            .expression_attribute_names("#attempt", "attempt")
            .expression_attribute_names("#expiresAt", "expiresAt")
            .expression_attribute_values(":message", text(&failure.message))
            .expression_attribute_values(":attempt", number(failure.attempt))
            .expression_attribute_values(":x", expiry(now));
        request.send().await.map_err(|e| error::of_call("update the table", &self.table, e))?;
        Ok(())
    }

    async fn last_failure(&self, batch: &BatchId, part: Part) -> Result<Option<LastFailure>> {
        let request = self.client.get_item().table_name(&self.table).consistent_read(true);
        let request = request.key("pk", AttributeValue::S(failure_key(batch, part)));
        let found = request.send().await.map_err(|e| error::of_call("read the table", &self.table, e))?;
        Ok(found.item.as_ref().map(failure_of))
    }

    async fn add_calls(&self, batch: &BatchId, stage: &str, calls: &StageCalls, now: Timestamp) -> Result<()> {
        let mut expression = "SET #expiresAt = :x ADD #messages :messages".to_owned();
        let mut names = HashMap::from([
            ("#expiresAt".to_owned(), "expiresAt".to_owned()),
            ("#messages".to_owned(), "messages".to_owned()),
        ]);
        let mut values =
            HashMap::from([(":x".to_owned(), expiry(now)), (":messages".to_owned(), number(calls.messages))]);
        for (n, (name, count)) in calls.requests.iter().enumerate() {
            expression.push_str(&format!(", #n{n} :n{n}"));
            names.insert(format!("#n{n}"), name.clone());
            values.insert(format!(":n{n}"), number(count));
        }
        // Whichever the time of the end of an invocation hits upon.
        let shard = u32::try_from(now.0.rem_euclid(i64::from(CALL_SHARDS))).unwrap_or_default();
        let request = self.client.update_item().table_name(&self.table).update_expression(expression);
        let request = request
            .key("pk", AttributeValue::S(calls_key(batch, stage, shard)))
            .set_expression_attribute_names(Some(names))
            .set_expression_attribute_values(Some(values));
        request.send().await.map_err(|e| error::of_call("update the table", &self.table, e))?;
        Ok(())
    }

    async fn read_calls(&self, batch: &BatchId) -> Result<Calls> {
        let keys = |stage: &str| (0..CALL_SHARDS).map(|shard| calls_key(batch, stage, shard)).collect::<Vec<_>>();
        let found = self.read_items(STAGES.iter().flat_map(|stage| keys(stage)).collect()).await?;
        let mut calls = Calls::default();
        for stage in STAGES {
            for item in keys(stage).iter().filter_map(|key| found.get(key)) {
                calls.0.entry(stage.to_owned()).or_default().add(&calls_of(item));
            }
        }
        Ok(calls)
    }

    async fn begin_try(&self, message: &str, now: Timestamp) -> Result<u32> {
        let request = self.count_try(message, "begun", now).return_values(ReturnValue::AllNew);
        let counted = request.send().await.map_err(|e| error::of_call("update the table", &self.table, e))?;
        let counted = counted.attributes.unwrap_or_default();
        Ok((1 + tries(&counted, "begun")).saturating_sub(tries(&counted, "excused")))
    }

    async fn excuse_try(&self, message: &str, now: Timestamp) -> Result<()> {
        let request = self.count_try(message, "excused", now);
        request.send().await.map_err(|e| error::of_call("update the table", &self.table, e))?;
        Ok(())
    }
}
