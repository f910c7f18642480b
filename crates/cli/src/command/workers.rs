//! `fanfold pause`, `resume` and `scale`: the workers of a pipeline while it runs.

use std::process::ExitCode;

use clap::Args;
use serde_json::{Value, json};

use crate::command::Context;
use crate::output::{line, note};
use fanfold::batch::list::{Touched, touched};
use fanfold::model::error::Result;
use fanfold::store::Clock;
use fanfold::store::clock::SystemClock;
use fanfold_aws::workers::Workers;

/// Keep a pipeline's workers from taking chunks, until they are resumed; those that they have are worked on to their end.
#[derive(Debug, Args)]
pub struct Pause {
    #[command(flatten)]
    pub(super) which: Which,
}

/// Let a paused pipeline's workers take chunks again.
#[derive(Debug, Args)]
pub struct Resume {
    #[command(flatten)]
    pub(super) which: Which,
}

/// Change how many of a pipeline's workers run at most at the same time; the next `make deploy` sets what it was deployed with.
#[derive(Debug, Args)]
pub struct Scale {
    #[command(flatten)]
    pub(super) which: Which,
    /// The most workers, from 2 to 1000.
    #[arg(long, value_name = "N")]
    concurrency: i32,
}

/// A pipeline, and how it is told of.
#[derive(Debug, Args)]
pub struct Which {
    /// The pipeline.
    #[arg(value_name = "PIPELINE")]
    pub(super) pipeline: String,
    /// Only say what would be touched.
    #[arg(long)]
    dry_run: bool,
    /// Print JSON on standard output.
    #[arg(long)]
    json: bool,
}

impl Which {
    /// Says what is touched, and returns it, or nothing if no more is wanted.
    async fn tell(&self, context: &Context, what: &str) -> Result<Option<Touched>> {
        let touched = touched(&context.ledger(), SystemClock.now()).await?;
        let Touched { batches, records } = touched;
        let open = if batches == 1 { "1 open batch".to_owned() } else { format!("{batches} open batches") };
        note(format_args!("{}: {what}: {open} with {records} records to go", self.pipeline));
        if self.dry_run {
            self.say(&touched, json!({ "done": false }))?;
            return Ok(None);
        }
        Ok(Some(touched))
    }

    fn say(&self, touched: &Touched, mut done: Value) -> Result<()> {
        if !self.json {
            return Ok(());
        }
        done["pipeline"] = self.pipeline.as_str().into();
        done["batches"] = touched.batches.into();
        done["records"] = touched.records.into();
        line(done)
    }
}

impl Pause {
    pub(super) async fn run(self, context: &Context) -> Result<ExitCode> {
        let workers = Workers::of(&context.clients, &context.resources)?;
        if let Some(touched) = self.which.tell(context, "waiting chunks stay where they are").await? {
            workers.pause(SystemClock.now()).await?;
            self.which.say(&touched, json!({ "done": true, "paused": true }))?;
            note(format_args!("paused; `fanfold resume {}` lets the workers go on", self.which.pipeline));
        }
        Ok(ExitCode::SUCCESS)
    }
}

impl Resume {
    pub(super) async fn run(self, context: &Context) -> Result<ExitCode> {
        let workers = Workers::of(&context.clients, &context.resources)?;
        if let Some(touched) = self.which.tell(context, "the workers go on").await? {
            workers.resume().await?;
            self.which.say(&touched, json!({ "done": true, "paused": false }))?;
        }
        Ok(ExitCode::SUCCESS)
    }
}

impl Scale {
    pub(super) async fn run(self, context: &Context) -> Result<ExitCode> {
        let workers = Workers::of(&context.clients, &context.resources)?;
        let concurrency = self.concurrency;
        let what = format!("at most {concurrency} workers at the same time");
        if let Some(touched) = self.which.tell(context, &what).await? {
            workers.scale(concurrency).await?;
            self.which.say(&touched, json!({ "done": true, "concurrency": concurrency }))?;
        }
        Ok(ExitCode::SUCCESS)
    }
}
