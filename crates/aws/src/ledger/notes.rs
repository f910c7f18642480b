//! Notes about a batch, in items of their own.

use std::collections::HashMap;

use aws_sdk_dynamodb::operation::update_item::builders::UpdateItemFluentBuilder;
use aws_sdk_dynamodb::types::{AttributeValue, ReturnValue};
use fanfold::model::calls::{Calls, StageCalls};
use fanfold::model::error::{Error, Result};
use fanfold::model::failures::{Example, MOST_EXAMPLES};
use fanfold::model::ids::BatchId;
use fanfold::model::reason::{MOST_REASONS, Reason};
use fanfold::model::timestamp::Timestamp;
use fanfold::store::ledger::{Control, FIRST_LEAVES, LastFailure, Notes, Overview, Part, STAGES, Trouble};

use super::attributes::{
    Attributes, CALL_SHARDS, PIPELINE_KEY, batch_key, batch_of, calls_key, calls_of, examples_name, failure_key,
    failure_of, leaf_key, leaf_of, part_name, paused_of, reason_name, reasons_key, reasons_of, tries, tries_key,
    trouble_key, trouble_of,
};
use super::{DynamoLedger, Updated, expiry, number, text};
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

/// The keys of the items that count a batch's calls.
fn all_calls(batch: &BatchId) -> impl Iterator<Item = String> {
    let keys = move |stage: &'static str| (0..CALL_SHARDS).map(move |shard| calls_key(batch, stage, shard));
    STAGES.into_iter().flat_map(keys)
}

/// What those items say, of those that were found.
fn calls_in(batch: &BatchId, found: &HashMap<String, Attributes>) -> Calls {
    let mut calls = Calls::default();
    for stage in STAGES {
        let keys = (0..CALL_SHARDS).map(|shard| calls_key(batch, stage, shard));
        for item in keys.filter_map(|key| found.get(&key)) {
            calls.0.entry(stage.to_owned()).or_default().add(&calls_of(item));
        }
    }
    calls
}

impl Control for DynamoLedger {
    async fn note_pause(&self, since: Option<Timestamp>) -> Result<()> {
        let request = self.client.update_item().table_name(&self.table).key("pk", text(PIPELINE_KEY));
        let request = match since {
            Some(since) => request
                .update_expression("SET #pausedAt = :since")
                .expression_attribute_values(":since", number(since.0)),
            None => request.update_expression("REMOVE #pausedAt"),
        };
        let request = request.expression_attribute_names("#pausedAt", "pausedAt");
        request.send().await.map_err(|e| error::of_call("update the table", &self.table, e))?;
        Ok(())
    }

    async fn paused(&self) -> Result<Option<Timestamp>> {
        let request = self.client.get_item().table_name(&self.table).consistent_read(true);
        let found = request.key("pk", text(PIPELINE_KEY)).send().await;
        let found = found.map_err(|e| error::of_call("read the table", &self.table, e))?;
        Ok(found.item.as_ref().and_then(paused_of))
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
        Ok(calls_in(batch, &self.read_items(all_calls(batch).collect()).await?))
    }

    async fn note_reason(
        &self,
        batch: &BatchId,
        reason: &Reason,
        examples: &[Example],
        now: Timestamp,
    ) -> Result<bool> {
        let id = reason.id();
        let (why, of) = (reason_name(&id), examples_name(id.as_str()));
        let given = examples.iter().map(|example| serde_json::to_string(example).map(AttributeValue::S));
        let given = given.collect::<std::result::Result<Vec<_>, _>>();
        let given = given.map_err(|e| Error::internal("an example is not writable").because(e))?;
        let condition = "attribute_not_exists(#why) AND (attribute_not_exists(#count) OR #count < :most)";
        let first = self
            .update(reasons_key(batch), "SET #why = :why, #of = :of, #expiresAt = :x ADD #count :one", condition, &[])
            .expression_attribute_names("#why", &why)
            .expression_attribute_names("#of", &of)
            .expression_attribute_names("#count", "count")
            .expression_attribute_names("#expiresAt", "expiresAt")
            .expression_attribute_values(":why", text(reason.as_str()))
            .expression_attribute_values(":of", AttributeValue::L(given.clone()))
            .expression_attribute_values(":most", number(MOST_REASONS))
            .expression_attribute_values(":one", number(1))
            .expression_attribute_values(":x", expiry(now));
        let Updated::Refused(item) = self.send(first).await? else {
            return Ok(true);
        };
        let known = match &item {
            Some(item) => reasons_of(item)?.get(&id).map(|known| known.examples.len()),
            None => None,
        };
        let Some(known) = known else {
            return Ok(false);
        };
        let more = given.into_iter().take(MOST_EXAMPLES.saturating_sub(known)).collect::<Vec<_>>();
        if !more.is_empty() {
            // If another has added some since, as many as there are by now stay.
            let more = self
                .update(reasons_key(batch), "SET #of = list_append(#of, :of)", "size(#of) = :known", &[])
                .expression_attribute_names("#of", &of)
                .expression_attribute_values(":of", AttributeValue::L(more))
                .expression_attribute_values(":known", number(known));
            self.send(more).await?;
        }
        Ok(true)
    }

    async fn note_trouble(&self, batch: &BatchId, trouble: &Trouble) -> Result<()> {
        let values = [
            ("part", AttributeValue::S(part_name(trouble.part))),
            ("busy", AttributeValue::Bool(trouble.busy)),
            ("attempt", number(trouble.attempt)),
            ("message", text(&trouble.message)),
            ("at", number(trouble.at.0)),
            ("expiresAt", expiry(trouble.at)),
        ];
        let set: Vec<String> = values.iter().map(|(name, _)| format!("#{name} = :{name}")).collect();
        let request = self.client.update_item().table_name(&self.table);
        let mut request = request
            .key("pk", AttributeValue::S(trouble_key(batch)))
            .update_expression(format!("SET {}", set.join(", ")));
        for (name, value) in values {
            request = request.expression_attribute_names(format!("#{name}"), name);
            request = request.expression_attribute_values(format!(":{name}"), value);
        }
        request.send().await.map_err(|e| error::of_call("update the table", &self.table, e))?;
        Ok(())
    }

    async fn overview(&self, batch: &BatchId) -> Result<Overview> {
        let leaves: Vec<String> = (0..FIRST_LEAVES).map(|leaf| leaf_key(batch, leaf)).collect();
        let next = batch.in_generation(batch.generation() + 1);
        let others =
            [batch_key(batch), reasons_key(batch), trouble_key(batch), batch_key(&next), PIPELINE_KEY.to_owned()];
        let keys = others.iter().cloned().chain(leaves.iter().cloned()).chain(all_calls(batch));
        let found = self.read_items(keys.collect()).await?;
        Ok(Overview {
            batch: found.get(&others[0]).map(batch_of).transpose()?,
            redriven: found.contains_key(&others[3]),
            leaves: leaves.iter().map(|key| found.get(key).map(leaf_of).unwrap_or_default()).collect(),
            reasons: found.get(&others[1]).map(reasons_of).transpose()?.unwrap_or_default(),
            trouble: found.get(&others[2]).map(trouble_of).transpose()?,
            calls: calls_in(batch, &found),
            paused: found.get(&others[4]).and_then(paused_of),
        })
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
