//! Events and packages in DynamoDB.
//!
//! An event is a row under its identity, which a conditional write makes once
//! (<https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Expressions.ConditionExpressions.html>); whoever is refused is told
//! the row that is there (<https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_PutItem.html>). The index `list` finds events
//! by client and half month, in the order of their days. It lags behind the table
//! (<https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/GSI.html>).
//!
//! A package is a row under its client, half month and sequence. Those that are not done with have the attribute `open`, by which an index
//! of its name finds those that are due; it is spread over sixteen values, since a value takes 1,000 writes a second
//! (<https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/bp-partition-key-design.html>).

use std::collections::HashMap;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::operation::put_item::PutItemError;
use aws_sdk_dynamodb::operation::query::builders::QueryFluentBuilder;
use aws_sdk_dynamodb::operation::update_item::UpdateItemError;
use aws_sdk_dynamodb::primitives::Blob;
use aws_sdk_dynamodb::types::{AttributeValue, ReturnValuesOnConditionCheckFailure};
use jiff::tz::Offset;

use crate::calls::count_index_entry;
use crate::error;
use fanfold::model::billing::admission::Admitted;
use fanfold::model::billing::calendar::HalfMonth;
use fanfold::model::billing::event::UsageEvent;
use fanfold::model::billing::package::PackageId;
use fanfold::model::billing::sending::Sending;
use fanfold::model::error::{Error, Result};
use fanfold::model::fold::Exact;
use fanfold::model::timestamp::Timestamp;
use fanfold::store::billing::{Events, Insertion, Packages, Sealed, Unbilled};

type Attributes = HashMap<String, AttributeValue>;

/// The range key of the row of an event that is billed.
const BILLED: &str = "-";
/// Why an event is listed.
const CONFLICT: &str = "conflict";
const REJECTED: &str = "rejected";
const OF_NOBODY: &str = "nobody";
/// The values over which open packages are spread: the first digit of their keys.
const SPREAD: &str = "0123456789abcdef";

/// The tables of billing.
#[derive(Debug, Clone)]
pub struct DynamoBilling {
    client: Client,
    events: String,
    packages: String,
}

fn text(of: impl Into<String>) -> AttributeValue {
    AttributeValue::S(of.into())
}

fn number(of: impl ToString) -> AttributeValue {
    AttributeValue::N(of.to_string())
}

fn unread() -> Error {
    Error::internal("a row of billing cannot be read")
}

fn string<'a>(item: &'a Attributes, name: &str) -> Result<&'a str> {
    item.get(name).and_then(|value| value.as_s().ok()).map(String::as_str).ok_or_else(unread)
}

fn read<T: std::str::FromStr>(item: &Attributes, name: &str) -> Result<T> {
    let value = item.get(name).and_then(|value| value.as_s().or_else(|_| value.as_n()).ok());
    value.and_then(|value| value.parse().ok()).ok_or_else(unread)
}

/// By what events of a client and a half month are found. What follows the last sign is the half month, so that no two of them are written alike.
fn list(kind: &str, client: &str, half: HalfMonth) -> String {
    format!("{kind}#{client}#{half}")
}

fn row(event: &Admitted, listed: String, of: &str) -> Attributes {
    let UsageEvent { source, id, client, meter, at, quantity } = &event.event;
    [
        ("id", text(event.event.identity())),
        ("of", text(of)),
        ("list", text(listed)),
        ("source", text(source)),
        ("event", text(id)),
        ("client", text(client)),
        ("meter", text(meter)),
        ("at", text(at.to_string())),
        ("quantity", text(quantity.to_string())),
        ("day", text(event.day.to_string())),
        ("zone", text(&event.zone)),
        ("zoneData", text(&event.zone_data)),
        ("offset", number(event.offset.seconds())),
        ("content", AttributeValue::B(Blob::new(event.event.content()))),
    ]
    .into_iter()
    .map(|(name, value)| (name.to_owned(), value))
    .collect()
}

fn event_of(item: &Attributes) -> Result<Admitted> {
    let own = |name: &str| string(item, name).map(str::to_owned);
    let event = UsageEvent {
        source: own("source")?,
        id: own("event")?,
        client: own("client")?,
        meter: own("meter")?,
        at: read(item, "at")?,
        quantity: Exact::of_text(string(item, "quantity")?).ok_or_else(unread)?,
    };
    let offset = Offset::from_seconds(read(item, "offset")?).map_err(|e| unread().because(e))?;
    Ok(Admitted { event, day: read(item, "day")?, zone: own("zone")?, offset, zone_data: own("zoneData")? })
}

fn unbilled_of(item: &Attributes) -> Result<Unbilled> {
    match string(item, "kind")? {
        CONFLICT => Ok(Unbilled::Conflict),
        OF_NOBODY => Ok(Unbilled::Nobody),
        REJECTED => Ok(Unbilled::Rejected(string(item, "reason")?.to_owned())),
        _ => Err(unread()),
    }
}

