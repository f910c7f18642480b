//! A plain loop as a peer of `make compare`: the least that a program does that works through a file alone. It is given work by lines on the
//! standard input, as benchmark/compare/job.py gives it to the peers in Python.

mod work;

use std::process::ExitCode;

use fanfold::model::error::{Error, Result};
use fanfold_aws::clients::Clients;
use serde_json::json;

use crate::peer::work::Work;

/// Does the work of each line, and answers each with one.
///
/// # Errors
/// `Config` if a line is no work.
pub async fn run() -> Result<ExitCode> {
    let clients = Clients::from_env().await;
    for line in std::io::stdin().lines() {
        let line = line.map_err(|e| Error::internal("the standard input cannot be read").because(e))?;
        let work: Work =
            serde_json::from_str(&line).map_err(|e| Error::config(format!("no work: {line}")).because(e))?;
        let answer = match work::run(&clients.s3, &clients.dynamodb, work).await {
            Ok(()) => json!({}),
            Err(error) => json!({"error": error.to_string()}),
        };
        println!("{answer}");
    }
    Ok(ExitCode::SUCCESS)
}
