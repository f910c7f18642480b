//! What is in a document.

use std::process::Command;

use serde_json::json;
use sha2::{Digest, Sha256};

use crate::data::{asset, document, empty, pdf, sized, with};

#[test]
fn it_is_tagged_and_says_its_language_and_title() {
    let document = document(&sized(3, 9));
    assert_eq!(document.lang.as_deref(), Some("en"));
    assert_eq!(document.title.as_deref(), Some("Usage in January 2026"));
    assert!(document.marked);
    // https://pdfa.org/resource/iso-14289-pdfua: how a document says that it follows PDF/UA-1.
    assert!(document.metadata.contains("<pdfuaid:part>1</pdfuaid:part>"), "{}", document.metadata);
    assert!(document.metadata.contains("2026-02-01T03:04:05"), "{}", document.metadata);
}

#[test]
fn every_head_of_a_table_belongs_to_its_column() {
    let document = document(&sized(3, 9));
    let heads: Vec<_> = document.tags.iter().filter(|tag| tag.name == "TH").collect();
    assert_eq!(heads.len(), 3 + 3 * 4, "one table of totals with three columns, three of assets with four");
    assert!(heads.iter().all(|head| head.scope.as_deref() == Some("Column")), "{heads:?}");
    assert_eq!(document.tags.iter().filter(|tag| tag.name == "Table").count(), 4);
}

#[test]
fn rows_are_read_in_their_order_with_their_totals_at_the_end() {
    let document = document(&sized(2, 4));
    let rows = document.texts("TR");
    let wanted = [
        "Asset  Records  Amount in EUR",
        "Pump 1   24  69.00",
        "Pump 2   24  69.00",
        "All assets  48",
        "Day  Site  Records  Amount in EUR",
        "2026-01-01  Hall 0  12  34.50",
        "2026-01-02  Hall 1  12  34.50",
        "Total    24  69.00",
        "Day  Site  Records  Amount in EUR",
        "2026-01-01  Hall 0  12  34.50",
        "2026-01-02  Hall 1  12  34.50",
        "Total    24  69.00",
    ];
    let words = |text: &str| text.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
    assert_eq!(rows.iter().map(|row| words(row)).collect::<Vec<_>>(), wanted.map(words));
}

#[test]
fn it_says_what_the_data_is_about() {
    let document = document(&sized(2, 4));
    for part in
        ["2026-01-01 to 2026-01-31, both included", "Europe/Berlin", "2026-02-01 03:04:05 UTC", "2 assets, 4 rows"]
    {
        assert!(document.text().contains(part), "{part}: {}", document.text());
    }
    assert!(!document.text().contains("not complete"));
    assert_eq!(document.links, ["https://example.com/whole.csv"]);
    for (index, page) in document.drawn.iter().enumerate() {
        assert!(page.contains(&format!("Page {} of {}", index + 1, document.pages)), "{page}");
    }
}

#[test]
fn a_chart_is_told_in_words() {
    let mut report = with(vec![asset("a", 1), asset("b", 2)]);
    let figure = |report: &serde_json::Value| {
        let document = document(report);
        let figure = document.tags.iter().find(|tag| tag.name == "Figure").map(|tag| tag.alt.clone());
        figure.map(|alt| alt.expect("a description"))
    };
    assert_eq!(figure(&report).unwrap(), "Bar chart, Records by asset. a: 12; b: 24.");
    report["chart"]["by"] = "date".into();
    assert_eq!(figure(&report).unwrap(), "Bar chart, Records by day. 2026-01-01: 24; 2026-01-02: 12.");
    report["chart"] = serde_json::Value::Null;
    assert_eq!(figure(&report), None);
}

