//! `fanfold billing`: what is billed, what was sent, and whether all of it is accounted for.

mod show;

use std::process::ExitCode;
use std::time::Duration;

use clap::{Args, Subcommand};

use crate::command::{Context, context, exit_code, uploaded, watch};
use crate::interrupt::GoesOn;
use crate::output::{line, note};
use fanfold::batch::control::latest;
use fanfold::model::billing::aggregate::is_hour;
use fanfold::model::billing::calendar::HalfMonth;
use fanfold::model::billing::package::PackageId;
use fanfold::model::billing::statement::{Counts, Invoiced, Statement};
use fanfold::model::error::{Error, Result};
use fanfold::model::progress::BatchState;
use fanfold::model::record::Outcome;
use fanfold::processor::billing::close::Close;
use fanfold::stage::billing::plan::{Plan, Which};
use fanfold::store::Clock;
use fanfold::store::billing::{Aggregates, Clients as _, Events, Packages};
use fanfold::store::blob::read_all;
use fanfold::store::clock::SystemClock;
use fanfold_aws::aggregates::DynamoAggregates;
use fanfold_aws::billing::DynamoBilling;
use fanfold_aws::deployment::{BillingPlace, Deployment};
use fanfold_aws::s3::S3Blob;
use fanfold_aws::terms::DynamoTerms;

/// The pause before an index is looked at a second time; a command seals nothing.
const NO_PAUSE: Duration = Duration::ZERO;

/// Show what is billed and what was sent, and close half months.
#[derive(Debug, Args)]
pub struct Billing {
    #[command(subcommand)]
    act: Act,
}

/// Options of all of these.
#[derive(Debug, Args)]
struct Common {
    /// The pipeline that closes half months; needed if several do.
    #[arg(long)]
    pipeline: Option<String>,
    /// Print JSON on standard output.
    #[arg(long)]
    json: bool,
}

/// Which half months.
#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
struct Halves {
    /// A half month, as in 2026-02-H2.
    #[arg(long, value_name = "HALF", value_parser = half)]
    half: Option<HalfMonth>,
    /// Both halves of a month, as in 2026-02.
    #[arg(long, value_name = "MONTH", value_parser = month)]
    month: Option<HalfMonth>,
}

#[derive(Debug, Subcommand)]
enum Act {
    /// Show what would be sent if a half month of a client was closed now. Nothing is.
    Preview {
        /// The client.
        client: String,
        #[command(flatten)]
        halves: Halves,
        #[command(flatten)]
        common: Common,
    },
    /// List the packages of a client, or of all of them, and where each stands.
    Packages {
        /// The client; all of them if none is given.
        client: Option<String>,
        #[command(flatten)]
        halves: Halves,
        #[command(flatten)]
        common: Common,
    },
    /// Show a package, and the events that it bills.
    Package {
        /// Its name, as in anna/2026-02/H2/0.
        #[arg(value_parser = package)]
        id: PackageId,
        /// List the events that it bills.
        #[arg(long)]
        events: bool,
        /// Have it sent again, if the API rejected it and what was wrong is mended.
        #[arg(long, conflicts_with = "events")]
        send_again: bool,
        #[command(flatten)]
        common: Common,
    },
    /// Show what a client used, by days or by hours, as of the latest run over its half month.
    Usage {
        /// The client.
        client: String,
        #[command(flatten)]
        halves: Halves,
        /// By the hours of its clock, if hours are counted.
        #[arg(long)]
        hours: bool,
        #[command(flatten)]
        common: Common,
    },
    /// Close a half month again, of all clients for whom it has ended: what came late is billed by further packages.
    Rerun {
        /// The half month, as in 2026-02-H2.
        #[arg(value_parser = half)]
        half: HalfMonth,
        #[command(flatten)]
        common: Common,
    },
    /// Close all half months of which events may still come, and say whether each event is accounted for.
    Reconcile {
        #[command(flatten)]
        common: Common,
    },
}

impl Act {
    fn common(&self) -> &Common {
        match self {
            Self::Preview { common, .. }
            | Self::Packages { common, .. }
            | Self::Package { common, .. }
            | Self::Usage { common, .. }
            | Self::Rerun { common, .. }
            | Self::Reconcile { common } => common,
        }
    }
}

fn half(name: &str) -> std::result::Result<HalfMonth, String> {
    HalfMonth::parse(name).ok_or_else(|| "a half month is written as in 2026-02-H2".to_owned())
}

/// The first half of a month.
fn month(name: &str) -> std::result::Result<HalfMonth, String> {
    HalfMonth::parse(&format!("{name}-H1")).ok_or_else(|| "a month is written as in 2026-02".to_owned())
}

