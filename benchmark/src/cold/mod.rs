//! The part of a cold start that fanfold causes: how large the functions' executable is, and how long it takes
//! from its start until it asks Lambda for work.

mod lambda;
mod size;
mod start;

use std::fmt::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use fanfold::model::error::{Error, Result};

use crate::report::median;
use lambda::Lambda;
use size::Sizes;
use start::Started;

/// Starts that do not count: the first reads the executable from disk.
const WARM_UP: u32 = 2;

/// The options of `cold`.
#[derive(Debug, Args)]
pub struct Options {
    /// An executable of the functions; give several to compare them.
    #[arg(long, required = true)]
    bootstrap: Vec<PathBuf>,
    /// The handlers to start.
    #[arg(long, value_delimiter = ',', default_value = "scatter,process,gather")]
    handlers: Vec<String>,
    /// The variant to configure them for.
    #[arg(long, default_value = "chunked")]
    variant: String,
    /// How often each is started.
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..))]
    repeat: u32,
}

/// Measures and prints tables.
///
/// # Errors
/// What prevents it, such as an executable that does not start.
pub fn run(options: &Options) -> Result<ExitCode> {
    let sizes = options.bootstrap.iter().map(|path| size::of(path)).collect::<Result<Vec<_>>>()?;
    let lambda = Lambda::open().map_err(|e| Error::transient("no port can be listened to").because(e))?;
    let mut starts = vec![Vec::new(); options.bootstrap.len() * options.handlers.len()];
    // In turns, so that a change on the machine meanwhile does not affect just one of them.
    for repeat in 0..WARM_UP + options.repeat {
        let all = options.bootstrap.iter().flat_map(|path| options.handlers.iter().map(move |handler| (path, handler)));
        for ((path, handler), starts) in all.zip(&mut starts) {
            let started = start::measure(path, handler, &options.variant, &lambda)?;
            if repeat >= WARM_UP {
                starts.push(started);
            }
        }
    }
    print!("{}", markdown(options, &sizes, &starts));
    Ok(ExitCode::SUCCESS)
}

fn markdown(options: &Options, sizes: &[Sizes], starts: &[Vec<Started>]) -> String {
    let mut text = "| executable | MB | stripped | zipped | stripped and zipped |\n|---|---|---|---|---|\n".to_owned();
    let names: Vec<String> = options.bootstrap.iter().map(|path| path.display().to_string()).collect();
    let megabytes = |bytes: Option<u64>| bytes.map_or("–".to_owned(), |bytes| format!("{:.1}", bytes as f64 / 1e6));
    for (name, sizes) in names.iter().zip(sizes) {
        let [whole, stripped] = [Some(sizes.whole), sizes.stripped].map(megabytes);
        let [zipped, both] = [Some(sizes.zipped), sizes.stripped_and_zipped].map(megabytes);
        let _ = writeln!(text, "| {name} | {whole} | {stripped} | {zipped} | {both} |");
    }
    text.push_str("\n| executable | handler | starts | init, ms | least to most | peak MiB | calls |\n");
    text.push_str("|---|---|---|---|---|---|---|\n");
    let all = names.iter().flat_map(|name| options.handlers.iter().map(move |handler| (name, handler)));
    for ((name, handler), starts) in all.zip(starts) {
        let figures = |of: fn(&Started) -> f64| {
            let mut figures: Vec<f64> = starts.iter().map(of).collect();
            figures.sort_by(f64::total_cmp);
            figures
        };
        let (init, peak) = (figures(|s| s.milliseconds), figures(|s| s.peak_kib as f64 / 1024.0));
        let (least, most) = (init.first().copied().unwrap_or_default(), init.last().copied().unwrap_or_default());
        let (count, init, peak) = (starts.len(), median(&init), median(&peak));
        let calls = starts.iter().map(|start| start.calls).max().unwrap_or_default();
        let _ = writeln!(
            text,
            "| {name} | {handler} | {count} | {init:.1} | {least:.1} to {most:.1} | {peak:.1} | {calls} |"
        );
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_executable_and_handler_has_a_row() {
        let options = Options {
            bootstrap: vec!["a".into(), "b".into()],
            handlers: vec!["scatter".into(), "gather".into()],
            variant: "chunked".into(),
            repeat: 2,
        };
        let sizes = |whole| Sizes { whole, stripped: None, zipped: whole / 2, stripped_and_zipped: Some(whole / 4) };
        let started = |milliseconds| Started { milliseconds, peak_kib: 10_240, calls: 0 };
        let starts: Vec<Vec<Started>> = (1..=4).map(|n| vec![started(f64::from(n)), started(9.0)]).collect();
        let text = markdown(&options, &[sizes(33_000_000), sizes(20_000_000)], &starts);
        assert!(text.contains("| a | 33.0 | – | 16.5 | 8.2 |\n"), "{text}");
        assert!(text.contains("| a | gather | 2 | 5.5 | 2.0 to 9.0 | 10.0 | 0 |\n"), "{text}");
        assert!(text.contains("| b | scatter | 2 | 6.0 | 3.0 to 9.0 | 10.0 | 0 |\n"), "{text}");
    }
}
