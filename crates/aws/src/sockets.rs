//! Tickets, connections and subscriptions in DynamoDB: one table, in which each is a row by what it is of.

use std::collections::HashMap;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::operation::update_item::UpdateItemError;
use aws_sdk_dynamodb::types::{AttributeValue, ReturnValue};
use sha2::{Digest, Sha256};

use crate::error;
use fanfold::model::error::{Error, Result};
use fanfold::model::reporting::id::ReportId;
use fanfold::model::timestamp::Timestamp;
use fanfold::store::sockets::{CONNECTION, Caller, Connections, Subscriber, Subscriptions, TICKET};

type Attributes = HashMap<String, AttributeValue>;

/// The range key of what is there once.
const ONE: &str = "-";

/// The table of sockets.
#[derive(Debug, Clone)]
pub struct DynamoSockets {
    client: Client,
    table: String,
}

fn text(of: impl Into<String>) -> AttributeValue {
    AttributeValue::S(of.into())
}

/// The hash key of a ticket: who may read the table cannot use it.
fn ticket_key(ticket: &str) -> String {
    Sha256::digest(ticket).iter().fold("ticket#".to_owned(), |key, byte| key + &format!("{byte:02x}"))
}

fn connection_key(connection: &str) -> String {
    format!("connection#{connection}")
}

fn report_key(report: &ReportId) -> String {
    format!("report#{report}")
}

fn unread() -> Error {
    Error::internal("an item of the table of sockets cannot be read")
}

/// Whether an item counts: DynamoDB deletes it within days
/// (<https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/TTL.html>).
fn counts(item: &Attributes, now: Timestamp) -> bool {
    let until = item.get("expiresAt").and_then(|at| at.as_n().ok()).and_then(|at| at.parse::<i64>().ok());
    until.is_some_and(|until| until.saturating_mul(1_000) > now.0)
}

fn string(item: &Attributes, name: &str) -> Result<String> {
    item.get(name).and_then(|value| value.as_s().ok()).cloned().ok_or_else(unread)
}

fn operated(item: &Attributes) -> Result<bool> {
    item.get("operated").and_then(|value| value.as_bool().ok()).copied().ok_or_else(unread)
}

fn caller_of(item: &Attributes) -> Result<Caller> {
    Ok(Caller { owner: string(item, "owner")?, operated: operated(item)? })
}

impl DynamoSockets {
    /// A table by its name.
    pub fn new(client: Client, table: impl Into<String>) -> Self {
        Self { client, table: table.into() }
    }

    /// Puts an item that counts for some milliseconds.
    async fn put(&self, id: String, of: &str, item: Attributes, now: Timestamp, valid: i64) -> Result<()> {
        let until = (now.0 + valid) / 1_000;
        let put = self.client.put_item().table_name(&self.table).set_item(Some(item));
        let put = put.item("id", text(id)).item("of", text(of)).item("expiresAt", AttributeValue::N(until.to_string()));
        put.send().await.map(drop).map_err(|e| error::of_call("write to the table", &self.table, e))
    }

    /// Deletes an item, and returns it as it was.
    async fn delete(&self, id: String, of: &str) -> Result<Option<Attributes>> {
        let delete = self.client.delete_item().table_name(&self.table).key("id", text(id)).key("of", text(of));
        let deleted = delete.return_values(ReturnValue::AllOld).send().await;
        Ok(deleted.map_err(|e| error::of_call("delete from the table", &self.table, e))?.attributes)
    }
}

fn item_of(caller: &Caller) -> Attributes {
    let operated = AttributeValue::Bool(caller.operated);
    HashMap::from([("owner".to_owned(), text(&caller.owner)), ("operated".to_owned(), operated)])
}

impl Connections for DynamoSockets {
    async fn issue(&self, ticket: &str, caller: &Caller, now: Timestamp) -> Result<()> {
        self.put(ticket_key(ticket), ONE, item_of(caller), now, TICKET).await
    }

    async fn redeem(&self, ticket: &str, now: Timestamp) -> Result<Option<Caller>> {
        let deleted = self.delete(ticket_key(ticket), ONE).await?;
        deleted.filter(|item| counts(item, now)).as_ref().map(caller_of).transpose()
    }

    async fn connect(&self, connection: &str, caller: &Caller, now: Timestamp) -> Result<()> {
        self.put(connection_key(connection), ONE, item_of(caller), now, CONNECTION).await
    }

    async fn caller(&self, connection: &str, now: Timestamp) -> Result<Option<Caller>> {
        let get = self.client.get_item().table_name(&self.table).consistent_read(true);
        let get = get.key("id", text(connection_key(connection))).key("of", text(ONE));
        let found = get.send().await.map_err(|e| error::of_call("read the table", &self.table, e))?;
        found.item.filter(|item| counts(item, now)).as_ref().map(caller_of).transpose()
    }

    async fn disconnect(&self, connection: &str) -> Result<()> {
        self.delete(connection_key(connection), ONE).await.map(drop)
    }
}

impl Subscriptions for DynamoSockets {
    async fn subscribe(&self, report: &ReportId, subscriber: &Subscriber, now: Timestamp) -> Result<()> {
        let item = HashMap::from([("operated".to_owned(), AttributeValue::Bool(subscriber.operated))]);
        self.put(report_key(report), &subscriber.connection, item, now, CONNECTION).await
    }

    async fn note_told(&self, report: &ReportId, connection: &str, generation: u32) -> Result<()> {
        let update = self.client.update_item().table_name(&self.table);
        let update = update.key("id", text(report_key(report))).key("of", text(connection));
        let update = update
            .update_expression("SET told = :generation")
            .condition_expression("attribute_exists(id)")
            .expression_attribute_values(":generation", AttributeValue::N(generation.to_string()));
        match update.send().await {
            Ok(_) => Ok(()),
            // It was forgotten meanwhile.
            Err(e) if e.as_service_error().is_some_and(UpdateItemError::is_conditional_check_failed_exception) => {
                Ok(())
            }
            Err(e) => Err(error::of_call("update the table", &self.table, e)),
        }
    }

    async fn unsubscribe(&self, report: &ReportId, connection: &str) -> Result<()> {
        self.delete(report_key(report), connection).await.map(drop)
    }

    async fn subscribers(&self, report: &ReportId, now: Timestamp) -> Result<Vec<Subscriber>> {
        let (mut found, mut next) = (Vec::new(), None);
        loop {
            // What was written before has to be in it, which the order of telling rests on:
            // https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/HowItWorks.ReadConsistency.html
            let query = self.client.query().table_name(&self.table).consistent_read(true);
            let query =
                query.key_condition_expression("id = :id").expression_attribute_values(":id", text(report_key(report)));
            let page = query.set_exclusive_start_key(next).send().await;
            let page = page.map_err(|e| error::of_call("read the table", &self.table, e))?;
            for item in page.items.unwrap_or_default().iter().filter(|item| counts(item, now)) {
                let told = item.get("told").and_then(|told| told.as_n().ok()).and_then(|told| told.parse().ok());
                found.push(Subscriber { connection: string(item, "of")?, operated: operated(item)?, told });
            }
            next = page.last_evaluated_key.filter(|key| !key.is_empty());
            if next.is_none() {
                return Ok(found);
            }
        }
    }
}
