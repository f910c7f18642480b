//! Batches over many objects.

use fanfold::model::progress::BatchState;
use fanfold::store::blob::Blob;
use fanfold::store::items::Items;
use serde_json::Value;

use crate::world::{World, variants};
use crate::{counts, csv};

const TYPE: &str = "text/csv";

fn lines(results: &str) -> Vec<Value> {
    results.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[tokio::test]
async fn a_prefix_is_one_batch() {
    for variant in variants() {
        let world = World::of(variant.name).await;
        // Objects in a folder whose name is ignored make no batches of their own.
        for (name, bytes) in [
            ("a b.csv", csv(60, "one")),
            ("deep/c+d.csv", b"itemNo,price,note\r\nx1,1,y\r\nx2,free,y\r\n".to_vec()),
            ("_SUCCESS", Vec::new()),
            ("none.csv", Vec::new()),
        ] {
            world.input.put(&format!("_day/{name}"), TYPE, bytes.into()).await.unwrap();
        }
        let done = world.submit_prefix("_day/");
        assert_eq!(done.code, 3, "{}: {}", variant.name, done.stderr);
        let summary = done.summary();
        assert_eq!((summary.state, counts(&summary)), (BatchState::PartiallyFailed, (62, 61, 1)), "{}", variant.name);
        assert_eq!(summary.input.key, "day.manifest.jsonl");
        let objects = summary.objects.unwrap();
        assert_eq!((objects.total, objects.failed), (3, 0));
        let told = lines(&done.output("results.jsonl").unwrap());
        assert_eq!(told.iter().filter(|line| line["object"] == "_day/a b.csv").count(), 60);
        assert_eq!((told[61]["object"].as_str(), told[61]["index"].as_u64()), (Some("_day/deep/c+d.csv"), Some(61)));
        assert_eq!(done.output("failed/00001-c-d.csv").unwrap(), "itemNo,price,note\r\nx2,free,y\r\n");
        assert_eq!(summary.failures[0].object.as_deref(), Some("_day/deep/c+d.csv"));
        assert!(summary.failures[0].message.starts_with("line 3: "), "{:?}", summary.failures);
        assert_eq!(world.items.read("x1").await.unwrap().unwrap().index, 60);
    }
}

#[tokio::test]
async fn an_inventory_is_one_batch_even_if_an_object_is_gone() {
    let world = World::open().await;
    let bucket = world.input_bucket();
    world.input.put("_list/für a+b.csv", TYPE, csv(3, "listed").into()).await.unwrap();
    let first = world.input.put("_list/c.csv", TYPE, csv(1, "first").into()).await.unwrap().version.unwrap();
    world.input.put("_list/c.csv", TYPE, csv(5, "second").into()).await.unwrap();
    let rows = [("_list/f%C3%BCr+a%2Bb.csv", ""), ("_list/gone.csv", ""), ("_list/c.csv", first.as_str())];
    let rows = rows.map(|(key, version)| format!("\"{bucket}\",\"{key}\",\"{version}\"\n"));
    let done = world.submit("list.manifest.csv", rows.concat().as_bytes());
    assert_eq!(done.code, 4, "{}", done.stderr);
    let summary = done.summary();
    assert_eq!((summary.state, counts(&summary)), (BatchState::Failed, (4, 4, 0)));
    assert_eq!(summary.error.unwrap().code.name(), "UNREADABLE_OBJECTS");
    let faults = summary.objects.unwrap().faults;
    let faults: Vec<_> = faults.iter().map(|fault| (fault.object.as_str(), fault.fault.code.name())).collect();
    assert_eq!(faults, [("_list/gone.csv", "UNAVAILABLE_OBJECT")]);
    assert!(world.items.read("first0").await.unwrap().is_some());
    assert!(world.items.read("second0").await.unwrap().is_none(), "the version that is listed is read");
}
