//! Clients that wait for one batch.

use std::future::Ready;
use std::sync::atomic::AtomicU32;

use super::*;

fn document(number: u32, is_final: bool) -> Document {
    let tag = number.to_string();
    Document { text: tag.clone(), print: tag.clone(), tag, is_final, again_in: None }
}

/// A batch that ends at its n-th look.
fn ends_after(many: u32, looks: &Arc<AtomicU32>) -> impl Fn() -> Ready<Result<Option<Document>>> + use<> {
    let looks = looks.clone();
    move || {
        let look = looks.fetch_add(1, Ordering::Relaxed) + 1;
        std::future::ready(Ok(Some(document(look.min(many), look >= many))))
    }
}

fn watched(name: &str) -> Watched {
    ("orders".to_owned(), format!("{name}-0123456789ab"))
}

/// Looks so often that a test does not last.
fn watching() -> Watching {
    let (shortest, first, longest) = (Duration::ZERO, Duration::from_millis(1), Duration::from_millis(4));
    Watching { pauses: Pauses { shortest, first, longest }, ..Watching::default() }
}

const LONG: Duration = Duration::from_secs(25);

fn is_final(document: &Document) -> bool {
    document.is_final
}

#[tokio::test]
async fn five_hundred_who_wait_cost_one_look_each_time() {
    let (watching, looks) = (watching(), Arc::new(AtomicU32::new(0)));
    let followed: Vec<_> = (0..500).map(|_| watching.follow(watched("a"), ends_after(7, &looks))).collect();
    // They follow it all at once; each is told the end, whenever it is asked.
    for mut followed in followed {
        assert_eq!(followed.until(LONG, LONG, is_final).await.unwrap().unwrap().tag, "7");
    }
    assert_eq!(looks.load(Ordering::Relaxed), 7);
    assert!(locked(&watching.entries).is_empty(), "nobody waits any more");
}

#[tokio::test]
async fn a_wait_ends_in_time_with_what_there_is() {
    let (watching, looks) = (watching(), Arc::new(AtomicU32::new(0)));
    let follow = || watching.follow(watched("a"), ends_after(u32::MAX, &looks));
    for wait in [Duration::ZERO, Duration::from_millis(20)] {
        assert!(!follow().until(wait, LONG, is_final).await.unwrap().unwrap().is_final);
    }
    let known = follow().now().await.unwrap().unwrap().tag.clone();
    let next = follow().until(LONG, LONG, |document| document.tag != known).await.unwrap().unwrap();
    assert_ne!(next.tag, known);
}

#[tokio::test]
async fn with_nobody_left_nobody_looks() {
    let (watching, looks) = (watching(), Arc::new(AtomicU32::new(0)));
    let watching = Watching { pauses: Pauses { first: LONG, ..watching.pauses }, ..watching };
    let mut followed = watching.follow(watched("a"), ends_after(u32::MAX, &looks));
    followed.now().await.unwrap();
    let entry = locked(&watching.entries).values().next().unwrap().clone();
    drop(followed);
    while !locked(&watching.entries).is_empty() {
        tokio::task::yield_now().await;
    }
    assert_eq!((entry.looks.receiver_count(), looks.load(Ordering::Relaxed)), (0, 1));
}

#[tokio::test]
async fn whoever_comes_is_told_nothing_that_was_seen_before() {
    let (watching, looks) = (watching(), Arc::new(AtomicU32::new(0)));
    // Without those who come, it would be looked at once.
    let watching = Watching { pauses: Pauses { first: LONG, longest: LONG, ..watching.pauses }, ..watching };
    let follow = || watching.follow(watched("a"), ends_after(u32::MAX, &looks));
    let mut first = follow();
    assert_eq!(first.now().await.unwrap().unwrap().tag, "1");
    assert_eq!(follow().now().await.unwrap().unwrap().tag, "2");
    // One who knows the newest is not told an older one as if it were a change.
    let brief = Duration::from_millis(5);
    let mut knows = follow();
    let found = knows.until(brief, LONG, |document| document.tag != "3").await.unwrap().unwrap();
    assert_eq!(found.tag, "3");
    drop(first);
}

