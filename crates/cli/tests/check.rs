//! `fanfold check` and `fanfold plan`, called as a user would.

// In this binary, since linking another takes longer than its tests.
#[path = "check/plan.rs"]
mod plan;

use std::io::Write;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use serde_json::{Value, json};

const EXAMPLES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../examples");

fn call(folder: &Path, name: &str, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_fanfold"));
    for setting in ["SCHEMA", "KEY_FIELD", "CHUNK_SIZE", "FORMAT", "LIMITS"] {
        command.env_remove(setting);
    }
    command.current_dir(folder).arg(name).args(arguments).output().unwrap()
}

fn check(folder: &Path, arguments: &[&str]) -> Output {
    call(folder, "check", arguments)
}

fn stdout(output: &Output) -> &str {
    std::str::from_utf8(&output.stdout).unwrap()
}

fn stderr(output: &Output) -> &str {
    std::str::from_utf8(&output.stderr).unwrap()
}

/// What a check of a file says of it, with the exit status.
fn file(folder: &Path, name: &str, arguments: &[&str]) -> (Option<i32>, Value) {
    let output = check(folder, &[&["--file", name, "--json"], arguments].concat());
    let mut document: Value = serde_json::from_str(stdout(&output)).unwrap_or_else(|_| panic!("{}", stderr(&output)));
    (output.status.code(), document["file"].take())
}

fn gzip(text: String) -> Vec<u8> {
    let mut gzip = Command::new("gzip").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut to = gzip.stdin.take().unwrap();
    let writing = std::thread::spawn(move || to.write_all(text.as_bytes()));
    let packed = gzip.wait_with_output().unwrap().stdout;
    writing.join().unwrap().unwrap();
    packed
}

fn folder_with(files: &[(&str, &[u8])]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (name, content) in files {
        std::fs::write(folder.path().join(name), content).unwrap();
    }
    folder
}

/// What pydantic makes of a model with optional fields.
const PERSON: &str = r##"{
    "type": "object",
    "required": ["id", "name"],
    "properties": {
        "id": {"type": "string"},
        "name": {"$ref": "#/$defs/Name"},
        "age": {"anyOf": [{"type": "integer"}, {"type": "null"}], "default": null},
        "active": {"type": "boolean"},
        "note": {"anyOf": [{"type": "string", "minLength": 1}, {"type": "null"}], "default": null},
        "tags": {"type": "array"},
        "height": {"type": "number"}
    },
    "$defs": {"Name": {"type": "string", "minLength": 1}}
}"##;

