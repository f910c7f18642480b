//! How fast a batch gets on, and how long it will take.

use serde::{Deserialize, Serialize};

use crate::model::timestamp::Timestamp;

/// The fewest chunks that say something about the pace.
const FEWEST: u64 = 3;
/// The shortest time over which the recent pace is taken, in milliseconds.
const RECENT: i64 = 5_000;
/// How much shorter and longer than foreseen the rest may take besides what the paces say: a share of it.
const SPREAD: f64 = 0.15;

/// How far a batch had come at some time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sample {
    /// When.
    pub at: Timestamp,
    /// How many of its chunks were done.
    pub chunks: u64,
}

/// How fast records are ended, in records a second.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Pace {
    /// Since the first chunk was done.
    pub mean: f64,
    /// Of late, if that is known.
    pub recent: Option<f64>,
}

/// How long a batch needs until its last chunk is done, in seconds.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct TimeLeft {
    /// As far as can be foreseen.
    pub seconds: f64,
    /// If it gets faster.
    pub least: f64,
    /// If it gets slower.
    pub most: f64,
}

/// How a batch gets on.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Course {
    /// When its first chunk was done.
    pub first: Timestamp,
    /// How far it was at a time in between, if that is known.
    pub before: Option<Sample>,
    /// How far it is.
    pub now: Sample,
}

impl Course {
    /// Chunks a second since the first one was done; `None` if there are too few to tell.
    fn mean(&self) -> Option<f64> {
        // The first chunks were begun before the time that counts.
        rate(self.now.chunks.checked_sub(1)?, self.now.at.0 - self.first.0).filter(|_| self.now.chunks >= FEWEST)
    }

    /// Chunks a second since the sample before.
    fn recent(&self) -> Option<f64> {
        let before = self.before.filter(|before| self.now.at.0 - before.at.0 >= RECENT && before.at > self.first)?;
        rate(self.now.chunks.checked_sub(before.chunks)?, self.now.at.0 - before.at.0)
    }

    /// The pace in records, of which so many are in a chunk.
    pub fn pace(&self, records_per_chunk: f64) -> Option<Pace> {
        let mean = self.mean()? * records_per_chunk;
        Some(Pace { mean, recent: self.recent().map(|recent| recent * records_per_chunk) })
    }

    /// The time that the rest of so many chunks takes.
    pub fn time_left(&self, chunks: u64) -> Option<TimeLeft> {
        let left = chunks.saturating_sub(self.now.chunks) as f64;
        let (mean, recent) = (self.mean()?, self.recent());
        let paces: Vec<f64> = [Some(mean), recent].into_iter().flatten().filter(|pace| *pace > 0.0).collect();
        let (fast, slow) = (paces.iter().copied().fold(0.0, f64::max), paces.iter().copied().fold(f64::MAX, f64::min));
        let likely = recent.filter(|recent| *recent > 0.0).unwrap_or(mean);
        if likely <= 0.0 {
            return None;
        }
        let seconds = |pace: f64| left / pace;
        Some(TimeLeft {
            seconds: seconds(likely),
            least: seconds(fast) * (1.0 - SPREAD),
            most: seconds(slow) * (1.0 + SPREAD),
        })
    }
}

fn rate(count: u64, milliseconds: i64) -> Option<f64> {
    (milliseconds > 0).then(|| count as f64 * 1000.0 / milliseconds as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn course(before: Option<(i64, u64)>, now: (i64, u64)) -> Course {
        let sample = |(seconds, chunks)| Sample { at: Timestamp(seconds * 1000), chunks };
        Course { first: Timestamp(100_000), before: before.map(sample), now: sample(now) }
    }

    #[test]
    fn the_rest_takes_as_long_as_the_pace_says() {
        let even = course(None, (110, 51));
        assert_eq!(even.pace(100.0), Some(Pace { mean: 500.0, recent: None }));
        let left = even.time_left(101).unwrap();
        assert_eq!((left.seconds, left.least.round(), left.most.round()), (10.0, 9.0, 12.0));
        // Of late it is twice as fast.
        let faster = course(Some((110, 51)), (120, 151));
        assert_eq!(faster.pace(1.0), Some(Pace { mean: 7.5, recent: Some(10.0) }));
        let left = faster.time_left(301).unwrap();
        assert_eq!((left.seconds, left.least, left.most.round()), (15.0, 12.75, 23.0));
        assert_eq!(even.time_left(51).unwrap().seconds, 0.0);
    }

    #[test]
    fn nothing_is_foreseen_from_too_little() {
        for (before, now) in [(None, (110, 2)), (None, (100, 50)), (None, (110, 0))] {
            assert_eq!((course(before, now).pace(1.0), course(before, now).time_left(100)), (None, None));
        }
        // A moment is no time to measure a pace in, and what a clock says that runs behind is none.
        for before in [(109, 50), (120, 50), (90, 0), (104, 90)] {
            assert_eq!(course(Some(before), (110, 51)).pace(1.0).unwrap().recent, None, "{before:?}");
        }
        let standing = course(Some((110, 51)), (130, 51));
        assert_eq!(standing.pace(3.0).unwrap().recent, Some(0.0));
        assert!(standing.time_left(101).unwrap().seconds > 29.0);
    }
}
