//! The summary: its presence shows that the batch has ended.

use crate::model::error::{Error, Result};
use crate::model::summary::Summary;
use crate::store::blob::Blob;

/// The name of a batch's summary in the output bucket.
pub const SUMMARY: &str = "summary.json";

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
