//! Estimates how long the rest of a run will take from the batches so far.

use std::collections::BTreeMap;

use crate::plan::Step;

/// How many times longer than expected each variant's last batch took.
#[derive(Debug, Default)]
pub struct Estimate(BTreeMap<String, f64>);

impl Estimate {
    /// Learns from a batch.
    pub fn learn(&mut self, step: &Step, seconds: f64) {
        self.0.insert(step.variant.clone(), seconds / step.expected());
    }

    /// The seconds that these steps will take. A variant that has not run is assumed to be as far off as the
    /// others.
    pub fn of(&self, steps: &[Step]) -> f64 {
        let mean = self.0.values().sum::<f64>() / self.0.len().max(1) as f64;
        let unknown = if self.0.is_empty() { 1.0 } else { mean };
        steps.iter().map(|step| step.expected() * self.0.get(&step.variant).unwrap_or(&unknown)).sum()
    }
}

/// The time left, in words.
pub fn in_words(seconds: f64) -> String {
    match seconds.max(0.0).round() as u64 {
        s @ 0..90 => format!("{s} s"),
        s @ 90..5400 => format!("{} min", (s + 30) / 60),
        s => format!("{}.{} h", s / 3600, s % 3600 / 360),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_time_left_follows_what_was_measured() {
        let step = |variant: &str, count| Step { variant: variant.into(), count, repeat: 1 };
        let left = [step("sync", 1000), step("chunked", 1000)];
        let mut estimate = Estimate::default();
        let before = estimate.of(&left);
        assert!((before - left[0].expected() - left[1].expected()).abs() < 1e-9);
        estimate.learn(&left[0], left[0].expected() * 3.0);
        assert!((estimate.of(&left) - before * 3.0).abs() < 1e-9);
        estimate.learn(&left[1], left[1].expected());
        assert!((estimate.of(&left[1..]) - left[1].expected()).abs() < 1e-9);
    }

    #[test]
    fn times_are_said_as_people_say_them() {
        for (seconds, words) in [(0.4, "0 s"), (89.0, "89 s"), (120.0, "2 min"), (5399.0, "90 min"), (9000.0, "2.5 h")]
        {
            assert_eq!(in_words(seconds), words);
        }
    }
}
