//! All functions in one binary: the function's handler name selects the stage.

#[tokio::main]
async fn main() -> Result<(), fanfold_lambda::Error> {
    fanfold_lambda::run_built_in().await
}
