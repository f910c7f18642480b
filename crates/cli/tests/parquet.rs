//! `fanfold run` and `fanfold check` on a Parquet file, called as a user would.

#![cfg(feature = "parquet")]

use std::fs::File;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use serde_json::Value;

/// Three rows, of which the second has no key.
const SPARK: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../parquet/tests/files/spark.parquet");

fn call(folder: &Path, arguments: &[&str], stdin: Stdio) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_fanfold"));
    for setting in ["SCHEMA", "KEY_FIELD", "CHUNK_SIZE", "FORMAT", "LIMITS"] {
        command.env_remove(setting);
    }
    command.current_dir(folder).args(arguments).args(["--key-field", "long"]).stdin(stdin).output().unwrap()
}

fn document(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{}", String::from_utf8_lossy(&output.stderr)))
}

#[test]
fn a_parquet_file_is_run_and_its_failed_rows_are_json_lines() {
    let folder = tempfile::tempdir().unwrap();
    let file = || Stdio::from(File::open(SPARK).unwrap());
    for (arguments, stdin) in
        [(&["run", SPARK, "--json"][..], Stdio::null()), (&["run", "-", "--name", "spark.parquet", "--json"], file())]
    {
        let done = call(folder.path(), arguments, stdin);
        let summary = document(&done);
        assert_eq!((done.status.code(), &summary["input"]["format"]), (Some(3), &"parquet".into()));
        assert_eq!((&summary["records"]["succeeded"], &summary["records"]["failed"]), (&2.into(), &1.into()));
        assert_eq!(summary["failures"][0]["message"], "row 2: long: the key must be a string or a number");
        let read = |name: &str| std::fs::read_to_string(folder.path().join("fanfold-run").join(name)).unwrap();
        assert!(read("items.jsonl").contains(r#""decimal18":1234567890123456.78"#), "{}", read("items.jsonl"));
        let failed: Value = serde_json::from_str(&read("failed.jsonl")).unwrap();
        assert_eq!((&failed["long"], &failed["text"]), (&Value::Null, &"".into()));
    }
}

#[test]
fn a_check_of_a_parquet_file_says_what_its_batch_would() {
    let folder = tempfile::tempdir().unwrap();
    let check = |file: &str, rest: &[&str]| {
        let done = call(folder.path(), &[&["check", "--file", file, "--json"], rest].concat(), Stdio::null());
        (done.status.code(), document(&done)["file"].take())
    };
    let (code, file) = check(SPARK, &[]);
    assert_eq!((code, &file["readAs"]["layout"], &file["whole"]), (Some(3), &"parquet".into(), &true.into()));
    assert_eq!((&file["records"]["succeeded"], &file["records"]["failed"]), (&2.into(), &1.into()));
    assert_eq!((&file["failures"][0]["index"], &file["error"]), (&1.into(), &Value::Null));
    let (code, file) = check(SPARK, &["--records", "1"]);
    assert_eq!((code, &file["records"]["total"], &file["whole"]), (Some(0), &1.into(), &false.into()));

    let bytes = std::fs::read(SPARK).unwrap();
    std::fs::write(folder.path().join("cut.parquet"), &bytes[..bytes.len() - 9]).unwrap();
    let (code, file) = check("cut.parquet", &[]);
    assert_eq!((code, &file["error"]["code"]), (Some(4), &"BROKEN_PARQUET".into()));
    std::fs::write(folder.path().join("a.csv"), &bytes).unwrap();
    assert_eq!(check("a.csv", &[]).1["readAs"]["layout"], "parquet");
}

#[test]
fn a_parquet_file_in_a_pipe_cannot_be_checked() {
    let folder = tempfile::tempdir().unwrap();
    let mut cat = Command::new("cat").arg(SPARK).stdout(Stdio::piped()).spawn().unwrap();
    let pipe = Stdio::from(cat.stdout.take().unwrap());
    let done = call(folder.path(), &["check", "--file", "-", "--name", "a.parquet"], pipe);
    let said = String::from_utf8_lossy(&done.stderr);
    assert!(done.status.code() == Some(1) && said.contains("its end is read first; name a file"), "{said}");
    cat.wait().unwrap();
}
