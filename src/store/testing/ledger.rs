//! The contract of `Ledger`, and completion on top of it.

use crate::model::calls::{Calls, StageCalls};
use crate::model::condition::Condition;
use crate::model::error::ErrorKind;
use crate::model::fault::{Fault, FaultCode};
use crate::model::ids::{BatchId, ChunkIndex, MAX_TREE_CHUNKS};
use crate::model::input::InputRef;
use crate::model::progress::{BatchState, Leaf, Node, Observation, Opening, Sealing, Stop, Tally};
use crate::model::range::{Claim, Range};
use crate::model::record::Raw;
use crate::model::schema::{Cells, Rules};
use crate::model::timestamp::Timestamp;
use crate::store::ledger::tree::{self, Progress};
use crate::store::ledger::{
    Claims, LastFailure, Lease, Ledger, Notes, OpenBatch, OpenResult, PROCESSOR, Part, RuleBook,
};
use crate::store::testing::notes;
use futures::stream::{self, StreamExt};

const NOW: Timestamp = Timestamp(1_700_000_000_123);

/// Checks that a ledger keeps its contract.
///
/// # Panics
/// If it does not.
pub async fn all(ledger: &(impl Ledger + Claims + Notes + RuleBook)) {
    a_batch_is_opened_once(ledger).await;
    an_empty_batch_completes_by_its_seal(ledger).await;
    the_last_mark_completes_a_sealed_batch(ledger).await;
    the_seal_completes_a_batch_whose_chunks_are_done(ledger).await;
    a_repeated_mark_counts_once_and_still_learns_the_end(ledger).await;
    a_full_leaf_seen_again_marks_the_root(ledger).await;
    leaves_of_256_and_257_chunks_fill(ledger).await;
    a_node_holds_the_full_ones_of_its_own_leaves(ledger).await;
    a_full_node_seen_again_marks_the_root(ledger).await;
    a_second_seal_changes_nothing(ledger).await;
    a_later_seal_with_more_chunks_keeps_no_batch_open(ledger).await;
    a_batch_is_taken_by_one_and_closed_once(ledger).await;
    chunk_16777217_is_refused(ledger).await;
    calls_add_up(ledger).await;
    a_look_sees_the_batch_and_its_leaves(ledger).await;
    a_leaf_names_the_chunks_in_which_something_failed(ledger).await;
    claims_are_kept_by_group(ledger).await;
    rules_are_kept_by_their_digest(ledger).await;
    who_lets_go_can_be_followed_at_once(ledger).await;
    a_stop_is_decided_once_and_not_too_late(ledger).await;
    open_batches_are_listed_until_they_are_closed(ledger).await;
    the_last_failure_of_a_part_is_kept(ledger).await;
    tries_count_unless_they_are_excused(ledger).await;
    notes::all(ledger, &opening("overview")).await;
}

fn id(name: &str) -> BatchId {
    BatchId::parse(&format!("{name}-0123456789ab")).unwrap()
}

fn chunk(index: u32) -> ChunkIndex {
    ChunkIndex::new(index).unwrap()
}

fn tally(succeeded: u64, failed: u64) -> Tally {
    Tally { succeeded, failed, failed_chunks: 0 }
}

fn sealing(chunks: u32) -> Sealing {
    Sealing {
        records: Some(u64::from(chunks) * 3),
        chunks,
        columns: Some(vec!["k".into(), "a b".into()]),
        head: Some(Raw::new(*b"k,a b\xe9\r\n")),
        error: None,
        scattered_at: Timestamp(NOW.0 + 5),
    }
}

/// What a batch with that name is opened with.
pub fn opening(name: &str) -> Opening {
    Opening {
        id: id(name),
        variant: "chunked".into(),
        input: InputRef {
            bucket: "in".into(),
            key: "für x.csv".into(),
            version_id: Some("v".into()),
            e_tag: None,
            bytes: 12,
            format: Some("csv".into()),
            read_as: None,
        },
        condition: Condition::Listing,
        ranged: true,
        rules: Some("0123456789abcdef".into()),
        only: Some(crate::model::reason::ReasonId::kept("0123456789ab")),
        chunk_size: 500,
        started_at: NOW,
        sequence: Timestamp(NOW.0 - 1),
    }
}

