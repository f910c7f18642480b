//! What a function does when it starts.

use fanfold::model::error::Result;
use fanfold::processor::Processor;
use fanfold::processor::any::AnyProcessor;
use fanfold_aws::clients::Clients;
use futures::FutureExt;
use futures::future::{LocalBoxFuture, try_join};

use crate::config::{Config, PROCESSORS, RECORD_SCHEMA};
use crate::{api, billing, events, functions, setting, submit, telemetry};

/// Runs the functions around a processor: the `main` of a bootstrap of your own. The handler's name selects the stage.
/// `PROCESSORS` must name `custom`, which is this processor; with `items` beside it, what succeeds is stored.
///
/// # Errors
/// What keeps the function from starting, and what the Lambda runtime cannot recover from.
pub fn run(processor: impl Processor) -> Running {
    start(Some(AnyProcessor::new(processor)))
}

/// Runs the functions with the processors that are built in.
///
/// # Errors
/// As [`run`].
pub fn run_built_in() -> Running {
    start(None)
}

/// A function that runs.
pub type Running = LocalBoxFuture<'static, std::result::Result<(), lambda_runtime::Error>>;

/// Behind a pointer, so that all functions are compiled here, and not again in every bootstrap.
fn start(custom: Option<AnyProcessor>) -> Running {
    begin(custom).boxed_local()
}

async fn begin(custom: Option<AnyProcessor>) -> std::result::Result<(), lambda_runtime::Error> {
    telemetry::init();
    match std::env::var("_HANDLER").as_deref() {
        Ok(api::HANDLER) => return api::run().await,
        Ok(billing::HANDLER) => return billing::run().await,
        Ok(events::HANDLER) => return events::run().await,
        Ok(submit::HANDLER) => return submit::run().await,
        _ => {}
    }
    let clients = Clients::paced_from_env().await;
    let config = configured(&clients).await.inspect_err(|error| tracing::error!(%error, "function cannot start"))?;
    functions::run(config, clients, custom).await.inspect_err(|error| tracing::error!(%error, "function ended"))
}

async fn configured(clients: &Clients) -> Result<Config> {
    let given = |name: &str| std::env::var(name).ok();
    let read = async |name| match given(name) {
        Some(value) => setting::read(name, &value, clients).await.map(Some),
        None => Ok(None),
    };
    let (schema, processors) = try_join(read(RECORD_SCHEMA), read(PROCESSORS)).await?;
    Config::read(|name| match name {
        RECORD_SCHEMA => schema.clone(),
        PROCESSORS => processors.clone(),
        _ => given(name),
    })
}
