//! Templates of users.

use fanfold_report::{RenderError, render};

use crate::data::{parsed, sized};
use crate::pdf::Document;

fn set(template: &str) -> Result<Document, RenderError> {
    render(&parsed(&sized(2, 4)), Some(template)).map(|pdf| Document::read(&pdf))
}

/// What is said of a template that fails.
fn failure(template: &str) -> String {
    match set(template) {
        Err(error @ RenderError::Template(_)) => error.to_string(),
        Err(error) => panic!("{error}"),
        Ok(_) => panic!("{template} is a document"),
    }
}

#[test]
fn a_template_of_ones_own_has_the_data() {
    let template = "#let data = sys.inputs.data\n#set document(title: data.title)\n#set text(lang: \"de\")\n\
                    = #data.sections.first().name\n#data.rowCount Zeilen bis #data.last";
    let document = set(template).unwrap();
    assert_eq!(document.texts("H1"), ["Pump 1"]);
    assert!(document.text().contains("4 Zeilen bis 2026-01-31"), "{}", document.text());
    assert_eq!(document.lang.as_deref(), Some("de"));
}

#[test]
fn the_embedded_template_can_be_had_and_changed() {
    let template = include_str!("../../template/report.typ").replace("Time zone", "Zone of time");
    assert!(set(&template).unwrap().text().contains("Zone of time"));
}

#[test]
fn a_template_that_fails_says_where() {
    let found = failure("#let data = sys.inputs.data\n\n#data.nothing");
    assert!(found.contains("line 3, column 7: dictionary does not contain key \"nothing\""), "{found}");
    let found = failure("= A\n#let x = (1, 2");
    assert!(found.contains("line 2, column 10: unclosed delimiter"), "{found}");
}

#[test]
fn every_problem_is_told() {
    let found = failure("#let (\n#]");
    assert!(found.matches("\n  line ").count() >= 2, "{found}");
}

#[test]
fn a_document_that_not_everybody_can_read_fails() {
    let found = failure("#set text(lang: \"en\")\nno title");
    assert!(found.contains("missing document title"), "{found}");
    let found = failure("#set document(title: \"x\")\n#figure(square(), kind: image, supplement: none)");
    assert!(found.contains("missing alt text"), "{found}");
    let found = failure("#set document(title: \"x\")\n🚀");
    assert!(found.contains("line 2, column 1") && found.contains("could not be displayed"), "{found}");
}

#[test]
fn a_template_reads_no_files() {
    for read in [
        "#read(\"/etc/passwd\")",
        "#json(\"data.json\")",
        "#include \"x.typ\"",
        "#import \"x.typ\": *",
        "#image(\"x.png\")",
        "#read(\"template.typ\")",
    ] {
        let found = failure(&format!("= A\n{read}"));
        assert!(found.contains("line 2") && found.contains("a template can read no files"), "{read}: {found}");
    }
    assert!(failure("#read(\"../x\")").contains("would escape the project root"));
    let found = failure("#import \"@preview/cetz:0.3.4\": canvas");
    assert!(found.contains("a template can use no packages"), "{found}");
}

#[test]
fn a_template_sees_no_clock_but_the_instant_of_the_data() {
    let document = set("#set document(title: \"x\")\n#datetime.today().display()").unwrap();
    assert!(document.text().contains("2026-02-01"), "{}", document.text());
}

#[test]
fn loops_and_calls_without_end_fail_by_themselves() {
    assert!(failure("#while true {}").contains("condition is always true"));
    assert!(failure("#let i = 0\n#while i >= 0 { i += 1 }").contains("loop seems to be infinite"));
    assert!(failure("#let f(x) = f(x)\n#f(1)").contains("maximum function call depth exceeded"));
    let found = failure(&format!("{}x{}", "#[".repeat(20_000), "]".repeat(20_000)));
    assert!(found.contains("depth"), "{found}");
}

#[test]
fn a_failure_leaves_the_next_document_as_it_was() {
    let before = set(include_str!("../../template/report.typ")).unwrap();
    failure("#panic()");
    assert_eq!(set(include_str!("../../template/report.typ")).unwrap().text(), before.text());
}