#[test]
fn settings_that_keep_a_function_from_starting_are_refused_all_together() {
    let folder = folder_with(&[("strin.json", br#"{"type":"strin"}"#)]);
    let done = check(folder.path(), &["--schema", "strin.json"]);
    assert_eq!(done.status.code(), Some(1));
    assert!(
        stderr(&done).starts_with(
            "error: the record schema is not a JSON Schema of draft 2020-12; correct SCHEMA at /type: \"strin\" is"
        ),
        "{done:?}"
    );
    let all = [
        "--schema=strin.json",
        "--key-field=fanfoldUpdatedAt",
        r#"--format={"delimiter":";","quote":";","true_values":["no"],"false_values":["no"]}"#,
    ];
    let done = check(folder.path(), &all);
    let lines: Vec<&str> = stderr(&done).lines().collect();
    assert_eq!((done.status.code(), lines.len()), (Some(1), 3), "{lines:?}");
    for (line, said) in
        lines.iter().zip(["KEY_FIELD is \"fanfoldUpdatedAt\"", "\"strin\"", "delimiter and quote are both ';'"])
    {
        assert!(line.contains(said), "{line}");
    }
    let done = check(folder.path(), &[&all[..], &["--json"]].concat());
    let document: Value = serde_json::from_str(stdout(&done)).unwrap();
    assert_eq!((done.status.code(), document["problems"].as_array().unwrap().len()), (Some(1), 3));
    let done = check(folder.path(), &[r#"--format={"true_values":["no"],"false_values":["no"]}"#]);
    assert!(done.status.code() == Some(1) && stderr(&done).contains("false_values has \"no\""), "{done:?}");
    let done = check(folder.path(), &[&all[..], &["--processors=[\"sort\"]", "--json"]].concat());
    let document: Value = serde_json::from_str(stdout(&done)).unwrap();
    let problems = document["problems"].as_array().unwrap();
    assert_eq!((done.status.code(), problems.len()), (Some(1), 4));
    assert!(problems[3].as_str().unwrap().contains("PROCESSORS: \"sort\" is no processor"), "{problems:?}");
    let done = check(folder.path(), &[]);
    assert_eq!(done.status.code(), Some(0));
    assert_eq!(
        stdout(&done),
        "settings  ok: schema examples/orders.schema.json (default), key itemNo, chunks of 500 records\n"
    );
}

#[test]
fn processors_are_json_a_name_or_a_file() {
    let folder = folder_with(&[("my.json", br#"["custom","items"]"#), ("wrong.json", b"[]")]);
    for given in ["items", "[\"items\"]", "", "my.json"] {
        assert!(check(folder.path(), &["--processors", given]).status.success(), "{given}");
    }
    for given in ["[]", "none.json", "wrong.json"] {
        let done = check(folder.path(), &["--processors", given]);
        assert_eq!(done.status.code(), Some(1));
        assert!(stderr(&done).starts_with("error: PROCESSORS must be a JSON list of processors"), "{given}: {done:?}");
    }
}

#[test]
fn what_cannot_be_checked_is_told_with_what_to_do() {
    let folder = folder_with(&[("a.csv", b"itemNo\n1\n"), ("a.xml", b"<a/>")]);
    for (arguments, code, said) in [
        (&["--file", "none.csv"][..], 2, "none.csv is not a file"),
        (&["--file", "a.xml"], 2, "a.xml: the key's extension is not known"),
        (&["--schema", "none.json"], 1, "could not read the schema none.json"),
        (&["--records", "5"], 2, "--file"),
        (&["--file", "a.csv", "--records", "0"], 2, "0 is not in 1..=1000000"),
    ] {
        let done = check(folder.path(), arguments);
        assert!(done.status.code() == Some(code) && stderr(&done).contains(said), "{arguments:?}: {}", stderr(&done));
    }
}

#[test]
fn each_column_is_told_with_what_its_cells_become() {
    let rows = "id,name,age,active,note,tags,other\n\
                1,Ada,36,true,x,[],5\n2,Bob,,FALSE,,\"[1]\",\n3,,old,true,,,\n4,Dan,young,true,,,\n";
    let folder = folder_with(&[("person.json", PERSON.as_bytes()), ("people.csv", rows.as_bytes())]);
    let arguments = ["--file", "people.csv", "--schema", "person.json", "--key-field", "id"];
    let done = check(folder.path(), &arguments);
    assert_eq!(
        stdout(&done),
        "settings  ok: schema person.json, key id, chunks of 500 records\n\
         file      people.csv: CSV with , between columns, UTF-8\n\
         column    id: text (2)\n\
         column    name: text (2)\n\
         column    age: number (1), null (1)\n\
         column    active: true/false (2)\n\
         column    note: text (1), null (1)\n\
         column    tags: JSON array (2)\n\
         column    other: text (2)\n\
         records   all 4: 2 would succeed, 2 would fail\n\
         failed    record 2, line 4: name: the cell is empty, and the field is required; age: the cell \"old\" is not a whole number\n\
         failed    record 3, line 5: age: the cell \"young\" is not a whole number\n\
         estimate  4 records, 476 bytes written, $0.000006 in variant ranged\n"
    );
    assert_eq!(done.status.code(), Some(3));
}

#[test]
fn the_document_is_stable() {
    let file = "id;price;note\n1;2.50;a\n2;cheap;b\n3;dear;c\n";
    let schema = br#"{"required":["id","size"],"properties":{"price":{"type":"number"}}}"#;
    let folder = folder_with(&[("s.json", schema), ("a.csv", file.as_bytes())]);
    let lacks = check(folder.path(), &["--file", "a.csv", "--schema", "s.json", "--key-field", "id", "--json"]);
    let document: Value = serde_json::from_str(stdout(&lacks)).unwrap();
    let columns = ["id", "price", "note"].map(|name| json!({"name": name, "types": {}}));
    let expected = json!({
        "problems": [],
        "file": {
            "name": "a.csv",
            "bytes": file.len(),
            "ignoredBy": null,
            "readAs": {"layout": "csv", "dialect": {"delimiter": ";", "quote": "\""}},
            "whole": true,
            "error": null,
            "records": {"total": 3, "succeeded": 0, "failed": 3},
            "columns": columns,
            "missing": ["size"],
            "failures": [
                {"message": "\"size\" is a required property", "index": 0, "line": 2, "records": 1},
                {"message": "\"size\" is a required property; price: the cell \"cheap\" is not a number", "index": 1, "line": 3,
                 "records": 2},
            ],
            "reasons": 2,
            "estimate": {"variant": "ranged", "sample": 3, "records": 3, "writtenBytes": 204, "dollars": 0.000_005_6},
        }
    });
    assert_eq!((document, lacks.status.code()), (expected, Some(3)));
    let none = check(folder.path(), &["--json"]);
    assert_eq!(serde_json::from_str::<Value>(stdout(&none)).unwrap(), json!({"problems": [], "file": null}));
}

#[test]
fn what_a_file_is_is_told_as_a_batch_would_find_it() {
    let folder = folder_with(&[
        ("latin.csv", b"itemNo,price,name\n1,1,caf\xe9\n2,1,tea\n3,1,pur\xe9e\n"),
        ("excel.csv", b"PK\x03\x04\x14\0\x06\0\x08\0"),
        ("other.csv", b"id,name\n1,a\n"),
        ("empty.csv", b""),
        ("_SUCCESS.csv", b"itemNo,price\n1,1\n"),
        ("headless.csv", b"1,2\n3,4,tea\n"),
        ("broken.json", br#"[{"itemNo":"1"},{"itemNo":"#),
    ]);
    let folder = folder.path();
    let (code, latin) = file(folder, "latin.csv", &[]);
    assert_eq!((code, &latin["records"]["failed"], &latin["reasons"]), (Some(3), &json!(2), &json!(1)), "{latin}");
    assert!(latin["failures"][0]["message"].as_str().unwrap().contains("it looks like WINDOWS-1252"), "{latin}");
    let (code, latin) = file(folder, "latin.csv", &[r#"--format={"encoding":"latin1"}"#]);
    assert_eq!((code, &latin["readAs"]["encoding"]), (Some(0), &json!("windows-1252")));
    let (code, excel) = file(folder, "excel.csv", &[]);
    assert_eq!((code, &excel["error"]["code"], &excel["readAs"]), (Some(4), &json!("OTHER_KIND"), &Value::Null));
    let done = check(folder, &["--file", "excel.csv"]);
    assert!(stdout(&done).contains("error     OTHER_KIND: the file cannot be read: it is a ZIP archive"), "{done:?}");
    let (code, other) = file(folder, "other.csv", &[]);
    assert_eq!((code, &other["error"]["code"]), (Some(4), &json!("NO_HEADER")));
    let (code, empty) = file(folder, "empty.csv", &[]);
    assert_eq!((code, &empty["records"]["total"], &empty["whole"]), (Some(0), &json!(0), &json!(true)));
    let (code, broken) = file(folder, "broken.json", &[]);
    assert_eq!(
        (code, &broken["error"]["code"], &broken["records"]["total"]),
        (Some(4), &json!("TRUNCATED_JSON"), &json!(1))
    );
    let headless = [r#"--format={"columns":["itemNo","price","name"]}"#];
    let (code, rows) = file(folder, "headless.csv", &headless);
    assert_eq!((code, &rows["readAs"]["columns"]), (Some(3), &json!(["itemNo", "price"])), "{rows}");
    assert_eq!((&rows["records"]["total"], &rows["records"]["failed"]), (&json!(2), &json!(1)));
    let done = check(folder, &["--file", "headless.csv", headless[0]]);
    assert!(stdout(&done).contains("CSV with , between columns, no header row, UTF-8"), "{done:?}");
    let (code, ignored) = file(folder, "_SUCCESS.csv", &[]);
    assert_eq!((code, &ignored["ignoredBy"]), (Some(0), &json!("_*")));
}

#[test]
fn a_check_of_a_file_says_what_its_batch_would() {
    let folder = tempfile::tempdir().unwrap();
    for name in ["broken.csv", "orders.csv", "orders.json", "orders.jsonl.gz"] {
        let path = format!("{EXAMPLES}/{name}");
        let (code, checked) = file(folder.path(), &path, &["--records", "1000000"]);
        let ran = call(folder.path(), "run", &[&path, "--json"]);
        let summary: Value = serde_json::from_str(stdout(&ran)).unwrap();
        for count in ["total", "succeeded", "failed"] {
            let (checked, told) = (&checked["records"][count], &summary["records"][count]);
            assert_eq!((code, checked), (ran.status.code(), told), "{name}: {count}");
        }
        assert_eq!(checked["whole"], true, "{name}");
        // The message of an outcome begins with its line, which the check tells apart.
        let first = |failures: &Value| {
            let message = failures[0]["message"].as_str().unwrap_or_default();
            let told = message.strip_prefix("line 3: ").unwrap_or(message).to_owned();
            (failures[0]["index"].clone(), told)
        };
        assert_eq!(first(&checked["failures"]), first(&summary["failures"]), "{name}");
    }
}

#[test]
fn a_large_file_is_read_no_further_than_its_first_records() {
    let rows: String = (0..5_000).map(|n| format!("{n},1.5\n")).collect();
    let text = format!("itemNo,price\n{rows}");
    let folder = folder_with(&[("large.csv", text.as_bytes())]);
    // All that follows is zeros, which would be the faulty rows of a batch, and take long to read.
    let path = folder.path().join("large.csv");
    std::fs::File::options().write(true).open(&path).unwrap().set_len(1 << 30).unwrap();
    let (code, large) = file(folder.path(), "large.csv", &[]);
    assert_eq!(
        (code, &large["records"]["succeeded"], &large["whole"]),
        (Some(0), &json!(100), &json!(false)),
        "{large}"
    );
    let (code, large) = file(folder.path(), "large.csv", &["--records", "5000"]);
    assert_eq!((code, &large["records"]["succeeded"]), (Some(0), &json!(5000)), "{large}");
    let done = check(folder.path(), &["--file", "large.csv", "--records", "7"]);
    assert!(stdout(&done).contains("\nrecords   the first 7: 7 would succeed, 0 would fail\nestimate  "), "{done:?}");
    // A compressed file that is damaged later.
    let many: String = (0..500_000).map(|n| format!("{n},{}\n", n % 977)).collect();
    let mut packed = gzip(format!("itemNo,price\n{many}"));
    packed.truncate(packed.len() / 2);
    std::fs::write(folder.path().join("cut.csv.gz"), packed).unwrap();
    let (code, cut) = file(folder.path(), "cut.csv.gz", &[]);
    assert_eq!((code, &cut["records"]["succeeded"]), (Some(0), &json!(100)), "{cut}");
    let (code, cut) = file(folder.path(), "cut.csv.gz", &["--records", "1000000"]);
    assert_eq!((code, &cut["error"]["code"]), (Some(4), &json!("BROKEN_GZIP")), "{cut}");
}

#[test]
fn failures_are_grouped_by_reason_with_the_first_line_in_every_layout() {
    let rows: Vec<String> = (1..=40).map(|n| format!("{{\"itemNo\":\"{n}\",\"price\":\"{n}\"}}")).collect();
    let utf16: Vec<u8> = "\u{feff}itemNo,price\n\n0,1\n1,x\n2,y\n".encode_utf16().flat_map(u16::to_le_bytes).collect();
    let folder = folder_with(&[
        ("a.jsonl", format!("{{\"itemNo\":\"0\",\"price\":1}}\n\n{}\n", rows.join("\n")).as_bytes()),
        ("a.json", format!("{{\"records\":[\n{}]}}", rows.join(",\n")).as_bytes()),
        ("utf16.csv", &utf16),
    ]);
    for (name, index, line, records) in [("a.jsonl", 1, 3, 40), ("a.json", 0, 2, 40), ("utf16.csv", 1, 4, 2)] {
        let (code, found) = file(folder.path(), name, &[]);
        let failure = &found["failures"][0];
        let told = ["index", "line", "records"].map(|member| failure[member].as_u64().unwrap());
        assert_eq!((code, told, &found["reasons"]), (Some(3), [index, line, records], &json!(1)), "{found}");
    }
    // Of many reasons the first twenty are told.
    let columns: Vec<String> = (0..30).map(|n| format!("c{n}")).collect();
    let properties: Vec<String> = columns.iter().map(|name| format!("\"{name}\":{{\"type\":\"number\"}}")).collect();
    let row = |wrong: usize| {
        let cells: Vec<&str> = (0..30).map(|n| if n == wrong { "x" } else { "1" }).collect();
        format!("{wrong},{}\n", cells.join(","))
    };
    let text = format!("itemNo,{}\n{}", columns.join(","), (0..30).map(row).collect::<String>());
    std::fs::write(folder.path().join("many.csv"), text).unwrap();
    std::fs::write(folder.path().join("many.json"), format!("{{\"properties\":{{{}}}}}", properties.join(",")))
        .unwrap();
    let (_, many) = file(folder.path(), "many.csv", &["--schema", "many.json"]);
    assert_eq!((many["failures"].as_array().unwrap().len(), &many["reasons"]), (20, &json!(30)));
    let done = check(folder.path(), &["--file", "many.csv", "--schema", "many.json"]);
    assert!(stdout(&done).contains("failed    for 10 other reasons\n"), "{done:?}");
}

#[test]
fn the_cost_of_a_file_is_estimated_and_held_against_the_limits() {
    let rows: String = (0..50_000).map(|n| format!("{n:06},1.5\n")).collect();
    let text = format!("itemNo,price\n{rows}");
    let wide = format!("itemNo,{}\n1,2\n", "n".repeat(5000));
    let files = [("a.csv", text.as_bytes()), ("a.csv.gz", &gzip(text.clone())), ("wide.csv", wide.as_bytes())];
    let folder = folder_with(&files);
    for (name, variant, cost) in [
        ("a.csv", "ranged", 0.03..0.04),
        ("a.csv", "dynamodb", 0.12..0.14),
        ("a.csv", "sync", 0.8..1.0),
        ("a.csv.gz", "ranged", 0.01..0.09),
    ] {
        let (code, found) = file(folder.path(), name, &["--variant", variant]);
        let estimate = &found["estimate"];
        let records = estimate["records"].as_u64().unwrap();
        assert_eq!((code, &estimate["sample"]), (Some(0), &json!(100)), "{found}");
        let near = if name == "a.csv" { 45_000..55_000 } else { 20_000..120_000 };
        assert!(near.contains(&records) && cost.contains(&estimate["dollars"].as_f64().unwrap()), "{estimate}");
    }
    let (code, found) = file(folder.path(), "a.csv", &["--records", "60000", "--limits", r#"{"records":50000}"#]);
    assert_eq!((code, &found["estimate"]["records"]), (Some(0), &json!(50_000)));
    let (code, found) = file(folder.path(), "a.csv", &["--limits", r#"{"records":20000}"#]);
    assert_eq!((code, &found["error"]["code"]), (Some(4), &json!("LIMIT_EXCEEDED")), "{found}");
    let told = check(folder.path(), &["--file", "a.csv"]);
    assert!(stdout(&told).contains("\nestimate  about ") && stdout(&told).contains("estimated from the first 100"));
    let (code, found) = file(folder.path(), "wide.csv", &[]);
    assert_eq!((code, &found["error"]["code"]), (Some(4), &json!("LIMIT_EXCEEDED")), "{found}");
    let (_, found) = file(folder.path(), "wide.csv", &["--format", r#"{"max_header":6000}"#]);
    assert_eq!(found["error"], Value::Null);
    let refused = check(folder.path(), &["--limits", r#"{"dollars":0}"#]);
    assert!(stderr(&refused).contains("LIMITS: dollars is 0") && refused.status.code() == Some(1), "{refused:?}");
}
