//! Manifests: the lists of objects that other tools write, and that Distributed Map reads as well
//! (<https://docs.aws.amazon.com/step-functions/latest/dg/input-output-itemreader.html>).
//!
//! - `.json`: an array, or what `aws s3api list-objects-v2` prints, which has the array in its member `Contents`.
//! - `.jsonl`: the elements of such an array, a line each.
//! - `.csv`: rows of bucket, key and perhaps version, without a header, as in a manifest of S3 Batch Operations
//!   (<https://docs.aws.amazon.com/AmazonS3/latest/userguide/specify-batchjob-manifest.html>), or the rows of an
//!   S3 Inventory (<https://docs.aws.amazon.com/AmazonS3/latest/userguide/storage-inventory.html>). In both, keys are
//!   URL-encoded.
//!
//! An element is `"s3://bucket/key"`, or an object with `key`, and perhaps `bucket`, `versionId` and `eTag`.

use percent_encoding::percent_decode_str;
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::format::BYTE_ORDER_MARK;
use crate::format::unpack::Layers;
use crate::model::fault::{Fault, FaultCode};
use crate::model::format::{Compression, InputFormat, Layout};
use crate::model::manifest::{Listed, MAX_OBJECTS};

/// The largest manifest, unpacked.
pub const MAX_BYTES: usize = 64 * 1024 * 1024;

/// Reads a manifest, whose key tells its form.
///
/// # Errors
/// What is wrong with it, and where.
pub fn parse(key: &str, bytes: &[u8]) -> Result<Vec<Listed>, Fault> {
    let format = InputFormat { compression: Compression::of_head(bytes), ..InputFormat::of_key(key)? };
    let plain = unpacked(bytes, &format)?;
    let text = plain.strip_prefix(BYTE_ORDER_MARK).unwrap_or(&plain);
    let text = std::str::from_utf8(text).map_err(|e| broken(format!("byte {} is not UTF-8", e.valid_up_to())))?;
    let listed = match format.layout {
        Layout::Csv => rows(text),
        Layout::Json => array(text),
        Layout::Jsonl => lines(text),
        Layout::Parquet => Err(broken("a list of objects cannot be a Parquet file".to_owned())),
    }?;
    Ok(listed)
}

fn unpacked(bytes: &[u8], format: &InputFormat) -> Result<Vec<u8>, Fault> {
    let (mut layers, mut plain) = (Layers::of(format), Vec::new());
    let mut keep = |piece: &[u8]| {
        plain.extend_from_slice(piece);
        if plain.len() <= MAX_BYTES { Ok(()) } else { Err(too_large()) }
    };
    let mut rest = bytes;
    while !rest.is_empty() || layers.has_more() {
        let taken = layers.step(rest, &mut keep)?;
        rest = &rest[taken..];
    }
    layers.finish(&mut keep)?;
    Ok(plain)
}

/// The fault of a manifest that is larger than [`MAX_BYTES`].
pub fn too_large() -> Fault {
    broken(format!("it is larger than {} MiB; divide the list", MAX_BYTES >> 20))
}

fn broken(what: String) -> Fault {
    Fault::new(FaultCode::BrokenManifest, format!("the manifest cannot be read: {what}"))
}

/// The objects of a list, unless they are too many: then no more is made of it.
fn collected(listed: impl Iterator<Item = Result<Listed, Fault>>) -> Result<Vec<Listed>, Fault> {
    let mut all = Vec::new();
    for listed in listed {
        if all.len() == MAX_OBJECTS {
            let most =
                format!("it lists more than {MAX_OBJECTS} objects, the most that a batch is made of; divide the list");
            return Err(broken(most));
        }
        all.push(listed?);
    }
    Ok(all)
}

fn array(text: &str) -> Result<Vec<Listed>, Fault> {
    #[derive(Deserialize)]
    struct Listing<'a> {
        #[serde(borrow, rename = "Contents")]
        contents: Vec<&'a RawValue>,
    }
    let array = if text.trim_start().starts_with('{') {
        serde_json::from_str(text).map(|listing: Listing| listing.contents)
    } else {
        serde_json::from_str::<Vec<&RawValue>>(text)
    };
    let array = array.map_err(|e| broken(format!("it is not a JSON array of objects in S3 ({e})")))?;
    let element = |(place, element): (usize, &&RawValue)| element_of(element.get(), &format!("element {}", place + 1));
    collected(array.iter().enumerate().map(element))
}

