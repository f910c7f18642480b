//! A function in Lambda.

use std::error::Error as StdError;
use std::time::Duration;

use aws_sdk_lambda::Client;
use aws_sdk_lambda::config::http::HttpResponse;
use aws_sdk_lambda::config::retry::RetryConfig;
use aws_sdk_lambda::config::timeout::TimeoutConfig;
use aws_sdk_lambda::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_lambda::operation::invoke::{InvokeError, InvokeOutput};
use aws_sdk_lambda::primitives::Blob;
use aws_sdk_lambda::types::{InvocationType, LogType};
use bytes::Bytes;
use serde_json::Value;

use crate::error;
use fanfold::model::error::{Error, ErrorKind};
use fanfold::model::processing::arn::FunctionArn;
use fanfold::store::function::{Billed, CallError, Function, Returned};

/// A function in Lambda, by its ARN.
#[derive(Debug, Clone)]
pub struct LambdaFunction {
    client: Client,
    arn: String,
}

impl LambdaFunction {
    /// A function that a client calls.
    pub fn new(client: Client, arn: &FunctionArn) -> Self {
        Self { client, arn: arn.as_str().to_owned() }
    }
}

impl Function for LambdaFunction {
    /// Calls the function and waits for its answer
    /// (<https://docs.aws.amazon.com/lambda/latest/api/API_Invoke.html>). The SDK repeats nothing: after a time-out the
    /// function would run twice, and nobody would know.
    async fn invoke(&self, payload: Bytes, patience: Duration) -> Result<Returned, CallError> {
        let timeouts = TimeoutConfig::builder().operation_timeout(patience).disable_operation_attempt_timeout();
        let once = aws_sdk_lambda::config::Builder::new()
            .retry_config(RetryConfig::disabled())
            .timeout_config(timeouts.build());
        let call = self.client.invoke().function_name(&self.arn).payload(Blob::new(payload));
        let call = call.invocation_type(InvocationType::RequestResponse).log_type(LogType::Tail);
        match call.customize().config_override(once).send().await {
            Ok(output) => Ok(returned(output)),
            Err(error) => Err(failed(&self.arn, error)),
        }
    }
}

fn returned(output: InvokeOutput) -> Returned {
    let log = output.log_result.and_then(|log| aws_smithy_types::base64::decode(log).ok()).unwrap_or_default();
    Returned {
        payload: output.payload.map(Blob::into_inner).unwrap_or_default().into(),
        error: output.function_error,
        version: output.executed_version,
        billed: billed(&String::from_utf8_lossy(&log)),
    }
}

/// What the last lines of a log say of the bill, in either format
/// (<https://docs.aws.amazon.com/lambda/latest/dg/monitoring-logs.html>).
fn billed(log: &str) -> Option<Billed> {
    let line = |line: &str| {
        if line.starts_with("REPORT ") {
            let number = |name: &str| line.split_once(name)?.1.split_whitespace().next()?.parse().ok();
            return Some(Billed { milliseconds: number("Billed Duration: ")?, memory_mb: number("Memory Size: ")? });
        }
        let event: Value =
            serde_json::from_str(line).ok().filter(|event: &Value| event["type"] == "platform.report")?;
        let number = |name: &str| event["record"]["metrics"][name].as_f64().map(|number| number as u64);
        Some(Billed { milliseconds: number("billedDurationMs")?, memory_mb: number("memorySizeMB")? })
    };
    log.lines().rev().find_map(line)
}

fn failed(arn: &str, error: SdkError<InvokeError, HttpResponse>) -> CallError {
    let words = |error| error::of_call("call", arn, error).to_string();
    match &error {
        SdkError::ConstructionFailure(_) => CallError::NotRun(words(error)),
        SdkError::DispatchFailure(failure)
            if failure.as_connector_error().is_some_and(|error| never_connected(error)) =>
        {
            CallError::NotRun(words(error))
        }
        SdkError::ServiceError(service) => {
            let status = service.raw().status().as_u16();
            match Meaning::of(error.code().unwrap_or_default(), status) {
                Meaning::Throttled => CallError::Throttled(words(error)),
                Meaning::NotRun => CallError::NotRun(words(error)),
                Meaning::TooLarge => CallError::TooLarge,
                Meaning::Unknown => CallError::Unknown(words(error)),
                Meaning::Refused(kind) => CallError::Refused(Error::new(kind, words(error))),
            }
        }
        _ => CallError::Unknown(words(error)),
    }
}

/// Whether a request failed before there was a connection to send it through.
fn never_connected(error: &(dyn StdError + 'static)) -> bool {
    use std::io::ErrorKind::{AddrNotAvailable, ConnectionRefused, HostUnreachable, NetworkUnreachable};
    let mut next = Some(error);
    while let Some(cause) = next {
        let kind = cause.downcast_ref::<std::io::Error>().map(std::io::Error::kind);
        if matches!(kind, Some(ConnectionRefused | HostUnreachable | NetworkUnreachable | AddrNotAvailable)) {
            return true;
        }
        next = cause.source();
    }
    false
}

/// What an error of Lambda means for the call.
#[derive(Debug, PartialEq, Eq)]
enum Meaning {
    Throttled,
    NotRun,
    TooLarge,
    Unknown,
    Refused(ErrorKind),
}

impl Meaning {
    /// By the errors of <https://docs.aws.amazon.com/lambda/latest/api/API_Invoke.html#API_Invoke_Errors> and of
    /// <https://docs.aws.amazon.com/lambda/latest/api/CommonErrors.html>. All those with a name that is not generic say
    /// why the function could not be started.
    fn of(code: &str, status: u16) -> Self {
        match code {
            "TooManyRequestsException"
            | "EC2ThrottledException"
            | "ENILimitReachedException"
            | "SubnetIPAddressLimitReachedException"
            | "ServiceQuotaExceededException" => Self::Throttled,
            "RequestTooLargeException" | "SerializedRequestEntityTooLargeException" => Self::TooLarge,
            "CodeArtifactUserPendingException"
            | "EC2UnexpectedException"
            | "EFSMountConnectivityException"
            | "EFSMountTimeoutException"
            | "ENINotReadyException"
            | "ResourceConflictException"
            | "ResourceNotReadyException"
            | "S3FilesMountConnectivityException"
            | "S3FilesMountTimeoutException"
            | "SnapStartException"
            | "SnapStartNotReadyException"
            | "SnapStartTimeoutException" => Self::NotRun,
            "ResourceNotFoundException" => Self::Refused(ErrorKind::Missing),
            "AccessDeniedException" | "AccessDenied" => Self::Refused(ErrorKind::Denied),
            "EC2AccessDeniedException"
            | "EFSMountFailureException"
            | "InvalidRuntimeException"
            | "InvalidSecurityGroupIDException"
            | "InvalidSubnetIDException"
            | "InvalidZipFileException"
            | "KMSAccessDeniedException"
            | "KMSDisabledException"
            | "KMSInvalidStateException"
            | "KMSNotFoundException"
            | "S3FilesMountFailureException" => Self::Refused(ErrorKind::Config),
            "ThrottlingException" | "Throttling" | "RequestLimitExceeded" => Self::Throttled,
            // The credentials of a role are renewed.
            "ExpiredTokenException" | "ExpiredToken" => Self::NotRun,
            _ => match status {
                429 => Self::Throttled,
                413 => Self::TooLarge,
                // It was connected to a file system that failed while it ran.
                408 | 410 => Self::Unknown,
                400..500 => Self::Refused(ErrorKind::Config),
                _ => Self::Unknown,
            },
        }
    }
}

#[cfg(test)]
mod tests;
