//! SDK errors, sorted by what the caller must do.

use aws_sdk_dynamodb::error::{DisplayErrorContext, ProvideErrorMetadata, SdkError};

use fanfold::model::error::{Error, ErrorKind};

/// Converts an error of an AWS call: what was attempted, on which resource, and why it failed. The SDK has
/// already retried what can be retried
/// (<https://docs.aws.amazon.com/sdkref/latest/guide/feature-retry-behavior.html>).
pub fn of_call<E, R>(act: &str, place: &str, error: SdkError<E, R>) -> Error
where
    E: std::error::Error + ProvideErrorMetadata + Send + Sync + 'static,
    R: std::fmt::Debug + Send + Sync + 'static,
{
    let kind = kind_of(error.code());
    Error::new(kind, format!("could not {act} {place}: {}", DisplayErrorContext(&error)))
}

fn kind_of(code: Option<&str>) -> ErrorKind {
    match code.unwrap_or_default() {
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
