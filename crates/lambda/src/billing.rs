//! What lists half months that are to be closed, and sends the packages that were sealed: a function on two schedules.

use std::time::Duration;

use fanfold::model::billing::calendar::HalfMonth;
use fanfold::model::error::{Error, Result};
use fanfold::model::timestamp::Timestamp;
use fanfold::stage::billing::invoices::WebInvoices;
use fanfold::stage::billing::outbox::{Drained, drain};
use fanfold::stage::billing::plan::{Plan, Which};
use fanfold::stage::billing::send::Send;
use fanfold::store::Clock;
use fanfold::store::clock::SystemClock;
use fanfold_aws::billing::DynamoBilling;
use fanfold_aws::clients::Clients;
use fanfold_aws::meter::DynamoMeter;
use fanfold_aws::s3::S3Blob;
use fanfold_aws::secrets;
use fanfold_aws::terms::DynamoTerms;
use fanfold_http::HttpWeb;
use lambda_runtime::{LambdaEvent, service_fn};
use serde::{Deserialize, Serialize};

use crate::config::{BillingConfig, PROCESSORS};
use crate::server::deadline;
use crate::setting;

/// The name of its handler.
pub const HANDLER: &str = "billing";
/// How long it sends, in seconds: the next invocation begins a minute after it, and takes over.
const SENDS_FOR: i64 = 55;
/// What it leaves of its own time, in milliseconds.
const SPARE: i64 = 2_000;
/// How much farther back it looks for what closed than it was last asked: a schedule may be late, or its event be tried again for an hour
/// (<https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-scheduled-rule-pattern.html>).
const LATE: i64 = 3_900;

/// What is to be done, as the schedules say it, and the command.
#[derive(Debug, Deserialize)]
#[serde(tag = "action", rename_all = "lowercase", deny_unknown_fields)]
enum Event {
    /// What closed since the last time is listed; or all that is still open for events, or this half month.
    Plan {
        #[serde(default)]
        all: bool,
        #[serde(default)]
        half: Option<String>,
    },
    /// What is due is sent.
    Send {},
}

#[derive(Debug, Serialize)]
#[serde(untagged)]
enum Done {
    Planned { key: Option<String> },
    Sent(Drained),
}

/// Serves its invocations until Lambda ends the process.
///
/// # Errors
/// `Config` if a setting is missing or wrong; what the Lambda runtime cannot recover from.
pub async fn run() -> std::result::Result<(), lambda_runtime::Error> {
    let clients = Clients::from_env().await;
    let billing = Billing::open(clients).await;
    let billing = billing.inspect_err(|error| tracing::error!(%error, "function cannot start"))?;
    lambda_runtime::run(service_fn(async |event: LambdaEvent<Event>| {
        let until = deadline(&event.context);
        let done = billing.act(event.payload, until).await;
        done.inspect_err(|error| tracing::error!(%error, "billing failed")).map_err(lambda_runtime::Error::from)
    }))
    .await
}

type Sender = Send<DynamoBilling, WebInvoices<HttpWeb, SystemClock>, S3Blob, DynamoMeter, SystemClock>;

struct Billing {
    plan: Plan<DynamoTerms, S3Blob, SystemClock>,
    config: BillingConfig,
    clients: Clients,
    web: HttpWeb,
}

impl Billing {
    async fn open(clients: Clients) -> Result<Self> {
        let given = |name: &str| std::env::var(name).ok();
        let processors = match given(PROCESSORS) {
            Some(value) => Some(setting::read(PROCESSORS, &value, &clients).await?),
            None => None,
        };
        let config = BillingConfig::read(|name| if name == PROCESSORS { processors.clone() } else { given(name) })?;
        let s3 = |bucket: &str| S3Blob::new(clients.s3.clone(), bucket);
        let dynamodb = || clients.dynamodb.clone();
        let (input, prefix) = (s3(&config.input.0), config.input.1.clone());
        let terms = DynamoTerms::new(dynamodb(), &config.tables.clients);
        let plan = Plan { clients: terms, input, prefix, clock: SystemClock };
        Ok(Self { plan, config, clients, web: HttpWeb::new() })
    }

    /// What sends packages, with the secrets as they are now: one that was changed counts from the next minute on. `None` if there is no API.
    async fn sender(&self) -> Result<Option<Sender>> {
        let (config, dynamodb) = (&self.config, || self.clients.dynamodb.clone());
        let Some(settings) = config.settings.invoices.clone() else {
            return Ok(None);
        };
        let secrets = secrets::read_from_env(&self.web, &SystemClock, &settings.http.secrets).await?;
        Ok(Some(Send {
            packages: DynamoBilling::new(dynamodb(), &config.tables.events, &config.tables.packages),
            output: S3Blob::new(self.clients.s3.clone(), &config.output_bucket),
            meter: DynamoMeter::new(dynamodb(), &config.ledger_table),
            clock: SystemClock,
            guarantees: settings.guarantees,
            spacing: Duration::from_secs_f64(1.0 / settings.rate),
            invoices: WebInvoices { web: self.web.clone(), clock: SystemClock, settings, secrets },
        }))
    }

    async fn act(&self, event: Event, deadline: Timestamp) -> Result<Done> {
        match event {
            Event::Plan { all, half } => {
                let which = match half {
                    Some(name) => {
                        let wrong =
                            || Error::malformed(format!("{name:?} is no half month; write it as in 2026-02-H2"));
                        Which::One(HalfMonth::parse(&name).ok_or_else(wrong)?)
                    }
                    None if all => Which::All,
                    None => Which::ClosedWithin(self.config.closes_every + LATE),
                };
                let key = self.plan.write(which).await?;
                tracing::info!(key, "half months listed");
                Ok(Done::Planned { key })
            }
            Event::Send {} => match self.sender().await? {
                None => Ok(Done::Sent(Drained::default())),
                Some(send) => {
                    let until = SystemClock.now().plus_seconds(SENDS_FOR).min(Timestamp(deadline.0 - SPARE));
                    drain(&send, until).await.map(Done::Sent)
                }
            },
        }
    }
}
