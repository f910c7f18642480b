//! `fanfold list`: the batches of a pipeline, or of all.

use std::process::ExitCode;

use clap::Args;
use serde::Serialize;

use crate::command::status::span;
use crate::command::{Context, context};
use crate::interrupt::GoesOn;
use crate::output::{line, note};
use fanfold::batch::list::list;
use fanfold::model::error::{Error, Result};
use fanfold::model::progress::BatchState;
use fanfold::model::timestamp::Timestamp;
use fanfold::model::view::{BatchLine, Pausing, Placed};
use fanfold::store::Clock;
use fanfold::store::clock::SystemClock;
use fanfold_aws::deployment::Deployment;

/// List batches, the latest first: those of the last 30 days, each redrive by itself.
#[derive(Debug, Args)]
pub struct List {
    /// Only batches of this pipeline.
    #[arg(long, visible_alias = "variant")]
    pipeline: Option<String>,
    /// Only batches in this state, as in `failed` or `partially-failed`; `open` for all that are not closed.
    #[arg(long, value_name = "STATE", value_parser = Wanted::parse)]
    state: Option<Wanted>,
    /// Only batches that began within this time, as in 90s, 15m, 6h or 7d.
    #[arg(long, value_name = "TIME", value_parser = milliseconds)]
    since: Option<i64>,
    /// At most this many batches of each pipeline.
    #[arg(long, value_name = "N", default_value_t = 50)]
    most: usize,
    /// Print JSON on standard output, one line for each batch.
    #[arg(long)]
    json: bool,
}

/// The states that are asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Wanted {
    Open,
    Only(BatchState),
}

impl Wanted {
    fn parse(text: &str) -> std::result::Result<Self, String> {
        let name = text.to_uppercase().replace('-', "_");
        if name == "OPEN" {
            return Ok(Self::Open);
        }
        let state = BatchState::of_name(&name).map(Self::Only);
        state.ok_or_else(|| {
            let states = BatchState::ALL.map(|state| state.name().to_lowercase().replace('_', "-"));
            format!("states are: open, {}", states.join(", "))
        })
    }

    fn holds(self, state: BatchState) -> bool {
        match self {
            Self::Open => !state.is_final(),
            Self::Only(only) => state == only,
        }
    }
}

/// A time such as `15m`, in milliseconds.
fn milliseconds(text: &str) -> std::result::Result<i64, String> {
    let units = [('s', 1_000), ('m', 60_000), ('h', 3_600_000), ('d', 86_400_000)];
    let unit = units.into_iter().find_map(|(unit, of)| Some((text.strip_suffix(unit)?, of)));
    let parsed = unit.and_then(|(count, of)| count.parse::<u32>().ok().map(|count| i64::from(count) * of));
    parsed.ok_or_else(|| "a time is a whole number and a unit: 90s, 15m, 6h or 7d".to_owned())
}

impl List {
    pub(super) async fn run(self, deployment: &Deployment, goes_on: GoesOn) -> Result<ExitCode> {
        let now = SystemClock.now();
        let names: Vec<&str> = match &self.pipeline {
            Some(name) => vec![name],
            None => deployment.pipelines.keys().map(String::as_str).collect(),
        };
        let mut found: Vec<(&str, BatchLine)> = Vec::new();
        for name in names {
            let context = context(deployment, Some(name), goes_on.clone()).await?;
            found.extend(self.of(&context, now).await?.into_iter().map(|batch| (name, batch)));
        }
        found.sort_by_key(|(_, batch)| std::cmp::Reverse(batch.started_at));
        if self.json {
            for (pipeline, batch) in &found {
                line(placed(pipeline, batch)?)?;
            }
        } else if found.is_empty() {
            note("no batches; `fanfold submit FILE` begins one");
        } else {
            let rows: Vec<[String; 6]> = found.iter().map(|(pipeline, batch)| row(pipeline, batch, now)).collect();
            line(table(&rows).trim_end())?;
        }
        Ok(ExitCode::SUCCESS)
    }

