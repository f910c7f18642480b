//! Counts every request sent, including retries, for the caller that asks for it.

use std::sync::{Arc, Mutex, PoisonError};

use aws_sdk_dynamodb::config::interceptors::BeforeTransmitInterceptorContextRef;
use aws_sdk_dynamodb::config::{ConfigBag, Intercept, RuntimeComponents};
use aws_sdk_dynamodb::error::BoxError;
use aws_smithy_runtime_api::client::orchestrator::Metadata;

use fanfold::model::calls::Requests;

tokio::task_local! {
    static COUNT: Arc<Mutex<Requests>>;
}

/// Counts the requests that a future sends through [`CountCalls`] clients within its own task.
pub async fn counted<F: Future>(work: F) -> (F::Output, Requests) {
    let count = Arc::new(Mutex::new(Requests::new()));
    let output = COUNT.scope(count.clone(), work).await;
    let requests = std::mem::take(&mut *count.lock().unwrap_or_else(PoisonError::into_inner));
    (output, requests)
}

/// The interceptor through which [`counted`] sees a client's requests. It is called for every attempt
/// (<https://docs.aws.amazon.com/sdk-for-rust/latest/dg/interceptors.html>).
#[derive(Debug, Clone, Copy)]
pub struct CountCalls;

impl Intercept for CountCalls {
    fn name(&self) -> &'static str {
        "CountCalls"
    }

    fn read_before_transmit(
        &self,
        _context: &BeforeTransmitInterceptorContextRef<'_>,
        _components: &RuntimeComponents,
        config: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        if let Some(call) = config.load::<Metadata>() {
            let name = format!("{}.{}", call.service().to_lowercase(), call.name());
            // Outside `counted` there is nothing to count into.
            let _ = COUNT.try_with(|count| {
                *count.lock().unwrap_or_else(PoisonError::into_inner).entry(name).or_default() += 1;
            });
        }
        Ok(())
    }
}
