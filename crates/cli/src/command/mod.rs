//! The `fanfold` command: the control bus of a deployment.

mod billing;
mod cancel;
mod check;
mod cost;
mod counters;
mod emulator;
mod ending;
mod failures;
mod follow;
mod list;
mod plan;
mod prefix;
mod reconcile;
mod redrive;
mod render;
mod report;
mod run;
mod serve;
mod settings;
mod shell;
mod status;
mod submit;
pub mod telemetry;
mod watch;
mod workers;

use std::borrow::Cow;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};

use crate::draft;
use crate::interrupt::GoesOn;
use crate::output::note;
use fanfold::batch::control::latest;
use fanfold::model::error::{Error, Result};
use fanfold::model::ids::{BatchId, Revision};
use fanfold::model::price::Dollars;
use fanfold::model::progress::{self, BatchState};
use fanfold::store::clock::SystemClock;
use fanfold::store::pace::{Pace, Paced};
use fanfold_aws::clients::Clients;
use fanfold_aws::deployment::{Deployment, Resources};
use fanfold_aws::ledger::DynamoLedger;
use fanfold_aws::s3::S3Blob;
use fanfold_aws::sqs::SqsChannel;
use fanfold_aws::supply::Deployed;

/// Scatter-gather batch processing on AWS.
#[derive(Debug, Parser)]
#[command(name = "fanfold", version)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
    /// The file that `make deploy` wrote about the deployment.
    #[arg(long, global = true, env = "FANFOLD_DEPLOYMENT", default_value = "target/local/deployment.json")]
    deployment: PathBuf,
}

impl Cli {
    /// What an interrupt says until the command says otherwise: from the moment on at which interrupts are received.
    #[must_use]
    pub fn goes_on(&self) -> GoesOn {
        GoesOn::saying(match self.command {
            Command::There(There::Submit(_)) => submit::BEFORE_UPLOAD,
            _ => "interrupted",
        })
    }
}

#[derive(Debug, Subcommand)]
enum Command {
    #[command(flatten)]
    Here(Here),
    #[command(flatten)]
    There(There),
}

/// What needs no deployment.
#[derive(Debug, Subcommand)]
enum Here {
    /// Process a file on this machine, as a deployment would: nothing is uploaded.
    Run(run::Run),
    /// Check settings before they are deployed, and a file's first records before it is uploaded.
    Check(check::Check),
    /// Say what a batch of a file makes, costs and takes on AWS, and what holds it up; nothing is uploaded.
    Plan(plan::PlanCommand),
    Report(render::Report),
    /// Print what a shell needs to complete the command's words.
    #[command(display_order = 100)]
    Completions(shell::Completions),
    /// Print the manual page of the command, or of one of its commands.
    #[command(display_order = 100)]
    Man(shell::Manual),
}

/// What is about a deployment.
#[derive(Debug, Subcommand)]
enum There {
    /// Upload a file of records as a new batch, or make one batch of many objects.
    Submit(submit::Submit),
    /// List batches, the latest first.
    List(list::List),
    /// Show batches in a browser, and act on them there.
    Serve(serve::Serve),
    /// Show the progress of a batch.
    Status(status::Status),
    Cost(cost::Cost),
    /// Process the failed records of a closed batch again, and rewrite its outputs.
    Redrive(redrive::Redrive),
    /// End a batch early: waiting chunks are skipped, and finished work stays.
    Cancel(cancel::Cancel),
    /// Make batches of uploads of the last 30 days whose event was lost.
    Reconcile(reconcile::Reconcile),
    /// Show the counters of a group of records, or take away what a batch added to them.
    Counters(counters::CountersCommand),
    /// Show what is billed and what was sent, and close half months.
    Billing(billing::Billing),
    Watch(follow::Watch),
    Failures(failures::Failures),
    Pause(workers::Pause),
    Resume(workers::Resume),
    Scale(workers::Scale),
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

/// The batch that a command is about.
#[derive(Debug, Args)]
struct Named {
    /// The batch's id, as `fanfold submit` printed it.
    #[arg(required_unless_present = "key")]
    batch_id: Option<String>,
    /// Instead of an id: the batch of the newest upload under this key.
    #[arg(long, value_name = "KEY", conflicts_with = "batch_id")]
    key: Option<String>,
    #[command(flatten)]
    common: Common,
}

/// The batch that a command is about, and what to show of its end.
#[derive(Debug, Args)]
struct Batch {
    #[command(flatten)]
    named: Named,
    /// Wait for the summary and print it.
    #[arg(long)]
    wait: bool,
    /// Wait, and download summary, results and failed records into this folder.
    #[arg(long, value_name = "DIR")]
    output: Option<PathBuf>,
}

impl Batch {
    fn waits(&self) -> bool {
        self.wait || self.output.is_some()
    }
}

impl Named {
    /// The batch that the user named; `None`, and an error for the user, if no batch can have that name.
    async fn id(&self, context: &Context) -> Result<Option<BatchId>> {
        match &self.key {
            Some(key) => uploaded(context, key).await.map(Some),
            None => {
                let id = BatchId::parse(self.batch_id.as_deref().unwrap_or_default());
                Ok(id.map_err(|error| note(format_args!("error: {error}"))).ok())
            }
        }
    }

