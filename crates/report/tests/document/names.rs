//! Names are data.

use serde_json::json;

use crate::data::{asset, document, empty, sized, with};

#[test]
fn six_scripts_are_shown_and_can_be_read_again() {
    let names = ["株式会社", "Zürich, Łódź", "שלום", "Ελλάδα", "Москва", "한국어"];
    let document = document(&with(names.map(|name| asset(name, 1)).to_vec()));
    let mirrored = |name: &str| name.chars().rev().collect::<String>();
    for name in names {
        // Hebrew is drawn from the right, so a reader that goes by the places of letters has it the other way round.
        let found = document.texts("H2").iter().any(|found| *found == name || *found == mirrored(name));
        assert!(found, "{name}: {:?}", document.texts("H2"));
    }
    assert!(!document.text().contains("could not be shown"));
    assert!(!document.text().contains('\u{0}'), "a glyph that stands for no text");
}

#[test]
fn arabic_is_shown() {
    let document = document(&with(vec![asset("مرحبا", 1)]));
    assert!(!document.text().contains('\u{fffd}'));
    assert!(!document.text().contains('\u{0}'), "a glyph that stands for no text");
    assert!("مرحبا".chars().all(|letter| document.texts("H2")[0].contains(letter)), "{:?}", document.texts("H2"));
}

#[test]
fn what_cannot_be_shown_is_replaced_and_said() {
    let document = document(&with(vec![asset("🚀 launch", 1), asset("a\u{7}b", 1)]));
    assert_eq!(document.texts("H2"), ["\u{fffd} launch", "a\u{fffd}b"]);
    let said = "2 characters could not be shown and are replaced by \u{fffd}: U+0007, U+1F680.";
    assert!(document.text().contains(said), "{}", document.text());
}

#[test]
fn each_text_is_counted_once_though_it_is_printed_thrice() {
    let document = document(&with(vec![asset("🚀", 1), asset("b", 1)]));
    assert!(document.text().contains("1 character could not be shown and is replaced by \u{fffd}: U+1F680."));
}

#[test]
fn a_name_is_never_markup_code_or_a_path() {
    let names = [
        "../../x",
        "#panic(\"x\")",
        "#import \"/etc/passwd\": *",
        "*bold* _it_ $x^2$ `raw` <label> @missing",
        "= Heading",
        "\\u{41} \\\" // no comment /* here */",
        "]#read(\"data.json\")[",
        "{{ x }} ${y} %s %n",
    ];
    let document = document(&with(names.map(|name| asset(name, 1)).to_vec()));
    assert_eq!(document.texts("H2"), names);
}

#[test]
fn every_text_of_the_data_is_data() {
    let evil = "#panic() *x* 🚀";
    let mut report = empty();
    for member in ["id", "type", "title", "zone"] {
        report[member] = evil.into();
    }
    report["columns"] =
        json!([{"name": evil, "title": evil, "kind": "text"}, {"name": "n", "title": evil, "kind": "integer"}]);
    report["assets"] = json!([{"name": evil, "rows": [[evil, 1]], "totals": [evil, 1]}]);
    report["totals"] = json!([evil, 1]);
    report["missing"] = json!([{"asset": evil, "reason": evil}]);
    report["chart"] = json!({"column": "n", "by": "asset"});
    let document = document(&report);
    assert_eq!(document.title.as_deref(), Some("#panic() *x* \u{fffd}"));
    assert!(document.text().matches("#panic() *x* \u{fffd}").count() >= 12, "{}", document.text());
}

#[test]
fn ten_kilobytes_of_name_are_cut_and_broken() {
    for letters in ["W", "é", "株", "word "] {
        let name = letters.repeat(10_240 / letters.len());
        let mut report = with(vec![asset(&name, 1), asset("b", 1)]);
        report["title"] = name.clone().into();
        report["missing"] = json!([{"asset": name.clone(), "reason": name.clone()}]);
        report["assets"][0]["rows"][0][1] = name.clone().into();
        let document = document(&report);
        let heading = document.texts("H2")[0].replace('\u{200b}', "");
        assert!(heading.ends_with('…'), "{heading}");
        assert!(heading.chars().count() <= 120, "{heading}");
        assert!(document.pages <= 3, "{} pages", document.pages);
    }
}

#[test]
fn digits_of_any_number_are_kept() {
    let mut report = sized(1, 1);
    let (integer, decimal) = ("9".repeat(40), format!("0.{}", "1".repeat(60)));
    report["assets"][0]["rows"][0][2] = integer.clone().into();
    report["assets"][0]["rows"][0][3] = decimal.clone().into();
    let cells = document(&report).texts("TD").iter().map(|cell| cell.replace('\u{200b}', "")).collect::<Vec<_>>();
    assert_eq!(cells[2..4], [integer, decimal]);
}
