//! Compares the scanner with the decoder, the csv crate and serde_json, on generated files.

use proptest::prelude::*;
use proptest::sample::select;
use serde_json::value::RawValue;

use crate::format::scan::tests::{Headless, Kind, MARK, agrees, scan, whole};
use crate::model::format::Layout;
use crate::model::range::Range;

fn bytes_of(tokens: &'static [&'static [u8]], most: usize) -> impl Strategy<Value = Vec<u8>> {
    proptest::collection::vec(select(tokens), 0..most).prop_map(|tokens| tokens.concat())
}

const CSV: &[&[u8]] = &[
    b",",
    b",",
    b"\"",
    b"\"",
    b"\"\"",
    b"\n",
    b"\n",
    b"\r",
    b"\r\n",
    b"a",
    b"1,b\n",
    b" ",
    b"\0",
    "ü".as_bytes(),
    "漢".as_bytes(),
    b"2,\"c\nd\"\r\n",
    b"\xe9",
    b",\"e\"\"f\"",
    MARK,
];
const CSV_BROKEN: &[&[u8]] = &[
    b",",
    b"\"",
    b"\n",
    b"\r\n",
    b"a",
    b"1,b\n",
    b"1,c\n",
    b"1,\"d\"\n",
    b"\xff",
    b"\xc3",
    b"\xbc",
    b"\"\xc3\"\xbc",
    b"\xef\xbb",
    MARK,
];
const JSON: &[&[u8]] = &[
    b",",
    b",",
    b"{}",
    b"[",
    b"]",
    b"{\"k\":1}",
    b"{\"k\":\"\\\"]\"}",
    b"\"",
    b"\\",
    b"\n",
    b" ",
    b"-1.5e3",
    b"null",
    b"7",
    b"tru",
    "\"ü\"".as_bytes(),
    b"\xff",
    b"\xc3",
    b"}",
    b"]}",
    b":",
    b"\"records\"",
    MARK,
];
const JSONL: &[&[u8]] = &[
    b"{}",
    b"{\"k\":1}",
    b"{\"k\":\"\xc3\xbc\"}",
    b"{\"",
    b"{\"k\":\"}{\"} ",
    b"\r",
    b"\n",
    b"\n",
    b"\n",
    b"\r\n",
    b" ",
    b"\t",
    b"\x0b",
    "\u{85}".as_bytes(),
    "\u{a0}".as_bytes(),
    "\u{2028}".as_bytes(),
    "\u{3000}".as_bytes(),
    b"x",
    b"[1]",
    b"\xff",
    b"\xe2\x80",
    MARK,
];

prop_compose! {
    fn sizes()(sizes in proptest::collection::vec(1_usize..24, 1..6), chunk_size in 1_usize..6, chunk_bytes in 1_usize..60)
        -> (Vec<usize>, usize, usize) { (sizes, chunk_size, chunk_bytes) }
}

fn all_cuts(layout: impl Kind, bytes: &[u8], (sizes, chunk_size, chunk_bytes): (Vec<usize>, usize, usize)) {
    let one = agrees(layout, bytes, &[usize::MAX], chunk_size, chunk_bytes);
    assert_eq!(agrees(layout, bytes, &sizes, chunk_size, chunk_bytes), one);
    for at in 0..bytes.len() {
        let (head, tail) = bytes.split_at(at);
        assert_eq!(scan(layout, [head, tail], chunk_size, chunk_bytes), one, "cut at {at}");
    }
}

