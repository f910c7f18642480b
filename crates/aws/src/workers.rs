//! The workers of a deployed pipeline: the event source mapping between its queue and its function
//! (<https://docs.aws.amazon.com/lambda/latest/api/API_UpdateEventSourceMapping.html>).

use aws_sdk_lambda::types::ScalingConfig;

use crate::clients::{Clients, LambdaClient};
use crate::deployment::Resources;
use crate::error;
use crate::ledger::DynamoLedger;
use fanfold::model::error::{Error, Result};
use fanfold::model::timestamp::Timestamp;
use fanfold::store::ledger::Control;

/// The fewest and the most functions that a mapping can be told to run at once:
/// <https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-scaling.html>
pub const CONCURRENCY: std::ops::RangeInclusive<i32> = 2..=1000;

/// The workers of a pipeline.
#[derive(Debug, Clone)]
pub struct Workers {
    client: LambdaClient,
    mapping: String,
    ledger: DynamoLedger,
    /// Whether Step Functions runs most of them.
    mapped: bool,
}

impl Workers {
    /// Those of a pipeline.
    ///
    /// # Errors
    /// `Config` if the deployment does not name their mapping.
    pub fn of(clients: &Clients, resources: &Resources) -> Result<Self> {
        let mapping = resources.mappings.get("process").cloned();
        let unnamed = || Error::config("the deployment does not name the workers' mapping; run `make deploy` again");
        let ledger = DynamoLedger::new(clients.dynamodb.clone(), &resources.ledger_table);
        let mapped = resources.machine_arn.is_some();
        Ok(Self { client: clients.lambda(), mapping: mapping.ok_or_else(unnamed)?, ledger, mapped })
    }

    /// Keeps the workers from receiving messages from now on; those that they have are worked on to their end. Sweep is told
    /// first, so that it does not take the pause for a stall.
    ///
    /// # Errors
    /// `Conflict` if Step Functions runs them, and those of the ledger and of Lambda; if the workers could not be paused, they are not noted as paused.
    pub async fn pause(&self, now: Timestamp) -> Result<()> {
        self.of_queue()?;
        let noted = self.ledger.paused().await?.is_some();
        if !noted {
            self.ledger.note_pause(Some(now)).await?;
        }
        let paused = self.enable(false).await;
        if paused.is_err() && !noted {
            // The workers go on, and sweep with them.
            self.ledger.note_pause(None).await?;
        }
        paused
    }

    /// Lets the workers receive messages again.
    ///
    /// # Errors
    /// Those of the ledger and of Lambda. What was done then stays; resuming again does the rest.
    pub async fn resume(&self) -> Result<()> {
        self.enable(true).await?;
        self.ledger.note_pause(None).await
    }

    /// Checks that their queue runs the workers. Those of a map cannot be held:
    /// <https://docs.aws.amazon.com/step-functions/latest/apireference/API_UpdateMapRun.html>.
    fn of_queue(&self) -> Result<()> {
        if self.mapped {
            let why = "Step Functions runs the workers of this pipeline, which cannot be paused or scaled; cancel the batch instead";
            return Err(Error::conflict(why));
        }
        Ok(())
    }

    async fn enable(&self, enabled: bool) -> Result<()> {
        let change = self.client.update_event_source_mapping().uuid(&self.mapping).enabled(enabled);
        let changed = change.send().await;
        changed.map(drop).map_err(|e| error::of_call("change the workers' mapping", &self.mapping, e))
    }

    /// Sets how many functions work at most at the same time.
    ///
    /// # Errors
    /// `Malformed` if the number is not one that Lambda takes, and those of Lambda.
    pub async fn scale(&self, concurrency: i32) -> Result<()> {
        if !CONCURRENCY.contains(&concurrency) {
            let (least, most) = (CONCURRENCY.start(), CONCURRENCY.end());
            return Err(Error::malformed(format!("a concurrency is a number from {least} to {most}")));
        }
        self.of_queue()?;
        let scaling = ScalingConfig::builder().maximum_concurrency(concurrency).build();
        let change = self.client.update_event_source_mapping().uuid(&self.mapping).scaling_config(scaling);
        let changed = change.send().await;
        changed.map(drop).map_err(|e| error::of_call("change the workers' mapping", &self.mapping, e))
    }
}
