//! The progress that a run shows: a bar with the time left on a terminal, otherwise a line per batch.

use std::io::IsTerminal;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressState, ProgressStyle};

use crate::estimate::{Estimate, in_words};
use crate::plan::Step;
use crate::row::Row;
use crate::stopwatch::Stopwatch;

const TICK: Duration = Duration::from_millis(500);
const TEMPLATE: &str = "{bar:30} {pos}/{len} batches, about {left} left: {msg}";

/// The progress of a run.
pub struct Progress {
    bar: Option<ProgressBar>,
    /// When the run will end, in ms after its start; the bar counts down to it between batches.
    ends: Arc<AtomicU64>,
    since: Stopwatch,
    estimate: Estimate,
    steps: Vec<Step>,
    done: usize,
}

impl Progress {
    /// Starts to show the progress of these steps.
    pub fn new(steps: &[Step]) -> Self {
        let (ends, since) = (Arc::new(AtomicU64::new(0)), Stopwatch::start());
        let bar = std::io::stderr().is_terminal().then(|| bar(steps.len() as u64, ends.clone(), since));
        let progress = Self { bar, ends, since, estimate: Estimate::default(), steps: steps.to_vec(), done: 0 };
        progress.foresee();
        progress
    }

    /// Shows which batch begins.
    pub fn begin(&self, step: &Step) {
        if let Some(bar) = &self.bar {
            bar.set_message(format!("{}, {} records", step.variant, grouped(step.count)));
        }
    }

    /// Shows how a batch went, and learns from it.
    pub fn end(&mut self, step: &Step, row: &Row) {
        if let Some(seconds) = row.batch_duration_in_seconds {
            self.estimate.learn(step, seconds);
        }
        self.done += 1;
        let left = self.foresee();
        let place = format!("[{}/{}]", self.done, self.steps.len());
        let result = match row.batch_duration_in_seconds {
            Some(seconds) if row.succeeded() => {
                format!("{seconds:.3} s, {} records/s", grouped((step.count as f64 / seconds) as u64))
            }
            _ => row.outcome.clone(),
        };
        let line = format!("{place} {}, {} records: {result}", step.variant, grouped(step.count));
        match &self.bar {
            Some(bar) => {
                bar.println(line);
                bar.set_position(self.done as u64);
            }
            None => eprintln!("{line} (about {} left)", in_words(left)),
        }
    }

    /// Shows a text beside the bar.
    pub fn note(&self, text: &str) {
        match &self.bar {
            Some(bar) => bar.println(text),
            None => eprintln!("{text}"),
        }
    }

    /// Removes the bar.
    pub fn close(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }

    fn foresee(&self) -> f64 {
        let left = self.estimate.of(&self.steps[self.done..]);
        self.ends.store(((self.since.seconds() + left) * 1000.0) as u64, Ordering::Relaxed);
        left
    }
}

fn bar(length: u64, ends: Arc<AtomicU64>, since: Stopwatch) -> ProgressBar {
    let left = move |_: &ProgressState, out: &mut dyn std::fmt::Write| {
        let ends = ends.load(Ordering::Relaxed) as f64 / 1000.0;
        // If the terminal accepts no text, there is nothing to do.
        let _ = out.write_str(&in_words(ends - since.seconds()));
    };
    let style = ProgressStyle::with_template(TEMPLATE).unwrap_or_else(|_| ProgressStyle::default_bar());
    let bar = ProgressBar::new(length).with_style(style.with_key("left", left));
    bar.enable_steady_tick(TICK);
    bar
}

/// A whole number with commas between its thousands.
pub fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::grouped;

    #[test]
    fn thousands_are_grouped() {
        for (number, text) in [(0, "0"), (999, "999"), (1000, "1,000"), (10_000_000, "10,000,000")] {
            assert_eq!(grouped(number), text);
        }
    }
}
