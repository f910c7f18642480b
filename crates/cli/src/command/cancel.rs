//! `fanfold cancel`: end a batch early.

use std::process::ExitCode;

use clap::Args;

use crate::command::{Batch as BatchArgument, Context, check_output, ending};
use crate::output::note;
use fanfold::batch::control;
use fanfold::model::error::Result;
use fanfold::store::Clock;
use fanfold::store::clock::SystemClock;

/// End a batch early: waiting chunks are skipped, and finished work stays.
#[derive(Debug, Args)]
pub struct Cancel {
    #[command(flatten)]
    pub(super) batch: BatchArgument,
}

impl Cancel {
    pub(super) async fn run(self, context: &Context) -> Result<ExitCode> {
        let batch = match self.batch.latest(context).await? {
            Ok(batch) => batch,
            Err(code) => return Ok(code),
        };
        check_output(self.batch.output.as_deref())?;
        control::cancel(&context.ledger(), &batch, SystemClock.now()).await?;
        let id = &batch.opening.id;
        context.watches(id, self.batch.output.as_deref());
        note(format_args!("batch {id} will end with what was done, within a minute or two"));
        if !self.batch.waits() {
            return Ok(ExitCode::SUCCESS);
        }
        ending::show(context, id, self.batch.common.json, self.batch.output.as_deref()).await
    }
}
