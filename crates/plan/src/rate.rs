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

    /// Units a second, so many seconds after it was first used.
    fn after(&self, seconds: f64) -> f64 {
        if self.doubles_after.is_finite() {
            let doubled = self.per_second * 2f64.powi((seconds / self.doubles_after).floor().min(60.0) as i32);
            doubled.min(self.most)
        } else {
            self.per_second
        }
    }

    /// Takes units at a moment, after those that were taken before; returns when the last of them is taken.
    pub fn take(&mut self, at: f64, units: f64) -> f64 {
        if self.per_second.is_infinite() || units <= 0.0 {
            return at;
        }
        let began = *self.began.get_or_insert(at);
        let (mut now, mut left) = (at.max(self.next), units);
        loop {
            let passed = now - began;
            let rate = self.after(passed);
            let step = if rate < self.most {
                began + ((passed / self.doubles_after).floor() + 1.0) * self.doubles_after
            } else {
                f64::INFINITY
            };
            let fits = (step - now) * rate;
            if left <= fits {
                now += left / rate;
                break;
            }
            left -= fits;
            now = step;
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
