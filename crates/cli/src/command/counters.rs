//! `fanfold counters`: what was counted of a group of records, and how to take away what a batch added.

use std::process::ExitCode;

use clap::{Args, Subcommand};

use crate::command::{Common, Context};
use crate::output::{line, note};
use fanfold::batch::chunks::RecordStore;
use fanfold::batch::control::latest;
use fanfold::batch::counting::Counted;
use fanfold::model::error::{Error, Result};
use fanfold::model::fold::{Group, MAX_GROUP_BYTES, Totals};
use fanfold::model::ids::BatchId;
use fanfold::model::progress::Batch;
use fanfold::store::Clock;
use fanfold::store::clock::SystemClock;
use fanfold::store::counters::Counters;
use fanfold::store::ledger::Ledger;
use fanfold::store::pace::{Pace, Paced, PacedStores};
use fanfold_aws::clients::AwsStores;
use fanfold_aws::counters::DynamoCounters;
use fanfold_aws::s3::S3Blob;
use fanfold_aws::tasks::DynamoTasks;
use serde_json::json;

/// The longest that a function lives: a worker that began before its batch was closed may count its chunk once more.
// https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html
const LIFETIME_SECONDS: i64 = 15 * 60;

/// Show the counters of a group of records: of all batches that were not taken away.
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub struct CountersCommand {
    #[command(subcommand)]
    action: Option<Action>,
    /// The group's values, in the order of group_by. After `--` if the first is a word such as forget.
    #[arg(required = true, value_name = "GROUP")]
    group: Vec<String>,
    #[command(flatten)]
    common: Common,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Take away what a closed batch added to the counters, in all of its generations. May be repeated.
    Forget(Forget),
}

#[derive(Debug, Args)]
struct Forget {
    /// The batch's id, as `fanfold submit` printed it.
    batch_id: String,
    /// Only say how many rows of the counters table that would delete.
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    common: Common,
}

impl CountersCommand {
    pub(super) fn pipeline(&self) -> Option<&str> {
        let common = match &self.action {
            Some(Action::Forget(forget)) => &forget.common,
            None => &self.common,
        };
        common.pipeline.as_deref()
    }

    pub(super) async fn run(self, context: &Context) -> Result<ExitCode> {
        let table = context.resources.counters_table.as_ref().ok_or_else(|| {
            Error::config("the pipeline keeps no counters; deploy it with aggregate among its processors")
        })?;
        let counters = DynamoCounters::new(context.clients.dynamodb.clone(), table);
        let counters = Pace::new(SystemClock).keep(counters);
        match self.action {
            Some(Action::Forget(forget)) => forget.run(context, &counters).await,
            None => show(&counters, self.group, self.common.json).await,
        }
    }
}

async fn show(counters: &impl Counters, values: Vec<String>, json: bool) -> Result<ExitCode> {
    let group = Group::new(values.clone());
    let group = group.ok_or_else(|| Error::config(format!("no group is longer than {MAX_GROUP_BYTES} bytes")))?;
    let totals = counters.read(&group).await?;
    for told in told(&values, &totals, json)? {
        line(told)?;
    }
    if totals.count == 0 {
        note("nothing is counted of this group; its values are those of group_by, in their order");
    }
    Ok(ExitCode::SUCCESS)
}

/// The lines that say what is counted of a group.
fn told(values: &[String], totals: &Totals, json: bool) -> Result<Vec<String>> {
    if json {
        let Totals { count, sums, mins, maxs } = totals;
        // Numbers are texts: not every reader of JSON keeps their digits.
        return Ok(vec![json!({"group": values, "count": count, "sum": sums, "min": mins, "max": maxs}).to_string()]);
    }
    let mut lines = vec![format!("count  {}", totals.count)];
    for (name, numbers) in [("sum", &totals.sums), ("min", &totals.mins), ("max", &totals.maxs)] {
        lines.extend(numbers.iter().map(|(field, number)| format!("{name:<6} {field}  {number}")));
    }
    Ok(lines)
}

