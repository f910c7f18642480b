//! Load on what takes records one at a time: requests arrive at a rate, whether or not earlier ones were answered.
//!
//! Arrivals are those of many independent senders (a Poisson process). A request's time begins when it was to arrive, so that
//! waiting behind others counts, too. Of a few requests the status is asked for until it has ended; in the end, that of each is.

mod client;
mod tally;

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use fanfold::model::error::{Error, Result};
use fanfold_aws::clients::Clients;
use fanfold_aws::deployment::Deployment;
use fanfold_aws::items::DynamoItems;
use fanfold_aws::requests::DynamoRequests;
use futures::stream::{FuturesUnordered, StreamExt};
use serde_json::{Value, json};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::records::KEY_FIELD;
use crate::stopwatch::Stopwatch;
use client::{Client, Looked, Sent};
use tally::{Tally, check};

/// When the status of a watched request is asked for first and at the most seldom after that: each pause is twice the last.
const FIRST_LOOK: Duration = Duration::from_millis(10);
const LOOK: Duration = Duration::from_millis(320);
/// The most requests that are watched at the same time: what they ask is no load to speak of.
const MOST_WATCHED: usize = 20;
/// How long a request is watched.
const PATIENCE: Duration = Duration::from_secs(60);
/// The most requests under way: beyond that, the machine that sends them is what is measured.
const MOST_UNDER_WAY: usize = 4_096;

/// The options of `load`.
#[derive(Debug, Args)]
pub struct Options {
    /// Pipelines that take records one at a time, in turn.
    #[arg(long, value_delimiter = ',', required = true)]
    pipelines: Vec<String>,
    /// Requests a second.
    #[arg(long, value_delimiter = ',', default_value = "50")]
    rates: Vec<f64>,
    /// How long requests arrive at each rate, in seconds.
    #[arg(long, default_value_t = 600)]
    seconds: u64,
    /// How long they do before that, without being measured, in seconds.
    #[arg(long, default_value_t = 5)]
    warm_up: u64,
    /// Requests a second whose status is watched.
    #[arg(long, default_value_t = 5.0)]
    watched: f64,
    /// The API key, where one is asked for; the deployment's file says how to read it.
    #[arg(long, env = "FANFOLD_API_KEY", hide_env_values = true)]
    key: Option<String>,
    /// The seed of arrivals and records: another one for each run on a deployment.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// The file that `make deploy` wrote about the deployment.
    #[arg(long, env = "FANFOLD_DEPLOYMENT", default_value = "target/local/deployment.json")]
    deployment: PathBuf,
}

/// Sends at each rate to each pipeline, and prints a row for each.
///
/// # Errors
/// What prevents it; also records that were taken and did not become items.
pub async fn run(options: &Options) -> Result<ExitCode> {
    println!("{}", Tally::HEADER);
    let mut whole = true;
    for rate in &options.rates {
        for pipeline in &options.pipelines {
            let target = Target::open(options, pipeline).await?;
            let (_, taken) = target.phase(options, *rate, options.warm_up, "warm").await?;
            check(&target.requests, &target.items, &taken).await?;
            let (tally, taken) = target.phase(options, *rate, options.seconds, "load").await?;
            let counted = check(&target.requests, &target.items, &taken).await?;
            whole &= counted.is_whole();
            println!("{}", tally.row(pipeline, &target.by, *rate, &counted));
        }
    }
    if whole {
        return Ok(ExitCode::SUCCESS);
    }
    Err(Error::internal("records that were taken are not stored, or not as they were sent"))
}

/// A pipeline under load.
struct Target {
    client: Arc<Client>,
    by: String,
    requests: DynamoRequests,
    items: DynamoItems,
}

/// A record that was taken: the id of its request, and its number.
struct Taken {
    id: String,
    key: String,
    number: u64,
}

impl Target {
    async fn open(options: &Options, pipeline: &str) -> Result<Self> {
        let told = |what: String| Error::config(format!("{}: {what}", options.deployment.display()));
        let deployment = Deployment::read(&options.deployment)?;
        let clients = Clients::from_env().await;
        let text = std::fs::read_to_string(&options.deployment).map_err(|e| told(e.to_string()))?;
        let facts: Value = serde_json::from_str(&text).map_err(|e| told(e.to_string()))?;
        let facts = &facts["pipelines"][pipeline];
        let none = || told(format!("{pipeline} takes no records one at a time; deploy it with RECORDS_API"));
        let said = |name: &str| facts["records_api"][name].as_str().map(str::to_owned).ok_or_else(none);
        let table = facts["requests_table"].as_str().ok_or_else(none)?;
        let items = deployment.pipeline(Some(pipeline))?.items_table.clone().ok_or_else(none)?;
        let client = Client::new(&said("url")?, said("authorisation")? == "KEY", options.key.clone())?;
        Ok(Self {
            client: Arc::new(client),
            by: said("by")?,
            requests: DynamoRequests::new(clients.dynamodb.clone(), table),
            items: DynamoItems::new(clients.dynamodb.clone(), items, KEY_FIELD),
        })
    }

