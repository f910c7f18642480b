//! `fanfold redrive`: process the failed records of a batch again.

use std::process::ExitCode;

use clap::Args;

use crate::command::{Batch as BatchArgument, Context, check_output, ending};
use crate::output::{line, note};
use fanfold::batch::control;
use fanfold::model::error::Result;

/// Process the failed records of a closed batch again, and rewrite its outputs.
#[derive(Debug, Args)]
pub struct Redrive {
    #[command(flatten)]
    pub(super) batch: BatchArgument,
}

impl Redrive {
    pub(super) async fn run(self, context: &Context) -> Result<ExitCode> {
        let batch = match self.batch.latest(context).await? {
            Ok(batch) => batch,
            Err(code) => return Ok(code),
        };
        check_output(self.batch.output.as_deref())?;
        let next = control::redrive(&context.ledger(), &context.scatter()?, &batch).await?;
        context.watches(&next, self.batch.output.as_deref());
        if !self.batch.waits() {
            line(&next)?;
            return Ok(ExitCode::SUCCESS);
        }
        note(format_args!("batch {next}"));
        ending::show(context, &next, self.batch.common.json, self.batch.output.as_deref()).await
    }
}