/// Whether the row under an event's identity is of this event.
fn compared(there: &Attributes, event: &Admitted) -> Insertion {
    let same = there.get("content").and_then(|content| content.as_b().ok());
    if same.is_some_and(|content| content.as_ref() == event.event.content()) {
        Insertion::Duplicate
    } else {
        Insertion::Conflict
    }
}

fn half(client: &str, half: HalfMonth) -> AttributeValue {
    text(format!("{client}#{half}"))
}

fn id_of(item: &Attributes) -> Result<PackageId> {
    let (client, half) = string(item, "half")?.rsplit_once('#').ok_or_else(unread)?;
    let half = HalfMonth::parse(half).ok_or_else(unread)?;
    Ok(PackageId { client: client.to_owned(), half, sequence: read(item, "sequence")? })
}

fn sealed_of(item: &Attributes) -> Result<Sealed> {
    Ok(Sealed { id: id_of(item)?, object: string(item, "object")?.to_owned(), at: Timestamp(read(item, "sealedAt")?) })
}

fn open(id: &PackageId) -> String {
    id.key(0).chars().take(1).collect()
}

fn written(sending: &Sending) -> Result<AttributeValue> {
    let written = serde_json::to_string(sending);
    written.map(text).map_err(|e| Error::internal("how a package stands cannot be written").because(e))
}

impl DynamoBilling {
    /// Tables by their names.
    pub fn new(client: Client, events: impl Into<String>, packages: impl Into<String>) -> Self {
        Self { client, events: events.into(), packages: packages.into() }
    }

    /// Makes a row, unless there is one; then the one that is there is returned.
    async fn put_new(&self, table: &str, item: Attributes, key: &str) -> Result<Option<Attributes>> {
        let put = self.client.put_item().table_name(table).set_item(Some(item));
        let put = put.condition_expression("attribute_not_exists(#key)").expression_attribute_names("#key", key);
        let put = put.return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld);
        let error = match put.send().await {
            Ok(_) => {
                count_index_entry();
                return Ok(None);
            }
            Err(error) => error,
        };
        if !error.as_service_error().is_some_and(PutItemError::is_conditional_check_failed_exception) {
            return Err(error::of_call("write to the table", table, error));
        }
        match error.into_service_error() {
            PutItemError::ConditionalCheckFailedException(refused) => Ok(Some(refused.item.unwrap_or_default())),
            other => Err(Error::internal("an unexpected refusal").because(other)),
        }
    }

    async fn get(&self, table: &str, key: [(&str, AttributeValue); 2]) -> Result<Option<Attributes>> {
        let get = self.client.get_item().table_name(table).consistent_read(true);
        let get = key.into_iter().fold(get, |get, (name, value)| get.key(name, value));
        Ok(get.send().await.map_err(|e| error::of_call("read the table", table, e))?.item)
    }

    /// A query of the rows that have this value.
    fn rows(&self, table: &str, name: &str, value: AttributeValue) -> QueryFluentBuilder {
        let query = self.client.query().table_name(table).key_condition_expression("#key = :key");
        query.expression_attribute_names("#key", name).expression_attribute_values(":key", value)
    }

    /// The rows of an index that lists events, by their days.
    async fn listing(&self, kind: &str, client: &str, half: HalfMonth) -> Result<Vec<Attributes>> {
        let query = self.rows(&self.events, "list", text(list(kind, client, half))).index_name("list");
        self.query(&self.events, query, usize::MAX).await
    }

    /// The first rows that a query finds, at most so many.
    async fn query(&self, table: &str, query: QueryFluentBuilder, most: usize) -> Result<Vec<Attributes>> {
        let (mut rows, mut after) = (Vec::new(), None);
        loop {
            let query = query.clone().set_exclusive_start_key(after.take());
            let left = i32::try_from(most.saturating_sub(rows.len())).unwrap_or(i32::MAX);
            let answer = query.limit(left).send().await.map_err(|e| error::of_call("query the table", table, e))?;
            rows.extend(answer.items.unwrap_or_default());
            after = answer.last_evaluated_key.filter(|key| !key.is_empty());
            if after.is_none() || rows.len() >= most {
                return Ok(rows);
            }
        }
    }
}

impl Events for DynamoBilling {
    async fn keep(&self, event: &Admitted) -> Result<Insertion> {
        let listed = list("billed", &event.event.client, event.half());
        let there = self.put_new(&self.events, row(event, listed, BILLED), "id").await?;
        Ok(there.map_or(Insertion::Created, |there| compared(&there, event)))
    }

    async fn find(&self, event: &Admitted) -> Result<Insertion> {
        let key = [("id", text(event.event.identity())), ("of", text(BILLED))];
        Ok(self.get(&self.events, key).await?.map_or(Insertion::Created, |there| compared(&there, event)))
    }

