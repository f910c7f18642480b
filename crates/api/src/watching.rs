//! Waiting for a batch: all who wait for it share one look at the ledger, so that a thousand clients cost no more than one.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::watch::{Receiver, Sender};
use tokio::time::{sleep, timeout};

use crate::problem::{Problem, Result};
use fanfold::model::ids::BatchId;

/// The ledger has no events that a client could await, so it is looked at: often while something changes, then less so.
#[derive(Debug, Clone, Copy)]
struct Pauses {
    first: Duration,
    longest: Duration,
}

impl Default for Pauses {
    fn default() -> Self {
        Self { first: Duration::from_millis(500), longest: Duration::from_secs(5) }
    }
}

/// The document of a batch as text, and a tag that changes whenever the batch does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Document {
    pub text: String,
    pub tag: String,
    pub is_final: bool,
    /// How long whoever asks again should wait at least, in seconds; `None` once it is closed.
    pub again_in: Option<u64>,
}

/// What a look came to; `None` before the first one, and within if the batch is not known.
pub type Look = Option<Result<Option<Arc<Document>>>>;

/// A batch, by its pipeline and id.
pub type Watched = (String, BatchId);

/// The batches that somebody waits for.
#[derive(Debug, Default)]
pub struct Watching {
    senders: Arc<Mutex<Senders>>,
    pauses: Pauses,
}

type Senders = HashMap<Watched, Arc<Sender<Look>>>;

