//! What clients used, by days and hours, in DynamoDB.
//!
//! A row is under its client and the name of its day or hour, so that a policy can let a client read its own rows and nothing else
//! (<https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/specifying-conditions.html>). It is set under the version before
//! (<https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/BestPractices_ImplementingVersionControl.html>). Quantities are
//! texts, since a number has 38 digits at most
//! (<https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/HowItWorks.NamingRulesDataTypes.html#HowItWorks.DataTypes.Number>).

use std::collections::{BTreeMap, HashMap};

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::operation::put_item::PutItemError;
use aws_sdk_dynamodb::types::AttributeValue;

use crate::error;
use fanfold::model::billing::aggregate::{Aggregate, bounds};
use fanfold::model::billing::calendar::HalfMonth;
use fanfold::model::billing::usage::Usage;
use fanfold::model::error::{Error, Result};
use fanfold::model::fold::Exact;
use fanfold::store::billing::Aggregates;

type Attributes = HashMap<String, AttributeValue>;

/// A table of what was used.
#[derive(Debug, Clone)]
pub struct DynamoAggregates {
    client: Client,
    table: String,
}

fn text(of: impl Into<String>) -> AttributeValue {
    AttributeValue::S(of.into())
}

fn number(of: u64) -> AttributeValue {
    AttributeValue::N(of.to_string())
}

fn item(client: &str, period: &str, row: &Aggregate) -> Attributes {
    let Usage { events, quantities, digest } = &row.usage;
    let quantities = quantities.iter().map(|(meter, quantity)| (meter.clone(), text(quantity.to_string()))).collect();
    [
        ("client", text(client)),
        ("period", text(period)),
        ("version", number(row.version)),
        ("events", number(*events)),
        ("quantities", AttributeValue::M(quantities)),
        ("digest", text(digest.to_string())),
    ]
    .map(|(name, value)| (name.to_owned(), value))
    .into()
}

fn row(item: &Attributes) -> Option<(String, Aggregate)> {
    let string = |name: &str| item.get(name)?.as_s().ok();
    let number = |name: &str| item.get(name)?.as_n().ok()?.parse().ok();
    let quantity =
        |(meter, quantity): (&String, &AttributeValue)| Some((meter.clone(), Exact::of_text(quantity.as_s().ok()?)?));
    let quantities = item.get("quantities")?.as_m().ok()?.iter().map(quantity).collect::<Option<_>>()?;
    let digest = string("digest")?.parse().ok()?;
    let usage = Usage { events: number("events")?, quantities, digest };
    Some((string("period")?.clone(), Aggregate { version: number("version")?, usage }))
}

impl DynamoAggregates {
    /// A table by its name.
    pub fn new(client: Client, table: impl Into<String>) -> Self {
        Self { client, table: table.into() }
    }
}

impl Aggregates for DynamoAggregates {
    async fn used_in(&self, client: &str, half: HalfMonth) -> Result<BTreeMap<String, Aggregate>> {
        let (first, last) = bounds(half);
        let query = self.client.query().table_name(&self.table).consistent_read(true);
        let query = query.key_condition_expression("client = :client AND period BETWEEN :first AND :last");
        let query = query.expression_attribute_values(":client", text(client));
        let query = query.expression_attribute_values(":first", text(first));
        let mut pages = query.expression_attribute_values(":last", text(last)).into_paginator().items().send();
        let mut rows = BTreeMap::new();
        while let Some(item) = pages.next().await {
            let item = item.map_err(|e| error::of_call("query the table", &self.table, e))?;
            let period = item.get("period").and_then(|period| period.as_s().ok());
            let unread = || {
                let of = period.map_or("?", String::as_str);
                Error::config(format!("the row {of} of {client:?} in the table {} was changed: remove it", self.table))
            };
            rows.extend([row(&item).ok_or_else(unread)?]);
        }
        Ok(rows)
    }

    async fn set(&self, client: &str, period: &str, row: &Aggregate) -> Result<bool> {
        let put = self.client.put_item().table_name(&self.table).set_item(Some(item(client, period, row)));
        let put = match row.version.saturating_sub(1) {
            0 => put.condition_expression("attribute_not_exists(client)"),
            before => {
                put.condition_expression("version = :before").expression_attribute_values(":before", number(before))
            }
        };
        match put.send().await {
            Ok(_) => Ok(true),
            Err(e) if e.as_service_error().is_some_and(PutItemError::is_conditional_check_failed_exception) => {
                Ok(false)
            }
            Err(e) => Err(error::of_call("write to the table", &self.table, e)),
        }
    }
}
