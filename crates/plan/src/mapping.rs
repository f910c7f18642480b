//! How many functions an event source mapping runs at once.

use crate::limits;

/// How many functions run at once, so long after the first message.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Ramp {
    /// At first.
    pub first: f64,
    /// Added a second.
    pub growth: f64,
    /// At most.
    pub most: f64,
}

impl Ramp {
    /// The ramp of a mapping of a queue, up to its maximum concurrency.
    pub fn of_queue(maximum_concurrency: f64) -> Self {
        let (first, growth) = (limits::MAPPING_FIRST.value, limits::MAPPING_GROWTH.value / 60.0);
        Self { first, growth, most: maximum_concurrency.min(limits::MAPPING_MOST.value) }
    }

    /// As many at once as there are allowed to be, from the beginning.
    pub fn at_once(most: f64) -> Self {
        Self { first: most, growth: 0.0, most }
    }

    /// How many run at once.
    pub fn after(&self, seconds: f64) -> f64 {
        (self.first + (self.growth * seconds).floor()).min(self.most)
    }

    /// When one more may run than after so many seconds; `None` if never.
    pub fn next(&self, seconds: f64) -> Option<f64> {
        let more = (self.growth * seconds).floor() + 1.0;
        (self.growth > 0.0 && self.after(seconds) < self.most).then(|| more / self.growth)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mapping_begins_with_five_and_adds_five_a_second() {
        let ramp = Ramp::of_queue(50.0);
        assert_eq!([0.0, 0.99, 1.0, 9.0, 60.0].map(|seconds| ramp.after(seconds)), [5.0, 9.0, 10.0, 50.0, 50.0]);
        assert_eq!(ramp.next(0.0), Some(0.2));
        assert_eq!(ramp.next(60.0), None);
        assert_eq!(Ramp::of_queue(5_000.0).after(1e6), 1_250.0);
        assert_eq!(Ramp::at_once(7.0).after(0.0), 7.0);
    }
}
