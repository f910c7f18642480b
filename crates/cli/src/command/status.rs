//! `fanfold status`: what a batch is doing, and its end for a user who comes back to it.

use std::process::ExitCode;

use clap::Args;

use crate::command::watch::{known, seen};
use crate::command::{Batch as BatchArgument, Context, check_output, ending, unknown};
use crate::output::line;
use fanfold::batch::control::latest;
use fanfold::model::error::{Error, Result};
use fanfold::model::timestamp::Timestamp;
use fanfold::model::view::{BatchView, FailureGroup, Pausing};

/// The most reasons that are shown; the document has them all.
const SHOWN: usize = 5;

/// Show what a batch is doing: how far it is, how fast, what holds it up, and why records failed.
#[derive(Debug, Args)]
pub struct Status {
    #[command(flatten)]
    pub(super) batch: BatchArgument,
}

impl Status {
    pub(super) async fn run(self, context: &Context) -> Result<ExitCode> {
        if self.batch.waits() {
            return self.wait(context).await;
        }
        let Some(id) = self.batch.named.id(context).await? else {
            return Ok(ExitCode::from(2));
        };
        let view = seen(context, &id).await?.ok_or_else(|| unknown(&id))?;
        if self.batch.named.common.json {
            let text = serde_json::to_string(&view);
            line(text.map_err(|e| Error::internal("the status cannot be shown").because(e))?)?;
        } else {
            line(words(&view).trim_end())?;
        }
        Ok(ExitCode::SUCCESS)
    }

    /// Waits for a batch, which need not have been scattered yet.
    async fn wait(self, context: &Context) -> Result<ExitCode> {
        let Some(id) = self.batch.named.id(context).await? else {
            return Ok(ExitCode::from(2));
        };
        check_output(self.batch.output.as_deref())?;
        let id = latest(&context.ledger(), &id).await?.map_or(id, |batch| batch.opening.id);
        context.watches(&id, self.batch.output.as_deref());
        ending::show(context, &id, self.batch.named.common.json, self.batch.output.as_deref()).await
    }
}

/// The document in words.
fn words(view: &BatchView) -> String {
    let mut text = String::new();
    let mut say = |name: &str, value: String| text += &format!("{name:8} {value}\n");
    say("batch", view.batch_id.to_string());
    if view.generation > 0 {
        let times = view.generation;
        say("redriven", format!("{times} times; the following is about the latest redrive"));
    }
    say("state", view.state.name().to_owned());
    let records = view.records;
    let total = records.total.map_or_else(|| format!("at least {}", records.at_least), |total| total.to_string());
    say("records", format!("{total} ({} succeeded, {} failed)", records.succeeded, records.failed));
    say("chunks", format!("{} of {} done", known(view.chunks.done), known(view.chunks.total)));
    if let Some(pace) = view.pace {
        let recent = pace.recent.map(|recent| format!("; {recent:.0} of late")).unwrap_or_default();
        say("pace", format!("{:.0} records a second{recent}", pace.mean));
    }
    if let Some(left) = view.time_left {
        say("left", format!("{} ({} to {})", span(left.seconds), span(left.least), span(left.most)));
    }
    if let Some(standstill) = &view.standstill {
        let kind = if standstill.kind == Pausing::Stalled { "stalled" } else { "slow" };
        say(kind, format!("nothing was done in {}", span(seconds(standstill.since, view.as_of))));
        standstill.reasons.iter().for_each(|reason| say("", reason.clone()));
    }
    if !view.chunks.missing.is_empty() {
        let missing: Vec<String> = view.chunks.missing.iter().map(u32::to_string).collect();
        say("missing", format!("chunks {}", missing.join(", ")));
    }
    if let Some(error) = &view.error {
        say("stopped", format!("{}: {}", error.code, error.message));
    }
    for FailureGroup { reason, count, share, .. } in view.failures.iter().take(SHOWN) {
        say("failed", format!("{count} ({:.0} %): {reason}", share * 100.0));
    }
    if let Some(mended) = view.mended {
        say("mended", format!("{} times without progress; next at {}", mended.times, mended.next_at));
    }
    say("started", view.started_at.to_string());
    if let Some(finished) = view.finished_at {
        let took = span(seconds(view.started_at, finished));
        say("finished", format!("{finished}, after {took}"));
    }
    text
}

fn seconds(from: Timestamp, to: Timestamp) -> f64 {
    (to.0 - from.0).max(0) as f64 / 1000.0
}

/// A time in the two units that say most of it.
pub(super) fn span(seconds: f64) -> String {
    let whole = seconds.round() as u64;
    match whole {
        0..=9 => format!("{seconds:.1} s"),
        10..=119 => format!("{whole} s"),
        120..=7_199 => format!("{} min {} s", whole / 60, whole % 60),
        _ => format!("{} h {} min", whole / 3600, whole % 3600 / 60),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_told_as_people_do() {
        for (seconds, told) in
            [(0.0, "0.0 s"), (9.44, "9.4 s"), (61.2, "61 s"), (125.0, "2 min 5 s"), (7_325.0, "2 h 2 min")]
        {
            assert_eq!(span(seconds), told);
        }
    }
}
