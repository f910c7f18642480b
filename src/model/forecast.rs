//! How fast a batch gets on, and how long it will take.

use serde::{Deserialize, Serialize};

use crate::model::timestamp::Timestamp;

/// The fewest chunks that say something about the pace.
const FEWEST: u64 = 3;
/// The shortest time over which the recent pace is taken, in milliseconds.
const RECENT: i64 = 5_000;
/// How much shorter and longer than foreseen the rest may take besides what the paces say: a share of it.
const SPREAD: f64 = 0.15;
/// How much of what is worked on may be done.
const LEAST_DONE: f64 = 0.25;
const MOST_DONE: f64 = 0.75;

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
    /// On the whole, with half of what is worked on; since the first chunk was done, if nobody knows how much that is.
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
    /// When it began.
    pub begun: Timestamp,
    /// When its first chunk was done.
    pub first: Timestamp,
    /// How far it was at a time in between, if that is known.
    pub before: Option<Sample>,
    /// How far it is.
    pub now: Sample,
    /// How many of its chunks are worked on, if that is known. Of many workers, each may have been at its chunk for long.
    pub running: Option<u64>,
}

impl Course {
    /// Chunks a second on the whole; `None` if too few are done to tell.
    fn mean(&self) -> Option<f64> {
        let done = self.now.chunks as f64;
        let (count, since) = match self.running {
            // Those that are worked on are half done, by and large.
            Some(running) => (done + running as f64 / 2.0, self.begun),
            // The first chunks were begun before the time that counts.
            None => (done - 1.0, self.first),
        };
        rate(count, self.now.at.0 - since.0).filter(|_| self.now.chunks >= FEWEST)
    }

    /// Chunks a second since the sample before.
    fn recent(&self) -> Option<f64> {
        let before = self.before.filter(|before| self.now.at.0 - before.at.0 >= RECENT && before.at > self.first)?;
        rate(self.now.chunks.checked_sub(before.chunks)? as f64, self.now.at.0 - before.at.0)
    }

    /// The pace in records, of which so many are in a chunk.
    pub fn pace(&self, records_per_chunk: f64) -> Option<Pace> {
        let mean = self.mean()? * records_per_chunk;
        Some(Pace { mean, recent: self.recent().map(|recent| recent * records_per_chunk) })
    }

    /// The time that the rest of so many chunks takes.
    pub fn time_left(&self, chunks: u64) -> Option<TimeLeft> {
        let left = chunks.saturating_sub(self.now.chunks) as f64;
        let running = left.min(self.running.unwrap_or_default() as f64);
        let (mean, recent) = (self.mean()?, self.recent());
        let paces: Vec<f64> = [Some(mean), recent].into_iter().flatten().filter(|pace| *pace > 0.0).collect();
        let (fast, slow) = (paces.iter().copied().fold(0.0, f64::max), paces.iter().copied().fold(f64::MAX, f64::min));
        let likely = recent.filter(|recent| *recent > 0.0).unwrap_or(mean);
        if likely <= 0.0 {
            return None;
        }
        Some(TimeLeft {
            seconds: (left - running / 2.0) / likely,
            least: (left - running * MOST_DONE) / fast * (1.0 - SPREAD),
            most: (left - running * LEAST_DONE) / slow * (1.0 + SPREAD),
        })
    }
}

fn rate(count: f64, milliseconds: i64) -> Option<f64> {
    (milliseconds > 0).then(|| count * 1000.0 / milliseconds as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn course(before: Option<(i64, u64)>, now: (i64, u64)) -> Course {
        let sample = |(seconds, chunks)| Sample { at: Timestamp(seconds * 1000), chunks };
        let (begun, first) = (Timestamp(90_000), Timestamp(100_000));
        Course { begun, first, before: before.map(sample), now: sample(now), running: None }
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
    fn what_is_worked_on_is_half_done() {
        // 200 workers at a chunk each, of which one takes 20 s, and 10 are done each second: from 110 s on.
        let busy = |done: u32, running| {
            let now = (100 + i64::from(done) / 10, u64::from(done));
            Course { running: Some(running), ..course(None, now) }
        };
        assert_eq!(busy(100, 200).pace(1.0), Some(Pace { mean: 10.0, recent: None }));
        let left = busy(100, 200).time_left(500).unwrap();
        assert_eq!((left.seconds, left.least.round(), left.most.round()), (30.0, 21.0, 40.0));
        // The last ones.
        let left = busy(400, 200).time_left(500).unwrap();
        assert_eq!(left.seconds.round(), 5.0);
        assert_eq!(busy(400, 0).time_left(400).unwrap(), TimeLeft { seconds: 0.0, least: 0.0, most: 0.0 });
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
