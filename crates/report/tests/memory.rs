//! What documents leave behind. One test, for nothing else may run in its process.
#![cfg(target_os = "linux")]

use fanfold_report::{Report, render};
use serde_json::{Value, json};

const MIB: u64 = 1 << 20;

/// A figure of this process, in bytes: `VmRSS` is what it has, `VmHWM` the most that it had.
fn memory(figure: &str) -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with(figure)).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() * 1024
}

fn report(rows: usize, id: usize) -> Report {
    let columns: Vec<Value> =
        (0..8).map(|c| json!({"name": format!("c{c}"), "title": format!("Column {c}"), "kind": "text"})).collect();
    // Other texts each time, as other reports have them.
    let rows: Vec<Value> = (0..rows).map(|row| (0..8).map(|c| json!(format!("{id} {row} {c}"))).collect()).collect();
    let data = json!({
        "v": 1, "id": format!("r-{id}"), "type": "usage", "title": "Usage", "from": "2026-01-01", "to": "2026-02-01",
        "zone": "Europe/Berlin", "asOf": "2026-02-01T03:04:05Z", "columns": columns, "assets": [{"name": "a", "rows": rows}],
    });
    Report::parse(data.to_string().as_bytes()).unwrap()
}

#[test]
fn memory_is_given_back_and_the_largest_document_stays_below_a_gibibyte() {
    let failing = "#set document(title: \"x\")\n#for row in sys.inputs.data.sections.first().table.rows { row.first() }\n#figure(square())";
    let mut after = Vec::new();
    for id in 0..24 {
        assert!(render(&report(300, id), None).is_ok());
        assert!(render(&report(300, id), Some(failing)).is_err());
        after.push(memory("VmRSS"));
    }
    // The first ones fill pools; without the eviction, each of the others would leave some 30 MiB.
    let grown = after[23].saturating_sub(after[7]);
    assert!(grown < 48 * MIB, "{:?} MiB", after.iter().map(|bytes| bytes / MIB).collect::<Vec<_>>());

    assert!(render(&report(5_000, 24), None).is_ok());
    let most = memory("VmHWM");
    assert!(most < 1024 * MIB, "{} MiB", most / MIB);
}
