//! Scatter goes on at a bookmark as if it had never stopped: from the bookmark of any chunk on, a file is cut as it is cut
//! from its beginning.

use std::io::Write;

use bytes::Bytes;
use fanfold::format::detect::detect;
use fanfold::model::error::Result;
use fanfold::model::format::InputFormat;
use fanfold::model::format::settings::FormatSettings;
use fanfold::model::progress::Bookmark;
use fanfold::stage::scatter::cut::{Cut, Cutter};
use fanfold::stage::scatter::limit::Budget;
use fanfold::stage::scatter::split::{RangeSplitter, Splitter};
use futures::stream::{self, BoxStream, StreamExt, TryStreamExt};

/// Rows that are awkward to stop between: some hold line ends, quotes or signs of several bytes, one is no record.
fn csv(end: &str) -> String {
    let rows = (0..40).map(|n| match n % 7 {
        0 => format!("k{n},\"two{end}lines, one \"\"quoted\"\"\",{n}{end}"),
        1 => format!("k{n},größer,{n}{end}{end}"),
        2 => format!("k{n},\"broken\" quote,{n}{end}"),
        _ => format!("k{n},plain,{n}{end}"),
    });
    format!("id,text,n{end}{}", rows.collect::<String>())
}

/// The same rows without their header.
fn headless(end: &str) -> String {
    csv(end).split_once(end).unwrap().1.to_owned()
}

/// How a file is read: by its name, it has a header or none.
fn settings(name: &str) -> FormatSettings {
    let text = if name.starts_with("headless") { r#"{"columns":["id","text","n","more"]}"# } else { "{}" };
    FormatSettings::parse(text).unwrap()
}

fn jsonl() -> String {
    let lines = (0..40).map(|n| match n % 5 {
        0 => format!("{{\"id\":{n}}} {{\"id\":\"second\",\"n\":{n}}}\n"),
        1 => format!("  {{\"id\":{n}}}  \r\n\n"),
        2 => format!("{{\"id\":{n} no JSON\n"),
        _ => format!("{{\"id\":{n},\"text\":\"größer\"}}\n"),
    });
    lines.collect()
}

fn json(before: &str, after: &str) -> String {
    let element = |n: u32| match n % 4 {
        0 => format!("{{\"id\":{n}}}"),
        1 => format!("\n  {{\"id\":\n{n},\"text\":\"größer\"}} "),
        2 => format!(" {n}"),
        _ => format!("{{\"id\":{n},\"list\":[1,{{}}]}}"),
    };
    format!("{before}{}{after}", (0..40).map(element).collect::<Vec<_>>().join(","))
}

fn gzip(text: &str) -> Vec<u8> {
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    packed.write_all(text.as_bytes()).unwrap();
    packed.finish().unwrap()
}

/// Files by their names.
fn files() -> Vec<(&'static str, Vec<u8>)> {
    let utf16 = |text: &str| {
        let units = std::iter::once(0xfeff).chain(text.encode_utf16());
        units.flat_map(u16::to_le_bytes).collect::<Vec<u8>>()
    };
    vec![
        ("a.csv", csv("\n").into()),
        ("returns.csv", csv("\r\n").into()),
        ("old.csv", csv("\r").into()),
        ("marked.csv", format!("\u{feff}{}", csv("\n")).into()),
        ("wide.csv", utf16(&csv("\n"))),
        ("packed.csv.gz", gzip(&csv("\r\n"))),
        ("marked.csv.gz", gzip(&format!("\u{feff}{}", csv("\n")))),
        ("a.csv.zst", zstd::encode_all(csv("\n").as_bytes(), 1).unwrap()),
        ("headless.csv", headless("\n").into()),
        ("headless-old.csv", headless("\r").into()),
        ("headless-marked.csv", format!("\u{feff}\r\n{}", headless("\r\n")).into()),
        ("headless-wide.csv", utf16(&headless("\n"))),
        ("headless-packed.csv.gz", gzip(&format!("\u{feff}{}", headless("\r\n")))),
        ("a.jsonl", jsonl().into()),
        ("marked.jsonl", format!("\u{feff}{}", jsonl()).into()),
        ("packed.jsonl.gz", gzip(&jsonl())),
        ("bare.json", json("[", "]").into()),
        ("around.json", json("{\"before\":[1,2],\"records\":[", "],\"after\":{\"records\":0}}").into()),
        ("marked.json", format!("\u{feff}{}", json(" {\"records\" : [", "]}")).into()),
        ("broken.json", json("{\"records\":[", "] oh").into()),
        ("packed.json.gz", gzip(&json("[", "]"))),
    ]
}

fn body(bytes: &[u8], from: u64) -> BoxStream<'static, Result<Bytes>> {
    let pieces: Vec<Result<Bytes>> =
        bytes[from as usize..].chunks(17).map(|piece| Ok(Bytes::copy_from_slice(piece))).collect();
    stream::iter(pieces).boxed()
}