fn locked(senders: &Mutex<Senders>) -> MutexGuard<'_, Senders> {
    senders.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Watching {
    /// Follows a batch, at which `look` looks: from now on, unless others follow it already. It is looked at until it is
    /// closed, or nobody follows it any more.
    pub fn follow<F>(&self, watched: Watched, look: impl Fn() -> F + Send + 'static) -> Receiver<Look>
    where
        F: Future<Output = Result<Option<Document>>> + Send + 'static,
    {
        let mut senders = locked(&self.senders);
        // What nobody follows was not looked at since: a function may have stood still for hours.
        if let Some(sender) = senders.get(&watched).filter(|sender| !sender.is_closed()) {
            return sender.subscribe();
        }
        let (sender, receiver) = tokio::sync::watch::channel(None);
        let sender = Arc::new(sender);
        senders.insert(watched.clone(), sender.clone());
        tokio::spawn(keep_looking(self.senders.clone(), self.pauses, watched, sender, look));
        receiver
    }
}

async fn keep_looking<F>(
    senders: Arc<Mutex<Senders>>,
    pauses: Pauses,
    watched: Watched,
    sender: Arc<Sender<Look>>,
    look: impl Fn() -> F,
) where
    F: Future<Output = Result<Option<Document>>>,
{
    let mut pause = pauses.first;
    loop {
        let seen = look().await.map(|found| found.map(Arc::new));
        let over = match &seen {
            Ok(found) => found.as_ref().is_some_and(|document| document.is_final),
            Err(_) => true,
        };
        let changed = sender.send_if_modified(|last| {
            let tag = |look: &Look| look.clone().and_then(Result::ok).map(|found| found.map(|found| found.tag.clone()));
            let seen = Some(seen);
            let changed = last.is_none() || over || tag(last) != tag(&seen);
            if changed {
                *last = seen;
            }
            changed
        });
        pause = if changed { pauses.first } else { (pause * 3 / 2).min(pauses.longest) };
        // Whoever comes while the last one leaves finds it here or begins anew.
        {
            let mut senders = locked(&senders);
            if over || sender.is_closed() {
                if senders.get(&watched).is_some_and(|known| Arc::ptr_eq(known, &sender)) {
                    senders.remove(&watched);
                }
                return;
            }
        }
        tokio::select! {
            () = sleep(pause) => {}
            () = sender.closed() => {}
        }
    }
}

/// Waits until what is followed is as `wanted`, at most for `wait`, and returns what there is then.
///
/// # Errors
/// Those of the look; 503 if the first one has not ended by then.
pub async fn until(
    mut looks: Receiver<Look>,
    wait: Duration,
    wanted: impl Fn(&Document) -> bool,
) -> Result<Option<Arc<Document>>> {
    let ends = |look: &Look| match look {
        None => false,
        Some(Ok(found)) => found.as_deref().is_some_and(&wanted),
        Some(Err(_)) => true,
    };
    // What ended meanwhile is there to be read.
    let _ = timeout(wait, looks.wait_for(ends)).await;
    let last = looks.borrow().clone();
    last.unwrap_or_else(|| {
        Err(Problem::new(axum::http::StatusCode::SERVICE_UNAVAILABLE, "the ledger did not answer in time; ask again"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicU32, Ordering};

    /// A batch that ends at its n-th look.
    fn ends_after(
        many: u32,
        looks: &Arc<AtomicU32>,
    ) -> impl Fn() -> std::future::Ready<Result<Option<Document>>> + use<> {
        let looks = looks.clone();
        move || {
            let look = looks.fetch_add(1, Ordering::Relaxed) + 1;
            let (is_final, tag) = (look >= many, format!("{}", look.min(many)));
            std::future::ready(Ok(Some(Document { text: tag.clone(), tag, is_final, again_in: None })))
        }
    }

    fn watched(name: &str) -> Watched {
        ("orders".to_owned(), BatchId::parse(&format!("{name}-0123456789ab")).unwrap())
    }

    /// Looks so often that a test does not last.
    fn watching() -> Watching {
        let pauses = Pauses { first: Duration::from_millis(1), longest: Duration::from_millis(4) };
        Watching { pauses, ..Watching::default() }
    }

    const LONG: Duration = Duration::from_secs(25);

    #[tokio::test]
    async fn five_hundred_who_wait_cost_one_look_each_time() {
        let (watching, looks) = (watching(), Arc::new(AtomicU32::new(0)));
        let followed: Vec<_> = (0..500).map(|_| watching.follow(watched("a"), ends_after(7, &looks))).collect();
        // They follow it all at once; each is told the end, whenever it is asked.
        for followed in followed {
            assert_eq!(until(followed, LONG, |document| document.is_final).await.unwrap().unwrap().tag, "7");
        }
        assert_eq!(looks.load(Ordering::Relaxed), 7);
        assert!(locked(&watching.senders).is_empty(), "nobody waits any more");
    }

    #[tokio::test]
    async fn a_wait_ends_in_time_with_what_there_is() {
        let (watching, looks) = (watching(), Arc::new(AtomicU32::new(0)));
        let follow = || watching.follow(watched("a"), ends_after(u32::MAX, &looks));
        // Another one follows it all the time.
        let mut other = follow();
        let found = until(follow(), Duration::from_millis(20), |document| document.is_final).await.unwrap().unwrap();
        assert!(!found.is_final);
        let known = found.tag.clone();
        let next = until(follow(), LONG, |document| document.tag != known).await.unwrap().unwrap();
        assert_ne!(next.tag, known);
        // With nobody left, nobody looks.
        other.changed().await.unwrap();
        let sender = locked(&watching.senders).values().next().unwrap().clone();
        drop(other);
        while !locked(&watching.senders).is_empty() {
            tokio::task::yield_now().await;
        }
        assert_eq!((sender.receiver_count(), Arc::strong_count(&sender)), (0, 1));
    }

    #[tokio::test]
    async fn nobody_is_told_what_was_seen_before_all_had_left() {
        let (watching, looks) = (watching(), Arc::new(AtomicU32::new(0)));
        let follow = || watching.follow(watched("a"), ends_after(u32::MAX, &looks));
        let mut before = follow();
        before.wait_for(Option::is_some).await.unwrap();
        drop(before);
        let again = follow();
        assert!(again.borrow().is_none(), "what is known is old");
        assert!(until(again, LONG, |_| true).await.unwrap().is_some());
    }

    #[tokio::test]
    async fn what_cannot_be_looked_at_is_told_to_all_and_tried_anew() {
        let watching = watching();
        let refuse = || async { Err(Problem::bad("no")) };
        let waits = || until(watching.follow(watched("a"), refuse), LONG, |_| true);
        let (one, two) = tokio::join!(waits(), waits());
        assert_eq!((one.unwrap_err().detail, two.unwrap_err().detail), ("no".to_owned(), "no".to_owned()));
        let looks = Arc::new(AtomicU32::new(0));
        let again = watching.follow(watched("a"), ends_after(1, &looks));
        assert!(until(again, LONG, |document| document.is_final).await.unwrap().unwrap().is_final);
    }

    #[tokio::test]
    async fn a_batch_that_is_not_there_yet_is_waited_for() {
        let (watching, looks) = (watching(), AtomicU32::new(0));
        let appears = move || {
            let there = looks.fetch_add(1, Ordering::Relaxed) > 2;
            let document = Document { text: String::new(), tag: "1".to_owned(), is_final: true, again_in: None };
            std::future::ready(Ok(there.then_some(document)))
        };
        let found = until(watching.follow(watched("a"), appears), LONG, |_| true).await.unwrap();
        assert!(found.is_some());
        let slow = || std::future::pending::<Result<Option<Document>>>();
        let brief = Duration::from_millis(5);
        let refused = until(watching.follow(watched("b"), slow), brief, |_| true).await.unwrap_err();
        assert_eq!(refused.status.as_u16(), 503);
    }
}
