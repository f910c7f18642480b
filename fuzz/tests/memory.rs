//! Files made to fill the memory, in the pieces that scatter reads.

use std::io::Write;

use fanfold::format::Decoder;
use fanfold::model::format::InputFormat;
use fanfold::model::range::Range;
use fanfold::model::record::MAX_RECORD_BYTES;
use fanfold_fuzz::decode::{End, decode_pieces, decode_with};
use fanfold_fuzz::ranges::scan;
use flate2::Compression;
use flate2::write::GzEncoder;

// As in src/stage/scatter/split.rs.
const PIECE: usize = 8 * 1024;
const PACKED_PIECE: usize = 512;

/// More than any decoder of plain text takes.
const MOST: usize = 34 * 1024 * 1024;

const HUGE: usize = 64 * 1024 * 1024;
/// Enough to show that more of the same takes no more memory.
const MANY: usize = 4 * 1024 * 1024;

/// `head`, then `filler` repeated for `bytes`, then `tail`.
fn pieces(head: &str, filler: &str, bytes: usize, tail: &str) -> impl Iterator<Item = Vec<u8>> {
    let block = filler.repeat((PIECE / filler.len()).max(1)).into_bytes();
    let count = bytes / block.len();
    std::iter::once(head.as_bytes().to_vec())
        .chain(std::iter::repeat_n(block, count))
        .chain(std::iter::once(tail.as_bytes().to_vec()))
}

/// The number of records, the size of the largest, the faults, and the end.
fn read(name: &str, pieces: impl Iterator<Item = Vec<u8>>) -> (usize, usize, Vec<String>, End) {
    let (mut count, mut largest, mut faults) = (0, 0, Vec::new());
    let end = decode_pieces(InputFormat::of_key(name).unwrap(), pieces, |entries| {
        count += entries.len();
        for entry in entries {
            largest = largest.max(entry.record.get().len());
            faults.extend(entry.fault.clone().filter(|_| faults.len() < 3));
        }
    });
    assert!(name.ends_with(".gz") || end.peak <= MOST, "{} bytes held", end.peak);
    assert!(largest <= MAX_RECORD_BYTES);
    println!("{name}: {count} records, the largest of {largest}, peak {} KiB", end.peak / 1024);
    (count, largest, faults, end)
}

fn packed(pieces: impl Iterator<Item = Vec<u8>>) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    pieces.for_each(|piece| encoder.write_all(&piece).unwrap());
    encoder.finish().unwrap()
}

fn in_pieces(bytes: &[u8], size: usize) -> impl Iterator<Item = Vec<u8>> {
    bytes.chunks(size).map(<[u8]>::to_vec)
}

/// Beginnings and ends of files whose second record of three continues between them.
const RECORDS: [(&str, &str, &str); 5] = [
    ("f.csv", "k,a\n1,2\n2,", "\n3,4\n"),
    ("f.csv", "k,a\n1,2\n2,\"", "\"\n3,4\n"),
    ("f.json", "{\"records\":[{\"k\":1},{\"k\":\"", "\"},{\"k\":3}]}"),
    ("f.json", "{\"x\":1,\"records\":[{\"k\":1},{\"k\":[0", "]},{\"k\":3}],\"y\":2}"),
    ("f.jsonl", "{\"k\":1}\n{\"k\":\"", "\"}\n{\"k\":3}\n"),
];

#[test]
fn a_record_of_64_mib_is_left_out() {
    for (name, head, tail) in RECORDS {
        let filler = if head.ends_with('0') { ",0" } else { "x" };
        let (count, largest, faults, end) = read(name, pieces(head, filler, HUGE, tail));
        assert_eq!((count, end.fault), (3, None), "{name}");
        assert!(largest < 100 && faults.len() == 1 && faults[0].contains("larger than"), "{name}: {faults:?}");
    }
}

#[test]
fn a_record_of_64_mib_is_found_without_being_kept() {
    for (name, head, tail) in RECORDS {
        let filler = if head.ends_with('0') { ",0" } else { "x" };
        let layout = InputFormat::of_key(name).unwrap().layout;
        let scanned = scan(&InputFormat::plain(layout), pieces(head, filler, HUGE, tail), 1, 1024 * 1024);
        assert_eq!((scanned.claims.len(), scanned.fault), (3, None), "{name}");
        assert!(scanned.claims[1].range.length as usize >= HUGE, "{name}");
    }
}