async fn open(ledger: &(impl Ledger + Claims + Notes), name: &str) -> BatchId {
    assert_eq!(ledger.open(&opening(name)).await.unwrap(), OpenResult::Created);
    id(name)
}

async fn mark(ledger: &(impl Ledger + Claims + Notes), batch: &BatchId, index: u32) -> Progress {
    tree::mark(ledger, batch, chunk(index), tally(2, 1), NOW).await.unwrap()
}

async fn a_batch_is_opened_once(ledger: &(impl Ledger + Claims + Notes)) {
    assert_eq!(ledger.read(&id("open")).await.unwrap(), None);
    let batch = open(ledger, "open").await;
    let read = ledger.read(&batch).await.unwrap().unwrap();
    assert_eq!((&read.opening, read.state), (&opening("open"), BatchState::Scattering));
    let later = Opening { started_at: Timestamp(NOW.0 + 9), ..opening("open") };
    match ledger.open(&later).await.unwrap() {
        OpenResult::Existing(before) => assert_eq!(*before, read),
        OpenResult::Created => panic!("opened twice"),
    }
}

async fn an_empty_batch_completes_by_its_seal(ledger: &(impl Ledger + Claims + Notes)) {
    let batch = open(ledger, "empty").await;
    let fault = Fault::new(FaultCode::NotUtf8, "line 1");
    let sealed = Sealing { error: Some(fault), columns: None, head: None, records: None, ..sealing(0) };
    assert_eq!(tree::seal(ledger, &batch, &sealed).await.unwrap(), Progress::Complete);
    let read = ledger.read(&batch).await.unwrap().unwrap();
    assert_eq!((read.sealing.as_ref(), read.state), (Some(&sealed), BatchState::Processing));
    assert!(read.is_complete());
}

async fn the_last_mark_completes_a_sealed_batch(ledger: &(impl Ledger + Claims + Notes)) {
    let batch = open(ledger, "mark-last").await;
    assert_eq!(tree::seal(ledger, &batch, &sealing(3)).await.unwrap(), Progress::Open);
    assert_eq!(mark(ledger, &batch, 2).await, Progress::Open);
    assert_eq!(mark(ledger, &batch, 0).await, Progress::Open);
    assert_eq!(mark(ledger, &batch, 1).await, Progress::Complete);
    let leaves = ledger.read_leaves(&batch, 0..2).await.unwrap();
    assert_eq!(leaves[0].tally, tally(6, 3));
    assert_eq!(leaves[0].size, Some(3));
    assert_eq!(leaves[0].done.iter().copied().collect::<Vec<_>>(), [0, 1, 2]);
    assert_eq!(leaves[1], Default::default());
    assert_eq!(ledger.read(&batch).await.unwrap().unwrap().sealing, Some(sealing(3)));
}

async fn the_seal_completes_a_batch_whose_chunks_are_done(ledger: &(impl Ledger + Claims + Notes)) {
    let batch = open(ledger, "seal-last").await;
    for index in 0..3 {
        assert_eq!(mark(ledger, &batch, index).await, Progress::Open);
    }
    assert_eq!(tree::seal(ledger, &batch, &sealing(3)).await.unwrap(), Progress::Complete);
}

async fn a_repeated_mark_counts_once_and_still_learns_the_end(ledger: &(impl Ledger + Claims + Notes)) {
    let batch = open(ledger, "repeat").await;
    assert_eq!(tree::seal(ledger, &batch, &sealing(2)).await.unwrap(), Progress::Open);
    for _ in 0..3 {
        assert_eq!(mark(ledger, &batch, 0).await, Progress::Open);
    }
    for _ in 0..3 {
        assert_eq!(mark(ledger, &batch, 1).await, Progress::Complete);
    }
    assert_eq!(mark(ledger, &batch, 0).await, Progress::Complete);
    let leaf = ledger.read_leaves(&batch, 0..1).await.unwrap().remove(0);
    assert_eq!(leaf.tally, tally(4, 2));
}

