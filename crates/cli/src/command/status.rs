//! `fanfold status`: the progress of a batch.

use std::process::ExitCode;

use clap::Args;

use crate::command::watch::known;
use crate::command::{Common, Context, latest};
use fanfold::batch::view::view_of;
use fanfold::model::error::{Error, Result};

/// Show the progress of a batch.
#[derive(Debug, Args)]
pub struct Status {
    /// The batch's id, as `fanfold submit` printed it.
    batch_id: String,
    #[command(flatten)]
    pub(super) common: Common,
}

impl Status {
    pub(super) async fn run(self, context: &Context) -> Result<ExitCode> {
        let batch = match latest(context, &self.batch_id).await? {
            Ok(batch) => batch,
            Err(code) => return Ok(code),
        };
        let view = view_of(&context.ledger(), &batch).await?;
        if self.common.json {
            let text = serde_json::to_string(&view);
            println!("{}", text.map_err(|e| Error::internal("the status cannot be told").because(e))?);
            return Ok(ExitCode::SUCCESS);
        }
        println!("batch    {}", view.batch_id);
        if view.generation > 0 {
            println!("redriven {} times; the following is about the latest redrive", view.generation);
        }
        println!("state    {}", view.state.name());
        let records = view.records;
        println!("records  {} ({} succeeded, {} failed)", known(records.total), records.succeeded, records.failed);
        println!("chunks   {} of {} done", known(view.chunks.done), known(view.chunks.total));
        if let Some(stop) = &batch.stop {
            println!("stopped  {}: {}", stop.fault.code, stop.fault.message);
        }
        if let Some(mended) = view.mended {
            println!("mended   {} times without progress; next at {}", mended.times, mended.next_at);
        }
        println!("started  {}", view.started_at);
        if let Some(finished) = view.finished_at {
            println!("finished {finished}");
        }
        Ok(ExitCode::SUCCESS)
    }
}