#[test]
fn a_range_of_64_mib_is_left_out() {
    for (name, head, tail) in
        [("f.csv", "2,", ""), ("f.csv", "2,\"", "\""), ("f.json", "[0", "]"), ("f.jsonl", "\"", "\"")]
    {
        let filler = if head.ends_with('0') { ",0" } else { "x" };
        let (format, columns) = (InputFormat::of_key(name).unwrap(), ["k".to_owned(), "a".to_owned()]);
        let range = Range { offset: 700, length: HUGE as u64, first: 5, line: 7, column: 9, header: 0 };
        let mut entries = Vec::new();
        let decoder = || Decoder::part(&format, &columns, &range);
        let end = decode_with(decoder, format.clone(), pieces(head, filler, HUGE, tail), |made| {
            entries.extend_from_slice(made)
        });
        assert!(end.fault.is_none() && end.peak <= MOST, "{} bytes held", end.peak);
        let [entry] = &entries[..] else { panic!("{} records", entries.len()) };
        let fault = entry.fault.as_deref().unwrap();
        assert!(entry.index == 5 && fault.starts_with("line 7") && fault.contains("larger than"), "{name}: {fault}");
    }
}

#[test]
fn a_record_just_below_the_limit_takes_no_more_whatever_it_is_made_of() {
    for (name, head, tail) in RECORDS {
        let fillers: &[&str] = match (name, head.ends_with('0')) {
            ("f.json", true) => &[",0", "\n", " ", ",\n0", ",[]", ",{}"],
            _ => &["x", "\u{1}", "\\\\", "漢", ",", "\u{b}"],
        };
        for filler in fillers {
            print!("{filler:?} ");
            let (count, _, _, end) = read(name, pieces(head, filler, MAX_RECORD_BYTES - PIECE, tail));
            assert!(count == 3 || end.fault.is_some(), "{name} of {filler:?}: {count} records");
        }
    }
}

#[test]
fn brackets_may_be_nested_to_any_depth() {
    let half = MAX_RECORD_BYTES / 2 - PIECE;
    for (name, head, tail) in [("f.json", "{\"records\":[{\"k\":", "}]}"), ("f.jsonl", "{\"k\":", "}")] {
        for size in [half, HUGE / 2] {
            let nested = pieces(head, "[", size, "").chain(pieces("", "]", size, tail));
            let (count, _, faults, end) = read(name, nested);
            assert_eq!((count, end.fault), (1, None));
            assert_eq!(faults.is_empty(), size == half);
        }
    }
}

#[test]
fn what_never_ends_is_refused() {
    for (name, head, filler, code) in [
        ("f.csv", "k", "x", "HEADER_TOO_LARGE"),
        ("f.csv", "k", ",", "HEADER_TOO_LARGE"),
        ("f.json", "{\"", "x", "TRUNCATED_JSON"),
        ("f.json", "{\"x\":[", "[", "TRUNCATED_JSON"),
        ("f.json", "{\"records\":[", "{", "TRUNCATED_JSON"),
        ("f.csv.gz", "", "x", "BROKEN_GZIP"),
    ] {
        let (_, _, _, end) = read(name, pieces(head, filler, HUGE, ""));
        assert_eq!(end.fault.unwrap().code.name(), code, "{name} of {filler}");
    }
    let (count, _, faults, end) = read("f.csv", pieces("k,a\n1,\"", "\"\"", HUGE, ""));
    assert_eq!((count, faults.len(), end.fault), (1, 1, None));
    assert!(faults[0].contains("larger than") && faults[0].contains("line 2, column 3: the quote"), "{faults:?}");
}

#[test]
fn many_small_records_are_no_more_than_one_piece_of_them() {
    for (name, head, filler, tail) in [
        ("f.csv", "k\n", "1\n", ""),
        ("f.csv", "k\n", ",\n", ""),
        ("f.json", "{\"records\":[{}", ",{}", "]}"),
        ("f.json", "{\"records\":[0", ",0", "]}"),
        ("f.json", "{\"x\":0", ",\"x\":0", ",\"records\":[]}"),
        ("f.jsonl", "", "{}\n", ""),
        ("f.jsonl", "", "x\n", ""),
        ("f.jsonl", "", "\n", ""),
    ] {
        let (_, _, _, end) = read(name, pieces(head, filler, MANY, tail));
        assert_eq!(end.fault, None);
        assert!(end.peak < 4 * 1024 * 1024);
    }
}

#[test]
fn gzip_bombs_go_off_in_small_parts() {
    for (name, head, filler, tail) in [
        ("f.csv.gz", "k\n", "1\n", ""),
        ("f.csv.gz", "k\n", "\0", "\n"),
        ("f.json.gz", "{\"records\":[0", ",0", "]}"),
        ("f.json.gz", "{\"records\":[{}", "\n", "]}"),
        ("f.jsonl.gz", "", "x\n", ""),
        ("f.jsonl.gz", "", "{}\n", ""),
        ("f.jsonl.gz", "\"", "\u{1}", "\""),
    ] {
        let bomb = packed(pieces(head, filler, MANY, tail));
        for piece in [PACKED_PIECE, PIECE] {
            let (_, _, _, end) = read(name, in_pieces(&bomb, piece));
            assert_eq!(end.fault, None);
        }
    }
}
