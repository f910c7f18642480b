//! A function that makes documents may die at each of its calls, before or after the effect, and while it reads.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use fanfold::model::error::Result;
use fanfold::model::progress::BatchState;
use fanfold::model::reporting::end::{ReportEnd, folder};
use fanfold::pipeline::variant::BUILT_IN;
use fanfold::stage::consolidate::Consolidate;
use fanfold::stage::{Disposition, deliver};
use fanfold::store::Clock;
use fanfold::store::blob::Blob;
use fanfold::store::blob::memory::MemoryBlob;
use fanfold::store::channel::{Channel, Outgoing};
use fanfold::store::clock::SystemClock;
use fanfold::store::faults::{Faults, Faulty, fault};
use fanfold::store::items::memory::MemoryItems;
use fanfold::store::testing::press::MemoryPress;
use sha2::{Digest, Sha256};

use crate::world::{At, FOREVER, Meters, PAGE, World, ended};

#[derive(Debug, Clone, Copy, PartialEq)]
enum How {
    Before,
    After,
    Midway,
}

/// Fails one call, by its number, and all after it: whoever makes them is dead, until somebody else begins.
#[derive(Clone)]
struct Death {
    calls: Arc<AtomicUsize>,
    at: usize,
    how: How,
    past: Arc<AtomicBool>,
}

impl Death {
    fn new(at: usize, how: How) -> Self {
        Self { calls: Arc::default(), at, how, past: Arc::default() }
    }

    /// Whether somebody died.
    fn is_over(&self) -> bool {
        self.calls.load(Ordering::Relaxed) > self.at
    }

    /// Another one makes the calls from now on.
    fn pass(&self) {
        self.past.store(true, Ordering::Relaxed);
    }

    fn strikes(&self) -> bool {
        self.is_over() && !self.past.load(Ordering::Relaxed)
    }
}

impl Faults for Death {
    async fn before(&self, call: &'static str) -> Result<()> {
        if self.past.load(Ordering::Relaxed) {
            return Ok(());
        }
        let number = self.calls.fetch_add(1, Ordering::Relaxed);
        if number > self.at || (number == self.at && self.how == How::Before) { Err(fault(call)) } else { Ok(()) }
    }

    async fn after(&self, call: &'static str) -> Result<()> {
        if self.strikes() && self.how == How::After { Err(fault(call)) } else { Ok(()) }
    }

    fn midway(&self, call: &'static str, many: usize) -> Option<usize> {
        (call == "blob.body" && self.how == How::Midway && self.strikes()).then_some(many / 2)
    }
}

/// The documents of a report by their names.
fn documents(output: &MemoryBlob, folder: &str) -> BTreeMap<String, Vec<u8>> {
    let keys = output.keys().into_iter().filter(|key| key.starts_with(folder));
    keys.map(|key| (key.clone(), output.read(&key).unwrap().to_vec())).collect()
}

/// What a reader may rely on, whenever it reads: all that an end tells of is there, as it is told.
fn reads(output: &MemoryBlob, folder: &str) -> Option<ReportEnd> {
    let end: ReportEnd = serde_json::from_slice(&output.read(&format!("{folder}/end.json"))?).unwrap();
    for document in &end.outputs {
        let bytes = output.read(&document.key).unwrap();
        let digest: String = Sha256::digest(&bytes).iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!((bytes.len() as u64, &digest), (document.bytes, &document.sha256), "{}", document.name);
    }
    Some(end)
}