/// A worker that dies between the leaf and the root is followed by a redelivery.
async fn a_full_leaf_seen_again_marks_the_root(ledger: &(impl Ledger + Claims + Notes)) {
    let batch = open(ledger, "crash").await;
    assert_eq!(tree::seal(ledger, &batch, &sealing(1)).await.unwrap(), Progress::Open);
    let leaf = ledger.mark_leaf(&batch, chunk(0), tally(3, 0).into(), NOW).await.unwrap();
    assert!(leaf.is_full(0) && leaf.holds(chunk(0)));
    assert!(!ledger.read(&batch).await.unwrap().unwrap().is_complete());
    let read = ledger.read_leaves(&batch, 0..1).await.unwrap().remove(0);
    assert_eq!(tree::settle(ledger, &batch, 0, &read, NOW).await.unwrap(), Progress::Complete);
    assert_eq!(tree::settle(ledger, &batch, 0, &read, NOW).await.unwrap(), Progress::Complete);
}

async fn leaves_of_256_and_257_chunks_fill(ledger: &(impl Ledger + Claims + Notes)) {
    for chunks in [256, 257] {
        let batch = open(ledger, &format!("leaf{chunks}")).await;
        let seal = sealing(chunks);
        assert_eq!(tree::seal(ledger, &batch, &seal).await.unwrap(), Progress::Open);
        let marks = stream::iter(0..chunks).map(|index| mark(ledger, &batch, index)).buffer_unordered(8);
        let complete = marks.filter(|progress| std::future::ready(*progress == Progress::Complete)).count().await;
        assert!(complete >= 1, "somebody must see the end of {chunks}");
        let read = ledger.read(&batch).await.unwrap().unwrap();
        assert!(read.is_complete());
        assert_eq!(read.root.len() as u32, chunks.div_ceil(256) + 1);
        let leaves = ledger.read_leaves(&batch, 0..2).await.unwrap();
        let total = leaves[0].tally + leaves[1].tally;
        assert_eq!(total, tally(u64::from(chunks) * 2, u64::from(chunks)));
    }
}

async fn a_node_holds_the_full_ones_of_its_own_leaves(ledger: &(impl Ledger + Claims + Notes)) {
    let batch = open(ledger, "node").await;
    let read = async || ledger.read_nodes(&batch, 1..3).await.unwrap();
    assert_eq!(read().await, [Node::default(), Node::default()]);
    let first = Node { full: [256, 511].into(), size: None };
    for _ in 0..2 {
        assert!(ledger.mark_node(&batch, 256, NOW).await.unwrap().full.contains(&256));
        assert_eq!(ledger.mark_node(&batch, 511, NOW).await.unwrap(), first);
    }
    assert_eq!(ledger.mark_node(&batch, 512, NOW).await.unwrap(), Node { full: [512].into(), size: None });
    let second = Node { full: [512].into(), size: Some(1) };
    for _ in 0..2 {
        assert_eq!(ledger.size_node(&batch, 2, 1, NOW).await.unwrap(), second);
        assert_eq!(ledger.mark_node(&batch, 512, NOW).await.unwrap(), second, "a repeat learns the size");
    }
    assert_eq!(read().await, [first, second]);
    assert_eq!(ledger.read_leaves(&batch, 1..3).await.unwrap(), [Leaf::default(), Leaf::default()]);
    assert_eq!(ledger.size_node(&batch, 4, 7, NOW).await.unwrap(), Node { size: Some(7), ..Node::default() });
}

