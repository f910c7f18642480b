//! The pipelines of a deployment.

use std::collections::{BTreeMap, BTreeSet};

use futures::stream::{FuturesUnordered, StreamExt};

use crate::problem::{Problem, Result};
use fanfold::model::ids::BatchId;
use fanfold::model::reason::ReasonId;
use fanfold::model::view::BatchView;
use fanfold::store::ledger::{Control, Ledger};
use fanfold_aws::clients::Clients;
use fanfold_aws::deployment::{Deployment, Resources};
use fanfold_aws::form;
use fanfold_aws::ledger::DynamoLedger;
use fanfold_aws::s3::S3Blob;
use fanfold_aws::sqs::SqsChannel;
use fanfold_aws::supply::Deployed;
use fanfold_aws::workers::Workers;

/// A pipeline, by its resources.
#[derive(Debug, Clone)]
pub struct Pipeline {
    pub(crate) clients: Clients,
    pub(crate) resources: Resources,
}

impl Pipeline {
    pub(crate) fn ledger(&self) -> DynamoLedger {
        DynamoLedger::new(self.clients.dynamodb.clone(), &self.resources.ledger_table)
    }

    pub(crate) fn input(&self) -> S3Blob {
        S3Blob::new(self.clients.s3.clone(), &self.resources.input_bucket)
    }

    pub(crate) fn output(&self) -> S3Blob {
        S3Blob::new(self.clients.s3.clone(), &self.resources.output_bucket)
    }

    pub(crate) fn queue(&self, stage: &str) -> Option<SqsChannel> {
        let url = self.resources.queues.get(stage)?;
        Some(SqsChannel::new(self.clients.sqs.clone(), url))
    }

    pub(crate) fn workers(&self) -> Result<Workers> {
        Ok(Workers::of(&self.clients, &self.resources)?)
    }

    pub(crate) fn deployed(&self) -> Deployed {
        Deployed { clients: self.clients.clone(), resources: self.resources.clone() }
    }

    /// Whether its workers are paused; `None` if that cannot be changed.
    pub(crate) async fn paused(&self) -> Result<Option<bool>> {
        if !self.resources.mappings.contains_key("process") || self.resources.machine_arn.is_some() {
            return Ok(None);
        }
        Ok(Some(self.ledger().paused().await?.is_some()))
    }

    /// What the latest generation of a batch is doing.
    pub(crate) async fn seen(&self, id: &BatchId) -> Result<Option<BatchView>> {
        Ok(self.deployed().seen(&self.ledger(), id).await?)
    }

    /// The reason of failures that has this id, if one is asked for.
    pub(crate) async fn reason(&self, id: &BatchId, reason: Option<&str>) -> Result<Option<ReasonId>> {
        let Some(reason) = reason else {
            return Ok(None);
        };
        let view = self.seen(id).await?.ok_or_else(|| unknown(id))?;
        Ok(Some(view.reason(reason)?.id.clone()))
    }
}

/// The pipelines of a deployment by their names.
#[derive(Debug, Clone, Default)]
pub struct Pipelines(BTreeMap<String, Pipeline>);

impl Pipelines {
    /// Those of a deployment, with these clients.
    pub fn of(deployment: &Deployment, clients: &Clients) -> Self {
        let pipeline = |resources: &Resources| Pipeline { clients: clients.clone(), resources: resources.clone() };
        Self(deployment.pipelines.iter().map(|(name, resources)| (name.clone(), pipeline(resources))).collect())
    }

    /// One pipeline, with these clients.
    pub fn single(name: &str, resources: Resources, clients: &Clients) -> Self {
        let pipeline = Pipeline { clients: clients.clone(), resources };
        Self(BTreeMap::from([(name.to_owned(), pipeline)]))
    }

    /// Those that make reports, and the others.
    pub(crate) fn split(self) -> (Self, Self) {
        let (makers, others) = self.0.into_iter().partition(|(_, pipeline)| pipeline.resources.reports.is_some());
        (Self(makers), Self(others))
    }

    /// All of them.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&str, &Pipeline)> {
        self.0.iter().map(|(name, pipeline)| (name.as_str(), pipeline))
    }

    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }

    /// The pipeline with that name.
    pub(crate) fn named(&self, name: &str) -> Result<&Pipeline> {
        self.0.get(name).ok_or_else(|| {
            let names: Vec<&str> = self.names().collect();
            Problem::missing(format!("pipeline {name:?} is not deployed; deployed are: {}", names.join(", ")))
        })
    }

    /// The pipeline with that name, or else the one that knows the batch.
    pub(crate) async fn with(&self, name: Option<&str>, id: &BatchId) -> Result<(&str, &Pipeline)> {
        let mut reads = FuturesUnordered::new();
        for (found, pipeline) in &self.0 {
            if name.is_none_or(|name| name == found) {
                reads.push(async move {
                    let known = pipeline.ledger().read(id).await?.is_some();
                    Ok::<_, Problem>(known.then_some((found.as_str(), pipeline)))
                });
            }
        }
        while let Some(read) = reads.next().await {
            if let Some(known) = read? {
                return Ok(known);
            }
        }
        if let Some(name) = name {
            self.named(name)?;
        }
        Err(unknown(id))
    }

    /// The origins that a page sends files to, and reads ends of reports from.
    pub(crate) fn origins(&self) -> BTreeSet<String> {
        let buckets = |pipeline: &Pipeline| {
            let Resources { input_bucket, output_bucket, reports, .. } = &pipeline.resources;
            let read = reports.as_ref().map(|_| output_bucket.clone());
            [Some(input_bucket.clone()), read].into_iter().flatten().collect::<Vec<_>>()
        };
        let origins = |pipeline: &Pipeline| {
            buckets(pipeline)
                .into_iter()
                .filter_map(|bucket| form::origin(&pipeline.clients, &bucket).ok())
                .collect::<Vec<_>>()
        };
        self.0.values().flat_map(origins).collect()
    }
}

/// A batch that there is not.
pub fn unknown(id: &BatchId) -> Problem {
    Problem::missing(format!(
        "the ledger does not know batch {id}: it was not scattered yet, or ended over 30 days ago"
    ))
}

/// The id in a path.
pub fn id_of(text: &str) -> Result<BatchId> {
    BatchId::parse(text).map_err(Problem::from)
}
