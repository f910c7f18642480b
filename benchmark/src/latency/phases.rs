//! The parts of a batch's time, and their medians as a table.

use std::fmt::Write;

use fanfold::model::summary::Summary;
use fanfold::model::timestamp::Timestamp;

use crate::report::median;

/// What the functions worked for a batch, in milliseconds, as Lambda's reports say it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Worked {
    /// Scatter.
    pub scatter: f64,
    /// All invocations of process, which may have run at once.
    pub process: f64,
    /// Gather.
    pub gather: f64,
}

/// A batch's time in milliseconds. What lies between two clocks may be less than nothing.
#[derive(Debug, Clone, PartialEq)]
pub struct Run {
    parts: [f64; 6],
    whole: f64,
    worked: Option<Worked>,
}

/// The names of the parts in their order.
const PARTS: [&str; 6] = ["upload", "event", "scatter", "queue + process", "gather", "summary seen"];

impl Run {
    /// A run as the summary and the client saw it: how long the upload took and when it ended, when the
    /// summary was there and after how long.
    pub fn new(
        summary: &Summary,
        upload: f64,
        uploaded_at: Timestamp,
        seen_at: Timestamp,
        whole: f64,
        worked: Option<Worked>,
    ) -> Self {
        let between = |from: Timestamp, to: Timestamp| (to.0 - from.0) as f64;
        let parts = [
            upload,
            between(uploaded_at, summary.started_at),
            between(summary.started_at, summary.scattered_at),
            between(summary.scattered_at, summary.gather_started_at),
            between(summary.gather_started_at, summary.finished_at),
            between(summary.finished_at, seen_at),
        ];
        Self { parts, whole, worked }
    }
}

/// The medians of each variant's runs.
pub fn markdown(variants: &[(&str, &[Run])]) -> String {
    let mut text = format!("| variant | runs | whole, ms | least to most | {} |\n", PARTS.join(" | "));
    text.push_str(&format!("|{}\n", "---|".repeat(4 + PARTS.len())));
    for (variant, runs) in variants {
        let whole = ascending(runs.iter().map(|run| run.whole));
        let parts = (0..PARTS.len()).map(|part| rounded(middle(runs.iter().map(|run| run.parts[part]))));
        let parts: Vec<String> = parts.collect();
        let (least, most) = (whole.first().copied().unwrap_or_default(), whole.last().copied().unwrap_or_default());
        let (middle, least, most) = (rounded(median(&whole)), rounded(least), rounded(most));
        let _ = writeln!(text, "| {variant} | {} | {middle} | {least} to {most} | {} |", runs.len(), parts.join(" | "));
    }
    text.push('\n');
    text.push_str(&ours(variants));
    text
}

/// What of it the functions are.
fn ours(variants: &[(&str, &[Run])]) -> String {
    let mut text =
        "| variant | in functions, ms | scatter | process | gather | share of the whole | as told by |\n".to_owned();
    text.push_str("|---|---|---|---|---|---|---|\n");
    for (variant, runs) in variants {
        let reported: Option<Vec<Worked>> = runs.iter().map(|run| run.worked).collect();
        let (source, [scatter, process, gather]) = match &reported {
            Some(worked) => ("the functions' reports", medians(worked)),
            None => ("the summary, without process", [part(runs, 2), f64::NAN, part(runs, 4)]),
        };
        let sum = [scatter, process, gather].into_iter().filter(|ms| !ms.is_nan()).sum::<f64>();
        let share = 100.0 * sum / middle(runs.iter().map(|run| run.whole));
        let [scatter, process, gather] = [scatter, process, gather].map(rounded);
        let sum = rounded(sum);
        let _ = writeln!(text, "| {variant} | {sum} | {scatter} | {process} | {gather} | {share:.0} % | {source} |");
    }
    text
}

fn medians(worked: &[Worked]) -> [f64; 3] {
    let of = |stage: fn(&Worked) -> f64| middle(worked.iter().map(stage));
    [of(|w| w.scatter), of(|w| w.process), of(|w| w.gather)]
}

fn part(runs: &[Run], part: usize) -> f64 {
    middle(runs.iter().map(|run| run.parts[part]))
}

fn ascending(values: impl Iterator<Item = f64>) -> Vec<f64> {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    values
}

fn middle(values: impl Iterator<Item = f64>) -> f64 {
    median(&ascending(values))
}

fn rounded(milliseconds: f64) -> String {
    if milliseconds.is_nan() { "–".to_owned() } else { format!("{milliseconds:.1}") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use fanfold::model::progress::BatchState;
    use fanfold::model::summary::{ChunkCounts, InputRef, RecordCounts};

    fn summary(started: i64) -> Summary {
        Summary {
            batch_id: fanfold::model::ids::BatchId::parse("a-0123456789ab").unwrap(),
            generation: 0,
            variant: "chunked".into(),
            fallback: None,
            state: BatchState::Succeeded,
            input: InputRef {
                bucket: "i".into(),
                key: "a.csv".into(),
                version_id: None,
                e_tag: None,
                bytes: 1,
                format: None,
            },
            records: RecordCounts { total: 1, succeeded: 1, failed: 0 },
            chunks: ChunkCounts { total: 1, failed: 0 },
            started_at: Timestamp(started),
            scattered_at: Timestamp(started + 20),
            gather_started_at: Timestamp(started + 70),
            finished_at: Timestamp(started + 100),
            results: None,
            failed: None,
            error: None,
            failures: Vec::new(),
        }
    }

    fn run(started: i64, worked: Option<Worked>) -> Run {
        Run::new(&summary(started), 4.5, Timestamp(1000), Timestamp(started + 107), started as f64 - 888.5, worked)
    }

    #[test]
    fn parts_are_told_by_their_medians() {
        let worked = |scatter| Some(Worked { scatter, process: 30.0, gather: 31.0 });
        let runs = [run(1030, worked(20.0)), run(1010, worked(22.0)), run(990, worked(25.0))];
        let table = markdown(&[("chunked", &runs)]);
        let rows: Vec<&str> = table.lines().filter(|line| line.starts_with("| chunked")).collect();
        assert_eq!(rows[0], "| chunked | 3 | 121.5 | 101.5 to 141.5 | 4.5 | 10.0 | 20.0 | 50.0 | 30.0 | 7.0 |");
        assert_eq!(rows[1], "| chunked | 83.0 | 22.0 | 30.0 | 31.0 | 68 % | the functions' reports |");
    }

    #[test]
    fn without_reports_the_summary_tells_what_it_can() {
        let runs = [run(1000, None), run(1000, Some(Worked { scatter: 1.0, process: 1.0, gather: 1.0 }))];
        let table = markdown(&[("sync", &runs)]);
        let row = table.lines().last().unwrap();
        assert_eq!(row, "| sync | 50.0 | 20.0 | – | 30.0 | 45 % | the summary, without process |");
    }
}
