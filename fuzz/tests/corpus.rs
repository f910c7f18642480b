//! Each target over its corpus, and over some thousand files derived from the corpus.

use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use fanfold_fuzz::TARGETS;
use fanfold_fuzz::cut::Xorshift;

const SEED: u64 = 1;
const MUTATIONS: usize = 5_000;
const LONGEST: usize = 4096;

/// The corpus of a target, ordered by file name.
fn corpus(target: &str) -> Vec<(String, Vec<u8>)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus").join(target);
    let mut files: Vec<_> = fs::read_dir(&folder).unwrap().map(|file| file.unwrap().path()).collect();
    files.sort();
    files.into_iter().map(|path| (path.display().to_string(), fs::read(path).unwrap())).collect()
}

fn check(target: &str, run: fn(&[u8]), what: &str, data: &[u8]) {
    if catch_unwind(AssertUnwindSafe(|| run(data))).is_err() {
        panic!("{target} fails on {what}: {}", data.escape_ascii());
    }
}

/// A file of the corpus with some changes: bytes set, duplicated, removed, or copied from another file.
fn mutated(files: &[(String, Vec<u8>)], random: &mut Xorshift) -> Vec<u8> {
    let mut data = files[random.below(files.len())].1.clone();
    for _ in 0..=random.below(4) {
        let from = random.below(data.len() + 1);
        let to = from + random.below((data.len() - from).min(32) + 1);
        match random.below(6) {
            0 => data[from..to].fill_with(|| u8::try_from(random.below(256)).unwrap()),
            1 => data[from..to].fill_with(|| b"\"\\,:{}[]\r\n 0e-u\xef"[random.below(16)]),
            2 => drop(data.drain(from..to)),
            3 => data.extend_from_within(from..to),
            4 => data.truncate(from.max(1)),
            _ => {
                let other = &files[random.below(files.len())].1;
                let start = random.below(other.len() + 1);
                let end = start + random.below((other.len() - start).min(64) + 1);
                data.splice(from..to, other[start..end].iter().copied());
            }
        }
    }
    data.truncate(LONGEST);
    data
}

fn replay(target: &str) {
    let run = TARGETS.iter().find(|(name, _)| *name == target).unwrap().1;
    let files = corpus(target);
    assert!(!files.is_empty());
    for (name, data) in &files {
        // In every way that the first byte can select, if it selects one.
        for cut in [data.first().copied().unwrap_or(0), 0, 1, 2, 3, 7, 192, 255] {
            let mut data = data.clone();
            if let (Some(first), false) = (data.first_mut(), matches!(target, "s3_event" | "message" | "record")) {
                *first = cut;
            }
            check(target, run, name, &data);
        }
    }
    let mut random = Xorshift::new(SEED);
    for count in 0..MUTATIONS {
        check(target, run, &format!("mutation {count} of seed {SEED}"), &mutated(&files, &mut random));
    }
}

#[test]
fn csv() {
    replay("csv");
}

#[test]
fn json() {
    replay("json");
}

#[test]
fn jsonl() {
    replay("jsonl");
}

#[test]
fn gzip() {
    replay("gzip");
}

#[test]
fn detect() {
    replay("detect");
}

#[test]
fn ranges() {
    replay("ranges");
}

#[test]
fn s3_event() {
    replay("s3_event");
}

#[test]
fn message() {
    replay("message");
}

#[test]
fn record() {
    replay("record");
}
