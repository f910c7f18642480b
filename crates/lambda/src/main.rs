//! All functions in one binary: the stage is the function's handler name.

use fanfold::runtime::aws::Clients;
use fanfold::runtime::config::Config;
use fanfold::runtime::{lambda, telemetry};

#[tokio::main]
async fn main() -> Result<(), lambda_runtime::Error> {
    telemetry::init();
    let config = Config::read(|name| std::env::var(name).ok())
        .inspect_err(|error| tracing::error!(%error, "function can not start"))?;
    let clients = Clients::from_env().await;
    lambda::run(config, clients).await
}
