//! What a batch is doing: the document that people look at.

use std::sync::{Arc, Mutex};

use fanfold::batch::view::{Around, view};
use fanfold::model::condition::Condition;
use fanfold::model::error::{Error, ErrorKind, Result};
use fanfold::model::fault::Fault;
use fanfold::model::ids::{BatchId, ChunkIndex, Revision};
use fanfold::model::input::InputRef;
use fanfold::model::progress::{BatchState, Mark, Observation, Opening, Sealing, Stop, Tally};
use fanfold::model::reason::ReasonId;
use fanfold::model::timestamp::Timestamp;
use fanfold::model::view::{BatchView, EventKind, Pausing, VERSION};
use fanfold::pipeline::Pipeline;
use fanfold::pipeline::local::{LocalPipeline, Settings};
use fanfold::pipeline::variant::Variant;
use fanfold::processor::{Chunk, Processor, Reply};
use fanfold::stage::Subject;
use fanfold::store::Clock;
use fanfold::store::channel::{Channel, Outgoing};
use fanfold::store::clock::SystemClock;
use fanfold::store::faults::{Faults, Faulty};
use fanfold::store::ledger::memory::MemoryLedger;
use fanfold::store::ledger::{Control, Ledger, Notes, Part, Trouble, tree};

const BEGAN: i64 = 1_800_000_000_000;

/// A moment so many seconds after the batch began.
fn after(seconds: f64) -> Timestamp {
    Timestamp(BEGAN + (seconds * 1000.0) as i64)
}

/// A sealed batch of chunks of ten records, of which nothing is done.
async fn begun(ledger: &MemoryLedger, chunks: u32) -> BatchId {
    let id = BatchId::of("input", "a.csv", &Revision::Version("1".to_owned()));
    let input = InputRef {
        bucket: "input".to_owned(),
        key: "a.csv".to_owned(),
        version_id: None,
        e_tag: None,
        bytes: 1,
        format: None,
        read_as: None,
    };
    let opening = Opening {
        id: id.clone(),
        variant: "chunked".to_owned(),
        input,
        condition: Condition::Tree,
        ranged: false,
        rules: None,
        only: None,
        chunk_size: 10,
        started_at: after(0.0),
        sequence: after(0.0),
    };
    ledger.open(&opening).await.unwrap();
    let records = Some(u64::from(chunks) * 10);
    let sealing = Sealing { records, chunks, columns: None, head: None, error: None, scattered_at: after(1.0) };
    tree::seal(ledger, &id, &sealing).await.map(|_| ()).unwrap();
    id
}

async fn mark(ledger: &MemoryLedger, id: &BatchId, chunk: u32, at: Timestamp) {
    let tally = Tally { succeeded: 10, failed: 0, failed_chunks: 0 };
    tree::mark(ledger, id, ChunkIndex::new(chunk).unwrap(), tally, at).await.map(|_| ()).unwrap();
}

async fn look(ledger: &(impl Ledger + Notes), id: &BatchId, queue: Option<(u64, u64)>, now: Timestamp) -> BatchView {
    let (waiting, running) = queue.unzip();
    view(ledger, id, &Around { waiting, running }, now).await.unwrap().unwrap()
}