/// A worker that dies between the node and the root is followed by a redelivery.
async fn a_full_node_seen_again_marks_the_root(ledger: &(impl Ledger + Claims + Notes)) {
    let batch = open(ledger, "node-crash").await;
    assert_eq!(tree::seal(ledger, &batch, &sealing(65_537)).await.unwrap(), Progress::Open);
    let leaves = stream::iter(0..256).map(|leaf| ledger.mark_root(&batch, leaf)).buffer_unordered(8);
    assert!(leaves.all(async |read| !read.unwrap().is_complete()).await);
    let leaf = ledger.mark_leaf(&batch, chunk(65_536), tally(2, 1).into(), NOW).await.unwrap();
    let node = ledger.mark_node(&batch, 256, NOW).await.unwrap();
    assert!(leaf.is_full(256) && node.is_full(1));
    assert!(!ledger.read(&batch).await.unwrap().unwrap().is_complete());
    for _ in 0..2 {
        assert_eq!(mark(ledger, &batch, 65_536).await, Progress::Complete);
    }
    let read = ledger.read(&batch).await.unwrap().unwrap();
    assert_eq!((read.is_complete(), read.root.len()), (true, 256 + 1 + 1));
}

async fn a_second_seal_changes_nothing(ledger: &(impl Ledger + Claims + Notes)) {
    let batch = open(ledger, "reseal").await;
    let first = ledger.seal(&batch, &sealing(2)).await.unwrap();
    let again = Sealing { scattered_at: Timestamp(NOW.0 + 99), ..sealing(2) };
    assert_eq!(ledger.seal(&batch, &again).await.unwrap(), first);
    assert_eq!(ledger.read(&batch).await.unwrap().unwrap(), first);
}

/// A scatter that goes on after its batch was sealed by force has counted more chunks.
async fn a_later_seal_with_more_chunks_keeps_no_batch_open(ledger: &(impl Ledger + Claims + Notes)) {
    let batch = open(ledger, "late-seal").await;
    assert_eq!(tree::seal(ledger, &batch, &sealing(2)).await.unwrap(), Progress::Open);
    assert_eq!(tree::mark(ledger, &batch, chunk(0), tally(1, 0), NOW).await.unwrap(), Progress::Open);
    assert_eq!(tree::seal(ledger, &batch, &sealing(5)).await.unwrap(), Progress::Open);
    assert_eq!(tree::mark(ledger, &batch, chunk(1), tally(1, 0), NOW).await.unwrap(), Progress::Complete);
    assert_eq!(tree::seal(ledger, &batch, &sealing(5)).await.unwrap(), Progress::Complete);
}

async fn a_batch_is_taken_by_one_and_closed_once(ledger: &(impl Ledger + Claims + Notes)) {
    let batch = open(ledger, "take").await;
    let at = |ms: i64| Timestamp(NOW.0 + ms);
    assert!(ledger.take(&batch, "a", at(0), at(100)).await.is_err(), "not sealed");
    tree::seal(ledger, &batch, &sealing(0)).await.map(|_| ()).unwrap();
    let Lease::Acquired(taken) = ledger.take(&batch, "a", at(0), at(100)).await.unwrap() else {
        panic!("a free batch is taken")
    };
    assert_eq!((taken.state, taken.gather_started_at, taken.gather_attempts), (BatchState::Gathering, Some(at(0)), 1));
    assert!(matches!(ledger.take(&batch, "b", at(50), at(150)).await.unwrap(), Lease::Held(_)));
    let Lease::Acquired(again) = ledger.take(&batch, "a", at(60), at(100)).await.unwrap() else {
        panic!("its owner takes it again")
    };
    assert_eq!((again.gather_started_at, again.gather_attempts), (Some(at(0)), 2));
    let Lease::Acquired(taken) = ledger.take(&batch, "b", at(101), at(200)).await.unwrap() else {
        panic!("a lease that ran out is taken over")
    };
    assert_eq!((taken.gather_started_at, taken.gather_attempts), (Some(at(0)), 3));
    let end = BatchState::PartiallyFailed;
    let late = ledger.close(&batch, "a", end, tally(1, 1), at(120)).await.unwrap_err();
    assert_eq!(late.kind, ErrorKind::Conflict);
    ledger.close(&batch, "b", end, tally(1, 1), at(130)).await.unwrap();
    ledger.close(&batch, "b", BatchState::Failed, tally(9, 9), at(140)).await.unwrap();
    let Lease::Closed(closed) = ledger.take(&batch, "c", at(500), at(600)).await.unwrap() else {
        panic!("a closed batch stays closed")
    };
    assert_eq!((closed.state, closed.finished_at, closed.tally), (end, Some(at(130)), Some(tally(1, 1))));
}

