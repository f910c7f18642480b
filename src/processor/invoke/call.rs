//! One call of the function, until it is answered or there is no time left.

use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::Semaphore;

use crate::model::error::Error;
use crate::model::spent::Spent;
use crate::model::timestamp::Timestamp;
use crate::processor::invoke::spelling::Spelling;
use crate::processor::invoke::task::Task;
use crate::processor::invoke::text;
use crate::processor::tally::Tally;
use crate::processor::{Chunk, Reply};
use crate::store::Clock;
use crate::store::function::{CallError, Function, Returned};

/// How long before the function of fanfold gives up the calls are over: the time to keep what they answered.
const MARGIN_MS: i64 = 1000;
/// The longest that a function can run, and some more for the way there and back
/// (<https://docs.aws.amazon.com/lambda/latest/dg/configuration-timeout.html>).
const LONGEST_CALL_MS: i64 = 930_000;
/// How often in a row a call is made again that did not reach the function.
const MOST_REPEATS: u32 = 3;
/// The limit of the first pause, and the highest limit.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// Who calls the function.
#[derive(Debug)]
pub(super) struct Caller<F, K> {
    pub function: F,
    pub clock: K,
    /// As many as calls may be under way.
    pub permits: Semaphore,
    pub tally: Tally,
    pub patience: Patience,
}

/// How long calls took of late, and how much time there is for one: so that none is begun that would be given up.
#[derive(Debug, Default)]
pub(super) struct Patience {
    /// What a call takes that takes long, in milliseconds.
    call: AtomicI64,
    /// The most time that there was for a call, in milliseconds.
    most: AtomicI64,
}

impl Patience {
    /// Whether a call is begun that has so many milliseconds. One with at least half of the time that there can be is,
    /// whatever calls took, since another delivery would hardly have more.
    fn is_enough(&self, left: i64) -> bool {
        let most = self.most.fetch_max(left, Ordering::Relaxed).max(left);
        let call = self.call.load(Ordering::Relaxed);
        if left >= call || left >= most / 2 {
            return left > 0;
        }
        // What took long once is forgotten, so that no delivery after another is refused for it.
        self.call.store(call * 9 / 10, Ordering::Relaxed);
        false
    }

    /// A call took so long.
    fn ended(&self, milliseconds: i64) {
        let long = (self.call.load(Ordering::Relaxed) * 9 / 10).max(milliseconds);
        self.call.store(long, Ordering::Relaxed);
    }
}

/// That the function is gone, denied or misconfigured. No further call is made then.
#[derive(Debug, Default)]
pub(super) struct Refusal(Mutex<Option<Error>>);

impl Refusal {
    pub fn get(&self) -> Option<Error> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).as_ref().map(Error::again)
    }

    fn set(&self, error: Error) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(error);
    }
}

/// What became of a call.
enum Ended {
    /// There is a reply to each of its tasks.
    Replied(Vec<Reply>),
    /// It, or its answer, was too large. If it had one task only, this is the reply.
    TooLarge(Reply),
    /// There is no such function to be called.
    Refused(Error),
}

/// When nobody waits any more for an answer to a call that is made for a chunk.
pub(super) fn gives_up(chunk: &Chunk) -> Timestamp {
    Timestamp(chunk.deadline.0.saturating_sub(MARGIN_MS))
}

impl<F: Function, K: Clock> Caller<F, K> {
    /// Calls the function for tasks of a chunk, and returns the replies with the places of their records. There are
    /// fewer if the function refuses to be called.
    pub async fn call(
        &self,
        spelling: Spelling<'_>,
        chunk: &Chunk,
        tasks: Vec<Task>,
        refusal: &Refusal,
    ) -> Vec<(usize, Reply)> {
        // It is never closed.
        let _permit = self.permits.acquire().await;
        let (mut parts, mut replies) = (vec![tasks], Vec::new());
        while let Some(mut part) = parts.pop() {
            if refusal.get().is_some() {
                break;
            }
            match self.ask(spelling, chunk, &part).await {
                Ended::Replied(some) => replies.extend(part.iter().map(|task| task.place).zip(some)),
                Ended::TooLarge(_) if part.len() > 1 => {
                    let second = part.split_off(part.len() / 2);
                    parts.extend([second, part]);
                }
                Ended::TooLarge(reply) => replies.extend(part.iter().map(|task| (task.place, reply.clone()))),
                Ended::Refused(error) => refusal.set(error),
            }
        }
        replies
    }