fn package(name: &str) -> std::result::Result<PackageId, String> {
    PackageId::parse(name).ok_or_else(|| "a package is named as in anna/2026-02/H2/0".to_owned())
}

impl Halves {
    fn all(&self) -> Vec<HalfMonth> {
        match (self.half, self.month) {
            (Some(half), _) => vec![half],
            (None, Some(first)) => vec![first, first.next()],
            (None, None) => Vec::new(),
        }
    }
}

/// What these commands work with.
struct Books {
    context: Context,
    rows: DynamoBilling,
    terms: DynamoTerms,
    aggregates: DynamoAggregates,
    close: Close<DynamoBilling, DynamoBilling, DynamoTerms, S3Blob, SystemClock>,
}

impl Billing {
    pub(super) async fn run(self, deployment: &Deployment, goes_on: GoesOn) -> Result<ExitCode> {
        let (name, place) = place(deployment, self.act.common().pipeline.as_deref())?;
        let context = context(deployment, Some(name), goes_on).await?;
        let dynamodb = || context.clients.dynamodb.clone();
        let rows = DynamoBilling::new(dynamodb(), &place.events_table, &place.packages_table);
        let terms = DynamoTerms::new(dynamodb(), &place.clients_table);
        let aggregates = DynamoAggregates::new(dynamodb(), &place.aggregates_table);
        let output = S3Blob::new(context.clients.s3.clone(), &context.resources.output_bucket);
        let (events, packages, clients) = (rows.clone(), rows.clone(), terms.clone());
        let close = Close { events, packages, clients, output, clock: SystemClock, settles: NO_PAUSE };
        let books = Books { context, rows, terms, aggregates, close };
        match self.act {
            Act::Preview { client, halves, common } => books.preview(&client, &halves, common.json).await,
            Act::Packages { client, halves, common } => books.packages(client, &halves, common.json).await,
            Act::Package { id, send_again: true, .. } => books.send_again(&id).await,
            Act::Package { id, events, common, .. } => books.package(&id, events, common.json).await,
            Act::Usage { client, halves, hours, common } => books.usage(&client, &halves, hours, common.json).await,
            Act::Rerun { half, common } => books.closed(Which::One(half), common.json).await,
            Act::Reconcile { common } => books.closed(Which::All, common.json).await,
        }
    }
}

/// The pipeline that closes half months.
fn place<'a>(deployment: &'a Deployment, name: Option<&'a str>) -> Result<(&'a str, &'a BillingPlace)> {
    let closing = || deployment.pipelines.iter().filter_map(|(name, of)| Some((name.as_str(), of.billing.as_ref()?)));
    let names = || closing().map(|(name, _)| name).collect::<Vec<_>>().join(", ");
    match (name, closing().count()) {
        (_, 0) => Err(Error::config("no pipeline closes half months; deploy one with the processor bill")),
        (Some(name), _) => closing()
            .find(|(known, _)| *known == name)
            .ok_or_else(|| Error::config(format!("pipeline {name:?} closes no half months; these do: {}", names()))),
        (None, 1) => closing().next().ok_or_else(|| Error::config("no pipeline closes half months")),
        (None, _) => Err(Error::config(format!("name one with --pipeline; half months are closed by: {}", names()))),
    }
}

impl Books {
    async fn preview(&self, client: &str, halves: &Halves, json: bool) -> Result<ExitCode> {
        for half in halves.all() {
            match self.close.preview(client, half).await? {
                Some(issued) if json => line(show::json(&issued.package)?)?,
                Some(issued) => line(show::package(&issued.package).trim_end())?,
                None => note(format_args!("{half} of {client}: nothing that is not billed")),
            }
        }
        Ok(ExitCode::SUCCESS)
    }

    async fn packages(&self, client: Option<String>, halves: &Halves, json: bool) -> Result<ExitCode> {
        let clients = match client {
            Some(client) => vec![client],
            None => {
                let mut all: Vec<String> = self.terms.all().await?.into_iter().map(|(client, _)| client).collect();
                all.sort();
                all
            }
        };
        for client in clients {
            for half in halves.all() {
                for sealed in self.rows.of(&client, half).await? {
                    let sending = self.rows.read(&sealed.id).await?.map(|(_, sending)| sending);
                    let invoiced = Invoiced::new(self.close.issued(&sealed).await?.package, sending);
                    line(if json { show::json(&invoiced)? } else { show::invoiced(&invoiced) })?;
                }
            }
        }
        Ok(ExitCode::SUCCESS)
    }

