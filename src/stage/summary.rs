//! The summary: its presence shows that the batch has ended.

use crate::model::error::{Error, Result};
use crate::model::progress::Batch;
use crate::model::summary::Summary;
use crate::store::blob::{Blob, read_all};

/// The name of a batch's summary in the output bucket.
pub const SUMMARY: &str = "summary.json";

/// Returns the summary that an earlier attempt wrote before it could close the batch: it stays as it is.
///
/// # Errors
/// Those of the bucket.
pub async fn written_before(output: &impl Blob, batch: &Batch) -> Result<Option<Summary>> {
    if batch.gather_attempts < 2 {
        return Ok(None);
    }
    let id = &batch.opening.id;
    let summary = read_all(output, &id.output_key(SUMMARY)).await?;
    let summary = summary.and_then(|bytes| serde_json::from_slice(&bytes).ok());
    Ok(summary.filter(|summary: &Summary| summary.generation == id.generation()))
}

/// Writes a batch's summary, which has to be the last of its outputs.
///
/// # Errors
/// Those of the bucket.
pub async fn put_summary(output: &impl Blob, summary: &Summary) -> Result<()> {
    let text =
        serde_json::to_vec_pretty(summary).map_err(|e| Error::internal("the summary cannot be written").because(e))?;
    output.put(&summary.batch_id.output_key(SUMMARY), "application/json", text.into()).await?;
    Ok(())
}
