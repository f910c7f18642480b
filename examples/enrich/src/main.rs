//! fanfold's functions, built around a processor of their own.

mod enrich;

use fanfold::processor::each::Each;

#[tokio::main]
async fn main() -> Result<(), fanfold_lambda::Error> {
    fanfold_lambda::run(Each(enrich::enrich)).await
}
