//! A counters table in DynamoDB.

use std::collections::{BTreeSet, HashMap};

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::types::{AttributeValue, DeleteRequest, PutRequest, WriteRequest};
use futures::stream::{self, Stream, StreamExt, TryStreamExt};

use crate::batch_write::batch_write_all;
use crate::error;
use fanfold::model::error::{Error, Result};
use fanfold::model::fold::{Group, Numbers, Totals};
use fanfold::model::ids::{BatchId, ChunkIndex};
use fanfold::store::counters::{Counters, chunk_name};

/// The partition key: the group's values as a JSON array.
const GROUP: &str = "group";
/// The sort key: the chunk.
const CHUNK: &str = "chunk";

/// Parts of the table that are read at the same time.
const SEGMENTS: i32 = 8;

type Attributes = HashMap<String, AttributeValue>;

/// The counters table. Rows have no expiry.
#[derive(Debug, Clone)]
pub struct DynamoCounters {
    client: Client,
    table: String,
}

impl DynamoCounters {
    /// A table by its name, with the partition key `group` and the sort key `chunk`, both texts.
    pub fn new(client: Client, table: impl Into<String>) -> Self {
        Self { client, table: table.into() }
    }

    /// The first values of the groups that are `wanted`, each once; `None` if there are more than `most`. The whole table is read for
    /// that, several parts of it at the same time
    /// (<https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Scan.html#Scan.ParallelScan>).
    ///
    /// # Errors
    /// Those of the table.
    pub async fn first_values(
        &self,
        wanted: impl Fn(&[String]) -> bool,
        most: usize,
    ) -> Result<Option<BTreeSet<String>>> {
        let mut found = BTreeSet::new();
        let segments = stream::iter(0..SEGMENTS).map(|segment| self.groups(segment));
        let mut groups = std::pin::pin!(segments.flatten_unordered(None));
        while let Some(group) = groups.try_next().await? {
            if wanted(&group) {
                found.extend(group.into_iter().next());
            }
            if found.len() > most {
                return Ok(None);
            }
        }
        Ok(Some(found))
    }

    /// The groups of one part of the table, each as often as it has rows.
    fn groups(&self, segment: i32) -> impl Stream<Item = Result<Vec<String>>> {
        let scan = self.client.scan().table_name(&self.table).consistent_read(true);
        let scan = scan.segment(segment).total_segments(SEGMENTS);
        let scan = scan.projection_expression("#group").expression_attribute_names("#group", GROUP);
        let pages = scan.into_paginator().items().send();
        let groups = stream::unfold(pages, async |mut pages| Some((pages.next().await?, pages)));
        groups
            .map(|row| {
                let row = row.map_err(|e| error::of_call("read the table", &self.table, e))?;
                let group = row.get(GROUP).and_then(|key| serde_json::from_str(key.as_s().ok()?).ok());
                group.ok_or_else(|| Error::internal(format!("a row of the table {} is not readable", self.table)))
            })
            .boxed()
    }

    /// Sends requests for these groups, and returns the positions of those that the table was too busy for.
    async fn write<'a>(
        &self,
        groups: impl Iterator<Item = &'a Group>,
        requests: Vec<WriteRequest>,
    ) -> Result<Vec<usize>> {
        if requests.is_empty() {
            return Ok(Vec::new());
        }
        let left = batch_write_all(&self.client, &self.table, requests).await?;
        let left = left.ok_or_else(|| Error::internal(format!("the table {} refuses a counter", self.table)))?;
        let key = |keys: &Attributes| keys.get(GROUP)?.as_s().ok().cloned();
        let left: BTreeSet<String> = left.iter().filter_map(key).collect();
        Ok(groups.enumerate().filter(|(_, group)| left.contains(&group.key())).map(|(position, _)| position).collect())
    }
}

impl Counters for DynamoCounters {
    async fn set(&self, batch: &BatchId, chunk: ChunkIndex, rows: &[(Group, Totals)]) -> Result<Vec<usize>> {
        let mut requests = Vec::with_capacity(rows.len());
        for (group, totals) in rows {
            let mut row = key(batch, chunk, group);
            row.insert("count".to_owned(), AttributeValue::N(totals.count.to_string()));
            for (name, numbers) in [("sum", &totals.sums), ("min", &totals.mins), ("max", &totals.maxs)] {
                row.extend(texts(numbers).map(|numbers| (name.to_owned(), numbers)));
            }
            let put = PutRequest::builder().set_item(Some(row)).build();
            let put = put.map_err(|e| Error::internal("a row lacks its attributes").because(e))?;
            requests.push(WriteRequest::builder().put_request(put).build());
        }
        self.write(rows.iter().map(|(group, _)| group), requests).await
    }

    async fn read(&self, group: &Group) -> Result<Totals> {
        let (mut sum, mut next) = (Totals::default(), None);
        loop {
            let request = self.client.query().table_name(&self.table).consistent_read(true);
            let request = request
                .key_condition_expression("#group = :group")
                .expression_attribute_names("#group", GROUP)
                .expression_attribute_values(":group", AttributeValue::S(group.key()))
                .set_exclusive_start_key(next);
            let page = request.send().await.map_err(|e| error::of_call("read the table", &self.table, e))?;
            for row in page.items.unwrap_or_default() {
                let totals = totals(&row);
                sum.merge(
                    totals
                        .ok_or_else(|| Error::internal(format!("a row of the table {} is not readable", self.table)))?,
                );
            }
            next = page.last_evaluated_key.filter(|key| !key.is_empty());
            if next.is_none() {
                return Ok(sum);
            }
        }
    }

    async fn forget(&self, batch: &BatchId, chunk: ChunkIndex, groups: &[Group]) -> Result<Vec<usize>> {
        let mut requests = Vec::with_capacity(groups.len());
        for group in groups {
            let delete = DeleteRequest::builder().set_key(Some(key(batch, chunk, group))).build();
            let delete = delete.map_err(|e| Error::internal("a row lacks its key").because(e))?;
            requests.push(WriteRequest::builder().delete_request(delete).build());
        }
        self.write(groups.iter(), requests).await
    }
}

fn key(batch: &BatchId, chunk: ChunkIndex, group: &Group) -> Attributes {
    HashMap::from([
        (GROUP.to_owned(), AttributeValue::S(group.key())),
        (CHUNK.to_owned(), AttributeValue::S(chunk_name(batch, chunk))),
    ])
}

/// Numbers as texts: DynamoDB's own have 38 digits.
fn texts(numbers: &Numbers) -> Option<AttributeValue> {
    let texts = numbers.iter().map(|(field, number)| (field.clone(), AttributeValue::S(number.to_string())));
    (!numbers.is_empty()).then(|| AttributeValue::M(texts.collect()))
}

fn totals(row: &Attributes) -> Option<Totals> {
    let numbers = |name: &str| -> Option<Numbers> {
        let Some(found) = row.get(name) else {
            return Some(Numbers::new());
        };
        let number = |(field, text): (&String, &AttributeValue)| {
            Some((field.clone(), serde_json::from_value(text.as_s().ok()?.as_str().into()).ok()?))
        };
        found.as_m().ok()?.iter().map(number).collect()
    };
    let count = row.get("count")?.as_n().ok()?.parse().ok()?;
    Some(Totals { count, sums: numbers("sum")?, mins: numbers("min")?, maxs: numbers("max")? })
}
