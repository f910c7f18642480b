//! `benchmark model`: how well the model of AWS predicts the published runs, as a page and as a plot.

mod counted;
mod figure;
mod scale;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use fanfold::model::error::Result;
use fanfold::pipeline::variant::BUILT_IN;
use fanfold_plan::published::{Constants, FITTED, Told, by_variant, fit, halves, tell};
use fanfold_plan::{emulator, limits};

use crate::measurements::Content;
use crate::progress::grouped;
use crate::report::plot;
use crate::report::write;
use figure::Compared;
use scale::{Scaled, Scales};

/// The options of `model`.
#[derive(Debug, Args)]
pub struct Options {
    /// The folder for the page.
    #[arg(long, default_value = "docs")]
    pub docs: PathBuf,
    /// The rows that requests were counted in.
    #[arg(long, default_value = "measurements.csv")]
    pub measurements: PathBuf,
    /// The file for the table of requests, which is compiled into the command.
    #[arg(long, default_value = "crates/plan/counted.csv")]
    pub counted: PathBuf,
}

/// The target whose rows the table of requests is from.
const COUNTED_ON: &str = "MiniStack 1.5.33";

/// Writes `MODEL.md` and `model.svg`.
///
/// # Errors
/// `Config` if they cannot be written.
pub fn make(options: &Options) -> Result<ExitCode> {
    let rows = Content::read(&options.measurements)?.rows;
    let variants: Vec<&str> = BUILT_IN.iter().map(|variant| variant.name).collect();
    let table = counted::table(&rows, COUNTED_ON, &variants);
    write(&options.counted, table.as_bytes())?;
    let (fitted, held) = halves();
    let constants = fit(&fitted);
    let told = tell(&held, &constants);
    let mut page = page(&constants, &told, &by_variant(&held, &constants), (fitted.len(), held.len()));
    counts(&mut page, &counted::told(&table, &rows, COUNTED_ON, &variants));
    on_an_emulator(&mut page, &counted::runs(&rows, COUNTED_ON, &variants));
    let scaled = scale::all();
    on_paper(&mut page, &scaled);
    write(&options.docs.join("model-scale.svg"), plot::svg(&Scales(&scaled))?.as_bytes())?;
    write(&options.docs.join("model.svg"), plot::svg(&Compared(&told))?.as_bytes())?;
    write(&options.docs.join("MODEL.md"), page.as_bytes())?;
    Ok(ExitCode::SUCCESS)
}

const BEGINNING: &str = "# A model of AWS

Made by `make model`; do not edit. An emulator tells nothing about AWS's seconds. `crates/plan` lets a batch pass, event by event, through what AWS
documents: a mapping that runs more and more functions, tables and buckets that take so much a second, functions with their share
of a processor. What it is given are the calls that the functions were counted to make, how long each takes, and what they compute. What holds a
batch up is found by lifting one limit after another.

Left out: the burst that a table saves up, partitions (items have distinct keys), retries, throttling of the account, and other batches beside this one.

";

const HELD: &str = "## Held against reality