    /// The latest generation of that batch, or the exit status for an invalid name.
    async fn latest(&self, context: &Context) -> Result<std::result::Result<progress::Batch, ExitCode>> {
        let Some(id) = self.id(context).await? else {
            return Ok(Err(ExitCode::from(2)));
        };
        latest(&context.ledger(), &id).await?.map(Ok).ok_or_else(|| unknown(&id))
    }
}

fn unknown(id: &BatchId) -> Error {
    Error::malformed(format!(
        "the ledger does not know batch {id}: it was not scattered yet, ended over 30 days ago, or belongs to another pipeline"
    ))
}

/// The batch of the newest upload under a key; which one that is, is said.
async fn uploaded(context: &Context, key: &str) -> Result<BatchId> {
    let bucket = &context.resources.input_bucket;
    let newest = S3Blob::new(context.clients.s3.clone(), bucket).newest(key).await?;
    let newest = newest.ok_or_else(|| Error::malformed(format!("nothing was uploaded as s3://{bucket}/{key}")))?;
    let version = newest.version.ok_or_else(|| keeps_no_versions(bucket))?;
    let id = BatchId::of(bucket, key, &Revision::Version(version));
    note(format_args!("batch {id}, uploaded at {}", newest.at));
    Ok(id)
}

fn keeps_no_versions(bucket: &str) -> Error {
    Error::config(format!("the bucket {bucket} keeps no versions; deploy it again with `make deploy`"))
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
    fn ledger(&self) -> Paced<DynamoLedger, SystemClock> {
        Pace::new(SystemClock).keep(DynamoLedger::new(self.clients.dynamodb.clone(), &self.resources.ledger_table))
    }

    fn deployed(&self) -> Deployed {
        Deployed { clients: self.clients.clone(), resources: self.resources.clone() }
    }

    /// The queue to scatter.
    fn scatter(&self) -> Result<SqsChannel> {
        let queue = self.resources.queues.get("scatter");
        let queue =
            queue.ok_or_else(|| Error::config("the deployment names no scatter queue; run `make deploy` again"))?;
        Ok(SqsChannel::new(self.clients.sqs.clone(), queue))
    }

    /// From now on, an interrupt says that this batch goes on, and how to come back to it.
    fn watches(&self, batch: &BatchId, folder: Option<&Path>) {
        let again = self.come_back(batch.as_str(), folder);
        self.goes_on.set(format!("interrupted; batch {batch} goes on: {again}"));
    }

    /// From now on, an interrupt says that the upload under a key may have ended, and how to find its batch, whose id is
    /// not known.
    fn looks_for(&self, key: &str, folder: Option<&Path>) {
        let again = self.come_back(&format!("--key {}", quoted(key)), folder);
        self.goes_on.set(format!(
            "interrupted while the upload ended; if S3 has it, its batch goes on: {again}, \
             and both say when the newest upload under that key was"
        ));
    }

    fn come_back(&self, batch: &str, folder: Option<&Path>) -> String {
        let pipeline = self.pipeline.as_ref().map(|name| format!(" --pipeline {name}")).unwrap_or_default();
        let folder =
            folder.map(|folder| format!(" --output {}", quoted(&folder.to_string_lossy()))).unwrap_or_default();
        format!(
            "`fanfold status {batch}{pipeline}` shows it, `fanfold status {batch}{pipeline} --wait{folder}` waits for it"
        )
    }
}

/// A word as a shell takes it.
fn quoted(word: &str) -> Cow<'_, str> {
    let plain = |c: char| c.is_alphanumeric() || "/._-+=:@%,".contains(c);
    let plain = !word.is_empty() && word.chars().all(plain);
    if plain { word.into() } else { format!("'{}'", word.replace('\'', r"'\''")).into() }
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
        Command::Here(Here::Run(run)) => return run.run().await,
        Command::Here(Here::Check(check)) => return check.run().await,
        Command::Here(Here::Plan(plan)) => return plan.run().await,
        Command::Here(Here::Report(report)) => return report.run(),
        Command::Here(Here::Completions(completions)) => return completions.run(),
        Command::Here(Here::Man(manual)) => return manual.run(),
        Command::There(command) => command,
    };
    let deployment = Deployment::read(&cli.deployment)?;
    match command {
        There::Submit(submit) => {
            let context = context(&deployment, submit.common.pipeline.as_deref(), goes_on).await?;
            submit.run(&context).await
        }
        There::List(list) => list.run(&deployment, goes_on).await,
        There::Billing(billing) => billing.run(&deployment, goes_on).await,
        There::Watch(watch) => watch.run(&deployment, goes_on).await,
        There::Serve(serve) => serve.run(&deployment, &goes_on).await,
        There::Status(status) => {
            let context = context(&deployment, status.batch.named.common.pipeline.as_deref(), goes_on).await?;
            status.run(&context).await
        }
        There::Cost(cost) => {
            let context = context(&deployment, cost.named.common.pipeline.as_deref(), goes_on).await?;
            cost.run(&context).await
        }
        There::Redrive(redrive) => {
            let context = context(&deployment, redrive.batch.named.common.pipeline.as_deref(), goes_on).await?;
            redrive.run(&context).await
        }
        There::Cancel(cancel) => {
            let context = context(&deployment, cancel.batch.named.common.pipeline.as_deref(), goes_on).await?;
            cancel.run(&context).await
        }
        There::Failures(failures) => {
            let context = context(&deployment, failures.named.common.pipeline.as_deref(), goes_on).await?;
            failures.run(&context).await
        }
        There::Pause(pause) => {
            let context = context(&deployment, Some(&pause.which.pipeline), goes_on).await?;
            pause.run(&context).await
        }
        There::Resume(resume) => {
            let context = context(&deployment, Some(&resume.which.pipeline), goes_on).await?;
            resume.run(&context).await
        }
        There::Scale(scale) => {
            let context = context(&deployment, Some(&scale.which.pipeline), goes_on).await?;
            scale.run(&context).await
        }
        There::Reconcile(reconcile) => {
            let context = context(&deployment, reconcile.common.pipeline.as_deref(), goes_on).await?;
            reconcile.run(&context).await
        }
        There::Counters(counters) => {
            let context = context(&deployment, counters.pipeline(), goes_on).await?;
            counters.run(&context).await
        }
    }
}

