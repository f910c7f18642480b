//! A summary in words.

use std::fmt::Write;

use fanfold::model::error::{Error, Result};
use fanfold::model::summary::Summary;
use fanfold_aws::deployment::Resources;

/// How many failures are shown; the summary and the failed file hold more.
const SHOWN: usize = 5;

/// The summary as the output bucket has it.
///
/// # Errors
/// `Internal` never, in practice.
pub fn json(summary: &Summary) -> Result<String> {
    serde_json::to_string_pretty(summary).map_err(|e| Error::internal("the summary can not be shown").because(e))
}

/// The summary for people, and where the outputs are.
pub fn summary(summary: &Summary, resources: &Resources) -> String {
    let mut text = String::new();
    let seconds = (summary.finished_at.0 - summary.started_at.0) as f64 / 1000.0;
    let mut line = |name: &str, value: &str| {
        let _ = writeln!(text, "{name:9} {value}");
    };
    line("batch", summary.batch_id.as_str());
    line("state", summary.state.name());
    line(
        "records",
        &format!(
            "{} ({} succeeded, {} failed)",
            summary.records.total, summary.records.succeeded, summary.records.failed
        ),
    );
    line("chunks", &format!("{} ({} failed)", summary.chunks.total, summary.chunks.failed));
    line("duration", &format!("{seconds:.3} s from scatter to summary"));
    if let Some(error) = &summary.error {
        line("error", &format!("{}: {}", error.code, error.message));
    }
    for failure in summary.failures.iter().take(SHOWN) {
        line("failed", &format!("record {}: {}", failure.index, failure.message));
    }
    let bucket = &resources.output_bucket;
    line("summary", &format!("s3://{bucket}/{}", summary.batch_id.output_key("summary.json")));
    for (name, output) in [("results", &summary.results), ("to mend", &summary.failed)] {
        if let Some(output) = output {
            line(name, &format!("s3://{bucket}/{}", output.key));
        }
    }
    line("items", &format!("DynamoDB table {}", resources.items_table));
    text
}
