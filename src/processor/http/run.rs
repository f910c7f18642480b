//! The records of some chunks: which wait, which are called for, and what is asked of the meter for them.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicI64, AtomicUsize, Ordering};

use futures::FutureExt;
use futures::future::BoxFuture;
use futures::stream::{FuturesUnordered, StreamExt};

use crate::model::error::{Error, ErrorKind, Result};
use crate::model::processing::http::{Rendered, Values};
use crate::model::spent::Spent;
use crate::model::timestamp::Timestamp;
use crate::processor::http::Http;
use crate::processor::http::answer::{Answer, Asked, BODY_BYTES, UNKNOWN, judged, pause};
use crate::processor::http::call::{Called, Times, before, call, wait};
use crate::processor::http::lane::{Moments, Rate, Slots};
use crate::processor::{Chunk, Reply};
use crate::store::Clock;
use crate::store::meter::{Meter, Reserved, Want};
use crate::store::web::{Request, Web};

/// How long before the function gives up what is under way all calls have ended.
const MARGIN: i64 = 500;
/// How often a record gets another connection for one that was closed, before that counts as a try.
const CLOSED: u32 = 3;
/// How long a run waits before it asks the meter again that failed.
const RETRY: i64 = 500;

/// A record that waits or is called for.
#[derive(Debug, Clone, Copy)]
struct Job {
    chunk: usize,
    record: usize,
    asked: Asked,
    /// How often its connection was closed before it was used.
    closed: u32,
}

enum Event {
    Called(Job, Called),
    Reserved(Result<Reserved>),
    Leased(Want, Result<u32>),
    Held(Result<()>),
}

struct Run<'a, W, M, K> {
    http: &'a Http<W, M, K>,
    chunks: &'a [Chunk],
    replies: Vec<Vec<Option<Reply>>>,
    waiting: VecDeque<Job>,
    under_way: usize,
    holding: usize,
    moments: Moments,
    slots: Slots,
    /// How often in a row the API asked for fewer calls without saying until when.
    refused: u32,
    /// What keeps the meter from answering, if it cannot pass.
    broken: Option<Error>,
}

/// Answers for the records of some chunks.
pub async fn work<W: Web, M: Meter, K: Clock>(http: &Http<W, M, K>, chunks: &[Chunk]) -> Vec<Result<Vec<Reply>>> {
    let least = |of: fn(&Chunk) -> Timestamp| chunks.iter().map(of).min().unwrap_or(Timestamp(i64::MAX));
    let rate = Rate::of(http.settings.rate);
    let times = Times {
        late: rate.late,
        timeout: i64::try_from(http.settings.timeout).unwrap_or(i64::MAX),
        until: least(|chunk| chunk.until),
        end: Timestamp(least(|chunk| chunk.deadline).0.saturating_sub(MARGIN)),
        held: AtomicI64::new(i64::MIN),
        slots: AtomicUsize::new(0),
        begun: AtomicUsize::new(0),
    };
    let mut run = Run::new(http, chunks, rate);
    run.all(&times).await;
    run.release(times.end).await;
    run.answers()
}

impl<'a, W: Web, M: Meter, K: Clock> Run<'a, W, M, K> {
    fn new(http: &'a Http<W, M, K>, chunks: &'a [Chunk], rate: Rate) -> Self {
        let now = http.clock.now();
        let holder = format!("{:016x}", (http.clock.chance() * u64::MAX as f64) as u64);
        let mut run = Self {
            http,
            chunks,
            replies: chunks.iter().map(|chunk| vec![None; chunk.records.len()]).collect(),
            waiting: VecDeque::new(),
            under_way: 0,
            holding: 0,
            moments: Moments::new(rate, now),
            slots: Slots::new(http.settings.concurrency, holder, now),
            refused: 0,
            broken: None,
        };
        for (chunk, of) in chunks.iter().enumerate() {
            for (record, tried) in of.records.iter().enumerate() {
                let unsure = tried.tried.unsure;
                let asked = Asked { look_up: unsure && http.settings.look_up.is_some(), unsure };
                let job = Job { chunk, record, asked, closed: 0 };
                // What a record lacks, it lacks without a call.
                match run.request(job) {
                    Ok(_) => run.waiting.push_back(job),
                    Err(reason) => run.reply(job, Reply::Failed(reason)),
                }
            }
        }
        run
    }

