//! One batch through a pipeline: upload, wait, check, and measure.

use std::time::Duration;

use fanfold::model::error::{Error, Result};
use fanfold::model::ids::{BatchId, Revision};
use fanfold::model::summary::Summary;
use fanfold::model::timestamp::Timestamp;
use fanfold::store::Clock;
use fanfold::store::blob::upload::Upload;
use fanfold::store::blob::{PART_BYTES, read_all};
use fanfold::store::clock::SystemClock;

use crate::calls::{self, Requests};
use crate::check;
use crate::plan::Step;
use crate::records::{HEADER, Records};
use crate::site::Pipeline;
use crate::stopwatch::Stopwatch;

const SHORTEST_PAUSE: Duration = Duration::from_millis(10);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// What was observed of a batch.
#[derive(Debug, Default)]
pub struct Observation {
    /// The batch, once its file was uploaded.
    pub batch_id: Option<BatchId>,
    /// When the first byte was uploaded.
    pub started_at: Option<Timestamp>,
    /// When the summary was read.
    pub ended_at: Option<Timestamp>,
    /// Seconds between the two; only if the batch was found correct.
    pub seconds: Option<f64>,
    /// Seconds that scatter and gather took, as the functions measured them.
    pub stages: Option<(f64, f64)>,
    /// Requests made by the functions.
    pub calls: Requests,
    /// What went wrong.
    pub failure: Option<String>,
    /// Whether the batch may still be running, so that nothing after it could be trusted.
    pub still_running: bool,
    /// A remark beside the measurement.
    pub note: Option<String>,
}

/// Runs a batch to its end, good or bad.
pub async fn run(pipeline: &Pipeline, step: &Step, records: &Records) -> Observation {
    let mut seen = Observation::default();
    if let Err(error) = attempt(pipeline, step, records, &mut seen).await {
        seen.failure = Some(error.to_string());
        seen.seconds = None;
    }
    seen
}

async fn attempt(pipeline: &Pipeline, step: &Step, records: &Records, seen: &mut Observation) -> Result<()> {
    let items = pipeline.items()?;
    let key = format!("benchmark/{}-{}-{}-{}.csv", step.variant, step.count, step.repeat, records.tag);
    let (batch, watch) = upload(pipeline, &key, records, seen).await?;
    seen.batch_id = Some(batch.clone());
    seen.still_running = true;
    let summary = summary(pipeline, &batch, watch, step.patience()).await?;
    let seconds = watch.seconds();
    seen.still_running = false;
    seen.ended_at = Some(SystemClock.now());
    check::summary(&summary, &step.variant, step.count)?;
    check::results(&pipeline.output, &summary, records).await?;
    check::items(items, &batch, records).await?;
    let between = |from: Timestamp, to: Timestamp| (to.0 - from.0) as f64 / 1000.0;
    seen.stages = Some((
        between(summary.started_at, summary.scattered_at),
        between(summary.gather_started_at, summary.finished_at),
    ));
    seen.seconds = Some(seconds);
    (seen.calls, seen.note) = calls::of_batch(&pipeline.ledger, &batch, summary.chunks.total).await;
    Ok(())
}

/// Uploads the records. The watch starts at the first byte: the first part, usually the only one, is generated
/// before that.
///
/// # Errors
/// Those of the bucket; `Config` if it keeps no versions.
pub async fn upload(
    pipeline: &Pipeline,
    key: &str,
    records: &Records,
    seen: &mut Observation,
) -> Result<(BatchId, Stopwatch)> {
    let mut upload = Upload::new(&pipeline.input, key.to_owned(), "text/csv");
    upload.buffer().extend_from_slice(format!("{HEADER}\n").as_bytes());
    let mut next = fill(upload.buffer(), records, 0);
    seen.started_at = Some(SystemClock.now());
    let watch = Stopwatch::start();
    while next < records.count {
        upload.flow().await?;
        next = fill(upload.buffer(), records, next);
    }
    let bucket = &pipeline.input_bucket;
    let version = upload.finish().await?.version.ok_or_else(|| {
        Error::config(format!("the bucket {bucket} keeps no versions; deploy it again with `make deploy`"))
    })?;
    Ok((BatchId::of(bucket, key, &Revision::Version(version)), watch))
}

/// Appends records until a part is full, and returns the next index.
fn fill(buffer: &mut Vec<u8>, records: &Records, from: u64) -> u64 {
    let mut next = from;
    while next < records.count && buffer.len() < PART_BYTES {
        buffer.extend_from_slice(records.get(next).line().as_bytes());
        buffer.push(b'\n');
        next += 1;
    }
    next
}

/// Waits for the summary. S3 has nothing that a client could await, so it is polled, after a fortieth of the
/// time that has passed or 10 ms: a batch seems at most that much longer, and the polling does not keep an
/// emulator busy.
///
/// # Errors
/// Those of the bucket; `Transient` if there is no summary before `patience` ends.
pub async fn summary(pipeline: &Pipeline, batch: &BatchId, watch: Stopwatch, patience: Duration) -> Result<Summary> {
    let key = batch.output_key("summary.json");
    loop {
        if let Some(text) = read_all(&pipeline.output, &key).await? {
            return serde_json::from_slice(&text)
                .map_err(|e| Error::internal("the summary is not readable").because(e));
        }
        let elapsed = watch.elapsed();
        if elapsed > patience {
            return Err(Error::transient(format!("no summary within {} s", patience.as_secs())));
        }
        tokio::time::sleep((elapsed / 40).clamp(SHORTEST_PAUSE, LONGEST_PAUSE)).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_is_made_part_by_part() {
        let records = Records { seed: 1, repeat: 1, tag: "t".into(), count: 300_000 };
        let mut buffer = Vec::new();
        let first = fill(&mut buffer, &records, 0);
        assert!(buffer.len() >= PART_BYTES && buffer.len() < PART_BYTES + 200);
        assert!(first > 0 && first < records.count);
        buffer.clear();
        let second = fill(&mut buffer, &records, first);
        assert!(buffer.starts_with(format!("t-{first:08},").as_bytes()));
        assert!(second > first);
    }
}
