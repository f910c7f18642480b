//! All functions in one binary: the function's handler name selects the stage.

use fanfold_aws::clients::Clients;
use fanfold_lambda::config::Config;
use fanfold_lambda::{functions, telemetry};

#[tokio::main]
async fn main() -> Result<(), lambda_runtime::Error> {
    telemetry::init();
    let config = Config::read(|name| std::env::var(name).ok())
        .inspect_err(|error| tracing::error!(%error, "function cannot start"))?;
    let clients = Clients::paced_from_env().await;
    functions::run(config, clients).await
}
