use std::io::Write;

use super::*;
use crate::format::Decoder;
use crate::model::format::charset::Charset;
use crate::model::record::Entry;

fn found(key: &str, bytes: &[u8]) -> InputFormat {
    detect(key, &bytes[..bytes.len().min(HEAD)], &FormatSettings::default()).unwrap()
}

/// The records of a file that is read as it was found to be, with their faults.
fn read(key: &str, bytes: &[u8], settings: &FormatSettings) -> (InputFormat, Vec<String>, Option<Fault>) {
    let format = detect(key, &bytes[..bytes.len().min(HEAD)], settings).unwrap();
    let mut seen: Option<(Vec<String>, Option<Fault>)> = None;
    for piece in [usize::MAX, 1, 7] {
        let (mut decoder, mut out) = (Decoder::new(&format, "k"), Vec::new());
        let pushed = bytes.chunks(piece).try_for_each(|piece| decoder.push(piece, &mut out));
        let fault = pushed.and_then(|()| decoder.finish(&mut out)).err();
        let shown = |entry: &Entry| match &entry.fault {
            None => entry.record.get().to_owned(),
            Some(fault) => fault.clone(),
        };
        let all = (out.iter().map(shown).collect(), fault);
        assert_eq!(seen.get_or_insert(all.clone()), &all, "pieces of {piece}");
    }
    let (records, fault) = seen.unwrap();
    (format, records, fault)
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn zstd(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = ::zstd::stream::Encoder::new(Vec::new(), 3).unwrap();
    encoder.include_checksum(true).unwrap();
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn bzip2(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = ::bzip2::write::BzEncoder::new(Vec::new(), ::bzip2::Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn utf16(text: &str, order: Utf16) -> Vec<u8> {
    let bytes = |unit: u16| if order == Utf16::Le { unit.to_le_bytes() } else { unit.to_be_bytes() };
    format!("\u{feff}{text}").encode_utf16().flat_map(bytes).collect()
}

const ROWS: [&str; 2] = [r#"{"k":"1","a":"ü"}"#, r#"{"k":"2","a":"𝄞"}"#];

#[test]
fn what_has_one_meaning_is_taken() {
    let settings = FormatSettings::default();
    let csv = "k,a\n1,ü\n2,𝄞\n";
    let packed = [gzip(csv.as_bytes()), zstd(csv.as_bytes()), bzip2(csv.as_bytes())];
    let halves = |pack: fn(&[u8]) -> Vec<u8>| [pack(b"k,a\n1,"), pack(&csv.as_bytes()[6..])].concat();
    for (key, bytes) in [
        ("a.csv", csv.as_bytes().to_vec()),
        ("a.txt", csv.as_bytes().to_vec()),
        ("a.csv", packed[0].clone()),
        ("a.csv.gz", packed[1].clone()),
        ("a.csv.bz2", packed[2].clone()),
        ("a.csv.zst", halves(zstd)),
        ("a.csv.bz2", halves(bzip2)),
        ("a.csv.gz", halves(gzip)),
        ("a.csv.gz", [packed[0].as_slice(), &[0; 1000]].concat()),
        ("a.csv", utf16(csv, Utf16::Le)),
        ("a.csv", utf16(csv, Utf16::Be)),
        ("a.csv.gz", gzip(&utf16(csv, Utf16::Le))),
        ("a.csv", csv.replace(',', ";").into_bytes()),
        ("a.csv", csv.replace(',', "\t").into_bytes()),
        ("a.tsv", csv.replace(',', "\t").into_bytes()),
        ("a.tsv", csv.as_bytes().to_vec()),
        ("a.csv", csv.replace(',', "|").into_bytes()),
        ("a.csv", format!("sep=;\r\n{}", csv.replace(',', ";")).into_bytes()),
        ("a.csv", format!("\u{feff}sep=,\n{csv}").into_bytes()),
        ("a.json", format!("[{}, {}]", ROWS[0], ROWS[1]).into_bytes()),
        ("a.txt", format!(" [{},{}]", ROWS[0], ROWS[1]).into_bytes()),
        ("a.json", format!("{}\n{}\n", ROWS[0], ROWS[1]).into_bytes()),
        ("a.txt", format!("{}\r\n{}", ROWS[0], ROWS[1]).into_bytes()),
        ("a.json", format!("{}{}", ROWS[0], ROWS[1]).into_bytes()),
        ("a.jsonl", format!("{} {}", ROWS[0], ROWS[1]).into_bytes()),
    ] {
        let (format, records, fault) = read(key, &bytes, &settings);
        assert_eq!(
            (records, fault),
            (ROWS.map(str::to_owned).to_vec(), None),
            "{key} {format:?} {}",
            bytes.escape_ascii()
        );
    }
}

#[test]
fn a_delimiter_is_found_where_the_header_has_no_comma() {
    for (header, delimiter) in
        [("k;a,b\n", b','), ("k;a|b;c\n", b';'), ("\"k,x\";a\n", b';'), ("k\n", b','), ("\n\nk\ta b\n", b'\t')]
    {
        assert_eq!(found("a.csv", header.as_bytes()).dialect.delimiter, delimiter, "{header:?}");
    }
    let settings = FormatSettings::parse(r##"{"delimiter":":","quote":"'","comment":"#"}"##).unwrap();
    let (format, records, _) = read("a.csv", b"# k,a;'\nk:a\n#'\n1:'x:\n''y'\n", &settings);
    assert_eq!(records, [r#"{"k":"1","a":"x:\n'y"}"#]);
    assert_eq!((format.dialect.delimiter, format.dialect.comment), (b':', Some(b'#')));
}

#[test]
fn an_encoding_is_read_as_the_pipeline_says() {
    let settings = FormatSettings::parse(r#"{"encoding":"windows-1252"}"#).unwrap();
    let (format, records, _) = read("a.csv", b"k,pr\xeen\n1,\x80 5\n", &settings);
    assert_eq!(records, ["{\"k\":\"1\",\"prîn\":\"€ 5\"}"]);
    assert_eq!(format.encoding, Charset::named("cp1252").unwrap());
    for (key, text) in [("a.jsonl", &b"{\"k\":\"\xe9\"}\n"[..]), ("a.json", b"{\"records\":[{\"k\":\"\xe9\"}]}")] {
        assert_eq!(read(key, text, &settings).1, ["{\"k\":\"é\"}"]);
    }
    let settings = FormatSettings::parse(r#"{"encoding":"iso-8859-3"}"#).unwrap();
    let (_, records, _) = read("a.csv", b"k,a\n1,\xa5\n2,\xa6\n", &settings);
    assert_eq!(records, ["line 2, column \"a\": byte 0xA5 means nothing in iso-8859-3", "{\"k\":\"2\",\"a\":\"Ĥ\"}"]);
}

#[test]
fn records_are_found_where_the_pipeline_says() {
    let settings = FormatSettings::parse(r#"{"records_path":"data.items"}"#).unwrap();
    let text = br#"{"items":[0],"data":{"items":[{"k":1}],"x":{"items":[9]}},"after":[1]}"#;
    assert_eq!(read("a.json", text, &settings).1, ["{\"k\":1}"]);
    for (text, told) in [
        (&br#"{"data":{"items":[]},"data":{}}"#[..], "second member \"data\""),
        (br#"{"data":[1]}"#, "\"data\" must be an object, found '['"),
        (br#"{"data":{"items":{}}}"#, "\"data.items\" must be an array, found '{'"),
        (br#"{"data":{"rows":[1]}}"#, "no member \"data.items\""),
    ] {
        let (_, _, fault) = read("a.json", text, &settings);
        assert!(fault.as_ref().is_some_and(|fault| fault.message.contains(told)), "{told}: {fault:?}");
    }
    let (_, _, fault) = read("a.json", br#"{"Records":[{"k":1}],"n":1,"other":[]}"#, &FormatSettings::default());
    let told = fault.unwrap().message;
    assert!(told.contains("it has the arrays Records, other: set the pipeline's records_path"), "{told}");
}

#[test]
fn what_is_of_another_kind_is_called_by_its_name() {
    for (key, head, told) in [
        ("a.csv", &b"PK\x03\x04\x14\0\0\0"[..], "a ZIP archive, as Excel's .xlsx files are"),
        ("a.csv", b"\xd0\xcf\x11\xe0\xa1\xb1", "an Excel or Word file"),
        ("a.parquet.gz", &gzip(b"PAR1\x15\0"), "a Parquet file that was compressed once more"),
        ("a.parquet", b"PK\x03\x04\x14\0\0\0", "a ZIP archive"),
        ("a.csv", b"\n <HTML><body>", "a web page"),
        ("a.csv", b"<?xml version=\"1.0\"?>", "it is XML"),
        ("a.csv", b"\xfd7zXZ\0", "compressed with xz"),
        ("a.csv", b"k\0,\0a\0\n\0", "UTF-16 without a byte order mark"),
        ("a.csv.gz", &gzip(b"PK\x03\x04\x14\0\0\0"), "a ZIP archive"),
    ] {
        let fault = detect(key, head, &FormatSettings::default()).unwrap_err();
        assert_eq!(fault.code, FaultCode::OtherKind);
        assert!(fault.message.contains(told), "{}", fault.message);
    }
    for (key, code) in [("a.csv.gz", "BROKEN_GZIP"), ("a.csv.zst", "BROKEN_ZSTD"), ("a.csv.bz2", "BROKEN_BZIP2")] {
        let fault = detect(key, b"k,a\n", &FormatSettings::default()).unwrap_err();
        assert_eq!(fault.code.name(), code);
        assert!(fault.message.contains("name it as what it is"), "{}", fault.message);
    }
    // Words that other kinds begin with are words too.
    for header in ["ORCID,k\n", "PAR1,k\n", "PARIS\n"] {
        assert_eq!(found("a.csv", header.as_bytes()).layout, Layout::Csv);
    }
}

#[test]
fn a_parquet_file_is_one_whatever_its_name() {
    for key in ["a.parquet", "a.csv", "a.json.gz", "a", "A.PARQUET"] {
        for head in [&b"PAR1\x15\0"[..], b"PARE\x15\0"] {
            let format = found(key, head);
            assert_eq!((format.to_string(), format.is_in_place()), ("parquet".to_owned(), false));
        }
    }
    // Nobody else names a file so.
    for head in [&b"PAR1"[..], b"PARE-encrypted"] {
        assert_eq!(found("a.parquet", head).layout, Layout::Parquet);
    }
    for head in [&b""[..], b"k,a\n", b"PAR2\x15"] {
        let fault = detect("a.parquet", head, &FormatSettings::default()).unwrap_err();
        assert_eq!(fault.code, FaultCode::BrokenParquet, "{}", fault.message);
    }
}

#[test]
fn damage_is_told_whatever_the_compression() {
    let rows: String = (0..5000).map(|n| format!("{n},{}\n", n * 7919 % 1000)).collect();
    let csv = format!("k,a\n{rows}");
    for (key, packed, code) in [
        ("a.csv.zst", zstd(csv.as_bytes()), "BROKEN_ZSTD"),
        ("a.csv.bz2", bzip2(csv.as_bytes()), "BROKEN_BZIP2"),
        ("a.csv.gz", gzip(csv.as_bytes()), "BROKEN_GZIP"),
    ] {
        let read = |bytes: &[u8]| {
            let format = found(key, bytes);
            let (mut decoder, mut out) = (Decoder::new(&format, "k"), Vec::new());
            let fault = decoder.push(bytes, &mut out).and_then(|()| decoder.finish(&mut out)).err();
            (out.len(), fault.map(|fault| fault.code.name()))
        };
        assert_eq!(read(&packed), (5000, None));
        for cut in [packed.len() - 1, packed.len() / 2, 10] {
            assert_eq!(read(&packed[..cut]).1, Some(code), "{key} cut at {cut}");
        }
        let mut flipped = packed.clone();
        flipped[packed.len() / 2] ^= 0x10;
        assert_eq!(read(&flipped).1, Some(code), "{key}");
        let followed = [packed.as_slice(), b"no more of that"].concat();
        assert_eq!(read(&followed), (5000, Some(code)), "{key}");
    }
}

#[test]
fn half_a_pair_of_utf16_is_a_fault_of_its_record() {
    let mut bytes = utf16("k,a\n1,x\n2,y\n", Utf16::Le);
    let at = bytes.windows(2).position(|pair| pair == [b'x', 0]).unwrap();
    bytes[at..at + 2].copy_from_slice(&[0x34, 0xd8]);
    let (_, records, fault) = read("a.csv", &bytes, &FormatSettings::default());
    assert!(records[0].starts_with("line 2, column \"a\": byte 0xED is not UTF-8"), "{records:?}");
    assert_eq!((records[1].as_str(), fault), (r#"{"k":"2","a":"y"}"#, None));
    bytes.push(0);
    let (_, _, fault) = read("a.csv", &bytes, &FormatSettings::default());
    assert!(fault.unwrap().message.contains("in the middle of a character"));
}

#[test]
fn a_bomb_is_unpacked_a_little_at_a_time() {
    let rows = "1,2\n".repeat(8 * 1024 * 1024);
    for (key, packed) in [("a.csv.zst", zstd(rows.as_bytes())), ("a.csv.bz2", bzip2(rows.as_bytes()))] {
        let packed = [if key.ends_with("zst") { zstd(b"k,a\n") } else { bzip2(b"k,a\n") }, packed].concat();
        let (mut decoder, mut rest, mut count) = (Decoder::new(&found(key, &packed), "k"), packed.as_slice(), 0);
        while !rest.is_empty() || decoder.has_more() {
            let mut out = Vec::new();
            let taken = decoder.step(rest, &mut out).unwrap();
            assert!(out.len() <= 64 * 1024, "{key}: {} records at once", out.len());
            count += out.len();
            rest = &rest[taken..];
        }
        decoder.finish(&mut Vec::new()).unwrap();
        assert_eq!(count, 8 * 1024 * 1024, "{key}");
    }
}

#[test]
fn a_file_without_a_header_has_as_many_columns_as_its_first_row() {
    let settings = FormatSettings::parse(r##"{"columns":["bucket","key","version"],"comment":"#"}"##).unwrap();
    let columns = |text: &[u8]| detect("m.csv", &text[..text.len().min(HEAD)], &settings).unwrap().columns.len();
    for (text, width) in [
        ("b,k,v\nb,k2\n", 3),
        ("b,k\nb,k2,v\n", 2),
        ("b,k", 2),
        ("\u{feff}\r\n\n#a,b,c\nb,\"a,\n\"\"b\"\r\n", 2),
        ("b\n", 1),
        // What says nothing leaves all.
        ("", 3),
        ("#\n", 3),
        ("b,k,v,more\n", 3),
        ("b,\"k\"x\nb,k\n", 3),
    ] {
        assert_eq!(columns(text.as_bytes()), width, "{text:?}");
    }
    let wide: Vec<u8> = "b,k\n".encode_utf16().flat_map(u16::to_le_bytes).collect();
    assert_eq!(columns(&[&[0xff, 0xfe][..], &wide].concat()), 2);
    // The first row goes on after what is looked at.
    let long = format!("b,{}\n", "k".repeat(HEAD));
    assert_eq!(columns(long.as_bytes()), 3);
    let (format, names, fault) = read("m.csv", b"b,k%201\nb,k2\n", &settings);
    assert_eq!((format.columns.join(" "), names.len(), fault.is_some()), ("bucket key".to_owned(), 0, true));
    let other = detect("m.jsonl", b"{}", &settings).unwrap();
    assert_eq!(other, InputFormat::plain(Layout::Jsonl), "only CSV files lack a header");
    let one = FormatSettings::parse(r#"{"columns":["k"]}"#).unwrap();
    assert_eq!(detect("m.csv", b"a|b;c\n", &one).unwrap().dialect, Dialect::STANDARD);
}