async fn chunk_16777217_is_refused(ledger: &(impl Ledger + Claims + Notes)) {
    let batch = open(ledger, "tree").await;
    assert!(tree::mark(ledger, &batch, chunk(MAX_TREE_CHUNKS - 1), tally(1, 0), NOW).await.is_ok());
    let refused = tree::mark(ledger, &batch, chunk(MAX_TREE_CHUNKS), tally(1, 0), NOW).await.unwrap_err();
    assert_eq!(refused.kind, ErrorKind::Malformed);
    assert!(refused.to_string().contains("16777216 chunks"), "{refused}");
}

async fn calls_add_up(ledger: &(impl Ledger + Claims + Notes)) {
    let batch = id("calls");
    assert_eq!(ledger.read_calls(&batch).await.unwrap(), Calls::default());
    let calls = |messages: u64, requests: &[(&str, u64)]| StageCalls {
        messages,
        requests: requests.iter().map(|(name, count)| ((*name).to_owned(), *count)).collect(),
    };
    let more = calls(1, &[("s3.GetObject", 2), ("dynamodb.BatchWriteItem", 20)]);
    ledger.add_calls(&batch, "process", &more, NOW).await.unwrap();
    ledger.add_calls(&batch, "process", &calls(2, &[("s3.GetObject", 1)]), NOW).await.unwrap();
    ledger.add_calls(&batch, "gather", &calls(1, &[("s3.PutObject", 1)]), NOW).await.unwrap();
    let spent = calls(0, &[("calls", 2), ("version $LATEST", 1)]);
    ledger.add_calls(&batch, PROCESSOR, &spent, NOW).await.unwrap();
    let read = ledger.read_calls(&batch).await.unwrap();
    assert_eq!(read.0[PROCESSOR], spent);
    assert_eq!(read.0["process"], calls(3, &[("s3.GetObject", 3), ("dynamodb.BatchWriteItem", 20)]));
    assert_eq!(read.0["gather"], calls(1, &[("s3.PutObject", 1)]));
    assert_eq!(read.0.len(), 3);
}

async fn a_look_sees_the_batch_and_its_leaves(ledger: &(impl Ledger + Claims + Notes)) {
    assert_eq!(ledger.look(&id("look"), &[1].into()).await.unwrap().0, None);
    let batch = open(ledger, "look").await;
    let first = ledger.mark_leaf(&batch, chunk(3), tally(2, 0).into(), NOW).await.unwrap();
    let second = ledger.mark_leaf(&batch, chunk(300), tally(2, 1).into(), NOW).await.unwrap();
    let read = ledger.read(&batch).await.unwrap();
    let (looked, leaves) = ledger.look(&batch, &[0, 1, 7].into()).await.unwrap();
    assert_eq!(looked, read);
    assert_eq!((&leaves[&0], &leaves[&1]), (&first, &second));
    assert!(leaves.get(&7).is_none_or(|leaf| leaf.done.is_empty()));
}

async fn a_leaf_names_the_chunks_in_which_something_failed(ledger: &(impl Ledger + Claims + Notes)) {
    let batch = open(ledger, "excepted").await;
    let buried = Tally { succeeded: 0, failed: 0, failed_chunks: 1 };
    let mut leaf = Leaf::default();
    for (index, tally) in [(1, tally(2, 0)), (2, tally(1, 1)), (3, buried), (1, tally(0, 2))] {
        leaf = ledger.mark_leaf(&batch, chunk(index), tally.into(), NOW).await.unwrap();
    }
    assert_eq!(leaf.done, [1, 2, 3].into());
    assert_eq!(leaf.excepted, [2, 3].into(), "the first mark of a chunk counts");
}

