//! `fanfold submit`: upload a file and, if asked to, wait for its summary.

use std::io::Cursor;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use tokio::io::{AsyncRead, AsyncReadExt};

use crate::command::prefix::Prefix;
use crate::command::{Common, Context, check_output, ending, keeps_no_versions};
use crate::output::{line, note};
use crate::source::Source;
use fanfold::model::error::Result;
use fanfold::model::ids::{BatchId, Revision};
use fanfold::store::blob::upload::Upload;
use fanfold_aws::s3::S3Blob;

const PIECE: usize = 1024 * 1024;

/// Upload a file of records as a new batch, or make one batch of many objects.
#[derive(Debug, Args)]
pub struct Submit {
    /// The file: .csv, .tsv, .txt, .json, .jsonl or .ndjson, each optionally .gz, .zst or .bz2; or .parquet; - for
    /// standard input. Or s3://INPUT-BUCKET/PREFIX for all objects there, or a list of objects: NAME.manifest.csv
    /// (S3 Inventory), NAME.manifest.json or NAME.manifest.jsonl.
    file: PathBuf,
    /// The key to upload it under [default: the file's name, after INPUT_PREFIX]; needed for standard input.
    #[arg(long, visible_alias = "name", value_name = "KEY")]
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

/// What an interrupt says until the request is sent that ends the upload.
pub(super) const BEFORE_UPLOAD: &str = "interrupted before the upload had ended; nothing will be processed";

impl Submit {
    pub(super) async fn run(self, context: &Context) -> Result<ExitCode> {
        let key = match self.key(context)? {
            Ok(key) => key,
            Err(usage) => {
                note(format_args!("error: {usage}"));
                return Ok(ExitCode::from(2));
            }
        };
        check_output(self.output.as_deref())?;
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

    /// The key to upload under; or what is wrong with it.
    fn key(&self, context: &Context) -> Result<std::result::Result<String, String>> {
        let (resources, given) = (&context.resources, self.key.as_deref());
        let prefix = &resources.parameters.input_prefix;
        let key = match Prefix::of(&self.file) {
            Some(prefix) => prefix.key(given, &resources.input_bucket),
            None => Source::of(&self.file).key(given, "--key"),
        };
        let key = match key {
            Ok(name) if self.key.is_none() && !name.starts_with(prefix) => format!("{prefix}{name}"),
            Ok(key) => key,
            Err(usage) => return Ok(Err(usage)),
        };
        if !resources.announces(&key) {
            return Ok(Err(unannounced(&key, prefix, &resources.parameters.input_suffix)));
        }
        Ok(match resources.format()?.ignored(&key) {
            Some(pattern) => Err(format!(
                "the pipeline ignores {key}, as its names that are no input include {pattern}; \
                 give another key with --key, or deploy with another `ignore` in FORMAT"
            )),
            None => Ok(key),
        })
    }

    async fn upload(&self, context: &Context, key: &str) -> Result<BatchId> {
        if let Some(prefix) = Prefix::of(&self.file) {
            let input = S3Blob::new(context.clients.s3.clone(), &prefix.bucket);
            let (manifest, many) = prefix.manifest(&input, &context.resources.format()?).await?;
            note(format_args!("{many} object{} in s3://{}/{key}", if many == 1 { "" } else { "s" }, prefix.bucket));
            let length = Some(manifest.len() as u64);
            return self.upload_from(context, key, Cursor::new(manifest), length).await;
        }
        let (from, length) = Source::of(&self.file).open().await?;
        self.upload_from(context, key, from, length).await
    }

    async fn upload_from(
        &self,
        context: &Context,
        key: &str,
        mut from: impl AsyncRead + Unpin,
        length: Option<u64>,
    ) -> Result<BatchId> {
        let bucket = &context.resources.input_bucket;
        let input = S3Blob::new(context.clients.s3.clone(), bucket);
        let bar = bytes_bar(length);
        let mut upload = Upload::new(&input, key.to_owned(), "application/octet-stream");
        loop {
            let buffer = upload.buffer();
            buffer.reserve(PIECE);
            let read = from.read_buf(buffer).await.map_err(|e| Source::of(&self.file).unreadable(e))?;
            if read == 0 {
                break;
            }
            upload.flow().await?;
            bar.inc(read as u64);
        }
        upload.prepare().await?;
        // The next request may take effect even if its answer does not come.
        context.looks_for(key, self.output.as_deref());
        let written = upload.finish().await?;
        bar.finish_and_clear();
        let version = written.version.ok_or_else(|| keeps_no_versions(bucket))?;
        Ok(BatchId::of(bucket, key, &Revision::Version(version)))
    }
}

fn unannounced(key: &str, prefix: &str, suffix: &str) -> String {
    let begin = (!prefix.is_empty()).then(|| format!("begin with {prefix}"));
    let end = (!suffix.is_empty()).then(|| format!("end with {suffix}"));
    let wanted = begin.into_iter().chain(end).collect::<Vec<_>>().join(" and ");
    format!(
        "the pipeline would never hear of {key}, as S3 announces only keys that {wanted}; give such a key with --key, or \
         deploy with another INPUT_PREFIX or INPUT_SUFFIX"
    )
}

/// The progress of an upload whose length is known or not.
fn bytes_bar(length: Option<u64>) -> ProgressBar {
    let (bar, style) = match length {
        Some(length) => (ProgressBar::new(length), "upload  {bar:40} {bytes}/{total_bytes} {eta}"),
        None => (ProgressBar::no_length(), "upload  {bytes} {elapsed}"),
    };
    bar.with_style(ProgressStyle::with_template(style).unwrap_or_else(|_| ProgressStyle::default_bar()))
}
