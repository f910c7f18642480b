//! `fanfold submit`: upload a file, and if asked to, stay until its summary is there.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;
use futures::TryStreamExt;
use indicatif::{ProgressBar, ProgressStyle};
use tokio::fs::File;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::{Common, Context, exit_code, report, watch};
use crate::blob::s3::S3Blob;
use crate::blob::upload::Upload;
use crate::blob::{Blob, read_all};
use crate::model::error::{Error, Result};
use crate::model::format::InputFormat;
use crate::model::ids::{BatchId, Revision};
use crate::model::summary::Summary;

const PIECE: usize = 1024 * 1024;

/// Upload a file of records as a new batch.
#[derive(Debug, Args)]
pub struct Submit {
    /// The file: .csv, .json, .jsonl or .ndjson, each optionally .gz.
    file: PathBuf,
    /// The key to upload it under.
    #[arg(long, value_name = "KEY", help = "The key to upload it under [default: the file's name]")]
    key: Option<String>,
    /// Wait for the summary and print it.
    #[arg(long)]
    wait: bool,
    /// Wait, and download summary, results and failed records into this folder.
    #[arg(long, value_name = "DIR")]
    output: Option<PathBuf>,
    #[command(flatten)]
    pub(super) common: Common,
}

impl Submit {
    pub(super) async fn run(self, context: &Context) -> Result<ExitCode> {
        let key = match self.key()? {
            Ok(key) => key,
            Err(usage) => {
                eprintln!("error: {usage}");
                return Ok(ExitCode::from(2));
            }
        };
        let batch = self.upload(context, &key).await?;
        if !self.wait && self.output.is_none() {
            if self.common.json {
                println!("{}", serde_json::json!({ "batchId": batch }));
            } else {
                println!("{batch}");
            }
            return Ok(ExitCode::SUCCESS);
        }
        eprintln!("batch {batch}");
        watch::until_closed(context, &batch).await?;
        let output = S3Blob::new(context.clients.s3.clone(), &context.resources.output_bucket);
        let summary = read_summary(&output, &batch).await?;
        if self.common.json {
            println!("{}", report::json(&summary)?);
        } else {
            print!("{}", report::summary(&summary, &context.resources));
        }
        if let Some(folder) = &self.output {
            download(&output, &summary, folder).await?;
        }
        Ok(exit_code(summary.state))
    }

    /// The key to upload under, or what is wrong with the file's name.
    fn key(&self) -> Result<std::result::Result<String, String>> {
        if !self.file.is_file() {
            return Ok(Err(format!("{} is not a file", self.file.display())));
        }
        let name = self.file.file_name().and_then(|name| name.to_str());
        let name = name.ok_or_else(|| Error::config("the file's name is not UTF-8; name a key with --key"));
        let key = self.key.clone().map_or_else(|| name.map(str::to_owned), Ok)?;
        Ok(match InputFormat::of_key(&key) {
            Ok(_) => Ok(key),
            Err(fault) => Err(format!("{key}: {}", fault.message)),
        })
    }

    async fn upload(&self, context: &Context, key: &str) -> Result<BatchId> {
        let cannot = |e| Error::config(format!("could not read {}", self.file.display())).because(e);
        let bucket = &context.resources.input_bucket;
        let input = S3Blob::new(context.clients.s3.clone(), bucket);
        let mut file = File::open(&self.file).await.map_err(cannot)?;
        let bar = bytes_bar(file.metadata().await.map_err(cannot)?.len());
        let mut upload = Upload::new(&input, key.to_owned(), "application/octet-stream");
        loop {
            let buffer = upload.buffer();
            buffer.reserve(PIECE);
            let read = file.read_buf(buffer).await.map_err(cannot)?;
            if read == 0 {
                break;
            }
            upload.flow().await?;
            bar.inc(read as u64);
        }
        let written = upload.finish().await?;
        bar.finish_and_clear();
        let version = written.version.ok_or_else(|| {
            Error::config(format!("the bucket {bucket} keeps no versions; deploy it again with `make deploy`"))
        })?;
        Ok(BatchId::of(bucket, key, &Revision::Version(version)))
    }
}

fn bytes_bar(length: u64) -> ProgressBar {
    let style = ProgressStyle::with_template("upload  {bar:40} {bytes}/{total_bytes} {eta}");
    ProgressBar::new(length).with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
}

async fn read_summary(output: &S3Blob, batch: &BatchId) -> Result<Summary> {
    let text = read_all(output, &batch.output_key("summary.json")).await?;
    let text = text.ok_or_else(|| Error::internal(format!("batch {batch} is closed and has no summary")))?;
    serde_json::from_slice(&text).map_err(|e| Error::internal("the summary is not readable").because(e))
}

/// Copies the outputs into a folder, under their own names.
async fn download(output: &S3Blob, summary: &Summary, folder: &Path) -> Result<()> {
    let cannot = |e| Error::config(format!("could not write to {}", folder.display())).because(e);
    tokio::fs::create_dir_all(folder).await.map_err(cannot)?;
    let keys = [summary.results.as_ref(), summary.failed.as_ref()].into_iter().flatten().map(|output| &output.key);
    for key in keys.chain([&summary.batch_id.output_key("summary.json")]) {
        let path = folder.join(key.rsplit('/').next().unwrap_or(key));
        let body = output.get(key, None).await?;
        let mut body = body.ok_or_else(|| Error::internal(format!("the output {key} is missing")))?;
        let mut file = File::create(&path).await.map_err(cannot)?;
        while let Some(piece) = body.try_next().await? {
            file.write_all(&piece).await.map_err(cannot)?;
        }
        file.flush().await.map_err(cannot)?;
        eprintln!("wrote {}", path.display());
    }
    Ok(())
}
