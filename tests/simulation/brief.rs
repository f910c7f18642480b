//! Invocations that are too short for their work, so that scatter goes on in another one.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use fastrand::Rng;

use super::plan::{Plan, records};
use super::state::{SCATTER, TIMEOUTS};

/// What the brief invocations of a seed are drawn by.
const BRIEF: u64 = 0xb21e_f1a5_71e5_5eed;

/// How often scatter looks at the clock before its time is up, whatever the time: often enough to come further.
#[derive(Debug, Clone, Copy)]
pub struct Brief(u32);

impl Brief {
    /// How long scatter works between two bookmarks.
    pub fn bookmarks_after(self) -> Duration {
        Duration::from_millis(u64::from(self.0) % 40)
    }

    /// The looks at the clock that an invocation has.
    pub fn looks(self) -> Looks {
        Looks(Some(Arc::new(AtomicU32::new(self.0))))
    }
}

/// What is left of an invocation, in looks at the clock; none, if it is not brief.
#[derive(Clone, Default)]
pub struct Looks(Option<Arc<AtomicU32>>);

impl Looks {
    /// The time that a look at the clock tells, given the true one and that when the invocation began.
    pub fn tell(&self, now: i64, began: i64) -> i64 {
        let Some(left) = &self.0 else { return now };
        match left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1)) {
            Ok(_) => now,
            Err(_) => now.max(began + (TIMEOUTS[SCATTER] - 5) * 1000),
        }
    }
}

impl Plan {
    /// The same plan, perhaps with brief invocations of scatter, and with many chunks.
    pub fn brief(mut self) -> Self {
        let mut rng = Rng::with_seed(self.seed ^ BRIEF);
        let (drawn, brief) = (rng.u32(..8) == 0, Brief(rng.u32(36..90)));
        // Pauses before a busy service look at the clock too.
        if !drawn || self.busy.is_some() {
            return self;
        }
        (self.brief, self.chunk_size) = (Some(brief), 1);
        let file = &mut self.files[0];
        if file.parts.is_empty() {
            let many = rng.usize(30..100);
            file.records = records(&mut rng, 0, many);
        }
        self
    }
}
