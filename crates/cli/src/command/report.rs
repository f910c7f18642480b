//! A summary in words.

use std::path::Path;

use fanfold::model::error::{Error, Result};
use fanfold::model::summary::{Output, ProcessorSummary, Summary};
use fanfold_aws::deployment::Resources;

/// How many failures are shown; the summary and the failed file hold more.
const SHOWN: usize = 5;

/// The summary as it is in the output bucket.
///
/// # Errors
/// `Internal`, though never in practice.
pub fn json(summary: &Summary) -> Result<String> {
    serde_json::to_string_pretty(summary).map_err(|e| Error::internal("the summary cannot be shown").because(e))
}

/// The summary for people, with the locations of a deployment's outputs.
pub fn summary(summary: &Summary, resources: &Resources) -> String {
    let bucket = &resources.output_bucket;
    let place = |key: &str| format!("s3://{bucket}/{key}");
    let table = |name: &str, table: &Option<String>| {
        table.as_ref().map(|table| line(name, &format!("DynamoDB table {table}"))).unwrap_or_default()
    };
    told(summary, place) + &table("items", &resources.items_table) + &table("counters", &resources.counters_table)
}

/// The summary for people, with the locations of outputs in a local folder.
pub fn local(summary: &Summary, folder: &Path) -> String {
    let place = |key: &str| folder.join(file_name(key)).display().to_string();
    told(summary, place) + &line("items", &place("items.jsonl"))
}

/// The keys of a batch's outputs, the summary last.
pub fn outputs(summary: &Summary) -> impl Iterator<Item = String> {
    // A key that ends with a slash is that of a folder.
    let written = [summary.results.as_ref(), summary.failed.as_ref()].into_iter().flatten();
    let written = written.map(|output| output.key.clone()).chain(others(summary).map(|output| output.key.clone()));
    written.chain([summary.batch_id.output_key("summary.json")])
}

/// The outputs besides results, failed records and the summary.
fn others(summary: &Summary) -> impl Iterator<Item = &Output> {
    summary.outputs.iter().filter(|output| !["results", "failed"].contains(&output.name.as_str()))
}

/// The name of the file that an output becomes in a folder.
pub fn file_name(key: &str) -> &str {
    key.trim_end_matches('/').rsplit('/').next().unwrap_or(key)
}

fn told(summary: &Summary, place: impl Fn(&str) -> String) -> String {
    let records = summary.records;
    let seconds = (summary.finished_at.0 - summary.started_at.0) as f64 / 1000.0;
    let mut text = line("batch", summary.batch_id.as_str());
    text += &line("state", summary.state.name());
    if let Some(objects) = &summary.objects {
        text += &line("objects", &format!("{} ({} not read to the end)", objects.total, objects.failed));
    }
    let replaced = records.replaced.filter(|replaced| *replaced > 0);
    let replaced = replaced.map(|replaced| format!("; {replaced} replaced by a later record with the same key"));
    let (total, succeeded, failed) = (records.total, records.succeeded, records.failed);
    let replaced = replaced.unwrap_or_default();
    text += &line("records", &format!("{total} ({succeeded} succeeded, {failed} failed{replaced})"));
    text += &line("chunks", &format!("{} ({} failed)", summary.chunks.total, summary.chunks.failed));
    text += &line("duration", &format!("{seconds:.3} s from scatter to summary"));
    if let Some(processor) = &summary.processor {
        text += &line("processor", &processed(processor));
    }
    if let Some(error) = &summary.error {
        text += &line("error", &format!("{}: {}", error.code, error.message));
    }
    for fault in summary.objects.iter().flat_map(|objects| &objects.faults).take(SHOWN) {
        text += &line("unread", &format!("{}: {}: {}", fault.object, fault.fault.code, fault.fault.message));
    }
    for failure in summary.failures.iter().take(SHOWN) {
        // A message that names its line or row says best where the record is.
        let told = ["line ", "row "].iter().any(|place| failure.message.starts_with(place));
        let place = if told { String::new() } else { format!("record {}: ", failure.index) };
        let object = failure.object.as_ref().map(|object| format!("{object}: ")).unwrap_or_default();
        text += &line("failed", &format!("{object}{place}{}", failure.message));
    }
    text += &line("summary", &place(&summary.batch_id.output_key("summary.json")));
    for (name, output) in [("results", &summary.results), ("to fix", &summary.failed)] {
        if let Some(output) = output {
            text += &line(name, &place(&output.key));
        }
    }
    for output in others(summary) {
        text += &line(&output.name, &place(&output.key));
    }
    text
}

/// What the work on records took, in words.
fn processed(processor: &ProcessorSummary) -> String {
    let ProcessorSummary { processors, versions, calls, attempts, milliseconds, gb_seconds, .. } = processor;
    let names = processors.join(", ");
    if *calls == 0 {
        return names;
    }
    let mut text = format!("{names}: {calls} calls, {attempts} attempts, {:.3} s", *milliseconds as f64 / 1000.0);
    if let Some(billed) = gb_seconds {
        text += &format!(", {billed:.3} GB-s billed");
    }
    if !versions.is_empty() {
        text += &format!(", version {}", versions.join(", "));
    }
    text
}

/// A line of a report.
pub(super) fn line(name: &str, value: &str) -> String {
    format!("{name:9} {value}\n")
}
