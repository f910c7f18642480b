//! `fanfold run`, called as a user would.

use std::io::Write;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

use fanfold::model::summary::Summary;
use fanfold::pipeline::local::{LocalPipeline, Settings};
use serde_json::Value;

const EXAMPLES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../examples");

fn command(folder: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_fanfold"));
    for setting in ["SCHEMA", "KEY_FIELD", "CHUNK_SIZE", "FORMAT", "LIMITS"] {
        command.env_remove(setting);
    }
    command.current_dir(folder).arg("run").args(arguments);
    command
}

fn run(folder: &Path, arguments: &[&str]) -> Output {
    command(folder, arguments).output().unwrap()
}

fn interrupt(child: &Child) {
    assert!(Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap().success());
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
        items.sort_by_key(|item| item["fanfoldRecordIndex"].as_u64());
        let told = |item: Value| ["itemNo", "name", "fanfoldRecordIndex"].map(|field| item[field].clone());
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
    std::fs::write(folder.path().join("x.xml"), "").unwrap();
    std::fs::write(folder.path().join("bad.json"), "{").unwrap();
    std::fs::write(folder.path().join("a.csv"), "id\n1\n").unwrap();
    for (arguments, code, said) in [
        (&["nothing.csv"][..], 2, "nothing.csv is not a file"),
        (&["x.xml"], 2, "x.xml: "),
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
    broken.write_all(br#"{"rows":1}"#).unwrap();
    let done = run(folder.path(), &["b.json", "--json"]);
    assert_eq!(done.status.code(), Some(4));
}

#[test]
fn a_run_that_is_interrupted_ends_at_once_and_leaves_no_output() {
    let folder = tempfile::tempdir().unwrap();
    let rows: String = (0..3_000_000).map(|n| format!("{n},1.5\n")).collect();
    std::fs::write(folder.path().join("large.csv"), format!("itemNo,price\n{rows}")).unwrap();
    for milliseconds in [100, 300, 700] {
        let child = command(folder.path(), &["large.csv"]).stderr(Stdio::piped()).spawn().unwrap();
        std::thread::sleep(Duration::from_millis(milliseconds)); // any moment will do
        interrupt(&child);
        let done = child.wait_with_output().unwrap();
        let said = String::from_utf8_lossy(&done.stderr);
        let left = std::fs::read_dir(folder.path().join("fanfold-run")).map_or(0, Iterator::count);
        assert_eq!(left, 0, "after {milliseconds} ms");
        // On a busy machine it may come before the command listens, and so before it does anything.
        let early = done.status.signal() == Some(2) && said.is_empty();
        assert!(early || done.status.code() == Some(130) && said.contains("interrupted"), "{:?} {said}", done.status);
    }
}

#[test]
fn a_reader_that_has_gone_away_is_no_error() {
    let folder = tempfile::tempdir().unwrap();
    let orders = format!("{EXAMPLES}/orders.csv");
    let mut child =
        command(folder.path(), &[&orders, "--json"]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    drop((child.stdout.take(), child.stderr.take()));
    assert_eq!(child.wait().unwrap().code(), Some(0));
    assert_eq!(lines(&folder.path().join("fanfold-run/items.jsonl")).len(), 1000);
}

#[test]
fn a_folder_that_cannot_be_written_is_told_before_anything_is_done() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("taken"), "a file").unwrap();
    let done = run(folder.path(), &[&format!("{EXAMPLES}/orders.csv"), "--output", "taken"]);
    let said = String::from_utf8_lossy(&done.stderr);
    assert!(done.status.code() == Some(1) && said.contains("could not write to taken"), "{said}");
    assert_eq!(std::fs::read_to_string(folder.path().join("taken")).unwrap(), "a file");
}

#[test]
fn an_emulator_that_does_not_answer_is_told_at_once_in_a_sentence() {
    let folder = tempfile::tempdir().unwrap();
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let resources = r#"{"input_bucket":"i","work_bucket":"w","output_bucket":"o","items_table":"t","ledger_table":"l",
        "queues":{},"dead_letter_queues":{}}"#;
    let deployment = format!(r#"{{"endpoint":"http://{free}","pipelines":{{"chunked":{resources}}}}}"#);
    std::fs::write(folder.path().join("deployment.json"), deployment).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_fanfold"));
    let done = command.current_dir(folder.path()).args(["status", "a-0123456789ab", "--deployment", "deployment.json"]);
    let done = done.output().unwrap();
    let said = String::from_utf8_lossy(&done.stderr);
    let lines: Vec<&str> = said.lines().collect();
    assert!(
        lines.len() == 1 && said.contains(&format!("nothing answers at http://{free}: run `make start`")),
        "{said}"
    );
}

#[test]
fn a_run_obeys_the_header_cap_and_the_limit_of_records_alone() {
    let folder = tempfile::tempdir().unwrap();
    let text = format!("itemNo,price,{}\n1,2,3\n4,5,6\n", "n".repeat(5000));
    std::fs::write(folder.path().join("wide.csv"), text).unwrap();
    std::fs::write(folder.path().join("any.json"), "{}").unwrap();
    for (arguments, code, told) in [
        (vec![], 4, "and 4096 are allowed"),
        (vec!["--format", r#"{"max_header":6000}"#, "--limits", r#"{"dollars":0.000001,"writtenBytes":1}"#], 0, ""),
        (
            vec!["--format", r#"{"max_header":6000}"#, "--limits", r#"{"records":1}"#],
            4,
            r#"LIMITS allows 1 records; divide the file, or deploy with LIMITS={"records":2}"#,
        ),
    ] {
        let done = run(folder.path(), &[&["wide.csv", "--schema", "any.json"], &arguments[..]].concat());
        let said = String::from_utf8_lossy(&done.stdout);
        assert!(done.status.code() == Some(code) && said.contains(told), "{done:?}");
    }
}

/// Doubles each price with what every machine has, and answers oddly for some records.
const SCRIPT: &str = r#"
import json, sys
for line in sys.stdin:
    task = json.loads(line)
    record, answer = task["record"], {}
    if record["itemNo"] == "2":
        answer = {"status": "permanent", "message": "not for sale"}
    elif record["itemNo"] == "3" and task["attempt"] < 3:
        answer = {"status": "temporary"}
    elif record["itemNo"] == "4":
        print("no JSON", flush=True)
        continue
    elif record["itemNo"] == "5":
        sys.exit(7)
    else:
        record["price"] = 2 * record["price"]
        answer = {"item": record, "result": {"attempt": task["attempt"]}}
    print(json.dumps(answer), flush=True)
"#;

#[test]
fn a_command_takes_the_place_of_a_function() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("my.py"), SCRIPT).unwrap();
    let rows: String = (1..=9).map(|n| format!("{n},{n}.5\n")).collect();
    std::fs::write(folder.path().join("goods.csv"), format!("itemNo,price\n{rows}")).unwrap();
    let done = run(folder.path(), &["goods.csv", "--json", "--exec", "python3 my.py"]);
    assert_eq!(done.status.code(), Some(3), "{}", String::from_utf8_lossy(&done.stderr));
    let summary = summary(&done);
    assert_eq!((summary.records.succeeded, summary.records.failed), (6, 3), "{:?}", summary.failures);
    let told: Vec<&str> = summary.failures.iter().map(|failure| failure.message.as_str()).collect();
    for (said, part) in told.iter().zip(["not for sale", "a line that is no JSON object: no JSON", "exit status: 7"]) {
        assert!(said.contains(part), "{said}");
    }
    let items = lines(&folder.path().join("fanfold-run").join("items.jsonl"));
    let price = |key: &str| items.iter().find(|item| item["itemNo"] == key).map(|item| item["price"].as_f64());
    assert_eq!((price("1"), price("3"), price("5"), items.len()), (Some(Some(3.0)), Some(Some(7.0)), None, 6));
    let missing = run(folder.path(), &["goods.csv", "--exec", "./not-there"]);
    assert!(!missing.status.success());
}
