//! Compares the scanner with the decoder.

mod properties;

use std::collections::HashSet;

use super::Scanner;
use crate::format::Decoder;
use crate::model::fault::Fault;
use crate::model::format::{InputFormat, Layout};
use crate::model::range::{Claim, Range};
use crate::model::record::{Entry, MAX_RECORD_BYTES};

const MARK: &[u8] = "\u{feff}".as_bytes();

/// How a file is read.
trait Kind: Copy {
    fn format(self) -> InputFormat;
}

impl Kind for Layout {
    fn format(self) -> InputFormat {
        InputFormat::plain(self)
    }
}

/// CSV without a header, whose columns are `k` and `a`.
#[derive(Clone, Copy)]
struct Headless;

impl Kind for Headless {
    fn format(self) -> InputFormat {
        InputFormat { columns: ["k", "a"].map(str::to_owned).to_vec(), ..InputFormat::plain(Layout::Csv) }
    }
}

#[derive(Debug, PartialEq)]
struct Scanned {
    claims: Vec<Claim>,
    end: Result<(), Fault>,
    columns: Vec<String>,
    head: Option<Vec<u8>>,
    header: u64,
    names: u64,
}

fn scan<'a>(
    layout: impl Kind,
    pieces: impl IntoIterator<Item = &'a [u8]>,
    chunk_size: usize,
    chunk_bytes: usize,
) -> Scanned {
    let mut scanner = Scanner::new(&layout.format(), "k", chunk_size, chunk_bytes);
    let mut claims = Vec::new();
    let pushed = pieces.into_iter().try_for_each(|piece| scanner.push(piece, &mut claims));
    let end = pushed.and_then(|()| scanner.finish(&mut claims));
    let (columns, head) = (scanner.columns().unwrap_or_default().to_vec(), scanner.head());
    Scanned { claims, end, columns, head, header: scanner.header(), names: scanner.names() }
}

fn decode<'a>(mut decoder: Decoder, pieces: impl IntoIterator<Item = &'a [u8]>) -> (Vec<String>, Result<(), Fault>) {
    let mut entries = Vec::new();
    let pushed = pieces.into_iter().try_for_each(|piece| decoder.push(piece, &mut entries));
    let end = pushed.and_then(|()| decoder.finish(&mut entries));
    let shown = |e: &Entry| format!("{} {} {} {:?}", e.index, e.record.get(), e.fault.as_deref().unwrap_or("-"), e.raw);
    (entries.iter().map(shown).collect(), end)
}

fn whole(layout: impl Kind, bytes: &[u8]) -> (Vec<String>, Result<(), Fault>) {
    decode(Decoder::new(&layout.format(), "k"), [bytes])
}

fn within<'a>(bytes: &'a [u8], range: &Range) -> &'a [u8] {
    let start = usize::try_from(range.offset).unwrap();
    &bytes[start..start + usize::try_from(range.length).unwrap()]
}

