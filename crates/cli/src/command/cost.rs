//! `fanfold cost`: what the requests of a batch did cost.

use std::fmt::Write;
use std::process::ExitCode;

use clap::Args;
use serde_json::json;

use crate::command::watch::seen;
use crate::command::{Context, Named, unknown};
use crate::output::{line, note};
use fanfold::model::cost::Costs;
use fanfold::model::price::{AS_OF, REGION};

/// What is said of Lambda's price where functions counted their time.
const COUNTED: &str = "; Lambda's are those of x86, for the time that functions worked by their own clocks, without those that \
    processors call";

/// Show what a batch's requests and functions cost by list prices, service by service, beside what `fanfold plan` said.
#[derive(Debug, Args)]
pub struct Cost {
    #[command(flatten)]
    pub(super) named: Named,
}

impl Cost {
    pub(super) async fn run(self, context: &Context) -> fanfold::Result<ExitCode> {
        let Some(id) = self.named.id(context).await? else {
            return Ok(ExitCode::from(2));
        };
        let view = seen(context, &id).await?.ok_or_else(|| unknown(&id))?;
        if view.costs.is_none() {
            note(format_args!("nothing was counted of batch {id} yet"));
        }
        if self.named.common.json {
            let stages: serde_json::Map<_, _> =
                view.stages.into_iter().map(|stage| (stage.name, json!(stage.requests))).collect();
            line(
                json!({"batchId": id, "requests": stages, "costs": view.costs, "asOf": AS_OF, "region": REGION})
                    .to_string(),
            )?;
        } else if let Some(costs) = view.costs {
            line(words(&costs).trim_end())?;
        }
        Ok(ExitCode::SUCCESS)
    }
}

fn words(costs: &Costs) -> String {
    let mut words = format!("{:<16} {:>12} {:>12}\n", "service", "requests", "dollars");
    let mut row = |name: &str, requests: &str, dollars: f64| {
        let _ = writeln!(words, "{name:<16} {requests:>12} {:>12}", format!("${dollars:.4}"));
    };
    for service in &costs.services {
        row(&service.name, &service.requests.to_string(), service.dollars);
    }
    row("all", "", costs.so_far);
    if let Some(million) = costs.per_million {
        row("a million", "", million);
    }
    let counted = costs.services.iter().any(|service| service.name == "Lambda");
    let lambda = if counted { COUNTED } else { " and without Lambda" };
    let _ = writeln!(words, "\nprices of {REGION}, {AS_OF}, without free tiers{lambda}");
    words
}

#[cfg(test)]
mod tests {
    use super::*;
    use fanfold::model::cost::ServiceCost;

    #[test]
    fn what_each_service_took_is_told_and_the_sum() {
        let of = |name: &str, requests, dollars| ServiceCost { name: name.to_owned(), requests, dollars };
        let services = vec![of("DynamoDB", 4_011, 0.0625), of("S3", 602, 0.001)];
        let told = words(&Costs { so_far: 0.0635, estimated: None, per_million: Some(0.635), services });
        let rows: Vec<Vec<&str>> = told.lines().map(|line| line.split_whitespace().collect()).collect();
        assert_eq!(rows[1], ["DynamoDB", "4011", "$0.0625"]);
        assert_eq!((&rows[3][..], &rows[4][..]), (&["all", "$0.0635"][..], &["a", "million", "$0.6350"][..]));
        assert!(told.ends_with("without free tiers and without Lambda\n"), "{told}");
        let services = vec![of("Lambda", 12, 0.1)];
        let told = words(&Costs { so_far: 0.1, estimated: None, per_million: None, services });
        assert!(told.contains("Lambda                     12      $0.1000") && told.contains("those of x86"), "{told}");
    }
}