fn lines(text: &str) -> Result<Vec<Listed>, Fault> {
    let lines = text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty());
    collected(lines.map(|(place, line)| element_of(line, &format!("line {}", place + 1))))
}

fn element_of(text: &str, place: &str) -> Result<Listed, Fault> {
    let wanted = "\"s3://bucket/key\" or {\"key\":\"…\"}";
    let listed = if text.trim_start().starts_with('"') {
        serde_json::from_str::<String>(text).ok().as_deref().and_then(of_uri)
    } else {
        serde_json::from_str::<Listed>(text).ok()
    };
    let sent = |tag: &String| tag.bytes().all(|byte| (b' '..=b'~').contains(&byte));
    let listed = listed.filter(|listed| !listed.key.is_empty() && listed.e_tag.as_ref().is_none_or(sent));
    let mut listed = listed.ok_or_else(|| broken(format!("{place} is neither of {wanted}")))?;
    // As in answers of S3, where its quotes belong to it.
    listed.e_tag = listed.e_tag.map(|tag| tag.trim_matches('"').to_owned());
    Ok(listed)
}

/// The object that a URI such as `s3://bucket/key` names; its key is not encoded.
fn of_uri(uri: &str) -> Option<Listed> {
    let (bucket, key) = uri.strip_prefix("s3://")?.split_once('/')?;
    Some(Listed { bucket: Some(bucket.to_owned()), ..Listed::newest(key) })
}

fn rows(text: &str) -> Result<Vec<Listed>, Fault> {
    let mut reader = csv::ReaderBuilder::new().has_headers(false).flexible(true).from_reader(text.as_bytes());
    let listed = |row: csv::Result<csv::StringRecord>| {
        let row = row.map_err(|e| broken(format!("it is not CSV ({e})")))?;
        let line = row.position().map_or(0, csv::Position::line);
        listed_in(&row.iter().collect::<Vec<_>>(), line)
    };
    collected(reader.records().filter_map(|row| listed(row).transpose()))
}

