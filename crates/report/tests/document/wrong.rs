//! Data that is wrong, and the command.

use std::process::{Command, Output};

use fanfold_report::{RenderError, Report, render};
use serde_json::{Value, json};

use crate::data::{parsed, sized};
use crate::pdf::Document;

/// What is said of a report in which the member at `pointer` is `value`.
fn problem(pointer: &str, value: Value) -> String {
    let mut report = sized(2, 6);
    report["missing"] = json!([{"asset": "a", "reason": "b"}]);
    let (parent, name) = pointer.rsplit_once('/').unwrap();
    match report.pointer_mut(parent).unwrap() {
        Value::Object(members) => drop(members.insert(name.to_owned(), value)),
        Value::Array(values) => values[name.parse::<usize>().unwrap()] = value,
        _ => panic!("{pointer} is within nothing"),
    }
    Report::parse(report.to_string().as_bytes()).unwrap_err().to_string()
}

#[test]
fn what_is_wrong_is_named_by_its_path_with_what_to_do() {
    for (pointer, value, wanted) in [
        ("/v", json!(2), "v: version 2 is unknown; this version of fanfold-report reads 1"),
        ("/title", json!(" "), "title: it is empty; a document needs one"),
        ("/from", json!("1 May"), "from: 1 May is no day; give one as in 2026-01-31"),
        ("/from", json!("20260101"), "from: 20260101 is no day; give one as in 2026-01-31"),
        ("/from", json!("2026-02-29"), "from: 2026-02-29 is no day; give one as in 2026-01-31"),
        ("/to", json!("2026-01-01"), "to: 2026-01-01 is not after 2026-01-01; it is the day after the last one"),
        ("/asOf", json!("now"), "asOf: now is no instant; give one as in 2026-02-01T03:04:05Z"),
        ("/columns", json!([]), "columns: there are 0; give 1 to 16"),
        ("/columns/1/name", json!("day"), "columns[1].name: day is the name of an earlier column; give it another"),
        (
            "/assets/1/rows/2",
            json!([]),
            "assets[1].rows[2]: there are 0 cells, but 4 columns; give null where one is empty",
        ),
        (
            "/assets/1/rows/2/0",
            json!("x"),
            "assets[1].rows[2][0]: \"x\" is not a day; give one as in \"2026-01-31\", or null",
        ),
        ("/assets/1/rows/2/1", json!(5), "assets[1].rows[2][1]: 5 is not text; give a string, or null"),
        ("/assets/1/rows/2/2", json!(1.5), "assets[1].rows[2][2]: 1.5 is not an integer; give one as in 12, or null"),
        (
            "/assets/1/rows/2/3",
            json!(34.5),
            "assets[1].rows[2][3]: 34.5 is not a decimal as text; give one as in \"34.50\", or null",
        ),
        (
            "/assets/1/rows/2/3",
            json!("1,5"),
            "assets[1].rows[2][3]: \"1,5\" is not a decimal as text; give one as in \"34.50\", or null",
        ),
        (
            "/assets/0/totals",
            json!([null]),
            "assets[0].totals: there are 1 cells, but 4 columns; give null where one is empty",
        ),
        (
            "/assets/0/rowCount",
            json!(1),
            "assets[0].rowCount: there are 3 rows; give at least as many, or leave it out",
        ),
        ("/totals", json!([null]), "totals: there are 1 cells, but 4 columns; give null where one is empty"),
        ("/chart/column", json!("site"), "chart.column: site is no column of numbers; those are records, amount"),
        (
            "/full",
            json!("javascript:alert()"),
            "full: javascript:alert() is no address of the web; begin it with https://",
        ),
    ] {
        assert_eq!(problem(pointer, value), wanted);
    }
}

#[test]
fn what_has_another_form_is_named_by_its_path() {
    for (pointer, value, path, wanted) in [
        (
            "/columns/0/kind",
            json!("float"),
            "columns[0].kind: ",
            "unknown variant `float`, expected one of `text`, `date`, `integer`, `decimal`",
        ),
        ("/assets/1/rows/2", json!("x"), "assets[1].rows[2]: ", "expected a sequence"),
        ("/assets/1/nam", json!("x"), "assets[1].nam: ", "unknown field `nam`, expected one of `name`"),
        ("/missing/0/reason", json!(null), "missing[0].reason: ", "invalid type: null, expected a string"),
        ("/partial", json!("no"), "partial: ", "expected a boolean"),
    ] {
        let found = problem(pointer, value);
        assert!(found.starts_with(path) && found.contains(wanted), "{found}");
    }
    assert!(Report::parse(b"{}").unwrap_err().to_string().contains("missing field `v`"));
    assert!(Report::parse(b"").unwrap_err().to_string().contains("EOF"));
    let twice = format!("{0}{0}", sized(1, 1));
    assert!(Report::parse(twice.as_bytes()).unwrap_err().to_string().contains("more than one document"));
}

