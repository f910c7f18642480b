//! `fanfold redrive`: process the failed records of a batch again.

use std::process::ExitCode;

use clap::Args;

use crate::command::{Batch as BatchArgument, Context, check_output, ending};
use crate::output::{line, note};
use fanfold::model::error::{Error, Result};
use fanfold::model::ids::MAX_GENERATION;
use fanfold::model::message::{RedriveMessage, to_body};
use fanfold::store::channel::{Channel, Outgoing};
use fanfold::store::ledger::Ledger;
use fanfold_aws::sqs::SqsChannel;

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
        let (id, ledger) = (&batch.opening.id, context.ledger());
        let refuse = |reason: &str| Err(Error::conflict(format!("batch {id} cannot be redriven: {reason}")));
        if !batch.state.is_final() {
            return refuse("it is not closed; see `fanfold status`");
        }
        let first = ledger.read(&id.in_generation(0)).await?;
        if !first.is_some_and(|first| first.is_redrivable()) {
            return refuse("its file was not read to the end; correct the file and submit it again");
        }
        if batch.tally.is_some_and(|tally| tally.failed == 0) {
            return refuse("none of its records failed");
        }
        if id.generation() == MAX_GENERATION {
            return refuse("it was redriven as often as is possible; submit its failed records as a new file");
        }
        let next = id.in_generation(id.generation() + 1);
        let queue = context.resources.queues.get("scatter");
        let queue =
            queue.ok_or_else(|| Error::config("the deployment names no scatter queue; run `make deploy` again"))?;
        let scatter = SqsChannel::new(context.clients.sqs.clone(), queue);
        scatter.send(vec![Outgoing::new(to_body(&RedriveMessage::new(next.clone())))]).await?;
        context.watches(&next, self.batch.output.as_deref());
        if !self.batch.waits() {
            line(&next)?;
            return Ok(ExitCode::SUCCESS);
        }
        note(format_args!("batch {next}"));
        ending::show(context, &next, self.batch.common.json, self.batch.output.as_deref()).await
    }
}