#[test]
fn many_bars_are_told_by_the_highest_and_the_lowest() {
    let mut report = sized(30, 60);
    report["assets"][7]["totals"][2] = (-5).into();
    report["assets"][9]["totals"][2] = 100.into();
    let document = document(&report);
    let figure = document.tags.iter().find(|tag| tag.name == "Figure").unwrap();
    let wanted =
        "Bar chart, Records by asset, with 20 bars. The highest is Pump 10 with 100, the lowest Pump 1 with 24.";
    assert_eq!(figure.alt.as_deref(), Some(wanted));
    assert!(document.text().contains("the 20 largest of 30"));
}

#[test]
fn a_year_of_days_is_drawn_by_month() {
    let mut report = with(vec![asset("a", 0)]);
    let rows = (0..365).map(|day| json!([format!("2026-{:02}-{:02}", day / 31 + 1, day % 28 + 1), null, 1, "0.10"]));
    report["assets"][0]["rows"] = rows.collect();
    report["to"] = "2027-01-01".into();
    report["chart"]["column"] = "amount".into();
    let document = document(&report);
    let figure = document.tags.iter().find(|tag| tag.name == "Figure").unwrap();
    let wanted = "with 12 bars. The highest is 2026-01 with 3.10, the lowest 2026-12 with 2.40.";
    assert!(figure.alt.as_deref().unwrap().ends_with(wanted), "{figure:?}");
}

#[test]
fn an_empty_report_is_a_document() {
    let document = document(&empty());
    assert!(document.text().contains("No assets are in this report."), "{}", document.text());
    assert_eq!((document.pages, document.texts("Table").len(), document.texts("Figure").len()), (1, 0, 0));
}

#[test]
fn an_asset_without_rows_is_named() {
    let document = document(&with(vec![asset("a", 0), asset("b", 1)]));
    assert!(document.text().contains("No rows in these days."), "{}", document.text());
    assert_eq!(document.texts("H2"), ["a", "b"]);
}

#[test]
fn missing_parts_are_named_with_their_reasons() {
    let mut report = sized(1, 1);
    report["missing"] = json!([{"asset": "Pump 17", "reason": "The meter did not answer."}]);
    let document = document(&report);
    assert!(document.text().contains("This report is not complete. 1 asset is missing"), "{}", document.text());
    assert_eq!(
        document.texts("TR").last().unwrap().split_whitespace().collect::<Vec<_>>().join(" "),
        "Pump 17 The meter did not answer."
    );
}

#[test]
fn a_report_can_be_incomplete_without_a_missing_asset() {
    let mut report = sized(1, 1);
    report["partial"] = true.into();
    assert!(document(&report).text().contains("finished before all of its data was there"));
}

#[test]
fn many_assets_get_a_list_of_contents() {
    assert_eq!(document(&sized(8, 8)).texts("TOCI").len(), 0);
    // Totals, totals by asset, assets, and each of them.
    assert_eq!(document(&sized(9, 9)).texts("TOCI").len(), 3 + 9);
    assert_eq!(document(&sized(61, 61)).texts("TOCI").len(), 3);
}

#[test]
fn three_hundred_rows_repeat_their_heads_but_not_in_the_tags() {
    let document = document(&sized(1, 300));
    assert_eq!(document.texts("TR").len(), 1 + 300 + 1);
    assert!(document.pages > 3);
    for page in &document.drawn[..document.pages - 1] {
        assert!(page.contains("DaySiteRecordsAmount in EUR"), "{page}");
    }
}

#[test]
fn five_thousand_rows_are_all_there_and_of_one_more_the_first_and_the_totals() {
    let whole = document(&sized(50, 5_000));
    assert_eq!(whole.texts("TR").len(), (1 + 50 + 1) + 5_000 + 50 * 2);
    assert!(!whole.text().contains("These are the first"));
    assert_eq!(whole.links.len(), 1);

    let cut = document(&sized(51, 5_001));
    assert_eq!(cut.texts("TR").len(), (1 + 51 + 1) + 5_000 + 51 * 2);
    assert!(cut.text().contains("These are the first 5,000 of 5,001 rows; the others are in the whole data as CSV"));
    assert!(cut.text().contains("These are the first 97 of 98 rows"));
    assert_eq!(cut.links.iter().filter(|link| *link == "https://example.com/whole.csv").count(), 3);
}

