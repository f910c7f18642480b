//! The contract of `Tasks`.

use crate::model::ids::{BatchId, ChunkIndex};
use crate::model::record::{Entry, Outcome, Raw};
use crate::model::timestamp::Timestamp;
use crate::store::tasks::{MAX_ROW_BYTES, MOST_RESOLVED, Tasks, Verdict, fitting, groups};
use serde_json::json;
use serde_json::value::to_raw_value;

const NOW: Timestamp = Timestamp(1_700_000_000_123);

/// Checks that a tasks table keeps its contract.
///
/// # Panics
/// If it does not.
pub async fn all(tasks: &impl Tasks) {
    rows_come_back_in_order(tasks).await;
    a_repeat_never_takes_back_an_outcome(tasks).await;
    a_record_too_large_for_a_row_fails(tasks).await;
    the_first_verdict_stays(tasks).await;
}

/// Creates the rows of a chunk, group by group.
async fn created(tasks: &impl Tasks, batch: &BatchId, chunk: ChunkIndex, entries: &[Entry]) {
    let fitted: Vec<Entry> = entries.iter().map(fitting).collect();
    for group in groups(&fitted) {
        tasks.create(batch, chunk, group, NOW).await.unwrap();
    }
}

fn batch(name: &str) -> BatchId {
    BatchId::parse(&format!("{name}-0123456789ab")).unwrap()
}

fn entries(from: u64, count: u64) -> Vec<Entry> {
    let record = |n: u64| to_raw_value(&json!({"itemNo": n.to_string(), "note": "für\n\"x\""})).unwrap();
    (from..from + count).map(|n| Entry::decoded(n, record(n))).collect()
}

async fn rows_come_back_in_order(tasks: &impl Tasks) {
    let (batch, first, second) = (batch("rows"), ChunkIndex::new(0).unwrap(), ChunkIndex::new(1).unwrap());
    assert!(tasks.read(&batch, first).await.unwrap().rows.is_empty());
    let mut written = entries(95, 230);
    written.push(Entry::faulty(325, Some("a,b,c"), "line 327: the row has 3 fields"));
    written.push(Entry::broken(326, b"caf\xe9,b", "line 328: byte 0xE9 is not UTF-8"));
    written[0].object = Some(3);
    created(tasks, &batch, first, &written).await;
    created(tasks, &batch, second, &entries(327, 1)).await;
    let found = tasks.read(&batch, first).await.unwrap();
    assert_eq!(found.verdict, None);
    let rows = found.rows;
    assert_eq!(rows.len(), 232);
    for (row, entry) in rows.iter().zip(&written) {
        assert_eq!((row.entry.index, row.entry.record.get()), (entry.index, entry.record.get()));
        assert_eq!((&row.entry.fault, &row.entry.raw, &row.response), (&entry.fault, &entry.raw, &None));
        assert_eq!(row.entry.object, entry.object);
    }
    assert_eq!(tasks.read(&batch, second).await.unwrap().rows.len(), 1);
}

async fn a_repeat_never_takes_back_an_outcome(tasks: &impl Tasks) {
    let (batch, chunk) = (batch("repeat"), ChunkIndex::new(7).unwrap());
    created(tasks, &batch, chunk, &entries(0, 120)).await;
    let outcome = |entry: Entry| {
        let failure = (entry.index % 2 == 1).then(|| "odd".to_owned());
        let result =
            entry.index.is_multiple_of(4).then(|| to_raw_value(&json!({"sum": entry.index, "text": "ü"})).unwrap());
        let raw = entry.index.is_multiple_of(3).then(|| Raw::new(*b"\xff\n"));
        Outcome { result, raw, line: 7, object: Some(3), ..Outcome::of(entry, failure) }
    };
    let outcomes: Vec<Outcome> = entries(0, 120).into_iter().map(outcome).collect();
    for _ in 0..2 {
        for some in outcomes.chunks(MOST_RESOLVED) {
            assert!(tasks.resolve(&batch, chunk, some, NOW).await.unwrap().is_empty());
        }
        created(tasks, &batch, chunk, &entries(0, 120)).await;
        let rows = tasks.read(&batch, chunk).await.unwrap().rows;
        assert_eq!(rows.len(), 120);
        for (row, outcome) in rows.iter().zip(&outcomes) {
            assert_eq!(row.response.as_ref(), Some(&outcome.response));
            let results = [&row.result, &outcome.result].map(|result| result.as_ref().map(|result| result.get()));
            assert_eq!(results[0], results[1]);
            assert_eq!(row.entry.fault.as_deref(), (!outcome.response.success).then_some("odd"));
            assert_eq!((row.entry.record.get(), &row.entry.raw), (outcome.request.get(), &outcome.raw));
            assert_eq!((row.entry.line, row.entry.object), (7, Some(3)));
        }
    }
}

async fn a_record_too_large_for_a_row_fails(tasks: &impl Tasks) {
    let (batch, chunk) = (batch("large"), ChunkIndex::new(0).unwrap());
    let large = Entry::decoded(0, to_raw_value(&"x".repeat(MAX_ROW_BYTES)).unwrap());
    let large = Entry { object: Some(1), ..large };
    tasks.create(&batch, chunk, &[large], NOW).await.unwrap();
    let row = tasks.read(&batch, chunk).await.unwrap().rows.remove(0);
    assert_eq!((row.entry.record.get(), row.entry.object), ("null", Some(1)));
    assert!(row.entry.fault.unwrap().contains("use another variant"));
}

async fn the_first_verdict_stays(tasks: &impl Tasks) {
    let (batch, chunk) = (batch("verdict"), ChunkIndex::new(3).unwrap());
    created(tasks, &batch, chunk, &entries(0, 2)).await;
    let buried = Verdict::Buried("for a reason".to_owned());
    for late in [buried.clone(), Verdict::Worked(None), Verdict::Buried("another".to_owned())] {
        assert_eq!(tasks.settle(&batch, chunk, late, NOW).await.unwrap(), buried);
    }
    let found = tasks.read(&batch, chunk).await.unwrap();
    assert_eq!((found.verdict, found.rows.len()), (Some(buried), 2));
    let other = ChunkIndex::new(4).unwrap();
    for late in [Verdict::Worked(None), Verdict::Buried("late".to_owned())] {
        assert_eq!(tasks.settle(&batch, other, late, NOW).await.unwrap(), Verdict::Worked(None));
    }
    let counted = ChunkIndex::new(5).unwrap();
    let fold = |json: &str| Verdict::Worked(Some(serde_json::from_str(json).unwrap()));
    let json = r#"[{"group":["株式会社",""],"count":7,"sum":{"n":"-0.5"}}]"#;
    for late in [fold(json), Verdict::Worked(None), fold("[]"), Verdict::Buried("late".to_owned())] {
        assert_eq!(tasks.settle(&batch, counted, late, NOW).await.unwrap(), fold(json));
    }
    assert_eq!(tasks.read(&batch, counted).await.unwrap().verdict, Some(fold(json)));
}
