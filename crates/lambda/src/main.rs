//! All functions in one binary: the function's handler name selects the stage.

use fanfold::model::error::Result;
use fanfold_aws::clients::Clients;
use fanfold_lambda::config::Config;
use fanfold_lambda::{functions, schema, telemetry};

#[tokio::main]
async fn main() -> std::result::Result<(), lambda_runtime::Error> {
    telemetry::init();
    let clients = Clients::paced_from_env().await;
    let config = configured(&clients).await.inspect_err(|error| tracing::error!(%error, "function cannot start"))?;
    functions::run(config, clients).await
}

async fn configured(clients: &Clients) -> Result<Config> {
    const SCHEMA: &str = "RECORD_SCHEMA";
    let given = |name: &str| std::env::var(name).ok();
    let schema = match given(SCHEMA) {
        Some(named) => Some(schema::read(&named, clients).await?),
        None => None,
    };
    Config::read(|name| if name == SCHEMA { schema.clone() } else { given(name) })
}
