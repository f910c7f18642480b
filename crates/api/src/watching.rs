//! Waiting for a batch: all who wait for it in one process share the looks at the ledger, so that a thousand clients cost no more
//! than one.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::http::StatusCode;
use tokio::sync::Notify;
use tokio::sync::watch::{Receiver, Sender};
use tokio::time::{Instant, sleep_until, timeout};

use crate::problem::{Problem, Result};

/// The ledger has no events that a client could await, so it is looked at: often while something changes, then less so, and for
/// whoever comes at once, though no more often than `shortest`.
#[derive(Debug, Clone, Copy)]
struct Pauses {
    shortest: Duration,
    first: Duration,
    longest: Duration,
}

impl Default for Pauses {
    fn default() -> Self {
        Self {
            shortest: Duration::from_millis(100),
            first: Duration::from_millis(500),
            longest: Duration::from_secs(5),
        }
    }
}

/// Looks in a row that may fail before those who wait are told.
const FAILURES: u32 = 3;

/// The document of a batch as text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Document {
    pub text: String,
    /// Changes whenever the batch does: not with the time alone, of which pace and time left are made.
    pub tag: String,
    /// Changes with each number that is shown.
    pub print: String,
    pub is_final: bool,
    /// How long whoever asks again should wait at least, in seconds; `None` once it is closed.
    pub again_in: Option<u64>,
}

/// What a look came to; nothing within if the batch is not known.
pub type Found = Result<Option<Arc<Document>>>;

/// A look, by its number from 1.
#[derive(Debug, Clone, Default)]
struct Look {
    number: u64,
    found: Option<Found>,
}

/// A batch or a report, by its pipeline and id.
pub type Watched = (String, String);

/// A batch that somebody waits for.
#[derive(Debug)]
struct Entry {
    looks: Sender<Look>,
    /// How many looks were begun.
    begun: AtomicU64,
    /// Told when somebody comes, who is not to be told what was seen before.
    hurry: Notify,
}

type Entries = HashMap<Watched, Arc<Entry>>;

/// The batches that somebody waits for.
#[derive(Debug, Default)]
pub struct Watching {
    entries: Arc<Mutex<Entries>>,
    pauses: Pauses,
}

fn locked(entries: &Mutex<Entries>) -> MutexGuard<'_, Entries> {
    entries.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Takes an entry out when its batch is not looked at any more, whatever the reason.
struct Kept {
    entries: Arc<Mutex<Entries>>,
    watched: Watched,
    entry: Arc<Entry>,
}

impl Kept {
    /// Takes the entry out if nobody follows it, or if it is `over`, and returns whether it did.
    fn leave(&self, over: bool) -> bool {
        // Whoever comes meanwhile follows this entry or begins anew.
        let mut entries = locked(&self.entries);
        let leaves = over || self.entry.looks.is_closed();
        if leaves && entries.get(&self.watched).is_some_and(|known| Arc::ptr_eq(known, &self.entry)) {
            entries.remove(&self.watched);
        }
        leaves
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        self.leave(true);
    }
}

/// What a client follows: looks that began after it came.
#[derive(Debug)]
pub struct Following {
    looks: Receiver<Look>,
    after: u64,
}

