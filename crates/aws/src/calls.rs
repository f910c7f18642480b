//! Counts every request sent, including retries, for the caller that asks for it.

use std::sync::{Arc, Mutex, PoisonError};

use aws_sdk_dynamodb::config::interceptors::BeforeTransmitInterceptorContextRef;
use aws_sdk_dynamodb::config::{ConfigBag, Intercept, RuntimeComponents};
use aws_sdk_dynamodb::error::BoxError;
use aws_smithy_runtime_api::client::orchestrator::Metadata;

use fanfold::model::calls::{EXPRESS, INDEX_ENTRY, Requests, TRANSITION};

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

/// Counts an entry of an index that a write made besides its item, and that costs as much as that: no request of its own
/// (<https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/GSI.html#GSI.ThroughputConsiderations>).
pub(crate) fn count_index_entry() {
    count(INDEX_ENTRY.to_owned(), 1);
}

/// Counts the transitions between states that an execution is going to make.
pub(crate) fn count_transitions(many: u64) {
    count(TRANSITION.to_owned(), many);
}

/// Counts the express executions that an execution is going to start.
pub(crate) fn count_express(many: u64) {
    count(EXPRESS.to_owned(), many);
}

/// Outside of [`counted`] there is nothing to count into.
fn count(name: String, many: u64) {
    let _ = COUNT.try_with(|count| {
        *count.lock().unwrap_or_else(PoisonError::into_inner).entry(name).or_default() += many;
    });
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
            count(format!("{}.{}", call.service().to_lowercase(), call.name()), 1);
        }
        Ok(())
    }
}
