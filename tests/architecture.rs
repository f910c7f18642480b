//! The layers: who may use whom. An arrow that is not listed fails.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// A layer and the layers that it may use.
const ARROWS: &[(&str, &[&str])] = &[
    ("model", &[]),
    ("codec", &["model"]),
    ("sdk", &["model"]),
    ("faults", &["model"]),
    ("blob", &["model", "sdk", "faults"]),
    ("channel", &["model", "sdk", "faults"]),
    ("items", &["model", "sdk", "faults"]),
    ("ledger", &["model", "sdk", "faults"]),
    ("tasks", &["model", "sdk", "faults"]),
    ("stage", &["model", "codec", "blob", "channel", "items", "ledger", "tasks"]),
    ("variant", &["model", "stage"]),
    ("runtime", &["model", "codec", "sdk", "blob", "channel", "items", "ledger", "tasks", "stage", "variant"]),
    ("bin", &["runtime"]),
];

/// What a layer may not even name.
const FOREIGN: &[(&str, &[&str])] = &[
    ("model", &["aws_", "lambda_runtime", "tokio", "std::fs", "std::env", "SystemTime"]),
    ("codec", &["aws_sdk", "lambda_runtime", "tokio", "std::fs", "std::env", "SystemTime"]),
    ("stage", &["aws_", "lambda_runtime", "std::fs", "std::env", "SystemTime"]),
    ("variant", &["aws_", "lambda_runtime", "std::env"]),
];

const MOST_LINES: usize = 500;
const MOST_LINES_OF_A_BINARY: usize = 60;

fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|e| e == "rs") {
            found.push(path);
        }
    }
}

/// The lines of code of every layer, without comments.
fn layers() -> BTreeMap<String, Vec<(PathBuf, String)>> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    sources(&root, &mut files);
    let mut layers: BTreeMap<String, Vec<(PathBuf, String)>> = BTreeMap::new();
    for path in files {
        let inside = path.strip_prefix(&root).unwrap().to_path_buf();
        let first = inside.components().next().unwrap().as_os_str().to_str().unwrap();
        let layer = first.trim_end_matches(".rs");
        if layer == "lib" {
            continue;
        }
        let text = fs::read_to_string(&path).unwrap();
        let code = text.lines().filter(|line| !line.trim_start().starts_with("//"));
        let code = code.collect::<Vec<_>>().join("\n");
        layers.entry(layer.to_owned()).or_default().push((inside, code));
    }
    layers
}

/// The layers that a piece of code names.
fn named(code: &str) -> Vec<String> {
    let starts = code.match_indices("crate::").chain(code.match_indices("fanfold::"));
    starts
        .map(|(at, start)| {
            let rest = &code[at + start.len()..];
            rest.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect()
        })
        .collect()
}

#[test]
fn arrows_point_one_way() {
    let layers = layers();
    let known: Vec<&str> = ARROWS.iter().map(|(layer, _)| *layer).collect();
    assert_eq!(layers.keys().map(String::as_str).filter(|l| !known.contains(l)).collect::<Vec<_>>(), [""; 0]);
    for (layer, allowed) in ARROWS {
        for (path, code) in &layers[*layer] {
            for used in named(code) {
                let fine = used == *layer || allowed.contains(&used.as_str()) || !known.contains(&used.as_str());
                assert!(fine, "{} uses {used}, which {layer} may not", path.display());
            }
        }
    }
}

#[test]
fn inner_layers_know_no_sdk_no_lambda_and_no_clock() {
    let layers = layers();
    for (layer, foreign) in FOREIGN {
        for (path, code) in &layers[*layer] {
            let code = code.split("#[cfg(test)]").next().unwrap();
            for name in *foreign {
                assert!(!code.contains(name), "{} names {name}", path.display());
            }
        }
    }
}

#[test]
fn files_stay_short_and_binaries_shorter() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut files = Vec::new();
    for folder in ["src", "tests", "benches", "benchmark/src", "fuzz/src", "fuzz/fuzz_targets"] {
        sources(&root.join(folder), &mut files);
    }
    assert!(files.len() > 100, "{}", files.len());
    for path in files {
        let most = if path.starts_with(root.join("src/bin")) { MOST_LINES_OF_A_BINARY } else { MOST_LINES };
        let lines = fs::read_to_string(&path).unwrap().lines().count();
        assert!(lines <= most, "{} is longer than {most} lines", path.display());
    }
}
