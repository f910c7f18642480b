//! A standard queue of SQS with message groups, as AWS documents it:
//! <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-fair-queues-detailed.html>.
//! AWS calls its figures approximate; what it does not say is marked.

use std::collections::{BTreeMap, VecDeque};

/// The share of messages in flight, and of working time, above which a group may be noisy.
const SHARE: f64 = 0.1;
/// The messages in flight from which it may be, by the first measure.
const IN_FLIGHT: usize = 30;
/// For how long a group that sends nothing stays noisy, in milliseconds.
const SILENCE: i64 = 300_000;
/// What "recent" working time is, in milliseconds: AWS does not say.
const RECENT: i64 = 60_000;

/// A group of messages.
#[derive(Debug, Default)]
struct Group {
    /// The messages that wait: their number in the queue, and the upload that they belong to.
    waiting: VecDeque<(u64, usize)>,
    in_flight: usize,
    sent_at: i64,
    /// When work on messages began, and how long it takes.
    work: VecDeque<(i64, i64)>,
}

impl Group {
    fn worked(&self, now: i64) -> i64 {
        let within = |(began, takes): &(i64, i64)| (began + takes).min(now) - (*began).max(now - RECENT);
        self.work.iter().map(within).filter(|time| *time > 0).sum()
    }
}

/// The queue. A message without a group is a tenant of its own, which is never noisy.
#[derive(Debug, Default)]
pub struct FairQueue {
    groups: BTreeMap<Option<String>, Group>,
    next: u64,
}

impl FairQueue {
    pub fn send(&mut self, upload: usize, group: Option<String>, now: i64) {
        self.next += 1;
        let group = self.groups.entry(group).or_default();
        group.waiting.push_back((self.next, upload));
        group.sent_at = now;
    }

    /// Takes the next message: the upload that it belongs to, and its group. Those of quiet groups come first, here as they
    /// were sent: AWS does not say in which order. Of noisy groups, the one with the fewest in flight comes first.
    pub fn receive(&mut self, now: i64) -> Option<(usize, Option<String>)> {
        let noisy = self.noisy(now);
        let waiting = || self.groups.iter().filter_map(|(name, group)| Some((group.waiting.front()?.0, name, group)));
        let quiet = waiting().filter(|(_, name, _)| !noisy.contains(name)).min_by_key(|(number, ..)| *number);
        let next = quiet.or_else(|| waiting().min_by_key(|(number, _, group)| (group.in_flight, *number)));
        let name = next.map(|(_, name, _)| name.clone())?;
        let group = self.groups.get_mut(&name)?;
        group.in_flight += 1;
        Some((group.waiting.pop_front()?.1, name))
    }

    /// Notes how long the work on a message that was just received takes.
    pub fn works(&mut self, group: Option<&str>, now: i64, takes: i64) {
        if let Some(group) = self.groups.get_mut(&group.map(str::to_owned)) {
            while group.work.front().is_some_and(|(began, takes)| began + takes < now - RECENT) {
                group.work.pop_front();
            }
            group.work.push_back((now, takes));
        }
    }

    pub fn delete(&mut self, group: Option<&str>) {
        if let Some(group) = self.groups.get_mut(&group.map(str::to_owned)) {
            group.in_flight -= 1;
        }
    }

    fn noisy(&self, now: i64) -> Vec<&Option<String>> {
        let in_flight: usize = self.groups.values().map(|group| group.in_flight).sum();
        let worked: Vec<i64> = self.groups.values().map(|group| group.worked(now)).collect();
        let all: i64 = worked.iter().sum();
        let is_noisy = |(name, group, worked): &(&Option<String>, &Group, &i64)| {
            let share = |part: f64, of: f64| of > 0.0 && part / of > SHARE;
            let crowds = group.in_flight >= IN_FLIGHT && share(group.in_flight as f64, in_flight as f64);
            let held_up = group.waiting.front().is_some() && now - group.sent_at < SILENCE;
            name.is_some() && held_up && (crowds || share(**worked as f64, all as f64))
        };
        let groups = self.groups.iter().zip(&worked).map(|((name, group), worked)| (name, group, worked));
        groups.filter(is_noisy).map(|(name, ..)| name).collect()
    }
}