    /// The request of a record.
    fn request(&self, job: Job) -> std::result::Result<Request, String> {
        let chunk = &self.chunks[job.chunk];
        let record = &chunk.records[job.record];
        let settings = &self.http.settings;
        let task = chunk.task(record).to_string();
        let values = Values {
            fields: &record.fields,
            task: &task,
            batch: chunk.batch.as_str(),
            index: record.index,
            secrets: &self.http.secrets,
        };
        let look_up = settings.look_up.as_ref().filter(|_| job.asked.look_up).map(|look_up| &look_up.call);
        let template = look_up.unwrap_or(&settings.call);
        let Rendered { method, target, mut headers, body } = template.render(&values)?;
        if look_up.is_none() {
            // Even if it is looked up first, it may have to be sent then.
            headers.push(("Idempotency-Key".to_owned(), format!("\"{task}\"")));
        } else {
            settings.call.render(&values)?;
        }
        Ok(Request { origin: template.url.origin.clone(), method, target, headers, body, most: BODY_BYTES })
    }

    fn reply(&mut self, job: Job, reply: Reply) {
        self.replies[job.chunk][job.record] = Some(reply);
    }

    /// Calls until every record has its reply, or the time is up.
    async fn all(&mut self, times: &'a Times) {
        let mut events = FuturesUnordered::new();
        loop {
            let now = self.http.clock.now();
            self.give_up(times, now);
            if self.waiting.is_empty() && self.under_way + self.holding == 0 && !self.slots.asking {
                return;
            }
            self.plan(&mut events, times, now);
            let wake = self.wake(times, now);
            let event = if events.is_empty() {
                wait(&self.http.clock, wake).await;
                None
            } else {
                before(&self.http.clock, wake, events.next()).await.flatten()
            };
            if let Some(event) = event {
                self.take(event, &mut events, times);
            }
        }
    }

    /// Answers for the records that wait, if none of them can begin any more.
    fn give_up(&mut self, times: &Times, now: Timestamp) {
        let reason = if now >= times.until {
            "no time was left"
        } else if times.held() >= times.until {
            "the API asked for a pause"
        } else if self.broken.is_some() {
            "the meter of the API's rate could not be asked"
        } else {
            return;
        };
        for job in std::mem::take(&mut self.waiting) {
            self.reply(job, Reply::Untried(reason.to_owned()));
        }
    }

    /// For how many records more a moment can be reserved: for those that may be under way, and those that wait for their
    /// connections.
    fn room(&self, now: Timestamp) -> usize {
        let capacity = self.slots.capacity(now);
        let rate = self.http.settings.rate.filter(|_| capacity > 0);
        let ahead = rate.map_or(0, |rate| self.http.timing.ahead(rate).min(capacity));
        (capacity + ahead).saturating_sub(self.under_way).min(self.waiting.len())
    }

    /// How many calls are needed at once: no more than the rate lets begin, so that other functions get theirs.
    fn needed(&self, times: &Times) -> usize {
        let most = self.http.settings.rate.map_or(usize::MAX, |rate| self.http.timing.calls(rate));
        (self.waiting.len() + self.under_way).min(most.max(times.begun.load(Ordering::Relaxed)))
    }

