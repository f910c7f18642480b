//! The `fanfold` command: the control bus of a deployment.

mod cancel;
mod check;
mod ending;
mod redrive;
mod report;
mod run;
mod settings;
mod status;
mod submit;
pub mod telemetry;
mod watch;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};

use crate::draft;
use crate::interrupt::GoesOn;
use crate::output::note;
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
    /// Check settings before they are deployed, and a file's first records before it is uploaded.
    Check(check::Check),
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

    /// The batch that the user named; `None`, and an error for the user, if no batch can have that name.
    fn id(&self) -> Option<BatchId> {
        BatchId::parse(&self.batch_id).map_err(|error| note(format_args!("error: {error}"))).ok()
    }

    /// The latest generation of that batch, or the exit status for an invalid name.
    async fn latest(&self, context: &Context) -> Result<std::result::Result<progress::Batch, ExitCode>> {
        let Some(id) = self.id() else {
            return Ok(Err(ExitCode::from(2)));
        };
        latest(context, &id).await?.map(Ok).ok_or_else(|| {
            Error::malformed(format!(
                "the ledger does not know batch {id}: it was not scattered yet, ended over 30 days ago, \
                 or belongs to another pipeline"
            ))
        })
    }
}

/// The latest generation of a batch; `None` if the ledger does not know it.
async fn latest(context: &Context, id: &BatchId) -> Result<Option<progress::Batch>> {
    let ledger = context.ledger();
    let Some(mut batch) = ledger.read(id).await? else {
        return Ok(None);
    };
    while let Some(later) = ledger.read(&id.in_generation(batch.opening.id.generation() + 1)).await? {
        batch = later;
    }
    Ok(Some(batch))
}

/// What a command works with: clients and resources.
struct Context {
    clients: Clients,
    resources: Resources,
    /// The pipeline that the user named.
    pipeline: Option<String>,
    goes_on: GoesOn,
}

impl Context {
    fn ledger(&self) -> DynamoLedger {
        DynamoLedger::new(self.clients.dynamodb.clone(), &self.resources.ledger_table)
    }

    /// From now on, an interrupt says that this batch goes on, and how to come back to it.
    fn watches(&self, batch: &BatchId, folder: Option<&Path>) {
        let pipeline = self.pipeline.as_ref().map(|name| format!(" --pipeline {name}")).unwrap_or_default();
        let folder = folder.map(|folder| format!(" --output {}", folder.display())).unwrap_or_default();
        self.goes_on.set(format!(
            "interrupted; batch {batch} goes on: `fanfold status {batch}{pipeline}` shows it, \
             `fanfold status {batch}{pipeline} --wait{folder}` waits for it"
        ));
    }
}

/// Checks that outputs can be written to a folder, before anything is done whose outputs would then have no place.
fn check_output(folder: Option<&Path>) -> Result<()> {
    folder.map_or(Ok(()), |folder| {
        draft::writable(folder)
            .map_err(|e| Error::config(format!("could not write to {}", folder.display())).because(e))
    })
}

/// Runs a command and returns its exit status: 0 for success, 2 for wrong usage, 3 for a batch that failed, or a file
/// that would fail, in part, 4 for one as a whole.
///
/// # Errors
/// Anything else, for exit status 1.
pub async fn run(cli: Cli, goes_on: GoesOn) -> Result<ExitCode> {
    let command = match cli.command {
        // These need no deployment.
        Command::Run(run) => return run.run().await,
        Command::Check(check) => return check.run(),
        command => command,
    };
    let deployment = Deployment::read(&cli.deployment)?;
    match command {
        Command::Run(run) => run.run().await,
        Command::Check(check) => check.run(),
        Command::Submit(submit) => {
            let context = context(&deployment, submit.common.pipeline.as_deref(), goes_on).await?;
            submit.run(&context).await
        }
        Command::Status(status) => {
            let context = context(&deployment, status.batch.common.pipeline.as_deref(), goes_on).await?;
            status.run(&context).await
        }
        Command::Redrive(redrive) => {
            let context = context(&deployment, redrive.batch.common.pipeline.as_deref(), goes_on).await?;
            redrive.run(&context).await
        }
        Command::Cancel(cancel) => {
            let context = context(&deployment, cancel.batch.common.pipeline.as_deref(), goes_on).await?;
            cancel.run(&context).await
        }
    }
}

async fn context(deployment: &Deployment, pipeline: Option<&str>, goes_on: GoesOn) -> Result<Context> {
    let resources = deployment.pipeline(pipeline)?.clone();
    let clients = match &deployment.endpoint {
        Some(endpoint) => {
            answers(endpoint).await?;
            Clients::of_emulator(endpoint).await
        }
        None => Clients::from_env().await,
    };
    Ok(Context { clients, resources, pipeline: pipeline.map(str::to_owned), goes_on })
}

/// Checks that an emulator is there. The SDK would try for long, as it has to where a network may be slow.
async fn answers(endpoint: &str) -> Result<()> {
    let address = endpoint.trim_start_matches("http://").trim_end_matches('/');
    match tokio::net::TcpStream::connect(address).await {
        Ok(_) => Ok(()),
        Err(error) => {
            Err(Error::config(format!("nothing answers at {endpoint}: run `make start`, then `make deploy`"))
                .because(error))
        }
    }
}

/// The exit status for the state in which a batch ended.
fn exit_code(state: BatchState) -> ExitCode {
    match state {
        BatchState::Succeeded => ExitCode::SUCCESS,
        BatchState::PartiallyFailed => ExitCode::from(3),
        _ => ExitCode::from(4),
    }
}
