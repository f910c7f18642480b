//! `benchmark report`: the measurements as tables and as a plot.

mod group;
mod markdown;
pub mod plot;
mod published;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;
use fanfold::model::error::{Error, Result};

use crate::measurements::Content;
use group::Group;
pub use group::median;

/// The options of `report`.
#[derive(Debug, Args)]
pub struct Options {
    /// The file of measurements.
    #[arg(long, default_value = "measurements.csv")]
    pub measurements: PathBuf,
    /// The folder for the report.
    #[arg(long, default_value = "docs")]
    pub docs: PathBuf,
    /// The commit to report [default: the one measured last on each target].
    #[arg(long)]
    pub commitish: Option<String>,
    /// The target that the plot shows [default: that of which most variants were measured, and of several the one measured last].
    #[arg(long)]
    pub target: Option<String>,
}

/// Writes `report.md`, `report.svg` and `report.png`.
///
/// # Errors
/// `Config` if there is nothing to report, or nowhere to write it.
pub fn make(options: &Options) -> Result<ExitCode> {
    let content = Content::read(&options.measurements)?;
    if content.torn.is_some() {
        eprintln!(
            "the last line of {} is torn (was a run killed?) and left out; the next run sets it aside",
            options.measurements.display()
        );
    }
    let groups = group::groups(content.rows, options.commitish.as_deref());
    let shown = shown(&groups, options)?;
    std::fs::create_dir_all(&options.docs)
        .map_err(|e| Error::config(format!("could not make {}", options.docs.display())).because(e))?;
    let write = |name: &str, bytes: &[u8]| write(&options.docs.join(name), bytes);
    write("report.svg", plot::svg(shown)?.as_bytes())?;
    write("report.png", &plot::png(shown)?)?;
    write("report.md", markdown::page(&groups, shown).as_bytes())?;
    Ok(ExitCode::SUCCESS)
}

/// The group that the plot shows.
fn shown<'a>(groups: &'a [Group], options: &Options) -> Result<&'a Group> {
    let asked = options.target.as_deref();
    let found = groups.iter().find(|group| asked.is_none_or(|target| target == group.target));
    let found = found.filter(|group| !group.series.is_empty());
    found.ok_or_else(|| {
        let targets: Vec<&str> = groups.iter().map(|group| group.target.as_str()).collect();
        let what = match (asked, options.commitish.as_deref()) {
            (Some(target), _) if !targets.contains(&target) => {
                format!("of target {target:?}; measured are: {}", targets.join(", "))
            }
            (_, Some(commitish)) => format!("of commit {commitish:?}"),
            _ => "to report; run `make benchmark` first".to_owned(),
        };
        Error::config(format!("{} holds no successful measurement {what}", options.measurements.display()))
    })
}

/// Writes a file and says so.
///
/// # Errors
/// `Config` if it cannot be written.
pub fn write(path: &Path, bytes: &[u8]) -> Result<()> {
    std::fs::write(path, bytes).map_err(|e| Error::config(format!("could not write {}", path.display())).because(e))?;
    eprintln!("wrote {}", path.display());
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::row::failure;
    use crate::row::tests::row;
    use crate::row::{COLUMNS, Row};

    /// Rows of two targets, two commits of one of them, a failure, and all variants.
    pub fn rows() -> Vec<Row> {
        let mut rows = Vec::new();
        for repeat in 1..=3 {
            for count in [10, 100, 1000] {
                let n = count as f64;
                for (variant, fixed, each) in [
                    ("sync", 0.5, 0.04),
                    ("async", 0.5, 0.02),
                    ("dynamodb", 0.6, 0.025),
                    ("chunked", 0.5, 0.0005),
                    ("floor", 0.05, 0.0004),
                ] {
                    rows.push(row(variant, count, repeat, (fixed + each * n) * (1.0 + 0.1 * f64::from(repeat))));
                }
            }
        }
        let mut old = row("chunked", 10, 1, 99.0);
        (old.commitish, old.batch_start_time) = ("v0".into(), "2025-12-31T00:00:00.000Z".into());
        let mut elsewhere = row("chunked", 10, 1, 7.0);
        (elsewhere.target, elsewhere.batch_start_time) = ("eu-west-1".into(), "2025-06-01T00:00:00.000Z".into());
        let mut failed = row("sync", 1000, 3, 0.001);
        (failed.outcome, failed.batch_duration_in_seconds) = (failure("record 7 has no item"), None);
        rows.insert(0, old);
        rows.extend([elsewhere, failed]);
        rows
    }

    fn report(text: &str, change: fn(&mut Options)) -> (tempfile::TempDir, Result<ExitCode>) {
        let folder = tempfile::tempdir().unwrap();
        let measurements = folder.path().join("measurements.csv");
        std::fs::write(&measurements, text).unwrap();
        let docs = folder.path().join("docs");
        let mut options = Options { measurements, docs, commitish: None, target: None };
        change(&mut options);
        let made = make(&options);
        (folder, made)
    }

    fn text(rows: &[Row]) -> String {
        let lines = rows.iter().map(|row| row.line().unwrap() + "\n");
        std::iter::once(COLUMNS.join(",") + "\n").chain(lines).collect()
    }

    #[test]
    fn a_report_is_three_files() {
        let (folder, made) = report(&(text(&rows()) + "v1,torn"), |_| {});
        made.unwrap();
        let read = |name: &str| std::fs::read(folder.path().join("docs").join(name)).unwrap();
        let (svg, page) =
            (String::from_utf8(read("report.svg")).unwrap(), String::from_utf8(read("report.md")).unwrap());
        for label in ["sync", "async", "chunked", "dynamodb", "floor", "published, AWS 2020", "an emulator 1.0"] {
            assert!(svg.contains(label), "{label}");
        }
        assert!(!svg.contains("NaN") && !svg.contains("inf"));
        for part in ["### 1,000 records", "record 7 has no item", "us-east-1", "eu-west-1", "report.svg"] {
            assert!(page.contains(part), "{part}");
        }
        assert!(read("report.png").starts_with(b"\x89PNG\r\n\x1a\n"));
    }

    #[test]
    fn one_single_measurement_makes_a_report() {
        report(&text(&[row("chunked", 1, 1, 0.5)]), |_| {}).1.unwrap();
    }

    #[test]
    fn nothing_to_report_is_told() {
        let told = |rows: &[Row], change| report(&text(rows), change).1.unwrap_err().to_string();
        assert!(told(&[], |_| {}).contains("make benchmark"));
        let mut failed = row("sync", 10, 1, 1.0);
        failed.outcome = failure("x");
        assert!(told(&[failed], |_| {}).contains("no successful measurement"));
        assert!(told(&rows(), |options| options.target = Some("mars".into())).contains("eu-west-1"));
        assert!(told(&rows(), |options| options.commitish = Some("v9".into())).contains("\"v9\""));
    }
}
