//! The files of `scripts/parquet_files.py`, and what must come out of them.

#![allow(dead_code, reason = "each test uses its share")]

pub mod counting;

use std::ops::Range;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use bytes::Bytes;
use fanfold_parquet::{Error, Footer, Limits, Part, Pieces, Rows, Tail};
use serde_json::Value;

/// Returns the directory of the files, which are made when they are first needed.
pub fn files() -> &'static Path {
    static FILES: OnceLock<PathBuf> = OnceLock::new();
    FILES.get_or_init(|| {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../scripts/parquet_files.py");
        let python = std::env::var_os("PYTHON").unwrap_or_else(|| "python3".into());
        let made = Command::new(python).arg(script).output().expect("Python is needed to make the files");
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        PathBuf::from(String::from_utf8(made.stdout).unwrap().trim_end())
    })
}

/// Returns the bytes of a file by its name, without the extension.
pub fn file(name: &str) -> Bytes {
    std::fs::read(files().join(format!("{name}.parquet"))).unwrap().into()
}

/// Reads a footer as a caller would who reads `first` bytes from the end.
pub fn footer_with(file: &[u8], first: u64) -> Result<Footer, Error> {
    let last = |count: u64| &file[file.len() - (count as usize).min(file.len())..];
    match Footer::tail(last(first), file.len() as u64)? {
        Tail::Footer(footer) => Ok(*footer),
        Tail::Needs(count) => match Footer::tail(last(count), file.len() as u64)? {
            Tail::Footer(footer) => Ok(*footer),
            Tail::Needs(more) => panic!("{count} bytes were needed, and now {more}"),
        },
    }
}

pub fn footer(file: &[u8]) -> Result<Footer, Error> {
    footer_with(file, 64 * 1024)
}

/// The bytes of a range; fewer if the file is shorter.
fn cut(file: &Bytes, range: &Range<u64>) -> Bytes {
    let end = (range.end as usize).min(file.len());
    file.slice((range.start as usize).min(end)..end)
}

/// Opens a part, by the offset index if there is one, giving nothing but the ranges that are asked for.
pub fn open(file: &Bytes, footer: &Footer, part: &Part, limits: Limits) -> Result<Rows, Error> {
    let index = footer.index(part).map(|range| cut(file, &range));
    let selection = footer.select(part, index.as_deref())?;
    let pieces: Pieces = selection.ranges().iter().map(|range| (range.start, cut(file, range))).collect();
    Rows::new(footer, &selection, &pieces, limits)
}

/// A row, with the reason why it failed.
pub type Read = (String, Option<String>);

pub fn read_part(file: &Bytes, footer: &Footer, part: &Part) -> Result<Vec<Read>, Error> {
    let mut next = part.first;
    let mut read = Vec::new();
    open(file, footer, part, Limits::default())?.for_each(|row| {
        assert_eq!(row.index, next);
        next += 1;
        read.push((row.json.to_owned(), row.fault.map(str::to_owned)));
    })?;
    Ok(read)
}

/// Reads all rows, in chunks.
pub fn read_all(file: &Bytes, chunk: u64) -> Result<Vec<Read>, Error> {
    let footer = footer(file)?;
    let mut read = Vec::new();
    for part in footer.plan(chunk, u64::MAX) {
        assert_eq!(part.first, read.len() as u64);
        read.extend(read_part(file, &footer, &part)?);
    }
    assert_eq!(read.len() as u64, footer.rows());
    Ok(read)
}

/// Compares rows with the expected ones.
pub fn check(name: &str, read: &[Read], expected: &str) {
    let expected: Vec<&str> = expected.lines().collect();
    assert_eq!(read.len(), expected.len(), "{name}");
    for (at, ((json, fault), expected)) in read.iter().zip(expected).enumerate() {
        assert!(!json.contains('\n'));
        let row: Value = serde_json::from_str(json).unwrap_or_else(|error| panic!("{name}, row {at}: {error}: {json}"));
        let expected: Vec<Value> = serde_json::from_str(expected).unwrap();
        let (row, wanted) = (row.as_object().unwrap(), expected[0].as_object().unwrap());
        assert!(row.keys().eq(wanted.keys()), "{name}, row {at}: {json}");
        for (column, value) in row {
            let same = equal(value, &wanted[column], column.starts_with("decimal"));
            assert!(same, "{name}, row {at}, {column}: {value} is not {}", wanted[column]);
        }
        let column = expected.get(1).and_then(Value::as_str);
        let named = fault.as_deref().and_then(|fault| fault.strip_prefix("column ")?.split_once(": "));
        assert_eq!(named.map(|(column, _)| column), column, "{name}, row {at}");
    }
}

fn equal(left: &Value, right: &Value, exact: bool) -> bool {
    match (left, right) {
        (Value::Number(l), Value::Number(r)) => {
            // Digits, except that a real number may be written in several ways.
            let real = |text: &str| text.contains(['.', 'e']);
            let (l, r) = (l.to_string(), r.to_string());
            l == r || !exact && real(&l) && real(&r) && l.parse::<f64>().unwrap() == r.parse::<f64>().unwrap()
        }
        (Value::Array(l), Value::Array(r)) => l.len() == r.len() && l.iter().zip(r).all(|(l, r)| equal(l, r, exact)),
        (Value::Object(l), Value::Object(r)) => {
            l.len() == r.len() && l.iter().zip(r).all(|((k, l), (q, r))| k == q && equal(l, r, exact))
        }
        _ => left == right,
    }
}
