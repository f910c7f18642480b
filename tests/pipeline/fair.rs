//! How long a small upload waits behind a huge one: the messages that fanfold sends, in a model of a queue that is fair
//! as AWS documents it, with workers in virtual time. No emulator has such a queue.

mod queue;

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use fanfold::batch::dispatch::{self, Dispatch, FanOut};
use fanfold::model::condition::Condition;
use fanfold::model::error::Result;
use fanfold::model::fair::FairBy;
use fanfold::model::ids::{BatchId, ChunkIndex, Revision};
use fanfold::model::input::InputRef;
use fanfold::model::progress::Opening;
use fanfold::model::timestamp::Timestamp;
use fanfold::store::channel::{Channel, Delivery, Group, Outgoing};
use fastrand::Rng;
use futures::FutureExt;

use queue::FairQueue;

const HUGE: u32 = 10_000;
const SMALL: u32 = 10;
/// Workers at once: as few as a new account has, up to as many as a queue may have by default.
const WORKERS: [usize; 5] = [2, 5, 16, 100, 1_000];
/// How long the work on a chunk takes, in milliseconds.
const WORK: std::ops::Range<i64> = 500..1_500;
const MINUTE: i64 = 60_000;

/// A channel that keeps what is sent.
#[derive(Clone, Default)]
struct Kept(Arc<Mutex<Vec<Outgoing>>>);

impl Channel for Kept {
    async fn send(&self, messages: Vec<Outgoing>) -> Result<()> {
        self.0.lock().unwrap().extend(messages);
        Ok(())
    }

    async fn receive(&self, _: usize) -> Result<Vec<Delivery>> {
        Ok(Vec::new())
    }

    async fn delete(&self, _: &str) -> Result<()> {
        Ok(())
    }

    async fn release(&self, _: &str, _: Duration) -> Result<()> {
        Ok(())
    }
}

/// The groups of the messages by which the workers learn of an upload's chunks.
fn groups(key: &str, chunks: u32, fair_by: FairBy) -> Vec<Option<String>> {
    let id = BatchId::of("input", key, &Revision::Version("1".to_owned()));
    let input = InputRef {
        bucket: "input".to_owned(),
        key: key.to_owned(),
        version_id: Some("1".to_owned()),
        e_tag: None,
        bytes: 1,
        format: None,
        read_as: None,
    };
    let opening = Opening {
        id,
        variant: "chunked".to_owned(),
        input,
        condition: Condition::Tree,
        ranged: false,
        rules: None,
        only: None,
        chunk_size: 1,
        started_at: Timestamp(0),
        sequence: Timestamp(0),
    };
    let kept = Kept::default();
    let workers = Dispatch { channel: kept.clone(), fan_out: FanOut::Messages, fair_by };
    let checks = (0..chunks).map(|chunk| dispatch::copied(&opening, ChunkIndex::new(chunk).unwrap(), 1).unwrap());
    workers.fan_out(&opening, checks.collect()).now_or_never().unwrap().unwrap();
    let sent = std::mem::take(&mut *kept.0.lock().unwrap());
    let group = |message: Outgoing| match message.group {
        Some(Group::Fair(group)) => Some(group),
        other => panic!("{other:?} is no group of a fair queue"),
    };
    sent.into_iter().map(group).collect()
}

/// An upload: when it is scattered, and the groups of its messages.
struct Upload {
    at: i64,
    groups: Vec<Option<String>>,
}

impl Upload {
    /// The same, by a fanfold that sends no groups.
    fn alike(&self) -> Self {
        Self { at: self.at, groups: vec![None; self.groups.len()] }
    }
}

/// The milliseconds from when the last of some uploads is scattered until the last of its chunks is done, with that
/// many workers.
fn waiting(uploads: &[Upload], workers: usize) -> i64 {
    let mut rng = Rng::with_seed(7);
    let (mut queue, mut free, mut next) = (FairQueue::default(), BinaryHeap::new(), 0);
    free.extend((0..workers).map(|worker| Reverse((0, worker, None::<(usize, Option<String>)>))));
    let (last, mut left) = (uploads.len() - 1, uploads.last().map_or(0, |upload| upload.groups.len()));
    let mut idle = Vec::new();
    loop {
        let due = uploads.get(next).map(|upload| upload.at);
        let ended = free.peek().map(|Reverse((at, ..))| *at);
        let now = due.into_iter().chain(ended).min().unwrap();
        if due == Some(now) {
            uploads[next].groups.iter().for_each(|group| queue.send(next, group.clone(), now));
            next += 1;
            free.extend(idle.drain(..).map(|worker| Reverse((now, worker, None))));
            continue;
        }
        let Some(Reverse((_, worker, done))) = free.pop() else { continue };
        if let Some((upload, group)) = done {
            queue.delete(group.as_deref());
            left -= usize::from(upload == last);
            if left == 0 {
                return now - uploads[last].at;
            }
        }
        let Some((upload, group)) = queue.receive(now) else {
            idle.push(worker);
            continue;
        };
        let takes = rng.i64(WORK);
        queue.works(group.as_deref(), now, takes);
        free.push(Reverse((now + takes, worker, Some((upload, group)))));
    }
}

/// How many times longer a small upload takes behind a huge one than alone, with groups and without.
fn factors(huge: &str, small: &str, fair_by: FairBy, workers: usize, at: i64) -> (f64, f64) {
    let small = |at| Upload { at, groups: groups(small, SMALL, fair_by) };
    let alone = waiting(&[small(0)], workers) as f64;
    let both = [Upload { at: 0, groups: groups(huge, HUGE, fair_by) }, small(at)];
    let without = both.each_ref().map(Upload::alike);
    (waiting(&both, workers) as f64 / alone, waiting(&without, workers) as f64 / alone)
}

/// When a tenth of a huge upload is done, but no later than its group counts as noisy without sending more.
fn midway(workers: usize) -> i64 {
    (i64::from(HUGE) * 100 / workers as i64).min(4 * MINUTE)
}

#[test]
fn a_small_upload_is_not_starved_by_a_huge_one() {
    for workers in WORKERS {
        let (with, without) = factors("huge.csv", "small.csv", FairBy::Batch, workers, midway(workers));
        println!("{workers} workers: {with:.1} times as long as alone with groups, {without:.1} times without");
        assert!(with <= 3.0, "{workers} workers: {with}");
        assert!(without > 3.0, "{workers} workers: the model shows no starving: {without}");
    }
}

#[test]
fn by_prefix_the_files_of_one_sender_share_one_turn() {
    for workers in WORKERS {
        let at = midway(workers);
        let (other, _) = factors("acme/huge.csv", "umbrella/small.csv", FairBy::Prefix, workers, at);
        let (own, without) = factors("acme/huge.csv", "acme/small.csv", FairBy::Prefix, workers, at);
        println!("{workers} workers: {other:.1} times as long as alone for another sender, {own:.1} for the same");
        assert!(other <= 3.0, "{workers} workers: {other}");
        assert!((own / without - 1.0).abs() < 0.1, "{workers} workers: {own} and {without}");
    }
}

/// AWS takes a group for quiet again after five minutes without new messages, whatever it has in the queue.
#[test]
fn a_backlog_that_nobody_adds_to_is_not_held_back_after_five_minutes() {
    let (with, without) = factors("huge.csv", "small.csv", FairBy::Batch, 16, 6 * MINUTE);
    println!("16 workers, after six minutes: {with:.1} times as long as alone with groups, {without:.1} times without");
    assert!((with / without - 1.0).abs() < 0.1, "{with} and {without}");
}
