//! What a service takes in a second.

/// What a service takes in a second: so many units, and perhaps twice as many after a while in which it was used.
#[derive(Debug, Clone, PartialEq)]
pub struct Rate {
    /// Its name.
    pub name: String,
    per_second: f64,
    doubles_after: f64,
    most: f64,
    began: Option<f64>,
    next: f64,
}

impl Rate {
    /// A rate that stays as it is.
    pub fn new(name: impl Into<String>, per_second: f64) -> Self {
        let (doubles_after, most) = (f64::INFINITY, per_second);
        Self { name: name.into(), per_second, doubles_after, most, began: None, next: 0.0 }
    }

    /// The same, doubled each time that it was used for so many seconds, up to `most`.
    #[must_use]
    pub fn doubling(self, seconds: f64, most: f64) -> Self {
        Self { doubles_after: seconds, most: most.max(self.per_second), ..self }
    }

    /// The same without a limit.
    #[must_use]
    pub fn lifted(self) -> Self {
        Self { per_second: f64::INFINITY, most: f64::INFINITY, ..self }
    }

    /// Units a second once it has doubled so many times.
    fn doubled(&self, times: f64) -> f64 {
        (self.per_second * 2f64.powf(times.min(60.0))).min(self.most)
    }

    /// Takes units at a moment, after those that were taken before; returns when the last of them is taken.
    pub fn take(&mut self, at: f64, units: f64) -> f64 {
        if self.per_second.is_infinite() || units <= 0.0 {
            return at;
        }
        let began = *self.began.get_or_insert(at);
        let (mut now, mut left) = (at.max(self.next), units);
        // How often it has doubled: counted, since a moment that was rounded may lie a hair before the one at which it doubles.
        let mut doubled = ((now - began) / self.doubles_after).floor();
        loop {
            let rate = self.doubled(doubled);
            let step = if rate < self.most { began + (doubled + 1.0) * self.doubles_after } else { f64::INFINITY };
            let fits = ((step - now) * rate).max(0.0);
            if left <= fits {
                now += left / rate;
                break;
            }
            left -= fits;
            now = step;
            doubled += 1.0;
        }
        self.next = now;
        now
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_are_taken_one_after_another() {
        let mut rate = Rate::new("a table", 100.0);
        assert_eq!(rate.take(1.0, 50.0), 1.5);
        assert_eq!(rate.take(1.0, 50.0), 2.0);
        // What was not used is not saved up.
        assert_eq!(rate.take(10.0, 100.0), 11.0);
        assert_eq!(rate.clone().lifted().take(11.0, 1e9), 11.0);
    }

    #[test]
    fn a_rate_that_is_first_used_at_any_moment_comes_to_an_end() {
        for place in 0..2_000 {
            let began = 250.0 + f64::from(place) * 0.123_456_7;
            let mut rate = Rate::new("a table", 4_000.0).doubling(1_800.0, 40_000.0);
            let end = rate.take(began, 4_000.0 * 1_800.0 + 8_000.0 * 1_800.0 + 16_000.0 * 10.0);
            assert!((end - began - 3_610.0).abs() < 1e-3, "{began}: {end}");
        }
    }

    #[test]
    fn a_rate_that_doubles_does_so_up_to_its_most() {
        let mut rate = Rate::new("a table", 100.0).doubling(10.0, 400.0);
        // 1,000 in ten seconds, 2,000 in the next ten, and then 400 a second.
        assert_eq!(rate.take(0.0, 1_000.0), 10.0);
        assert_eq!(rate.take(0.0, 2_000.0), 20.0);
        assert_eq!(rate.take(0.0, 4_000.0), 30.0);
        let mut whole = Rate::new("a table", 100.0).doubling(10.0, 400.0);
        assert_eq!(whole.take(0.0, 7_000.0), 30.0);
    }
}
