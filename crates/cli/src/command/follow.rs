//! `fanfold watch`: batches followed until they are closed.

use std::collections::BTreeMap;
use std::io::IsTerminal;
use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use indicatif::{MultiProgress, ProgressBar, ProgressStyle};

use crate::command::list::placed;
use crate::command::status::span;
use crate::command::watch::seen;
use crate::command::{Context, context, exit_code, unknown};
use crate::interrupt::GoesOn;
use crate::output::{line, note};
use fanfold::batch::list::open as open_of;
use fanfold::model::error::Result;
use fanfold::model::ids::BatchId;
use fanfold::model::progress::BatchState;
use fanfold::model::view::{BatchView, Pausing};
use fanfold::store::ledger::Ledger;
use fanfold_aws::deployment::Deployment;

/// The ledger has no events that a client could await: it is looked at often while something changes, then less so.
const FIRST_PAUSE: Duration = Duration::from_millis(500);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// Follow batches until they are closed: one, or all that are open.
#[derive(Debug, Args)]
pub struct Watch {
    /// The batch; without one, all that are open now.
    batch_id: Option<String>,
    /// Only batches of this pipeline.
    #[arg(long, visible_alias = "variant")]
    pipeline: Option<String>,
    /// Print the status document whenever it changes, a line of JSON each.
    #[arg(long)]
    json: bool,
}

/// What is followed: a batch, by its pipeline's place among those that are looked at.
type Followed = (usize, BatchId);

impl Watch {
    pub(super) async fn run(self, deployment: &Deployment, goes_on: GoesOn) -> Result<ExitCode> {
        let names: Vec<&str> = match &self.pipeline {
            Some(name) => vec![name],
            None => deployment.pipelines.keys().map(String::as_str).collect(),
        };
        let mut contexts = Vec::new();
        for name in &names {
            contexts.push(context(deployment, Some(name), goes_on.clone()).await?);
        }
        let followed = match &self.batch_id {
            Some(text) => match BatchId::parse(text) {
                Ok(id) => vec![find(&contexts, &id).await?],
                Err(error) => {
                    note(format_args!("error: {error}"));
                    return Ok(ExitCode::from(2));
                }
            },
            None => open(&contexts).await?,
        };
        if followed.is_empty() {
            note("no batch is open; `fanfold list` shows those that ended");
            return Ok(ExitCode::SUCCESS);
        }
        goes_on.set("stopped; batches go on".to_owned());
        let ends = self.follow(&names, &contexts, followed).await?;
        Ok(worst(ends.iter().map(|view| view.state)).map_or(ExitCode::SUCCESS, exit_code))
    }

    /// Shows what changes until all are closed, and returns how they ended.
    async fn follow(&self, names: &[&str], contexts: &[Context], mut left: Vec<Followed>) -> Result<Vec<BatchView>> {
        let bars = Bars::new(!self.json && std::io::stderr().is_terminal());
        let (mut ends, mut shown, mut pause) = (Vec::new(), BTreeMap::<Followed, String>::new(), FIRST_PAUSE);
        loop {
            let mut changed = false;
            for one in std::mem::take(&mut left) {
                let (place, id) = &one;
                let view = seen(&contexts[*place], id).await?.ok_or_else(|| unknown(id))?;
                let told = words(&view);
                if shown.get(&one) != Some(&told) {
                    changed = true;
                    self.tell(names[*place], &view, &told, &bars)?;
                    shown.insert(one.clone(), told);
                }
                if view.state.is_final() {
                    ends.push(view);
                } else {
                    left.push(one);
                }
            }
            if left.is_empty() {
                return Ok(ends);
            }
            pause = if changed { FIRST_PAUSE } else { (pause * 3 / 2).min(LONGEST_PAUSE) };
            tokio::time::sleep(pause).await;
        }
    }

    fn tell(&self, pipeline: &str, batch: &BatchView, told: &str, bars: &Bars) -> Result<()> {
        if self.json {
            return line(placed(pipeline, batch)?);
        }
        if !bars.show(batch, told) {
            note(format_args!("{}  {told}", batch.batch_id));
        }
        Ok(())
    }
}

/// The worst of several ends, which decides the exit status.
fn worst(ends: impl Iterator<Item = BatchState>) -> Option<BatchState> {
    ends.max_by_key(|state| match state {
        BatchState::Succeeded => 0,
        BatchState::PartiallyFailed => 1,
        _ => 2,
    })
}

/// The pipeline that knows a batch.
async fn find(contexts: &[Context], id: &BatchId) -> Result<Followed> {
    for (place, context) in contexts.iter().enumerate() {
        if context.ledger().read(id).await?.is_some() {
            return Ok((place, id.clone()));
        }
    }
    Err(unknown(id))
}

/// The batches that are open now.
async fn open(contexts: &[Context]) -> Result<Vec<Followed>> {
    let mut found = Vec::new();
    for (place, context) in contexts.iter().enumerate() {
        let open = open_of(&context.ledger()).await?;
        found.extend(open.into_iter().map(|open| (place, open.id)));
    }
    Ok(found)
}

/// A batch in one line.
fn words(view: &BatchView) -> String {
    let records = view.records;
    let total = records.total.map_or_else(|| format!("{}+", records.at_least), |total| total.to_string());
    let mut text = format!("{} {}/{total} records", view.state.name().to_lowercase(), records.ended());
    if records.failed > 0 {
        text += &format!(", {} failed", records.failed);
    }
    if let Some(pace) = view.pace.filter(|_| !view.state.is_final()) {
        text += &format!(", {:.0} a second", pace.recent.unwrap_or(pace.mean));
    }
    if let Some(left) = view.time_left {
        text += &format!(", {} left ({} to {})", span(left.seconds), span(left.least), span(left.most));
    }
    if let Some(standstill) = &view.standstill {
        let kind = if standstill.kind == Pausing::Stalled { "stalled" } else { "slow" };
        text += &format!(", {kind}: {}", standstill.reasons.join("; "));
    }
    text
}

/// A bar for each batch, on a terminal.
struct Bars {
    all: Option<MultiProgress>,
    by_batch: std::cell::RefCell<BTreeMap<BatchId, ProgressBar>>,
}

impl Bars {
    fn new(terminal: bool) -> Self {
        Self { all: terminal.then(MultiProgress::new), by_batch: Default::default() }
    }

    /// Shows how far a batch is, and returns whether there is a terminal for that.
    fn show(&self, view: &BatchView, told: &str) -> bool {
        let Some(all) = &self.all else {
            return false;
        };
        let mut bars = self.by_batch.borrow_mut();
        let bar = bars.entry(view.batch_id.clone()).or_insert_with(|| {
            let style = ProgressStyle::with_template("{prefix} {bar:30} {wide_msg}");
            let bar = ProgressBar::new(0).with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
            all.add(bar.with_prefix(view.batch_id.to_string()))
        });
        let records = view.records;
        bar.set_length(records.total.unwrap_or(records.at_least).max(1));
        bar.set_position(records.ended());
        bar.set_message(told.to_owned());
        if view.state.is_final() {
            bar.abandon();
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_worst_end_decides() {
        use BatchState::{Cancelled, Failed, PartiallyFailed, Succeeded};
        for (ends, decides) in [
            (vec![Succeeded, PartiallyFailed, Succeeded], PartiallyFailed),
            (vec![Failed, PartiallyFailed], Failed),
            (vec![Succeeded, Cancelled], Cancelled),
        ] {
            assert_eq!(worst(ends.into_iter()), Some(decides));
        }
        assert_eq!(worst(std::iter::empty()), None);
    }
}
