//! `fanfold status`: the progress of a batch, and its end for a user who comes back to it.

use std::process::ExitCode;

use clap::Args;

use crate::command::watch::known;
use crate::command::{Batch as BatchArgument, Context, check_output, ending, latest};
use crate::output::line;
use fanfold::batch::view::view_of;
use fanfold::model::error::{Error, Result};

/// Show the progress of a batch.
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
        let batch = match self.batch.latest(context).await? {
            Ok(batch) => batch,
            Err(code) => return Ok(code),
        };
        let view = view_of(&context.ledger(), &batch).await?;
        if self.batch.common.json {
            let text = serde_json::to_string(&view);
            line(text.map_err(|e| Error::internal("the status cannot be shown").because(e))?)?;
            return Ok(ExitCode::SUCCESS);
        }
        line(format_args!("batch    {}", view.batch_id))?;
        if view.generation > 0 {
            line(format_args!("redriven {} times; the following is about the latest redrive", view.generation))?;
        }
        line(format_args!("state    {}", view.state.name()))?;
        let records = view.records;
        let (total, succeeded, failed) = (known(records.total), records.succeeded, records.failed);
        line(format_args!("records  {total} ({succeeded} succeeded, {failed} failed)"))?;
        line(format_args!("chunks   {} of {} done", known(view.chunks.done), known(view.chunks.total)))?;
        if let Some(stop) = &batch.stop {
            line(format_args!("stopped  {}: {}", stop.fault.code, stop.fault.message))?;
        }
        if let Some(mended) = view.mended {
            line(format_args!("mended   {} times without progress; next at {}", mended.times, mended.next_at))?;
        }
        line(format_args!("started  {}", view.started_at))?;
        if let Some(finished) = view.finished_at {
            line(format_args!("finished {finished}"))?;
        }
        Ok(ExitCode::SUCCESS)
    }

    /// Waits for a batch, which need not have been scattered yet.
    async fn wait(self, context: &Context) -> Result<ExitCode> {
        let Some(id) = self.batch.id(context).await? else {
            return Ok(ExitCode::from(2));
        };
        check_output(self.batch.output.as_deref())?;
        let id = latest(context, &id).await?.map_or(id, |batch| batch.opening.id);
        context.watches(&id, self.batch.output.as_deref());
        ending::show(context, &id, self.batch.common.json, self.batch.output.as_deref()).await
    }
}