async fn context(deployment: &Deployment, pipeline: Option<&str>, goes_on: GoesOn) -> Result<Context> {
    let resources = deployment.pipeline(pipeline)?.clone();
    let clients = clients_of(deployment).await?;
    Ok(Context { clients, resources, pipeline: pipeline.map(str::to_owned), goes_on })
}

/// Clients for a deployment, whose emulator has to answer.
async fn clients_of(deployment: &Deployment) -> Result<Clients> {
    match &deployment.endpoint {
        Some(endpoint) => {
            emulator::answers(endpoint).await?;
            Ok(Clients::of_emulator(endpoint).await)
        }
        None => Ok(Clients::from_env().await),
    }
}

/// What an action will touch, in words.
fn told(what: &str, records: u64, dollars: Option<f64>) -> String {
    let cost = dollars.and_then(Dollars::of).map(|dollars| format!(", about {dollars}")).unwrap_or_default();
    format!("{records} record{} will be {what}{cost}", if records == 1 { "" } else { "s" })
}

/// The exit status for the state in which a batch ended.
fn exit_code(state: BatchState) -> ExitCode {
    match state {
        BatchState::Succeeded => ExitCode::SUCCESS,
        BatchState::PartiallyFailed => ExitCode::from(3),
        _ => ExitCode::from(4),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_that_is_told_can_be_pasted() {
        for (word, told) in [
            ("in/orders-1.csv", "in/orders-1.csv"),
            ("für.csv", "für.csv"),
            ("a b.csv", "'a b.csv'"),
            ("it's", r"'it'\''s'"),
            ("", "''"),
        ] {
            assert_eq!(quoted(word), told);
        }
    }
}
