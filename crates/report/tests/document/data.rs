//! Reports to set.

use fanfold_report::{Report, render};
use serde_json::{Value, json};

use crate::pdf::Document;

/// A report without assets.
pub fn empty() -> Value {
    json!({
        "v": 1, "id": "r-1", "type": "usage", "title": "Usage in January 2026",
        "from": "2026-01-01", "to": "2026-02-01", "zone": "Europe/Berlin", "asOf": "2026-02-01T03:04:05Z", "partial": false,
        "columns": [
            {"name": "day", "title": "Day", "kind": "date"},
            {"name": "site", "title": "Site", "kind": "text"},
            {"name": "records", "title": "Records", "kind": "integer"},
            {"name": "amount", "title": "Amount in EUR", "kind": "decimal"},
        ],
        "assets": [], "totals": null, "missing": [], "chart": {"column": "records"}, "full": "https://example.com/whole.csv",
    })
}

/// An asset with this many rows, of 12 records each.
pub fn asset(name: &str, rows: usize) -> Value {
    let day = |row: usize| format!("2026-01-{:02}", row % 31 + 1);
    let rows: Vec<Value> = (0..rows).map(|row| json!([day(row), format!("Hall {}", row % 7), 12, "34.50"])).collect();
    let count = rows.len();
    let cents = 3_450 * count;
    let totals = json!([null, null, 12 * count, format!("{}.{:02}", cents / 100, cents % 100)]);
    json!({"name": name, "rows": rows, "totals": totals})
}

/// A report of these assets.
pub fn with(assets: Vec<Value>) -> Value {
    let mut report = empty();
    let count: usize = assets.iter().map(|asset| asset["rows"].as_array().unwrap().len()).sum();
    report["totals"] = json!([null, null, 12 * count, null]);
    report["assets"] = assets.into();
    report
}

/// A report of so many assets, with this many rows in all.
pub fn sized(assets: usize, rows: usize) -> Value {
    let of = |index: usize| rows / assets + usize::from(index < rows % assets);
    with((0..assets).map(|index| asset(&format!("Pump {}", index + 1), of(index))).collect())
}

pub fn parsed(report: &Value) -> Report {
    Report::parse(report.to_string().as_bytes()).unwrap_or_else(|error| panic!("{error}"))
}

pub fn pdf(report: &Value) -> Vec<u8> {
    render(&parsed(report), None).unwrap_or_else(|error| panic!("{error}"))
}

pub fn document(report: &Value) -> Document {
    Document::read(&pdf(report))
}
