//! What a run holds of the meter: calls that may be under way, and when the next may be reserved.

use std::time::Duration;

use crate::model::timestamp::Timestamp;
use crate::store::meter::{Ask, Lease, Want};

/// Calls are spaced wider than the rate asks for, since they do not take the same time to the API: within a window of a
/// second, one may be late by 40 ms and not add to those of the next.
const WIDER: f64 = 1.04;
/// The most that a call may be late for its moment, of a second; the rest of the 40 ms is the network's.
const LATE: Duration = Duration::from_millis(25);
/// For how long moments are reserved at once.
const GROUP: f64 = 1.0;
/// How far ahead of the present moments are reserved at most. Those reserved by a function that dies are lost, and a
/// function that reserved them before the API asked for a pause may still use them.
const AHEAD: i64 = 2_000;
/// For how long calls without a rate may begin once the meter was asked whether the API wants a pause.
const FREE: i64 = 1_000;
/// The most calls that a function has under way: connections take memory and descriptors, of which it has 1,024
/// (<https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html>).
const MOST: usize = 256;
/// How long a lease lasts that nobody renews, and when it is renewed.
const TERM: i64 = 60_000;
const RENEWED: i64 = 30_000;
/// How long a run that holds no calls waits before it asks again, at first and at most: calls that others give back lie
/// idle for so long, and each question is a write.
const SOON: i64 = 50;
const WAITING: i64 = 200;
/// How long a run waits that wants to hold more or fewer than it does.
const SELDOM: i64 = 1_000;

/// What the rate allows.
#[derive(Debug, Clone, Copy)]
pub struct Rate {
    /// The time between two calls.
    pub spacing: Duration,
    /// How late a call may begin.
    pub late: i64,
    group: usize,
}

impl Rate {
    /// The rate of that many calls per second.
    pub fn of(rate: Option<f64>) -> Self {
        let Some(rate) = rate else {
            // Moments are asked for only to obey a pause.
            return Self { spacing: Duration::ZERO, late: i64::MAX / 4, group: MOST };
        };
        let late = LATE.as_millis() as f64 * (1.0 / rate).max(1.0);
        let group = (rate * GROUP).ceil() as usize;
        Self { spacing: Duration::from_secs_f64(WIDER / rate), late: late.min(1e6) as i64, group: group.max(1) }
    }

    /// The soonest moment that a call can keep whose connection takes so long.
    pub fn soonest(&self, now: Timestamp, lead: i64) -> Timestamp {
        if self.spacing.is_zero() { now } else { Timestamp(now.0 + lead) }
    }

    fn time_of(&self, calls: usize) -> i64 {
        let calls = u32::try_from(calls).unwrap_or(u32::MAX);
        i64::try_from(self.spacing.saturating_mul(calls).as_millis()).unwrap_or(i64::MAX / 4)
    }
}

/// How a run gets its moments.
#[derive(Debug)]
pub struct Moments {
    /// What the rate allows.
    pub rate: Rate,
    /// Whether some are being asked for.
    pub asking: bool,
    /// When to ask again, after there were none.
    pub after: Timestamp,
    /// When the next may be free, as far as is known.
    next: Timestamp,
    /// Without a rate, until when calls may begin as they please.
    free: Timestamp,
    /// The moments to come of those that were reserved.
    coming: Vec<Timestamp>,
}

impl Moments {
    pub fn new(rate: Rate, now: Timestamp) -> Self {
        Self { rate, asking: false, after: now, next: now, free: now, coming: Vec::new() }
    }

    /// What to ask for, for so many calls: as many moments as a group has and the time leaves.
    pub fn ask(&self, calls: usize, now: Timestamp, until: Timestamp) -> Ask {
        let mut calls = calls.min(self.rate.group).max(1);
        let left = until.0.saturating_sub(now.max(self.next).0);
        while calls > 1 && self.rate.time_of(calls - 1) > left {
            calls -= 1;
        }
        let latest = until.0.saturating_sub(self.rate.time_of(calls - 1)).min(now.0 + AHEAD);
        Ask { calls: u32::try_from(calls).unwrap_or(1), spacing: self.rate.spacing, latest: Timestamp(latest) }
    }

