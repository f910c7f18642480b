//! The parts of a batch's time, and a table of their medians.

use std::fmt::Write;

use fanfold::model::summary::Summary;
use fanfold::model::timestamp::Timestamp;

use crate::report::median;

/// What Lambda reports of a function's invocations for one batch.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Report {
    /// The sum of their durations; some may have overlapped.
    pub milliseconds: f64,
    /// The number of invocations.
    pub invocations: usize,
}

/// A batch's time in milliseconds. A part that is the difference of two clocks may be negative.
#[derive(Debug, Clone, PartialEq)]
pub struct Run {
    parts: [f64; 6],
    whole: f64,
    reports: Option<[Report; 3]>,
}

/// The names of the parts, in order.
const PARTS: [&str; 6] = ["upload", "event", "scatter", "queue + process", "gather", "summary seen"];
const SCATTER: usize = 2;
const GATHER: usize = 4;

impl Run {
    /// A run as the summary and the client saw it: the duration and end of the upload, when the summary was
    /// seen, and the duration of the whole.
    pub fn new(
        summary: &Summary,
        upload: f64,
        uploaded_at: Timestamp,
        seen_at: Timestamp,
        whole: f64,
        reports: Option<[Report; 3]>,
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
        Self { parts, whole, reports }
    }

    /// How much longer the reports are than the work that the summary shows, on average over scatter and gather.
    fn around(&self) -> Option<f64> {
        let [scatter, _, gather] = self.reports?;
        let reported = scatter.milliseconds + gather.milliseconds;
        let invocations = (scatter.invocations + gather.invocations) as f64;
        Some(((reported - self.parts[SCATTER] - self.parts[GATHER]) / invocations).max(0.0))
    }

    /// The work of process: its reports without the overhead that scatter and gather show.
    fn process(&self) -> Option<f64> {
        let [_, process, _] = self.reports?;
        Some((process.milliseconds - process.invocations as f64 * self.around()?).max(0.0))
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

/// The share of the functions in that time.
fn ours(variants: &[(&str, &[Run])]) -> String {
    let mut text =
        "| variant | our work, ms | scatter | process | gather | share of the whole | around each in its report |\n"
            .to_owned();
    text.push_str("|---|---|---|---|---|---|---|\n");
    for (variant, runs) in variants {
        let part = |part: usize| middle(runs.iter().map(|run| run.parts[part]));
        let (scatter, gather) = (part(SCATTER), part(GATHER));
        // NaN without reports.
        let process = middle(runs.iter().filter_map(Run::process));
        let around = middle(runs.iter().filter_map(Run::around));
        let sum = scatter + gather + if process.is_nan() { 0.0 } else { process };
        let share = 100.0 * sum / middle(runs.iter().map(|run| run.whole));
        let [sum, scatter, process, gather, around] = [sum, scatter, process, gather, around].map(rounded);
        let _ = writeln!(text, "| {variant} | {sum} | {scatter} | {process} | {gather} | {share:.0} % | {around} |");
    }
    text
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
    use fanfold::model::input::InputRef;
    use fanfold::model::progress::BatchState;
    use fanfold::model::summary::{ChunkCounts, RecordCounts};

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
                read_as: None,
            },
            objects: None,
            records: RecordCounts { total: 1, succeeded: 1, failed: 0, replaced: None },
            chunks: ChunkCounts { total: 1, failed: 0 },
            unread: None,
            started_at: Timestamp(started),
            scattered_at: Timestamp(started + 20),
            gather_started_at: Timestamp(started + 70),
            finished_at: Timestamp(started + 100),
            outputs: Vec::new(),
            results: None,
            failed: None,
            processor: None,
            error: None,
            failures: Vec::new(),
        }
    }

    fn run(started: i64, reports: Option<[Report; 3]>) -> Run {
        Run::new(&summary(started), 4.5, Timestamp(1000), Timestamp(started + 107), started as f64 - 888.5, reports)
    }

    /// Reports of a batch; by the summary, scatter took 20 ms and gather 30.
    fn reports(process: f64, invocations: usize) -> Option<[Report; 3]> {
        let report = |milliseconds, invocations| Report { milliseconds, invocations };
        Some([report(69.0, 1), report(process, invocations), report(81.0, 1)])
    }

    #[test]
    fn parts_are_told_by_their_medians() {
        let runs = [run(1030, reports(60.0, 1)), run(1010, reports(62.0, 1)), run(990, reports(70.0, 1))];
        let table = markdown(&[("chunked", &runs)]);
        let rows: Vec<&str> = table.lines().filter(|line| line.starts_with("| chunked")).collect();
        assert_eq!(rows[0], "| chunked | 3 | 121.5 | 101.5 to 141.5 | 4.5 | 10.0 | 20.0 | 50.0 | 30.0 | 7.0 |");
        assert_eq!(rows[1], "| chunked | 62.0 | 20.0 | 12.0 | 30.0 | 51 % | 50.0 |");
    }

    #[test]
    fn what_is_around_a_function_is_taken_off_each_of_its_invocations() {
        assert_eq!(run(1000, reports(175.0, 3)).process(), Some(25.0));
        assert_eq!(run(1000, reports(175.0, 4)).process(), Some(0.0));
    }

    #[test]
    fn without_reports_the_summary_tells_what_it_can() {
        let table = markdown(&[("sync", &[run(1000, None), run(1000, None)])]);
        assert_eq!(table.lines().last().unwrap(), "| sync | 50.0 | 20.0 | – | 30.0 | 45 % | – |");
    }
}
