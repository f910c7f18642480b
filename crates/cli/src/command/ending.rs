//! The end of a batch: waiting for it, and showing its outputs.

use std::io::Write;
use std::path::Path;
use std::process::ExitCode;

use futures::TryStreamExt;

use crate::command::{Context, exit_code, report, watch};
use crate::draft::Draft;
use crate::output::{line, note};
use fanfold::model::error::{Error, Result};
use fanfold::model::ids::BatchId;
use fanfold::model::summary::Summary;
use fanfold::store::blob::{Blob, list_all, read_all};
use fanfold_aws::s3::S3Blob;

/// Waits until a batch is closed, prints its summary, and downloads its outputs if a folder is given.
///
/// # Errors
/// Those of the stores and of the folder.
pub async fn show(context: &Context, batch: &BatchId, json: bool, folder: Option<&Path>) -> Result<ExitCode> {
    watch::until_closed(context, batch).await?;
    let output = S3Blob::new(context.clients.s3.clone(), &context.resources.output_bucket);
    let summary = read_summary(&output, batch).await?;
    if json {
        line(report::json(&summary)?)?;
    } else {
        line(report::summary(&summary, &context.resources).trim_end())?;
    }
    if let Some(folder) = folder {
        download(&output, &summary, folder).await?;
    }
    Ok(exit_code(summary.state))
}

async fn read_summary(output: &S3Blob, batch: &BatchId) -> Result<Summary> {
    let text = read_all(output, &batch.output_key("summary.json")).await?;
    let text = text.ok_or_else(|| Error::internal(format!("batch {batch} is closed and has no summary")))?;
    serde_json::from_slice(&text).map_err(|e| Error::internal("the summary is not readable").because(e))
}

/// Downloads the outputs into a folder, under their own names.
async fn download(output: &S3Blob, summary: &Summary, folder: &Path) -> Result<()> {
    for key in report::outputs(summary) {
        let path = folder.join(report::file_name(&key));
        if !key.ends_with('/') {
            download_to(output, &key, folder, &path).await?;
            continue;
        }
        for key in list_all(output, &key).await? {
            download_to(output, &key, &path, &path.join(report::file_name(&key))).await?;
        }
    }
    Ok(())
}

async fn download_to(output: &S3Blob, key: &str, folder: &Path, path: &Path) -> Result<()> {
    let cannot = |e| Error::config(format!("could not write to {}", folder.display())).because(e);
    std::fs::create_dir_all(folder).map_err(cannot)?;
    let body = output.get(key, None).await?;
    let mut body = body.ok_or_else(|| Error::internal(format!("the output {key} is missing")))?;
    let mut draft = Draft::begin(path).map_err(cannot)?;
    while let Some(piece) = body.try_next().await? {
        draft.file().write_all(&piece).map_err(cannot)?;
    }
    draft.keep().map_err(cannot)?;
    note(format_args!("wrote {}", path.display()));
    Ok(())
}
