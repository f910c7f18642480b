//! The contract of what the ledger notes for those who look at a batch.

use std::collections::BTreeMap;

use crate::model::calls::StageCalls;
use crate::model::failures::{Example, MOST_EXAMPLES};
use crate::model::ids::{BatchId, ChunkIndex};
use crate::model::progress::{Mark, Opening, Tally};
use crate::model::reason::{MOST_REASONS, Reason, ReasonId};
use crate::model::timestamp::Timestamp;
use crate::store::ledger::{FIRST_LEAVES, Ledger, Notes, Overview, Part, Trouble};

const NOW: Timestamp = Timestamp(1_700_000_000_123);

/// Checks that the notes of a ledger keep their contract; `opening` is that of a batch which it does not know yet.
///
/// # Panics
/// If they do not.
pub async fn all(ledger: &(impl Ledger + Notes), opening: &Opening) {
    reasons_are_kept_with_the_first_examples(ledger).await;
    a_batch_has_so_many_reasons_and_no_more(ledger).await;
    reasons_count_once_with_their_chunk(ledger).await;
    an_overview_has_what_is_known(ledger, opening).await;
}

fn id(name: &str) -> BatchId {
    BatchId::parse(&format!("{name}-0123456789ab")).unwrap()
}

fn failure(index: u64) -> Example {
    Example { index, object: Some(3).filter(|_| index == 0), message: format!("für {index}") }
}

async fn note(ledger: &impl Notes, batch: &BatchId, reason: &Reason, indexes: &[u64]) -> bool {
    let examples: Vec<Example> = indexes.iter().copied().map(failure).collect();
    ledger.note_reason(batch, reason, &examples, NOW).await.unwrap()
}

async fn reasons_are_kept_with_the_first_examples(ledger: &(impl Ledger + Notes)) {
    let (batch, reason, other) = (id("reason"), Reason::of("für \"x\""), Reason::of("other"));
    for indexes in [&[0, 1][..], &[7, 8], &[9]] {
        assert!(note(ledger, &batch, &reason, indexes).await);
    }
    assert!(note(ledger, &batch, &other, &[2]).await);
    let kept = ledger.overview(&batch).await.unwrap().reasons;
    assert_eq!(kept.len(), 2);
    let of = |reason: &Reason| kept[&reason.id()].clone();
    assert_eq!((of(&reason).reason, of(&reason).examples.len()), (reason.clone(), MOST_EXAMPLES));
    assert_eq!(of(&reason).examples, [0, 1, 7].map(failure));
    assert_eq!(of(&other).examples, [failure(2)]);
}

async fn a_batch_has_so_many_reasons_and_no_more(ledger: &(impl Ledger + Notes)) {
    let batch = id("reasons");
    let reason = |n: usize| Reason::kept(format!("reason {n}"));
    for n in 0..MOST_REASONS {
        assert!(note(ledger, &batch, &reason(n), &[1]).await, "{n}");
    }
    assert!(!note(ledger, &batch, &reason(MOST_REASONS), &[2]).await);
    assert!(note(ledger, &batch, &reason(0), &[3]).await, "one that is known");
    assert_eq!(ledger.overview(&batch).await.unwrap().reasons.len(), MOST_REASONS);
}

fn mark(failed: u64, reasons: &[(&ReasonId, u64)]) -> Mark {
    let reasons = reasons.iter().map(|(reason, count)| ((*reason).clone(), *count)).collect();
    Mark { reasons, ..Mark::from(Tally { succeeded: 1, failed, failed_chunks: 0 }) }
}

async fn reasons_count_once_with_their_chunk(ledger: &(impl Ledger + Notes)) {
    let batch = id("why");
    let (one, two) = (Reason::of("one").id(), ReasonId::other());
    let chunk = |index| ChunkIndex::new(index).unwrap();
    let later = Timestamp(NOW.0 + 5_000);
    ledger.mark_leaf(&batch, chunk(300), mark(3, &[(&one, 2), (&two, 1)]), NOW).await.unwrap();
    ledger.mark_leaf(&batch, chunk(301), mark(4, &[(&one, 4)]), later).await.unwrap();
    let leaf = ledger.mark_leaf(&batch, chunk(300), mark(9, &[(&one, 9)]), Timestamp(later.0 + 1)).await.unwrap();
    assert_eq!(leaf.reasons, BTreeMap::from([(one, 6), (two, 1)]));
    assert_eq!((leaf.tally.failed, leaf.marked), (7, Some((NOW, later))));
    assert_eq!(ledger.read_leaves(&batch, 1..2).await.unwrap(), [leaf]);
}

async fn an_overview_has_what_is_known(ledger: &(impl Ledger + Notes), opening: &Opening) {
    let batch = opening.id.clone();
    let nothing = Overview { leaves: vec![Default::default(); FIRST_LEAVES as usize], ..Overview::default() };
    assert_eq!(ledger.overview(&batch).await.unwrap(), nothing);
    ledger.open(opening).await.unwrap();
    let chunk = ChunkIndex::new((FIRST_LEAVES - 1) * 256 + 3).unwrap();
    ledger.mark_leaf(&batch, chunk, mark(0, &[]), NOW).await.unwrap();
    let requests = BTreeMap::from([("sqs.SendMessage".to_owned(), 3)]);
    ledger.add_calls(&batch, "scatter", &StageCalls { messages: 1, requests }, NOW).await.unwrap();
    for (part, attempt) in [(Part::Gather, 1), (Part::Scatter, 2), (Part::Chunk(chunk), 3)] {
        let message = "für x".to_owned();
        let trouble = Trouble { part, busy: attempt == 3, attempt, message, at: NOW };
        ledger.note_trouble(&batch, &trouble).await.unwrap();
        assert_eq!(ledger.overview(&batch).await.unwrap().trouble, Some(trouble));
    }
    let seen = ledger.overview(&batch).await.unwrap();
    assert_eq!(seen.batch, ledger.read(&batch).await.unwrap());
    assert!(seen.batch.is_some() && seen.leaves[FIRST_LEAVES as usize - 1].holds(chunk));
    assert_eq!(seen.calls, ledger.read_calls(&batch).await.unwrap());
}
