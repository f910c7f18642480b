//! What the requests of a batch cost by list prices, from their counts.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::model::calls::{Calls, INVOCATION, Requests, is_request};
use crate::model::price::{
    Dollars, EXPRESS, LAMBDA_GB_SECOND, LAMBDA_REQUEST, READ_UNIT, S3_READ, S3_WRITE, SNS, SQS, TRANSITION, WRITE_UNIT,
};

/// The most items of a `BatchWriteItem`
/// (<https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_BatchWriteItem.html>).
const BATCH_ITEMS: u64 = 25;
/// The most rows of a `TransactWriteItems`, each of which costs two units
/// (<https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_TransactWriteItems.html>).
const TRANSACTION_ROWS: u64 = 100;
const TRANSACTION: &str = "dynamodb.TransactWriteItems";
/// The stage whose requests grow with the records that ended.
const PROCESS: &str = "process";
const MILLION: f64 = 1e6;
/// Megabytes and milliseconds of a GB for a second.
const GB_SECOND: f64 = 1024.0 * 1000.0;

/// What a batch's requests to S3, SQS, SNS, Step Functions and DynamoDB cost, in dollars, and the functions that made them, by
/// the time that they measured themselves.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct Costs {
    /// What was counted until now.
    pub so_far: f64,
    /// What they are expected to cost in all, before gather: while the batch is worked on and its records are known.
    #[serde(default)]
    pub estimated: Option<f64>,
    /// What a million of such records cost, by those that ended.
    pub per_million: Option<f64>,
    /// The same by service.
    pub services: Vec<ServiceCost>,
}

/// What the requests to a service cost, or the functions.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct ServiceCost {
    /// The service.
    pub name: String,
    /// How many requests there were, or invocations of Lambda's; a golden document of before has none.
    #[serde(default)]
    pub requests: u64,
    /// What they cost.
    pub dollars: f64,
}

impl Costs {
    /// The cost of what the stages of a batch requested, of which `ended` records ended, and `left` will if that is known;
    /// `None` if nothing was counted.
    pub fn of(calls: &Calls, ended: u64, left: Option<u64>) -> Option<Self> {
        let (mut by_service, writes) =
            (BTreeMap::<&str, (u64, f64)>::new(), writes(calls.0.values().map(|stage| &stage.requests), ended));
        let mut grows = 0.0;
        for (stage, operation, number) in requests(calls) {
            let (Some((service, _)), Some(dollars)) =
                (operation.split_once('.'), price(operation, number, ended, writes))
            else {
                continue;
            };
            let sum = by_service.entry(service).or_default();
            let requests = if is_request(operation) || operation == INVOCATION { number } else { 0 };
            *sum = (sum.0 + requests, sum.1 + dollars);
            if stage == PROCESS {
                grows += dollars;
            }
        }
        if by_service.is_empty() {
            return None;
        }
        let named = |(service, (requests, dollars)): (&str, (u64, f64))| {
            let name = match service {
                "dynamodb" => "DynamoDB".to_owned(),
                "sfn" => "Step Functions".to_owned(),
                "lambda" => "Lambda".to_owned(),
                other => other.to_uppercase(),
            };
            ServiceCost { name, requests, dollars }
        };
        let services: Vec<ServiceCost> = by_service.into_iter().map(named).collect();
        let so_far = services.iter().map(|service| service.dollars).sum();
        let each = |dollars: f64| (ended > 0).then(|| dollars / ended as f64);
        let estimated = left.and_then(|left| Some(so_far + each(grows)? * left as f64));
        Some(Self { so_far, estimated, per_million: each(so_far).map(|each| each * MILLION), services })
    }
}

/// All requests by stage and operation.
fn requests(calls: &Calls) -> impl Iterator<Item = (&str, &str, u64)> {
    calls.0.iter().flat_map(|(name, stage)| {
        stage.requests.iter().map(move |(operation, number)| (name.as_str(), operation.as_str(), *number))
    })
}

/// How many items the stages of a batch of `count` records write at most. A variant that keeps its records in a table also
/// writes each outcome there, besides the item.
pub fn writes<'a>(mut stages: impl Iterator<Item = &'a Requests>, count: u64) -> u64 {
    if stages.any(|stage| stage.contains_key(TRANSACTION)) { 2 * count } else { count }
}

