//! The `fanfold` command: the control bus of a deployment.

mod report;
mod status;
mod submit;
mod watch;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};

use super::aws::Clients;
use super::deployment::{Deployment, Resources};
use crate::model::error::Result;
use crate::model::progress::BatchState;

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
    /// Upload a file of records as a new batch.
    Submit(submit::Submit),
    /// Show how far a batch is.
    Status(status::Status),
}

/// Options that commands share.
#[derive(Debug, Args)]
struct Common {
    /// The variant whose pipeline to use; needed if several are deployed.
    #[arg(long)]
    variant: Option<String>,
    /// Print JSON on standard output.
    #[arg(long)]
    json: bool,
}

/// What a command works with.
struct Context {
    clients: Clients,
    resources: Resources,
}

/// Runs a command to its exit status: 0 for success, 2 for wrong usage, 3 for a batch that failed in
/// part, 4 for one that failed as a whole.
///
/// # Errors
/// Anything else, for exit status 1.
pub async fn run(cli: Cli) -> Result<ExitCode> {
    let deployment = Deployment::read(&cli.deployment)?;
    match cli.command {
        Command::Submit(submit) => {
            let context = context(&deployment, submit.common.variant.as_deref()).await?;
            submit.run(&context).await
        }
        Command::Status(status) => {
            let context = context(&deployment, status.common.variant.as_deref()).await?;
            status.run(&context).await
        }
    }
}

async fn context(deployment: &Deployment, variant: Option<&str>) -> Result<Context> {
    let resources = deployment.variant(variant)?.clone();
    let clients = match &deployment.endpoint {
        Some(endpoint) => Clients::of_emulator(endpoint).await,
        None => Clients::from_env().await,
    };
    Ok(Context { clients, resources })
}

/// The exit status for how a batch ended.
fn exit_code(state: BatchState) -> ExitCode {
    match state {
        BatchState::Succeeded => ExitCode::SUCCESS,
        BatchState::PartiallyFailed => ExitCode::from(3),
        _ => ExitCode::from(4),
    }
}
