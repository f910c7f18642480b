//! `fanfold status`: how far a batch is.

use std::process::ExitCode;

use clap::Args;
use serde_json::json;

use crate::command::{Common, Context, latest, watch};
use fanfold::model::error::{Error, Result};

/// Show how far a batch is.
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
        let id = batch.opening.id.in_generation(0);
        let view = watch::view_of(&context.ledger(), batch).await?;
        let Some(batch) = &view.batch else {
            return Err(Error::internal("a batch without itself"));
        };
        let records = batch.sealing.as_ref().and_then(|sealing| sealing.records);
        let stopped = batch.stop.as_ref().map(|stop| &stop.fault);
        // What sweep waits for says something only of a batch that it mended.
        let mended = batch.seen.as_ref().filter(|seen| seen.mended > 0 && !batch.state.is_final());
        let status = json!({
            "batchId": id,
            "generation": batch.opening.id.generation(),
            "variant": batch.opening.variant,
            "state": batch.state,
            "input": batch.opening.input,
            "records": {"total": records, "succeeded": view.tally.succeeded, "failed": view.tally.failed},
            "chunks": {"total": view.chunks(), "done": view.chunks_done, "failed": view.tally.failed_chunks},
            "startedAt": batch.opening.started_at,
            "scatteredAt": batch.sealing.as_ref().map(|sealing| sealing.scattered_at),
            "gatherStartedAt": batch.gather_started_at,
            "finishedAt": batch.finished_at,
            "mended": mended.map(|seen| json!({"times": seen.mended, "nextAt": seen.next})),
            "error": stopped.or_else(|| batch.sealing.as_ref().and_then(|sealing| sealing.error.as_ref())),
        });
        if self.common.json {
            println!("{status}");
            return Ok(ExitCode::SUCCESS);
        }
        println!("batch    {id}");
        if batch.opening.id.generation() > 0 {
            println!("redriven {} times; what follows is of the last time", batch.opening.id.generation());
        }
        println!("state    {}", batch.state.name());
        println!(
            "records  {} ({} succeeded, {} failed)",
            watch::known(records),
            view.tally.succeeded,
            view.tally.failed
        );
        println!("chunks   {} of {} done", watch::known(view.chunks_done), watch::known(view.chunks()));
        if let Some(fault) = stopped {
            println!("stopped  {}: {}", fault.code, fault.message);
        }
        if let Some(seen) = mended {
            println!("mended   {} times since it last got on; next at {}", seen.mended, seen.next);
        }
        println!("started  {}", batch.opening.started_at);
        if let Some(finished) = batch.finished_at {
            println!("finished {finished}");
        }
        Ok(ExitCode::SUCCESS)
    }
}