async fn claims_are_kept_by_group(ledger: &(impl Ledger + Claims + Notes)) {
    let batch = open(ledger, "claims").await;
    let claim = |n: u64| Claim {
        range: Range { offset: n * 10, length: 10, first: n, line: n + 2, column: 1 + n % 2, header: 5 },
        records: 1,
    };
    let claims = |numbers: std::ops::Range<u64>| numbers.map(claim).collect::<Vec<_>>();
    assert_eq!(ledger.read_claims(&batch, 0..2).await.unwrap(), [vec![], vec![]]);
    for _ in 0..2 {
        ledger.put_claims(&batch, 1, &claims(10..13), NOW).await.unwrap();
        ledger.put_claims(&batch, 0, &claims(0..10), NOW).await.unwrap();
    }
    let read = ledger.read_claims(&batch, 0..120).await.unwrap();
    assert_eq!(read.len(), 120);
    assert_eq!((&read[0], &read[1]), (&claims(0..10), &claims(10..13)));
    assert!(read[2..].iter().all(Vec::is_empty));
}

async fn rules_are_kept_by_their_digest(ledger: &impl RuleBook) {
    let rules = |key_field: &str| Rules {
        key_field: key_field.into(),
        schema: r#"{"title":"für"}"#.into(),
        cells: Cells { null_values: vec![String::new(), "NA".into()], ..Cells::default() },
    };
    let (kept, other) = (rules("id"), rules("itemNo"));
    for _ in 0..2 {
        ledger.put_rules(&kept).await.unwrap();
        assert_eq!(ledger.read_rules(&kept.digest()).await.unwrap(), Some(kept.clone()));
    }
    assert_eq!(ledger.read_rules(&other.digest()).await.unwrap(), None);
}

async fn who_lets_go_can_be_followed_at_once(ledger: &(impl Ledger + Claims + Notes)) {
    let batch = open(ledger, "let-go").await;
    tree::seal(ledger, &batch, &sealing(0)).await.map(|_| ()).unwrap();
    let at = |ms: i64| Timestamp(NOW.0 + ms);
    assert!(matches!(ledger.take(&batch, "a", at(0), at(100)).await.unwrap(), Lease::Acquired(_)));
    ledger.release_lease(&batch, "b", at(10)).await.unwrap();
    assert!(matches!(ledger.take(&batch, "b", at(10), at(110)).await.unwrap(), Lease::Held(_)), "not b's");
    ledger.release_lease(&batch, "a", at(20)).await.unwrap();
    assert!(matches!(ledger.take(&batch, "b", at(20), at(120)).await.unwrap(), Lease::Acquired(_)));
    let late = ledger.close(&batch, "a", BatchState::Succeeded, tally(0, 0), at(30)).await.unwrap_err();
    assert_eq!(late.kind, ErrorKind::Conflict);
    ledger.close(&batch, "b", BatchState::Succeeded, tally(0, 0), at(30)).await.unwrap();
    ledger.release_lease(&batch, "b", at(40)).await.unwrap();
    assert!(matches!(ledger.take(&batch, "c", at(500), at(600)).await.unwrap(), Lease::Closed(_)));
}

async fn a_stop_is_decided_once_and_not_too_late(ledger: &(impl Ledger + Claims + Notes)) {
    let batch = open(ledger, "stop").await;
    let fault = |message: &str| Fault::new(FaultCode::Cancelled, message);
    let stop = |message: &str| Stop { state: BatchState::Cancelled, fault: fault(message), at: NOW };
    assert_eq!(ledger.stop(&batch, &stop("für x")).await.unwrap().stop, Some(stop("für x")));
    assert_eq!(ledger.stop(&batch, &stop("second")).await.unwrap().stop, Some(stop("für x")));
    assert_eq!(ledger.read(&batch).await.unwrap().unwrap().stop, Some(stop("für x")));
    let batch = open(ledger, "stop-late").await;
    tree::seal(ledger, &batch, &sealing(0)).await.map(|_| ()).unwrap();
    ledger.take(&batch, "a", NOW, Timestamp(NOW.0 + 100)).await.unwrap();
    assert_eq!(ledger.stop(&batch, &stop("late")).await.unwrap().stop, None);
    ledger.close(&batch, "a", BatchState::Succeeded, tally(0, 0), NOW).await.unwrap();
    let after = ledger.stop(&batch, &stop("later")).await.unwrap();
    assert_eq!((after.stop, after.state), (None, BatchState::Succeeded));
}

