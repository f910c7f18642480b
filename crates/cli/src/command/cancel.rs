//! `fanfold cancel`: end a batch early.

use std::process::ExitCode;

use clap::Args;

use crate::command::watch::seen;
use crate::command::{Batch as BatchArgument, Context, check_output, ending, told, unknown};
use crate::output::note;
use fanfold::batch::control;
use fanfold::model::error::Result;
use fanfold::store::Clock;
use fanfold::store::clock::SystemClock;

/// End a batch early: waiting chunks are skipped, and finished work stays.
#[derive(Debug, Args)]
pub struct Cancel {
    /// Only say what would be touched.
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    pub(super) batch: BatchArgument,
}

impl Cancel {
    pub(super) async fn run(self, context: &Context) -> Result<ExitCode> {
        let batch = match self.batch.named.latest(context).await? {
            Ok(batch) => batch,
            Err(code) => return Ok(code),
        };
        check_output(self.batch.output.as_deref())?;
        let id = &batch.opening.id;
        control::cancellable(&batch)?;
        let view = seen(context, id).await?.ok_or_else(|| unknown(id))?;
        let left = view.records.left();
        note(told("skipped", left, view.cost_of(left)));
        if self.dry_run {
            return Ok(ExitCode::SUCCESS);
        }
        control::cancel(&context.ledger(), &batch, SystemClock.now()).await?;
        context.watches(id, self.batch.output.as_deref());
        note(format_args!("batch {id} will end with what was done, within a minute or two"));
        if !self.batch.waits() {
            return Ok(ExitCode::SUCCESS);
        }
        ending::show(context, id, self.batch.named.common.json, self.batch.output.as_deref()).await
    }
}
