//! SDK errors, sorted by what the caller must do.

use aws_sdk_dynamodb::error::{DisplayErrorContext, ProvideErrorMetadata, SdkError};

use fanfold::model::error::{Error, ErrorKind};

/// Converts an error of an AWS call: what was attempted, on which resource, and why it failed. Unless a service was busy,
/// the SDK has already retried what can be retried
/// (<https://docs.aws.amazon.com/sdkref/latest/guide/feature-retry-behavior.html>).
pub fn of_call<E, R>(act: &str, place: &str, error: SdkError<E, R>) -> Error
where
    E: std::error::Error + ProvideErrorMetadata + Send + Sync + 'static,
    R: std::fmt::Debug + Send + Sync + 'static,
{
    let kind = kind_of(error.code());
    Error::new(kind, format!("could not {act} {place}: {}", DisplayErrorContext(&error)))
}

/// Whether a service says with this code that it is busy, or that another writer was at work: the request was not
/// carried out, and is to be sent again after a pause.
/// - DynamoDB: <https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Programming.Errors.html>
/// - S3, which also meets another conditional write that way: <https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html>
/// - SQS: <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/CommonErrors.html>, and its errors of the
///   key service: <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_SendMessageBatch.html>
pub fn is_busy(code: &str) -> bool {
    const CODES: [&str; 21] = [
        "BandwidthLimitExceeded",
        "ConditionalRequestConflict",
        "KMS.ThrottlingException",
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
        "AccessDenied"
        | "AccessDeniedException"
        | "InvalidAccessKeyId"
        | "InvalidClientTokenId"
        | "SignatureDoesNotMatch"
        | "NoSuchBucket"
        | "InvalidObjectState"
        | "InvalidRequest"
        | "KeyTooLongError"
        | "KMS.DisabledException"
        | "KMS.InvalidStateException"
        | "KMS.NotFoundException"
        | "PermanentRedirect"
        | "ResourceNotFoundException"
        | "QueueDoesNotExist"
        | "AWS.SimpleQueueService.NonExistentQueue"
        | "ValidationException" => ErrorKind::Config,
        "ConditionalCheckFailedException" | "NoSuchUpload" => ErrorKind::Conflict,
        _ => ErrorKind::Transient,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_busy_service_says_is_told_from_other_failures() {
        for code in ["SlowDown", "ProvisionedThroughputExceededException", "AWS.SimpleQueueService.OverLimit"] {
            assert_eq!(kind_of(Some(code)), ErrorKind::Busy, "{code}");
        }
        for code in [Some("InternalServerError"), Some("RequestTimeout"), None] {
            assert_eq!(kind_of(code), ErrorKind::Transient, "{code:?}");
        }
        assert_eq!(kind_of(Some("AccessDenied")), ErrorKind::Config);
    }
}
