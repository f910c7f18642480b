//! `fanfold redrive`: process the failed records of a batch again.

use std::process::ExitCode;

use clap::Args;

use crate::command::watch::seen;
use crate::command::{Batch as BatchArgument, Context, check_output, ending, told, unknown};
use crate::output::{line, note};
use fanfold::batch::control;
use fanfold::model::error::{Error, Result};
use fanfold::store::ledger::Ledger;

/// Process the failed records of a closed batch again, and rewrite its outputs.
#[derive(Debug, Args)]
pub struct Redrive {
    /// Only those that failed for this reason, by its id in `fanfold status --json`.
    #[arg(long, value_name = "REASON")]
    reason: Option<String>,
    /// Only say what would be touched.
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    pub(super) batch: BatchArgument,
}

impl Redrive {
    pub(super) async fn run(self, context: &Context) -> Result<ExitCode> {
        let batch = match self.batch.named.latest(context).await? {
            Ok(batch) => batch,
            Err(code) => return Ok(code),
        };
        check_output(self.batch.output.as_deref())?;
        let (ledger, id) = (context.ledger(), &batch.opening.id);
        control::redrivable(&ledger, &batch).await?;
        let view = seen(context, id).await?.ok_or_else(|| unknown(id))?;
        let (only, records) = match &self.reason {
            Some(reason) => view.reason(reason).map(|group| (Some(group.id.clone()), group.count))?,
            None => (None, view.records.failed),
        };
        note(told("processed again", records, view.cost_of(records)));
        if self.dry_run {
            return Ok(ExitCode::SUCCESS);
        }
        let next = control::redrive(&ledger, &context.scatter()?, &batch, only.clone()).await?;
        context.watches(&next, self.batch.output.as_deref());
        if !self.batch.waits() {
            line(&next)?;
            return Ok(ExitCode::SUCCESS);
        }
        note(format_args!("batch {next}"));
        let code = ending::show(context, &next, self.batch.named.common.json, self.batch.output.as_deref()).await?;
        let done = ledger.read(&next).await?.and_then(|batch| batch.opening.only);
        if done != only {
            return Err(Error::conflict(format!(
                "somebody else had batch {next} redriven at the same time, for {}; redrive the rest again",
                done.map_or_else(|| "all its failures".to_owned(), |reason| format!("reason {}", reason.as_str()))
            )));
        }
        Ok(code)
    }
}
