//! The requests table in DynamoDB.
//!
//! Each step is one conditional write, which DynamoDB applies atomically and orders per item
//! (<https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Expressions.ConditionExpressions.html>), and answers with the
//! item as it was when the condition failed
//! (<https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_UpdateItem.html>).

use std::collections::HashMap;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::operation::update_item::UpdateItemError;
use aws_sdk_dynamodb::operation::update_item::builders::UpdateItemFluentBuilder;
use aws_sdk_dynamodb::types::{AttributeValue, ReturnValuesOnConditionCheckFailure};

use crate::error;
use fanfold::model::error::{Error, Result};
use fanfold::model::request::{Request, RequestId, RequestState, digest};
use fanfold::model::timestamp::Timestamp;
use fanfold::store::requests::{Claimed, Requests};

type Attributes = HashMap<String, AttributeValue>;

/// The requests table in DynamoDB.
#[derive(Debug, Clone)]
pub struct DynamoRequests {
    client: Client,
    table: String,
}

fn text(item: &Attributes, name: &str) -> Option<String> {
    item.get(name)?.as_s().ok().cloned()
}

fn time(item: &Attributes, name: &str) -> Option<Timestamp> {
    item.get(name)?.as_n().ok()?.parse().ok().map(Timestamp)
}

fn number(of: i64) -> AttributeValue {
    AttributeValue::N(of.to_string())
}

fn string(of: &str) -> AttributeValue {
    AttributeValue::S(of.to_owned())
}

/// A request as its item has it.
fn request_of(item: &Attributes) -> Result<Request> {
    let unread = || Error::internal("an item of the requests table cannot be read");
    let state = match text(item, "state").as_deref() {
        Some("ACCEPTED") => RequestState::Accepted,
        Some("STORED") => RequestState::Stored,
        Some("FAILED") => RequestState::Failed,
        _ => return Err(unread()),
    };
    Ok(Request {
        id: RequestId::parse(&text(item, "id").ok_or_else(unread)?)?,
        // A row that the gateway made has the record itself until a worker wrote to it.
        digest: text(item, "digest").or_else(|| Some(digest(&text(item, "record")?))).ok_or_else(unread)?,
        at: time(item, "at").ok_or_else(unread)?,
        state,
        key: text(item, "key"),
        reason: text(item, "reason"),
        conflict_at: time(item, "conflictAt"),
    })
}

impl DynamoRequests {
    /// A table by its name.
    pub fn new(client: Client, table: impl Into<String>) -> Self {
        Self { client, table: table.into() }
    }

    fn update(&self, id: &RequestId) -> UpdateItemFluentBuilder {
        let update = self.client.update_item().table_name(&self.table).key("id", string(id.as_str()));
        update.return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld)
    }

    /// Makes an update; the item as it was if its condition failed.
    async fn send(&self, update: UpdateItemFluentBuilder) -> Result<std::result::Result<(), Attributes>> {
        let error = match update.send().await {
            Ok(_) => return Ok(Ok(())),
            Err(error) => error,
        };
        if !error.as_service_error().is_some_and(UpdateItemError::is_conditional_check_failed_exception) {
            return Err(error::of_call("update the table", &self.table, error));
        }
        match error.into_service_error() {
            UpdateItemError::ConditionalCheckFailedException(refused) => Ok(Err(refused.item.unwrap_or_default())),
            other => Err(Error::internal("an unexpected refusal").because(other)),
        }
    }

    /// An update that writes what is known of a request from its first moment on, unless it has ended. `owner` is what
    /// has to be true of the row's owner.
    fn known(&self, request: &Request, owner: &str, set: &str) -> UpdateItemFluentBuilder {
        // TTL counts in seconds: https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/time-to-live-ttl-before-you-start.html
        let known = "digest = :digest, #at = if_not_exists(#at, :at), expiresAt = if_not_exists(expiresAt, :expires)";
        self.update(&request.id)
            .update_expression(format!("SET {known}, {set}"))
            .condition_expression(format!(
                "({owner} OR digest = :digest) AND (attribute_not_exists(#state) OR #state = :accepted)"
            ))
            .expression_attribute_names("#at", "at")
            .expression_attribute_names("#state", "state")
            .expression_attribute_values(":digest", string(&request.digest))
            .expression_attribute_values(":at", number(request.at.0))
            .expression_attribute_values(":expires", number(request.expires_at().0 / 1000))
            .expression_attribute_values(":accepted", string(RequestState::Accepted.name()))
    }
}

impl Requests for DynamoRequests {
    async fn claim(&self, request: &Request) -> Result<Claimed> {
        match self.send(self.known(request, "attribute_not_exists(id)", "#state = :accepted")).await? {
            Ok(()) => Ok(Claimed::Open),
            Err(item) => {
                let held = request_of(&item)?;
                Ok(match held.digest == request.digest {
                    true if held.state.is_final() => Claimed::Ended(held),
                    true => Claimed::Open,
                    false => Claimed::Another,
                })
            }
        }
    }

    async fn write(&self, request: &Request) -> Result<bool> {
        // A row that the gateway made has no digest: its record is the one that was sent under the id.
        let known = |set: &str| self.known(request, "attribute_not_exists(digest)", set);
        let update = match (&request.key, &request.reason) {
            (Some(key), _) => known("#state = :state, #key = :key REMOVE reason")
                .expression_attribute_names("#key", "key")
                .expression_attribute_values(":key", string(key)),
            (None, Some(reason)) => {
                known("#state = :state, reason = :reason").expression_attribute_values(":reason", string(reason))
            }
            (None, None) => known("#state = :state"),
        };
        match self.send(update.expression_attribute_values(":state", string(request.state.name()))).await? {
            Ok(()) => Ok(true),
            Err(item) => Ok(request_of(&item)?.digest == request.digest),
        }
    }

    async fn note_conflict(&self, id: &RequestId, at: Timestamp) -> Result<()> {
        let update = self.update(id).update_expression("SET conflictAt = if_not_exists(conflictAt, :at)");
        let update =
            update.condition_expression("attribute_exists(id)").expression_attribute_values(":at", number(at.0));
        // Whatever is forgotten by now has no conflict any more.
        self.send(update).await.map(drop)
    }

    async fn read(&self, id: &RequestId, now: Timestamp) -> Result<Option<Request>> {
        let get = self.client.get_item().table_name(&self.table).key("id", string(id.as_str())).consistent_read(true);
        let found = get.send().await.map_err(|e| error::of_call("read the table", &self.table, e))?;
        let request = found.item.as_ref().map(request_of).transpose()?;
        Ok(request.filter(|request| request.expires_at() > now))
    }
}
