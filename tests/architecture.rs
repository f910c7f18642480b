//! The layers: who may use whom. An arrow that is not listed fails.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// A layer and the layers that it may use.
const ARROWS: &[(&str, &[&str])] = &[
    ("model", &[]),
    ("store", &["model"]),
    ("format", &["model"]),
    ("render", &["model", "format"]),
    ("intake", &["model"]),
    ("batch", &["model", "store", "format"]),
    ("stage", &["model", "store", "format", "render", "intake", "batch"]),
    ("pipeline", &["model", "store", "batch", "stage"]),
];

/// What a layer may not even name.
const FOREIGN: &[(&str, &[&str])] = &[
    ("model", &["aws_", "lambda_runtime", "tokio", "std::fs", "std::env", "SystemTime"]),
    ("format", &["aws_", "lambda_runtime", "tokio", "std::fs", "std::env", "SystemTime"]),
    ("stage", &["aws_", "lambda_runtime", "std::fs", "std::env", "SystemTime"]),
    ("pipeline", &["aws_", "lambda_runtime", "std::env"]),
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

/// A file's path as a module, as `stage::gather`.
fn module_of(path: &Path) -> String {
    let name = path.with_extension("").to_string_lossy().replace(['/', '\\'], "::");
    name.strip_suffix("::mod").unwrap_or(&name).to_owned()
}

/// The paths that a piece of code names, from the crate's root on: `use crate::{a::b, c}` names two.
fn paths(code: &str, own: &str) -> BTreeSet<String> {
    let above = |levels: usize| {
        let parts: Vec<&str> = own.split("::").collect();
        parts[..parts.len().saturating_sub(levels)].join("::")
    };
    let mut found = BTreeSet::new();
    for (at, _) in code.match_indices("crate::").chain(code.match_indices("super::")) {
        let before = code[..at].chars().next_back().unwrap_or(' ');
        if before.is_alphanumeric() || before == '_' || before == ':' {
            continue;
        }
        let mut rest = &code[at..];
        let mut levels = 0;
        while let Some(inner) = rest.strip_prefix("super::") {
            (rest, levels) = (inner, levels + 1);
        }
        let root = if levels > 0 { above(levels) } else { String::new() };
        let rest = rest.strip_prefix("crate::").unwrap_or(rest);
        spread(&root, rest, &mut found);
    }
    found
}

/// Takes `a::{b, c::d}` apart.
fn spread(root: &str, text: &str, found: &mut BTreeSet<String>) {
    let name: String = text.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
    let here = [root, &name].into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join("::");
    let rest = &text[name.len()..];
    if let Some(rest) = rest.strip_prefix("::") {
        return spread(&here, rest, found);
    }
    let Some(inner) = rest.strip_prefix('{').filter(|_| name.is_empty()) else {
        found.insert(here);
        return;
    };
    let (mut depth, mut from) = (0, 0);
    for (at, c) in inner.char_indices() {
        match c {
            '{' => depth += 1,
            '}' if depth > 0 => depth -= 1,
            ',' | '}' if depth == 0 => {
                spread(root, inner[from..at].trim(), found);
                from = at + 1;
                if c == '}' {
                    return;
                }
            }
            _ => {}
        }
    }
}

/// Which files of a crate name which others, without tests. A folder's own file puts its parts together,
/// so that its arrows to them do not count.
fn arrows(root: &Path) -> BTreeMap<String, BTreeSet<String>> {
    let mut files = Vec::new();
    sources(root, &mut files);
    let code_of = |path: &Path| {
        let text = fs::read_to_string(path).unwrap();
        let code = text.split("#[cfg(test)]").next().unwrap();
        code.lines().filter(|line| !line.trim_start().starts_with("//")).collect::<Vec<_>>().join("\n")
    };
    let named: BTreeMap<String, (bool, String)> = files
        .iter()
        .filter(|path| !path.components().any(|part| part.as_os_str() == "tests") && !path.ends_with("tests.rs"))
        .map(|path| {
            let inside = path.strip_prefix(root).unwrap();
            (module_of(inside), (inside.ends_with("mod.rs"), code_of(path)))
        })
        .collect();
    let file_of = |path: &str| {
        let mut path = path;
        while !named.contains_key(path) {
            path = path.rsplit_once("::")?.0;
        }
        Some(path.to_owned())
    };
    let arrows_of = |own: &String, (folder, code): &(bool, String)| {
        let targets = paths(code, own).iter().filter_map(|path| file_of(path)).collect::<BTreeSet<_>>();
        let counts = |target: &String| target != own && !(*folder && target.starts_with(&format!("{own}::")));
        targets.into_iter().filter(counts).collect()
    };
    named.iter().map(|(own, code)| (own.clone(), arrows_of(own, code))).collect()
}

/// The files on a circle: what is left when files that name no other one are taken away, again and again,
/// and those that no other one names.
fn circle(mut arrows: BTreeMap<String, BTreeSet<String>>) -> BTreeMap<String, BTreeSet<String>> {
    loop {
        let before = arrows.len();
        let named: BTreeSet<String> = arrows.values().flatten().cloned().collect();
        arrows.retain(|file, targets| !targets.is_empty() && named.contains(file));
        let left: BTreeSet<String> = arrows.keys().cloned().collect();
        arrows.values_mut().for_each(|targets| targets.retain(|target| left.contains(target)));
        if arrows.len() == before {
            return arrows;
        }
    }
}

#[test]
fn no_files_import_each_other_in_a_circle() {
    for root in ["src", "benchmark/src"] {
        let arrows = arrows(&Path::new(env!("CARGO_MANIFEST_DIR")).join(root));
        assert!(arrows.values().map(BTreeSet::len).sum::<usize>() > 50, "{root}: {arrows:?}");
        let circle = circle(arrows);
        assert!(circle.is_empty(), "{root}: {circle:#?}");
    }
}

#[test]
fn every_form_of_an_import_is_seen() {
    let code = "use crate::{a, b::{c::D, e}};\nuse super::f::G;\nfn f() { crate::h::i(super::super::j::K) }\nuse othercrate::l;";
    let found: Vec<String> = paths(code, "m::n::o").into_iter().collect();
    assert_eq!(found, ["a", "b::c::D", "b::e", "h::i", "m::j::K", "m::n::f::G"]);
    let found: Vec<String> = paths("use super::p; crate::q", "m::n").into_iter().collect();
    assert_eq!(found, ["m::p", "q"]);
    let circle = |arrows: &[(&str, &[&str])]| {
        let owned = |(file, targets): &(&str, &[&str])| {
            ((*file).to_owned(), targets.iter().map(|target| (*target).to_owned()).collect())
        };
        self::circle(arrows.iter().map(owned).collect()).len()
    };
    assert_eq!(circle(&[("a", &["b"]), ("b", &["c"]), ("c", &[])]), 0);
    assert_eq!(circle(&[("a", &["b"]), ("b", &["c"]), ("c", &["b"])]), 2);
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
    for folder in ["src", "crates", "tests", "benches", "benchmark/src", "fuzz/src", "fuzz/fuzz_targets"] {
        sources(&root.join(folder), &mut files);
    }
    assert!(files.len() > 100, "{}", files.len());
    for path in files {
        let most = if path.ends_with("src/main.rs") { MOST_LINES_OF_A_BINARY } else { MOST_LINES };
        let lines = fs::read_to_string(&path).unwrap().lines().count();
        assert!(lines <= most, "{} is longer than {most} lines", path.display());
    }
}
