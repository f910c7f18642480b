//! `fanfold run`, called as a user would.

use std::io::Write;
use std::path::Path;
use std::process::{Command, Output};

use fanfold::model::summary::Summary;
use fanfold::pipeline::local::{LocalPipeline, Settings};
use serde_json::Value;

const EXAMPLES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../examples");

fn run(folder: &Path, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_fanfold"));
    for setting in ["SCHEMA", "KEY_FIELD", "CHUNK_SIZE"] {
        command.env_remove(setting);
    }
    command.current_dir(folder).arg("run").args(arguments).output().unwrap()
}

fn summary(output: &Output) -> Summary {
    serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{}", String::from_utf8_lossy(&output.stderr)))
}

fn lines(path: &Path) -> Vec<Value> {
    std::fs::read_to_string(path).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn the_examples_go_through_in_every_format() {
    let folder = tempfile::tempdir().unwrap();
    let mut all = Vec::new();
    for name in ["orders.csv", "orders.json", "orders.jsonl.gz"] {
        let done =
            run(folder.path(), &[&format!("{EXAMPLES}/{name}"), "--json", "--output", name, "--chunk-size", "70"]);
        assert_eq!(done.status.code(), Some(0), "{}", String::from_utf8_lossy(&done.stderr));
        let summary = summary(&done);
        assert_eq!((summary.records.total, summary.records.succeeded), (1000, 1000), "{name}");
        let mut items = lines(&folder.path().join(name).join("items.jsonl"));
        items.sort_by_key(|item| item["recordIndex"].as_u64());
        let told = |item: Value| ["itemNo", "name", "recordIndex"].map(|field| item[field].clone());
        all.push(items.into_iter().map(told).collect::<Vec<_>>());
    }
    assert_eq!(all[0].len(), 1000);
    assert!(all[0] == all[1] && all[1] == all[2], "every format makes the same items");
}

#[tokio::test]
async fn outcomes_are_those_of_a_pipeline_and_the_exit_status_tells_them() {
    let folder = tempfile::tempdir().unwrap();
    let file = format!("{EXAMPLES}/broken.csv");
    let done = run(folder.path(), &[&file, "--json"]);
    assert_eq!(done.status.code(), Some(3));
    let (schema, key_field) =
        (std::fs::read_to_string(format!("{EXAMPLES}/orders.schema.json")).unwrap(), "itemNo".to_owned());
    let pipeline = LocalPipeline::of_items(&Settings { schema, key_field, ..Settings::default() }).unwrap();
    let expected = pipeline.run_file("broken.csv", std::fs::read(&file).unwrap()).await.unwrap();
    let summary = summary(&done);
    assert_eq!(
        (summary.state, summary.records, &summary.failures),
        (expected.state, expected.records, &expected.failures)
    );
    for name in ["results.csv", "failed.csv"] {
        let made = std::fs::read_to_string(folder.path().join("fanfold-run").join(name)).unwrap();
        let told = pipeline.stores.output.read(&expected.batch_id.output_key(name)).unwrap();
        assert_eq!(made.as_bytes(), told, "{name}");
    }
    // Another run leaves none of this one's files.
    std::fs::write(folder.path().join("good.csv"), "itemNo,price\na,1\na,2\nb,3\n").unwrap();
    let done = run(folder.path(), &["good.csv"]);
    assert_eq!(done.status.code(), Some(0), "{}", String::from_utf8_lossy(&done.stderr));
    assert!(!folder.path().join("fanfold-run/failed.csv").exists());
    let prices: Vec<Value> =
        lines(&folder.path().join("fanfold-run/items.jsonl")).iter().map(|item| item["price"].clone()).collect();
    assert_eq!(prices, [2, 3], "of two records with one key the last wins");
}

#[test]
fn schema_and_key_field_are_those_that_were_named() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("people.csv"), "name,age\nAda,36\nBob,old\n").unwrap();
    let done = run(folder.path(), &["people.csv", "--key-field", "name", "--json"]);
    assert_eq!((done.status.code(), summary(&done).records.succeeded), (Some(0), 2), "any object is valid");
    std::fs::write(folder.path().join("people.schema.json"), r#"{"properties":{"age":{"type":"integer"}}}"#).unwrap();
    let done = run(folder.path(), &["people.csv", "--key-field", "name", "--schema", "people.schema.json", "--json"]);
    assert_eq!((done.status.code(), summary(&done).records.failed), (Some(3), 1));
    assert_eq!(lines(&folder.path().join("fanfold-run/items.jsonl"))[0]["age"], 36);
}

#[test]
fn what_cannot_be_run_is_told_with_what_to_do() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("x.txt"), "").unwrap();
    std::fs::write(folder.path().join("bad.json"), "{").unwrap();
    std::fs::write(folder.path().join("a.csv"), "id\n1\n").unwrap();
    for (arguments, code, said) in [
        (&["nothing.csv"][..], 2, "nothing.csv is not a file"),
        (&["x.txt"], 2, "x.txt: "),
        (&["a.csv", "--schema", "none.json"], 1, "could not read the schema none.json"),
        (&["a.csv", "--schema", "bad.json"], 1, "the record schema is not JSON"),
        (&["a.csv", "--chunk-size", "0"], 2, "0 is not in 1..=10000"),
    ] {
        let done = run(folder.path(), arguments);
        let text = String::from_utf8_lossy(&done.stderr);
        assert!(done.status.code() == Some(code) && text.contains(said), "{arguments:?}: {text}");
    }
    // A file in which no records can be found fails as a whole, as it would when uploaded.
    let mut broken = std::fs::File::create(folder.path().join("b.json")).unwrap();
    broken.write_all(b"[1]").unwrap();
    let done = run(folder.path(), &["b.json", "--json"]);
    assert_eq!(done.status.code(), Some(4));
}
