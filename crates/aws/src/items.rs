//! An items table in DynamoDB.

use std::collections::HashMap;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::config::http::HttpResponse;
use aws_sdk_dynamodb::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_dynamodb::operation::put_item::PutItemError;
use aws_sdk_dynamodb::types::{AttributeValue, PutRequest, WriteRequest};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Number, Value, json};

use crate::batch_write::{BATCH_ITEMS, Written, batch_write};
use crate::error;
use fanfold::model::error::{Error, ErrorKind, Result};
use fanfold::model::ids::BatchId;
use fanfold::model::item::Item;
use fanfold::model::own::{ORDER, OwnAttributes};
use fanfold::model::timestamp::Timestamp;
use fanfold::store::items::{Items, Rejection, WriteMode, WriteReport};

/// The items table.
#[derive(Debug, Clone)]
pub struct DynamoItems {
    client: Client,
    table: String,
    key_field: String,
    mode: WriteMode,
    own: OwnAttributes,
}

impl DynamoItems {
    /// A table by its name, with the key attribute `key_field`.
    pub fn new(client: Client, table: impl Into<String>, key_field: impl Into<String>) -> Self {
        let (table, key_field) = (table.into(), key_field.into());
        Self { client, table, key_field, mode: WriteMode::Batch, own: OwnAttributes::default() }
    }

    /// The same table, with other names of fanfold's own attributes.
    pub fn with_own(mut self, own: OwnAttributes) -> Self {
        self.own = own;
        self
    }

    /// The same table, with another write mode.
    pub fn in_mode(mut self, mode: WriteMode) -> Self {
        self.mode = mode;
        self
    }

    /// Writes an item unless a newer one is stored. Condition and write are atomic:
    /// <https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Expressions.ConditionExpressions.html>
    async fn write_ordered(&self, item: &Item) -> Result<Option<String>> {
        let mut fields = attributes(item, &self.key_field, &self.own);
        fields.insert(ORDER.to_owned(), AttributeValue::S(item.order()));
        let request = self.client.put_item().table_name(&self.table).set_item(Some(fields));
        let request = request
            .condition_expression("attribute_not_exists(#order) OR #order <= :order")
            .expression_attribute_names("#order", ORDER)
            .expression_attribute_values(":order", AttributeValue::S(item.order()));
        match request.send().await {
            Ok(_) => Ok(None),
            Err(error) if error.code() == Some("ConditionalCheckFailedException") => Ok(None),
            Err(error) => self.refusal(error).map(Some),
        }
    }

    async fn write_alone(&self, item: &Item) -> Result<Option<String>> {
        let request = self.client.put_item().table_name(&self.table);
        match request.set_item(Some(attributes(item, &self.key_field, &self.own))).send().await {
            Ok(_) => Ok(None),
            Err(error) => self.refusal(error).map(Some),
        }
    }

    /// Why DynamoDB refuses an item for good.
    fn refusal(&self, error: SdkError<PutItemError, HttpResponse>) -> Result<String> {
        if error.code() == Some("ValidationException") {
            return Ok(error.message().unwrap_or("DynamoDB refuses the item").to_owned());
        }
        Err(error::of_call("write to the table", &self.table, error))
    }

    /// Writes items one by one, each in a request of its own. Those after the first that the table is too busy for wait
    /// like that one.
    async fn write_singly(&self, items: &[Item]) -> Result<WriteReport> {
        let mut report = WriteReport::default();
        for (position, item) in items.iter().enumerate() {
            let written = match self.mode {
                WriteMode::Ordered => self.write_ordered(item).await,
                WriteMode::Batch => self.write_alone(item).await,
            };
            match written {
                Ok(None) => {}
                Ok(Some(reason)) => report.rejected.push(Rejection { position, reason }),
                Err(error) if error.kind == ErrorKind::Busy && position > 0 => {
                    report.unprocessed = (position..items.len()).collect();
                    break;
                }
                Err(error) => return Err(error),
            }
        }
        Ok(report)
    }

