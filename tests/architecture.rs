//! The layers, and which may use which. A dependency that is not listed fails.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// A layer of the engine and the layers that it may use.
const ARROWS: &[(&str, &[&str])] = &[
    ("model", &[]),
    ("store", &["model"]),
    ("format", &["model"]),
    ("render", &["model", "format"]),
    ("processor", &["model", "store"]),
    ("batch", &["model", "store", "format"]),
    ("intake", &["model"]),
    ("stage", &["model", "store", "format", "render", "processor", "batch", "intake"]),
    ("pipeline", &["model", "store", "processor", "batch", "intake", "stage"]),
];

/// Layers whose submodules may not use each other, and the submodules that all of them may use.
const ROOMS: &[(&str, &[&str])] =
    &[("stage", &["late", "reception", "summary"]), ("store", &["clock", "faults", "pace", "surround"])];

/// What a layer of the engine may not name.
const FOREIGN: &[(&str, &[&str])] = &[
    ("model", &["tokio", "std::fs", "std::env", "SystemTime"]),
    ("format", &["tokio", "std::fs", "std::env", "SystemTime"]),
    ("render", &["tokio", "std::fs", "std::env", "SystemTime"]),
    ("intake", &["tokio", "std::fs", "std::env", "SystemTime"]),
    ("processor", &["std::fs", "std::env", "SystemTime"]),
    ("batch", &["std::fs", "std::env", "SystemTime"]),
    ("stage", &["std::fs", "std::env", "SystemTime"]),
    ("pipeline", &["std::env", "SystemTime"]),
];
/// What the engine may not name at all; Cargo enforces it as well.
const ABOVE: &[&str] = &["aws_", "lambda_runtime", "clap"];

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

/// The module of a file, such as `stage::gather`.
fn module_of(path: &Path) -> String {
    let name = path.with_extension("").to_string_lossy().replace(['/', '\\'], "::");
    name.strip_suffix("::mod").unwrap_or(&name).to_owned()
}

/// The paths that a piece of code names, from the crate root: `use crate::{a::b, c}` names two.
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

/// Expands `a::{b, c::d}`.
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

/// The code of every file of a crate, without comments and tests, and whether the file is a `mod.rs`.
fn code(root: &Path) -> BTreeMap<String, (bool, String)> {
    let mut files = Vec::new();
    sources(root, &mut files);
    let tests = |path: &Path| path.components().any(|part| part.as_os_str() == "tests") || path.ends_with("tests.rs");
    let file = |path: &PathBuf| {
        let inside = path.strip_prefix(root).unwrap();
        let text = fs::read_to_string(path).unwrap();
        let code = text.split("#[cfg(test)]").next().unwrap();
        let code = code.lines().filter(|line| !line.trim_start().starts_with("//")).collect::<Vec<_>>().join("\n");
        (module_of(inside), (inside.ends_with("mod.rs"), code))
    };
    files.iter().filter(|path| !tests(path)).map(file).collect()
}

/// Which files of a crate name which others. A `mod.rs` assembles its own submodules, so that its uses of them
/// do not count.
fn arrows(root: &Path) -> BTreeMap<String, BTreeSet<String>> {
    let named = code(root);
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

/// The reason why a file may not name another.
fn objection(file: &str, target: &str) -> Option<&'static str> {
    let part = |path: &str, at: usize| path.split("::").nth(at).unwrap_or_default().to_owned();
    let (own, other) = (part(file, 0), part(target, 0));
    let allowed = ARROWS.iter().find(|(layer, _)| *layer == own).map(|(_, allowed)| *allowed);
    let Some(allowed) = allowed.filter(|_| own != "lib") else {
        return (own != "lib").then_some("its layer is not known");
    };
    if own != other {
        return (!allowed.contains(&other.as_str())).then_some("the arrow points upward");
    }
    let (_, shared) = ROOMS.iter().find(|(layer, _)| *layer == own)?;
    let (room, next) = (part(file, 1), part(target, 1));
    // The suites of the stores test all of them.
    let fine =
        room.is_empty() || next.is_empty() || room == next || room == "testing" || shared.contains(&next.as_str());
    (!fine).then_some("rooms of a layer do not use each other")
}

/// The files on a cycle: what is left after repeatedly removing the files that name no other, and those that no
/// other names.
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

const CRATES: [&str; 10] = [
    "src",
    "crates/api/src",
    "crates/aws/src",
    "crates/http/src",
    "crates/lambda/src",
    "crates/cli/src",
    "crates/parquet/src",
    "crates/report/src",
    "benchmark/src",
    "fuzz/src",
];

#[test]
fn no_files_import_each_other_in_a_circle() {
    let mut all = 0;
    for root in CRATES {
        let arrows = arrows(&Path::new(env!("CARGO_MANIFEST_DIR")).join(root));
        all += arrows.values().map(BTreeSet::len).sum::<usize>();
        let circle = circle(arrows);
        assert!(circle.is_empty(), "{root}: {circle:#?}");
    }
    assert!(all > 400, "{all}");
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
    let mut wrong = Vec::new();
    for (file, targets) in arrows(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src")) {
        let reason = |target: &String| objection(&file, target).map(|reason| format!("{file} -> {target}: {reason}"));
        wrong.extend(targets.iter().filter_map(reason));
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn wrong_arrows_are_objected_to() {
    for (file, target) in [
        ("model::ids", "store::blob"),
        ("batch::find", "stage::process"),
        ("render::records", "intake::s3_event"),
        ("processor::items", "batch::find"),
        ("stage::gather", "stage::scatter::cut"),
        ("store::items", "store::tasks"),
        ("attic", "model::ids"),
    ] {
        assert!(objection(file, target).is_some(), "{file} -> {target}");
    }
    for (file, target) in [
        ("lib", "stage::gather"),
        ("stage::gather", "stage::summary"),
        ("stage::scatter", "stage::scatter::cut"),
        ("stage::gather", "stage"),
        ("store::blob::faulty", "store::faults"),
        ("store::testing::ledger", "store::ledger::tree"),
    ] {
        assert_eq!(objection(file, target), None, "{file} -> {target}");
    }
}

#[test]
fn the_engine_knows_no_sdk_and_its_inner_layers_no_clock() {
    for (file, (_, code)) in code(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src")) {
        let layer = file.split("::").next().unwrap();
        let foreign = FOREIGN.iter().find(|(own, _)| *own == layer).map_or(&[][..], |(_, foreign)| foreign);
        for name in foreign.iter().chain(ABOVE) {
            assert!(!code.contains(name), "{file} names {name}");
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
