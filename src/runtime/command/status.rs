//! `fanfold status`: how far a batch is.

use std::process::ExitCode;

use clap::Args;
use serde_json::json;

use super::{Common, Context, watch};
use crate::ledger::dynamodb::DynamoLedger;
use crate::model::error::{Error, Result};
use crate::model::ids::BatchId;

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
        let id = match BatchId::parse(&self.batch_id) {
            Ok(id) => id,
            Err(error) => {
                eprintln!("error: {error}");
                return Ok(ExitCode::from(2));
            }
        };
        let ledger = DynamoLedger::new(context.clients.dynamodb.clone(), &context.resources.ledger_table);
        let view = watch::view(&ledger, &id).await?;
        let Some(batch) = &view.batch else {
            return Err(Error::malformed(format!(
                "the ledger does not know batch {id}: it was not scattered yet, ended over 30 days ago, \
                 or belongs to another variant"
            )));
        };
        let records = batch.sealing.as_ref().map(|sealing| sealing.records);
        let status = json!({
            "batchId": id,
            "variant": batch.opening.variant,
            "state": batch.state,
            "input": batch.opening.input,
            "records": {"total": records, "succeeded": view.tally.succeeded, "failed": view.tally.failed},
            "chunks": {"total": view.chunks(), "done": view.chunks_done, "failed": view.tally.failed_chunks},
            "startedAt": batch.opening.started_at,
            "scatteredAt": batch.sealing.as_ref().map(|sealing| sealing.scattered_at),
            "gatherStartedAt": batch.gather_started_at,
            "finishedAt": batch.finished_at,
            "error": batch.sealing.as_ref().and_then(|sealing| sealing.error.as_ref()),
        });
        if self.common.json {
            println!("{status}");
            return Ok(ExitCode::SUCCESS);
        }
        println!("batch    {id}");
        println!("state    {}", batch.state.name());
        println!(
            "records  {} ({} succeeded, {} failed)",
            watch::known(records),
            view.tally.succeeded,
            view.tally.failed
        );
        println!("chunks   {} of {} done", watch::known(view.chunks_done), watch::known(view.chunks()));
        println!("started  {}", batch.opening.started_at);
        if let Some(finished) = batch.finished_at {
            println!("finished {finished}");
        }
        Ok(ExitCode::SUCCESS)
    }
}