#[test]
fn a_chart_by_day_needs_dates() {
    let mut report = sized(1, 1);
    report["columns"][0]["kind"] = "text".into();
    report["chart"]["by"] = "date".into();
    let error = Report::parse(report.to_string().as_bytes()).unwrap_err();
    assert_eq!(error.to_string(), "chart.by: no column has dates; draw a bar for each asset");
}

#[test]
fn a_long_value_is_cut_in_the_error() {
    let found = problem("/from", json!("x".repeat(10_000)));
    assert!(found.len() < 200, "{found}");
}

#[test]
fn a_report_that_was_made_by_code_is_checked_too() {
    let mut report = parsed(&sized(1, 1));
    report.assets[0].rows[0].pop();
    let error = render(&report, None).unwrap_err();
    assert!(matches!(error, RenderError::Data(found) if found.path == "assets[0].rows[0]"));
}

/// Runs the command in a folder with a report and templates that fail.
fn run(arguments: &[&str]) -> (Output, tempfile::TempDir) {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("r.json"), sized(2, 4).to_string()).unwrap();
    std::fs::write(folder.path().join("bad.json"), "{\"v\": \"1\"}").unwrap();
    std::fs::write(folder.path().join("bad.typ"), "= A\n#panic(\"no\")").unwrap();
    let endless = "#for a in range(100000) { for b in range(100000) { let c = a * b } }";
    std::fs::write(folder.path().join("endless.typ"), endless).unwrap();
    let output =
        Command::new(env!("CARGO_BIN_EXE_fanfold-report")).args(arguments).current_dir(&folder).output().unwrap();
    (output, folder)
}

fn fails(arguments: &[&str], code: i32) -> String {
    let (output, folder) = run(arguments);
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(code), "{said}");
    assert_eq!(output.stdout, b"");
    assert!(!folder.path().join("r.pdf").exists(), "a document that failed was written");
    said
}

#[test]
fn the_command_writes_where_it_is_told() {
    for (arguments, written) in [(&["render", "r.json"][..], "r.pdf"), (&["render", "r.json", "-o", "x.pdf"], "x.pdf")]
    {
        let (output, folder) = run(arguments);
        assert_eq!((output.status.code(), output.stdout.len(), output.stderr.len()), (Some(0), 0, 0), "{output:?}");
        assert_eq!(Document::read(&std::fs::read(folder.path().join(written)).unwrap()).pages, 1);
    }
    let (output, _folder) = run(&["render", "r.json", "--output", "-"]);
    assert_eq!(Document::read(&output.stdout).pages, 1);
    let (output, _folder) = run(&["template"]);
    assert_eq!(output.stdout, include_bytes!("../../template/report.typ"));
}

#[test]
fn the_command_says_what_is_wrong() {
    assert_eq!(
        fails(&["render", "bad.json"], 1),
        "error: bad.json: v: invalid type: string \"1\", expected u32 at line 1 column 9\n"
    );
    assert!(fails(&["render", "none.json"], 1).starts_with("error: cannot read none.json: No such file"));
    assert!(fails(&["render", "r.json", "--template", "none.typ"], 1).starts_with("error: cannot read none.typ: "));
    assert!(fails(&["render", "r.json", "--output", "none/r.pdf"], 1).starts_with("error: cannot write none/r.pdf: "));
    assert!(fails(&["render", "r.json", "--output", "r.json"], 1).contains("would be overwritten by its document"));
    let said = fails(&["render", "r.json", "--template", "bad.typ"], 1);
    assert_eq!(said, "error: the template failed:\n  line 2, column 2: panicked with: no\n");
    for wrong in [&["render"][..], &["render", "r.json", "--limit", "0"], &["print"], &[]] {
        fails(wrong, 2);
    }
}

#[test]
fn an_endless_template_ends_by_its_limit() {
    // In a process of its own, with which the template ends.
    let said = fails(&["render", "r.json", "--template", "endless.typ", "--limit", "1"], 1);
    assert_eq!(said, "error: the template was not done after 1 s; it may be endless\n");
}