#[tokio::test]
async fn a_function_that_dies_at_any_call_leaves_the_report_to_the_next_one() {
    let counted = [("pump 1", "2026-02-27", 2, "0.1"), ("b", "2026-03-01", 3, "0.2"), ("c", "2026-03-01", 3, "4")];
    let meters = Meters::of(&counted).await;
    meters.set_broken("broken", true);
    let world = World::new(BUILT_IN[0], meters);
    let assets = ["pump 1", "broken", "b", "never", "c"];
    let (summary, end) = world.report(1, &assets).await;
    assert_eq!((end.outputs.len(), end.parts.failed), (3, 1));
    let (output, folder) = (&world.pipeline.stores.output, folder(&summary.batch_id, 0));
    let reference = documents(output, &folder);
    let now = SystemClock.now();
    for how in [How::Before, How::After, How::Midway] {
        let mut died = 0;
        for at in 0.. {
            for key in reference.keys() {
                output.delete(key).await.unwrap();
            }
            let death = Death::new(at, how);
            // In parts of some bytes, so that documents are uploaded in several.
            let faulty = |blob: &MemoryBlob| Faulty::new(blob.clone().in_parts_of(64), death.clone());
            let stage = Consolidate {
                input: faulty(&world.pipeline.stores.input),
                output: faulty(output),
                rows: Faulty::new(world.rows.clone(), death.clone()),
                press: MemoryPress { bucket: faulty(output) },
                clock: At(now),
                columns: world.settings.columns(),
                page: Some(PAGE.to_owned()),
            };
            let disposition = deliver(&stage, &ended(&summary), FOREVER).await;
            let told = reads(output, &folder);
            if !death.is_over() {
                assert!(matches!(disposition, Disposition::Done), "{how:?} {at}: {disposition:?}");
                assert_eq!(told.as_ref(), Some(&end));
                break;
            }
            died += usize::from(matches!(disposition, Disposition::Retry(_)));
            deliver(&world.consolidate(now), &ended(&summary), FOREVER).await;
            assert_eq!(reads(output, &folder).as_ref(), Some(&end), "{how:?} {at}");
            assert_eq!(documents(output, &folder), reference, "{how:?} {at}: the same bytes");
        }
        assert!(died > if how == How::Midway { 2 } else { 15 }, "{how:?}: it died {died} times");
    }
}

#[tokio::test]
async fn a_worker_that_dies_at_any_call_leaves_its_parts_to_the_next_one() {
    let counted = [("pump 1", "2026-02-27", 2, "0.1"), ("b", "2026-03-01", 3, "0.2"), ("c", "2026-03-01", 3, "4")];
    let assets = ["pump 1", "b", "never", "c", "d"];
    for variant in BUILT_IN {
        let meters = Meters::of(&counted).await;
        let healthy = World::new(*variant, meters.clone());
        let (_, end) = healthy.report(1, &assets).await;
        let reference = healthy.json(&end);
        for how in [How::Before, How::After] {
            let mut died = 0;
            for at in 0.. {
                let (death, rows) = (Death::new(at, how), MemoryItems::new());
                let faulty = (Faulty::new(meters.clone(), death.clone()), Faulty::new(rows.clone(), death.clone()));
                let world = World::with(*variant, faulty.0, faulty.1, rows);
                let (_, batch, event) = world.ask(1, &assets).await;
                world.pipeline.stores.queues[0].send(vec![Outgoing::new(event)]).await.unwrap();
                for message in world.take(0).await {
                    world.pipeline.handle(0, &message).await;
                }
                // Who died left its messages, some of which it had done. They come again, all of them.
                let messages = world.take(1).await;
                for message in &messages {
                    world.pipeline.handle(1, message).await;
                }
                died += usize::from(death.is_over());
                death.pass();
                for message in &messages {
                    let disposition = world.pipeline.handle(1, message).await;
                    assert!(matches!(disposition, Disposition::Done), "{} {how:?} {at}: {disposition:?}", variant.name);
                }
                world.pipeline.run().await.unwrap();
                let summary = world.pipeline.summary(&batch).unwrap();
                deliver(&world.consolidate(SystemClock.now()), &ended(&summary), FOREVER).await;
                let again = world.end(&summary);
                assert_eq!(
                    (again.state, &again.parts),
                    (BatchState::Succeeded, &end.parts),
                    "{} {how:?} {at}",
                    variant.name
                );
                assert_eq!(world.json(&again)["assets"], reference["assets"], "{} {how:?} {at}", variant.name);
                if !death.is_over() {
                    break;
                }
            }
            assert!(died > 5, "{} {how:?}: it died {died} times", variant.name);
        }
    }
}