/// The cost of that many requests of one stage in dollars; `None` if they have no price here. Writing an item of up to 1 KB
/// is one unit, or two in a transaction. Batches are assumed to be full, but no stage writes more than `writes` items, and no
/// transactions more than a row for each of `count` records. A read of up to 4 KB is one unit: reads of many items are
/// undercounted.
pub fn price(operation: &str, number: u64, count: u64, writes: u64) -> Option<f64> {
    let (service, name) = operation.split_once('.')?;
    let times = |many: u64, each: Dollars| many as f64 * each.value();
    Some(match (service, name) {
        ("s3", "GetObject" | "HeadObject") => times(number, S3_READ),
        ("s3", "DeleteObject" | "DeleteObjects" | "AbortMultipartUpload") => 0.0,
        ("s3", "PutObject" | "CopyObject" | "ListObjects" | "ListObjectsV2") => times(number, S3_WRITE),
        ("s3", "CreateMultipartUpload" | "UploadPart" | "CompleteMultipartUpload") => times(number, S3_WRITE),
        ("sqs", _) => times(number, SQS),
        ("sns", _) => times(number, SNS),
        ("sfn", "StartExecution") => 0.0,
        ("sfn", "Transition") => times(number, TRANSITION),
        ("sfn", "ExpressExecution") => times(number, EXPRESS),
        ("lambda", "Invocation") => times(number, LAMBDA_REQUEST),
        ("lambda", "MegabyteMillisecond") => number as f64 / GB_SECOND * LAMBDA_GB_SECOND.value(),
        ("dynamodb", "PutItem" | "UpdateItem" | "DeleteItem" | "IndexEntry") => times(number, WRITE_UNIT),
        ("dynamodb", "BatchWriteItem") => times((number * BATCH_ITEMS).min(writes.max(number)), WRITE_UNIT),
        ("dynamodb", "TransactWriteItems") => times(2 * (number * TRANSACTION_ROWS).min(count.max(number)), WRITE_UNIT),
        ("dynamodb", "GetItem" | "BatchGetItem" | "Query" | "Scan") => times(number, READ_UNIT),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::calls::{EXPRESS, INDEX_ENTRY, MEMORY_TIME, StageCalls, TRANSITION, many};

    #[test]
    fn the_cost_of_a_batch_is_the_sum_over_its_services() {
        let stage = |requests: &[(&str, u64)]| StageCalls {
            messages: 1,
            requests: requests.iter().map(|(name, count)| ((*name).to_owned(), *count)).collect(),
        };
        let stages = [
            ("scatter", stage(&[("s3.GetObject", 10), ("sqs.SendMessageBatch", 2), ("sns.PublishBatch", 3)])),
            ("process", stage(&[("dynamodb.BatchWriteItem", 4), ("s3.PutObject", 3)])),
            ("processor", stage(&[("calls", 9)])),
        ];
        let calls = Calls(stages.map(|(name, stage)| (name.to_owned(), stage)).into());
        let costs = Costs::of(&calls, 100, None).unwrap();
        let told: Vec<(&str, u64)> = costs.services.iter().map(|one| (one.name.as_str(), one.requests)).collect();
        assert_eq!(told, [("DynamoDB", 4), ("S3", 13), ("SNS", 3), ("SQS", 2)]);
        let dollars = 100.0 * 0.625e-6 + 10.0 * 0.4e-6 + 3.0 * 5e-6 + 2.0 * 0.4e-6 + 3.0 * 0.5e-6;
        assert!((costs.so_far - dollars).abs() < 1e-12, "{costs:?}");
        assert!((costs.per_million.unwrap() - dollars * 1e4).abs() < 1e-9);
        // What scatter requested does not come again for the other 300 records.
        let estimated = Costs::of(&calls, 100, Some(300)).unwrap().estimated.unwrap();
        let process = 100.0 * 0.625e-6 + 3.0 * 5e-6;
        assert!((estimated - (dollars + 3.0 * process)).abs() < 1e-12, "{estimated}");
        assert_eq!((costs.estimated, Costs::of(&Calls::default(), 100, Some(1))), (None, None));
        let begun = Costs::of(&calls, 0, Some(300)).unwrap();
        assert_eq!((begun.per_million, begun.estimated), (None, None));
    }

    #[test]
    fn an_entry_of_an_index_costs_a_write_and_is_no_request() {
        let requests = [("dynamodb.PutItem", 10), (INDEX_ENTRY, 7)].map(|(name, count)| (name.to_owned(), count));
        let stage = StageCalls { messages: 1, requests: requests.into() };
        let costs = Costs::of(&Calls([("process".to_owned(), stage)].into()), 10, None).unwrap();
        assert_eq!((costs.services[0].requests, costs.services.len()), (10, 1));
        assert!((costs.so_far - 17.0 * 0.625e-6).abs() < 1e-12, "{costs:?}");
    }

    /// Twelve invocations of 512 MB that take 250 ms each: 1.5 GB for a second.
    #[test]
    fn a_function_costs_its_invocations_and_its_memory_for_their_time() {
        let requests = [(INVOCATION, 12), (MEMORY_TIME, 12 * 512 * 250)].map(|(name, n)| (name.to_owned(), n));
        let stage = StageCalls { messages: 1, requests: requests.into() };
        assert_eq!(many(&stage.requests), 0);
        let costs = Costs::of(&Calls([("process".to_owned(), stage)].into()), 100, Some(100)).unwrap();
        assert_eq!((costs.services[0].name.as_str(), costs.services[0].requests), ("Lambda", 12));
        assert!((costs.so_far - (12.0 * 0.2e-6 + 1.5 * 16.667e-6)).abs() < 1e-12, "{costs:?}");
        assert!((costs.estimated.unwrap() - 2.0 * costs.so_far).abs() < 1e-12, "the other records need as much");
    }

    /// What a map makes of 100 chunks is told beside the request that starts it.
    #[test]
    fn a_map_costs_its_transitions_and_is_one_request() {
        let requests = [("sfn.StartExecution", 1), (TRANSITION, 104), (EXPRESS, 100)];
        let stage = StageCalls { messages: 1, requests: requests.map(|(name, n)| (name.to_owned(), n)).into() };
        assert_eq!(many(&stage.requests), 1);
        let costs = Costs::of(&Calls([("scatter".to_owned(), stage)].into()), 100, None).unwrap();
        assert_eq!((costs.services[0].name.as_str(), costs.services[0].requests), ("Step Functions", 1));
        assert!((costs.so_far - (104.0 * 25e-6 + 100.0 * 1.104e-6)).abs() < 1e-12, "{costs:?}");
    }
}
