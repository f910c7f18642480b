//! All decoders, compared with the expected records of whole files, in pieces of every size.

use std::io::Write;

use proptest::prelude::*;

use super::Decoder;
use crate::format::scan::Scanner;
use crate::model::fault::Fault;
use crate::model::format::{InputFormat, Layout, MAX_HEADER_BYTES};
use crate::model::record::Entry;
use crate::model::refusal::Refusal;

fn decode(name: &str, bytes: &[u8], piece: usize) -> (Vec<Entry>, Result<(), Fault>) {
    let mut decoder = Decoder::new(&InputFormat::of_key(name).unwrap(), "k");
    let mut out = Vec::new();
    let pushed = bytes.chunks(piece).try_for_each(|piece| decoder.push(piece, &mut out));
    let result = pushed.and_then(|()| decoder.finish(&mut out));
    for fault in out.iter().filter_map(|entry| entry.fault.as_ref()) {
        assert!(Refusal::of(fault).is_some(), "docs/ERRORS.md does not list {fault:?}");
    }
    (out, result)
}

fn shown(entries: &[Entry]) -> Vec<String> {
    entries.iter().map(|e| format!("{} {} {}", e.index, e.record.get(), e.fault.as_deref().unwrap_or("-"))).collect()
}

/// Decodes in pieces of every size and checks that the results agree.
fn records(name: &str, bytes: &[u8]) -> Vec<String> {
    let (whole, result) = decode(name, bytes, usize::MAX);
    result.unwrap();
    for piece in 1..bytes.len().min(40) {
        let (entries, result) = decode(name, bytes, piece);
        result.unwrap();
        assert_eq!(shown(&entries), shown(&whole), "pieces of {piece}");
    }
    shown(&whole)
}

