//! AWS clients, made once per process.

use aws_config::retry::RetryConfig;
use aws_config::timeout::TimeoutConfig;
use aws_config::{BehaviorVersion, SdkConfig};
use aws_smithy_http_client::tls::{Provider, rustls_provider::CryptoMode};
use aws_smithy_runtime_api::client::interceptors::context::InterceptorContext;
use aws_smithy_runtime_api::client::retries::classifiers::{
    ClassifyRetry, RetryAction, RetryClassifierPriority, RetryReason,
};
use aws_smithy_types::retry::ErrorKind;
use std::time::Duration;

use crate::calls::CountCalls;
use crate::channel::AwsChannel;
use crate::counters::DynamoCounters;
use crate::ledger::DynamoLedger;
use crate::machine::Machine;
use crate::s3::S3Blob;
use crate::signed::{Signer, credentials};
use crate::sns::SnsTopic;
use crate::tasks::DynamoTasks;
use fanfold::model::error::Result;
use fanfold::store::clock::SystemClock;
use fanfold::store::{Clock, Stores};

/// Attempts of one call, with growing pauses between them.
const ATTEMPTS: u32 = 6;
const CONNECT: Duration = Duration::from_secs(10);
const ATTEMPT: Duration = Duration::from_secs(60);

/// The stores on AWS.
pub struct AwsStores;

impl Stores for AwsStores {
    type Blob = S3Blob;
    type Channel = AwsChannel;
    type Tasks = DynamoTasks;
    type Counters = DynamoCounters;
    type Ledger = DynamoLedger;
    type Clock = SystemClock;
}

/// Clients of S3, SQS and DynamoDB, from which those of other services are made.
#[derive(Debug, Clone)]
pub struct Clients {
    /// S3.
    pub s3: aws_sdk_s3::Client,
    /// SQS.
    pub sqs: aws_sdk_sqs::Client,
    /// DynamoDB.
    pub dynamodb: aws_sdk_dynamodb::Client,
    /// What they were made from.
    pub(crate) config: SdkConfig,
}

impl Clients {
    /// Clients configured by the usual AWS environment: region, credentials and `AWS_ENDPOINT_URL`.
    pub async fn from_env() -> Self {
        Self::new(&loader().load().await)
    }

    /// The same for stores that keep a pace: a request that a service was too busy for fails at once.
    pub async fn paced_from_env() -> Self {
        Self::of(&loader().load().await, true)
    }

    /// Clients for an emulator at `endpoint`, which takes any credentials.
    pub async fn of_emulator(endpoint: &str) -> Self {
        Self::new(&of_emulator(endpoint).load().await)
    }

    /// A client of functions, configured as the others are.
    pub fn lambda(&self) -> LambdaClient {
        lambda(&self.config)
    }

    /// A client of topics, for stores that keep a pace; made only where there is one.
    pub fn sns(&self) -> aws_sdk_sns::Client {
        let config = aws_sdk_sns::config::Builder::from(&self.config).interceptor(CountCalls);
        aws_sdk_sns::Client::from_conf(config.retry_classifier(LeaveBusy).build())
    }

    /// A topic by its ARN.
    pub fn topic(&self, arn: &str) -> SnsTopic {
        SnsTopic::new(self.sns(), arn)
    }

    /// A client of state machines, for stores that keep a pace; made only where there is one.
    pub fn sfn(&self) -> aws_sdk_sfn::Client {
        let config = aws_sdk_sfn::config::Builder::from(&self.config).interceptor(CountCalls);
        aws_sdk_sfn::Client::from_conf(config.retry_classifier(LeaveBusy).build())
    }

    /// A state machine by its ARN.
    pub fn machine(&self, arn: &str) -> Machine {
        Machine::new(self.sfn(), arn)
    }

    /// The address of a GET of a service, signed with the clients' credentials and valid for some time.
    ///
    /// # Errors
    /// Those of the credentials, and `Internal` if that is no address.
    pub async fn link(&self, service: &str, url: &str, valid: Duration) -> Result<String> {
        let region = self.config.region().map(ToString::to_string).unwrap_or_default();
        let credentials = credentials(&self.config).await?;
        Signer { credentials: &credentials, region: &region, service, at: SystemClock.now() }.link(url, valid)
    }