/// The object of a row. An inventory of all versions says in its fourth and fifth column whether a version is the
/// latest, and whether it is a delete marker; any other with more than three columns has no versions.
fn listed_in(row: &[&str], line: u64) -> Result<Option<Listed>, Fault> {
    let (bucket, key, version) = match row {
        [_, _, _, "false", "true" | "false", ..] | [_, _, _, "true", "true", ..] => return Ok(None),
        [bucket, key, version] | [bucket, key, version, "true", "false", ..] => (bucket, key, Some(*version)),
        [bucket, key, ..] => (bucket, key, None),
        _ => return Err(broken(format!("line {line} has no bucket and key"))),
    };
    let version = version.filter(|version| !matches!(*version, "" | "null"));
    let spaced = key.replace('+', " ");
    let key = percent_decode_str(&spaced).decode_utf8();
    let key = key.map_err(|_| broken(format!("line {line}: the key is not UTF-8 when it is URL-decoded")))?;
    if bucket.is_empty() || key.is_empty() {
        return Err(broken(format!("line {line} has no bucket and key")));
    }
    let (bucket, version_id) = (Some((*bucket).to_owned()), version.map(str::to_owned));
    Ok(Some(Listed { bucket, version_id, ..Listed::newest(key) }))
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
    use proptest::prelude::*;

    use super::*;

    fn listed(bucket: &str, key: &str, version: &str) -> Listed {
        let some = |text: &str| Some(text.to_owned()).filter(|text| !text.is_empty());
        Listed { bucket: some(bucket), version_id: some(version), ..Listed::newest(key) }
    }

    #[test]
    fn a_list_in_json_names_objects_in_several_ways() {
        let text = r#"["s3://in/a b+c%20.csv",{"bucket":"in","key":"x/y.csv","versionId":"v1"},
            {"Key":"z.csv","Size":7,"ETag":"\"abc\"","LastModified":1.5}]"#;
        let tagged = Listed { e_tag: Some("abc".into()), ..listed("", "z.csv", "") };
        let expected = [listed("in", "a b+c%20.csv", ""), listed("in", "x/y.csv", "v1"), tagged];
        assert_eq!(parse("x.manifest.json", text.as_bytes()).unwrap(), expected);
        let printed = format!(r#"{{"Contents":{text},"RequestCharged":null}}"#);
        assert_eq!(parse("x.manifest.json", printed.as_bytes()).unwrap(), expected);
        let elements: Vec<&RawValue> = serde_json::from_str(text).unwrap();
        let lines: String = elements.iter().map(|line| line.get().to_owned() + "\n\n").collect();
        assert_eq!(parse("x.manifest.jsonl", lines.as_bytes()).unwrap(), expected);
        assert_eq!(parse("x.manifest.json", b"[]").unwrap(), []);
    }

    #[test]
    fn rows_of_batch_operations_and_inventories_are_read() {
        let batch = "in,a+b%2Bc%25/f%C3%BCr.csv\n\"in\",\"x.csv\",\"v1\"\nin,y.csv,null\n";
        let expected = [listed("in", "a b+c%/für.csv", ""), listed("in", "x.csv", "v1"), listed("in", "y.csv", "")];
        assert_eq!(parse("x.manifest.csv", batch.as_bytes()).unwrap(), expected);
        let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        gzip.write_all(batch.as_bytes()).unwrap();
        assert_eq!(parse("x.manifest.csv.gz", &gzip.finish().unwrap()).unwrap(), expected);
        let all = "\"in\",\"a.csv\",\"v2\",\"true\",\"false\",\"7\"\n\"in\",\"a.csv\",\"v1\",\"false\",\"false\",\"9\"\n\
                   \"in\",\"b.csv\",\"v3\",\"true\",\"true\",\"\"\n";
        assert_eq!(parse("x.manifest.csv", all.as_bytes()).unwrap(), [listed("in", "a.csv", "v2")]);
        let current = "\"in\",\"a.csv\",\"7\",\"2026-11-26T10:00:00.000Z\",\"abc\"\n";
        assert_eq!(parse("x.manifest.csv", current.as_bytes()).unwrap(), [listed("in", "a.csv", "")]);
    }

    proptest! {
        #[test]
        fn every_key_comes_back_from_every_form(keys in proptest::collection::vec("\\PC{1,12}|[ +%\",\\n\u{0}é]{1,6}", 1..5)) {
            let expected: Vec<Listed> = keys.iter().map(|key| listed("in", key, "")).collect();
            let row = |key: &String| {
                let key = utf8_percent_encode(key, NON_ALPHANUMERIC).to_string().replace("%20", "+");
                format!("in,{key}\r\n")
            };
            let rows: String = keys.iter().map(row).collect();
            prop_assert_eq!(parse("x.manifest.csv", rows.as_bytes()).unwrap(), expected.clone());
            let lines: String = expected.iter().map(|listed| serde_json::to_string(listed).unwrap() + "\n").collect();
            prop_assert_eq!(parse("x.manifest.jsonl", lines.as_bytes()).unwrap(), expected.clone());
            let uris: Vec<String> = keys.iter().map(|key| format!("s3://in/{key}")).collect();
            let array = serde_json::to_string(&uris).unwrap();
            prop_assert_eq!(parse("x.manifest.json", array.as_bytes()).unwrap(), expected);
        }

        #[test]
        fn any_bytes_are_a_list_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..200), form in 0..3_usize) {
            let key = ["x.manifest.csv", "x.manifest.json", "x.manifest.jsonl.gz"][form];
            if let Ok(listed) = parse(key, &bytes) {
                prop_assert!(listed.iter().all(|listed| !listed.key.is_empty()));
            }
        }
    }

    #[test]
    fn what_is_no_list_is_refused_with_its_place() {
        for (key, text, place) in [
            ("x.manifest.json", &b"{\"records\":[]}"[..], "not a JSON array"),
            ("x.manifest.json", b"[\"s3://in/a\",7]", "element 2 is neither"),
            ("x.manifest.json", b"[\"a.csv\"]", "element 1 is neither"),
            ("x.manifest.jsonl", b"\"s3://in/a\"\n\"s3://in\"", "line 2 is neither"),
            ("x.manifest.csv", b"in,a.csv\nin\n", "line 2 has no bucket and key"),
            ("x.manifest.csv", b"in,%ff\n", "line 1: the key is not UTF-8"),
            ("x.manifest.csv", b"in,\xff\n", "byte 3 is not UTF-8"),
        ] {
            let fault = parse(key, text).unwrap_err();
            assert_eq!(fault.code.name(), "BROKEN_MANIFEST");
            assert!(fault.message.contains(place), "{}", fault.message);
        }
        let many = "in,a\n".repeat(MAX_OBJECTS + 1);
        assert!(parse("x.manifest.csv", many.as_bytes()).unwrap_err().message.contains("more than 65536"));
        let large = vec![b'\n'; MAX_BYTES + 1];
        assert!(parse("x.manifest.jsonl", &large).unwrap_err().message.contains("larger than 64 MiB"));
    }
}
