//! All assets that a report can tell of: those of which something was counted on its days.

use std::time::Duration;

use axum::http::StatusCode;
use tokio::time::timeout;

use crate::pipelines::Pipeline;
use crate::problem::{Problem, Result};
use fanfold::model::reporting::order::{MOST_ASSETS, Order};
use fanfold_aws::counters::DynamoCounters;

/// How long counters may be looked through: a function behind an HTTP API has 30 seconds for its answer
/// (<https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-quotas.html>).
const PATIENCE: Duration = Duration::from_secs(20);

/// The assets that were counted on the days of an order, in the order of their names. All counters are looked through for that, since
/// their keys begin with the asset.
pub async fn counted(pipeline: &Pipeline, order: &Order) -> Result<Vec<String>> {
    let Some(table) = &pipeline.resources.usage_table else {
        return Err(refused("\"all\" is known of counters, and another function makes this report; name the assets"));
    };
    let counters = DynamoCounters::new(pipeline.clients.dynamodb.clone(), table);
    let (from, to) = (order.from.to_string(), order.to.to_string());
    // Days are texts of one length, so that they compare as the days do.
    let wanted = |group: &[String]| matches!(group, [_, day] if *from <= **day && **day < *to);
    let found = timeout(PATIENCE, counters.first_values(wanted, MOST_ASSETS)).await;
    let Ok(found) = found else {
        return Err(refused(&format!(
            "\"all\" could not be looked up in {} seconds, so many counters are there; name the assets",
            PATIENCE.as_secs()
        )));
    };
    let found =
        found?.ok_or_else(|| refused(&format!("\"all\" is more than {MOST_ASSETS} assets; name those that matter")))?;
    Ok(found.into_iter().collect())
}

fn refused(why: &str) -> Problem {
    Problem::new(StatusCode::BAD_REQUEST, format!("/assets {why}"))
}