impl Forget {
    async fn run(self, context: &Context, counters: &Paced<DynamoCounters, SystemClock>) -> Result<ExitCode> {
        let id = match BatchId::parse(&self.batch_id) {
            Ok(id) => id,
            Err(error) => {
                note(format_args!("error: {error}"));
                return Ok(ExitCode::from(2));
            }
        };
        let unknown = || {
            Error::malformed(format!(
                "the ledger does not know batch {id}: it was not scattered yet, ended over 30 days ago, \
                 or belongs to another pipeline"
            ))
        };
        let last = latest(&context.ledger(), &id.in_generation(0)).await?.ok_or_else(unknown)?;
        if !last.state.is_final() {
            return Err(Error::conflict(format!(
                "batch {} is {} and would count again; wait for it, or cancel it first",
                last.opening.id,
                last.state.name()
            )));
        }
        let chunks = chunks(context);
        let generations = generations(context, last).await?;
        let mut rows = 0;
        for batch in &generations {
            rows += Counted { chunks: &chunks, batch }.rows().await?;
        }
        note(format_args!("the batch added {rows} rows to the counters table"));
        let mut forgotten = 0;
        if !self.dry_run {
            for batch in &generations {
                forgotten += Counted { chunks: &chunks, batch }.forget(counters).await?;
            }
        }
        match (self.common.json, self.dry_run) {
            (true, _) => line(json!({"batchId": id.in_generation(0), "rows": rows, "forgotten": forgotten}))?,
            (false, true) => {}
            (false, false) => line(format_args!("{forgotten} rows are deleted, if they were still there"))?,
        }
        let closed = generations.last().and_then(|batch| batch.finished_at);
        let late = closed.is_some_and(|closed| closed.plus_seconds(LIFETIME_SECONDS) > SystemClock.now());
        if late && !self.dry_run {
            note("the batch ended less than 15 minutes ago: repeat this later, in case a worker was still at it");
        }
        Ok(ExitCode::SUCCESS)
    }
}

/// Where the decisions on chunks are kept.
fn chunks(context: &Context) -> RecordStore<PacedStores<AwsStores>> {
    let (pace, resources) = (Pace::new(SystemClock), &context.resources);
    match &resources.tasks_table {
        Some(table) => RecordStore::Rows(pace.keep(DynamoTasks::new(context.clients.dynamodb.clone(), table))),
        None => {
            RecordStore::Copied { work: pace.keep(S3Blob::new(context.clients.s3.clone(), &resources.work_bucket)) }
        }
    }
}

/// A batch and the generations before it.
async fn generations(context: &Context, last: Batch) -> Result<Vec<Batch>> {
    let (ledger, id) = (context.ledger(), last.opening.id.clone());
    let mut generations = Vec::new();
    for generation in 0..id.generation() {
        let earlier = ledger.read(&id.in_generation(generation)).await?;
        generations.push(earlier.ok_or_else(|| Error::internal(format!("the ledger does not know all of {id}")))?);
    }
    generations.push(last);
    Ok(generations)
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;
    use fanfold::model::fold::{Exact, Numbers};

    #[derive(Debug, Parser)]
    struct Given {
        #[command(flatten)]
        counters: CountersCommand,
    }

    fn given(words: &[&str]) -> std::result::Result<CountersCommand, clap::Error> {
        Given::try_parse_from([&["counters"], words].concat()).map(|given| given.counters)
    }

    #[test]
    fn a_group_is_named_by_its_values_and_may_be_named_like_an_action() {
        let group = |words: &[&str]| given(words).unwrap().group;
        assert_eq!(group(&["acme", "2026-11-26", "--json"]), ["acme", "2026-11-26"]);
        assert_eq!(group(&["", "株式会社"]), ["", "株式会社"]);
        assert_eq!(group(&["--", "forget", "-1"]), ["forget", "-1"]);
        let forget = given(&["forget", "orders-0123456789ab", "--pipeline", "p"]).unwrap();
        assert_eq!(forget.pipeline(), Some("p"));
        assert!(matches!(forget.action, Some(Action::Forget(Forget { dry_run: false, .. }))));
        assert!(given(&[]).is_err());
    }

    #[test]
    fn counters_are_told_in_lines_and_as_json() {
        let numbers = |number: &str| Numbers::from([("quantity".to_owned(), Exact::parse(number).unwrap())]);
        let totals = Totals { count: 3, sums: numbers("12.50"), mins: numbers("-1"), maxs: Numbers::new() };
        let values = ["acme".to_owned(), String::new()];
        let lines = told(&values, &totals, false).unwrap();
        assert_eq!(lines, ["count  3", "sum    quantity  12.5", "min    quantity  -1"]);
        let json = told(&values, &totals, true).unwrap().concat();
        let expected = r#"{"group":["acme",""],"count":3,"sum":{"quantity":"12.5"},"min":{"quantity":"-1"},"max":{}}"#;
        assert_eq!(json, expected);
    }
}