The [system that the variants are named after](report.md#published-figures) published 505 runs that succeeded, on AWS in 2020. It is other code: Python, chunks of 100,
a function of 3,008 MB for scatter and one of 512 MB for process. Its calls were counted on an emulator. How long they took it is not known; these
constants are **fitted** to every other run (its seconds, and those of scatter and gather where they were published), and to nothing else:

";

const READING: &str = "
The clock of these runs begins in scatter: some of the smallest took no second in all, less than an event takes.

The other half of the runs was held back. The error is that of a prediction as a part of the published seconds, or of one second if that is more,
since whole seconds were published; of each group the middle one is shown.

";

/// Appends a row of a table.
fn row(page: &mut String, cells: &[String]) {
    page.push_str(&format!("| {} |\n", cells.join(" | ")));
}

fn heads(page: &mut String, names: &[&str], alignment: &str) {
    row(page, &names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>());
    page.push_str(&format!("{alignment}\n"));
}

fn percent(part: f64) -> String {
    format!("{:.0} %", part * 100.0)
}

/// A number of seconds with as many digits as matter.
fn seconds(of: f64) -> String {
    match of {
        1.0.. => format!("{of:.1} s"),
        0.001.. => format!("{:.1} ms", of * 1e3),
        _ => format!("{:.0} µs", of * 1e6),
    }
}

fn page(constants: &Constants, told: &[Told], all: &[(String, f64, usize)], (fitted, held): (usize, usize)) -> String {
    let mut page = BEGINNING.to_owned();
    page.push_str("## What AWS documents\n\n");
    heads(&mut page, &["limit", "number", "of", "read", "source"], "|---|--:|---|---|---|");
    for limit in limits::ALL {
        let source = format!(
            "[{}]({})",
            limit.source.trim_end_matches('/').rsplit('/').next().unwrap_or_default(),
            limit.source
        );
        let cells =
            [limit.name.to_owned(), grouped(limit.value as u64), limit.unit.to_owned(), limit.read.to_owned(), source];
        row(&mut page, &cells);
    }
    page.push_str(&format!("\n{HELD}"));
    heads(&mut page, &["constant", "fitted"], "|---|--:|");
    for (name, place) in FITTED {
        row(&mut page, &[name.to_owned(), seconds(*place(&mut constants.clone()))]);
    }
    page.push_str(READING);
    page.push_str(&format!("{fitted} runs are fitted to and {held} are held back.\n\n"));
    heads(&mut page, &["variant", "runs", "median error"], "|---|--:|--:|");
    for (variant, error, runs) in all {
        row(&mut page, &[variant.clone(), runs.to_string(), percent(*error)]);
    }
    page.push_str("\n![Predicted seconds over published seconds, both logarithmic](model.svg)\n\n");
    heads(
        &mut page,
        &["variant", "records", "runs", "published, median s", "predicted s", "median error"],
        "|---|--:|--:|--:|--:|--:|",
    );
    for Told { variant, records, runs, published, predicted, error } in told {
        let (published, predicted) = (format!("{published:.0}"), format!("{predicted:.1}"));
        row(&mut page, &[variant.clone(), grouped(*records), runs.to_string(), published, predicted, percent(*error)]);
    }
    page.push_str(ENDING);
    page
}

/// Appends the section about requests.
fn counts(page: &mut String, told: &[counted::Told]) {
    page.push_str(COUNTS);
    heads(
        page,
        &["variant", "rows", "worst, invocations known", "worst, invocations by the model"],
        "|---|--:|--:|--:|",
    );
    for one in told {
        let percent = |part: f64| format!("{:.1} %", part * 100.0);
        row(page, &[one.variant.clone(), one.rows.to_string(), percent(one.worst), percent(one.planned)]);
    }
}

const COUNTS: &str = "
## fanfold's own requests

What each stage of fanfold requests is a table, [counted.csv](../crates/plan/counted.csv): for each operation, how often it is called for a batch, a chunk,
ten chunks, 25 items of a chunk, 100 rows of a chunk, 8 MiB of the file, and an invocation. It is fitted to the counts in `measurements.csv`, which
are those that the functions keep as `CALLS#`: of each variant, the rows of the last commit that was measured on MiniStack. The sum of a
row's requests as told by the table, beside what was counted, for rows of at least 1,000 records. How many messages an invocation is given is
Lambda's choice, and nothing tells it beforehand:

";

/// Appends the section about the emulator that rows are from.
fn on_an_emulator(page: &mut String, (fitted, held): &(Vec<emulator::Run>, Vec<emulator::Run>)) {
    let rates = emulator::fit(fitted);
    page.push_str(EMULATOR);
    heads(page, &["rate", "fitted"], "|---|--:|");
    for (name, place) in emulator::FITTED {
        let mut rates = rates;
        row(page, &[name.to_owned(), seconds(*place(&mut rates))]);
    }
    page.push_str(&format!("\n{} batches are fitted to and {} are held back.\n\n", fitted.len(), held.len()));
    heads(page, &["variant", "batches", "median error"], "|---|--:|--:|");
    for (variant, error, runs) in emulator::by_variant(held, &rates) {
        row(page, &[variant, runs.to_string(), percent(error)]);
    }
}

const EMULATOR: &str = "
## Held against an emulator

An emulator is one process that answers one request after the other. With its rate in place of all of AWS's, the same simulation predicts the batches of
`measurements.csv`. Its rates are fitted to every other batch:

";

/// Appends the section about batches that nobody has run here.
fn on_paper(page: &mut String, scaled: &[Scaled]) {
    page.push_str(ON_PAPER);
    heads(
        page,
        &["variant", "records", "chunks", "seconds", "dollars", "what holds it up"],
        "|---|--:|--:|--:|--:|---|",
    );
    for one in scaled {
        let chunk = format!("{}{}", grouped(one.chunks.0), if one.chunks.1 { "" } else { ", refused" });
        let seconds = format!("{} to {}", grouped(one.seconds.0 as u64), grouped(one.seconds.1 as u64));
        let binding = one.binding.clone().unwrap_or_else(|| "nothing by a tenth".to_owned());
        row(
            page,
            &[one.variant.to_owned(), grouped(one.records), chunk, seconds, format!("{:.2}", one.dollars), binding],
        );
    }
    page.push_str(BREAKS);
}

const ON_PAPER: &str = "
## Scale on paper

What [`fanfold plan`](../README.md#what-will-it-take) says of records of 100 bytes, with 50 workers of 512 MB and new tables, which double what they take
every half hour, to 40,000 units a second. The range is that of calls: quick ones as fitted to the published runs, and slow ones as AWS documents.

";

const BREAKS: &str = "
![Hours over records of each variant, both logarithmic](model-scale.svg)

What breaks first:

- Not the completion tree: a billion records are 2 million chunks, and its two levels count 16,777,216. A third level, or larger chunks, are not needed.
- `sync` and `async` have a message, three objects and a listing for each record: they are for thousands of records, and their caps stay.
- `dynamodb` writes each record three times: as a row in a transaction, which takes two units, as the same row with its outcome, and as an item.
  Its tasks table takes three units for each of the items table, and holds it up three times as long while both are new.
- All others write an item for each record, and that is what they take, in seconds and in dollars. A table that is warm is what changes that.
";

const ENDING: &str = "
- Six runs of `sync` took 955 s to 1,450 s, each some 900 s longer than others of as many records, which is how long its functions may take
  at most. The model knows no failures.
- `async` is off by the most. At 1,001 records scatter and gather took 8 s to 12 s and 5 s to 6 s of 18 s to 29 s; what the rest went to, the rows do
  not say.
- The runs of `chunked` on 20 and 21 June took 21 s to 24 s for 100,001 records, and later ones 29 s to 36 s: another scatter (9 s and 21 s). The
  model has one.
- Batches of a few records take whole seconds that cold functions decide. All functions start cold here, as in a new deployment.
";

#[cfg(test)]
mod tests {
    use super::*;

    fn options(folder: &std::path::Path) -> Options {
        let measurements = concat!(env!("CARGO_MANIFEST_DIR"), "/../measurements.csv").into();
        Options { docs: folder.to_owned(), measurements, counted: folder.join("counted.csv") }
    }

    #[test]
    fn the_page_names_each_limit_each_constant_and_each_group() {
        let folder = tempfile::tempdir().unwrap();
        make(&options(folder.path())).unwrap();
        let read = |name: &str| std::fs::read_to_string(folder.path().join(name)).unwrap();
        let page = read("MODEL.md");
        for name in limits::ALL.iter().map(|limit| limit.name).chain(FITTED.map(|(name, _)| name)) {
            assert!(page.contains(name), "{name}");
        }
        let measured = Content::read(&options(folder.path()).measurements).unwrap().rows;
        let variants: Vec<&str> = BUILT_IN.iter().map(|variant| variant.name).collect();
        for told in counted::told(&read("counted.csv"), &measured, COUNTED_ON, &variants) {
            assert!(told.worst < 0.02 && told.rows > 0, "{}: {}", told.variant, told.worst);
            // How many messages an invocation is given is Lambda's choice.
            assert!(told.planned < 0.04, "{}: {}", told.variant, told.planned);
        }
        let committed = include_str!("../../../crates/plan/counted.csv");
        assert_eq!(read("counted.csv"), committed, "run `make model`");
        assert!(page.contains("| chunked | 1,000,001 |") && page.contains("253 runs are fitted to and 252"), "{page}");
        assert!(read("model.svg").contains("<svg"));
    }

    #[test]
    fn seconds_have_the_digits_that_matter() {
        assert_eq!([1.088, 0.037, 0.000_02].map(seconds), ["1.1 s", "37.0 ms", "20 µs"]);
    }
}