    /// The positions of items that DynamoDB returned.
    fn positions(&self, items: &[Item], returned: &[HashMap<String, AttributeValue>]) -> Vec<usize> {
        let key = |fields: &HashMap<String, AttributeValue>| fields.get(&self.key_field)?.as_s().ok().cloned();
        let keys: Vec<Option<String>> = returned.iter().map(key).collect();
        let is_left = |item: &Item| keys.iter().any(|key| key.as_ref() == Some(&item.key));
        (0..items.len()).filter(|position| is_left(&items[*position])).collect()
    }

    fn item(&self, key: &str, attributes: HashMap<String, AttributeValue>) -> Result<Item> {
        let mut fields = fields_of(attributes);
        let mut own = |name: &str| fields.remove(name).ok_or_else(|| Error::internal(format!("{key} has no {name}")));
        let number = |value: Value| value.to_string().parse::<i64>().unwrap_or_default();
        let order = own(ORDER).unwrap_or_default();
        let sequence = order.as_str().and_then(|order| order.split('#').next()?.parse().ok()).unwrap_or_default();
        let batch = own(self.own.batch)?;
        let index = number(own(self.own.index)?);
        let updated_at = Timestamp(number(own(self.own.updated_at)?));
        Ok(Item {
            key: key.to_owned(),
            fields,
            batch: BatchId::parse(batch.as_str().unwrap_or_default())?,
            index: index as u64,
            updated_at,
            sequence: Timestamp(sequence),
        })
    }
}

impl Items for DynamoItems {
    fn most(&self) -> usize {
        match self.mode {
            WriteMode::Batch => BATCH_ITEMS,
            WriteMode::Ordered => 1,
        }
    }

    /// DynamoDB refuses a whole batch if it refuses one item; writing the items one by one then finds that item.
    async fn write(&self, items: &[Item]) -> Result<WriteReport> {
        if items.is_empty() || self.mode == WriteMode::Ordered {
            return self.write_singly(items).await;
        }
        let requests = put_requests(items, &self.key_field, &self.own)?;
        match batch_write(&self.client, &self.table, requests).await? {
            Written::Except(returned) => {
                Ok(WriteReport { unprocessed: self.positions(items, &returned), ..WriteReport::default() })
            }
            Written::Refused => self.write_singly(items).await,
        }
    }

    async fn read(&self, key: &str) -> Result<Option<Item>> {
        self.get(key).await?.map(|attributes| self.item(key, attributes)).transpose()
    }
}

impl DynamoItems {
    /// Reads the item under a key with all of its attributes, in DynamoDB's own JSON, in which a value stands beside its type.
    ///
    /// # Errors
    /// Those of the table.
    pub async fn read_typed(&self, key: &str) -> Result<Option<Value>> {
        Ok(self.get(key).await?.map(|item| typed_members(&item)))
    }

    /// Reads the fields of the item under a key, with the attributes that fanfold adds to them.
    ///
    /// # Errors
    /// Those of the table.
    pub async fn fields(&self, key: &str) -> Result<Option<Map<String, Value>>> {
        Ok(self.get(key).await?.map(fields_of))
    }

    /// Reads those of all items, in any order, with their keys, each as it was written last when its page was read. That costs as much as the
    /// table has, a unit for every 8 KB (<https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Scan.html>).
    ///
    /// # Errors
    /// Those of the table.
    pub async fn all_fields(&self) -> Result<Vec<(String, Map<String, Value>)>> {
        let mut pages = self.client.scan().table_name(&self.table).into_paginator().items().send();
        let mut all = Vec::new();
        while let Some(row) = pages.next().await {
            let row = row.map_err(|e| error::of_call("read the table", &self.table, e))?;
            let key = row.get(&self.key_field).and_then(|key| key.as_s().ok()).cloned().unwrap_or_default();
            all.push((key, fields_of(row)));
        }
        Ok(all)
    }