impl Watching {
    /// Follows a batch, at which `look` looks: from now on, unless others follow it already. It is looked at until it is
    /// closed, or nobody follows it any more.
    pub fn follow<F>(&self, watched: Watched, look: impl Fn() -> F + Send + 'static) -> Following
    where
        F: Future<Output = Result<Option<Document>>> + Send + 'static,
    {
        let mut entries = locked(&self.entries);
        // What nobody follows is not looked at any more: a function may have stood still for hours.
        if let Some(entry) = entries.get(&watched).filter(|entry| !entry.looks.is_closed()) {
            let looks = entry.looks.subscribe();
            entry.hurry.notify_one();
            return Following { looks, after: entry.begun.load(Ordering::SeqCst) };
        }
        let (sender, looks) = tokio::sync::watch::channel(Look::default());
        let entry = Arc::new(Entry { looks: sender, begun: AtomicU64::new(0), hurry: Notify::new() });
        entries.insert(watched.clone(), entry.clone());
        let kept = Kept { entries: self.entries.clone(), watched, entry };
        tokio::spawn(keep_looking(kept, self.pauses, look));
        Following { looks, after: 0 }
    }
}

async fn keep_looking<F>(kept: Kept, pauses: Pauses, look: impl Fn() -> F)
where
    F: Future<Output = Result<Option<Document>>>,
{
    let (mut pause, mut failures, entry) = (pauses.first, 0, kept.entry.clone());
    while !kept.leave(false) {
        let (began, number) = (Instant::now(), entry.begun.fetch_add(1, Ordering::SeqCst) + 1);
        let found = look().await.map(|found| found.map(Arc::new));
        let passes = found.as_ref().is_err_and(|problem| problem.status == StatusCode::SERVICE_UNAVAILABLE);
        failures = if passes { failures + 1 } else { 0 };
        // A service that is busy for a moment is asked again, and not by all who wait at once.
        if passes && failures < FAILURES && entry.looks.borrow().found.is_some() {
            pause = pauses.first * failures;
        } else {
            let over = found.as_ref().map_or(true, |found| found.as_ref().is_some_and(|document| document.is_final));
            let changed = print(entry.looks.borrow().found.as_ref()) != print(Some(&found));
            entry.looks.send_replace(Look { number, found: Some(found) });
            if over {
                return;
            }
            pause = if changed { pauses.first } else { (pause * 3 / 2).min(pauses.longest) };
        }
        tokio::select! {
            () = sleep_until(began + pause) => {}
            () = entry.looks.closed() => {}
            () = entry.hurry.notified() => sleep_until(began + pauses.shortest).await,
        }
    }
}

/// What tells a look from another.
fn print(found: Option<&Found>) -> Option<&str> {
    found?.as_ref().ok()?.as_ref().map(|document| document.print.as_str())
}

impl Following {
    /// What a look came to that began after this client came.
    fn fresh(&self, look: &Look) -> Option<Found> {
        look.found.clone().filter(|_| look.number > self.after)
    }

    /// What there is; waits for the first look.
    pub async fn now(&mut self) -> Found {
        self.next_that(|_| true).await
    }

    /// What there is once a look is as wanted.
    async fn next_that(&mut self, wanted: impl Fn(&Found) -> bool) -> Found {
        loop {
            let seen = self.looks.borrow_and_update().clone();
            match self.fresh(&seen) {
                Some(found) if wanted(&found) => return found,
                _ if self.looks.changed().await.is_ok() => {}
                // The last look was the end, whenever it began.
                _ => return seen.found.unwrap_or_else(|| Err(silent())),
            }
        }
    }

    /// The next document that is shown otherwise than `last`; `None` after a failure.
    pub async fn changed_from(&mut self, last: Option<&str>) -> Option<Arc<Document>> {
        let other = |found: &Found| match found {
            Ok(found) => found.as_ref().is_some_and(|document| last != Some(document.print.as_str())),
            Err(_) => true,
        };
        self.next_that(other).await.ok().flatten().filter(|document| last != Some(document.print.as_str()))
    }

    /// Waits until the batch is as `wanted`, at most for `wait`, and returns what there is then. It takes at least until the
    /// first look, whose end is `patience` away at most.
    ///
    /// # Errors
    /// Those of the look; 503 if the first one has not ended by then.
    pub async fn until(
        &mut self,
        wait: Duration,
        patience: Duration,
        wanted: impl Fn(&Document) -> bool,
    ) -> Result<Option<Arc<Document>>> {
        let begun = Instant::now();
        let first = timeout(patience, self.now()).await.unwrap_or_else(|_| Err(silent()))?;
        if first.as_deref().is_some_and(&wanted) {
            return Ok(first);
        }
        let ends = |found: &Found| match found {
            Ok(found) => found.as_deref().is_some_and(&wanted),
            Err(_) => true,
        };
        match timeout(wait.saturating_sub(begun.elapsed()), self.next_that(ends)).await {
            Ok(found) => found,
            Err(_) => self.fresh(&self.looks.borrow()).unwrap_or(Ok(first)),
        }
    }
}

fn silent() -> Problem {
    Problem::new(StatusCode::SERVICE_UNAVAILABLE, "the ledger did not answer in time; ask again")
}

#[cfg(test)]
mod tests;