/// The cuts of a file, as text, and the bookmark of each that is a chunk.
async fn cuts(cutter: impl Cutter) -> Vec<(String, Option<Bookmark>)> {
    let cuts: Vec<Cut> = cutter.stream().try_collect().await.unwrap();
    let cuts = cuts.into_iter().filter(|cut| !matches!(cut, Cut::Nothing));
    cuts.map(|cut| (format!("{cut:?}"), cut.bookmark())).collect()
}

async fn copied(bytes: &[u8], format: &InputFormat, bookmark: Option<&Bookmark>) -> Vec<(String, Option<Bookmark>)> {
    let mut cutter = Splitter::new(body(bytes, 0), format, "id", 3, Budget::chunks(1000));
    if let Some(bookmark) = bookmark {
        let from = if format.is_in_place() { bookmark.place.offset } else { 0 };
        cutter.seek(bookmark, body(bytes, from)).await.unwrap();
    }
    cuts(cutter).await
}

async fn ranged(bytes: &[u8], format: &InputFormat, bookmark: Option<&Bookmark>) -> Vec<(String, Option<Bookmark>)> {
    let mut cutter = RangeSplitter::new(body(bytes, 0), format, "id", 3, Budget::chunks(1000));
    if let Some(bookmark) = bookmark {
        cutter.seek(bookmark, body(bytes, bookmark.place.offset)).await.unwrap();
    }
    cuts(cutter).await
}

#[tokio::test]
async fn from_any_bookmark_on_a_file_is_cut_as_from_its_beginning() {
    for (name, bytes) in files() {
        let format = detect(name, &bytes, &settings(name)).unwrap_or_else(|fault| panic!("{name}: {fault:?}"));
        let whole = copied(&bytes, &format, None).await;
        assert!(whole.len() > 10, "{name} has {} cuts", whole.len());
        for (number, (_, bookmark)) in whole.iter().enumerate() {
            let Some(bookmark) = bookmark else { continue };
            let rest = copied(&bytes, &format, Some(bookmark)).await;
            assert_eq!(rest, whole[number..], "{name}, copied from chunk {number} on");
        }
        if !format.is_in_place() {
            continue;
        }
        let whole = ranged(&bytes, &format, None).await;
        for (number, (_, bookmark)) in whole.iter().enumerate() {
            let Some(bookmark) = bookmark else { continue };
            let rest = ranged(&bytes, &format, Some(bookmark)).await;
            assert_eq!(rest, whole[number..], "{name}, in ranges from chunk {number} on");
        }
    }
}

#[tokio::test]
async fn a_file_without_the_place_is_told() {
    let bytes = csv("\n").into_bytes();
    let format = InputFormat::of_key("a.csv").unwrap();
    let bookmark = copied(&bytes, &format, None).await[2].1.unwrap();
    let mut cutter = Splitter::new(body(b"", 0), &format, "id", 3, Budget::chunks(1000));
    let error = cutter.seek(&bookmark, body(b"", 0)).await.unwrap_err();
    assert!(error.to_string().contains("no longer has the place"), "{error}");
}
