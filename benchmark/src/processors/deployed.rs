//! Pipelines that are deployed, and the loops beside them.

use std::path::Path;
use std::time::Duration;

use fanfold::model::calls::many;
use fanfold::model::error::{Error, Result};
use fanfold::model::ids::BatchId;
use fanfold_aws::clients::{lambda_from_env, lambda_of_emulator};
use fanfold_aws::invoke::LambdaFunction;
use fanfold_http::HttpWeb;

use crate::batch::{self, Observation};
use crate::options::Labels;
use crate::processors::table::Run;
use crate::processors::{Calls, Subject, replay};
use crate::records::Records;
use crate::site::Site;
use crate::{calls, check, floor};

/// How long a batch may take.
const PATIENCE: Duration = Duration::from_secs(600);

/// A deployment.
pub struct Deployed {
    site: Site,
    lambda: fanfold_aws::clients::LambdaClient,
    web: HttpWeb,
}

impl Deployed {
    /// Opens the deployment that a file describes.
    ///
    /// # Errors
    /// `Config` if it lacks one of the pipelines, or if it cannot be measured.
    pub async fn open(path: &Path, names: &[String]) -> Result<Self> {
        let site = Site::open(path, names, Labels::default()).await?;
        let lambda = match site.endpoint() {
            Some(endpoint) => lambda_of_emulator(endpoint).await,
            None => lambda_from_env().await,
        };
        Ok(Self { site, lambda, web: HttpWeb::new() })
    }

    /// Makes the calls for the records, and nothing else.
    ///
    /// # Errors
    /// The first that fails.
    pub async fn floor(&self, calls: &Calls, records: &Records, width: usize) -> Result<Run> {
        let (seconds, requests) = match calls {
            Calls::Items => {
                let (items, table) = self.site.floor_items()?;
                (seconds(&floor::run(&items, table, records, width).await)?, records.count.div_ceil(floor::BATCH_ITEMS))
            }
            Calls::Invoke(settings, payloads) => {
                let function = LambdaFunction::new(self.lambda.clone(), &settings.function);
                (replay::invoke(&function, payloads, width).await?, payloads.len() as u64)
            }
            Calls::Http(_, requests) => (replay::send(&self.web, requests, width).await?, requests.len() as u64),
        };
        Ok(Run { seconds, requests })
    }

    /// Takes the records through a pipeline, and counts its requests to AWS.
    ///
    /// # Errors
    /// If one of them does not succeed.
    pub async fn pipeline(&self, subject: &Subject, records: &Records) -> Result<Run> {
        let pipeline = self.site.pipeline(&subject.name)?;
        let key = format!("benchmark/{}-{}.csv", subject.name, records.tag);
        let (batch, watch) = batch::upload(&pipeline, &key, records, &mut Observation::default()).await?;
        let summary = batch::summary(&pipeline, &batch, watch, PATIENCE).await?;
        let seconds = watch.seconds();
        check::summary(&summary, &subject.variant, records.count)?;
        let aws = self.requests(&pipeline.ledger, &batch, summary.chunks.total).await;
        Ok(Run { seconds, requests: aws })
    }

    async fn requests(&self, ledger: &fanfold_aws::ledger::DynamoLedger, batch: &BatchId, chunks: u64) -> u64 {
        let (requests, _) = calls::of_batch(ledger, batch, chunks).await;
        requests.values().map(many).sum()
    }
}

fn seconds(seen: &Observation) -> Result<f64> {
    let failed = || Error::internal(seen.failure.clone().unwrap_or_else(|| "the loop did not end".to_owned()));
    seen.seconds.ok_or_else(failed)
}