    async fn get(&self, key: &str) -> Result<Option<HashMap<String, AttributeValue>>> {
        let request = self.client.get_item().table_name(&self.table).consistent_read(true);
        let request = request.key(&self.key_field, AttributeValue::S(key.to_owned()));
        let found = request.send().await.map_err(|e| error::of_call("read from the table", &self.table, e))?;
        Ok(found.item)
    }
}

fn fields_of(item: HashMap<String, AttributeValue>) -> Map<String, Value> {
    item.into_iter().map(|(name, value)| (name, from_attribute(value))).collect()
}

fn typed_members(members: &HashMap<String, AttributeValue>) -> Value {
    Value::Object(members.iter().map(|(name, value)| (name.clone(), typed(value))).collect())
}

/// A value in DynamoDB's own JSON: <https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_AttributeValue.html>
fn typed(value: &AttributeValue) -> Value {
    match value {
        AttributeValue::B(bytes) => json!({ "B": STANDARD.encode(bytes) }),
        AttributeValue::Bs(all) => json!({ "BS": all.iter().map(|bytes| STANDARD.encode(bytes)).collect::<Vec<_>>() }),
        AttributeValue::Bool(value) => json!({ "BOOL": value }),
        AttributeValue::L(values) => json!({ "L": values.iter().map(typed).collect::<Vec<_>>() }),
        AttributeValue::M(members) => json!({ "M": typed_members(members) }),
        AttributeValue::N(digits) => json!({ "N": digits }),
        AttributeValue::Ns(all) => json!({ "NS": all }),
        AttributeValue::S(text) => json!({ "S": text }),
        AttributeValue::Ss(all) => json!({ "SS": all }),
        _ => json!({ "NULL": true }),
    }
}

/// The write requests for a batch of items.
///
/// # Errors
/// `Internal`, though never in practice.
pub fn put_requests(items: &[Item], key_field: &str, own: &OwnAttributes) -> Result<Vec<WriteRequest>> {
    let mut requests = Vec::with_capacity(items.len());
    for item in items {
        let put = PutRequest::builder().set_item(Some(attributes(item, key_field, own))).build();
        let put = put.map_err(|e| Error::internal("an item lacks its attributes").because(e))?;
        requests.push(WriteRequest::builder().put_request(put).build());
    }
    Ok(requests)
}

fn attributes(item: &Item, key_field: &str, own: &OwnAttributes) -> HashMap<String, AttributeValue> {
    let mut attributes: HashMap<String, AttributeValue> = HashMap::with_capacity(item.fields.len() + 3);
    for (name, value) in &item.fields {
        attributes.insert(name.clone(), to_attribute(value));
    }
    attributes.insert(key_field.to_owned(), AttributeValue::S(item.key.clone()));
    attributes.insert(own.batch.into(), AttributeValue::S(item.batch.to_string()));
    attributes.insert(own.index.into(), AttributeValue::N(item.index.to_string()));
    attributes.insert(own.updated_at.into(), AttributeValue::N(item.updated_at.0.to_string()));
    attributes
}

fn to_attribute(value: &Value) -> AttributeValue {
    match value {
        Value::Null => AttributeValue::Null(true),
        Value::Bool(value) => AttributeValue::Bool(*value),
        Value::Number(number) => AttributeValue::N(number.to_string()),
        Value::String(text) => AttributeValue::S(text.clone()),
        Value::Array(values) => AttributeValue::L(values.iter().map(to_attribute).collect()),
        Value::Object(fields) => {
            AttributeValue::M(fields.iter().map(|(name, value)| (name.clone(), to_attribute(value))).collect())
        }
    }
}

fn from_attribute(attribute: AttributeValue) -> Value {
    match attribute {
        AttributeValue::Bool(value) => Value::Bool(value),
        AttributeValue::N(digits) => digits.parse::<Number>().map_or(Value::String(digits), Value::Number),
        AttributeValue::S(text) => Value::String(text),
        AttributeValue::L(values) => Value::Array(values.into_iter().map(from_attribute).collect()),
        AttributeValue::M(fields) => {
            Value::Object(fields.into_iter().map(|(name, value)| (name, from_attribute(value))).collect())
        }
        _ => Value::Null,
    }
}