fn fault(name: &str, bytes: &[u8]) -> (Vec<String>, Fault) {
    let (whole, result) = decode(name, bytes, usize::MAX);
    let fault = result.expect_err("the file is broken");
    for piece in 1..bytes.len().min(40) {
        let (entries, result) = decode(name, bytes, piece);
        assert_eq!(result.expect_err("broken in pieces too"), fault, "pieces of {piece}");
        assert_eq!(shown(&entries), shown(&whole), "pieces of {piece}");
    }
    (shown(&whole), fault)
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

#[test]
fn csv_rows_become_objects_with_their_index() {
    let text = "\u{feff}k,note\r\n1,\"a, \"\"b\"\"\nc\"\r\n\r\n2,für\n3,x,y\n4\n5,end";
    assert_eq!(
        records("f.csv", text.as_bytes()),
        [
            r#"0 {"k":"1","note":"a, \"b\"\nc"} -"#,
            r#"1 {"k":"2","note":"für"} -"#,
            r#"2 "3,x,y" line 6: the row has 3 fields, and the header has 2"#,
            r#"3 "4" line 7: the row has 1 fields, and the header has 2"#,
            r#"4 {"k":"5","note":"end"} -"#,
        ]
    );
}

#[test]
fn csv_that_cannot_be_used_says_where() {
    let (_, no_header) = fault("f.csv", b"1,2\n3,4\n");
    assert_eq!(no_header.code.name(), "NO_HEADER");
    assert!(no_header.message.contains("KEY_FIELD"), "{}", no_header.message);
    let (_, twice) = fault("f.csv", b"k,a,a\n1,2,3\n");
    assert_eq!(twice.code.name(), "DUPLICATE_COLUMN");
    let (_, bytes) = fault("f.csv", b"\r\nk,\xe9\n1,2\n");
    assert_eq!(bytes.code.name(), "NOT_UTF8");
    assert!(bytes.message.starts_with("line 2, column 2 of the header: byte 0xE9"), "{}", bytes.message);
    let (_, quote) = fault("f.csv", b"k,\"a\n1,2\n");
    assert_eq!(quote.code.name(), "OPEN_QUOTE");
    assert!(quote.message.starts_with("line 1, column 3:"), "{}", quote.message);
    let (_, like) = fault("f.csv", b"a, K \n1,2\n");
    assert!(like.message.contains("one is named \" K \""), "{}", like.message);
}

/// One line of what went wrong with each record, and the bytes that are kept of it.
fn kept(name: &str, bytes: &[u8]) -> Vec<(String, String)> {
    let told = |entry: &Entry| {
        let record = entry.record.get().to_owned();
        let text = serde_json::from_str::<String>(&record).unwrap_or(record);
        let raw = entry.raw.as_ref().map_or(text, |raw| raw.bytes().escape_ascii().to_string());
        (raw, entry.fault.clone().unwrap_or_default())
    };
    records(name, bytes);
    decode(name, bytes, usize::MAX).0.iter().map(told).collect()
}

#[test]
fn a_quote_out_of_place_is_a_fault_of_its_record_alone() {
    let text = b"k,a,b\n1,\"a \\\"b\\\" c\",x\n2,\"a\"b,x\r\n3,a\"b\",x\n4,\"n\n\"\"m\" ,x\n5,y,z\n6,\"open\n7,y,z\n";
    let told = kept("f.csv", text);
    let faults = [
        "line 2, column 7: something follows the quote that closes the field opened at line 2, column 3; write a \
         quote inside a quoted field as \"\"",
        "line 3, column 5: something follows the quote that closes the field opened at line 3, column 3; write a \
         quote inside a quoted field as \"\"",
        "",
        "line 6, column 4: something follows the quote that closes the field opened at line 5, column 3; write a \
         quote inside a quoted field as \"\"",
        "",
        "line 8, column 3: the quote that opens this field is not closed; close it, or remove it",
    ];
    assert_eq!(told.iter().map(|(_, fault)| fault.as_str()).collect::<Vec<_>>(), faults);
    let texts = ["1,\"a \\\"b\\\" c\",x", "2,\"a\"b,x", "3,a\\\"b\\\",x", "4,\"n\n\"\"m\" ,x"];
    assert_eq!(told.iter().map(|(text, _)| text.as_str()).take(4).collect::<Vec<_>>(), texts);
    assert_eq!(told[5].0, "6,\"open\n7,y,z");
}

#[test]
fn a_byte_that_is_not_utf8_is_a_fault_of_its_record_alone() {
    let western = "; it looks like WINDOWS-1252: convert the file (iconv -f WINDOWS-1252 -t UTF-8 FILE > NEW) and upload it again, or set the pipeline's encoding";
    let told = kept("f.csv", b"k,city\n1,Paris\n2,Orl\xe9ans\n3,Rouen\n");
    assert_eq!(
        told[1],
        ("2,Orl\\xe9ans".to_owned(), format!("line 3, column \"city\": byte 0xE9 is not UTF-8{western}"))
    );
    assert_eq!((told.len(), told[2].1.as_str()), (3, ""));
    let told = kept("f.jsonl", b"{\"k\":1}\n {\"k\":\"\xe9\"}\n{\"k\":3}\n");
    assert_eq!(
        told[1],
        ("{\"k\":\"\\xe9\"}".replace('"', "\\\""), format!("line 2, column 8: byte 0xE9 is not UTF-8{western}"))
    );
    let told = kept("f.json", b"{\"records\":[{\"k\":1},\n{\"k\":\"\xe9\"},{\"k\":3}]}");
    assert_eq!(told[1].1, format!("line 2, column 7: byte 0xE9 is not UTF-8{western}"));
    assert_eq!(told.len(), 3);
}

#[test]
fn an_element_that_is_not_json_is_a_fault_of_its_record_alone() {
    let told = kept("f.json", b"{\"records\":[{\"k\":NaN},\n{\"k\":1,}, {\r\n\"k\":2\n} ,tru]}");
    let faults = [
        "line 1, column 18: this is not JSON: expected value",
        "line 2, column 8: this is not JSON: key must be a string",
        "",
        "line 4, column 6: this is not JSON: EOF while parsing a value",
    ];
    assert_eq!(told.iter().map(|(_, fault)| fault.as_str()).collect::<Vec<_>>(), faults);
    let texts = ["{\\\"k\\\":NaN}", "{\\\"k\\\":1,}", "{\\r\\n\\\"k\\\":2\\n}", "tru"];
    assert_eq!(told.iter().map(|(text, _)| text.as_str()).collect::<Vec<_>>(), texts);
}

#[test]
fn a_row_keeps_its_bytes_if_they_cannot_be_made_again() {
    let text = b"k,a\n1,\"x\"\n2,\"x,y\"\n3,x\n4,\"\"\n\"5\",\"x\"\"\"\n";
    let (entries, _) = decode("f.csv", text, usize::MAX);
    let kept: Vec<bool> = entries.iter().map(|entry| entry.raw.is_some()).collect();
    assert_eq!(kept, [true, false, false, true, true]);
}

#[test]
fn lines_are_counted_by_whatever_ends_them() {
    for end in ["\n", "\r\n", "\r"] {
        let csv = ["k,a", "1,2", "3", "\"4", "\"", "5,6,7"].join(end);
        let told: Vec<String> = kept("f.csv", csv.as_bytes()).into_iter().map(|(_, fault)| fault).collect();
        let places = ["", "line 3: the row has 1", "line 4: the row has 1", "line 6: the row has 3"];
        assert!(told.iter().zip(places).all(|(told, place)| told.starts_with(place)), "{end:?}: {told:?}");
        let jsonl = ["{}", "x", "", "y"].join(end);
        let told: Vec<String> = kept("f.jsonl", jsonl.as_bytes()).into_iter().map(|(_, fault)| fault).collect();
        assert!(told[1].starts_with("line 2, column 1:") && told[2].starts_with("line 4, column 1:"), "{told:?}");
        let json = ["{\"records\":[", "7,", " 8]}"].join(end);
        let told: Vec<String> = kept("f.json", json.as_bytes()).into_iter().map(|(_, fault)| fault).collect();
        assert!(told[0].starts_with("line 2, column 1:") && told[1].starts_with("line 3, column 2:"), "{told:?}");
    }
}

#[test]
fn several_objects_on_a_line_are_records_each() {
    let text = b"{\"k\":1}{\"k\":\"}{\"} {\"k\":[{}]}\n{\"k\":4}x{\"k\":5}\n{\"k\":6";
    assert_eq!(
        records("f.jsonl", text),
        [
            r#"0 {"k":1} -"#,
            r#"1 {"k":"}{"} -"#,
            r#"2 {"k":[{}]} -"#,
            r#"3 "{\"k\":4}x{\"k\":5}" line 2, column 8: the line is not JSON: trailing characters"#,
            r#"4 "{\"k\":6" line 3, column 6: the line is not JSON: EOF while parsing an object"#,
        ]
    );
}

#[test]
fn a_column_without_a_name_is_left_out_if_it_is_empty() {
    let told = kept("f.csv", b"k,,a,\n1,,2,\n3,x,4,\n5,,6,y\n");
    assert_eq!(told[0], (r#"{"k":"1","a":"2"}"#.to_owned(), String::new()));
    for (row, number, cell) in [(1, 2, "x"), (2, 4, "y")] {
        let fault =
            format!("column {number} has no name in the header, but holds {cell:?} here; name it, or remove it");
        assert!(told[row].1.ends_with(&fault), "{}", told[row].1);
    }
}

#[test]
fn only_the_first_byte_order_mark_is_left_out() {
    let two = "\u{feff}\u{feff}";
    assert_eq!(fault("f.csv", format!("{two}k,a\n1,2\n").as_bytes()).1.code.name(), "NO_HEADER");
    assert_eq!(fault("f.csv", two.as_bytes()).1.code.name(), "NO_HEADER");
    assert_eq!(fault("f.json", format!("{two}{{}}").as_bytes()).1.code.name(), "BROKEN_JSON");
    assert_eq!(records("f.csv", b"\n\xef\xbb\xbfx,k\n1,2\n"), ["0 {\"\u{feff}x\":\"1\",\"k\":\"2\"} -"]);
}

#[test]
fn empty_files_have_no_records() {
    for name in ["f.csv", "f.json", "f.jsonl", "f.csv.gz", "f.json.gz"] {
        assert!(records(name, b"").is_empty(), "{name}");
    }
    assert!(records("f.csv", b"k,a\n").is_empty());
    assert!(records("f.csv", b"k,a").is_empty());
    assert!(records("f.json", b" {\"records\" : [ ] } ").is_empty());
    assert!(records("f.jsonl", b"\n\n").is_empty());
    assert!(records("f.csv.gz", &gzip(b"")).is_empty());
}

#[test]
fn json_elements_keep_their_text_and_lose_their_line_ends() {
    let text = r#"{"meta":{"a":["]}"]},"n":-1.5e3,
      "records":[{"k":"1",
                  "l":[1,{"m":"},\""}]}, {"k":2,"price":0.10} ,
        7, "text", null],"after":true}"#;
    assert_eq!(
        records("f.json", text.as_bytes()),
        [
            r#"0 {"k":"1","l":[1,{"m":"},\""}]} -"#,
            r#"1 {"k":2,"price":0.10} -"#,
            "2 7 line 4, column 9: the element is not an object",
            "3 \"text\" line 4, column 12: the element is not an object",
            "4 null line 4, column 20: the element is not an object",
        ]
    );
}

#[test]
fn broken_json_says_line_and_column() {
    for (text, code, place) in [
        ("{\"records\":[{\"k\":1},\n{\"k\":", "TRUNCATED_JSON", "line 2, column 6"),
        ("{\"records\":[{\"k\":1}\n{}]}", "BROKEN_JSON", "line 2, column 1"),
        ("{\"records\":{}}", "BROKEN_JSON", "line 1, column 12"),
        ("7", "BROKEN_JSON", "line 1, column 1: the document must begin with { or ["),
        ("[{}]]", "BROKEN_JSON", "line 1, column 5"),
        ("[1,]", "BROKEN_JSON", "line 1, column 4: a value is missing"),
        ("{\"records\":[]} x", "BROKEN_JSON", "line 1, column 16"),
        ("{\"records\":[],}", "BROKEN_JSON", "line 1, column 15"),
        ("{\"records\":[1,]}", "BROKEN_JSON", "line 1, column 15"),
        ("{\"records\":[],\"records\":[]}", "BROKEN_JSON", "line 1, column 15"),
        ("{\"a\":tru,\"records\":[]}", "BROKEN_JSON", "line 1, column 8"),
        ("{\"a\":}", "BROKEN_JSON", "line 1, column 6: a value is missing"),
        ("{\"records\":[,", "BROKEN_JSON", "line 1, column 13: a value is missing"),
        ("{\"records\":[1,]", "BROKEN_JSON", "line 1, column 15: a value is missing"),
        ("{\"rows\":[]}", "NO_RECORDS", "the document has no member"),
    ] {
        let (_, fault) = fault("f.json", text.as_bytes());
        assert_eq!(fault.code.name(), code, "{text}: {}", fault.message);
        assert!(fault.message.starts_with(place), "{text}: {}", fault.message);
    }
}

#[test]
fn a_line_that_is_no_object_fails_alone() {
    let text = b"{\"k\":1}\r\n{\"k\":\n\n[1]\n {\"k\": 2} \n\"s\"";
    assert_eq!(
        records("f.ndjson", text),
        [
            r#"0 {"k":1} -"#,
            r#"1 "{\"k\":" line 2, column 5: the line is not JSON: EOF while parsing a value"#,
            r#"2 "[1]" line 4: the line is not a JSON object"#,
            r#"3 {"k": 2} -"#,
            r#"4 "\"s\"" line 6: the line is not a JSON object"#,
        ]
    );
}

#[test]
fn gzip_is_unpacked_and_its_damage_noticed() {
    let plain = b"k,a\n1,2\n";
    let mut two = gzip(plain);
    two.extend(gzip(b"3,4\n"));
    assert_eq!(records("f.csv.gz", &two), [r#"0 {"k":"1","a":"2"} -"#, r#"1 {"k":"3","a":"4"} -"#]);
    let packed = gzip(plain);
    for cut in 1..packed.len() {
        let (_, result) = decode("f.csv.gz", &packed[..cut], usize::MAX);
        assert_eq!(result.expect_err("truncated").code.name(), "BROKEN_GZIP", "cut at {cut}");
    }
    assert_eq!(fault("f.csv.gz", plain).1.code.name(), "BROKEN_GZIP");
}

#[test]
fn records_before_damaged_gzip_are_kept_whatever_the_pieces() {
    let plain: String = (0..60).map(|n| format!("{n},{}\n", n * 7919)).collect();
    let mut packed = gzip(b"k,a\n1,2\n");
    packed.extend(gzip(plain.as_bytes()));
    let mut followed = packed.clone();
    followed.extend(b"no more gzip");
    let checksum = packed.len() - 8;
    packed[checksum] ^= 1;
    for damaged in [packed, followed] {
        let (before, broken) = fault("f.csv.gz", &damaged);
        assert_eq!((before.len(), broken.code.name()), (61, "BROKEN_GZIP"));
    }
}

#[test]
fn a_record_past_the_limit_fails_with_its_place() {
    let huge = "x".repeat(crate::model::record::MAX_RECORD_BYTES + 10);
    let csv = format!("k,a\n1,2\n2,{huge}\n3,4\n");
    let json = format!("{{\"records\":[{{\"k\":1}},\n{{\"k\":\"{huge}\"}},{{\"k\":3}}]}}");
    let jsonl = format!("{{\"k\":1}}\n{{\"k\":\"{huge}\"}}\n{{\"k\":3}}\n");
    for (name, text, place) in
        [("f.csv", csv, "line 3"), ("f.json", json, "line 2, column 1"), ("f.jsonl", jsonl, "line 2")]
    {
        let (entries, result) = decode(name, text.as_bytes(), 64 * 1024);
        result.unwrap();
        assert_eq!(entries.len(), 3, "{name}");
        assert_eq!(entries[1].record.get(), "null", "{name}");
        let fault = entries[1].fault.as_deref().unwrap();
        assert!(fault.starts_with(place) && fault.contains("larger than"), "{fault}");
    }
}

/// Names whose JSON, as a list of two, is that many bytes.
fn header_of(bytes: usize) -> String {
    format!("k,{}", "n".repeat(bytes - r#"["k",""]"#.len()))
}

#[test]
fn a_header_is_as_long_as_its_json() {
    let read = |header: &str, max_header| {
        let format = InputFormat { max_header, ..InputFormat::plain(Layout::Csv) };
        let text = format!("{header}\n1,2\n");
        let (mut decoder, mut entries) = (Decoder::new(&format, "k"), Vec::new());
        let decoded = decoder.push(text.as_bytes(), &mut entries).and_then(|()| decoder.finish(&mut entries));
        let (mut scanner, mut claims) = (Scanner::new(&format, "k", 9, 9), Vec::new());
        let scanned = scanner.push(text.as_bytes(), &mut claims).and_then(|()| scanner.finish(&mut claims));
        assert_eq!((&scanned, claims.len()), (&decoded, entries.len()));
        decoded.map_err(|fault| (fault.code.name(), fault.message))
    };
    let usual = InputFormat::plain(Layout::Csv).max_header;
    assert_eq!((usual, read(&header_of(4096), usual)), (4096, Ok(())));
    let (code, told) = read(&header_of(4097), usual).unwrap_err();
    assert_eq!(code, "LIMIT_EXCEEDED");
    assert!(told.contains("take 4097 bytes, and 4096 are allowed") && told.contains("a max_header of 4097"), "{told}");
    // One byte of the file may be six of its JSON.
    assert_eq!(read(&format!("k,{}", "\u{1}".repeat(800)), usual).unwrap_err().0, "LIMIT_EXCEEDED");
    assert_eq!(read(&header_of(65_000), MAX_HEADER_BYTES), Ok(()));
    for header in [header_of(65_537), format!("k,{}", "\u{1}".repeat(11_000)), header_of(200_000)] {
        assert_eq!(read(&header, MAX_HEADER_BYTES).unwrap_err().0, "HEADER_TOO_LARGE");
    }
}

#[test]
fn the_columns_of_a_file_without_a_header_are_checked_as_a_header_is() {
    let read = |columns: &[&str], max_header, text: &str| {
        let columns = columns.iter().map(|name| (*name).to_owned()).collect();
        let format = InputFormat { columns, max_header, ..InputFormat::plain(Layout::Csv) };
        let (mut decoder, mut entries) = (Decoder::new(&format, "k"), Vec::new());
        let decoded = decoder.push(text.as_bytes(), &mut entries).and_then(|()| decoder.finish(&mut entries));
        let (mut scanner, mut claims) = (Scanner::new(&format, "k", 9, 9), Vec::new());
        let scanned = scanner.push(text.as_bytes(), &mut claims).and_then(|()| scanner.finish(&mut claims));
        assert_eq!((&scanned, claims.len()), (&decoded, entries.len()));
        decoded.map(|()| entries.len()).map_err(|fault| (fault.code.name(), fault.message))
    };
    assert_eq!(read(&["a", "k"], 9, "1,2\n3,4"), Ok(2));
    let (code, told) = read(&["bucket", "key"], 99, "1,2\n").unwrap_err();
    assert_eq!(code, "NO_HEADER");
    assert!(told.contains("are bucket, key by its first row") && told.contains("named \"k\"; deploy with"), "{told}");
    assert_eq!(read(&["bucket", "key"], 99, ""), Ok(0));
    let (code, told) = read(&["a", "k"], 8, "1,2\n").unwrap_err();
    assert_eq!(code, "LIMIT_EXCEEDED");
    assert!(told.contains("take 9 bytes, and 8 are allowed"), "{told}");
}

#[test]
fn a_csv_row_is_as_large_as_its_json() {
    let mut text = b"k,a\n1,".to_vec();
    text.resize(2 * 1024 * 1024, 1);
    text.extend(b"\n2,");
    text.resize(4 * 1024 * 1024, b'x');
    text.extend(b"\n3\n");
    let (entries, result) = decode("f.csv", &text, 64 * 1024);
    result.unwrap();
    assert_eq!(entries[0].record.get(), "null");
    assert!(entries[0].fault.as_deref().is_some_and(|fault| fault.starts_with("line 2") && fault.contains("larger")));
    assert!(entries[1].fault.is_none() && entries.len() == 3);
}

proptest! {
    #[test]
    fn csv_agrees_with_the_csv_crate(
        text in "(k,a\n)?([a-c0-9,\"\r\n ü]{0,60}\n?){0,6}",
        piece in 1_usize..20,
    ) {
        let text = format!("k,a\n{text}");
        let (entries, result) = decode("f.csv", text.as_bytes(), piece);
        prop_assert_eq!(&result, &Ok(()));
        // What the crate takes for a cell that goes on after its quotes is a fault here.
        if !entries.iter().any(|entry| entry.fault.as_ref().is_some_and(|fault| fault.contains("quote"))) {
            let mut reader = csv::ReaderBuilder::new().flexible(true).from_reader(text.as_bytes());
            let expected: Vec<Vec<String>> = reader
                .records()
                .map(|row| row.unwrap().iter().map(str::to_owned).collect())
                .collect();
            prop_assert_eq!(entries.len(), expected.len());
            for (entry, row) in entries.iter().zip(&expected) {
                let record: serde_json::Value = serde_json::from_str(entry.record.get()).unwrap();
                if row.len() == 2 {
                    prop_assert_eq!(record, serde_json::json!({"k": row[0], "a": row[1]}));
                } else {
                    prop_assert!(entry.fault.is_some());
                }
            }
        }
    }

    #[test]
    fn any_bytes_are_decoded_or_refused_alike_in_all_pieces(
        bytes in proptest::collection::vec(any::<u8>(), 0..200),
        json in "\\PC{0,80}",
        piece in 1_usize..20,
    ) {
        for name in ["f.csv", "f.json", "f.jsonl", "f.csv.gz"] {
            let text = format!("{{\"records\":[{json}");
            for bytes in [bytes.as_slice(), json.as_bytes(), text.as_bytes()] {
                let (whole, all) = decode(name, bytes, usize::MAX);
                let (entries, result) = decode(name, bytes, piece);
                prop_assert_eq!(all, result);
                prop_assert_eq!(shown(&whole), shown(&entries));
            }
        }
    }

    #[test]
    fn a_document_gives_what_serde_json_gives(
        values in proptest::collection::vec(("\\PC{0,12}", any::<i64>(), any::<Option<bool>>()), 0..12),
        piece in 1_usize..20,
        pretty: bool,
    ) {
        let values: Vec<_> = values
            .iter()
            .map(|(a, b, c)| serde_json::json!({"k": a, "b": [b, {"c": c}]}))
            .collect();
        let document = serde_json::json!({"x": values, "records": values});
        let text = if pretty {
            serde_json::to_string_pretty(&document).unwrap()
        } else {
            document.to_string()
        };
        let (entries, result) = decode("f.json", text.as_bytes(), piece);
        prop_assert!(result.is_ok());
        prop_assert_eq!(entries.len(), values.len());
        for (entry, value) in entries.iter().zip(&values) {
            prop_assert!(!entry.record.get().contains('\n'));
            prop_assert_eq!(&serde_json::from_str::<serde_json::Value>(entry.record.get()).unwrap(), value);
        }
    }
}
