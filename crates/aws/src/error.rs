//! SDK errors, sorted by what the caller must do.

use std::error::Error as StdError;

use aws_sdk_dynamodb::config::http::HttpResponse;
use aws_sdk_dynamodb::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_dynamodb::operation::RequestId;

use fanfold::model::error::{Error, ErrorKind};

/// Converts an error of an AWS call: what was attempted, on which resource, and why it failed. Unless a service was busy,
/// the SDK has already retried what can be retried
/// (<https://docs.aws.amazon.com/sdkref/latest/guide/feature-retry-behavior.html>). It says what the service says, and not
/// the whole response, which may quote a record.
pub fn of_call<E>(act: &str, place: &str, error: SdkError<E, HttpResponse>) -> Error
where
    E: StdError + ProvideErrorMetadata + Send + Sync + 'static,
{
    Error::new(kind_of(error.code()), format!("could not {act} {place}: {}", said(&error)))
}

fn said<E>(error: &SdkError<E, HttpResponse>) -> String
where
    E: StdError + ProvideErrorMetadata + 'static,
{
    let SdkError::ServiceError(_) = error else {
        // Nothing of a request or a response is in these.
        let (mut causes, mut next) = (error.to_string(), error.source());
        while let Some(cause) = next {
            causes.push_str(&format!(": {cause}"));
            next = cause.source();
        }
        return causes;
    };
    let mut said = error.code().unwrap_or("an error without a code").to_owned();
    if let Some(message) = error.message().filter(|message| !message.is_empty()) {
        said.push_str(&format!(": {message}"));
    }
    if let Some(id) = error.request_id() {
        said.push_str(&format!(" (request {id})"));
    }
    said
}

/// Whether a service says with this code that it is busy, or that another writer was at work: the request was not
/// carried out, and is to be sent again after a pause.
/// - DynamoDB: <https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Programming.Errors.html>
/// - S3, which also meets another conditional write that way: <https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html>
/// - SQS: <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/CommonErrors.html>, and its errors of the
///   key service: <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_SendMessageBatch.html>
pub fn is_busy(code: &str) -> bool {
    const CODES: [&str; 23] = [
        "BandwidthLimitExceeded",
        "ConditionalRequestConflict",
        "KMS.ThrottlingException",
        "KMSThrottling",
        "KmsThrottled",
        "LimitExceededException",
        "OverLimit",
        "PriorRequestNotComplete",
        "ProvisionedThroughputExceeded",
        "ProvisionedThroughputExceededException",
        "RequestLimitExceeded",
        "RequestThrottled",
        "RequestThrottledException",
        "ServiceUnavailable",
        "SlowDown",
        "Throttled",
        "ThrottledException",
        "Throttling",
        "ThrottlingError",
        "ThrottlingException",
        "TooManyRequestsException",
        "TransactionConflict",
        "TransactionInProgressException",
    ];
    // SQS names some codes with a prefix, as in `AWS.SimpleQueueService.OverLimit`.
    CODES.contains(&code.strip_prefix("AWS.SimpleQueueService.").unwrap_or(code))
}

fn kind_of(code: Option<&str>) -> ErrorKind {
    match code.unwrap_or_default() {
        code if is_busy(code) => ErrorKind::Busy,
        // Also of an object that is missing, if the caller may not list the bucket:
        // https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetObject.html
        // SNS has words of its own: https://docs.aws.amazon.com/sns/latest/api/API_PublishBatch.html
        "AccessDenied" | "AccessDeniedException" | "AuthorizationError" | "KMSAccessDenied" => ErrorKind::Denied,
        "InvalidAccessKeyId"
        | "InvalidClientTokenId"
        | "SignatureDoesNotMatch"
        | "NoSuchBucket"
        | "InvalidObjectState"
        | "InvalidRequest"
        | "KeyTooLongError"
        | "KMS.DisabledException"
        | "KMS.InvalidStateException"
        | "KMS.NotFoundException"
        | "KMSDisabled"
        | "KMSInvalidState"
        | "KMSNotFound"
        | "KMSOptInRequired"
        | "PermanentRedirect"
        | "ResourceNotFoundException"
        | "QueueDoesNotExist"
        | "AWS.SimpleQueueService.NonExistentQueue"
        | "ValidationException" => ErrorKind::Config,
        // The second of a part that was uploaded again since:
        // https://docs.aws.amazon.com/AmazonS3/latest/API/API_CompleteMultipartUpload.html
        "NoSuchUpload" | "InvalidPart" => ErrorKind::Missing,
        "ConditionalCheckFailedException" => ErrorKind::Conflict,
        _ => ErrorKind::Transient,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_busy_service_says_is_told_from_other_failures() {
        for code in ["SlowDown", "Throttled", "KMSThrottling", "AWS.SimpleQueueService.OverLimit"] {
            assert_eq!(kind_of(Some(code)), ErrorKind::Busy, "{code}");
        }
        for code in [Some("InternalServerError"), Some("RequestTimeout"), None] {
            assert_eq!(kind_of(code), ErrorKind::Transient, "{code:?}");
        }
        for denied in ["AccessDenied", "AuthorizationError", "KMSAccessDenied"] {
            assert_eq!(kind_of(Some(denied)), ErrorKind::Denied);
        }
        for person in ["KMSDisabled", "KMSNotFound", "KMS.NotFoundException"] {
            assert_eq!(kind_of(Some(person)), ErrorKind::Config, "{person}");
        }
        assert_eq!(kind_of(Some("NoSuchUpload")), ErrorKind::Missing);
    }
}