#[test]
fn wide_rows_are_limited_by_their_cells() {
    let mut report = empty();
    let columns = (0..16).map(|column| json!({"name": format!("c{column}"), "title": "C", "kind": "integer"}));
    report["columns"] = columns.collect();
    report["chart"] = serde_json::Value::Null;
    report["assets"] = json!([{"name": "a", "rows": vec![vec![1; 16]; 3_001]}]);
    let document = document(&report);
    assert_eq!(document.texts("TR").len(), 1 + 3_000);
    assert!(document.text().contains("the first 3,000 of 3,001 rows"));
}

#[test]
fn counts_without_end_do_no_harm() {
    let mut report = sized(2, 2);
    for asset in 0..2 {
        report["assets"][asset]["rowCount"] = u64::MAX.into();
    }
    assert!(document(&report).text().contains("9,223,372,036,854,775,807 rows"));
}

#[test]
fn of_many_missing_parts_the_first_are_named_and_all_counted() {
    let mut report = empty();
    report["missing"] = (0..1_001).map(|part| json!({"asset": format!("a{part}"), "reason": "b"})).collect();
    let document = document(&report);
    assert!(document.text().contains("1,001 assets are missing"));
    assert!(document.text().contains("These are the first 1,000 of 1,001 assets that are missing."));
}

#[test]
fn rows_that_were_left_out_before_are_counted() {
    let mut report = sized(1, 2);
    report["assets"][0]["rowCount"] = 1_234_567.into();
    report["full"] = serde_json::Value::Null;
    let text = document(&report).text().to_owned();
    assert!(text.contains("1 asset, 1,234,567 rows"), "{text}");
    assert!(text.contains("These are the first 2 of 1,234,567 rows; the others are in the whole data."), "{text}");
}

#[test]
fn of_very_many_assets_the_first_have_tables_and_all_have_totals() {
    let document = document(&sized(600, 600));
    assert_eq!(document.texts("H2").len(), 500);
    assert!(document.text().contains("Pump 600"));
    assert!(
        document.text().contains("The tables of 100 more assets are in the whole data as CSV"),
        "{}",
        document.text()
    );
}

#[test]
fn sixteen_columns_have_room() {
    let mut report = empty();
    let columns = (0..16).map(
        |column| json!({"name": format!("c{column}"), "title": format!("Column number {column}"), "kind": "text"}),
    );
    report["columns"] = columns.collect();
    report["chart"] = serde_json::Value::Null;
    report["assets"] = json!([{"name": "a", "rows": [vec!["Donaudampfschiffahrtsgesellschaft"; 16]]}]);
    let document = document(&report);
    assert_eq!(document.texts("TD").len(), 16);
    assert!(
        document.texts("TD").iter().all(|cell| cell.replace('\u{200b}', "") == "Donaudampfschiffahrtsgesellschaft")
    );
}

#[test]
fn the_same_data_make_the_same_bytes() {
    let hash = |bytes: &[u8]| Sha256::digest(bytes).to_vec();
    let report = sized(30, 300);
    let first = pdf(&report);
    assert_eq!(hash(&pdf(&report)), hash(&first));

    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("r.json"), report.to_string()).unwrap();
    let done = Command::new(env!("CARGO_BIN_EXE_fanfold-report"))
        .args(["render", "r.json"])
        .current_dir(&folder)
        .status()
        .unwrap();
    assert!(done.success());
    assert_eq!(hash(&std::fs::read(folder.path().join("r.pdf")).unwrap()), hash(&first));

    let mut other = report;
    other["asOf"] = "2026-02-01T03:04:06Z".into();
    assert_ne!(hash(&pdf(&other)), hash(&first));
}
