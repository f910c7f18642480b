//! One call: a connection ahead of its moment, the request at its moment, and its response within its time.

use std::future::Future;
use std::pin::pin;
use std::sync::atomic::{AtomicI64, AtomicUsize, Ordering};
use std::time::Duration;

use futures::future::{Either, select};

use crate::model::spent::Spent;
use crate::model::timestamp::Timestamp;
use crate::processor::tally::Tally;
use crate::store::Clock;
use crate::store::web::{Request, Response, Web, WebError};

/// What calls took of late, which outlives a run.
#[derive(Debug)]
pub struct Timing {
    /// How long before its moment a call asks for a connection, in milliseconds: twice as long as one took that took
    /// long. A call whose moment is nearer would be late for it.
    lead: AtomicI64,
    /// How long a call takes, in milliseconds: a moving mean.
    call: AtomicI64,
}

/// Before anything is known: a handshake across an ocean, and a slow API.
const FIRST_LEAD: i64 = 300;
const FIRST_CALL: i64 = 300;
const LEAST_LEAD: i64 = 20;
const MOST_LEAD: i64 = 5_000;

impl Default for Timing {
    fn default() -> Self {
        Self { lead: AtomicI64::new(FIRST_LEAD), call: AtomicI64::new(FIRST_CALL) }
    }
}

impl Timing {
    /// How long before its moment a call asks for a connection, in milliseconds.
    pub fn lead(&self) -> i64 {
        self.lead.load(Ordering::Relaxed)
    }

    /// How many calls wait for their connection, in a function that has a whole rate for itself.
    pub fn ahead(&self, rate: f64) -> usize {
        (rate * self.lead() as f64 / 1000.0).ceil() as usize
    }

    /// How many calls are under way, in a function that has a whole rate for itself, with some to spare.
    pub fn calls(&self, rate: f64) -> usize {
        (rate * self.call.load(Ordering::Relaxed) as f64 / 1000.0 * 1.5) as usize + 2
    }

    /// A connection took so long.
    fn connected(&self, milliseconds: i64) {
        let lead = (2 * milliseconds).max(self.lead() * 9 / 10).clamp(LEAST_LEAD, MOST_LEAD);
        self.lead.store(lead, Ordering::Relaxed);
    }

    /// A call took so long.
    fn ended(&self, milliseconds: i64) {
        let mean = (self.call.load(Ordering::Relaxed) * 9 + milliseconds) / 10;
        self.call.store(mean, Ordering::Relaxed);
    }
}

/// How often a call looks whether another one has ended.
const LOOK: Duration = Duration::from_millis(5);

/// What became of a call.
#[derive(Debug)]
pub enum Called {
    /// It did not begin: it was late for its moment, or the API had asked for a pause.
    Missed,
    /// Its connection was closed before the request was sent, for this reason.
    Closed(String),
    /// The request did not reach the API, for this reason.
    Unsent(String),
    /// The request may have reached the API; there is no response, for this reason.
    Unsure(String),
    /// There is a response.
    Answered(Response),
}

/// When calls may begin and end.
#[derive(Debug)]
pub struct Times {
    /// How late a call may begin.
    pub late: i64,
    /// How long it may take.
    pub timeout: i64,
    /// When none begins any more.
    pub until: Timestamp,
    /// When all must have ended.
    pub end: Timestamp,
    /// Until when the API wants to be left alone.
    pub held: AtomicI64,
    /// How many calls may be under way; those that wait for their connection or their moment are not.
    pub slots: AtomicUsize,
    /// How many are.
    pub begun: AtomicUsize,
}

/// A call that is under way; it ends when this is dropped.
struct UnderWay<'a>(&'a Times);

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        self.0.begun.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Times {
    /// Until when the API wants to be left alone.
    pub fn held(&self) -> Timestamp {
        Timestamp(self.held.load(Ordering::Relaxed))
    }

    /// Lets no call begin before then.
    pub fn hold(&self, until: Timestamp) {
        self.held.fetch_max(until.0, Ordering::Relaxed);
    }

    /// Counts a call as under way, if there is room for it.
    fn begin(&self) -> Option<UnderWay<'_>> {
        let room = |begun: usize| (begun < self.slots.load(Ordering::Relaxed)).then_some(begun + 1);
        self.begun.fetch_update(Ordering::Relaxed, Ordering::Relaxed, room).ok().map(|_| UnderWay(self))
    }

    fn allow(&self, moment: Timestamp, now: Timestamp) -> bool {
        now.0 <= moment.0.saturating_add(self.late) && now < self.until && moment >= self.held()
    }
}

/// What a future comes to before a moment; `None` if that is first.
pub async fn before<T>(clock: &impl Clock, moment: Timestamp, work: impl Future<Output = T>) -> Option<T> {
    let left = moment.0.saturating_sub(clock.now().0).clamp(0, i64::from(u32::MAX));
    let passed = pin!(clock.sleep(Duration::from_millis(u64::try_from(left).unwrap_or_default())));
    match select(pin!(work), passed).await {
        Either::Left((done, _)) => Some(done),
        Either::Right(_) => None,
    }
}

/// Waits until a moment.
pub async fn wait(clock: &impl Clock, moment: Timestamp) {
    if moment > clock.now() {
        before(clock, moment, std::future::pending::<()>()).await;
    }
}

/// Begins a call at its moment, or when another one has ended that is under way still, but not too late.
async fn begin<'a>(clock: &impl Clock, times: &'a Times, moment: Timestamp) -> Option<(UnderWay<'a>, Timestamp)> {
    loop {
        let now = clock.now();
        if !times.allow(moment, now) {
            return None;
        }
        if let Some(under_way) = times.begin() {
            return Some((under_way, now));
        }
        clock.sleep(LOOK).await;
    }
}

/// Makes a call at its moment.
pub async fn call<W: Web, K: Clock>(
    (web, clock, spent, timing): (&W, &K, &Tally, &Timing),
    times: &Times,
    moment: Timestamp,
    request: Request,
) -> Called {
    wait(clock, Timestamp(moment.0 - timing.lead())).await;
    let asked = clock.now();
    if !times.allow(moment, asked) {
        return Called::Missed;
    }
    let limit = Timestamp(asked.0.saturating_add(times.timeout).min(times.end.0));
    let line = match before(clock, limit, web.line(&request.origin)).await {
        Some(Ok(line)) => line,
        Some(Err(WebError::Unsent(reason) | WebError::Unsure(reason))) => return Called::Unsent(reason),
        None => return Called::Unsent("it took no connection in time".to_owned()),
    };
    timing.connected(clock.now().0 - asked.0);
    wait(clock, moment).await;
    let Some((_under_way, began)) = begin(clock, times, moment).await else {
        return Called::Missed;
    };
    let limit = began.0.saturating_add(times.timeout);
    let sent = before(clock, Timestamp(limit.min(times.end.0)), web.send(line, request)).await;
    let took = clock.now().0 - began.0;
    timing.ended(took);
    let milliseconds = u64::try_from(took).unwrap_or_default();
    spent.add(Spent { calls: 1, milliseconds, ..Spent::default() });
    match sent {
        Some(Ok(response)) => Called::Answered(response),
        Some(Err(WebError::Unsent(reason))) => Called::Closed(reason),
        Some(Err(WebError::Unsure(reason))) => Called::Unsure(reason),
        None if limit <= times.end.0 => {
            Called::Unsure(format!("it did not answer within {} s", times.timeout as f64 / 1000.0))
        }
        None => Called::Unsure("it did not answer before the time of the function ended".to_owned()),
    }
}
