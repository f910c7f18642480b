//! `fanfold failures`: the failed records of a batch, or those that failed for one reason.

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use futures::TryStreamExt;
use serde_json::json;

use crate::command::watch::seen;
use crate::command::{Context, Named, check_output, unknown};
use crate::draft::Draft;
use crate::output::{line, note};
use fanfold::model::error::{Error, Result};
use fanfold::model::ids::BatchId;
use fanfold::model::reason::ReasonId;
use fanfold::pipeline::variant::Variant;

/// Print or save the failed records of a closed batch, as they were uploaded, so that they can be corrected and submitted.
#[derive(Debug, Args)]
pub struct Failures {
    /// Only those that failed for this reason, by its id in `fanfold status --json`.
    #[arg(long, value_name = "REASON")]
    reason: Option<String>,
    /// Save them in this folder instead of printing them.
    #[arg(long, value_name = "DIR")]
    output: Option<PathBuf>,
    #[command(flatten)]
    pub(super) named: Named,
}

impl Failures {
    pub(super) async fn run(self, context: &Context) -> Result<ExitCode> {
        if self.named.common.json && self.output.is_none() {
            note("error: --json tells where --output DIR saved the records; without it, they are printed as they are");
            return Ok(ExitCode::from(2));
        }
        let batch = match self.named.latest(context).await? {
            Ok(batch) => batch,
            Err(code) => return Ok(code),
        };
        check_output(self.output.as_deref())?;
        let only = match &self.reason {
            Some(reason) => Some(context.reason(&batch.opening.id, reason).await?),
            None => None,
        };
        let variant = Variant::named(&batch.opening.variant)?;
        let failures = context.deployed().pipeline(variant).failures()?;
        let mut file = failures.of(&batch, only.clone()).await?;
        let name = match &only {
            Some(only) => file.name.replacen('.', &format!("-{}.", only.as_str()), 1),
            None => file.name.clone(),
        };
        let Some(folder) = &self.output else {
            let mut out = std::io::stdout();
            while let Some(piece) = file.pieces.try_next().await? {
                match out.write_all(&piece).and_then(|()| out.flush()) {
                    // Whoever read them has gone.
                    Err(e) if e.kind() == std::io::ErrorKind::BrokenPipe => break,
                    written => written.map_err(|e| Error::config("could not write to standard output").because(e))?,
                }
            }
            return Ok(ExitCode::SUCCESS);
        };
        let path = folder.join(name);
        let cannot = |e: std::io::Error| Error::config(format!("could not write {}", path.display())).because(e);
        let (mut draft, mut bytes) = (Draft::begin(&path).map_err(cannot)?, 0);
        while let Some(piece) = file.pieces.try_next().await? {
            draft.file().write_all(&piece).map_err(cannot)?;
            bytes += piece.len() as u64;
        }
        draft.keep().map_err(cannot)?;
        if self.named.common.json {
            line(json!({ "file": path, "bytes": bytes }))?;
        } else {
            line(path.display())?;
        }
        Ok(ExitCode::SUCCESS)
    }
}

impl Context {
    /// A reason for which records of a batch failed.
    async fn reason(&self, id: &BatchId, reason: &str) -> Result<ReasonId> {
        let view = seen(self, id).await?.ok_or_else(|| unknown(id))?;
        view.reason(reason).map(|group| group.id.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Debug, Parser)]
    struct Line {
        #[command(flatten)]
        failures: Failures,
    }

    #[test]
    fn a_reason_is_optional() {
        let parsed = |words: &[&str]| Line::try_parse_from([&["failures"], words].concat()).unwrap().failures;
        assert_eq!(parsed(&["a-0123456789ab"]).reason, None);
        let with = parsed(&["a-0123456789ab", "--reason", "0123", "--output", "out"]);
        assert_eq!((with.reason.as_deref(), with.output), (Some("0123"), Some(PathBuf::from("out"))));
    }
}