    async fn package(&self, id: &PackageId, events: bool, json: bool) -> Result<ExitCode> {
        let (sealed, sending) = self.rows.read(id).await?.ok_or_else(|| unknown(id))?;
        let issued = self.close.issued(&sealed).await?;
        if !events {
            if json {
                line(show::json(&serde_json::json!({"package": issued.package, "sending": sending}))?)?;
            } else {
                line(show::package(&issued.package).trim_end())?;
                line(show::sending(&sending).trim_end())?;
            }
            return Ok(ExitCode::SUCCESS);
        }
        for event in self.rows.billed_in(&id.client, id.half).await? {
            if issued.events.contains(&event.event.identity()) {
                line(show::event(&event, json)?)?;
            }
        }
        Ok(ExitCode::SUCCESS)
    }

    async fn usage(&self, client: &str, halves: &Halves, hours: bool, json: bool) -> Result<ExitCode> {
        let (mut shown, mut there) = (0_usize, 0_usize);
        for half in halves.all() {
            for (period, row) in self.aggregates.used_in(client, half).await? {
                there += 1;
                if is_hour(&period) == hours {
                    shown += 1;
                    line(show::used(client, &period, &row, json)?)?;
                }
            }
        }
        if shown == 0 && there > 0 {
            note(
                "hours are not counted: set \"usage_by\": \"hour\" in the processor bill, and have the half month closed again",
            );
        } else if shown == 0 {
            note(format_args!(
                "nothing was counted of {client:?} yet: that is done when its half month is listed, once a day, or by fanfold billing reconcile"
            ));
        }
        Ok(ExitCode::SUCCESS)
    }

    async fn send_again(&self, id: &PackageId) -> Result<ExitCode> {
        let (_, sending) = self.rows.read(id).await?.ok_or_else(|| unknown(id))?;
        let state = sending.state;
        let again = sending.again(SystemClock.now()).ok_or_else(|| {
            let told = "only what was rejected is sent again by hand; all else is sent again by itself";
            Error::conflict(format!("{id} is {state:?}: {told}"))
        })?;
        if !self.rows.write(id, &again).await? {
            return Err(Error::conflict(format!("{id} changed meanwhile; look at it again")));
        }
        line(format_args!("{id} is looked up within a minute, and sent if there is no invoice of it"))?;
        Ok(ExitCode::SUCCESS)
    }

    /// Has half months closed by a batch, waits for its end, and sums its statements up.
    async fn closed(&self, which: Which, json: bool) -> Result<ExitCode> {
        let input = S3Blob::new(self.context.clients.s3.clone(), &self.context.resources.input_bucket);
        let prefix = self.context.resources.parameters.input_prefix.clone();
        let plan = Plan { clients: self.terms.clone(), input, prefix, clock: SystemClock };
        let Some(key) = plan.write(which).await? else {
            note("nothing is to be closed");
            return Ok(ExitCode::SUCCESS);
        };
        let batch = uploaded(&self.context, &key).await?;
        self.context.watches(&batch, None);
        watch::until_closed(&self.context, &batch).await?;
        let ended = latest(&self.context.ledger(), &batch).await?.map(|batch| batch.state);
        if let Some(state @ (BatchState::Failed | BatchState::Cancelled)) = ended {
            note(format_args!("batch {batch} is {}: not all half months were looked at", state.name()));
            return Ok(exit_code(state));
        }
        let results = read_all(&self.close.output, &batch.output_key("results.jsonl")).await?;
        let results = results.ok_or_else(|| Error::config(format!("batch {batch} has no results: it was not run")))?;
        let unread = |e| Error::internal("the results of a batch are not readable").because(e);
        let (mut counts, mut statements, mut failed) = (Counts::default(), Vec::new(), 0_u64);
        for text in results.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
            let outcome: Outcome = serde_json::from_slice(text).map_err(unread)?;
            match outcome.result {
                Some(result) => {
                    let statement: Statement = serde_json::from_str(result.get()).map_err(unread)?;
                    counts.add(&statement.events);
                    statements.push(statement);
                }
                None => {
                    note(format_args!("not closed: {}: {}", outcome.request, outcome.response.message));
                    failed += 1;
                }
            }
        }
        line(if json { show::sum_as_json(&counts, &statements, failed)? } else { show::sum(&counts, &statements) })?;
        let is_whole = failed == 0 && counts.difference() == 0;
        Ok(exit_code(if is_whole { BatchState::Succeeded } else { BatchState::PartiallyFailed }))
    }
}

fn unknown(id: &PackageId) -> Error {
    Error::malformed(format!("there is no package {id}"))
}