    /// Asks the meter for what is needed.
    fn plan(&mut self, events: &mut FuturesUnordered<BoxFuture<'a, Event>>, times: &'a Times, now: Timestamp) {
        let (http, end) = (self.http, times.end);
        if let Some(want) = self.slots.want(self.needed(times), now) {
            self.slots.asking = true;
            let lease = self.slots.lease.clone();
            let asked = async move {
                let slots = before(&http.clock, end, http.meter.lease(&http.name, &lease, want, now)).await;
                Event::Leased(want, slots.unwrap_or_else(|| Err(Error::transient("the meter does not answer"))))
            };
            events.push(asked.boxed());
        }
        times.slots.store(self.slots.capacity(now), Ordering::Relaxed);
        let room = self.room(now);
        if self.moments.are_free(now, times.held()) {
            (0..room).for_each(|_| self.begin(now, events, times));
            return;
        }
        if room == 0 || self.moments.asking || now < self.moments.after || !self.moments.are_few(now) {
            return;
        }
        self.moments.asking = true;
        let soonest = self.moments.rate.soonest(now, http.timing.lead());
        let (ask, until) = (self.moments.ask(room, soonest, times.until), times.until);
        let asked = async move {
            let reserved = before(&http.clock, until, http.meter.reserve(&http.name, ask, soonest)).await;
            Event::Reserved(reserved.unwrap_or_else(|| Err(Error::transient("the meter does not answer"))))
        };
        events.push(asked.boxed());
    }

    /// When there is something to do, even if nothing happens.
    fn wake(&self, times: &Times, now: Timestamp) -> Timestamp {
        let mut wakes = vec![self.slots.want_at(self.needed(times))];
        if !self.waiting.is_empty() {
            wakes.push(Some(times.until));
            if self.room(now) > 0 && !self.moments.asking {
                wakes.push(self.moments.few_at());
                wakes.push(Some(self.moments.after).filter(|after| *after > now));
            }
        }
        wakes.into_iter().flatten().min().unwrap_or(Timestamp(i64::MAX))
    }

    fn take(&mut self, event: Event, events: &mut FuturesUnordered<BoxFuture<'a, Event>>, times: &'a Times) {
        let (now, chance) = (self.http.clock.now(), self.http.clock.chance());
        match event {
            Event::Reserved(reserved) => {
                self.moments.asking = false;
                match reserved {
                    Ok(Reserved::Granted(moments)) => {
                        self.moments.got(&moments);
                        moments.into_iter().for_each(|moment| self.begin(moment, events, times));
                    }
                    Ok(Reserved::Later(next)) if next >= times.until => {
                        let reason = "the rate left no time for it";
                        for job in std::mem::take(&mut self.waiting) {
                            self.reply(job, Reply::Untried(reason.to_owned()));
                        }
                    }
                    Ok(Reserved::Later(next)) => self.moments.none_before(next, now, chance),
                    Err(error) => {
                        self.moments.after = Timestamp(now.0 + RETRY);
                        self.failed(error);
                    }
                }
            }
            Event::Leased(want, Ok(slots)) => self.slots.got(slots, want, now, chance),
            Event::Leased(_, Err(error)) => {
                self.slots.pause(now, chance);
                self.failed(error);
            }
            Event::Held(held) => {
                self.holding -= 1;
                if let Err(error) = held {
                    tracing::warn!(%error, "other functions do not know of a pause");
                }
            }
            Event::Called(job, called) => {
                self.under_way -= 1;
                self.called(job, called, events, times);
            }
        }
    }

    /// A call of the meter failed: it is made again, unless that is of no use.
    fn failed(&mut self, error: Error) {
        tracing::warn!(%error, "the meter could not be asked");
        if !matches!(error.kind, ErrorKind::Transient | ErrorKind::Busy | ErrorKind::Conflict) {
            self.broken = Some(error);
        }
    }