    async fn list(&self, event: &Admitted, why: &Unbilled) -> Result<()> {
        let (kind, reason) = match why {
            Unbilled::Conflict => (CONFLICT, "another event has its identity"),
            Unbilled::Rejected(reason) => (REJECTED, reason.as_str()),
            Unbilled::Nobody => (OF_NOBODY, "there is no such client"),
        };
        let content = event.event.content().iter().fold(String::new(), |of, byte| of + &format!("{byte:02x}"));
        let mut row = row(event, list("listed", why.lists(event), event.half()), &content);
        row.extend([("kind".to_owned(), text(kind)), ("reason".to_owned(), text(reason))]);
        let put = self.client.put_item().table_name(&self.events).set_item(Some(row));
        put.send().await.map(|_| count_index_entry()).map_err(|e| error::of_call("write to the table", &self.events, e))
    }

    async fn billed_in(&self, client: &str, half: HalfMonth) -> Result<Vec<Admitted>> {
        self.listing("billed", client, half).await?.iter().map(event_of).collect()
    }

    async fn listed_in(&self, client: &str, half: HalfMonth) -> Result<Vec<(Admitted, Unbilled)>> {
        let rows = self.listing("listed", client, half).await?;
        rows.iter().map(|row| Ok((event_of(row)?, unbilled_of(row)?))).collect()
    }
}

impl Packages for DynamoBilling {
    async fn seal(&self, sealed: &Sealed) -> Result<String> {
        let Sealed { id, object, at } = sealed;
        let item = [
            ("half", half(&id.client, id.half)),
            ("sequence", number(id.sequence)),
            ("object", text(object)),
            ("sealedAt", number(at.0)),
            ("version", number(0)),
            ("sending", written(&Sending::ready(*at))?),
            ("open", text(open(id))),
            ("due", number(at.0)),
        ];
        let item = item.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
        let there = self.put_new(&self.packages, item, "half").await?;
        Ok(there.map(|there| sealed_of(&there)).transpose()?.map_or_else(|| object.clone(), |there| there.object))
    }

    async fn of(&self, client: &str, half_month: HalfMonth) -> Result<Vec<Sealed>> {
        let query = self.rows(&self.packages, "half", half(client, half_month)).consistent_read(true);
        self.query(&self.packages, query, usize::MAX).await?.iter().map(sealed_of).collect()
    }

    async fn read(&self, id: &PackageId) -> Result<Option<(Sealed, Sending)>> {
        let key = [("half", half(&id.client, id.half)), ("sequence", number(id.sequence))];
        let Some(item) = self.get(&self.packages, key).await? else {
            return Ok(None);
        };
        let sending = serde_json::from_str(string(&item, "sending")?).map_err(|e| unread().because(e))?;
        Ok(Some((sealed_of(&item)?, sending)))
    }

    async fn write(&self, id: &PackageId, sending: &Sending) -> Result<bool> {
        let Some(before) = sending.version.checked_sub(1) else {
            return Err(Error::internal("the first version of how a package stands is written by its seal"));
        };
        // What ended leaves the index.
        let (open_again, ends) = if sending.state.is_final() { ("", " REMOVE #open") } else { (", #open = :open", "") };
        let set = format!("SET version = :version, due = :due, sending = :sending{open_again}{ends}");
        let update = self
            .client
            .update_item()
            .table_name(&self.packages)
            .key("half", half(&id.client, id.half))
            .key("sequence", number(id.sequence))
            .update_expression(set)
            .condition_expression("version = :before")
            .expression_attribute_names("#open", "open")
            .expression_attribute_values(":version", number(sending.version))
            .expression_attribute_values(":before", number(before))
            .expression_attribute_values(":due", number(sending.due.0))
            .expression_attribute_values(":sending", written(sending)?);
        let update = match sending.state.is_final() {
            true => update,
            // A package that ended is open again if a person has it sent again.
            false => update.expression_attribute_values(":open", text(open(id))),
        };
        match update.send().await {
            Ok(_) => Ok(true),
            Err(e) if e.as_service_error().is_some_and(UpdateItemError::is_conditional_check_failed_exception) => {
                Ok(false)
            }
            Err(e) => Err(error::of_call("update the table", &self.packages, e)),
        }
    }

    async fn due(&self, at: Timestamp, most: usize) -> Result<Vec<PackageId>> {
        let mut due = Vec::new();
        for spread in SPREAD.chars() {
            let query = self.rows(&self.packages, "open", text(spread)).index_name("open");
            let query = query.key_condition_expression("#key = :key AND due <= :at");
            let query = query.expression_attribute_values(":at", number(at.0));
            // A row that cannot be read keeps no others from being found.
            for item in self.query(&self.packages, query, most).await? {
                match read::<i64>(&item, "due").and_then(|at| Ok((at, id_of(&item)?))) {
                    Ok(found) => due.push(found),
                    Err(error) => tracing::warn!(%error, table = self.packages, "a package is passed over"),
                }
            }
        }
        due.sort();
        Ok(due.into_iter().map(|(_, id)| id).take(most).collect())
    }
}
