//! The cost of requests by the list prices of one region at one date,
//! those by which the engine estimates what a batch will cost.

use std::collections::BTreeSet;

use crate::calls::Requests;
pub use fanfold::model::price::{AS_OF, REGION};
use fanfold::model::{cost, price};

/// Dollars per million requests or units.
const S3_WRITE: f64 = price::S3_WRITE.per_million();
const S3_READ: f64 = price::S3_READ.per_million();
const SQS: f64 = price::SQS.per_million();
const SNS: f64 = price::SNS.per_million();
const TRANSITION: f64 = price::TRANSITION.per_million();
const EXPRESS: f64 = price::EXPRESS.per_million();
const DYNAMODB_WRITE_UNIT: f64 = price::WRITE_UNIT.per_million();
const DYNAMODB_READ_UNIT: f64 = price::READ_UNIT.per_million();

/// The table as the report shows it: names, and dollars per million.
pub const TABLE: [(&str, f64); 9] = [
    ("S3 PUT, POST, LIST, a part of an upload", S3_WRITE),
    ("S3 GET, HEAD", S3_READ),
    ("S3 DELETE, abort of an upload", 0.0),
    ("SQS request (FIFO queues: 0.50, counted as this)", SQS),
    ("SNS publication", SNS),
    ("Step Functions transition", TRANSITION),
    ("Step Functions express execution of up to 100 ms", EXPRESS),
    ("DynamoDB on-demand write unit", DYNAMODB_WRITE_UNIT),
    ("DynamoDB on-demand read unit", DYNAMODB_READ_UNIT),
];

/// What a batch's requests cost.
#[derive(Debug, Default, PartialEq)]
pub struct Cost {
    /// Dollars.
    pub dollars: f64,
    /// Operations without a price here, so that none counts as free unnoticed.
    pub unpriced: BTreeSet<String>,
}

/// The cost of the requests of a batch of `count` records.
pub fn cost(requests: &Requests, count: u64) -> Cost {
    let mut sum = Cost::default();
    let writes = cost::writes(requests.values(), count);
    for (operation, number) in requests.values().flatten() {
        match cost::price(operation, *number, count, writes) {
            Some(dollars) => sum.dollars += dollars,
            None => drop(sum.unpriced.insert(operation.clone())),
        }
    }
    sum
}

#[cfg(test)]
mod tests {
    use super::*;

    fn requests(stages: &[(&str, &[(&str, u64)])]) -> Requests {
        let counts = |some: &[(&str, u64)]| some.iter().map(|(name, n)| ((*name).to_owned(), *n)).collect();
        stages.iter().map(|(stage, some)| ((*stage).to_owned(), counts(some))).collect()
    }

    fn dollars(stages: &[(&str, &[(&str, u64)])], count: u64) -> f64 {
        cost(&requests(stages), count).dollars
    }

    #[test]
    fn each_operation_has_its_price() {
        for (operation, each) in [
            ("s3.PutObject", 5.0),
            ("s3.UploadPart", 5.0),
            ("s3.GetObject", 0.4),
            ("s3.DeleteObject", 0.0),
            ("sqs.SendMessageBatch", 0.4),
            ("dynamodb.UpdateItem", 0.625),
            ("dynamodb.GetItem", 0.125),
        ] {
            let dollars = dollars(&[("process", &[(operation, 1_000_000)])], 1);
            assert!((dollars - each).abs() < 1e-9, "{operation}: {dollars}");
        }
    }

    #[test]
    fn a_batch_write_counts_its_items() {
        let full = dollars(&[("process", &[("dynamodb.BatchWriteItem", 40_000)])], 1_000_000);
        assert!((full - 0.625).abs() < 1e-9, "{full}");
        // One record is one item, not 25; two stages may each write it.
        let one = dollars(&[("process", &[("dynamodb.BatchWriteItem", 1)])], 1);
        assert!((one - 0.625e-6).abs() < 1e-12, "{one}");
        let both: &[(&str, &[(&str, u64)])] =
            &[("scatter", &[("dynamodb.BatchWriteItem", 1)]), ("process", &[("dynamodb.BatchWriteItem", 1)])];
        assert!((dollars(both, 1) - 2.0 * one).abs() < 1e-12);
    }

    #[test]
    fn a_table_of_tasks_is_paid_for_too() {
        // A row in a transaction (2 units), the item (1), the row with its outcome (1).
        let scatter: &[(&str, u64)] = &[("dynamodb.TransactWriteItems", 10_000)];
        let process: &[(&str, u64)] = &[("dynamodb.BatchWriteItem", 80_000)];
        let all = dollars(&[("scatter", scatter), ("process", process)], 1_000_000);
        assert!((all - 4.0 * 0.625).abs() < 1e-9, "{all}");
    }

    #[test]
    fn what_has_no_price_is_named() {
        let cost = cost(&requests(&[("process", &[("dynamodb.ExecuteStatement", 3), ("s3.PutObject", 1)])]), 1);
        assert_eq!(cost.unpriced, ["dynamodb.ExecuteStatement".to_owned()].into());
        assert!((cost.dollars - 5e-6).abs() < 1e-12);
    }
}
