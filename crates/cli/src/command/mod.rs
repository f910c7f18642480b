//! The `fanfold` command: the control bus of a deployment.

mod cancel;
mod ending;
mod redrive;
mod report;
mod run;
mod status;
mod submit;
pub mod telemetry;
mod watch;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};

use fanfold::model::error::{Error, Result};
use fanfold::model::ids::BatchId;
use fanfold::model::progress::{self, BatchState};
use fanfold::store::ledger::Ledger;
use fanfold_aws::clients::Clients;
use fanfold_aws::deployment::{Deployment, Resources};
use fanfold_aws::ledger::DynamoLedger;

/// Scatter-gather batch processing on AWS.
#[derive(Debug, Parser)]
#[command(version, about)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
    /// The file that `make deploy` wrote about the deployment.
    #[arg(long, global = true, env = "FANFOLD_DEPLOYMENT", default_value = "target/local/deployment.json")]
    deployment: PathBuf,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Process a file on this machine, as a deployment would: nothing is uploaded.
    Run(run::Run),
    /// Upload a file of records as a new batch.
    Submit(submit::Submit),
    /// Show the progress of a batch.
    Status(status::Status),
    /// Process the failed records of a closed batch again, and rewrite its outputs.
    Redrive(redrive::Redrive),
    /// End a batch early: waiting chunks are skipped, and finished work stays.
    Cancel(cancel::Cancel),
}

/// Options that commands share.
#[derive(Debug, Args)]
struct Common {
    /// The pipeline to use, named like its variant unless it was given a name; needed if several are deployed.
    #[arg(long, visible_alias = "variant")]
    pipeline: Option<String>,
    /// Print JSON on standard output.
    #[arg(long)]
    json: bool,
}

/// The batch that a command is about, and what to show of its end.
#[derive(Debug, Args)]
struct Batch {
    /// The batch's id, as `fanfold submit` printed it.
    batch_id: String,
    /// Wait for the summary and print it.
    #[arg(long)]
    wait: bool,
    /// Wait, and download summary, results and failed records into this folder.
    #[arg(long, value_name = "DIR")]
    output: Option<PathBuf>,
    #[command(flatten)]
    common: Common,
}

impl Batch {
    fn waits(&self) -> bool {
        self.wait || self.output.is_some()
    }

    async fn latest(&self, context: &Context) -> Result<std::result::Result<progress::Batch, ExitCode>> {
        latest(context, &self.batch_id).await
    }
}

/// The latest generation of the batch that the user named, or the exit status for an invalid name.
async fn latest(context: &Context, name: &str) -> Result<std::result::Result<progress::Batch, ExitCode>> {
    let id = match BatchId::parse(name) {
        Ok(id) => id,
        Err(error) => {
            eprintln!("error: {error}");
            return Ok(Err(ExitCode::from(2)));
        }
    };
    let ledger = context.ledger();
    let Some(mut batch) = ledger.read(&id).await? else {
        return Err(Error::malformed(format!(
            "the ledger does not know batch {id}: it was not scattered yet, ended over 30 days ago, \
             or belongs to another pipeline"
        )));
    };
    while let Some(later) = ledger.read(&id.in_generation(batch.opening.id.generation() + 1)).await? {
        batch = later;
    }
    Ok(Ok(batch))
}

/// What a command works with: clients and resources.
struct Context {
    clients: Clients,
    resources: Resources,
}

impl Context {
    fn ledger(&self) -> DynamoLedger {
        DynamoLedger::new(self.clients.dynamodb.clone(), &self.resources.ledger_table)
    }
}

/// Runs a command and returns its exit status: 0 for success, 2 for wrong usage, 3 for a batch that failed in
/// part, 4 for one that failed as a whole.
///
/// # Errors
/// Anything else, for exit status 1.
pub async fn run(cli: Cli) -> Result<ExitCode> {
    let command = match cli.command {
        // It needs no deployment.
        Command::Run(run) => return run.run().await,
        command => command,
    };
    let deployment = Deployment::read(&cli.deployment)?;
    match command {
        Command::Run(run) => run.run().await,
        Command::Submit(submit) => {
            let context = context(&deployment, submit.common.pipeline.as_deref()).await?;
            submit.run(&context).await
        }
        Command::Status(status) => {
            let context = context(&deployment, status.common.pipeline.as_deref()).await?;
            status.run(&context).await
        }
        Command::Redrive(redrive) => {
            let context = context(&deployment, redrive.batch.common.pipeline.as_deref()).await?;
            redrive.run(&context).await
        }
        Command::Cancel(cancel) => {
            let context = context(&deployment, cancel.batch.common.pipeline.as_deref()).await?;
            cancel.run(&context).await
        }
    }
}

async fn context(deployment: &Deployment, pipeline: Option<&str>) -> Result<Context> {
    let resources = deployment.pipeline(pipeline)?.clone();
    let clients = match &deployment.endpoint {
        Some(endpoint) => Clients::of_emulator(endpoint).await,
        None => Clients::from_env().await,
    };
    Ok(Context { clients, resources })
}

/// The exit status for the state in which a batch ended.
fn exit_code(state: BatchState) -> ExitCode {
    match state {
        BatchState::Succeeded => ExitCode::SUCCESS,
        BatchState::PartiallyFailed => ExitCode::from(3),
        _ => ExitCode::from(4),
    }
}