    /// Begins the call of the record that waits first.
    fn begin(&mut self, moment: Timestamp, events: &mut FuturesUnordered<BoxFuture<'a, Event>>, times: &'a Times) {
        let Some(job) = self.waiting.pop_front() else {
            return;
        };
        match self.request(job) {
            Err(reason) => self.reply(job, Reply::Failed(reason)),
            Ok(request) => {
                let http = self.http;
                self.under_way += 1;
                let called = async move {
                    let called =
                        call((&http.web, &http.clock, &http.spent, &http.timing), times, moment, request).await;
                    Event::Called(job, called)
                };
                events.push(called.boxed());
            }
        }
    }

    /// A call ended.
    fn called(
        &mut self,
        job: Job,
        called: Called,
        events: &mut FuturesUnordered<BoxFuture<'a, Event>>,
        times: &'a Times,
    ) {
        let now = self.http.clock.now();
        let (settings, secrets) = (&self.http.settings, &self.http.secrets);
        let reply = match called {
            Called::Missed => return self.waiting.push_front(job),
            // An API may close connections whenever it likes, but not all of them.
            Called::Closed(_) if job.closed < CLOSED => {
                return self.waiting.push_front(Job { closed: job.closed + 1, ..job });
            }
            Called::Unsent(reason) | Called::Closed(reason) => {
                Reply::Temporary { reason: format!("the API was not reached: {reason}"), unsure: job.asked.unsure }
            }
            Called::Unsure(reason) => Reply::Temporary { reason: format!("{UNKNOWN}: {reason}"), unsure: true },
            Called::Answered(response) => match judged(settings, secrets, job.asked, &response, now) {
                Answer::Reply(reply) => {
                    self.refused = 0;
                    reply
                }
                Answer::Absent => {
                    self.refused = 0;
                    return self.waiting.push_front(Job { asked: Asked { look_up: false, unsure: false }, ..job });
                }
                Answer::Busy(told) => {
                    self.waiting.push_front(job);
                    return self.hold(told, events, times, now);
                }
            },
        };
        self.http.spent.add(Spent { tries: 1, ..Spent::default() });
        self.reply(job, reply);
    }

    /// The API asks for fewer calls.
    fn hold(
        &mut self,
        told: Option<Timestamp>,
        events: &mut FuturesUnordered<BoxFuture<'a, Event>>,
        times: &'a Times,
        now: Timestamp,
    ) {
        let until = match told {
            Some(until) => until,
            // Calls that began before the pause say nothing new.
            None if times.held() > now => return,
            None => {
                let pause = i64::try_from(pause(self.refused).as_millis()).unwrap_or_default();
                self.refused += 1;
                Timestamp(now.0 + pause)
            }
        };
        if until <= times.held() {
            return;
        }
        times.hold(until);
        self.moments.forget();
        self.holding += 1;
        let (http, end) = (self.http, times.end);
        let held = async move {
            let held = before(&http.clock, end, http.meter.hold(&http.name, until)).await;
            Event::Held(held.unwrap_or_else(|| Err(Error::transient("the meter does not answer"))))
        };
        events.push(held.boxed());
    }

    /// Gives back what the run holds.
    async fn release(&mut self, end: Timestamp) {
        let (http, now) = (self.http, self.http.clock.now());
        let Some(limit) = http.settings.concurrency else {
            return;
        };
        let none = Want { slots: 0, limit, until: now };
        let lease = http.meter.lease(&http.name, &self.slots.lease, none, now);
        if let Some(Err(error)) = before(&http.clock, end, lease).await {
            tracing::warn!(%error, "calls are given back by time only");
        }
    }

    fn answers(self) -> Vec<Result<Vec<Reply>>> {
        let untried = || Reply::Untried("it was not its turn".to_owned());
        let answers = self.replies.into_iter().map(|replies| match &self.broken {
            // Replies are not lost for that.
            Some(error) if replies.iter().flatten().all(|reply| matches!(reply, Reply::Untried(_))) => {
                Err(error.again())
            }
            _ => Ok(replies.into_iter().map(|reply| reply.unwrap_or_else(untried)).collect()),
        });
        answers.collect()
    }
}
