//! `fanfold completions` and `fanfold man`: the command, told to a shell and to `man`.

use std::process::ExitCode;

use clap::{Args, CommandFactory};
use clap_complete::Shell;
use clap_mangen::Man;

use crate::command::Cli;
use crate::output::{line, note};
use fanfold::model::error::{Error, Result};

/// Print what a shell needs to complete the command's words.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  fanfold completions bash > ~/.local/share/bash-completion/completions/fanfold
  fanfold completions zsh > \"${fpath[1]}/_fanfold\"
  fanfold completions fish > ~/.config/fish/completions/fanfold.fish")]
pub struct Completions {
    /// The shell.
    #[arg(value_enum)]
    shell: Shell,
}

impl Completions {
    pub(super) fn run(&self) -> Result<ExitCode> {
        line(script(self.shell).trim_end())?;
        Ok(ExitCode::SUCCESS)
    }
}

fn script(shell: Shell) -> String {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "fanfold", &mut script);
    String::from_utf8_lossy(&script).into_owned()
}

/// Print the manual page of the command, or of one of its commands.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  fanfold man | man -l -
  fanfold man status > ~/.local/share/man/man1/fanfold-status.1")]
pub struct Manual {
    /// The command, as in `fanfold man status`.
    command: Option<String>,
}

impl Manual {
    pub(super) fn run(&self) -> Result<ExitCode> {
        let mut cli = Cli::command();
        cli.build();
        let page = match &self.command {
            None => Some(&cli),
            Some(name) => cli.find_subcommand(name),
        };
        let Some(page) = page else {
            let all: Vec<&str> = cli.get_subcommands().map(clap::Command::get_name).collect();
            note(format_args!("error: there is no such command; there are: {}", all.join(", ")));
            return Ok(ExitCode::from(2));
        };
        line(written(page)?.trim_end())?;
        Ok(ExitCode::SUCCESS)
    }
}

/// A page as `man` reads it.
fn written(command: &clap::Command) -> Result<String> {
    let mut text = Vec::new();
    let page = Man::new(command.clone().version(env!("CARGO_PKG_VERSION")));
    page.render(&mut text).map_err(|error| Error::config("could not write the page").because(error))?;
    Ok(String::from_utf8_lossy(&text).into_owned())
}

#[cfg(test)]
mod tests {
    use clap::ValueEnum;

    use super::*;

    #[test]
    fn shells_and_the_manual_know_every_command() {
        let mut cli = Cli::command();
        cli.build();
        let names: Vec<&str> = cli.get_subcommands().map(clap::Command::get_name).collect();
        assert!(names.len() > 10, "{names:?}");
        for shell in Shell::value_variants() {
            let script = script(*shell);
            assert!(names.iter().all(|name| script.contains(name)), "{shell}");
        }
        let whole = written(&cli).unwrap();
        for name in names {
            assert!(whole.contains(&format!(r"fanfold\-{name}(1)")), "{name}: {whole}");
            let page = written(cli.find_subcommand(name).unwrap()).unwrap();
            assert!(page.contains(&format!(r"fanfold\-{name} \- ")), "{page}");
        }
    }
}