    fn new(config: &SdkConfig) -> Self {
        Self::of(config, false)
    }

    fn of(config: &SdkConfig, paced: bool) -> Self {
        // An emulator is reached under one host name, so that the bucket must be in the path.
        let path_style = config.endpoint_url().is_some();
        let s3 = aws_sdk_s3::config::Builder::from(config).force_path_style(path_style).interceptor(CountCalls);
        let sqs = aws_sdk_sqs::config::Builder::from(config).interceptor(CountCalls);
        let dynamodb = aws_sdk_dynamodb::config::Builder::from(config).interceptor(CountCalls);
        let (s3, sqs, dynamodb) = if paced {
            (s3.retry_classifier(LeaveBusy), sqs.retry_classifier(LeaveBusy), dynamodb.retry_classifier(LeaveBusy))
        } else {
            (s3, sqs, dynamodb)
        };
        Self {
            s3: aws_sdk_s3::Client::from_conf(s3.build()),
            sqs: aws_sdk_sqs::Client::from_conf(sqs.build()),
            dynamodb: aws_sdk_dynamodb::Client::from_conf(dynamodb.build()),
            config: config.clone(),
        }
    }
}

/// Keeps the SDK from repeating what a service was too busy for. The SDK would do so only a few times, and each of these
/// would use up the tokens that all retries of a client share.
#[derive(Debug)]
struct LeaveBusy;

impl ClassifyRetry for LeaveBusy {
    fn name(&self) -> &'static str {
        "LeaveBusy"
    }

    fn priority(&self) -> RetryClassifierPriority {
        RetryClassifierPriority::run_after(RetryClassifierPriority::transient_error_classifier())
    }

    fn classify_retry(&self, _context: &InterceptorContext) -> RetryAction {
        RetryAction::NoActionIndicated
    }

    fn classify_retry_v2(&self, _context: &InterceptorContext, previous: &RetryAction) -> RetryAction {
        match previous {
            RetryAction::RetryIndicated(RetryReason::RetryableError { kind: ErrorKind::ThrottlingError, .. }) => {
                RetryAction::RetryForbidden
            }
            _ => RetryAction::NoActionIndicated,
        }
    }
}

/// A client of functions.
pub type LambdaClient = aws_sdk_lambda::Client;

/// The client by which a function of the user's is called, configured as the others are; made only where there is one.
pub async fn lambda_from_env() -> LambdaClient {
    lambda(&loader().load().await)
}

/// The same for an emulator at `endpoint`, which takes any credentials.
pub async fn lambda_of_emulator(endpoint: &str) -> LambdaClient {
    lambda(&of_emulator(endpoint).load().await)
}

fn lambda(config: &SdkConfig) -> LambdaClient {
    let config = aws_sdk_lambda::config::Builder::from(config).interceptor(CountCalls);
    aws_sdk_lambda::Client::from_conf(config.build())
}

fn of_emulator(endpoint: &str) -> aws_config::ConfigLoader {
    let anybody = aws_sdk_s3::config::Credentials::new("test", "test", None, None, "emulator");
    loader().endpoint_url(endpoint).credentials_provider(anybody).region("us-east-1")
}

pub(crate) fn loader() -> aws_config::ConfigLoader {
    let http = aws_smithy_http_client::Builder::new().tls_provider(Provider::Rustls(CryptoMode::Ring)).build_https();
    let timeouts = TimeoutConfig::builder().connect_timeout(CONNECT).operation_attempt_timeout(ATTEMPT).build();
    // Pinned, so that an update of the SDK changes no behaviour unnoticed.
    aws_config::defaults(BehaviorVersion::v2026_01_12())
        .http_client(http)
        .timeout_config(timeouts)
        .retry_config(RetryConfig::standard().with_max_attempts(ATTEMPTS))
}
