//! What the user of a plain loop writes.

use std::collections::{BTreeMap, HashMap};
use std::error::Error;

use aws_sdk_dynamodb::types::{AttributeValue, PutRequest, WriteRequest};
use bigdecimal::BigDecimal;
use futures::{StreamExt, TryStreamExt, stream};
use serde::Deserialize;

/// Requests under way at once.
const WIDTH: usize = 16;
/// <https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_BatchWriteItem.html>
const BATCH_ITEMS: usize = 25;

#[derive(Deserialize)]
pub(super) struct Work {
    bucket: String,
    key: String,
    output: String,
    items: String,
    counters: String,
}

#[derive(Deserialize, Clone)]
#[serde(rename_all = "camelCase")]
struct Record {
    item_no: String,
    price: String,
    name: String,
    category: String,
    note: String,
}

impl Record {
    fn price(&self) -> Result<BigDecimal, String> {
        if self.item_no.is_empty() {
            return Err("itemNo is empty".to_owned());
        }
        self.price.parse().map_err(|_| format!("price {:?} is no number", self.price))
    }

    fn put(&self) -> Result<WriteRequest, Box<dyn Error>> {
        let texts =
            [("itemNo", &self.item_no), ("name", &self.name), ("category", &self.category), ("note", &self.note)];
        let mut item: HashMap<String, AttributeValue> =
            texts.into_iter().map(|(name, text)| (name.to_owned(), AttributeValue::S(text.clone()))).collect();
        item.insert("price".to_owned(), AttributeValue::N(self.price.clone()));
        Ok(WriteRequest::builder().put_request(PutRequest::builder().set_item(Some(item)).build()?).build())
    }
}

async fn write(dynamodb: &aws_sdk_dynamodb::Client, table: &str, records: &[Record]) -> Result<(), Box<dyn Error>> {
    let puts = records.iter().map(Record::put).collect::<Result<Vec<_>, _>>()?;
    let mut left = HashMap::from([(table.to_owned(), puts)]);
    while !left.is_empty() {
        let written = dynamodb.batch_write_item().set_request_items(Some(left)).send().await;
        left = written.map_err(|e| e.into_service_error())?.unprocessed_items.unwrap_or_default();
    }
    Ok(())
}

pub(super) async fn run(
    s3: &aws_sdk_s3::Client,
    dynamodb: &aws_sdk_dynamodb::Client,
    work: Work,
) -> Result<(), Box<dyn Error>> {
    let body = s3.get_object().bucket(&work.bucket).key(&work.key).send().await.map_err(|e| e.into_service_error())?;
    let bytes = body.body.collect().await?.into_bytes();
    let (mut good, mut counts) = (Vec::new(), BTreeMap::<String, (u64, BigDecimal)>::new());
    let mut results = csv::Writer::from_writer(Vec::new());
    results.write_record(["itemNo", "price", "name", "category", "note", "success", "message"])?;
    for record in csv::Reader::from_reader(&bytes[..]).deserialize() {
        let record: Record = record?;
        let Record { item_no, price, name, category, note } = &record;
        let (success, message) = match record.price() {
            Ok(number) => {
                let (count, sum) = counts.entry(category.clone()).or_default();
                *count += 1;
                *sum += number;
                good.push(record.clone());
                ("true", String::new())
            }
            Err(reason) => ("false", reason),
        };
        results.write_record([item_no, price, name, category, note, success, &message])?;
    }
    let writes = good.chunks(BATCH_ITEMS).map(|records| write(dynamodb, &work.items, records));
    stream::iter(writes.collect::<Vec<_>>()).buffer_unordered(WIDTH).try_collect::<()>().await?;
    for (category, (count, sum)) in counts {
        let update = dynamodb.update_item().table_name(&work.counters).key("group", AttributeValue::S(category));
        let update = update.update_expression("ADD #count :count, #sum :sum");
        let update = update.expression_attribute_names("#count", "count").expression_attribute_names("#sum", "sum");
        let update = update.expression_attribute_values(":count", AttributeValue::N(count.to_string()));
        let update = update.expression_attribute_values(":sum", AttributeValue::N(sum.to_string()));
        update.send().await.map_err(|e| e.into_service_error())?;
    }
    let put = s3.put_object().bucket(&work.output).key(format!("{}/results.csv", work.key));
    put.body(results.into_inner()?.into()).send().await.map_err(|e| e.into_service_error())?;
    Ok(())
}