    async fn ask(&self, spelling: Spelling<'_>, chunk: &Chunk, tasks: &[Task]) -> Ended {
        let all = |reply: Reply| Ended::Replied(vec![reply; tasks.len()]);
        let request = match spelling.request(chunk, gives_up(chunk), tasks) {
            Ok(request) => request,
            Err(error) => return Ended::Refused(error),
        };
        let (mut pauses, mut repeats, mut because) = (0, 0, text::no_time());
        loop {
            let now = self.clock.now();
            let left = gives_up(chunk).0.saturating_sub(now.0).min(LONGEST_CALL_MS);
            let patience = Duration::from_millis(u64::try_from(left).unwrap_or_default());
            if now >= chunk.until || !self.patience.is_enough(left) {
                return all(Reply::Untried(because));
            }
            match self.once(request.clone(), patience, now, tasks.len()).await {
                Ok(returned) => return read(spelling, &returned, tasks),
                Err(CallError::Throttled(words)) => because = text::throttled(&words),
                Err(CallError::NotRun(_)) if repeats < MOST_REPEATS => repeats += 1,
                Err(CallError::NotRun(words)) => return all(Reply::temporary(text::not_called(&words))),
                Err(CallError::Unknown(words)) => {
                    return all(Reply::Temporary { reason: text::unknown(&words), unsure: true });
                }
                Err(CallError::TooLarge) => return Ended::TooLarge(Reply::Failed(text::too_large())),
                Err(CallError::Refused(error)) => return Ended::Refused(error),
            }
            self.pause(chunk, pauses).await;
            pauses += 1;
        }
    }

    /// Calls once, and counts what it took.
    async fn once(
        &self,
        request: Bytes,
        patience: Duration,
        begun: Timestamp,
        tasks: usize,
    ) -> Result<Returned, CallError> {
        let answer = self.function.invoke(request, patience).await;
        let (billed, version) = match &answer {
            Ok(returned) => (returned.billed, returned.version.clone()),
            Err(CallError::Unknown(_)) => (None, None),
            Err(_) => return answer,
        };
        let taken = self.clock.now().0 - begun.0;
        self.patience.ended(taken);
        self.tally.add(Spent {
            calls: 1,
            tries: tasks as u64,
            milliseconds: u64::try_from(taken).unwrap_or_default(),
            billed_mb_ms: billed.map(|billed| billed.milliseconds * billed.memory_mb),
            versions: version.into_iter().collect(),
        });
        answer
    }

    /// A pause of random length, within the time that is left for calls to begin.
    async fn pause(&self, chunk: &Chunk, before: u32) {
        let most = FIRST_PAUSE.saturating_mul(1 << before.min(16)).min(LONGEST_PAUSE);
        let left = chunk.until.0.saturating_sub(self.clock.now().0);
        let left = Duration::from_millis(u64::try_from(left).unwrap_or_default());
        self.clock.sleep(most.min(left).mul_f64(self.clock.chance())).await;
    }
}

fn read(spelling: Spelling<'_>, returned: &Returned, tasks: &[Task]) -> Ended {
    if returned.error.is_none() {
        return Ended::Replied(spelling.answers(&returned.payload, tasks));
    }
    let failure = text::Failure::read(&returned.payload);
    let reply = Reply::Temporary { reason: failure.to_string(), unsure: failure.is_unsure() };
    if failure.is_too_large() { Ended::TooLarge(reply) } else { Ended::Replied(vec![reply; tasks.len()]) }
}
