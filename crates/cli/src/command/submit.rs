//! `fanfold submit`: upload a file and, if asked to, wait for its summary.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use tokio::fs::File;
use tokio::io::AsyncReadExt;

use crate::command::{Common, Context, check_output, ending};
use crate::output::{line, note};
use fanfold::model::error::{Error, Result};
use fanfold::model::format::InputFormat;
use fanfold::model::ids::{BatchId, Revision};
use fanfold::store::blob::upload::Upload;
use fanfold_aws::s3::S3Blob;

const PIECE: usize = 1024 * 1024;

/// Upload a file of records as a new batch.
#[derive(Debug, Args)]
pub struct Submit {
    /// The file: .csv, .tsv, .txt, .json, .jsonl or .ndjson, each optionally .gz, .zst or .bz2.
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
                note(format_args!("error: {usage}"));
                return Ok(ExitCode::from(2));
            }
        };
        check_output(self.output.as_deref())?;
        context.goes_on.set("interrupted before the upload had ended; nothing will be processed");
        let batch = self.upload(context, &key).await?;
        context.watches(&batch, self.output.as_deref());
        if !self.wait && self.output.is_none() {
            if self.common.json {
                line(serde_json::json!({ "batchId": batch }))?;
            } else {
                line(&batch)?;
            }
            return Ok(ExitCode::SUCCESS);
        }
        note(format_args!("batch {batch}"));
        ending::show(context, &batch, self.common.json, self.output.as_deref()).await
    }

    /// The key to upload under; or what is wrong with the file's name.
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
