//! `fanfold report`: what `fanfold-report` does, an executable of its own beside this one, since typst in it is three times as large as
//! all of this.

use std::ffi::OsString;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use clap::Args;
use fanfold::model::error::{Error, Result};

/// The executable.
const NAME: &str = "fanfold-report";

/// What builds it.
const BUILD: &str = "cargo build --release --manifest-path crates/report/Cargo.toml --target-dir target";

/// Make a PDF of a report's data, or print the template to begin one's own with.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:
  fanfold report render report.json                    writes report.pdf
  fanfold report render report.json --template mine.typ
  fanfold report template > mine.typ",
    disable_help_flag = true
)]
pub struct Report {
    /// What is passed on, as in `render DATA.json --template T.typ`.
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, value_name = "ARGUMENTS")]
    arguments: Vec<OsString>,
}

impl Report {
    pub(super) fn run(self) -> Result<ExitCode> {
        let beside = std::env::current_exe().ok().map(|own| own.with_file_name(NAME));
        run(&program(beside.as_deref()), &self.arguments)
    }
}

/// The executable beside this one, or else what the path has.
fn program(beside: Option<&Path>) -> PathBuf {
    beside.filter(|path| path.is_file()).map_or_else(|| NAME.into(), Path::to_path_buf)
}

fn run(program: &Path, arguments: &[OsString]) -> Result<ExitCode> {
    match Command::new(program).args(arguments).status() {
        // One that a signal ended has no status.
        Ok(status) => {
            Ok(status.code().and_then(|code| u8::try_from(code).ok()).map_or(ExitCode::FAILURE, ExitCode::from))
        }
        Err(error) if error.kind() == ErrorKind::NotFound => {
            Err(Error::config(format!("{NAME} is not there; build it with `{BUILD}`")))
        }
        Err(error) => Err(Error::config(format!("{} cannot be started", program.display())).because(error)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_beside_goes_before_what_the_path_has() {
        let folder = tempfile::tempdir().unwrap();
        let beside = folder.path().join(NAME);
        assert_eq!(program(Some(&beside)), Path::new(NAME));
        std::fs::write(&beside, "").unwrap();
        assert_eq!(program(Some(&beside)), beside);
    }

    #[test]
    fn its_exit_status_is_passed_on_and_one_that_is_not_there_is_told() {
        let failed = run(Path::new("sh"), &["-c".into(), "exit 3".into()]).unwrap();
        assert_eq!(format!("{failed:?}"), format!("{:?}", ExitCode::from(3)));
        let told = run(Path::new("/nowhere/fanfold-report"), &[]).unwrap_err().to_string();
        assert!(told.ends_with(&format!("build it with `{BUILD}`")), "{told}");
    }
}
