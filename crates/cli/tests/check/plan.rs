//! `fanfold plan`, as a user calls it: on files of each kind, and on what is no file.

use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;

const VARIANTS: [&str; 8] = ["sync", "async", "chunked", "dynamodb", "ranged", "notification", "sns", "sfn"];

fn plan(arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_fanfold"));
    for name in ["SCHEMA", "KEY_FIELD", "CHUNK_SIZE", "FORMAT", "LIMITS", "CONCURRENCY"] {
        command.env_remove(name);
    }
    command.arg("plan").args(arguments).output().unwrap()
}

fn json(arguments: &[&str]) -> Value {
    let done = plan(&[arguments, &["--json"]].concat());
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    serde_json::from_slice(&done.stdout).unwrap()
}

fn refusal(arguments: &[&str]) -> String {
    let done = plan(arguments);
    assert!(!done.status.success(), "{}", String::from_utf8_lossy(&done.stdout));
    String::from_utf8(done.stderr).unwrap()
}

fn csv(rows: usize) -> String {
    let rows = (0..rows).map(|n| format!("{n},{n}.5,\"a note, with\nlines\"\n"));
    format!("itemNo,price,note\n{}", rows.collect::<String>())
}

fn saved(folder: &Path, name: &str, bytes: &[u8]) -> String {
    let path = folder.join(name);
    std::fs::write(&path, bytes).unwrap();
    path.to_str().unwrap().to_owned()
}

#[test]
fn the_records_of_a_file_are_counted_whatever_its_format() {
    let folder = tempfile::tempdir().unwrap();
    let lines: String = (0..1234).map(|n| format!("{{\"itemNo\":\"{n}\",\"price\":{n}}}\n")).collect();
    let document = format!("[{}]", lines.trim_end().replace('\n', ","));
    let text = csv(1234);
    for file in [
        saved(folder.path(), "a.csv", text.as_bytes()),
        saved(folder.path(), "a.jsonl", lines.as_bytes()),
        saved(folder.path(), "a.json", document.as_bytes()),
    ] {
        let told = json(&[&file]);
        assert_eq!(
            (&told["records"], &told["chunks"], &told["estimated"]),
            (&1234.into(), &3.into(), &false.into()),
            "{file}"
        );
    }
    let told = json(&[&saved(folder.path(), "b.csv", text.as_bytes()), "--chunk-size", "100", "--variant", "chunked"]);
    assert_eq!((&told["chunks"], &told["requests"]["scatter"]["s3.PutObject"]), (&13.into(), &13.into()));
    // 12 chunks of 100 and one of 34: four writes each, and two.
    assert_eq!(told["requests"]["process"]["dynamodb.BatchWriteItem"], 12 * 4 + 2);
}

#[test]
fn what_is_packed_is_estimated_by_its_beginning() {
    let folder = tempfile::tempdir().unwrap();
    let unpacked = saved(folder.path(), "a.csv", csv(100_000).as_bytes());
    assert!(Command::new("gzip").arg(&unpacked).status().unwrap().success());
    let told = json(&[&format!("{unpacked}.gz")]);
    let records = told["records"].as_u64().unwrap();
    assert!(told["estimated"].as_bool().unwrap() && (80_000..130_000).contains(&records), "{records}");
}

#[test]
fn each_variant_has_requests_seconds_and_dollars() {
    for variant in VARIANTS {
        let told = json(&["--records", "10000", "--bytes", "1000000", "--variant", variant]);
        let (least, most) = (told["seconds"]["least"].as_f64().unwrap(), told["seconds"]["most"].as_f64().unwrap());
        assert!(0.0 < least && least <= most, "{variant}: {told}");
        let sum: f64 = told["dollars"]["services"].as_object().unwrap().values().map(|of| of.as_f64().unwrap()).sum();
        assert!((sum - told["dollars"]["total"].as_f64().unwrap()).abs() < 1e-4 && sum > 0.00625, "{variant}: {told}");
    }
}

#[test]
fn what_holds_a_million_records_up_is_named_with_what_would_change_it() {
    let told = String::from_utf8(plan(&["--records", "1000000", "--bytes", "100000000"]).stdout).unwrap();
    assert!(told.contains("1,000,000 records in 2,000 chunks"), "{told}");
    assert!(told.contains("what holds it up: the items table: 4000 units a second at first"), "{told}");
    assert!(told.contains("instead: a table warmed to 40000 units a second (--warm 40000) would make it"), "{told}");
    let warm = json(&["--records", "1000000", "--bytes", "100000000", "--warm", "40000"]);
    let new = json(&["--records", "1000000", "--bytes", "100000000"]);
    assert!(warm["seconds"]["most"].as_f64() < new["seconds"]["most"].as_f64());
}

#[test]
fn what_is_no_file_of_records_is_refused_with_what_to_do() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    assert!(refusal(&[]).contains("--records"));
    assert!(refusal(&["nowhere.csv"]).contains("could not read nowhere.csv"));
    assert!(refusal(&[folder.to_str().unwrap()]).contains("is not a file"));
    assert!(refusal(&["s3://bucket"]).contains("s3://BUCKET/KEY"));
    assert!(refusal(&["--records", "10"]).contains("--bytes"));
    let text = saved(folder, "a.csv", b"name\nx\n");
    assert!(refusal(&[&text]).contains("itemNo"), "{}", refusal(&[&text]));
    assert!(refusal(&[&saved(folder, "b.csv", b"itemNo,price\n1,2\n"), "--variant", "serial"]).contains("serial"));
}