#[tokio::test]
async fn what_cannot_be_looked_at_is_told_to_all_and_tried_anew() {
    let watching = watching();
    let refuse = || async { Err(Problem::bad("no")) };
    let (mut one, mut two) = (watching.follow(watched("a"), refuse), watching.follow(watched("a"), refuse));
    for followed in [&mut one, &mut two] {
        assert_eq!(followed.until(LONG, LONG, |_| true).await.unwrap_err().detail, "no");
    }
    let looks = Arc::new(AtomicU32::new(0));
    let mut again = watching.follow(watched("a"), ends_after(1, &looks));
    assert!(again.until(LONG, LONG, is_final).await.unwrap().unwrap().is_final);
}

#[tokio::test]
async fn a_ledger_that_is_busy_for_a_moment_ends_no_wait() {
    let (watching, looks) = (watching(), AtomicU32::new(0));
    let busy = || Problem::new(StatusCode::SERVICE_UNAVAILABLE, "busy");
    let sometimes = move || {
        let look = looks.fetch_add(1, Ordering::Relaxed);
        std::future::ready(match look {
            1 | 2 => Err(busy()),
            _ => Ok(Some(document(look, look == 4))),
        })
    };
    let mut followed = watching.follow(watched("a"), sometimes);
    assert_eq!(followed.until(LONG, LONG, is_final).await.unwrap().unwrap().tag, "4");
    let looks = AtomicU32::new(0);
    let always = move || {
        let look = looks.fetch_add(1, Ordering::Relaxed);
        std::future::ready(if look == 0 { Ok(Some(document(0, false))) } else { Err(busy()) })
    };
    let mut followed = watching.follow(watched("b"), always);
    assert_eq!(followed.until(LONG, LONG, is_final).await.unwrap_err().detail, "busy");
}

#[tokio::test]
async fn a_batch_that_is_not_there_yet_is_waited_for() {
    let (watching, looks) = (watching(), AtomicU32::new(0));
    let appears = move || {
        let there = looks.fetch_add(1, Ordering::Relaxed) > 2;
        std::future::ready(Ok(there.then(|| document(1, true))))
    };
    assert!(watching.follow(watched("a"), appears).until(LONG, LONG, |_| true).await.unwrap().is_some());
    let slow = || std::future::pending::<Result<Option<Document>>>();
    let brief = Duration::from_millis(5);
    let refused = watching.follow(watched("b"), slow).until(LONG, brief, |_| true).await.unwrap_err();
    assert_eq!(refused.status, StatusCode::SERVICE_UNAVAILABLE);
}

#[tokio::test]
async fn events_are_what_is_shown_otherwise() {
    let (watching, looks) = (watching(), Arc::new(AtomicU32::new(0)));
    let mut followed = watching.follow(watched("a"), ends_after(3, &looks));
    let (mut last, mut told) = (None::<String>, Vec::new());
    while let Some(document) = followed.changed_from(last.as_deref()).await {
        told.push(document.print.clone());
        last = Some(document.print.clone());
        if document.is_final {
            break;
        }
    }
    assert_eq!(told.last().map(String::as_str), Some("3"));
    assert!(told.windows(2).all(|two| two[0] < two[1]), "{told:?}");
}

#[tokio::test]
async fn a_look_that_panics_leaves_nobody_hanging() {
    let watching = watching();
    let panics = || -> Ready<Result<Option<Document>>> { panic!("a look that panics") };
    let told = watching.follow(watched("a"), panics).until(LONG, LONG, |_| true).await.unwrap_err();
    assert_eq!(told.status, StatusCode::SERVICE_UNAVAILABLE);
    assert!(locked(&watching.entries).is_empty());
}