/// The number of line ends between two places, of which the second does not part a `\r\n`.
fn lines(bytes: &[u8]) -> u64 {
    let ends = |byte: u8| bytes.iter().filter(|other| **other == byte).count();
    (ends(b'\n') + ends(b'\r') - bytes.windows(2).filter(|pair| pair == b"\r\n").count()) as u64
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1000, ..ProptestConfig::default() })]

    #[test]
    fn csv_is_scanned_as_it_is_decoded(
        head in select(vec!["k\n", "k,a\n", "k,a\r\n", "\u{feff}k,a\n", "\n\r\n\u{feff}x,k\r", "\u{feff}\n\n\"k\",\"a\nb\"\n", "k,a", ""]),
        rows in bytes_of(CSV, 24),
        broken in bytes_of(CSV_BROKEN, 24),
        sizes in sizes(),
    ) {
        for rows in [rows, broken] {
            all_cuts(Layout::Csv, &[head.as_bytes(), &rows].concat(), sizes.clone());
            all_cuts(Headless, &rows, sizes.clone());
        }
    }

    #[test]
    fn json_is_scanned_as_it_is_decoded(
        head in select(vec!["{\"records\":[", "\u{feff}{\"x\":[1,\n{}],\n\"records\" : [ ", "\u{feff}", ""]),
        text in bytes_of(JSON, 24),
        tail in select(vec!["]}", "\n],\"y\":0}\n", ""]),
        sizes in sizes(),
    ) {
        all_cuts(Layout::Json, &[head.as_bytes(), &text, tail.as_bytes()].concat(), sizes);
    }

    #[test]
    fn json_lines_are_scanned_as_they_are_decoded(text in bytes_of(JSONL, 30), sizes in sizes()) {
        all_cuts(Layout::Jsonl, &text, sizes);
    }

    #[test]
    fn any_bytes_are_scanned_as_they_are_decoded(bytes in proptest::collection::vec(any::<u8>(), 0..200), sizes in sizes()) {
        for (layout, head) in [(Layout::Csv, "k\n"), (Layout::Json, "{\"records\":["), (Layout::Jsonl, "")] {
            all_cuts(layout, &bytes, sizes.clone());
            all_cuts(layout, &[head.as_bytes(), &bytes].concat(), sizes.clone());
        }
        all_cuts(Headless, &bytes, sizes.clone());
    }

    #[test]
    fn csv_rows_begin_where_the_csv_crate_says(
        head in select(vec!["k,a\n", "\u{feff}k,a\r\n", "\r\n\nk,a\r"]),
        rows in bytes_of(CSV, 40),
        piece in 1_usize..50,
    ) {
        let text = [head.as_bytes(), &rows].concat();
        let scanned = scan(Layout::Csv, text.chunks(piece), 1, usize::MAX);
        // What it takes for a cell that goes on after its quotes is a fault here, and may end elsewhere.
        let (entries, _) = whole(Layout::Csv, &text);
        if entries.iter().any(|entry| entry.contains("quote")) {
            return Ok(());
        }
        let mut reader = csv::ReaderBuilder::new().has_headers(false).flexible(true).from_reader(text.as_slice());
        let mut found = reader.byte_records().map(|row| row.unwrap().position().unwrap().clone()).skip(1);
        for claim in &scanned.claims {
            let position = found.next().expect("a row");
            let (from, to) = (usize::try_from(position.byte()).unwrap(), usize::try_from(claim.range.offset).unwrap());
            // The csv crate's rows begin right after the previous one, line ends included.
            prop_assert!(text[from..to].iter().all(|byte| b"\r\n".contains(byte)));
            prop_assert!(!b"\r\n".contains(&text[to]));
            prop_assert_eq!(1 + lines(&text[..to]), claim.range.line);
        }
        prop_assert_eq!(found.count(), 0);
    }

    #[test]
    fn json_elements_lie_where_serde_json_finds_them(
        values in proptest::collection::vec(("\\PC{0,12}", any::<i64>(), any::<Option<bool>>()), 0..12),
        piece in 1_usize..50,
        pretty: bool,
    ) {
        #[derive(serde::Deserialize)]
        struct Document<'a> {
            #[serde(borrow)]
            records: Vec<&'a RawValue>,
        }
        let values: Vec<_> = values
            .iter()
            .flat_map(|(a, b, c)| [serde_json::json!({"k": a, "b": [b, {"c": c}]}), serde_json::json!(b), serde_json::json!(a)])
            .collect();
        let document = serde_json::json!({"x": values, "records": values});
        let text = if pretty { serde_json::to_string_pretty(&document).unwrap() } else { document.to_string() };
        let scanned = scan(Layout::Json, text.as_bytes().chunks(piece), 1, usize::MAX);
        let found: Document = serde_json::from_str(&text).unwrap();
        prop_assert_eq!(scanned.end, Ok(()));
        prop_assert_eq!(scanned.claims.len(), found.records.len());
        for (claim, element) in scanned.claims.iter().zip(&found.records) {
            let offset = element.get().as_ptr() as usize - text.as_ptr() as usize;
            let before = &text.as_bytes()[..offset];
            let column = offset - before.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1) + 1;
            let range = Range {
                offset: offset as u64,
                length: element.get().len() as u64,
                first: claim.range.first,
                line: 1 + lines(before),
                column: column as u64,
                header: 0,
            };
            prop_assert_eq!(claim.range, range);
        }
    }

    #[test]
    fn lines_lie_between_line_ends(text in bytes_of(JSONL, 40), piece in 1_usize..50) {
        // A line that begins with no brace is one record, whatever else it holds.
        let text = String::from_utf8_lossy(&text).replace('{', "[");
        let scanned = scan(Layout::Jsonl, text.as_bytes().chunks(piece), 1, usize::MAX);
        let mark = if text.starts_with('\u{feff}') { MARK.len() } else { 0 };
        let (mut offset, mut expected) = (mark, Vec::new());
        for line in text[mark..].split(['\n', '\r']) {
            if !line.trim_ascii().is_empty() {
                expected.push((offset as u64, line.len() as u64, 1 + lines(&text.as_bytes()[mark..offset])));
            }
            offset += line.len() + 1;
        }
        let found = scanned.claims.iter().map(|claim| (claim.range.offset, claim.range.length, claim.range.line));
        prop_assert_eq!(found.collect::<Vec<_>>(), expected);
    }
}
