//! `fanfold cancel`: end a batch early.

use std::process::ExitCode;

use clap::Args;

use crate::command::{Batch as BatchArgument, Context, check_output, ending};
use crate::output::note;
use fanfold::model::error::{Error, Result};
use fanfold::model::fault::Fault;
use fanfold::model::progress::{BatchState, Stop};
use fanfold::store::Clock;
use fanfold::store::clock::SystemClock;
use fanfold::store::ledger::Ledger;

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
        let (id, ledger) = (&batch.opening.id, context.ledger());
        let refuse = |state: BatchState| {
            Err(Error::conflict(format!("batch {id} is {}: there is nothing left to cancel", state.name())))
        };
        if batch.state.is_final() {
            return refuse(batch.state);
        }
        let stop = Stop { state: BatchState::Cancelled, fault: Fault::cancelled(), at: SystemClock.now() };
        let after = ledger.stop(id, &stop).await?;
        if after.stop.is_none() {
            return refuse(after.state);
        }
        context.watches(id, self.batch.output.as_deref());
        note(format_args!("batch {id} will end with what was done, within a minute or two"));
        if !self.batch.waits() {
            return Ok(ExitCode::SUCCESS);
        }
        ending::show(context, id, self.batch.common.json, self.batch.output.as_deref()).await
    }
}