/// Decodes the claims, each in pieces of its own.
fn parts<'a, P: IntoIterator<Item = &'a [u8]>>(
    layout: impl Kind,
    bytes: &'a [u8],
    scanned: &Scanned,
    cut: impl Fn(&'a [u8]) -> P,
) -> Vec<String> {
    let mut all = Vec::new();
    for claim in &scanned.claims {
        let decoder = Decoder::part(&layout.format(), &scanned.columns, &claim.range);
        let (entries, end) = decode(decoder, cut(within(bytes, &claim.range)));
        assert_eq!(end, Ok(()), "{claim:?}");
        assert_eq!(entries.len(), claim.records as usize, "{claim:?}");
        all.extend(entries);
    }
    all
}

/// The chunks that follow from the places of the records, each of which is a chunk in `single`.
fn chunks_of(single: &Scanned, chunk_size: usize, chunk_bytes: usize) -> Vec<Claim> {
    let mut chunks: Vec<Claim> = Vec::new();
    for claim in &single.claims {
        assert_eq!(claim.records, 1);
        if let Some(last) = chunks.last_mut() {
            let length = claim.range.offset + claim.range.length - last.range.offset;
            let weight = length + u64::from(last.records + 1) * single.names;
            if (last.records as usize) < chunk_size && weight <= chunk_bytes as u64 {
                last.range.length = length;
                last.records += 1;
                continue;
            }
        }
        chunks.push(*claim);
    }
    chunks
}

fn cut(bytes: &[u8], sizes: &[usize]) -> Vec<Vec<u8>> {
    let mut rest = bytes;
    let mut pieces = Vec::new();
    for size in sizes.iter().cycle() {
        if rest.is_empty() {
            break;
        }
        let (piece, after) = rest.split_at((*size).min(rest.len()));
        pieces.push(piece.to_vec());
        rest = after;
    }
    pieces
}

/// Checks that the scanner finds in this file what the decoder finds.
fn agrees(layout: impl Kind, bytes: &[u8], sizes: &[usize], chunk_size: usize, chunk_bytes: usize) -> Scanned {
    let (entries, end) = whole(layout, bytes);
    let pieces = cut(bytes, sizes);
    let scanned = scan(layout, pieces.iter().map(Vec::as_slice), chunk_size, chunk_bytes);
    assert_eq!(scanned.end, end);
    assert_eq!(parts(layout, bytes, &scanned, |range| [range]), entries);
    for size in sizes {
        assert_eq!(parts(layout, bytes, &scanned, |range| range.chunks(*size)), entries);
    }
    let single = scan(layout, [bytes], 1, 1);
    assert_eq!(scanned.claims, chunks_of(&single, chunk_size, chunk_bytes));
    assert_eq!((&scanned.columns, scanned.header), (&single.columns, single.header));
    let mut before = scanned.header;
    for claim in &scanned.claims {
        assert!(claim.range.offset >= before && claim.range.length > 0);
        before = claim.range.offset + claim.range.length;
    }
    assert!(before <= bytes.len() as u64);
    scanned
}

/// Tries every size of chunks and pieces, and every cut into two.
fn exhaust(layout: impl Kind, bytes: &[u8], records: usize) {
    let (entries, end) = whole(layout, bytes);
    assert_eq!((entries.len(), &end), (records, &Ok(())));
    let single = scan(layout, [bytes], 1, 1);
    let mut seen = HashSet::new();
    for chunk_size in 1..=records {
        for chunk_bytes in 1..=bytes.len() + records * usize::try_from(single.names).unwrap() {
            let expected = chunks_of(&single, chunk_size, chunk_bytes);
            for at in 1..=bytes.len() {
                let even = scan(layout, bytes.chunks(at), chunk_size, chunk_bytes);
                assert_eq!((&even.claims, &even.end), (&expected, &end), "pieces of {at}");
                let (head, tail) = bytes.split_at(at);
                let two = scan(layout, [head, tail], chunk_size, chunk_bytes);
                assert_eq!((&two.claims, &two.end), (&expected, &end), "cut at {at}");
            }
            for claim in &expected {
                let range = within(bytes, &claim.range);
                if !seen.insert((claim.range.offset, claim.range.length)) {
                    continue;
                }
                let part = |pieces: &[&[u8]]| {
                    let decoder = Decoder::part(&layout.format(), &single.columns, &claim.range);
                    decode(decoder, pieces.iter().copied())
                };
                let first = usize::try_from(claim.range.first).unwrap();
                let want = (entries[first..first + claim.records as usize].to_vec(), Ok(()));
                for at in 1..=range.len() {
                    assert_eq!(part(&range.chunks(at).collect::<Vec<_>>()), want, "{claim:?} in pieces of {at}");
                    let (head, tail) = range.split_at(at);
                    assert_eq!(part(&[head, tail]), want, "{claim:?} cut at {at}");
                }
            }
        }
    }
}

#[test]
fn csv_is_cut_alike_whatever_the_sizes() {
    let text = "\u{feff}\nk,n\r\n1,\"a\r\n\"\"b\"\"\n\"\r\n\r\n2,ü\"\n\"\"\"\",x\r3\n\n\"4\"5\"\",\",\n6,\"\"\r\n7,\"8";
    exhaust(Layout::Csv, text.as_bytes(), 7);
    exhaust(Layout::Csv, b"\r\nk\r\r1\r\n\xff\n\"a\r\"b\"\n,\n\"", 5);
}

#[test]
fn csv_without_a_header_is_cut_alike_whatever_the_sizes() {
    let text = "\u{feff}\r\n1,\"a\r\n\"\"b\"\"\n\"\r\n2,ü\n\"\"\"\",x\r3\n7,\"8";
    exhaust(Headless, text.as_bytes(), 5);
    let scanned = agrees(Headless, text.as_bytes(), &[5], 2, 100);
    assert_eq!((scanned.header, scanned.head, &scanned.columns[..]), (0, None, &["k".to_owned(), "a".to_owned()][..]));
    assert_eq!((scanned.claims[0].range.offset, scanned.claims[0].range.line), (5, 2));
    let empty = agrees(Headless, b"", &[1], 2, 100);
    assert_eq!((empty.claims.len(), empty.end), (0, Ok(())));
}

#[test]
fn json_is_cut_alike_whatever_the_sizes() {
    let text = "\u{feff}{\"a\":[1],\n\"records\" : [{\"k\":\"]ü\\\"\"},\n -1.5 ,\r\n [{}\n],\"x\",{} , 7\n],\"b\":0}\n";
    exhaust(Layout::Json, text.as_bytes(), 6);
}

#[test]
fn json_lines_are_cut_alike_whatever_the_sizes() {
    let text = "\u{feff}\u{feff}{}\r\n\n \u{2003}\n{\"k\":\"ü\"}\n \t[1]\r\r\n\u{feff}\nx\n\n{}";
    exhaust(Layout::Jsonl, text.as_bytes(), 7);
    exhaust(Layout::Jsonl, b"{} {\"a\":\"}{\"}{\"b\":[{}]}\t{\n {}x{}\r{}]{} \xff\n{\"}{\n", 7);
}

#[test]
fn a_range_spans_its_records_and_knows_the_place_of_the_first() {
    let text = b"\xef\xbb\xbfk,n\r\n1,\"a\nb\"\r\n2,c\r\n\r\n3,d\r\n4,e";
    let scanned = agrees(Layout::Csv, text, &[5], 2, 100);
    let range = |offset, length, first, line, column| Range { offset, length, first, line, column, header: 0 };
    assert_eq!(
        scanned.claims,
        [Claim { range: range(8, 12, 0, 2, 1), records: 2 }, Claim { range: range(24, 8, 2, 6, 1), records: 2 }]
    );
    assert_eq!((scanned.header, scanned.columns), (8, vec!["k".to_owned(), "n".to_owned()]));
    let text = b"\r{}\r\n  {\"k\":1}{\"k\":2}";
    let scanned = agrees(Layout::Jsonl, text, &[3], 1, 100);
    assert_eq!(
        scanned.claims.iter().map(|claim| claim.range).collect::<Vec<_>>(),
        [range(1, 2, 0, 2, 1), range(5, 9, 1, 3, 1), range(14, 7, 2, 3, 10)]
    );
    let text = b"{\"records\":[\n{\"k\":1} , 2,\n  3 ]}";
    let scanned = agrees(Layout::Json, text, &[3], 1, 100);
    assert_eq!(
        scanned.claims.iter().map(|claim| claim.range).collect::<Vec<_>>(),
        [range(13, 7, 0, 2, 1), range(23, 1, 1, 2, 11), range(28, 1, 2, 3, 3)]
    );
}

#[test]
fn a_record_larger_than_a_chunk_is_one_of_its_own() {
    let text = b"k\n1\n22222222\n3\n4\n";
    let scanned = agrees(Layout::Csv, text, &[4], 10, 4 + 2 * 8);
    let lengths = scanned.claims.iter().map(|claim| (claim.range.length, claim.records));
    assert_eq!(lengths.collect::<Vec<_>>(), [(1, 1), (8, 1), (3, 2)]);
}

#[test]
fn a_row_weighs_what_it_becomes() {
    let text = "k,\"n\"\"\",,ü\n1,2,,3\n44,,,\n,5,,666\n".as_bytes();
    let scanned = scan(Layout::Csv, [text], 1, 1);
    let (mut decoder, mut entries) = (Decoder::new(&InputFormat::plain(Layout::Csv), "k"), Vec::new());
    decoder.push(text, &mut entries).unwrap();
    assert_eq!(entries[0].record.get(), r#"{"k":"1","n\"":"2","ü":"3"}"#);
    for (claim, entry) in scanned.claims.iter().zip(&entries) {
        // The column without a name has a delimiter, but no comma.
        assert_eq!(claim.range.length + scanned.names, entry.record.get().len() as u64 + 1);
    }
    let wide = format!("k,{}\n{}", "n".repeat(1000), "1,2\n".repeat(50));
    let chunks = scan(Layout::Csv, [wide.as_bytes()], 500, 10_000).claims;
    assert_eq!(chunks.iter().map(|claim| claim.records).collect::<Vec<_>>(), [9, 9, 9, 9, 9, 5]);
}

#[test]
fn what_stands_before_a_break_is_claimed() {
    for (layout, text, code, records) in [
        (Layout::Csv, &b"k,\xff\n1,2\n"[..], "NOT_UTF8", 0),
        (Layout::Csv, b"k,k\n1,2\n", "DUPLICATE_COLUMN", 0),
        (Layout::Csv, b"a,b", "NO_HEADER", 0),
        (Layout::Csv, b"\"k\n", "OPEN_QUOTE", 0),
        (Layout::Csv, b"\"k\"x\n", "OPEN_QUOTE", 0),
        (Layout::Json, b"{\"records\":[{},1,{\"k\":tru},\"\xff\" x", "BROKEN_JSON", 4),
        (Layout::Json, b"{\"records\":[{},1", "TRUNCATED_JSON", 1),
        (Layout::Json, b"{\"records\":[{},1]}x", "BROKEN_JSON", 2),
        (Layout::Json, b"{\"a\":1}", "NO_RECORDS", 0),
    ] {
        for size in 1..=text.len() {
            for chunk_size in 1..4 {
                let scanned = agrees(layout, text, &[size], chunk_size, 1000);
                assert_eq!(scanned.end.unwrap_err().code.name(), code);
                assert_eq!(scanned.claims.iter().map(|claim| claim.records).sum::<u32>(), records);
            }
        }
    }
}

/// Rows at the size limit, of which no more is kept than that.
#[test]
fn rows_too_large_to_be_kept_are_records_whatever_is_in_them() {
    let mut csv: Vec<Vec<u8>> = Vec::new();
    let (mut json, mut jsonl) = (csv.clone(), csv.clone());
    for bytes in [MAX_RECORD_BYTES - 99, MAX_RECORD_BYTES - 1, MAX_RECORD_BYTES, MAX_RECORD_BYTES + 1] {
        let filler = vec![b'x'; bytes];
        csv.push([b"2,".as_slice(), &filler[2..]].concat());
        csv.push([b"2,\"".as_slice(), &filler[4..], b"\""].concat());
        csv.push([b"2,\"".as_slice(), &filler[2..], b"\n5,6\n\"7\",8"].concat());
        json.push([b"{\"k\":\"".as_slice(), &filler[8..], b"\"}"].concat());
        jsonl.push([b"{\"k\":\"".as_slice(), &filler[8..], b"\"}{}"].concat());
        jsonl.push([b" ".repeat(bytes - 1), b"\xff".to_vec()].concat());
        jsonl.push(b" ".repeat(bytes));
    }
    for (layout, rows, head, tail) in [
        (Layout::Csv, &csv, "k,a\n1,2\n", "\n3,4\n"),
        (Layout::Csv, &csv, "k,a\n1,2\n", ""),
        (Layout::Jsonl, &jsonl, "{}\n", "\n{}\n"),
        (Layout::Json, &json, "{\"records\":[{},", ",{}]}"),
    ] {
        let mut kept = HashSet::new();
        for row in rows {
            let text = [head.as_bytes(), row, tail.as_bytes()].concat();
            let large = agrees(layout, &text, &[64 * 1024], 2, 1024 * 1024);
            assert_eq!(agrees(layout, &text, &[usize::MAX], 2, 1024 * 1024), large);
            assert_eq!(large.end, Ok(()));
            let (entries, _) = whole(layout, &text);
            assert!(layout == Layout::Json || entries.len() >= 2);
            kept.insert(entries[1].starts_with("1 null"));
        }
        assert_eq!(kept.len(), 2, "{layout:?}: rows on both sides of the limit");
    }
}

/// A quote that nobody closes costs one record, and never more than the largest size of one.
#[test]
fn an_open_quote_takes_no_more_than_one_record_may() {
    let rows = "1,2\n".repeat(MAX_RECORD_BYTES / 4 + 100);
    let (entries, end) = whole(Layout::Csv, format!("k,a\n7,\"x\n{rows}").as_bytes());
    assert_eq!(end, Ok(()));
    assert!(entries[0].contains("line 2, column 3: the quote") && entries[0].contains("repeated in the outputs"));
    assert!(entries.len() > 90 && entries[1].starts_with("1 {\"k\":\"1\",\"a\":\"2\"}"), "{}", entries.len());
}

#[test]
fn long_files_are_cut_alike_in_large_pieces() {
    let rows: String = (0..20_000).map(|n| format!("{n},\"ü{}\"\"\n\",weiß\r\n", "é".repeat(n % 40))).collect();
    let text = format!("k,a,b\r\n{rows}");
    for piece in [100, 4096, 32 * 1024 - 1, 1_000_000] {
        let scanned = agrees(Layout::Csv, text.as_bytes(), &[piece], 500, 64 * 1024);
        assert!(scanned.end.is_ok() && scanned.claims.len() >= 40);
    }
}