    /// Sends for some seconds, and waits for all answers.
    async fn phase(&self, options: &Options, rate: f64, seconds: u64, name: &str) -> Result<(Tally, Vec<Taken>)> {
        let mut random = fastrand::Rng::with_seed(options.seed);
        let (clock, end) = (Stopwatch::start(), Duration::from_secs(seconds));
        let (mut at, mut under_way) = (Duration::ZERO, FuturesUnordered::new());
        let (mut tally, mut taken) = (Tally::default(), Vec::new());
        let watching = Arc::new(Semaphore::new(MOST_WATCHED));
        let every = (rate / options.watched).max(1.0) as u64;
        for number in 0.. {
            at += Duration::from_secs_f64(-(1.0 - random.f64()).ln() / rate);
            if at > end {
                break;
            }
            tally.late = tally.late.max(clock.elapsed().saturating_sub(at));
            while let Some(answered) = before(at.saturating_sub(clock.elapsed()), &mut under_way).await {
                note(answered?, &mut tally, &mut taken);
            }
            if under_way.len() >= MOST_UNDER_WAY {
                tally.unsent += 1;
                continue;
            }
            let key = format!("{name}-{}-{rate}-{}-{number}", self.by, options.seed);
            let watched = (number % every == 0).then(|| watching.clone().try_acquire_owned().ok()).flatten();
            under_way.push(tokio::spawn(one(self.client.clone(), Arrival { clock, at }, key, number, watched)));
        }
        tally.seconds = clock.elapsed().as_secs_f64();
        while let Some(answered) = under_way.next().await {
            note(answered.map_err(lost)?, &mut tally, &mut taken);
        }
        Ok((tally, taken))
    }
}

type UnderWay = FuturesUnordered<tokio::task::JoinHandle<(Sent, Taken)>>;

fn lost(error: tokio::task::JoinError) -> Error {
    Error::internal("a request ended without an answer").because(error)
}

/// When a request was to arrive.
#[derive(Debug, Clone, Copy)]
struct Arrival {
    clock: Stopwatch,
    at: Duration,
}

impl Arrival {
    fn elapsed(self) -> Duration {
        self.clock.elapsed().saturating_sub(self.at)
    }
}

/// The next answer that comes before the next arrival.
async fn before(arrival: Duration, under_way: &mut UnderWay) -> Option<Result<(Sent, Taken)>> {
    // A timer is a millisecond late at times, also if there is nothing to wait for.
    if arrival.is_zero() {
        return None;
    }
    let sleep = tokio::time::sleep(arrival);
    if under_way.is_empty() {
        sleep.await;
        return None;
    }
    tokio::select! {
        biased;
        () = sleep => None,
        answered = under_way.next() => answered.map(|answered| answered.map_err(lost)),
    }
}

fn note((sent, taken): (Sent, Taken), tally: &mut Tally, all: &mut Vec<Taken>) {
    if sent.status == 202 {
        all.push(taken);
    }
    tally.note(&sent);
}

/// Sends a record, and watches what becomes of it.
async fn one(
    client: Arc<Client>,
    arrival: Arrival,
    key: String,
    number: u64,
    watched: Option<OwnedSemaphorePermit>,
) -> (Sent, Taken) {
    let record = json!({ KEY_FIELD: key, "price": number, "mode": "fine", "wrong": 0, "quiet": true }).to_string();
    let (status, body) = client.ask("POST", "/records", record).await;
    let mut sent = Sent { status, answered: arrival.elapsed(), visible: None, looked: None };
    let body: Value = serde_json::from_slice(&body).unwrap_or_default();
    let id = body["id"].as_str().unwrap_or_default().to_owned();
    if watched.is_some() && status == 202 {
        let mut pause = FIRST_LOOK;
        // What has not ended by then counts as if it had.
        sent.visible = Some(PATIENCE);
        while arrival.elapsed() < PATIENCE {
            let asked = Stopwatch::start();
            let (status, body) = client.ask("GET", &format!("/status/{id}"), String::new()).await;
            let took = asked.elapsed();
            let told: Value = serde_json::from_slice(&body).unwrap_or_default();
            if status == 200 && told["state"] != "ACCEPTED" {
                sent.visible = Some(arrival.elapsed());
                let asked = Stopwatch::start();
                let (status, _) = client.ask("GET", &format!("/records/{key}"), String::new()).await;
                sent.looked = (status == 200).then(|| Looked { status: took, record: asked.elapsed() });
                break;
            }
            // The API offers nothing else than to ask again.
            tokio::time::sleep(pause).await;
            pause = (2 * pause).min(LOOK);
        }
    }
    (sent, Taken { id, key, number })
}
