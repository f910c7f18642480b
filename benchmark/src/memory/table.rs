//! The measurements as a table, and those that are over their limit.

use std::fmt::Write;

/// Bytes per MiB.
pub const MIB: f64 = 1_048_576.0;
/// The memory that scatter and gather may take for any file, in MiB.
pub const MOST_STREAMED: f64 = 96.0;
/// The memory that process may take beyond that of an idle process and its chunk, in MiB.
pub const MOST_ABOVE_CHUNK: f64 = 64.0;

/// The name of scatter's row.
pub const SCATTER: &str = "scatter";
/// The name of the row of process with one message.
pub const PROCESS: &str = "process, one chunk";
/// The name of gather's row.
pub const GATHER: &str = "gather";

/// A row of the table.
#[derive(Debug, Clone, PartialEq)]
pub struct Line {
    /// The variant.
    pub variant: String,
    /// The format.
    pub format: String,
    /// The stage that was measured.
    pub stage: String,
    /// The peak memory, in MiB.
    pub peak: f64,
    /// The peak less the memory of an idle process and the chunk, in MiB.
    pub above: Option<f64>,
    /// How long the work took.
    pub seconds: f64,
    /// The amount of data processed, in MiB.
    pub megabytes: f64,
    /// The limit of `above`, or of `peak` if there is no `above`.
    pub limit: Option<f64>,
}

impl Line {
    /// The same line with a limit.
    pub fn limited_to(self, limit: f64) -> Self {
        Self { limit: Some(limit), ..self }
    }

    fn counted(&self) -> f64 {
        self.above.unwrap_or(self.peak)
    }
}

/// The table.
pub fn markdown(lines: &[Line]) -> String {
    let mut text = "| variant | format | stage | peak MiB | above idle and chunk | at most | s | MiB/s |\n".to_owned();
    text.push_str("|---|---|---|---|---|---|---|---|\n");
    for line in lines {
        let optional = |value: Option<f64>| value.map_or(String::new(), |value| format!("{value:.1}"));
        let rate = Some(line.megabytes / line.seconds).filter(|rate| rate.is_finite() && *rate > 0.0);
        let _ = writeln!(
            text,
            "| {} | {} | {} | {:.1} | {} | {} | {:.3} | {} |",
            line.variant,
            line.format,
            line.stage,
            line.peak,
            optional(line.above),
            line.limit.map_or(String::new(), |limit| limit.to_string()),
            line.seconds,
            optional(rate),
        );
    }
    text
}

/// Which lines are over their limits, in words.
pub fn exceeded(lines: &[Line]) -> Vec<String> {
    let over = lines.iter().filter_map(|line| Some((line, line.limit.filter(|limit| line.counted() > *limit)?)));
    let told = over.map(|(line, limit)| {
        let (variant, format, stage, counted) = (&line.variant, &line.format, &line.stage, line.counted());
        format!("{stage} of {variant} on {format}: {counted:.1} MiB instead of at most {limit}")
    });
    told.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(stage: &str, peak: f64, above: Option<f64>) -> Line {
        Line {
            variant: "chunked".into(),
            format: "csv".into(),
            stage: stage.into(),
            peak,
            above,
            seconds: 2.0,
            megabytes: 100.0,
            limit: None,
        }
    }

    #[test]
    fn the_table_has_a_row_each() {
        let idle = Line { megabytes: 0.0, seconds: 0.0, ..line("process, idle", 7.04, None) };
        let table = markdown(&[line(SCATTER, 30.0, None).limited_to(96.0), idle, line(PROCESS, 12.0, Some(3.21))]);
        let rows: Vec<&str> = table.lines().skip(2).collect();
        assert_eq!(
            rows,
            [
                "| chunked | csv | scatter | 30.0 |  | 96 | 2.000 | 50.0 |",
                "| chunked | csv | process, idle | 7.0 |  |  | 0.000 |  |",
                "| chunked | csv | process, one chunk | 12.0 | 3.2 |  | 2.000 | 50.0 |",
            ]
        );
    }

    #[test]
    fn what_is_over_its_limit_is_told() {
        let lines = [
            line(SCATTER, 96.0, None).limited_to(96.0),
            line(GATHER, 96.1, None).limited_to(96.0),
            line(PROCESS, 500.0, Some(64.0)).limited_to(64.0),
            line(PROCESS, 500.0, Some(65.0)).limited_to(64.0),
            line("process, all chunks", 5000.0, None),
        ];
        let told = exceeded(&lines);
        assert_eq!(told.len(), 2);
        assert_eq!(told[0], "gather of chunked on csv: 96.1 MiB instead of at most 96");
        assert!(told[1].contains("65.0 MiB instead of at most 64"));
    }
}