    /// The batches of a pipeline that are asked for.
    async fn of(&self, context: &Context, now: Timestamp) -> Result<Vec<BatchLine>> {
        let (ledger, mut found, mut after) = (context.ledger(), Vec::new(), None);
        let early = |batch: &BatchLine| self.since.is_some_and(|since| batch.started_at.0 < now.0 - since);
        loop {
            let page = list(&ledger, after.as_ref(), now).await?;
            let over = page.lines.last().is_none_or(early);
            let wanted = |batch: &BatchLine| !early(batch) && self.state.is_none_or(|state| state.holds(batch.state));
            found.extend(page.lines.into_iter().filter(wanted));
            if over || found.len() >= self.most || page.next.is_none() {
                found.truncate(self.most);
                return Ok(found);
            }
            after = page.next;
        }
    }
}

const HEAD: [&str; 6] = ["BATCH", "PIPELINE", "STATE", "RECORDS", "FAILED", "STARTED"];

fn row(pipeline: &str, batch: &BatchLine, now: Timestamp) -> [String; 6] {
    let records = batch.records;
    let ended = records.ended();
    let total = records.total.map_or_else(|| format!("{}+", records.at_least), |total| total.to_string());
    let state = match batch.standstill {
        Some(Pausing::Stalled) => format!("{}, stalled", batch.state.name()),
        Some(Pausing::Slow) => format!("{}, slow", batch.state.name()),
        None => batch.state.name().to_owned(),
    };
    let ago = span((now.0 - batch.started_at.0).max(0) as f64 / 1000.0);
    let name = batch.batch_id.in_generation(batch.generation).to_string();
    let done = if batch.state.is_final() { total } else { format!("{ended}/{total}") };
    [name, pipeline.to_owned(), state, done, records.failed.to_string(), format!("{ago} ago")]
}

/// A line of JSON: a batch and where it runs.
pub(super) fn placed(pipeline: &str, batch: &impl Serialize) -> Result<String> {
    let text = serde_json::to_string(&Placed { pipeline: pipeline.to_owned(), batch });
    text.map_err(|e| Error::internal("a batch cannot be shown").because(e))
}

/// Columns as wide as what stands in them.
fn table(rows: &[[String; 6]]) -> String {
    let mut widths = HEAD.map(str::len);
    for row in rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let mut text = String::new();
    let mut say = |cells: [&str; 6]| {
        let cells: Vec<String> = cells.iter().zip(widths).map(|(cell, width)| format!("{cell:width$}")).collect();
        text += cells.join("  ").trim_end();
        text.push('\n');
    };
    say(HEAD);
    for row in rows {
        say(row.each_ref().map(String::as_str));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_and_states_are_read_or_refused_in_words() {
        for (text, wanted) in [("90s", 90_000), ("15m", 900_000), ("6h", 21_600_000), ("7d", 604_800_000)] {
            assert_eq!(milliseconds(text), Ok(wanted));
        }
        for text in ["", "m", "-1h", "1.5h", "1w", "99999999999d"] {
            assert!(milliseconds(text).unwrap_err().contains("15m"), "{text}");
        }
        assert_eq!(Wanted::parse("partially-failed"), Ok(Wanted::Only(BatchState::PartiallyFailed)));
        assert_eq!(Wanted::parse("Open"), Ok(Wanted::Open));
        assert!(Wanted::parse("done").unwrap_err().contains("open, scattering"));
        assert!(Wanted::Open.holds(BatchState::Gathering) && !Wanted::Open.holds(BatchState::Failed));
    }

    #[test]
    fn columns_are_as_wide_as_what_stands_in_them() {
        let row = |name: &str| [name, "orders", "FAILED", "5", "5", "3.0 s ago"].map(str::to_owned);
        let told = table(&[row("für-0123456789ab"), row("a")]);
        let lines: Vec<&str> = told.lines().collect();
        assert_eq!(lines[1], "für-0123456789ab  orders    FAILED  5        5       3.0 s ago");
        assert!(lines[2].starts_with("a                 orders"), "{told}");
    }
}