#[tokio::test]
async fn failures_are_grouped_by_what_their_messages_have_in_common() {
    let schema = r#"{"properties":{"price":{"type":"number"}},"required":["price"]}"#.to_owned();
    let pipeline = LocalPipeline::of_items(&Settings { schema, chunk_size: 4, ..Settings::default() }).unwrap();
    let rows: Vec<String> = (0..20)
        .map(|n| match n % 5 {
            0 => format!(r#"{{"id":{n}}}"#),
            1 | 2 => format!(r#"{{"id":{n},"price":"cheap {n}"}}"#),
            _ => format!(r#"{{"id":{n},"price":{n}}}"#),
        })
        .collect();
    let (batch, event) = pipeline.upload("f.jsonl", rows.join("\n"));
    pipeline.run_batch(&batch, event, || {}).await.unwrap();
    let view = look(&pipeline.stores.ledger, &batch, None, SystemClock.now()).await;
    assert_eq!((view.version, view.state), (VERSION, BatchState::PartiallyFailed));
    let groups: Vec<(u64, f64, usize)> =
        view.failures.iter().map(|group| (group.count, group.share, group.examples.len())).collect();
    assert_eq!(groups, [(8, 8.0 / 12.0, 3), (4, 4.0 / 12.0, 3)]);
    for (group, first) in view.failures.iter().zip([1, 0]) {
        assert!(!group.reason.contains("cheap") && group.examples.iter().any(|example| example.index == first));
    }
    assert_eq!((view.standstill, view.time_left), (None, None));
    assert!(view.chunks.missing.is_empty());
    let stages: Vec<&str> = view.stages.iter().map(|stage| stage.name.as_str()).collect();
    assert_eq!(stages, ["scatter", "process", "gather"]);
}

#[tokio::test]
async fn what_is_not_known_to_the_ledger_has_no_view() {
    let id = BatchId::of("input", "a.csv", &Revision::Version("1".to_owned()));
    assert_eq!(view(&MemoryLedger::new(), &id, &Around::default(), after(0.0)).await.unwrap(), None);
}

#[tokio::test]
async fn the_time_left_is_right_from_half_way_on() {
    let (ledger, chunks) = (MemoryLedger::new(), 400);
    let id = begun(&ledger, chunks).await;
    // Functions start cold, eight chunks end at about the same time, and it takes 82 seconds in all.
    let at = |chunk: u32| after(2.0 + f64::from(chunk / 8) * 1.6 + f64::from(chunk * 7 % 8) * 0.1);
    let end = at(chunks - 1);
    for chunk in 0..chunks {
        mark(&ledger, &id, chunk, at(chunk)).await;
        let view = look(&ledger, &id, None, at(chunk)).await;
        let left = (end.0 - at(chunk).0) as f64 / 1000.0;
        if chunk < 2 {
            assert_eq!(view.time_left, None);
        } else if chunk >= chunks / 2 {
            let told = view.time_left.unwrap();
            assert!((told.seconds - left).abs() <= left * 0.2 + 2.0, "{told:?} at {chunk}, and it was {left}");
            assert!(told.least <= told.seconds && told.seconds <= told.most);
        }
    }
}

#[tokio::test]
async fn a_batch_that_got_slower_is_foreseen_by_its_pace_of_late() {
    let ledger = MemoryLedger::new();
    let id = begun(&ledger, 1_000).await;
    for chunk in 0..400 {
        mark(&ledger, &id, chunk, after(10.0 + f64::from(chunk) / 10.0)).await;
    }
    let mark_then = Observation::mark_of(BatchState::Processing, 600, false, 0);
    ledger
        .observe(&id, &Observation { mark: mark_then, since: after(50.0), mended: 0, next: after(900.0) })
        .await
        .unwrap();
    for chunk in 400..500 {
        mark(&ledger, &id, chunk, after(50.0 + f64::from(chunk - 400))).await;
    }
    let view = look(&ledger, &id, None, after(150.0)).await;
    let (pace, left) = (view.pace.unwrap(), view.time_left.unwrap());
    assert_eq!((pace.mean.round(), pace.recent), (36.0, Some(10.0)));
    assert_eq!(left.seconds, 500.0);
    assert!(left.least < 130.0 && left.most > 550.0, "{left:?}");
}

#[tokio::test]
async fn a_batch_that_waits_says_for_what() {
    let ledger = MemoryLedger::new();
    let id = begun(&ledger, 12).await;
    for chunk in 0..9 {
        mark(&ledger, &id, chunk, after(5.0)).await;
    }
    let busy = |busy, attempt| Trouble {
        part: Part::Chunk(ChunkIndex::new(9).unwrap()),
        busy,
        attempt,
        message: "the table is too busy".to_owned(),
        at: after(30.0),
    };
    // As long as chunks get done, nobody has to be told anything.
    assert_eq!(look(&ledger, &id, Some((0, 3)), after(20.0)).await.standstill, None);
    let told = async |queue, now: f64| {
        let standstill = look(&ledger, &id, queue, after(now)).await.standstill.unwrap();
        assert_eq!(standstill.since, after(5.0));
        (standstill.kind, standstill.reasons.join("; "))
    };
    let (kind, reasons) = told(Some((3, 0)), 40.0).await;
    assert_eq!((kind, reasons.as_str()), (Pausing::Stalled, "3 chunks wait for a worker"));
    let (kind, reasons) = told(Some((0, 3)), 40.0).await;
    assert_eq!((kind, reasons.as_str()), (Pausing::Slow, "3 messages are being worked on, and 3 chunks are not done"));
    let (kind, reasons) = told(Some((0, 0)), 40.0).await;
    assert_eq!(kind, Pausing::Stalled);
    assert_eq!(reasons, "3 chunks have no message any more; sweep sends again what is missing");
    ledger.note_trouble(&id, &busy(true, 1)).await.unwrap();
    let (kind, reasons) = told(Some((3, 0)), 31.0).await;
    assert_eq!((kind, reasons.as_str()), (Pausing::Slow, "chunk 9 waits: the table is too busy"));
    ledger.note_trouble(&id, &busy(false, 4)).await.unwrap();
    let (kind, reasons) = told(Some((3, 0)), 40.0).await;
    assert_eq!((kind, reasons.as_str()), (Pausing::Stalled, "chunk 9 failed at attempt 4: the table is too busy"));
    assert_eq!(look(&ledger, &id, None, after(40.0)).await.chunks.missing, [9, 10, 11]);
}

#[tokio::test]
async fn a_lost_message_is_told_by_the_real_stages() {
    let pipeline = LocalPipeline::of_items(&Settings::default()).unwrap();
    let (batch, event) = pipeline.upload("f.jsonl", "{\"id\":1}\n");
    pipeline.stores.queues[0].send(vec![Outgoing::new(event)]).await.unwrap();
    let delivery = pipeline.stores.queues[0].receive(1).await.unwrap().remove(0);
    pipeline.handle(0, &delivery).await;
    let now = SystemClock.now().plus_seconds(60);
    let view = look(&pipeline.stores.ledger, &batch, Some((0, 0)), now).await;
    assert_eq!((view.state, view.chunks.missing.as_slice()), (BatchState::Processing, &[0][..]));
    let standstill = view.standstill.unwrap();
    assert_eq!(standstill.kind, Pausing::Stalled);
    assert!(standstill.reasons[0].starts_with("1 chunk has no message any more"), "{:?}", standstill.reasons);
}

#[derive(Clone, Default)]
struct Count(Arc<Mutex<Vec<&'static str>>>);

impl Faults for Count {
    async fn before(&self, call: &'static str) -> Result<()> {
        self.0.lock().unwrap().push(call);
        Ok(())
    }

    async fn after(&self, _call: &'static str) -> Result<()> {
        Ok(())
    }

    fn midway(&self, _call: &'static str, _many: usize) -> Option<usize> {
        None
    }
}

#[tokio::test]
async fn a_batch_of_65536_chunks_takes_four_reads() {
    let (ledger, count) = (MemoryLedger::new(), Count::default());
    let id = begun(&ledger, 65_536).await;
    for chunk in 0..65_500 {
        mark(&ledger, &id, chunk, after(5.0 + f64::from(chunk) / 100.0)).await;
    }
    let counted = Faulty::new(ledger, count.clone());
    let view = look(&counted, &id, None, after(700.0)).await;
    assert_eq!((view.chunks.done, view.records.succeeded), (Some(65_500), 655_000));
    // Each reads at most a hundred items, as many as one request does.
    let calls = count.0.lock().unwrap().clone();
    assert_eq!(calls, ["ledger.overview", "ledger.read_leaves", "ledger.read_leaves", "ledger.read_leaves"]);
}

#[tokio::test]
async fn a_paused_pipeline_is_told_at_once_and_until_it_goes_on() {
    let ledger = MemoryLedger::new();
    let id = begun(&ledger, 5).await;
    ledger.note_pause(Some(after(2.0))).await.unwrap();
    let paused = look(&ledger, &id, Some((5, 0)), after(3.0)).await;
    let standstill = paused.standstill.unwrap();
    assert_eq!((standstill.kind, standstill.since, paused.paused_at), (Pausing::Stalled, after(2.0), Some(after(2.0))));
    assert!(standstill.reasons[0].contains("paused") && standstill.reasons.len() == 1, "{:?}", standstill.reasons);
    ledger.note_pause(None).await.unwrap();
    let goes_on = look(&ledger, &id, Some((5, 0)), after(4.0)).await;
    assert_eq!((goes_on.standstill, goes_on.paused_at), (None, None));
}

#[tokio::test]
async fn what_became_of_a_batch_is_told_in_order() {
    let ledger = MemoryLedger::new();
    let id = begun(&ledger, 2).await;
    let stop = Stop { state: BatchState::Cancelled, fault: Fault::cancelled(), at: after(5.0) };
    ledger.stop(&id, &stop).await.unwrap();
    let view = look(&ledger, &id, Some((1, 1)), after(6.0)).await;
    let told: Vec<(Timestamp, EventKind)> = view.events.iter().map(|event| (event.at, event.kind)).collect();
    let wanted = [(after(0.0), EventKind::Opened), (after(1.0), EventKind::Sealed), (after(5.0), EventKind::Cancelled)];
    assert_eq!(told, wanted);
    assert_eq!(view.events[1].text, "20 records in 2 chunks");
    assert_eq!((view.chunks.running, view.chunks.waiting, view.redrivable), (Some(1), Some(1), false));
    mark(&ledger, &id, 0, after(7.0)).await;
    let view = look(&ledger, &id, Some((0, 0)), after(8.0)).await;
    assert_eq!((view.records.left(), view.records.running, view.records.waiting), (10, Some(0), Some(10)));
}

#[tokio::test]
async fn records_that_run_follow_from_the_chunks_that_do() {
    let ledger = MemoryLedger::new();
    let id = begun(&ledger, 8).await;
    mark(&ledger, &id, 3, after(7.0)).await;
    let told = |view: &BatchView| (view.records.succeeded, view.records.running, view.records.waiting);
    assert_eq!(told(&look(&ledger, &id, Some((4, 3)), after(8.0)).await), (10, Some(30), Some(40)));
    // The queue holds messages of other batches, too.
    assert_eq!(told(&look(&ledger, &id, Some((0, 20)), after(8.0)).await), (10, Some(70), Some(0)));
    assert_eq!(told(&look(&ledger, &id, None, after(8.0)).await), (10, None, None));
}

/// What a table does that is throttled, or a function that may not write to it.
struct Refusing(fn(&str) -> Error);

impl Processor for Refusing {
    async fn process(&self, chunks: Vec<Chunk>) -> Vec<Result<Vec<Reply>>> {
        chunks.iter().map(|_| Err(self.0("the table items"))).collect()
    }
}

#[tokio::test]
async fn what_refuses_its_records_is_told_within_a_minute() {
    let denied = |what: &str| Error::new(ErrorKind::Denied, format!("{what} may not be written"));
    let busy = |what: &str| Error::busy(format!("{what} is throttled"));
    for (refusal, kind, told) in [
        (
            denied as fn(&str) -> Error,
            Pausing::Stalled,
            "chunk 0 failed at attempt 1: the table items may not be written",
        ),
        (busy, Pausing::Slow, "chunk 0 waits: the table items is throttled"),
    ] {
        let pipeline = LocalPipeline::new(&Settings::default(), Refusing(refusal)).unwrap();
        let (batch, event) = pipeline.upload("f.jsonl", "{\"id\":1}\n");
        pipeline.stores.queues[0].send(vec![Outgoing::new(event)]).await.unwrap();
        let take = async |queue: usize| pipeline.stores.queues[queue].receive(1).await.unwrap().remove(0);
        pipeline.handle(0, &take(0).await).await;
        let (delivery, variant) = (take(1).await, Variant::preferred().unwrap());
        let reception = Pipeline::new(pipeline.stores.clone(), variant, "input");
        let reception =
            reception.reception(Some(pipeline.stores.queues[1].clone()), Some(pipeline.stores.queues[0].clone()));
        let subject = Subject { batch: batch.clone(), part: Part::Chunk(ChunkIndex::new(0).unwrap()) };
        let admitted = reception.admit(&delivery, Some(&subject)).await.unwrap();
        let disposition = pipeline.handle(1, &delivery).await;
        reception.conclude(&delivery, admitted, Some(&subject), disposition).await;
        // The pauses between tries grow to five minutes, and what was denied is still what it waits for.
        for seconds in if kind == Pausing::Stalled { [40, 290] } else { [40, 59] } {
            let now = SystemClock.now().plus_seconds(seconds);
            let view = look(&pipeline.stores.ledger, &batch, Some((1, 0)), now).await;
            let standstill = view.standstill.unwrap();
            assert_eq!((standstill.kind, standstill.reasons[0].as_str()), (kind, told), "{seconds}");
        }
    }
}

#[tokio::test]
async fn failures_that_a_redrive_of_their_reason_did_not_reach_are_still_told() {
    let ledger = MemoryLedger::new();
    let id = begun(&ledger, 2).await;
    let (often, seldom) = (ReasonId::kept("often"), ReasonId::kept("seldom"));
    let mark = |succeeded, reasons: Vec<(ReasonId, u64)>| {
        let failed = reasons.iter().map(|(_, count)| count).sum();
        Mark { tally: Tally { succeeded, failed, failed_chunks: 0 }, excepted: true, reasons }
    };
    for chunk in [0, 1].map(|chunk| ChunkIndex::new(chunk).unwrap()) {
        let both = mark(0, vec![(often.clone(), 8), (seldom.clone(), 2)]);
        ledger.mark_leaf(&id, chunk, both, after(2.0)).await.unwrap();
    }
    // The redrive is cancelled after five of sixteen records, of which three succeed.
    let (first, again) = (ledger.read(&id).await.unwrap().unwrap(), id.in_generation(1));
    ledger.open(&Opening { id: again.clone(), only: Some(often.clone()), ..first.opening }).await.unwrap();
    let sealing =
        Sealing { records: None, chunks: 1, columns: None, head: None, error: None, scattered_at: after(9.0) };
    tree::seal(&ledger, &again, &sealing).await.map(|_| ()).unwrap();
    let some = mark(3, vec![(often.clone(), 2)]);
    ledger.mark_leaf(&again, ChunkIndex::new(0).unwrap(), some, after(10.0)).await.unwrap();
    ledger.take(&again, "gather", after(11.0), after(99.0)).await.map(|_| ()).unwrap();
    let tally = Tally { succeeded: 3, failed: 17, failed_chunks: 0 };
    ledger.close(&again, "gather", BatchState::Cancelled, tally, after(12.0)).await.unwrap();
    let view = look(&ledger, &id, None, after(13.0)).await;
    let told: Vec<(&ReasonId, u64)> = view.failures.iter().map(|group| (&group.id, group.count)).collect();
    assert_eq!(told, [(&often, 13), (&seldom, 4)]);
}
