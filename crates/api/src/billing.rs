//! Billing: how the half months of clients stood when they were last accounted for.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use axum::Json;
use axum::body::Bytes;
use axum::extract::{Query, State};

use serde::{Deserialize, Serialize};

use crate::desk::Desk;
use crate::pipelines::Pipeline;
use crate::problem::{Problem, Result};
use fanfold::batch::list::list as page_of;
use fanfold::model::billing::statement::{Counts, Statement};
use fanfold::model::error::Error;
use fanfold::model::ids::BatchId;
use fanfold::model::progress::BatchState;
use fanfold::model::record::Outcome;
use fanfold::model::timestamp::Timestamp;
use fanfold::model::view::BatchLine;
use fanfold::stage::billing::plan::Which;
use fanfold::store::Clock;
use fanfold::store::blob::read_all;
use fanfold::store::clock::SystemClock;

/// The bytes of statements in an answer: an answer of a function has at most 6 MB
/// (<https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html>).
const MOST: usize = 4_000_000;

/// Which pipeline, and which clients.
#[derive(Debug, Deserialize)]
pub struct Wanted {
    pipeline: Option<String>,
    /// What the names of clients begin with.
    #[serde(default)]
    client: String,
}

/// How the half months of clients stood.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Account {
    pipeline: String,
    batch_id: BatchId,
    as_of: Timestamp,
    /// Of all clients, whichever are listed.
    events: Counts,
    difference: i64,
    not_closed: u64,
    halves: BTreeSet<String>,
    /// The half months of clients by their names, as many as fit into an answer.
    clients: BTreeMap<String, Vec<Statement>>,
    /// Whether there are more.
    more: bool,
}

pub async fn account(State(desk): State<Arc<Desk>>, Query(wanted): Query<Wanted>) -> Result<Json<Account>> {
    let (name, pipeline) = closing(&desk, wanted.pipeline.as_deref())?;
    let missing = || {
        let told = "has not accounted for its events yet: `fanfold billing reconcile` does";
        Problem::missing(format!("pipeline {name:?} {told}"))
    };
    let (batch, results) = newest(pipeline).await?.ok_or_else(missing)?;
    let mut account = Account {
        pipeline: name.to_owned(),
        as_of: batch.finished_at.unwrap_or(batch.started_at),
        batch_id: batch.batch_id,
        events: Counts::default(),
        difference: 0,
        not_closed: 0,
        halves: BTreeSet::new(),
        clients: BTreeMap::new(),
        more: false,
    };
    let mut room = MOST;
    let unread = |e| Problem::from(Error::internal("the results of a batch are not readable").because(e));
    for text in results.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
        let outcome: Outcome = serde_json::from_slice(text).map_err(unread)?;
        let Some(result) = outcome.result else {
            account.not_closed += 1;
            continue;
        };
        let statement: Statement = serde_json::from_str(result.get()).map_err(unread)?;
        let wanted = statement.client.starts_with(&wanted.client);
        // What does not fit ends the list, so that it has no holes.
        let left = if wanted { room.checked_sub(result.get().len()) } else { Some(room) };
        account.more |= left.is_none();
        room = left.unwrap_or_default();
        account.add(statement, wanted && left.is_some());
    }
    account.difference = account.events.difference();
    Ok(Json(account))
}

impl Account {
    fn add(&mut self, statement: Statement, shown: bool) {
        self.events.add(&statement.events);
        self.halves.insert(statement.half.clone());
        if shown {
            self.clients.entry(statement.client.clone()).or_default().push(statement);
        }
    }
}

/// The pipeline that closes half months.
fn closing<'a>(desk: &'a Desk, name: Option<&'a str>) -> Result<(&'a str, &'a Pipeline)> {
    if let Some(name) = name {
        let pipeline = desk.pipelines.named(name)?;
        let closes = pipeline.resources.billing.is_some();
        return closes
            .then_some((name, pipeline))
            .ok_or_else(|| Problem::missing(format!("pipeline {name:?} closes no half months")));
    }
    let mut closing = desk.pipelines.iter().filter(|(_, pipeline)| pipeline.resources.billing.is_some());
    match (closing.next(), closing.next()) {
        (Some(one), None) => Ok(one),
        (None, _) => Err(Problem::missing("no pipeline closes half months")),
        _ => Err(Problem::bad("name a pipeline, as in ?pipeline=billing: several close half months")),
    }
}

/// The newest batch that accounted for all half months and has ended, and its results.
async fn newest(pipeline: &Pipeline) -> Result<Option<(BatchLine, Bytes)>> {
    let (ledger, mut after) = (pipeline.ledger(), None);
    let prefix = &pipeline.resources.parameters.input_prefix;
    loop {
        let page = page_of(&ledger, after.as_ref(), SystemClock.now()).await?;
        // One that failed or was cancelled did not look at all of them.
        let whole = |line: &BatchLine| matches!(line.state, BatchState::Succeeded | BatchState::PartiallyFailed);
        for line in page.lines.into_iter().filter(|line| whole(line) && Which::is_all(&line.key, prefix)) {
            if let Some(results) = read_all(&pipeline.output(), &line.batch_id.output_key("results.jsonl")).await? {
                return Ok(Some((line, results)));
            }
        }
        if page.next.is_none() {
            return Ok(None);
        }
        after = page.next;
    }
}