    /// Whether most of what was reserved is used, so that more is needed.
    pub fn are_few(&mut self, now: Timestamp) -> bool {
        self.coming.retain(|moment| *moment > now);
        self.coming.len() * 2 <= self.rate.group
    }

    /// When they will be few.
    pub fn few_at(&self) -> Option<Timestamp> {
        let over = self.coming.len().checked_sub(self.rate.group / 2 + 1)?;
        self.coming.get(over).copied()
    }

    /// Some were reserved.
    pub fn got(&mut self, moments: &[Timestamp]) {
        if let Some(last) = moments.last().filter(|_| self.rate.spacing.is_zero()) {
            self.free = Timestamp(last.0 + FREE);
        }
        self.coming.extend(moments);
        self.after = Timestamp(0);
    }

    /// Whether calls may begin as they please: there is no rate, and the API wanted no pause of late.
    pub fn are_free(&self, now: Timestamp, held: Timestamp) -> bool {
        self.rate.spacing.is_zero() && now < self.free && held < now
    }

    /// Some that were reserved will not be used.
    pub fn forget(&mut self) {
        self.coming.clear();
    }

    /// There were none before `next`: asks again early enough for that one, and not at the same time as others do.
    pub fn none_before(&mut self, next: Timestamp, now: Timestamp, chance: f64) {
        let wake = next.0 - AHEAD + (AHEAD as f64 * 0.75 * chance) as i64;
        self.after = Timestamp(wake.max(now.0 + 50));
        self.next = next;
    }
}

/// How many calls a run may have under way.
#[derive(Debug)]
pub struct Slots {
    /// The most that all functions may have; `None` for no limit.
    limit: Option<u32>,
    /// What the run holds of it.
    pub lease: Lease,
    /// Whether a change of it is under way.
    pub asking: bool,
    /// When to ask for more again.
    pub after: Timestamp,
    ends: Timestamp,
    /// How long to wait if none are left once more.
    wait: i64,
}

impl Slots {
    pub fn new(limit: Option<u32>, holder: String, now: Timestamp) -> Self {
        Self { limit, lease: Lease { holder, slots: 0 }, asking: false, after: now, ends: now, wait: SOON }
    }

    /// How many calls may be under way now.
    pub fn capacity(&self, now: Timestamp) -> usize {
        match self.limit {
            None => MOST,
            Some(_) if now >= self.ends => 0,
            Some(_) => self.lease.slots as usize,
        }
    }

    /// What to ask for, if anything, for so many calls.
    pub fn want(&self, calls: usize, now: Timestamp) -> Option<Want> {
        let limit = self.limit?;
        let slots = u32::try_from(calls.min(MOST)).unwrap_or(limit).min(limit);
        let due = now >= self.after && slots != self.lease.slots;
        let renewal = self.lease.slots > 0 && now.0 >= self.ends.0 - RENEWED;
        (!self.asking && (due || renewal)).then_some(Want { slots, limit, until: Timestamp(now.0 + TERM) })
    }

    /// When to ask again for so many calls.
    pub fn want_at(&self, calls: usize) -> Option<Timestamp> {
        let limit = self.limit.filter(|_| !self.asking)?;
        let renewal = (self.lease.slots > 0).then_some(Timestamp(self.ends.0 - RENEWED));
        let more = (calls.min(limit as usize).min(MOST) != self.lease.slots as usize).then_some(self.after);
        [renewal, more].into_iter().flatten().min()
    }

    /// A change was answered.
    pub fn got(&mut self, slots: u32, want: Want, now: Timestamp, chance: f64) {
        self.lease.slots = slots;
        self.ends = want.until;
        self.pause(now, chance);
    }

    /// Waits before the next change.
    pub fn pause(&mut self, now: Timestamp, chance: f64) {
        self.asking = false;
        let (least, most) = match self.lease.slots {
            0 => (self.wait / 2, self.wait),
            _ => (SELDOM / 4, SELDOM),
        };
        self.wait = if self.lease.slots == 0 { (self.wait * 2).min(WAITING) } else { SOON };
        self.after = Timestamp(now.0 + least + ((most - least) as f64 * chance) as i64);
    }
}