async fn all_open(ledger: &(impl Ledger + Claims + Notes)) -> Vec<OpenBatch> {
    let mut open: Vec<OpenBatch> = Vec::new();
    loop {
        let page = ledger.open_batches(open.last()).await.unwrap();
        if page.is_empty() {
            return open;
        }
        open.extend(page);
    }
}

async fn open_batches_are_listed_until_they_are_closed(ledger: &(impl Ledger + Claims + Notes)) {
    // More batches than one page holds, begun at different times.
    for n in 0..130 {
        let opening = Opening { started_at: Timestamp(NOW.0 - 1_000 + n), ..opening(&format!("page{n}")) };
        assert_eq!(ledger.open(&opening).await.unwrap(), OpenResult::Created);
    }
    let open = all_open(ledger).await;
    assert!(open.windows(2).all(|pair| pair[0].started_at <= pair[1].started_at), "the oldest first");
    let pages = |open: &[OpenBatch]| open.iter().filter(|batch| batch.id.as_str().starts_with("page")).count();
    assert_eq!(pages(&open), 130);
    let (batch, closed) = (id("page7"), id("page8"));
    let seen = Observation { mark: "PROCESSING 3".to_owned(), since: Timestamp(NOW.0 - 9), mended: 2, next: NOW };
    for id in [&batch, &closed] {
        ledger.observe(id, &seen).await.unwrap();
        assert_eq!(ledger.read(id).await.unwrap().unwrap().seen, Some(seen.clone()));
    }
    tree::seal(ledger, &closed, &sealing(0)).await.map(|_| ()).unwrap();
    ledger.take(&closed, "a", NOW, NOW).await.unwrap();
    ledger.close(&closed, "a", BatchState::Succeeded, tally(0, 0), NOW).await.unwrap();
    ledger.observe(&closed, &Observation { mark: "late".to_owned(), since: NOW, mended: 0, next: NOW }).await.unwrap();
    assert_eq!(ledger.read(&closed).await.unwrap().unwrap().seen, Some(seen));
    let open = all_open(ledger).await;
    assert!(open.iter().any(|open| open.id == batch) && open.iter().all(|open| open.id != closed));
}

async fn the_last_failure_of_a_part_is_kept(ledger: &(impl Ledger + Claims + Notes)) {
    let batch = id("failure");
    let failure = |attempt: u32| LastFailure { attempt, message: format!("für {attempt}") };
    let parts = [Part::Scatter, Part::Gather, Part::Chunk(chunk(0)), Part::Chunk(chunk(1))];
    for (part, attempt) in parts.into_iter().zip(1..) {
        assert_eq!(ledger.last_failure(&batch, part).await.unwrap(), None);
        ledger.note_failure(&batch, part, &failure(attempt), NOW).await.unwrap();
    }
    ledger.note_failure(&batch, Part::Gather, &failure(9), NOW).await.unwrap();
    for (part, attempt) in parts.into_iter().zip([1, 9, 3, 4]) {
        assert_eq!(ledger.last_failure(&batch, part).await.unwrap(), Some(failure(attempt)));
    }
}

async fn tries_count_unless_they_are_excused(ledger: &impl Notes) {
    let begun = async |message: &str| ledger.begin_try(message, NOW).await.unwrap();
    for counted in 2..=4 {
        assert_eq!(begun("message-1").await, counted);
    }
    ledger.excuse_try("message-1", NOW).await.unwrap();
    assert_eq!(begun("message-1").await, 4);
    // The first try, of which nobody tells, was excused.
    ledger.excuse_try("message-2", NOW).await.unwrap();
    assert_eq!(begun("message-2").await, 1);
    assert_eq!(begun("message-2").await, 2);
}
