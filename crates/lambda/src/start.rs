//! What a function does when it starts.

use fanfold::model::error::Result;
use fanfold::processor::{Chunk, Processor, Reply};
use fanfold_aws::clients::Clients;
use futures::future::try_join;

use crate::config::{Config, PROCESSORS, RECORD_SCHEMA};
use crate::{api, functions, setting, submit, telemetry};

/// Runs the functions around a processor: the `main` of a bootstrap of your own. The handler's name selects the stage.
/// `PROCESSORS` must name `custom`, which is this processor; with `items` beside it, what succeeds is stored.
///
/// # Errors
/// What keeps the function from starting, and what the Lambda runtime cannot recover from.
pub async fn run<P: Processor>(processor: P) -> std::result::Result<(), lambda_runtime::Error> {
    start(Some(processor)).await
}

/// Runs the functions with the processors that are built in.
///
/// # Errors
/// As [`run`].
pub async fn run_built_in() -> std::result::Result<(), lambda_runtime::Error> {
    start(None::<Absent>).await
}

/// The processor of a bootstrap that has none of its own.
enum Absent {}

impl Processor for Absent {
    async fn process(&self, _chunks: Vec<Chunk>) -> Vec<Result<Vec<Reply>>> {
        match *self {}
    }
}

async fn start<P: Processor>(custom: Option<P>) -> std::result::Result<(), lambda_runtime::Error> {
    telemetry::init();
    match std::env::var("_HANDLER").as_deref() {
        Ok(api::HANDLER) => return api::run().await,
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
